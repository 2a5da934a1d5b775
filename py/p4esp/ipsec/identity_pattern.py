"""Patterns for the identities of many peers under one configuration (RFC 4945 3.1)."""

from dataclasses import dataclass
from typing import Self

from p4esp.ipsec.identity import Identity, IdType

ANY = "*"


@dataclass(frozen=True, slots=True)
class IdentityPattern:
    """`*` for all identities, `*.example` for hosts, `*@example` for mailboxes."""

    text: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a pattern; ValueError for one that is not of these forms."""
        kind, suffix = text[:2], text[2:]
        if text != ANY and (kind not in ("*.", "*@") or not suffix or "*" in suffix):
            raise ValueError(f"{text!r}: accepted: *, *.example or *@example")
        return cls(text)

    def matches(self, identity: Identity) -> bool:
        """Whether an identity is meant; letter case does not count."""
        if self.text == ANY:
            return True
        kind = IdType.RFC822_ADDR if self.text[1] == "@" else IdType.FQDN
        suffix = self.text[1:].lower().encode()
        data = identity.data.lower()
        return identity.type == kind and data.endswith(suffix) and len(data) > len(suffix)

    def __str__(self) -> str:
        return self.text


PeerIdentity = Identity | IdentityPattern
"""Who a peer may be."""


def parse_peer_identity(text: str) -> PeerIdentity:
    """Read an identity or a pattern as operators write them."""
    return IdentityPattern.parse(text) if text.startswith(ANY) else Identity.parse(text)
