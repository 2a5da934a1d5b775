"""Switch ports on Linux interfaces: one AF_PACKET socket each.

Needs root or CAP_NET_RAW, and only when such a port is opened. What waits in the socket enters
the switch as one burst, read with one system call a frame: on veth, memory-mapped rings were
measured and gain nothing that matters beside the pipeline (0.9 us a frame either way for sending,
1 us against 2 us for receiving).
"""

import asyncio
import errno
import socket
import struct
from dataclasses import dataclass
from typing import Final

from p4esp.packet_socket import SEND_LOSSES
from p4esp.switch.ports.memory import Ports
from p4esp.switch.ports.portset import MAX_PORT

BURST: Final = 64
MAX_FRAME: Final = 65_600
BUFFER_BYTES: Final = 8 << 20

_SOL_PACKET: Final = 263
_PACKET_ADD_MEMBERSHIP: Final = 1
_PACKET_AUXDATA: Final = 8
_PACKET_QDISC_BYPASS: Final = 20
_PACKET_IGNORE_OUTGOING: Final = 23
_PACKET_MR_PROMISC: Final = 1
_SO_RCVBUFFORCE: Final = 33
_ETH_P_ALL: Final = 3

_AUXDATA: Final = struct.Struct("=IIIHHHH")
_STATUS_VLAN_VALID: Final = 0x10
_STATUS_VLAN_TPID_VALID: Final = 0x40
_MEMBERSHIP: Final = struct.Struct("=iHH8s")


class InterfaceError(Exception):
    """A Linux interface that cannot serve as a port; the message says which and why."""


@dataclass(frozen=True, slots=True)
class InterfaceSpec:
    """`port@interface` of the command line."""

    port: int
    interface: str

    @classmethod
    def parse(cls, text: str) -> "InterfaceSpec":
        """`0@veth0`; raises `InterfaceError`."""
        port, at, interface = text.partition("@")
        if not (at and interface and port.isascii() and port.isdigit() and int(port) < MAX_PORT):
            raise InterfaceError(f"interface '{text}'; accepted: PORT@NAME, such as 0@veth0")
        return cls(int(port), interface)


class LinuxPort:
    """One interface as one port of a device.

    Works inside a running event loop. `lost` counts frames that the interface did not take.
    """

    def __init__(self, device: Ports, spec: InterfaceSpec) -> None:
        self.lost = 0
        self.spec = spec
        self._device = device
        self._buffer = memoryview(bytearray(MAX_FRAME))
        self._socket = _open(spec.interface)
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._socket, self._receive)
        device.attach_burst(spec.port, self._send)

    def close(self) -> None:
        """Give the interface back."""
        self._device.detach(self.spec.port)
        self._loop.remove_reader(self._socket)
        self._socket.close()

    def _receive(self) -> None:
        """Run what waits through the switch, one burst a turn of the event loop."""
        frames: list[bytes] = []
        try:
            self._read_into(frames)
        finally:
            if frames:
                self._device.inject_burst(self.spec.port, frames)

    def _read_into(self, frames: list[bytes]) -> None:
        receive, view = self._socket.recvmsg_into, self._buffer
        buffers = [view]
        try:
            for _ in range(BURST):
                size, ancillary, _, _ = receive(buffers, 64)
                frame = bytes(view[:size])
                frames.append(_with_vlan(frame, ancillary) if ancillary else frame)
        except BlockingIOError:
            pass
        except OSError as error:
            if error.errno != errno.ENETDOWN:
                raise

    def _send(self, frames: list[bytes]) -> None:
        send = self._socket.send
        for frame in frames:
            try:
                send(frame)
            except OSError as error:
                if error.errno not in SEND_LOSSES:
                    raise
                self.lost += 1


def _open(interface: str) -> socket.socket:
    try:
        index = socket.if_nametoindex(interface)
    except OSError:
        raise InterfaceError(f"interface '{interface}' does not exist") from None
    try:
        packets = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, 0)
    except PermissionError:
        raise InterfaceError(
            f"interface '{interface}': opening it needs root or CAP_NET_RAW"
        ) from None
    try:
        _configure(packets, index)
        packets.bind((interface, _ETH_P_ALL))
    except OSError as error:
        packets.close()
        raise InterfaceError(f"interface '{interface}': {error.strerror}") from None
    return packets


def _configure(packets: socket.socket, index: int) -> None:
    """Every frame with its VLAN tag, none of our own; straight to the driver on the way out."""
    packets.setsockopt(_SOL_PACKET, _PACKET_IGNORE_OUTGOING, 1)
    packets.setsockopt(_SOL_PACKET, _PACKET_AUXDATA, 1)
    packets.setsockopt(_SOL_PACKET, _PACKET_QDISC_BYPASS, 1)
    promiscuous = _MEMBERSHIP.pack(index, _PACKET_MR_PROMISC, 0, b"")
    packets.setsockopt(_SOL_PACKET, _PACKET_ADD_MEMBERSHIP, promiscuous)
    try:
        packets.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, BUFFER_BYTES)
    except PermissionError:  # CAP_NET_RAW without CAP_NET_ADMIN: as much as the system allows
        packets.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)


def _with_vlan(frame: bytes, ancillary: list[tuple[int, int, bytes]]) -> bytes:
    """The kernel takes an 802.1Q tag out of the frame; put it back where it was."""
    level, kind, data = ancillary[0]
    if (level, kind) != (_SOL_PACKET, _PACKET_AUXDATA):
        return frame
    status, _, _, _, _, tci, tpid = _AUXDATA.unpack(data[: _AUXDATA.size])
    if not status & _STATUS_VLAN_VALID:
        return frame
    tag = struct.pack("!HH", tpid if status & _STATUS_VLAN_TPID_VALID else 0x8100, tci)
    return frame[:12] + tag + frame[12:]
