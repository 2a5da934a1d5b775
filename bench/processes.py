"""Child processes: start, wait until they answer, read their memory, stop."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep

START_TIMEOUT = 30.0
STOP_TIMEOUT = 5.0
POLL = 0.002
"""Seconds between two looks at something that is starting."""


class ChildError(Exception):
    """A child process ended, or did not answer in time; the text has its last words."""


class Child:
    """A running child process; what it prints goes to `log`."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self._process, self._log = process, log

    def wait_listening(self, port: int) -> None:
        """Waits until somebody accepts connections on the loopback `port`."""
        deadline = monotonic() + START_TIMEOUT
        while not _accepts(port):
            if self._process.poll() is not None:
                raise ChildError(f"it ended with status {self._process.returncode}: {self._tail()}")
            if monotonic() > deadline:
                raise ChildError(f"nothing listens on port {port} after {START_TIMEOUT:.0f} s")
            sleep(POLL)

    def resident_mib(self) -> float:
        """Its resident memory in MiB."""
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        line = next(line for line in status.splitlines() if line.startswith("VmRSS:"))
        return int(line.split()[1]) / 1024

    def stop(self) -> None:
        """Ends it."""
        self._process.terminate()
        try:
            self._process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _tail(self) -> str:
        lines = self._log.read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else "no output"


@contextmanager
def child(
    argv: Sequence[str], log: Path, extra_env: dict[str, str] | None = None
) -> Iterator[Child]:
    """Runs `argv` for the length of the context."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            list(argv), stdout=output, stderr=output, env=os.environ | (extra_env or {})
        )
    running = Child(process, log)
    try:
        yield running
    finally:
        running.stop()


def free_port() -> int:
    """A TCP port of the loopback interface that nobody uses right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _accepts(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
