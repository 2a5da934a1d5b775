"""Client arbitration, section 5 of the P4Runtime specification, without and with gRPC."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import finsy as fy
import pytest
from finsy.proto import p4r, rpc_code, stratum
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.wrappers_pb2 import StringValue
from hypothesis import given
from hypothesis import strategies as st
from p4rt_cases import host
from p4rt_harness import ENTITIES, PROGRAMS, STREAM_TIMEOUT, Client, switch_and_primary, uint128

from p4esp.p4rt.arbitration import Arbitration
from p4esp.p4rt.errors import P4RuntimeError
from p4esp.switch.service import SwitchOptions, running_switch


def bid(election_id: int | None, role: str = "") -> p4r.MasterArbitrationUpdate:
    """An arbitration request for device 1."""
    update = p4r.MasterArbitrationUpdate(device_id=1)
    if election_id is not None:
        update.election_id.CopyFrom(uint128(election_id))
    if role:
        update.role.name = role
    return update


def codes(notifications: list[tuple[str, p4r.MasterArbitrationUpdate]]) -> list[tuple[str, str]]:
    """(client, status code name) of each notification."""
    return [(client, rpc_code.Code.Name(note.status.code)) for client, note in notifications]


def test_new_primary_hears_after_all_others() -> None:
    arbitration: Arbitration[str] = Arbitration(1)
    assert codes(arbitration.update("a", bid(5))) == [("a", "OK")]
    notes = arbitration.update("b", bid(7))
    assert codes(notes) == [("a", "ALREADY_EXISTS"), ("b", "OK")]
    assert {note.election_id.low for _, note in notes} == {7}


def test_backup_alone_hears_that_it_is_backup() -> None:
    arbitration: Arbitration[str] = Arbitration(1)
    arbitration.update("a", bid(5))
    notes = arbitration.update("b", bid(3))
    assert codes(notes) == [("b", "ALREADY_EXISTS")]
    assert notes[0][1].election_id.low == 5


def test_loss_of_the_primary_is_told_with_the_highest_id() -> None:
    arbitration: Arbitration[str] = Arbitration(1)
    arbitration.update("a", bid(5))
    arbitration.update("b", bid(3))
    notes = arbitration.leave("a")
    assert codes(notes) == [("b", "NOT_FOUND")]
    assert notes[0][1].election_id.low == 5


def test_highest_id_outlives_its_client() -> None:
    arbitration: Arbitration[str] = Arbitration(1)
    arbitration.update("a", bid(5))
    arbitration.leave("a")
    assert codes(arbitration.update("b", bid(4))) == [("b", "NOT_FOUND")]
    assert codes(arbitration.update("b", bid(5))) == [("b", "OK")]


def test_downgrade_of_the_primary_is_told_to_all() -> None:
    arbitration: Arbitration[str] = Arbitration(1)
    arbitration.update("a", bid(5))
    arbitration.update("b", bid(3))
    assert sorted(codes(arbitration.update("a", bid(1)))) == [
        ("a", "NOT_FOUND"),
        ("b", "NOT_FOUND"),
    ]


def test_unset_election_id_is_never_primary_and_zero_may_be() -> None:
    arbitration: Arbitration[str] = Arbitration(1)
    notes = arbitration.update("a", bid(None))
    assert codes(notes) == [("a", "NOT_FOUND")]
    assert not notes[0][1].HasField("election_id")
    assert codes(arbitration.update("b", bid(0))) == [("a", "ALREADY_EXISTS"), ("b", "OK")]


def test_roles_are_arbitrated_independently() -> None:
    arbitration: Arbitration[str] = Arbitration(1)
    arbitration.update("a", bid(5, "x"))
    assert codes(arbitration.update("b", bid(5, "y"))) == [("b", "OK")]
    assert arbitration.is_primary("a")
    assert arbitration.is_primary("b")


@pytest.mark.parametrize(
    ("first", "second", "code"),
    [
        (None, p4r.MasterArbitrationUpdate(device_id=2), "NOT_FOUND"),
        (bid(1), p4r.MasterArbitrationUpdate(device_id=2), "FAILED_PRECONDITION"),
        (bid(1), bid(1, "other"), "FAILED_PRECONDITION"),
    ],
)
def test_a_stream_keeps_its_device_and_role(
    first: p4r.MasterArbitrationUpdate | None, second: p4r.MasterArbitrationUpdate, code: str
) -> None:
    arbitration: Arbitration[str] = Arbitration(1)
    if first is not None:
        arbitration.update("a", first)
    with pytest.raises(P4RuntimeError) as refused:
        arbitration.update("a", second)
    assert refused.value.code.name == code


@pytest.mark.parametrize(
    ("bids", "tells"),
    [
        ([bid(n) for n in range(17)], "role '': 16 clients at most"),
        ([bid(1, f"role{n}") for n in range(65)], "role 'role64': 64 roles at most"),
    ],
)
def test_clients_and_roles_are_bounded(bids: list[p4r.MasterArbitrationUpdate], tells: str) -> None:
    arbitration: Arbitration[str] = Arbitration(1)
    for number, request in enumerate(bids[:-1]):
        arbitration.update(f"client{number}", request)
    with pytest.raises(P4RuntimeError, match=tells) as refused:
        arbitration.update("one too many", bids[-1])
    assert refused.value.code.name == "RESOURCE_EXHAUSTED"


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.integers(-1, 5)), max_size=30))
def test_primary_holds_the_highest_id_ever_seen(bids: list[tuple[str, int]]) -> None:
    """Against a model: live ids and the highest one; -1 disconnects."""
    arbitration: Arbitration[str] = Arbitration(1)
    live: dict[str, int] = {}
    highest = -1
    for client, election_id in bids:
        if election_id < 0:
            arbitration.leave(client)
            live.pop(client, None)
            continue
        if election_id in [eid for other, eid in live.items() if other != client]:
            with pytest.raises(P4RuntimeError, match="Election id already exists"):
                arbitration.update(client, bid(election_id))
            continue
        arbitration.update(client, bid(election_id))
        live[client] = election_id
        highest = max(highest, election_id)
        primaries = [name for name in "abcd" if arbitration.is_primary(name)]
        assert primaries == [name for name, eid in sorted(live.items()) if eid == highest]


@asynccontextmanager
async def clients(count: int) -> AsyncIterator[list[Client]]:
    """Clients of one empty switch, not yet arbitrated."""
    async with running_switch(SwitchOptions()) as switch:
        made = [Client(switch.grpc_address) for _ in range(count)]
        try:
            yield made
        finally:
            await asyncio.gather(*(client.close() for client in made))


async def test_election_id_in_use_ends_the_stream_in_words_that_finsy_knows() -> None:
    async with clients(2) as (first, second):
        await first.arbitrate(9)
        await second.bid(9)
        code, details = await second.stream_error()
    assert code == "INVALID_ARGUMENT"
    assert details.startswith("Election id already exists")


async def test_write_of_a_backup_is_refused() -> None:
    async with clients(2) as (first, second):
        await first.arbitrate(9)
        await second.arbitrate(8)
        assert (await first.push(ENTITIES.config())).code == "OK"
        refused = await second.write([ENTITIES.insert(host())])
        assert (await first.write([ENTITIES.insert(host())])).code == "OK"
    assert refused.code == "PERMISSION_DENIED"
    assert refused.updates == ()
    assert "the primary of role '' has 9" in refused.message


async def test_second_primary_takes_over_and_the_first_can_no_longer_write() -> None:
    async with clients(2) as (first, second):
        await first.arbitrate(1)
        await first.push(ENTITIES.config())
        assert (await second.arbitrate(2)).status.code == rpc_code.OK
        assert (await first.next_arbitration()).status.code == rpc_code.ALREADY_EXISTS
        assert (await first.write([])).code == "PERMISSION_DENIED"
        assert (await second.write([])).code == "OK"


async def test_backups_hear_when_the_primary_disconnects() -> None:
    async with clients(2) as (first, second):
        await first.arbitrate(2)
        await second.arbitrate(1)
        await first.close()
        assert (await second.next_arbitration()).status.code == rpc_code.NOT_FOUND
        assert (await second.arbitrate(2)).status.code == rpc_code.OK


async def test_racing_clients_leave_exactly_one_primary() -> None:
    async with clients(8) as racers:
        await asyncio.gather(*(client.bid(eid) for eid, client in enumerate(racers)))
        last = [await client.next_arbitration() for client in racers]
        while any(note.election_id.low < 7 for note in last):
            last = [
                note if note.election_id.low == 7 else await client.next_arbitration()
                for client, note in zip(racers, last, strict=True)
            ]
        writes = await asyncio.gather(*(client.push(ENTITIES.config()) for client in racers))
    assert [result.code for result in writes] == ["PERMISSION_DENIED"] * 7 + ["OK"]


async def test_finsy_backups_replace_a_primary_that_went_away() -> None:
    options = fy.SwitchOptions(
        p4info=PROGRAMS / "entities.p4info.txtpb", p4blob=PROGRAMS / "entities.json"
    )
    async with running_switch(SwitchOptions()) as switch, AsyncExitStack() as primary:
        first = fy.Switch("first", switch.grpc_address, options)
        await primary.enter_async_context(first)
        async with (
            fy.Switch("second", switch.grpc_address, options) as second,
            fy.Switch("third", switch.grpc_address, options) as third,
        ):
            assert [first.is_primary, second.is_primary, third.is_primary] == [True, False, False]
            await primary.aclose()
            async with asyncio.timeout(STREAM_TIMEOUT):
                while not (second.is_primary or third.is_primary):
                    await asyncio.sleep(0.01)
            assert second.is_primary is not third.is_primary


def role_config(**fields: object) -> p4r.Role:
    """A role with Stratum's configuration message."""
    role = p4r.Role(name="part")
    role.config.Pack(stratum.P4RoleConfig(**fields))
    return role


async def test_role_may_only_write_its_own_objects_and_push_if_it_says_so() -> None:
    async with switch_and_primary() as (switch, _):
        client = Client(switch.grpc_address)
        role = role_config(exclusive_p4_ids=[ENTITIES.table_id("route")])
        await client.arbitrate(1, role)
        result = await client.write([ENTITIES.insert(host())])
        pushed = await client.push(ENTITIES.config())
        await client.close()
    assert result.codes == ["PERMISSION_DENIED"]
    assert "ingress.host" in result.updates[0][1]
    assert (pushed.code, "can_push_pipeline" in pushed.message) == ("PERMISSION_DENIED", True)


async def test_unknown_role_scheme_ends_the_stream() -> None:
    scheme = AnyMessage()
    scheme.Pack(StringValue(value="everything"))
    async with clients(1) as (client,):
        await client.bid(1, p4r.Role(name="part", config=scheme))
        code, details = await client.stream_error()
    assert code == "INVALID_ARGUMENT"
    assert "StringValue" in details
    assert "stratum.P4RoleConfig" in details


async def test_write_with_an_unknown_role_or_device_is_not_found() -> None:
    async with switch_and_primary() as (_, client):
        client.role = "nobody"
        assert (await client.write([])).code == "NOT_FOUND"
        client.role, client.device_id = "", 7
        result = await client.write([])
    assert (result.code, result.message) == ("NOT_FOUND", "device id 7 is unknown; accepted: 1")
