"""Packet formats beside RFC 4303, by hand: what a peer sends and how it reads what we send.

Written from the layouts alone, with AES-GCM of ``cryptography``; the pipeline and the engines are
judged by it, and it by the digest's known answers.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from harness import psp
from harness.engine import strip_trailer
from harness.engine_formats import by_own_length, without_padding
from harness.esp import ALIGN, ICV_LEN, Key, with_trailer
from harness.ids import Format
from harness.sa import Layout

TAIL_LEN = 16
PAD_N4 = bytes([1, 2, 0, 0])


def sub_key(root: bytes, sub: int, size: int = 16) -> tuple[bytes, bytes]:
    """Key and salt of a sub-SA: HKDF-Expand of the root with the sub's number."""
    material = HKDFExpand(SHA256(), size + 4, sub.to_bytes(2)).derive(root)
    return material[:size], material[size:]


@dataclass(frozen=True, slots=True)
class Packet:
    """One packet of a format: the octets behind the IP header are ``Peer.seal`` of it."""

    seq: int
    payload: bytes
    next_header: int = 4
    sub: int = 0
    pad: bytes | None = None
    """None: the shortest that aligns."""
    pad_len: int | None = None
    """None: what the padding has."""
    tih: bytes | None = None
    """None: what agrees with the packet."""

    def zeros(self, more: int = 0) -> bytes:
        """Padding behind the payload where the trailer is not."""
        return bytes(-(len(self.payload) + more) % ALIGN) if self.pad is None else self.pad

    def information(self) -> bytes:
        """Trailer information header."""
        if self.tih is not None:
            return self.tih
        pad_len = len(self.zeros()) if self.pad_len is None else self.pad_len
        return struct.pack("!HBB", 0, self.next_header, pad_len)

    def with_trailer(self) -> bytes:
        """The payload with the trailer of RFC 4303 behind it."""
        return with_trailer(self.payload, self.next_header, self.pad, self.pad_len)


@dataclass(frozen=True, slots=True)
class Peer:
    """Who speaks a format with us under an SPI.  ``keys`` gives the key of a sub.

    ``high``: of an extended sequence number, where the packet has its low half alone.
    """

    layout: Layout
    spi: int
    keys: Callable[[int], Key]
    high: int | None = None

    def seal(self, packet: Packet) -> bytes:
        """What stands behind the IP header."""
        return _SEAL[self.layout.format](self, packet)

    def open(self, octets: bytes, sub: int = 0) -> Packet:
        """The packet, or InvalidTag; ``sub`` matters where the octets do not show it."""
        return _OPEN[self.layout.format](self, octets, sub)

    def header(self, seq: int) -> bytes:
        """SPI and sequence number of RFC 4303."""
        return struct.pack("!II", self.spi, seq & 0xFFFF_FFFF)

    def aad(self, head: bytes) -> bytes:
        """What is authenticated for the octets in front of the text (RFC 4106 5)."""
        if self.high is None:
            return head
        return head[:4] + self.high.to_bytes(4) + head[4:]

    def number(self, low: bytes) -> int:
        """The whole of it."""
        return (self.high or 0) << 32 | int.from_bytes(low)

    def eesp_iv(self, key: Key, seq: int) -> bytes:
        """What of an EESP packet's IV is in it."""
        return ((seq + self.layout.iv_base) % (1 << 64)).to_bytes(8)[: key.iv_len]

    def iv(self, key: Key, number: int) -> bytes:
        """What of the IV is in the packet."""
        return number.to_bytes(8)[: key.iv_len]


def encrypt(key: Key, number: int, text: bytes, aad: bytes) -> bytes:
    """AES-GCM under an IV that is the number."""
    return key.aead().encrypt(key.salt + number.to_bytes(8), text, aad)


def decrypt(key: Key, iv: bytes, sealed: bytes, aad: bytes) -> bytes:
    """The reverse; ``iv`` is explicit or the number."""
    return key.aead().decrypt(key.salt + iv, sealed, aad)


# Subspaces and sub-SAs: SPI, id, 48 bits of counter.


def _seal_subspace(peer: Peer, packet: Packet) -> bytes:
    key, number = peer.keys(packet.sub), packet.sub << 48 | packet.seq
    head = struct.pack("!IQ", peer.spi, number)
    text = packet.with_trailer()
    return head + peer.iv(key, number) + encrypt(key, number, text, head)


def _open_subspace(peer: Peer, octets: bytes, sub: int) -> Packet:
    spi, number = struct.unpack_from("!IQ", octets)
    sub, key = number >> 48, peer.keys(number >> 48)
    start = 12 + key.iv_len
    iv = octets[12:start] or number.to_bytes(8)
    payload, _, next_header = strip_trailer(decrypt(key, iv, octets[start:], octets[:12]))
    assert spi == peer.spi
    return Packet(number & (1 << 48) - 1, payload, next_header, sub)


# SPIs in a row.


def _seal_spi_block(peer: Peer, packet: Packet) -> bytes:
    key = peer.keys(packet.sub)
    head = struct.pack("!II", peer.spi + packet.sub, packet.seq & 0xFFFF_FFFF)
    text = packet.with_trailer()
    return head + peer.iv(key, packet.seq) + encrypt(key, packet.seq, text, peer.aad(head))


def _open_spi_block(peer: Peer, octets: bytes, sub: int) -> Packet:
    spi, seq = int.from_bytes(octets[:4]), peer.number(octets[4:8])
    key = peer.keys(spi - peer.spi)
    start = 8 + key.iv_len
    iv = octets[8:start] or seq.to_bytes(8)
    payload, _, next_header = strip_trailer(decrypt(key, iv, octets[start:], peer.aad(octets[:8])))
    return Packet(seq, payload, next_header, spi - peer.spi)


# Trailer information in front of the payload.


def _seal_inside(peer: Peer, packet: Packet) -> bytes:
    key, head = peer.keys(0), peer.header(packet.seq)
    text = packet.information() + packet.payload + packet.zeros()
    return head + peer.iv(key, packet.seq) + encrypt(key, packet.seq, text, peer.aad(head))


def _open_inside(peer: Peer, octets: bytes, sub: int) -> Packet:
    key, seq = peer.keys(0), peer.number(octets[4:8])
    start = 8 + key.iv_len
    iv = octets[8:start] or seq.to_bytes(8)
    text = decrypt(key, iv, octets[start:], peer.aad(octets[:8]))
    payload, _, next_header = without_padding(text[:4], text, 4)
    return Packet(seq, payload[4:], next_header)


def _seal_shown(peer: Peer, packet: Packet) -> bytes:
    key, shown = peer.keys(0), peer.layout.shown
    head = peer.header(packet.seq) + peer.iv(key, packet.seq)
    head += packet.information() + packet.payload[:shown]
    text = packet.payload[shown:] + packet.zeros()
    return head + encrypt(key, packet.seq, text, peer.aad(head))


def _open_shown(peer: Peer, octets: bytes, sub: int) -> Packet:
    key, seq, shown = peer.keys(0), peer.number(octets[4:8]), peer.layout.shown
    at = 8 + key.iv_len
    start = at + 4 + shown
    iv = octets[8:at] or seq.to_bytes(8)
    text = decrypt(key, iv, octets[start:], peer.aad(octets[:start]))
    payload, _, next_header = without_padding(octets[at : at + 4], text, 0, nothing=shown > 0)
    return Packet(seq, octets[at + 4 : start] + payload, next_header)


def _seal_bare(peer: Peer, packet: Packet) -> bytes:
    key, head = peer.keys(0), peer.header(packet.seq)
    text = packet.payload + packet.zeros()
    return head + peer.iv(key, packet.seq) + encrypt(key, packet.seq, text, peer.aad(head))


def _open_bare(peer: Peer, octets: bytes, sub: int) -> Packet:
    key, seq = peer.keys(0), peer.number(octets[4:8])
    start = 8 + key.iv_len
    iv = octets[8:start] or seq.to_bytes(8)
    text = decrypt(key, iv, octets[start:], peer.aad(octets[:8]))
    return Packet(seq, *by_own_length(text, ALIGN, filled=False))


# The header in the trailer.


def _seal_tail(peer: Peer, packet: Packet) -> bytes:
    tail = packet.information() + struct.pack("!IQ", peer.spi, packet.seq)
    sealed = encrypt(peer.keys(0), packet.seq, packet.payload + packet.zeros(), tail)
    return sealed[:-ICV_LEN] + tail + sealed[-ICV_LEN:]


def _open_tail(peer: Peer, octets: bytes, sub: int) -> Packet:
    body, rest = octets[: -TAIL_LEN - ICV_LEN], octets[-TAIL_LEN - ICV_LEN :]
    tail, icv = rest[:TAIL_LEN], rest[TAIL_LEN:]
    text = decrypt(peer.keys(0), tail[8:], body + icv, tail)
    payload, _, next_header = without_padding(tail[:4], text, 0)
    assert int.from_bytes(tail[4:8]) == peer.spi
    return Packet(int.from_bytes(tail[8:]), payload, next_header)


# The first octets in clear.


def _seal_offset(peer: Peer, packet: Packet) -> bytes:
    key, shown = peer.keys(0), peer.layout.shown
    if shown == 0:
        return _seal_spi_block(peer, packet)
    head = peer.header(packet.seq) + peer.iv(key, packet.seq) + packet.payload[:shown]
    text = packet.with_trailer()[shown:]
    return head + encrypt(key, packet.seq, text, peer.aad(head))


def _open_offset(peer: Peer, octets: bytes, sub: int) -> Packet:
    key, seq, shown = peer.keys(0), peer.number(octets[4:8]), peer.layout.shown
    if shown == 0:
        return _open_spi_block(peer, octets, sub)
    at = 8 + key.iv_len
    iv = octets[8:at] or seq.to_bytes(8)
    text = decrypt(key, iv, octets[at + shown :], peer.aad(octets[: at + shown]))
    payload, _, next_header = strip_trailer(text, nothing=True)
    return Packet(seq, octets[at : at + shown] + payload, next_header)


# WESPv2: its header is authenticated, too.


def _wesp_head(peer: Peer, next_header: int, options: bytes) -> bytes:
    shown = peer.layout.shown
    length = 4 + len(options) + 8 + peer.keys(0).iv_len
    return bytes([next_header if shown else 59, length, shown, 0x40 | len(options)]) + options


def _seal_wesp(peer: Peer, packet: Packet) -> bytes:
    key, shown = peer.keys(0), peer.layout.shown
    head = _wesp_head(peer, packet.next_header, PAD_N4 if peer.layout.options_len else b"")
    head += peer.header(packet.seq) + peer.iv(key, packet.seq) + packet.payload[:shown]
    return head + encrypt(key, packet.seq, packet.with_trailer()[shown:], head)


def _open_wesp(peer: Peer, octets: bytes, sub: int) -> Packet:
    key, shown, options = peer.keys(0), peer.layout.shown, octets[3] & 0x3F
    at = 12 + options + key.iv_len
    seq = peer.number(octets[8 + options : 12 + options])
    iv = octets[12 + options : at] or seq.to_bytes(8)
    text = decrypt(key, iv, octets[at + shown :], octets[: at + shown])
    payload, _, next_header = strip_trailer(text, nothing=bool(shown))
    assert octets[: 4 + options] == _wesp_head(peer, next_header, octets[4 : 4 + options])
    return Packet(seq, octets[at : at + shown] + payload, next_header)


# EESP: base header, options, number, IV; full or optimized.


def _eesp_head(peer: Peer, sub: int, seq: int) -> bytes:
    layout, key = peer.layout, peer.keys(sub)
    number = b"" if layout.no_seq else seq.to_bytes(8)
    head_len = 8 + layout.options_len + len(number) + key.iv_len
    offset = bytes([2, 2]) + struct.pack("!H", head_len // 4 << 10 | layout.shown << 2)
    options = ((offset if layout.shown else PAD_N4) + PAD_N4)[: layout.options_len]
    base = struct.pack("!BBHI", 0x80, layout.options_len, sub, peer.spi)
    return base + options + number + peer.eesp_iv(key, seq)


def _seal_eesp(peer: Peer, packet: Packet) -> bytes:
    key, layout = peer.keys(packet.sub), peer.layout
    head = _eesp_head(peer, packet.sub, packet.seq)
    full = packet.information() if layout.format == Format.EESP_FULL else b""
    whole = full + packet.payload + packet.zeros()
    aad = head + whole[: layout.shown]
    iv = peer.eesp_iv(key, packet.seq) or packet.seq.to_bytes(8)
    return aad + key.aead().encrypt(key.salt + iv, whole[layout.shown :], aad)


def _open_eesp(peer: Peer, octets: bytes, sub: int) -> Packet:
    sub = int.from_bytes(octets[2:4])
    key, layout = peer.keys(sub), peer.layout
    number_at = 8 + layout.options_len
    number = b"" if layout.no_seq else octets[number_at : number_at + 8]
    at = number_at + len(number) + key.iv_len
    iv = octets[at - key.iv_len : at] or number
    seq = int.from_bytes(number or iv) - (layout.iv_base if layout.no_seq else 0)
    assert octets[:at] == _eesp_head(peer, sub, seq % (1 << 64))
    text = decrypt(key, iv, octets[at + layout.shown :], octets[: at + layout.shown])
    whole = octets[at : at + layout.shown] + text
    if layout.format == Format.EESP_OPTIMIZED:
        return Packet(seq, *by_own_length(whole, ALIGN, filled=False), sub)
    payload, _, next_header = without_padding(whole[:4], whole, 4, nothing=True)
    return Packet(seq, payload[4:], next_header, sub)


# PSP in UDP; the number is the IV.


def _seal_psp(peer: Peer, packet: Packet) -> bytes:
    layout = peer.layout
    said = psp.PspPacket(
        *(peer.spi, packet.seq, packet.payload, packet.next_header, layout.shown // 4),
        *(layout.cookie, layout.version),
    )
    return psp.in_udp(said.sealed(peer.keys(0)))


def _open_psp(peer: Peer, octets: bytes, sub: int) -> Packet:
    found = psp.opened(psp.out_of_udp(octets)[1], peer.keys(0))
    layout = peer.layout
    said = (found.spi, 4 * found.units, found.cookie, found.version)
    assert said == (peer.spi, layout.shown, layout.cookie, layout.version)
    return Packet(found.iv, found.payload, found.next_header)


_SEAL: dict[Format, Callable[[Peer, Packet], bytes]] = {
    Format.SUBSPACES: _seal_subspace,
    Format.SPI_BLOCK: _seal_spi_block,
    Format.PLAIN: _seal_spi_block,  # sub 0
    Format.TRAILER_INSIDE: _seal_inside,
    Format.TRAILER_SHOWN: _seal_shown,
    Format.NO_TRAILER: _seal_bare,
    Format.HEADER_IN_TRAILER: _seal_tail,
    Format.CRYPT_OFFSET: _seal_offset,
    Format.WESP_V2: _seal_wesp,
    Format.EESP_OPTIMIZED: _seal_eesp,
    Format.EESP_FULL: _seal_eesp,
    Format.PSP: _seal_psp,
}
_OPEN: dict[Format, Callable[[Peer, bytes, int], Packet]] = {
    Format.SUBSPACES: _open_subspace,
    Format.SPI_BLOCK: _open_spi_block,
    Format.PLAIN: _open_spi_block,
    Format.TRAILER_INSIDE: _open_inside,
    Format.TRAILER_SHOWN: _open_shown,
    Format.NO_TRAILER: _open_bare,
    Format.HEADER_IN_TRAILER: _open_tail,
    Format.CRYPT_OFFSET: _open_offset,
    Format.WESP_V2: _open_wesp,
    Format.EESP_OPTIMIZED: _open_eesp,
    Format.EESP_FULL: _open_eesp,
    Format.PSP: _open_psp,
}

SUBS = 4
LAYOUTS: dict[str, Layout] = {
    "subspaces": Layout(Format.SUBSPACES, last_sub=SUBS - 1),
    "sub-child": Layout(Format.SUBSPACES, last_sub=SUBS - 1, key_step=True),
    "spi-block": Layout(Format.SPI_BLOCK, last_sub=SUBS - 1, key_step=True),
    "trailer-in-header": Layout(Format.TRAILER_INSIDE),
    "trailer-in-clear": Layout(Format.TRAILER_SHOWN),
    "no-trailer": Layout(Format.NO_TRAILER),
    "header-in-trailer": Layout(Format.HEADER_IN_TRAILER),
    "crypt-offset": Layout(Format.CRYPT_OFFSET, shown=28),
    "crypt-offset-shown": Layout(Format.TRAILER_SHOWN, shown=28),
    "wesp-v2": Layout(Format.WESP_V2, shown=28),
    "eesp-optimized": Layout(Format.EESP_OPTIMIZED, last_sub=SUBS - 1, key_step=True),
    "eesp-full": Layout(Format.EESP_FULL, shown=32, options_len=4),
}
"""By the name under which the product lists them."""

IMPLICIT = ("subspaces", "sub-child", "header-in-trailer", "eesp-optimized")
"""Those whose number is the IV."""


def explicit(names: Iterable[str] = LAYOUTS) -> list[str]:
    """Those with an IV in the packet."""
    return [name for name in names if name not in IMPLICIT]
