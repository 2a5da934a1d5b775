"""Sets of SAs with equal selectors (RFC 9611, digest 6.1; conformance cases PAR)."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Any

from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6

from harness import frames, tables
from harness.gateway import Frame, Verdict
from harness.ids import Drop, Event, Spread
from harness.tables import Traffic
from harness.testcase import GatewayTest
from harness.topology import (
    HOST,
    HOST6,
    PROTECTED,
    PROTECTED_VLAN,
    REMOTE,
    REMOTE6,
    REMOTE_HOST,
    REMOTE_HOST6,
    SITE,
    SITE6,
    UNPROTECTED,
    UNPROTECTED_VLAN,
)
from harness.tunnels import OutboundTunnel, parsed

FAMILIES = (4, 6)
SET = 7
POLICY = 1
FLOWS = 24
BUCKETS = 256


def flow(version: int, number: int) -> bytes:
    """A packet of one of many flows from our site to the remote one."""
    datagram = UDP(sport=1000 + number, dport=2000)
    if version == 4:
        return bytes(IP(src=HOST, dst=REMOTE_HOST, id=1, ttl=64) / datagram / bytes(20))
    return bytes(IPv6(src=HOST6, dst=REMOTE_HOST6, hlim=64) / datagram / bytes(20))


def bucket_of(packet: bytes) -> int:
    """CRC-32 (zlib's) over addresses, protocol and ports, modulo the buckets."""
    parts = parsed(packet)
    protocol = packet[9:10] if parts.version == 4 else packet[6:7]
    addresses = packet[12:20] if parts.version == 4 else packet[8:40]
    ports = bytes(parts[UDP])[:4]
    return zlib.crc32(addresses + protocol + ports) % BUCKETS


class SetTest(GatewayTest):
    """Protected traffic of one family, served by a set."""

    def install_set(self, version: int, spread: Spread, **fields: Any) -> OutboundTunnel:
        """A set without members; its fallback SA."""
        fallback = self.outbound(outer=version, **fields)
        src, dst = (SITE, REMOTE) if version == 4 else (SITE6, REMOTE6)
        self.gw.insert(
            tables.spd(Traffic(src=src, dst=dst), "protect", policy=POLICY),
            tables.set_select(POLICY, dst, SET, spread, fallback.sa.sa),
        )
        return fallback

    def add_member(self, version: int, *buckets: int) -> OutboundTunnel:
        """A fresh SA that serves some buckets of the set."""
        member = self.outbound(outer=version)
        self.gw.insert(*(tables.sa_member(SET, bucket, member.sa.sa) for bucket in buckets))
        return member

    def remove_member(self, bucket: int, member: OutboundTunnel) -> None:
        """The bucket is the fallback SA's again; the member's SA stays for what is on its way."""
        self.gw.delete(tables.sa_member(SET, bucket, member.sa.sa))

    def sent_by(self, packets: Sequence[bytes], port: int = PROTECTED) -> list[int]:
        """The SPIs under which the packets leave, in their order; none is dropped."""
        verdict = self.gw.send(port, *(frames.ethernet(port, packet) for packet in packets))
        return self.spis(verdict, len(packets))

    def spis(self, verdict: Verdict, count: int) -> list[int]:
        """The SPIs of ``count`` packets on the wire."""
        self.assertEqual(dict(verdict.drops), {})
        self.assertEqual(len(verdict.outputs), count)
        return [self._spi(frame) for frame in verdict.outputs]

    def _spi(self, frame: Frame) -> int:
        self.assertEqual(frame.port, UNPROTECTED)
        at = 14 + (20 if frame.data[12:14] == b"\x08\x00" else 40)
        return int.from_bytes(frame.data[at : at + 4])


class Par01IngressPortHasItsSa(SetTest):
    """PAR-01: port 0 uses its SA, the other one the fallback; without its SA, port 0 does too."""

    def runTest(self) -> None:
        for version in FAMILIES:
            with self.subTest(version=version):
                self._two_ports(version)
            self.gw.reset(self.session.base)

    def _two_ports(self, version: int) -> None:
        packets = [flow(version, number) for number in range(8)]
        fallback = self.install_set(version, Spread.PORT)
        member = self.add_member(version, PROTECTED)
        self.assertEqual(self.sent_by(packets), [member.sa.spi] * 8)
        self.assertEqual(self.sent_by(packets, PROTECTED_VLAN), [fallback.sa.spi] * 8)
        self.remove_member(PROTECTED, member)
        self.assertEqual(self.sent_by(packets), [fallback.sa.spi] * 8)
        self.assertEqual((member.last(), fallback.last()), (8, 16))


class Par01PeerOpensWhatEachMemberSends(SetTest):
    """Each SA of a set has a key and a sequence of its own; scapy opens all of them."""

    def runTest(self) -> None:
        for version in FAMILIES:
            fallback = self.install_set(version, Spread.PORT)
            packet = flow(version, 1)
            self.assertEqual(fallback.open(self.seal(fallback, packet)), frames.rewritten(packet))
            member = self.add_member(version, PROTECTED)
            self.assertEqual(member.open(self.seal(member, packet)), frames.rewritten(packet))
            self.assertEqual((member.last(), fallback.last()), (1, 1))
            self.gw.reset(self.session.base)


class SpreadByFlowIsCrc32(SetTest):
    """A flow's bucket is the CRC-32 of its five fields, and all of its packets go there."""

    def runTest(self) -> None:
        for version in FAMILIES:
            packets = [flow(version, number) for number in range(FLOWS)]
            self.install_set(version, Spread.FLOW)
            buckets = sorted({bucket_of(packet) for packet in packets})
            members = {bucket: self.add_member(version, bucket) for bucket in buckets}
            expected = [members[bucket_of(packet)].sa.spi for packet in packets]
            with self.subTest(version=version):
                self.assertGreater(len(buckets), FLOWS // 2)
                self.assertEqual(self.sent_by(packets * 2), expected * 2)
            self.gw.reset(self.session.base)


class MembersComeAndGoOneBucketAtATime(SetTest):
    """Only flows of the bucket that changes see a change, and no packet is lost."""

    def runTest(self) -> None:
        for version in FAMILIES:
            packets = [flow(version, number) for number in range(FLOWS)]
            fallback = self.install_set(version, Spread.FLOW)
            member = self.outbound(outer=version)
            served: set[int] = set()
            buckets = [bucket_of(packet) for packet in packets[:6]]
            steps = [(bucket, True) for bucket in buckets] + [(bucket, False) for bucket in buckets]
            for bucket, comes in steps:
                entry = tables.sa_member(SET, bucket, member.sa.sa)
                (self.gw.insert if comes else self.gw.delete)(entry)
                (served.add if comes else served.remove)(bucket)
                with self.subTest(version=version, bucket=bucket, comes=comes):
                    self._check(packets, served, member, fallback)
            self.assertEqual(member.last() + fallback.last(), len(steps) * FLOWS)
            self.gw.reset(self.session.base)

    def _check(
        self,
        packets: Sequence[bytes],
        served: set[int],
        member: OutboundTunnel,
        fallback: OutboundTunnel,
    ) -> None:
        owners = [member if bucket_of(packet) in served else fallback for packet in packets]
        self.assertEqual(self.sent_by(packets), [tunnel.sa.spi for tunnel in owners])


class BucketMovesWhilePacketsAreInTheEngine(SetTest):
    """What was on its way under the old member leaves under it."""

    def runTest(self) -> None:
        for version in FAMILIES:
            packet = flow(version, 3)
            self.install_set(version, Spread.FLOW)
            old, new = self.add_member(version, bucket_of(packet)), self.outbound(outer=version)
            frame = frames.ethernet(PROTECTED, packet)
            with self.gw.held_requests() as held:
                self.gw.send(PROTECTED, frame, frame)
            self.gw.modify(tables.sa_member(SET, bucket_of(packet), new.sa.sa))
            with self.subTest(version=version):
                self.assertEqual(self.spis(self.gw.answer(*held), 2), [old.sa.spi] * 2)
                self.assertEqual(self.sent_by([packet]), [new.sa.spi])
            self.gw.reset(self.session.base)


class FallbackThatIsGoneLosesItsOwnFlowsOnly(SetTest):
    """A set whose fallback SA is not installed: what no member serves is counted, not sent."""

    def runTest(self) -> None:
        for version in FAMILIES:
            self.install_set(version, Spread.FLOW, install=False)
            served, other = flow(version, 3), flow(version, 4)
            self.assertNotEqual(bucket_of(served), bucket_of(other))
            member = self.add_member(version, bucket_of(served))
            self.assertEqual(self.sent_by([served]), [member.sa.spi])
            self.refuse(Drop.STALE_SA, PROTECTED, frames.ethernet(PROTECTED, other))
            self.gw.reset(self.session.base)


class BucketThatWantsAnSaSaysSo(SetTest):
    """RFC 9611: the fallback SA carries its packets, and each is told; an SA of its own ends that,
    and another bucket is silent.
    """

    def runTest(self) -> None:
        for version in FAMILIES:
            fallback = self.install_set(version, Spread.FLOW)
            wants, other = flow(version, 3), flow(version, 4)
            bucket = bucket_of(wants)
            self.gw.insert(tables.acquire_member(SET, bucket))
            with self.subTest(version=version):
                self.assertEqual(self.sent_by([wants, other]), [fallback.sa.spi] * 2)
                self._check_told(fallback, bucket)
                member = self.outbound(outer=version)
                self.gw.modify(tables.sa_member(SET, bucket, member.sa.sa))
                self.assertEqual(self.sent_by([wants]), [member.sa.spi])
                self.assertEqual((member.last(), fallback.last()), (1, 2))
            self.gw.reset(self.session.base)

    def _check_told(self, fallback: OutboundTunnel, bucket: int) -> None:
        event = self.event()
        told = (event["kind"], event["sa"], event["generation"], event["peer_low"])
        self.assertEqual(told, (Event.ACQUIRE, fallback.sa.sa, fallback.sa.generation, bucket))


class Par02AnyMemberOnAnyPort(SetTest):
    """PAR-02: packets of any SA of the set on any port, the same number on each."""

    def runTest(self) -> None:
        for version in FAMILIES:
            members = [self.inbound(outer=version, inner=version) for _ in range(3)]
            packet = frames.inner() if version == 4 else frames.inner6()
            for seq, port in enumerate((UNPROTECTED, UNPROTECTED_VLAN), 1):
                for member in members:
                    self.accept_esp(member.frame(seq, packet, port=port), packet, port=port)
                    frame = member.frame(seq, packet, port=port)
                    self.refuse(Drop.REPLAY_DUP, port, frame)
            self.assertEqual([member.top() for member in members], [2, 2, 2])


class Par04CodePointHasItsSa(SetTest):
    """PAR-04, sender: DSCP selects the SA; a code point without one uses the fallback."""

    def runTest(self) -> None:
        for version in FAMILIES:
            fallback = self.install_set(version, Spread.DSCP)
            voice, bulk = self.add_member(version, 46), self.add_member(version, 10, 12)
            owners = {46: voice, 10: bulk, 12: bulk, 0: fallback, 47: fallback, 63: fallback}
            for ecn in (0, 2):
                packets = [_marked(version, dscp, ecn) for dscp in owners]
                with self.subTest(version=version, ecn=ecn):
                    expected = [tunnel.sa.spi for tunnel in owners.values()]
                    self.assertEqual(self.sent_by(packets), expected)
            self.gw.reset(self.session.base)


class Par04RemarkedOnTheWay(SetTest):
    """PAR-04, receiver: the DSCP outside and inside is no concern of the SA."""

    def runTest(self) -> None:
        for version in FAMILIES:
            tunnel = self.inbound(outer=version, inner=version)
            for seq, dscp in enumerate((0, 10, 46, 63), 1):
                packet = _marked(version, 46, inbound=True)
                outer = {"tos": dscp << 2} if version == 4 else {"tc": dscp << 2}
                self.accept_esp(tunnel.frame(seq, packet, **outer), packet)


class Par04StraysOfAClassAreCountedAndPass(SetTest):
    """PAR-04: a code point of another class is counted; without a class nothing is."""

    def runTest(self) -> None:
        for version in FAMILIES:
            for dscps, strays in (((), 0), ((46, 34), 3)):
                with self.subTest(version=version, dscps=dscps):
                    self._strays(version, dscps, strays)
            self.gw.reset(self.session.base)

    def _strays(self, version: int, dscps: tuple[int, ...], strays: int) -> None:
        tunnel = self.inbound(outer=version, inner=version, dscps=dscps)
        for seq, dscp in enumerate((46, 34, 0, 10, 63, 46), 1):
            packet = _marked(version, dscp, inbound=True)
            self.accept_esp(tunnel.frame(seq, packet), packet)
        self.assertEqual(self.gw.traffic("sa_in_strays", tunnel.sa.sa)[0], strays)


def _marked(version: int, dscp: int, ecn: int = 0, *, inbound: bool = False) -> bytes:
    octet = dscp << 2 | ecn
    if version == 4:
        return (frames.inner if inbound else frames.outgoing)(tos=octet)
    return (frames.inner6 if inbound else frames.outgoing6)(tc=octet)
