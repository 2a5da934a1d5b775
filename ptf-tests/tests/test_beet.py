"""BEET over IPv4 and IPv6: vectors, pseudo header, what is refused (RFC 7402 B; cases BET)."""

from __future__ import annotations

import struct

from harness import beet, frames, tables, wire
from harness import vectors as vec
from harness import vectors_modes as more
from harness.frames import fragment6, options6, routing6
from harness.gateway import Frame
from harness.ids import Drop, Mode, Wrap
from harness.modes import BEET, BEET6, TRANSPORT, ModeTest, Peer, Shape, packet_of
from harness.tables import Traffic
from harness.topology import (
    GATEWAY,
    HOST,
    PEER,
    PROTECTED,
    REMOTE_HOST,
    REMOTE_HOST6,
    UNPROTECTED,
)
from harness.tunnels import NAT_T

UDP_PROTOCOL = 17
PH = beet.PSEUDO_HEADER
ROUTER_ALERT = b"\x94\4\0\0"
OPTIONS = {size: ROUTER_ALERT + b"\1" * (size - 4) for size in (4, 8, 12, 16, 20, 36, 40)}
UDP = packet_of(4, 60, ours=False)[20:]
BEET_OVER_V6 = Shape(Mode.BEET_V4, outer=6)
BEET6_OVER_V4 = Shape(Mode.BEET_V6, outer=4, inner=6)


class Bet01Vectors(ModeTest):
    """BET-01: D14 and D15 become the packets of the digest, octet by octet."""

    def runTest(self) -> None:
        self.receiving(BEET, key=vec.KEY, spi=vec.SPI)
        for sealed, inner in ((more.D14, more.D14_INNER), (more.D15, more.D15_INNER)):
            self.accept_esp(frames.ethernet(UNPROTECTED, frames.outer(sealed)), inner)


class Bet01VectorsAreSent(ModeTest):
    """BET-01: D14 and D15 in the other direction; the header is that of D12."""

    def runTest(self) -> None:
        tunnel = self.outbound(key=vec.KEY, spi=vec.SPI, src=PEER, dst=GATEWAY, mode=Mode.BEET_V4)
        rule = tables.spd(Traffic(src=REMOTE_HOST, dst=HOST), "protect", policy=9)
        self.gw.insert(rule, tables.sa_select(9, f"{HOST}/32", tunnel.sa.sa))
        self.gw.insert(tables.route_via(f"{GATEWAY}/32", HOST))
        tunnel.advance(0x1F)
        for sealed, inner in ((more.D14, more.D14_INNER), (more.D15, more.D15_INNER)):
            data = frames.ethernet(PROTECTED, frames.rewritten(inner, ttl_less=-1))
            expected = frames.delivered(PROTECTED, frames.outer(sealed))
            self.assertEqual(self.forward(PROTECTED, data), Frame(PROTECTED, expected))


class Bet02PseudoHeader(ModeTest):
    """BET-02: options of every length: the table of RFC 7402 B.1.7, and back again."""

    TABLE = (
        (4, "1100000094040000"),
        (8, "11010400010101019404000001010101"),
        (12, "11010000940400000101010101010101"),
        (40, "110504000101010194040000" + "01" * 36),
    )

    def check_the_table(self) -> None:
        """What the peer of these tests makes is what the digest says."""
        for size, octets in self.TABLE:
            header = beet.pseudo_header(UDP_PROTOCOL, OPTIONS[size])
            self.assertEqual(header, bytes.fromhex(octets))

    def runTest(self) -> None:
        self.check_the_table()
        for shape in (BEET, BEET_OVER_V6):
            entries = self.gw.installed()
            tunnel, peer = self.sending(shape)
            _, sender = self.receiving(shape)
            for seq, options in enumerate(OPTIONS.values(), start=1):
                packet = frames.outgoing(100, options=options)
                out = self.send_to(tunnel, peer, packet)
                self.assertEqual(self.opened(tunnel.key, tunnel.sa.spi, out), self.text(options))
                self.accept_from(sender, seq, frames.inner(size=100, options=options))
            self.gw.reset(entries)

    def text(self, options: bytes) -> bytes:
        """The plaintext of a packet of 100 octets."""
        datagram = frames.outgoing(100, options=options)[20 + len(options) :]
        return beet.pseudo_header(UDP_PROTOCOL, options) + datagram

    def opened(self, key: object, spi: int, out: bytes) -> bytes:
        """What is inside, without the trailer; opened by hand."""
        assert isinstance(key, type(vec.KEY))
        sealed = wire.payload_of(out)[1]
        seq = int.from_bytes(sealed[4:8])
        text = key.open(spi, seq, sealed[8:16], sealed[16:], esn=False)
        self.assertEqual(text[-1], PH)
        return text[: -2 - text[-2]]


class Bet02OptionsInEveryWrapping(ModeTest):
    """BET-02 in UDP and WESP."""

    def runTest(self) -> None:
        for udp, wrap in ((NAT_T, Wrap.NONE), (None, Wrap.ENCRYPTED), (NAT_T, Wrap.ENCRYPTED)):
            for outer in (4, 6):
                entries = self.gw.installed()
                shape = Shape(Mode.BEET_V4, outer, 4, wrap, udp)
                tunnel, peer = self.sending(shape)
                _, sender = self.receiving(shape)
                self.send_to(tunnel, peer, frames.outgoing(100, options=OPTIONS[12]))
                self.accept_from(sender, 1, frames.inner(size=100, options=OPTIONS[40]))
                self.gw.reset(entries)


class RefusedTest(ModeTest):
    """Sends payloads that the peer should not have sealed."""

    def refuse_payload(
        self, peer: Peer, seq: int, payload: bytes, number: int, reason: Drop
    ) -> None:
        """Proves that it is dropped for that reason."""
        packet = packet_of(peer.shape.inner, 60, ours=False)
        frame = frames.ethernet(UNPROTECTED, peer.by_hand(packet, seq, payload, number))
        self.refuse(reason, UNPROTECTED, frame)


class Bet03VectorsN11AndN12(ModeTest):
    """BET-03: a pad length of 3, and a header longer than what there is."""

    def runTest(self) -> None:
        tunnel, _ = self.receiving(BEET, key=vec.KEY, spi=vec.SPI)
        for seq, sealed in ((0x3B, more.N11), (0x3C, more.N12)):
            frame = frames.ethernet(UNPROTECTED, frames.outer(sealed))
            self.refuse(Drop.BAD_BEET_PH, UNPROTECTED, frame)
            self.assertEqual(tunnel.top(), seq)


class Bet03BadPseudoHeaders(RefusedTest):
    """BET-03: pad length 8, no options, more than 40 octets of them, PH in PH, cut short."""

    def runTest(self) -> None:
        for shape in (BEET, BEET_OVER_V6):
            _, peer = self.receiving(shape)
            for seq, payload in enumerate(self.payloads(), start=1):
                with self.subTest(payload=payload[:8].hex()):
                    self.refuse_payload(peer, seq, payload, PH, Drop.BAD_BEET_PH)

    def payloads(self) -> list[bytes]:
        """All with a UDP datagram behind, but for the last ones."""
        heads = (
            bytes([UDP_PROTOCOL, 1, 8, 0]) + bytes(12),
            bytes([UDP_PROTOCOL, 1, 1, 0]) + bytes(12),
            bytes([UDP_PROTOCOL, 0, 4, 0]) + b"\1\1\1\1",
            bytes([UDP_PROTOCOL, 5, 0, 0]) + bytes(44),
            bytes([UDP_PROTOCOL, 6, 4, 0]) + bytes(52),
            bytes([UDP_PROTOCOL, 255, 0, 0]) + bytes(80),
            bytes([PH, 0, 0, 0]) + ROUTER_ALERT + bytes([UDP_PROTOCOL, 0, 0, 0]) + ROUTER_ALERT,
        )
        whole = beet.pseudo_header(UDP_PROTOCOL, OPTIONS[8])
        return [head + UDP for head in heads] + [whole[:size] for size in (1, 3, 4, 7, 15)]


class HeadersOfIpv6BehindThePseudoHeader(RefusedTest):
    """An IPv4 packet has no extension headers: with them its protocol field would lie."""

    def runTest(self) -> None:
        _, peer = self.receiving(BEET)
        parts = (options6(0), routing6(), options6(60), fragment6())
        for seq, part in enumerate(parts, start=1):
            payload = beet.pseudo_header(part.number, OPTIONS[4])
            payload += part.octets(UDP_PROTOCOL) + UDP
            self.refuse_payload(peer, seq, payload, PH, Drop.BAD_NH)


class Bet03ReservedOctetIsIgnored(ModeTest):
    """RFC 7402 B.1.7: and the pad octets are not looked at."""

    def runTest(self) -> None:
        _, peer = self.receiving(BEET)
        packet = frames.inner(size=100, options=OPTIONS[8])
        payload = bytes([UDP_PROTOCOL, 1, 4, 0xFF]) + b"\2\2\2\2" + packet[20:]
        plain = peer.by_hand(packet, 1, payload, PH)
        self.accept_esp(frames.ethernet(UNPROTECTED, plain), packet)


class Bet04PseudoHeaderElsewhere(RefusedTest):
    """BET-04: in tunnel and transport mode, and with IPv6 inside, NH 94 is nothing."""

    def runTest(self) -> None:
        payload = beet.pseudo_header(UDP_PROTOCOL, OPTIONS[4]) + UDP
        for shape in (Shape(), TRANSPORT, BEET6, BEET6_OVER_V4):
            tunnel, peer = self.receiving(shape)
            self.refuse_payload(peer, 1, payload, PH, Drop.BAD_NH)
            self.assertEqual(tunnel.top(), 1)


class NextHeadersOfTheOtherFamily(RefusedTest):
    """Digest 1.3: extension headers in an IPv4 packet, fragments in any."""

    def runTest(self) -> None:
        for shape in (BEET, BEET_OVER_V6):
            _, peer = self.receiving(shape)
            for seq, part in enumerate((options6(0), routing6(), options6(60)), start=1):
                payload = part.octets(UDP_PROTOCOL) + UDP
                self.refuse_payload(peer, seq, payload, part.number, Drop.BAD_NH)
        for shape in (BEET, BEET6, BEET_OVER_V6, BEET6_OVER_V4):
            _, peer = self.receiving(shape)
            self.refuse_payload(peer, 1, fragment6().octets(17) + UDP, 44, Drop.BAD_NH)
        _, peer = self.receiving(BEET6)
        chain = options6(0).octets(44) + fragment6().octets(UDP_PROTOCOL) + UDP
        self.refuse_payload(peer, 1, chain, 0, Drop.BAD_NH)


class IpInIpInsideBeet(ModeTest):
    """Digest 1.3: NH 4 and 41 are what the two hosts speak, no tunnel."""

    def runTest(self) -> None:
        tunnel, peer = self.sending(BEET)
        _, sender = self.receiving(BEET)
        for seq, (number, version) in enumerate(((4, 4), (41, 6)), start=1):
            inside = packet_of(version, 80, ours=True)
            self.send_to(
                tunnel, peer, frames.ipv4(inside, src=HOST, dst=REMOTE_HOST, proto=number, ttl=9)
            )
            inside = packet_of(version, 80, ours=False)
            packet = frames.ipv4(inside, src=REMOTE_HOST, dst=HOST, proto=number, ttl=9)
            self.accept_from(sender, seq, packet)


class Bet05OtherAddressesHaveNoSa(ModeTest):
    """BET-05: policy names the pair; what is not of it meets the policy for the rest."""

    def runTest(self) -> None:
        tunnel = self.outbound(mode=Mode.BEET_V4)
        rule = tables.spd(Traffic(src=HOST, dst=REMOTE_HOST), "protect", policy=6)
        self.gw.insert(rule, tables.sa_select(6, f"{REMOTE_HOST}/32", tunnel.sa.sa))
        for src, dst in (("10.2.2.9", REMOTE_HOST), (HOST, "10.1.1.9")):
            frame = frames.ethernet(PROTECTED, frames.inner(src=src, dst=dst))
            self.refuse(Drop.POLICY_DISCARD, PROTECTED, frame)
        self.assertEqual(tunnel.last(), 0)
        self.seal(tunnel, frames.outgoing())


class Bet06FragmentsAreRefused(ModeTest):
    """BET-06: inner fragments of either family; no number is taken."""

    def runTest(self) -> None:
        for shape in (BEET, BEET_OVER_V6, BEET6, BEET6_OVER_V4):
            entries = self.gw.installed()
            tunnel, _ = self.sending(shape)
            for packet in self.fragments(shape.inner):
                frame = frames.ethernet(PROTECTED, packet)
                self.refuse(Drop.INNER_FRAGMENT, PROTECTED, frame)
            self.assertEqual(tunnel.last(), 0)
            self.gw.reset(entries)

    def fragments(self, version: int) -> list[bytes]:
        """First, later and last ones."""
        if version == 4:
            return [
                frames.outgoing(flags="MF"),
                frames.outgoing(frag=7),
                frames.outgoing(flags="MF", frag=7),
            ]
        parts = (fragment6(), fragment6(9), fragment6(9, more=False), fragment6(more=False))
        chains = [(part,) for part in parts]
        return [
            *(frames.outgoing6(chain=chain) for chain in chains),
            frames.outgoing6(120, chain=(options6(0), routing6(), fragment6())),
            frames.outgoing6(120, chain=(options6(60), fragment6())),
        ]


class TheOtherFamilyIsNotInTheSa(ModeTest):
    """A BEET SA for IPv4 has no addresses for IPv6, nor the reverse."""

    def runTest(self) -> None:
        for shape in (BEET, BEET6, BEET_OVER_V6, BEET6_OVER_V4):
            entries = self.gw.installed()
            tunnel, _ = self.sending(shape)
            packet = packet_of(10 - shape.inner, 90, ours=True)
            traffic = Traffic(dst=REMOTE_HOST if shape.inner == 6 else REMOTE_HOST6)
            prefix = f"{traffic.dst}/{32 if shape.inner == 6 else 128}"
            rule = tables.spd(traffic, "protect", policy=5)
            self.gw.insert(rule, tables.sa_select(5, prefix, tunnel.sa.sa))
            self.refuse(Drop.NOT_IN_SA, PROTECTED, frames.ethernet(PROTECTED, packet))
            self.assertEqual(tunnel.last(), 0)
            self.gw.reset(entries)


class ExtensionHeadersTravelInside(ModeTest):
    """RFC 7402 B: all extension headers of an inner IPv6 packet are behind ESP, in any outer."""

    CHAINS = (
        (options6(0),),
        (routing6(),),
        (options6(60),),
        (options6(60), routing6()),
        (options6(0, 1), options6(60, 2), routing6(4), options6(60)),
        (options6(0, 31),),
    )

    def runTest(self) -> None:
        for shape in (BEET6, BEET6_OVER_V4):
            entries = self.gw.installed()
            tunnel, peer = self.sending(shape)
            _, sender = self.receiving(shape)
            for seq, chain in enumerate(self.CHAINS, start=1):
                out = self.seal(tunnel, frames.outgoing6(500, chain=chain))
                plain = self.text(tunnel.key.open, tunnel.sa.spi, out)
                expected = frames.outgoing6(500, chain=chain)
                self.assertEqual(plain[-1], chain[0].number)
                self.assertEqual(plain[: -2 - plain[-2]], expected[40:])
                self.assertEqual(peer.shape, shape)
                self.accept_from(sender, seq, frames.inner6(size=500, chain=chain))
            self.gw.reset(entries)

    def text(self, opener: object, spi: int, out: bytes) -> bytes:
        """The plaintext with its trailer."""
        assert callable(opener)
        sealed = out[40 if out[0] >> 4 == 6 else 20 :]
        (seq,) = struct.unpack("!I", sealed[4:8])
        text = opener(spi, seq, sealed[8:16], sealed[16:], esn=False)
        assert isinstance(text, bytes)
        return text
