"""bmv2 answers the same updates with the same codes, but for the differences listed here."""

from collections.abc import AsyncIterator

import finsy as fy
import pytest
import pytest_asyncio
from bmv2_process import SKIP_REASON, Bmv2, find_bmv2, running_bmv2
from p4rt_cases import ACCEPTED, REFUSED, Case, acl, host, member, route
from p4rt_harness import ENTITIES as P
from p4rt_harness import Client, primary, switch_and_primary

pytestmark = [
    pytest.mark.skipif(find_bmv2() is None, reason=SKIP_REASON),
    pytest.mark.asyncio(loop_scope="module"),
]

BMV2_DIFFERS = {
    # The specification (section 8.4) asks for OUT_OF_RANGE.
    "value too wide": "INVALID_ARGUMENT",
    "optional too wide": "INVALID_ARGUMENT",
    "parameter too wide": "INVALID_ARGUMENT",
    "empty exact value": "OK",
    "parameter without value": "OK",
    # The specification refuses these (sections 9.1 and 9.1.1).
    "negative priority": "UNKNOWN",
    "full range": "OK",
    "is_const": "OK",
    # The specification lets a MODIFY leave the action out (9.1.2).
    "modify without action": "INVALID_ARGUMENT",
    # Codes that the specification names, and bmv2 does not.
    "unknown member": "INVALID_ARGUMENT",
    "unknown group": "INVALID_ARGUMENT",
    "full table": "UNKNOWN",
    "const table": "UNKNOWN",
    "delete of a const entry": "NOT_FOUND",
    "no entity": "UNKNOWN",
    "delete of a member in a group": "UNKNOWN",
    "group in a profile without selector": "OK",
    "member id zero": "OK",
    "counter index too large": "UNKNOWN",
    "meter index too large": "UNKNOWN",
    "meter rates upside down": "UNKNOWN",
    "direct counter of no entry": "INVALID_ARGUMENT",
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def bmv2() -> AsyncIterator[Bmv2]:
    """One bmv2 for all cases; each pushes the program anew, which clears its state."""
    async with running_bmv2() as running:
        yield running


@pytest.mark.parametrize("case", ACCEPTED + REFUSED, ids=lambda case: case.name.replace(" ", "-"))
async def test_bmv2_answers_the_same_code(bmv2: Bmv2, case: Case) -> None:
    async with primary(bmv2.grpc_address) as client:
        for build in case.before:
            assert (await client.write([build()])).code == "OK"
        result = await client.write([case.update()])
    assert (result.codes or ["OK"]) == [BMV2_DIFFERS.get(case.name, case.code)], result


async def test_bmv2_reads_back_the_same_entities(bmv2: Bmv2) -> None:
    entries = [host(1), host(2, action=fy.Action("drop")), route(), acl(3), acl(4, protocol=6)]
    written = [P.insert(entry) for entry in entries]
    written += [P.insert(member()), P.insert(fy.P4CloneSessionEntry(5, replicas=(1, 510)))]
    queries = [
        P.entity(fy.P4TableEntry("host", counter_data=fy.P4CounterData())),
        P.entity(fy.P4TableEntry("route")),
        P.entity(fy.P4TableEntry("acl")),
        P.entity(fy.P4TableEntry("route", is_default_action=True)),
        P.entity(fy.P4ActionProfileMember("paths")),
        P.entity(fy.P4CounterEntry("port_hits", index=2)),
        P.entity(fy.P4CloneSessionEntry(5)),
    ]

    async def answers(client: Client) -> list[str]:
        assert (await client.write(written)).code == "OK"
        found = [await client.read(query) for query in queries]
        return sorted(str(entity) for entities in found for entity in entities)

    async with primary(bmv2.grpc_address) as client:
        theirs = await answers(client)
    async with switch_and_primary() as (_, client):
        assert await answers(client) == theirs
    assert len(theirs) == 9
