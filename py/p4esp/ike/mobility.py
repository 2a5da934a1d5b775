"""Which of the two ends may move, and what has followed it (RFC 4555)."""

from dataclasses import dataclass, field
from itertools import product
from typing import TYPE_CHECKING

from p4esp.ike.codec.payload import AnyPayload
from p4esp.ike.path import Path
from p4esp.ipsec.selectors import Address

if TYPE_CHECKING:
    from p4esp.ike.state import IkeSaState

MAX_ALTERNATIVES = 8
"""Paths that are tried when the one in use is silent."""


@dataclass(slots=True)
class Mobility:
    """What an IKE SA, and those that replace it by rekeying, know of addresses."""

    path: Path
    """The path in use for IKE."""
    child_path: Path
    """The path in use for ESP."""
    mover: bool
    """Whether we decide on addresses: the initiator of the first IKE SA does, for good."""
    announced: bool = False
    """Whether the peer sent MOBIKE_SUPPORTED."""
    moves: int = 0
    """Changes of the path so far: what was asked before the last one proves nothing about it."""
    settled: int = 0
    """The change that child SAs have followed."""
    peer_addresses: tuple[Address, ...] = ()
    """Where else the peer can be reached, as it last said."""
    probing: bool = False
    """Whether requests go out on other paths too, because the one in use is silent."""
    seen: tuple[bytes, frozenset[bytes]] | None = None
    """Under which SPIs, and as what, the peer last saw our address (NAT_DETECTION hashes)."""
    answer: list[AnyPayload] = field(default_factory=list)
    """What the request at hand wants in its answer."""


def is_mobile(sa: "IkeSaState") -> bool:
    """Whether both ends have agreed on MOBIKE; without NAT traversal we do not."""
    agreed = sa.authenticated and sa.mobility.announced and sa.config.mobike
    return agreed and sa.nat is not None


def follows(sa: "IkeSaState") -> bool:
    """Whether the peer may turn up elsewhere: it is behind a NAT, we are not, and it does not say
    itself where it is (RFC 7296 2.23, RFC 4555 3.8).
    """
    return sa.nat is not None and sa.nat.remote and not sa.nat.local and not is_mobile(sa)


def alternatives(sa: "IkeSaState") -> list[Path]:
    """Other pairs of known addresses, ours and the peer's, on the ports in use."""
    ours = (sa.path.local.host, *sa.config.additional_local)
    theirs = (sa.path.remote.host, *sa.mobility.peer_addresses)
    pairs = product(ours, theirs)
    paths = [sa.path.between(*pair) for pair in pairs if pair[0].version == pair[1].version]
    return [path for path in dict.fromkeys(paths) if path != sa.path][:MAX_ALTERNATIVES]
