"""The invariants, one function each: a log in, violations out."""

from __future__ import annotations

import base64
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Final

from p4esp.invariants.headers import HEADER_IN_TRAILER, Flow, esp_at, fingerprint, read_flow
from p4esp.invariants.model import (
    ANY_PORT,
    CounterState,
    Log,
    Packet,
    Policy,
    Role,
    Rule,
    Sealed,
    Verdict,
    Violation,
    WindowState,
)

#: A secret this short may turn up in ciphertext by chance; only headers are searched for it.
SHORT_SECRET: Final = 8
#: Bytes of a frame that are headers, descriptor and IV included.
HEADER_PART: Final = 96
#: Where the text may begin, counted from the SPI: behind IV, the header of a format, and what
#: of the payload an SA shows; behind Diet-ESP's compressed header, at any octet up to the eighth.
_TEXT_AT: Final = (*range(2, 8), *range(0, 256, 4))
_TAIL: Final = 16
_ICV: Final = 16
_DROPPED: Final = "DROPPED"
_NO_REASON: Final = "NONE"


# --- clear text ----------------------------------------------------------------------------


def clear_text_out(log: Log) -> Iterator[Violation]:
    """No packet that policy protects leaves an unprotected port readable.

    But for the text of an SA that is configured to authenticate alone. What the controller sends
    (IKE, ARP) is its own and no concern of policy.
    """
    protected = _Fingerprints()
    in_force = _PoliciesInForce(log)
    for packet in log.packets:
        flow, policies = read_flow(packet.frame), in_force.at(packet)
        # Addresses alone are those of the same packet in transport mode.
        shown = flow is not None and flow.end > flow.l4_at
        if packet.inward and packet.role is Role.PROTECTED and flow and shown:
            protected.note(fingerprint(packet.frame, flow), _protects(policies, flow))
        if not packet.inward and packet.role is Role.UNPROTECTED:
            clear = flow is not None and _protects(policies, flow)
            yield from _clear_out(log, packet, flow if clear else None, protected)


class _PoliciesInForce:
    """The rules that hold for one packet after the other."""

    def __init__(self, log: Log) -> None:
        self._changes = deque(log.policies)
        self._now: tuple[Policy, ...] = ()

    def at(self, packet: Packet) -> tuple[Policy, ...]:
        """The rules for a packet; packets come in order."""
        while self._changes and self._changes[0][0] < packet.number:
            self._now = self._changes.popleft()[1]
        return self._now


def _clear_out(
    log: Log, packet: Packet, flow: Flow | None, protected: _Fingerprints
) -> Iterator[Violation]:
    """``flow`` is None for a packet that policy lets pass in clear."""
    if flow and not (_was_sealed(log, packet.frame, flow) or _is_controllers(log, packet, flow)):
        yield Violation(
            Rule.CLEAR_TEXT_OUT,
            packet.number,
            f"{flow.source} -> {flow.destination} protocol {flow.protocol} left port {packet.port}",
        )
    elif at := protected.find(_hidden_part(log, packet.frame)):
        yield Violation(
            Rule.CLEAR_TEXT_OUT,
            packet.number,
            f"port {packet.port} shows a protected packet's addresses and data at byte {at}",
        )


def _is_controllers(log: Log, packet: Packet, flow: Flow) -> bool:
    sent = fingerprint(packet.frame, flow)
    earlier = log.packets[: packet.number - 1]
    return any(p.inward and p.role is Role.CPU and sent in p.frame for p in earlier)


def _protects(policies: Sequence[Policy], flow: Flow) -> bool:
    """Whether the first rule that matches protects. A packet without ports may belong to any rule
    with ports: one that protects is enough, in front of a rule that matches in any case.
    """
    for policy in policies:
        if _matches(policy, flow):
            if policy.verdict is Verdict.PROTECT:
                return True
            if flow.source_port is not None or not _asks_ports(policy):
                return False
    return False


def _asks_ports(policy: Policy) -> bool:
    return (policy.source_ports, policy.destination_ports) != (ANY_PORT, ANY_PORT)


def _matches(policy: Policy, flow: Flow) -> bool:
    return (
        flow.source in policy.source
        and flow.destination in policy.destination
        and policy.protocol in (None, flow.protocol)
        and policy.ports_known in (None, flow.source_port is not None)
        and _in_range(flow.source_port, policy.source_ports)
        and _in_range(flow.destination_port, policy.destination_ports)
    )


def _in_range(port: int | None, bounds: tuple[int, int]) -> bool:
    return port is None or bounds[0] <= port <= bounds[1]


def _was_sealed(log: Log, frame: bytes, flow: Flow) -> bool:
    return _text_at(log, frame, flow) is not None


def _text_at(log: Log, frame: bytes, flow: Flow) -> int | None:
    """Where the text of an ESP packet starts that the engine sealed; None: it did not."""
    if (start := esp_at(frame, flow)) is None:
        return None
    ends = (start + end for end in _TEXT_AT)
    return next((at for at in ends if _text(frame, flow, at) in log.sealed_texts), None)


def _text(frame: bytes, flow: Flow, at: int) -> bytes:
    """Text and ICV; with the header in the trailer that stands between them."""
    if flow.protocol == HEADER_IN_TRAILER:
        return frame[at : flow.end - _TAIL - _ICV] + frame[flow.end - _ICV : flow.end]
    return frame[at : flow.end]


def _hidden_part(log: Log, frame: bytes) -> bytes:
    """What of a frame must not show anything: all but what its SA shows, and a text that its
    configuration lets be read.
    """
    flow = read_flow(frame)
    at = _text_at(log, frame, flow) if flow else None
    if flow is None or at is None:
        return frame
    text = log.sealed_texts[_text(frame, flow, at)]
    hidden = b"" if text.key in log.readable_keys else frame[at:]
    return frame[: at - text.shown] + bytes(text.shown) + hidden


def _any_at(frame: bytes, at: int, known: set[bytes]) -> bool:
    return any(frame[at : at + length] in known for length in {len(whole) for whole in known})


class _Fingerprints:
    """Fingerprints of protected packets, found again wherever a frame's headers may hide one."""

    _INDEX_LEN: Final = 8
    _SEARCHED: Final = slice(14, 200)

    def __init__(self) -> None:
        self._by_start: dict[bytes, set[bytes]] = {}

    def note(self, whole: bytes, protects: bool) -> None:
        """What policy says of a packet now; the same one may have been protected before."""
        known = self._by_start.setdefault(whole[: self._INDEX_LEN], set())
        if protects:
            known.add(whole)
        else:
            known.discard(whole)

    def find(self, frame: bytes) -> int | None:
        """Return where in ``frame`` one of them starts, None when none does."""
        for start, known in self._by_start.items():
            at = frame.find(start, self._SEARCHED.start, self._SEARCHED.stop)
            while at >= 0:
                if _any_at(frame, at, known):
                    return at
                at = frame.find(start, at + 1, self._SEARCHED.stop)
        return None


# --- nonces --------------------------------------------------------------------------------


def nonce_repeated(log: Log) -> Iterator[Violation]:
    """No IV is sealed twice under one key: of counter modes none may, of CBC none would."""
    first: dict[tuple[bytes, int], Sealed] = {}
    for sealed in log.sealed:
        earlier = first.setdefault((sealed.key, sealed.iv), sealed)
        if earlier is not sealed:
            yield Violation(
                Rule.NONCE_REPEATED,
                sealed.packet,
                f"key {sealed.key.hex()} IV {sealed.iv:#018x}, first after packet {earlier.packet}",
            )


# --- replay windows ------------------------------------------------------------------------


def window_moved(log: Log) -> Iterator[Violation]:
    """A window's top and marks change to numbers that were authenticated, and no others."""
    last: dict[int, WindowState] = {}
    for state in log.windows:
        before = None if state.fresh else last.get(state.space)
        last[state.space] = state
        yield from _window_step(before, state)


def _window_step(before: WindowState | None, state: WindowState) -> Iterator[Violation]:
    known = state.authenticated | (before.marked if before else frozenset())
    tops = known | {before.top if before else 0}
    if state.top not in tops:
        yield _window(state, f"top is {state.top}, which no authentic packet had")
    if before and state.top < before.top:
        yield _window(state, f"top went back from {before.top} to {state.top}")
    if unknown := sorted(state.marked - known):
        yield _window(state, f"numbers {unknown[:5]} are marked, no authentic packet had them")


def _window(state: WindowState, what: str) -> Violation:
    return Violation(Rule.WINDOW_MOVED, state.packet, f"space {state.space}: {what}")


# --- secrets -------------------------------------------------------------------------------


def secret_exposed(log: Log) -> Iterator[Violation]:
    """Key and salt bytes are in no packet, no message and no log."""
    for name, secret in log.secrets.items():
        forms = _written_forms(secret)
        for text in log.texts:
            if any(form in text.content or form in text.content.lower() for form in forms):
                yield Violation(Rule.SECRET_EXPOSED, None, f"{name} is in {text.where}")
        yield from _in_packets(log, name, secret)


def _written_forms(secret: bytes) -> tuple[bytes, ...]:
    plain = secret.hex()
    return (
        secret,
        plain.encode(),
        secret.hex(":").encode(),
        secret.hex(" ").encode(),
        base64.b64encode(secret).rstrip(b"="),
        repr(secret)[2:-1].encode(),
    )


def _in_packets(log: Log, name: str, secret: bytes) -> Iterator[Violation]:
    limit = HEADER_PART if len(secret) < SHORT_SECRET else None
    for packet in log.packets:
        if secret in packet.frame[:limit]:
            yield Violation(
                Rule.SECRET_EXPOSED, packet.number, f"{name} is in a frame of port {packet.port}"
            )


# --- counters ------------------------------------------------------------------------------


def uncounted_drop(log: Log) -> Iterator[Violation]:
    """Every dropped packet has a reason of its own name."""
    for before, after in pairwise(log.counters):
        dropped = after.outcomes.get(_DROPPED, 0) - before.outcomes.get(_DROPPED, 0)
        reasons = Counter(after.drops)
        reasons.subtract(before.drops)
        if nameless := reasons.pop(_NO_REASON, 0):
            yield _counter(Rule.UNCOUNTED_DROP, after, f"{nameless} drops have no reason")
        if (named := sum(reasons.values())) + nameless != dropped:
            what = f"{dropped} packets dropped, {named} of them by reason: {_shown(reasons)}"
            yield _counter(Rule.UNCOUNTED_DROP, after, what)


def counters_differ(log: Log) -> Iterator[Violation]:
    """Outcomes add up to the packets that entered, and all but drops left again."""
    for before, after in pairwise(log.counters):
        outcomes = Counter(after.outcomes)
        outcomes.subtract(before.outcomes)
        entered, left = after.entered - before.entered, after.left - before.left
        if (counted := sum(outcomes.values())) != entered:
            what = f"{entered} packets entered, {counted} counted: {_shown(outcomes)}"
            yield _counter(Rule.COUNTERS_DIFFER, after, what)
        if (sent := counted - outcomes[_DROPPED]) != left:
            what = f"{left} packets left, {sent} counted as sent: {_shown(outcomes)}"
            yield _counter(Rule.COUNTERS_DIFFER, after, what)
    yield from _engine_counters_differ(log)


def _engine_counters_differ(log: Log) -> Iterator[Violation]:
    for state in log.engine_counters:
        if (told := _shown(state.told)) != (seen := _shown(state.seen)):
            what = f"engine counted {told}, its port saw {seen}"
            yield Violation(Rule.COUNTERS_DIFFER, state.packet, what)


def _counter(rule: Rule, state: CounterState, what: str) -> Violation:
    return Violation(rule, state.packet, what)


def _shown(counts: Mapping[str, int]) -> str:
    pairs = sorted((name, count) for name, count in counts.items() if count)
    return ", ".join(f"{name} {count}" for name, count in pairs) or "nothing"


RULES: Final[tuple[Callable[[Log], Iterator[Violation]], ...]] = (
    clear_text_out,
    nonce_repeated,
    window_moved,
    secret_exposed,
    uncounted_drop,
    counters_differ,
)
