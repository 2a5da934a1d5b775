"""Key derivation for IKE SAs and child SAs (RFC 7296 2.13, 2.14, 2.17; RFC 5282 7)."""

from dataclasses import dataclass, field, replace

from p4esp.ike.crypto.prf import Key, Prf
from p4esp.ike.ppk import PostquantumKey
from p4esp.ipsec.algorithms import Suite
from p4esp.ipsec.layouts import ROOT_SIZE
from p4esp.ipsec.sa import DirectionKeys


@dataclass(frozen=True, slots=True)
class Nonces:
    """Ni and Nr: those of the exchange's initiator and responder, whoever owns the IKE SA."""

    initiator: bytes
    responder: bytes

    @property
    def joined(self) -> bytes:
        """Ni | Nr."""
        return self.initiator + self.responder

    @property
    def lowest(self) -> bytes:
        """The lower of the two octet by octet, which decides collisions (RFC 7296 2.8.1)."""
        return min(self.initiator, self.responder)


@dataclass(frozen=True, slots=True)
class FreshInput:
    """What a CREATE_CHILD_SA exchange adds to SK_d (RFC 7296 2.17, 2.18; RFC 9370 2.2.4)."""

    nonces: Nonces
    secret: bytes = field(default=b"", repr=False)
    """g^ir; empty when no KE payloads were exchanged."""
    additional: bytes = field(default=b"", repr=False)
    """The secrets of further key exchanges, SK(1) | SK(2) | ..."""
    ppk: PostquantumKey | None = None
    """What goes into SK_d before all this."""

    @property
    def octets(self) -> bytes:
        """g^ir | Ni | Nr | SK(1) | ..."""
        return self.secret + self.nonces.joined + self.additional


@dataclass(frozen=True, slots=True)
class IkeKeys:
    """The keys of an IKE SA. `repr` shows none of them. With AEAD SK_e* end in the salt."""

    d: bytearray = field(repr=False)
    ai: bytearray = field(repr=False)
    ar: bytearray = field(repr=False)
    ei: bytearray = field(repr=False)
    er: bytearray = field(repr=False)
    pi: bytearray = field(repr=False)
    pr: bytearray = field(repr=False)

    def wipe(self) -> None:
        """Overwrite all of them. Copies that `cryptography` and the interpreter made stay."""
        for key in (self.d, self.ai, self.ar, self.ei, self.er, self.pi, self.pr):
            overwrite(key)


def overwrite(secret: bytearray) -> None:
    """Put zeros in the place of a secret."""
    secret[:] = bytes(len(secret))


def skeyseed(prf: Prf, nonces: Nonces, secret: bytes) -> bytes:
    """SKEYSEED of an initial exchange."""
    return prf(nonces.joined, secret)


def rekeyed_skeyseed(old_prf: Prf, old_sk_d: Key, fresh: FreshInput) -> bytes:
    """SKEYSEED of an IKE SA made by rekeying; PRF and SK_d are the old one's (RFC 7296 2.18)."""
    return old_prf(_with_fresh_ppk(old_prf, old_sk_d, fresh), fresh.octets)


def ppk_skeyseed(prf: Prf, sk_d: Key, ppk: bytes) -> bytes:
    """What all keys are made anew from when IKE_INTERMEDIATE adds a PPK: prf+(PPK, SK_d)
    (RFC 9867 3.1).
    """
    return bytes(prf.expand(ppk, bytes(sk_d), prf.size))


def _with_fresh_ppk(prf: Prf, sk_d: Key, fresh: FreshInput) -> Key:
    """SK_d for one CREATE_CHILD_SA: prf+(PPK, SK_d) when that mixes in a PPK. This is our own
    reading: the formula of RFC 9867 3.2 has not been confirmed by anybody.
    """
    return sk_d if fresh.ppk is None else prf.expand(fresh.ppk.secret, bytes(sk_d), len(sk_d))


def resumed_skeyseed(prf: Prf, old_sk_d: Key, nonces: Nonces) -> bytes:
    """SKEYSEED of a resumed IKE SA; SK_d is the old one's (RFC 5723 5.1)."""
    return prf(old_sk_d, b"Resumption" + nonces.joined)


def ike_keys(prf: Prf, cipher: Suite, seed_key: bytes, nonces: Nonces, spis: bytes) -> IkeKeys:
    """Slice prf+(SKEYSEED, Ni | Nr | SPIi | SPIr) in the order of RFC 7296 2.14.

    `spis` is SPIi | SPIr; SK_a* are empty with an AEAD.
    """
    p, a, e = prf.size, cipher.integrity_size, cipher.cipher_size
    sizes = (p, a, a, e, e, p, p)
    stream = prf.expand(seed_key, nonces.joined + spis, sum(sizes))
    keys = IkeKeys(*_slices(stream, sizes))
    overwrite(stream)
    return keys


def with_ppk(prf: Prf, keys: IkeKeys, ppk: bytes) -> IkeKeys:
    """The keys once a postquantum preshared key is mixed into SK_d, SK_pi, SK_pr (RFC 8784 3)."""
    d, pi, pr = (prf.expand(ppk, bytes(key), len(key)) for key in (keys.d, keys.pi, keys.pr))
    return replace(keys, d=d, pi=pi, pr=pr)


def child_keymat(prf: Prf, sk_d: Key, fresh: FreshInput, size: int) -> bytearray:
    """KEYMAT of a child SA (RFC 7296 2.17)."""
    return prf.expand(_with_fresh_ppk(prf, sk_d, fresh), fresh.octets, size)


def child_keys(
    prf: Prf, sk_d: Key, fresh: FreshInput, suite: Suite
) -> tuple[DirectionKeys, DirectionKeys]:
    """Keys initiator to responder, then responder to initiator; each key, salt, integrity key."""
    size = suite.keymat_size
    stream = child_keymat(prf, sk_d, fresh, 2 * size)
    forward, backward = _slices(stream, (size, size))
    keys = _direction(forward, suite), _direction(backward, suite)
    for copied in (stream, forward, backward):
        overwrite(copied)
    return keys


def child_roots(prf: Prf, sk_d: Key, fresh: FreshInput) -> tuple[DirectionKeys, DirectionKeys]:
    """Roots of sub-SA keys in place of keys, initiator to responder, then back. There is no salt:
    it is derived with each key.
    """
    stream = child_keymat(prf, sk_d, fresh, 2 * ROOT_SIZE)
    forward, backward = _slices(stream, (ROOT_SIZE, ROOT_SIZE))
    roots = DirectionKeys(bytes(forward), b""), DirectionKeys(bytes(backward), b"")
    for copied in (stream, forward, backward):
        overwrite(copied)
    return roots


def _direction(keymat: bytearray, suite: Suite) -> DirectionKeys:
    sizes = (suite.key_size, suite.salt_size, suite.integrity_size)
    return DirectionKeys(*map(bytes, _slices(keymat, sizes)))


def _slices(stream: bytearray, sizes: tuple[int, ...]) -> list[bytearray]:
    parts, at = [], 0
    for size in sizes:
        parts.append(stream[at : at + size])
        at += size
    return parts
