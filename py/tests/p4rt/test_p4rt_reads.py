"""Reads: wildcards, filters, direct resources, chunks and errors (sections 9 and 13)."""

from collections.abc import Iterable

import finsy as fy
import grpc
import pytest
from finsy.proto import p4r
from p4rt_cases import COUNTS, METERED, RATES, acl, host, member, route, spread, tiny
from p4rt_harness import ENTITIES as P
from p4rt_harness import Client, Outcome, outcome, switch_and_primary


async def refused(client: Client, *queries: p4r.Entity) -> Outcome:
    """The outcome of a read that must fail."""
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await client.read(*queries)
    return outcome(error.value)


def in_one_order(entities: Iterable[p4r.Entity]) -> list[bytes]:
    """Entities in an order of their own, match fields by id (a client may send them in any)."""
    ordered = []
    for entity in entities:
        copy = p4r.Entity()
        copy.CopyFrom(entity)
        copy.table_entry.match.sort(key=lambda match: match.field_id)
        ordered.append(copy.SerializeToString())
    return sorted(ordered)


WRITTEN = [
    host(1),
    host(2, action=fy.Action("rewrite", port=1, dst=0x0A0B0C0D0E0F, vlan=0xFFF)),
    host(3, metadata=b"cookie", controller_metadata=9),
    route("10.0.0.0/8"),
    fy.P4TableEntry("route", action=fy.Action("drop")),
    acl(1, src=(0x0A000000, 0xFF000000), protocol=6, total_length=(10, 20)),
    acl(2, protocol=0),
    acl(2),
]


async def test_entries_are_read_back_as_they_were_written() -> None:
    inserts = [P.insert(entry) for entry in WRITTEN]
    async with switch_and_primary() as (_, client):
        assert (await client.write(inserts)).code == "OK"
        found = await client.read(P.entity(fy.P4TableEntry()))
    const = [entity for entity in found if entity.table_entry.is_const]
    rest = [entity for entity in found if entity not in const]
    assert in_one_order(rest) == in_one_order(update.entity for update in inserts)
    assert {entity.table_entry.table_id for entity in const} == {P.table_id("classes")}


async def test_a_second_read_shows_what_was_written_since_the_first() -> None:
    first = [host(1), host(2), host(3, metadata=b"old"), acl(1, protocol=6)]
    changed = [host(1, action=fy.Action("drop")), host(3, metadata=b"new")]
    async with switch_and_primary() as (_, client):
        await client.write([P.insert(entry) for entry in first])
        await client.read(P.entity(fy.P4TableEntry("host")))
        updates = [P.modify(entry) for entry in changed]
        updates += [P.delete(host(2)), P.insert(host(4))]
        updates += [P.delete(acl(1, protocol=6)), P.insert(acl(1, protocol=7))]
        assert (await client.write(updates)).code == "OK"
        found = await client.read(P.entity(fy.P4TableEntry("host")))
        rules = await client.read(P.entity(fy.P4TableEntry("acl")))
    expected = [P.entity(entry) for entry in (*changed, host(4))]
    assert in_one_order(found) == in_one_order(expected)
    assert in_one_order(rules) == in_one_order([P.entity(acl(1, protocol=7))])


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (fy.P4TableEntry("host"), [0, 1, 2]),
        (fy.P4TableEntry("host", match=fy.Match(dst=2)), [1]),
        (fy.P4TableEntry("host", match=fy.Match(dst=77)), []),
        (fy.P4TableEntry("host", metadata=b"cookie"), [2]),
        (fy.P4TableEntry("host", controller_metadata=9), [2]),
        (fy.P4TableEntry("acl", priority=2), [6, 7]),
        (fy.P4TableEntry("acl", match=fy.Match(ingress_port=1, protocol=0)), [6]),
        (fy.P4TableEntry("acl", match=fy.Match(ingress_port=1), priority=2), [7]),
        (fy.P4TableEntry("route"), [3, 4]),
    ],
)
async def test_filters_of_a_table_read(query: fy.P4TableEntry, expected: list[int]) -> None:
    async with switch_and_primary() as (_, client):
        await client.write([P.insert(entry) for entry in WRITTEN])
        found = await client.read(P.entity(query))
    assert in_one_order(found) == in_one_order(P.entity(WRITTEN[index]) for index in expected)


async def test_filter_by_action_id() -> None:
    query = p4r.Entity()
    query.table_entry.table_id = P.table_id("host")
    query.table_entry.action.action.action_id = P.schema.actions["rewrite"].id
    async with switch_and_primary() as (_, client):
        await client.write([P.insert(entry) for entry in WRITTEN])
        assert await client.read(query) == [P.entity(WRITTEN[1])]


async def test_direct_resources_are_returned_only_when_asked_for() -> None:
    entry = host(1, action=METERED, counter_data=COUNTS, meter_config=RATES)
    with_both = P.entity(fy.P4TableEntry("host", counter_data=COUNTS, meter_config=RATES))
    async with switch_and_primary() as (_, client):
        await client.write([P.insert(entry)])
        assert await client.read(with_both) == [P.entity(entry)]
        plain = await client.read(P.entity(fy.P4TableEntry("host")))
        counters = await client.read(P.entity(fy.P4DirectCounterEntry("host_hits")))
        await client.write([P.modify(host(1, action=METERED))])
        (modified,) = await client.read(with_both)
    assert plain == [P.entity(host(1, action=METERED))]
    assert [entity.direct_counter_entry.data.packet_count for entity in counters] == [2]
    assert modified.table_entry.counter_data.byte_count == 1, "MODIFY without data keeps it"
    assert not modified.table_entry.HasField("meter_config"), "MODIFY without config resets it"


async def test_time_since_last_hit_is_told_when_asked_for() -> None:
    query = P.entity(fy.P4TableEntry("tiny"))
    query.table_entry.time_since_last_hit.SetInParent()
    async with switch_and_primary() as (_, client):
        await client.write([P.insert(tiny(1))])
        (found,) = await client.read(query)
    assert 0 < found.table_entry.time_since_last_hit.elapsed_ns < 60 * 10**9


async def test_default_entries_of_tables() -> None:
    async with switch_and_primary() as (_, client):
        query = P.entity(fy.P4TableEntry("route", is_default_action=True))
        (initial,) = await client.read(query)
        action = fy.Action("forward", port=3)
        changed = fy.P4TableEntry("route", is_default_action=True, action=action, metadata=b"m")
        await client.write([P.modify(changed)])
        assert await client.read(query) == [P.entity(changed)]
        await client.write([P.modify(fy.P4TableEntry("route", is_default_action=True))])
        assert await client.read(query) == [initial]
    assert initial.table_entry.action.action.action_id == P.schema.actions["drop"].id


async def test_wildcard_reads_of_arrays_and_profiles() -> None:
    one_shot = spread(fy.P4IndirectAction([(1, fy.Action("drop"))]))
    async with switch_and_primary() as (_, client):
        await client.write([P.insert(member(1)), P.insert(member(2, "next_hops"))])
        await client.write([P.insert(one_shot)])
        counters = await client.read(P.entity(fy.P4CounterEntry()))
        meters = await client.read(P.entity(fy.P4MeterEntry("port_rate")))
        members = await client.read(P.entity(fy.P4ActionProfileMember()))
        groups = await client.read(P.entity(fy.P4ActionProfileGroup()))
        entries = await client.read(P.entity(fy.P4TableEntry("spread")))
    assert [len(counters), len(meters)] == [64, 32]
    assert [entity.action_profile_member.member_id for entity in members] == [2, 1]
    assert groups == [], "the group of a one-shot set is nobody's business"
    assert entries == [P.entity(one_shot)]


async def test_large_reads_come_in_bounded_chunks() -> None:
    async with switch_and_primary() as (_, client):
        await client.write([P.insert(host(n)) for n in range(1000)])
        request = p4r.ReadRequest(device_id=1, entities=[P.entity(fy.P4TableEntry("host"))])
        chunks = [len(response.entities) async for response in client.stub.Read(request)]
    assert sum(chunks) == 1000
    assert max(chunks) <= 200


async def test_failed_queries_are_told_beside_the_entities_of_the_others() -> None:
    bad = p4r.Entity()
    bad.table_entry.table_id = 5
    good = P.entity(fy.P4TableEntry("classes"))
    async with switch_and_primary() as (_, client):
        call = client.stub.Read(p4r.ReadRequest(device_id=1, entities=[good, bad, p4r.Entity()]))
        first = await call.read()
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await call.read()
    result = outcome(error.value)
    assert len(first.entities) == 2
    assert result.code == "UNKNOWN"
    assert result.codes == ["OK", "INVALID_ARGUMENT", "INVALID_ARGUMENT"]


@pytest.mark.parametrize(
    ("query", "code", "tells"),
    [
        (fy.P4RegisterEntry("state"), "UNIMPLEMENTED", "ingress.state"),
        (fy.P4TableEntry("route", counter_data=COUNTS), "INVALID_ARGUMENT", "direct counter"),
        (fy.P4DirectCounterEntry(table_entry=host(77)), "NOT_FOUND", "ingress.host"),
        (fy.P4CounterEntry("port_hits", index=64), "OUT_OF_RANGE", "0..63"),
        (fy.P4TableEntry(), "INVALID_ARGUMENT", "no other filter"),
    ],
)
async def test_read_is_refused_by_name(query: object, code: str, tells: str) -> None:
    entity = P.entity(query)
    if tells == "no other filter":
        entity.table_entry.priority = 5
    async with switch_and_primary() as (_, client):
        result = await refused(client, entity)
    assert result.codes == [code]
    assert tells in result.updates[0][1]


async def test_reads_need_no_stream_but_a_pipeline() -> None:
    async with switch_and_primary() as (switch, _):
        reader = Client(switch.grpc_address)
        assert len(await reader.read(P.entity(fy.P4TableEntry("classes")))) == 2
        await reader.close()
    async with switch_and_primary(program=None) as (_, client):
        result = await refused(client, P.entity(fy.P4TableEntry("classes")))
    assert result.code == "FAILED_PRECONDITION"


async def test_finsy_reads_and_deletes_everything_it_wrote() -> None:
    options = fy.SwitchOptions(initial_election_id=1 << 80)
    async with (
        switch_and_primary() as (switch, client),
        fy.Switch("s", switch.grpc_address, options) as finsy,
    ):
        await finsy.write([+entry for entry in WRITTEN])
        await finsy.delete_all()
        left = await client.read(P.entity(fy.P4TableEntry()))
    assert {entity.table_entry.table_id for entity in left} == {P.table_id("classes")}
