"""Whose configuration applies to a peer that names itself (RFC 4301 4.4.3, RFC 7296 2.15)."""

from collections.abc import Iterable

from p4esp.ike.auth.credentials import Anonymous, Requirement
from p4esp.ike.choosing import select
from p4esp.ike.codec.message import PayloadSet
from p4esp.ike.codec.payloads import Authentication, IdInitiator, IdResponder
from p4esp.ike.config import PeerConfig
from p4esp.ike.errors import AuthenticationError, Refusal
from p4esp.ike.state import IkeSaState
from p4esp.ipsec.identity import NOBODY, Identity, IdType


def find_peer(sa: IkeSaState, payloads: PayloadSet) -> PeerConfig:
    """The configuration for the claimed IDi, the wanted IDr and the IKE SA's algorithms.

    Where several fit, the first that accepts the method of the AUTH payload; but whom one names,
    no pattern means: else whoever is let in by the pattern could be anybody.
    """
    claimed, wanted = payloads.one(IdInitiator), payloads.optional(IdResponder)
    if claimed.identity.type == IdType.NULL and claimed.identity != NOBODY:
        raise AuthenticationError("ID_NULL with data, must be empty (RFC 7619 2.2)")
    meant = _meant(sa.candidates, claimed.identity)
    fitting = [peer for peer in meant if _fits(sa, peer, wanted)]
    if not fitting:
        asked = f" asking for {wanted.identity}" if wanted else ""
        raise AuthenticationError(f"no configuration for peer {claimed.identity}{asked}")
    auth = payloads.optional(Authentication)
    method = auth.method if auth else 0
    return next((peer for peer in fitting if peer.auth.requirement(method)), fitting[0])


def proven_identity(peer: PeerConfig, claimed: Identity, proof: Requirement) -> Identity:
    """Who a peer is that gave an accepted proof; nobody without one (RFC 7619 2.2).

    However the peer spells it, so that all its IKE SAs have the same.
    """
    if isinstance(proof, Anonymous):
        return NOBODY
    return peer.remote_id if isinstance(peer.remote_id, Identity) else claimed.normalised()


def _meant(candidates: Iterable[PeerConfig], claimed: Identity) -> list[PeerConfig]:
    found = [peer for peer in candidates if peer.remote_id.matches(claimed)]
    return [peer for peer in found if isinstance(peer.remote_id, Identity)] or found


def _fits(sa: IkeSaState, peer: PeerConfig, wanted: IdResponder | None) -> bool:
    """The path may have become another one since IKE_SA_INIT, by more than its ports."""
    ours = wanted is None or peer.local_id.matches(wanted.identity)
    return ours and peer.may_use(sa.path) and _accepts_suite(sa, peer)


def _accepts_suite(sa: IkeSaState, peer: PeerConfig) -> bool:
    try:
        return sa.proposal is not None and bool(select([sa.proposal], peer.proposals))
    except Refusal:
        return False
