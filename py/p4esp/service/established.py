"""The IKE SAs that are up, by our SPI and by peer."""

from collections import defaultdict
from collections.abc import Iterator, MutableMapping

from p4esp.ike.events import IkeSaInfo


class Established(MutableMapping[bytes, IkeSaInfo]):
    """A mapping by SPI that also knows each peer's."""

    def __init__(self) -> None:
        self._by_spi: dict[bytes, IkeSaInfo] = {}
        self._by_peer: defaultdict[str, dict[bytes, None]] = defaultdict(dict)

    def __getitem__(self, spi: bytes) -> IkeSaInfo:
        return self._by_spi[spi]

    def __setitem__(self, spi: bytes, ike: IkeSaInfo) -> None:
        self.pop(spi, None)
        self._by_spi[spi] = ike
        self._by_peer[ike.peer][spi] = None

    def __delitem__(self, spi: bytes) -> None:
        peer = self._by_spi.pop(spi).peer
        del self._by_peer[peer][spi]
        if not self._by_peer[peer]:
            del self._by_peer[peer]

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._by_spi)

    def __len__(self) -> int:
        return len(self._by_spi)

    def of_peer(self, peer: str) -> bytes | None:
        """The SPI of a peer's oldest IKE SA."""
        return next(iter(self._by_peer.get(peer, ())), None)
