"""A writer of classic pcap files with nanosecond time stamps (draft-ietf-opsawg-pcap)."""

import struct
from collections.abc import Callable
from typing import BinaryIO

MAGIC_NANOSECONDS = 0xA1B23C4D
LINKTYPE_ETHERNET = 1
SNAP_LENGTH = 262144

_FILE_HEADER = struct.Struct("<IHHiIII")
_RECORD_HEADER = struct.Struct("<IIII")


class PcapWriter:
    """Writes Ethernet frames to `stream`. `wall_clock` gives nanoseconds since 1970.

    The stream stays the caller's: it is neither flushed nor closed here.
    """

    def __init__(self, stream: BinaryIO, wall_clock: Callable[[], int]) -> None:
        self._write = stream.write
        self._wall_clock = wall_clock
        header = (MAGIC_NANOSECONDS, 2, 4, 0, 0, SNAP_LENGTH, LINKTYPE_ETHERNET)
        self._write(_FILE_HEADER.pack(*header))

    def write(self, frame: bytes) -> None:
        """Append one frame, stamped with the present time."""
        seconds, nanoseconds = divmod(self._wall_clock(), 1_000_000_000)
        captured = frame[:SNAP_LENGTH]
        self._write(_RECORD_HEADER.pack(seconds, nanoseconds, len(captured), len(frame)))
        self._write(captured)
