"""A data plane that carries nothing: it remembers the child SAs."""

from collections.abc import Callable

from p4esp.ike.events import ChildDown, ChildRekeyed, ChildUp, Event, PathChanged
from p4esp.ipsec.sa import ChildSaParams
from p4esp.service.spi_pool import SpiPool


class NullDataPlane:
    """Child SAs by our inbound SPI."""

    def __init__(self, random_bits: Callable[[int], int]) -> None:
        self.spis = SpiPool(random_bits)
        self.children: dict[int, ChildSaParams] = {}

    def serves(self, peer: str, name: str) -> bool:
        """Whether there is a child SA of that name."""
        return any((child.peer, child.name) == (peer, name) for child in self.children.values())

    def handle(self, event: Event) -> None:
        """Follow an event."""
        match event:
            case ChildUp(child) | ChildRekeyed(new=child):
                self.children[child.spi_in] = child
            case PathChanged():
                self._follow(event)
            case ChildDown(child):
                if self.children.pop(child.spi_in, None) is not None:
                    self.spis.release(child.spi_in)

    def _follow(self, change: PathChanged) -> None:
        for spi, child in self.children.items():
            if child.peer == change.ike.peer and child.remote == change.old.remote.host:
                self.children[spi] = change.followed_by(child)
