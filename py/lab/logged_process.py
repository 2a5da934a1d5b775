"""A program in the background whose output is kept and can be waited for."""

import re
import subprocess
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from lab.netlab import Namespace

PATIENCE: Final = 30.0
"""Seconds until a line counts as missing."""
STOP_SECONDS: Final = 10.0
KEPT: Final = 4000
"""Lines that are remembered."""


class LoggedProcess:
    """Runs in a namespace from the start on; a context manager that ends it."""

    def __init__(
        self,
        namespace: Namespace,
        words: Sequence[str],
        log: Path,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """The whole output, stderr too, goes to the file `log`."""
        self.name = words[0]
        self._log_file = log
        self._lines: deque[tuple[int, str]] = deque(maxlen=KEPT)
        self.said = 0
        """Lines so far: where to look from for what comes next."""
        self._said = threading.Condition()
        self._ended = False
        self._process = namespace.start(
            *words,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            errors="replace",
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> "LoggedProcess":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as output, self._log_file.open("w") as copy:
            for line in output:
                copy.write(line)
                copy.flush()
                self._note(line)
        self._note("")

    def _note(self, line: str) -> None:
        with self._said:
            self.said += 1
            self._lines.append((self.said, line))
            self._ended = not line
            self._said.notify_all()

    def wait_for(self, pattern: str, seconds: float = PATIENCE, *, after: int = 0) -> str:
        """The first line that matches, said already (behind line `after`) or yet to be said."""
        wanted = re.compile(pattern)

        def find() -> str | None:
            said = (line for number, line in self._lines if number > after)
            return next((line for line in said if wanted.search(line)), None)

        with self._said:
            self._said.wait_for(lambda: self._ended or find() is not None, seconds)
            found = find()
        assert found is not None, f"{self.name} did not say {pattern!r}:\n{self.last_words()}"
        return found

    def last_words(self, lines: int = 60) -> str:
        """The end of the output, for failures."""
        return "".join(line for _, line in list(self._lines)[-lines:])

    @property
    def pid(self) -> int:
        """Of the program: what starts it in its namespace becomes it."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    def stop(self) -> None:
        """Ask it to end, wait, insist."""
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
        self._reader.join()

    def kill(self) -> None:
        """End it without a chance to say anything."""
        self._process.kill()
        self._process.wait()
