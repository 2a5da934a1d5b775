"""ESP pings between two gateways: asked by the controller, answered by the pipeline."""

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from ipaddress import IPv4Address
from typing import Any

import pytest
from family_lab import host, ip_of, outer
from hypothesis import given
from hypothesis import strategies as st
from lab_helpers import all_tables, drops
from ping_lab import SHORT, PingLab, ping_lab

from p4esp.controller import tables
from p4esp.controller.commands import ControllerCommands
from p4esp.controller.entries import Update
from p4esp.controller.esp_ping import Ends, EspPings, build, parse_reply
from p4esp.controller.link import PUNT_RATES
from p4esp.controller.numbers import Punt
from p4esp.controller.outstanding import MAX_WAITING, Echo
from p4esp.controller.packets import ETHERTYPE_IPV4, Ethernet, Ipv4, PacketError
from p4esp.controller.target import Session
from p4esp.demo.plan import OUTSIDE
from p4esp.demo.site import Site
from p4esp.ike.errors import CommandError
from p4esp.service.event_hub import EventHub

HERE, THERE = IPv4Address("192.0.2.1"), IPv4Address("192.0.2.2")
REPLY = Echo(0xBEEF, 1, b"ping")


async def test_a_request_is_laid_out_as_the_digest_says_and_comes_back() -> None:
    async with ping_lab(esp_ping=True) as lab:
        taken = await lab.ping(3, size=4)
        request, reply = lab.pings_on_wire()
    assert taken is not None
    assert taken > 0
    assert request[:12] == bytes.fromhex("000000070000000002000004")
    assert (request[14:16], len(request)) == (b"\0\3", 20)
    assert reply == bytes.fromhex("000000080000000003000004") + request[12:]


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("size", [0, 56, 1400])
async def test_replies_come_back_over_either_family(version: int, size: int) -> None:
    async with ping_lab(esp_ping=True) as lab:
        assert await lab.ping(version=version, size=size) is not None
        assert [size + 16] * 2 == [len(ping) for ping in lab.pings_on_wire()]


async def test_no_ping_is_answered_by_default() -> None:
    async with ping_lab() as lab:
        assert await lab.ping(wait=SHORT) is None
        assert drops(lab.right) == {"NO_ECHO": 1}
        assert len(lab.pings_on_wire()) == 1


async def test_answers_are_as_many_as_configured() -> None:
    async with ping_lab(esp_ping=True, esp_ping_rate=1) as lab:
        assert await lab.ping() is not None
        for _ in range(50):
            from_outside(lab.right, build(REPLY, 7))
        assert 45 <= drops(lab.right)["ECHO_LIMITED"] <= 50
        await asyncio.sleep(1.1)
        assert await lab.ping() is not None


async def test_our_own_addresses_answer_and_those_of_hosts_behind_us_do_not() -> None:
    async with ping_lab(esp_ping=True) as lab:
        entries = await all_tables(lab, lab.right)
        answering = {entry.field("local_id") for entry in entries if entry.table == "echo"}
        local = [entry for entry in entries if entry.action == "is_local"]
        assert answering == {entry.arg("local_id") for entry in local if not entry.arg("proxied")}
        assert len(answering) == 4
        lab.seen.clear()
        from_outside(lab.right, build(REPLY, 7), IPv4Address(host(lab.right.plan.number, 4)))
        assert (drops(lab.right), lab.seen) == ({"POLICY_DISCARD": 1}, [])


async def test_a_controller_that_takes_over_does_as_its_configuration_says() -> None:
    async with ping_lab(esp_ping=True) as lab:
        await lab.restart()
        assert await lab.ping(wait=SHORT) is None
        await lab.restart(esp_ping=True, esp_ping_rate=1)
        assert await lab.ping() is not None
        assert await lab.ping(wait=SHORT) is None
        await lab.restart(esp_ping=True)
        assert await lab.ping() is not None


async def test_answers_are_metered_before_there_are_any(monkeypatch: pytest.MonkeyPatch) -> None:
    """A meter that nobody has set lets all pass."""
    metered: dict[str, bool] = {}
    ordinary = Session.write

    async def watched(session: Session, updates: Sequence[Update]) -> Any:
        site = next(site for site in lab.sites if site.plan.name == session._switch.name)
        if any(update.entry.table == "echo" for update in updates):
            meter = site.device.meter_array("echo_rate").read(0)
            metered.setdefault(site.plan.name, meter is not None)
        return await ordinary(session, updates)

    monkeypatch.setattr(Session, "write", watched)
    lab = PingLab(esp_ping=True)
    try:
        await lab.start()
        await lab.ready()
        assert metered == {"left": True, "right": True}
        metered.clear()
        await lab.restart()
        await lab.restart(esp_ping=True)
        assert metered == {"left": True, "right": True}
    finally:
        await lab.stop()


async def test_a_peer_that_does_not_answer_is_waited_for_no_longer_than_asked() -> None:
    async with ping_lab(esp_ping=True) as lab:
        lab.wire.on_wire = lambda _: None
        assert await lab.ping(wait=SHORT) is None
        assert len(lab.gateway(lab.left)._pings.outstanding) == 0


Spoil = Callable[[Ipv4], Ipv4]


def changed(offset: int, octets: bytes) -> Spoil:
    """Other octets behind the IP header."""

    def spoil(packet: Ipv4) -> Ipv4:
        end = offset + len(octets)
        return replace(packet, payload=packet.payload[:offset] + octets + packet.payload[end:])

    return spoil


SPOILT: dict[str, Spoil] = {
    "sub-type": changed(8, b"\2"),
    "unknown sub-type": changed(8, b"\4"),
    "flags": changed(9, b"\x80"),
    "length too great": changed(10, b"\xff\xff"),
    "length too small": changed(10, b"\0\0"),
    "identifier": lambda packet: changed(12, bytes(b ^ 1 for b in packet.payload[12:14]))(packet),
    "number": changed(14, b"\x12\x34"),
    "data": lambda packet: changed(16, bytes(b ^ 1 for b in packet.payload[16:]))(packet),
    "source": lambda packet: replace(packet, src=IPv4Address("192.0.2.66")),
    "cut short": lambda packet: replace(packet, payload=packet.payload[:12]),
    "data missing": lambda packet: replace(packet, payload=packet.payload[:16]),
}


@pytest.mark.parametrize("what", SPOILT)
async def test_a_reply_that_is_not_to_our_request_is_ignored_and_not_answered(what: str) -> None:
    async with ping_lab(esp_ping=True) as lab:
        await lab.ping()
        hear, seen = lab.wire.on_wire, len(lab.seen)

        def spoil(frame: bytes) -> bytes | None:
            heard = hear(frame)
            assert heard is not None
            ethernet = Ethernet.parse(heard)
            packet = Ipv4.parse(ethernet.payload)
            if packet.src != THERE:
                return heard
            return replace(ethernet, payload=SPOILT[what](packet).build()).build()

        lab.wire.on_wire = spoil
        assert await lab.ping(wait=SHORT) is None
        assert len(lab.seen) == seen + 2
        lab.wire.on_wire = hear
        assert await lab.ping() is not None


def from_outside(site: Site, payload: bytes, to: IPv4Address | None = None) -> None:
    """A stranger's ESP packet reaches a gateway; it is for that, or for a host behind it."""
    plan = site.plan
    packet = Ipv4(IPv4Address("192.0.2.66"), to or plan.outer, 50, payload)
    frame = Ethernet(plan.mac(OUTSIDE), bytes(6), ETHERTYPE_IPV4, packet.build())
    site.device.inject(OUTSIDE, frame.build())


async def test_a_flood_of_replies_that_nobody_asked_for_leaves_nothing_behind() -> None:
    async with ping_lab(esp_ping=True) as lab:
        lab.seen.clear()
        begun = time.monotonic()
        for number in range(1000):
            from_outside(lab.left, build(Echo(0xBEEF, number, b"ping"), 8))
        rate, burst = PUNT_RATES[Punt.ECHO]
        most = burst + rate * (time.monotonic() - begun + 0.1)
        await lab.ping(wait=SHORT)
        pings = lab.gateway(lab.left)._pings.outstanding
        assert 0 < pings.ignored <= most
        assert len(pings) == 0
        assert drops(lab.left)["PUNT_LIMITED"] >= 1000 - most
        assert all(ip_of(frame).dst != "192.0.2.66" for frame in lab.seen)


@pytest.mark.parametrize(
    ("address", "size", "why"),
    [
        ("nobody", 56, "'nobody'; accepted: an IP address"),
        ("192.0.2.1", 56, "is our own address; accepted: another gateway's"),
        ("198.51.100.1", 56, "no route leads to 198.51.100.1; accepted: an address with a route"),
        ("10.1.0.10", 56, "is behind protected port 0; accepted: an address on the unprotected"),
        ("192.0.2.2", 1465, r"size 1465; accepted: 0\.\.1464"),
        ("2001:db8:ff::2", 1445, r"size 1445; accepted: 0\.\.1444"),
    ],
)
async def test_what_cannot_be_pinged_is_refused(address: str, size: int, why: str) -> None:
    async with ping_lab() as lab:
        with pytest.raises(CommandError, match=why):
            await lab.gateway(lab.left).ping(address, 1, size, SHORT)


async def test_a_ping_of_ours_is_beyond_policy_as_ike_is() -> None:
    everybody = ["0.0.0.0/0", "::/0"]
    discard = {"name": "nothing", "action": "discard", "priority": 1000}
    discard |= {"local": everybody, "remote": everybody}
    async with ping_lab(esp_ping=True, policies=[discard]) as lab:
        assert await lab.ping() is not None
        assert await lab.ping(version=6) is not None


async def test_a_gateway_without_its_switch_pings_nobody() -> None:
    async with ping_lab() as lab:
        await lab.left.stop()
        gateway = lab.gateway(lab.left)
        async with asyncio.timeout(10):
            while gateway.link is not None:
                await asyncio.sleep(0.01)
        with pytest.raises(CommandError, match="accepted: when it is up again"):
            await lab.ping()
        await lab.left.start()


async def test_the_command_takes_a_gateway_and_numbers_within_bounds() -> None:
    async with ping_lab(esp_ping=True) as lab:
        commands = ControllerCommands(lab.controller.gateways, EventHub())
        done: Any = await commands.ping("left", outer(2, 4), "7", "0", "5000")
        assert (done["number"], done["octets"]) == (7, 0)
        assert done["ms"] > 0
        for arguments, why in (
            (("middle", "192.0.2.2", "1"), "no gateway 'middle'; accepted: left, right"),
            (("left", "192.0.2.2", "65536"), r"number '65536'; accepted: 0\.\.65535"),
            (("left", "192.0.2.2", "1", "-1"), r"size '-1'; accepted: 0\.\.16383"),
            (("left", "192.0.2.2", "1", "0", "0"), r"wait '0'; accepted: 1\.\.60000"),
        ):
            with pytest.raises(CommandError, match=why):
                await commands.ping(*arguments)


async def test_requests_that_wait_are_bounded_and_all_apart() -> None:
    """Even with a generator that says the same for ever."""
    frames: list[bytes] = []

    async def send(frame: bytes) -> None:
        frames.append(frame)

    pings = EspPings(lambda: 0.0, bytes)
    one = [pings.ping(send, Ends(HERE, THERE), 1, 0, seconds=60) for _ in range(MAX_WAITING)]
    tasks = [asyncio.create_task(ping) for ping in one]
    await asyncio.sleep(0)
    with pytest.raises(CommandError, match="64 pings are under way; accepted: 64 at a time"):
        await pings.ping(send, Ends(HERE, THERE), 1, 0, seconds=60)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert len({Ipv4.parse(Ethernet.parse(frame).payload).payload for frame in frames}) == 64
    assert len(pings.outstanding) == 0


async def test_the_time_is_that_of_the_clock_and_a_second_reply_is_ignored() -> None:
    now = iter((10.0, 10.25))
    pings = EspPings(lambda: next(now), bytes)

    async def send(_: bytes) -> None:
        for _ in range(2):
            pings.received(Ipv4(THERE, HERE, 50, build(Echo(0, 9, bytes(4)), 8)))

    assert await pings.ping(send, Ends(HERE, THERE), 9, 4, seconds=60) == 0.25
    assert pings.outstanding.ignored == 1


async def test_a_slow_switch_is_not_cut_short_and_its_time_counts() -> None:
    """A gRPC stream does not survive a write that is cancelled."""
    pings = EspPings(time.monotonic, bytes)

    async def send(_: bytes) -> None:
        await asyncio.sleep(3 * SHORT)
        pings.received(Ipv4(THERE, HERE, 50, build(Echo(0, 9, b""), 8)))

    taken = await pings.ping(send, Ends(HERE, THERE), 9, 0, seconds=SHORT)
    assert taken is not None
    assert taken > 2 * SHORT


@given(st.binary(max_size=64), st.integers(0, 255))
def test_octets_from_outside_are_a_reply_or_a_packet_error(data: bytes, protocol: int) -> None:
    with suppress(PacketError):
        echo = parse_reply(Ipv4(THERE, HERE, protocol, data))
        assert (protocol, build(echo, 8)[8:]) == (50, data[8:])


@given(st.integers(0, 47), st.integers(0, 255))
def test_a_reply_with_one_octet_changed_is_another_echo_or_none(at: int, octet: int) -> None:
    good = build(REPLY, 8)
    bad = bytes(octet if i == at else b for i, b in enumerate(good))
    with suppress(PacketError):
        same = parse_reply(Ipv4(THERE, HERE, 50, bad)) == REPLY
        assert same == (bad[:4] + bad[8:] == good[:4] + good[8:])


def test_the_entry_is_that_of_the_pipeline() -> None:
    assert str(tables.echo(5)) == "echo[local_id=0x5] -> answer_echo()"
