"""What a benchmark is given: where it is, whether peers are wanted, whom to tell about progress."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol, TypeVar

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class MissingError(Exception):
    """Something a benchmark needs is not on this machine, or not in this revision."""


class Shared(Protocol[T_co]):
    """Makes something that several benchmarks use; `session.stack` closes it at the end."""

    def __call__(self, session: Session, /) -> T_co: ...


@dataclass
class Session:
    """One run. `peers` is off when two of our own revisions are compared."""

    repository: Path
    peers: bool = True
    step: Callable[[str], None] = lambda text: None
    stack: ExitStack = field(default_factory=ExitStack)
    _shared: dict[object, object] = field(default_factory=dict)

    @property
    def program(self) -> Path:
        """The gateway program, bmv2 JSON."""
        return self.repository / "bmv2-configs" / "esp_gateway.json"

    @property
    def p4info(self) -> Path:
        """The gateway's p4info, protobuf text."""
        return self.repository / "bmv2-configs" / "esp_gateway.p4info.txtpb"

    def share(self, make: Shared[T]) -> T:
        """What `make` makes, the first time; the same thing afterwards.

        A `MissingError` is remembered too, so that a broken start is not tried six times.
        """
        if make not in self._shared:
            try:
                self._shared[make] = make(self)
            except MissingError as error:
                self._shared[make] = error
        made = self._shared[make]
        if isinstance(made, MissingError):
            raise made
        return made  # type: ignore[return-value]

    def scratch(self) -> Path:
        """A directory for this run, removed at its end."""
        return self.share(_scratch)


def _scratch(session: Session) -> Path:
    return Path(session.stack.enter_context(TemporaryDirectory(prefix="p4esp-bench-")))
