"""IKE over real UDP sockets: addresses, ports, families, and what is no IKE."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from daemon_lab import (
    EAST_NET,
    WEST_NET,
    RunningDaemon,
    free_udp_ports,
    peer_section,
    running_daemon,
)

from p4esp.daemon.udp import UdpError
from p4esp.service.control_client import ControlError
from p4esp.service.journal import Kind

HERE, THERE = "127.0.0.2", "127.0.0.3"
VERSION_3 = bytes(8 * [1]) + bytes(8) + bytes([33, 0x30, 34, 0x08, 0, 0, 0, 0, 0, 0, 0, 28])
"""The header of an IKE_SA_INIT request of a later major version: it is answered at once."""


class Pair:
    """Two daemons on one pair of ports, with an address each."""

    def __init__(self, stack: AsyncExitStack, directory: Path) -> None:
        self._stack = stack
        self._directory = directory
        self.ports = free_udp_ports(2)

    async def start(self, **changes: Any) -> tuple[RunningDaemon, RunningDaemon]:
        east = await self.daemon("east", THERE, peer_section("west", THERE, HERE))
        west = await self.daemon("west", HERE, peer_section("east", HERE, THERE, **changes))
        return west, east

    async def daemon(self, name: str, address: str, *peers: dict[str, Any]) -> RunningDaemon:
        config = {"listen": [address], "control": f"{name}.sock", "peers": list(peers)}
        ports = dict(zip(("port", "nat_port"), self.ports, strict=True))
        running = running_daemon(self._directory, **config, **ports)
        return await self._stack.enter_async_context(running)


@pytest.fixture
async def pair(tmp_path: Path) -> AsyncIterator[Pair]:
    async with AsyncExitStack() as stack, asyncio.timeout(30):
        yield Pair(stack, tmp_path)


@pytest.mark.parametrize("address", ["127.0.0.5", "::1"])
async def test_an_answer_leaves_from_the_address_its_request_came_to(
    tmp_path: Path, address: str
) -> None:
    port, nat_port = free_udp_ports(2)
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    async with asyncio.timeout(30), running_daemon(tmp_path, port=port, nat_port=nat_port):
        with socket.socket(family, socket.SOCK_DGRAM) as client:
            client.setblocking(False)
            client.bind((address, 0))
            loop = asyncio.get_running_loop()
            await loop.sock_sendto(client, VERSION_3, (address, port))
            answer, sender = await loop.sock_recvfrom(client, 4096)
    assert sender[:2] == (address, port)
    assert answer[18] == 34


async def test_a_daemon_does_not_take_ports_that_are_in_use(pair: Pair) -> None:
    await pair.start()
    with pytest.raises(UdpError, match=r"UDP 127\.0\.0\.2:\d+: Address already in use; accepted"):
        await pair.daemon("other", HERE)


async def test_what_is_no_ike_is_counted_and_left_alone(tmp_path: Path) -> None:
    port, nat_port = free_udp_ports(2)
    async with asyncio.timeout(30), running_daemon(tmp_path, port=port, nat_port=nat_port) as west:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sender:
            sender.sendto(b"\1\2\3\4 ESP", ("::1", nat_port))
            sender.sendto(b"\xff", ("::1", nat_port))
            sender.sendto(b"not IKE", ("::1", port))
        expected = {"ESP or NAT keepalive": 2, "no well-formed IKE header": 1}
        while (await west.tell("status"))["drops"] != expected:
            await asyncio.sleep(0)


async def test_behind_a_nat_both_ends_move_to_the_shared_port(pair: Pair) -> None:
    west, east = await pair.start(force_encapsulation=True)
    (event,) = await west.tell("up", peer="east")
    assert event["child"]["udp"]
    for daemon in (west, east):
        (sa,) = (await daemon.tell("status"))["ike_sas"]
        assert sa["local"].endswith(f":{pair.ports[1]}")


async def test_a_child_lives_through_rekey_and_delete_by_command(pair: Pair) -> None:
    west, east = await pair.start()
    (up,) = await west.tell("up", peer="east", child="net")
    rekeyed = await east.tell("rekey-child", child="west/net")
    assert rekeyed["old"]["spi_out"] == up["child"]["spi_in"]
    gone = await west.tell("delete-child", child=rekeyed["new"]["spi_out"])
    assert gone["reason"] == "deleted by us"
    assert (await west.tell("check", peer="east"))["event"] == "peer-alive"
    (down,) = await west.tell("down", peer="east")
    assert down["event"] == "ike-down"
    await east.journal.has(lambda entry: entry.kind is Kind.IKE_DOWN)
    assert (await east.tell("status"))["ike_sas"] == []


async def test_a_child_that_is_to_be_up_comes_up_by_itself(pair: Pair) -> None:
    child = {"name": "net", "local": [WEST_NET], "remote": [EAST_NET], "start": True}
    west, east = await pair.start(children=[child])
    for daemon in (west, east):
        await daemon.journal.has(lambda entry: entry.kind is Kind.SA_UP)


async def test_a_move_to_where_the_ike_sa_is_already_is_refused_at_once(pair: Pair) -> None:
    """Nothing would change, so there would be nothing to wait for."""
    east = await pair.daemon("east", THERE, peer_section("west", THERE, HERE, mobike=True))
    west = await pair.daemon("west", HERE, peer_section("east", HERE, THERE, mobike=True))
    await west.tell("up", peer="east")
    async with asyncio.timeout(10):
        with pytest.raises(ControlError, match=f"is on {HERE}:.* already; accepted: another"):
            await west.tell("move", peer="east", local=HERE)
    assert len((await east.tell("status"))["ike_sas"]) == 1
