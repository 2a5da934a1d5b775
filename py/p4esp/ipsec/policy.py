"""Security policy rules (RFC 4301 4.4.1)."""

from dataclasses import dataclass
from enum import StrEnum

from p4esp.ipsec.selectors import TrafficSelector, is_subset


class Action(StrEnum):
    """What happens to a packet that a rule matches."""

    PROTECT = "protect"
    BYPASS = "bypass"
    DISCARD = "discard"


class PolicyError(ValueError):
    """A rule contradicts itself; the text names the rule and what would be accepted."""


@dataclass(frozen=True, slots=True)
class PolicyRule:
    """One entry of the security policy database, valid for both directions.

    `local` describes the inner address on our side, `remote` on the peer's. The highest priority
    wins. A protect rule names the child SA configuration that carries its traffic.
    """

    name: str
    action: Action
    local: tuple[TrafficSelector, ...]
    remote: tuple[TrafficSelector, ...]
    priority: int = 0
    child: str | None = None
    label: bytes = b""
    """Security label of its packets (RFC 9478); empty: of those that have none."""

    def __post_init__(self) -> None:
        if not self.local or not self.remote:
            raise PolicyError(f"rule {self.name!r} needs a local and a remote selector")
        if self.priority < 0:
            raise PolicyError(f"rule {self.name!r}: priority {self.priority} is below 0")
        if (self.action is Action.PROTECT) != (self.child is not None):
            raise PolicyError(f"rule {self.name!r}: a child SA goes with protect, and only then")

    def covers(self, local: TrafficSelector, remote: TrafficSelector) -> bool:
        """Whether all traffic between the two selectors falls under this rule."""
        return is_subset([local], self.local) and is_subset([remote], self.remote)
