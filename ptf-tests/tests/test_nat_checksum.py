"""Transport mode through a NAT: layer 4 checksums are repaired (RFC 3948 3.1.2 a, RFC 1624; case
UDP-11).  scapy computes the checksums afresh: it is the judge."""

from __future__ import annotations

from typing import Any

from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.packet import Packet, Raw

from harness import frames, tables
from harness.ids import Mode
from harness.modes import OURS, THEIRS, ModeTest, Peer, Shape
from harness.tables import Traffic
from harness.topology import PROTECTED, UNPROTECTED
from harness.transforms import ScapyPeer, parsed
from harness.tunnels import NAT_T

BEHIND_NAT = {4: "192.168.1.17", 6: "fd00::17"}
"""The address that the peer has at home; here it comes from ``THEIRS``."""

UNKNOWN = 253

PAYLOADS = (
    b"",
    b"a",
    b"ab",
    b"abc",
    bytes(64),
    b"\xff" * 65,
    bytes(7 * i & 0xFF for i in range(200)),
)


def folded(value: int) -> int:
    """One's complement sum of the 16-bit words of a number."""
    total = 0
    while value:
        total, value = total + (value & 0xFFFF), value >> 16
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def delta(before: str, after: str) -> int:
    """RFC 1624: ~m + m' over the words of two addresses."""
    old, new = (int.from_bytes(packed(address)) for address in (before, after))
    return folded((folded(old) ^ 0xFFFF) + folded(new))


def packed(address: str) -> bytes:
    """On the wire."""
    kind: Any = IPv6 if ":" in address else IP
    return bytes(kind(src=address))[8:24] if ":" in address else bytes(kind(src=address))[12:16]


class NatTest(ModeTest):
    """A peer behind a NAT: its segments have checksums over its address at home."""

    def nat(self, version: int, value: int | None = None) -> Peer:
        """An SA with a repair."""
        shape = Shape(Mode.TRANSPORT, version, version, udp=NAT_T)
        tunnel, peer = self.receiving(shape)
        change = delta(BEHIND_NAT[version], THEIRS[version]) if value is None else value
        self.gw.insert(tables.layer4_delta(tunnel.sa.sa, change))
        return peer

    def at_home(self, version: int, layer4: Packet) -> bytes:
        """A packet as the peer made it."""
        kind: Any = IPv6 if version == 6 else IP
        packet = kind(src=BEHIND_NAT[version], dst=OURS[version]) / layer4
        if isinstance(layer4, Raw):
            packet.proto = UNKNOWN
        return bytes(packet)

    def translated(self, packet: bytes) -> bytes:
        """What the NAT makes of the header; it does not see what is sealed."""
        seen = parsed(packet)
        seen.src = THEIRS[4 if packet[0] >> 4 == 4 else 6]
        if isinstance(seen, IP):
            del seen.chksum
        return bytes(seen)

    def arriving(self, peer: Peer, seq: int, packet: bytes) -> bytes:
        """The frame in which it comes to us."""
        sealed = ScapyPeer(peer.spi, peer.key).seal(packet, seq)
        outside = self.translated(peer.wrapped(sealed, 0, udp=NAT_T))
        return frames.ethernet(UNPROTECTED, outside)

    def delivered(self, peer: Peer, seq: int, packet: bytes) -> bytes:
        """What our host gets."""
        out = self.forward(UNPROTECTED, self.arriving(peer, seq, packet))
        self.assertEqual(out.port, PROTECTED)
        return out.data[len(frames.link_header(PROTECTED)) :]

    def assert_right(self, packet: bytes, sent: bytes) -> None:
        """Only addresses, hops and checksums differ, and scapy finds this very checksum."""
        again = parsed(packet)
        del again.payload.chksum
        self.assertEqual(bytes(again), packet)
        expected = parsed(frames.rewritten(self.translated(sent)))
        expected.payload.chksum = parsed(packet).payload.chksum
        self.assertEqual(packet, bytes(expected))


class Udp11TcpAndUdpAreRepaired(NatTest):
    """UDP-11: both protocols, both families, payloads of any length."""

    def runTest(self) -> None:
        for version in (4, 6):
            peer = self.nat(version)
            seq = 0
            for payload in PAYLOADS:
                for layer4 in (TCP(sport=4711, dport=80), UDP(sport=4711, dport=53)):
                    seq += 1
                    sent = self.at_home(version, layer4 / Raw(payload))
                    with self.subTest(version=version, layer4=layer4.name, size=len(payload)):
                        self.assert_right(self.delivered(peer, seq, sent), sent)


class Udp11BothAddresses(NatTest):
    """UDP-11: NATs on both sides: the differences of both addresses add up."""

    def runTest(self) -> None:
        home = "10.99.0.1"
        change = folded(delta(BEHIND_NAT[4], THEIRS[4]) + delta(home, OURS[4]))
        peer = self.nat(4, change)
        sent = bytes(IP(src=BEHIND_NAT[4], dst=home) / UDP(dport=53) / b"both")
        outside = IP(sent)
        outside.dst = OURS[4]
        del outside.chksum
        self.assert_right(self.delivered(peer, 1, bytes(outside)), bytes(outside))


class Udp11NoChecksumStaysNone(NatTest):
    """UDP-11: over IPv4 UDP may go without (RFC 768); zero is no sum to be repaired."""

    def runTest(self) -> None:
        peer = self.nat(4)
        sent = self.at_home(4, UDP(dport=53, chksum=0) / b"none")
        packet = self.delivered(peer, 1, sent)
        self.assertEqual(parsed(packet)[UDP].chksum, 0)
        self.assertEqual(packet, frames.rewritten(self.translated(sent)))


class Udp11SumThatBecomesZero(NatTest):
    """UDP-11: a repaired UDP checksum of zero is sent as FFFF; TCP's may be zero."""

    def runTest(self) -> None:
        for version in (4, 6):
            for layer4 in (UDP(sport=1, dport=2), TCP(sport=1, dport=2)):
                peer = self.nat(version)
                payload = self.payload_for_zero(version, layer4)
                sent = self.at_home(version, layer4 / Raw(payload))
                packet = parsed(self.delivered(peer, 1, sent))
                expected = 0xFFFF if layer4.name == "UDP" else 0
                self.assertEqual(packet.payload.chksum, expected)

    def payload_for_zero(self, version: int, layer4: Packet) -> bytes:
        """Two octets that make the sum over our addresses come out as zero."""
        sample = parsed(self.translated(self.at_home(version, layer4 / Raw(b"\0\0"))))
        del sample.payload.chksum
        checksum: int = parsed(bytes(sample)).payload.chksum
        return checksum.to_bytes(2)


class Udp11EdgesOfTheSum(NatTest):
    """Differences of 0, 1, FFFE and FFFF, and every bit: against RFC 1624 computed here."""

    def runTest(self) -> None:
        changes = (0, 1, 0xFFFE, 0xFFFF, *(1 << bit for bit in range(16)))
        for change in changes:
            peer = self.nat(4, change)
            for seq, checksum in enumerate((1, 0x7FFF, 0x8000, 0xFFFE, 0xFFFF), start=1):
                for layer4, protocol in ((UDP(dport=9, chksum=checksum), 0), (TCP(), 1)):
                    layer4.chksum = checksum
                    sent = self.at_home(4, layer4)
                    packet = parsed(self.delivered(peer, 2 * seq + protocol, sent))
                    repaired = folded((checksum ^ 0xFFFF) + change) ^ 0xFFFF
                    if protocol == 0 and repaired == 0:
                        repaired = 0xFFFF
                    self.assertEqual(packet.payload.chksum, repaired, hex(change))
            self.gw.reset(self.entries)

    def setUp(self) -> None:
        super().setUp()
        self.entries = self.gw.installed()


class Udp11WithoutADelta(NatTest):
    """No NAT, no entry: checksums, wrong ones too, pass as they are."""

    def runTest(self) -> None:
        _, peer = self.receiving(Shape(Mode.TRANSPORT, udp=NAT_T))
        sent = self.at_home(4, UDP(dport=53, chksum=0x1234) / b"x")
        self.assertEqual(self.delivered(peer, 1, sent), frames.rewritten(self.translated(sent)))


class Udp11OtherProtocolsHaveNone(NatTest):
    """ICMP's checksum does not cover addresses; unknown protocols are not touched."""

    def runTest(self) -> None:
        peer = self.nat(4)
        for seq, layer4 in enumerate((ICMP() / b"ping", Raw(bytes(40))), start=1):
            sent = self.at_home(4, layer4)
            expected = frames.rewritten(self.translated(sent))
            self.assertEqual(self.delivered(peer, seq, sent), expected)


class Udp11OptionsInFront(NatTest):
    """IPv4 options and IPv6 headers in front of ESP do not move the checksum."""

    def runTest(self) -> None:
        peer = self.nat(4)
        kind = IP(src=BEHIND_NAT[4], dst=OURS[4], options=[b"\x94\4\0\0"])
        sent = bytes(kind / TCP(dport=80) / b"abc")
        self.assert_right(self.delivered(peer, 1, sent), sent)


class RepairIsForTransportModeAlone(NatTest):
    """In a tunnel, and in BEET, the addresses that were summed are those that come back."""

    def runTest(self) -> None:
        for mode in (Mode.TUNNEL, Mode.BEET_V4):
            tunnel, peer = self.receiving(Shape(mode, udp=NAT_T))
            self.gw.insert(tables.layer4_delta(tunnel.sa.sa, 0x1234))
            packet = bytes(IP(src=THEIRS[4], dst=OURS[4]) / UDP(dport=53) / b"x")
            self.accept_from(peer, 1, packet)


class SelectorsSeePortsOfRepairedPackets(NatTest):
    """Port selectors work on them as on others."""

    def runTest(self) -> None:
        pair = Traffic(src=f"{THEIRS[4]}/32", dst=f"{OURS[4]}/32", protocol=6, dport=(80, 80))
        tunnel, peer = self.receiving(Shape(Mode.TRANSPORT, udp=NAT_T), selectors=pair)
        change = delta(BEHIND_NAT[4], THEIRS[4])
        self.gw.insert(tables.layer4_delta(tunnel.sa.sa, change))
        sent = self.at_home(4, TCP(dport=80) / b"x")
        self.assert_right(self.delivered(peer, 1, sent), sent)
