"""Authentication of inbound packets, and the known answers (conformance cases ICV)."""

from __future__ import annotations

from harness import esp, frames, tables
from harness import vectors as vec
from harness.esp import Key, own_key
from harness.ids import Drop, Op
from harness.sa import NEVER
from harness.tables import Traffic
from harness.testcase import GatewayTest
from harness.topology import REMOTE, SITE, UNPROTECTED
from harness.tunnels import OutboundTunnel

ESP_AT = 14 + 20  # in a frame without tag and options
SPI_OCTETS = range(4)


def carrying(sealed: bytes) -> bytes:
    """The frame around ESP octets."""
    return frames.ethernet(UNPROTECTED, frames.outer(sealed))


class Icv03KnownAnswersInbound(GatewayTest):
    """ICV-03: D1, D2 and D5 are accepted."""

    def runTest(self) -> None:
        cases = (
            ("D1", vec.D1, vec.KEY, False),
            ("D2", vec.D2, vec.KEY, True),
            ("D5", vec.D5, vec.CHACHA_KEY, True),
        )
        for name, sealed, key, esn in cases:
            with self.subTest(vector=name):
                tunnel = self.inbound(spi=vec.SPI, key=key, esn=esn)
                if esn:
                    self.accept(tunnel, 1 << 31)
                    self.accept(tunnel, 1 << 32)
                self.accept_esp(carrying(sealed), vec.INNER)
                self.gw.reset(self.session.base)


class Icv03KnownAnswerOutbound(GatewayTest):
    """ICV-03: with the sequence number brought there, the gateway sends D1."""

    def runTest(self) -> None:
        tunnel = self.protecting_vector()
        tunnel.advance(vec.SEQ - 1)
        wire = self.seal(tunnel, frames.rewritten(vec.INNER, ttl_less=-1))
        self.assertEqual(wire[20:], vec.D1)

    def protecting_vector(self) -> OutboundTunnel:
        """An outbound SA for the addresses of the vectors, which point the other way."""
        tunnel = self.outbound(key=vec.KEY, spi=vec.SPI)
        rule = tables.spd(Traffic(src=REMOTE, dst=SITE), "protect", policy=9)
        self.gw.insert(rule, tables.sa_select(9, SITE, tunnel.sa.sa))
        return tunnel


class Icv03ChaChaOutbound(GatewayTest):
    """RFC 7634 outbound, 32-bit and ESN: scapy opens it."""

    def runTest(self) -> None:
        packet = frames.outgoing()
        for esn, seq in ((False, 1), (True, vec.ESN_SEQ)):
            key = own_key(1 + esn, chacha=True)
            tunnel = self.protected_outbound(key=key, esn=esn, seq_hard=NEVER)
            tunnel.advance(seq - 1)
            opened = tunnel.open(self.seal(tunnel, packet), seq_high=seq >> 32)
            self.assertEqual(opened, frames.rewritten(packet))
            self.gw.reset(self.session.base)


class Icv04EveryOctetIsProtected(GatewayTest):
    """ICV-04: one bit flipped in each octet of D1; the window never moves."""

    def runTest(self) -> None:
        tunnel = self.inbound(spi=vec.SPI)
        for place in range(len(vec.D1)):
            sealed = bytearray(vec.D1)
            sealed[place] ^= 1 << place % 8
            reason = Drop.NO_SA if place in SPI_OCTETS else Drop.BAD_ICV
            with self.subTest(octet=place):
                self.refuse(reason, UNPROTECTED, carrying(bytes(sealed)))
        self.assertEqual(tunnel.top(), 0)
        self.accept_esp(carrying(vec.D1), vec.INNER)


class Icv05WrongKeyOrSalt(GatewayTest):
    """ICV-05: wrong key, wrong salt, salt from the wrong end of the key material."""

    def runTest(self) -> None:
        material = vec.KEY.secret + vec.KEY.salt
        wrong = (
            Key(bytes(16), vec.KEY.salt),
            Key(vec.KEY.secret, b"\0\0\0\0"),
            Key(material[4:], material[:4]),
        )
        self.inbound(spi=vec.SPI)
        for key in wrong:
            sealed = esp.protect(key, vec.SPI, 7, esp.with_trailer(vec.INNER))
            self.refuse(Drop.BAD_ICV, UNPROTECTED, carrying(sealed))


class Icv06EsnAndNotEsn(GatewayTest):
    """ICV-06: D1 on an ESN SA, D2 on a 32-bit SA."""

    def runTest(self) -> None:
        for esn, sealed in ((True, vec.D1), (False, vec.D2)):
            self.inbound(spi=vec.SPI, esn=esn)
            self.refuse(Drop.BAD_ICV, UNPROTECTED, carrying(sealed))
            self.gw.reset(self.session.base)


class Icv09IvIsReadFromTheWire(GatewayTest):
    """ICV-09: the receiver takes the IV as it comes, whatever the sequence number."""

    def runTest(self) -> None:
        tunnel = self.inbound()
        packet = frames.inner()
        for seq, iv in enumerate((bytes(8), b"\xff" * 8, bytes(range(8))), start=1):
            sealed = tunnel.esp_by_hand(seq, esp.with_trailer(packet), iv=iv)
            self.accept_esp(carrying(sealed), packet)


class Icv13WrongTags(GatewayTest):
    """ICV-13: all-zero tag, another packet's tag, first and last octet wrong."""

    def runTest(self) -> None:
        tunnel = self.inbound(spi=vec.SPI)
        other = esp.protect(vec.KEY, vec.SPI, 8, esp.with_trailer(vec.INNER))
        body, tag = vec.D1[:-16], vec.D1[-16:]
        tags = (bytes(16), other[-16:], bytes([tag[0] ^ 1]) + tag[1:], tag[:-1] + b"\0")
        for wrong in tags:
            self.refuse(Drop.BAD_ICV, UNPROTECTED, carrying(body + wrong))
        self.assertEqual(self.gw.read(Op.READ_TOP, tunnel.sa.space), 0)


class ScapySealsEverySize(GatewayTest):
    """What scapy sends is accepted, for every residue of the padding and far apart sizes."""

    SIZES = (28, 29, 30, 31, 32, 33, 63, 64, 512, 1023, 1400, 1446)

    def runTest(self) -> None:
        for esn in (False, True):
            tunnel = self.inbound(esn=esn)
            for seq, size in enumerate(self.SIZES, start=1):
                with self.subTest(esn=esn, size=size):
                    self.accept(tunnel, seq, frames.inner(size=size))


class ScapySealsWithChaCha(GatewayTest):
    """RFC 7634 with the same framing."""

    def runTest(self) -> None:
        tunnel = self.inbound(key=vec.CHACHA_KEY)
        for seq in (1, 2):
            self.accept(tunnel, seq)


class InboundTrafficIsCounted(GatewayTest):
    """Per SA: what was authentic and fresh counts, a forgery and a replay do not."""

    def runTest(self) -> None:
        tunnel = self.inbound()
        frame = tunnel.frame(1, frames.inner(size=100))
        self.refuse(Drop.BAD_ICV, UNPROTECTED, frame[:-1] + bytes([frame[-1] ^ 1]))
        self.assertEqual(self.gw.traffic("sa_in_traffic", tunnel.sa.sa), (0, 0))
        self.accept_esp(frame, frames.inner(size=100))
        self.refuse(Drop.REPLAY_DUP, UNPROTECTED, frame)
        packets, octets = self.gw.traffic("sa_in_traffic", tunnel.sa.sa)
        self.assertEqual(packets, 1)
        # The frame on the crypto port: Ethernet, descriptor, outer IP, ESP, IV, inner packet.
        self.assertEqual(octets, 14 + 32 + 20 + 16 + 100)
