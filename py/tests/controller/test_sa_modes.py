"""SAs of every mode and wrapping from the fields of a record, and what is refused by name."""

import asyncio
from dataclasses import replace
from ipaddress import ip_address
from itertools import product

import pytest
from controller_samples import CHILD, PLACE, record
from family_lab import (
    FamilyLab,
    Shape,
    datagram,
    fewer_hops,
    host,
    ip_of,
    network,
    outer,
    running_family_lab,
    send,
)
from hypothesis import given
from hypothesis import strategies as st
from lab_helpers import drops
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.packet import Raw

from p4esp.controller.entries import Entry
from p4esp.controller.numbers import Mode as PipelineMode
from p4esp.controller.reconcile import examine
from p4esp.controller.sa_entries import Handles, PairEntries, SaSettings, pair_entries
from p4esp.controller.sa_modes import UnsupportedSaError, layer4_delta
from p4esp.demo.plan import Change
from p4esp.ipsec.algorithms import AES256_GCM, SUITES
from p4esp.ipsec.sa import ChildSaParams, Keymat, Mode, UdpEncapsulation, Wrap
from p4esp.ipsec.selectors import TrafficSelector
from p4esp.service.journal import Kind
from p4esp.store import SaRecord
from p4esp.store.records import child_from, facts_of, secret_of

FAMILIES = list(product((4, 6), (4, 6)))
V6_OUTSIDE = {"local": ip_address("2001:db8:ff::1"), "remote": ip_address("2001:db8:ff::2")}


def entries(child: ChildSaParams, **settings) -> PairEntries:
    made = replace(record(), child=child)
    return pair_entries(made, Handles(1, 2), 1, SaSettings(**settings))


def nets(*texts: str) -> tuple[TrafficSelector, ...]:
    return tuple(map(TrafficSelector.of_network, texts))


def one_address(number: int, version: int) -> tuple[TrafficSelector, ...]:
    address = ip_address(host(number, version))
    return (TrafficSelector(address, address),)


def by_table(pair: PairEntries) -> dict[str, Entry]:
    return {entry.table: entry for entry in pair.all}


def test_an_ipv6_selector_stands_in_pair_v6_and_no_ipv4_packet_meets_the_sa() -> None:
    child = replace(CHILD, local_ts=nets("2001:db8:1::/48"), remote_ts=nets("2001:db8:2::/48"))
    found = by_table(entries(child))
    sa_in, pair = found["sa_in"], found["pair_v6"]
    assert (sa_in.arg("sel_src"), sa_in.arg("sel_src_mask")) == (0xFFFFFFFF, 0)
    assert pair.arg("src") == int(ip_address("2001:db8:2::"))
    assert pair.arg("dst_mask") == (1 << 128) - (1 << 80)
    assert (pair.action, sa_in.arg("sel_multi")) == ("within_v6", 0)


def test_an_ipv4_selector_needs_no_other_entry() -> None:
    assert set(by_table(entries(CHILD))) == {"sa_in", "sad", "sa_out"}


def test_several_pairs_stand_in_the_table_of_their_family() -> None:
    local = nets("10.1.0.0/16", "2001:db8:1::/48")
    remote = nets("10.2.0.0/16", "10.3.0.0/16", "2001:db8:2::/48")
    pair = entries(replace(CHILD, local_ts=local, remote_ts=remote))
    tables = [entry.table for entry in pair.inbound]
    assert (tables.count("in_policy"), tables.count("in_policy_v6")) == (2, 1)
    assert pair.inbound[0].arg("sel_multi") == 1


def test_an_sa_over_ipv6_has_its_ends_in_tunnel_v6_and_a_label_of_20_bits() -> None:
    pair = entries(replace(CHILD, **V6_OUTSIDE, spi_out=0xFFABCDE1))
    (tunnel,) = pair.tunnel
    assert tunnel.arg("src") == int(V6_OUTSIDE["local"])
    assert tunnel.arg("flow_label") == 0xBCDE1
    assert (pair.outbound.arg("outer_v6"), pair.outbound.arg("tunnel_src")) == (1, 0)


@given(st.data())
def test_an_ipv6_entry_that_differs_in_any_argument_ends_its_sa(data) -> None:
    child = replace(
        CHILD,
        **V6_OUTSIDE,
        local_ts=nets("2001:db8:1::/48"),
        remote_ts=nets("2001:db8:2::/48"),
    )
    kept = replace(record(), child=child)

    def build(of: SaRecord, handles: Handles) -> PairEntries:
        return pair_entries(of, handles, 1, SaSettings())

    present = list(build(kept, Handles(1, 2)).all)
    assert [live.record for live in examine([kept], present, build, lambda _: True).keep] == [kept]
    which = data.draw(st.sampled_from([i for i, e in enumerate(present) if "_v6" in e.table]))
    name, _ = data.draw(st.sampled_from(present[which].args))
    args = tuple((n, v ^ 1 if n == name else v) for n, v in present[which].args)
    present[which] = replace(present[which], args=args)
    assert examine([kept], present, build, lambda _: True).discard == [kept]


@pytest.mark.parametrize(
    ("changes", "accepted"),
    [
        ({"local": ip_address("2001:db8::1")}, "accepted: two of one family"),
        ({"mode": Mode.TRANSPORT}, r"local selectors 10\.1\.0\.0/16; accepted: 192\.0\.2\.1"),
        ({"mode": Mode.BEET}, "accepted: one address on each side, both of one family"),
        (
            {
                "mode": Mode.BEET,
                "local_ts": one_address(1, 4),
                "remote_ts": one_address(2, 6),
            },
            "accepted: one address on each side, both of one family",
        ),
        (
            {"wrap": Wrap.VISIBLE},
            "with aes256gcm16, which encrypts; accepted: none and encrypted, or a suite that does",
        ),
    ],
    ids=["two families", "transport of networks", "BEET of networks", "BEET mixed", "visible"],
)
def test_what_the_pipeline_cannot_carry_is_refused_by_name(changes, accepted: str) -> None:
    with pytest.raises(UnsupportedSaError, match=accepted):
        entries(replace(CHILD, **changes))


def test_extended_sequence_numbers_without_a_window_are_refused_and_such_an_sa_ends() -> None:
    """RFC 4303 3.3.3; a store may hold SAs of before that was so."""
    without = replace(record(), placement=replace(PLACE, window=0, cells=0))
    short = replace(without, child=replace(CHILD, esn=False))

    def build(of: SaRecord, handles: Handles) -> PairEntries:
        return pair_entries(of, handles, 1, SaSettings(window=0))

    present = build(short, Handles(1, 2)).all
    assert examine([short], present, build, lambda _: True).discard == []
    with pytest.raises(UnsupportedSaError, match="accepted: a window, or numbers of 32 bits"):
        build(without, Handles(1, 2))
    assert examine([without], present, build, lambda _: True).discard == [without]


def test_the_store_keeps_mode_wrapping_and_original_addresses() -> None:
    original = (ip_address("10.9.9.9"), ip_address("2001:db8::9"))
    child = replace(CHILD, mode=Mode.BEET, wrap=Wrap.ENCRYPTED, original=original)
    facts = facts_of(replace(record(), child=child))
    assert child_from(facts, child.spi_in, secret_of(child)) == child


def test_a_record_of_before_there_were_wrappings_is_read() -> None:
    facts = facts_of(record())
    del facts["wrap"], facts["original"]
    assert child_from(facts, CHILD.spi_in, secret_of(CHILD)) == CHILD


addresses4 = st.ip_addresses(v=4)
addresses6 = st.ip_addresses(v=6)
pairs = st.one_of(
    st.tuples(*[addresses4] * 4),
    st.tuples(*[addresses6] * 4),
)


def scapy_checksum(src, dst, port: int) -> int:
    kind = IPv6 if src.version == 6 else IP
    packet = kind(src=str(src), dst=str(dst)) / TCP(sport=port, dport=7) / Raw(b"text")
    return kind(bytes(packet))[TCP].chksum


@given(pairs, st.integers(0, 65535))
def test_the_delta_turns_the_peers_checksum_into_that_of_the_new_addresses(ends, port: int) -> None:
    """RFC 3948 3.1.2 a; the sum is RFC 1624's, as the pipeline computes it."""
    peer, us, remote, local = ends
    child = replace(CHILD, mode=Mode.TRANSPORT, original=(peer, us), remote=remote, local=local)
    total = (~scapy_checksum(peer, us, port) & 0xFFFF) + layer4_delta(child)
    repaired = ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF
    assert repaired % 0xFFFF == scapy_checksum(remote, local, port) % 0xFFFF


def test_without_a_nat_there_is_no_delta() -> None:
    assert layer4_delta(CHILD) == 0
    here = replace(CHILD, mode=Mode.TRANSPORT, original=(CHILD.remote, CHILD.local))
    assert layer4_delta(here) == 0


def mirrored(child: ChildSaParams) -> ChildSaParams:
    """The same SA pair as the other end has it."""
    udp = child.encapsulation
    return replace(
        child,
        peer="left",
        spi_in=child.spi_out,
        spi_out=child.spi_in,
        keymat=Keymat(child.keymat.outbound, child.keymat.inbound),
        local_ts=child.remote_ts,
        remote_ts=child.local_ts,
        local=child.remote,
        remote=child.local,
        encapsulation=udp and UdpEncapsulation(udp.remote_port, udp.local_port),
    )


async def agree(lab: FamilyLab, child: ChildSaParams, right: ChildSaParams | None = None) -> None:
    """Both gateways install a pair that nobody has negotiated."""
    for site in lab.sites:
        await lab.happened(site, Kind.READY)
    assert await lab.gateway(lab.left).sas.up(child), lab.journal.entries[-1]
    assert await lab.gateway(lab.right).sas.up(right or mirrored(child)), lab.journal.entries[-1]


def hand_made(outside: int, inside: int, **changes) -> ChildSaParams:
    child = replace(
        CHILD,
        esn=False,
        suite=AES256_GCM,
        local=ip_address(outer(1, outside)),
        remote=ip_address(outer(2, outside)),
        local_ts=nets(network(1, inside)),
        remote_ts=nets(network(2, inside)),
    )
    return replace(child, **changes)


async def carries(lab: FamilyLab, version: int) -> list[bytes]:
    """What arrives on the right of a packet from the left, without its time to live."""
    lab.right.host.receive()
    send(lab.left, datagram(lab.left, lab.right, version))
    await settle(lab)
    return [bytes(ip_of(frame)) for frame in lab.right.host.receive()]


async def settle(lab: FamilyLab) -> None:
    """Let neighbours find each other: a packet that finds none is not held for a host."""
    for _ in range(20):
        lab.wire.deliver()
        await asyncio.sleep(0.005)


async def find_neighbours(lab: FamilyLab, version: int) -> None:
    """The first packet of all asks for the other gateway, and is lost."""
    async with asyncio.timeout(5):
        while not await carries(lab, version):
            pass


@pytest.mark.parametrize(
    ("outside", "inside", "wrap", "udp"),
    [(*families, wrap, udp) for families in FAMILIES for wrap, udp in product(Wrap, (False, True))],
)
async def test_a_tunnel_of_every_wrapping_passes_the_pipeline(outside, inside, wrap, udp) -> None:
    suite = SUITES["aes256gmac"] if wrap is Wrap.VISIBLE else AES256_GCM
    encapsulation = UdpEncapsulation(4500, 4500) if udp else None
    child = hand_made(outside, inside, wrap=wrap, suite=suite, encapsulation=encapsulation)
    async with running_family_lab(Shape(outside, (inside,)), Change(starts=())) as lab:
        await agree(lab, child)
        await find_neighbours(lab, inside)
        sent = datagram(lab.left, lab.right, inside)
        assert await carries(lab, inside) == [fewer_hops(sent, 2)]
        assert set(drops(lab.right)) <= {"NO_NEIGHBOUR"}


@pytest.mark.parametrize(
    ("outside", "inside", "wrap"),
    [(*families, wrap) for families in FAMILIES for wrap in (Wrap.NONE, Wrap.ENCRYPTED)],
)
async def test_beet_restores_the_inner_pair_that_was_not_sent(outside, inside, wrap) -> None:
    """RFC 7402 B.1.5, B.1.6."""
    ends = {"local_ts": one_address(1, inside), "remote_ts": one_address(2, inside)}
    child = hand_made(outside, inside, mode=Mode.BEET, wrap=wrap, **ends)
    async with running_family_lab(Shape(outside, (inside,)), Change(starts=())) as lab:
        await agree(lab, child)
        await find_neighbours(lab, inside)
        (arrived,) = await carries(lab, inside)
        packet = (IPv6 if inside == 6 else IP)(arrived)
        assert (packet.src, packet.dst) == (host(1, inside), host(2, inside))
        assert bytes(packet[UDP].payload) == b"hello"
        mode = PipelineMode.BEET_V6 if inside == 6 else PipelineMode.BEET_V4
        assert lab.live(lab.left).entries.outbound.arg("mode") == mode


@pytest.mark.parametrize("version", [4, 6])
async def test_a_nats_work_on_a_transport_mode_packet_is_undone(version: int) -> None:
    """RFC 7296 2.23.1: the host knows itself by another address, over which it makes checksums."""
    private = ip_address("10.9.9.9" if version == 4 else "fd00::9")
    ends = {"local_ts": one_address(1, version), "remote_ts": one_address(2, version)}
    hosts = {f: ip_address(host(n, version)) for f, n in (("local", 1), ("remote", 2))}
    child = hand_made(version, version, mode=Mode.TRANSPORT, **ends, **hosts)
    right = replace(mirrored(child), original=(private, hosts["remote"]))
    shape = Shape(version, mode="transport")
    async with running_family_lab(shape, Change(starts=())) as lab:
        await agree(lab, child, right)
        await find_neighbours(lab, version)
        good = datagram(lab.left, lab.right, version)
        at_home = good.copy()
        at_home.src = str(private)
        del at_home[UDP].chksum
        packet = good.copy()
        packet[UDP].chksum = type(good)(bytes(at_home))[UDP].chksum
        lab.right.host.receive()
        send(lab.left, packet)
        await settle(lab)
        assert [bytes(ip_of(f)) for f in lab.right.host.receive()] == [fewer_hops(good, 2)]
