"""Control messages: windowed, repeated when lost, errors as exceptions."""

import asyncio
from dataclasses import replace

import pytest

from p4esp.controller.errors import (
    ControlRefusedError,
    StateChannelError,
    SwitchUnreachableError,
)
from p4esp.controller.numbers import Control, ControlStatus
from p4esp.controller.state_channel import WINDOW, ControlMessage, StateChannel


class Pipeline:
    """Answers as state.p4 does, for a few registers; loses messages by number."""

    def __init__(self, *, lose_requests: set[int] = frozenset(), lose_answers=frozenset()) -> None:
        self.channel = StateChannel(self.receive, timeout=0.01, tries=3)
        self.requests: list[ControlMessage] = []
        self.in_flight = self.most_in_flight = 0
        self.sequence: dict[int, int] = {}
        self.cells: set[int] = set(range(100))
        self._lose_requests = lose_requests
        self._lose_answers = lose_answers

    async def receive(self, request: ControlMessage) -> None:
        number = len(self.requests)
        self.requests.append(request)
        if number in self._lose_requests:
            return
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        answer = self.answer(request)
        if number not in self._lose_answers:
            asyncio.get_running_loop().call_soon(self._deliver, answer)

    def _deliver(self, answer: ControlMessage) -> None:
        self.in_flight -= 1
        self.channel.answered(answer)

    def answer(self, request: ControlMessage) -> ControlMessage:
        last = self.sequence.get(request.index, 0)
        match request.op:
            case Control.READ_BOOT:
                return replace(request, status=ControlStatus.NO_BOOT)
            case Control.READ_SEQ:
                return replace(request, value=last)
            case Control.ADVANCE_SEQ:
                forward = request.value > last
                self.sequence[request.index] = max(last, request.value)
                status = ControlStatus.OK if forward else ControlStatus.BACKWARD
                return replace(request, value=last, status=status)
            case Control.SCRUB_CELLS:
                self.cells -= set(range(request.index, request.index + request.value))
                return request
            case _:
                return replace(request, status=ControlStatus.BAD_INDEX)


async def test_at_most_a_window_of_messages_is_in_flight() -> None:
    pipeline = Pipeline()
    values = await asyncio.gather(*(pipeline.channel.read_sequence(i) for i in range(200)))
    assert values == [0] * 200
    assert pipeline.most_in_flight <= WINDOW


async def test_a_lost_request_is_sent_again_under_its_token() -> None:
    pipeline = Pipeline(lose_requests={0})
    assert await pipeline.channel.read_sequence(7) == 0
    first, second = pipeline.requests
    assert first == second


async def test_advancing_twice_because_an_answer_was_lost_is_no_error() -> None:
    pipeline = Pipeline(lose_answers={0})
    await pipeline.channel.advance_sequence(1, 500)
    assert pipeline.sequence == {1: 500}


async def test_moving_a_sequence_backward_is_refused() -> None:
    pipeline = Pipeline()
    pipeline.sequence[1] = 500
    with pytest.raises(ControlRefusedError, match="ADVANCE_SEQ 1: the pipeline says BACKWARD"):
        await pipeline.channel.advance_sequence(1, 499)


async def test_a_silent_pipeline_is_given_up() -> None:
    pipeline = Pipeline(lose_requests={0, 1, 2})
    with pytest.raises(StateChannelError, match="READ_SEQ 3: no answer"):
        await pipeline.channel.read_sequence(3)
    assert len(pipeline.requests) == 3


async def test_an_error_answer_names_operation_index_and_status() -> None:
    with pytest.raises(ControlRefusedError, match="SCRUB_TOP 70000: the pipeline says BAD_INDEX"):
        await Pipeline().channel.scrub_top(70000)


async def test_a_missing_boot_entry_is_no_boot_id() -> None:
    assert await Pipeline().channel.read_boot() is None


async def test_scrubbing_clears_exactly_the_range() -> None:
    pipeline = Pipeline()
    await pipeline.channel.scrub_cells(10, 40)
    assert pipeline.cells == set(range(10)) | set(range(50, 100))


async def test_an_answer_nobody_waits_for_is_ignored() -> None:
    pipeline = Pipeline()
    pipeline.channel.answered(ControlMessage(Control.READ_SEQ, 99, 0))
    assert await pipeline.channel.read_sequence(0) == 0


async def test_a_closed_channel_keeps_nobody_waiting() -> None:
    channel = StateChannel(_nowhere, timeout=1000)
    asking = asyncio.create_task(channel.read_sequence(1))
    await asyncio.sleep(0)
    channel.close(SwitchUnreachableError("the session is over"))
    async with asyncio.timeout(5):
        for question in (asking, channel.read_sequence(2)):
            with pytest.raises(SwitchUnreachableError, match="the session is over"):
                await question


async def _nowhere(_: ControlMessage) -> None:
    return
