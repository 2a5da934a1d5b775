"""What a lab found out, as values."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Claim:
    """Something that was checked, and whether it held."""

    name: str
    held: bool
    detail: str


@dataclass(frozen=True, slots=True)
class Figure:
    """Something that was measured."""

    name: str
    value: float
    unit: str


@dataclass(slots=True)
class Facts:
    """Everything; `wanted` are the claims that have to be made."""

    target: str
    wanted: tuple[str, ...]
    claims: list[Claim] = field(default_factory=list)
    figures: list[Figure] = field(default_factory=list)
    seconds: float = 0.0

    def claim(self, name: str, faults: Iterable[str], detail: str = "") -> Claim:
        """Record a claim; it held if there are no faults."""
        found = "; ".join(faults)
        self.claims.append(Claim(name, not found, found or detail))
        return self.claims[-1]

    def measure(self, name: str, value: float, unit: str) -> None:
        """Record a figure."""
        self.figures.append(Figure(name, round(value, 3), unit))

    def give_up(self, reason: str) -> None:
        """Record that the claims which were not made yet will not be."""
        made = {claim.name for claim in self.claims}
        for name in (name for name in self.wanted if name not in made):
            self.claim(name, [reason])
            reason = "not tried"

    @property
    def all_held(self) -> bool:
        """Whether each claim that has to be made was made, and none was wrong."""
        held = {claim.name for claim in self.claims if claim.held}
        return held.issuperset(self.wanted) and all(claim.held for claim in self.claims)

    def as_json(self) -> dict[str, Any]:
        """JSON-ready values."""
        return asdict(self) | {"all_held": self.all_held}
