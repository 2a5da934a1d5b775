"""The SPD (RFC 4301 4.4.1): order, versions, ranges, and the verdicts (cases POL)."""

from __future__ import annotations

from typing import Any

from scapy.layers.inet import ICMP, IP, TCP, UDP

from harness import frames, tables
from harness.gateway import Verdict
from harness.ids import Drop, Outcome, Punt, Role
from harness.tables import Traffic
from harness.testcase import GatewayTest
from harness.topology import (
    HOST,
    HOST_VLAN,
    PROTECTED,
    PROTECTED_VLAN,
    REMOTE,
    REMOTE_HOST,
    SITE,
    UNPROTECTED,
)

OUT = Traffic(src=SITE, dst=REMOTE)
IN = Traffic(src=REMOTE, dst=SITE)


def outward(layer4: bytes = b"", protocol: int = 17, **fields: Any) -> bytes:
    """A frame from our site for the remote one."""
    packet = frames.ipv4(layer4, src=HOST, dst=REMOTE_HOST, proto=protocol, id=1, ttl=9, **fields)
    return frames.ethernet(PROTECTED, packet)


def udp(sport: int, dport: int) -> bytes:
    """A UDP frame from our site for the remote one."""
    return outward(bytes(UDP(sport=sport, dport=dport, len=8, chksum=0)))


class PolicyTest(GatewayTest):
    """Rules and the frames they let pass."""

    def rule(self, traffic: Traffic, action: str, **fields: Any) -> None:
        """Adds a rule."""
        self.gw.insert(tables.spd(traffic, action, **fields))

    def passes(self, *data: bytes) -> None:
        """Proves that every frame is forwarded."""
        for frame in data:
            with self.subTest(passes=IP(frame[14:]).summary()):
                self.assertEqual(self.forward(PROTECTED, frame).port, UNPROTECTED)

    def discarded(self, *data: bytes) -> None:
        """Proves that no frame is."""
        for frame in data:
            with self.subTest(discarded=IP(frame[14:]).summary()):
                self.refuse(Drop.POLICY_DISCARD, PROTECTED, frame)


class Pol01ClearTextThatMustBeProtected(PolicyTest):
    """POL-01: clear from outside, though a rule protects it: never let in."""

    def runTest(self) -> None:
        self.rule(IN, "protect", policy=1)
        frame = frames.ethernet(UNPROTECTED, frames.inner())
        self.refuse(Drop.CLEAR_IN, UNPROTECTED, frame)


class Pol03DefaultIsDiscard(PolicyTest):
    """POL-03: no rule, no way, in either direction."""

    def runTest(self) -> None:
        self.discarded(udp(1, 2))
        inward = frames.ethernet(UNPROTECTED, frames.inner())
        self.refuse(Drop.POLICY_DISCARD, UNPROTECTED, inward)


class Pol04AcquireWithoutSa(PolicyTest):
    """POL-04: protect without an SA asks the controller and lets nothing out."""

    def runTest(self) -> None:
        self.rule(OUT, "protect", policy=77)
        frame = udp(1, 2)
        verdict = self.refuse(Drop.ACQUIRE, PROTECTED, frame, punt=Punt.ACQUIRE)
        (packet,) = verdict.packet_ins
        self.assertEqual((packet.op, packet.status), (Punt.ACQUIRE, Drop.ACQUIRE))
        self.assertEqual((packet.index, packet.port), (77, PROTECTED))
        self.assertEqual(packet.payload, frame)


class BypassBothWays(PolicyTest):
    """Bypassed traffic is forwarded with one hop less, and nothing else changed."""

    def runTest(self) -> None:
        self.rule(OUT, "bypass")
        self.rule(IN, "bypass")
        packet = frames.outgoing(options=b"\1\1\1\0")
        out = self.forward(PROTECTED, frames.ethernet(PROTECTED, packet))
        self.assertEqual(out.data, frames.delivered(UNPROTECTED, frames.rewritten(packet)))
        packet = frames.inner()
        back = self.forward(UNPROTECTED, frames.ethernet(UNPROTECTED, packet))
        self.assertEqual(back.data, frames.delivered(PROTECTED, frames.rewritten(packet)))


class BypassTimeToLive(PolicyTest):
    """A bypassed packet at its last hop goes to the controller."""

    def runTest(self) -> None:
        self.rule(OUT, "bypass")
        for ttl in (0, 1):
            frame = frames.ethernet(PROTECTED, frames.outgoing(ttl=ttl))
            self.refuse(Drop.TTL, PROTECTED, frame, punt=Punt.TTL)


class HigherPriorityWins(PolicyTest):
    """Rules are ordered: the highest priority that fits decides, not the narrowest."""

    def runTest(self) -> None:
        host = Traffic(src="10.2.2.2/32", dst=REMOTE)
        self.rule(OUT, "bypass", priority=10)
        self.passes(udp(1, 2))
        self.rule(OUT, "discard", priority=30)
        self.rule(host, "bypass", priority=20)
        self.discarded(udp(1, 2))
        self.rule(host, "bypass", priority=40)
        self.passes(udp(1, 2))


class VersionSwitchesAllRules(PolicyTest):
    """One write moves every packet from the old rules to the new ones."""

    def runTest(self) -> None:
        self.rule(Traffic(dst=REMOTE, protocol=17), "bypass", version=1)
        self.rule(Traffic(dst=REMOTE, protocol=6), "bypass", version=2)
        tcp = outward(bytes(TCP(sport=1, dport=2)), 6)
        self.discarded(udp(1, 2), tcp)
        self.set_policy_version(1)
        self.passes(udp(1, 2))
        self.discarded(tcp)
        self.gw.modify(tables.policy_version(2))
        self.passes(tcp)
        self.discarded(udp(1, 2))


class RoleIsPartOfTheKey(PolicyTest):
    """The same addresses from the other side are other traffic."""

    def runTest(self) -> None:
        self.rule(OUT, "bypass", role=Role.PROTECTED)
        self.passes(udp(1, 2))
        spoofed = frames.ethernet(UNPROTECTED, udp(1, 2)[14:])
        self.refuse(Drop.POLICY_DISCARD, UNPROTECTED, spoofed)


class AddressPrefixes(PolicyTest):
    """Source and destination at the edges of their prefixes."""

    def runTest(self) -> None:
        self.rule(Traffic(src="10.2.2.0/25", dst="10.1.1.128/25"), "bypass")

        def frame(src: str, dst: str) -> bytes:
            return frames.ethernet(PROTECTED, frames.inner(src=src, dst=dst))

        self.passes(frame("10.2.2.127", "10.1.1.128"), frame("10.2.2.0", "10.1.1.255"))
        self.discarded(frame("10.2.2.128", "10.1.1.128"), frame("10.2.2.1", "10.1.1.127"))


class PortRanges(PolicyTest):
    """Both ends of a range belong to it, also of a range that is no prefix."""

    def runTest(self) -> None:
        ports = Traffic(protocol=17, sport=(1023, 5000), dport=(53, 53))
        self.rule(ports, "bypass")
        self.passes(udp(1023, 53), udp(5000, 53), udp(3000, 53))
        self.discarded(udp(1022, 53), udp(5001, 53), udp(3000, 52), udp(3000, 54))
        tcp = outward(bytes(TCP(sport=3000, dport=53)), 6)
        self.discarded(tcp)


class IcmpTypeAndCode(PolicyTest):
    """RFC 4301 4.4.1.1: type and code in the place of the ports, as a range."""

    def runTest(self) -> None:
        unreachable = (3 << 8, 3 << 8 | 5)
        self.rule(Traffic(protocol=1, dport=unreachable), "bypass")

        def icmp(kind: int, code: int) -> bytes:
            return outward(bytes(ICMP(type=kind, code=code)), 1)

        self.passes(icmp(3, 0), icmp(3, 5))
        self.discarded(icmp(3, 6), icmp(2, 255), icmp(8, 0))


class ProtocolsWithoutPorts(PolicyTest):
    """Their ports are zero, and layer 4 is known."""

    def runTest(self) -> None:
        self.rule(Traffic(protocol=47, sport=(0, 0), dport=(0, 0), l4_known=1), "bypass")
        self.passes(outward(b"greatgre", 47), outward(b"", 47))
        self.discarded(outward(b"greatgre", 46))


class FragmentsBehindTheFirst(PolicyTest):
    """RFC 4301 7: a later fragment has no ports; only l4_known tells it from port zero."""

    def runTest(self) -> None:
        segment = bytes(UDP(sport=7, dport=8, len=108, chksum=0)) + bytes(16)
        first = outward(segment, flags="MF")
        later = outward(bytes(24), frag=3)
        self.rule(Traffic(protocol=17, sport=(7, 7), dport=(8, 8), l4_known=1), "bypass")
        self.passes(first)
        self.discarded(later)
        self.rule(Traffic(protocol=17, l4_known=0), "bypass")
        self.passes(later)


class LaterFragmentsWhosePortsWouldDecide(PolicyTest):
    """RFC 4301 7.4: between a rule with ports and a wider one, a rule drops them by name."""

    def runTest(self) -> None:
        self.rule(Traffic(protocol=17, dport=(8, 8), l4_known=1), "protect", policy=5, priority=9)
        self.rule(Traffic(protocol=17, l4_known=0), "discard_unseen", priority=8)
        self.rule(OUT, "bypass", priority=1)
        self.refuse(Drop.UNSEEN_PORTS, PROTECTED, outward(bytes(24), frag=3))
        self.refuse(Drop.UNSEEN_PORTS, PROTECTED, outward(bytes(24), frag=3, flags="MF"))
        self.passes(outward(bytes(24), 6, frag=3), udp(7, 9))


class FragmentsDoNotMatchPortZero(PolicyTest):
    """A rule for known layer 4 never sees a later fragment, though its range holds zero."""

    def runTest(self) -> None:
        self.rule(Traffic(protocol=6, sport=(0, 100), l4_known=1), "bypass")
        self.discarded(outward(bytes(40), 6, frag=3))


class SelectByLongestPrefix(PolicyTest):
    """One policy, several SAs: the longest prefix of the destination names the SA."""

    def runTest(self) -> None:
        wide, narrow = self.outbound(), self.outbound()
        self.rule(OUT, "protect", policy=5)
        self.gw.insert(
            tables.sa_select(5, REMOTE, wide.sa.sa),
            tables.sa_select(5, "10.1.1.16/28", narrow.sa.sa),
        )
        for dst, tunnel in (("10.1.1.15", wide), ("10.1.1.16", narrow), ("10.1.1.32", wide)):
            wire = self.seal(tunnel, frames.outgoing(dst=dst))
            self.assertEqual(int.from_bytes(wire[20:24]), tunnel.sa.spi)
        self.gw.delete(tables.sa_select(5, "10.1.1.16/28", narrow.sa.sa))
        self.assertEqual(self.spi_towards("10.1.1.16"), wide.sa.spi)

    def spi_towards(self, dst: str) -> int:
        """The SPI under which a packet for ``dst`` leaves."""
        out = self.forward(PROTECTED, frames.ethernet(PROTECTED, frames.outgoing(dst=dst)))
        return int.from_bytes(out.data[34:38])


class SelectByPolicy(PolicyTest):
    """Two policies for one destination have SAs of their own."""

    def runTest(self) -> None:
        dns, rest = self.outbound(), self.outbound()
        self.rule(Traffic(src=SITE, dst=REMOTE, protocol=17), "protect", policy=1, priority=20)
        self.rule(OUT, "protect", policy=2, priority=10)
        self.gw.insert(
            tables.sa_select(1, REMOTE, dns.sa.sa), tables.sa_select(2, REMOTE, rest.sa.sa)
        )
        tcp = frames.tcp(HOST, REMOTE_HOST, 1, 2)
        for packet, tunnel in ((frames.outgoing(), dns), (tcp, rest)):
            wire = self.seal(tunnel, packet)
            self.assertEqual(tunnel.open(wire), frames.rewritten(packet))


class SelectedSaIsGone(PolicyTest):
    """sa_select names an SA that is not installed: nothing leaves."""

    def runTest(self) -> None:
        self.rule(OUT, "protect", policy=1)
        self.gw.insert(tables.sa_select(1, REMOTE, 65_000))
        self.refuse(Drop.STALE_SA, PROTECTED, udp(1, 2))


class RuleChangesReachTheNextPacket(PolicyTest):
    """An entry that is modified or deleted decides the next packet at once."""

    def runTest(self) -> None:
        self.rule(OUT, "bypass")
        self.passes(udp(1, 2))
        self.gw.modify(tables.spd(OUT, "discard"))
        self.discarded(udp(1, 2))
        self.gw.delete(tables.spd(OUT, "discard"))
        self.discarded(udp(1, 2))


class InsideTrafficIsPolicyTrafficToo(PolicyTest):
    """From one protected port to another: SPD first, then routed."""

    def runTest(self) -> None:
        packet = frames.inner(src=HOST_VLAN, dst=HOST)
        frame = frames.ethernet(PROTECTED_VLAN, packet)
        self.refuse(Drop.POLICY_DISCARD, PROTECTED_VLAN, frame)
        self.bypass(Traffic(dst=SITE), Role.PROTECTED)
        out = self.forward(PROTECTED_VLAN, frame)
        self.assertEqual(out.data, frames.delivered(PROTECTED, frames.rewritten(packet)))


class FullScanOfManyRules(PolicyTest):
    """A thousand rules: the one that fits is found wherever it stands."""

    COUNT = 1000

    def runTest(self) -> None:
        rules = [
            tables.spd(Traffic(protocol=17, dport=(port, port)), "bypass", priority=port)
            for port in range(1, self.COUNT + 1)
        ]
        self.gw.insert(*rules)
        self.passes(udp(9, 1), udp(9, self.COUNT // 2), udp(9, self.COUNT))
        self.discarded(udp(9, self.COUNT + 1))


class VerdictsAddUp(PolicyTest):
    """A mixed batch: every packet has one outcome."""

    def runTest(self) -> None:
        self.rule(Traffic(protocol=17), "bypass")
        batch = [udp(1, 2), outward(b"greatgre", 47)] * 16
        verdict: Verdict = self.gw.send(PROTECTED, *batch)
        wanted = {Outcome.FORWARDED: 16, Outcome.DROPPED: 16}
        self.assertEqual(dict(verdict.outcomes), wanted)
        self.assertEqual(dict(verdict.drops), {Drop.POLICY_DISCARD: 16})
