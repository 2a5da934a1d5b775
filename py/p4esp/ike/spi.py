"""SPIs of IKE SAs (RFC 7296 2.6)."""

from p4esp.ike.constants import NO_SPI
from p4esp.ike.crypto.keyexchange import RandomSource


def new_ike_spi(random: RandomSource) -> bytes:
    """Eight random octets, not all zero."""
    spi = random(len(NO_SPI))
    while spi == NO_SPI:
        spi = random(len(NO_SPI))
    return spi
