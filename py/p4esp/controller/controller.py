"""One controller, many gateways."""

import asyncio
import os
import time
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path

from prometheus_client import CollectorRegistry, start_http_server

from p4esp.configuration.sections import ConfigError
from p4esp.controller.commands import ControllerCommands
from p4esp.controller.config import ControllerConfig, GatewayConfig
from p4esp.controller.gateway import Gateway
from p4esp.controller.metrics import ControllerCollector
from p4esp.controller.program import Program
from p4esp.controller.surroundings import Surroundings
from p4esp.engine.client import EngineClient
from p4esp.engine.keyservice import KeyService
from p4esp.service.audit import TraceSink
from p4esp.service.control import control_socket
from p4esp.service.failures import failure_commands
from p4esp.service.journal import Journal
from p4esp.service.key_export import KeyExporter
from p4esp.store import Sealer, Store


class Controller:
    """The gateways of one configuration, each with its key service."""

    def __init__(
        self,
        config: ControllerConfig,
        services: Mapping[str, KeyService],
        around: Surroundings,
    ) -> None:
        self.gateways = {
            name: Gateway(name, section, services[name], around)
            for name, section in config.gateways.items()
        }
        self.journal = around.journal

    async def run(self) -> None:
        """Serve all gateways until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for gateway in self.gateways.values():
                tasks.create_task(gateway.run(), name=gateway.name)


async def run_controller(
    config: ControllerConfig,
    program: Program,
    journal: Journal,
    *,
    trace: TraceSink | None = None,
    export_keys: KeyExporter | None = None,
) -> None:
    """Run as a process does: store and key file on disk, engines behind their sockets."""
    collector = ControllerCollector()
    journal.listen(collector.count)
    async with AsyncExitStack() as stack:
        services = {
            name: await stack.enter_async_context(EngineClient(_socket(name, section)))
            for name, section in config.gateways.items()
        }
        store = Store(config.store, Sealer.from_file(config.key_file))
        stack.callback(store.close)
        around = Surroundings(
            *(program, store, journal),
            clock=time.monotonic,
            random_bytes=os.urandom,
            election_id=config.election_id,
            ike_settings=config.ike.settings(),
            trace=trace,
            export_keys=export_keys,
        )
        controller = Controller(config, services, around)
        collector.watch(controller.gateways)
        if config.metrics_port is not None:
            stack.callback(_serve_metrics(collector, config.metrics_port))
        commands = ControllerCommands(controller.gateways, around.hub).table
        commands |= failure_commands(journal)
        await stack.enter_async_context(control_socket(config.control, commands, around.hub))
        await controller.run()


def _serve_metrics(collector: ControllerCollector, port: int) -> Callable[[], None]:
    """Serve metrics on loopback; returns what ends it. ConfigError when the port is in use."""
    registry = CollectorRegistry()
    registry.register(collector)
    try:
        server, thread = start_http_server(port, "127.0.0.1", registry)
    except OSError as error:
        raise ConfigError(
            f"metrics_port: {port}: {error.strerror}; accepted: a free TCP port"
        ) from None

    def stop() -> None:
        server.shutdown()
        thread.join()

    return stop


def _socket(name: str, section: GatewayConfig) -> Path:
    if section.engine is None:
        raise ConfigError(f"gateways.{name}.engine: is missing; accepted: a key service's socket")
    return section.engine
