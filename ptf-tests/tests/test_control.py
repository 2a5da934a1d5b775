"""Control messages: state of SAs read and scrubbed over packet-out and packet-in."""

from __future__ import annotations

from harness import tables
from harness.gateway import PacketOut
from harness.ids import (
    REPLAY_CELLS,
    SCRUB_CELLS_MAX,
    SPACES,
    ControlStatus,
    Op,
    Outcome,
)
from harness.sa import cells_for
from harness.testcase import GatewayTest
from harness.topology import BOOT_ID, PROTECTED
from harness.tunnels import InboundTunnel

SPACE_OPS = (Op.READ_SEQ, Op.SCRUB_SEQ, Op.ADVANCE_SEQ, Op.READ_TOP, Op.SCRUB_TOP)
CELL_OPS = (Op.READ_CELL, Op.SCRUB_CELLS)


class EveryAnswerIsAnEcho(GatewayTest):
    """Op, token and index come back, the port is 0, and the outcome is ANSWERED."""

    def runTest(self) -> None:
        space = self.session.numbers.index()
        for token, op in enumerate((Op.READ_BOOT, *SPACE_OPS, *CELL_OPS), start=0xFFFFFFF0):
            message = PacketOut(op, index=space, token=token, payload=b"ignored")
            verdict = self.gw.exchange([message])
            (answer,) = verdict.packet_ins
            self.assertEqual((answer.op, answer.token, answer.index), (op, token, space))
            self.assertEqual(answer.port, 0)
            self.assertEqual(dict(verdict.outcomes), {Outcome.ANSWERED: 1})


class BootId(GatewayTest):
    """The boot id is there after set-up; without the entry the answer says so."""

    def runTest(self) -> None:
        answer = self.gw.control(Op.READ_BOOT)
        self.assertEqual((answer.status, answer.value), (ControlStatus.OK, BOOT_ID))
        self.without(tables.boot_id(BOOT_ID))
        answer = self.gw.control(Op.READ_BOOT)
        self.assertEqual((answer.status, answer.value), (ControlStatus.NO_BOOT, 0))


class UnknownOperations(GatewayTest):
    """Operations that nobody has defined are answered BAD_OP."""

    def runTest(self) -> None:
        for op in (0, 6, 15, 24, 25, 128, 255):
            self.assertEqual(self.status_of(op), ControlStatus.BAD_OP, op)


class IndicesOutOfRange(GatewayTest):
    """No index beyond a register reaches it (bmv2 would die); the last one does."""

    def runTest(self) -> None:
        for ops, size in ((SPACE_OPS, SPACES), (CELL_OPS, REPLAY_CELLS)):
            for op in ops:
                for index in (size, size + 1, 1 << 31, (1 << 32) - 1):
                    status = self.status_of(op, index, value=1)
                    self.assertEqual(status, ControlStatus.BAD_INDEX, (op, index))
                self.assertEqual(self.status_of(op, size - 1, value=1), ControlStatus.OK)


class SequenceNumber(GatewayTest):
    """Advance goes forward only and answers the old value; scrub goes to zero."""

    def runTest(self) -> None:
        space = self.session.numbers.index()
        self.assertEqual(self.gw.read(Op.READ_SEQ, space), 0)
        for value, old in ((5, 0), (1 << 40, 5), ((1 << 64) - 1, 1 << 40)):
            answer = self.gw.control(Op.ADVANCE_SEQ, space, value)
            self.assertEqual((answer.status, answer.value), (ControlStatus.OK, old))
            self.assertEqual(self.gw.read(Op.READ_SEQ, space), value)
        self.assertEqual(self.status_of(Op.SCRUB_SEQ, space), ControlStatus.OK)
        self.assertEqual(self.gw.read(Op.READ_SEQ, space), 0)


class NeverBackward(GatewayTest):
    """BACKWARD: to a smaller number, and to the same; the register stays."""

    def runTest(self) -> None:
        space = self.session.numbers.index()
        self.gw.control(Op.ADVANCE_SEQ, space, 1000)
        for value in (0, 1, 999, 1000):
            answer = self.gw.control(Op.ADVANCE_SEQ, space, value)
            self.assertEqual((answer.status, answer.value), (ControlStatus.BACKWARD, 1000))
        self.assertEqual(self.gw.read(Op.READ_SEQ, space), 1000)


class NeighboursKeepTheirState(GatewayTest):
    """A scrub touches one space alone."""

    def runTest(self) -> None:
        spaces = [self.session.numbers.index() for _ in range(3)]
        for space in spaces:
            self.gw.control(Op.ADVANCE_SEQ, space, space)
        self.gw.control(Op.SCRUB_SEQ, spaces[1])
        self.gw.control(Op.SCRUB_TOP, spaces[1])
        values = [self.gw.read(Op.READ_SEQ, space) for space in spaces]
        self.assertEqual(values, [spaces[0], 0, spaces[2]])


class WindowStateIsRead(GatewayTest):
    """Top and cells show what was authenticated: block number and bits."""

    def runTest(self) -> None:
        tunnel = self.inbound()
        for seq in (1, 31, 32, 70):
            self.accept(tunnel, seq)
        self.assertEqual(tunnel.top(), 70)
        expected = [1 << 31 | 1 << 1, 1 << 32 | 1, 2 << 32 | 1 << 6, 0]
        self.assertEqual(tunnel.cells(), expected)


class ScrubCells(GatewayTest):
    """At most 16 a message; the answer says how many; neighbours stay."""

    def runTest(self) -> None:
        for wanted in (0, 1, 5, 16, 17, 1 << 40):
            tunnel = self.filled_window()
            base, cells = tunnel.sa.cell_base, cells_for(tunnel.sa.window)
            answer = self.gw.control(Op.SCRUB_CELLS, base, wanted)
            cleared = min(wanted, SCRUB_CELLS_MAX)
            self.assertEqual((answer.status, answer.value), (ControlStatus.OK, cleared))
            left = [cell != 0 for cell in tunnel.cells()]
            self.assertEqual(left, [False] * cleared + [True] * (cells - cleared))

    def filled_window(self) -> InboundTunnel:
        """An SA with a number in each of its 32 cells."""
        tunnel = self.inbound(window=992)
        for block in range(1, 33):
            self.accept(tunnel, 32 * block)
        return tunnel


class ScrubAtTheEndOfThePool(GatewayTest):
    """A scrub that would run out of the pool stops there."""

    def runTest(self) -> None:
        for left in (1, 4, 15):
            answer = self.gw.control(Op.SCRUB_CELLS, REPLAY_CELLS - left, SCRUB_CELLS_MAX)
            self.assertEqual((answer.status, answer.value), (ControlStatus.OK, left))


class ScrubOf256Cells(GatewayTest):
    """The ring of a 4096 window: 16 messages in one window of messages, each acknowledged."""

    def runTest(self) -> None:
        tunnel = self.inbound(window=4096)
        for seq in range(32, 32 * 256, 32 * 17):
            self.accept(tunnel, seq)
        base = tunnel.sa.cell_base
        messages = [
            PacketOut(Op.SCRUB_CELLS, index=base + offset, value=16, token=offset)
            for offset in range(0, 256, 16)
        ]
        verdict = self.gw.exchange(messages)
        acknowledged = {answer.token: answer.value for answer in verdict.packet_ins}
        self.assertEqual(acknowledged, dict.fromkeys(range(0, 256, 16), 16))
        reads = [PacketOut(Op.READ_CELL, index=base + place) for place in range(256)]
        values = {answer.value for answer in self.gw.exchange(reads).packet_ins}
        self.assertEqual(values, {0})


class MessagesAmongTraffic(GatewayTest):
    """A full window of messages mixed with packets: every one is answered, in order."""

    def runTest(self) -> None:
        tunnel = self.protected_outbound()
        messages = [PacketOut(Op.READ_SEQ, index=tunnel.sa.space, token=n) for n in range(32)]
        answers = self.gw.exchange(messages).packet_ins
        self.assertEqual([answer.token for answer in answers], list(range(32)))
        self.assertEqual({answer.value for answer in answers}, {0})


class ControlPortIsForTheController(GatewayTest):
    """A control header on an ordinary port is ordinary octets."""

    def runTest(self) -> None:
        space = self.session.numbers.index()
        self.gw.control(Op.ADVANCE_SEQ, space, 7)
        header = bytes([Op.SCRUB_SEQ, 0, 0, 0]) + bytes(4) + space.to_bytes(4) + bytes(8)
        verdict = self.gw.send(PROTECTED, header + bytes(40))
        self.assertEqual(verdict.packet_ins, [])
        self.assertEqual(self.gw.read(Op.READ_SEQ, space), 7)
