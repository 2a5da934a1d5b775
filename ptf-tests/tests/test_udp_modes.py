"""UDP encapsulation in every mode: lengths, both wrappings, moving peers, checksums over IPv6
(RFC 3948, RFC 7296 2.23; cases UDP-06 to UDP-09)."""

from __future__ import annotations

import struct
from ipaddress import ip_address
from typing import Any

from scapy.layers.inet import UDP
from scapy.layers.inet6 import IPv6

from harness import esp, frames, tables, wire
from harness.frames import options6, routing6
from harness.ids import Drop, Event, Mode, Wrap
from harness.modes import BEET, TRANSPORT, TRANSPORT6, ModeTest, Shape, packet_of, shapes
from harness.topology import UNPROTECTED
from harness.transforms import parsed
from harness.tunnels import NAT_T, InboundTunnel

UDP_LEN = 8
LEAST_ESP = 36


def from_port(packet: bytes, port: int) -> bytes:
    """A datagram from another source port."""
    _, at = wire.protocol_at(packet)
    return packet[:at] + struct.pack("!H", port) + packet[at + 2 :]


def told_length(packet: bytes, length: int) -> bytes:
    """A datagram that says that it has ``length`` octets."""
    _, at = wire.protocol_at(packet)
    return packet[: at + 4] + struct.pack("!H", length) + packet[at + 6 :]


class Udp06LengthsThatLie(ModeTest):
    """UDP-06: no room for ESP; longer than the packet; shorter: the octets behind do not count."""

    def runTest(self) -> None:
        for shape in shapes(udp=NAT_T):
            with self.subTest(shape=str(shape)):
                tunnel, peer = self.receiving(shape)
                packet = packet_of(shape.inner, 90, ours=False)
                good = peer.send(packet, 1)
                real = len(wire.payload_of(good)[1])
                for length in (0, 7, 8, 10, 15):
                    self.refuse_frame(Drop.RUNT, told_length(good, length))
                self.refuse_frame(Drop.BAD_OUTER, told_length(good, real + 1))
                self.assertEqual(tunnel.top(), 0)
                trailing = wire.resized(good + b"\xee" * 5)
                self.accept_esp(frames.ethernet(UNPROTECTED, trailing), peer.arrived(packet))

    def refuse_frame(self, reason: Drop, packet: bytes) -> None:
        """Proves that no crypto is asked for."""
        verdict = self.refuse(reason, UNPROTECTED, frames.ethernet(UNPROTECTED, packet))
        self.assertEqual(verdict.requests, [])


class Udp06ShorterEspThanSent(ModeTest):
    """The length of the ICV's place comes from the UDP length."""

    def runTest(self) -> None:
        for shape in (TRANSPORT, TRANSPORT6, BEET):
            _, peer = self.receiving(Shape(shape.mode, shape.outer, shape.inner, udp=NAT_T))
            good = peer.send(packet_of(shape.inner, 90, ours=False), 1)
            for size in range(UDP_LEN, LEAST_ESP + 9):
                whole = size >= LEAST_ESP and size % 4 == 0
                frame = frames.ethernet(UNPROTECTED, told_length(good, UDP_LEN + size))
                self.refuse(Drop.BAD_ICV if whole else esp.shorter(size), UNPROTECTED, frame)


class Udp07BothWrappingsInEveryMode(ModeTest):
    """UDP-07, RFC 7296 2.23: plain and encapsulated packets of one SA share its window."""

    def runTest(self) -> None:
        for wrap in (Wrap.NONE, Wrap.ENCRYPTED):
            for shape in shapes(wrap=wrap):
                _, peer = self.receiving(shape)
                packet = packet_of(shape.inner, 90, ours=False)
                for seq, udp in ((1, None), (2, NAT_T), (3, None), (4, (40000, 4500))):
                    plain = peer.plain(packet, seq)
                    number = peer.next_header(packet, plain)
                    frame = frames.ethernet(UNPROTECTED, peer.wrapped(plain, number, udp=udp))
                    self.accept_esp(frame, peer.arrived(packet))
                    self.refuse(Drop.REPLAY_DUP, UNPROTECTED, frame)


class Udp08PeerMoved(ModeTest):
    """UDP-08: one event for a newest, authentic packet from another port; none for a bad one, none
    for a replay, none for one that came late."""

    def runTest(self) -> None:
        for shape in shapes(udp=NAT_T):
            with self.subTest(shape=str(shape)):
                tunnel, peer = self.receiving(shape)
                self.gw.insert(tables.peer(tunnel.sa.sa, peer.outside[0], 4500))
                packet = packet_of(shape.inner, 90, ours=False)
                self.moves(tunnel, [peer.send(packet, seq) for seq in range(1, 5)])

    def moves(self, tunnel: InboundTunnel, sent: list[bytes]) -> None:
        """Four packets of one SA."""
        self.forward(UNPROTECTED, frames.ethernet(UNPROTECTED, sent[0]))
        bad = from_port(sent[3][:-1] + bytes([sent[3][-1] ^ 1]), 41000)
        self.refuse(Drop.BAD_ICV, UNPROTECTED, frames.ethernet(UNPROTECTED, bad))
        moved = from_port(sent[2], 40000)
        self.forward(UNPROTECTED, frames.ethernet(UNPROTECTED, moved))
        self.assert_moved(tunnel, sent[2], 3, 40000)
        replay = from_port(sent[2], 42000)
        self.refuse(Drop.REPLAY_DUP, UNPROTECTED, frames.ethernet(UNPROTECTED, replay))
        late = from_port(sent[1], 43000)
        self.forward(UNPROTECTED, frames.ethernet(UNPROTECTED, late))

    def assert_moved(self, tunnel: InboundTunnel, packet: bytes, seq: int, port: int) -> None:
        """The digest says who, where and when; there is no second one."""
        event = self.event()
        source = int(ip_address(parsed(packet).src))
        self.assertEqual((event["kind"], event["sa"]), (Event.PEER_MOVED, tunnel.sa.sa))
        self.assertEqual((event["generation"], event["seq"]), (tunnel.sa.generation, seq))
        self.assertEqual(event["peer_high"] << 64 | event["peer_low"], source)
        self.assertEqual(event["peer_port"], port)


class Udp08AddressOfTheNat(ModeTest):
    """UDP-08: another address is a move as well; transport mode has the hosts' own."""

    def runTest(self) -> None:
        elsewhere = {4: "203.0.113.9", 6: "2001:db8:77::9"}
        for shape in shapes(udp=NAT_T):
            if shape.mode == Mode.TRANSPORT:
                continue
            tunnel, peer = self.receiving(shape)
            self.gw.insert(tables.peer(tunnel.sa.sa, peer.outside[0], 4500))
            sent = parsed(peer.send(packet_of(shape.inner, 90, ours=False), 1))
            sent.src = elsewhere[shape.outer]
            moved = wire.resized(bytes(sent))
            self.forward(UNPROTECTED, frames.ethernet(UNPROTECTED, moved))
            event = self.event()
            self.assertEqual((event["kind"], event["sa"]), (Event.PEER_MOVED, tunnel.sa.sa))
            source = int(ip_address(elsewhere[shape.outer]))
            self.assertEqual(event["peer_high"] << 64 | event["peer_low"], source)


class Udp08PlainEspIsNoMove(ModeTest):
    """Without UDP there is no port to learn, and an SA without an entry expects anybody."""

    def runTest(self) -> None:
        for shape in shapes():
            tunnel, peer = self.receiving(shape)
            self.gw.insert(tables.peer(tunnel.sa.sa, "203.0.113.77", 4500))
            self.accept_from(peer, 1, packet_of(shape.inner, 90, ours=False))
            _, anybody = self.receiving(Shape(shape.mode, shape.outer, shape.inner, udp=NAT_T))
            self.accept_from(anybody, 1, packet_of(shape.inner, 90, ours=False))


class Udp09ChecksumOverIpv6(ModeTest):
    """UDP-09, RFC 8200 8.1: over IPv6 there is a checksum, and scapy finds the same one."""

    CHAINS = ((), (options6(0),), (options6(0, 1), options6(60), routing6()))

    def runTest(self) -> None:
        for wrap in (Wrap.NONE, Wrap.ENCRYPTED):
            for shape in shapes(wrap=wrap, udp=NAT_T):
                if shape.outer == 6:
                    entries = self.gw.installed()
                    self.checksums(shape)
                    self.gw.reset(entries)

    def checksums(self, shape: Shape) -> None:
        """Of packets of odd and even lengths."""
        tunnel, peer = self.sending(shape)
        for size in (90, 91, 92, 93, 1001, 1400):
            out = self.send_to(tunnel, peer, packet_of(shape.inner, size, ours=True))
            self.assert_checksum(out)
        if shape.inner == 6:
            for chain in self.CHAINS:
                self.assert_checksum(self.seal(tunnel, frames.outgoing6(200, chain=chain)))

    def assert_checksum(self, out: bytes) -> None:
        """Not zero, and what scapy computes afresh."""
        again = IPv6(out)
        self.assertNotEqual(again[UDP].chksum, 0)
        del again[UDP].chksum
        self.assertEqual(bytes(again), out)


class Udp09ComputedZeroIsSentAsFfff(ModeTest):
    """UDP-09: a sum that comes out as 0 would say that there is none."""

    def runTest(self) -> None:
        for shape in (Shape(outer=6, udp=NAT_T), Shape(Mode.TRANSPORT, 6, 6, udp=NAT_T)):
            entries = self.gw.installed()
            tunnel, peer = self.sending(shape)
            checksum = self.checksum_of(self.seal(tunnel, self.packet(shape)))
            # The ports are data of the SA: with this one the sum becomes all ones.
            port = self.other_port(tunnel.sa.udp or NAT_T, checksum)
            self.gw.reset(entries)
            again, _ = self.sending(
                Shape(shape.mode, shape.outer, shape.inner, udp=(port, 4500)),
                key=tunnel.key,
                spi=tunnel.sa.spi,
            )
            self.gw.watch.start()  # the same number under the same key, to get the same octets
            self.gw.tell_policy()
            self.gw.count()
            self.assertEqual(self.checksum_of(self.seal(again, self.packet(shape))), 0xFFFF)
            self.assertEqual(peer.shape, shape)
            self.gw.reset(entries)

    def packet(self, shape: Shape) -> bytes:
        """Always the same."""
        return packet_of(shape.inner, 90, ours=True)

    def checksum_of(self, out: bytes) -> int:
        """As it stands."""
        return int.from_bytes(wire.payload_of(out)[1][6:8])

    def other_port(self, ports: tuple[int, int], checksum: int) -> int:
        """RFC 1624: the source port that takes ``checksum`` to zero."""
        total = ports[0] + checksum
        return (total & 0xFFFF) + (total >> 16)


class Udp09NoChecksumOverIpv4(ModeTest):
    """RFC 3948 2.1: zero, in every mode."""

    def runTest(self) -> None:
        for shape in shapes(udp=NAT_T):
            if shape.outer == 4:
                entries = self.gw.installed()
                tunnel, _ = self.sending(shape)
                out = self.seal(tunnel, packet_of(shape.inner, 90, ours=True))
                self.assertEqual(wire.payload_of(out)[1][6:8], bytes(2))
                self.gw.reset(entries)


class ChecksumsOfPeersAreNotLookedAt(ModeTest):
    """UDP-01: zero, right or wrong, over both families: the ICV decides."""

    def runTest(self) -> None:
        for shape in shapes(udp=NAT_T):
            _, peer = self.receiving(shape)
            packet = packet_of(shape.inner, 90, ours=False)
            for seq, checksum in enumerate((b"\0\0", b"\xab\xcd"), start=1):
                sent = peer.send(packet, seq)
                _, at = wire.protocol_at(sent)
                sent = sent[: at + 6] + checksum + sent[at + 8 :]
                self.accept_esp(frames.ethernet(UNPROTECTED, sent), peer.arrived(packet))


def ports_of(shape: Shape, **fields: Any) -> Shape:
    """The same with other ports."""
    return Shape(shape.mode, shape.outer, shape.inner, shape.wrap, **fields)


class PortsOfTheSa(ModeTest):
    """RFC 7296 2.23: the ports that the SA names, in every mode."""

    def runTest(self) -> None:
        for shape in shapes():
            entries = self.gw.installed()
            tunnel, peer = self.sending(ports_of(shape, udp=(4500, 61234)))
            out = self.send_to(tunnel, peer, packet_of(shape.inner, 90, ours=True))
            datagram = wire.payload_of(out)[1]
            ports = struct.unpack("!HHH", datagram[:6])
            self.assertEqual(ports, (4500, 61234, len(datagram)))
            self.gw.reset(entries)
