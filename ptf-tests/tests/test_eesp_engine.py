"""An engine that changes EESP packets: what it makes up is not believed, nothing else leaves."""

from __future__ import annotations

from harness.engine import Descriptor, frame_with
from harness.format_cases import HostileEngineTest, flipped_answer, shapes_for
from harness.format_modes import End
from harness.ids import CRYPTO_PORT, Drop, Format, Mode
from harness.modes import Shape
from harness.sa import Layout

OPTIMIZED, FULL = "eesp-optimized", "eesp-full"
BOTH = (OPTIMIZED, FULL)
OPTIONS_LEN, SESSION, SPI, OPTION = 1, 3, 7, 8
BARE = Layout(Format.EESP_OPTIMIZED, no_seq=True)


class OptionsThatTheEngineChanged(HostileEngineTest):
    """FORGED_CX: an answer whose options are longer, shorter or show something else than what was
    asked for, so that its text would be read at another place."""

    def runTest(self) -> None:
        for name in BOTH:
            for shape in shapes_for(name):
                with self.subTest(format=name, shape=str(shape)):
                    end, request = self.open_request(name, shape)
                    reply, at = self.answered(request), Descriptor.of(request).aad_off
                    before = self.state_of(end.speaking)
                    self.refuse(Drop.FORGED_CX, CRYPTO_PORT, *self.changed(end, reply, at))
                    self.assertEqual(self.state_of(end.speaking), before)
                    self.arrives(end, reply)

    def changed(self, end: End, reply: bytes, at: int) -> list[bytes]:
        """Answers that are laid out otherwise."""
        right = Descriptor.of(reply)
        answers = [flipped_answer(reply, at + OPTIONS_LEN, mask) for mask in (0x04, 0x08, 0x0C)]
        answers += [frame_with(reply, ct_off=right.ct_off + n) for n in (-8, -4, 4, 8)]
        answers += [frame_with(reply, aad_len=right.aad_len + n) for n in (-8, -4, 4, 8)]
        answers.append(frame_with(reply, iv_len=right.iv_len ^ 8))
        if end.layout.shown:
            answers += [flipped_answer(reply, at + OPTION, mask) for mask in (0x01, 0x03, 0x80)]
            answers += [flipped_answer(reply, at + OPTION + 3, 0x10 << bit) for bit in range(4)]
        return answers


class AnswersOfOtherProtocols(HostileEngineTest):
    """FORGED_CX: the answer to an EESP packet is one of ESP, of WESP, in UDP or of no protocol that
    we know; BAD_INNER where its header is as long, for what is read as its text is no packet."""

    honest_engine = False

    def runTest(self) -> None:
        for name in BOTH:
            for shape in shapes_for(name):
                with self.subTest(format=name, shape=str(shape)):
                    place = 6 if shape.outer == 6 else 9
                    for protocol in (17, 50, 99, 141):
                        reply = self.answered(self.open_request(name, shape)[1])
                        changed = flipped_answer(reply, place, 253 ^ protocol)
                        verdict = self.gw.send(CRYPTO_PORT, changed)
                        self.assertEqual((verdict.outputs, verdict.packet_ins), ([], []))
                        self.assertLessEqual(set(verdict.drops), {Drop.FORGED_CX, Drop.BAD_INNER})


class SealedWithoutNumbers(HostileEngineTest):
    """CLEAR_OUT: without a number on the wire, it is SPI and session that were asked for."""

    def runTest(self) -> None:
        keys = self.explicit(OPTIMIZED)
        end = self.to_peer(OPTIMIZED, keys=keys, layout=BARE)
        request = self.request_of(end)
        reply, at = self.answered(request), Descriptor.of(request).aad_off
        places = range(at + SESSION - 1, at + SPI + 1)
        self.not_ours(*(flipped_answer(reply, place) for place in places))
        self.not_ours(flipped_answer(reply, 9), flipped_answer(reply, 19))
        self.leaves(end, reply)


class OpenedWithoutNumbers(HostileEngineTest):
    """FORGED_CX: with a number in the answer where the packet had none, or no IV."""

    def runTest(self) -> None:
        for shape in (Shape(), Shape(outer=6, inner=6)):
            with self.subTest(shape=str(shape)):
                keys = self.explicit(OPTIMIZED)
                end = self.from_peer(OPTIMIZED, shape, keys=keys, layout=BARE, window=0)
                request = self.open_of(end)
                reply = self.answered(request)
                right = Descriptor.of(reply)
                self.assertEqual(right.aad_len, 8)
                answers = [frame_with(reply, aad_len=16), frame_with(reply, iv_len=0)]
                answers.append(frame_with(reply, aad_len=16, iv_len=0))
                answers.append(frame_with(reply, ct_off=right.ct_off + 8, aad_len=16))
                self.refuse(Drop.FORGED_CX, CRYPTO_PORT, *answers)
                self.arrives(end, reply)


class LengthsThatTheEngineMadeUp(HostileEngineTest):
    """FORGED_CX or BAD_INNER: an opened packet that is longer or shorter than its own length."""

    honest_engine = False

    def runTest(self) -> None:
        for name in BOTH:
            for shape in shapes_for(name):
                if shape.mode != Mode.TUNNEL:
                    continue
                with self.subTest(format=name, shape=str(shape)):
                    reply = self.answered(self.open_request(name, shape)[1])
                    size = Descriptor.of(reply).plain_len
                    lies = [frame_with(reply, plain_len=size + n) for n in (-4, -1, 1, 4)]
                    lies += [reply[:-4], reply + bytes(4)]
                    self.refuse(Drop.FORGED_CX, CRYPTO_PORT, *lies)
                    for n in (1, 4):
                        reply = self.answered(self.open_request(name, shape)[1])
                        shorter = frame_with(reply[:-n], plain_len=size - n)
                        self.refuse(Drop.BAD_INNER, CRYPTO_PORT, shorter)
