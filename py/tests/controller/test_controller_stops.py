"""A controller that is told to end, ends: whatever hangs, and whatever fails meanwhile."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from lab_helpers import PROGRAM

from p4esp.controller import gateway, tables, target
from p4esp.controller.client_errors import client_errors
from p4esp.controller.entries import Op, Update
from p4esp.controller.errors import SwitchUnreachableError
from p4esp.demo.lab import Lab, running_lab
from p4esp.demo.plan import Change
from p4esp.service.journal import Kind


@pytest.fixture
async def lab():
    async with running_lab(PROGRAM) as running, asyncio.timeout(15):
        await running.tunnel_up()
        yield running


async def test_a_write_that_hangs_in_an_installation_does_not_hold_the_controller(
    lab: Lab,
) -> None:
    left = lab.gateway(lab.left)
    hanging = asyncio.Event()

    async def hang(_: object) -> dict[int, tuple[str, str]]:
        hanging.set()
        await asyncio.Event().wait()
        return {}

    assert left.link is not None
    left.link.writer._send = hang
    left.rekey_child(next(iter(left.sas.live)))
    await hanging.wait()
    async with asyncio.timeout(5):
        await lab.stop_controller()
    lab.start_controller()
    await lab.happened(lab.left, Kind.RECONCILED, "1 SAs stay")


async def test_a_switch_that_does_not_answer_a_call_is_given_up_and_met_again(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = lab.gateway(lab.left)
    assert left.link is not None
    session, mute = left.link.session, asyncio.Event()

    async def hang(_: object) -> None:
        await mute.wait()

    session._switch.write = hang
    monkeypatch.setattr(target, "CALL_SECONDS", 0.05)
    again = asyncio.create_task(lab.journal.next(lambda note: note.kind is Kind.RECONCILED))
    with pytest.raises(SwitchUnreachableError, match=r"left: no answer to a call in 0.05 s"):
        await session.write([Update(Op.INSERT, tables.boot_id(1))])
    monkeypatch.undo()
    await lab.happened(lab.left, Kind.DISCONNECTED, "no answer to a call")
    assert (await again).text == "1 SAs stay"


async def test_a_session_that_fails_while_the_controller_ends_is_not_tried_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A TaskGroup that fails while it is cancelled raises the failure only (cpython 116720)."""
    lab = unreachable_lab()
    opened = asyncio.Queue[str]()

    async def fail_when_cancelled() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            raise SwitchUnreachableError("the channel was closed under our feet")

    @asynccontextmanager
    async def failing_session(address: Any, *_: Any, **__: Any) -> AsyncIterator[None]:
        opened.put_nowait(address.name)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(fail_when_cancelled())
            await asyncio.Event().wait()
            yield

    monkeypatch.setattr(gateway, "open_session", failing_session)
    lab.start_controller()
    async with asyncio.timeout(5):
        for _ in lab.sites:
            await opened.get()
        await asyncio.sleep(0)  # the session's tasks begin
        await lab.stop_controller()
    assert opened.empty()


async def test_a_call_that_grpc_cancels_after_a_lost_stream_does_not_end_the_gateway(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A TaskGroup that fails on its way out leaves its task marked as cancelled in Python 3.11."""
    lab = unreachable_lab()
    opened = asyncio.Queue[None]()

    async def fail() -> None:
        await asyncio.sleep(0)
        raise SwitchUnreachableError("the stream ended")

    @asynccontextmanager
    async def failing_session(address: Any, *_: Any, **__: Any) -> AsyncIterator[None]:
        opened.put_nowait(None)
        if opened.qsize() % 2:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(fail())
        with client_errors(address.name):
            raise asyncio.CancelledError
        yield

    monkeypatch.setattr(gateway, "open_session", failing_session)
    lab.start_controller()
    async with asyncio.timeout(5):
        while opened.qsize() < 5 * len(lab.sites):
            await asyncio.sleep(0.01)
        await lab.stop_controller()


def unreachable_lab() -> Lab:
    """A lab without switches."""
    lab = Lab(PROGRAM, Change())
    for port, site in enumerate(lab.sites, 1):
        site.address = f"127.0.0.1:{port}"
    return lab
