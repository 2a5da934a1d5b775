"""The installed SAs of one gateway, indexed by whatever events name them by."""

from collections import defaultdict
from collections.abc import Iterator, MutableMapping
from typing import Final

from p4esp.controller.sa_installer import LiveSa
from p4esp.ipsec.layouts import spis_sent
from p4esp.ipsec.sa import ChildSaParams

_Children = defaultdict[str, dict[int, LiveSa]]
_NONE: Final[_Children] = defaultdict(dict)


class LiveSas(MutableMapping[int, LiveSa]):
    """A mapping by inbound SPI; an SA's peer, child, indexes and SPIs never change."""

    def __init__(self) -> None:
        self._by_spi: dict[int, LiveSa] = {}
        self._by_sa_out: dict[int, LiveSa] = {}
        self._by_sa_in: dict[int, LiveSa] = {}
        self._by_spi_out: defaultdict[int, dict[int, LiveSa]] = defaultdict(dict)
        self._by_peer: defaultdict[str, _Children] = defaultdict(lambda: defaultdict(dict))

    def __getitem__(self, spi_in: int) -> LiveSa:
        return self._by_spi[spi_in]

    def __setitem__(self, spi_in: int, live: LiveSa) -> None:
        self.pop(spi_in, None)
        child = live.record.child
        self._by_spi[spi_in] = live
        self._by_sa_out[live.record.placement.sa_out] = live
        self._by_sa_in[live.record.placement.sa_in] = live
        for spi_out in spis_sent(child):
            self._by_spi_out[spi_out][spi_in] = live
        self._by_peer[child.peer][child.name][spi_in] = live

    def __delitem__(self, spi_in: int) -> None:
        live = self._by_spi.pop(spi_in)
        child = live.record.child
        del self._by_sa_out[live.record.placement.sa_out]
        del self._by_sa_in[live.record.placement.sa_in]
        for spi_out in spis_sent(child):
            self._forget_spi_out(spi_out, spi_in)
        children = self._by_peer[child.peer]
        del children[child.name][spi_in]
        if not children[child.name]:
            del children[child.name]
        if not children:
            del self._by_peer[child.peer]

    def _forget_spi_out(self, spi_out: int, spi_in: int) -> None:
        del self._by_spi_out[spi_out][spi_in]
        if not self._by_spi_out[spi_out]:
            del self._by_spi_out[spi_out]

    def __iter__(self) -> Iterator[int]:
        return iter(self._by_spi)

    def __len__(self) -> int:
        return len(self._by_spi)

    def children(self) -> list[ChildSaParams]:
        """All of them, as IKE has negotiated them."""
        return [live.record.child for live in self._by_spi.values()]

    def by_outbound_index(self, sa_out: int) -> LiveSa | None:
        """The SA that sends under an index."""
        return self._by_sa_out.get(sa_out)

    def by_inbound_index(self, sa_in: int) -> LiveSa | None:
        """The SA that receives under an index."""
        return self._by_sa_in.get(sa_in)

    def by_outbound_spi(self, spi_out: int) -> list[LiveSa]:
        """The SAs that send with an SPI: peers choose it, so there may be several."""
        return list(self._by_spi_out.get(spi_out, {}).values())

    def of_peer(self, peer: str) -> list[LiveSa]:
        """The SAs of a peer."""
        return [live for sas in self._children(peer).values() for live in sas.values()]

    def of_child(self, peer: str, name: str) -> list[LiveSa]:
        """The SAs of one child: more than one during a rekey."""
        return list(self._children(peer).get(name, {}).values())

    def _children(self, peer: str) -> _Children:
        return self._by_peer.get(peer, _NONE)
