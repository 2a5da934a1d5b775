"""A container of a compose file without docker: a process that may do what the container might.

It has the namespaces, the mounts, the user and the capabilities that docker would give it. It is
process 1 of its own process namespace, unless it asks for an init: then a signal that it has no
handler for does not end it.
"""

import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lab.compose_file import Service
from lab.dockerfile import Dockerfile
from lab.logged_process import LoggedProcess
from lab.netlab import Namespace

REPOSITORY: Final = Path(__file__).parents[2]
PROGRAMS: Final = Path("/run/bin")
"""Stands for what the images have of their own."""
IMAGE: Final = Dockerfile.read(REPOSITORY / "Dockerfile")
USER: Final = IMAGE.user_ids["p4esp"]
GRACE: Final = 10.0
"""Seconds between docker's SIGTERM and its SIGKILL."""


class LabError(Exception):
    """Something did not come up or did not answer; the text says what."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the containers have in common."""

    logs: Path
    volumes: Mapping[str, Path]
    """Where each volume is."""
    users: bool
    """Whether there are users beside root: not in a user namespace that maps root alone."""

    @property
    def environment(self) -> dict[str, str]:
        """The whole environment of a container."""
        own = (PROGRAMS, REPOSITORY / "docker", Path(sys.executable).parent)
        path = ":".join([*map(str, own), "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"])
        libraries = os.environ.get("LD_LIBRARY_PATH")
        more = {"LD_LIBRARY_PATH": libraries} if libraries else {}
        return {"PATH": path, "PYTHONDONTWRITEBYTECODE": "1", **IMAGE.environment, **more}


class Container:
    """One service of the file."""

    def __init__(
        self, name: str, service: Service, namespace: Namespace, around: Surroundings
    ) -> None:
        self.name = name
        self._service = service
        self._namespace = namespace
        self._around = around
        self._process: LoggedProcess | None = None

    def start(self, command: tuple[str, ...]) -> None:
        """Begin; it goes on in the background, and its output goes to a log."""
        own = [] if self._service.init else ["--pid", "--fork", "--kill-child", "--mount-proc"]
        words = ["unshare", "--mount", *own, "sh", "-euc", self._script(command)]
        log = self._around.logs / f"{self.name}.log"
        self._process = LoggedProcess(self._namespace, words, log)

    def _script(self, command: tuple[str, ...]) -> str:
        mounts = [self._mount(*item) for item in self._service.mounts]
        # Writable, but not empty: the repository may be there.
        writable = [f"mount --bind {place} {place}" for place in self._service.tmpfs]
        read_only = "mount -o remount,bind,ro /"
        return "\n".join([*mounts, *writable, read_only, self._confined(command)])

    def _mount(self, source: str, target: str) -> str:
        if source.startswith("./"):
            place = shlex.join(["--bind", str(REPOSITORY / source), target])
            return f"touch {shlex.quote(target)}; mount {place}"
        place = shlex.join(["--bind", str(self._around.volumes[source]), target])
        return f"mkdir -p {shlex.quote(target)}; mount {place}"

    def _confined(self, command: tuple[str, ...]) -> str:
        """A shell line that becomes the command, as the container's user."""
        variables = [f"{name}={value}" for name, value in self._around.environment.items()]
        words = [*self._privileges(), "env", "-i", *variables, *command]
        return f"cd {shlex.quote(str(REPOSITORY))}; exec {shlex.join(words)}"

    def _privileges(self) -> list[str]:
        kept = [f"+{capability.lower()}" for capability in self._service.cap_add]
        sets = (
            "--inh-caps=-all",
            "--ambient-caps=-all",
            f"--bounding-set={','.join(['-all', *kept])}",
        )
        user = () if self._service.is_root or not self._around.users else _AS_USER
        return ["setpriv", "--no-new-privs", *sets, *user]

    def run(self, *command: str, seconds: float = 60.0) -> subprocess.CompletedProcess[str]:
        """Run a command beside it, as `docker compose exec` does; nothing is raised if it fails."""
        words = ["nsenter", f"--target={self._first_process()}", "--mount", "--net", "--pid"]
        line = [*words, "sh", "-euc", self._confined(command)]
        return subprocess.run(line, capture_output=True, text=True, check=False, timeout=seconds)

    def healthy(self) -> bool:
        """Whether its probe succeeds. LabError when it has ended."""
        if not self._running.running:
            raise LabError(f"{self.name} ended: {self._running.last_words(3).strip()}")
        probe = self._service.healthcheck
        if self._first_process() is None:
            return False
        try:
            return not self.run(*probe.command, seconds=probe.limit).returncode
        except subprocess.TimeoutExpired:
            return False

    def stop(self) -> bool:
        """Tell it to end, and insist when it does not; whether it did so by itself."""
        process, first = self._running, self._first_process()
        if first is not None:
            os.kill(first, signal.SIGTERM)
        if until(lambda: not process.running, GRACE):
            process.stop()
            return first is not None
        process.kill()
        return False

    @property
    def _running(self) -> LoggedProcess:
        if self._process is None:
            raise LabError(f"{self.name} was not started")
        return self._process

    def _first_process(self) -> int | None:
        """What we know it by: the child of `unshare --fork` if that was used; None: it is gone."""
        pid = self._running.pid
        if self._service.init:
            return pid if self._running.running else None
        children = Path(f"/proc/{pid}/task/{pid}/children")
        found = children.read_text().split() if children.exists() else []
        return int(found[0]) if found else None


_AS_USER: Final = (f"--reuid={USER}", f"--regid={USER}", "--clear-groups")


def until(held: Callable[[], bool], seconds: float, pause: float = 0.1) -> bool:
    """Whether something came to hold in time."""
    end = time.monotonic() + seconds
    while not held():
        if time.monotonic() > end:
            return False
        time.sleep(pause)
    return True
