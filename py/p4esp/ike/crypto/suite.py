"""The algorithms of one IKE SA."""

from dataclasses import dataclass

from p4esp.ike.crypto.keyexchange import KeyExchangeMethod
from p4esp.ike.crypto.prf import Prf
from p4esp.ipsec.algorithms import Suite


@dataclass(frozen=True, slots=True)
class IkeSuite:
    """What an IKE_SA_INIT agreed on."""

    cipher: Suite
    prf: Prf
    key_exchange: type[KeyExchangeMethod]
    additional: str = ""
    """Keywords of the additional key exchanges (RFC 9370), joined by dashes."""

    def __str__(self) -> str:
        text = f"{self.cipher}-{self.prf.name}-{self.key_exchange.name}"
        return f"{text}-{self.additional}" if self.additional else text
