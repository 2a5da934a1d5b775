"""The embedded switch as its users see it: load a program, write its state, pass packets."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Protocol, TypeVar

from p4esp.switch import compiled, ir
from p4esp.switch.codegen.pipeline import Generated, generate
from p4esp.switch.entries import ErrorCode, TableError
from p4esp.switch.errors import LoadError
from p4esp.switch.program import ProgramSpec
from p4esp.switch.runtime.arrays import Counters, Registers
from p4esp.switch.runtime.meters import Meters
from p4esp.switch.runtime.profiles import Profile
from p4esp.switch.runtime.state import DigestSink, State
from p4esp.switch.runtime.tables import Table

Packets = list[tuple[int, bytes]]
BurstSink = Callable[[list[bytes]], None]
"""Takes what left one port in one burst, oldest first."""

_T = TypeVar("_T")


class Process(Protocol):
    """The generated function."""

    def __call__(self, port: int, data: bytes) -> Packets: ...


class Device:
    """A v1model switch.

    ``clock`` gives nanoseconds and never runs backwards; ``rng`` serves P4's ``random``.  Packets
    and control calls must come from one thread.  State calls raise ``TableError`` NOT_FOUND for a
    name that the program does not have, and for any name before the first ``load``.
    """

    def __init__(self, clock: Callable[[], int], rng: random.Random) -> None:
        self._clock, self._rng = clock, rng
        self._program: ir.Program | None = None
        self._state: State | None = None
        self._generated: Generated | None = None
        self._traced: Generated | None = None
        self._sinks: dict[int, BurstSink] = {}
        self._digest_sink: DigestSink | None = None
        self._sessions: dict[int, tuple[tuple[tuple[int, int], ...], int]] = {}
        self.unattached: Counter[int] = Counter()
        self.process: Process = _no_program
        """``process(port, packet)`` runs a packet to completion and returns (port, packet) pairs:
        the fast path.  Replaced by ``load``: take it anew after one."""

    # ------------------------------------------------------------ program

    @property
    def program(self) -> ProgramSpec | None:
        """Names and shapes of the loaded program, ``None`` before the first ``load``."""
        return None if self._state is None else self._state.spec

    @property
    def faults(self) -> Mapping[str, int]:
        """How often the program did what the switch had to ignore, by description."""
        return {} if self._state is None else self._state.faults

    @property
    def source(self) -> str:
        """The generated Python, for reading."""
        return "" if self._generated is None else self._generated.functions.text()

    def load(self, json_bytes: bytes) -> None:
        """Replaces the program and all its state; raises ``LoadError`` and changes nothing."""
        try:
            self._begin(compiled.read(json_bytes), compiled.written(json_bytes))
        except (RecursionError, SyntaxError):
            raise LoadError("program", "program", "is nested too deeply") from None

    def restart(self) -> None:
        """Empties all state of the loaded program, as ``load`` does."""
        if self._program is None or self._generated is None:
            raise TableError(ErrorCode.NOT_FOUND, "no program is loaded")
        self._begin(self._program, self._generated)

    def _begin(self, program: ir.Program, generated: Generated) -> None:
        state = State(program, self._clock, self._rng)
        process = link(generated, state)
        if program is not self._program:
            self._traced = None
        self._program, self._generated, self._state = program, generated, state
        self._sessions = {}
        state.digest_sink = self._digest_sink
        self.process = process

    def traced(self, trace: object) -> Process:
        """The same program on the same state, reporting each step to ``trace``.

        ``trace`` has the methods of ``p4esp.switch.trace.Recorder``.
        """
        if self._program is None or self._state is None:
            raise TableError(ErrorCode.NOT_FOUND, "no program is loaded")
        if self._traced is None:
            self._traced = generate(self._program, traced=True)
        return link(self._traced, self._state, {"trace": trace})

    def error_name(self, code: int) -> str:
        """The P4 name of a parser error number."""
        errors = {} if self._program is None else self._program.errors
        return next((name for name, number in errors.items() if number == code), str(code))

    # ------------------------------------------------------------ state

    def table(self, name: str) -> Table:
        """A table by its full name."""
        return self._find("table", name, lambda s: s.tables)

    def action_profile(self, name: str) -> Profile:
        """An action profile or selector."""
        return self._find("action profile", name, lambda s: s.profiles)

    def counter_array(self, name: str) -> Counters:
        """An indexed counter."""
        return self._find("counter", name, lambda s: s.counters)

    def meter_array(self, name: str) -> Meters:
        """An indexed meter."""
        return self._find("meter", name, lambda s: s.meters)

    def register_array(self, name: str) -> Registers:
        """A register array."""
        return self._find("register", name, lambda s: s.registers)

    def _find(self, kind: str, name: str, pick: Callable[[State], Mapping[str, _T]]) -> _T:
        found = None if self._state is None else pick(self._state).get(name)
        if found is None:
            raise TableError(ErrorCode.NOT_FOUND, f"the program has no {kind} {name}")
        return found

    # ------------------------------------------------------------ replication

    def set_clone_session(
        self, session_id: int, replicas: Iterable[tuple[int, int]], packet_length: int = 0
    ) -> None:
        """Sends clones of a session to (port, instance) pairs, cut to ``packet_length`` if > 0."""
        ports = tuple(replicas)
        self._sessions[session_id] = (ports, packet_length)
        copies = tuple((port, instance, packet_length) for port, instance in ports)
        self._loaded().clones[session_id] = copies

    def delete_clone_session(self, session_id: int) -> None:
        """Forgets a session; NOT_FOUND."""
        if self._loaded().clones.pop(session_id, None) is None:
            raise TableError(ErrorCode.NOT_FOUND, f"no clone session {session_id}")
        del self._sessions[session_id]

    def clone_sessions(self) -> Iterator[tuple[int, tuple[tuple[int, int], ...], int]]:
        """All sessions: (id, (port, instance) pairs, packet length)."""
        return iter([(i, ports, length) for i, (ports, length) in self._sessions.items()])

    def set_multicast_group(self, group_id: int, replicas: Iterable[tuple[int, int]]) -> None:
        """Sends packets of a group to (port, instance) pairs."""
        self._loaded().groups[group_id] = tuple(replicas)

    def delete_multicast_group(self, group_id: int) -> None:
        """Forgets a group; NOT_FOUND."""
        if self._loaded().groups.pop(group_id, None) is None:
            raise TableError(ErrorCode.NOT_FOUND, f"no multicast group {group_id}")

    def multicast_groups(self) -> Iterator[tuple[int, tuple[tuple[int, int], ...]]]:
        """All groups: (id, (port, instance) pairs)."""
        return iter(list(self._loaded().groups.items()))

    def _loaded(self) -> State:
        if self._state is None:
            raise TableError(ErrorCode.NOT_FOUND, "no program is loaded")
        return self._state

    def on_digest(self, callback: DigestSink | None) -> None:
        """Registers who gets digests: ``callback(name, field values)``."""
        self._digest_sink = callback
        if self._state is not None:
            self._state.digest_sink = callback

    # ------------------------------------------------------------ packets

    def attach(self, port: int, sink: Callable[[bytes], None]) -> None:
        """Calls ``sink`` with every packet that leaves through ``port``."""

        def one_by_one(packets: list[bytes]) -> None:
            for packet in packets:
                sink(packet)

        self._sinks[port] = one_by_one

    def attach_burst(self, port: int, sink: BurstSink) -> None:
        """Calls ``sink`` once for all that leaves through ``port`` in one burst."""
        self._sinks[port] = sink

    def detach(self, port: int) -> None:
        """Undoes ``attach`` and ``attach_burst``."""
        self._sinks.pop(port, None)

    def inject(self, port: int, packet: bytes) -> None:
        """Runs a packet to completion, recirculation and clones included, into the port sinks.

        What leaves through a port without a sink is dropped and counted in ``unattached``.
        """
        self.inject_burst(port, (packet,))

    def inject_burst(self, port: int, packets: Sequence[bytes]) -> None:
        """Runs each packet to completion in turn, then hands every sink what left its port.

        The order of packets that leave through the same port is kept.  As all packets run before
        any sink is called, a sink that injects again (an engine) works on the burst as well: each
        stage keeps its code and data in the processor's caches.
        """
        process = self.process
        leaving: dict[int, list[bytes]] = {}
        for packet in packets:
            for out_port, out_packet in process(port, packet):
                if out_port in leaving:
                    leaving[out_port].append(out_packet)
                else:
                    leaving[out_port] = [out_packet]
        self._hand_out(leaving)

    def _hand_out(self, leaving: dict[int, list[bytes]]) -> None:
        for port, packets in leaving.items():
            sink = self._sinks.get(port)
            if sink is None:
                self.unattached[port] += len(packets)
            else:
                sink(packets)


def link(generated: Generated, state: State, more: Mapping[str, object] | None = None) -> Process:
    """Executes generated code on run-time state; returns its ``process``."""
    namespace = state.namespace() | generated.constants | dict(more or {})
    exec(generated.functions.compile(), namespace)
    process: Process = namespace["process"]  # type: ignore[assignment]
    return process


def _no_program(port: int, data: bytes) -> Packets:
    """A switch without a program drops everything."""
    return []
