"""Collects what a test, a PTF run or the demo sees of one switch and its engine."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping

from p4esp.engine.datapath import SealEvent
from p4esp.engine.descriptor import (
    AUTHENTIC_BIT,
    BASE,
    CryptoFrame,
    Descriptor,
    Flag,
    Op,
    Status,
)
from p4esp.invariants.model import (
    CounterState,
    EngineCounters,
    InvariantError,
    Log,
    Packet,
    Policy,
    Role,
    Sealed,
    SealedText,
    Text,
    Violation,
    WindowState,
)
from p4esp.invariants.rules import RULES

Answer = Callable[[bytes], bytes | None]
_SPACE = 0xFFFF
"""Of what a descriptor has as space; above it a request to open Diet-ESP names its template."""


class Recorder:
    """One switch: its port roles, its outbound policies and everything that happened.

    Rules for which nothing was recorded hold. Packets must be recorded completely, CPU and
    crypto port included, before ``counters`` can be compared with them.
    """

    def __init__(self, roles: Mapping[int, Role], policies: Iterable[Policy] = ()) -> None:
        self._roles = dict(roles)
        self._log = Log()
        self._moved: Counter[bool] = Counter()
        self._replies: Counter[str] = Counter()
        self._authenticated: dict[int, set[int]] = {}
        self._fresh: set[int] = set()
        self.policy(policies)

    def policy(self, policies: Iterable[Policy]) -> None:
        """Record the rules that hold from now on, instead of those before."""
        self._log.policies.append((self._now, tuple(policies)))

    # --- packets ---------------------------------------------------------------------------

    def entered(self, port: int, frame: bytes) -> int:
        """Record a frame that entered the switch; returns its packet number (from 1)."""
        return self._packet(port, frame, inward=True)

    def left(self, port: int, frame: bytes) -> int:
        """Record a frame that left the switch; returns its packet number."""
        return self._packet(port, frame, inward=False)

    def _packet(self, port: int, frame: bytes, *, inward: bool) -> int:
        if port not in self._roles:
            raise KeyError(f"port {port} has no role; known: {sorted(self._roles)}")
        number = len(self._log.packets) + 1
        self._log.packets.append(Packet(number, port, self._roles[port], inward, frame))
        self._moved[inward] += 1
        return number

    # --- engine ----------------------------------------------------------------------------

    def watch(self, answer: Answer) -> Answer:
        """Wrap an engine's ``process``: what it authenticated and sealed is then known."""

        def watched(frame: bytes) -> bytes | None:
            reply = answer(frame)
            self.exchanged(frame, reply)
            return reply

        return watched

    def exchanged(self, request: bytes, reply: bytes | None) -> None:
        """Record a frame the engine got and what it returned.

        Call it where the engine is, not at the switch port: a forged reply is no exchange.
        """
        if reply is None:
            self._replies["not_a_request"] += 1
            return
        answered = CryptoFrame.decode(reply)
        status = answered.descriptor.status
        self._replies[Status(status).name] += 1
        asked = CryptoFrame.decode(request).descriptor
        if asked.op == Op.OPEN and (status == Status.DONE or status & AUTHENTIC_BIT):
            space = asked.space & _SPACE
            self._authenticated.setdefault(space, set()).add(asked.seq)
        if asked.op == Op.SEAL and status == Status.DONE:
            text = SealedText(asked.key, _shown(asked))
            self._log.sealed_texts[reply[BASE + asked.ct_off :]] = text

    def readable(self, handle: int) -> None:
        """Say that a key's transform authenticates alone: its packets show what they carry."""
        self._log.readable_keys.add(handle)

    def sealed(self, event: SealEvent) -> None:
        """Record a used IV; pass it as ``Engine(on_sealed=recorder.sealed)``."""
        self._log.sealed.append(Sealed(self._now, event.key_id, event.iv))

    def engine_counters(self, replies: Mapping[str, int], not_a_request: int) -> None:
        """Compare an engine's own counters, since its start, with the exchanges recorded."""
        told = {**replies, "not_a_request": not_a_request}
        self._log.engine_counters.append(EngineCounters(self._now, told, dict(self._replies)))

    # --- replay windows --------------------------------------------------------------------

    def window(self, space: int, top: int, marked: Iterable[int]) -> None:
        """Record a replay window as read from the switch: top and numbers marked received."""
        known = frozenset(self._authenticated.get(space, ()))
        fresh = space in self._fresh
        self._fresh.discard(space)
        self._log.windows.append(
            WindowState(self._now, space, top, frozenset(marked), known, fresh)
        )

    def scrubbed(self, space: int) -> None:
        """Record that the controller cleared a space: its next window starts a new history."""
        self._authenticated.pop(space, None)
        self._fresh.add(space)

    # --- counters and logs -----------------------------------------------------------------

    def counters(self, outcomes: Mapping[str, int], drops: Mapping[str, int]) -> None:
        """Record the switch's counters: packets by outcome, dropped packets by reason.

        Two records are compared with the packets between them, so make one at the start.
        """
        entered, left = self._moved[True], self._moved[False]
        self._log.counters.append(
            CounterState(self._now, entered, left, dict(outcomes), dict(drops))
        )

    def secret(self, name: str, value: bytes | bytearray) -> None:
        """Name key material that must show up nowhere; at least four bytes."""
        if len(value) < 4:
            raise ValueError(f"secret {name} of {len(value)} bytes would be found by chance")
        self._log.secrets[name] = bytes(value)

    def text(self, where: str, content: bytes | str) -> None:
        """Record a log, a P4Runtime message or a file to be searched for secrets."""
        raw = content.encode() if isinstance(content, str) else content
        self._log.texts.append(Text(where, raw))

    # --- verdict ---------------------------------------------------------------------------

    def violations(self) -> list[Violation]:
        """Return every broken rule, rule by rule in the order of what was recorded."""
        return [violation for rule in RULES for violation in rule(self._log)]

    def assert_none(self) -> None:
        """Raise InvariantError when a rule was broken."""
        if found := self.violations():
            raise InvariantError("\n".join(map(str, found)))

    @property
    def _now(self) -> int:
        return len(self._log.packets)


def marked_numbers(cells: Iterable[tuple[int, int]]) -> frozenset[int]:
    """Return the sequence numbers that replay cells (tag, bits) mark as received.

    A cell holds block ``tag`` of 32 numbers (design, section 4); untouched cells are (0, 0).
    """
    return frozenset(tag << 5 | bit for tag, bits in cells for bit in range(32) if bits >> bit & 1)


def _shown(asked: Descriptor) -> int:
    """Octets between IV and text."""
    if not asked.flags & Flag.SHOWN:
        return 0
    return asked.ct_off - asked.aad_off - asked.aad_len - asked.iv_len
