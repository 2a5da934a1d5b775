"""Truncated, random and hostile input: nothing crashes, and every packet has one outcome."""

from __future__ import annotations

import random
import struct
from typing import Any

from harness import esp, frames
from harness.gateway import Verdict
from harness.ids import CRYPTO_PORT, Drop, Op, Outcome
from harness.tables import Traffic
from harness.testcase import GatewayTest
from harness.topology import BOOT_ID, HOST, PROTECTED, UNPROTECTED, UNPROTECTED_VLAN
from harness.tunnels import NAT_T

LAYER4_AT = 14 + 20
OPTIONS = b"\1\1\1\1\1\1\1\0"
OCTETS_NEEDED = {6: 4, 17: 8, 132: 4, 1: 2, 50: 12, 47: 0}  # by protocol, for the selectors


class RobustnessTest(GatewayTest):
    """The books must balance, and the switch must still be there."""

    def balanced(self, port: int, *data: bytes) -> Verdict:
        """Sends frames whose outcome may be anything, but must be exactly one each."""
        verdict = self.gw.send(port, *data)
        forwarded, to_engine = verdict.outcomes[Outcome.FORWARDED], len(verdict.requests)
        self.assertEqual(verdict.drops.total(), verdict.outcomes[Outcome.DROPPED])
        self.assertEqual(len(verdict.outputs), forwarded)
        self.assertEqual(verdict.outcomes.total(), len(data) + to_engine)
        return verdict

    def all_dropped(self, port: int, *data: bytes) -> Verdict:
        """The same, and not one of them gets anywhere."""
        verdict = self.balanced(port, *data)
        self.assertEqual((verdict.outputs, verdict.packet_ins, verdict.requests), ([], [], []))
        self.assertEqual(verdict.drops.total(), len(data))
        return verdict

    def tearDown(self) -> None:
        self.assertEqual(self.gw.read(Op.READ_BOOT, 0), BOOT_ID)
        super().tearDown()


def cuts(frame: bytes) -> list[bytes]:
    """The frame cut at every length short of the whole; bmv2 takes no empty frame."""
    return [frame[:size] for size in range(1, len(frame))]


class TruncatedEsp(RobustnessTest):
    """ESP cut at every octet: plain, in UDP, tagged, behind options."""

    def runTest(self) -> None:
        tunnel = self.inbound()
        kinds: tuple[tuple[int, dict[str, Any]], ...] = (
            (UNPROTECTED, {}),
            (UNPROTECTED, {"udp": NAT_T}),
            (UNPROTECTED_VLAN, {}),
            (UNPROTECTED, {"options": OPTIONS}),
        )
        for port, fields in kinds:
            frame = tunnel.frame(1, frames.inner(), port=port, **fields)
            verdict = self.all_dropped(port, *cuts(frame))
            self.assertLessEqual(set(verdict.drops), {Drop.NOT_IP, Drop.NO_ROLE, Drop.BAD_OUTER})
        self.assertEqual(tunnel.top(), 0)


class TruncatedAndShortened(RobustnessTest):
    """The same with an IP length that fits what is left, so that later states see the cut."""

    def runTest(self) -> None:
        tunnel = self.inbound()
        whole = tunnel.esp(1, frames.inner())
        short = [frames.ethernet(UNPROTECTED, frames.outer(whole[:n])) for n in range(len(whole))]
        verdict = self.all_or_bad_icv(short)
        self.assertEqual(verdict.drops[Drop.RUNT], esp.HEAD_LEN)
        self.assertEqual(tunnel.top(), 0)

    def all_or_bad_icv(self, data: list[bytes]) -> Verdict:
        """Lengths of whole blocks reach the engine, which refuses them."""
        verdict = self.gw.send(UNPROTECTED, *data)
        self.assertEqual((verdict.outputs, verdict.packet_ins), ([], []))
        self.assertLessEqual(set(verdict.drops), {Drop.RUNT, Drop.BAD_LENGTH, Drop.BAD_ICV})
        self.assertEqual(verdict.drops.total(), len(data))
        return verdict


class TruncatedIke(RobustnessTest):
    """IKE on 500 and 4500, cut in the frame and cut in the datagram."""

    def runTest(self) -> None:
        ike = struct.pack("!QQBBBBII", 1, 0, 33, 0x20, 34, 8, 0, 28)
        for payload, port in ((ike, 500), (bytes(4) + ike, 4500)):
            packet = frames.datagram(payload, dport=port)
            self.all_dropped(UNPROTECTED, *cuts(frames.ethernet(UNPROTECTED, packet)))
            for size in range(len(payload)):
                short = frames.datagram(payload[:size], dport=port)
                self.balanced(UNPROTECTED, frames.ethernet(UNPROTECTED, short))


class LengthsThatLieInTheDatagram(RobustnessTest):
    """A UDP length that reaches beyond the frame never makes the parser read there."""

    def runTest(self) -> None:
        for port in (500, 4500):
            for size in range(48):
                packet = frames.datagram(bytes(size), dport=port, length=8 + 60)
                self.all_dropped(UNPROTECTED, frames.ethernet(UNPROTECTED, packet))


class TruncatedInside(RobustnessTest):
    """Packets of our site, cut at every octet of Ethernet, IP and layer 4."""

    def runTest(self) -> None:
        tunnel = self.protected_outbound()
        options = frames.outgoing(80, options=OPTIONS)
        tcp = frames.tcp(HOST, "10.1.1.1", 1, 2)
        for packet in (frames.outgoing(), options, tcp):
            self.all_dropped(PROTECTED, *cuts(frames.ethernet(PROTECTED, packet)))
        self.assertEqual(tunnel.last(), 0)


class ShortLayer4(RobustnessTest):
    """Layer 4 cut with the IP length adapted: what has no ports is MALFORMED, the rest passes."""

    def runTest(self) -> None:
        self.bypass(Traffic())
        for protocol, needed in OCTETS_NEEDED.items():
            for size in range(14):
                packet = frames.ipv4(bytes(size), src=HOST, dst="10.1.1.1", proto=protocol, ttl=9)
                verdict = self.balanced(PROTECTED, frames.ethernet(PROTECTED, packet))
                with self.subTest(protocol=protocol, size=size):
                    self.assertEqual(len(verdict.outputs), int(size >= needed))


class TruncatedInner(RobustnessTest):
    """An authentic packet whose inner packet is cut at every octet."""

    def runTest(self) -> None:
        tunnel = self.inbound()
        packet = frames.inner(size=64, options=OPTIONS)
        sealed = [
            tunnel.esp_by_hand(size, esp.with_trailer(packet[:size]))
            for size in range(1, len(packet))
        ]
        batch = [frames.ethernet(UNPROTECTED, frames.outer(octets)) for octets in sealed]
        verdict = self.balanced(UNPROTECTED, *batch)
        self.assertEqual(dict(verdict.drops), {Drop.BAD_INNER: len(batch)})


class TruncatedInnerLayer4(RobustnessTest):
    """An authentic packet with too little behind a good inner header."""

    def runTest(self) -> None:
        tunnel = self.inbound()
        for seq, (protocol, size) in enumerate(((6, 3), (17, 7), (1, 1), (132, 0)), start=1):
            packet = frames.ipv4(bytes(size), src="10.1.1.1", dst=HOST, proto=protocol, ttl=9)
            verdict = self.balanced(UNPROTECTED, tunnel.frame(seq, packet))
            self.assertEqual(dict(verdict.drops), {Drop.BAD_INNER: 1})


class Rob01RandomOctets(RobustnessTest):
    """ROB-01: random octets behind protocol 50, UDP 4500, IP and Ethernet."""

    COUNT = 250

    def runTest(self) -> None:
        rng = random.Random(1)
        self.inbound()
        makers = (
            lambda data: frames.ethernet(UNPROTECTED, frames.outer(data)),
            lambda data: frames.ethernet(UNPROTECTED, frames.datagram(data)),
            lambda data: frames.ethernet(UNPROTECTED, data),
            lambda data: data,
        )
        for make in makers:
            batch = [make(rng.randbytes(rng.randrange(1, 120))) for _ in range(self.COUNT)]
            for port in (UNPROTECTED, PROTECTED):
                self.balanced(port, *batch)


class RandomAnswers(RobustnessTest):
    """Random octets on the crypto port, alone and behind a plausible head: none gets anywhere."""

    def runTest(self) -> None:
        rng = random.Random(2)
        self.inbound()
        heads = (b"", bytes(12) + b"\x88\xb5\x82\x06\x00\x04", bytes(12) + b"\x88\xb5\x81\x02\x00")
        for head in heads:
            batch = [head + rng.randbytes(rng.randrange(1, 150)) for _ in range(200)]
            self.all_dropped(CRYPTO_PORT, *batch)


class RandomDamage(RobustnessTest):
    """A good packet with random octets changed: forwarded unharmed, or counted."""

    def runTest(self) -> None:
        rng = random.Random(3)
        tunnel = self.inbound()
        batch = []
        for _ in range(300):
            frame = bytearray(tunnel.frame(rng.randrange(1, 60), frames.inner()))
            for _ in range(rng.randrange(1, 4)):
                frame[rng.randrange(14, len(frame))] = rng.randrange(256)
            batch.append(bytes(frame))
        verdict = self.balanced(UNPROTECTED, *batch)
        whole = frames.delivered(PROTECTED, frames.rewritten(frames.inner()))
        self.assertLessEqual({frame.data for frame in verdict.outputs}, {whole})


class LargestFrames(RobustnessTest):
    """Frames up to the MTU of the crypto port and beyond pass both ways, nothing is cut."""

    def runTest(self) -> None:
        outbound, inbound = self.protected_outbound(), self.inbound()
        for seq, size in enumerate((1446, 1500, 4000, 8900), start=1):
            packet = frames.outgoing(size)
            self.assertEqual(outbound.open(self.seal(outbound, packet)), frames.rewritten(packet))
            self.accept(inbound, seq, frames.inner(size=size))
