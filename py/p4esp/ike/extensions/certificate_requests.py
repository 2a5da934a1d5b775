"""CERTREQ: which authorities we trust (RFC 7296 3.7, RFC 4945 3.2)."""

from p4esp.ike.auth.certificates import TrustedCertificates, authority_names
from p4esp.ike.codec.certificates import CertificateRequest
from p4esp.ike.codec.payload import AnyPayload
from p4esp.ike.constants import ExchangeType
from p4esp.ike.state import IkeSaState
from p4esp.ike.tasks.base import Inbound

MAX_AUTHORITIES = 16
"""With more we ask for any certificate."""


class CertificateRequests:
    """Asks for certificates where some peer in question may use them.

    What the peer asks for is not needed: we have one certificate for each peer, and send it.
    """

    def received(self, sa: IkeSaState, message: Inbound) -> None:
        """Nothing to note."""

    def additions(
        self, sa: IkeSaState, exchange: ExchangeType, *, response: bool
    ) -> list[AnyPayload]:
        """CERTREQ in a responder's IKE_SA_INIT and in an initiator's IKE_AUTH."""
        where = ExchangeType.IKE_SA_INIT if response else ExchangeType.IKE_AUTH
        trusts = _trusts(sa) if exchange == where and not sa.resumption.session else []
        if not trusts:
            return []
        anchors = dict.fromkeys(anchor for trust in trusts for anchor in trust.anchors)
        names = sorted(set(authority_names(list(anchors))))
        return [CertificateRequest.of(names if len(names) <= MAX_AUTHORITIES else [])]


def _trusts(sa: IkeSaState) -> list[TrustedCertificates]:
    peers = (sa.peer,) if sa.peer else sa.candidates
    proofs = [proof for peer in peers for proof in peer.auth.accepted]
    return [proof for proof in proofs if isinstance(proof, TrustedCertificates)]
