"""Requests of the formats that are not RFC 4303's, and the packets of the ESP evolution digest.

Each packet is an IPv4 packet or begins as one. Numbers and explicit IVs are the same.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any, Final

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from p4esp.engine.check.requests import ETHERNET, GCM, OUTER
from p4esp.engine.descriptor import CryptoFrame, Descriptor, Flag, Op
from p4esp.engine.features import LONG_HEADER, NO_TRAILER, SHOWN, TIH
from p4esp.engine.keystore import KeySpec
from p4esp.engine.transforms import Transform, lookup

IIV: Final = "AES-GCM-16-IIV-128"
SPI: Final = bytes.fromhex("00001001")
_IPV4: Final = 4


@dataclass(frozen=True, slots=True)
class Layout:
    """A format: ``width`` bytes of header with SPI and number, none with SHOWN.

    With SHOWN the first ``shown`` bytes of the packet stay clear.
    """

    name: str
    flags: Flag
    features: tuple[str, ...]
    transform: str = GCM
    width: int = 8
    shown: int = 0

    @property
    def sizes(self) -> Transform:
        """The lengths of the transform."""
        return lookup(self.transform)

    def header(self, seq: int, tih: bytes, packet: bytes) -> bytes:
        """Everything in front of the text."""
        number = seq.to_bytes(8, "big")
        iv = number[: self.sizes.iv_len]
        if self.flags & Flag.SHOWN:
            clear = tih if self.flags & Flag.TIH else b""
            return SPI + number[4:] + iv + clear + packet[: self.shown]
        headers = {8: SPI + number[4:], 12: SPI + number, 16: tih + SPI + number}
        return headers[self.width] + iv

    @property
    def tih_inside(self) -> bool:
        """Whether the TIH is the first word of the text."""
        outside = self.flags & Flag.SHOWN or self.width == 16
        return bool(self.flags & Flag.TIH) and not outside

    def text(self, tih: bytes, packet: bytes) -> bytes:
        """What is encrypted of a packet, without padding and trailer."""
        return (tih if self.tih_inside else b"") + packet[self.shown :]

    def seal(
        self, handle: int, seq: int, packet: bytes, tih: bytes = b"", **fields: Any
    ) -> CryptoFrame:
        """Build a seal request; the TIH is the packet's own, unless one is given."""
        tih = tih or tih_of(_IPV4, -(len(packet) - self.shown) % 4)
        header, text = self.header(seq, tih, packet), self.text(tih, packet)
        fields = {"nh": _IPV4} | fields
        return self._request((Op.SEAL, handle, seq), header, text, len(text), **fields)

    def open(self, handle: int, seq: int, esp: bytes, **fields: Any) -> CryptoFrame:
        """Build an open request for what the sealed reply has behind its outer header."""
        at = len(self.header(seq, bytes(4), bytes(self.shown)))
        return self._request((Op.OPEN, handle, seq), esp[:at], esp[at:], len(esp) - at, **fields)

    def crafted(
        self, handle: int, spec: KeySpec, seq: int, header: bytes, plain: bytes, **fields: Any
    ) -> CryptoFrame:
        """Build an open request for an authentic packet whatever its text is (AES-GCM-16)."""
        aad = header if self.flags & Flag.SHOWN else header[: self.width]
        nonce = bytes(spec.salt) + seq.to_bytes(8, "big")
        esp = header + AESGCM(bytes(spec.key)).encrypt(nonce, plain, aad)
        return self._request(
            (Op.OPEN, handle, seq), header, esp[len(header) :], len(esp) - len(header), **fields
        )

    def _request(
        self, asked: tuple[Op, int, int], header: bytes, text: bytes, length: int, **fields: Any
    ) -> CryptoFrame:
        sizes = self.sizes
        descriptor = Descriptor(
            *(*asked, length, len(OUTER) + len(header), int(self.flags)),
            aad_off=len(OUTER),
            aad_len=len(header) if self.flags & Flag.SHOWN else self.width,
            iv_len=sizes.iv_len,
            icv=sizes.icv_len,
            align=sizes.align,
        )
        return CryptoFrame(ETHERNET, replace(descriptor, **fields), OUTER + header + text)


def tih_of(nh: int, pad: int) -> bytes:
    """Build a trailer information header."""
    return bytes((0, 0, nh, pad))


def ipv4(payload: bytes) -> bytes:
    """Build an IPv4 packet; the engine does not look at its checksum."""
    return b"\x45\0" + (20 + len(payload)).to_bytes(2, "big") + bytes(16) + payload


def ipv6(payload: bytes) -> bytes:
    """Build an IPv6 packet."""
    return b"\x60\0\0\0" + len(payload).to_bytes(2, "big") + b"\x3b\x40" + bytes(32) + payload


LAYOUTS: Final = {
    layout.name: layout
    for layout in (
        Layout("subspaces", Flag.TRAILER, (LONG_HEADER,), IIV, width=12),
        Layout("subspaces-iv", Flag.TRAILER, (LONG_HEADER,), width=12),
        Layout("subspaces-tih", Flag.TIH, (LONG_HEADER, TIH), width=12),
        Layout("trailer-in-header", Flag.TIH, (TIH,)),
        Layout("trailer-in-header-iiv", Flag.TIH, (TIH,), IIV),
        Layout("trailer-in-clear", Flag.TIH | Flag.SHOWN, (TIH, SHOWN)),
        Layout("crypt-offset-shown", Flag.TIH | Flag.SHOWN, (TIH, SHOWN), shown=24),
        Layout("header-in-trailer", Flag.TIH, (TIH, LONG_HEADER), IIV, width=16),
        Layout("no-trailer", Flag.TRIM, (NO_TRAILER,)),
        Layout("no-trailer-iiv", Flag.TRIM, (NO_TRAILER,), IIV),
        Layout("no-trailer-shown", Flag.TRIM | Flag.SHOWN, (NO_TRAILER, SHOWN), shown=24),
        Layout("crypt-offset", Flag.TRAILER | Flag.SHOWN, (SHOWN,), shown=28),
        Layout("crypt-offset-iiv", Flag.TRAILER | Flag.SHOWN, (SHOWN,), IIV, shown=28),
    )
}

INNER: Final = bytes.fromhex(
    "4500002400014000401126c30a0100010a02000212340035001000004142434445464748"
)
KEY: Final = bytes(range(16))
SALT: Final = bytes.fromhex("a0a1a2a3")
ROOT: Final = bytes(range(0x40, 0x60))


@dataclass(frozen=True, slots=True)
class FormatVector:
    """A packet of the digest that holds ``INNER``: ``esp`` is what follows the outer header.

    VD's header is in front here, as it is on the crypto port. ``sub`` is the sub key, if one.
    """

    name: str
    layout: Layout
    seq: int
    esp: bytes
    sub: int | None = None


_TEXT: Final = """
VA subspaces 0001000000000001 000010010001000000000001
  42312705d79ab49ed079733ded083ad526931d15c0d0076ca72a351d4d82f4f790aa6122346eecf7fd936ccaaef9470a
  07c0fde5796f46cd
VB subspaces 0003000000000001 000010010003000000000001
  4f46772be5d09c78d5ddfcb749099972350aa246f9d3510aafecfa2b05f5f084c609f138a5cfd65dbcc9360c50942b4c
  5f7a0aedcab83ca0
VC1 trailer-in-header 0000000000000001 00001001000000010000000000000001
  467118f229847774876d06179b15b2a51bf319829cf780a07fc58b251cb65f12aab98def6077d79fd0065bd357e0137c
  573c7ddedcaa8cca
VC2 trailer-in-clear 0000000000000001 0000100100000001000000000000000100000400
  03711cd66c853750c77d60d4d10594671bf0198184c180976de18b105de41c56aebd89e36a661b489a8abb7cd98824d6
  a9176820
VD header-in-trailer 0000000000000001 00000400000010010000000000000001
  03711cd66c853750c77d60d4d10594671bf0198184c180976de18b105de41c56aebd89e3ce590ab3230e2a8475d65960
  9dc5a80c
VE crypt-offset 0000000000000001 00001001000000010000000000000001
  4500002400014000401126c30a0100010a020002123400350010000007335fb629c23018866e441356414105ad23e652
  32f5469bf33b397b
"""


def _parse(block: str) -> FormatVector:
    name, layout, number, *octets = block.split()
    seq = int(number, 16)
    sub = seq >> 48 if name == "VA" else None
    return FormatVector(name, LAYOUTS[layout], seq, bytes.fromhex("".join(octets)), sub)


VECTORS: Final = {
    vector.name: vector for vector in map(_parse, re.split(r"\n(?=V)", _TEXT.strip()))
}
