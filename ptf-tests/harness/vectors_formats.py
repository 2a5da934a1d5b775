"""Known answers of the formats: one inner packet, the SPI 0x1001, the number 1."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from harness.esp import GmacKey, ImplicitIvKey, Key
from harness.formats import LAYOUTS, sub_key
from harness.ids import Format, Wrap
from harness.sa import Layout

SPI = 0x1001
SEQ = 1
SALT = bytes.fromhex("a0a1a2a3")
SECRET = bytes(range(16))
ROOT = bytes(range(0x40, 0x60))
EXPLICIT_IV = 0x1122334455667788
SOURCE, DESTINATION = "10.1.0.1", "10.2.0.2"
SOURCES, DESTINATIONS = "10.1.0.0/24", "10.2.0.0/24"
INNER = bytes.fromhex("4500002400014000401126c30a0100010a02000212340035001000004142434445464748")


@dataclass(frozen=True, slots=True)
class Vector:
    """Octets behind the outer IP header, and the format's name; ``layout`` if it is not the usual
    one."""

    octets: bytes
    name: str = "esp"
    implicit: bool = False
    sub: int = 0
    layout: Layout | None = None
    wrap: Wrap = Wrap.NONE
    transport: bool = False

    def key(self, sub: int) -> Key:
        """The key of a sub."""
        secret, salt = (SECRET, SALT)
        if self.shape().key_step:
            secret, salt = sub_key(ROOT, sub)
        if self.wrap == Wrap.VISIBLE:
            return GmacKey(secret, salt)
        return ImplicitIvKey(secret, salt) if self.implicit else Key(secret, salt)

    def shape(self) -> Layout:
        """The SA's layout."""
        return self.layout or LAYOUTS.get(self.name, Layout())

    @property
    def protocol(self) -> int:
        """IP protocol."""
        return 141 if self.wrap else self.shape().protocol

    @property
    def taken(self) -> Wrap:
        """How the SA wraps."""
        return self.wrap or self.shape().wrap


def _vector(text: str, *fields: str | bool | int) -> Vector:
    return Vector(bytes.fromhex(text), *fields)  # type: ignore[arg-type]


def _eesp(
    text: str,
    kind: Format = Format.EESP_FULL,
    *,
    implicit: bool = False,
    transport: bool = False,
    **fields: Any,
) -> Vector:
    """Session 1, under its key; an explicit IV is X."""
    base = 0 if implicit else EXPLICIT_IV - SEQ
    layout = Layout(kind, last_sub=1, key_step=True, iv_base=base, **fields)
    name = "eesp-full" if kind == Format.EESP_FULL else "eesp-optimized"
    return Vector(bytes.fromhex(text), name, implicit, 1, layout, transport=transport)


VECTORS = {
    "V0": _vector(
        "0000100100000001000000000000000103711cd66c853750c77d60d4d10594671bf0198184c180976de18b10"
        "5de41c56aebd89e3243392d33459caef836be8379d0966c86cec780f"
    ),
    "V1": _vector(
        "000010010000000103711cd66c853750c77d60d4d10594671bf0198184c180976de18b105de41c56aebd89e3"
        "243392d33459caef836be8379d0966c86cec780f",
        *("esp", True),
    ),
    "VA": _vector(
        "00001001000100000000000142312705d79ab49ed079733ded083ad526931d15c0d0076ca72a351d4d82f4f7"
        "90aa6122346eecf7fd936ccaaef9470a07c0fde5796f46cd",
        *("sub-child", True, 1),
    ),
    "VB": _vector(
        "0000100100030000000000014f46772be5d09c78d5ddfcb749099972350aa246f9d3510aafecfa2b05f5f084"
        "c609f138a5cfd65dbcc9360c50942b4c5f7a0aedcab83ca0",
        *("subspaces", True, 3),
    ),
    "VC1": _vector(
        "00001001000000010000000000000001467118f229847774876d06179b15b2a51bf319829cf780a07fc58b25"
        "1cb65f12aab98def6077d79fd0065bd357e0137c573c7ddedcaa8cca",
        "trailer-in-header",
    ),
    "VC2": _vector(
        "000010010000000100000000000000010000040003711cd66c853750c77d60d4d10594671bf0198184c18097"
        "6de18b105de41c56aebd89e36a661b489a8abb7cd98824d6a9176820",
        "trailer-in-clear",
    ),
    "VD": _vector(
        "03711cd66c853750c77d60d4d10594671bf0198184c180976de18b105de41c56aebd89e30000040000001001"
        "0000000000000001ce590ab3230e2a8475d659609dc5a80c",
        *("header-in-trailer", True),
    ),
    "VE": _vector(
        "000010010000000100000000000000014500002400014000401126c30a0100010a0200021234003500100000"
        "07335fb629c23018866e441356414105ad23e65232f5469bf33b397b",
        "crypt-offset",
    ),
    "VF1": Vector(
        bytes.fromhex(
            "04141000000010010000000100000000000000014500002400014000401126c30a0100010a02000212340035"
            "001000004142434445464748010202041553efff15a258b1bae3b4e90fa84448"
        ),
        wrap=Wrap.VISIBLE,
    ),
    "VF2": _vector(
        "04141c40000010010000000100000000000000014500002400014000401126c30a0100010a02000212340035"
        "0010000007335fb629c23018866e44132b54218c481be43d7c01a6d1b6cb596e",
        "wesp-v2",
    ),
    "VG1": _eesp(
        "80000001000010010000000000000001ad78c45b8288b1b4bbc0cb7553843c61ad6a204dcc60e12082aaadd8"
        "c667ec654e25fb5b1f873d71b2ed11395507a2ba452b9ab6",
        Format.EESP_OPTIMIZED,
        implicit=True,
    ),
    "VG2": _eesp(
        "8000000100001001000000000000000111223344556677884f64aa2ba3f1d93cf8e88ed49687ee6ab5b9b795"
        "979fe162a32ccd280300d1ff2d3a50c8441884a386328665ba84996c6dee2f1f",
        Format.EESP_OPTIMIZED,
    ),
    "VG3": _eesp(
        "800400010000100102021c800000000000000001112233445566778800000400450000240001400040112"
        "6c30a0100010a02000212340035001000004b26e94be6b6de7440f332781124b5c3257f6f920d8e9a02",
        shown=32,
        options_len=4,
    ),
    "VG4": _eesp(
        "80000001000010010000000000000001e878d57f90bdf181fbc1edb618c77f24e22e670739957871c04f9ec9"
        "e40f443530cc184f",
        implicit=True,
        transport=True,
    ),
    "VG5": _eesp(
        "800000010000100111223344556677884f64aa2ba3f1d93cf8e88ed49687ee6ab5b9b795979fe162a32ccd28"
        "0300d1ff2d3a50c8b1a5b101e81ad8c030629c0e46f3cf11",
        Format.EESP_OPTIMIZED,
        no_seq=True,
    ),
    "VG6": _eesp(
        "8004000100001001010200000000000000000001e878d57f90bdf181fbc1edb618c77f24e22e6707768aa53c"
        "2346e90f58d32f4f8f879023",
        implicit=True,
        transport=True,
        options_len=4,
    ),
}
"""By the digest's id."""
