"""What a BEET packet has from which header: the mapping of RFC 7402 B.1.5, both ways (case BET-07),
layer 4 checksums (BET-08), and what a path does to it (BET-09)."""

from __future__ import annotations

from typing import Any

from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6

from harness import frames, wire
from harness.ids import Df, Drop, Mode
from harness.modes import FAMILIES, OURS, THEIRS, ModeTest, Shape, packet_of
from harness.tables import Traffic
from harness.topology import HOST, PROTECTED, REMOTE_HOST, UNPROTECTED
from harness.transforms import parsed

HOPS = 17
TRAFFIC_CLASS = 46 << 2 | 2  # DSCP 46, ECT(0)
IDENT = 0x4711
LABEL = 0xABCDE


def beets() -> list[Shape]:
    """All four pairs of families."""
    return [
        Shape(Mode.BEET_V4 if inner == 4 else Mode.BEET_V6, outer, inner)
        for outer, inner in FAMILIES
    ]


def fields(version: int, *, dont_fragment: bool = True) -> dict[str, Any]:
    """Header fields of an inner packet."""
    if version == 6:
        return {"tc": TRAFFIC_CLASS, "fl": LABEL, "hlim": HOPS}
    return {
        "tos": TRAFFIC_CLASS,
        "ttl": HOPS,
        "id": IDENT,
        "flags": "DF" if dont_fragment else 0,
    }


class Bet07OutwardMapping(ModeTest):
    """BET-07: hops, DSCP, ECN, ID, DF and flow label of the outer header are the inner one's."""

    def runTest(self) -> None:
        for shape in beets():
            for dont_fragment in (True, False):
                entries = self.gw.installed()
                with self.subTest(shape=str(shape), dont_fragment=dont_fragment):
                    self.outward(shape, dont_fragment=dont_fragment)
                self.gw.reset(entries)

    def outward(self, shape: Shape, *, dont_fragment: bool) -> None:
        """One packet, and its outer header field by field, as scapy sees them."""
        tunnel, peer = self.sending(shape, ttl=99, dscp=1)
        build = frames.outgoing6 if shape.inner == 6 else frames.outgoing
        out = self.send_to(
            tunnel, peer, build(100, **fields(shape.inner, dont_fragment=dont_fragment))
        )
        header = parsed(out)
        if isinstance(header, IPv6):
            label = LABEL if shape.inner == 6 else 0
            self.assertEqual((header.tc, header.hlim, header.fl), (TRAFFIC_CLASS, HOPS - 1, label))
            return
        self.assertEqual((header.tos, header.ttl), (TRAFFIC_CLASS, HOPS - 1))
        self.assertEqual(header.id, IDENT if shape.inner == 4 else 0)
        self.assertEqual("DF" in header.flags, dont_fragment or shape.inner == 6)


class Bet07InwardMapping(ModeTest):
    """BET-07: and the other way: of an IPv6 outer header ID 0 and DF, of IPv4 flow label 0."""

    def runTest(self) -> None:
        for shape in beets():
            for dont_fragment in (True, False):
                with self.subTest(shape=str(shape), dont_fragment=dont_fragment):
                    self.inward(shape, dont_fragment=dont_fragment)

    def inward(self, shape: Shape, *, dont_fragment: bool) -> None:
        """The outer header is given, the inner one is looked at."""
        _, peer = self.receiving(shape)
        sealed = peer.sealed(1, packet_of(shape.inner, 100, ours=False)[-60:], 17)
        build = frames.outer6 if shape.outer == 6 else frames.outer
        outer = build(sealed, **fields(shape.outer, dont_fragment=dont_fragment))
        out = self.forward(UNPROTECTED, frames.ethernet(UNPROTECTED, outer))
        skip = len(frames.link_header(PROTECTED, shape.inner))
        header = parsed(out.data[skip:])
        if isinstance(header, IPv6):
            label = LABEL if shape.outer == 6 else 0
            self.assertEqual((header.tc, header.hlim, header.fl), (TRAFFIC_CLASS, HOPS - 1, label))
            return
        self.assertEqual((header.tos, header.ttl), (TRAFFIC_CLASS, HOPS - 1))
        self.assertEqual(header.id, IDENT if shape.outer == 4 else 0)
        self.assertEqual("DF" in header.flags, dont_fragment or shape.outer == 6)
        self.assertEqual(IP(bytes(header)).len, 80)


class OuterDfOfTheSa(ModeTest):
    """RFC 4301 8.1: an SA that sets or clears DF does so with BEET as well."""

    def runTest(self) -> None:
        for df, expected in ((Df.SET, True), (Df.CLEAR, False)):
            entries = self.gw.installed()
            tunnel, _ = self.sending(Shape(Mode.BEET_V4), df=df)
            for inner in ("DF", 0):
                out = self.seal(tunnel, frames.outgoing(id=IDENT, flags=inner))
                self.assertEqual("DF" in IP(out).flags, expected)
                self.assertEqual(IP(out).id, IDENT)
            self.gw.reset(entries)


class FragmentableIpv6InIpv4(ModeTest):
    """RFC 6864 4.3: where the SA clears DF, an ID that IPv6 does not have is made anew."""

    def runTest(self) -> None:
        tunnel, _ = self.sending(Shape(Mode.BEET_V6, 4, 6), df=Df.CLEAR)
        seen = [IP(self.seal(tunnel, frames.outgoing6())) for _ in range(3)]
        self.assertEqual([header.id for header in seen], [1, 2, 3])
        self.assertEqual(["DF" in header.flags for header in seen], [False] * 3)


class Bet08ChecksumsHold(ModeTest):
    """BET-08: TCP and UDP checksums were made over the inner addresses, which come back."""

    def runTest(self) -> None:
        for shape in beets():
            entries = self.gw.installed()
            tunnel, peer = self.sending(shape)
            _, sender = self.receiving(shape)
            for seq, layer4 in enumerate((TCP(dport=9) / b"abc", UDP(dport=9) / b"abcd"), start=1):
                sent = self.segment(shape.inner, layer4, ours=True)
                self.assert_checksum(peer.receive(self.seal(tunnel, sent)))
                packet = self.segment(shape.inner, layer4, ours=False)
                frame = frames.ethernet(UNPROTECTED, sender.send(packet, seq))
                out = self.forward(UNPROTECTED, frame)
                self.assert_checksum(out.data[len(frames.link_header(PROTECTED)) :])
            self.gw.reset(entries)

    def segment(self, version: int, layer4: Any, *, ours: bool) -> bytes:
        """With the checksum that scapy computes."""
        src, dst = (OURS, THEIRS) if ours else (THEIRS, OURS)
        return bytes((IPv6 if version == 6 else IP)(src=src[version], dst=dst[version]) / layer4)

    def assert_checksum(self, packet: bytes) -> None:
        """What scapy computes afresh is what is there."""
        again = parsed(packet)
        del again.payload.chksum
        self.assertEqual(bytes(again), packet)


class Bet09ThePathIsVisible(ModeTest):
    """BET-09: three routers and a mark on the path: TTL less three, and CE."""

    def runTest(self) -> None:
        for shape in beets():
            _, peer = self.receiving(shape)
            packet = self.packet(shape.inner, ecn=2)
            changed = frames.rewritten(peer.send(packet, 1), ttl_less=3, ecn=3)
            expected = frames.rewritten(peer.arrived(packet), ttl_less=3, ecn=3)
            self.accept_esp(frames.ethernet(UNPROTECTED, changed), expected)

    def packet(self, version: int, ecn: int) -> bytes:
        """With an ECN code point."""
        if version == 6:
            return frames.inner6(tc=ecn)
        return frames.inner(tos=ecn)


class NoMergeOfMarks(ModeTest):
    """There is one ECN field: CE on a packet without ECT is passed on, not dropped."""

    def runTest(self) -> None:
        for shape in beets():
            _, peer = self.receiving(shape)
            packet = packet_of(shape.inner, 100, ours=False)
            changed = frames.rewritten(peer.send(packet, 1), ttl_less=0, ecn=3)
            expected = frames.rewritten(peer.arrived(packet), ttl_less=0, ecn=3)
            self.accept_esp(frames.ethernet(UNPROTECTED, changed), expected)


class OuterOptionsAreNotTheInnerOnes(ModeTest):
    """Options that a router set on the outer header stay outside."""

    def runTest(self) -> None:
        for inner in (4, 6):
            mode = Mode.BEET_V6 if inner == 6 else Mode.BEET_V4
            _, peer = self.receiving(Shape(mode, 4, inner))
            packet = packet_of(inner, 100, ours=False)
            plain = peer.send(packet, 1)
            longer = bytes([plain[0] + 1]) + plain[1:20] + b"\x94\4\0\0" + plain[20:]
            frame = frames.ethernet(UNPROTECTED, wire.resized(longer))
            self.accept_esp(frame, peer.arrived(packet))


class Ipv6HeadersInFrontOfEsp(ModeTest):
    """Extension headers of the outer packet stay outside, too."""

    def runTest(self) -> None:
        chain = (frames.options6(0, 1), frames.options6(60))
        for inner in (4, 6):
            mode = Mode.BEET_V6 if inner == 6 else Mode.BEET_V4
            _, peer = self.receiving(Shape(mode, 6, inner))
            packet = packet_of(inner, 100, ours=False)
            sealed = wire.payload_of(peer.plain(packet, 1))[1]
            longer = frames.outer6(sealed, chain=chain)
            expected = peer.arrived(packet)
            self.accept_esp(frames.ethernet(UNPROTECTED, longer), expected)


class HopsThatRunOutOnThePath(ModeTest):
    """The outer hop limit is the inner one: with one left, there is nothing to forward."""

    def runTest(self) -> None:
        for shape in beets():
            _, peer = self.receiving(shape)
            packet = packet_of(shape.inner, 100, ours=False)
            changed = frames.rewritten(peer.send(packet, 1), ttl_less=63)
            verdict = self.gw.send(UNPROTECTED, frames.ethernet(UNPROTECTED, changed))
            self.assertEqual(dict(verdict.drops), {Drop.TTL: 1})
            self.assertEqual(len(verdict.packet_ins), 1)


class SelectorsLookAtTheRebuiltPacket(ModeTest):
    """Ports and protocol of the SA are checked on what is inside."""

    def runTest(self) -> None:
        pair = Traffic(src=f"{REMOTE_HOST}/32", dst=f"{HOST}/32", protocol=17, dport=(5001, 5001))
        _, peer = self.receiving(Shape(Mode.BEET_V4), selectors=pair)
        self.accept_from(peer, 1, frames.inner())
        self.accept_from(peer, 2, frames.inner(options=b"\x94\4\0\0"))
        other = frames.tcp(REMOTE_HOST, HOST, 5000, 5001)
        frame = frames.ethernet(UNPROTECTED, peer.send(other, 3))
        self.refuse(Drop.BAD_SELECTOR, UNPROTECTED, frame)
