"""What keeps modes apart: descriptors, next headers, and the last stage before the wire."""

from __future__ import annotations

import dataclasses
import itertools
import struct
from collections.abc import Callable

from harness import engine, frames, wire
from harness.engine import BASE, ETHERNET_LEN, Descriptor, frame_with
from harness.engine_formats import FLAG_TRIM
from harness.frames import options6, routing6
from harness.gateway import Verdict
from harness.ids import CRYPTO_PORT, Drop, Mode, Outcome, Status, Wrap
from harness.modes import BEET, BEET6, TRANSPORT, TRANSPORT6, ModeTest, Shape, packet_of, shapes
from harness.topology import PROTECTED, UNPROTECTED
from harness.tunnels import NAT_T, InboundTunnel

MODE_BITS = 0x30
UDP_PROTOCOL = 17

# Digest 1.3: what an SA of each mode does not take.  The other numbers are layer 4 protocols.
REFUSED = {
    TRANSPORT: {0, 43, 44, 60, 94},
    TRANSPORT6: {0, 43, 44, 94},
    BEET: {0, 43, 44, 60},
    BEET6: {44, 94},
    Shape(Mode.BEET_V4, 6, 4): {0, 43, 44, 60},
    Shape(Mode.BEET_V6, 4, 6): {44, 94},
}
DUMMY = 59
AGGFRAG = 144


class GuardTest(ModeTest):
    """Requests caught on their way, and answers that the test has changed."""

    def hold(self, port: int, frame: bytes) -> bytes:
        """The request that a frame leads to."""
        with self.gw.held_requests():
            verdict = self.gw.send(port, frame)
        self.assertEqual(dict(verdict.outcomes), {Outcome.TO_ENGINE: 1})
        (request,) = verdict.requests
        return request

    def open_request(self, shape: Shape) -> tuple[InboundTunnel, bytes]:
        """An SA, and the request for its first packet."""
        tunnel, peer = self.receiving(shape)
        packet = packet_of(shape.inner, 90, ours=False)
        return tunnel, self.hold(UNPROTECTED, frames.ethernet(UNPROTECTED, peer.send(packet, 1)))

    def seal_request(self, shape: Shape, packet: bytes | None = None) -> bytes:
        """The request for the first packet of an SA."""
        self.sending(shape)
        packet = packet_of(shape.inner, 90, ours=True) if packet is None else packet
        return self.hold(PROTECTED, frames.ethernet(PROTECTED, packet))

    def answered(self, request: bytes) -> bytes:
        """A right answer."""
        (reply,) = self.gw.engine.answer(request)
        return reply


class RequestsNameTheMode(GuardTest):
    """docs/crypto-port.md: bits 4 and 5 of the flags; TFC padding is cut in tunnel mode alone; the
    engine is told of a UDP header whose checksum it must write over IPv6 alone."""

    def runTest(self) -> None:
        for shape in (*shapes(), *shapes(udp=NAT_T), *shapes(wrap=Wrap.ENCRYPTED, udp=NAT_T)):
            entries = self.gw.installed()
            with self.subTest(shape=str(shape)):
                self.check_open(shape, Descriptor.of(self.open_request(shape)[1]))
                self.check_seal(shape, Descriptor.of(self.seal_request(shape)))
            self.gw.reset(entries)

    def check_open(self, shape: Shape, request: Descriptor) -> None:
        """Inbound."""
        self.assertEqual((request.flags & MODE_BITS) >> 4, shape.mode)
        self.assertEqual(bool(request.flags & FLAG_TRIM), shape.mode == Mode.TUNNEL)
        self.assertEqual((request.pad_len, request.aad_off), (0, self.spi_at(shape)))

    def check_seal(self, shape: Shape, request: Descriptor) -> None:
        """Outbound."""
        self.assertEqual((request.flags & MODE_BITS) >> 4, shape.mode)
        self.assertEqual(request.aad_off, self.spi_at(shape))
        udp_at = 40 if shape.outer == 6 and shape.udp else 0
        self.assertEqual(request.pad_len, udp_at)

    def spi_at(self, shape: Shape) -> int:
        """Behind IP, UDP, marker and WESP."""
        at = 40 if shape.outer == 6 else 20
        at += 8 if shape.udp else 0
        return at + (8 if shape.wrap else 0)


class ModeOfTheAnswerIsTheSas(GuardTest):
    """An answer whose descriptor names another mode than the SA's entry: STALE_SA."""

    def runTest(self) -> None:
        for shape in shapes():
            for mode in set(Mode) - {shape.mode}:
                with self.subTest(shape=str(shape), claimed=mode.name):
                    tunnel, request = self.open_request(shape)
                    reply = self.answered(request)
                    flags = Descriptor.of(reply).flags & ~MODE_BITS | mode << 4
                    self.refuse(Drop.STALE_SA, CRYPTO_PORT, frame_with(reply, flags=flags))
                    self.assertEqual(tunnel.top(), 0)


class ModeChangedWhileInTheEngine(GuardTest):
    """The same, when it is the SA that has changed; and when it is gone or new."""

    def runTest(self) -> None:
        for shape in shapes():
            for change in (self.other_mode, self.gone, self.generation):
                with self.subTest(shape=str(shape), change=change.__name__):
                    self.after(shape, change)

    def after(self, shape: Shape, change: Callable[[InboundTunnel], None]) -> None:
        """One packet is in the engine meanwhile."""
        tunnel, request = self.open_request(shape)
        reply = self.answered(request)
        change(tunnel)
        self.refuse(Drop.STALE_SA, CRYPTO_PORT, reply)
        self.assertEqual(tunnel.top(), 0)

    def other_mode(self, tunnel: InboundTunnel) -> None:
        """Tunnel mode becomes transport mode, the others tunnel mode."""
        mode = Mode.TRANSPORT if tunnel.sa.mode == Mode.TUNNEL else Mode.TUNNEL
        self.gw.modify(dataclasses.replace(tunnel.sa, mode=mode).entry())

    def gone(self, tunnel: InboundTunnel) -> None:
        """Deleted."""
        self.gw.delete(tunnel.sa.sad_entry(), *tunnel.sa.entries())

    def generation(self, tunnel: InboundTunnel) -> None:
        """The index is used anew."""
        generation = tunnel.sa.generation + 1 & 0xFF
        self.gw.modify(dataclasses.replace(tunnel.sa, generation=generation).entry())


class LengthsOfOpenedPackets(GuardTest):
    """An answer a bit longer or shorter than it says, or that lost less than ICV and trailer."""

    honest_engine = False

    def runTest(self) -> None:
        for shape in (*shapes(), *shapes(udp=NAT_T)):
            with self.subTest(shape=str(shape)):
                tunnel, request = self.open_request(shape)
                reply = self.answered(request)
                self.refuse(Drop.FORGED_CX, CRYPTO_PORT, reply + b"\0", reply[:-1])
                self.grown(request)
                self.assertEqual(tunnel.top(), 0)

    def grown(self, request: bytes) -> None:
        """The request itself, cut here and there."""
        descriptor = Descriptor.of(request)
        for lost in (0, 1, 16, 17):
            plain_len = descriptor.plain_len - lost
            done = descriptor.answer(Status.DONE, plain_len=plain_len, next_header=UDP_PROTOCOL)
            end = BASE + descriptor.ct_off + plain_len
            answer = request[:ETHERNET_LEN] + done.pack() + request[BASE:end]
            self.refuse(Drop.FORGED_CX, CRYPTO_PORT, answer)


class EchoesAreNoAnswers(GuardTest):
    """A request that comes back with the bits of an answer was not sealed: FORGED_CX."""

    def runTest(self) -> None:
        for shape in (*shapes(), *shapes(wrap=Wrap.ENCRYPTED, udp=NAT_T)):
            entries = self.gw.installed()
            with self.subTest(shape=str(shape)):
                for request in (self.seal_request(shape), self.open_request(shape)[1]):
                    done = Descriptor.of(request).answer(Status.DONE)
                    echo = request[:ETHERNET_LEN] + done.pack() + request[BASE:]
                    self.refuse(Drop.FORGED_CX, CRYPTO_PORT, echo)
            self.gw.reset(entries)


class StatusesInEveryMode(GuardTest):
    """Errors travel without the packet; the authentic ones use their number up."""

    honest_engine = False

    def runTest(self) -> None:
        statuses = {
            Status.BAD_ICV: Drop.BAD_ICV,
            Status.NO_KEY: Drop.ENGINE_NO_KEY,
            Status.BAD_PADLEN: Drop.BAD_PADLEN,
            Status.BAD_PAD: Drop.BAD_PAD,
        }
        for shape, (status, reason) in itertools.product(shapes(), statuses.items()):
            with self.subTest(shape=str(shape), status=status.name):
                tunnel, request = self.open_request(shape)
                self.refuse(reason, CRYPTO_PORT, engine.refusal(request, status))
                self.assertEqual(tunnel.top(), int(status in {Status.BAD_PADLEN, Status.BAD_PAD}))


class SealedGuardTest(GuardTest):
    """Proves CLEAR_OUT: the answer to a seal request is another packet."""

    def claimed_sealed(self, request: bytes, packet: bytes) -> Verdict:
        """``packet`` comes back as sealed."""
        done = Descriptor.of(request).answer(Status.DONE)
        answer = request[:ETHERNET_LEN] + done.pack() + packet
        return self.refuse(Drop.CLEAR_OUT, CRYPTO_PORT, answer)


class ClearPacketsClaimedSealed(SealedGuardTest):
    """CLEAR_OUT: an engine that hands a clear packet of the two hosts back, in any mode."""

    def runTest(self) -> None:
        for shape in (*shapes(), *shapes(udp=NAT_T), *shapes(wrap=Wrap.ENCRYPTED)):
            entries = self.gw.installed()
            with self.subTest(shape=str(shape)):
                request = self.seal_request(shape)
                head = self.outer_head(request)
                for protocol in (6, UDP_PROTOCOL, 1, 4, 41, wire.ESP, wire.WESP):
                    self.claimed_sealed(request, wire.carrying(head, protocol, bytes(48)))
            self.gw.reset(entries)

    def outer_head(self, request: bytes) -> bytes:
        """The header that the answer should have."""
        return request[BASE : BASE + (40 if request[BASE] >> 4 == 6 else 20)]


class ClearUdpThatLooksLikeEsp(SealedGuardTest):
    """CLEAR_OUT: SPI and number are there, but behind a UDP header that the SA does not have, or
    without the one that it has."""

    def runTest(self) -> None:
        for shape in shapes():
            for udp in (None, NAT_T):
                entries = self.gw.installed()
                with self.subTest(shape=str(shape), udp=udp):
                    self.other_wrapping(dataclasses.replace(shape, udp=udp))
                self.gw.reset(entries)

    def other_wrapping(self, shape: Shape) -> None:
        """As if the SA were the other one."""
        request = self.seal_request(shape)
        at = Descriptor.of(request).aad_off
        payload = request[BASE + at : BASE + at + 8] + bytes(48)
        head = request[BASE : BASE + (40 if shape.outer == 6 else 20)]
        protocol = wire.ESP
        if shape.udp is None:
            payload = struct.pack("!HHHH", 4500, 4500, 8 + len(payload), 1) + payload
            protocol = UDP_PROTOCOL
        self.claimed_sealed(request, wire.carrying(head, protocol, payload))


class OnlyThePacketThatWasAskedFor(GuardTest):
    """CLEAR_OUT: a sealed packet with another SPI, number, address or protocol than its SA's."""

    def runTest(self) -> None:
        for shape in (*shapes(), *shapes(udp=NAT_T)):
            entries = self.gw.installed()
            with self.subTest(shape=str(shape)):
                self.one_octet(shape)
            self.gw.reset(entries)

    def one_octet(self, shape: Shape) -> None:
        """Protocol, end of source and destination, SPI and number."""
        reply = self.answered(self.seal_request(shape))
        places = (6, 23, 39) if shape.outer == 6 else (9, 15, 19)
        spi = Descriptor.of(reply).aad_off
        for place in (*places, *range(spi, spi + 8)):
            changed = bytearray(reply)
            changed[BASE + place] ^= 0x21
            self.refuse(Drop.CLEAR_OUT, CRYPTO_PORT, bytes(changed))


class OnlyThePacketBehindItsChain(GuardTest):
    """CLEAR_OUT: the same in transport mode with extension headers in front."""

    def runTest(self) -> None:
        chain = (options6(0), options6(60), routing6())
        packet = frames.outgoing6(200, chain=chain)
        reply = self.answered(self.seal_request(TRANSPORT6, packet))
        spi = Descriptor.of(reply).aad_off
        self.assertEqual(spi, 40 + sum(map(len, chain)))
        for place in (23, 39, *range(spi, spi + 8)):
            changed = bytearray(reply)
            changed[BASE + place] ^= 0x21
            self.refuse(Drop.CLEAR_OUT, CRYPTO_PORT, bytes(changed))
        verdict = self.gw.send(CRYPTO_PORT, reply)
        self.assertEqual(dict(verdict.outcomes), {Outcome.FORWARDED: 1})


class SealedOfAnotherSa(GuardTest):
    """CLEAR_OUT: the answer to one request with the packet of another SA."""

    def runTest(self) -> None:
        for shape in shapes():
            entries = self.gw.installed()
            first = self.answered(self.seal_request(shape))
            self.gw.reset(entries)
            second = self.answered(self.seal_request(shape))
            mixed = second[:BASE] + first[BASE:]
            with self.subTest(shape=str(shape)):
                self.refuse(Drop.CLEAR_OUT, CRYPTO_PORT, mixed)
            self.gw.reset(entries)


class NextHeadersOfOtherModes(ModeTest):
    """Digest 1.3: every special number, and some that are none, on SAs of every mode."""

    def runTest(self) -> None:
        for shape, refused in REFUSED.items():
            tunnel, peer = self.receiving(shape)
            for seq, number in enumerate(sorted(refused), start=1):
                with self.subTest(shape=str(shape), next_header=number):
                    packet = packet_of(shape.inner, 90, ours=False)
                    payload = bytes([UDP_PROTOCOL, 0, 0, 0, 1, 1, 1, 1]) + packet[-60:]
                    plain = peer.by_hand(packet, seq, payload, number)
                    self.refuse(Drop.BAD_NH, UNPROTECTED, frames.ethernet(UNPROTECTED, plain))
                    self.assertEqual(tunnel.top(), seq)


class NextHeadersOfATunnel(ModeTest):
    """Digest 1.3: 4 and 41 alone (the dummy's 59 and a ping's 144 apart), for all 256 numbers."""

    def runTest(self) -> None:
        for outer in (4, 6):
            _, peer = self.receiving(Shape(outer=outer), window=512)
            packet = packet_of(4, 60, ours=False)
            sent = {
                number: frames.ethernet(
                    UNPROTECTED, peer.by_hand(packet, number + 1, packet, number)
                )
                for number in range(256)
                if number not in {4, 41, DUMMY, AGGFRAG}
            }
            self.refuse(Drop.BAD_NH, UNPROTECTED, *sent.values())


class OtherNumbersAreLayer4(ModeTest):
    """Digest 1.3: what is not special is the protocol of the rebuilt packet, whatever it is."""

    def runTest(self) -> None:
        for shape in REFUSED:
            _, peer = self.receiving(shape, window=512)
            numbers = (1, 4, 41, 47, 51, 58, 89, 103, 132, 135, 253, 255)
            for seq, number in enumerate(numbers, start=1):
                packet = wire.carrying(packet_of(shape.inner, 90, ours=False), number, b"\xee" * 40)
                with self.subTest(shape=str(shape), number=number):
                    self.accept_from(peer, seq, packet)


class SelectorsOfEveryMode(ModeTest):
    """BAD_SELECTOR: a protocol or a port that was not negotiated; the number is used up."""

    def runTest(self) -> None:
        for shape in shapes():
            tunnel, peer = self.receiving(shape)
            pair = dataclasses.replace(tunnel.sa.selectors, protocol=17, dport=(5001, 5001))
            sa = dataclasses.replace(tunnel.sa, selectors=pair)
            self.gw.modify(sa.entry())
            packet = packet_of(shape.inner, 90, ours=False)
            self.accept_from(peer, 1, packet)
            at = wire.protocol_at(packet)[1]
            other_port = packet[: at + 2] + b"\x13\x8a" + packet[at + 4 :]
            other_protocol = wire.carrying(packet, 6, packet[at:])
            for seq, wrong in enumerate((other_port, other_protocol), start=2):
                frame = frames.ethernet(UNPROTECTED, peer.send(wrong, seq))
                self.refuse(Drop.BAD_SELECTOR, UNPROTECTED, frame)
                self.assertEqual(tunnel.top(), seq)


class ReplayOfEveryMode(ModeTest):
    """The window is the same: duplicates, what came late, and what is too old."""

    def runTest(self) -> None:
        for shape in shapes():
            _, peer = self.receiving(shape)
            packet = packet_of(shape.inner, 90, ours=False)
            sent = {
                seq: frames.ethernet(UNPROTECTED, peer.send(packet, seq))
                for seq in (1, 36, 37, 38, 100)
            }
            expected = peer.arrived(packet)
            for seq in (1, 100, 38, 37):
                self.accept_esp(sent[seq], expected)
            self.refuse(Drop.REPLAY_DUP, UNPROTECTED, sent[38], sent[100])
            self.refuse(Drop.REPLAY_OLD, UNPROTECTED, sent[36], sent[1])


class TrafficIsCountedInEveryMode(ModeTest):
    """What was authentic and fresh, by SA, both ways; forgeries on a counter of their own."""

    def runTest(self) -> None:
        for shape in shapes():
            entries = self.gw.installed()
            tunnel, peer = self.receiving(shape)
            packet = packet_of(shape.inner, 90, ours=False)
            self.accept_from(peer, 1, packet)
            forged = peer.send(packet, 2)
            forged = forged[:-1] + bytes([forged[-1] ^ 1])
            self.refuse(Drop.BAD_ICV, UNPROTECTED, frames.ethernet(UNPROTECTED, forged))
            self.assertEqual(self.gw.traffic("sa_in_traffic", tunnel.sa.sa)[0], 1)
            self.assertEqual(self.gw.traffic("sa_in_forged", tunnel.sa.sa)[0], 1)
            out, _ = self.sending(shape)
            self.seal(out, packet_of(shape.inner, 90, ours=True))
            self.assertEqual(self.gw.traffic("sa_out_traffic", out.sa.sa)[0], 1)
            self.gw.reset(entries)
