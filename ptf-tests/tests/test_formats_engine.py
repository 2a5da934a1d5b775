"""An engine that does not do what it was asked, in every format: nothing that it makes up is
believed, and nothing clear leaves."""

from __future__ import annotations

from collections.abc import Iterable

from harness import frames, wire
from harness.engine import BASE, ETHERNET_LEN, REPLY, Descriptor, frame_with, refusal
from harness.engine_formats import FLAG_SHOWN, FLAG_TIH, FLAG_TRAILER
from harness.format_cases import HostileEngineTest, flipped_answer, shapes_for
from harness.format_modes import EESP, End
from harness.formats import LAYOUTS
from harness.ids import CRYPTO_PORT, Drop, Format, Status
from harness.modes import Shape, packet_of
from harness.topology import PROTECTED

TIH = 4
NO_NEXT_HEADER = 59
AUTHENTIC = 0x40
WITH_INFORMATION = (
    Format.TRAILER_INSIDE,
    Format.TRAILER_SHOWN,
    Format.HEADER_IN_TRAILER,
    Format.EESP_FULL,
)
LAYOUT_FLAGS = (FLAG_TRAILER, FLAG_SHOWN, FLAG_TIH)


class OnlyTheNumberThatWasAskedFor(HostileEngineTest):
    """CLEAR_OUT: a sealed packet with another SPI, sub or number, be it in its low half; with the
    header in the trailer, in what stands in front on the crypto port."""

    def runTest(self) -> None:
        for name in LAYOUTS:
            for shape in shapes_for(name):
                entries = self.gw.installed()
                with self.subTest(format=name, shape=str(shape)):
                    end, request = self.seal_request(name, shape)
                    reply, at = self.answered(request), Descriptor.of(request).aad_off
                    self.not_ours(*(flipped_answer(reply, place) for place in self.header(end, at)))
                    self.leaves(end, reply)
                self.gw.reset(entries)

    def header(self, end: End, at: int) -> Iterable[int]:
        """Octets of SPI, sub and number."""
        if end.layout.format in EESP:
            number = at + 8 + end.layout.options_len
            return [*range(at + 2, at + 8), *range(number, number + 8)]
        if end.layout.format == Format.HEADER_IN_TRAILER:
            return range(at + TIH, at + TIH + 12)
        if end.layout.format == Format.WESP_V2:
            at += 4 + end.layout.options_len
        return range(at, at + (12 if end.layout.format == Format.SUBSPACES else 8))


class OnlyTheAddressesThatWereAskedFor(HostileEngineTest):
    """CLEAR_OUT: the same with another protocol, source or destination."""

    def runTest(self) -> None:
        for name in LAYOUTS:
            for shape in shapes_for(name):
                entries = self.gw.installed()
                with self.subTest(format=name, shape=str(shape)):
                    end, request = self.seal_request(name, shape)
                    reply = self.answered(request)
                    places = (6, 23, 39) if shape.outer == 6 else (9, 15, 19)
                    self.not_ours(*(flipped_answer(reply, place) for place in places))
                    self.leaves(end, reply)
                self.gw.reset(entries)


class AnswersOfOtherSubs(HostileEngineTest):
    """STALE_SA: the answer names another sub's space or key than the request; BAD_SUB: a sub that
    the SA does not have, where it has but one."""

    def runTest(self) -> None:
        for name, layout in LAYOUTS.items():
            entries = self.gw.installed()
            with self.subTest(format=name):
                for reply in self.replies(name):
                    descriptor = Descriptor.of(reply)
                    space, beyond = descriptor.space_pad, layout.last_sub + 1
                    if layout.last_sub:
                        other = space ^ 1 << 8
                        answer = frame_with(reply, space_pad=other)
                        self.not_ours(answer, reason=Drop.STALE_SA)
                        self.not_ours(flipped_number(answer), reason=Drop.STALE_SA)
                    elsewhere = frame_with(reply, space_pad=space + (beyond << 8))
                    self.not_ours(elsewhere, reason=self.unknown_sub(name))
                    wrong = frame_with(reply, key=descriptor.key + 1)
                    self.not_ours(wrong, reason=Drop.STALE_SA)
            self.gw.reset(entries)

    def unknown_sub(self, name: str) -> Drop:
        """Where number or key tell the subs apart they tell it first."""
        return Drop.STALE_SA if LAYOUTS[name].last_sub else Drop.BAD_SUB

    def replies(self, name: str) -> list[bytes]:
        """Both ways."""
        requests = self.seal_request(name)[1], self.open_request(name)[1]
        return [self.answered(request) for request in requests]


def flipped_number(reply: bytes) -> bytes:
    """The answer with the high bits of its number changed."""
    return frame_with(reply, seq=Descriptor.of(reply).seq ^ 4 << 48)


class EchoesOfFormats(HostileEngineTest):
    """FORGED_CX: the request comes back, with or without the bits of an answer."""

    def runTest(self) -> None:
        for name in LAYOUTS:
            for shape in shapes_for(name):
                entries = self.gw.installed()
                with self.subTest(format=name, shape=str(shape)):
                    end, opening = self.open_request(name, shape)
                    for request in (self.seal_request(name, shape)[1], opening):
                        op = Descriptor.of(request).op | REPLY
                        done = Descriptor.of(request).answer(Status.DONE)
                        echo = request[:ETHERNET_LEN] + done.pack() + request[BASE:]
                        self.refuse(
                            Drop.FORGED_CX, CRYPTO_PORT, request, echo, frame_with(request, op=op)
                        )
                    self.assertEqual(self.top_of(end.speaking), 0)
                self.gw.reset(entries)


class ClearPacketsAsSealed(HostileEngineTest):
    """CLEAR_OUT: the packet itself, or what it carries, comes back where a sealed one should."""

    def runTest(self) -> None:
        for name in LAYOUTS:
            for shape in shapes_for(name):
                entries = self.gw.installed()
                with self.subTest(format=name, shape=str(shape)):
                    _, request = self.seal_request(name, shape)
                    done = Descriptor.of(request).answer(Status.DONE)
                    head = request[BASE : BASE + (40 if shape.outer == 6 else 20)]
                    packet = packet_of(shape.inner, 91, ours=True)
                    clear = [packet, wire.carrying(head, 4 if shape.inner == 4 else 41, packet)]
                    clear += [wire.carrying(head, n, bytes(200)) for n in (6, 17, 50, 141, 254)]
                    clear.append(wire.carrying(head, LAYOUTS[name].protocol, packet))
                    start = request[:ETHERNET_LEN] + done.pack()
                    self.not_ours(*(start + each for each in clear))
                self.gw.reset(entries)


class BodyOfAnotherLength(HostileEngineTest):
    """CLEAR_OUT: the header goes behind the text, where the ICV begins: a text that is longer or
    shorter than the answer says, or none, is not what we asked for."""

    def runTest(self) -> None:
        name = "header-in-trailer"
        for shape in shapes_for(name):
            entries = self.gw.installed()
            with self.subTest(shape=str(shape)):
                end, request = self.seal_request(name, shape)
                reply = self.answered(request)
                descriptor = Descriptor.of(reply)
                size, pad = descriptor.plain_len, descriptor.pad_len
                self.assertEqual(pad, 1)
                answers = [
                    frame_with(reply, plain_len=n)
                    for n in (0, 1, size - 4, size - 1, size + 1, size + 16, 8188, 8189, 0xFFFF)
                ]
                space_pad = descriptor.space_pad
                answers += [
                    frame_with(reply, space_pad=space_pad - pad + n) for n in (0, 2, 5, 17, 255)
                ]
                answers.append(frame_with(reply, plain_len=8188, space_pad=space_pad | 0xFF))
                self.not_ours(*answers)
                self.not_ours(reply[:-4], reply + bytes(4), reason=Drop.FORGED_CX)
                self.leaves(end, reply)
            self.gw.reset(entries)


class InformationThatTheEngineDidNotSee(HostileEngineTest):
    """BAD_TIH: the trailer information in the answer is not what the descriptor says, in each
    field: nibble, reserved bits, next header, pad length."""

    honest_engine = False

    def runTest(self) -> None:
        for name, layout in LAYOUTS.items():
            if layout.format not in WITH_INFORMATION:
                continue
            for shape in shapes_for(name):
                with self.subTest(format=name, shape=str(shape)):
                    self.every_bit(name, shape)

    def every_bit(self, name: str, shape: Shape) -> None:
        """All 32."""
        for bit in range(32):
            end, request = self.open_request(name, shape)
            reply = self.answered(request)
            at = information_at(end, Descriptor.of(request))
            changed = flipped_answer(reply, at + bit // 8, 0x80 >> bit % 8)
            verdict = self.gw.send(CRYPTO_PORT, changed)
            self.assert_refused(verdict, Drop.BAD_TIH)


def information_at(end: End, request: Descriptor) -> int:
    """Where the trailer information is in an answer."""
    if end.layout.format == Format.HEADER_IN_TRAILER:
        return request.aad_off
    if end.layout.format == Format.EESP_FULL:
        return request.aad_off + request.aad_len + request.iv_len
    return request.aad_off + 8 + request.iv_len


class DescriptorThatDoesNotFitTheInformation(HostileEngineTest):
    """BAD_TIH: the same, when it is the descriptor that has changed on the way."""

    honest_engine = False

    def runTest(self) -> None:
        for name in ("trailer-in-header", "trailer-in-clear", "crypt-offset-shown", "eesp-full"):
            for shape in shapes_for(name):
                with self.subTest(format=name, shape=str(shape)):
                    for change in (self.as_dummy, self.as_tcp, self.more_padding):
                        reply = self.answered(self.open_request(name, shape)[1])
                        self.refuse(Drop.BAD_TIH, CRYPTO_PORT, change(reply))

    def as_dummy(self, reply: bytes) -> bytes:
        """Another next header."""
        return frame_with(reply, next_header=NO_NEXT_HEADER)

    def as_tcp(self, reply: bytes) -> bytes:
        """And another."""
        return frame_with(reply, next_header=6)

    def more_padding(self, reply: bytes) -> bytes:
        """Another pad length."""
        return frame_with(reply, space_pad=Descriptor.of(reply).space_pad + 4)


class AnswersOfOtherFormats(HostileEngineTest):
    """FORGED_CX: an answer whose flags or AAD are of another format than the SA's, so that the text
    would be read at another place; plain ESP among them."""

    def runTest(self) -> None:
        for name in ("esp", *LAYOUTS):
            for shape in shapes_for(name):
                with self.subTest(format=name, shape=str(shape)):
                    end, request = self.open_request(name, shape)
                    reply = self.answered(request)
                    right = Descriptor.of(reply)
                    answers = [frame_with(reply, flags=right.flags ^ flag) for flag in LAYOUT_FLAGS]
                    answers += [
                        frame_with(reply, aad_len=n)
                        for n in (0, 8, 12, 16, 20, 255)
                        if n != right.aad_len
                    ]
                    before = self.state_of(end.speaking)
                    for answer in answers:
                        self.refuse(Drop.FORGED_CX, CRYPTO_PORT, answer)
                    self.assertEqual(self.state_of(end.speaking), before)
                    self.arrives(end, reply)


class FormatWithdrawnMeanwhile(HostileEngineTest):
    """STALE_SA: the format's entry is gone while a packet is in the engine; a new packet
    without the entry takes no number and moves no window."""

    def runTest(self) -> None:
        for name in LAYOUTS:
            entries = self.gw.installed()
            with self.subTest(format=name):
                self.inwards(name)
                self.outwards(name)
            self.gw.reset(entries)

    def inwards(self, name: str) -> None:
        """Without ``format_in``."""
        end, request = self.open_request(name)
        reply = self.answered(request)
        sa = end.speaking.sa
        (entry,) = end.layout.inbound(sa.sa, 4, sa.spi)
        self.gw.delete(entry)
        packet = packet_of(4, 91, ours=False)
        self.without_a_trace(Drop.STALE_SA, end.speaking, reply, port=CRYPTO_PORT)
        self.without_a_trace(Drop.STALE_SA, end.speaking, end.frame(packet, 2))
        self.gw.insert(entry)
        self.arrives(end, reply)

    def outwards(self, name: str) -> None:
        """Without ``format_out``."""
        end, request = self.seal_request(name)
        reply = self.answered(request)
        (entry,) = end.layout.outbound(end.speaking.sa.sa)
        self.gw.delete(entry)
        self.refuse(Drop.STALE_SA, CRYPTO_PORT, reply)
        packet = frames.ethernet(PROTECTED, packet_of(4, 91, ours=True))
        self.refuse(Drop.STALE_SA, PROTECTED, packet)
        self.assertEqual(sum(self.last_of(end.speaking)), 1)
        self.gw.insert(entry)
        self.leaves(end, reply)


class StatusesInEveryFormat(HostileEngineTest):
    """docs/crypto-port.md: errors travel without the packet, with what is shown of it; the
    authentic ones use the number of their sub up, and no other."""

    honest_engine = False

    def runTest(self) -> None:
        statuses = {
            Status.BAD_ICV: Drop.BAD_ICV,
            Status.NO_KEY: Drop.ENGINE_NO_KEY,
            Status.BAD_PADLEN: Drop.BAD_PADLEN,
            Status.BAD_PAD: Drop.BAD_PAD,
            Status.BAD_INNER: Drop.BAD_INNER,
        }
        for name, layout in LAYOUTS.items():
            for status, reason in statuses.items():
                with self.subTest(format=name, status=status.name):
                    sub = min(2, layout.last_sub)
                    end, request = self.open_request(name, sub=sub)
                    self.refuse(reason, CRYPTO_PORT, refusal(request, status))
                    tops = [0] * (layout.last_sub + 1)
                    tops[sub] = int(status & AUTHENTIC > 0)
                    self.assertEqual(self.tops_of(end.speaking), tops)
