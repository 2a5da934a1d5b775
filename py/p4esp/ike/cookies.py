"""Cookies: an initiator shows that it receives at its address before we keep state for it.

RFC 7296 2.6. Nothing is remembered of who was given one: a cookie is a digest of what the next
request repeats, under a secret that changes every `LIFETIME` seconds; the one before still counts.
"""

import hashlib
import hmac
from collections import deque
from collections.abc import Callable
from typing import Final

from p4esp.ike.codec.header import Header
from p4esp.ike.codec.message import Message, encode_clear
from p4esp.ike.codec.payloads import Nonce, Notify
from p4esp.ike.constants import NO_SPI, NotifyType
from p4esp.ike.path import Path

LIFETIME: Final = 60.0
SECRET_SIZE: Final = 32


class Cookies:
    """Makes and checks the cookies of one endpoint."""

    def __init__(self, random: Callable[[int], bytes]) -> None:
        self._random = random
        self._secrets: deque[bytes] = deque(maxlen=2)
        self._renewal = float("-inf")

    def demand(self, opening: Message, path: Path, now: float) -> bytes:
        """The answer that asks for the request once more, with a cookie; ParseError without Ni."""
        self._renew(now)
        cookie = Notify(NotifyType.COOKIE, _digest(self._secrets[-1], opening, path))
        asked = opening.header
        answer = Header(asked.spi_i, NO_SPI, asked.exchange, False, True, asked.message_id)
        return encode_clear(answer, [cookie])

    def is_shown(self, opening: Message, path: Path, now: float) -> bool:
        """Whether a request has the cookie we gave its sender; ParseError without Ni."""
        self._renew(now)
        shown = opening.clear.notify(NotifyType.COOKIE)
        good = [_digest(secret, opening, path) for secret in self._secrets]
        return shown is not None and any(hmac.compare_digest(shown.data, item) for item in good)

    def _renew(self, now: float) -> None:
        if now >= self._renewal:
            self._secrets.append(self._random(SECRET_SIZE))
            self._renewal = now + LIFETIME


def _digest(secret: bytes, opening: Message, path: Path) -> bytes:
    facts = opening.clear.one(Nonce).data + path.remote.host.packed + opening.header.spi_i
    return hmac.digest(secret, facts, hashlib.sha256)
