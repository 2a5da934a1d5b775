"""All state of one loaded program, and the names under which generated code finds it."""

from __future__ import annotations

import logging
import random
from collections import Counter
from collections.abc import Callable

from p4esp.switch import ir
from p4esp.switch.program import ProgramSpec
from p4esp.switch.runtime import arithmetic, hashes
from p4esp.switch.runtime.arrays import Counters, Registers
from p4esp.switch.runtime.calls import CallCodec
from p4esp.switch.runtime.meters import GREEN, Meter, Meters
from p4esp.switch.runtime.profiles import Profile
from p4esp.switch.runtime.specs import program_spec
from p4esp.switch.runtime.stores import SearchStore
from p4esp.switch.runtime.tables import Table

_log = logging.getLogger("p4esp.switch")

DigestSink = Callable[[str, tuple[int, ...]], None]


class State:
    """Tables, arrays and replication lists of one program.

    ``clones`` maps a session to (port, instance, truncation) triples, ``groups`` a multicast group
    to (port, instance) pairs.  ``faults`` counts what a program did wrong and packets survived.
    """

    def __init__(self, program: ir.Program, clock: Callable[[], int], rng: random.Random) -> None:
        self.spec: ProgramSpec = program_spec(program)
        self._clock, self._rng, self._started = clock, rng, clock()
        self.faults: Counter[str] = Counter()
        self.digest_sink: DigestSink | None = None
        self.registers = {r.name: Registers(r) for r in program.registers.values()}
        self.counters = {c.name: Counters(c) for c in program.counters.values()}
        self.meters = {m.name: Meters(m, clock, self.fault) for m in program.meters.values()}
        self.profiles = {
            name: Profile(spec, CallCodec(f"action profile {name}", spec.actions))
            for name, spec in self.spec.profiles.items()
        }
        self.tables = {
            name: Table(table, self.spec.tables[name], self._profile_of(table), clock)
            for name, table in program.tables.items()
        }
        self.clones: dict[int, tuple[tuple[int, int, int], ...]] = {}
        self.groups: dict[int, tuple[tuple[int, int], ...]] = {}

    def _profile_of(self, table: ir.Table) -> Profile | None:
        return None if table.profile is None else self.profiles[table.profile]

    def fault(self, what: str) -> None:
        """Counts something a program should not do."""
        self.faults[what] += 1

    def namespace(self) -> dict[str, object]:
        """The global names of the generated code."""
        names: dict[str, object] = {
            "clock": self._clock,
            "micros": self._micros,
            "randint": self._rng.randint,
            "clones": self.clones,
            "groups": self.groups,
            "digest": self._digest,
            "fault": self.fault,
            "log": _write_log,
            "colour": self._colour,
            "join": b"".join,
            "from_bytes": int.from_bytes,
            "nothing": (-1,),
        }
        names |= {f"hash_{name}": function for name, function in hashes.BY_NAME.items()}
        for helper in ("saturate", "shift_left", "shift_right", "divide", "modulo"):
            names[helper] = getattr(arithmetic, helper)
        return names | self._tables() | self._arrays()

    def _tables(self) -> dict[str, object]:
        names: dict[str, object] = {}
        for number, table in enumerate(self.tables.values()):
            names[f"default_{number}"] = table.default_slot
            if isinstance(table.store, SearchStore):
                names[f"cached_{number}"] = table.store.cached
                names[f"search_{number}"] = table.store.search
            else:
                names[f"exact_{number}"] = table.store.rows.get
        return names

    def _arrays(self) -> dict[str, object]:
        names: dict[str, object] = {}
        for number, register in enumerate(self.registers.values()):
            names[f"register_{number}"] = register.cells
        for number, counter in enumerate(self.counters.values()):
            names[f"packets_{number}"] = counter.packets
            names[f"octets_{number}"] = counter.octets
        for number, meter in enumerate(self.meters.values()):
            names[f"meter_{number}"] = meter.execute
        return names

    def _micros(self) -> int:
        """Microseconds since the program was loaded."""
        return (self._clock() - self._started) // 1000

    def _colour(self, meter: Meter | None, size: int) -> int:
        return GREEN if meter is None else meter.colour(size, self._clock())

    def _digest(self, name: str, values: tuple[int, ...]) -> None:
        if self.digest_sink is not None:
            self.digest_sink(name, tuple(int(v) for v in values))


def _write_log(text: str, values: tuple[int, ...]) -> None:
    """``log_msg``: each ``{}`` is replaced by the next value."""
    parts = text.split("{}")
    shown = [str(int(v)) for v in values] + [""] * len(parts)
    _log.info("%s", "".join(p + v for p, v in zip(parts, shown, strict=False)))
