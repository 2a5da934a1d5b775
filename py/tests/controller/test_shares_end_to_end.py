"""SAs of a child for a resource each (RFC 9611), and for a class of DSCPs: from IKE to the wire."""

import asyncio
import zlib
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from ipaddress import ip_network
from typing import Any

from format_lab import FormatLab, running_format_lab
from lab_helpers import delivered, drops

from p4esp.controller import tables
from p4esp.controller.entries import modifies
from p4esp.controller.numbers import Spread
from p4esp.controller.packets import ETHERTYPE_IPV4, Ethernet, Ipv4, Udp
from p4esp.controller.sa_installer import LiveSa
from p4esp.controller.share_sets import BUCKETS
from p4esp.demo.plan import INSIDE
from p4esp.demo.site import Site
from p4esp.ike.extensions.resources import number_of
from p4esp.ipsec.sa import ChildSaParams, Share
from p4esp.service.journal import Kind

RESOURCES = 8
ESP = ("aes256gcm16-esn",)
EAGER = {"per_resource": "eager", "parallel": RESOURCES}
ON_DEMAND = {"per_resource": "on-demand", "parallel": RESOURCES, "resource_idle": 0.0}
CLASSES = {"dscp_classes": [[46], [34, 36, 38]], "spread": "dscp"}
VOICE, VIDEO, REST = 46, 34, (0, 10, 40)


@asynccontextmanager
async def lab_of(
    left: dict[str, Any], right: dict[str, Any] | None = None, **change: Any
) -> AsyncIterator[FormatLab]:
    """A lab whose first SA is up."""
    around = {"traffic_interval": 0.05, "patience": 0.5} | change.pop("around", {})
    async with running_format_lab(left, right, esp=ESP, around=around, **change) as lab:
        await lab.tunnel_up()
        yield lab


def children(lab: FormatLab, site: Site) -> list[ChildSaParams]:
    return [live.record.child for live in lab.gateway(site).sas.live.values()]


def resources(lab: FormatLab, site: Site) -> list[int | None]:
    """Numbers of the resources that have an SA; -1: the fallback."""
    numbers = [number_of(child.share) for child in children(lab, site)]
    return sorted(-1 if number is None else number for number in numbers)


async def until(true: Any) -> None:
    while not true():
        await asyncio.sleep(0.005)


async def complete(lab: FormatLab, number: int) -> None:
    """Wait until both sites have so many SAs."""
    await until(lambda: all(len(children(lab, site)) == number for site in lab.sites))


def of_share(lab: FormatLab, site: Site, share: Share) -> ChildSaParams:
    (found,) = [child for child in children(lab, site) if child.share == share]
    return found


def by_share(lab: FormatLab, site: Site, share: Share) -> list[LiveSa]:
    lives = lab.gateway(site).sas.live.values()
    return [live for live in lives if live.record.child.share == share]


def fallback(lab: FormatLab, site: Site) -> ChildSaParams:
    return of_share(lab, site, Share())


def resource_of(source: Site, target: Site, port: int) -> int:
    """Where a flow of `frame` belongs, computed anew: CRC-32 of its five fields."""
    ends = source.plan.host.packed + target.plan.host.packed
    ports = port.to_bytes(2, "big") + (9).to_bytes(2, "big")
    return zlib.crc32(ends + b"\x11" + ports) % BUCKETS % RESOURCES


def flow_of(source: Site, target: Site, resource: int) -> int:
    """The source port of a flow of a resource."""
    return next(p for p in range(2000, 9000) if resource_of(source, target, p) == resource)


def frame(source: Site, target: Site, port: int, dscp: int = 0) -> bytes:
    sent = Udp(port, 9, port.to_bytes(2, "big")).over(source.plan.host, target.plan.host)
    packet = Ipv4(sent.src, sent.dst, sent.protocol, sent.payload, tos=dscp << 2)
    plan = source.plan
    return Ethernet(plan.mac(INSIDE), plan.host_mac, ETHERTYPE_IPV4, packet.build()).build()


async def spi_of(lab: FormatLab, source: Site, target: Site, port: int, dscp: int = 0) -> int:
    """The SPI under which a packet leaves, which must arrive."""
    lab.heard.clear()
    target.host.receive()
    source.host.send(frame(source, target, port, dscp))
    await asyncio.sleep(0)
    lab.wire.deliver()
    assert delivered(target.host.receive()) == [port.to_bytes(2, "big")]
    (sent,) = lab.sent_by(source)
    return int.from_bytes(sent[:4], "big")


async def spis_of(lab: FormatLab, numbers: Iterable[int]) -> dict[int, int]:
    """The SPI of a flow of each resource of the left site."""
    ends = lab.left, lab.right
    return {n: await spi_of(lab, *ends, flow_of(*ends, n)) for n in numbers}


# Eager


async def test_eight_resources_carry_eight_flows_with_no_shared_counter() -> None:
    """Each flow has an SPI, a key and a sequence of its own, in a cell that no other has."""
    async with lab_of(EAGER) as lab:
        await complete(lab, RESOURCES + 1)
        assert resources(lab, lab.left) == [-1, *range(RESOURCES)]
        keys: set[int] = set()
        lab.left.engine.sealed = lambda event: keys.add(event.key_id)
        for _ in range(5):
            used = await spis_of(lab, range(RESOURCES))
        assert len(set(used.values())) == len(keys) == RESOURCES
        sequence = lab.left.device.register_array("sequence")
        places = {
            live.record.child.share: live.record.placement.space_out
            for live in lab.gateway(lab.left).sas.live.values()
        }
        counts = {number_of(share): sequence.read(at) for share, at in places.items()}
        assert counts == {None: 0} | dict.fromkeys(range(RESOURCES), 5)
        assert len(set(places.values())) == RESOURCES + 1
        assert {child.initiator for child in children(lab, lab.right)} == {False}
        back = lab.right, lab.left
        answers = {await spi_of(lab, *back, flow_of(*back, n)) for n in range(RESOURCES)}
        assert len(answers) == RESOURCES
        assert fallback(lab, lab.right).spi_out not in answers


async def test_one_that_is_deleted_leaves_the_others_and_comes_again() -> None:
    async with lab_of(EAGER) as lab:
        await complete(lab, RESOURCES + 1)
        before = await spis_of(lab, range(RESOURCES))
        lost = of_share(lab, lab.left, Share((3).to_bytes(4, "big")))
        lab.gateway(lab.left).delete_child(lost.spi_in)
        await lab.happened(lab.left, Kind.SA_REMOVED, f"{lost.spi_in:08x}")
        await complete(lab, RESOURCES + 1)
        after = await spis_of(lab, range(RESOURCES))
        changed = [number for number in before if before[number] != after[number]]
        assert changed == [3]


async def test_an_sa_that_the_peer_rekeys_stays_with_its_resource_and_loses_no_packet() -> None:
    async with lab_of(EAGER) as lab:
        await complete(lab, RESOURCES + 1)
        old = of_share(lab, lab.left, Share((2).to_bytes(4, "big")))
        removed = asyncio.create_task(lab.happened(lab.left, Kind.SA_REMOVED, f"{old.spi_in:08x}"))
        lab.gateway(lab.right).rekey_child(old.spi_out)
        while not removed.done():
            await spis_of(lab, (2,))
        new = of_share(lab, lab.left, old.share)
        assert await spis_of(lab, (2,)) == {2: new.spi_out}
        assert new.spi_in != old.spi_in


async def test_a_fallback_that_is_lost_is_made_again_and_meanwhile_another_stands_in() -> None:
    async with lab_of(ON_DEMAND) as lab:
        await spis_of(lab, (2,))
        await until(lambda: all(len(children(lab, site)) == 2 for site in lab.sites))
        lost = fallback(lab, lab.left)
        lab.gateway(lab.right).delete_child(lost.spi_out)
        await lab.happened(lab.left, Kind.SA_REMOVED, f"{lost.spi_in:08x}")
        extra = of_share(lab, lab.left, Share((2).to_bytes(4, "big"))).spi_out
        assert await spis_of(lab, (2, 3)) == {2: extra, 3: extra}
        await until(lambda: -1 in resources(lab, lab.left))
        assert (await spis_of(lab, (4,)))[4] == fallback(lab, lab.left).spi_out


async def test_a_peer_without_support_takes_them_as_ordinary_sas() -> None:
    async with lab_of(EAGER, {}) as lab:
        await complete(lab, RESOURCES + 1)
        assert resources(lab, lab.right) == [-1] * (RESOURCES + 1)
        assert len(set((await spis_of(lab, range(RESOURCES))).values())) == RESOURCES


async def test_par_03_at_the_peers_limit_what_there_is_is_used_and_asking_ends() -> None:
    """Two resources there: 17 SAs are enough."""
    wants, admits = EAGER | {"parallel": 20}, EAGER | {"parallel": 2}
    async with lab_of(wants, admits, around={"patience": 60.0}) as lab:
        await lab.happened(lab.left, Kind.SA_FAILED, "TS_MAX_QUEUE")
        await complete(lab, 17)
        failures = [e for e in lab.journal.entries if "TS_MAX_QUEUE" in str(e)]
        ends = lab.left, lab.right
        for port in range(2000, 2040):
            await spi_of(lab, *ends, port)
        lost = of_share(lab, lab.left, Share((3).to_bytes(4, "big")))
        lab.gateway(lab.left).delete_child(lost.spi_in)
        await lab.happened(lab.left, Kind.SA_REMOVED, f"{lost.spi_in:08x}")
        await complete(lab, 17)
        assert len(lab.gateway(lab.left).connections.established) == 1
        assert len(failures) <= 4


# On demand


async def test_two_flows_on_two_resources_get_two_sas_and_no_other_does() -> None:
    async with lab_of(ON_DEMAND) as lab:
        first = fallback(lab, lab.left).spi_out
        for number in (2, 5):
            assert await spis_of(lab, (number,)) == {number: first}
            await until(lambda wanted=number: wanted in resources(lab, lab.left))
        used = await spis_of(lab, (2, 5, 6))
        assert len(set(used.values())) == 3
        assert used[6] == first
        await until(lambda: resources(lab, lab.left) == [-1, 2, 5, 6])
        lost = drops(lab.left).keys() | drops(lab.right).keys()
        assert not lost & {"STALE_SA", "ACQUIRE", "NO_SA"}


async def test_the_responder_makes_its_own_for_its_own_resources() -> None:
    async with lab_of(ON_DEMAND) as lab:
        ends = lab.right, lab.left
        await spi_of(lab, *ends, flow_of(*ends, 4))
        await until(lambda: 4 in resources(lab, lab.right))
        made = of_share(lab, lab.right, Share((4).to_bytes(4, "big")))
        assert made.initiator
        assert await spi_of(lab, *ends, flow_of(*ends, 4)) == made.spi_out


async def test_after_a_while_without_traffic_only_the_fallback_is_left() -> None:
    """The clock of idleness is in the hands of the test."""
    now = 0.0
    async with lab_of(ON_DEMAND | {"resource_idle": 30.0}) as lab:
        keepers = [lab.gateway(site).shares for site in lab.sites]
        for keeper in keepers:
            keeper._clock = lambda: now
        first = fallback(lab, lab.left).spi_out
        await spis_of(lab, (1, 7))
        await until(lambda: resources(lab, lab.left) == [-1, 1, 7])
        await complete(lab, 3)
        now = 20.0
        while not all(now in keeper._used.values() for keeper in keepers):
            await spis_of(lab, (7,))
            await asyncio.sleep(0.02)
        now = 40.0
        await until(lambda: resources(lab, lab.left) == [-1, 7])
        now = 100.0
        await until(lambda: resources(lab, lab.left) == resources(lab, lab.right) == [-1])
        assert fallback(lab, lab.left).spi_out == first
        await until(lambda: not keepers[0]._resting)
        assert await spis_of(lab, (1,)) == {1: first}
        await until(lambda: 1 in resources(lab, lab.left))


async def test_one_digest_for_each_resource_that_sends_however_many_packets() -> None:
    """What was told is told no more until there is an SA, or asking makes sense again."""
    async with lab_of(ON_DEMAND, {}) as lab:
        ends, port = (lab.left, lab.right), flow_of(lab.left, lab.right, 3)
        link = lab.gateway(lab.left).link
        assert link is not None
        entries = await link.session.read("sa_member")
        assert {entry.action for entry in entries} == {"acquire_member"}
        assert len(entries) == BUCKETS
        for _ in range(20):
            await spi_of(lab, *ends, port)
        await until(lambda: 3 in resources(lab, lab.left))
        entries = await link.session.read("sa_member")
        owners = [entry for entry in entries if entry.action == "member"]
        assert {int(entry.field("bucket")) % RESOURCES for entry in owners} == {3}  # type: ignore[call-overload]
        assert len(owners) == BUCKETS // RESOURCES


async def test_the_controller_may_restart_and_flows_stay_where_they_are() -> None:
    async with lab_of(ON_DEMAND) as lab:
        await spis_of(lab, (2, 5))
        await until(lambda: resources(lab, lab.left) == [-1, 2, 5])
        before = await spis_of(lab, (2, 5))
        await lab.stop_controller()
        lab.change.starts = ()
        lab.start_controller()
        for site in lab.sites:
            await lab.happened(site, Kind.READY)
        assert resources(lab, lab.left) == [-1, 2, 5]
        assert await spis_of(lab, (2, 5)) == before


# Classes


async def test_expedited_forwarding_and_video_leave_on_their_sas_and_others_on_the_first() -> None:
    async with lab_of(CLASSES) as lab:
        await complete(lab, 3)
        voice = of_share(lab, lab.left, Share(dscps=(46,))).spi_out
        video = of_share(lab, lab.left, Share(dscps=(34, 36, 38))).spi_out
        ends = lab.left, lab.right
        assert await spi_of(lab, *ends, 2000, VOICE) == voice
        assert {await spi_of(lab, *ends, 2001, dscp) for dscp in (34, 36, 38)} == {video}
        first = fallback(lab, lab.left).spi_out
        assert {await spi_of(lab, *ends, 2002, dscp) for dscp in REST} == {first}
        back = lab.right, lab.left
        assert (
            await spi_of(lab, *back, 2000, VOICE)
            == of_share(lab, lab.right, Share(dscps=(46,))).spi_out
        )


async def test_strays_of_a_class_are_counted_also_after_a_restart() -> None:
    """The left gateway's set sends everything by the SA for voice."""
    async with lab_of(CLASSES) as lab:
        await complete(lab, 3)
        await lab.stop_controller()
        lab.change.starts = ()
        lab.start_controller()
        for site in lab.sites:
            await lab.happened(site, Kind.RECONCILED, "3 SAs stay")
            await lab.happened(site, Kind.READY)
        link, (live,) = lab.gateway(lab.left).link, by_share(lab, lab.left, Share(dscps=(46,)))
        assert link is not None
        place = live.record.policy, ip_network("10.2.0.0/16")
        set_ = live.record.policy, Spread.DSCP, live.record.placement.sa_out
        await link.writer.write(modifies([tables.sa_select_set(*place, *set_)]))
        for dscp in (VOICE, *REST):
            used = await spi_of(lab, lab.left, lab.right, 2000, dscp)
            assert used == live.record.child.spi_out
        (theirs,) = by_share(lab, lab.right, Share(dscps=(46,)))
        strays = lab.right.device.counter_array("sa_in_strays")
        assert strays.read(theirs.record.placement.sa_in).packets == len(REST)


async def test_what_the_peer_left_out_of_a_class_is_the_firsts() -> None:
    narrow = CLASSES | {"dscp_classes": [[46], [34, 36]]}
    async with lab_of(CLASSES, narrow) as lab:
        await complete(lab, 3)
        ends, first = (lab.left, lab.right), fallback(lab, lab.left).spi_out
        video = of_share(lab, lab.left, Share(dscps=(34, 36))).spi_out
        assert await spi_of(lab, *ends, 2000, 36) == video
        assert await spi_of(lab, *ends, 2000, 38) == first


async def test_without_the_peers_consent_there_is_no_sa_of_a_class_and_the_first_has_all() -> None:
    async with lab_of(CLASSES, {"spread": "dscp"}) as lab:
        await lab.happened(lab.left, Kind.SA_FAILED, "do not share the vendor ID")
        assert len(children(lab, lab.right)) == 1
        first = fallback(lab, lab.left).spi_out
        assert await spi_of(lab, lab.left, lab.right, 2000, VOICE) == first


async def test_a_class_that_is_rekeyed_or_lost_comes_again() -> None:
    async with lab_of(CLASSES) as lab:
        await complete(lab, 3)
        old = of_share(lab, lab.left, Share(dscps=(46,)))
        lab.gateway(lab.right).rekey_child(old.spi_out)
        await lab.happened(lab.left, Kind.SA_REMOVED, f"{old.spi_in:08x}")
        new = of_share(lab, lab.left, Share(dscps=(46,)))
        ends = lab.left, lab.right
        assert await spi_of(lab, *ends, 2000, VOICE) == new.spi_out
        lab.gateway(lab.right).delete_child(new.spi_out)
        await lab.happened(lab.left, Kind.SA_REMOVED, f"{new.spi_in:08x}")
        assert await spi_of(lab, *ends, 2000, VOICE) == fallback(lab, lab.left).spi_out
        await complete(lab, 3)


async def test_classes_and_resources_together() -> None:
    """A class's bucket is its code point, and so the resource: code point modulo resources."""
    both = CLASSES | EAGER | {"parallel": 2}
    async with lab_of(both) as lab:
        await complete(lab, 9)
        ends = lab.left, lab.right
        for dscp, part in ((46, (46,)), (34, (34, 36, 38)), (36, (34, 36, 38)), (11, ()), (10, ())):
            name = (dscp % 2).to_bytes(4, "big")
            expected = of_share(lab, lab.left, Share(name, part))
            assert await spi_of(lab, *ends, 2000, dscp) == expected.spi_out
