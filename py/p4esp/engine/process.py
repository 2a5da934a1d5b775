"""An engine as a process of its own: key socket on one side, crypto port on the other."""

from __future__ import annotations

from pathlib import Path

from p4esp.engine.attach import Attachment, Connect
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
    server = KeyServer(LocalKeys(engine, attachment.state), socket)
    await server.start()
    try:
        await attachment.run()
    finally:
        engine.remove_all()
        await server.stop()
