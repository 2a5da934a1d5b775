"""A packet of every format between two gateways, and a damaged copy of each."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from p4esp.formats_lab.gateways import ETHERNET, Pair, site_frame, udp_packet
from p4esp.formats_lab.sas import WIRE_PORT, LabSa
from p4esp.formats_lab.vectors import digest_sa
from p4esp.ipsec.formats import FORMATS
from p4esp.ipsec.sa import Mode

OCTETS = 128
CHECKSUM = slice(26, 28)
"""Of UDP over IPv4: an SA that leaves it out restores one where there was none."""
FIRST_SPI, SPI_STEP = 0x1000, 0x104
"""SPIs differ in their last octet too; a block begins at a multiple of four."""


@dataclass(frozen=True, slots=True)
class Stop:
    """What a format made of a packet. Sizes are octets, of the packet and of what left."""

    format: str
    source: str
    octets: int
    on_the_wire: int
    delivered: bool
    """As it was sent."""
    refused: str
    """Why a copy with one bit changed was not delivered; nothing: it was."""


def every_sa(modes: Sequence[Mode] = (Mode.TUNNEL, Mode.TRANSPORT)) -> Iterator[LabSa]:
    """An SA of every format in every mode that it takes, each with a key of its own."""
    kinds = [(form, mode) for form in FORMATS for mode in modes if mode in form.modes]
    for number, (form, mode) in enumerate(kinds):
        usual, spi = digest_sa(form.name), FIRST_SPI + SPI_STEP * number
        key = random.Random(number).randbytes(len(usual.key))
        yield replace(usual, mode=mode, number=number, spi=spi, key=key)


def tour(program: Path) -> list[Stop]:
    """One stop at each format, in tunnel mode."""
    sas = [*every_sa((Mode.TUNNEL,))]
    pair = Pair(program, sas)
    return [_stop(pair, sa) for sa in sas]


def _stop(pair: Pair, sa: LabSa) -> Stop:
    packet = udp_packet(sa, 0, OCTETS)
    (sealed,) = pair.seal([site_frame(packet)])
    refused = _refusal(pair, sealed[:-1] + bytes((sealed[-1] ^ 1,)))
    left = pair.opening.carry(WIRE_PORT, [sealed])
    same = [_comparable(frame[ETHERNET:]) for frame in left] == [_comparable(packet)]
    name, size = sa.form.name, len(sealed) - ETHERNET
    return Stop(name, sa.form.source.short, len(packet), size, same, refused)


def _refusal(pair: Pair, frame: bytes) -> str:
    before = pair.opening.dropped()
    left = pair.opening.carry(WIRE_PORT, [frame])
    return "" if left else ", ".join(pair.opening.dropped() - before)


def _comparable(packet: bytes) -> bytes:
    """A packet but for TTL and checksums."""
    return packet[:8] + packet[9:10] + packet[12 : CHECKSUM.start] + packet[CHECKSUM.stop :]
