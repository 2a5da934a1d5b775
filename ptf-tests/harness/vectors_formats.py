"""Known answers of the formats: one inner packet, the SPI 0x1001, the number 1."""

from __future__ import annotations

from dataclasses import dataclass

from harness.esp import ImplicitIvKey, Key
from harness.formats import LAYOUTS, sub_key
from harness.sa import Layout

SPI = 0x1001
SEQ = 1
SALT = bytes.fromhex("a0a1a2a3")
SECRET = bytes(range(16))
ROOT = bytes(range(0x40, 0x60))
SOURCE, DESTINATION = "10.1.0.1", "10.2.0.2"
SOURCES, DESTINATIONS = "10.1.0.0/24", "10.2.0.0/24"
INNER = bytes.fromhex("4500002400014000401126c30a0100010a02000212340035001000004142434445464748")


@dataclass(frozen=True, slots=True)
class Vector:
    """Octets behind the outer IP header, and the format's name."""

    octets: bytes
    name: str = "esp"
    implicit: bool = False
    sub: int = 0

    def key(self, sub: int) -> Key:
        """The key of a sub."""
        secret, salt = (SECRET, SALT)
        if self.name == "sub-child":
            secret, salt = sub_key(ROOT, sub)
        return ImplicitIvKey(secret, salt) if self.implicit else Key(secret, salt)

    def shape(self) -> Layout:
        """The SA's layout."""
        return LAYOUTS.get(self.name, Layout())


def _vector(text: str, *fields: str | bool | int) -> Vector:
    return Vector(bytes.fromhex(text), *fields)  # type: ignore[arg-type]


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
}
"""By the digest's id."""
