"""Fuzzes the formats: packets of each between two gateways, damaged on the wire, or made by a peer
that has the keys and says something else.

    python -m fuzz.formats [--count N] [--seed N]

`make fuzz-formats` runs it. A finding is printed with its seed, which repeats it.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections import Counter
from pathlib import Path

from rich.progress import MofNCompleteColumn, Progress, TimeElapsedColumn, TimeRemainingColumn

from fuzz.pipeline_damage import OCTETS, damage
from fuzz.pipeline_oracle import need
from fuzz.pipeline_world import BASE, with_checksum
from p4esp.formats_lab.gateways import ETHERNET, Pair, site_frame, udp_packet
from p4esp.formats_lab.sas import HOST, WIRE_PORT, LabSa
from p4esp.formats_lab.tour import CHECKSUM, every_sa
from p4esp.ipsec.sa import Mode

PROGRAM = Path("bmv2-configs") / "esp_gateway.json"
COUNT = 20_000
LENGTHS = (64, 65, 66, 67, 100, 200)
BY_THE_HEADER = {"TTL", "ECN_DROP", "BAD_SELECTOR", "ENCAP_MISMATCH"}
"""Why an authentic packet may be refused for headers that are not authenticated: IP and WESP."""
OUTER_LEN, CT_OFF, SHOWN = 20, 41, 0x40
"""Octets of the outer header, and places in a descriptor (docs/crypto-port.md)."""


class Road:
    """An SA of one format between two gateways. A second pair is for what an insider sends: it may
    move windows anywhere."""

    def __init__(self, sa: LabSa, honest: Pair, insider: Pair, rng: random.Random) -> None:
        self.sa = sa
        self._rng = rng
        self.honest, self.insider = honest, insider
        self.outcomes: Counter[str] = Counter()

    def __str__(self) -> str:
        return f"{self.sa.form.name} in {self.sa.mode} mode"

    def drive(self) -> None:
        """One packet more; FindingError."""
        inner = udp_packet(self.sa, 0, self._rng.choice(LENGTHS))
        port = self._rng.randrange(4)
        if self._rng.random() < 0.5:
            self._on_the_wire(inner, port)
        else:
            self._by_an_insider(inner, port)

    # --- damage on the wire --------------------------------------------------------------------

    def _on_the_wire(self, inner: bytes, port: int) -> None:
        """A damaged copy is refused, or was damaged where nothing is authenticated; the packet is
        delivered all the same, unless its copy was."""
        (sealed,) = self.honest.seal([site_frame(inner)], port)
        data = bytearray(sealed)
        damage(data, self._rng)
        copy = with_checksum(bytes(data), ETHERNET)
        before = self.honest.opening.dropped()
        delivered = self._delivered(self.honest, copy)
        used = not BY_THE_HEADER.isdisjoint(self.honest.opening.dropped() - before)
        for packet in delivered:
            need(self._same(packet, inner), f"delivers {packet.hex()} for {inner.hex()}")
        self.outcomes["damaged, delivered" if delivered else "damaged, refused"] += 1
        if not delivered and not used:
            genuine = self._delivered(self.honest, sealed)
            need(len(genuine) == 1, f"a copy took the number of {sealed.hex()}: {copy.hex()}")

    def _same(self, packet: bytes, inner: bytes) -> bool:
        """But for what a router or the path may change."""
        return self._constant(packet) == self._constant(inner)

    def _constant(self, packet: bytes) -> bytes:
        """In transport mode the IP header is the outer one. Of that, addresses are compared as far
        as the SA's selectors say them."""
        behind = packet[20 : CHECKSUM.start] + packet[CHECKSUM.stop :]
        if self.sa.mode is Mode.TRANSPORT:
            at = (packet[0] & 15) * 4
            return (
                packet[12:14]
                + packet[16:20]
                + packet[9:10]
                + packet[at : at + 6]
                + packet[at + 8 :]
            )
        return packet[:1] + packet[2:8] + packet[9:10] + packet[12:20] + behind

    # --- a peer with the keys --------------------------------------------------------------------

    def _by_an_insider(self, inner: bytes, port: int) -> None:
        """What is delivered is a whole packet between the SA's two hosts."""
        with self.insider.sealing.changing(self._changed):
            sealed = self.insider.sealing.carry(port, [site_frame(inner)])
        for frame in sealed:
            for packet in self._delivered(self.insider, frame):
                self.outcomes["insider, delivered"] += 1
                self._well_formed(packet)

    def _changed(self, request: bytes) -> bytes:
        """Other octets behind the outer IP header, mostly of the text, and another next header."""
        data, rng = bytearray(request), self._rng
        text = BASE + data[CT_OFF]
        for _ in range(rng.choice((1, 1, 2, 3))):
            least = text if rng.random() < 0.7 else BASE + OUTER_LEN
            place = rng.randrange(least, min(len(data), text + 40))
            data[place] = rng.choice(OCTETS) if rng.random() < 0.5 else rng.randrange(256)
        if rng.random() < 0.2:
            data[17] = rng.choice(OCTETS)
        iv = iv_of(request)
        data[iv] = request[iv]
        return bytes(data)

    def _well_formed(self, packet: bytes) -> None:
        ends = HOST.packed[:2], self.sa.remote.packed
        within = packet[0] >> 4 == 4 and (packet[12:14], packet[16:20]) == ends
        need(within, f"delivers {packet.hex()}")
        need(
            int.from_bytes(packet[2:4], "big") == len(packet), f"{packet.hex()} has another length"
        )
        need(with_checksum(packet, 0) == packet, f"wrong checksum: {packet.hex()}")

    # --- both ------------------------------------------------------------------------------------

    @staticmethod
    def _delivered(pair: Pair, frame: bytes) -> list[bytes]:
        """The packets that reach the site."""
        return [left[ETHERNET:] for left in pair.opening.carry(WIRE_PORT, [frame])]


def iv_of(request: bytes) -> slice:
    """Where the IV stands, which the engine lets nobody set back, or ahead for good."""
    flags, (aad_off, aad_len, iv_len, ct_off) = request[15], request[38:42]
    at = aad_off + aad_len if flags & SHOWN else ct_off - iv_len
    return slice(BASE + at, BASE + at + iv_len)


def build(seed: int) -> list[Road]:
    """Two pairs of gateways with all SAs."""
    rng, sas = random.Random(seed), [*every_sa()]
    honest, insider = Pair(PROGRAM, sas), Pair(PROGRAM, sas)
    return [Road(sa, honest, insider, rng) for sa in sas]


def fuzz(count: int, seed: int) -> int:
    """Runs `count` packets; 0 when nothing was found."""
    print(f"seed {seed}", flush=True)
    roads = build(seed)
    columns = (*Progress.get_default_columns()[:2], MofNCompleteColumn())
    with Progress(*columns, TimeElapsedColumn(), TimeRemainingColumn()) as progress:
        for number in progress.track(range(count), description="packets"):
            road = roads[number % len(roads)]
            try:
                road.drive()
            except Exception as finding:
                progress.stop()
                print(f"FOUND: packet {number}, {road}: {finding!r}")
                print(f"again: make fuzz-formats COUNT={count} SEED={seed}")
                return 1
    for road in roads:
        seen = (f"{what} {times}" for what, times in sorted(road.outcomes.items()))
        print(f"{road}: {', '.join(seen)}")
    for who, pair in (("damage", roads[0].honest), ("insiders", roads[0].insider)):
        print(f"drops by {who}: {pair.opening.drops()}")
    return 0


def main() -> int:
    """The command line; 0 when nothing was found."""
    parser = argparse.ArgumentParser(description="Fuzzes the formats.")
    parser.add_argument("--count", type=int, default=COUNT, help="packets")
    parser.add_argument("--seed", type=int, help="of an earlier run")
    arguments = parser.parse_args()
    seed = arguments.seed
    return fuzz(arguments.count, random.SystemRandom().getrandbits(32) if seed is None else seed)


if __name__ == "__main__":
    sys.exit(main())
