"""IPv4 fragmentation (RFC 791 3.2), for packets that may be cut before they are sealed."""

import struct
from collections.abc import Iterator
from typing import Final

from p4esp.controller.packets import PacketError, checksum

DONT_FRAGMENT: Final = 0x4000
_MORE: Final = 0x2000
_OFFSET: Final = 0x1FFF
_END, _NOP, _COPIED = 0, 1, 0x80


def fragments(packet: bytes, mtu: int) -> list[bytes]:
    """A packet with a right header as pieces of at most `mtu` octets; one that fits stays whole.

    PacketError when it must not be cut, or `mtu` has no room for 8 octets behind its header.
    """
    size = (packet[0] & 0xF) * 4
    (total,) = struct.unpack_from("!H", packet, 2)
    if total <= mtu:
        return [packet[:total]]
    room = (mtu - size) // 8 * 8
    if room <= 0 or _flags(packet) & DONT_FRAGMENT:
        raise PacketError(f"{total} octets of IPv4 cannot be cut to {mtu}")
    return list(_pieces(packet[:size], packet[size:total], room))


def _pieces(header: bytes, data: bytes, room: int) -> Iterator[bytes]:
    flags, later = _flags(header), header[:20] + _copied(header[20:])
    for at in range(0, len(data), room):
        more = flags & _MORE or (_MORE if at + room < len(data) else 0)
        place = more | ((flags & _OFFSET) + at // 8)
        yield _piece(later if at else header, place, data[at : at + room])


def _piece(header: bytes, place: int, data: bytes) -> bytes:
    made = bytearray(header)
    made[0] = 0x40 | len(header) // 4
    struct.pack_into("!H", made, 2, len(header) + len(data))
    struct.pack_into("!H", made, 6, place)
    made[10:12] = bytes(2)
    struct.pack_into("!H", made, 10, checksum(bytes(made)))
    return bytes(made) + data


def _flags(header: bytes) -> int:
    return int.from_bytes(header[6:8], "big")


def _copied(options: bytes) -> bytes:
    """The options that every fragment carries, filled up to words."""
    kept, at = b"", 0
    while at < len(options) and options[at] != _END:
        size = 1 if options[at] == _NOP else _option_size(options, at)
        if options[at] & _COPIED:
            kept += options[at : at + size]
        at += size
    return kept + bytes(-len(kept) % 4)


def _option_size(options: bytes, at: int) -> int:
    size = options[at + 1] if at + 1 < len(options) else 0
    if not 2 <= size <= len(options) - at:
        raise PacketError(f"IPv4 option {options[at]} has {size} octets")
    return size
