"""Whoever speaks ARP on a link, the neighbour table has room and the session goes on."""

import asyncio
from collections.abc import Sequence
from ipaddress import IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lab_helpers import PROGRAM, passes

from p4esp.controller import arp
from p4esp.controller.config import GatewayConfig, parse_config
from p4esp.controller.entries import Entry, Op, Update
from p4esp.controller.errors import SwitchUnreachableError, TableWriteError
from p4esp.controller.interfaces import Interfaces, exact_address
from p4esp.controller.neighbours import MAX_LEARNED, Neighbours
from p4esp.controller.numbers import SIZE_NEIGHBOUR
from p4esp.controller.packets import Ethernet, Udp
from p4esp.controller.target import Session
from p4esp.controller.writer import TableWriter
from p4esp.demo.lab import running_lab
from p4esp.demo.plan import INSIDE, LEFT, OUTSIDE, Change, gateway_section
from p4esp.service.journal import Kind

GATEWAY = IPv4Address("192.0.2.1")
MAC = bytes.fromhex("020000009900")
LIMIT = 4


def site(*outside: str) -> GatewayConfig:
    """The left gateway, its outer interface first, with such addresses there as well."""
    section = gateway_section(LEFT, "127.0.0.1:9559", Change())
    section["interfaces"].reverse()
    section["interfaces"][0]["addresses"] += outside
    return parse_config({"gateways": {"left": section}}, "test").gateways["left"]


def asks(host: int, mac: bytes = MAC) -> Ethernet:
    """A host of the outer link wants to know where we are."""
    sender = IPv4Address("192.0.2.0") + host
    return Ethernet.parse(arp.request(mac, sender, GATEWAY).frame(0))


class Switch:
    """The `neighbour` table of a switch that refuses what real ones refuse."""

    def __init__(self, *outside: str) -> None:
        config = site(*outside)
        self.full = False
        self.table: dict[IPv4Address, Entry] = {}
        self.frames: list[bytes] = []
        self.neighbours = Neighbours(
            Interfaces(config),
            TableWriter(self._write),
            self._send_frame,
            self._send_routed,
            clock=lambda: 0.0,
            max_learned=LIMIT,
        )
        static = Interfaces(config).static_neighbours()
        self.table = {exact_address(entry, "next_hop"): entry for entry in static}
        self.neighbours.adopt(static)

    async def _write(self, updates: Sequence[Update]) -> dict[int, tuple[str, str]]:
        codes = enumerate(map(self._apply, updates))
        return {i: (code, "refused") for i, code in codes if code}

    def _apply(self, update: Update) -> str:
        address = exact_address(update.entry, "next_hop")
        if self.full and update.op is not Op.DELETE:
            return "RESOURCE_EXHAUSTED"
        if (update.op is Op.INSERT) == (address in self.table):
            return "ALREADY_EXISTS" if update.op is Op.INSERT else "NOT_FOUND"
        self.table[address] = update.entry
        if update.op is Op.DELETE:
            del self.table[address]
        return ""

    async def _send_frame(self, port: int, frame: bytes) -> None:
        self.frames.append(frame)

    async def _send_routed(self, frame: bytes) -> None:
        self.frames.append(frame)

    def hosts(self) -> set[int]:
        """The last octets of the neighbours on the outer link."""
        base = int(IPv4Address("192.0.2.0"))
        return {int(address) - base for address in self.table if int(address) - base in range(256)}

    def hears(self, *hosts: int, mac: bytes = MAC) -> None:
        async def receive() -> None:
            for host in hosts:
                await self.neighbours.received(OUTSIDE, asks(host, mac))

        asyncio.run(receive())


@given(st.lists(st.integers(2, 12), max_size=40))
def test_those_last_heard_of_are_known_and_no_more_than_the_limit(hosts: list[int]) -> None:
    switch = Switch()
    switch.hears(*hosts)
    assert switch.hosts() == set(list(dict.fromkeys(reversed(hosts)))[:LIMIT])
    assert LEFT.host in switch.table


def test_the_limit_leaves_room_in_the_table_for_configured_neighbours() -> None:
    assert 0 < MAX_LEARNED < SIZE_NEIGHBOUR


def test_a_neighbour_that_made_room_is_asked_for_when_a_packet_needs_it() -> None:
    switch = Switch()
    switch.hears(*range(2, 2 + LIMIT + 1))
    assert 2 not in switch.hosts()
    switch.frames.clear()
    packet = Udp(1, 2, b"x").over(GATEWAY, IPv4Address("192.0.2.2"))
    asyncio.run(switch.neighbours.unresolved(packet, hold=True))
    (frame,) = switch.frames
    assert arp.Arp.parse(Ethernet.parse(frame).payload).target == IPv4Address("192.0.2.2")
    switch.hears(2)
    assert 2 in switch.hosts()
    assert any(frame.endswith(packet.payload) for frame in switch.frames)


def test_what_a_switch_refused_is_not_taken_for_known() -> None:
    switch = Switch()
    switch.full = True
    with pytest.raises(TableWriteError, match="RESOURCE_EXHAUSTED"):
        switch.hears(2)
    switch.full = False
    switch.hears(2)
    assert switch.hosts() == {2}


def test_a_station_that_moved_is_followed_and_a_configured_one_is_not() -> None:
    switch = Switch()
    switch.hears(2)
    switch.hears(2, mac=b"\x02" * 6)
    assert switch.table[IPv4Address("192.0.2.2")].arg("mac") == int.from_bytes(b"\x02" * 6)
    claim = arp.request(b"\x02" * 6, LEFT.host, IPv4Address("10.1.0.1")).frame(0)
    before = switch.table[LEFT.host]
    asyncio.run(switch.neighbours.received(0, Ethernet.parse(claim)))
    assert switch.table[LEFT.host] == before


@pytest.mark.parametrize(
    ("neighbour", "port", "address"),
    [
        ("10.1.0.7", INSIDE, "10.1.0.1"),
        ("10.9.0.7", OUTSIDE, "10.0.0.1"),
        ("192.0.2.7", OUTSIDE, "192.0.2.1"),
        ("198.51.100.7", None, None),
    ],
)
def test_a_neighbour_is_on_the_link_of_the_longest_prefix(
    neighbour: str, port: int | None, address: str | None
) -> None:
    found = Interfaces(site("10.0.0.1/8")).towards(IPv4Address(neighbour))
    where = (found.interface.port, str(found.address)) if found else (None, None)
    assert where == (port, address)


def test_of_two_addresses_on_one_network_the_first_is_the_one_towards_it() -> None:
    found = Interfaces(site("192.0.2.3/24")).towards(IPv4Address("192.0.2.7"))
    assert found is not None
    assert str(found.address) == "192.0.2.1"


def tells(sender: str, target: str, mac: bytes = MAC) -> Ethernet:
    return Ethernet.parse(arp.request(mac, *map(IPv4Address, (sender, target))).frame(0))


def test_who_speaks_on_the_outer_link_teaches_nothing_of_an_inner_network_within_its_own() -> None:
    switch = Switch("10.0.0.1/8")
    inside, outside = tells("10.1.0.7", "10.1.0.1"), tells("10.1.0.7", "10.0.0.1", b"\x02" * 6)
    asyncio.run(switch.neighbours.received(INSIDE, inside))
    known = switch.table[IPv4Address("10.1.0.7")]
    assert (known.arg("port"), known.arg("mac")) == (INSIDE, int.from_bytes(MAC))
    switch.frames.clear()
    asyncio.run(switch.neighbours.received(OUTSIDE, outside))
    assert switch.table[IPv4Address("10.1.0.7")] == known
    assert switch.frames == []


def test_a_host_of_any_of_our_networks_on_a_link_is_learned_there() -> None:
    switch = Switch("192.0.2.65/26", "10.0.0.1/8")
    for sender, target in (("192.0.2.70", "192.0.2.1"), ("10.9.0.7", "192.0.2.65")):
        asyncio.run(switch.neighbours.received(OUTSIDE, tells(sender, target)))
        assert switch.table[IPv4Address(sender)].arg("port") == OUTSIDE
    assert len(switch.frames) == 2


async def test_a_refused_neighbour_is_noted_once_and_the_session_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write = Session.write

    async def refuse(session: Session, updates: Sequence[Update]) -> dict[int, tuple[str, str]]:
        if any(update.entry.table == "neighbour" for update in updates):
            return dict.fromkeys(range(len(updates)), ("RESOURCE_EXHAUSTED", "it is full"))
        return await write(session, updates)

    async with running_lab(PROGRAM) as lab, asyncio.timeout(15):
        await lab.tunnel_up()
        monkeypatch.setattr(Session, "write", refuse)
        lab.gateway(lab.left).link.session.end(SwitchUnreachableError("the stream ended"))
        await lab.journal.next(lambda entry: entry.kind is Kind.READY)
        link = lab.gateway(lab.left).link
        for host in range(50, 70):
            lab.left.device.inject(OUTSIDE, asks(host).build())
        await lab.happened(lab.left, Kind.REFUSED, "RESOURCE_EXHAUSTED")
        lab.gateway(lab.left).rekey_child(next(iter(lab.gateway(lab.left).sas.live)))
        await lab.happened(lab.left, Kind.SA_REMOVED)
        assert await passes(lab, lab.left, lab.right)
        assert lab.gateway(lab.left).link is link
        kinds = [entry.kind for entry in lab.journal.entries if entry.gateway == "left"]
        assert kinds.count(Kind.REFUSED) == 1
