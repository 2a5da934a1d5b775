"""Sees every packet of a site, and holds it against the invariants (design section 2, "Never")."""

from collections.abc import Callable, Mapping
from enum import IntEnum
from ipaddress import ip_network
from typing import Final

from p4esp.controller.numbers import CPU_PORT, CRYPTO_PORT, Control, Drop, Outcome, Punt
from p4esp.controller.sa_installer import LiveSa
from p4esp.demo.plan import INSIDE, OUTSIDE, Plan
from p4esp.demo.site import Site
from p4esp.invariants import Policy, Recorder, Role, Verdict, Violation
from p4esp.invariants.recorder import marked_numbers

ROLES: Final = {
    INSIDE: Role.PROTECTED,
    OUTSIDE: Role.UNPROTECTED,
    CRYPTO_PORT: Role.CRYPTO,
    CPU_PORT: Role.CPU,
}

_REPORTED: Final = ("ACQUIRE", "TTL", "NO_NEIGHBOUR")
"""Drop reasons that are punt reasons too."""

Packets = list[tuple[int, bytes]]
Process = Callable[[int, bytes], Packets]


def counters_of(site: Site, array: str, names: type[IntEnum]) -> dict[str, int]:
    """Packets by name of one of the pipeline's counter arrays."""
    cells = site.device.counter_array(array)
    return {item.name: cells.read(item.value).packets for item in names}


class Watch:
    """Records one site from now on: its switch as it stands, and its engine."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self.recorder = Recorder(ROLES, _policies(site.plan))
        self._process: Process = site.device.process
        site.device.process = self._watched
        site.engine.sealed = self.recorder.sealed
        site.engine.exchanged = self.recorder.exchanged
        self.count()

    def _watched(self, port: int, data: bytes) -> Packets:
        self.recorder.entered(port, data)
        if port == CPU_PORT and data[0] == Control.SCRUB_TOP:
            self.recorder.scrubbed(int.from_bytes(data[8:12], "big"))
        packets = self._process(port, data)
        for out_port, frame in packets:
            self.recorder.left(out_port, frame)
        return packets

    def traced(self, trace: object, action: Callable[[], None]) -> None:
        """Do something while every step of every packet is reported to `trace`."""
        plain, self._process = self._process, self._site.device.traced(trace)
        try:
            action()
        finally:
            self._process = plain

    def count(self) -> None:
        """Compare the counters with the packets seen since the last time.

        A packet that is dropped and reported to the controller leaves by the CPU port all the
        same: the recorder is told of an outcome of its own.
        """
        outcomes = counters_of(self._site, "outcomes", Outcome)
        drops = counters_of(self._site, "drops", Drop)
        punts = counters_of(self._site, "punts", Punt)
        for name in _REPORTED:
            drops[name] -= punts[name]
            outcomes["DROPPED"] -= punts[name]
        reported = sum(punts[name] for name in _REPORTED)
        self.recorder.counters(outcomes | {"REPORTED": reported}, drops)

    def keys_of(self, live: LiveSa) -> None:
        """The keys of an SA must show up nowhere, and what it carries only by configuration."""
        child = live.record.child
        for direction, keys in (("in", child.keymat.inbound), ("out", child.keymat.outbound)):
            parts = {"key": keys.key, "salt": keys.salt, "integrity key": keys.integrity}
            for part, octets in parts.items():
                if octets:
                    self.recorder.secret(f"{child.spi_in:08x} {direction} {part}", octets)
        if not child.suite.encrypts:
            self.recorder.readable(live.handles.seal)

    def window_of(self, live: LiveSa) -> None:
        """Compare an SA's replay window with what the engine has authenticated."""
        place = live.record.placement
        top = self._site.device.register_array("window_top").read(place.space_in)
        cells = self._site.device.register_array("window_cell")
        values = [cells.read(place.cell_base + i) for i in range(place.cells)]
        pairs = [(value >> 32, value & 0xFFFFFFFF) for value in values]
        self.recorder.window(place.space_in, top, marked_numbers(pairs))

    def violations(self) -> list[Violation]:
        """Every invariant that was broken."""
        self.count()
        return self.recorder.violations()


def changed(before: Mapping[str, int], after: Mapping[str, int]) -> dict[str, int]:
    """What was counted between two readings."""
    return {name: n for name in after if (n := after[name] - before.get(name, 0))}


def _policies(plan: Plan) -> list[Policy]:
    remote = ip_network(f"10.{plan.peer_number}.0.0/16")
    return [Policy(Verdict.PROTECT, ip_network(plan.network), remote)]
