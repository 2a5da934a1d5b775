"""ike.extensions: what extensions of IKE cost a handshake, and what optimized rekeys save."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields
from functools import partial
from typing import TYPE_CHECKING, Any

from bench.ike_pair import FIRST_SPI, Pair
from bench.registry import Benchmark
from bench.row import Row
from bench.session import Session
from bench.timing import best_rates, cpu_rate

if TYPE_CHECKING:
    from p4esp.ike.extension_wishes import ExtensionWishes

HANDSHAKES = 20
ROUNDS = 15
CREATE_CHILD_SA = 36


def measure(session: Session) -> Iterator[Row]:
    """One end has all of them and the other none; both have all."""
    session.step("ike.extensions")
    off = {"extensions": _wishes(wanted=False)}
    on = {"extensions": _wishes(wanted=True)}
    nothing: dict[str, Any] = {}
    kinds = (nothing, off), (on, off), (nothing, on)
    rounds = [partial(cpu_rate, HANDSHAKES, partial(_handshakes, *kind)) for kind in kinds]
    without, unused, used = best_rates(rounds, ROUNDS)
    for name, value in (("ike.extensions.unused", unused), ("ike.extensions.used", used)):
        yield Row(name, value, "handshakes/s", "without", without)
    yield from _rekeys()


def _wishes(*, wanted: bool) -> ExtensionWishes:
    from p4esp.ike.extension_wishes import ExtensionWishes

    switches = [field.name for field in fields(ExtensionWishes)]
    return ExtensionWishes(**dict.fromkeys(switches, wanted))


def _handshakes(west: dict[str, Any], both: dict[str, Any]) -> None:
    pair = Pair(west, **both)
    for _ in range(HANDSHAKES):
        pair.handshake()


def _rekeys() -> Iterator[Row]:
    """Octets of request and response together."""
    from p4esp.ike.extension_wishes import ExtensionWishes

    optimized = ExtensionWishes(pfs_info=True, optimized_rekey=True)
    regular, short = (_octets_of_rekeys(wishes) for wishes in (ExtensionWishes(), optimized))
    for what, before in regular.items():
        yield Row(f"ike.extensions.rekey.{what}.octets", short[what], "bytes", "regular", before)


def _octets_of_rekeys(wishes: ExtensionWishes) -> dict[str, int]:
    pair = Pair(extensions=wishes)
    pair.handshake()
    endpoint = pair.west.endpoint
    (ike,) = endpoint.ike_sas
    rekeys = {
        "child": lambda: endpoint.rekey_child(FIRST_SPI, 0.0),
        "ike": lambda: endpoint.rekey_ike(ike.spi, 0.0),
    }
    return {what: _octets_of(pair, rekey) for what, rekey in rekeys.items()}


def _octets_of(pair: Pair, rekey: Callable[[], None]) -> int:
    before = pair.octets[CREATE_CHILD_SA]
    rekey()
    pair.settle()
    return pair.octets[CREATE_CHILD_SA] - before


BENCHMARKS = (
    Benchmark("ike.extensions", "handshakes/s", "extensions of IKE, unused and used", measure),
)
