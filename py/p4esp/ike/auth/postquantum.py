"""Postquantum preshared keys in IKE_AUTH: which keys AUTH is made with (RFC 8784 3)."""

from dataclasses import replace

from p4esp.ike.auth.credentials import PostquantumKey
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
from p4esp.ike.state import IkeSaState


def initiator_proof(sa: IkeSaState, identity: IdPayload) -> list[AnyPayload]:
    """Our AUTH, under the PPK when both sides announced one; then also which one it is, and, where
    we can do without, the AUTH that goes without.
    """
    ppk = sa.config.ppk
    if ppk is None or not sa.ppk.announced:
        return own_proof(sa, identity)
    fallback = [] if ppk.required else [_plain_auth(own_proof(sa, identity))]
    sa.ppk.plain = sa.keys
    _mix(sa, ppk)
    return [*own_proof(sa, identity), Notify(NotifyType.PPK_IDENTITY, ppk.identity), *fallback]


def _plain_auth(proof: list[AnyPayload]) -> Notify:
    (auth,) = (payload for payload in proof if isinstance(payload, Authentication))
    return Notify(NotifyType.NO_PPK_AUTH, auth.data)


def _mix(sa: IkeSaState, ppk: PostquantumKey) -> None:
    suite, keys = sa.secrets
    sa.keys, sa.ppk.in_use = with_ppk(suite.prf, keys, ppk.secret), True


def settle(sa: IkeSaState, answer: PayloadSet) -> None:
    """Take the keys that the responder's AUTH was made with; its PPK_IDENTITY tells which."""
    if not sa.ppk.in_use:
        return
    if answer.notify(NotifyType.PPK_IDENTITY) is None:
        _check_optional(sa.config, "the peer does not use it")
        sa.keys, sa.ppk.plain = sa.ppk.plain, sa.keys
        sa.ppk.in_use = False
    _forget(sa.ppk.plain)
    sa.ppk.plain = None


def _forget(unused: IkeKeys | None) -> None:
    """Overwrite the keys that do not count; the others are the same in both sets."""
    if unused is not None:
        for key in (unused.d, unused.pi, unused.pr):
            overwrite(key)


def responder_payloads(sa: IkeSaState, peer: PeerConfig, request: PayloadSet) -> PayloadSet:
    """The request with the AUTH that counts, once the keys it was made with are in force."""
    identity = request.notify(NotifyType.PPK_IDENTITY)
    if not sa.ppk.announced:
        _check_optional(peer, "the peer does not use one")
        return request
    if identity is None:
        raise AuthenticationError("USE_PPK was agreed on, but there is no PPK_IDENTITY")
    if peer.ppk is not None and same_secret(peer.ppk.identity, identity.data):
        plain = sa.keys
        _mix(sa, peer.ppk)
        _forget(plain)
        return request
    _check_optional(peer, f"the peer uses another, {identity.data.hex()}")
    return _with_plain_auth(request)


def _check_optional(peer: PeerConfig, reason: str) -> None:
    if peer.ppk is not None and peer.ppk.required:
        raise AuthenticationError(f"the PPK is mandatory for {peer.name}: {reason}")


def _with_plain_auth(request: PayloadSet) -> PayloadSet:
    plain = request.notify(NotifyType.NO_PPK_AUTH)
    if plain is None:
        raise AuthenticationError("the peer's PPK is not known here, and mandatory for the peer")
    return PayloadSet(
        tuple(
            replace(payload, data=plain.data) if isinstance(payload, Authentication) else payload
            for payload in request.payloads
        )
    )


def confirmation(sa: IkeSaState) -> list[AnyPayload]:
    """What the responder's answer says about the PPK: empty PPK_IDENTITY when it is in use."""
    return [Notify(NotifyType.PPK_IDENTITY)] if sa.ppk.in_use else []
