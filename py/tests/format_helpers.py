"""The digest's packets of formats that are not RFC 4303's, and authentic packets of any text."""

from engine_helpers import answer

from p4esp.engine import CryptoFrame, Descriptor, Direction, Engine, Flag, KeySpec, Status
from p4esp.engine.check.layouts import LAYOUTS, Layout

GCM, IIV = "AES-GCM-16-128", "AES-GCM-16-IIV-128"
KEY, SALT = bytes(range(16)), bytes.fromhex("a0a1a2a3")
ROOT = bytes(range(0x40, 0x60))
# What follows the outer IP header on the wire: known answers of the formats.
DIGEST = {
    "V0": "0000100100000001000000000000000103711cd66c853750c77d60d4d10594671bf0198184c180976de1"
    "8b105de41c56aebd89e3243392d33459caef836be8379d0966c86cec780f",
    "V1": "000010010000000103711cd66c853750c77d60d4d10594671bf0198184c180976de18b105de41c56aebd"
    "89e3243392d33459caef836be8379d0966c86cec780f",
    "VA": "00001001000100000000000142312705d79ab49ed079733ded083ad526931d15c0d0076ca72a351d4d82"
    "f4f790aa6122346eecf7fd936ccaaef9470a07c0fde5796f46cd",
    "VB": "0000100100030000000000014f46772be5d09c78d5ddfcb749099972350aa246f9d3510aafecfa2b05f5"
    "f084c609f138a5cfd65dbcc9360c50942b4c5f7a0aedcab83ca0",
    "VC1": "00001001000000010000000000000001467118f229847774876d06179b15b2a51bf319829cf780a07fc5"
    "8b251cb65f12aab98def6077d79fd0065bd357e0137c573c7ddedcaa8cca",
    "VC2": "000010010000000100000000000000010000040003711cd66c853750c77d60d4d10594671bf0198184c1"
    "80976de18b105de41c56aebd89e36a661b489a8abb7cd98824d6a9176820",
    "VD": "03711cd66c853750c77d60d4d10594671bf0198184c180976de18b105de41c56aebd89e3000004000000"
    "10010000000000000001ce590ab3230e2a8475d659609dc5a80c",
    "VE": "000010010000000100000000000000014500002400014000401126c30a0100010a020002123400350010"
    "000007335fb629c23018866e441356414105ad23e65232f5469bf33b397b",
}
SHAPES = {
    "V0": (Layout("esp", Flag.TRAILER, ()), 1),
    "V1": (Layout("esp-iiv", Flag.TRAILER, (), IIV), 1),
    "VA": (LAYOUTS["subspaces"], 1 << 48 | 1),
    "VB": (LAYOUTS["subspaces"], 3 << 48 | 1),
    "VC1": (LAYOUTS["trailer-in-header"], 1),
    "VC2": (LAYOUTS["trailer-in-clear"], 1),
    "VD": (LAYOUTS["header-in-trailer"], 1),
    "VE": (LAYOUTS["crypt-offset"], 1),
}
WITH_TIH = [layout for layout in LAYOUTS.values() if layout.flags & Flag.TIH]
WITHOUT_TRAILER = [layout for layout in LAYOUTS.values() if layout.flags & Flag.TRIM]


def pair(layout: Layout) -> tuple[Engine, int, int]:
    engine = Engine()
    sealer, opener = (
        engine.install(KeySpec(direction, layout.transform, KEY, SALT)) for direction in Direction
    )
    return engine, sealer, opener


def crafted(
    layout: Layout, handle: int, header: bytes, plain: bytes, seq: int = 9, **fields: int
) -> CryptoFrame:
    """An open request for an authentic packet whatever its text is."""
    spec = KeySpec(Direction.OPEN, layout.transform, KEY, SALT)
    return layout.crafted(handle, spec, seq, header, plain, **fields)


def opened(
    layout: Layout, packet: bytes, plain: bytes, tih: bytes = b"", **fields: int
) -> tuple[Descriptor, bytes]:
    """The reply to an authentic packet with this text, and what stood in front of the text."""
    engine, _, opener = pair(layout)
    request = crafted(layout, opener, layout.header(9, tih, packet), plain, **fields)
    reply = answer(engine, request)
    head = request.packet[: request.descriptor.ct_off]
    if reply.descriptor.status != Status.DONE:
        # Clear bytes, and nothing of the text.
        assert reply.packet == head
    assert reply.packet[: len(head)] == head
    return reply.descriptor, reply.packet[len(head) :]
