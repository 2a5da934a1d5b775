"""dpmux: several clients on the one packet stream of the embedded switch or bmv2."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import grpc
import pytest
from bmv2_process import SKIP_REASON, find_bmv2
from dataplane_harness import DROPPED, ENTRIES, TO_PORT_2, TO_PORT_3, forwarding_switch, frame
from p4rt_harness import ENTITIES as P
from p4rt_harness import primary

from p4esp.p4rt.server import new_grpc_server
from p4esp.switch.ports.dataplane_client import (
    DataplaneError,
    DataplaneStream,
    dataplane_stream,
    set_port_status,
)
from p4esp.switch.ports.dataplane_rpc import add_dataplane_service
from p4esp.switch.ports.dpmux import DataplaneMux, MuxOptions
from p4esp.switch.service import SwitchOptions, SwitchService, running_switch

BMV2 = pytest.param(
    "bmv2", marks=pytest.mark.skipif(find_bmv2() is None, reason=SKIP_REASON), id="bmv2"
)
BOTH = pytest.mark.parametrize("target", ["embedded", BMV2])


@asynccontextmanager
async def mux_of(switch: str, grace: float = 0.02) -> AsyncIterator[tuple[str, DataplaneMux]]:
    """A dpmux in front of the dp-grpc address `switch`."""
    async with grpc.aio.insecure_channel(switch) as channel:
        mux = DataplaneMux(channel, MuxOptions(1, grace=grace), time.monotonic_ns)
        server, port = new_grpc_server("127.0.0.1:0")
        add_dataplane_service(server, mux)
        await server.start()
        relay = asyncio.create_task(mux.run())
        try:
            yield f"127.0.0.1:{port}", mux
        finally:
            relay.cancel()
            await server.stop(None)


@asynccontextmanager
async def mux_before(target: str, grace: float = 0.02) -> AsyncIterator[str]:
    """Address of a dpmux in front of a forwarding switch."""
    async with forwarding_switch(target) as (switch, _), mux_of(switch, grace) as (address, _):
        yield address


async def packet(stream: DataplaneStream) -> tuple[int, int, bytes]:
    """(port, id, packet) of the next packet."""
    async with asyncio.timeout(5):
        response = await stream.receive()
    assert response is not None
    return response.port, response.id, response.packet


@BOTH
async def test_packets_go_to_the_owner_of_their_port_and_ids_to_their_sender(target: str) -> None:
    async with (
        mux_before(target) as address,
        dataplane_stream(address, 1, "0-2") as tester,
        dataplane_stream(address, 1, "3") as engine,
    ):
        await tester.accepted()
        await engine.accepted()
        await tester.send(1, frame(TO_PORT_2), request_id=5)
        assert await packet(tester) == (2, 5, frame(TO_PORT_2))
        await tester.send(1, frame(TO_PORT_3), request_id=6)
        assert await packet(engine) == (3, 0, frame(TO_PORT_3))
        await engine.send(3, frame(TO_PORT_2), request_id=6)
        assert await packet(tester) == (2, 0, frame(TO_PORT_2))


@BOTH
async def test_burst_through_the_window_loses_nothing(target: str) -> None:
    """The grace outlasts any pause of the switch: beyond it, packets count as dropped."""
    count = 400
    async with mux_before(target, grace=60.0) as address, dataplane_stream(address, 1) as stream:
        for number in range(count):
            await stream.send(1, frame(TO_PORT_2, number.to_bytes(2)))
        responses = await stream.finish()
    assert [int.from_bytes(r.packet[14:16]) for r in responses] == list(range(count))


async def test_dropped_packets_only_delay_the_window() -> None:
    async with mux_before("embedded") as address, dataplane_stream(address, 1) as stream:
        for _ in range(64):
            await stream.send(1, frame(DROPPED))
        await stream.send(1, frame(TO_PORT_2))
        assert [response.port for response in await stream.finish()] == [2]


async def test_taken_port_is_refused_by_name_until_its_client_leaves() -> None:
    async with mux_before("embedded") as address:
        async with dataplane_stream(address, 1, "0-3") as first:
            await first.accepted()
            async with dataplane_stream(address, 1, "3,4") as second:
                with pytest.raises(DataplaneError, match="ports 3 are taken") as refused:
                    await second.receive()
            assert await first.finish() == []
        async with dataplane_stream(address, 1, "3,4") as second:
            await second.accepted()
    assert refused.value.code is grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_bad_port_set_is_refused_by_name() -> None:
    async with mux_before("embedded") as address, dataplane_stream(address, 1, "x") as stream:
        with pytest.raises(DataplaneError, match="'x' is no port; accepted") as refused:
            await stream.receive()
    assert refused.value.code is grpc.StatusCode.INVALID_ARGUMENT


async def test_packet_into_a_port_of_somebody_else_ends_the_stream_with_its_name() -> None:
    async with mux_before("embedded") as address, dataplane_stream(address, 1, "1") as stream:
        await stream.send(2, frame(TO_PORT_2))
        with pytest.raises(DataplaneError, match="port 2 is not among"):
            await stream.receive()


@BOTH
async def test_a_client_that_owns_all_other_ports_cannot_speak_as_the_cpu_port(target: str) -> None:
    async with mux_before(target) as address, dataplane_stream(address, 1) as stream:
        await stream.send(510, frame(TO_PORT_2))
        with pytest.raises(DataplaneError, match=r"port 510 is the CPU port.*accepted") as refused:
            await stream.receive()
    assert refused.value.code is grpc.StatusCode.INVALID_ARGUMENT


async def test_a_client_cannot_claim_the_cpu_port() -> None:
    async with mux_before("embedded") as address:
        async with dataplane_stream(address, 1, "500-511") as stream:
            with pytest.raises(DataplaneError, match="port 510 is the CPU port") as refused:
                await stream.receive()
        assert refused.value.code is grpc.StatusCode.INVALID_ARGUMENT
        async with dataplane_stream(address, 1, "500-509,511") as stream:
            await stream.accepted()


async def test_port_status_is_passed_on_with_the_switch_s_answer() -> None:
    async with mux_before("embedded") as address:
        await set_port_status(address, 1, 2, up=False)
        with pytest.raises(DataplaneError, match="Invalid device id"):
            await set_port_status(address, 2, 2, up=False)


async def test_packets_flow_again_after_the_switch_was_restarted() -> None:
    options = SwitchOptions(dataplane_address="127.0.0.1:0")
    async with (
        running_switch(options) as switch,
        mux_of(switch.dataplane_address) as (address, _),
        dataplane_stream(address, 1) as stream,
    ):
        await push_and_fill(switch)
        await stream.send(1, frame(TO_PORT_2))
        assert await packet(stream) == (2, 0, frame(TO_PORT_2))
        await switch.stop()
        again = replace(options, dataplane_address=switch.dataplane_address)
        async with running_switch(again) as restarted, asyncio.timeout(10):
            await push_and_fill(restarted)
            while not await answered(stream):
                pass


async def push_and_fill(switch: SwitchService) -> None:
    """Push the program and write the forwarding entries."""
    async with primary(switch.grpc_address) as client:
        assert (await client.write([P.insert(entry) for entry in ENTRIES])).code == "OK"


async def answered(stream: DataplaneStream) -> bool:
    """Whether a packet comes back soon; one sent while the switch is away is lost."""
    await stream.send(1, frame(TO_PORT_2))
    try:
        async with asyncio.timeout(0.5):
            return await stream.receive() is not None
    except TimeoutError:
        return False
