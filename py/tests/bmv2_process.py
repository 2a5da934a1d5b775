"""Runs bmv2's simple_switch_grpc without root for comparison."""

import asyncio
import os
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

SKIP_REASON = "simple_switch_grpc missing"


@dataclass(frozen=True)
class Bmv2:
    """Addresses of a running bmv2."""

    grpc_address: str
    dataplane_address: str


def find_bmv2() -> str | None:
    """$SIMPLE_SWITCH_GRPC, or simple_switch_grpc of PATH."""
    return os.environ.get("SIMPLE_SWITCH_GRPC") or shutil.which("simple_switch_grpc")


@asynccontextmanager
async def running_bmv2(device_id: int = 1) -> AsyncIterator[Bmv2]:
    """A bmv2 without program, ready to be connected to."""
    binary = find_bmv2()
    assert binary is not None
    ports = _free_ports(3)
    addresses = Bmv2(f"127.0.0.1:{ports[0]}", f"127.0.0.1:{ports[1]}")
    command = [binary, "--no-p4", "--device-id", str(device_id), "--thrift-port", str(ports[2])]
    command += ["--", "--grpc-server-addr", addresses.grpc_address, "--cpu-port", "510"]
    command += ["--dp-grpc-server-addr", addresses.dataplane_address]
    quiet = subprocess.DEVNULL
    with subprocess.Popen(command, stdout=quiet, stderr=quiet) as process:
        try:
            await _listening(ports[:2])
            yield addresses
        finally:
            process.kill()


async def _listening(ports: list[int]) -> None:
    """Wait until all ports can be connected to; gRPC itself would retry only after a second."""
    for port in ports:
        async with asyncio.timeout(10):
            while True:
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                except OSError:
                    await asyncio.sleep(0.02)
                else:
                    writer.close()
                    break


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()
