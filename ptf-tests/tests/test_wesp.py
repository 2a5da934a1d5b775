"""WESP (RFC 5840): the header that must say what the SA says (cases WSP)."""

from __future__ import annotations

import struct

from harness import frames, wire
from harness import vectors as vec
from harness import vectors_modes as more
from harness.esp import Key
from harness.ids import Drop, Mode, Wrap
from harness.modes import ModeTest, Peer, Shape, key_of, packet_of, shapes
from harness.topology import UNPROTECTED
from harness.tunnels import NAT_T, InboundTunnel

ENCRYPTED, PADDED = wire.WESP_ENCRYPTED, wire.WESP_PADDED
NEXT_HEADER, HDR_LEN, TRAILER_LEN, FLAGS = range(4)


def in_wesp(octets: bytes, version: int = 4, *, udp: bool = False) -> bytes:
    """The frame with WESP from the peer."""
    build = frames.outer6 if version == 6 else frames.outer
    if udp:
        return frames.ethernet(UNPROTECTED, build(wire.WESP_MARKER + octets, udp=NAT_T))
    return frames.ethernet(UNPROTECTED, build(octets, proto=wire.WESP))


def changed(octets: bytes, place: int, value: int) -> bytes:
    """One octet of the header set."""
    return octets[:place] + bytes([value]) + octets[place + 1 :]


class WespTest(ModeTest):
    """SAs with the SPI of the vectors."""

    def visible(self, version: int = 4, key: Key = more.NULL_KEY) -> InboundTunnel:
        """Integrity only, as for D8."""
        return self.inbound(key=key, spi=vec.SPI, wrap=Wrap.VISIBLE, outer=version)

    def encrypted(self, version: int = 4) -> InboundTunnel:
        """AES-GCM, as for D1."""
        return self.inbound(key=vec.KEY, spi=vec.SPI, wrap=Wrap.ENCRYPTED, outer=version)

    def mismatch(self, frame: bytes) -> None:
        """Proves: dropped before any crypto call."""
        verdict = self.refuse(Drop.ENCAP_MISMATCH, UNPROTECTED, frame)
        self.assertEqual(verdict.requests, [])


class Wsp01Vectors(WespTest):
    """WSP-01: D9a over IPv4, D9b over IPv6, D9c over IPv4."""

    def runTest(self) -> None:
        self.visible()
        self.accept_esp(in_wesp(more.D9A), vec.INNER)
        self.visible(6)
        self.accept_esp(in_wesp(more.D9B, 6), vec.INNER)
        self.gw.reset(self.session.base)
        self.encrypted()
        self.accept_esp(in_wesp(more.D9C), vec.INNER)


class Wsp01VectorsAreSent(WespTest):
    """WSP-01: the headers of D9a, D9b and D9c in front of what we send."""

    shows_payload = True

    def runTest(self) -> None:
        cases = (
            (4, Wrap.VISIBLE, more.NULL_KEY, more.D9A[:4]),
            (6, Wrap.VISIBLE, more.NULL_KEY, more.D9B[:8]),
            (4, Wrap.ENCRYPTED, vec.KEY, more.D9C[:4]),
            (6, Wrap.ENCRYPTED, key_of("AES-GCM-128", 1), bytes([0, 0, 0, 0x30]) + bytes(4)),
        )
        for outer, wrap, key, expected in cases:
            entries = self.gw.installed()
            tunnel, _ = self.sending(Shape(outer=outer, wrap=wrap), key=key)
            out = self.seal(tunnel, frames.outgoing())
            head = 40 if outer == 6 else 20
            self.assertEqual(out[6 if outer == 6 else 9], wire.WESP)
            self.assertEqual(out[head : head + len(expected)], expected)
            self.assertEqual(out[head + len(expected) :][:8], struct.pack("!II", tunnel.sa.spi, 1))
            self.gw.reset(entries)


class HeaderLengthsOfTheDigest(WespTest):
    """Digest 4.1: HdrLen of NULL and of AES-GMAC, with and without padding and UDP."""

    shows_payload = True

    TABLE = (
        ("NULL", 4, None, 12),
        ("NULL", 4, NAT_T, 12),
        ("NULL", 6, None, 16),
        ("NULL", 6, NAT_T, 12),
        ("AES-GMAC-128", 4, None, 20),
        ("AES-GMAC-128", 4, NAT_T, 20),
        ("AES-GMAC-128", 6, None, 24),
        ("AES-GMAC-128", 6, NAT_T, 20),
    )

    def runTest(self) -> None:
        for number, (name, outer, udp, header_len) in enumerate(self.TABLE):
            entries = self.gw.installed()
            shape = Shape(outer=outer, wrap=Wrap.VISIBLE, udp=udp)
            tunnel, _ = self.sending(shape, key=key_of(name, 3000 + number))
            taken = wire.unwrapped(self.seal(tunnel, frames.outgoing()))
            padded = PADDED if outer == 6 and udp is None else 0
            self.assertEqual(taken.wesp[:4], bytes([4, header_len, 16, padded]))
            self.gw.reset(entries)


class NextHeaderOfEveryMode(WespTest):
    """RFC 5840 2: what the ESP trailer says stands in front as well."""

    shows_payload = True

    def runTest(self) -> None:
        for number, shape in enumerate(shapes(wrap=Wrap.VISIBLE)):
            entries = self.gw.installed()
            key = key_of("NULL", 3100 + number)
            tunnel, peer = self.sending(shape, key=key)
            taken = wire.unwrapped(self.seal(tunnel, packet_of(shape.inner, 90, ours=True)))
            trailer = taken.packet[-key.icv_len - 1]
            self.assertEqual(taken.wesp[NEXT_HEADER], trailer)
            expected = {Mode.TUNNEL: 4 if shape.inner == 4 else 41}.get(shape.mode, 17)
            self.assertEqual(trailer, expected)
            self.assertEqual(peer.shape, shape)
            self.gw.reset(entries)


class Wsp02FieldsThatLie(WespTest):
    """WSP-02: HdrLen and TrailerLen: before any crypto call; the next header: behind it."""

    def runTest(self) -> None:
        tunnel = self.visible()
        for length in (8, 16, 14, 0, 13, 20, 255):
            self.mismatch(in_wesp(changed(more.D9A, HDR_LEN, length)))
        for length in (12, 0, 15, 17, 32):
            self.mismatch(in_wesp(changed(more.D9A, TRAILER_LEN, length)))
        self.assertEqual(tunnel.top(), 0)
        self.accept_esp(in_wesp(more.D9A), vec.INNER)


class Wsp02NextHeaderLies(WespTest):
    """WSP-02: it is compared with the trailer, once that is authentic: the number is used up."""

    def runTest(self) -> None:
        tunnel, peer = self.receiving(Shape(wrap=Wrap.VISIBLE), key=key_of("NULL", 3200))
        for seq, number in enumerate((6, 0, 41, 59, 5), start=1):
            plain = peer.plain(packet_of(4, 60, ours=False), seq)
            frame = frames.ethernet(UNPROTECTED, peer.wrapped(plain, number, udp=None))
            self.refuse(Drop.ENCAP_MISMATCH, UNPROTECTED, frame)
            self.assertEqual(tunnel.top(), seq)


class Wsp02FieldsOfAnEncryptingSa(WespTest):
    """WSP-02: all of them are zero then."""

    def runTest(self) -> None:
        tunnel = self.encrypted()
        for place, value in ((NEXT_HEADER, 4), (HDR_LEN, 20), (HDR_LEN, 12), (TRAILER_LEN, 16)):
            self.mismatch(in_wesp(changed(more.D9C, place, value)))
        self.assertEqual(tunnel.top(), 0)
        self.accept_esp(in_wesp(more.D9C), vec.INNER)


class Wsp03FlagsThatLie(WespTest):
    """WSP-03: E opposite to the SA, and versions 1, 2, 3."""

    def runTest(self) -> None:
        self.visible()
        self.mismatch(in_wesp(changed(more.D9A, FLAGS, ENCRYPTED)))
        self.mismatch(in_wesp(more.D9C[:4] + more.D8))
        for version in (0x40, 0x80, 0xC0):
            self.mismatch(in_wesp(changed(more.D9A, FLAGS, version)))
        self.gw.reset(self.session.base)
        self.encrypted()
        self.mismatch(in_wesp(changed(more.D9C, FLAGS, 0)))
        self.mismatch(in_wesp(bytes([4, 20, 16, 0]) + vec.D1))
        for version in (0x40, 0x80, 0xC0):
            self.mismatch(in_wesp(changed(more.D9C, FLAGS, ENCRYPTED | version)))


class Wsp04ReservedBitsAreIgnored(WespTest):
    """WSP-04: all fifteen values, with both kinds of SA."""

    def runTest(self) -> None:
        for wrap, name in ((Wrap.VISIBLE, "NULL"), (Wrap.ENCRYPTED, "AES-GCM-128")):
            _, peer = self.receiving(Shape(wrap=wrap), key=key_of(name, 3300))
            for bits in range(1, 16):
                packet = packet_of(4, 60, ours=False)
                octets = wire.payload_of(peer.send(packet, bits))[1]
                frame = in_wesp(changed(octets, FLAGS, octets[FLAGS] | bits))
                self.accept_esp(frame, packet)


class Wsp05PaddingByTheFamily(WespTest):
    """WSP-05: P over IPv4; none over IPv6, where ESP would not be aligned to 8 octets."""

    def runTest(self) -> None:
        self.visible()
        self.mismatch(in_wesp(more.D9B))
        self.visible(6)
        self.mismatch(in_wesp(more.D9A, 6))
        self.gw.reset(self.session.base)
        self.encrypted()
        padded = changed(more.D9C, FLAGS, ENCRYPTED | PADDED)
        self.mismatch(in_wesp(padded[:4] + bytes(4) + padded[4:]))
        self.encrypted(6)
        self.mismatch(in_wesp(more.D9C, 6))
        self.accept_esp(in_wesp(padded[:4] + bytes(4) + padded[4:], 6), vec.INNER)


class PaddingInUdpOverIpv6(WespTest):
    """RFC 5840 2.1: not needed there, but taken; over IPv4 it is not."""

    def runTest(self) -> None:
        self.visible(6)
        self.accept_esp(in_wesp(more.D9B, 6, udp=True), vec.INNER)
        self.visible()
        self.mismatch(in_wesp(more.D9B, udp=True))


class PaddingIsIgnored(WespTest):
    """Its content is not specified."""

    def runTest(self) -> None:
        self.visible(6)
        octets = more.D9B[:4] + b"\xde\xad\xbe\xef" + more.D9B[8:]
        self.accept_esp(in_wesp(octets, 6), vec.INNER)


class Wsp06TooShort(WespTest):
    """WSP-06: 0 to 11 octets, and 12 to 15 with P, with and without Ethernet padding."""

    def runTest(self) -> None:
        self.visible()
        self.visible(6)
        for version, octets in ((4, more.D9A[:11]), (6, more.D9B[:15]), (4, more.D9B[:15])):
            build = frames.outer6 if version == 6 else frames.outer
            for size in range(len(octets) + 1):
                packet = build(octets[:size], proto=wire.WESP)
                for pad in (b"", bytes(46)):
                    frame = frames.ethernet(UNPROTECTED, packet, pad=pad)
                    self.refuse(Drop.RUNT, UNPROTECTED, frame)


class Wsp06TooShortInUdp(WespTest):
    """WSP-06: the UDP length says how much there is."""

    def runTest(self) -> None:
        self.visible()
        for size in range(8, 12):
            self.refuse(Drop.RUNT, UNPROTECTED, in_wesp(more.D9A[:size], udp=True))
        for size in range(12, 16):
            self.refuse(Drop.RUNT, UNPROTECTED, in_wesp(more.D9B[:size], udp=True))


class EveryLengthReachesTheEngineOrNot(WespTest):
    """FRM-02 behind WESP: below the least length of the transform no crypto call."""

    def runTest(self) -> None:
        tunnel = self.visible()
        for size in range(12, len(more.D9A)):
            whole = size >= 32 and size % 4 == 0
            verdict = self.gw.send(UNPROTECTED, in_wesp(more.D9A[:size]))
            self.assert_refused(verdict, Drop.BAD_ICV if whole else Drop.BAD_LENGTH)
            self.assertEqual(len(verdict.requests), whole)
        self.assertEqual(tunnel.top(), 0)


class Wsp07OnlyIfNegotiated(WespTest):
    """WSP-07: plain ESP on a WESP SA, WESP on a plain one, in every mode."""

    def runTest(self) -> None:
        for shape in (*shapes(), *shapes(udp=NAT_T)):
            with self.subTest(shape=str(shape)):
                self.other_way(shape)

    def other_way(self, shape: Shape) -> None:
        """Both kinds of SA, both kinds of packet."""
        packet = packet_of(shape.inner, 90, ours=False)
        for wrap in (Wrap.NONE, Wrap.ENCRYPTED):
            tunnel, peer = self.receiving(Shape(shape.mode, shape.outer, shape.inner, wrap))
            header = b""
            if wrap == Wrap.NONE:
                padded = shape.outer == 6 and shape.udp is None
                header = wire.wesp_header(peer.key, 0, visible=False, padded=padded)
            out = wire.wrapped(peer.plain(packet, 1), wesp=header, udp=shape.udp)
            self.mismatch(frames.ethernet(UNPROTECTED, out))
            self.assertEqual(tunnel.top(), 0)


class Wsp08InUdp(WespTest):
    """WSP-08: behind the protocol identifier 2; and plainly, as RFC 7296 2.23 has it for ESP."""

    def runTest(self) -> None:
        self.encrypted()
        self.accept_esp(in_wesp(more.D9C, udp=True), vec.INNER)
        self.gw.reset(self.session.base)
        self.visible()
        self.accept_esp(in_wesp(more.D9A, udp=True), vec.INNER)
        self.refuse(Drop.REPLAY_DUP, UNPROTECTED, in_wesp(more.D9A))


class SpiBehindWespIsLookedUp(WespTest):
    """NO_SA and BAD_SPI come before the header is compared with an SA."""

    def runTest(self) -> None:
        self.visible()
        for spi, reason in ((0, Drop.BAD_SPI), (255, Drop.BAD_SPI), (256, Drop.NO_SA)):
            octets = more.D9A[:4] + struct.pack("!I", spi) + more.D9A[8:]
            self.refuse(reason, UNPROTECTED, in_wesp(octets))
            self.refuse(reason, UNPROTECTED, in_wesp(octets, udp=True))


class HeaderIsNotAuthenticButEspIs(WespTest):
    """Every bit behind the header is covered by the ICV."""

    def runTest(self) -> None:
        tunnel = self.visible()
        for place in range(8, len(more.D9A)):
            octets = changed(more.D9A, place, more.D9A[place] ^ 1)
            self.refuse(Drop.BAD_ICV, UNPROTECTED, in_wesp(octets))
        self.assertEqual(tunnel.top(), 0)


class WespBehindIpv6Headers(WespTest):
    """The next header is compared there, too: extension headers in front change nothing."""

    def runTest(self) -> None:
        for mode, inner in ((Mode.TUNNEL, 4), (Mode.BEET_V4, 4), (Mode.BEET_V6, 6)):
            shape = Shape(mode, 6, inner, Wrap.VISIBLE)
            _, peer = self.receiving(shape, key=key_of("NULL", 3400 + mode))
            packet = packet_of(inner, 90, ours=False)
            self.accept_esp(self.behind(peer, 1, packet), peer.arrived(packet))
            self.refuse(Drop.ENCAP_MISMATCH, UNPROTECTED, self.behind(peer, 2, packet, 77))

    def behind(self, peer: Peer, seq: int, packet: bytes, number: int | None = None) -> bytes:
        """The frame with hop-by-hop options; ``number`` stands in the WESP header."""
        plain = peer.plain(packet, seq)
        said = peer.next_header(packet, plain) if number is None else number
        octets = wire.payload_of(peer.wrapped(plain, said, udp=None))[1]
        chain = (frames.options6(0),)
        hops = packet[7] if packet[0] >> 4 == 6 else packet[8]
        outer = frames.outer6(octets, chain=chain, proto=wire.WESP, hlim=hops)
        return frames.ethernet(UNPROTECTED, outer)
