"""Which SA or set serves a destination: never one that does not have it (RFC 4301 4.4.1.2)."""

import asyncio
from collections.abc import Iterator, Sequence
from ipaddress import IPv4Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p4esp.controller.entries import Entry, Key, Op, Update
from p4esp.controller.errors import ControllerError, TableWriteError
from p4esp.controller.numbers import Spread
from p4esp.controller.sa_sets import BUCKETS
from p4esp.controller.selection import Destination, SaSelection
from p4esp.controller.tables import sa_select, sa_select_set
from p4esp.controller.writer import TableWriter

POLICY = 1
A, B, C = ((POLICY, IPv4Network(f"10.{number}.0.0/16")) for number in (2, 3, 4))


class Switch:
    """The tables `sa_select` and `sa_member`; it checks whatever it is told."""

    def __init__(self) -> None:
        self.table: dict[Key, Entry] = {}
        self.refuses = ""
        """The table whose next batch is refused."""
        self.serves: dict[int, list[Destination]] = {}
        """What the peer agreed to, by SA."""
        self.misled: list[tuple[Entry, int]] = []
        """Entries that led, after some batch, to an SA without their destination."""
        self.selection = SaSelection(TableWriter(self._write))

    async def _write(self, updates: Sequence[Update]) -> dict[int, tuple[str, str]]:
        codes = enumerate(map(self._apply, updates))
        refused = {at: (code, "refused") for at, code in codes if code}
        self.refuses = "" if refused else self.refuses
        self.misled += [(entry, sa) for entry, sa in self._reached() if not self._has(sa, entry)]
        return refused

    def _apply(self, update: Update) -> str:
        key = update.entry.key
        if update.entry.table == self.refuses:
            return "UNAVAILABLE"
        if (update.op is Op.INSERT) == (key in self.table):
            return "ALREADY_EXISTS" if update.op is Op.INSERT else "NOT_FOUND"
        self.table[key] = update.entry
        if update.op is Op.DELETE:
            del self.table[key]
        return ""

    def rows(self, table: str) -> list[Entry]:
        return [entry for entry in self.table.values() if entry.table == table]

    @property
    def members(self) -> set[int]:
        """Who has buckets."""
        return {entry.arg("sa") for entry in self.rows("sa_member")}

    def _reached(self) -> Iterator[tuple[Entry, int]]:
        """Whom a packet to a destination may go to."""
        for entry in self.rows("sa_select"):
            if entry.action == "use_set":
                yield from ((entry, sa) for sa in self.members | {entry.arg("fallback")})
            else:
                yield entry, entry.arg("sa")

    def _has(self, sa: int, entry: Entry) -> bool:
        return entry.key in {sa_select(*place, 0).key for place in self.serves[sa]}

    async def add(self, sa: int, *served: Destination, first: bool = True) -> None:
        self.serves[sa] = list(served)
        await self.selection.add(served, sa, first=first)

    async def withdraw(self, sa: int) -> None:
        await self.selection.withdraw(sa)
        assert sa not in self.members
        del self.serves[sa]

    async def form(self, spread: Spread = Spread.FLOW) -> None:
        await self.selection.form_set(POLICY, spread)

    def holds(self, *entries: Entry) -> bool:
        """Whether these are all entries of the selection, in the switch and by its own account, and
        none ever misled a packet.
        """
        assert self.misled == []
        return set(self.rows("sa_select")) == set(self.selection.entries()) == set(entries)


def by_set(place: Destination, fallback: int, spread: Spread = Spread.FLOW) -> Entry:
    return sa_select_set(*place, POLICY, spread, fallback)


async def test_a_destination_that_not_all_members_have_is_served_by_its_sa_alone() -> None:
    switch = Switch()
    await switch.add(1, A)
    await switch.form()
    await switch.add(2, A, B)
    assert switch.holds(by_set(A, 1), sa_select(*B, 2))
    assert switch.members == {1, 2}, "the new one has all that the set serves"


async def test_who_has_some_of_the_destinations_only_takes_no_part_in_a_set() -> None:
    switch = Switch()
    await switch.add(1, A, B)
    await switch.add(2, A, B)
    await switch.add(3, A)
    await switch.form()
    assert switch.holds(by_set(A, 3), by_set(B, 2))
    assert switch.members == {1, 2}


async def test_a_set_of_which_nobody_has_everything_serves_nothing() -> None:
    switch = Switch()
    await switch.add(1, A)
    await switch.add(2, B)
    await switch.form()
    assert switch.holds(sa_select(*A, 1), sa_select(*B, 2))
    assert switch.members == set()


async def test_an_sa_that_has_not_all_that_the_set_serves_does_not_join() -> None:
    switch = Switch()
    await switch.add(1, A, B)
    await switch.form()
    await switch.add(2, B, C)
    assert switch.holds(by_set(A, 1), by_set(B, 1), sa_select(*C, 2))
    assert switch.members == {1}


async def test_beside_a_set_the_newest_sa_still_takes_over_a_plain_destination() -> None:
    switch = Switch()
    await switch.add(1, A)
    await switch.form()
    await switch.add(2, A, B)
    await switch.add(3, A, B)
    assert switch.holds(by_set(A, 1), sa_select(*B, 3))
    await switch.withdraw(3)
    assert switch.holds(by_set(A, 1), sa_select(*B, 2))


async def test_a_set_whose_destinations_are_all_gone_serves_those_of_the_next_sa() -> None:
    switch = Switch()
    await switch.add(1, A)
    await switch.form()
    await switch.withdraw(1)
    await switch.add(2, A, B)
    assert switch.holds(by_set(A, 2), by_set(B, 2))
    assert switch.members == {2}


async def test_a_plain_destination_that_becomes_the_sets_is_rewritten() -> None:
    switch = Switch()
    await switch.add(1, A)
    await switch.add(2, B)
    await switch.form()
    await switch.add(3, A, B)
    assert switch.holds(by_set(A, 1), by_set(B, 2))
    assert switch.members == {3}


async def test_a_destination_that_loses_its_last_sa_leaves_the_set() -> None:
    switch = Switch()
    await switch.add(1, A, B)
    await switch.form()
    await switch.add(2, A)
    await switch.withdraw(1)
    assert switch.holds(by_set(A, 2))
    await switch.add(3, A, B)
    assert switch.holds(by_set(A, 2), sa_select(*B, 3))
    assert switch.members == {3}


async def test_a_successor_that_has_less_is_no_heir() -> None:
    switch = Switch()
    await switch.add(1, A, B)
    await switch.add(2, A, B)
    await switch.form()
    await switch.add(3, A, first=False)
    await switch.withdraw(1)
    assert switch.members == {2}


@pytest.mark.parametrize("served", [(B,), ()], ids=["other destinations", "nothing"])
async def test_no_bucket_is_bound_to_an_sa_that_has_not_all_that_the_set_serves(
    served: tuple[Destination, ...],
) -> None:
    switch = Switch()
    await switch.add(1, A)
    await switch.form()
    await switch.add(2, *served)
    with pytest.raises(ControllerError, match="SA 2 does not serve all"):
        await switch.selection.bind(POLICY, 2, [7])
    assert switch.members == {1}


async def test_no_bucket_is_bound_of_a_set_that_serves_nothing() -> None:
    switch = Switch()
    await switch.add(1, A)
    await switch.add(2, B)
    await switch.form()
    with pytest.raises(ControllerError, match="SA 1 does not serve all"):
        await switch.selection.bind(POLICY, 1, [7])


async def test_a_set_that_could_not_be_dissolved_stays_and_can_be_later() -> None:
    switch = Switch()
    await switch.add(1, A)
    await switch.add(2, A)
    await switch.form()
    for table in ("sa_select", "sa_member"):
        switch.refuses = table
        with pytest.raises(TableWriteError):
            await switch.selection.dissolve_set(POLICY)
        assert set(switch.rows("sa_select")) == set(switch.selection.entries())
        assert len(switch.rows("sa_member")) == BUCKETS
    await switch.selection.dissolve_set(POLICY)
    assert switch.holds(sa_select(*A, 2))
    assert switch.rows("sa_member") == []


@pytest.mark.parametrize("table", ["sa_select", "sa_member"])
async def test_a_set_that_could_not_be_dissolved_can_be_formed_anew(table: str) -> None:
    switch = Switch()
    await switch.add(1, A)
    await switch.add(2, A)
    await switch.form()
    switch.refuses = table
    with pytest.raises(TableWriteError):
        await switch.selection.dissolve_set(POLICY)
    await switch.withdraw(2)
    await switch.add(3, A)
    await switch.form(Spread.DSCP)
    assert set(switch.rows("sa_select")) == set(switch.selection.entries())
    assert {entry.arg("spread") for entry in switch.rows("sa_select")} == {Spread.DSCP}
    assert switch.members == {1, 3}


async def test_what_comes_while_a_set_is_dissolved_is_not_drawn_into_it() -> None:
    switch = Switch()
    await switch.add(1, A)
    await switch.form()
    await asyncio.gather(switch.selection.dissolve_set(POLICY), switch.add(2, A, B))
    assert switch.holds(sa_select(*A, 2), sa_select(*B, 2))
    assert switch.rows("sa_member") == []


async def test_what_goes_while_a_set_is_dissolved_goes() -> None:
    switch = Switch()
    await switch.add(1, A)
    await switch.add(2, A)
    await switch.form()
    await asyncio.gather(switch.selection.dissolve_set(POLICY), switch.withdraw(2))
    assert switch.holds(sa_select(*A, 1))
    assert switch.rows("sa_member") == []


async def test_a_set_that_could_not_be_dissolved_serves_nothing_that_went_meanwhile() -> None:
    switch = Switch()
    await switch.add(1, A)
    await switch.form()
    switch.refuses = "sa_select"
    with pytest.raises(TableWriteError):
        await asyncio.gather(switch.selection.dissolve_set(POLICY), switch.withdraw(1))
    await switch.add(2, A, B)
    assert switch.holds(by_set(A, 2), by_set(B, 2))


async def test_what_comes_while_a_set_is_formed_does_not_change_what_it_serves() -> None:
    switch = Switch()
    await switch.add(1, A)
    await asyncio.gather(switch.form(), switch.add(2, A, B))
    assert switch.holds(by_set(A, 1), sa_select(*B, 2))
    assert switch.members == {1, 2}


places = st.lists(st.sampled_from([A, B, C]), min_size=1, unique=True)
steps = st.one_of(
    st.tuples(st.just("add"), places, st.booleans()),
    st.tuples(st.just("withdraw"), st.integers(0, 99)),
    st.just(("form",)),
    st.just(("dissolve",)),
)


@given(st.lists(steps, max_size=25))
def test_in_any_order_of_events_no_packet_goes_to_an_sa_that_has_not_its_destination(todo) -> None:
    async def run() -> None:
        switch, formed = Switch(), False
        for number, (verb, *how) in enumerate(todo, 1):
            match verb:
                case "add":
                    await switch.add(number, *how[0], first=how[1])
                case "withdraw" if switch.serves:
                    await switch.withdraw(list(switch.serves)[how[0] % len(switch.serves)])
                case "form":
                    await switch.form()
                    formed = True
                case "dissolve" if formed:
                    await switch.selection.dissolve_set(POLICY)
                    formed = False
            assert switch.holds(*switch.selection.entries())
            assert formed or switch.rows("sa_member") == []

    asyncio.run(run())
