"""The child SAs of one IKE SA."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum, auto

from p4esp.ike.codec.proposal import Proposal
from p4esp.ike.config import ChildConfig
from p4esp.ike.constants import ProtocolId
from p4esp.ike.crypto.schedule import Nonces
from p4esp.ike.ke_payloads import chosen_method
from p4esp.ike.term import Term
from p4esp.ipsec.layouts import form_of, is_eesp
from p4esp.ipsec.sa import ChildSaParams


class ChildPhase(Enum):
    """Where a child SA is in its life."""

    INSTALLED = auto()
    REKEYING = auto()
    """We asked for a replacement."""
    DELETING = auto()
    """We asked the peer to delete it, or are about to."""


@dataclass(slots=True, eq=False)
class ChildSa:
    """A child SA and its place in rekeying."""

    params: ChildSaParams
    config: ChildConfig
    nonces: Nonces
    """Of the exchange that made it: decides simultaneous rekeys (RFC 7296 2.8.1)."""
    chosen: Proposal
    """The algorithms that were agreed on, in an exchange or for the next one."""
    methods_known: bool = True
    """Whether key exchange methods are among them: else IKE_AUTH kept silent about them, and the
    first rekey finds out (RFC 7296 1.2).
    """
    fraction: float = 0.0
    """Random, 0 <= fraction < 1: how early its rekey begins."""
    term: Term = field(default_factory=Term)
    mtu_told: float | None = None
    """When the peer was last told what packets it should send on it."""
    worn: bool = False
    """Whether it has carried enough to be rekeyed."""
    phase: ChildPhase = ChildPhase.INSTALLED
    successor: "ChildSa | None" = None
    """The SA by which the peer replaced this one."""

    @property
    def method(self) -> int:
        """The key exchange method that was agreed on; `KE_NONE` when there is none."""
        return chosen_method(self.chosen)

    @property
    def known_method(self) -> int | None:
        """The same; None when it is not known."""
        return self.method if self.methods_known else None

    @property
    def protocol(self) -> ProtocolId:
        """What it is called by in deletes and rekeys."""
        eesp = is_eesp(form_of(self.params.layout))
        return ProtocolId.EESP if eesp else ProtocolId.ESP


class ChildTable:
    """Child SAs by inbound and by outbound SPI."""

    def __init__(self) -> None:
        self._inbound: dict[int, ChildSa] = {}
        self._outbound: dict[int, ChildSa] = {}

    def __len__(self) -> int:
        return len(self._inbound)

    def __iter__(self) -> Iterator[ChildSa]:
        return iter(list(self._inbound.values()))

    def __contains__(self, child: ChildSa | None) -> bool:
        return child is not None and self._inbound.get(child.params.spi_in) is child

    def add(self, child: ChildSa) -> None:
        """Enter a child SA under both its SPIs."""
        self._inbound[child.params.spi_in] = child
        self._outbound[child.params.spi_out] = child

    def remove(self, child: ChildSa) -> None:
        """Forget a child SA."""
        del self._inbound[child.params.spi_in]
        del self._outbound[child.params.spi_out]

    def by_inbound(self, spi: int) -> ChildSa | None:
        """The child SA that receives on an SPI of ours."""
        return self._inbound.get(spi)

    def by_outbound(self, spi: int) -> ChildSa | None:
        """The child SA that sends to an SPI of the peer's."""
        return self._outbound.get(spi)
