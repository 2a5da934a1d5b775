"""Our daemon, `p4esp ike`, in a namespace, commanded over its control socket."""

import os
import sys
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from queue import Empty, Queue
from typing import Any, Final

from lab.logged_process import LoggedProcess
from lab.netlab import Namespace
from p4esp.service.control_client import ask, watching
from toml_text import toml_text

P4ESP: Final = Path(sys.executable).with_name("p4esp")
EAGER: Final = (sys.executable, str(Path(__file__).with_name("eager_daemon.py")))
"""Sends our private numbers to a peer without our vendor ID."""
ENVIRONMENT: Final = {**os.environ, "PYTHONUNBUFFERED": "1"}
READY: Final = "^ike: ready"
PATIENCE: Final = 60.0
"""Seconds until an event counts as missing."""


class OurDaemon:
    """A running daemon; a context manager. Events since the start can be waited for."""

    def __init__(
        self,
        namespace: Namespace,
        directory: Path,
        config: Mapping[str, Any],
        options: Sequence[str] = (),
        program: Sequence[str] = (str(P4ESP),),
    ) -> None:
        """`options` follow the file's name on the command line, `program` is in front of all."""
        self.namespace = namespace
        self._directory = directory
        self._config = {"control": "ike.sock"} | dict(config)
        self._options = options
        self._program = program
        self._events: Queue[dict[str, Any]] = Queue()

    def __enter__(self) -> "OurDaemon":
        self._directory.mkdir(parents=True, exist_ok=True)
        path = self._directory / "ike.toml"
        path.write_text(toml_text(self._config))
        words = [*self._program, "ike", str(path), *self._options]
        log = self._directory / "log"
        self._process = LoggedProcess(self.namespace, words, log, ENVIRONMENT)
        self._process.wait_for(READY)
        self._watch = ExitStack()
        events = self._watch.enter_context(watching(self.control))
        self._watcher = threading.Thread(target=self._follow, args=(events,), daemon=True)
        self._watcher.start()
        return self

    @property
    def control(self) -> Path:
        """Its control socket."""
        return self._directory / "ike.sock"

    def _follow(self, events: Iterable[dict[str, Any]]) -> None:
        for event in events:
            self._events.put(event)

    def __exit__(self, *_: object) -> None:
        self._process.stop()
        self._watcher.join()
        self._watch.close()

    def kill(self) -> None:
        """End it without a word to the peer."""
        self._process.kill()

    def tell(self, command: str, **arguments: str) -> Any:
        """Have a command done; its result. ControlError when it is refused."""
        return ask(self.control, command, **arguments)

    def status(self) -> dict[str, Any]:
        """All SAs, and what was dropped."""
        facts: dict[str, Any] = self.tell("status")
        return facts

    def wait(self, event: str, wanted: Callable[[dict[str, Any]], bool] = bool) -> dict[str, Any]:
        """The next event of a name that is wanted, not looked at before."""
        passed = []
        try:
            while (found := self._events.get(timeout=PATIENCE))["event"] != event or not wanted(
                found
            ):
                passed.append(found["event"])
        except Empty:
            raise AssertionError(f"no {event} came; only {passed}") from None
        return found

    def wait_for_log(self, pattern: str) -> str:
        """The first line it prints that matches, printed already or yet to be."""
        return self._process.wait_for(pattern)
