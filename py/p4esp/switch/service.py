"""The embedded switch as a service: P4Runtime, packet I/O over gRPC, Linux interfaces.

Everything runs on the caller's event loop, so one process can hold several switches.
"""

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

import grpc
from finsy.proto import p4i, p4r, p4r_grpc
from google.protobuf import text_format

from p4esp.p4rt.entities import Clocks
from p4esp.p4rt.errors import P4RuntimeError
from p4esp.p4rt.server import new_grpc_server
from p4esp.p4rt.servicer import P4RuntimeServicer
from p4esp.switch.device import Device
from p4esp.switch.errors import LoadError
from p4esp.switch.ports.dataplane_rpc import add_dataplane_service
from p4esp.switch.ports.dataplane_server import DataplaneServer
from p4esp.switch.ports.linux import InterfaceError, InterfaceSpec, LinuxPort
from p4esp.switch.ports.portset import MAX_PORT

SYSTEM_CLOCKS = Clocks(time.monotonic_ns, time.time_ns)


class ProgramError(Exception):
    """The program given at start was refused; the message says why."""


@dataclass(frozen=True, slots=True)
class Program:
    """bmv2 JSON and, for P4Runtime to work before a client pushes one, its p4info as text."""

    json: bytes
    p4info: str | None = None


@dataclass(frozen=True, slots=True)
class SwitchOptions:
    """How to run a switch. Addresses are host:port, port 0 picks a free one.

    `dataplane_address` None: no packet I/O over gRPC. `cpu_port` None: no packet-in or -out.
    """

    grpc_address: str = "127.0.0.1:0"
    dataplane_address: str | None = None
    device_id: int = 1
    cpu_port: int | None = 510
    interfaces: tuple[InterfaceSpec, ...] = ()
    program: Program | None = None
    clocks: Clocks = SYSTEM_CLOCKS
    seed: int | None = None


class SwitchService:
    """A running switch; make one with `running_switch`."""

    def __init__(self, options: SwitchOptions) -> None:
        self.options = options
        self.device = self._new_device()
        self.grpc_address = ""
        self.dataplane_address = ""
        self._servers: list[grpc.aio.Server] = []
        self._ports: list[LinuxPort] = []
        self._servicer = P4RuntimeServicer(
            self.device, self._new_device, options.clocks, options.device_id, options.cpu_port
        )
        self._dataplane: DataplaneServer | None = None
        self._housekeeping: asyncio.Task[None] | None = None

    def drops(self) -> dict[str, int]:
        """Packets and notifications that left the switch but reached nobody, by reason."""
        found = {f"port {port} not attached": n for port, n in self.device.unattached.items()}
        found |= self._servicer.drops
        found |= {f"port {port.spec.port} not sent": port.lost for port in self._ports if port.lost}
        if self._dataplane is not None and self._dataplane.lost:
            found["packet stream not open or full"] = self._dataplane.lost
        if self._dataplane is not None and self._dataplane.refused:
            found["packet stream to a port that is not its own"] = self._dataplane.refused
        return found

    async def start(self) -> None:
        """Load the program, open interfaces and addresses.

        Raises ProgramError, InterfaceError or AddressInUseError; call `stop` even then.
        """
        _check_ports(self.options)
        self._load(self.options.program)
        self._ports = []
        for spec in self.options.interfaces:
            self._ports.append(LinuxPort(self.device, spec))
        self.grpc_address = await self._serve_p4runtime(self.options.grpc_address)
        if self.options.dataplane_address is not None:
            self.dataplane_address = await self._serve_dataplane(self.options.dataplane_address)
        self._housekeeping = asyncio.create_task(self._servicer.run())

    async def stop(self, grace: float = 0.5) -> None:
        """End all streams, after `grace` seconds at the latest, and give everything back."""
        if self._housekeeping is not None:
            self._housekeeping.cancel()
        for port in self._ports:
            port.close()
        await asyncio.gather(*(server.stop(grace) for server in self._servers))

    def _new_device(self) -> Device:
        return Device(self.options.clocks.monotonic, random.Random(self.options.seed))

    def _load(self, program: Program | None) -> None:
        if program is None:
            return
        try:
            if program.p4info is None:
                self.device.load(program.json)
            else:
                self._servicer.pipeline.set(
                    p4r.SetForwardingPipelineConfigRequest.VERIFY_AND_COMMIT,
                    _pipeline_config(program.json, program.p4info),
                )
        except (LoadError, P4RuntimeError) as error:
            raise ProgramError(str(error)) from None

    async def _serve_p4runtime(self, address: str) -> str:
        server, bound = self._new_server(address)
        p4r_grpc.add_P4RuntimeServicer_to_server(self._servicer, server)
        await server.start()
        return bound

    async def _serve_dataplane(self, address: str) -> str:
        server, bound = self._new_server(address)
        taken = {port.spec.port for port in self._ports} | {self.options.cpu_port}
        free = [port for port in range(MAX_PORT) if port not in taken]
        self._dataplane = DataplaneServer(
            self.device, self.options.device_id, free, lambda: self.device.program is not None
        )
        add_dataplane_service(server, self._dataplane)
        await server.start()
        return bound

    def _new_server(self, address: str) -> tuple[grpc.aio.Server, str]:
        server, port = new_grpc_server(address)
        self._servers.append(server)
        return server, f"{address.rpartition(':')[0]}:{port}"


def _check_ports(options: SwitchOptions) -> None:
    """Each interface has a port of its own, and none has the controller's."""
    taken: set[int | None] = {options.cpu_port}
    for spec in options.interfaces:
        if spec.port in taken:
            owner = "the CPU port" if spec.port == options.cpu_port else "another interface's"
            raise InterfaceError(
                f"interface '{spec.port}@{spec.interface}': port {spec.port} is {owner}; "
                f"accepted: any other port below {MAX_PORT}"
            )
        taken.add(spec.port)


@contextlib.asynccontextmanager
async def running_switch(options: SwitchOptions) -> AsyncIterator[SwitchService]:
    """A started switch, stopped at the end of the block."""
    service = SwitchService(options)
    try:
        await service.start()
        yield service
    finally:
        await service.stop()


def _pipeline_config(json: bytes, p4info: str) -> p4r.ForwardingPipelineConfig:
    try:
        parsed = text_format.Parse(p4info, p4i.P4Info())
    except text_format.ParseError as error:
        raise ProgramError(f"p4info: {error}") from None
    return p4r.ForwardingPipelineConfig(p4info=parsed, p4_device_config=json)
