"""Diet-ESP: what both ends know is not sent; one layout of the residue for each template."""

from __future__ import annotations

from dataclasses import replace

from p4esp.ipsec.formats.fields import ICV, NEXT_HEADER, PAD_LENGTH, PADDING, PAYLOAD
from p4esp.ipsec.formats.model import (
    Field,
    Format,
    Number,
    Parameters,
    Proof,
    Spaces,
    TailUse,
    Target,
    Trailer,
)
from p4esp.ipsec.formats.sources import DIET_DRAFT, HCP_PROPOSAL
from p4esp.ipsec.sa import Mode


def _sent(name: str, bits: int, meaning: str, label: str = "") -> Field:
    return Field(name, bits, meaning, Proof.TEXT, label=label)


_SCHC_PAD = _sent("SCHC Padding", 4, "0: fills the residue up to an octet", "Pad")
_FRONT_V4 = (
    _sent("IHL", 4, "5: no options"),
    _sent("DSCP", 6, "of the inner header"),
    _sent("ECN", 2, "of the inner header"),
)
_IDENTIFICATION = _sent("Identification", 16, "of the inner header")
_FLAGS = _sent("Flags and Fragment Offset", 16, "of the inner header", "Flags")
_PROTOCOL = _sent("Protocol", 8, "of the inner header")
_FRONT_V6 = (
    _sent("DSCP", 6, "of the inner header"),
    _sent("ECN", 2, "of the inner header"),
    _sent("Flow Label", 20, "of the inner header"),
)
_TCP = (
    _sent("TCP Sequence Number", 32, "of the inner header"),
    _sent("TCP Acknowledgement Number", 32, "of the inner header"),
    _sent("TCP Offset and Flags", 16, "of the inner header"),
    _sent("TCP Window", 16, "of the inner header"),
    _sent("TCP Urgent Pointer", 16, "of the inner header"),
)
RESIDUES: dict[str, tuple[Field, ...]] = {
    "UDP_V4": (*_FRONT_V4, _FLAGS, _SCHC_PAD),
    "TCP_V4": (*_FRONT_V4, _FLAGS, _SCHC_PAD, *_TCP),
    "HOST_V4": (*_FRONT_V4, _IDENTIFICATION, _FLAGS, _PROTOCOL, _SCHC_PAD),
    "SITE_V4": (
        *(*_FRONT_V4, _IDENTIFICATION, _FLAGS, _PROTOCOL),
        _sent("Source", 8, "low bits of the inner address"),
        _sent("Destination", 8, "low bits of the inner address"),
        _SCHC_PAD,
    ),
    "UDP_V6": (*_FRONT_V6, _SCHC_PAD),
    "TCP_V6": (*_FRONT_V6, _SCHC_PAD, *_TCP),
    "HOST_V6": (*_FRONT_V6, _PROTOCOL, _SCHC_PAD),
    "SITE_V6": (
        *(*_FRONT_V6, _PROTOCOL),
        _sent("Source", 64, "low bits of the inner address"),
        _sent("Destination", 64, "low bits of the inner address"),
        _SCHC_PAD,
    ),
}
"""What is encrypted in front of the payload, by the name of the template."""
_LAYER4 = {"UDP": 8, "TCP": 20}


def elided_by(template: str) -> int:
    """Octets of inner headers that a template leaves out of a packet."""
    kind, version = template.split("_V")
    return (40 if version == "6" else 20) + _LAYER4.get(kind, 0)


def residue_octets(template: str) -> int:
    """Octets of what a template sends of the inner headers."""
    return sum(field.bits or 0 for field in RESIDUES[template]) // 8


def shaped(template: str, spi_octets: int, sn_octets: int, *, trailer: bool = False) -> Format:
    """The format as an SA with that template has it."""
    text: tuple[Field, ...] = (*RESIDUES[template], PAYLOAD)
    if trailer:
        text = (*text, PADDING, PAD_LENGTH, NEXT_HEADER)
    return replace(
        FORMAT,
        clear=_header(spi_octets, sn_octets),
        text=text,
        elided=elided_by(template),
        trailer=Trailer.RFC4303 if trailer else Trailer.NONE,
        usual=replace(FORMAT.usual, align=4 if trailer else 1),
    )


def _header(spi_octets: int, sn_octets: int) -> tuple[Field, ...]:
    return (
        Field("SPI", 8 * spi_octets, "its low bits; the AAD has all of it"),
        Field("Sequence Number", 8 * sn_octets, "its low bits; the AAD has all of it", label="SN"),
    )


FORMAT = Format(
    name="diet-esp",
    title="Diet-ESP",
    number=Number.DIET,
    source=DIET_DRAFT,
    clear=_header(1, 1),
    text=(*RESIDUES["UDP_V4"], PAYLOAD),
    tail=(ICV,),
    usual=Parameters(iv_len=0, align=1),
    nonce=("Sequence Number",),
    trailer=Trailer.NONE,
    spaces=Spaces.ONE,
    tail_use=TailUse.NOBODY,
    modes=(Mode.TUNNEL,),
    targets=(Target.EMBEDDED, Target.BMV2),
    notifies=(HCP_PROPOSAL,),
    elided=elided_by("UDP_V4"),
    problem="On narrow links the headers weigh more than what they carry, and most of them both "
    "ends know already: addresses, ports and protocol from the selectors, lengths from the size.",
    layout_rule="The low octets of SPI and sequence number, 1 to 4 of each; then, encrypted, a "
    "SCHC residue (RFC 8724) without rule ID, up to an octet, and the payload. The drawing is a "
    "UDP flow over IPv4. Of the SA's selectors follow the templates: one UDP or TCP flow between "
    "two hosts, any traffic between two hosts, any traffic between two prefixes of 24 (IPv4) or "
    "64 bits (IPv6).",
    aad_rule="SPI and sequence number in full, 8 octets, though only their low octets are sent.",
    nonce_rule="Salt, 4 zero octets, sequence number in full (RFC 8750): an explicit IV is "
    "refused.",
    trailer_rule="None; or, with an alignment of 32 bits, as RFC 4303.",
    replay_rule="One window. The number is the smallest above the window's lower end that ends in "
    "what was sent; the window is at most half as wide as that can tell. A wrong guess is "
    "BAD_ICV.",
    costs="The hops of the inner packet are shown and are not authentic. A packet goes through "
    "the parser twice where something is cut out of it. After too many losses (more than 192 with "
    "8 bits and a window of 64) nothing is taken any more: a new SA is needed. Checksums over the "
    "payload: not for a switch chip.",
    buys="14 octets more than the inner packet, outer header included, for a UDP flow with 8 bits "
    "of each: 42 less than plain ESP.",
    limits="Tunnel mode, directly over IP, without ESN, TFC padding and dummies. Packets that do "
    "not fit the template are dropped (BAD_TEMPLATE), and so are flows with a wrong checksum. A "
    "peer sends nothing else as ESP to that address. Addresses of the gateway itself are not "
    "reached through it.",
)
