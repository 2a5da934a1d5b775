"""Diet-ESP: what does not fit, what is no packet, and what is not authentic (digest i.11, K.6)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from harness import frames, tables
from harness.diet import TEMPLATES, Context, packed
from harness.diet_test import FLOWS, DietLayout, DietTest, Speaking, packet_of
from harness.engine import Descriptor, frame_with
from harness.esp import padding, with_trailer
from harness.format_cases import flipped
from harness.gateway import PacketOut
from harness.ids import CRYPTO_PORT, Drop, Format, Op
from harness.p4runtime import WriteRefusedError
from harness.sa import InboundSa
from harness.tables import Traffic
from harness.topology import PEER, PROTECTED, UNPROTECTED
from harness.tunnels import InboundTunnel

OTHER_PEER = "192.0.2.77"


class Replay(DietTest):
    """RFC 4303 3.4.3: what was received is refused while the window holds it; what is older is
    taken for a number to come, and is not authentic then."""

    def runTest(self) -> None:
        for sn_octets in (1, 2, 3, 4):
            with self.subTest(sn_octets=sn_octets):
                speaking = self.receiving("udp-v4", sn_octets=sn_octets)
                packet = packet_of(speaking.context, 30)
                sent = [speaking.frame(seq, packet) for seq in range(1, 131)]
                self.assertEqual(len(self.gw.send(UNPROTECTED, *sent).outputs), 130)
                self.refused(Drop.REPLAY_DUP, speaking, *sent[130 - 64 :])
                old = Drop.REPLAY_OLD if sn_octets == 4 else Drop.BAD_ICV
                self.refused(old, speaking, *sent[: 130 - 64])


class NumbersEnd(DietTest):
    """RFC 4303 3.3.3: there is no number above 2^32 - 1, and none is guessed."""

    def runTest(self) -> None:
        speaking = self.receiving("udp-v4", sn_octets=4)
        packet = packet_of(speaking.context, 30)
        self.deliver(speaking, packet, first=0xFFFF_FFF0)
        context = replace(speaking.context, sn_octets=1)
        sa = speaking.tunnel.sa
        assert isinstance(sa, InboundSa)
        self.gw.modify(
            tables.diet_peer(sa.local_id, PEER, speaking.peer, context.spi_octets, 1),
            *DietLayout(Format.DIET, context=context).inbound(sa.sa, 0, sa.spi),
        )
        shorter = replace(speaking, context=context)
        self.deliver(shorter, packet, first=0xFFFF_FFFF)
        self.refused(Drop.SEQ_RANGE, shorter, shorter.frame(3, packet))


class Outside(DietTest):
    """i.11 5 and 6: what the template does not say is dropped by name, and takes no number."""

    def runTest(self) -> None:
        for name, template in TEMPLATES.items():
            entries = self.gw.installed()
            speaking = self.sending(name)
            known = speaking.context
            right = packet_of(known, 40)
            for what, packet in strangers(known, right):
                with self.subTest(template=name, what=what):
                    self.refuse(Drop.BAD_TEMPLATE, PROTECTED, frames.ethernet(PROTECTED, packet))
            other = packet_of(
                self.context("udp-v4" if template.version == 6 else "udp-v6", ours=True), 40
            )
            everything = "0.0.0.0/0" if template.version == 6 else "::/0"
            policy = speaking.tunnel.sa.sa
            self.gw.insert(
                tables.spd(Traffic(src=everything, dst=everything), "protect", policy=policy),
                tables.sa_select(policy, everything, policy),
            )
            with self.subTest(template=name, what="the other version"):
                self.refuse(Drop.BAD_TEMPLATE, PROTECTED, frames.ethernet(PROTECTED, other))
            self.emit(speaking, right)
            self.gw.reset(entries)


class WrongChecksum(DietTest):
    """RFC 8724 10.11: a checksum that is not sent must be right, or the far end would make it so; a
    UDP checksum of 0 says nothing, and Ethernet padding hides where the packet ends."""

    def runTest(self) -> None:
        for name in FLOWS:
            entries = self.gw.installed()
            with self.subTest(template=name):
                speaking = self.sending(name)
                right = packet_of(speaking.context, 40)
                wrong = right[:-1] + bytes([right[-1] ^ 1])
                frame = frames.ethernet(PROTECTED, wrong)
                self.refuse(Drop.MALFORMED, PROTECTED, frame)
                verdict = self.gw.send(PROTECTED, frames.ethernet(PROTECTED, right, pad=b"\1\2"))
                self.assertEqual(len(verdict.outputs), 1)
            self.gw.reset(entries)


def strangers(known: Context, right: bytes) -> Iterator[tuple[str, bytes]]:
    """Packets that a template does not say, by what is wrong with them."""
    template = known.template
    v6 = template.version == 6
    other = "2001:db8:2:1::9" if v6 else "10.2.3.9"
    yield "source", packet_of(replace(known, src=other), 40)
    yield "destination", packet_of(replace(known, dst=other), 40)
    if not v6:
        body = right[20:]
        fields = {"src": known.src, "dst": known.dst, "proto": right[9], "ttl": 64}
        yield "options", frames.ipv4(body, options=b"\1" * 4, **fields)
    if template.protocol is None:
        return
    yield "source port", packet_of(replace(known, sport=known.sport + 1), 40)
    yield "destination port", packet_of(replace(known, dport=known.dport + 1), 40)
    swapped = replace(
        known,
        template=TEMPLATES[{17: "tcp", 6: "udp"}[template.protocol] + f"-v{template.version}"],
    )
    yield "protocol", packet_of(swapped, 40)
    if v6:
        chain = (frames.options6(60),)
        ends = {"src": known.src, "dst": known.dst, "hlim": 64}
        yield "extension header", frames.ipv6(right[40:], template.protocol, chain=chain, **ends)
        yield (
            "fragment",
            frames.ipv6(right[40:], template.protocol, chain=(frames.fragment6(0),), **ends),
        )
    else:
        yield "fragment", packet_of(known, 40, flags=1)
        yield "later fragment", packet_of(known, 40, frag=2)
    if template.protocol == 17:
        at = template.header_len + 4
        yield (
            "UDP length",
            right[:at] + (len(right) - template.header_len - 1).to_bytes(2) + right[at + 2 :],
        )
    else:
        short = packet_of(known, 0)[: template.header_len + 16]
        yield "TCP header", resized(short)


def resized(packet: bytes) -> bytes:
    """With a length that is true."""
    if packet[0] >> 4 == 6:
        return packet[:4] + (len(packet) - 40).to_bytes(2) + packet[6:]
    head = packet[:2] + len(packet).to_bytes(2) + packet[4:]
    return frames.rewritten(head, ttl_less=0)


class NoDummies(DietTest):
    """RFC 4303 2.6: nothing would tell a dummy from a packet: NOT_IN_SA."""

    def runTest(self) -> None:
        speaking = self.sending("udp-v4")
        dummy = PacketOut(
            Op.DUMMY, frames.ethernet(PROTECTED, bytes(60)), index=speaking.tunnel.sa.sa
        )
        verdict = self.gw.exchange([dummy])
        self.assert_refused(verdict, Drop.NOT_IN_SA)


class EveryBit(DietTest):
    """K.6 1: no packet with one bit of its ESP part changed is delivered, and none moves the
    window."""

    def runTest(self) -> None:
        for name in TEMPLATES:
            entries = self.gw.installed()
            with self.subTest(template=name):
                speaking = self.receiving(name)
                octets = speaking.octets(1, packet_of(speaking.context, 12))
                sent = [
                    speaking.around(flipped(octets, place, 1 << bit))
                    for place in range(len(octets))
                    for bit in range(8)
                ]
                verdict = self.gw.send(UNPROTECTED, *sent)
                self.assertEqual(verdict.outputs, [])
                self.assertEqual(sum(verdict.drops.values()), len(sent))
                self.assertLessEqual(set(verdict.drops), {Drop.NO_SA, Drop.BAD_ICV})
                self.assertEqual(verdict.drops[Drop.NO_SA], 8)
                self.assertEqual(self.top(speaking), 0)
                self.deliver(speaking, packet_of(speaking.context, 12))
            self.gw.reset(entries)


class Truncated(DietTest):
    """K.6 2 and 3: with octets missing at the end, down to the ICV alone and less."""

    def runTest(self) -> None:
        for name in TEMPLATES:
            entries = self.gw.installed()
            with self.subTest(template=name):
                speaking = self.receiving(name)
                octets = speaking.octets(1, packet_of(speaking.context, 12))
                sent = [speaking.around(octets[:-n]) for n in range(1, len(octets) + 1)]
                verdict = self.gw.send(UNPROTECTED, *sent)
                self.assertEqual(verdict.outputs, [])
                reasons = {Drop.RUNT, Drop.BAD_LENGTH, Drop.BAD_ICV}
                self.assertEqual(set(verdict.drops), reasons)
                self.assertEqual(self.top(speaking), 0)
                bare = speaking.around(octets[:2] + octets[-16:])
                self.refused(Drop.BAD_LENGTH, speaking, bare)
            self.gw.reset(entries)


class BadResidues(DietTest):
    """Issue 6: an authentic residue of which no packet can come: BAD_RESIDUE, and its number is
    used up."""

    def runTest(self) -> None:
        for name in TEMPLATES:
            entries = self.gw.installed()
            with self.subTest(template=name):
                speaking = self.receiving(name)
                text = speaking.context.compress(packet_of(speaking.context, 12))
                for seq, bad in enumerate(self.bad(speaking, text), 1):
                    self.refuse(Drop.BAD_RESIDUE, UNPROTECTED, speaking.text_frame(seq, bad))
                    self.assertEqual(self.top(speaking), seq)
                self.refused(Drop.REPLAY_DUP, speaking, speaking.text_frame(1, text))
                self.deliver(speaking, packet_of(speaking.context, 12), first=100)
            self.gw.reset(entries)

    def bad(self, speaking: Speaking, text: bytes) -> Iterator[bytes]:
        """Pad bits, header length, what is short, fragments of a flow."""
        template = speaking.context.template
        sizes = {"udp": 4, "tcp": 18, "host-v4": 7, "site-v4": 9, "host-v6": 5, "site-v6": 21}
        name = next(n for n, t in TEMPLATES.items() if t == template)
        size = sizes.get(name) or sizes[name[:3]]
        last = {"udp": 4, "tcp": 4}.get(name[:3], size) - 1
        yield from (flipped(text, last, 1 << bit) for bit in range(4))
        yield from (text[:n] for n in range(1, size))
        if template.version == 4:
            yield from (
                bytes([ihl << 4 | text[0] & 15]) + text[1:] for ihl in range(16) if ihl != 5
            )
        if template.version == 4 and template.protocol:
            for word in (0x2000, 0x4001, 0x1FFF):
                fields = ((5, 4), (0, 8), (word, 16))
                yield packed(fields) + text[4:]


class BadTrailers(DietTest):
    """A trailer that is kept must be right: BAD_NH, BAD_PAD, BAD_PADLEN; a dummy is none."""

    def runTest(self) -> None:
        for name in ("udp-v4", "tcp-v6", "site-v4", "host-v6"):
            entries = self.gw.installed()
            with self.subTest(template=name):
                speaking = self.receiving(name, trailer=True)
                right = 41 if name.endswith("6") else 4
                size = next(n for n in range(4) if len(self.pad(speaking, n)) == 3)
                text = speaking.context.compress(packet_of(speaking.context, size))
                for seq, (bad, reason) in enumerate(
                    (
                        (with_trailer(text, 45 - right), Drop.BAD_NH),
                        (with_trailer(text, 50), Drop.BAD_NH),
                        (with_trailer(text, 59), Drop.DUMMY),
                        (with_trailer(text, right, b"\3\2\1"), Drop.BAD_PAD),
                        (with_trailer(text, right, pad_len=255), Drop.BAD_PADLEN),
                    ),
                    1,
                ):
                    self.refuse(reason, UNPROTECTED, speaking.text_frame(seq, bad))
                    self.assertEqual(self.top(speaking), seq)
                unaligned = speaking.text_frame(40, text + bytes([0, right]))
                self.refused(Drop.BAD_LENGTH, speaking, unaligned)
            self.gw.reset(entries)

    def pad(self, speaking: Speaking, size: int) -> bytes:
        """Padding of a packet with so much payload."""
        return padding(len(speaking.context.compress(packet_of(speaking.context, size))))


class OtherFormats(DietTest):
    """K.6 6: plain ESP of a peer that compresses is not opened, nor what is compressed by one that
    does not; both peers can have one address of ours."""

    def runTest(self) -> None:
        speaking, plain = self.receiving("udp-v4"), self.inbound()
        packet = packet_of(speaking.context, 40)
        whole = plain.esp(1, frames.inner())
        verdict = self.gw.send(UNPROTECTED, speaking.around(whole))
        self.assertEqual((verdict.outputs, dict(verdict.drops)), ([], {Drop.NO_SA: 1}))
        full = replace(speaking.context, spi_octets=4, sn_octets=4)
        self.refused(Drop.NO_SA, speaking, speaking.around(full.seal(speaking.key, 1, packet)))
        out = self.gw.send(UNPROTECTED, plain.frame(1, frames.inner(), src=OTHER_PEER))
        self.assertEqual(len(out.outputs), 1)
        self.refuse(Drop.NO_SA, UNPROTECTED, speaking.frame(1, packet, src=OTHER_PEER))
        self.deliver(speaking, packet)


class NeverInUdp(DietTest):
    """i.8: in UDP, packets of the same peer are those of RFC 3948."""

    def runTest(self) -> None:
        speaking, plain = self.receiving("udp-v4"), self.inbound()
        self.accept_esp(plain.frame(1, frames.inner(), udp=(4500, 4500)), frames.inner())
        packet = packet_of(speaking.context, 40)
        frame = speaking.frame(1, packet, udp=(4500, 4500))
        verdict = self.gw.send(UNPROTECTED, frame)
        self.assertEqual(verdict.outputs, [])
        self.assertEqual(self.top(speaking), 0)


class SameLowOctets(DietTest):
    """i.11 4: two SAs of one peer do not share the low octets of their SPIs: the second entry is
    refused; of another peer's they may."""

    def runTest(self) -> None:
        first = self.receiving("udp-v4", spi=0x1001)
        second = self.context("tcp-v4", ours=False, spi=0x2001)
        tunnel = first.tunnel
        assert isinstance(tunnel, InboundTunnel)
        with self.assertRaises(WriteRefusedError):
            self.know_sa(tunnel, second, first.peer)
        other = self.receiving("tcp-v4", spi=0x3001, peer=OTHER_PEER)
        packet = packet_of(other.context, 30)
        self.deliver(other, packet, src=OTHER_PEER)
        self.deliver(first, packet_of(first.context, 30))


class AnswersOfAnotherTemplate(DietTest):
    """A reply that names another template, or none, is not read as the SA's: nothing is
    delivered."""

    def runTest(self) -> None:
        speaking = self.receiving("udp-v4")
        with self.gw.held_requests() as held:
            self.gw.send(UNPROTECTED, speaking.frame(1, packet_of(speaking.context, 60)))
        (request,) = held
        (reply,) = self.gw.engine.answer(request)
        known = Descriptor.of(reply)
        for template in (0, *range(2, 10), 255):
            with self.subTest(template=template):
                space_pad = template << 24 | known.space_pad & 0xFF_FFFF
                verdict = self.gw.send(CRYPTO_PORT, frame_with(reply, space_pad=space_pad))
                self.assertEqual(verdict.outputs, [])
                self.assertEqual(self.top(speaking), 0)
        out = self.gw.send(CRYPTO_PORT, reply)
        self.assertEqual(len(out.outputs), 1)
