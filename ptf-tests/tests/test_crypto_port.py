"""The crypto port: requests to the letter, and which answers are believed."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from harness import engine, engine_formats, frames, tables, topology
from harness import vectors as vec
from harness.engine import BASE, ETHERNET_LEN, OPEN, REPLY, SEAL, Descriptor, frame_with
from harness.gateway import Verdict
from harness.ids import CRYPTO_PORT, Drop, Outcome, Path, Status
from harness.sa import NEVER
from harness.tables import Traffic
from harness.testcase import GatewayTest
from harness.topology import HOST, PEER, PROTECTED, UNPROTECTED
from harness.tunnels import NAT_T, InboundTunnel, OutboundTunnel

STATUS_REASON: dict[int, Drop] = {
    Status.BAD_ICV: Drop.BAD_ICV,
    Status.NO_KEY: Drop.ENGINE_NO_KEY,
    Status.STALE_GEN: Drop.ENGINE_STALE,
    Status.NONCE_REFUSED: Drop.NONCE_REFUSED,
    Status.BAD_DESCRIPTOR: Drop.BAD_DESCRIPTOR,
    Status.OVERLOAD: Drop.ENGINE_OVERLOAD,
    Status.BAD_PADLEN: Drop.BAD_PADLEN,
    Status.BAD_PAD: Drop.BAD_PAD,
    Status.BAD_INNER: Drop.BAD_INNER,
}
AUTHENTIC = 0x40
UNKNOWN_STATUSES = (0x07, 0x3F, 0x40, 0x44, 0x7F, 0x80, 0xFE)


class CryptoPortTest(GatewayTest):
    """Requests caught on their way, and answers made by the test."""

    def seal_request(self, tunnel: OutboundTunnel, size: int = 60) -> bytes:
        """The frame that asks for an outbound packet to be sealed."""
        verdict = self.hold(PROTECTED, frames.ethernet(PROTECTED, frames.outgoing(size)))
        self.assertEqual(Descriptor.of(verdict.requests[0]).key, tunnel.sa.handle)
        return verdict.requests[0]

    def open_request(self, tunnel: InboundTunnel, seq: int = 1, **outer: Any) -> bytes:
        """The frame that asks for an inbound packet to be opened."""
        verdict = self.hold(UNPROTECTED, tunnel.frame(seq, frames.inner(), **outer))
        self.assertEqual(Descriptor.of(verdict.requests[0]).key, tunnel.sa.handle)
        return verdict.requests[0]

    def hold(self, port: int, frame: bytes) -> Verdict:
        """Sends a frame whose request stays in the engine."""
        with self.gw.held_requests():
            verdict = self.gw.send(port, frame)
        self.assertEqual(len(verdict.requests), 1)
        self.assertEqual(dict(verdict.outcomes), {Outcome.TO_ENGINE: 1})
        return verdict

    def forged(self, *answers: bytes) -> None:
        """Proves that no answer is believed."""
        for answer in answers:
            self.refuse(Drop.FORGED_CX, CRYPTO_PORT, answer)

    def sealed_reply(self, tunnel: OutboundTunnel) -> bytes:
        """A right answer to a seal request."""
        return self.gw.engine.answer(self.seal_request(tunnel))[0]

    def opened_reply(self, tunnel: InboundTunnel, seq: int = 1, **outer: Any) -> bytes:
        """A right answer to an open request."""
        return self.gw.engine.answer(self.open_request(tunnel, seq, **outer))[0]


class SealRequestToTheLetter(CryptoPortTest):
    """All 32 octets, and the packet with its final outer header behind them."""

    def runTest(self) -> None:
        for esn, udp in ((False, None), (True, None), (False, NAT_T)):
            tunnel = self.protected_outbound(esn=esn, udp=udp, seq_hard=NEVER)
            tunnel.advance(0x1_0000_0041)
            frame = self.seal_request(tunnel, 61)
            header_len = 36 + (8 if udp else 0)
            self.check_fields(frame, tunnel, esn=esn, header_len=header_len)
            self.assertEqual(frame[12:14], b"\x88\xb5")
            self.assertEqual(frame[BASE + header_len :], frames.rewritten(frames.outgoing(61)))
            self.gw.reset(self.session.base)

    def check_fields(
        self, frame: bytes, tunnel: OutboundTunnel, *, esn: bool, header_len: int
    ) -> None:
        sa = tunnel.sa
        expected = Descriptor(
            op=SEAL,
            flags=engine_formats.FLAG_TRAILER | (engine_formats.FLAG_ESN if esn else 0),
            status=Status.REQUEST,
            next_header=4,
            key=sa.handle,
            seq=0x1_0000_0042,
            sa_generation=sa.sa << 8 | sa.generation,
            space_pad=sa.space << 8,
            aad_off=header_len - 16,
            aad_len=8,
            iv_len=8,
            ct_off=header_len,
            plain_len=61,
            icv_len=16,
            align=4,
        )
        self.assertEqual(Descriptor.of(frame), expected)


class OpenRequestToTheLetter(CryptoPortTest):
    """All 32 octets in front of the packet as it came, tag removed; options move the offsets."""

    def runTest(self) -> None:
        for esn, udp, options in ((False, None, b""), (True, NAT_T, b""), (False, None, bytes(8))):
            tunnel = self.inbound(esn=esn)
            packet = frames.outer(tunnel.esp(5, frames.inner()), udp=udp, options=options)
            frame = self.hold(UNPROTECTED, frames.ethernet(UNPROTECTED, packet)).requests[0]
            header_len = 20 + len(options) + (8 if udp else 0)
            self.check_fields(frame, tunnel, esn=esn, header_len=header_len)
            self.assertEqual(frame[BASE:], packet)

    def check_fields(
        self, frame: bytes, tunnel: InboundTunnel, *, esn: bool, header_len: int
    ) -> None:
        sa = tunnel.sa
        flags = (
            engine_formats.FLAG_TRAILER
            | engine_formats.FLAG_TRIM
            | (engine_formats.FLAG_ESN if esn else 0)
        )
        expected = Descriptor(
            op=OPEN,
            flags=flags,
            status=Status.REQUEST,
            next_header=0,
            key=sa.handle,
            seq=5,
            sa_generation=sa.sa << 8 | sa.generation,
            space_pad=sa.space << 8,
            aad_off=header_len,
            aad_len=8,
            iv_len=8,
            ct_off=header_len + 16,
            plain_len=60 + 2 + 2 + 16,
            icv_len=16,
            align=4,
        )
        self.assertEqual(Descriptor.of(frame), expected)


class NotADescriptor(CryptoPortTest):
    """Ordinary frames on the crypto port are forged, whatever they hold."""

    def runTest(self) -> None:
        tunnel = self.inbound()
        self.bypass(Traffic())
        packets = (frames.inner(), frames.outer(tunnel.esp(1, frames.inner())), bytes(60))
        self.forged(*(frames.ethernet(CRYPTO_PORT, packet) for packet in packets))
        self.assertEqual(tunnel.top(), 0)


class DescriptorCutShort(CryptoPortTest):
    """An answer cut at any length does nothing."""

    def runTest(self) -> None:
        sealed = self.sealed_reply(self.protected_outbound())
        opened = self.opened_reply(self.inbound())
        for reply in (sealed, opened):
            self.forged(*(reply[:size] for size in range(1, len(reply))))


class AnswerTooLong(CryptoPortTest):
    """One octet more than the lengths allow is not our answer."""

    def runTest(self) -> None:
        sealed = self.sealed_reply(self.protected_outbound())
        opened = self.opened_reply(self.inbound())
        self.forged(sealed + b"\0", opened + b"\0")


class LoopbackPlug(CryptoPortTest):
    """A plug that echoes requests forwards nothing."""

    def runTest(self) -> None:
        outbound, inbound = self.protected_outbound(), self.inbound()
        with self.gw.engine_hook(lambda frame: [frame]):
            out = self.gw.send(PROTECTED, frames.ethernet(PROTECTED, frames.outgoing()))
            self.assert_refused(out, Drop.FORGED_CX)
            verdict = self.gw.send(UNPROTECTED, inbound.frame(1, frames.inner()))
            self.assert_refused(verdict, Drop.FORGED_CX)
        self.assertEqual((outbound.last(), inbound.top()), (1, 0))


class EchoThatClaimsToBeAnAnswer(CryptoPortTest):
    """The request with the reply bit set: status still a request, or done without the work."""

    def runTest(self) -> None:
        for request in (
            self.seal_request(self.protected_outbound()),
            self.open_request(self.inbound()),
            self.open_request(self.inbound(), udp=NAT_T),
        ):
            op = Descriptor.of(request).op | REPLY
            self.forged(
                frame_with(request, op=op),
                frame_with(request, op=op, status=Status.DONE),
                frame_with(request, status=Status.DONE),
            )


class ForgedFields(CryptoPortTest):
    """An unknown operation, an SA index wider than the tables, another ethertype."""

    def runTest(self) -> None:
        sealed = self.sealed_reply(self.protected_outbound())
        opened = self.opened_reply(self.inbound())
        for reply in (sealed, opened):
            wide = Descriptor.of(reply).sa_generation | 1 << 24
            self.forged(
                *(frame_with(reply, op=op) for op in (0x00, 0x01, 0x02, 0x80, 0x83, 0xFF)),
                frame_with(reply, sa_generation=wide),
            )


class AnswerOfTheOtherDirection(CryptoPortTest):
    """A sealed packet presented as opened, and the reverse, goes nowhere."""

    def runTest(self) -> None:
        sealed = self.sealed_reply(self.protected_outbound())
        opened = self.opened_reply(self.inbound())
        for reply, op in ((sealed, OPEN | REPLY), (opened, SEAL | REPLY)):
            verdict = self.gw.send(CRYPTO_PORT, frame_with(reply, op=op))
            self.assertEqual(verdict.outputs, [])
            self.assertEqual(verdict.outcomes[Outcome.DROPPED], 1)


class WrongEthertype(CryptoPortTest):
    """Only ethertype 88B5 carries a descriptor (docs/crypto-port.md)."""

    def runTest(self) -> None:
        sealed = self.sealed_reply(self.protected_outbound())
        opened = self.opened_reply(self.inbound())
        for reply in (sealed, opened):
            self.forged(reply[:12] + b"\x08\x00" + reply[14:])


class LengthMustChangeAsExpected(CryptoPortTest):
    """An opened packet must have lost at least ICV and trailer; a sealed one gained them."""

    def runTest(self) -> None:
        inbound = self.inbound()
        request = self.open_request(inbound)
        descriptor = Descriptor.of(request)
        for lost in (0, 1, 16, 17):
            plain_len = descriptor.plain_len - lost
            done = descriptor.answer(Status.DONE, plain_len=plain_len, next_header=4)
            end = BASE + descriptor.ct_off + plain_len
            self.forged(request[:ETHERNET_LEN] + done.pack() + request[BASE:end])
        self.assertEqual(inbound.top(), 0)


class StaleSaInbound(CryptoPortTest):
    """An SA deleted, replaced, or given another key while its packet is in the engine."""

    def runTest(self) -> None:
        self.after(lambda tunnel: self.gw.delete(tunnel.sa.sad_entry(), tunnel.sa.entry()))
        self.after(self.replace_generation)
        self.after(self.replace_key)

    def after(self, change: Callable[[InboundTunnel], None]) -> None:
        tunnel = self.inbound()
        reply = self.opened_reply(tunnel)
        change(tunnel)
        self.refuse(Drop.STALE_SA, CRYPTO_PORT, reply)
        self.assertEqual(tunnel.top(), 0)

    def replace_generation(self, tunnel: InboundTunnel) -> None:
        self.gw.delete(tunnel.sa.sad_entry(), tunnel.sa.entry())
        sa = dataclasses.replace(tunnel.sa, generation=tunnel.sa.generation + 1 & 0xFF)
        self.gw.insert(sa.entry(), sa.sad_entry())

    def replace_key(self, tunnel: InboundTunnel) -> None:
        self.gw.modify(dataclasses.replace(tunnel.sa, handle=0xDEAD).entry())


class StaleSaOutbound(CryptoPortTest):
    """The same for the packet that is being sealed."""

    def runTest(self) -> None:
        self.after(lambda tunnel: self.gw.delete(tunnel.sa.entry()))
        self.after(self.replace_generation)
        self.after(lambda tunnel: self.gw.modify(dataclasses.replace(tunnel.sa, handle=1).entry()))

    def after(self, change: Callable[[OutboundTunnel], None]) -> None:
        tunnel = self.protected_outbound()
        reply = self.sealed_reply(tunnel)
        change(tunnel)
        self.refuse(Drop.STALE_SA, CRYPTO_PORT, reply)
        self.gw.reset(self.session.base)

    def replace_generation(self, tunnel: OutboundTunnel) -> None:
        self.gw.delete(tunnel.sa.entry())
        generation = tunnel.sa.generation + 1 & 0xFF
        self.gw.insert(dataclasses.replace(tunnel.sa, generation=generation).entry())


class DeletedSaComesBack(CryptoPortTest):
    """Held packets of the old SA die, those of the new one pass, in any order."""

    def runTest(self) -> None:
        old = self.inbound()
        stale = [self.opened_reply(old, seq) for seq in (1, 2, 3)]
        self.gw.delete(old.sa.sad_entry(), old.sa.entry())
        new = self.inbound(sa=old.sa.sa, generation=old.sa.generation + 1 & 0xFF, spi=old.sa.spi)
        self.refuse(Drop.STALE_SA, CRYPTO_PORT, stale[0])
        self.accept(new, 1)
        self.refuse(Drop.STALE_SA, CRYPTO_PORT, *stale[1:])
        self.accept(new, 2)


class EngineStatusesInbound(CryptoPortTest):
    """Each status on its counter; those of authentic packets use the number up, no other does."""

    honest_engine = False

    def runTest(self) -> None:
        for status in (*STATUS_REASON, *UNKNOWN_STATUSES):
            tunnel = self.inbound()
            answer = engine.refusal(self.open_request(tunnel, 9), Status.BAD_ICV)
            reason = STATUS_REASON.get(status, Drop.ENGINE_ERROR)
            with self.subTest(status=hex(status)):
                self.refuse(reason, CRYPTO_PORT, frame_with(answer, status=status))
                self.assertEqual(tunnel.top(), 9 if status & AUTHENTIC else 0)


class EngineStatusesOutbound(CryptoPortTest):
    """The same statuses for a packet that was to be sealed; nothing leaves."""

    def runTest(self) -> None:
        tunnel = self.protected_outbound()
        for status in (*STATUS_REASON, *UNKNOWN_STATUSES):
            answer = engine.refusal(self.seal_request(tunnel), Status.BAD_ICV)
            reason = STATUS_REASON.get(status, Drop.ENGINE_ERROR)
            with self.subTest(status=hex(status)):
                self.refuse(reason, CRYPTO_PORT, frame_with(answer, status=status))
        self.assertEqual(self.gw.traffic("sa_out_traffic", tunnel.sa.sa), (0, 0))


class ErrorAnswersWithoutPacket(CryptoPortTest):
    """An error answer may be the descriptor alone."""

    def runTest(self) -> None:
        tunnel = self.inbound()
        answer = engine.refusal(self.open_request(tunnel), Status.BAD_DESCRIPTOR)
        self.refuse(Drop.BAD_DESCRIPTOR, CRYPTO_PORT, answer[:BASE])
        self.refuse(Drop.BAD_DESCRIPTOR, CRYPTO_PORT, answer[:BASE] + bytes(14))


class ClearPacketClaimedSealed(CryptoPortTest):
    """CLEAR_OUT: an engine that hands the clear packet back as sealed."""

    def runTest(self) -> None:
        tunnel = self.protected_outbound()
        request = self.seal_request(tunnel)
        done = Descriptor.of(request).answer(Status.DONE)
        for protocol in (1, 6, 47):
            clear = frames.ipv4(bytes(44), src=HOST, dst=PEER, proto=protocol)
            answer = request[:ETHERNET_LEN] + done.pack() + clear
            self.refuse(Drop.CLEAR_OUT, CRYPTO_PORT, answer)


class ClearUdpClaimedSealed(CryptoPortTest):
    """CLEAR_OUT: the same with a clear UDP packet, for an SA without and one with UDP."""

    def runTest(self) -> None:
        for udp in (None, NAT_T):
            request = self.seal_request(self.protected_outbound(udp=udp))
            done = Descriptor.of(request).answer(Status.DONE)
            clear = frames.outgoing(dst=PEER)
            answer = request[:ETHERNET_LEN] + done.pack() + clear
            with self.subTest(udp=udp):
                self.refuse(Drop.CLEAR_OUT, CRYPTO_PORT, answer)
            self.gw.reset(self.session.base)


class ClearEspClaimedSealed(CryptoPortTest):
    """CLEAR_OUT: an inner packet that is ESP itself is still clear under our policy."""

    def runTest(self) -> None:
        request = self.seal_request(self.protected_outbound())
        done = Descriptor.of(request).answer(Status.DONE)
        transit = frames.ipv4(vec.D1, src=HOST, dst=PEER, proto=frames.ESP)
        answer = request[:ETHERNET_LEN] + done.pack() + transit
        self.refuse(Drop.CLEAR_OUT, CRYPTO_PORT, answer)


class OnlyThePacketThatWasAskedFor(CryptoPortTest):
    """CLEAR_OUT: a sealed packet with another SPI, number, address or protocol than its SA's."""

    HEADER = BASE + 20  # SPI and sequence number stand behind the outer header

    def runTest(self) -> None:
        tunnel = self.protected_outbound()
        for place in (BASE + 9, BASE + 12, BASE + 19, *range(self.HEADER, self.HEADER + 8)):
            reply = bytearray(self.sealed_reply(tunnel))
            reply[place] ^= 0x21
            with self.subTest(octet=place - BASE):
                self.refuse(Drop.CLEAR_OUT, CRYPTO_PORT, bytes(reply))
        self.seal(tunnel, frames.outgoing())


class Hairpin(CryptoPortTest):
    """What was opened does not leave by an unprotected port."""

    def runTest(self) -> None:
        tunnel = self.inbound(selectors=Traffic())
        back = tunnel.frame(1, frames.inner(dst="203.0.113.9"))
        self.refuse(Drop.HAIRPIN, UNPROTECTED, back)
        self.assertEqual(tunnel.top(), 1)


class NoEngine(CryptoPortTest):
    """The engine withdrawn: packets are dropped and counted, the SA stays, and all recovers."""

    def runTest(self) -> None:
        outbound, inbound = self.protected_outbound(), self.inbound()
        self.seal(outbound, frames.outgoing())
        self.accept(inbound, 1)
        entries = topology.engine_entries()
        self.gw.delete(*entries)
        self.refuse(Drop.NO_ENGINE, PROTECTED, frames.ethernet(PROTECTED, frames.outgoing()))
        self.refuse(Drop.NO_ENGINE, UNPROTECTED, inbound.frame(2, frames.inner()))
        self.assertEqual((outbound.last(), inbound.top()), (1, 1))
        self.gw.insert(*entries)
        self.seal(outbound, frames.outgoing())
        self.accept(inbound, 2)
        self.assertEqual(outbound.last(), 2)


class NoEngineOneDirection(CryptoPortTest):
    """The two directions are withdrawn one by one."""

    def runTest(self) -> None:
        tunnel = self.inbound()
        self.without(tables.crypto_port(Path.SEAL))
        self.accept(tunnel, 1)
        self.protected_outbound()
        self.refuse(Drop.NO_ENGINE, PROTECTED, frames.ethernet(PROTECTED, frames.outgoing()))


class EngineLosesAndReorders(CryptoPortTest):
    """Answers lost and out of order: what arrives is delivered once, and numbers stay unique."""

    def runTest(self) -> None:
        tunnel = self.protected_outbound()
        packets = [frames.outgoing(id=number) for number in range(20)]
        with self.gw.held_requests() as held:
            self.gw.send(PROTECTED, *(frames.ethernet(PROTECTED, packet) for packet in packets))
        verdict = self.gw.answer(*held[::-2])
        self.assertEqual(len(verdict.outputs), 10)
        opened = [tunnel.open(frame.data[14:]) for frame in verdict.outputs]
        self.assertEqual(opened, [frames.rewritten(packet) for packet in packets[::-2]])
        self.assertEqual(tunnel.last(), 20)


class CorruptingEngine(CryptoPortTest):
    """Damage to any octet of descriptor and outer headers: one outcome each, and whatever is
    delivered all the same is the packet that the peer sent."""

    honest_engine = False

    def runTest(self) -> None:
        tunnel = self.inbound()
        reply = self.opened_reply(tunnel)
        damaged = [
            reply[:place] + bytes([reply[place] ^ 0xFF]) + reply[place + 1 :]
            for place in range(ETHERNET_LEN, BASE + 40)
        ]
        verdict = self.gw.send(CRYPTO_PORT, *damaged)
        self.assertEqual(verdict.outcomes.total(), len(damaged))
        self.assertEqual(verdict.drops.total() + len(verdict.outputs), len(damaged))
        expected = frames.delivered(PROTECTED, frames.rewritten(frames.inner()))
        self.assertEqual({frame.data for frame in verdict.outputs}, {expected})
