"""The demonstration, step by step: what is done, what is found, which claims held."""

import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from p4esp.controller.errors import ControllerError
from p4esp.controller.numbers import Drop
from p4esp.controller.program import Program
from p4esp.controller.reconcile import SA_TABLES
from p4esp.demo.attacks import SCENARIOS, carry_out, is_repelled
from p4esp.demo.facts import Facts, IkeMessage
from p4esp.demo.lab import Lab, running_lab
from p4esp.demo.plan import Change
from p4esp.demo.site import Site
from p4esp.demo.traffic import exchange, host_frame, host_packet, mixed_packets
from p4esp.demo.watch import Watch, changed, counters_of
from p4esp.demo.wireshark import KeyLog
from p4esp.formats_lab.tour import tour
from p4esp.formats_lab.two_paths import arrivals
from p4esp.ike.trace import TraceKind
from p4esp.switch.ports.pcap import PcapWriter
from p4esp.switch.trace import Recorder, TableApplied

PACKETS: Final = 1000
PATIENCE: Final = 8.0
PING_OCTETS: Final = 56
"""Seconds to wait for the tunnel; the whole demonstration takes ten at most."""
CHANGE: Final = Change(esp=("aes256gcm16-noesn",))
"""Without ESN, because Wireshark 4.0 does not know the high half that the ICV covers then."""
_MESSAGES: Final = (TraceKind.SENT, TraceKind.RECEIVED)

Step = Callable[[str, Facts], None]
"""Told after each step: its name, and the facts so far."""


async def demonstrate(
    program: Program, directory: Path, seed: int, step: Step, change: Change = CHANGE
) -> Facts:
    """Run everything once; the wire and its keys are left in `directory`."""
    started = time.perf_counter()
    facts = Facts()
    directory.mkdir(parents=True, exist_ok=True)
    keys = KeyLog()
    with (directory / "wire.pcap").open("wb") as capture:
        pcap = PcapWriter(capture, time.time_ns)
        async with running_lab(program, change, pcap=pcap, export_keys=keys) as lab:
            trouble = await _trouble_of(_Demonstration(lab, facts, step, random.Random(seed)))
    if not trouble:
        _two_paths(program, facts, step)
        _every_format(program, facts, step)
    _leave_files(facts, directory, keys)
    if trouble:
        facts.give_up(trouble)
    facts.seconds = round(time.perf_counter() - started, 2)
    step("files", facts)
    return facts


async def _trouble_of(demonstration: "_Demonstration") -> str:
    """Run all steps; why they could not all be done, or nothing."""
    try:
        await demonstration.run()
    except ControllerError as error:
        return str(error)
    return ""


def _two_paths(program: Program, facts: Facts, step: Step) -> None:
    """Packets that come by two paths, to an SA with one window and to one with subspaces."""
    plain, split = (arrivals(program.config, name) for name in ("esp", "subspaces"))
    facts.two_paths = [plain, split]
    lost = plain.sent - plain.delivered
    late = plain.drops == {Drop.REPLAY_OLD.name: lost} and lost >= plain.sent // 3
    facts.check("one window for two paths", late, f"{lost} of {plain.sent} lost as REPLAY_OLD")
    whole = split.delivered == split.sent and not split.drops
    detail = f"{split.delivered} of {split.sent} delivered"
    facts.check("a subspace for each path", whole, detail)
    step("two paths", facts)


def _every_format(program: Program, facts: Facts, step: Step) -> None:
    """A packet of each, and a damaged copy."""
    facts.formats = tour(program.config)
    whole = [stop for stop in facts.formats if stop.delivered]
    detail = f"{len(whole)} of {len(facts.formats)} deliver what was sent"
    facts.check("every format carries a packet", len(whole) == len(facts.formats), detail)
    refused = [stop for stop in facts.formats if stop.refused]
    detail = f"{len(refused)} of {len(facts.formats)} refuse it"
    facts.check("no format takes a changed bit", len(refused) == len(facts.formats), detail)
    step("formats", facts)


def _leave_files(facts: Facts, directory: Path, keys: KeyLog) -> None:
    files = [directory / "wire.pcap", *keys.write(directory / "wireshark")]
    facts.files = [str(path) for path in files]
    complete = len(keys.ike) == 1 and len(keys.esp) == 2 and files[0].stat().st_size > 0
    facts.check("files for Wireshark", complete, ", ".join(facts.files))


class _Demonstration:
    """The steps that need the lab."""

    def __init__(self, lab: Lab, facts: Facts, step: Step, rng: random.Random) -> None:
        self._lab = lab
        self._facts = facts
        self._step = step
        self._rng = rng

    async def run(self) -> None:
        """All steps in order."""
        await self._tunnel()
        await self._entries()
        self._watches = [self._watch(site) for site in self._lab.sites]
        self._trace()
        await self._traffic()
        await self._attacks()
        await self._aftermath()

    async def _tunnel(self) -> None:
        started = time.monotonic()
        await self._lab.tunnel_up(PATIENCE)
        self._facts.ike = [
            IkeMessage(
                round(record.time - self._lab.trace[0][1].time, 4),
                *(name, record.kind.value, record.message, record.payloads),
            )
            for name, record in self._lab.trace
            if record.kind in _MESSAGES
        ]
        suites = {info.suite for info in self._gateway_ike()}
        detail = f"{' '.join(suites)} in {time.monotonic() - started:.2f} s"
        self._facts.check("tunnel up", len(suites) == 1, detail)
        self._step("ike", self._facts)

    def _gateway_ike(self) -> list[Any]:
        gateways = [self._lab.gateway(site) for site in self._lab.sites]
        return [ike for gateway in gateways for ike in gateway.connections.established.values()]

    async def _entries(self) -> None:
        """Read back from the switches, over P4Runtime, what an SA needs."""
        for site in self._lab.sites:
            link = self._lab.gateway(site).link
            if link is not None:
                found = await link.session.read(*SA_TABLES)
                self._facts.entries[site.plan.name] = [str(entry) for entry in found]
        counts = {name: len(entries) for name, entries in self._facts.entries.items()}
        expected = dict.fromkeys(("left", "right"), 4)
        self._facts.check("table entries", counts == expected, f"SA entries: {counts}")
        self._step("entries", self._facts)

    def _watch(self, site: Site) -> Watch:
        watch = Watch(site)
        for live in self._lab.gateway(site).sas.live.values():
            watch.keys_of(live)
            watch.window_of(live)
        return watch

    def _trace(self) -> None:
        lab, recorder = self._lab, Recorder(self._lab.left.device)
        frame = host_frame(lab.left, host_packet(lab.left, lab.right, b"follow me"))
        self._watches[0].traced(recorder, lambda: lab.left.host.send(frame))
        lab.wire.deliver()
        arrived = len(lab.right.host.receive()) == 1
        self._facts.trace = [event.line()[1] for event in recorder.events]
        hit = {event.table for event in recorder.events if isinstance(event, TableApplied)}
        complete = hit.issuperset(("spd", "sa_select", "sa_out", "crypto_port", "route_v4"))
        self._facts.check("one packet's trace", arrived and complete, f"{len(hit)} tables asked")
        self._step("trace", self._facts)

    async def _traffic(self) -> None:
        for source, target in (self._lab.sites, self._lab.sites[::-1]):
            packets = mixed_packets(source, target, PACKETS, self._rng)
            traffic = await exchange(self._lab, source, target, packets)
            self._facts.traffic.append(traffic)
            same = traffic.sent == traffic.delivered == traffic.identical == traffic.esp_frames
            detail = f"{traffic.identical} of {traffic.sent} identical"
            self._facts.check(f"traffic {traffic.direction}", same, detail)
        self._step("traffic", self._facts)

    async def _attacks(self) -> None:
        for scenario in SCENARIOS:
            attack = await carry_out(self._lab, scenario)
            self._facts.attacks.append(attack)
            detail = f"{attack.counted}, {attack.delivered} delivered"
            self._facts.check(scenario.name, is_repelled(attack), detail)
        self._step("attacks", self._facts)

    async def _aftermath(self) -> None:
        before = counters_of(self._lab.right, "drops", Drop)
        packets = mixed_packets(self._lab.left, self._lab.right, 10, self._rng)
        after = await exchange(self._lab, self._lab.left, self._lab.right, packets)
        lost = changed(before, counters_of(self._lab.right, "drops", Drop))
        held = after.identical == after.sent and not lost
        detail = f"{after.identical} of {after.sent} pass"
        self._facts.check("still up after the attacks", held, detail)
        await self._ping()
        self._check_invariants()
        self._step("aftermath", self._facts)

    async def _ping(self) -> None:
        gateway = self._lab.gateway(self._lab.left)
        (sa,) = gateway.sas.live.values()
        taken = await gateway.sealed_ping(sa, 1, PING_OCTETS, None, PATIENCE)
        detail = "no reply" if taken is None else f"a reply after {taken * 1000:.1f} ms"
        self._facts.check("ESP ping inside the SA", taken is not None, detail)

    def _check_invariants(self) -> None:
        for site, watch in zip(self._lab.sites, self._watches, strict=True):
            for live in self._lab.gateway(site).sas.live.values():
                watch.window_of(live)
        broken = [str(violation) for watch in self._watches for violation in watch.violations()]
        self._facts.check("invariants", not broken, "; ".join(broken[:3]) or "none broken")
