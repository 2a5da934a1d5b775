"""Routes and neighbours of IPv6, and IPv6 packets of the controller."""

from __future__ import annotations

from typing import Any

from harness import frames, tables
from harness.families import FAMILIES, FamilyTest, datagram6, incoming, outgoing
from harness.gateway import PacketOut, Verdict
from harness.ids import CPU_PORT, CRYPTO_PORT, DROP_PORT, Drop, Op, Punt, Role
from harness.tables import Traffic
from harness.topology import (
    GATEWAY6,
    HOST6,
    HOST_VLAN,
    NEIGHBOUR_MAC,
    NO_INTERFACE,
    PEER6,
    PROTECTED,
    PROTECTED_VLAN,
    REMOTE_HOST6,
    UNPROTECTED,
    UNPROTECTED_VLAN,
    VID,
    gateway_mac,
)

EVERYTHING6 = Traffic(src="::/0")
ROUTER6 = "2001:db8:51::1"
VLAN_ROUTER6 = "fe80::101"
VLAN_MAC = NEIGHBOUR_MAC["198.51.101.1"]
UNRESOLVED6 = "2001:db8:2::77"
UNROUTED6 = "2001:db8:ffff::1"


class Routing6Test(FamilyTest):
    """All IPv6 is allowed; a second router is behind the VLAN, known by a link-local address."""

    def setUp(self) -> None:
        super().setUp()
        self.bypass(EVERYTHING6)
        vid = VID[UNPROTECTED_VLAN]
        self.gw.insert(tables.neighbour(VLAN_ROUTER6, UNPROTECTED_VLAN, VLAN_MAC, vid))

    def leaves_by(self, port: int, dst: str) -> None:
        """Proves that a packet for ``dst`` goes to the neighbour on ``port``."""
        packet = outgoing(6, dst=dst)
        out = self.forward(PROTECTED, frames.ethernet(PROTECTED, packet))
        expected = frames.delivered(port, frames.rewritten(packet))
        self.assertEqual((out.port, out.data), (port, expected))


class LongestPrefix(Routing6Test):
    """The longest prefix of the destination decides, on both sides of bit 64 and at 128; a next
    hop may be link-local."""

    def runTest(self) -> None:
        self.gw.insert(
            tables.route_via("2001:db8:aaaa::/48", ROUTER6),
            tables.route_via("2001:db8:aaaa:8000::/49", VLAN_ROUTER6),
            tables.route_via("2001:db8:aaaa:8000:8000::/65", ROUTER6),
            tables.route_via("2001:db8:aaaa:8000:8000::7/128", VLAN_ROUTER6),
        )
        for dst, port in (
            ("2001:db8:aaaa::1", UNPROTECTED),
            ("2001:db8:aaaa:7fff::1", UNPROTECTED),
            ("2001:db8:aaaa:8000::1", UNPROTECTED_VLAN),
            ("2001:db8:aaaa:8000:8000::6", UNPROTECTED),
            ("2001:db8:aaaa:8000:8000::7", UNPROTECTED_VLAN),
        ):
            self.leaves_by(port, dst)


class DefaultRoute(Routing6Test):
    """A route for everything serves what no other does; one of IPv4 serves no IPv6."""

    def runTest(self) -> None:
        self.gw.insert(tables.route_via("0.0.0.0/0", "198.51.100.1"))
        frame = frames.ethernet(PROTECTED, outgoing(6, dst=UNROUTED6))
        self.refuse(Drop.NO_ROUTE, PROTECTED, frame)
        self.gw.insert(tables.route_via("::/0", VLAN_ROUTER6))
        self.leaves_by(UNPROTECTED_VLAN, UNROUTED6)
        self.leaves_by(UNPROTECTED, REMOTE_HOST6)


class NoNeighbour(Routing6Test):
    """A next hop without an entry: dropped, and the controller is told to resolve it."""

    def runTest(self) -> None:
        packet = incoming(6, dst=UNRESOLVED6)
        frame = frames.ethernet(UNPROTECTED, packet)
        verdict = self.refuse(Drop.NO_NEIGHBOUR, UNPROTECTED, frame, punt=Punt.NO_NEIGHBOUR)
        (told,) = verdict.packet_ins
        self.assertEqual((told.op, told.status), (Punt.NO_NEIGHBOUR, Drop.NO_NEIGHBOUR))
        self.assertEqual(told.payload[12:], b"\x86\xdd" + frames.rewritten(packet))


class NoNeighbourForASealedPacket(FamilyTest):
    """The controller gets the sealed packet, not a clear one; without a route nobody does."""

    def runTest(self) -> None:
        for inner in (4, 6):
            frame = frames.ethernet(PROTECTED, outgoing(inner))
            tunnel = self.protected_outbound(inner=inner, src=GATEWAY6, dst=UNRESOLVED6)
            verdict = self.gw.send(PROTECTED, frame)
            self.assertEqual(dict(verdict.drops), {Drop.NO_NEIGHBOUR: 1})
            (told,) = verdict.packet_ins
            self.assertEqual(told.payload[12:14], b"\x86\xdd")
            self.assertEqual(tunnel.open(told.payload[14:]), frames.rewritten(outgoing(inner)))
            self.gw.reset(self.session.base)
            self.protected_outbound(inner=inner, src=GATEWAY6, dst=UNROUTED6)
            self.assert_refused(self.gw.send(PROTECTED, frame), Drop.NO_ROUTE)
            self.gw.reset(self.session.base)


class NoNeighbourBehindATunnel(FamilyTest):
    """The inner packet, its ethertype and its SA are what the controller learns."""

    def runTest(self) -> None:
        for outer, inner in FAMILIES:
            dst = UNRESOLVED6 if inner == 6 else "10.2.2.77"
            tunnel = self.inbound(outer=outer, inner=inner)
            packet = incoming(inner, dst=dst)
            verdict = self.gw.send(UNPROTECTED, tunnel.frame(1, packet))
            self.assertEqual(dict(verdict.drops), {Drop.NO_NEIGHBOUR: 1})
            (told,) = verdict.packet_ins
            kind = b"\x86\xdd" if inner == 6 else b"\x08\x00"
            self.assertEqual(told.payload[12:], kind + frames.rewritten(packet))
            self.assertEqual(told.index, tunnel.sa.sa)


class NoEgressInterface(Routing6Test):
    """A neighbour behind a port without an interface, or a port that is no wire."""

    def runTest(self) -> None:
        frame = frames.ethernet(UNPROTECTED, incoming(6, dst=UNRESOLVED6))
        for port in (NO_INTERFACE, CRYPTO_PORT, CPU_PORT, DROP_PORT):
            entries = [tables.neighbour(UNRESOLVED6, port, "02:00:00:00:02:09")]
            if port != NO_INTERFACE:
                entries.append(tables.egress_if(port, Role.PROTECTED, "02:00:00:00:01:09"))
            self.gw.insert(*entries)
            self.refuse(Drop.NO_EGRESS, UNPROTECTED, frame)
            self.gw.delete(*entries)


class TagsAreTheEgressPorts(Routing6Test):
    """Between tagged and untagged ports the tag and the ethertype are those of the way out."""

    def runTest(self) -> None:
        self.gw.insert(tables.route_via("2001:db8:aaaa::/48", VLAN_ROUTER6))
        for in_port in (PROTECTED, PROTECTED_VLAN):
            for dst, out_port in ((PEER6, UNPROTECTED), ("2001:db8:aaaa::1", UNPROTECTED_VLAN)):
                packet = outgoing(6, dst=dst)
                out = self.forward(in_port, frames.ethernet(in_port, packet))
                expected = frames.delivered(out_port, frames.rewritten(packet))
                self.assertEqual((out.port, out.data), (out_port, expected))


class SealedOverTheVlan(FamilyTest):
    """A tagged site packet of IPv4 leaves as tagged IPv6, and the other way round."""

    def runTest(self) -> None:
        vid = VID[UNPROTECTED_VLAN]
        self.gw.insert(
            tables.neighbour(VLAN_ROUTER6, UNPROTECTED_VLAN, VLAN_MAC, vid),
            tables.route_via("2001:db8:aaaa::/48", VLAN_ROUTER6),
        )
        tunnel = self.outbound(src=GATEWAY6, dst="2001:db8:aaaa::1")
        rule = tables.spd(Traffic(src="10.2.3.0/24"), "protect", policy=3)
        self.gw.insert(rule, tables.sa_select(3, "10.1.1.0/24", tunnel.sa.sa))
        packet = outgoing(4, src=HOST_VLAN)
        out = self.forward(PROTECTED_VLAN, frames.ethernet(PROTECTED_VLAN, packet))
        header = frames.link_header(UNPROTECTED_VLAN, 6)
        self.assertEqual((out.port, out.data[:18]), (UNPROTECTED_VLAN, header))
        self.assertEqual(tunnel.open(out.data[18:]), frames.rewritten(packet))


class PaddingOfAForwardedFrameStays(Routing6Test):
    """Octets behind the IPv6 packet are passed on with a bypassed one."""

    def runTest(self) -> None:
        packet = outgoing(6, 48)
        out = self.forward(PROTECTED, frames.ethernet(PROTECTED, packet, pad=bytes(18)))
        expected = frames.delivered(UNPROTECTED, frames.rewritten(packet)) + bytes(18)
        self.assertEqual(out.data, expected)


class Route6Test(FamilyTest):
    """IPv6 packets that the controller gives to be routed."""

    def routed(self, packet: bytes, port: int = PROTECTED) -> Verdict:
        """ROUTE of a packet, in a frame as of ``port``."""
        return self.gw.exchange([PacketOut(Op.ROUTE, frames.ethernet(port, packet))])

    def refused(self, frame: bytes) -> None:
        """ROUTE of a frame is no packet-out that makes sense."""
        verdict = self.gw.exchange([PacketOut(Op.ROUTE, frame)])
        self.assert_refused(verdict, Drop.BAD_PACKET_OUT)


class RouteFromTheController(Route6Test):
    """ROUTE: to both sides, hop limit as it is, whatever tag the frame has."""

    def runTest(self) -> None:
        self.bypass(Traffic(src=f"{HOST6}/128"))
        for dst, port in ((HOST6, PROTECTED), (PEER6, UNPROTECTED)):
            for hops in (1, 0, 255):
                packet = outgoing(6, dst=dst, hlim=hops)
                for in_port in (PROTECTED, PROTECTED_VLAN):
                    (out,) = self.routed(packet, in_port).outputs
                    self.assertEqual((out.port, out.data), (port, frames.delivered(port, packet)))


class RouteToNowhere(Route6Test):
    """ROUTE: no route, no neighbour."""

    def runTest(self) -> None:
        self.assert_refused(self.routed(outgoing(6, dst=UNROUTED6)), Drop.NO_ROUTE)
        unresolved = self.routed(outgoing(6, dst=UNRESOLVED6))
        self.assert_refused(unresolved, Drop.NO_NEIGHBOUR, punt=Punt.NO_NEIGHBOUR)
        self.assertEqual(unresolved.packet_ins[0].port, CPU_PORT)


class RouteRefused(Route6Test):
    """ROUTE: what is no IPv6 packet, at any length, and lengths that lie."""

    def runTest(self) -> None:
        packet = outgoing(6, dst=HOST6)
        frame = frames.ethernet(PROTECTED, packet)
        for size in range(54):
            self.refused(frame[:size])
        self.refused(frame[:-1])
        self.refused(frame[:14] + b"\x45" + frame[15:])
        self.refused(frame[:18] + b"\xff\xff" + frame[20:])
        chain = [frames.options6(60)]
        cut = outgoing(6, dst=HOST6, chain=chain, plen=4)
        self.refused(frames.ethernet(PROTECTED, cut))


class RouteKeepsToPolicyOutside(Route6Test):
    """CLEAR_OUT: clear IPv6 of the controller leaves to our site; outside only if bypassed."""

    def runTest(self) -> None:
        inward, outward = outgoing(6, dst=HOST6), outgoing(6, dst=PEER6)
        self.assertEqual(len(self.routed(inward).outputs), 1)
        self.assert_refused(self.routed(outward), Drop.CLEAR_OUT)
        self.gw.insert(tables.spd(EVERYTHING6, "protect", policy=1, priority=10))
        self.assert_refused(self.routed(outward), Drop.CLEAR_OUT)
        self.assertEqual(len(self.routed(inward).outputs), 1)
        self.bypass(EVERYTHING6, priority=20)
        self.assertEqual(len(self.routed(outward).outputs), 1)


class RouteOfIke(Route6Test):
    """RFC 4301 4.4.1: IKE of the controller passes no SPD, by either port; what only looks like
    it from the other end does."""

    def runTest(self) -> None:
        self.gw.insert(tables.spd(EVERYTHING6, "discard", priority=1000))
        ends: dict[str, Any] = {"src": GATEWAY6, "dst": PEER6}
        for port in (500, 4500):
            packet = datagram6(bytes(32), sport=port, dport=9, **ends)
            (out,) = self.routed(packet).outputs
            self.assertEqual(out.data, frames.delivered(UNPROTECTED, packet))
            reversed_ports = datagram6(bytes(32), sport=9, dport=port, **ends)
            self.assert_refused(self.routed(reversed_ports), Drop.CLEAR_OUT)


class TheHostMacIsTheNeighbours(Routing6Test):
    """A host of ours that changes its MAC address: the next frame goes to the new one."""

    def runTest(self) -> None:
        self.gw.modify(tables.neighbour(HOST6, PROTECTED, "02:00:00:00:99:99"))
        self.addCleanup(self.gw.modify, tables.neighbour(HOST6, PROTECTED, NEIGHBOUR_MAC[HOST6]))
        out = self.forward(UNPROTECTED, frames.ethernet(UNPROTECTED, incoming(6)))
        macs = bytes.fromhex("020000009999" + gateway_mac(PROTECTED).replace(":", ""))
        self.assertEqual(out.data[:12], macs)
