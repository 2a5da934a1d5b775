"""Cookies: an initiator shows that it receives at its address before we keep state for it.

RFC 7296 2.6. Nothing is remembered of who was given one: a cookie is the number of a secret, and a
digest under it of what the next request repeats. A secret is used for `LIFETIME` seconds, and
believed for as long again.
"""

import hmac
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Self

from p4esp.ike.codec.chain import bodies
from p4esp.ike.codec.header import Header
from p4esp.ike.codec.message import encode_clear
from p4esp.ike.codec.payloads import Nonce, Notify
from p4esp.ike.constants import HEADER_SIZE, NO_SPI, NotifyType, PayloadType
from p4esp.ike.errors import ParseError
from p4esp.ike.extensions.experimental import P4ESP
from p4esp.ike.path import Path

LIFETIME: Final = 60.0
SECRET_SIZE: Final = 32


@dataclass(frozen=True, slots=True)
class Opening:
    """What of an IKE_SA_INIT request a cookie depends on; nothing else of it is looked at."""

    header: Header
    nonce: bytes
    cookie: bytes
    """Empty when the first payload is no cookie."""
    knows_us: bool
    """Whether it has our vendor ID, so that private numbers of ours mean something to its sender.
    """

    @classmethod
    def read(cls, header: Header, message: bytes) -> Self:
        """Find nonce and cookie; ParseError for a broken chain, or none or several nonces."""
        chain = list(bodies(header.next_payload, message[HEADER_SIZE:]))
        nonces = [body for kind, body in chain if kind == PayloadType.NONCE]
        if len(nonces) != 1:
            raise ParseError(f"IKE_SA_INIT request with {len(nonces)} nonces, must have one")
        ours = (PayloadType.VENDOR, P4ESP.data) in chain
        return cls(header, Nonce.parse(nonces[0]).data, _cookie_in(*chain[0]), ours)


def _cookie_in(kind: int, body: bytes) -> bytes:
    """A cookie comes first or not at all (RFC 7296 2.6)."""
    if kind != PayloadType.NOTIFY:
        return b""
    notify = Notify.parse(body)
    return notify.data if notify.type == NotifyType.COOKIE else b""


class Cookies:
    """Makes and checks the cookies of one endpoint."""

    def __init__(self, random: Callable[[int], bytes]) -> None:
        self._random = random
        self._secrets: dict[int, bytes] = {}

    def demand(self, opening: Opening, path: Path, now: float, *, excluded: bool) -> bytes:
        """The answer that asks for the request once more, with a cookie. `excluded`: we would leave
        it out of what AUTH covers.
        """
        period = _period(now)
        cookie = Notify(NotifyType.COOKIE, _cookie(period, self._secret(period), opening, path))
        told = [Notify(NotifyType.COOKIE_EXCLUDED)] if excluded and opening.knows_us else []
        asked = opening.header
        answer = Header(asked.spi_i, NO_SPI, asked.exchange, False, True, asked.message_id)
        return encode_clear(answer, [cookie, *told])

    def is_shown(self, opening: Opening, path: Path, now: float) -> bool:
        """Whether a request has the cookie we gave its sender."""
        for period in (_period(now), _period(now) - 1):
            number = opening.cookie[:1]
            if number == _number(period) and period in self._secrets:
                good = _cookie(period, self._secrets[period], opening, path)
                return hmac.compare_digest(opening.cookie, good)
        return False

    def _secret(self, period: int) -> bytes:
        """The secret of this period; those that nobody is believed for any more are forgotten."""
        if period not in self._secrets:
            kept = {
                number: self._secrets[number] for number in self._secrets if number >= period - 1
            }
            self._secrets = kept | {period: self._random(SECRET_SIZE)}
        return self._secrets[period]


def _period(now: float) -> int:
    return int(now // LIFETIME)


def _number(period: int) -> bytes:
    return bytes([period & 0xFF])


def _cookie(period: int, secret: bytes, opening: Opening, path: Path) -> bytes:
    """What has a size of its own comes last, so that no two sets of facts are the same octets."""
    host = path.remote.host
    facts = bytes([host.version]) + host.packed + opening.header.spi_i + opening.nonce
    return _number(period) + hmac.digest(secret, facts, "sha256")
