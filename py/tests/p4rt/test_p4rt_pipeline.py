"""Set- and GetForwardingPipelineConfig: what is accepted, what is refused and by what name."""

import json
from collections.abc import Callable

import finsy as fy
import grpc
import pytest
from finsy.proto import p4i, p4r
from google.protobuf import text_format
from p4rt_cases import COUNTS, group, host, member, spread, tiny
from p4rt_harness import ENTITIES as P
from p4rt_harness import Client, switch_and_primary

from p4esp.p4rt.errors import Code, P4RuntimeError
from p4esp.p4rt.schema import read_schema

TERNARY = p4i.MatchField.TERNARY
Set = p4r.SetForwardingPipelineConfigRequest
Get = p4r.GetForwardingPipelineConfigRequest


async def get(client: Client, response_type: int = Get.ALL) -> p4r.ForwardingPipelineConfig:
    """GetForwardingPipelineConfig."""
    request = Get(device_id=1, response_type=Get.ResponseType.ValueType(response_type))
    answer = await client.stub.GetForwardingPipelineConfig(request)
    config: p4r.ForwardingPipelineConfig = answer.config
    return config


def spoilt(
    edit: Callable[[p4i.P4Info], object] = lambda p4info: None,
    edit_json: Callable[[bytes], bytes] = lambda data: data,
) -> p4r.ForwardingPipelineConfig:
    """The test program with one half changed."""
    config = P.config()
    edit(config.p4info)
    config.p4_device_config = edit_json(config.p4_device_config)
    return config


def _table(p4info: p4i.P4Info, name: str) -> p4i.Table:
    return next(table for table in p4info.tables if table.preamble.alias == name)


def _translated(p4info: p4i.P4Info) -> None:
    translated = p4info.type_info.new_types["port_name_t"].translated_type
    translated.uri = "p4.org/psa/v1/PortId_t"
    translated.sdn_string.SetInParent()


def _newer(p4info: p4i.P4Info) -> None:
    p4info.tables[0].MergeFromString(b"\xfa\x3e\x03new")  # field 1007, length 3


def _without_table(data: bytes) -> bytes:
    document = json.loads(data)
    tables = document["pipelines"][0]["tables"]
    tables[:] = [table for table in tables if table["name"] != "ingress.tiny"]
    return json.dumps(document).encode()


REFUSED = [
    ("no p4info", lambda: p4r.ForwardingPipelineConfig(p4_device_config=P.json), ["p4info"]),
    ("no json", lambda: p4r.ForwardingPipelineConfig(p4info=P.p4info), ["p4_device_config"]),
    ("truncated json", lambda: spoilt(edit_json=lambda data: data[:5000]), ["p4_device_config"]),
    ("json of something else", lambda: spoilt(edit_json=lambda _: b"{}"), ["p4_device_config"]),
    ("binary", lambda: spoilt(edit_json=lambda _: b"\xff\0\1"), ["p4_device_config"]),
    ("newer p4info", lambda: spoilt(_newer), ["p4info.tables[0]", "1007", "newer"]),
    ("other architecture", lambda: spoilt(lambda i: setattr(i.pkg_info, "arch", "psa")), ["psa"]),
    ("translation", lambda: spoilt(_translated), ["p4runtime_translation", "port_name_t"]),
    ("truncated p4info", lambda: spoilt(lambda i: i.tables.pop()), ["is missing", "truncated"]),
    (
        "shared id",
        lambda: spoilt(lambda i: i.tables[1].preamble.CopyFrom(i.tables[0].preamble)),
        ["share the id", "ingress.host"],
    ),
    (
        "no id",
        lambda: spoilt(lambda i: i.tables[0].preamble.ClearField("id")),
        ["ingress.host", "no id"],
    ),
    (
        "other table name",
        lambda: spoilt(lambda i: setattr(_table(i, "host").preamble, "name", "ingress.hosts")),
        ["ingress.host"],
    ),
    (
        "other key name",
        lambda: spoilt(lambda i: setattr(_table(i, "host").match_fields[0], "name", "eth.dst")),
        ["ingress.host", "eth.dst", "hdr.eth.dst"],
    ),
    (
        "other key width",
        lambda: spoilt(lambda i: setattr(_table(i, "host").match_fields[0], "bitwidth", 32)),
        ["ingress.host", "bit<32>", "bit<48>"],
    ),
    (
        "other match kind",
        lambda: spoilt(
            lambda i: setattr(
                _table(i, "host").match_fields[0], "match_type", p4i.MatchField.TERNARY
            )
        ),
        ["ingress.host", "ternary", "exact"],
    ),
    (
        "other size",
        lambda: spoilt(lambda i: setattr(_table(i, "tiny"), "size", 5)),
        ["ingress.tiny", "5", "4"],
    ),
    (
        "key missing",
        lambda: spoilt(lambda i: _table(i, "acl").match_fields.pop()),
        ["ingress.acl", "3 keys", "4"],
    ),
    (
        "action missing",
        lambda: spoilt(lambda i: i.actions.pop()),
        ["is not among the actions"],
    ),
    (
        "other parameter width",
        lambda: spoilt(lambda i: setattr(_action(i, "forward").params[0], "bitwidth", 16)),
        ["ingress.forward", "bit<16> port", "bit<9> port"],
    ),
    (
        "other counter size",
        lambda: spoilt(lambda i: setattr(i.counters[0], "size", 65)),
        ["ingress.port_hits", "65", "64"],
    ),
    (
        "table that the json lacks",
        lambda: spoilt(edit_json=_without_table),
        ["ingress.tiny"],
    ),
    (
        "controller header of half bytes",
        lambda: spoilt(
            lambda i: setattr(i.controller_packet_metadata[0].metadata[0], "bitwidth", 10)
        ),
        ["17 bits", "whole bytes"],
    ),
]


def _action(p4info: p4i.P4Info, name: str) -> p4i.Action:
    return next(action for action in p4info.actions if action.preamble.alias == name)


@pytest.mark.parametrize(("name", "build", "tells"), REFUSED, ids=[case[0] for case in REFUSED])
async def test_bad_config_is_refused_by_name_and_the_old_one_stays(
    name: str, build: Callable[[], p4r.ForwardingPipelineConfig], tells: list[str]
) -> None:
    async with switch_and_primary() as (_, client):
        await client.write([P.insert(host())])
        for action in (Set.VERIFY, Set.VERIFY_AND_SAVE, Set.VERIFY_AND_COMMIT):
            result = await client.push(build(), action)
            assert result.code == "INVALID_ARGUMENT"
            assert all(text in result.message for text in tells), result.message
        assert len(await client.read(P.entity(fy.P4TableEntry("host")))) == 1
        assert (await get(client)).p4info == P.p4info


async def test_config_is_read_back_as_it_was_pushed_in_the_parts_asked_for() -> None:
    async with switch_and_primary(program=None) as (_, client):
        with pytest.raises(grpc.aio.AioRpcError, match="No forwarding pipeline config"):
            await get(client)
        assert (await client.push(P.config(cookie=7))).code == "OK"
        whole, cookie = P.config(cookie=7), p4r.ForwardingPipelineConfig()
        cookie.cookie.cookie = 7
        assert await get(client) == whole
        assert await get(client, Get.COOKIE_ONLY) == cookie
        whole.ClearField("p4_device_config")
        assert await get(client, Get.P4INFO_AND_COOKIE) == whole
        cookie.p4_device_config = P.json
        assert await get(client, Get.DEVICE_CONFIG_AND_COOKIE) == cookie


async def test_verify_changes_nothing() -> None:
    async with switch_and_primary(program=None) as (_, client):
        assert (await client.push(P.config(), Set.VERIFY)).code == "OK"
        assert (await client.write([P.insert(host())])).code == "FAILED_PRECONDITION"


async def test_push_clears_the_forwarding_state() -> None:
    async with switch_and_primary() as (_, client):
        await client.write([P.insert(host())])
        await client.push(P.config())
        assert not await client.read(P.entity(fy.P4TableEntry("host")))


async def test_commit_replays_what_was_written_since_the_save() -> None:
    written = [
        P.insert(host(1, counter_data=COUNTS)),
        P.insert(tiny(1)),
        P.insert(member(1)),
        P.insert(group(1, 1)),
        P.insert(spread(fy.P4IndirectAction(group_id=1), dst=1)),
        P.insert(spread(fy.P4IndirectAction([(1, fy.Action("drop"))]), dst=2)),
        P.insert(fy.P4CloneSessionEntry(5, replicas=(1,))),
        P.insert(fy.P4DigestEntry("station_t", max_list_size=3)),
        P.modify(fy.P4CounterEntry("port_hits", index=1, data=COUNTS)),
        P.modify(
            fy.P4TableEntry("route", is_default_action=True, action=fy.Action("forward", port=4))
        ),
    ]
    queries = [
        P.entity(fy.P4TableEntry()),
        P.entity(fy.P4TableEntry("host", counter_data=fy.P4CounterData())),
        P.entity(fy.P4TableEntry("route", is_default_action=True)),
        P.entity(fy.P4ActionProfileMember()),
        P.entity(fy.P4ActionProfileGroup()),
        P.entity(fy.P4CloneSessionEntry()),
        P.entity(fy.P4DigestEntry("station_t")),
        P.entity(fy.P4CounterEntry("port_hits")),
    ]
    async with switch_and_primary() as (_, client):
        await client.write([P.insert(host(9))])
        assert (await client.push(P.config(), Set.VERIFY_AND_SAVE)).code == "OK"
        assert (await client.write(written)).code == "OK"
        saved = await client.read(*queries)
        assert (await client.push(None, Set.COMMIT)).code == "OK"
        assert await client.read(*queries) == saved
        assert (await client.push(None, Set.COMMIT)).code == "NOT_FOUND"
    assert len(saved) > len(written)


async def test_commit_with_a_config_is_refused() -> None:
    async with switch_and_primary() as (_, client):
        assert (await client.push(P.config(), Set.COMMIT)).code == "INVALID_ARGUMENT"
        assert (await client.push(None, Set.VERIFY_AND_COMMIT)).code == "INVALID_ARGUMENT"
        assert (await client.push(P.config(), 9)).code == "INVALID_ARGUMENT"


async def test_reconcile_keeps_the_state_of_the_same_program_and_refuses_another() -> None:
    other = P.config()
    other.p4info.pkg_info.name = "other"
    async with switch_and_primary() as (_, client):
        await client.write([P.insert(host())])
        assert (await client.push(P.config(5), Set.RECONCILE_AND_COMMIT)).code == "OK"
        assert len(await client.read(P.entity(fy.P4TableEntry("host")))) == 1
        assert (await get(client, Get.COOKIE_ONLY)).cookie.cookie == 5
        refused = await client.push(other, Set.RECONCILE_AND_COMMIT)
    assert (refused.code, "registers" in refused.message) == ("UNIMPLEMENTED", True)


@pytest.mark.parametrize(
    ("text", "tells"),
    [
        ('value_sets { preamble { name: "vs" } }', "value set 'vs'"),
        ('externs { extern_type_name: "Crypto" }', "extern 'Crypto'"),
        (
            'tables { preamble { name: "t" } match_fields { other_match_type: "fuzzy" } }',
            "fuzzy",
        ),
    ],
)
def test_p4info_with_a_construct_not_served_is_refused(text: str, tells: str) -> None:
    with pytest.raises(P4RuntimeError, match=tells) as refused:
        read_schema(text_format.Parse(text, p4i.P4Info()))
    assert refused.value.code is Code.INVALID_ARGUMENT
