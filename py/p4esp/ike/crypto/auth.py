"""The AUTH payload (RFC 7296 2.15)."""

import hmac

from p4esp.ike.crypto.prf import Key, Prf

_KEY_PAD = b"Key Pad for IKEv2"


def signed_octets(prf: Prf, said: bytes, peer_nonce: bytes, sk_p: Key, id_body: bytes) -> bytes:
    """What one side authenticates: IKE_SA_INIT, the other's nonce, its own identity.

    `said` are its messages, without non-ESP marker; `id_body` is the ID payload after the generic
    header, reserved octets as on the wire.
    """
    return said + peer_nonce + prf(sk_p, id_body)


def shared_key_auth(prf: Prf, secret: Key, octets: bytes) -> bytes:
    """AUTH data of method 2, shared key message integrity code."""
    return prf(prf(secret, _KEY_PAD), octets)


def same_secret(ours: bytes, theirs: bytes) -> bool:
    """Compare in time that does not depend on where the octets differ."""
    return hmac.compare_digest(ours, theirs)
