"""Packet I/O over gRPC: the embedded switch behaves as bmv2 does."""

import asyncio

import grpc
import pytest
from bmv2_process import SKIP_REASON, find_bmv2, running_bmv2
from dataplane_harness import (
    DROPPED,
    ENTRIES,
    TO_CPU,
    TO_PORT_2,
    TO_PORT_3,
    P,
    forwarding_switch,
    frame,
    switch_and_primary,
)

from p4esp.proto.dataplane_interface_pb2 import PacketStreamRequest
from p4esp.switch.ports.dataplane_client import DataplaneError, dataplane_stream, set_port_status
from p4esp.switch.service import SwitchOptions, running_switch

BMV2 = pytest.param(
    "bmv2", marks=pytest.mark.skipif(find_bmv2() is None, reason=SKIP_REASON), id="bmv2"
)
BOTH = pytest.mark.parametrize("target", ["embedded", BMV2])


def test_messages_have_the_field_numbers_of_bmv2() -> None:
    """id=1 varint, device_id=2 varint, port=3 varint, packet=4 bytes."""
    message = PacketStreamRequest(id=1, device_id=2, port=3, packet=b"x")
    assert message.SerializeToString() == b"\x08\x01\x10\x02\x18\x03\x22\x01x"


@BOTH
async def test_packets_come_back_with_port_device_and_the_id_that_caused_them(target: str) -> None:
    async with (
        forwarding_switch(target) as (address, _),
        dataplane_stream(address, 1) as stream,
    ):
        await stream.send(1, frame(TO_PORT_2), request_id=77)
        await stream.send(1, frame(DROPPED), request_id=78)
        await stream.send(1, frame(TO_PORT_3))
        responses = await stream.finish()
    found = {(r.port, r.id, r.device_id, r.packet) for r in responses}
    assert found == {(2, 77, 1, frame(TO_PORT_2)), (3, 0, 1, frame(TO_PORT_3))}


@BOTH
async def test_end_of_the_stream_waits_for_all_packets(target: str) -> None:
    count = 60
    async with (
        forwarding_switch(target) as (address, _),
        dataplane_stream(address, 1) as stream,
    ):
        for number in range(count):
            await stream.send(1, frame(TO_PORT_2, number.to_bytes(2)))
        responses = await stream.finish()
    assert [int.from_bytes(r.packet[14:16]) for r in responses] == list(range(count))


@BOTH
async def test_second_stream_is_refused_and_the_first_goes_on(target: str) -> None:
    async with (
        forwarding_switch(target) as (address, _),
        dataplane_stream(address, 1) as stream,
    ):
        await stream.send(1, frame(TO_PORT_2))
        assert (await stream.receive()) is not None
        async with dataplane_stream(address, 1) as second:
            with pytest.raises(DataplaneError) as refused:
                await second.receive()
        await stream.send(1, frame(TO_PORT_2))
        assert (await stream.receive()) is not None
    assert refused.value.code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert refused.value.details == "only one client authorized at a time"


@BOTH
async def test_other_device_ids_and_empty_packets_are_ignored(target: str) -> None:
    async with (
        forwarding_switch(target) as (address, _),
        dataplane_stream(address, 9) as stream,
    ):
        await stream.send(1, frame(TO_PORT_2))
        assert await stream.finish() == []
    async with forwarding_switch(target) as (address, _), dataplane_stream(address, 1) as stream:
        await stream.send(1, b"")
        assert await stream.finish() == []


@BOTH
async def test_packets_to_the_cpu_port_go_to_the_controller(target: str) -> None:
    async with (
        forwarding_switch(target) as (address, client),
        dataplane_stream(address, 1) as stream,
    ):
        await stream.send(300, frame(TO_CPU))
        packet = (await client.receive()).packet
        assert await stream.finish() == []
    assert (packet.payload, packet.metadata[0].value) == (frame(TO_CPU), b"\x01\x2c")


@pytest.mark.parametrize("target", ["embedded", BMV2])
async def test_stream_before_the_first_pipeline_is_unavailable(target: str) -> None:
    async with (
        running_bmv2()
        if target == "bmv2"
        else running_switch(SwitchOptions(dataplane_address="127.0.0.1:0")) as switch,
        dataplane_stream(switch.dataplane_address, 1) as stream,
    ):
        with pytest.raises(DataplaneError) as refused:
            await stream.receive()
    assert (refused.value.code, refused.value.details) == (
        grpc.StatusCode.UNAVAILABLE,
        "not ready",
    )


async def test_stream_cannot_speak_for_the_controller() -> None:
    """Packet-outs and control messages come from the primary, not from whoever opens a stream."""
    options = SwitchOptions(dataplane_address="127.0.0.1:0")
    async with switch_and_primary(options) as (switch, client):
        await client.write([P.insert(entry) for entry in ENTRIES])
        async with dataplane_stream(switch.dataplane_address, 1) as stream:
            await stream.send(510, bytes(2) + frame(TO_PORT_2))
            await stream.send(1, frame(TO_PORT_3, b"sentinel"))
            (response,) = await stream.finish()
    assert response.packet == frame(TO_PORT_3, b"sentinel")
    assert switch.drops() == {"packet stream to a port that is not its own": 1}


async def test_port_that_is_down_neither_takes_nor_sends() -> None:
    async with (
        forwarding_switch("embedded") as (address, _),
        dataplane_stream(address, 1) as stream,
    ):
        await set_port_status(address, 1, 2, up=False)
        await stream.send(2, frame(TO_PORT_3))
        await stream.send(1, frame(TO_PORT_2))
        await stream.send(1, frame(TO_PORT_3, b"sentinel"))
        response = await stream.receive()
        assert response is not None
        assert response.packet == frame(TO_PORT_3, b"sentinel")
        await set_port_status(address, 1, 2, up=True)
        await stream.send(1, frame(TO_PORT_2))
        assert [r.port for r in await stream.finish()] == [2]


@BOTH
@pytest.mark.parametrize(("device_id", "status"), [(2, 1), (1, 0)])
async def test_port_status_of_another_device_or_unknown_is_refused(
    target: str, device_id: int, status: int
) -> None:
    from p4esp.proto.dataplane_interface_pb2 import PortOperStatus, SetPortOperStatusRequest
    from p4esp.switch.ports.dataplane_rpc import port_status_method

    async with forwarding_switch(target) as (address, _):
        request = SetPortOperStatusRequest(
            device_id=device_id, port=1, oper_status=PortOperStatus.Name(status)
        )
        async with grpc.aio.insecure_channel(address) as channel:
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await port_status_method(channel)(request)
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_burst_into_a_reader_that_sleeps_loses_nothing() -> None:
    count = 3000
    async with (
        forwarding_switch("embedded") as (address, _),
        dataplane_stream(address, 1) as stream,
    ):

        async def burst() -> None:
            for number in range(count):
                await stream.send(1, frame(TO_PORT_2, number.to_bytes(2)))

        sender = asyncio.create_task(burst())
        await asyncio.sleep(0.05)
        received = []
        while len(received) < count:
            response = await stream.receive()
            assert response is not None
            received.append(int.from_bytes(response.packet[14:16]))
        await sender
    assert received == list(range(count))
