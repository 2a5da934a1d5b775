"""The transforms beside AES-GCM and ChaCha20-Poly1305: known answers, lengths, tampering."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from harness import esp, frames, tables
from harness import vectors as vec
from harness import vectors_modes as more
from harness.esp import Key
from harness.ids import Drop
from harness.sa import NEVER
from harness.tables import Traffic
from harness.testcase import GatewayTest
from harness.topology import REMOTE, SITE, UNPROTECTED
from harness.transforms import TRANSFORMS

ESP_HEADER_LEN = 8


@dataclass(frozen=True, slots=True)
class Vector:
    """A known answer: the packet ``vec.INNER`` sealed under number 7."""

    name: str
    sealed: bytes
    key: Key
    esn: bool = False

    @property
    def seq(self) -> int:
        """The full number."""
        return vec.ESN_SEQ if self.esn else vec.SEQ


VECTORS = (
    Vector("D1", vec.D1, vec.KEY),
    Vector("D2", vec.D2, vec.KEY, esn=True),
    Vector("D3", more.D3, more.IIV_KEY),
    Vector("D4", more.D4, more.IIV_KEY, esn=True),
    Vector("D5", vec.D5, vec.CHACHA_KEY, esn=True),
    Vector("D6a", more.D6A, more.GMAC_KEY),
    Vector("D6b", more.D6B, more.GMAC_KEY, esn=True),
    Vector("D7a", more.D7A, more.CBC_KEY),
    Vector("D7b", more.D7B, more.CBC_KEY, esn=True),
    Vector("D8", more.D8, more.NULL_KEY),
)


def carrying(sealed: bytes) -> bytes:
    """The frame around ESP octets."""
    return frames.ethernet(UNPROTECTED, frames.outer(sealed))


class TransformTest(GatewayTest):
    """SAs with the SPI of the vectors."""

    def case(self, vector: Vector) -> None:
        """An SA that expects this vector next."""
        tunnel = self.inbound(spi=vec.SPI, key=vector.key, esn=vector.esn)
        if vector.esn:  # first half a subspace, then the rest: farther is taken for older
            for seq in (1 << 31, 1 << 32):
                sealed = tunnel.esp_by_hand(seq, self.text(vector.key))
                self.accept_esp(carrying(sealed), vec.INNER)

    def text(self, key: Key) -> bytes:
        """The inner packet of the vectors with its trailer."""
        pad = bytes(range(1, -(len(vec.INNER) + 2) % key.align + 1))
        return vec.INNER + pad + bytes([len(pad), 4])

    def refuse_on(self, vector: Vector, key: Key, *, esn: bool = False) -> None:
        """Proves: on an SA with another transform, or ESN, the vector is not authentic."""
        self.case(Vector("", b"", key, esn))
        self.refuse(Drop.BAD_ICV, UNPROTECTED, carrying(vector.sealed))
        self.gw.reset(self.session.base)


class Icv03KnownAnswersOfEveryTransform(TransformTest):
    """ICV-03: D1 to D8 inbound."""

    def runTest(self) -> None:
        for vector in VECTORS:
            with self.subTest(vector=vector.name):
                self.case(vector)
                self.accept_esp(carrying(vector.sealed), vec.INNER)
            self.gw.reset(self.session.base)


class SendingTest(TransformTest):
    """ICV-03: with the number brought there, the gateway sends the vector.

    One vector a test, because some have one key and IV in common.  Not those of D2, D5 and D6b,
    whose IV is no 64-bit sequence number, nor of D7a and D7b: the engine draws the IV of CBC.
    """

    shows_payload = True

    def assert_sent(self, vector: Vector) -> None:
        """The addresses of the vectors point the other way."""
        hard: dict[str, Any] = {"seq_hard": NEVER} if vector.esn else {}
        tunnel = self.outbound(key=vector.key, spi=vec.SPI, esn=vector.esn, **hard)
        rule = tables.spd(Traffic(src=REMOTE, dst=SITE), "protect", policy=9)
        self.gw.insert(rule, tables.sa_select(9, SITE, tunnel.sa.sa))
        tunnel.advance(vector.seq - 1)
        wire = self.seal(tunnel, frames.rewritten(vec.INNER, ttl_less=-1))
        self.assertEqual(wire[20:], vector.sealed)


class Icv03SendsD3(SendingTest):
    """AES-GCM with an implicit IV."""

    def runTest(self) -> None:
        self.assert_sent(VECTORS[2])


class Icv03SendsD4(SendingTest):
    """The same with ESN."""

    def runTest(self) -> None:
        self.assert_sent(VECTORS[3])


class Icv03SendsD6a(SendingTest):
    """AES-GMAC."""

    def runTest(self) -> None:
        self.assert_sent(VECTORS[5])


class Icv03SendsD8(SendingTest):
    """NULL with HMAC-SHA-256-128."""

    def runTest(self) -> None:
        self.assert_sent(VECTORS[9])


class Icv08ExplicitAndImplicitIv(TransformTest):
    """ICV-08: D3 on an SA with explicit IVs, D1 on one with implicit ones."""

    def runTest(self) -> None:
        self.refuse_on(VECTORS[2], vec.KEY)
        self.refuse_on(VECTORS[0], more.IIV_KEY)


class Icv10IvOfGmacIsAuthentic(TransformTest):
    """ICV-10: D6a with any octet flipped, the IV's eight among them (RFC 4543 3.3)."""

    def runTest(self) -> None:
        self.case(VECTORS[5])
        for place in range(ESP_HEADER_LEN, len(more.D6A)):
            sealed = bytearray(more.D6A)
            sealed[place] ^= 0x10
            self.refuse(Drop.BAD_ICV, UNPROTECTED, carrying(bytes(sealed)))
        self.accept_esp(carrying(more.D6A), vec.INNER)


class Icv11TruncatedTo96Bits(TransformTest):
    """ICV-11: D7a without its last 4 octets is no whole number of blocks; no crypto call."""

    def runTest(self) -> None:
        self.case(VECTORS[7])
        verdict = self.refuse(Drop.BAD_LENGTH, UNPROTECTED, carrying(more.D7A[:-4]))
        self.assertEqual(verdict.requests, [])
        self.accept_esp(carrying(more.D7A), vec.INNER)


class Icv12HighHalfInTheHmac(TransformTest):
    """ICV-12: D7b on a 32-bit SA, D7a on one with ESN (RFC 4303 2.2.1)."""

    def runTest(self) -> None:
        self.refuse_on(VECTORS[8], more.CBC_KEY)
        self.refuse_on(VECTORS[7], more.CBC_KEY, esn=True)


class Icv14CbcIvIsNoCounter(TransformTest):
    """ICV-14: the engine draws the IVs; what the pipeline left room for does not travel."""

    def runTest(self) -> None:
        tunnel = self.protected_outbound(key=more.CBC_KEY)
        ivs = [self.seal(tunnel, frames.outgoing())[28:44] for _ in range(8)]
        self.assertEqual(len(set(ivs)), 8)
        self.assertNotIn(bytes(16), ivs)


class Frm02EveryLengthOfEveryTransform(TransformTest):
    """FRM-02: every length from 8 octets on: below one block, or beside one, no crypto call."""

    def runTest(self) -> None:
        for name, make in TRANSFORMS.items():
            key = make(1000)
            least = ESP_HEADER_LEN + key.iv_len + key.icv_len + key.align
            tunnel = self.inbound(key=key)
            with self.subTest(transform=name):
                head = tunnel.sa.spi.to_bytes(4) + (1).to_bytes(4)
                for size in range(8, least + key.align + 1):
                    whole = size >= least and (size - least) % key.align == 0
                    frame = carrying((head + bytes(size))[:size])
                    reason = Drop.BAD_ICV if whole else esp.shorter(size)
                    verdict = self.refuse(reason, UNPROTECTED, frame)
                    self.assertEqual(len(verdict.requests), whole)


class LeastLengthsOfTheDigest(TransformTest):
    """Digest 1.2: a packet without payload has 36, 28 or 56 octets."""

    def runTest(self) -> None:
        least = {
            name: ESP_HEADER_LEN + key.iv_len + key.icv_len + key.align
            for name, key in ((name, make(0)) for name, make in TRANSFORMS.items())
        }
        for name, make in TRANSFORMS.items():
            tunnel = self.inbound(key=make(1001))
            pad = bytes(range(1, make(0).align - 1))
            dummy = tunnel.esp_by_hand(1, pad + bytes([len(pad), 59]))
            self.assertEqual(len(dummy), least[name])
            self.refuse(Drop.DUMMY, UNPROTECTED, carrying(dummy))
        self.assertEqual(least["AES-GCM-128"], 36)
        self.assertEqual(least["AES-GCM-128-IIV"], 28)
        self.assertEqual(least["AES-CBC-128"], 56)
        self.assertEqual(least["NULL"], 28)
