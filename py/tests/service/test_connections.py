"""Which children are tried, once at a time, and again when they are lost."""

import asyncio
from ipaddress import IPv4Address
from typing import Any

import pytest

from p4esp.ike.config import PeerConfig
from p4esp.ike.delete_reason import DeleteReason
from p4esp.ike.errors import CommandError
from p4esp.ike.events import IkeSaInfo
from p4esp.ike.path import Path, UdpAddress
from p4esp.ipsec.identity import Identity
from p4esp.service.connections import Connections
from p4esp.service.journal import Journal
from p4esp.service.reactions import reaction_to

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
        self.journal = Journal()
        self.refusing = False
        self.up = False
        self.now = 0.0
        self.pauses: list[float] = []
        self.hold = asyncio.Event()
        self.hold.set()
        nothing: Any = self
        self.connections = Connections(
            *("left", [PEER], nothing, nothing),
            journal=self.journal,
            sleep=self.sleep,
            clock=lambda: self.now,
            fraction=lambda: 0.0,
        )
        self.connections.keep_up([NET])

    def serves(self, peer: str, name: str) -> bool:
        return self.up

    def command(self, call: object) -> None:
        self.attempts += 1
        if self.refusing:
            raise CommandError("the IKE SA is being deleted")

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        await self.hold.wait()


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


async def test_each_failure_doubles_the_pause_up_to_a_cap(bench: Bench) -> None:
    bench.connections.start()
    for _ in range(9):
        bench.connections.attempt_failed(NET)
        await passed()
    assert bench.pauses == [5, 10, 20, 40, 80, 160, 300, 300, 300]
    assert bench.attempts == 10


async def test_a_child_that_lasts_makes_the_next_failure_a_first_one(bench: Bench) -> None:
    for _ in range(3):
        bench.connections.attempt_failed(NET)
    bench.connections.child_up(NET)
    bench.now += 60
    bench.connections.child_lost(NET, by_peer=True)
    await passed()
    bench.connections.attempt_failed(NET)
    await passed()
    assert bench.pauses[-2:] == [5, 5]


async def test_a_child_that_the_peer_takes_down_at_once_was_refused(bench: Bench) -> None:
    for _ in range(3):
        bench.connections.child_up(NET)
        bench.connections.child_lost(NET, by_peer=True)
        await passed()
    assert bench.pauses == [5, 10, 20]


async def test_traffic_does_not_cut_a_refusals_pause_short(bench: Bench) -> None:
    bench.hold.clear()
    bench.connections.attempt_failed(NET)
    for _ in range(100):
        bench.connections.bring_up(*NET)
    assert bench.attempts == 0
    bench.hold.set()
    await passed()
    assert bench.attempts == 1


async def test_a_child_that_nobody_keeps_up_is_tried_again_by_traffic_after_its_pause(
    bench: Bench,
) -> None:
    bench.connections.keep_up([])
    bench.connections.attempt_failed(NET)
    await passed()
    assert bench.attempts == 0
    bench.connections.bring_up(*NET)
    assert bench.attempts == 1


async def test_a_switch_that_is_back_lets_everything_be_tried_at_once(bench: Bench) -> None:
    bench.hold.clear()
    for _ in range(5):
        bench.connections.attempt_failed(NET)
    bench.connections.start()
    assert bench.attempts == 1


async def test_the_end_of_a_child_that_was_never_installed_does_not_count_twice(
    bench: Bench,
) -> None:
    """Installation fails: the attempt failed, and IKE's child SA is deleted after that."""
    for _ in range(2):
        bench.connections.attempt_failed(NET)
        bench.connections.child_lost(NET)
        await passed()
    assert bench.pauses == [5, 10]


async def test_an_attempt_that_ike_does_not_take_is_made_again(bench: Bench) -> None:
    """The peer's IKE SA may be on its way out."""
    bench.refusing = True
    bench.connections.start()
    bench.refusing = False
    await passed()
    assert bench.attempts == 2


def ike_of(peer: str) -> IkeSaInfo:
    ends = UdpAddress(PEER.local, 500), UdpAddress(PEER.remote, 500)
    return IkeSaInfo(b"8 octets", bytes(8), peer, True, Path(*ends))


async def test_children_of_one_peer_share_the_ike_sa_that_is_being_made(bench: Bench) -> None:
    """RFC 7296 2.4: a second IKE SA with INITIAL_CONTACT would end the first one at the peer."""
    bench.connections.keep_up([NET, ("right", "other"), ("right", "third")])
    bench.connections.start()
    assert bench.attempts == 1
    bench.connections.ike_up(ike_of("right"))
    assert bench.attempts == 3
    bench.connections.ike_up(ike_of("right"))
    assert bench.attempts == 3


async def test_a_child_that_waits_for_an_ike_sa_fails_with_it(bench: Bench) -> None:
    bench.connections.keep_up([NET, ("right", "other")])
    bench.connections.start()
    bench.connections.peer_failed("right")
    bench.connections.ike_up(ike_of("right"))
    assert bench.attempts == 1
    await passed()
    assert bench.attempts == 3


def lost(bench: Bench, told: DeleteReason) -> None:
    bench.connections.child_up(NET)
    bench.connections.child_lost(NET, by_peer=True, told=told)


@pytest.mark.parametrize(
    ("told", "pauses"),
    [
        (DeleteReason(1), [5]),
        (DeleteReason(2), [5]),
        (DeleteReason(3), []),
        (DeleteReason(4), [3600]),
        (DeleteReason(5), [5]),
        (DeleteReason(6), [3600]),
        (DeleteReason(7), []),
        (DeleteReason(8), [5]),
        (DeleteReason(9), [5]),
        (DeleteReason(10), [5]),
        (DeleteReason(65280), [5]),
        (DeleteReason(text="come back at once"), [5]),
        (DeleteReason(downtime=60), [60]),
        (DeleteReason(downtime=60_000), [3600]),
    ],
    ids=str,
)
async def test_the_pause_follows_from_why_the_peer_deleted_it(
    bench: Bench, told: DeleteReason, pauses: list[float]
) -> None:
    bench.hold.clear()
    lost(bench, told)
    await passed()
    assert bench.pauses == pauses
    assert bench.connections.told == {"right": told}


@pytest.mark.parametrize("told", [DeleteReason(3), DeleteReason(6), DeleteReason(downtime=60)])
async def test_what_is_held_is_not_tried_for_traffic_either(
    bench: Bench, told: DeleteReason
) -> None:
    bench.hold.clear()
    lost(bench, told)
    bench.connections.bring_up(*NET)
    assert bench.attempts == 0
    assert bench.connections.held == ["right/net"]


async def test_what_is_idle_comes_back_when_traffic_asks(bench: Bench) -> None:
    lost(bench, DeleteReason(7))
    await passed()
    assert bench.attempts == 0
    bench.connections.bring_up(*NET)
    assert bench.attempts == 1


async def test_a_restart_never_counts_as_a_refusal(bench: Bench) -> None:
    for _ in range(4):
        lost(bench, DeleteReason(2))
        await passed()
    assert bench.pauses == [5, 5, 5, 5]


async def test_a_shutdown_is_tried_less_and_less_often(bench: Bench) -> None:
    for _ in range(3):
        lost(bench, DeleteReason(1))
        await passed()
    assert bench.pauses == [5, 10, 20]


async def test_what_is_replaced_already_is_left_alone(bench: Bench) -> None:
    bench.connections.child_up(NET)
    bench.up = True
    bench.connections.child_lost(NET, told=DeleteReason(9))
    await passed()
    assert bench.attempts == 0


async def test_a_standby_raises_one_alert_and_ends_when_the_peer_comes_back(bench: Bench) -> None:
    bench.hold.clear()
    lost(bench, DeleteReason(6, "until Monday"))
    (alert,) = bench.journal.entries
    assert str(alert) == (
        "left: ALERT, deleted by the peer right/net: ADMINISTRATIVELY_DOWN, “until Monday”"
    )
    bench.connections.child_up(NET)
    assert bench.connections.held == []


async def test_an_attempt_under_way_heeds_it_too(bench: Bench) -> None:
    bench.hold.clear()
    bench.connections.start()
    bench.connections.peer_failed("right", DeleteReason(6))
    await passed()
    assert bench.pauses == [3600]
    assert bench.connections.held == ["right/net"]


def test_a_downtime_is_spread_by_a_tenth_at_most() -> None:
    reactions = [reaction_to(DeleteReason(downtime=100), share) for share in (0.0, 0.5)]
    assert [one.pause for one in reactions if one is not None] == [100, pytest.approx(105)]


async def test_a_reason_for_the_end_of_an_old_child_does_not_double_the_attempt_at_a_new_one(
    bench: Bench,
) -> None:
    """What the peer says of an SA says nothing of the one that is being made."""
    bench.connections.start()
    bench.connections.child_lost(NET, by_peer=True, told=DeleteReason(2))
    await passed()
    assert bench.pauses == [5]
    assert bench.attempts == 1


async def test_a_child_that_waits_for_an_ike_sa_is_made_once_under_it(bench: Bench) -> None:
    bench.connections.start()
    bench.connections.bring_up("right", "other")
    bench.connections.attempt_failed(("right", "other"))
    await passed()
    bench.connections.bring_up("right", "other")
    ends = UdpAddress(PEER.local, 500), UdpAddress(IPv4Address("192.0.2.2"), 500)
    bench.connections.ike_up(IkeSaInfo(b"8 octets", b"of peer!", "right", True, Path(*ends)))
    assert bench.attempts == 2
