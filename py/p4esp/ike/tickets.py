"""Tickets by value (RFC 5723 6): sealed under a key of the endpoint, good once, for a while.

A ticket is a version octet, the key's number, a nonce, and under AES-256-GCM the time of expiry and
the session. The key lives as long as the process at most: a ticket that outlives it says nothing.
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from struct import Struct
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

MAX_TICKET: Final = 2048
"""Octets: a peer's must fit into one datagram with what goes along."""
VERSION: Final = b"\x01"
KEY_PERIOD: Final = 7 * 24 * 3600.0
"""Seconds a key is used for new tickets: far longer than an IKE SA lives (RFC 5723 6.2)."""
MAX_SPENT: Final = 65536
"""Tickets that are remembered as spent; with more all are void, and a new key begins."""
MAX_CERTIFIED: Final = 1024
"""Tickets whose peer's certificates are remembered; older ones are as if there were none."""
_KEY_SIZE, _NUMBER_SIZE, _NONCE_SIZE = 32, 8, 12
_TIME: Final = Struct("!d")
_HEAD_SIZE: Final = len(VERSION) + _NUMBER_SIZE


class TicketError(ValueError):
    """A ticket that cannot be used."""


@dataclass(frozen=True, slots=True)
class Serial:
    """What names a ticket: its nonce. It is of interest until the ticket expires."""

    nonce: bytes
    expires: float


@dataclass(slots=True)
class _Key:
    aead: AESGCM = field(repr=False)
    born: float


class TicketOffice:
    """Issues tickets and takes them back. Times are those of the endpoint's clock."""

    def __init__(self, random: Callable[[int], bytes]) -> None:
        self._random = random
        self._keys: OrderedDict[bytes, _Key] = OrderedDict()
        """By number, oldest first; the last one seals."""
        self._spent: OrderedDict[bytes, float] = OrderedDict()
        """Nonces of tickets that are used or revoked, with their time of expiry."""
        self._certificates: OrderedDict[bytes, tuple[x509.Certificate, ...]] = OrderedDict()
        """By nonce, oldest first."""

    def issue(
        self,
        session: bytes,
        lifetime: float,
        now: float,
        certificates: tuple[x509.Certificate, ...] = (),
    ) -> tuple[bytes, Serial]:
        """A ticket that is good for `lifetime` seconds, and what names it. `certificates` are
        those of its holder, and stay here.
        """
        number, key = self._sealing_key(lifetime, now)
        head, nonce = VERSION + number, self._random(_NONCE_SIZE)
        expires = now + lifetime
        if certificates:
            self._keep(nonce, certificates)
        sealed = key.aead.encrypt(nonce, _TIME.pack(expires) + session, head)
        return head + nonce + sealed, Serial(nonce, expires)

    def _keep(self, nonce: bytes, certificates: tuple[x509.Certificate, ...]) -> None:
        self._certificates[nonce] = certificates
        if len(self._certificates) > MAX_CERTIFIED:
            self._certificates.popitem(last=False)

    def certificates(self, serial: Serial) -> tuple[x509.Certificate, ...]:
        """Those of a ticket's holder; empty when it had none, or they are forgotten."""
        return self._certificates.get(serial.nonce, ())

    def _sealing_key(self, lifetime: float, now: float) -> tuple[bytes, _Key]:
        if not self._keys or now - next(reversed(self._keys.values())).born >= KEY_PERIOD:
            self._add_key(now)
        while now - next(iter(self._keys.values())).born > KEY_PERIOD + lifetime:
            self._keys.popitem(last=False)
        return next(reversed(self._keys.items()))

    def _add_key(self, now: float) -> None:
        number = self._random(_NUMBER_SIZE)
        self._keys[number] = _Key(AESGCM(self._random(_KEY_SIZE)), now)

    def open(self, ticket: bytes, now: float) -> tuple[bytes, Serial]:
        """The session of a ticket that is good; `TicketError`."""
        head, nonce = ticket[:_HEAD_SIZE], ticket[_HEAD_SIZE : _HEAD_SIZE + _NONCE_SIZE]
        key = self._keys.get(head[len(VERSION) :])
        if key is None or head[: len(VERSION)] != VERSION:
            raise TicketError("the ticket is none of this endpoint's, or its key is gone")
        try:
            content = key.aead.decrypt(nonce, ticket[_HEAD_SIZE + _NONCE_SIZE :], head)
        except (InvalidTag, ValueError):
            raise TicketError("the ticket is not authentic") from None
        serial = Serial(nonce, *_TIME.unpack_from(content))
        self.check(serial, now)
        return content[_TIME.size :], serial

    def check(self, serial: Serial, now: float) -> None:
        """`TicketError` for a ticket that has expired, was used before, or was revoked."""
        if serial.expires <= now:
            raise TicketError("the ticket has expired")
        if serial.nonce in self._spent:
            raise TicketError("the ticket was used before, or its IKE SA was deleted")

    def spend(self, serial: Serial, now: float) -> None:
        """A ticket was used, or counts no longer (RFC 5723 6.2, 9.8)."""
        while self._spent and next(iter(self._spent.values())) <= now:
            self._spent.popitem(last=False)
        if len(self._spent) == MAX_SPENT:
            self._spent.clear()
            self._keys.clear()
        self._spent[serial.nonce] = serial.expires
        self._certificates.pop(serial.nonce, None)
