"""The check of the inner packet against what was negotiated (RFC 4301 5.2 step 5)."""

from __future__ import annotations

from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.sctp import SCTP

from harness import tables
from harness.ids import Drop
from harness.tables import Traffic
from harness.testcase import GatewayTest
from harness.topology import HOST, REMOTE, REMOTE_HOST, SITE, UNPROTECTED
from harness.tunnels import InboundTunnel


def udp(sport: int, dport: int, src: str = REMOTE_HOST, dst: str = HOST) -> bytes:
    """A UDP packet from the remote site."""
    return bytes(IP(src=src, dst=dst, id=1) / UDP(sport=sport, dport=dport) / b"data")


def tcp(sport: int, dport: int) -> bytes:
    """A TCP packet from the remote site."""
    return bytes(IP(src=REMOTE_HOST, dst=HOST, id=1) / TCP(sport=sport, dport=dport))


def icmp(kind: int, code: int) -> bytes:
    """An ICMP packet from the remote site."""
    return bytes(IP(src=REMOTE_HOST, dst=HOST, id=1) / ICMP(type=kind, code=code))


def bare(protocol: int) -> bytes:
    """A packet of a protocol without ports."""
    return bytes(IP(src=REMOTE_HOST, dst=HOST, id=1, proto=protocol) / b"payload-")


class SelectorTest(GatewayTest):
    """Packets that fit and packets that don't, through one SA."""

    def check(self, tunnel: InboundTunnel, fits: list[bytes], does_not: list[bytes]) -> None:
        """Sends all of them under fresh numbers."""
        for seq, packet in enumerate(fits, start=1):
            with self.subTest(fits=IP(packet).summary()):
                self.accept(tunnel, seq, packet)
        for seq, packet in enumerate(does_not, start=len(fits) + 1):
            with self.subTest(refused=IP(packet).summary()):
                self.refuse(Drop.BAD_SELECTOR, UNPROTECTED, tunnel.frame(seq, packet))


class OnePairAddresses(SelectorTest):
    """TUN-06: source and destination, at the edges of the prefixes."""

    def runTest(self) -> None:
        tunnel = self.inbound(selectors=Traffic(src="10.1.1.64/26", dst="10.2.2.2/32"))
        fits = [udp(1, 2, src="10.1.1.64"), udp(1, 2, src="10.1.1.127")]
        does_not = [udp(1, 2, src="10.1.1.63"), udp(1, 2, src="10.1.1.128")]
        self.check(tunnel, fits, [*does_not, udp(1, 2, src="10.1.1.64", dst="10.2.2.3")])


class OnePairProtocol(SelectorTest):
    """TUN-06: protocol 0 is any; another one is itself alone."""

    def runTest(self) -> None:
        everything = [udp(1, 2), tcp(1, 2), icmp(8, 0), bare(47), bare(89)]
        self.check(self.inbound(), everything, [])
        only_tcp = self.inbound(selectors=Traffic(src=REMOTE, dst=SITE, protocol=6))
        self.check(only_tcp, [tcp(1, 2)], [udp(1, 2), icmp(8, 0), bare(47)])


class OnePairPorts(SelectorTest):
    """TUN-06: port ranges, both ends included."""

    def runTest(self) -> None:
        traffic = Traffic(src=REMOTE, dst=SITE, protocol=17, sport=(1000, 2000), dport=(53, 53))
        fits = [udp(1000, 53), udp(2000, 53), udp(1500, 53)]
        does_not = [udp(999, 53), udp(2001, 53), udp(1500, 52), udp(1500, 54)]
        self.check(self.inbound(selectors=traffic), fits, [*does_not, tcp(1500, 53)])


class OnePairIcmp(SelectorTest):
    """RFC 4301 4.4.1.1: type and code in the place of the ports."""

    def runTest(self) -> None:
        echo = (8 << 8, 8 << 8 | 0xFF)
        traffic = Traffic(src=REMOTE, dst=SITE, protocol=1, sport=echo, dport=echo)
        self.check(
            self.inbound(selectors=traffic), [icmp(8, 0), icmp(8, 3)], [icmp(0, 0), icmp(9, 0)]
        )


class OnePairSctp(SelectorTest):
    """SCTP has ports where UDP has them."""

    def runTest(self) -> None:
        traffic = Traffic(src=REMOTE, dst=SITE, protocol=132, dport=(2905, 2905))
        packet = IP(src=REMOTE_HOST, dst=HOST, id=1)
        fits = bytes(packet / SCTP(sport=1, dport=2905))
        self.check(self.inbound(selectors=traffic), [fits], [bytes(packet / SCTP(dport=2906))])


class SeveralPairs(SelectorTest):
    """An SA with several pairs asks in_policy, and only its own rows."""

    def runTest(self) -> None:
        tunnel, other = self.inbound(multi=True), self.inbound(multi=True)
        self.gw.insert(
            tables.in_policy(
                tunnel.sa.sa, Traffic(src=REMOTE, dst=SITE, protocol=17, dport=(53, 53))
            ),
            tables.in_policy(tunnel.sa.sa, Traffic(src="10.1.1.9/32", dst=SITE, protocol=6)),
            tables.in_policy(other.sa.sa, Traffic(protocol=1)),
        )
        nine = bytes(IP(src="10.1.1.9", dst=HOST, id=1) / TCP(sport=1, dport=2))
        self.check(tunnel, [udp(9, 53), nine], [udp(9, 54), tcp(1, 2), icmp(8, 0)])
        self.check(other, [icmp(8, 0)], [udp(9, 53), nine])


class SeveralPairsFragments(SelectorTest):
    """Rows for known layer 4 alone leave later fragments outside."""

    def runTest(self) -> None:
        tunnel = self.inbound(multi=True)
        known = Traffic(src=REMOTE, dst=SITE, protocol=17, l4_known=1)
        self.gw.insert(tables.in_policy(tunnel.sa.sa, known))
        later = bytes(IP(src=REMOTE_HOST, dst=HOST, id=1, frag=9, proto=17) / b"fragment")
        self.check(tunnel, [udp(1, 2)], [later])


class SeveralPairsNoRow(SelectorTest):
    """An SA with several pairs and no row yet accepts nothing."""

    def runTest(self) -> None:
        self.check(self.inbound(multi=True), [], [udp(1, 2), icmp(8, 0)])
