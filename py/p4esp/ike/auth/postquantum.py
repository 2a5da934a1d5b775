"""Postquantum preshared keys in IKE_AUTH: which keys AUTH is made with (RFC 8784 3), and whether
the one that IKE_INTERMEDIATE took is the peer's (RFC 9867 3.1).
"""

from dataclasses import replace

from p4esp.ike.auth.ppk_keys import claim_ppk, find_ppk, offer_ppks
from p4esp.ike.auth.proof import own_proof
from p4esp.ike.auth.transcript import IdPayload
from p4esp.ike.codec.message import PayloadSet
from p4esp.ike.codec.payload import AnyPayload
from p4esp.ike.codec.payloads import Authentication, Notify
from p4esp.ike.config import PeerConfig
from p4esp.ike.constants import NotifyType
from p4esp.ike.crypto.auth import same_secret
from p4esp.ike.crypto.schedule import IkeKeys, overwrite, with_ppk
from p4esp.ike.errors import AuthenticationError
from p4esp.ike.notifies import usable_data
from p4esp.ike.ppk import ID_SIZES, PostquantumKey, PpkMode, PpkPolicy, shown
from p4esp.ike.state import IkeSaState

_AUTH_SIZES = range(1, 1 << 16)
"""Octets of AUTH data that NO_PPK_AUTH may hold."""


def initiator_proof(sa: IkeSaState, identity: IdPayload) -> list[AnyPayload]:
    """Our AUTH, under the PPK when both sides announced one for here; then also which one it is,
    and, where we can do without, the AUTH that goes without.
    """
    ppk = sa.config.ppk
    if ppk is None or sa.ppk.agreed is not PpkMode.AUTH:
        return own_proof(sa, identity)
    key = next(iter(offer_ppks(sa)), None)
    if key is None:
        raise AuthenticationError("USE_PPK was agreed on, but there is no PPK any more")
    fallback = [] if ppk.required else [_plain_auth(own_proof(sa, identity))]
    sa.ppk.plain = sa.keys
    _mix(sa, key)
    return [*own_proof(sa, identity), Notify(NotifyType.PPK_IDENTITY, key.identity), *fallback]


def _plain_auth(proof: list[AnyPayload]) -> Notify:
    (auth,) = (payload for payload in proof if isinstance(payload, Authentication))
    return Notify(NotifyType.NO_PPK_AUTH, auth.data)


def _mix(sa: IkeSaState, key: PostquantumKey) -> None:
    suite, keys = sa.secrets
    sa.keys = with_ppk(suite.prf, keys, key.secret)
    sa.ppk.mode, sa.ppk.key = PpkMode.AUTH, key


def settle(sa: IkeSaState, answer: PayloadSet) -> None:
    """Take the keys that the responder's AUTH was made with; its PPK_IDENTITY tells which."""
    if sa.ppk.mode is not PpkMode.AUTH:
        return
    if answer.notify(NotifyType.PPK_IDENTITY) is None:
        _check_optional(sa.config, "the peer does not use it")
        sa.keys, sa.ppk.plain = sa.ppk.plain, sa.keys
        sa.ppk.mode, sa.ppk.key = PpkMode.NONE, None
    _forget(sa.ppk.plain)
    sa.ppk.plain = None


def _forget(unused: IkeKeys | None) -> None:
    """Overwrite the keys that do not count; the others are the same in both sets."""
    if unused is not None:
        for key in (unused.d, unused.pi, unused.pr):
            overwrite(key)


def responder_payloads(sa: IkeSaState, peer: PeerConfig, request: PayloadSet) -> PayloadSet:
    """The request with the AUTH that counts, once the keys it was made with are in force."""
    if sa.ppk.agreed is PpkMode.AUTH:
        return _mixed_by_request(sa, peer, request)
    if sa.ppk.key is not None:
        _check_owner(sa, peer, sa.ppk.key)
    else:
        _check_optional(peer, "the peer does not use one")
    return request


def _check_owner(sa: IkeSaState, peer: PeerConfig, key: PostquantumKey) -> None:
    """A key that is used once is one peer's; others may be several peers'."""
    if sa.ppk.owner != peer.name and not (peer.ppk and _is_among(sa, peer.ppk, key)):
        raise AuthenticationError(f"PPK {shown(key.identity)} is not for {peer.name}")


def _is_among(sa: IkeSaState, policy: PpkPolicy, key: PostquantumKey) -> bool:
    held = find_ppk(sa, policy, key.identity)
    allowed = sa.ppk.agreed in policy.modes
    return allowed and held is not None and same_secret(held.secret, key.secret)


def _mixed_by_request(sa: IkeSaState, peer: PeerConfig, request: PayloadSet) -> PayloadSet:
    identity = usable_data(sa, NotifyType.PPK_IDENTITY, request, ID_SIZES)
    if identity is None:
        raise AuthenticationError("USE_PPK was agreed on, but there is no PPK_IDENTITY")
    key = _key_of(sa, peer, identity)
    if key is None:
        _check_optional(peer, f"the peer uses another, {shown(identity)}")
        return _with_plain_auth(sa, request)
    plain = sa.keys
    _mix(sa, key)
    _forget(plain)
    return request


def _key_of(sa: IkeSaState, peer: PeerConfig, identity: bytes) -> PostquantumKey | None:
    """The key of that name, if it may be used for this peer and in this way."""
    if peer.ppk is None or PpkMode.AUTH not in peer.ppk.modes:
        return None
    return find_ppk(sa, peer.ppk, identity)


def _check_optional(peer: PeerConfig, reason: str) -> None:
    if peer.ppk is not None and peer.ppk.required:
        raise AuthenticationError(f"the PPK is mandatory for {peer.name}: {reason}")


def _with_plain_auth(sa: IkeSaState, request: PayloadSet) -> PayloadSet:
    plain = usable_data(sa, NotifyType.NO_PPK_AUTH, request, _AUTH_SIZES)
    if plain is None:
        raise AuthenticationError("the peer's PPK is not known here, and mandatory for the peer")
    return PayloadSet(
        tuple(
            replace(payload, data=plain) if isinstance(payload, Authentication) else payload
            for payload in request.payloads
        )
    )


def take_up(sa: IkeSaState, peer: PeerConfig) -> None:
    """Now that the peer has proved to be who may use the key: it counts as used. A key named by
    just anybody does not.
    """
    key, policy = sa.ppk.key, peer.ppk
    if sa.ppk.mode is not PpkMode.AUTH or key is None or policy is None:
        return
    if not claim_ppk(sa, policy, key):
        raise AuthenticationError(f"PPK {shown(key.identity)} has been used up")


def confirmation(sa: IkeSaState) -> list[AnyPayload]:
    """What the responder's answer says about the PPK: empty PPK_IDENTITY when it is in use."""
    return [Notify(NotifyType.PPK_IDENTITY)] if sa.ppk.mode is PpkMode.AUTH else []
