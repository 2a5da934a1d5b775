"""CERTREQ: which authorities we trust (RFC 7296 3.7, RFC 4945 3.2)."""

from p4esp.ike.auth.abilities import authorities, requirements
from p4esp.ike.auth.certificates import TrustedCertificates
from p4esp.ike.codec.certificates import AUTHORITY_SIZE, CertificateRequest
from p4esp.ike.codec.payload import AnyPayload
from p4esp.ike.constants import CertEncoding, ExchangeType
from p4esp.ike.state import IkeSaState
from p4esp.ike.tasks.base import Inbound

MAX_NAMES = 255
"""Of a peer's authorities that are noted: so many can be pointed at (RFC 9593 3.2.2)."""


class CertificateRequests:
    """Asks for certificates where some peer in question may use them."""

    def received(self, sa: IkeSaState, message: Inbound) -> None:
        """Note the order of the peer's authorities, to which its announcements point."""
        exchange, response = message.header.exchange, message.header.response
        if exchange == (ExchangeType.IKE_SA_INIT if response else ExchangeType.IKE_AUTH):
            asked = message.payloads.every(CertificateRequest)
            sa.announced.peer_authorities = tuple(_names(asked)[:MAX_NAMES])

    def additions(
        self, sa: IkeSaState, exchange: ExchangeType, *, response: bool
    ) -> list[AnyPayload]:
        """CERTREQ in a responder's IKE_SA_INIT and in an initiator's IKE_AUTH."""
        where = ExchangeType.IKE_SA_INIT if response else ExchangeType.IKE_AUTH
        if exchange != where or sa.resumption.session or not _may_sign(sa):
            return []
        return [CertificateRequest.of(authorities(sa))]


def _may_sign(sa: IkeSaState) -> bool:
    return any(isinstance(proof, TrustedCertificates) for proof in requirements(sa))


def _names(asked: list[CertificateRequest]) -> list[bytes]:
    data = b"".join(one.data for one in asked if one.encoding == CertEncoding.X509_SIGNATURE)
    return [data[at : at + AUTHORITY_SIZE] for at in range(0, len(data), AUTHORITY_SIZE)]
