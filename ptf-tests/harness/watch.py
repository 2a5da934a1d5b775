"""Holds every test against the project's invariants (``p4esp.invariants``).

What went in and out of the switch, what the engine was asked and answered, and how the counters
and windows changed, is kept from ``start`` on and judged once at the end of the test.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from p4esp.engine.datapath import SealEvent
from p4esp.invariants import Policy, Recorder, Role
from p4esp.invariants.recorder import marked_numbers

from harness import topology
from harness import vectors as vec
from harness.counters import Snapshot
from harness.esp import Key
from harness.ids import CPU_PORT, CRYPTO_PORT, Drop, Op, Outcome, Punt
from harness.recorder import with_header

ROLES = {
    topology.PROTECTED: Role.PROTECTED,
    topology.PROTECTED_VLAN: Role.PROTECTED,
    topology.UNPROTECTED: Role.UNPROTECTED,
    topology.UNPROTECTED_VLAN: Role.UNPROTECTED,
    topology.UNCONFIGURED: Role.PROTECTED,
    topology.NO_INTERFACE: Role.PROTECTED,
    CRYPTO_PORT: Role.CRYPTO,
    CPU_PORT: Role.CPU,
}

SECRETS = {
    "key": vec.KEY.secret,
    "salt": vec.SALT,
    "ChaCha key": vec.CHACHA_KEY.secret,
}

SEEN_INSIDE = "shows a protected packet's addresses and data"

Event = Callable[[Recorder], object]


class Watch:
    """The events of one test, in order."""

    def __init__(self) -> None:
        self._events: list[Event] = []

    def start(self) -> None:
        """Forgets the test before."""
        self._events.clear()

    def policy(self, rules: Sequence[Policy]) -> None:
        """The outbound rules that the switch holds from now on, the first one that fits first."""
        self._add(lambda r: r.policy(rules))

    def batch(
        self, stimuli: Sequence[Any], frames: Sequence[Any], packet_ins: Sequence[Any]
    ) -> None:
        """One pass of the pipeline over a batch."""
        for stimulus in stimuli:
            self._entered(stimulus)
        for frame in frames:
            self._left(frame.port, frame.data)
        for packet in packet_ins:
            self._left(CPU_PORT, with_header(packet))

    def exchanged(self, request: bytes, reply: bytes | None) -> None:
        """A request that reached an engine, and its answer."""
        self._add(lambda r: r.exchanged(request, reply))

    def sealed(self, handle: int, key: Key, space: int, iv: bytes) -> None:
        """A nonce that the engine has used: under whichever handle, it is the key that counts."""
        event = SealEvent(handle, space, key.name, int.from_bytes(iv))
        self._add(lambda r: r.sealed(event))
        self._add(lambda r: r.secret(f"key {key.name.hex()}", key.secret))

    def wrote(self, content: bytes) -> None:
        """A P4Runtime write."""
        self._add(lambda r: r.text("a P4Runtime write", content))

    def counted(self, state: Snapshot) -> None:
        """The counters as they stand.  A dropped packet that is reported leaves by the CPU port."""
        drops = {reason.name: state.drops[reason] for reason in Drop}
        outcomes = {outcome.name: state.outcomes[outcome] for outcome in Outcome}
        reported = sum(state.punts[reason] for reason in Punt) - outcomes["PUNTED"]
        for reason in (Punt.ACQUIRE, Punt.TTL, Punt.NO_NEIGHBOUR, Punt.TOO_BIG):
            drops[reason.name] -= state.punts[reason]
        drops[Drop.OUTER_FRAGMENT.name] -= state.punts[Punt.FRAGMENT]
        outcomes["DROPPED"] -= reported
        outcomes["REPORTED"] = reported
        self._add(lambda r: r.counters(outcomes, drops))

    def window(self, space: int, top: int, cells: Iterable[int]) -> None:
        """A window as it was read back."""
        marked = marked_numbers((cell >> 32, cell & 0xFFFFFFFF) for cell in cells)
        self._add(lambda r: r.window(space, top, marked))

    def broken(self, *, shows_payload: bool = False) -> list[str]:
        """The invariants that the test has broken.  ``shows_payload``: nothing is encrypted, so
        protected packets may be seen in ESP; what left without ESP is still a violation."""
        recorder = Recorder(ROLES)
        for name, value in SECRETS.items():
            recorder.secret(name, value)
        for event in self._events:
            event(recorder)
        found = [str(violation) for violation in recorder.violations()]
        return [text for text in found if not (shows_payload and SEEN_INSIDE in text)]

    def _entered(self, stimulus: Any) -> None:
        if not hasattr(stimulus, "op"):
            self._add(lambda r: r.entered(stimulus.port, stimulus.data))
            return
        self._add(lambda r: r.entered(CPU_PORT, with_header(stimulus)))
        if stimulus.op == Op.SCRUB_TOP:
            self._add(lambda r: r.scrubbed(stimulus.index))

    def _left(self, port: int, data: bytes) -> None:
        self._add(lambda r: r.left(port, data))

    def _add(self, event: Event) -> None:
        self._events.append(event)
