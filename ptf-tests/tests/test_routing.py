"""Port roles, routes, neighbours, interfaces, and packets from the controller."""

from __future__ import annotations

from typing import Any

from scapy.layers.l2 import ARP, Ether

from harness import frames, tables
from harness.gateway import PacketOut, Verdict
from harness.ids import CPU_PORT, CRYPTO_PORT, DROP_PORT, Drop, Op, Outcome, Punt, Role
from harness.tables import Traffic
from harness.testcase import GatewayTest
from harness.topology import (
    DATA_PORTS,
    HOST,
    HOST_VLAN,
    NO_INTERFACE_HOST,
    PEER,
    PEER_VLAN,
    PROTECTED,
    PROTECTED_VLAN,
    REMOTE_HOST,
    UNCONFIGURED,
    UNPROTECTED,
    UNPROTECTED_VLAN,
    UNRESOLVED_HOST,
    UNROUTED_HOST,
    gateway_mac,
)

EVERYTHING = Traffic()


class PortsHaveNoRoleByDefault(GatewayTest):
    """A port or VLAN that nobody configured carries nothing, ARP and IKE included."""

    def runTest(self) -> None:
        self.bypass(EVERYTHING)
        untagged = frames.ethernet(PROTECTED, frames.outgoing())
        arp = bytes(Ether(dst="ff:ff:ff:ff:ff:ff") / ARP())
        self.refuse(Drop.NO_ROLE, UNCONFIGURED, untagged, arp)
        self.refuse(Drop.NO_ROLE, PROTECTED_VLAN, untagged)
        tagged = frames.ethernet(PROTECTED_VLAN, frames.outgoing())
        self.refuse(Drop.NO_ROLE, PROTECTED, tagged)
        self.refuse(Drop.NO_ROLE, UNPROTECTED_VLAN, tagged)


class PortRoleIsTakenAway(GatewayTest):
    """Without its entry a port is dead; with it, it lives again."""

    def runTest(self) -> None:
        self.bypass(EVERYTHING)
        frame = frames.ethernet(PROTECTED, frames.outgoing())
        entry = tables.port_role(PROTECTED, Role.PROTECTED, mac=gateway_mac(PROTECTED))
        self.gw.delete(entry)
        self.refuse(Drop.NO_ROLE, PROTECTED, frame)
        self.gw.insert(entry)
        self.forward(PROTECTED, frame)


class CryptoRoleBelongsToTheCryptoPort(GatewayTest):
    """No other port becomes the crypto or the CPU port by an entry; nor the crypto port another."""

    def runTest(self) -> None:
        for role in (Role.CRYPTO, Role.CPU):
            entry = tables.port_role(UNCONFIGURED, role)
            self.gw.insert(entry)
            frame = frames.ethernet(UNCONFIGURED, frames.outgoing())
            self.refuse(Drop.NO_ROLE, UNCONFIGURED, frame)
            self.gw.delete(entry)


class CryptoPortWithoutItsRole(GatewayTest):
    """A crypto port whose role is gone, or is another's, lets no answer in."""

    def runTest(self) -> None:
        tunnel = self.inbound()
        with self.gw.held_requests() as held:
            self.gw.send(UNPROTECTED, tunnel.frame(1, frames.inner()))
        (reply,) = self.gw.engine.answer(held[0])
        entry = tables.port_role(CRYPTO_PORT, Role.CRYPTO)
        self.without(entry)
        self.refuse(Drop.NO_ROLE, CRYPTO_PORT, reply)
        wrong = tables.port_role(CRYPTO_PORT, Role.PROTECTED)
        self.gw.insert(wrong)
        self.refuse(Drop.NOT_IP, CRYPTO_PORT, reply)
        self.gw.delete(wrong)


class NotIp(GatewayTest):
    """Other ethertypes are refused on a counter of their own."""

    def runTest(self) -> None:
        self.bypass(EVERYTHING)
        head = frames.ethernet(PROTECTED, b"")[:12]
        for ether_type in (0x86DC, 0x88B5, 0x88CC, 0x9100, 0x0000, 0x05DC):
            frame = head + ether_type.to_bytes(2) + frames.outgoing()
            self.refuse(Drop.NOT_IP, PROTECTED, frame)


class FramesOfOthersAreLeftAlone(GatewayTest):
    """RFC 1812 5.3.4: what a bridge floods to us or a host broadcasts is not forwarded."""

    def runTest(self) -> None:
        self.bypass(EVERYTHING)
        for port in (PROTECTED, UNPROTECTED, PROTECTED_VLAN):
            frame = frames.ethernet(port, frames.outgoing())
            for mac in ("02:00:00:00:77:77", "ff:ff:ff:ff:ff:ff", "01:00:5e:00:00:01"):
                other = bytes.fromhex(mac.replace(":", "")) + frame[6:]
                self.refuse(Drop.NOT_FOR_US, port, other)


class ArpOfOthersIsLeftAlone(GatewayTest):
    """ARP reaches the controller when it is broadcast or addressed to us."""

    def runTest(self) -> None:
        for mac in (gateway_mac(UNPROTECTED), "ff:ff:ff:ff:ff:ff"):
            verdict = self.gw.send(UNPROTECTED, bytes(Ether(dst=mac) / ARP()))
            self.assertEqual([item.op for item in verdict.packet_ins], [Punt.ARP])
        other = bytes(Ether(dst="02:00:00:00:77:77") / ARP())
        self.refuse(Drop.NOT_FOR_US, UNPROTECTED, other)


class TwoTagsAreNotIpv4(GatewayTest):
    """One 802.1Q tag is understood; a second one is another ethertype."""

    def runTest(self) -> None:
        frame = frames.ethernet(PROTECTED_VLAN, frames.outgoing(src=HOST_VLAN))
        double = frame[:12] + frame[12:16] + b"\x81\x00\x00\x05" + frame[16:]
        self.refuse(Drop.NOT_IP, PROTECTED_VLAN, double)


class MalformedInside(GatewayTest):
    """From our site: checksum, IHL, version and lengths, as MALFORMED."""

    def runTest(self) -> None:
        self.bypass(EVERYTHING)
        good = frames.outgoing()
        wrong = good[:10] + bytes([good[10] ^ 1]) + good[11:]
        self.refuse(Drop.MALFORMED, PROTECTED, frames.ethernet(PROTECTED, wrong))
        lies: tuple[dict[str, Any], ...] = ({"ihl": 4}, {"version": 5}, {"len": 19}, {"len": 4000})
        for fields in lies:
            packet = frames.ipv4(bytes(40), src=HOST, dst=PEER, proto=17, **fields)
            self.refuse(Drop.MALFORMED, PROTECTED, frames.ethernet(PROTECTED, packet))


class LongestPrefix(GatewayTest):
    """The longest prefix of the destination decides, down to 32 bits."""

    def runTest(self) -> None:
        self.bypass(EVERYTHING)
        self.gw.insert(tables.route_via("192.0.2.200/32", "198.51.100.1"))
        for dst, port in ((PEER, 1), (PEER_VLAN, 3), ("192.0.2.200", 1), ("192.0.2.201", 3)):
            out = self.forward(PROTECTED, frames.ethernet(PROTECTED, frames.outgoing(dst=dst)))
            expected = frames.delivered(port, frames.rewritten(frames.outgoing(dst=dst)))
            self.assertEqual((out.port, out.data), (port, expected))


class DefaultRoute(GatewayTest):
    """A route for everything serves what no other does."""

    def runTest(self) -> None:
        self.bypass(EVERYTHING)
        frame = frames.ethernet(PROTECTED, frames.outgoing(dst=UNROUTED_HOST))
        self.refuse(Drop.NO_ROUTE, PROTECTED, frame)
        self.gw.insert(tables.route_via("0.0.0.0/0", "198.51.100.1"))
        self.assertEqual(self.forward(PROTECTED, frame).port, UNPROTECTED)


class NoNeighbour(GatewayTest):
    """A next hop without an entry: dropped, and the controller is told to resolve it."""

    def runTest(self) -> None:
        self.bypass(EVERYTHING)
        packet = frames.inner(dst=UNRESOLVED_HOST)
        verdict = self.refuse(
            Drop.NO_NEIGHBOUR,
            UNPROTECTED,
            frames.ethernet(UNPROTECTED, packet),
            punt=Punt.NO_NEIGHBOUR,
        )
        (told,) = verdict.packet_ins
        self.assertEqual((told.op, told.status), (Punt.NO_NEIGHBOUR, Drop.NO_NEIGHBOUR))
        self.assertEqual(told.payload[14:], frames.rewritten(packet))


class NoNeighbourForASealedPacket(GatewayTest):
    """The controller gets the sealed packet, not a clear one."""

    def runTest(self) -> None:
        tunnel = self.protected_outbound(dst="10.2.2.77")
        frame = frames.ethernet(PROTECTED, frames.outgoing())
        verdict = self.gw.send(PROTECTED, frame)
        self.assertEqual(dict(verdict.drops), {Drop.NO_NEIGHBOUR: 1})
        (told,) = verdict.packet_ins
        self.assertEqual(tunnel.open(told.payload[14:]), frames.rewritten(frames.outgoing()))


class NoEgressInterface(GatewayTest):
    """A neighbour behind a port that has no interface entry is not reached."""

    def runTest(self) -> None:
        self.bypass(EVERYTHING)
        frame = frames.ethernet(UNPROTECTED, frames.inner(dst=NO_INTERFACE_HOST))
        self.refuse(Drop.NO_EGRESS, UNPROTECTED, frame)


class TagsAreTheEgressPorts(GatewayTest):
    """Between tagged and untagged ports: the tag is that of the way out."""

    def runTest(self) -> None:
        self.bypass(EVERYTHING)
        for in_port, src in ((PROTECTED, HOST), (PROTECTED_VLAN, HOST_VLAN)):
            for dst, out_port in ((PEER, UNPROTECTED), (PEER_VLAN, UNPROTECTED_VLAN)):
                packet = frames.outgoing(src=src, dst=dst)
                out = self.forward(in_port, frames.ethernet(in_port, packet))
                expected = frames.delivered(out_port, frames.rewritten(packet))
                self.assertEqual((out.port, out.data), (out_port, expected))


class PaddingOfAForwardedFrameStays(GatewayTest):
    """Octets behind the IP packet are passed on with a bypassed one."""

    def runTest(self) -> None:
        self.bypass(EVERYTHING)
        packet = frames.outgoing(28)
        out = self.forward(PROTECTED, frames.ethernet(PROTECTED, packet, pad=bytes(18)))
        expected = frames.delivered(UNPROTECTED, frames.rewritten(packet)) + bytes(18)
        self.assertEqual(out.data, expected)


class PacketOutTest(GatewayTest):
    """Packets from the controller."""

    def packet_out(self, op: Op, payload: bytes, port: int = 0) -> Verdict:
        return self.gw.exchange([PacketOut(op, payload, port=port)])

    def refused(self, op: Op, payload: bytes, port: int = 0) -> None:
        self.assert_refused(self.packet_out(op, payload, port), Drop.BAD_PACKET_OUT)


class SendToAPort(PacketOutTest):
    """SEND: the frame leaves by the named port as it is, whatever is in it."""

    def runTest(self) -> None:
        arp = bytes(Ether(dst="ff:ff:ff:ff:ff:ff") / ARP(pdst=PEER))
        tagged = frames.ethernet(PROTECTED_VLAN, frames.outgoing(ttl=0))
        garbage = bytes(range(14)) + b"\x08\x00" + b"\xff" * 40
        for port in set(DATA_PORTS) - {CRYPTO_PORT}:
            for frame in (arp, tagged, garbage, arp[:14]):
                verdict = self.packet_out(Op.SEND, frame, port)
                self.assertEqual([(out.port, out.data) for out in verdict.outputs], [(port, frame)])
                self.assertEqual(dict(verdict.outcomes), {Outcome.FORWARDED: 1})


class SendRefused(PacketOutTest):
    """SEND: not to the controller, not to the engine, not to a port that cannot be."""

    def runTest(self) -> None:
        frame = frames.ethernet(PROTECTED, frames.outgoing())
        for port in (CPU_PORT, CRYPTO_PORT, DROP_PORT, 512, 513, 0xFFFF):
            self.refused(Op.SEND, frame, port)
        for size in (0, 1, 13):
            self.refused(Op.SEND, frame[:size], PROTECTED)


class RouteFromTheController(PacketOutTest):
    """ROUTE: to both sides, TTL as it is, checksum made good."""

    def runTest(self) -> None:
        self.bypass(Traffic(src=f"{HOST}/32"))
        for dst, port in ((HOST, PROTECTED), (PEER, UNPROTECTED), (PEER_VLAN, UNPROTECTED_VLAN)):
            packet = frames.outgoing(dst=dst, ttl=1)
            unfinished = packet[:10] + b"\0\0" + packet[12:]
            verdict = self.packet_out(Op.ROUTE, frames.ethernet(PROTECTED, unfinished))
            (out,) = verdict.outputs
            self.assertEqual((out.port, out.data), (port, frames.delivered(port, packet)))


class RouteWithOptions(PacketOutTest):
    """ROUTE: the checksum covers the options."""

    def runTest(self) -> None:
        self.bypass(EVERYTHING)
        packet = frames.outgoing(dst=PEER, options=b"\x94\4\0\0")
        unfinished = packet[:10] + b"\xde\xad" + packet[12:]
        (out,) = self.packet_out(Op.ROUTE, frames.ethernet(PROTECTED, unfinished)).outputs
        self.assertEqual(out.data, frames.delivered(UNPROTECTED, packet))


class RouteOfATaggedFrame(PacketOutTest):
    """ROUTE: the tag of a frame that the controller sends back does not matter."""

    def runTest(self) -> None:
        self.bypass(EVERYTHING)
        packet = frames.outgoing(dst=PEER)
        (out,) = self.packet_out(Op.ROUTE, frames.ethernet(PROTECTED_VLAN, packet)).outputs
        self.assertEqual(out.data, frames.delivered(UNPROTECTED, packet))


class RouteToNowhere(PacketOutTest):
    """ROUTE: no route, no neighbour, no interface."""

    def runTest(self) -> None:
        def routed(dst: str) -> Verdict:
            return self.packet_out(Op.ROUTE, frames.ethernet(PROTECTED, frames.outgoing(dst=dst)))

        self.assert_refused(routed(UNROUTED_HOST), Drop.NO_ROUTE)
        unresolved = routed(UNRESOLVED_HOST)
        self.assert_refused(unresolved, Drop.NO_NEIGHBOUR, punt=Punt.NO_NEIGHBOUR)
        self.assertEqual(unresolved.packet_ins[0].port, CPU_PORT)
        self.assert_refused(routed(NO_INTERFACE_HOST), Drop.NO_EGRESS)


class RouteRefused(PacketOutTest):
    """ROUTE: what is no IPv4 packet, at any length."""

    def runTest(self) -> None:
        frame = frames.ethernet(PROTECTED, frames.outgoing(dst=PEER))
        for size in range(34):
            self.refused(Op.ROUTE, frame[:size])
        self.refused(Op.ROUTE, frame[:14] + b"\x65" + frame[15:])
        self.refused(Op.ROUTE, frame[:14] + b"\x44" + frame[15:])
        self.refused(Op.ROUTE, frame[:12] + b"\x08\x06" + frame[14:])


class RouteWithOptionsCutOff(PacketOutTest):
    """ROUTE: a header that claims options which are not there."""

    def runTest(self) -> None:
        packet = frames.ipv4(b"", src=HOST, dst=PEER, proto=17, ihl=8)
        self.refused(Op.ROUTE, frames.ethernet(PROTECTED, packet))


class RouteKeepsToPolicyOutside(PacketOutTest):
    """ROUTE: clear packets of the controller leave to our site; outside only if bypassed."""

    def runTest(self) -> None:
        inward = frames.ethernet(PROTECTED, frames.outgoing(dst=HOST))
        outward = frames.ethernet(PROTECTED, frames.outgoing(dst=PEER))
        self.assertEqual(len(self.packet_out(Op.ROUTE, inward).outputs), 1)
        self.assert_refused(self.packet_out(Op.ROUTE, outward), Drop.CLEAR_OUT)
        self.gw.insert(tables.spd(EVERYTHING, "protect", policy=1, priority=10))
        self.assert_refused(self.packet_out(Op.ROUTE, outward), Drop.CLEAR_OUT)
        self.assertEqual(len(self.packet_out(Op.ROUTE, inward).outputs), 1)


class ReservedPortsAreNoWires(GatewayTest):
    """A neighbour can't be behind the engine, the controller or the target's drop port."""

    def runTest(self) -> None:
        self.bypass(EVERYTHING)
        self.gw.insert(tables.route_via("172.16.0.0/12", "172.16.0.9"))
        frame = frames.ethernet(PROTECTED, frames.outgoing(dst=UNROUTED_HOST))
        for port in (CRYPTO_PORT, CPU_PORT, DROP_PORT):
            entries = (
                tables.neighbour("172.16.0.9", port, "02:00:00:00:02:09"),
                tables.egress_if(port, Role.PROTECTED, "02:00:00:00:01:09"),
            )
            for entry in entries:
                self.gw.insert(entry)
            self.refuse(Drop.NO_EGRESS, PROTECTED, frame)
            for entry in entries:
                self.gw.delete(entry)


class RouteIsNotPolicyTraffic(PacketOutTest):
    """IKE of the controller passes no SPD: it leaves although nothing allows it."""

    def runTest(self) -> None:
        self.gw.insert(tables.spd(EVERYTHING, "discard", priority=1000))
        frame = frames.ethernet(UNPROTECTED, frames.datagram(b"ike", dst=PEER, src="198.51.100.2"))
        self.assertEqual(len(self.packet_out(Op.ROUTE, frame).outputs), 1)
        self.refuse(
            Drop.POLICY_DISCARD,
            PROTECTED,
            frames.ethernet(PROTECTED, frames.outgoing(dst=REMOTE_HOST)),
        )
