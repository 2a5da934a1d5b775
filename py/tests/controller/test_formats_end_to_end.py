"""Formats of ESP from IKE to the wire and back: two gateways, each format, real traffic."""

import asyncio
import itertools
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from format_lab import (
    EXPLICIT,
    KEYS,
    WITHOUT_UDP,
    FormatLab,
    flow_frame,
    keys_of,
    proposals_of,
    running_format_lab,
)
from lab_helpers import delivered, drops, passes_soon
from scapy.layers.inet import ICMP, IP
from scapy.packet import Raw
from typer import Typer
from typer.testing import CliRunner

from p4esp.cli import sa_cmd
from p4esp.controller.commands import ControllerCommands
from p4esp.controller.packets import ETHERTYPE_IPV4, Ethernet, Ipv4
from p4esp.demo.plan import OUTSIDE
from p4esp.demo.site import Site
from p4esp.ike.errors import CommandError
from p4esp.ipsec.layouts import spis_in
from p4esp.service.event_hub import EventHub
from p4esp.service.journal import Kind

OTHERS = ("wesp", "wesp-v2", "eesp-optimized", "eesp-full")
LENGTHS = (0, 1, 2, 3, 8, 200, 1400)


async def exchange(lab: FormatLab, source: Site, target: Site) -> None:
    """Packets of many flows and lengths arrive as they were sent, and in order."""
    target.host.receive()
    frames = [
        flow_frame(source, target, 1000 + number, (bytes(range(256)) * 6)[:length])
        for number, length in enumerate(LENGTHS * 4)
    ]
    for frame in frames:
        source.host.send(frame)
        await asyncio.sleep(0)
        lab.wire.deliver()
    assert [inner_of(frame) for frame in target.host.receive()] == [inner_of(f) for f in frames]


def inner_of(frame: bytes) -> tuple[object, ...]:
    """An IP packet but for what routers change: TTL and checksum."""
    packet = Ipv4.parse(Ethernet.parse(frame).payload)
    return packet.src, packet.dst, packet.protocol, packet.payload


@pytest.mark.parametrize("name", KEYS)
async def test_traffic_both_ways_is_byte_identical_and_on_the_wire_in_the_format(name: str) -> None:
    """Each packet on the wire is opened by the reference, which shares no code with the product."""
    async with (
        running_format_lab(keys_of(name), esp=proposals_of(name)) as lab,
        asyncio.timeout(30),
    ):
        await lab.tunnel_up()
        for source, target in (lab.sites, lab.sites[::-1]):
            before = drops(target)
            await exchange(lab, source, target)
            opened = lab.opened(source, name)
            assert len(opened) == len(LENGTHS) * 4
            sent = [Ipv4.parse(inner).payload for _, inner in opened]
            assert len({bytes(payload[:2]) for payload in sent}) == len(sent)
            used = {sub for sub, _ in opened}
            assert used <= set(range(16))
            assert (len(used) > 4) == ("subs" in KEYS[name])
            assert drops(target) == before


# Whether the peer agrees


async def test_without_the_peers_consent_traffic_is_plain_esp() -> None:
    wish = keys_of("subspaces", format_required=False)
    async with running_format_lab(wish, {"experimental": False}) as lab:
        await lab.tunnel_up()
        for source, target in (lab.sites, lab.sites[::-1]):
            await exchange(lab, source, target)
            assert lab.layout(source) == "esp"
            assert len(lab.opened(source, "esp")) == len(LENGTHS) * 4


async def test_where_the_format_is_required_there_is_no_sa_instead() -> None:
    async with running_format_lab(keys_of("subspaces"), {"experimental": False}) as lab:
        await lab.happened(lab.left, Kind.SA_FAILED, "format subspaces is required")
        assert all(not lab.gateway(site).sas.live for site in lab.sites)


@pytest.mark.parametrize("name", [name for name in KEYS if name not in WITHOUT_UDP])
async def test_formats_travel_in_udp_through_a_nat(name: str) -> None:
    lab_keys, esp = keys_of(name), proposals_of(name)
    async with running_format_lab(lab_keys, esp=esp, encapsulate=True) as lab:
        await lab.tunnel_up()
        for source, target in (lab.sites, lab.sites[::-1]):
            await exchange(lab, source, target)
        assert lab.heard == []


async def test_each_end_sends_on_as_many_subspaces_as_both_receive() -> None:
    """A power of two of them: 5 make 4."""
    async with running_format_lab(keys_of("subspaces"), keys_of("subspaces", subs=5)) as lab:
        await lab.tunnel_up()
        used = []
        for source, target in (lab.sites, lab.sites[::-1]):
            await exchange(lab, source, target)
            used.append({sub for sub, _ in lab.opened(source, "subspaces")})
        assert used == [set(range(4))] * 2


@pytest.mark.parametrize("spread", ["port", "dscp"])
async def test_the_operator_chooses_what_spreads_packets(spread: str) -> None:
    """All flows come by one port, and with one DSCP."""
    async with running_format_lab(keys_of("subspaces", spread=spread)) as lab:
        await lab.tunnel_up()
        await exchange(lab, lab.left, lab.right)
        assert {sub for sub, _ in lab.opened(lab.left, "subspaces")} == {0}


# What subspaces buy


async def two_flows(lab: FormatLab) -> tuple[int, int]:
    """Ports of two flows that do not share a subspace; without any, of any two."""
    ports = range(1000, 1032)
    for port in ports:
        lab.left.host.send(flow_frame(lab.left, lab.right, port, b"x"))
        await asyncio.sleep(0)
        lab.wire.deliver()
    subs = [data[4:6] for data in lab.sent_by(lab.left)]
    other = next((n for n, sub in enumerate(subs) if sub != subs[0]), 1)
    return ports[0], ports[other]


async def late_flow(lab: FormatLab) -> int:
    """How many of 300 packets arrive when those of one flow of two have been overtaken by 200."""
    slow, fast = await two_flows(lab)
    lab.right.host.receive()
    held: list[bytes] = []
    hear, lab.wire.on_wire = lab.wire.on_wire, held.append
    for _ in range(100):
        lab.left.host.send(flow_frame(lab.left, lab.right, slow, b"x"))
    lab.wire.on_wire = hear
    for _ in range(200):
        lab.left.host.send(flow_frame(lab.left, lab.right, fast, b"x"))
        await asyncio.sleep(0)
        lab.wire.deliver()
    for frame in held:
        lab.right.device.inject_burst(OUTSIDE, [frame])
    await asyncio.sleep(0)
    return len(lab.right.host.receive())


async def test_a_slow_path_falls_out_of_one_window_and_not_out_of_subspaces() -> None:
    """b.1: a skew of 200 packets, windows of 64."""
    arrived = {}
    for name in ("esp", "subspaces"):
        wish = keys_of(name, subs=64) if name == "subspaces" else {}
        async with running_format_lab(wish, sa={"grace": 0.0, "window": 64}) as lab:
            await lab.tunnel_up()
            arrived[name] = await late_flow(lab)
    assert arrived == {"esp": 200, "subspaces": 300}


# Rekeys, restarts, limits


async def keep_sending(lab: FormatLab, sent: list[bytes]) -> None:
    """Numbered packets of many flows both ways, until cancelled."""
    for number in itertools.count():
        for source, target in (lab.sites, lab.sites[::-1]):
            payload = number.to_bytes(4, "big")
            sent.append(payload)
            source.host.send(flow_frame(source, target, 1000 + number % 50, payload))
        await asyncio.sleep(0.002)


@asynccontextmanager
async def lossless_traffic(lab: FormatLab) -> AsyncIterator[None]:
    """Traffic inside the block; each packet arrives once, and no nonce is used twice."""
    sent: list[bytes] = []
    nonces: Counter[tuple[bytes, int]] = Counter()
    for site in lab.sites:
        site.engine.sealed = lambda event: nonces.update([(event.key_id, event.iv)])
        site.host.receive()
    task = asyncio.create_task(keep_sending(lab, sent))
    yield
    task.cancel()
    await asyncio.sleep(0.1)
    lab.wire.deliver()
    received = [frame for site in lab.sites for frame in site.host.receive()]
    assert sorted(delivered(received)) == sorted(sent)
    assert len(sent) > 50
    assert max(nonces.values()) == 1


@pytest.mark.parametrize("name", KEYS)
async def test_rekeys_under_traffic_from_either_side_lose_nothing_and_repeat_no_nonce(
    name: str,
) -> None:
    lab_keys, esp = keys_of(name), proposals_of(name)
    async with running_format_lab(lab_keys, esp=esp, sa={"grace": 0.2}) as lab:
        await lab.tunnel_up()
        async with lossless_traffic(lab):
            for site in (*lab.sites, lab.left):
                (old,) = lab.gateway(site).sas.negotiated
                removed = lab.happened(site, Kind.SA_REMOVED, f"{old:08x}")
                lab.gateway(site).rekey_child(old)
                await removed
        await asyncio.gather(*(lab.gateway(site).sas.settled() for site in lab.sites))
        for site in lab.sites:
            assert lab.layout(site).startswith(name)


async def test_what_an_sa_leaves_behind_is_clean_and_free_again() -> None:
    """All its cells are scrubbed when it retires, all its spaces before the next one uses them."""
    async with running_format_lab(keys_of("sub-child")) as lab:
        await lab.tunnel_up()
        await exchange(lab, lab.left, lab.right)
        place = lab.live(lab.right).record.placement
        cells = lab.right.device.register_array("window_cell")
        mine = range(place.cell_base, place.cell_base + place.cells)
        assert sum(1 for cell in mine if cells.read(cell)) > 4
        (old,) = lab.gateway(lab.left).sas.negotiated
        lab.gateway(lab.left).rekey_child(old)
        await lab.happened(lab.right, Kind.SA_REMOVED)
        assert not any(cells.read(cell) for cell in mine)
        used = lab.gateway(lab.right)._placements.cells_used
        assert used == place.cells


async def test_a_restarted_controller_keeps_the_sa_and_its_format_under_traffic() -> None:
    for name in (
        "subspaces",
        "spi-block",
        "header-in-trailer",
        "crypt-offset",
        "eesp-full",
        "wesp",
    ):
        async with running_format_lab(keys_of(name), esp=proposals_of(name)) as lab:
            await lab.tunnel_up()
            before = [lab.live(site).record for site in lab.sites]
            async with lossless_traffic(lab):
                await lab.stop_controller()
                await asyncio.sleep(0.1)
                lab.change.starts = ()
                lab.start_controller()
                for site in lab.sites:
                    await lab.happened(site, Kind.RECONCILED, "1 SAs stay")
            assert [lab.live(site).record for site in lab.sites] == before
            for site, record in zip(lab.sites, before, strict=True):
                used = lab.gateway(site)._placements.spis._used
                assert used.issuperset(spis_in(record.child))


@pytest.mark.parametrize(
    "changed", [{"experimental": False}, {"subs": 8}, {"format": "no-trailer"}], ids=str
)
async def test_an_sa_that_the_configuration_no_longer_agrees_to_ends_at_take_over(
    changed: dict[str, Any],
) -> None:
    async with running_format_lab(keys_of("subspaces")) as lab:
        await lab.tunnel_up()
        await lab.stop_controller()
        keys = keys_of("subspaces") | changed
        if changed.get("format"):
            del keys["subs"]
        lab.children["left"] = changed if "experimental" in changed else keys
        lab.change.starts = ()
        lab.start_controller()
        await lab.happened(lab.left, Kind.RECONCILED, "0 SAs stay")
        await lab.happened(lab.right, Kind.RECONCILED, "1 SAs stay")


async def test_a_restarted_engine_gets_roots_again_and_numbers_go_on() -> None:
    async with running_format_lab(keys_of("sub-child")) as lab:
        await lab.tunnel_up()
        await exchange(lab, lab.left, lab.right)
        lab.left.engine.restart()
        await lab.happened(lab.left, Kind.KEYS_RESTORED)
        for source, target in (lab.sites, lab.sites[::-1]):
            await exchange(lab, source, target)
        numbers = [data[4:12] for data in lab.sent_by(lab.left)]
        assert len(set(numbers)) == len(numbers) == 2 * len(LENGTHS) * 4


async def test_a_restarted_switch_gets_new_keys_and_the_format_anew() -> None:
    async with running_format_lab(keys_of("sub-child")) as lab:
        await lab.tunnel_up()
        old = lab.live(lab.left).record.child.keymat
        await lab.restart_switch(lab.left)
        await lab.happened(lab.left, Kind.REGISTERS_LOST)
        await passes_soon(lab, lab.left, lab.right)
        await asyncio.gather(*(lab.gateway(site).sas.settled() for site in lab.sites))
        await exchange(lab, lab.left, lab.right)
        assert lab.live(lab.left).record.child.keymat != old
        assert lab.layout(lab.left).startswith("sub-child")


LIMITED = {"grace": 0.0, "soft_packets": 160, "hard_packets": 320}


async def test_a_soft_limit_of_any_subspace_rekeys_the_sa() -> None:
    """a.7: the first one to come to a limit; 16 subspaces share what the key may seal."""
    async with running_format_lab(keys_of("subspaces"), sa=LIMITED) as lab:
        await lab.tunnel_up()
        (old,) = lab.gateway(lab.left).sas.live
        for _ in range(12):
            lab.left.host.send(flow_frame(lab.left, lab.right, 1000, b"x"))
        assert "SOFT_LIMIT at 10" in str(await lab.happened(lab.left, Kind.LIMIT))
        await lab.happened(lab.left, Kind.SA_REMOVED, f"{old:08x}")
        await exchange(lab, lab.left, lab.right)


async def test_a_limit_that_a_subspace_reached_without_a_controller_is_found_at_take_over() -> None:
    async with running_format_lab(keys_of("subspaces"), sa=LIMITED) as lab:
        await lab.tunnel_up()
        await lab.stop_controller()
        for _ in range(12):
            lab.left.host.send(flow_frame(lab.left, lab.right, 1007, b"x"))
        lab.change.starts = ()
        lab.start_controller()
        assert "SOFT_LIMIT at 12" in str(await lab.happened(lab.left, Kind.LIMIT))


async def test_packets_of_all_subspaces_count_together_towards_a_packet_limit() -> None:
    """b.11 8: no subspace comes near it, their sum does."""
    lifetime = {"rekey_packets": 60, "life_packets": 4000}
    keys, around = keys_of("subspaces", lifetime=lifetime), {"traffic_interval": 0.05}
    async with running_format_lab(keys, around=around) as lab:
        await lab.tunnel_up()
        (old,) = lab.gateway(lab.left).sas.live
        await asyncio.sleep(0.2)
        for _ in range(3):
            await exchange(lab, lab.left, lab.right)
        sent = Counter(sub for sub, _ in lab.opened(lab.left, "subspaces"))
        assert max(sent.values()) < lifetime["rekey_packets"] < sum(sent.values())
        await lab.happened(lab.left, Kind.SA_REMOVED, f"{old:08x}")
        assert not [entry for entry in lab.journal.entries if entry.kind is Kind.LIMIT]


# What a format cannot be, and what an operator sees


async def test_a_dummy_is_refused_by_name_where_nothing_says_that_it_is_one() -> None:
    for name, refused in (("no-trailer", True), ("trailer-in-header", False)):
        async with running_format_lab(keys_of(name), esp=EXPLICIT) as lab:
            await lab.tunnel_up()
            commands = ControllerCommands(lab.controller.gateways, EventHub())
            spi = f"{lab.live(lab.left).record.child.spi_out:08x}"
            if refused:
                with pytest.raises(CommandError, match="no-trailer, which has no next header"):
                    await commands.dummy(spi)
            else:
                await commands.dummy(spi, count="3")
                await asyncio.sleep(0.1)
                assert drops(lab.right)["DUMMY"] == 3


async def test_sa_list_and_sa_show_name_the_format() -> None:
    app = Typer()
    app.add_typer(sa_cmd.app, name="sa")

    async def told(*words: str) -> str:
        words = (*words, "--switch", lab.left.address)
        result = await asyncio.to_thread(CliRunner().invoke, app, ["sa", *words])
        assert result.exit_code == 0, result.output
        return result.output

    for name in ("sub-child", "spi-block", "crypt-offset-shown", "trailer-in-clear", *OTHERS):
        async with running_format_lab(keys_of(name), esp=proposals_of(name)) as lab:
            await lab.tunnel_up()
            rows = json.loads(await told("list", "--json"))
            assert {row["format"] for row in rows} == {name}
            spis = lab.live(lab.left).record.child
            for spi, table in ((spis.spi_in, "format_in"), (spis.spi_out, "format_out")):
                shown = await told("show", f"{spi:08x}")
                assert f"format: {name}" in shown
                assert (f"{table}[" in shown) == (name != "wesp")


def says_too_big(lab: FormatLab, quoted: bytes) -> bytes:
    """A router outside says that a packet of the left gateway was longer than 1300 octets."""
    packet = IP(src="203.0.113.1", dst=str(lab.left.plan.outer)) / ICMP(
        type=3, code=4, nexthopmtu=1300
    )
    ends = lab.left.plan.mac(OUTSIDE), lab.right.plan.mac(OUTSIDE)
    return Ethernet(*ends, ETHERTYPE_IPV4, bytes(packet / Raw(quoted))).build()


@pytest.mark.parametrize("name", ["subspaces", "sub-child"])
async def test_a_path_mtu_is_believed_when_sub_and_number_are_quoted_and_were_sent(
    name: str,
) -> None:
    """8 octets of ESP do not show the low half of the number; others were never sent."""
    async with running_format_lab(keys_of(name)) as lab:
        await lab.tunnel_up()
        for _ in range(5):
            lab.left.host.send(flow_frame(lab.left, lab.right, 1000, bytes(1350)))
        await asyncio.sleep(0)
        lab.wire.deliver()
        sent = lab.heard[-1].build()
        other_sub, later = bytearray(sent), bytearray(sent)
        other_sub[25] ^= 1
        later[31] += 9
        gateway = lab.gateway(lab.left)
        for quoted in (sent[:28], bytes(other_sub[:32]), bytes(later[:32])):
            lab.left.device.inject(OUTSIDE, says_too_big(lab, quoted))
            while sum(gateway.icmp_ignored.values()) == 0:
                await asyncio.sleep(0.005)
            assert gateway.icmp_ignored == {"not sent": 1}
            gateway.icmp_ignored.clear()
        lab.left.device.inject(OUTSIDE, says_too_big(lab, sent[:32]))
        await lab.happened(lab.left, Kind.PATH_MTU, "1300, says a router")


async def test_a_path_mtu_is_believed_of_any_spi_of_a_block() -> None:
    async with running_format_lab(keys_of("spi-block")) as lab:
        await lab.tunnel_up()
        for number in range(8):
            lab.left.host.send(flow_frame(lab.left, lab.right, 1000 + number, bytes(1350)))
        await asyncio.sleep(0)
        lab.wire.deliver()
        first = lab.live(lab.left).record.child.spi_out
        sent = next(p for p in lab.heard if int.from_bytes(p.payload[:4], "big") > first)
        lab.left.device.inject(OUTSIDE, says_too_big(lab, sent.build()[:28]))
        await lab.happened(lab.left, Kind.PATH_MTU, "1300, says a router")
