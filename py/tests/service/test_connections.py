"""Which children are tried, once at a time, and again when they are lost."""

import asyncio
from ipaddress import IPv4Address
from typing import Any

import pytest

from p4esp.ike.config import PeerConfig
from p4esp.ipsec.identity import Identity
from p4esp.service.connections import Connections
from p4esp.service.journal import Journal

NET = ("right", "net")
PEER = PeerConfig(
    "right",
    Identity.parse("left.example"),
    Identity.parse("right.example"),
    b"secret",
    IPv4Address("192.0.2.1"),
    IPv4Address("192.0.2.2"),
)


class Bench:
    """Connections whose attempts are only counted; time passes at once."""

    def __init__(self) -> None:
        self.attempts = 0
        self.up = False
        nothing: Any = self
        self.connections = Connections(
            "left", [PEER], nothing, nothing, journal=Journal(), sleep=self.sleep
        )
        self.connections.keep_up([NET])

    def serves(self, peer: str, name: str) -> bool:
        return self.up

    def command(self, call: object) -> None:
        self.attempts += 1

    async def sleep(self, seconds: float) -> None:
        return


@pytest.fixture
def bench() -> Bench:
    return Bench()


async def passed() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


async def test_an_attempt_that_fails_is_made_again(bench: Bench) -> None:
    bench.connections.start()
    bench.connections.attempt_failed(NET)
    await passed()
    assert bench.attempts == 2


async def test_an_attempt_ends_with_its_ike_sa(bench: Bench) -> None:
    bench.connections.start()
    bench.connections.peer_failed("right")
    await passed()
    assert bench.attempts == 2


async def test_the_end_of_an_old_child_does_not_double_the_attempt_at_a_new_one(
    bench: Bench,
) -> None:
    """After its switch lost its registers a gateway deletes a child and makes another at once."""
    bench.connections.start()
    bench.connections.child_lost(NET)
    bench.connections.bring_up(*NET)
    await passed()
    assert bench.attempts == 1


async def test_a_child_that_is_lost_is_made_again_once_it_was_up(bench: Bench) -> None:
    bench.connections.start()
    bench.connections.child_up(NET)
    bench.connections.child_lost(NET)
    await passed()
    assert bench.attempts == 2
