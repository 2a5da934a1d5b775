"""Which SA serves which bucket of a set whose SAs have shares; and when SAs are asked for."""

import asyncio
from collections.abc import Callable, Collection
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from controller_samples import CHILD as SA
from hypothesis import given
from hypothesis import strategies as st

from p4esp.controller.numbers import Spread
from p4esp.controller.share_plans import SharePlan
from p4esp.controller.share_sets import BUCKETS, WANTING, Division, ShareSet
from p4esp.controller.shares import Shares
from p4esp.ike.constants import NotifyType
from p4esp.ike.events import ChildFailed, DownReason
from p4esp.ike.extensions.resources import name_of_resource
from p4esp.ipsec.sa import EVERYTHING, ChildSaParams, Share
from p4esp.service.journal import Journal

RESOURCES = 4
EAGER, ON_DEMAND = Division(RESOURCES), Division(RESOURCES, on_demand=True)
VOICE = (46,)


def of(number: int, dscps: tuple[int, ...] = ()) -> Share:
    return Share(name_of_resource(number), dscps)


shares = st.builds(of, st.integers(0, RESOURCES - 1), st.sampled_from([(), VOICE, (34, 36)]))
steps = st.lists(
    st.tuples(st.booleans(), st.integers(0, 9), st.one_of(st.just(Share()), shares), st.booleans()),
    max_size=30,
)


@given(steps, st.sampled_from([EAGER, ON_DEMAND]))
def test_moves_are_what_changes_and_every_bucket_has_one_with_a_claim_if_there_is_one(
    todo: Any, division: Division
) -> None:
    made, present = ShareSet(1, Spread.DSCP, division), {}
    for joins, sa, share, now in todo:
        before = list(made.owner)
        if joins and sa not in present:
            moves, present[sa] = made.take(sa, share, now=now), share
        else:
            moves = made.lose(sa)
            present.pop(sa, None)
        changed = {at for at in range(BUCKETS) if made.owner[at] != before[at]}
        assert changed == moves.keys()
        for bucket, owner in enumerate(made.owner):
            claims = [sa for sa, share in present.items() if _claims(share, bucket)]
            nobody = WANTING if division.on_demand else None
            assert owner in (claims or [nobody])


def _claims(share: Share, bucket: int) -> bool:
    mine = share.resource is None or share == of(bucket % RESOURCES, share.dscps)
    return share.partial and mine and (not share.dscps or bucket in share.dscps)


def test_a_class_comes_before_a_resource_and_both_together_before_a_class() -> None:
    made = ShareSet(1, Spread.DSCP, EAGER)
    made.take(1, of(46 % RESOURCES), now=True)
    made.take(2, Share(dscps=VOICE), now=True)
    assert made.owner[46] == 2
    assert made.take(3, of(46 % RESOURCES, VOICE), now=True) == {46: (2, 3)}
    assert made.lose(3) == {46: (3, 2)}


def test_of_two_for_one_resource_the_one_that_sends_at_once_serves_and_the_other_follows() -> None:
    made = ShareSet(1, Spread.FLOW, EAGER)
    made.take(1, of(0), now=True)
    assert made.take(2, of(0), now=False) == {}
    assert set(made.take(3, of(0), now=True)) == set(range(0, BUCKETS, RESOURCES))
    made.lose(3)
    made.lose(1)
    assert {made.owner[at] for at in range(0, BUCKETS, RESOURCES)} == {2}


def test_what_is_wanted_no_more_is_silent_until_it_is_wanted_again() -> None:
    made = ShareSet(1, Spread.FLOW, ON_DEMAND)
    assert set(made.owner) == {WANTING}
    assert set(made.want((1,), wanting=False).values()) == {(WANTING, None)}
    made.take(7, of(1), now=True)
    assert made.want((1,), wanting=True) == {}
    assert set(made.lose(7).values()) == {(7, WANTING)}


# When SAs are asked for

CHILD = ("east", "net")


class Bench:
    """Shares of one child, with time and peer in the hands of the test."""

    def __init__(self, plan: SharePlan) -> None:
        self.asked: list[Share] = []
        self.armed: list[tuple[tuple[int, ...], bool]] = []
        self.deleted: list[int] = []
        self.sas: dict[int, ChildSaParams] = {}
        self.sleeping: list[tuple[float, asyncio.Future[None]]] = []
        self.now, self.ike = 0.0, b"ike"
        self.brought_up = 0
        self.shares = Shares(
            "west",
            {CHILD: plan},
            self,
            self,  # type: ignore[arg-type]
            lambda _: self.ike or None,
            arming=self,
            bring_up=self._bring_up,
            journal=Journal(),
            sleep=self._sleep,
            clock=lambda: self.now,
            fraction=lambda: 0.0,
        )

    def _bring_up(self, *_: str) -> None:
        self.brought_up += 1

    def negotiated_of(self, peer: str, name: str) -> Collection[ChildSaParams]:
        return list(self.sas.values())

    async def arm(self, _: Any, resources: Collection[int], *, wanting: bool) -> None:
        self.armed.append((tuple(resources), wanting))

    def command(self, call: Callable[[Any, float], None]) -> None:
        call(SimpleNamespace(create_child=self._create, delete_child=self._delete), self.now)

    def _create(self, ike: bytes, name: str, now: float, *, share: Share) -> None:
        self.asked.append(share)

    def _delete(self, spi: int, now: float, *, reason: DownReason) -> None:
        assert reason is DownReason.IDLE
        self.deleted.append(spi)

    async def _sleep(self, seconds: float) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.sleeping.append((seconds, future))
        await future

    async def wake(self) -> float:
        """The last rest is over; how long it was."""
        await asyncio.sleep(0)
        seconds, future = self.sleeping.pop()
        future.set_result(None)
        for _ in range(4):
            await asyncio.sleep(0)
        return seconds

    async def up(self, spi: int, share: Share = EVERYTHING, *, initiator: bool = True) -> None:
        child = replace(SA, spi_in=spi, peer="east", initiator=initiator, share=share)
        self.sas[spi] = child
        await self.shares.child_up(child)

    def down(self, spi: int, reason: DownReason = DownReason.LOCAL_DELETE) -> None:
        self.shares.child_down(self.sas.pop(spi), reason)

    def fail(self, share: Share, refusal: NotifyType | None) -> None:
        ike: Any = SimpleNamespace(peer="east")
        self.shares.failed(ChildFailed(ike, "net", "no", "", share, refusal))


def eager(**more: Any) -> SharePlan:
    return SharePlan(**({"resources": 2, "on_demand": False, "idle": 0.0, "classes": ()} | more))


async def test_the_initiator_of_the_first_sa_asks_for_all_and_the_responder_for_none() -> None:
    bench = Bench(eager(classes=(VOICE,)))
    await bench.up(1, initiator=False)
    assert bench.asked == []
    await bench.up(2)
    assert bench.asked == [Share(dscps=VOICE), of(0), of(1), of(0, VOICE), of(1, VOICE)]


async def test_what_is_under_way_is_not_asked_for_again_and_a_narrower_class_is_that_class() -> (
    None
):
    bench = Bench(eager(resources=0, classes=((34, 36),)))
    await bench.up(1)
    await bench.up(2)
    assert len(bench.asked) == 1
    await bench.up(3, Share(dscps=(34,)))
    await bench.up(4)
    assert len(bench.asked) == 1


@pytest.mark.parametrize(
    ("refusal", "seconds"),
    [
        (NotifyType.TS_MAX_QUEUE, 300.0),
        (NotifyType.TS_UNACCEPTABLE, 300.0),
        (NotifyType.NO_PROPOSAL_CHOSEN, 300.0),
        (None, 5.0),
    ],
)
async def test_a_refusal_ends_asking_for_minutes_and_another_failure_for_seconds(
    refusal: NotifyType | None, seconds: float
) -> None:
    bench = Bench(eager())
    await bench.up(1)
    bench.fail(of(0), refusal)
    bench.fail(of(1), refusal)
    await bench.up(2)
    assert len(bench.asked) == 2
    assert await bench.wake() == (seconds if refusal else 10.0)
    assert bench.asked[2:] == [of(0), of(1)]


async def test_the_rest_ends_when_one_of_ours_is_gone_and_one_class_says_nothing_of_others() -> (
    None
):
    bench = Bench(eager(resources=1, classes=(VOICE,)))
    await bench.up(1)
    await bench.up(2, of(0))
    bench.fail(Share(dscps=VOICE), NotifyType.TS_UNACCEPTABLE)
    bench.now = 60.0
    bench.down(2)
    assert await bench.wake() == 5.0
    assert bench.asked[-1] == of(0)
    assert Share(dscps=VOICE) not in bench.asked[2:]


async def test_a_peer_that_takes_them_down_at_once_is_asked_less_and_less_often() -> None:
    bench, rests = Bench(eager(resources=1)), []
    await bench.up(1)
    for spi in range(2, 6):
        await bench.up(spi, of(0))
        bench.down(spi, DownReason.PEER_DELETE)
        rests.append(await bench.wake())
    assert rests == [5.0, 10.0, 20.0, 40.0]


async def test_a_rekeyed_one_is_not_lost() -> None:
    bench = Bench(eager(resources=1))
    await bench.up(1)
    await bench.up(2, of(0))
    await bench.up(3, of(0))
    bench.down(2, DownReason.REKEYED)
    await asyncio.sleep(0)
    assert bench.sleeping == []


async def test_a_lost_fallback_is_brought_up_by_who_made_it_while_others_are_there() -> None:
    for ours in (True, False):
        bench = Bench(eager(resources=1))
        await bench.up(1, initiator=ours)
        await bench.up(2, of(0), initiator=ours)
        bench.down(1)
        if ours:
            await bench.wake()
        assert bench.brought_up == ours


async def test_a_resource_that_sends_is_asked_for_once_and_told_of_no_more() -> None:
    bench = Bench(eager(on_demand=True))
    await bench.up(1)
    for _ in range(3):
        await bench.shares.acquire(CHILD, 5)
    assert bench.asked == [of(1)]
    assert bench.armed == [((0, 1), True), *[((1,), False)] * 3]
    await bench.up(2, of(1))
    assert bench.armed[-1] == ((1,), True)


async def test_without_an_ike_sa_asking_rests_and_all_are_told_of_again_later() -> None:
    bench = Bench(eager(on_demand=True))
    await bench.up(1)
    bench.ike = b""
    await bench.shares.acquire(CHILD, 0)
    assert bench.asked == []
    await bench.wake()
    assert bench.armed[-1] == ((0, 1), True)


async def test_only_ones_of_resources_that_carry_nothing_for_so_long_are_deleted() -> None:
    bench = Bench(eager(on_demand=True, idle=30.0, classes=(VOICE,)))
    for spi, share in enumerate((Share(), Share(dscps=VOICE), of(0), of(1)), 1):
        await bench.up(spi, share)
    for bench.now in (20.0, 40.0):
        bench.shares.carried([4])
    assert bench.deleted == [3]


async def test_a_lost_ike_sa_takes_with_it_what_was_asked_for() -> None:
    bench = Bench(eager())
    await bench.up(1)
    bench.shares.peer_down("east")
    await bench.up(2)
    assert bench.asked == [of(0), of(1)] * 2


async def test_a_resource_asked_for_under_a_lost_ike_sa_is_told_of_again() -> None:
    """Also where the peer makes the first SA, and nothing else starts anew."""
    bench = Bench(eager(on_demand=True))
    await bench.up(1, initiator=False)
    await bench.shares.acquire(CHILD, 1)
    bench.shares.peer_down("east")
    bench.now = 60.0
    bench.down(1, DownReason.PEER_DELETE)
    bench.armed.clear()
    await bench.up(2, initiator=False)
    assert bench.armed == [((0, 1), True)]
    await bench.shares.acquire(CHILD, 1)
    assert bench.asked == [of(1), of(1)]


async def test_one_that_the_switch_does_not_take_is_asked_for_again_after_a_while() -> None:
    bench = Bench(eager(on_demand=True))
    await bench.up(1)
    await bench.shares.acquire(CHILD, 1)
    bench.shares.not_carried(replace(SA, peer="east", share=of(1)))
    await bench.shares.acquire(CHILD, 1)
    assert bench.asked == [of(1)]
    assert await bench.wake() == 5.0
    assert bench.armed[-1] == ((0, 1), True)
    await bench.shares.acquire(CHILD, 1)
    assert bench.asked == [of(1), of(1)]
