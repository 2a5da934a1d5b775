"""Where the peer of an inbound SA is (RFC 3948, RFC 7296 2.23; conformance case UDP-08).

Events come in the order of their packets: that none was made is proved by the next one.
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

from harness import frames, tables
from harness.esp import with_trailer
from harness.ids import Drop, Event, Mode
from harness.testcase import GatewayTest
from harness.topology import GATEWAY, GATEWAY6, PEER, PEER6, UNPROTECTED
from harness.tunnels import InboundTunnel

FAMILIES = (4, 6)
KNOWN = {4: PEER, 6: PEER6}
OTHER = {4: "192.0.2.77", 6: "2001:db8:c0::77"}
HIGH_ONLY = "2001:db8:c1::1"
"""PEER6 but for the upper half."""
NAT_T = 4500
LOW_HALF = (1 << 64) - 1


class PeerTest(GatewayTest):
    """An SA whose peer is known to be at its address, port 4500."""

    def known_peer(self, version: int, **fields: Any) -> InboundTunnel:
        """A fresh SA; outside and inside of one family."""
        tunnel = self.inbound(outer=version, inner=version, **fields)
        self.gw.insert(tables.peer(tunnel.sa.sa, KNOWN[version], NAT_T))
        return tunnel

    def frame_from(self, tunnel: InboundTunnel, seq: int, port: int, src: str = "") -> bytes:
        """A packet of the peer in UDP from ``port``, and from another address if there is one."""
        packet = frames.inner6() if tunnel.sa.selectors.v6 else frames.inner()
        outer: dict[str, Any] = {"src": src} if src else {}
        return tunnel.frame(seq, packet, udp=(port, NAT_T), **outer)

    def accepted_from(self, tunnel: InboundTunnel, seq: int, port: int, src: str = "") -> None:
        """Proves: the packet is delivered, whatever follows from its address."""
        packet = frames.inner6() if tunnel.sa.selectors.v6 else frames.inner()
        self.accept_esp(self.frame_from(tunnel, seq, port, src), packet)

    def moved_to(self, tunnel: InboundTunnel, seq: int, address: str, port: int) -> None:
        """Proves: the next event says that the packet under ``seq`` came from there."""
        high, low = divmod(int(ip_address(address)), 1 << 64)
        expected = {
            "kind": Event.PEER_MOVED,
            "sa": tunnel.sa.sa,
            "generation": tunnel.sa.generation,
            "seq": seq,
            "peer_high": high,
            "peer_low": low,
            "peer_port": port,
        }
        self.assertEqual(self.event(), expected)


class Udp08OneEventForANewPort(PeerTest):
    """UDP-08: port 40000 with a good ICV; a forged 41000; an old packet again from 42000."""

    def runTest(self) -> None:
        for version in FAMILIES:
            tunnel = self.known_peer(version)
            self.accepted_from(tunnel, 1, NAT_T)
            self.accepted_from(tunnel, 2, 40_000)
            forged = bytearray(self.frame_from(tunnel, 3, 41_000))
            forged[-1] ^= 1
            self.refuse(Drop.BAD_ICV, UNPROTECTED, bytes(forged))
            again = self.frame_from(tunnel, 1, 42_000)
            self.refuse(Drop.REPLAY_DUP, UNPROTECTED, again)
            self.accepted_from(tunnel, 4, 43_000)
            with self.subTest(version=version):
                self.moved_to(tunnel, 2, KNOWN[version], 40_000)
                self.moved_to(tunnel, 4, KNOWN[version], 43_000)


class Udp08NewAddress(PeerTest):
    """Another address under the same port is a move; over IPv6 either half of it."""

    def runTest(self) -> None:
        for version in FAMILIES:
            tunnel = self.known_peer(version)
            addresses = [OTHER[4]] if version == 4 else [OTHER[6], HIGH_ONLY]
            for seq, address in enumerate(addresses, 1):
                self.accepted_from(tunnel, seq, NAT_T, address)
                with self.subTest(address=address):
                    self.moved_to(tunnel, seq, address, NAT_T)


class Udp08OlderPacketIsNoNews(PeerTest):
    """An authentic packet inside the window, but older than its top, comes from where the peer
    was."""

    def runTest(self) -> None:
        for version in FAMILIES:
            tunnel = self.known_peer(version)
            self.accepted_from(tunnel, 10, NAT_T)
            self.accepted_from(tunnel, 9, 41_000)
            self.accepted_from(tunnel, 8, NAT_T, OTHER[version])
            self.accepted_from(tunnel, 11, 42_000)
            with self.subTest(version=version):
                self.moved_to(tunnel, 11, KNOWN[version], 42_000)


class Udp08OvertakenInTheEngine(PeerTest):
    """What counts is the top when the engine has answered, not when it was asked."""

    def runTest(self) -> None:
        for version in FAMILIES:
            tunnel = self.known_peer(version)
            with self.gw.held_requests() as held:
                self.gw.send(UNPROTECTED, self.frame_from(tunnel, 5, 41_000))
            self.accepted_from(tunnel, 6, NAT_T)
            self.assertEqual(len(self.gw.answer(*held).outputs), 1)
            self.accepted_from(tunnel, 7, 42_000)
            with self.subTest(version=version):
                self.moved_to(tunnel, 7, KNOWN[version], 42_000)


class Udp08QuietWhenTheControllerFollows(PeerTest):
    """With the new place in the table the peer is at home there, and the old one is a move."""

    def runTest(self) -> None:
        for version in FAMILIES:
            tunnel = self.known_peer(version)
            self.accepted_from(tunnel, 1, 40_000)
            self.gw.modify(tables.peer(tunnel.sa.sa, KNOWN[version], 40_000))
            self.accepted_from(tunnel, 2, 40_000)
            self.accepted_from(tunnel, 3, NAT_T)
            with self.subTest(version=version):
                self.moved_to(tunnel, 1, KNOWN[version], 40_000)
                self.moved_to(tunnel, 3, KNOWN[version], NAT_T)


class Udp08NobodyAsked(PeerTest):
    """No event for an SA without an entry, for ESP without UDP, and without a window to tell
    what is new (RFC 7296 2.23)."""

    def runTest(self) -> None:
        for version in FAMILIES:
            unasked = self.inbound(outer=version, inner=version)
            self.accepted_from(unasked, 1, 40_000)
            windowless = self.known_peer(version, window=0)
            self.accepted_from(windowless, 1, 40_000)
            tunnel = self.known_peer(version)
            packet = frames.inner6() if version == 6 else frames.inner()
            self.accept_esp(tunnel.frame(1, packet, src=OTHER[version]), packet)
            self.accepted_from(tunnel, 2, 40_000)
            with self.subTest(version=version):
                self.moved_to(tunnel, 2, KNOWN[version], 40_000)


class Udp08TransportMode(PeerTest):
    """In transport mode the address is that of the packet itself."""

    def runTest(self) -> None:
        for version in FAMILIES:
            traffic = tables.Traffic(src=OTHER[version], dst=GATEWAY if version == 4 else GATEWAY6)
            tunnel = self.known_peer(version, mode=Mode.TRANSPORT, selectors=traffic)
            sealed = tunnel.esp_by_hand(1, with_trailer(bytes(16), 253))
            outer = tunnel.around(sealed, udp=(40_000, NAT_T), src=OTHER[version])
            verdict = self.gw.send(UNPROTECTED, frames.ethernet(UNPROTECTED, outer))
            with self.subTest(version=version):
                self.assertEqual((dict(verdict.drops), len(verdict.packet_ins)), ({}, 1))
                self.moved_to(tunnel, 1, OTHER[version], 40_000)


class Udp08AuthenticDefect(PeerTest):
    """A packet that is authentic, newest and refused all the same still comes from there."""

    def runTest(self) -> None:
        for version in FAMILIES:
            tunnel = self.known_peer(version)
            sealed = tunnel.esp_by_hand(1, with_trailer(bytes(16), 59))
            outer = tunnel.around(sealed, udp=(40_000, NAT_T))
            self.refuse(Drop.DUMMY, UNPROTECTED, frames.ethernet(UNPROTECTED, outer))
            with self.subTest(version=version):
                self.moved_to(tunnel, 1, KNOWN[version], 40_000)
