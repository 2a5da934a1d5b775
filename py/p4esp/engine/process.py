"""A running engine: key socket on one side, crypto port on the other."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from p4esp.engine.attach import Attachment, Connect, PortDevice, attach_engine
from p4esp.engine.core import Engine
from p4esp.engine.keyserver import KeyServer
from p4esp.engine.keyservice import LocalKeys


async def run_engine(
    socket: Path, name: str, connect: Connect, engine: Engine | None = None
) -> None:
    """Serve keys on ``socket`` and frames where ``connect`` leads, until cancelled.

    ``name`` describes the crypto port in health reports. SocketPathError when the socket
    cannot be served safely.
    """
    engine = engine or Engine()
    attachment = Attachment(name, connect, engine.process)
    async with _serving_keys(LocalKeys(engine, attachment.state), socket):
        await attachment.run()


@asynccontextmanager
async def engine_inside(device: PortDevice, port: int, socket: Path) -> AsyncIterator[None]:
    """An engine on the crypto port of a switch in this process, which serves keys on ``socket``.

    SocketPathError when the socket cannot be served safely.
    """
    engine = Engine()
    attach_engine(device, port, engine.process)
    async with _serving_keys(LocalKeys(engine), socket):
        yield


@asynccontextmanager
async def _serving_keys(keys: LocalKeys, socket: Path) -> AsyncIterator[None]:
    server = KeyServer(keys, socket)
    await server.start()
    try:
        yield
    finally:
        await keys.remove_all()
        await server.stop()
