"""Neighbour discovery (RFC 4861) for one switch, with scapy on the link; hostile input included."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from ipaddress import IPv6Address
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet6 import (
    ICMPv6ND_NA,
    ICMPv6ND_NS,
    ICMPv6ND_RA,
    ICMPv6NDOptDstLLAddr,
    ICMPv6NDOptSrcLLAddr,
    IPv6,
    in6_chksum,
    in6_getnsma,
    in6_getnsmac,
)
from scapy.layers.l2 import Ether
from scapy.packet import Packet, Raw
from scapy.utils6 import in6_mactoifaceid

from p4esp.controller import nd
from p4esp.controller.config import parse_config
from p4esp.controller.entries import Entry, Op, Update
from p4esp.controller.interfaces import Interfaces, exact_address
from p4esp.controller.neighbours import Neighbours
from p4esp.controller.packets import Ethernet, Ipv6, PacketError, Udp
from p4esp.controller.writer import TableWriter
from p4esp.demo.plan import INSIDE, LEFT, OUTSIDE, Change, gateway_section

US = "2001:db8:ff::1"
THEM = "2001:db8:ff::2"
INNER = "2001:db8:ff:0:1::7"
"""On a network of another link that lies within the one of this."""
OUR_MAC = LEFT.mac(OUTSIDE).hex(":")
THEIR_MAC = "02:00:00:00:99:00"
OTHER_MAC = "02:00:00:00:99:01"
OUR_LINK_LOCAL = str(nd.link_local(LEFT.mac(OUTSIDE)))
LIMIT = 4


def gateway() -> Any:
    section = gateway_section(LEFT, "127.0.0.1:9559", Change())
    section["interfaces"][1]["addresses"].append(f"{US}/64")
    section["interfaces"][0]["addresses"].append("2001:db8:ff:0:1::1/80")
    section["neighbours"].append({"address": "2001:db8:ff::99", "mac": OTHER_MAC})
    return parse_config({"gateways": {"left": section}}, "test").gateways["left"]


class Switch:
    """The `neighbour_v6` table of a switch, and the frames that leave it."""

    def __init__(self) -> None:
        self.now = 0.0
        self.port = OUTSIDE
        """Where the frames have to leave."""
        self.table: dict[Any, Entry] = {}
        self.frames: list[bytes] = []
        self.routed: list[bytes] = []
        interfaces = Interfaces(gateway())
        self.neighbours = Neighbours(
            interfaces,
            TableWriter(self._write),
            self._send_frame,
            self._send_routed,
            clock=lambda: self.now,
            max_learned=LIMIT,
        )
        self.neighbours.adopt(interfaces.static_neighbours())

    async def _write(self, updates: Sequence[Update]) -> dict[int, tuple[str, str]]:
        for update in updates:
            assert update.entry.table == "neighbour_v6"
            self.table[exact_address(update.entry, "next_hop")] = update.entry
            if update.op is Op.DELETE:
                del self.table[exact_address(update.entry, "next_hop")]
        return {}

    async def _send_frame(self, port: int, frame: bytes) -> None:
        assert port == self.port
        self.frames.append(frame)

    async def _send_routed(self, frame: bytes) -> None:
        self.routed.append(frame)

    def hears(self, *packets: Packet, port: int = OUTSIDE) -> list[Packet]:
        """Frames come in; those that go out in answer, as scapy reads them."""
        self.port = port
        self.frames.clear()

        async def receive() -> None:
            for packet in packets:
                frame = Ethernet.parse(bytes(packet))
                await self.neighbours.discovered(port, frame)

        asyncio.run(receive())
        return [Ether(frame) for frame in self.frames]

    def needs(self, address: str, *, hold: bool = True, port: int = OUTSIDE) -> list[Packet]:
        """A packet of the controller finds no neighbour; what is asked then."""
        self.port = port
        self.frames.clear()
        packet = Udp(1, 2, b"held").over(IPv6Address(US), IPv6Address(address))
        asyncio.run(self.neighbours.unresolved(packet, hold=hold))
        return [Ether(frame) for frame in self.frames]

    def known(self) -> dict[str, str]:
        """MAC addresses by address."""
        entries = self.table.items()
        return {str(ip): entry.arg("mac").to_bytes(6, "big").hex(":") for ip, entry in entries}


def asks(target: str = US, src: str = THEM, mac: str | None = THEIR_MAC, **fields: Any) -> Packet:
    """A solicitation, as scapy makes it."""
    dst = fields.pop("dst", in6_getnsma(IPv6Address(target).packed))
    dst = dst if isinstance(dst, str) else str(IPv6Address(dst))
    header = IPv6(src=src, dst=dst, hlim=fields.pop("hlim", 255))
    packet = Ether(src=THEIR_MAC, dst=OUR_MAC) / header / ICMPv6ND_NS(tgt=target, **fields)
    return packet / ICMPv6NDOptSrcLLAddr(lladdr=mac) if mac else packet


def tells(
    target: str = THEM,
    mac: str | None = THEIR_MAC,
    *,
    override: int = 1,
    solicited: int = 1,
    dst: str = US,
    **fields: Any,
) -> Packet:
    """An advertisement, as scapy makes it."""
    header = IPv6(src=fields.pop("src", target), dst=dst, hlim=fields.pop("hlim", 255))
    message = ICMPv6ND_NA(R=0, S=solicited, O=override, tgt=target, **fields)
    packet = Ether(src=THEIR_MAC, dst=OUR_MAC) / header / message
    return packet / ICMPv6NDOptDstLLAddr(lladdr=mac) if mac else packet


def is_sound(packet: Packet) -> bool:
    """Whether checksum and hop limit are what scapy and RFC 4861 want."""
    data = bytearray(bytes(packet[IPv6].payload))
    claimed, data[2:4] = bytes(data[2:4]), b"\0\0"
    return packet[IPv6].hlim == 255 and in6_chksum(58, packet[IPv6], bytes(data)) == int.from_bytes(
        claimed, "big"
    )


@pytest.mark.parametrize("target", [US, OUR_LINK_LOCAL])
def test_a_solicitation_for_our_address_is_answered_to_who_asked(target: str) -> None:
    (answer,) = Switch().hears(asks(target))
    assert is_sound(answer)
    assert (answer.dst, answer.src) == (THEIR_MAC, OUR_MAC)
    assert (answer[IPv6].src, answer[IPv6].dst) == (target, THEM)
    message = answer[ICMPv6ND_NA]
    assert (message.tgt, message.R, message.S, message.O) == (target, 1, 1, 1)
    assert answer[ICMPv6NDOptDstLLAddr].lladdr == OUR_MAC


def test_the_link_local_address_is_scapys_of_our_mac() -> None:
    assert IPv6Address(OUR_LINK_LOCAL) == IPv6Address(f"fe80::{in6_mactoifaceid(OUR_MAC)}")


def test_who_asks_with_a_source_option_is_learned() -> None:
    switch = Switch()
    switch.hears(asks())
    assert switch.known() == {THEM: THEIR_MAC}


def test_who_asks_from_a_link_local_address_is_answered_and_not_learned() -> None:
    switch = Switch()
    (answer,) = switch.hears(asks(src="fe80::2"))
    assert answer[IPv6].dst == "fe80::2"
    assert switch.known() == {}


def test_address_detection_by_another_is_told_that_the_address_is_ours() -> None:
    """RFC 4862 5.4.3: to all nodes, and not as solicited."""
    switch = Switch()
    (answer,) = switch.hears(asks(src="::", mac=None))
    assert (answer[IPv6].dst, answer.dst, answer[ICMPv6ND_NA].S) == (
        "ff02::1",
        "33:33:00:00:00:01",
        0,
    )
    assert switch.known() == {}


@pytest.mark.parametrize(
    "packet",
    [
        asks(target=THEM),
        asks(src="2001:db8:aa::5"),
        asks(src=US),
        tells(target="2001:db8:aa::5"),
        tells(),
        tells(target=US),
        asks(src=INNER),
        tells(target=INNER),
        Ether(dst=OUR_MAC) / IPv6(src="fe80::9", dst="ff02::1", hlim=255) / ICMPv6ND_RA(),
    ],
    ids=[
        "for another",
        "not of this link",
        "from our own address",
        "advertised from elsewhere",
        "not asked for",
        "our address claimed",
        "of an inner network within that of the link",
        "advertised from an inner network within that of the link",
        "router",
    ],
)
def test_what_is_none_of_our_business_changes_nothing(packet: Packet) -> None:
    switch = Switch()
    assert switch.hears(packet) == []
    assert switch.known() == {}


def with_options(*options: bytes) -> Packet:
    return asks(mac=None) / Raw(b"".join(options))


@pytest.mark.parametrize(
    "packet",
    [
        asks(hlim=254),
        tells(hlim=64),
        asks(cksum=1),
        asks(code=1),
        asks(target="ff02::1", dst="ff02::1"),
        asks(src="::"),
        asks(src="::", mac=None, dst=US),
        tells(dst="ff02::1", solicited=1),
        asks(mac="03:00:00:00:00:01"),
        asks(mac="00:00:00:00:00:00"),
        with_options(b"\x01\x00" + bytes(6)),
        with_options(b"\x01\x02" + bytes(6)),
        with_options(b"\x01"),
        with_options(b"\x01\x02" + bytes(14)),
        with_options(*[b"\x0e\x01" + bytes(6)] * 17),
        Ether(dst=OUR_MAC) / IPv6(src=THEM, dst=US, hlim=255, nh=58) / Raw(b"\x87\x00\x00"),
    ],
    ids=[
        "hop limit",
        "hop limit of an answer",
        "checksum",
        "code",
        "multicast target",
        "nobody with a link address",
        "nobody to one host",
        "solicited multicast",
        "group mac",
        "zero mac",
        "empty option",
        "long option",
        "half an option",
        "link address of eight octets",
        "too many options",
        "too short",
    ],
)
def test_what_must_be_discarded_is_and_says_why(packet: Packet) -> None:
    switch = Switch()
    with pytest.raises(PacketError):
        switch.hears(packet)
    assert (switch.frames, switch.known()) == ([], {})


def test_a_fragment_is_no_neighbour_discovery() -> None:
    """RFC 6980 5."""
    good = bytes(asks()[IPv6].payload)
    fragment = IPv6(src=THEM, dst=US, hlim=255, nh=44) / Raw(b"\x3a\0\0\0\0\0\0\x01" + good)
    with pytest.raises(PacketError):
        Switch().hears(Ether(dst=OUR_MAC) / fragment)


def test_a_next_hop_is_asked_for_once_a_second_and_what_waited_is_sent() -> None:
    switch = Switch()
    (question,) = switch.needs(THEM)
    assert is_sound(question)
    group = in6_getnsma(IPv6Address(THEM).packed)
    assert question[IPv6].dst == str(IPv6Address(group))
    assert question.dst == in6_getnsmac(group)
    assert (question[IPv6].src, question[ICMPv6ND_NS].tgt) == (US, THEM)
    assert question[ICMPv6NDOptSrcLLAddr].lladdr == OUR_MAC
    assert switch.needs(THEM) == []
    switch.now = 1.0
    assert len(switch.needs(THEM)) == 1
    switch.hears(tells())
    assert switch.known() == {THEM: THEIR_MAC}
    (sent,) = switch.routed
    assert bytes(Ether(sent)[IPv6]).endswith(b"held")


def test_an_advertisement_without_a_link_address_teaches_nothing() -> None:
    switch = Switch()
    switch.needs(THEM)
    switch.hears(tells(mac=None))
    assert switch.known() == {}


def test_a_neighbour_moves_only_by_an_advertisement_that_overrides() -> None:
    """RFC 4861 7.2.5."""
    switch = Switch()
    switch.hears(asks(), tells(mac=OTHER_MAC, override=0))
    assert switch.known() == {THEM: THEIR_MAC}
    switch.hears(tells(mac=OTHER_MAC, solicited=0, dst="ff02::1"))
    assert switch.known() == {THEM: OTHER_MAC}


def test_nobody_on_the_outer_link_moves_a_neighbour_of_an_inner_network_within_its_own() -> None:
    switch = Switch()
    switch.needs(INNER, port=INSIDE)
    switch.hears(tells(target=INNER), port=INSIDE)
    switch.hears(asks(src=INNER, mac=OTHER_MAC), tells(target=INNER, mac=OTHER_MAC))
    assert switch.known() == {INNER: THEIR_MAC}
    assert switch.table[IPv6Address(INNER)].arg("port") == INSIDE


def test_a_configured_neighbour_is_beyond_doubt() -> None:
    switch = Switch()
    switch.hears(asks(src="2001:db8:ff::99"), tells(target="2001:db8:ff::99"))
    assert switch.known() == {}


@given(st.lists(st.integers(2, 12), max_size=30))
def test_those_last_heard_of_are_known_and_no_more_than_the_limit(hosts: list[int]) -> None:
    switch = Switch()
    switch.hears(*(asks(src=f"2001:db8:ff::{host:x}") for host in hosts))
    latest = list(dict.fromkeys(reversed(hosts)))[:LIMIT]
    assert set(switch.known()) == {f"2001:db8:ff::{host:x}" for host in latest}


@given(st.binary(max_size=120))
def test_hostile_octets_raise_nothing_but_packet_errors(data: bytes) -> None:
    source, target = IPv6Address(THEM), IPv6Address(US)
    for packet in (data, Ipv6(source, target, 58, data, 255).build()):
        with suppress(PacketError):
            nd.Discovery.parse(Ipv6.parse(packet))


@given(st.integers(0, 71), st.integers(1, 255))
def test_no_changed_octet_of_a_solicitation_makes_it_another_one(place: int, change: int) -> None:
    """All but version, class, label and hop limit are under the checksum; options are in order."""
    good = bytes(asks()[IPv6])
    bad = bytearray(good)
    bad[place] ^= change
    with suppress(PacketError):
        found = nd.Discovery.parse(Ipv6.parse(bytes(bad)))
        assert place < 4
        assert found == nd.Discovery.parse(Ipv6.parse(good))
