"""The SPD and SA selection for IPv6 (RFC 4301 4.4.1; cases POL)."""

from __future__ import annotations

from typing import Any

from scapy.layers.inet6 import ICMPv6DestUnreach, ICMPv6EchoRequest, IPv6

from harness import frames, tables
from harness.families import FAMILIES, FamilyTest, incoming, outgoing
from harness.ids import Drop, Punt, Role
from harness.tables import Traffic
from harness.topology import (
    HOST6,
    PROTECTED,
    REMOTE6,
    REMOTE_HOST6,
    SITE6,
    UNPROTECTED,
    gateway_mac,
)

OUT = Traffic(src=SITE6, dst=REMOTE6)
IN = Traffic(src=REMOTE6, dst=SITE6)
EVERYTHING6 = Traffic(src="::/0")
UDP, GRE, ICMPV6 = 17, 47, 58


def outward(layer4: bytes = bytes(8), protocol: int = UDP, **fields: Any) -> bytes:
    """A frame from our site for the remote one."""
    site = {"src": HOST6, "dst": REMOTE_HOST6, "hlim": 9}
    return frames.ethernet(PROTECTED, frames.ipv6(layer4, protocol, **{**site, **fields}))


def udp(sport: int, dport: int, **fields: Any) -> bytes:
    """A UDP frame from our site for the remote one."""
    return outward(b"".join(n.to_bytes(2) for n in (sport, dport, 8, 0x55AA)), **fields)


class Policy6Test(FamilyTest):
    """Rules and the frames they let pass."""

    def rule(self, traffic: Traffic, action: str, **fields: Any) -> None:
        """Adds a rule."""
        self.gw.insert(tables.spd(traffic, action, **fields))

    def passes(self, *data: bytes) -> None:
        """Proves that every frame is forwarded with one hop less, and nothing else changed."""
        for frame in data:
            with self.subTest(passes=frame[14:].hex()):
                out = self.forward(PROTECTED, frame)
                expected = frames.delivered(UNPROTECTED, frames.rewritten(frame[14:]))
                self.assertEqual(out.data, expected)

    def discarded(self, *data: bytes) -> None:
        """Proves that no frame is."""
        for frame in data:
            with self.subTest(discarded=frame[14:].hex()):
                self.refuse(Drop.POLICY_DISCARD, PROTECTED, frame)


class Pol01ClearTextThatMustBeProtected(Policy6Test):
    """POL-01: clear from outside, though a rule protects it: never let in."""

    def runTest(self) -> None:
        self.rule(IN, "protect", policy=1)
        self.refuse(Drop.CLEAR_IN, UNPROTECTED, frames.ethernet(UNPROTECTED, incoming(6)))


class Pol03DefaultIsDiscard(Policy6Test):
    """POL-03: no rule, no way, in either direction; a rule for all IPv4 is none."""

    def runTest(self) -> None:
        self.bypass(Traffic())
        self.discarded(udp(1, 2), outward(bytes([128, 0]) + bytes(6), ICMPV6))
        inward = frames.ethernet(UNPROTECTED, incoming(6))
        self.refuse(Drop.POLICY_DISCARD, UNPROTECTED, inward)


class RulesOfOneFamily(Policy6Test):
    """A rule for all IPv6 lets no IPv4 pass."""

    def runTest(self) -> None:
        self.bypass(EVERYTHING6)
        self.passes(udp(1, 2))
        self.refuse(Drop.POLICY_DISCARD, PROTECTED, frames.ethernet(PROTECTED, outgoing(4)))


class Pol04AcquireWithoutSa(Policy6Test):
    """POL-04: protect without an SA asks the controller and lets nothing out; an SA for the same
    policy in the other family is none."""

    def runTest(self) -> None:
        self.protected_outbound(policy=77)
        self.rule(OUT, "protect", policy=77)
        frame = udp(1, 2)
        verdict = self.refuse(Drop.ACQUIRE, PROTECTED, frame, punt=Punt.ACQUIRE)
        (packet,) = verdict.packet_ins
        self.assertEqual((packet.op, packet.status), (Punt.ACQUIRE, Drop.ACQUIRE))
        self.assertEqual((packet.index, packet.port), (77, PROTECTED))
        self.assertEqual(packet.payload, frame)


class BypassBothWays(Policy6Test):
    """Bypassed traffic is forwarded with one hop less, and nothing else changed."""

    def runTest(self) -> None:
        self.rule(OUT, "bypass")
        self.rule(IN, "bypass")
        fields: dict[str, Any] = {"fl": 0xABCDE, "tc": 0xFF, "hlim": 255}
        self.passes(frames.ethernet(PROTECTED, outgoing(6, **fields)), udp(1, 2, hlim=2))
        packet = incoming(6, 101, **fields)
        back = self.forward(UNPROTECTED, frames.ethernet(UNPROTECTED, packet))
        self.assertEqual(back.data, frames.delivered(PROTECTED, frames.rewritten(packet)))


class BypassHopLimit(Policy6Test):
    """A bypassed packet at its last hop goes to the controller as it is."""

    def runTest(self) -> None:
        self.rule(OUT, "bypass")
        for hops in (0, 1):
            frame = udp(1, 2, hlim=hops)
            verdict = self.refuse(Drop.TTL, PROTECTED, frame, punt=Punt.TTL)
            self.assertEqual(verdict.packet_ins[0].payload, frame)


class HigherPriorityWins(Policy6Test):
    """Rules are ordered: the highest priority that fits decides, not the narrowest."""

    def runTest(self) -> None:
        host = Traffic(src=f"{HOST6}/128", dst=REMOTE6)
        self.rule(OUT, "bypass", priority=10)
        self.passes(udp(1, 2))
        self.rule(OUT, "discard", priority=30)
        self.rule(host, "bypass", priority=20)
        self.discarded(udp(1, 2))
        self.rule(host, "bypass", priority=40)
        self.passes(udp(1, 2))


class VersionSwitchesBothFamilies(Policy6Test):
    """One write moves IPv4 and IPv6 from the old rules to the new ones."""

    def runTest(self) -> None:
        self.rule(OUT, "bypass", version=1)
        self.rule(Traffic(), "bypass", version=1)
        self.rule(OUT, "discard", version=2)
        four = frames.ethernet(PROTECTED, outgoing(4))
        self.discarded(udp(1, 2), four)
        self.set_policy_version(1)
        self.passes(udp(1, 2), four)
        self.gw.modify(tables.policy_version(2))
        self.discarded(udp(1, 2), four)


class RoleIsPartOfTheKey(Policy6Test):
    """The same addresses from the other side are other traffic."""

    def runTest(self) -> None:
        self.rule(OUT, "bypass", role=Role.PROTECTED)
        self.passes(udp(1, 2))
        spoofed = frames.ethernet(UNPROTECTED, udp(1, 2)[14:])
        self.refuse(Drop.POLICY_DISCARD, UNPROTECTED, spoofed)


class AddressPrefixes(Policy6Test):
    """Prefixes end on both sides of bit 64, and at 128."""

    def runTest(self) -> None:
        for length, inside, outside in (
            (49, "2001:db8:2:7fff::9", "2001:db8:2:8000::9"),
            (64, "2001:db8:2::ffff:0:0:1", "2001:db8:2:1::1"),
            (65, "2001:db8:2::7fff:0:0:1", "2001:db8:2::8000:0:0:1"),
            (128, "2001:db8:2::", "2001:db8:2::1"),
        ):
            self.rule(Traffic(src=f"2001:db8:2::/{length}"), "bypass")
            self.passes(udp(1, 2, src=inside))
            self.discarded(udp(1, 2, src=outside))
            self.gw.reset(self.session.base)


class PortRanges(Policy6Test):
    """Both ends of a range belong to it, also of a range that is no prefix."""

    def runTest(self) -> None:
        ports = Traffic(src=SITE6, protocol=UDP, sport=(1023, 5000), dport=(53, 53))
        self.rule(ports, "bypass")
        self.passes(udp(1023, 53), udp(5000, 53), udp(3000, 53))
        self.discarded(udp(1022, 53), udp(5001, 53), udp(3000, 52), udp(3000, 54))


class IcmpTypeAndCode(Policy6Test):
    """RFC 4301 4.4.1.1: type and code of ICMPv6 in the place of the ports, as a range."""

    def runTest(self) -> None:
        unreachable = (1 << 8, 1 << 8 | 5)
        self.rule(Traffic(src=SITE6, protocol=ICMPV6, dport=unreachable), "bypass")

        def icmp(message: Any) -> bytes:
            packet = IPv6(src=HOST6, dst=REMOTE_HOST6, hlim=9) / message
            return frames.ethernet(PROTECTED, bytes(packet))

        self.passes(icmp(ICMPv6DestUnreach(code=0)), icmp(ICMPv6DestUnreach(code=5)))
        self.discarded(icmp(ICMPv6DestUnreach(code=6)), icmp(ICMPv6EchoRequest()))


class ProtocolsWithoutPorts(Policy6Test):
    """Their ports are zero, and layer 4 is known; no next header (59) is one of them."""

    def runTest(self) -> None:
        for protocol in (GRE, 59):
            rule = Traffic(src=SITE6, protocol=protocol, sport=(0, 0), dport=(0, 0), l4_known=1)
            self.rule(rule, "bypass")
            self.passes(outward(b"payload", protocol), outward(b"", protocol))
        self.discarded(outward(b"payload", 46))


class SelectByLongestPrefix(Policy6Test):
    """One policy, several SAs: the longest prefix of the destination names the SA, and it may go
    over either family."""

    def runTest(self) -> None:
        wide, narrow = self.outbound(outer=4), self.outbound(outer=6)
        self.rule(OUT, "protect", policy=5)
        self.gw.insert(
            tables.sa_select(5, REMOTE6, wide.sa.sa),
            tables.sa_select(5, "2001:db8:1::1:0/113", narrow.sa.sa),
        )
        hosts = (("::ffff", wide), ("::1:0", narrow), ("::1:7fff", narrow), ("::1:8000", wide))
        for host, tunnel in hosts:
            self.send_and_open(tunnel, outgoing(6, dst=f"2001:db8:1{host}"))


class SelectedSaIsGone(Policy6Test):
    """Nothing leaves by an SA that is not installed, or that has no IPv6 ends though it needs
    them: no number is consumed either."""

    def runTest(self) -> None:
        self.rule(OUT, "protect", policy=1)
        tunnel = self.outbound(outer=6, install=False)
        self.gw.insert(tables.sa_select(1, REMOTE6, tunnel.sa.sa))
        self.refuse(Drop.STALE_SA, PROTECTED, udp(1, 2))
        entry, ends = tunnel.sa.entries()
        self.gw.insert(entry)
        self.refuse(Drop.STALE_SA, PROTECTED, udp(1, 2))
        self.assertEqual(tunnel.last(), 0)
        self.gw.insert(ends)
        self.send_and_open(tunnel, outgoing(6))


class EndsAreWithdrawnBehindTheEngine(FamilyTest):
    """The IPv6 ends of an SA that vanish while its packet is at the engine: it stays inside."""

    def runTest(self) -> None:
        for outer, inner in FAMILIES:
            if outer == 6:
                tunnel = self.protected_outbound(outer=outer, inner=inner)
                with self.gw.held_requests() as held:
                    self.gw.send(PROTECTED, frames.ethernet(PROTECTED, outgoing(inner)))
                self.gw.delete(tunnel.sa.entries()[1])
                self.assert_refused(self.gw.answer(held[0]), Drop.STALE_SA)
                self.gw.reset(self.session.base)


class EndsAreMovedBehindTheEngine(FamilyTest):
    """A packet for the old ends of an SA does not leave once the SA has new ones: what is not
    the SA's own packet is clear."""

    def runTest(self) -> None:
        tunnel = self.protected_outbound(outer=6, inner=6)
        sa = tunnel.sa
        for src, dst in ((sa.src, "2001:db8:c0::2"), ("2001:db8:51::9", sa.dst)):
            with self.gw.held_requests() as held:
                self.gw.send(PROTECTED, frames.ethernet(PROTECTED, outgoing(6)))
            self.gw.modify(tables.tunnel_v6(sa.sa, src, dst))
            self.assert_refused(self.gw.answer(held[0]), Drop.CLEAR_OUT)
            self.gw.modify(tables.tunnel_v6(sa.sa, sa.src, sa.dst))


class MulticastIsNotForwarded(Policy6Test):
    """A frame for a group is left alone although policy allows its packet."""

    def runTest(self) -> None:
        self.bypass(EVERYTHING6)
        frame = udp(1, 2)
        self.passes(frame)
        for mac in ("33:33:00:00:00:01", "ff:ff:ff:ff:ff:ff", gateway_mac(UNPROTECTED)):
            other = bytes.fromhex(mac.replace(":", "")) + frame[6:]
            self.refuse(Drop.NOT_FOR_US, PROTECTED, other)


class ChainThatIsNotReadEscapesNoRule(FamilyTest):
    """RFC 8200 4.1 allows any order: behind headers that we do not look through, a protected
    protocol must not pass for another that is bypassed."""

    def runTest(self) -> None:
        covered = Traffic(src=SITE6, dst=REMOTE6)
        self.gw.insert(
            tables.spd(Traffic(SITE6, REMOTE6, 17), "protect", policy=5, priority=20),
            tables.spd(covered, "bypass", priority=1),
        )
        options, routing = frames.options6(60), frames.routing6()
        later = frames.fragment6(3, more=False)
        for chain in ((options, options), (routing, routing), (later, options)):
            frame = frames.ethernet(PROTECTED, frames.outgoing6(160, chain=chain))
            self.refuse(Drop.MALFORMED, PROTECTED, frame)
