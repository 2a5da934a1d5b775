"""Asking for postquantum preshared keys: one that cannot be read is not there, and a
record says so.
"""

from collections.abc import Callable
from typing import Final, TypeVar

from p4esp.ike.config import PeerConfig
from p4esp.ike.notifies import note_ignored
from p4esp.ike.ppk import PostquantumKey, PpkMode, PpkPolicy
from p4esp.ike.state import IkeSaState

MAX_OFFERED: Final = 8
"""Keys that we offer, and of which we look at the peer's, in one message."""

_Answer = TypeVar("_Answer")


def ppks_usable(sa: IkeSaState, mode: PpkMode) -> bool:
    """Whether there is a key to use in this way, with whoever the peer may be."""
    return any(_has_one(sa, peer, mode) for peer in sa.in_question)


def _has_one(sa: IkeSaState, peer: PeerConfig, mode: PpkMode) -> bool:
    policy = peer.ppk
    return policy is not None and mode in policy.modes and _ask(sa, policy.source.any, False)


def offer_ppks(sa: IkeSaState) -> tuple[PostquantumKey, ...]:
    """The keys to offer the peer, best first; one of them at most is used once, and is used up."""
    policy, nothing = sa.config.ppk, list[PostquantumKey]()
    found = nothing if policy is None else _ask(sa, lambda: list(policy.source.offer()), nothing)
    return tuple(found[:MAX_OFFERED])


def find_ppk(sa: IkeSaState, policy: PpkPolicy, identity: bytes) -> PostquantumKey | None:
    """The key of a PPK_ID."""
    return _ask(sa, lambda: policy.source.find(identity), None)


def claim_ppk(sa: IkeSaState, policy: PpkPolicy, key: PostquantumKey) -> bool:
    """Whether a key of the peer's choice may be used; from now on it counts as used."""
    return _ask(sa, lambda: policy.source.claim(key), False)


def _ask(sa: IkeSaState, question: Callable[[], _Answer], otherwise: _Answer) -> _Answer:
    try:
        return question()
    except LookupError as error:
        note_ignored(sa, f"postquantum keys cannot be read: {error}")
        return otherwise
