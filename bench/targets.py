"""The switches that are compared, each as a process that serves P4Runtime."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

from bench.entries import gateway_entries, sa_entries
from bench.p4runtime import DEVICE_ID, Client, EntryEncoder, write_requests
from bench.processes import Child, child, free_port
from bench.session import MissingError, Session
from bench.topology import CPU_PORT

BMV2_ENV = "SIMPLE_SWITCH_GRPC"
PACKAGE = Path(__file__).parent
RUN_COMMAND = "from p4esp.cli.main import main; main()"
"""The console script may belong to another revision than the one that is measured."""
BMV2_NAME = "simple_switch_grpc"

Interfaces = Mapping[int, str]
"""Linux interfaces by switch port."""


class Target(Protocol):
    """A switch that can be started."""

    @property
    def name(self) -> str: ...

    def command(self, program: Path | None, grpc_port: int, interfaces: Interfaces) -> list[str]:
        """How it is started; without a program it waits for one."""
        ...


@dataclass(frozen=True, slots=True)
class Embedded:
    """Our own switch."""

    name: str = "embedded"

    def command(self, program: Path | None, grpc_port: int, interfaces: Interfaces) -> list[str]:
        """`p4esp switch`."""
        return [
            *(sys.executable, "-c", RUN_COMMAND, "switch"),
            *([str(program)] if program else []),
            *("--grpc-server-addr", f"127.0.0.1:{grpc_port}"),
            *("--device-id", str(DEVICE_ID), "--cpu-port", str(CPU_PORT)),
            *_interface_options(interfaces),
        ]


@dataclass(frozen=True, slots=True)
class Bmv2:
    """bmv2's `simple_switch_grpc`; logging stays off."""

    binary: str
    name: str = "bmv2"

    def command(self, program: Path | None, grpc_port: int, interfaces: Interfaces) -> list[str]:
        """Options of the target come behind `--`. Thrift's port is always bound: pick one."""
        return [
            *(self.binary, "--device-id", str(DEVICE_ID), "--thrift-port", str(free_port())),
            *_interface_options(interfaces),
            str(program) if program else "--no-p4",
            *("--", "--grpc-server-addr", f"127.0.0.1:{grpc_port}", "--cpu-port", str(CPU_PORT)),
        ]


def _interface_options(interfaces: Interfaces) -> Sequence[str]:
    return [word for port, name in interfaces.items() for word in ("-i", f"{port}@{name}")]


def targets(session: Session) -> list[Target]:
    """Our switch, then bmv2 when it is here and peers are wanted."""
    if find_spec("p4esp.cli.main") is None:
        raise MissingError("this revision has no `p4esp switch`")
    binary = _bmv2_binary() if session.peers else None
    return [Embedded(), Bmv2(binary)] if binary else [Embedded()]


def absent_peer(session: Session) -> str:
    """What to note in a row without a peer; empty when bmv2 is here or not wanted."""
    if not session.peers or _bmv2_binary():
        return ""
    return f"no bmv2 beside it: neither ${BMV2_ENV} nor {BMV2_NAME} on PATH"


def _bmv2_binary() -> str | None:
    return shutil.which(os.environ.get(BMV2_ENV) or BMV2_NAME)


def child_path() -> dict[str, str]:
    """The environment in which a child finds this package, and `p4esp` where we found it."""
    return {"PYTHONPATH": os.pathsep.join([str(PACKAGE.parent), *sys.path])}


@dataclass(frozen=True, slots=True)
class Switch:
    """A running switch, its controller, and the encoder for its tables."""

    name: str
    process: Child
    client: Client
    encoder: EntryEncoder

    def fill(self, sas: int) -> None:
        """Writes a working gateway with that many SAs."""
        entries = [*gateway_entries(), *sa_entries(sas)]
        self.client.write_encoded(list(write_requests(map(self.encoder.insert, entries))))


@contextmanager
def running(session: Session, target: Target, interfaces: Interfaces) -> Iterator[Switch]:
    """Starts a target with the gateway program loaded over P4Runtime, tables empty."""
    port = free_port()
    log = session.scratch() / f"{target.name}-{port}.log"
    with (
        child(target.command(None, port, interfaces), log, child_path()) as process,
        Client(f"127.0.0.1:{port}") as client,
    ):
        process.wait_listening(port)
        client.capabilities()
        client.become_primary()
        client.push(session.p4info, session.program)
        yield Switch(target.name, process, client, EntryEncoder(session.p4info))
