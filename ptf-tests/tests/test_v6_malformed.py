"""IPv6 cut short, and lengths that lie: every packet has one outcome, and a reason that fits."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from harness import esp, frames
from harness.families import FAMILIES, INNER6, FamilyTest, datagram6, incoming, outgoing
from harness.frames import Extension
from harness.gateway import Verdict
from harness.ids import Drop, Op, Outcome
from harness.tables import Traffic
from harness.topology import (
    BOOT_ID,
    GATEWAY6,
    HOST6,
    PEER6,
    PROTECTED,
    REMOTE_HOST6,
    UNPROTECTED,
    UNPROTECTED_VLAN,
)
from harness.tunnels import NAT_T

HOP_BY_HOP, ROUTING, DESTINATION = 0, 43, 60
TCP, UDP, ICMPV6, SCTP, ESP_NUMBER, GRE = 6, 17, 58, 132, 50, 47
OCTETS_NEEDED = {TCP: 4, UDP: 8, SCTP: 4, ICMPV6: 2, ESP_NUMBER: 12, GRE: 0, 59: 0}
"""By protocol, for the selectors."""
WHOLE_CHAIN = (
    frames.options6(HOP_BY_HOP, 1),
    frames.options6(DESTINATION),
    frames.routing6(),
    frames.options6(DESTINATION, 2),
)


def cuts(frame: bytes) -> list[bytes]:
    """The frame cut at every length short of the whole; bmv2 takes no empty frame."""
    return [frame[:size] for size in range(1, len(frame))]


def shortened(packet: bytes) -> Iterator[bytes]:
    """The packet cut at every octet behind its IPv6 header, with the length that fits."""
    for size in range(40, len(packet)):
        yield packet[:4] + struct.pack("!H", size - 40) + packet[6:size]


class Malformed6Test(FamilyTest):
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


class TruncatedFrames(Malformed6Test):
    """Tunnel packets cut at every octet of their frame: plain, in UDP, tagged, behind headers."""

    def runTest(self) -> None:
        tunnel = self.inbound(outer=6, inner=6)
        kinds: tuple[tuple[int, dict[str, Any]], ...] = (
            (UNPROTECTED, {}),
            (UNPROTECTED, {"udp": NAT_T}),
            (UNPROTECTED_VLAN, {}),
            (UNPROTECTED, {"chain": WHOLE_CHAIN}),
        )
        for port, fields in kinds:
            frame = tunnel.frame(1, incoming(6), port=port, **fields)
            verdict = self.all_dropped(port, *cuts(frame))
            self.assertLessEqual(set(verdict.drops), {Drop.NOT_IP, Drop.NO_ROLE, Drop.BAD_OUTER})
        self.assertEqual(tunnel.top(), 0)


class TruncatedChainOutside(Malformed6Test):
    """Cut with the length adapted: inside the chain there is no packet, behind it a runt."""

    def runTest(self) -> None:
        tunnel = self.inbound(outer=6)
        chain_len = sum(map(len, WHOLE_CHAIN))
        packet = frames.outer6(tunnel.esp(1, incoming(4))[:16], chain=WHOLE_CHAIN)
        short = [frames.ethernet(UNPROTECTED, cut) for cut in shortened(packet)]
        self.refuse(Drop.MALFORMED, UNPROTECTED, *short[:chain_len])
        whole = chain_len + esp.HEAD_LEN
        self.refuse(Drop.RUNT, UNPROTECTED, *short[chain_len:whole])
        self.refuse(Drop.BAD_LENGTH, UNPROTECTED, *short[whole:])
        self.assertEqual(tunnel.top(), 0)


class ChainLongerThanThePacket(Malformed6Test):
    """A chain that the frame holds, but the packet's length does not: from outside BAD_OUTER,
    from inside MALFORMED, and never what stands in the padding."""

    def runTest(self) -> None:
        self.bypass(Traffic(src="::/0"))
        self.inbound(outer=6)
        for length in range(sum(map(len, WHOLE_CHAIN))):
            packet = frames.outer6(bytes(64), chain=WHOLE_CHAIN, plen=length)
            self.refuse(Drop.BAD_OUTER, UNPROTECTED, frames.ethernet(UNPROTECTED, packet))
            inside = outgoing(6, 300, chain=WHOLE_CHAIN, plen=length)
            self.refuse(Drop.MALFORMED, PROTECTED, frames.ethernet(PROTECTED, inside))


class TruncatedInside(Malformed6Test):
    """Packets of our site, cut at every octet: none is sealed."""

    def runTest(self) -> None:
        for outer, inner in INNER6:
            tunnel = self.protected_outbound(outer=outer, inner=inner)
            for chain in ((), WHOLE_CHAIN, (frames.fragment6(0),)):
                packet = outgoing(6, 200, chain=chain)
                verdict = self.all_dropped(PROTECTED, *cuts(frames.ethernet(PROTECTED, packet)))
                self.assertLessEqual(set(verdict.drops), {Drop.NOT_IP, Drop.MALFORMED})
            self.assertEqual(tunnel.last(), 0)
            self.gw.reset(self.session.base)


class ShortLayer4(Malformed6Test):
    """Layer 4 cut with the length adapted, behind every kind of chain: what has no ports is
    MALFORMED, the rest passes."""

    def runTest(self) -> None:
        self.bypass(Traffic(src="::/0"))
        chains: Sequence[Sequence[Extension]] = ((), WHOLE_CHAIN, (frames.options6(DESTINATION),))
        for chain in chains:
            for protocol, needed in OCTETS_NEEDED.items():
                self.sizes(protocol, needed, chain)
        for chain in ((), WHOLE_CHAIN[:3]):
            self.sizes(UDP, 4, (*chain, frames.fragment6(0)))

    def sizes(self, protocol: int, needed: int, chain: Sequence[Extension]) -> None:
        """From nothing to more than any needs."""
        for size in range(14):
            packet = frames.ipv6(
                bytes(size), protocol, chain=chain, src=HOST6, dst=REMOTE_HOST6, hlim=9
            )
            frame = frames.ethernet(PROTECTED, packet)
            with self.subTest(protocol=protocol, size=size):
                if size >= needed:
                    self.forward(PROTECTED, frame)
                else:
                    reason = Drop.RUNT if protocol == ESP_NUMBER else Drop.MALFORMED
                    self.refuse(reason, PROTECTED, frame)


class TruncatedInner(Malformed6Test):
    """An authentic packet whose inner packet is cut at every octet."""

    def runTest(self) -> None:
        for outer, inner in INNER6:
            tunnel = self.inbound(outer=outer, inner=inner, window=1024)
            packet = incoming(6, 180, chain=WHOLE_CHAIN)
            batch = [
                self.sealed(tunnel, esp.with_trailer(packet[:size], 41))
                for size in range(1, len(packet))
            ]
            verdict = self.balanced(UNPROTECTED, *batch)
            self.assertEqual(dict(verdict.drops), {Drop.BAD_INNER: len(batch)})


class TruncatedInnerWithFittingLength(Malformed6Test):
    """The same with the inner length adapted: the chain and the ports must be whole."""

    def runTest(self) -> None:
        needed = sum(map(len, WHOLE_CHAIN)) + 8
        for outer, inner in INNER6:
            tunnel = self.inbound(outer=outer, inner=inner, window=1024)
            packet = incoming(6, 40 + needed, chain=WHOLE_CHAIN)
            batch = [self.carrying(tunnel, cut) for cut in shortened(packet)]
            self.refuse(Drop.BAD_INNER, UNPROTECTED, *batch)
            self.accept_esp(self.carrying(tunnel, packet), packet)


class TruncatedIke(Malformed6Test):
    """IKE on 500 and 4500, cut in the frame and cut in the datagram."""

    def runTest(self) -> None:
        ike = struct.pack("!QQBBBBII", 1, 0, 33, 0x20, 34, 8, 0, 28)
        for payload, port in ((ike, 500), (bytes(4) + ike, 4500)):
            whole = frames.ethernet(UNPROTECTED, datagram6(payload, dport=port))
            self.all_dropped(UNPROTECTED, *cuts(whole))
            for size in range(len(payload)):
                cut = frames.ethernet(UNPROTECTED, datagram6(payload[:size], dport=port))
                verdict = self.all_dropped(UNPROTECTED, cut)
                self.assertLessEqual(set(verdict.drops), {Drop.POLICY_DISCARD, Drop.RUNT})


class LengthsThatLieInTheDatagram(Malformed6Test):
    """A UDP length that reaches beyond the frame never makes the parser read there."""

    def runTest(self) -> None:
        for port in (500, 4500):
            for size in range(48):
                packet = datagram6(bytes(size), dport=port, length=8 + 60)
                self.all_dropped(UNPROTECTED, frames.ethernet(UNPROTECTED, packet))


class Rob01RandomOctets(Malformed6Test):
    """ROB-01: random octets behind ESP, UDP 4500, every extension header, IPv6 and Ethernet."""

    COUNT = 64

    def runTest(self) -> None:
        rng = random.Random(6)
        self.inbound(outer=6, inner=6)
        self.bypass(Traffic(src="::/0"))
        for make in self.makers():
            batch = [make(rng.randbytes(rng.randrange(1, 120))) for _ in range(self.COUNT)]
            for port in (UNPROTECTED, PROTECTED):
                self.balanced(port, *(frames.ethernet(port, packet) for packet in batch))

    def makers(self) -> list[Callable[[bytes], bytes]]:
        """What random octets are put behind."""

        def behind(number: int) -> Callable[[bytes], bytes]:
            ends: dict[str, Any] = {"src": PEER6, "dst": GATEWAY6}
            return lambda data: frames.ipv6(data, number, **ends)

        headers = [behind(number) for number in (0, 43, 44, 60, 50, 58, 141, 17)]
        return [frames.outer6, datagram6, *headers, lambda data: b"\x60" + data]


class RandomDamage(Malformed6Test):
    """A good packet with random octets changed: forwarded unharmed, or counted."""

    def runTest(self) -> None:
        rng = random.Random(66)
        for outer, inner in FAMILIES:
            tunnel = self.inbound(outer=outer, inner=inner)
            batch = []
            for _ in range(96):
                frame = bytearray(tunnel.frame(rng.randrange(1, 60), incoming(inner)))
                for _ in range(rng.randrange(1, 4)):
                    frame[rng.randrange(14, len(frame))] = rng.randrange(256)
                batch.append(bytes(frame))
            verdict = self.balanced(UNPROTECTED, *batch)
            whole = frames.delivered(PROTECTED, frames.rewritten(incoming(inner)))
            self.assertLessEqual({out.data for out in verdict.outputs}, {whole})
