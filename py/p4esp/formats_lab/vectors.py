"""Known-answer packets, made by pipeline and engine: the inner packet and SA of the digest.

Only the questions stand here. The answers stand in the tests.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from p4esp.controller.outstanding import Echo
from p4esp.controller.sealed_ping import REQUEST, SealedEcho
from p4esp.formats_lab.gateways import Pair, esp_of, site_frame
from p4esp.formats_lab.sas import SUBS, LabSa
from p4esp.ipsec.formats import FormatError, Number, Option, Parameters, format_named
from p4esp.ipsec.sa import Mode

INNER = bytes.fromhex("4500002400014000401126c30a0100010a02000212340035001000004142434445464748")
"""IPv4 10.1.0.1 to 10.2.0.2, UDP 4660 to 53, "ABCDEFGH"."""
ROOT = bytes(range(0x40, 0x60))
KEY, SALT = bytes(range(16)), bytes.fromhex("a0a1a2a3")
SPI = 0x1001
PSP_SPI = 0x1A345678
PSP_MASTERS = bytes.fromhex(
    "34448a064292601b11a0978f56a2d34cf3fc35ede1a6bc04f8db3e5243a2b0ca"
    "563952565d3a78ae773ec1b779f2f2d99f4a7f53a6fbb9b07d5b71f39364d739"
)
"""Those of google/psp's examples."""
FIRST_IV = 0x1122334455667788
"""Explicit IV of the digest's EESP packets, whose number is 1."""
IMPLICIT_IV = Parameters(iv_len=0)
PING = SealedEcho(REQUEST, Echo(0xBEEF, 1), back=0x2002)


@dataclass(frozen=True, slots=True)
class Vector:
    """Packet `number` of sub SA `sub` of an SA."""

    id: str
    format: str
    sub: int = 0
    parameters: Parameters | None = None
    """None: as the format usually has them."""
    mode: Mode = Mode.TUNNEL
    first_iv: int = 1
    number: int = 1
    ping: SealedEcho | None = None
    """Sealed in place of the inner packet."""


COOKIE = Parameters(align=1, numbered=False, options=(Option.COOKIE,))
VECTORS = (
    Vector("V0", "esp"),
    Vector("V1", "esp", parameters=IMPLICIT_IV),
    Vector("VA", "sub-child", sub=1),
    Vector("VB", "subspaces", sub=3),
    Vector("VC1", "trailer-in-header"),
    Vector("VC2", "trailer-in-clear"),
    Vector("VD", "header-in-trailer"),
    Vector("VE", "crypt-offset"),
    Vector("VF1", "wesp"),
    Vector("VF2", "wesp-v2"),
    Vector("VG1", "eesp-optimized", 1),
    Vector("VG2", "eesp-optimized", 1, Parameters(), first_iv=FIRST_IV),
    Vector("VG3", "eesp-full", 1, first_iv=FIRST_IV),
    Vector("VG4", "eesp-full", 1, IMPLICIT_IV, Mode.TRANSPORT),
    Vector("VG5", "eesp-optimized", 1, Parameters(numbered=False), first_iv=FIRST_IV),
    Vector("VG6", "eesp-full", 1, replace(IMPLICIT_IV, options=(Option.PAD,)), Mode.TRANSPORT),
    Vector("VH1", "psp"),
    Vector("VH2", "psp", parameters=COOKIE, number=2),
    Vector("VH3", "psp", parameters=replace(COOKIE, shown=32), number=2),
    Vector("VI", "diet-esp"),
    Vector("VJ", "esp", ping=PING),
)


def vector_named(name: str) -> Vector:
    """Look a vector up; FormatError lists those there are."""
    for vector in VECTORS:
        if vector.id == name:
            return vector
    accepted = ", ".join(vector.id for vector in VECTORS)
    raise FormatError(f"vector {name!r} is not known; accepted: {accepted}")


def digest_sa(name: str, implicit_iv: bool | None = None) -> LabSa:
    """The SA of the digest, in a format; its IV as usual there, if nothing is said."""
    form = format_named(name)
    parameters = form.usual
    if implicit_iv is not None:
        parameters = replace(parameters, iv_len=0 if implicit_iv else 8)
    if form.number is Number.PSP:
        return LabSa(form, key=PSP_MASTERS, spi=PSP_SPI, parameters=parameters)
    # A block of SPIs begins at a multiple of its size.
    spi = SPI & -SUBS if form.number is Number.SPI_BLOCK else SPI
    if form.number is Number.DIET:
        parameters = replace(parameters, spi=spi)
    sa = LabSa(form, key=KEY, salt=SALT, spi=spi, parameters=parameters)
    return replace(sa, key=ROOT) if sa.key_each else sa


def packet_of(program: Path, sa: LabSa, inner: bytes, sub: int = 0, number: int = 1) -> bytes:
    """The ESP packet that a new gateway makes of an inner packet, the first one or a later one of
    the same; all are opened again, too.
    """
    pair = Pair(program, [sa])
    sealed = pair.seal([site_frame(inner)] * number, port=sub)
    pair.open(sealed)
    return esp_of(sealed[-1])


def vector_sa(vector: Vector) -> LabSa:
    """The SA that a vector is a packet of."""
    usual = digest_sa(vector.format)
    return replace(
        usual,
        parameters=vector.parameters or usual.parameters,
        mode=vector.mode,
        iv_base=vector.first_iv - 1,
    )


def produce(program: Path, vector: Vector) -> bytes:
    """What follows the outer IP header, and UDP where there is one."""
    sa = vector_sa(vector)
    if vector.ping:
        return esp_of(Pair(program, [sa]).ping(sa, vector.ping.build()))
    return packet_of(program, sa, INNER, vector.sub, vector.number)
