"""SIGNATURE_HASH_ALGORITHMS in IKE_SA_INIT (RFC 7427 4)."""

from p4esp.ike.auth.certificates import TrustedCertificates
from p4esp.ike.auth.schemes import STRONG
from p4esp.ike.codec.payload import AnyPayload
from p4esp.ike.codec.payloads import Notify
from p4esp.ike.constants import ExchangeType, NotifyType
from p4esp.ike.state import IkeSaState
from p4esp.ike.tasks.base import Inbound

_SIZE = 2
"""Octets of a hash algorithm's number."""


class SignatureHashes:
    """Announces what we can verify; a responder does when the initiator did."""

    def received(self, sa: IkeSaState, message: Inbound) -> None:
        """Note the peer's algorithms; the AUTH payload later covers them."""
        if message.header.exchange != ExchangeType.IKE_SA_INIT:
            return
        notify = message.payloads.notify(NotifyType.SIGNATURE_HASH_ALGORITHMS)
        sa.announced.peer_hashes = frozenset(_numbers(notify.data)) if notify else frozenset()

    def additions(
        self, sa: IkeSaState, exchange: ExchangeType, *, response: bool
    ) -> list[AnyPayload]:
        """The notify, with the hashes of all algorithms that some peer in question may use."""
        if exchange != ExchangeType.IKE_SA_INIT or (response and not sa.announced.peer_hashes):
            return []
        sa.announced.own_hashes = frozenset(_accepted(sa))
        data = b"".join(number.to_bytes(_SIZE, "big") for number in sorted(sa.announced.own_hashes))
        return [Notify(NotifyType.SIGNATURE_HASH_ALGORITHMS, data)]


def _numbers(data: bytes) -> list[int]:
    """A number cut short at the end is nobody's."""
    whole = range(0, len(data) - _SIZE + 1, _SIZE)
    return [int.from_bytes(data[at : at + _SIZE], "big") for at in whole]


def _accepted(sa: IkeSaState) -> set[int]:
    """With peers that may not sign at all: all strong ones, so that we may sign by method 14."""
    peers = (sa.peer,) if sa.peer else sa.candidates
    proofs = [proof for peer in peers for proof in peer.auth.accepted]
    lists = [proof.schemes for proof in proofs if isinstance(proof, TrustedCertificates)]
    return {scheme.hash_id for schemes in lists or [STRONG] for scheme in schemes}
