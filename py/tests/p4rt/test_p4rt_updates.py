"""Each update is answered with the code of the specification and a text that says why."""

from collections.abc import AsyncIterator
from itertools import cycle, permutations

import finsy as fy
import pytest
import pytest_asyncio
from p4rt_cases import ACCEPTED, REFUSED, Case, host
from p4rt_harness import ENTITIES as P
from p4rt_harness import Client, Outcome, switch_and_primary

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def empty_switch() -> AsyncIterator[Client]:
    """The primary client of a switch that stays without entries: all it is asked is refused."""
    async with switch_and_primary() as (_, client):
        yield client


def case_id(case: Case) -> str:
    """The name in the test's id."""
    return case.name.replace(" ", "-")


def check_refusal(case: Case, result: Outcome) -> None:
    """Outer code, code of the update, and what its text must tell."""
    assert (result.code, result.codes) == ("UNKNOWN", [case.code])
    for text in case.tells:
        assert text in result.updates[0][1]


@pytest.mark.parametrize("case", ACCEPTED, ids=case_id)
async def test_update_is_carried_out(case: Case) -> None:
    async with switch_and_primary() as (_, client):
        for build in case.before:
            assert (await client.write([build()])).code == "OK"
        assert (await client.write([case.update()])).code == "OK"


async def test_parameters_may_come_in_any_order() -> None:
    written = [
        host(dst, action=fy.Action("rewrite", port=1, dst=2, vlan=3)) for dst in range(1, 13)
    ]
    inserts = [P.insert(entry) for entry in written]
    for update, order in zip(inserts, cycle(permutations(range(3)))):  # each order twice
        params = update.entity.table_entry.action.action.params
        params.sort(key=lambda param, order=order: order[param.param_id - 1])
    async with switch_and_primary() as (_, client):
        assert (await client.write(inserts)).code == "OK"
        found = await client.read(P.entity(fy.P4TableEntry("host")))
    assert found == [P.entity(entry) for entry in written]


@pytest.mark.parametrize("case", [case for case in REFUSED if not case.before], ids=case_id)
async def test_update_is_refused_by_code_and_by_name(empty_switch: Client, case: Case) -> None:
    check_refusal(case, await empty_switch.write([case.update()]))


@pytest.mark.parametrize("case", [case for case in REFUSED if case.before], ids=case_id)
async def test_update_is_refused_because_of_what_was_written_before(case: Case) -> None:
    async with switch_and_primary() as (_, client):
        for build in case.before:
            assert (await client.write([build()])).code == "OK"
        check_refusal(case, await client.write([case.update()]))
