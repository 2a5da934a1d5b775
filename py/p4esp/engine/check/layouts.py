"""Requests of the formats that are not RFC 4303's, and the packets of the ESP evolution digest.

Each packet is an IPv4 packet or begins as one. Numbers and explicit IVs are the same.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from enum import Enum, auto
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


class TihPlace(Enum):
    """Where a trailer information header stands, if there is one."""

    TEXT = auto()
    CLEAR = auto()
    FRONT = auto()


@dataclass(frozen=True, slots=True)
class Layout:
    """A format: ``front``, SPI, ``options``, ``number`` bytes of number, IV; then with SHOWN the
    first ``shown`` bytes of the packet in the clear.
    """

    name: str
    flags: Flag
    features: tuple[str, ...]
    transform: str = GCM
    front: bytes = b""
    options: bytes = b""
    number: int = 4
    tih: TihPlace = TihPlace.TEXT
    shown: int = 0

    @property
    def sizes(self) -> Transform:
        """The lengths of the transform."""
        return lookup(self.transform)

    @property
    def width(self) -> int:
        """Bytes in front of the IV."""
        in_front = 4 * (self.tih is TihPlace.FRONT)
        return in_front + len(self.front + SPI + self.options) + self.number

    def header(self, seq: int, tih: bytes, packet: bytes) -> bytes:
        """Everything in front of the text."""
        number = seq.to_bytes(8, "big")
        first = tih if self.tih is TihPlace.FRONT else b""
        head = first + self.front + SPI + self.options + number[8 - self.number :]
        clear = tih if self.tih is TihPlace.CLEAR and self.flags & Flag.TIH else b""
        return head + number[: self.sizes.iv_len] + clear + packet[: self.shown]

    @property
    def tih_inside(self) -> bool:
        """Whether the TIH is the first word of the text."""
        return bool(self.flags & Flag.TIH) and self.tih is TihPlace.TEXT

    def aad(self, header: bytes) -> bytes:
        """Cut what is authenticated out of everything in front of the text."""
        return header if self.flags & Flag.SHOWN else header[: self.width]

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
        nonce = bytes(spec.salt) + seq.to_bytes(8, "big")
        esp = header + AESGCM(bytes(spec.key)).encrypt(nonce, plain, self.aad(header))
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
            aad_len=self.width,
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


_EESP: Final = bytes.fromhex("80000001")
_EESP_OPTION: Final = bytes.fromhex("80040001")
_PAD_OPTION: Final = bytes.fromhex("01020000")
_OFFSET_OPTION: Final = bytes.fromhex("02021c80")
_WESP2: Final = bytes.fromhex("04141c40")
_TIH_SHOWN: Final = Flag.TIH | Flag.SHOWN
_CLEAR: Final = TihPlace.CLEAR

LAYOUTS: Final = {
    layout.name: layout
    for layout in (
        Layout("subspaces", Flag.TRAILER, (LONG_HEADER,), IIV, number=8),
        Layout("subspaces-iv", Flag.TRAILER, (LONG_HEADER,), number=8),
        Layout("subspaces-tih", Flag.TIH, (LONG_HEADER, TIH), number=8),
        Layout("trailer-in-header", Flag.TIH, (TIH,)),
        Layout("trailer-in-header-iiv", Flag.TIH, (TIH,), IIV),
        Layout("trailer-in-clear", _TIH_SHOWN, (TIH, SHOWN), tih=_CLEAR),
        Layout("crypt-offset-shown", _TIH_SHOWN, (TIH, SHOWN), tih=_CLEAR, shown=24),
        Layout(
            *("header-in-trailer", Flag.TIH, (TIH, LONG_HEADER), IIV),
            number=8,
            tih=TihPlace.FRONT,
        ),
        Layout("no-trailer", Flag.TRIM, (NO_TRAILER,)),
        Layout("no-trailer-iiv", Flag.TRIM, (NO_TRAILER,), IIV),
        Layout("no-trailer-shown", Flag.TRIM | Flag.SHOWN, (NO_TRAILER, SHOWN), shown=24),
        Layout("crypt-offset", Flag.TRAILER | Flag.SHOWN, (SHOWN,), shown=28),
        Layout("crypt-offset-iiv", Flag.TRAILER | Flag.SHOWN, (SHOWN,), IIV, shown=28),
        Layout("wespv2", Flag.TRAILER | Flag.SHOWN, (SHOWN,), front=_WESP2, shown=28),
        *(
            Layout(
                *(f"eesp-optimized{suffix}", Flag.TRIM | Flag.SHOWN, (NO_TRAILER, SHOWN)),
                *(transform, _EESP),
                number=number,
            )
            for suffix, transform, number in (
                ("", GCM, 8),
                ("-iiv", IIV, 8),
                ("-no-number", GCM, 0),
            )
        ),
        Layout("eesp-full", _TIH_SHOWN, (TIH, SHOWN), GCM, _EESP, number=8),
        Layout("eesp-full-iiv", _TIH_SHOWN, (TIH, SHOWN), IIV, _EESP, number=8),
        Layout(
            *("eesp-full-padded", _TIH_SHOWN, (TIH, SHOWN), IIV, _EESP_OPTION, _PAD_OPTION),
            number=8,
        ),
        Layout(
            *("eesp-crypt-offset", _TIH_SHOWN, (TIH, SHOWN), GCM, _EESP_OPTION, _OFFSET_OPTION),
            number=8,
            tih=_CLEAR,
            shown=28,
        ),
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
    """A packet of the digest: ``esp`` is what follows the outer header, ``packet`` is its payload.

    VD's header is in front here, as it is on the crypto port. ``sub`` is the sub key, if one.
    """

    name: str
    layout: Layout
    seq: int
    esp: bytes
    sub: int | None = None
    packet: bytes = INNER
    nh: int = _IPV4


_TEXT: Final = """
VA subspaces 0001000000000001 sub-1
  00001001000100000000000142312705d79ab49ed079733ded083ad526931d15c0d0076ca72a351d4d82f4f790aa6122
  346eecf7fd936ccaaef9470a07c0fde5796f46cd
VB subspaces 0003000000000001 one-key
  0000100100030000000000014f46772be5d09c78d5ddfcb749099972350aa246f9d3510aafecfa2b05f5f084c609f138
  a5cfd65dbcc9360c50942b4c5f7a0aedcab83ca0
VC1 trailer-in-header 0000000000000001 one-key
  00001001000000010000000000000001467118f229847774876d06179b15b2a51bf319829cf780a07fc58b251cb65f12
  aab98def6077d79fd0065bd357e0137c573c7ddedcaa8cca
VC2 trailer-in-clear 0000000000000001 one-key
  000010010000000100000000000000010000040003711cd66c853750c77d60d4d10594671bf0198184c180976de18b10
  5de41c56aebd89e36a661b489a8abb7cd98824d6a9176820
VD header-in-trailer 0000000000000001 one-key
  0000040000001001000000000000000103711cd66c853750c77d60d4d10594671bf0198184c180976de18b105de41c56
  aebd89e3ce590ab3230e2a8475d659609dc5a80c
VE crypt-offset 0000000000000001 one-key
  000010010000000100000000000000014500002400014000401126c30a0100010a020002123400350010000007335fb6
  29c23018866e441356414105ad23e65232f5469bf33b397b
VF2 wespv2 0000000000000001 one-key
  04141c40000010010000000100000000000000014500002400014000401126c30a0100010a0200021234003500100000
  07335fb629c23018866e44132b54218c481be43d7c01a6d1b6cb596e
VG1 eesp-optimized-iiv 0000000000000001 sub-1
  80000001000010010000000000000001ad78c45b8288b1b4bbc0cb7553843c61ad6a204dcc60e12082aaadd8c667ec65
  4e25fb5b1f873d71b2ed11395507a2ba452b9ab6
VG2 eesp-optimized 0000000000000001 sub-1
  8000000100001001000000000000000111223344556677884f64aa2ba3f1d93cf8e88ed49687ee6ab5b9b795979fe162
  a32ccd280300d1ff2d3a50c8441884a386328665ba84996c6dee2f1f
VG3 eesp-crypt-offset 0000000000000001 sub-1
  800400010000100102021c8000000000000000011122334455667788000004004500002400014000401126c30a010001
  0a02000212340035001000004b26e94be6b6de7440f332781124b5c3257f6f920d8e9a02
VG4 eesp-full-iiv 0000000000000001 sub-1
  80000001000010010000000000000001e878d57f90bdf181fbc1edb618c77f24e22e670739957871c04f9ec9e40f4435
  30cc184f
VG5 eesp-optimized-no-number 0000000000000000 sub-1
  800000010000100111223344556677884f64aa2ba3f1d93cf8e88ed49687ee6ab5b9b795979fe162a32ccd280300d1ff
  2d3a50c8b1a5b101e81ad8c030629c0e46f3cf11
VG6 eesp-full-padded 0000000000000001 sub-1
  8004000100001001010200000000000000000001e878d57f90bdf181fbc1edb618c77f24e22e6707768aa53c2346e90f
  58d32f4f8f879023
"""
#: In transport mode: a UDP datagram alone.
_DATAGRAM: Final = ("VG4", "VG6")


def _parse(block: str) -> FormatVector:
    name, layout, number, which, *octets = block.split()
    sub = int(which.removeprefix("sub-")) if which != "one-key" else None
    payload = (INNER[20:], 17) if name in _DATAGRAM else (INNER, _IPV4)
    rest = (int(number, 16), bytes.fromhex("".join(octets)), sub)
    return FormatVector(name, LAYOUTS[layout], *rest, *payload)


VECTORS: Final = {
    vector.name: vector for vector in map(_parse, re.split(r"\n(?=V)", _TEXT.strip()))
}
