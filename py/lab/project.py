"""All services of a compose file, started in order and stopped in the opposite one."""

import time
from collections.abc import Callable, Iterable
from graphlib import TopologicalSorter
from pathlib import Path

from lab.compose_file import ComposeFile
from lab.compose_networks import ComposeNetworks
from lab.container import Container, LabError, Surroundings
from lab.machine import have_users, make_volume
from lab.netlab import Lab, Namespace
from lab.targets import command_of

Ready = Callable[[str, float], None]
"""Told of each service that is ready: its name, and the seconds since it was started."""


class Project:
    """The containers of a file, on `target` for a switch."""

    def __init__(self, compose: ComposeFile, lab: Lab, target: str, logs: Path) -> None:
        self._compose = compose
        self._target = target
        self.networks = ComposeNetworks(lab, compose.networks)
        self.volumes = {name: make_volume(name) for name in compose.volumes}
        around = Surroundings(logs, self.volumes, have_users())
        self.containers = {
            name: Container(name, compose.services[name], namespace, around)
            for name, namespace in self._namespaces().items()
        }
        self._started: dict[str, float] = {}

    def _namespaces(self) -> dict[str, Namespace]:
        found: dict[str, Namespace] = {}
        for name in self._compose.order().static_order():
            service = self._compose.services[name]
            own = service.owner is None
            found[name] = (
                self.networks.container(name, service) if own else found[str(service.owner)]
            )
        return found

    def up(self, ready: Ready) -> None:
        """Start each service when those it needs are ready; LabError when one is not in time."""
        order = self._compose.order()
        order.prepare()
        waiting: set[str] = set()
        while order.is_active():
            waiting.update(self._start(order))
            for name in sorted(filter(self._healthy, waiting)):
                waiting.discard(name)
                order.done(name)
                ready(name, time.monotonic() - self._started[name])

    def _start(self, order: TopologicalSorter[str]) -> Iterable[str]:
        names = order.get_ready()
        for name in names:
            command = command_of(self._compose.services[name], self._target)
            self._started[name] = time.monotonic()
            self.containers[name].start(command)
        return names

    def _healthy(self, name: str) -> bool:
        if self.containers[name].healthy():
            return True
        patience = self._compose.services[name].healthcheck.patience
        if time.monotonic() > self._started[name] + patience:
            raise LabError(f"{name} is not ready after {patience} s")
        return False

    def down(self) -> list[str]:
        """Stop all; the names of those that did not end by themselves."""
        started = reversed(self._started)
        return [name for name in started if not self.containers[name].stop()]
