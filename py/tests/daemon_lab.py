"""Two IKE daemons on loopback, each on all addresses, with ports that were free."""

import asyncio
import os
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from p4esp.configuration.sections import parse_file
from p4esp.daemon.config import DaemonConfig
from p4esp.daemon.daemon import IkeDaemon, Surroundings
from p4esp.ike.trace import TraceRecord
from p4esp.service.control_client import ask
from p4esp.service.journal import Journal

WEST_NET, EAST_NET = "10.1.0.0/16", "10.2.0.0/16"


def free_udp_ports(count: int) -> list[int]:
    sockets = [socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) for _ in range(count)]
    try:
        for item in sockets:
            item.bind(("::", 0))
        return [item.getsockname()[1] for item in sockets]
    finally:
        for item in sockets:
            item.close()


def peer_section(name: str, here: str, there: str, **changes: Any) -> dict[str, Any]:
    mine, theirs = (WEST_NET, EAST_NET) if name == "east" else (EAST_NET, WEST_NET)
    me = "west" if name == "east" else "east"
    section = {
        "name": name,
        "local": here,
        "remote": there,
        "local_id": f"{me}.example",
        "remote_id": f"{name}.example",
        "psk": "correct horse",
        "children": [{"name": "net", "local": [mine], "remote": [theirs]}],
    }
    return section | changes


@dataclass
class RunningDaemon:
    """A daemon in this process, commanded through its socket."""

    journal: Journal
    control: Path
    traces: list[TraceRecord]

    async def tell(self, command: str, **arguments: str) -> Any:
        return await asyncio.to_thread(ask, self.control, command, **arguments)


@asynccontextmanager
async def running_daemon(directory: Path, **config: Any) -> AsyncIterator[RunningDaemon]:
    parsed = parse_file(DaemonConfig, config, "test.toml", directory)
    traces: list[TraceRecord] = []
    journal = Journal()
    around = Surroundings(
        journal, time.monotonic, os.urandom, trace=lambda _, record: traces.append(record)
    )
    daemon = IkeDaemon(parsed, around)
    ready = asyncio.Event()
    task = asyncio.create_task(daemon.run(ready.set))
    waiting = asyncio.create_task(ready.wait())
    try:
        await asyncio.wait((task, waiting), return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            await task
        yield RunningDaemon(journal, parsed.control, traces)
    finally:
        waiting.cancel()
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
