"""Every ESP format once more, from the layouts alone: seals and opens, nothing shared with p4esp.

Plain code for reading: no layout is derived from another. AES-GCM with an ICV of 16 octets, no ESN.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.cmac import CMAC
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

ICV = 16
PADN = bytes((1, 2, 0, 0))
NO_NEXT_HEADER = 59


@dataclass(frozen=True)
class Key:
    """One direction of an SA, or of a sub SA."""

    key: bytes
    salt: bytes


@dataclass(frozen=True)
class Packet:
    """What a packet says. `next_header` 4 is IPv4, 41 IPv6. What EESP shows has its payload info
    header as the first 4 octets, that of PSP its cookie. `iv`: where an explicit IV is not the
    number.
    """

    payload: bytes
    spi: int = 0x1001
    seq: int = 1
    sub: int = 0
    next_header: int = 4
    implicit_iv: bool = False
    shown: int = 0
    numbered: bool = True
    padded: bool = False
    iv: int | None = None
    cookie: bytes = b""
    """PSP's, of 8 octets, or none."""


class RefusedError(Exception):
    """A packet that an honest receiver drops; the text is the rule."""


def sub_key(root: bytes, sub: int, key_length: int = 16) -> Key:
    """Key and salt of a sub SA."""
    octets = HKDFExpand(SHA256(), key_length + 4, struct.pack("!H", sub)).derive(root)
    return Key(octets[:key_length], octets[key_length:])


def _gcm_seal(key: Key, iv: bytes, text: bytes, aad: bytes) -> bytes:
    return AESGCM(key.key).encrypt(key.salt + iv, text, aad)


def _gcm_open(key: Key, iv: bytes, sealed: bytes, aad: bytes) -> bytes:
    if len(sealed) < ICV:
        raise RefusedError("too short")
    return AESGCM(key.key).decrypt(key.salt + iv, sealed, aad)


def _counting(text: bytes, next_header: int) -> bytes:
    """RFC 4303: padding 1, 2, 3 ..., pad length, next header."""
    pad = -(len(text) + 2) % 4
    return text + bytes(range(1, pad + 1)) + bytes((pad, next_header))


def _uncounted(text: bytes) -> tuple[bytes, int]:
    if len(text) < 2 or text[-2] + 2 > len(text):
        raise RefusedError("pad length")
    pad = text[-2]
    if text[len(text) - 2 - pad : -2] != bytes(range(1, pad + 1)):
        raise RefusedError("padding")
    return text[: len(text) - 2 - pad], text[-1]


def _zeros(length: int) -> bytes:
    return bytes(-length % 4)


def _tih(packet: Packet) -> bytes:
    return struct.pack("!HBB", 0, packet.next_header, -len(packet.payload) % 4)


def _without_zeros(tih: bytes, text: bytes) -> tuple[bytes, int]:
    """Payload and next header by a trailer information header."""
    front, next_header, pad = struct.unpack("!HBB", tih)
    if front:
        raise RefusedError("reserved bits")
    if pad > len(text):
        raise RefusedError("pad length")
    if any(text[len(text) - pad :]):
        raise RefusedError("padding")
    return text[: len(text) - pad], next_header


def _iv(packet: Packet) -> tuple[bytes, bytes]:
    """What is sent, and what the nonce has."""
    iv = struct.pack("!Q", packet.seq if packet.iv is None else packet.iv)
    return (b"" if packet.implicit_iv else iv), iv


def _head(packet: Packet) -> bytes:
    return struct.pack("!II", packet.spi, packet.seq)


def _read_head(data: bytes, implicit: bool) -> tuple[bytes, bytes, bytes]:
    """SPI and number, IV, what follows."""
    if implicit:
        return data[:8], bytes(4) + data[4:8], data[8:]
    return data[:8], data[8:16], data[16:]


def _seal_esp(key: Key, packet: Packet) -> bytes:
    sent, iv = _iv(packet)
    text = _counting(packet.payload, packet.next_header)
    return _head(packet) + sent + _gcm_seal(key, iv, text, _head(packet))


def _open_esp(key: Key, data: bytes, implicit: bool, shown: int) -> tuple[bytes, int]:
    head, iv, sealed = _read_head(data, implicit)
    return _uncounted(_gcm_open(key, iv, sealed, head))


def _seal_sub(key: Key, packet: Packet) -> bytes:
    counter = struct.pack("!HQ", packet.sub, packet.seq)
    number = counter[:2] + counter[4:]
    head = struct.pack("!I", packet.spi) + number
    text = _counting(packet.payload, packet.next_header)
    return head + _gcm_seal(key, number, text, head)


def _open_sub(key: Key, data: bytes, implicit: bool, shown: int) -> tuple[bytes, int]:
    return _uncounted(_gcm_open(key, data[4:12], data[12:], data[:12]))


def _seal_inside(key: Key, packet: Packet) -> bytes:
    sent, iv = _iv(packet)
    text = _tih(packet) + packet.payload + _zeros(len(packet.payload))
    return _head(packet) + sent + _gcm_seal(key, iv, text, _head(packet))


def _open_inside(key: Key, data: bytes, implicit: bool, shown: int) -> tuple[bytes, int]:
    head, iv, sealed = _read_head(data, implicit)
    text = _gcm_open(key, iv, sealed, head)
    if len(text) < 4:
        raise RefusedError("too short")
    return _without_zeros(text[:4], text[4:])


def _seal_shown(key: Key, packet: Packet) -> bytes:
    """Trailer information in clear, and `shown` octets of the payload behind it."""
    sent, iv = _iv(packet)
    clear = _head(packet) + sent + _tih(packet) + packet.payload[: packet.shown]
    hidden = packet.payload[packet.shown :]
    return clear + _gcm_seal(key, iv, hidden + _zeros(len(hidden)), clear)


def _open_shown(key: Key, data: bytes, implicit: bool, shown: int) -> tuple[bytes, int]:
    _, iv, rest = _read_head(data, implicit)
    at = len(data) - len(rest)
    clear, sealed = data[: at + 4 + shown], data[at + 4 + shown :]
    hidden, next_header = _without_zeros(rest[:4], _gcm_open(key, iv, sealed, clear))
    return rest[4 : 4 + shown] + hidden, next_header


def _seal_none(key: Key, packet: Packet) -> bytes:
    sent, iv = _iv(packet)
    text = packet.payload + _zeros(len(packet.payload))
    return _head(packet) + sent + _gcm_seal(key, iv, text, _head(packet))


def _open_none(key: Key, data: bytes, implicit: bool, shown: int) -> tuple[bytes, int]:
    head, iv, sealed = _read_head(data, implicit)
    return _inner_packet(_gcm_open(key, iv, sealed, head))


def _inner_packet(text: bytes, most_padding: int = 3) -> tuple[bytes, int]:
    """An IP packet by its own length, and what it is."""
    version = text[0] >> 4 if text else 0
    if version == 4 and len(text) >= 20:
        (length,), next_header = struct.unpack("!H", text[2:4]), 4
    elif version == 6 and len(text) >= 40:
        length, next_header = 40 + struct.unpack("!H", text[4:6])[0], 41
    else:
        raise RefusedError("no IP packet")
    if not 0 <= len(text) - length <= most_padding:
        raise RefusedError("inner length")
    if any(text[length:]):
        raise RefusedError("padding")
    return text[:length], next_header


def _seal_at_the_end(key: Key, packet: Packet) -> bytes:
    tail = _tih(packet) + struct.pack("!IQ", packet.spi, packet.seq)
    text = packet.payload + _zeros(len(packet.payload))
    sealed = _gcm_seal(key, tail[8:], text, tail)
    return sealed[:-ICV] + tail + sealed[-ICV:]


def _open_at_the_end(key: Key, data: bytes, implicit: bool, shown: int) -> tuple[bytes, int]:
    if len(data) < 33:
        raise RefusedError("too short")
    tail, tag = data[-32:-ICV], data[-ICV:]
    text = _gcm_open(key, tail[8:], data[:-32] + tag, tail)
    return _without_zeros(tail[:4], text)


def _seal_offset(key: Key, packet: Packet) -> bytes:
    sent, iv = _iv(packet)
    clear = _head(packet) + sent + packet.payload[: packet.shown]
    text = _counting(packet.payload[packet.shown :], packet.next_header)
    return clear + _gcm_seal(key, iv, text, clear)


def _open_offset(key: Key, data: bytes, implicit: bool, shown: int) -> tuple[bytes, int]:
    _, iv, rest = _read_head(data, implicit)
    at = len(data) - len(rest) + shown
    hidden, next_header = _uncounted(_gcm_open(key, iv, data[at:], data[:at]))
    return rest[:shown] + hidden, next_header


def _seal_wesp(key: Key, packet: Packet) -> bytes:
    """Integrity only: all of ESP is in the AAD."""
    sent, iv = _iv(packet)
    header_length = 12 + 4 * packet.padded + len(sent)
    wesp = struct.pack("!BBBB", packet.next_header, header_length, ICV, packet.padded << 4)
    aad = _head(packet) + sent + _counting(packet.payload, packet.next_header)
    return wesp + bytes(4 * packet.padded) + aad + _gcm_seal(key, iv, b"", aad)


def _open_wesp(key: Key, data: bytes, implicit: bool, shown: int) -> tuple[bytes, int]:
    wesp_next, header_length, trailer_length, flags = data[:4]
    padded = 4 * (flags >> 4 & 1)
    if flags >> 5 or trailer_length != ICV:
        raise RefusedError("version, E flag or trailer length")
    if header_length != 12 + padded + (0 if implicit else 8):
        raise RefusedError("header length")
    aad, tag = data[4 + padded : -ICV], data[-ICV:]
    _, iv, text = _read_head(aad, implicit)
    _gcm_open(key, iv, tag, aad)
    payload, next_header = _uncounted(text)
    if wesp_next != next_header:
        raise RefusedError("next header")
    return payload, next_header


def _seal_wesp2(key: Key, packet: Packet) -> bytes:
    sent, iv = _iv(packet)
    options = PADN if packet.padded else b""
    next_header = packet.next_header if packet.shown else NO_NEXT_HEADER
    header_length = 4 + len(options) + 8 + len(sent)
    wesp = struct.pack("!BBBB", next_header, header_length, packet.shown, 1 << 6 | len(options))
    clear = wesp + options + _head(packet) + sent + packet.payload[: packet.shown]
    text = _counting(packet.payload[packet.shown :], packet.next_header)
    return clear + _gcm_seal(key, iv, text, clear)


def _open_wesp2(key: Key, data: bytes, implicit: bool, shown: int) -> tuple[bytes, int]:
    wesp_next, header_length, offset, version = data[:4]
    options = version & 63
    if version >> 6 != 1 or options not in (0, 4) or offset & 0xFC != shown:
        raise RefusedError("version, options or offset")
    if header_length != 12 + options + (0 if implicit else 8):
        raise RefusedError("header length")
    _, iv, _ = _read_head(data[4 + options :], implicit)
    at = header_length + shown
    hidden, next_header = _uncounted(_gcm_open(key, iv, data[at:], data[:at]))
    if wesp_next != (next_header if shown else NO_NEXT_HEADER):
        raise RefusedError("next header")
    return data[header_length:at] + hidden, next_header


def _eesp_head(packet: Packet, sent: bytes, full: bool) -> bytes:
    """Base header, options, number, IV."""
    number = struct.pack("!Q", packet.seq) if packet.numbered else b""
    offset = full and packet.shown > 0
    length = 4 * offset + 4 * packet.padded
    options = b""
    if offset:
        payload_offset = (8 + length + len(number) + len(sent)) // 4
        options = struct.pack("!BBH", 2, 2, payload_offset << 10 | packet.shown // 4 << 4)
    options += PADN if packet.padded else b""
    return struct.pack("!BBHI", 0x80, length, packet.sub, packet.spi) + options + number + sent


def _seal_eesp(key: Key, packet: Packet, full: bool) -> bytes:
    sent, iv = _iv(packet)
    head = _eesp_head(packet, sent, full)
    payload = (_tih(packet) if full else b"") + packet.payload
    shown = packet.shown if full else 0
    clear, hidden = head + payload[:shown], payload[shown:]
    return clear + _gcm_seal(key, iv, hidden + _zeros(len(hidden)), clear)


def _eesp_options(options: bytes) -> Iterator[tuple[int, bytes]]:
    """Type and data of each, one Pad1 at a time."""
    while options:
        length = 1 if options[0] == 0 else 2 + (options[1] if len(options) > 1 else 255)
        if length > len(options):
            raise RefusedError("option length")
        yield options[0], options[2:length]
        options = options[length:]


def _eesp_shown(options: bytes, head: int, full: bool) -> int:
    """What the options say is shown."""
    shown = 0
    for kind, data in _eesp_options(options):
        if kind == 2 and full and len(data) == 2:
            (said,) = struct.unpack("!H", data)
            if 4 * (said >> 10) != head:
                raise RefusedError("payload offset")
            shown = 4 * (said >> 4 & 63)
        elif kind not in (0, 1):
            raise RefusedError("option")
    return shown


def _open_eesp(
    key: Key, data: bytes, implicit: bool, shown: int, *, full: bool, numbered: bool = True
) -> tuple[bytes, int]:
    if len(data) < 8 or data[0] != 0x80:
        raise RefusedError("version")
    number_at = 8 + data[1]
    iv_at = number_at + 8 * numbered
    head = iv_at + (0 if implicit else 8)
    at = head + _eesp_shown(data[8:number_at], head, full)
    if at - head > shown:
        raise RefusedError("more is shown than was agreed")
    iv = data[number_at:iv_at] if implicit else data[iv_at:head]
    payload = data[head:at] + _gcm_open(key, iv, data[at:], data[:at])
    if full:
        return _without_zeros(payload[:4], payload[4:])
    return _inner_packet(payload, most_padding=255)


def psp_key(masters: tuple[bytes, bytes], spi: int) -> Key:
    """The key of an SPI: one block of SP 800-108 with AES-256-CMAC. There is no salt."""
    mac = CMAC(AES(masters[spi >> 31]))
    mac.update(struct.pack("!I4sII", 1, b"Pv0\0", spi, 128))
    return Key(mac.finalize(), b"")


def _seal_psp(key: Key, packet: Packet) -> bytes:
    flags = 0b11 if packet.cookie else 0b01
    first = bytes((packet.next_header, 2 if packet.cookie else 1, packet.shown // 4, flags))
    nonce = struct.pack("!IQ", packet.spi, packet.seq)
    whole = packet.cookie + packet.payload
    head = first + nonce + whole[: packet.shown]
    return head + AESGCM(key.key).encrypt(nonce, whole[packet.shown :], head)


def _open_psp(key: Key, data: bytes, implicit: bool, shown: int) -> tuple[bytes, int]:
    if len(data) < 16 + ICV:
        raise RefusedError("too short")
    next_header, length, offset, flags = data[:4]
    cookie = 8 if flags & 2 else 0
    if offset & 0xC0 or flags & 0x3D != 1 or length != (2 if cookie else 1):
        raise RefusedError("header")
    if 4 * offset > shown or len(data) < 16 + max(4 * offset, cookie) + ICV:
        raise RefusedError("offset")
    at = 16 + 4 * offset
    text = AESGCM(key.key).decrypt(data[4:16], data[at:], data[:at])
    if flags & 0x40:
        raise RefusedError("to be dropped")
    return (data[16:at] + text)[cookie:], next_header


Seal = Callable[[Key, Packet], bytes]
Open = Callable[[Key, bytes, bool, int], tuple[bytes, int]]
_FORMATS: dict[str, tuple[Seal, Open]] = {
    "esp": (_seal_esp, _open_esp),
    "spi-block": (_seal_esp, _open_esp),
    "sub-child": (_seal_sub, _open_sub),
    "subspaces": (_seal_sub, _open_sub),
    "trailer-in-header": (_seal_inside, _open_inside),
    "trailer-in-clear": (_seal_shown, _open_shown),
    "crypt-offset-shown": (_seal_shown, _open_shown),
    "no-trailer": (_seal_none, _open_none),
    "header-in-trailer": (_seal_at_the_end, _open_at_the_end),
    "crypt-offset": (_seal_offset, _open_offset),
    "wesp": (_seal_wesp, _open_wesp),
    "wesp-v2": (_seal_wesp2, _open_wesp2),
    "eesp-optimized": (partial(_seal_eesp, full=False), partial(_open_eesp, full=False)),
    "eesp-full": (partial(_seal_eesp, full=True), partial(_open_eesp, full=True)),
    "psp": (_seal_psp, _open_psp),
}
NAMES = tuple(_FORMATS)


def seal(name: str, key: Key, packet: Packet) -> bytes:
    """What follows the outer IP header."""
    return _FORMATS[name][0](key, packet)


def open_(
    name: str,
    key: Key,
    data: bytes,
    implicit_iv: bool = False,
    shown: int = 0,
    *,
    numbered: bool = True,
) -> tuple[bytes, int]:
    """Payload and next header. InvalidTag where it is not authentic, RefusedError where it lies."""
    if not numbered:
        return _open_eesp(key, data, implicit_iv, shown, full=name == "eesp-full", numbered=False)
    return _FORMATS[name][1](key, data, implicit_iv, shown)
