"""Each update is answered with the code of the specification and a text that says why."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from p4rt_cases import ACCEPTED, REFUSED, Case
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


@pytest.mark.parametrize("case", [case for case in REFUSED if not case.before], ids=case_id)
async def test_update_is_refused_by_code_and_by_name(empty_switch: Client, case: Case) -> None:
    check_refusal(case, await empty_switch.write([case.update()]))


@pytest.mark.parametrize("case", [case for case in REFUSED if case.before], ids=case_id)
async def test_update_is_refused_because_of_what_was_written_before(case: Case) -> None:
    async with switch_and_primary() as (_, client):
        for build in case.before:
            assert (await client.write([build()])).code == "OK"
        check_refusal(case, await client.write([case.update()]))
