"""One line of the result: a figure, its unit, and what it is compared with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

FAILED = "failed: "
LOWER_IS_BETTER = frozenset({"s", "ms", "us", "MiB", "bytes"})


@dataclass(frozen=True, slots=True)
class Row:
    """A figure. `value` is None when it could not be measured; `note` then says what is missing.

    `peer` names what was measured beside it in the same run, `peer_value` in the same unit.
    """

    name: str
    value: float | None
    unit: str
    peer: str = ""
    peer_value: float | None = None
    note: str = ""

    @property
    def ratio(self) -> float | None:
        """`value` as a multiple of `peer_value`; None without both."""
        if self.value is None or not self.peer_value:
            return None
        return self.value / self.peer_value

    @property
    def failed(self) -> bool:
        """Whether the benchmark broke, as against something it needs not being here."""
        return self.note.startswith(FAILED)

    @property
    def lower_is_better(self) -> bool:
        """Whether a smaller value is the better one (times and memory)."""
        return self.unit in LOWER_IS_BETTER

    def better(self, other: Row) -> Row:
        """The better of two measurements of the same thing."""
        if self.value is None or other.value is None:
            return other if self.value is None else self
        return min(self, other, key=Row._rank)

    def _rank(self) -> float:
        value = self.value or 0.0
        return value if self.lower_is_better else -value

    def as_dict(self) -> dict[str, Any]:
        """What `--json` prints; `note` only where there is one."""
        fields = asdict(self)
        note = fields.pop("note")
        fields["ratio"] = self.ratio
        return fields | ({"note": note} if note else {})

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> Self:
        """The inverse of `as_dict`."""
        return cls(**{name: value for name, value in fields.items() if name != "ratio"})


def compared(name: str, unit: str, values: Mapping[str, float], note: str) -> Row:
    """A row from what was measured by name: our own value first, then a peer's, if any."""
    (_, ours), *others = values.items()
    peer, peer_value = others[0] if others else ("", None)
    return Row(name, ours, unit, peer, peer_value, note)


def failed(name: str, unit: str, error: Exception) -> Row:
    """The row of a benchmark that broke."""
    return Row(name, None, unit, note=f"{FAILED}{type(error).__name__}: {error}")


def missing(name: str, unit: str, why: str) -> Row:
    """The row of a figure that cannot be measured here."""
    return Row(name, None, unit, note=why)
