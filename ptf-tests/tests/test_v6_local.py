"""What is for the controller over IPv6: neighbour discovery, our addresses, "too big"."""

from __future__ import annotations

from typing import Any

from scapy.layers.inet import ICMP, IP
from scapy.layers.inet6 import (
    ICMPv6DestUnreach,
    ICMPv6EchoRequest,
    ICMPv6ND_NA,
    ICMPv6ND_NS,
    ICMPv6ND_RA,
    ICMPv6ND_Redirect,
    ICMPv6ND_RS,
    ICMPv6PacketTooBig,
    IPv6,
)
from scapy.packet import Packet

from harness import frames, tables
from harness.families import FAMILIES, FamilyTest
from harness.frames import Extension
from harness.ids import Drop, Punt, Role
from harness.tables import Traffic
from harness.topology import (
    GATEWAY,
    GATEWAY6,
    GATEWAY6_INSIDE,
    HOST6,
    PEER,
    PEER6,
    PROTECTED,
    PROTECTED_VLAN,
    REMOTE_HOST6,
    UNPROTECTED,
    UNPROTECTED_VLAN,
    gateway_mac,
)

EVERYTHING6 = Traffic(src="::/0")
ICMPV6 = 58
ALL_NODES = "33:33:00:00:00:01"
SOLICITED = "33:33:ff:00:00:02"
PORTS = (PROTECTED, UNPROTECTED, PROTECTED_VLAN, UNPROTECTED_VLAN)
LINK_LOCAL = "fe80::1"


def addressed(frame: bytes, mac: str) -> bytes:
    """The frame with another destination MAC."""
    return bytes.fromhex(mac.replace(":", "")) + frame[6:]


def discovery(port: int, mac: str | None = None, **fields: Any) -> bytes:
    """A neighbour solicitation as it comes in on ``port``."""
    message = fields.pop("message", ICMPv6ND_NS(tgt=GATEWAY6))
    ip = IPv6(**{"src": LINK_LOCAL, "dst": "ff02::1:ff00:2", "hlim": 255, **fields})
    return addressed(frames.ethernet(port, bytes(ip / message)), mac or SOLICITED)


class Local6Test(FamilyTest):
    """Checks that the controller gets the frame as it came."""

    def reaches_controller(self, reason: Punt, frame: bytes, port: int = UNPROTECTED) -> None:
        self.assertEqual(self.punted(reason, port, frame).payload, frame)


class Pol02NeighbourDiscovery(Local6Test):
    """POL-02, RFC 4861: the five messages reach the controller from either side, tagged or not,
    whatever policy says."""

    def runTest(self) -> None:
        self.gw.insert(tables.spd(EVERYTHING6, "discard", priority=1000))
        messages = (
            ICMPv6ND_RS(),
            ICMPv6ND_RA(),
            ICMPv6ND_NS(tgt=GATEWAY6),
            ICMPv6ND_NA(tgt=HOST6),
            ICMPv6ND_Redirect(tgt=HOST6, dst=HOST6),
        )
        for port in PORTS:
            for message in messages:
                frame = discovery(port, message=message)
                self.reaches_controller(Punt.ND, frame, port)


class Pol02DiscoveryByUnicast(Local6Test):
    """RFC 4861 7.3: probes of reachability come by unicast, to an address of ours or not known."""

    def runTest(self) -> None:
        for dst in (GATEWAY6, "fe80::2"):
            frame = discovery(UNPROTECTED, gateway_mac(UNPROTECTED), dst=dst)
            self.reaches_controller(Punt.ND, frame)
        frame = discovery(PROTECTED, gateway_mac(PROTECTED), dst=GATEWAY6_INSIDE)
        self.reaches_controller(Punt.ND, frame, PROTECTED)


class Pol02DiscoveryOfOthers(Local6Test):
    """Frames for the MAC address of somebody else are left alone."""

    def runTest(self) -> None:
        frame = discovery(UNPROTECTED, "02:00:00:00:77:77")
        self.refuse(Drop.NOT_FOR_US, UNPROTECTED, frame)


class Pol02FromOffLink(Local6Test):
    """RFC 4861 7.1: with a hop limit below 255 it comes from another link: ordinary traffic, and
    by a group address nothing at all."""

    def runTest(self) -> None:
        for hops in (254, 64, 1, 0):
            group = discovery(UNPROTECTED, hlim=hops)
            self.refuse(Drop.NOT_FOR_US, UNPROTECTED, group)
            mac = gateway_mac(UNPROTECTED)
            unicast = discovery(UNPROTECTED, mac, hlim=hops, src=PEER6, dst=GATEWAY6)
            self.refuse(Drop.POLICY_DISCARD, UNPROTECTED, unicast)
        self.bypass(Traffic(dst=f"{GATEWAY6}/128"))
        self.reaches_controller(Punt.LOCAL, unicast)


class Pol02OtherMulticast(Local6Test):
    """A group MAC is for discovery alone: not echo, not listener reports, not UDP, not types
    next to the five, though their hop limit is 255."""

    def runTest(self) -> None:
        self.bypass(EVERYTHING6)
        head: dict[str, Any] = {"src": LINK_LOCAL, "dst": "ff02::1", "hlim": 255}
        packets = [frames.ipv6(bytes([kind]) + bytes(23), ICMPV6, **head) for kind in range(256)]
        others = [packet for packet in packets if not 133 <= packet[40] <= 137]
        udp = frames.ipv6(b"\x02\x22\x02\x23\0\x08\0\0", 17, **head)
        batch = [
            addressed(frames.ethernet(UNPROTECTED, packet), ALL_NODES) for packet in (*others, udp)
        ]
        self.refuse(Drop.NOT_FOR_US, UNPROTECTED, *batch)
        for packet in packets[133:138]:
            frame = addressed(frames.ethernet(UNPROTECTED, packet), ALL_NODES)
            self.reaches_controller(Punt.ND, frame)


class DiscoveryIsNeverForwarded(Local6Test):
    """Whatever policy allows, a discovery message from the link goes no further than to us."""

    def runTest(self) -> None:
        tunnel = self.protected_outbound(outer=6, inner=6)
        self.bypass(EVERYTHING6, priority=1)
        for port, src, dst in (
            (PROTECTED, HOST6, REMOTE_HOST6),
            (PROTECTED, HOST6, PEER6),
            (UNPROTECTED, PEER6, HOST6),
        ):
            frame = discovery(port, gateway_mac(port), src=src, dst=dst)
            self.reaches_controller(Punt.ND, frame, port)
        self.assertEqual(tunnel.last(), 0)


class DiscoveryInFragments(Local6Test):
    """RFC 6980: discovery in fragments is none."""

    def runTest(self) -> None:
        message = bytes(IPv6(src=LINK_LOCAL, dst="ff02::1") / ICMPv6ND_NS(tgt=GATEWAY6))[40:]
        for more in (False, True):
            chain = [frames.fragment6(0, more=more)]
            packet = frames.ipv6(
                message, ICMPV6, chain=chain, src=LINK_LOCAL, dst="ff02::1", hlim=255
            )
            frame = frames.ethernet(UNPROTECTED, packet)
            self.refuse(Drop.NOT_FOR_US, UNPROTECTED, addressed(frame, ALL_NODES))
            self.refuse(Drop.POLICY_DISCARD, UNPROTECTED, frame)


class DiscoveryOutOfATunnel(Local6Test):
    """Through a tunnel it is data of a host: selectors decide, and it has lost its 255."""

    def runTest(self) -> None:
        for outer, inner in FAMILIES:
            if inner == 6:
                tunnel = self.inbound(outer=outer, inner=6)
                ip = IPv6(src=REMOTE_HOST6, dst=HOST6, hlim=255)
                packet = bytes(ip / ICMPv6ND_NS(tgt=HOST6))
                self.accept_esp(self.carrying(tunnel, packet), packet)


class TruncatedDiscovery(Local6Test):
    """Less than type and code is no message."""

    def runTest(self) -> None:
        for size, reason in ((0, Drop.MALFORMED), (1, Drop.MALFORMED)):
            packet = frames.ipv6(b"\x87\0"[:size], ICMPV6, src=LINK_LOCAL, dst=GATEWAY6, hlim=255)
            self.refuse(reason, UNPROTECTED, frames.ethernet(UNPROTECTED, packet))


class LocalPackets(Local6Test):
    """ICMPv6 and whatever else is for one of our addresses: from outside if policy lets it."""

    def runTest(self) -> None:
        echo = bytes(IPv6(src=PEER6, dst=GATEWAY6) / ICMPv6EchoRequest())
        unreachable = bytes(IPv6(src=PEER6, dst=GATEWAY6) / ICMPv6DestUnreach() / bytes(40))
        tcp = frames.ipv6(b"\0\1\0\x16" + bytes(16), 6, src=PEER6, dst=GATEWAY6)
        for packet in (echo, unreachable, tcp):
            frame = frames.ethernet(UNPROTECTED, packet)
            self.refuse(Drop.POLICY_DISCARD, UNPROTECTED, frame)
        self.bypass(Traffic(dst=f"{GATEWAY6}/128"), Role.UNPROTECTED)
        for packet in (echo, unreachable, tcp):
            self.reaches_controller(Punt.LOCAL, frames.ethernet(UNPROTECTED, packet))
        inside = frames.ethernet(PROTECTED, frames.outgoing6(dst=GATEWAY6_INSIDE))
        self.reaches_controller(Punt.LOCAL, inside, PROTECTED)


class LocalPacketsAreSubjectToPolicy(Local6Test):
    """RFC 4301 5.2: clear traffic to the gateway itself that should be protected is dropped."""

    def runTest(self) -> None:
        echo = bytes(IPv6(src=REMOTE_HOST6, dst=GATEWAY6_INSIDE) / ICMPv6EchoRequest())
        covered = Traffic(src=f"{REMOTE_HOST6}/128", dst=f"{GATEWAY6_INSIDE}/128")
        self.gw.insert(tables.spd(covered, "protect", policy=1))
        self.refuse(Drop.CLEAR_IN, UNPROTECTED, frames.ethernet(UNPROTECTED, echo))


class TooBigForUs(Local6Test):
    """RFC 4301 8.2: "too big" from outside to an address of ours, of both families and behind
    extension headers, is the controller's to believe; policy is not asked."""

    def runTest(self) -> None:
        outer = IPv6(src=PEER6, dst=GATEWAY6)
        quoted = bytes(IPv6(src=GATEWAY6, dst=PEER6, nh=50)) + bytes(8)
        for code in (0, 1, 255):
            packet = bytes(outer / ICMPv6PacketTooBig(code=code, mtu=1400) / quoted)
            self.reaches_controller(Punt.PATH_MTU, frames.ethernet(UNPROTECTED, packet))
        message = bytes(outer / ICMPv6PacketTooBig(mtu=1400) / quoted)[40:]
        hop = [frames.options6(0)]
        behind = frames.ipv6(message, ICMPV6, chain=hop, src=PEER6, dst=GATEWAY6)
        self.reaches_controller(Punt.PATH_MTU, frames.ethernet(UNPROTECTED, behind))
        four = IP(src=PEER, dst=GATEWAY, id=1) / ICMP(type=3, code=4, nexthopmtu=1400)
        self.reaches_controller(Punt.PATH_MTU, frames.ethernet(UNPROTECTED, bytes(four)))


class TooBigForOthers(Local6Test):
    """On its way to somebody else, from inside, of another type or in fragments, it is not."""

    def runTest(self) -> None:
        def too_big(message: Packet, **fields: Any) -> bytes:
            ip = IPv6(**{"src": PEER6, "dst": GATEWAY6, **fields})
            return bytes(ip / message / bytes(48))

        passing = frames.ethernet(UNPROTECTED, too_big(ICMPv6PacketTooBig(), dst=HOST6))
        self.refuse(Drop.POLICY_DISCARD, UNPROTECTED, passing)
        for other in (ICMPv6DestUnreach(code=0), ICMPv6EchoRequest()):
            frame = frames.ethernet(UNPROTECTED, too_big(other))
            self.refuse(Drop.POLICY_DISCARD, UNPROTECTED, frame)
        inside = frames.ethernet(PROTECTED, too_big(ICMPv6PacketTooBig(), dst=GATEWAY6_INSIDE))
        self.reaches_controller(Punt.LOCAL, inside, PROTECTED)
        chain: list[Extension] = [frames.fragment6(0)]
        pieces = frames.ipv6(b"\2\0" + bytes(14), ICMPV6, chain=chain, src=PEER6, dst=GATEWAY6)
        self.refuse(Drop.OUTER_FRAGMENT, UNPROTECTED, frames.ethernet(UNPROTECTED, pieces))
        needed = IP(src=PEER, dst=GATEWAY, id=1) / ICMP(type=3, code=3)
        frame = frames.ethernet(UNPROTECTED, bytes(needed))
        self.refuse(Drop.POLICY_DISCARD, UNPROTECTED, frame)
