"""ike.handshakes: IKE_SA_INIT and IKE_AUTH between two endpoints in memory, both on one core."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial

from bench.ike_pair import Pair
from bench.load_tester import absence, handshakes_per_second
from bench.registry import Benchmark
from bench.row import Row
from bench.session import Session
from bench.timing import best_rates, cpu_rate
from bench.where_time_goes import CRYPTOGRAPHY, self_times

HANDSHAKES = 20
ROUNDS = 10
PEERS_ROUNDS = 3
SMALL_SHARE = 1.0
"""Percent below which a part of the code is not worth a row."""


def measure(session: Session) -> Iterator[Row]:
    """Both ends, then each alone by its own processor time, then where that time goes."""
    session.step("ike.handshakes")
    (best,) = best_rates([partial(cpu_rate, HANDSHAKES, _handshakes)], ROUNDS)
    yield _beside_charon(session, best)
    yield from _roles()
    yield from _parts(1 / best)


def _handshakes() -> None:
    pair = Pair()
    for _ in range(HANDSHAKES):
        pair.handshake()


def _beside_charon(session: Session, best: float) -> Row:
    name, unit = "ike.handshakes", "handshakes/s"
    if not session.peers or absence():
        return Row(name, best, unit, note=absence() if session.peers else "")
    session.step("ike.handshakes (charon)")
    peers = max(handshakes_per_second(session) for _ in range(PEERS_ROUNDS))
    return Row(name, best, unit, "charon", peers, "both ends, a second of processor time")


def _roles() -> Iterator[Row]:
    pairs = [Pair() for _ in range(ROUNDS)]
    for pair in pairs:
        for _ in range(HANDSHAKES):
            pair.handshake()
    roles = {
        "initiator": [pair.west.spent for pair in pairs],
        "responder": [pair.east.spent for pair in pairs],
    }
    for role, spent in roles.items():
        yield Row(f"ike.handshakes.{role}", HANDSHAKES / min(spent), "handshakes/s", note="alone")


def _parts(seconds: float) -> Iterator[Row]:
    """Shares of one handshake, which takes `seconds` when nobody looks."""
    _handshakes()
    times = self_times(_handshakes)
    crypto = 100 * times[CRYPTOGRAPHY] / HANDSHAKES / seconds
    yield Row("ike.handshakes.cryptography", crypto, "%", note="share of the time in its calls")
    yield from _shares({part: own for part, own in times.items() if part != CRYPTOGRAPHY}, crypto)


def _shares(times: Mapping[str, float], crypto: float) -> Iterator[Row]:
    """What is left, split as cProfile sees it; largest first."""
    whole = sum(times.values())
    for part, own in sorted(times.items(), key=lambda item: -item[1]):
        share = (100 - crypto) * own / whole
        if share >= SMALL_SHARE:
            yield Row(f"ike.handshakes.time.{part}", share, "%")


BENCHMARKS = (
    Benchmark("ike.handshakes", "handshakes/s", "INIT and AUTH between two endpoints", measure),
)
