"""Our gateway as an operator runs it: switch, engine and controller, in one namespace."""

import json
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from lab.logged_process import LoggedProcess
from lab.netlab import Namespace
from our_daemon import ENVIRONMENT, P4ESP
from p4esp.service.control_client import ask
from toml_text import toml_text

P4RUNTIME = "127.0.0.1:9559"
INSIDE, OUTSIDE = "inside", "outside"
"""Interfaces of the namespace: ports 0 and 1 of the switch."""
INSIDE_MAC, OUTSIDE_MAC = "02:00:00:00:01:00", "02:00:00:00:01:01"


class OurGateway:
    """Switch with engine, and controller; a context manager. `config`: the section of a gateway."""

    def __init__(
        self,
        namespace: Namespace,
        directory: Path,
        config: Mapping[str, Any],
        options: Sequence[str] = (),
    ) -> None:
        """`options` are those of `p4esp up`."""
        self.namespace = namespace
        self._directory = directory
        self._config = config
        self._options = options
        self._stack = ExitStack()

    def __enter__(self) -> "OurGateway":
        self._directory.mkdir(mode=0o700, parents=True)
        with ExitStack() as started:
            self._start(started)
            self._stack = started.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _start(self, stack: ExitStack) -> None:
        ports = ("-i", f"0@{INSIDE}", "-i", f"1@{OUTSIDE}")
        keys = str(self._directory / "engine.sock")
        options = ("--grpc-server-addr", P4RUNTIME, "--engine", keys)
        self.switch = self._run(stack, "switch", *options, *ports)
        self.switch.wait_for("^ready:")
        self.controller = self._run(stack, "up", str(self._file(keys)), *self._options)
        self.controller.wait_for("^gateway: ready")
        self.controller.wait_for("^gateway: engine up")

    def _run(self, stack: ExitStack, *words: str) -> LoggedProcess:
        log = self._directory / f"{words[0]}.log"
        command = [str(P4ESP), *words]
        return stack.enter_context(LoggedProcess(self.namespace, command, log, ENVIRONMENT))

    def _file(self, keys: str) -> Path:
        path = self._directory / "gateway.toml"
        gateway = {"address": P4RUNTIME, "engine": keys, **self._config}
        path.write_text(toml_text({"gateways": {"gateway": gateway}}))
        return path

    def tell(self, command: str, **arguments: str) -> Any:
        """Have the controller do something; its result. ControlError when it is refused."""
        return ask(self._directory / "p4esp.sock", command, **arguments)

    def ike_sas(self) -> list[dict[str, Any]]:
        """Its IKE SAs."""
        found: list[dict[str, Any]] = self.tell("status")["gateway"]["ike_sas"]
        return found

    def children(self) -> list[dict[str, Any]]:
        """Its child SAs."""
        found: list[dict[str, Any]] = self.tell("status")["gateway"]["child_sas"]
        return found

    def counters(self) -> dict[str, dict[str, int]]:
        """The switch's counters by kind and name."""
        words = (str(P4ESP), "counters", "--json", "--switch", P4RUNTIME)
        found: dict[str, dict[str, int]] = json.loads(self.namespace.run(*words).stdout)
        return found
