"""From agreed algorithms and a shared secret to a protected IKE SA (RFC 7296 2.14, 2.18)."""

from p4esp.ike.codec.proposal import Proposal
from p4esp.ike.crypto.prf import Key
from p4esp.ike.crypto.schedule import (
    FreshInput,
    Nonces,
    ike_keys,
    ppk_skeyseed,
    rekeyed_skeyseed,
    resumed_skeyseed,
    skeyseed,
)
from p4esp.ike.errors import ParseError
from p4esp.ike.ppk import PostquantumKey, PpkMode
from p4esp.ike.proposals import additional_methods, ike_suite
from p4esp.ike.protection import Protection
from p4esp.ike.state import IkeSaState


def derive_keys(sa: IkeSaState, chosen: Proposal, nonces: Nonces, secret: bytes) -> None:
    """Give the IKE SA of an initial exchange its suite, keys and protection. Both SPIs must be
    set.
    """
    _protect(sa, chosen, nonces, skeyseed(ike_suite(chosen).prf, nonces, secret))
    sa.additional.pending.extend(additional_methods(chosen))
    with_ppk = sa.ppk.agreed is PpkMode.INTERMEDIATE
    sa.additional.rounds = max(len(sa.additional.pending), int(with_ppk))


def add_key_exchange(sa: IkeSaState, secret: bytes) -> None:
    """Mix the secret of the additional key exchange whose turn it was into all keys
    (RFC 9370 2.2.2).
    """
    suite, keys = sa.secrets
    sa.additional.pending.popleft()
    _replace_keys(sa, rekeyed_skeyseed(suite.prf, keys.d, FreshInput(sa.nonces, secret)))


def add_ppk(sa: IkeSaState, key: PostquantumKey) -> None:
    """Mix a postquantum preshared key into all keys, after whatever else the last IKE_INTERMEDIATE
    adds (RFC 9867 3.1).
    """
    suite, keys = sa.secrets
    _replace_keys(sa, ppk_skeyseed(suite.prf, keys.d, key.secret))
    sa.ppk.mode, sa.ppk.key = PpkMode.INTERMEDIATE, key


def _replace_keys(sa: IkeSaState, seed: bytes) -> None:
    if sa.proposal is None or sa.keys is None:
        raise RuntimeError("keys without a proposal")
    old = sa.keys
    _protect(sa, sa.proposal, sa.nonces, seed)
    old.wipe()


def derive_rekeyed(sa: IkeSaState, old: IkeSaState, chosen: Proposal, fresh: FreshInput) -> None:
    """The same for an IKE SA made by rekeying `old`."""
    suite, keys = old.secrets
    _protect(sa, chosen, fresh.nonces, rekeyed_skeyseed(suite.prf, keys.d, fresh))
    if fresh.ppk is not None:
        sa.ppk.mode, sa.ppk.key = PpkMode.INTERMEDIATE, fresh.ppk


def derive_resumed(sa: IkeSaState, chosen: Proposal, nonces: Nonces, old_sk_d: Key) -> None:
    """The same for an IKE SA that is resumed (RFC 5723 5.1). Both SPIs must be set."""
    _protect(sa, chosen, nonces, resumed_skeyseed(ike_suite(chosen).prf, old_sk_d, nonces))


def _protect(sa: IkeSaState, chosen: Proposal, nonces: Nonces, seed: bytes) -> None:
    check_nonces(chosen, nonces)
    suite = ike_suite(chosen)
    keys = ike_keys(suite.prf, suite.cipher, seed, nonces, sa.spi_i + sa.spi_r)
    sa.proposal, sa.suite, sa.keys, sa.nonces = chosen, suite, keys, nonces
    sa.protection = Protection(suite.cipher, keys, sa.initiator, sa.env.random)
    if sa.env.export_keys is not None:
        sa.env.export_keys(sa.spi_i, sa.spi_r, suite, keys)


def check_nonces(chosen: Proposal, nonces: Nonces) -> None:
    """Each must have half the size of the PRF's key at least (RFC 7296 2.10); ParseError."""
    prf = ike_suite(chosen).prf
    shortest = min(len(nonces.initiator), len(nonces.responder))
    if 2 * shortest < prf.size:
        raise ParseError(f"nonce of {shortest} octets, must be {prf.size // 2} with {prf.name}")
