"""Starts and stops a switch under test."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

STOP_TIMEOUT = 10.0
CPU_PORT = "510"


class TargetError(Exception):
    """The target can't be started; the text says what is missing."""


class TargetDiedError(TargetError):
    """The target ended while the tests ran."""


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where a target listens."""

    p4runtime: str
    packets: str
    thrift_port: int


def free_addresses(targets: int) -> list[Addresses]:
    """Three free loopback ports for each target, taken together so that they differ."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(3 * targets)]
        for sock in sockets:
            sock.bind(("127.0.0.1", 0))
        ports = [sock.getsockname()[1] for sock in sockets]
    triples = zip(ports[::3], ports[1::3], ports[2::3], strict=True)
    return [Addresses(f"127.0.0.1:{a}", f"127.0.0.1:{b}", thrift) for a, b, thrift in triples]


def bmv2_command(addresses: Addresses) -> list[str]:
    """``$SIMPLE_SWITCH_GRPC`` or simple_switch_grpc from PATH."""
    name = os.environ.get("SIMPLE_SWITCH_GRPC") or "simple_switch_grpc"
    program = shutil.which(name)
    if program is None:
        raise TargetError(f"{name} not found: set SIMPLE_SWITCH_GRPC or put bmv2 on PATH")
    switch_options = ["--no-p4", "--device-id", "1", "--thrift-port", str(addresses.thrift_port)]
    server_options = ["--grpc-server-addr", addresses.p4runtime]
    server_options += ["--dp-grpc-server-addr", addresses.packets, "--cpu-port", CPU_PORT]
    return [program, *switch_options, "-L", "off", "--", *server_options]


def embedded_command(addresses: Addresses) -> list[str]:
    """The embedded switch of this checkout's environment."""
    command = Path(sys.executable).parent / "p4esp"
    options = ["--grpc-server-addr", addresses.p4runtime]
    options += ["--dp-grpc-server-addr", addresses.packets]
    return [str(command), "switch", *options, "--device-id", "1", "--cpu-port", CPU_PORT]


COMMANDS = {"bmv2": bmv2_command, "embedded": embedded_command}


@contextmanager
def running(target: str, addresses: Addresses, log: Path) -> Iterator[None]:
    """A target that runs while the block does; its output goes to ``log``."""
    with log.open("wb") as output:
        command = COMMANDS[target](addresses)
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
        try:
            yield
            if process.poll() is not None:
                raise TargetDiedError(f"{target} ended with {process.returncode}, see {log}")
        finally:
            _stop(process)


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_TIMEOUT)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
