"""Gateways that send peers to others, as notifies name them, and an end to it (RFC 5685)."""

import re
from collections import defaultdict, deque
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING, Final

from p4esp.ike.codec.reader import Reader
from p4esp.ike.errors import CommandError, ParseError
from p4esp.ike.path import Path, UdpAddress
from p4esp.ipsec.selectors import Address

if TYPE_CHECKING:
    from p4esp.ike.events import Redirected
    from p4esp.ike.state import IkeSaState

Gateway = Address | str
"""An address, or a domain name."""

MAX_REDIRECTS: Final = 5
PERIOD: Final = 300.0
"""Seconds in which a peer is followed `MAX_REDIRECTS` times at most (RFC 5685 7)."""
_IPV4, _IPV6, _FQDN = 1, 2, 3
_ADDRESSES: Final[dict[tuple[int, int], type[Address]]] = {
    (_IPV4, 4): IPv4Address,
    (_IPV6, 16): IPv6Address,
}
_NAME: Final = re.compile(rb"(?=.{1,253}$)[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*\.?")


@dataclass(slots=True)
class Redirection:
    """What an IKE SA, and those that replace it by rekeying, know of other gateways."""

    peer_follows: bool = False
    """Responder: the peer has announced that it would go."""
    came_from: Address | None = None
    """Initiator: the gateway that sent us here."""
    first_children: tuple[str, ...] = ()
    """Initiator: the child SA asked for in IKE_AUTH, to be asked for elsewhere."""


def encode_gateway(gateway: Gateway) -> bytes:
    """Type, length and identity, as REDIRECT and REDIRECTED_FROM carry them (RFC 5685 8.2)."""
    if isinstance(gateway, str):
        return bytes([_FQDN, len(gateway)]) + gateway.encode("ascii")
    kind = _IPV4 if gateway.version == 4 else _IPV6
    return bytes([kind, len(gateway.packed)]) + gateway.packed


def parse_redirect(data: bytes) -> tuple[Gateway, bytes]:
    """Gateway and nonce data of a REDIRECT notify; the nonce is empty outside IKE_SA_INIT."""
    reader = Reader(data, "N(REDIRECT)")
    kind, size = reader.take(2, "gateway identity type and length")
    identity = reader.take(size, "gateway identity")
    return _gateway(kind, identity), reader.rest()


def _gateway(kind: int, identity: bytes) -> Gateway:
    if (kind, len(identity)) in _ADDRESSES:
        return _ADDRESSES[kind, len(identity)](identity)
    if kind == _FQDN and _NAME.fullmatch(identity):
        return identity.decode("ascii")
    raise ParseError(f"N(REDIRECT): no gateway is {identity.hex()} of type {kind}")


def is_sent_away(sa: "IkeSaState") -> bool:
    """Whether a peer that has proved who it is gets another gateway instead of child SAs."""
    return sa.redirection.peer_follows and sa.config.redirect_to is not None


class Redirects:
    """Where redirects lead. Gateways that send us round in a circle do so only for a while."""

    def __init__(self) -> None:
        self._followed: defaultdict[str, deque[float]] = defaultdict(
            lambda: deque(maxlen=MAX_REDIRECTS)
        )

    def path_to(
        self, redirected: "Redirected", host: Address | None, port: int, now: float
    ) -> Path:
        """The path to the gateway that a peer named, or to `host` which has its name.

        `CommandError`: it is out of reach, or the peer has sent us on too often.
        """
        local, gateway = redirected.ike.path.local.host, host or redirected.gateway
        if isinstance(gateway, str):
            raise CommandError(f"redirected to {gateway}, which is a name; accepted: an address")
        if gateway.version != local.version:
            raise CommandError(f"redirected to {gateway}, which {local} cannot reach")
        if not self._allow(redirected.ike.peer, now):
            raise CommandError(f"redirected {MAX_REDIRECTS} times in {PERIOD:g} s, not once more")
        return Path(UdpAddress(local, port), UdpAddress(gateway, port))

    def _allow(self, peer: str, now: float) -> bool:
        times = self._followed[peer]
        if len(times) == MAX_REDIRECTS and now - times[0] < PERIOD:
            return False
        times.append(now)
        return True
