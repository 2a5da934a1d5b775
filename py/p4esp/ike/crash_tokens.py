"""Tokens by which an end that has lost its state proves it (RFC 6290): made, kept, compared."""

import hmac
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, Self

from p4esp.ike.codec.message import Message
from p4esp.ike.codec.payloads import Notify
from p4esp.ike.constants import NotifyType, ProtocolId
from p4esp.ike.crypto.auth import same_secret
from p4esp.ike.ratelimit import RateLimit

SECRET_SIZE: Final = 32
"""Octets of a maker's secret (RFC 6290 5.1)."""
TOKEN_SIZES: Final = range(16, 129)
MAX_KEPT: Final = 4
"""Tokens of one IKE SA that are kept, and of one message that are looked at (RFC 6290 4.5)."""
CHECKS: Final = 10.0
"""Messages with tokens per second and IKE SA that are looked at (RFC 6290 8.1)."""


def make_token(secret: bytes, own_spi: bytes, peer_spi: bytes) -> bytes:
    """The token of an IKE SA. Our SPI comes first: a message that claims to be from the other end
    of an IKE SA that lives never gets the one that counts (RFC 6290 9.2).
    """
    return hmac.digest(secret, own_spi + peer_spi, "sha256")


def token_notify(token: bytes) -> Notify:
    """The notify that holds a token."""
    return Notify(NotifyType.QUICK_CRASH_DETECTION, token, ProtocolId.IKE)


@dataclass(slots=True)
class CrashTokens:
    """What one IKE SA knows of tokens."""

    checks: RateLimit
    peer: tuple[bytes, ...] = field(default=(), repr=False)
    """Those the peer gave us for it, the last ones."""
    for_successor: bytes | None = field(default=None, repr=False)
    """What came with the answer to our rekey, for the IKE SA that it makes."""
    told: bool = False
    """Whether the peer has ours."""

    @classmethod
    def at(cls, now: float) -> Self:
        """Those of a new IKE SA."""
        return cls(RateLimit(CHECKS, now))

    def keep(self, token: bytes) -> None:
        """Keep a token of the peer's, beside the last ones before it (RFC 6290 4.4)."""
        self.peer = (*self.peer, token)[-MAX_KEPT:]

    def passed_on(self, now: float, *, made_by_us: bool) -> "CrashTokens":
        """Those of a successor: the peer tells a new one, in its answer or of its own accord."""
        given, self.for_successor = self.for_successor, None
        tokens = CrashTokens.at(now)
        if made_by_us and given is not None:
            tokens.keep(given)
        return tokens

    def are_shown(self, message: Message, now: float) -> bool:
        """Whether an unprotected message has a token that only a peer without state gives away."""
        shown = list(_tokens(message))[:MAX_KEPT]
        if not (shown and self.peer and self.checks.allow(now)):
            return False
        return any(same_secret(token, kept) for token in shown for kept in self.peer)


def _tokens(message: Message) -> Iterable[bytes]:
    for notify in message.clear.every(Notify):
        ours = notify.protocol == ProtocolId.IKE and not notify.spi
        if notify.type == NotifyType.QUICK_CRASH_DETECTION and ours:
            yield notify.data


def has_token(message: Message) -> bool:
    """Whether an unprotected message shows a token, good or not."""
    return message.clear.notify(NotifyType.QUICK_CRASH_DETECTION) is not None
