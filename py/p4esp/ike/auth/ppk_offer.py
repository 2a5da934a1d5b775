"""Offering postquantum preshared keys by name and confirmation, and choosing one (RFC 9867 3).

The confirmation is a MAC under the key itself over what is fresh: it tells whether the two ends
mean the same key by a name, and nothing else.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from p4esp.ike.auth.ppk_keys import MAX_OFFERED, claim_ppk, find_ppk, offer_ppks
from p4esp.ike.codec.message import PayloadSet
from p4esp.ike.codec.payload import AnyPayload
from p4esp.ike.codec.payloads import Notify
from p4esp.ike.config import PeerConfig
from p4esp.ike.constants import NotifyType
from p4esp.ike.crypto.auth import same_secret
from p4esp.ike.errors import ProposalError
from p4esp.ike.notifies import MalformedNotifyError, data_of, note_ignored, usable_each
from p4esp.ike.ppk import ID_SIZES, PostquantumKey, shown
from p4esp.ike.state import IkeSaState

CONFIRMATION_SIZE: Final = 8
_NAMED_SIZES: Final = range(ID_SIZES.start + CONFIRMATION_SIZE, ID_SIZES.stop + CONFIRMATION_SIZE)
"""Octets of PPK_IDENTITY_KEY."""


def initial_context(sa: IkeSaState) -> bytes:
    """Ni | Nr | SPIi | SPIr: what is fresh before IKE_AUTH."""
    return sa.nonces.joined + sa.spi_i + sa.spi_r


def rekey_context(sa: IkeSaState, nonce: bytes) -> bytes:
    """Ni | SPIi | SPIr: what is fresh when CREATE_CHILD_SA is asked for. Our own reading, as the
    formula that follows.
    """
    return nonce + sa.spi_i + sa.spi_r


def _confirmation(sa: IkeSaState, key: PostquantumKey, context: bytes) -> bytes:
    return sa.secrets[0].prf(key.secret, context)[:CONFIRMATION_SIZE]


class PpkOffer:
    """The keys that we name to the peer in one exchange, however often it is begun."""

    def __init__(self) -> None:
        self._keys: tuple[PostquantumKey, ...] | None = None

    @property
    def made(self) -> bool:
        """Whether keys were asked for, if there were any."""
        return self._keys is not None

    @property
    def used_one_up(self) -> bool:
        """Whether one of them is used once, and hereby was."""
        return any(key.one_time for key in self._keys or ())

    def keys(self, sa: IkeSaState) -> tuple[PostquantumKey, ...]:
        """Those. A key that the IKE SA has stays good, even if it is no longer given out."""
        if self._keys is None:
            known, kept = offer_ppks(sa), sa.ppk.key
            again = kept is not None and not kept.one_time and kept not in known
            self._keys = (*known, kept) if again and kept is not None else known
        return self._keys

    def notifies(self, sa: IkeSaState, context: bytes) -> list[AnyPayload]:
        """One PPK_IDENTITY_KEY each, best first."""
        return [
            Notify(NotifyType.PPK_IDENTITY_KEY, key.identity + _confirmation(sa, key, context))
            for key in self.keys(sa)
        ]

    def taken(self, sa: IkeSaState, answer: PayloadSet) -> PostquantumKey | None:
        """The one that the peer took; None: it took none. `ProposalError` when we cannot tell."""
        try:
            identity = data_of(NotifyType.PPK_IDENTITY, answer, ID_SIZES)
        except MalformedNotifyError as error:
            raise ProposalError(str(error)) from None
        if identity is None:
            return None
        for key in self.keys(sa):
            if key.identity == identity:  # not a secret
                return key
        raise ProposalError(f"the peer took PPK {shown(identity)}, which we did not offer")


@dataclass(frozen=True, slots=True)
class PpkChoice:
    """A key of the peer's that we hold, too."""

    key: PostquantumKey
    owner: PeerConfig
    """The peer that it is for."""

    def notify(self) -> Notify:
        """What the answer says of it."""
        return Notify(NotifyType.PPK_IDENTITY, self.key.identity)


def choose_ppk(
    sa: IkeSaState, owners: Sequence[PeerConfig], request: PayloadSet, context: bytes
) -> PpkChoice | None:
    """The first of the peer's keys that one of these peers may use, and that may be used now."""
    named = usable_each(sa, NotifyType.PPK_IDENTITY_KEY, request, _NAMED_SIZES)[:MAX_OFFERED]
    for data in named:
        for owner in owners:
            choice = _confirmed(sa, owner, data, context)
            if choice is not None and _may_use(sa, choice):
                return choice
    if named:
        names = ", ".join(shown(data[:-CONFIRMATION_SIZE]) for data in named)
        note_ignored(sa, f"none of the peer's PPKs is the same here: {names}")
    return None


def _confirmed(sa: IkeSaState, owner: PeerConfig, data: bytes, context: bytes) -> PpkChoice | None:
    """Our key of that name, if the peer's is the same."""
    identity, shows = data[:-CONFIRMATION_SIZE], data[-CONFIRMATION_SIZE:]
    key = _held(sa, owner, identity)
    if key is None or not same_secret(_confirmation(sa, key, context), shows):
        return None
    return PpkChoice(key, owner)


def _held(sa: IkeSaState, owner: PeerConfig, identity: bytes) -> PostquantumKey | None:
    found = None if owner.ppk is None else find_ppk(sa, owner.ppk, identity)
    kept = sa.ppk.key
    again = kept is not None and not kept.one_time and kept.identity == identity
    return kept if found is None and again else found


def _may_use(sa: IkeSaState, choice: PpkChoice) -> bool:
    policy, kept = choice.owner.ppk, choice.key is sa.ppk.key
    return kept or (policy is not None and claim_ppk(sa, policy, choice.key))


def offered_ppks(request: PayloadSet) -> bool:
    """Whether the peer named any."""
    return request.notify(NotifyType.PPK_IDENTITY_KEY) is not None
