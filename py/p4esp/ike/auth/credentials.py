"""What a side proves its identity with, and which proofs of the peer's count."""

from dataclasses import dataclass, field

from p4esp.ike.auth.certificates import CertifiedKey, TrustedCertificates
from p4esp.ike.constants import AuthMethod


@dataclass(frozen=True, slots=True)
class PresharedKey:
    """A secret both sides hold (RFC 7296 2.15): proves either of them."""

    secret: bytes = field(repr=False)
    """Raw octets; nothing is trimmed or added."""

    def accepts(self, method: int) -> bool:
        """Whether an AUTH payload of this method can be such a proof."""
        return method == AuthMethod.SHARED_KEY

    def __str__(self) -> str:
        return "2 (PSK)"


@dataclass(frozen=True, slots=True)
class Anonymous:
    """NULL authentication (RFC 7619): who has it proves nothing, and may be anyone."""

    def accepts(self, method: int) -> bool:
        """Whether an AUTH payload of this method can be such a proof."""
        return method == AuthMethod.NULL

    def __str__(self) -> str:
        return "13 (NULL)"


Credential = PresharedKey | CertifiedKey | Anonymous
"""What we prove our identity with."""

Requirement = PresharedKey | TrustedCertificates | Anonymous
"""What a peer must prove its identity with."""


@dataclass(frozen=True, slots=True)
class PeerAuth:
    """Both directions of authentication with one peer; they are independent."""

    own: Credential
    accepted: tuple[Requirement, ...]
    """Any one of them is enough."""
    others: tuple[Credential, ...] = ()
    """Further ones of ours, best first, for a peer that says it can verify one of them and not the
    first (RFC 9593).
    """

    def requirement(self, method: int) -> Requirement | None:
        """The accepted proof that an AUTH payload of a method can be."""
        return next((proof for proof in self.accepted if proof.accepts(method)), None)

    @property
    def methods(self) -> str:
        """The accepted methods, for people."""
        return ", ".join(map(str, self.accepted))


def preshared(secret: bytes) -> PeerAuth:
    """The usual case: one secret for both directions."""
    key = PresharedKey(secret)
    return PeerAuth(key, (key,))
