"""NAT detection (RFC 7296 2.23)."""

import hashlib
from dataclasses import dataclass

from p4esp.ike.path import UdpAddress


@dataclass(frozen=True, slots=True)
class NatStatus:
    """Who is behind a NAT, as the detection notifies tell."""

    local: bool
    """We are."""
    remote: bool
    """The peer is, or pretends to be."""

    @property
    def found(self) -> bool:
        """Whether ESP must travel in UDP."""
        return self.local or self.remote


def nat_hash(spi_i: bytes, spi_r: bytes, address: UdpAddress) -> bytes:
    """Content of a NAT_DETECTION_* notify; SPIs as in the header of the message that carries it."""
    octets = spi_i + spi_r + address.host.packed + address.port.to_bytes(2, "big")
    return hashlib.sha1(octets, usedforsecurity=False).digest()
