"""Which shares of a child's traffic are to have SAs of their own, as the configuration wants it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

from p4esp.controller.config import GatewayChild
from p4esp.controller.share_sets import Division
from p4esp.ike.extensions.resources import name_of_resource
from p4esp.ipsec.sa import Share


@dataclass(frozen=True, slots=True)
class SharePlan:
    """What one child wants. Times are seconds."""

    resources: int
    on_demand: bool
    idle: float
    """After which an SA of a resource that carries nothing goes; 0: never."""
    classes: tuple[tuple[int, ...], ...]

    @classmethod
    def of(cls, child: GatewayChild) -> Self | None:
        """The plan of a child that has shares at all."""
        if not child.resources and not child.dscp_classes:
            return None
        on_demand = child.per_resource == "on-demand"
        idle = child.resource_idle if on_demand else 0.0
        return cls(child.resources, on_demand, idle, child.dscp_classes)

    @property
    def division(self) -> Division:
        """The same for the buckets of a set."""
        return Division(self.resources, self.on_demand)

    def permanent(self) -> Iterator[Share]:
        """Shares that are to have an SA always; a class before its resources."""
        yield from (Share(dscps=dscps) for dscps in self.classes)
        if not self.on_demand:
            for dscps in ((), *self.classes):
                yield from (
                    Share(name_of_resource(number), dscps) for number in range(self.resources)
                )
