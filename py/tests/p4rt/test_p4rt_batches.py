"""Batches of updates: order of errors, atomicity, transport limits (section 12)."""

import finsy as fy
import pytest
from finsy.proto import p4r
from p4rt_cases import COUNTS, METERED, RATES, group, host, member, spread, tiny
from p4rt_harness import ENTITIES as P
from p4rt_harness import Client, switch_and_primary

ATOMIC = [p4r.WriteRequest.ROLLBACK_ON_ERROR, p4r.WriteRequest.DATAPLANE_ATOMIC]


async def everything(client: Client) -> list[p4r.Entity]:
    """The forwarding state, with direct resources."""
    wildcard = p4r.Entity()
    wildcard.table_entry.counter_data.SetInParent()
    wildcard.table_entry.meter_config.SetInParent()
    members, groups = p4r.Entity(), p4r.Entity()
    members.action_profile_member.SetInParent()
    groups.action_profile_group.SetInParent()
    defaults = P.entity(fy.P4TableEntry("route", is_default_action=True))
    clones = P.entity(fy.P4CloneSessionEntry())
    found = await client.read(wildcard, members, groups, defaults, clones)
    return sorted(found, key=lambda entity: entity.SerializeToString())


async def test_rest_of_the_batch_is_carried_out_after_an_error() -> None:
    async with switch_and_primary() as (_, client):
        await client.write([P.insert(host(2))])
        result = await client.write([P.insert(host(n)) for n in (1, 2, 3)])
        found = await client.read(P.entity(fy.P4TableEntry("host")))
    assert result.code == "UNKNOWN"
    assert result.codes == ["OK", "ALREADY_EXISTS", "OK"]
    assert [message for _, message in result.updates][::2] == ["", ""]
    assert len(found) == 3


@pytest.mark.parametrize("atomicity", ATOMIC)
async def test_failed_atomic_batch_leaves_the_state_as_it_was(atomicity: int) -> None:
    before = [
        P.insert(host(1, counter_data=COUNTS)),
        P.insert(host(2, action=METERED, meter_config=RATES)),
        P.insert(member(1)),
        P.insert(member(2)),
        P.insert(group(1, 1)),
        P.insert(fy.P4CloneSessionEntry(5, replicas=(1, 2))),
    ]
    batch = [
        P.delete(host(1)),
        P.modify(host(2)),
        P.insert(host(3)),
        P.modify(member(1, port=9)),
        P.modify(group(1, 1, 2)),
        P.insert(member(3)),
        P.insert(spread(fy.P4IndirectAction([(1, fy.Action("drop"))]))),
        P.modify(fy.P4CloneSessionEntry(5, replicas=(3,))),
        P.modify(fy.P4TableEntry("route", is_default_action=True, action=METERED_DEFAULT)),
        P.modify(fy.P4CounterEntry("port_hits", index=1, data=COUNTS)),
        P.insert(host(2)),
    ]
    async with switch_and_primary() as (_, client):
        assert (await client.write(before)).code == "OK"
        state = await everything(client)
        result = await client.write(batch, atomicity)
        assert await everything(client) == state
    assert result.codes == ["ABORTED"] * 10 + ["ALREADY_EXISTS"]


METERED_DEFAULT = fy.Action("forward", port=4)


@pytest.mark.parametrize("atomicity", ATOMIC)
async def test_atomic_batch_is_carried_out(atomicity: int) -> None:
    async with switch_and_primary() as (_, client):
        assert (await client.write([P.insert(host(n)) for n in (1, 2)], atomicity)).code == "OK"
        assert len(await client.read(P.entity(fy.P4TableEntry("host")))) == 2


async def test_unknown_atomicity_is_refused_as_a_whole() -> None:
    async with switch_and_primary() as (_, client):
        result = await client.write([P.insert(host())], atomicity=7)
        assert not await client.read(P.entity(fy.P4TableEntry("host")))
    assert (result.code, result.updates) == ("INVALID_ARGUMENT", ())


async def test_finsy_gets_a_detail_for_each_update_of_a_large_failed_batch() -> None:
    """finsy takes 64 KiB of metadata: beyond a budget the texts are left out, never the codes."""
    options = fy.SwitchOptions(initial_election_id=1 << 80)
    async with (
        switch_and_primary() as (switch, _),
        fy.Switch("finsy", switch.grpc_address, options) as finsy,
    ):
        await finsy.write([+tiny(n) for n in range(4)])
        with pytest.raises(fy.P4ClientError) as refused:
            await finsy.write([+tiny(n % 200 + 4) for n in range(1000)])
    details = refused.value.details.values()
    assert len(details) == 1000
    assert {detail.canonical_code.name for detail in details} == {"RESOURCE_EXHAUSTED"}
    assert "ingress.tiny" in next(iter(details)).message


async def test_write_before_the_first_pipeline_is_a_failed_precondition() -> None:
    async with switch_and_primary(program=None) as (_, client):
        result = await client.write([P.insert(host())])
    assert result.code == "FAILED_PRECONDITION"
    assert result.message.startswith("No forwarding pipeline config")
