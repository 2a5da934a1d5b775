"""Packet-in and packet-out with controller headers of odd widths, through the real pipeline."""

import asyncio
from collections.abc import AsyncIterator
from typing import TypeVar

import finsy as fy
import pytest
from bmv2_process import SKIP_REASON, find_bmv2, running_bmv2
from finsy.proto import p4r, rpc_code
from hypothesis import given
from hypothesis import strategies as st
from p4rt_cases import host
from p4rt_harness import ENTITIES as P
from p4rt_harness import PROGRAMS, Client, primary, switch_and_primary
from scapy.layers.l2 import Ether
from scapy.packet import Raw

from p4esp.p4rt.errors import P4RuntimeError
from p4esp.p4rt.packet_io import PacketInCodec, PacketOutCodec
from p4esp.p4rt.schema import HeaderField
from p4esp.switch.ports.dataplane_client import dataplane_stream
from p4esp.switch.ports.memory import MemoryPort

FRAME = bytes(Ether(dst="00:00:00:00:00:a1", src="00:00:00:00:00:b2", type=0x9000) / Raw(b"hello"))
LAST = FRAME + b", and good-bye"


@given(st.data())
def test_header_of_any_widths_is_the_bits_of_its_fields_in_order(data: st.DataObject) -> None:
    widths = data.draw(st.lists(st.integers(1, 70), min_size=1, max_size=6))
    widths.append(-sum(widths) % 8 or 8)
    values = [data.draw(st.integers(0, (1 << width) - 1)) for width in widths]
    fields = tuple(HeaderField(i + 1, f"f{i}", width) for i, width in enumerate(widths))
    packet = p4r.PacketOut(payload=b"rest")
    for field, value in zip(fields, values, strict=True):
        packet.metadata.add(metadata_id=field.metadata_id, value=value.to_bytes(10))
    frame = PacketOutCodec(fields).frame(packet)
    bits = "".join(f"{value:0{width}b}" for value, width in zip(values, widths, strict=True))
    assert frame == int(bits, 2).to_bytes(len(bits) // 8) + b"rest"
    back = PacketInCodec(fields).message(frame)
    assert back is not None
    assert [int.from_bytes(metadata.value) for metadata in back.metadata] == values
    assert back.payload == b"rest"


T = TypeVar("T")
FIELDS = (HeaderField(1, "egress_port", 9), HeaderField(2, "pad", 7))


@pytest.mark.parametrize(
    ("metadata", "tells"),
    [
        ([(1, b"\1")], "2 (pad)"),
        ([(1, b"\1"), (1, b"\1")], "ids 1, 1"),
        ([(1, b"\1"), (2, b"\0"), (3, b"\0")], "id 3 is unknown"),
        ([(1, b"\2\0"), (2, b"\0")], "'egress_port' (id 1): the value needs 10 bits"),
        ([(1, b""), (2, b"\0")], "empty"),
    ],
)
def test_packet_out_with_wrong_metadata_is_refused_by_name(
    metadata: list[tuple[int, bytes]], tells: str
) -> None:
    packet = p4r.PacketOut()
    for metadata_id, value in metadata:
        packet.metadata.add(metadata_id=metadata_id, value=value)
    with pytest.raises(P4RuntimeError) as refused:
        PacketOutCodec(FIELDS).frame(packet)
    assert tells in refused.value.message


def test_packet_in_shorter_than_its_header_is_no_message() -> None:
    assert PacketInCodec(FIELDS).message(b"\0") is None


def packet_out(port: int = 3, payload: bytes = FRAME) -> p4r.StreamMessageRequest:
    """A packet-out to `port`."""
    packet = p4r.PacketOut(payload=payload)
    packet.metadata.add(metadata_id=1, value=port.to_bytes(2).lstrip(b"\0"))
    packet.metadata.add(metadata_id=2, value=b"\0")
    return p4r.StreamMessageRequest(packet=packet)


PUNT = host(0xA1, action=fy.Action("punt", reason=5))


async def test_packet_in_carries_ingress_port_and_reason() -> None:
    async with switch_and_primary() as (switch, client):
        await client.write([P.insert(PUNT)])
        switch.device.inject(300, FRAME)
        packet = (await client.receive()).packet
    assert packet.payload == FRAME
    assert [(m.metadata_id, m.value) for m in packet.metadata] == [(1, b"\x01\x2c"), (2, b"\5")]


async def test_packet_out_leaves_through_the_port_in_its_metadata() -> None:
    async with switch_and_primary() as (switch, client):
        port = MemoryPort(switch.device, 3)
        await client.stream.write(packet_out(3))
        await client.stream.write(p4r.StreamMessageRequest(packet=p4r.PacketOut()))
        error = (await client.receive()).error
        frames = port.receive()
    assert frames == [FRAME]
    assert error.canonical_code == rpc_code.INVALID_ARGUMENT
    assert error.HasField("packet_out")
    assert "egress_port" in error.message


async def test_only_the_primary_sends_and_receives_packets() -> None:
    async with switch_and_primary() as (switch, client):
        await client.write([P.insert(PUNT)])
        backup = Client(switch.grpc_address)
        await backup.arbitrate(0)
        port = MemoryPort(switch.device, 3)
        await backup.stream.write(packet_out(3))
        refused = (await backup.receive()).error
        switch.device.inject(1, FRAME)
        assert (await client.receive()).packet.payload == FRAME
        await backup.bid(None)
        assert (await backup.receive()).WhichOneof("update") == "arbitration"
        await backup.close()
    assert refused.canonical_code == rpc_code.PERMISSION_DENIED
    assert port.receive() == []


async def test_packets_for_a_client_that_does_not_read_are_dropped_not_hoarded() -> None:
    async with switch_and_primary() as (switch, client):
        await client.write([P.insert(PUNT)])
        for _ in range(20_000):
            switch.device.inject(1, FRAME)
        for _ in range(4096):
            assert (await client.receive()).packet.payload == FRAME
        switch.device.inject(1, LAST)  # there is room for it now
        more = 0
        while (await client.receive()).packet.payload != LAST:
            more += 1
    assert 4096 + more < 20_000


async def test_digest_and_its_acknowledgement_through_the_pipeline() -> None:
    async with switch_and_primary() as (switch, client):
        enable = fy.P4DigestEntry("station_t", max_list_size=1, ack_timeout_ns=60 * 10**9)
        await client.write([P.insert(enable)])
        switch.device.inject(4, FRAME)
        switch.device.inject(4, FRAME)
        digest = (await client.receive()).digest
        ack = p4r.DigestListAck(digest_id=digest.digest_id, list_id=digest.list_id)
        await client.stream.write(p4r.StreamMessageRequest(digest_ack=ack))
        bad = p4r.DigestListAck(digest_id=1)
        await client.stream.write(p4r.StreamMessageRequest(digest_ack=bad))
        assert "station_t" in (await client.receive()).error.message
        switch.device.inject(4, FRAME)
        again = (await client.receive()).digest
    assert [m.bitstring for m in digest.data[0].struct.members] == [b"\xb2", b"\4"]
    assert [digest.list_id, again.list_id] == [1, 2]


async def test_idle_entry_is_told_once_per_time_out() -> None:
    entry = fy.P4TableEntry(
        "tiny",
        match=fy.Match(ttl=9),
        action=fy.Action("mark", vlan=1),
        idle_timeout_ns=1_000_000,
        metadata=b"m",
    )
    async with switch_and_primary() as (_, client):
        await client.write([P.insert(entry)])
        first = (await client.receive()).idle_timeout_notification
        second = (await client.receive()).idle_timeout_notification
    assert [P.entity(entry).table_entry] == list(first.table_entry)
    assert second.timestamp > first.timestamp > 10**18


async def test_finsy_sends_and_receives_packets_and_digests() -> None:
    options = fy.SwitchOptions(
        p4info=PROGRAMS / "entities.p4info.txtpb", p4blob=PROGRAMS / "entities.json"
    )
    async with switch_and_primary(program=None) as (switch, client):
        await client.close()
        async with fy.Switch("s", switch.grpc_address, finsy_primary(options)) as finsy:
            port = MemoryPort(switch.device, 2)
            await finsy.write([+PUNT, +fy.P4DigestEntry("station_t", max_list_size=1)])
            await finsy.write(fy.P4PacketOut(FRAME, egress_port=2, pad=0))
            packet_task = asyncio.create_task(first(finsy.read_packets()))
            digest_task = asyncio.create_task(first(finsy.read_digests("station_t")))
            async with asyncio.timeout(5):
                while not (frames := port.receive()):
                    await asyncio.sleep(0.01)
                switch.device.inject(7, FRAME)
                packet, digest = await packet_task, await digest_task
    assert frames == [FRAME]
    assert (packet["ingress_port"], packet["reason"], packet.payload) == (7, 5, FRAME)
    assert digest.data == [{"mac": 0xB2, "port": 7}]


async def first(items: AsyncIterator[T]) -> T:
    """The first of what finsy yields."""
    async for item in items:
        return item
    raise AssertionError("nothing came")


def finsy_primary(options: fy.SwitchOptions) -> fy.SwitchOptions:
    """The options with an election id above those of the raw clients."""
    return options(initial_election_id=1 << 80)


@pytest.mark.skipif(find_bmv2() is None, reason=SKIP_REASON)
async def test_bmv2_sends_the_same_packet_in() -> None:
    async def punted(client: Client, address: str) -> p4r.PacketIn:
        await client.write([P.insert(PUNT)])
        async with dataplane_stream(address, 1) as stream:
            await stream.send(3, FRAME)
            packet: p4r.PacketIn = (await client.receive()).packet
        return packet

    async with running_bmv2() as bmv2, primary(bmv2.grpc_address) as client:
        theirs = await punted(client, bmv2.dataplane_address)
    async with switch_and_primary() as (switch, ours_client):
        await ours_client.write([P.insert(PUNT)])
        switch.device.inject(3, FRAME)
        ours = (await ours_client.receive()).packet
    assert ours == theirs
