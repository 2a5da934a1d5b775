"""Optimized rekeys: the new SA is like the old one but for SPIs and keys, so that nothing about it
is sent but its SPI (draft-ietf-ipsecme-ikev2-sa-ts-payloads-opt).

`Refusal` with NO_PROPOSAL_CHOSEN: it cannot be like the old one. A regular rekey then finds out
what it can be.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from p4esp.ike.child_formats import obstacle_of
from p4esp.ike.child_methods import templates_of
from p4esp.ike.child_modes import MODE_NOTIFIES
from p4esp.ike.child_scope import Scope, inherited_scope
from p4esp.ike.children import ChildSa
from p4esp.ike.choosing import select
from p4esp.ike.codec.message import PayloadSet
from p4esp.ike.codec.payload import AnyPayload
from p4esp.ike.codec.payloads import KeyExchange, Notify
from p4esp.ike.codec.proposal import Proposal, SecurityAssociation
from p4esp.ike.codec.selectors import TsInitiator, TsResponder
from p4esp.ike.constants import KE_NONE, NotifyType
from p4esp.ike.errors import ProposalError, Refusal
from p4esp.ike.ke_payloads import chosen_method
from p4esp.ike.negotiation import (
    SPI_SIZE,
    Agreement,
    ChildOffer,
    allocate,
    check_peer_spi,
    check_room,
    spis_like,
)
from p4esp.ike.notifies import note_ignored, usable_data
from p4esp.ike.proposals import Template
from p4esp.ike.state import IkeSaState

GO_REGULAR: Final = (NotifyType.NO_PROPOSAL_CHOSEN, NotifyType.INVALID_KE_PAYLOAD)
"""What an optimized rekey is refused with where a regular one may be had."""
IKE_SPI_SIZE: Final = 8
_NUMBER: Final = 1
"""Of the only proposal, which is not sent."""
_NEEDLESS_NOTIFIES: Final = (
    *MODE_NOTIFIES.values(),
    NotifyType.ESP_TFC_PADDING_NOT_SUPPORTED,
)


def is_agreed(sa: IkeSaState) -> bool:
    """Whether both ends can do it."""
    return sa.announced.agreed(NotifyType.OPTIMIZED_REKEY_SUPPORTED)


def new_spi(spi: bytes) -> Notify:
    """The notify that stands for SA, TSi and TSr."""
    return Notify(NotifyType.OPTIMIZED_REKEY, spi)


def spi_named(sa: IkeSaState, message: PayloadSet, size: int) -> bytes | None:
    """The new SPI of an optimized rekey; None: it is a regular one, or cannot be read. What such a
    message must not hold is recorded and not looked at.
    """
    spi = usable_data(sa, NotifyType.OPTIMIZED_REKEY, message, (size,)) if is_agreed(sa) else None
    if spi is not None:
        needless = list(map(str, _needless(message)))
        if needless:
            note_ignored(sa, f"{', '.join(needless)} in an optimized rekey")
    return spi


def _needless(message: PayloadSet) -> list[AnyPayload]:
    return [
        payload
        for payload in message.payloads
        if isinstance(payload, SecurityAssociation | TsInitiator | TsResponder)
        or (isinstance(payload, Notify) and payload.type in _NEEDLESS_NOTIFIES)
    ]


def require_same_method(payloads: PayloadSet, chosen: Proposal) -> None:
    """A request has a KE payload of the method that the old SA has, and none where that has none;
    else `Refusal`.
    """
    ke, method = payloads.optional(KeyExchange), chosen_method(chosen)
    if (ke.method if ke else KE_NONE) != method:
        got = f"KE of method {ke.method}" if ke else "no KE"
        raise _refusal(f"the request has {got}, the SA to be replaced has method {method}")


def inherited_proposal(
    chosen: Proposal | None, templates: Sequence[Template], spi: bytes
) -> Proposal:
    """What the old SA has, as the proposal of one with another SPI; `Refusal` when policy no longer
    allows it.
    """
    if chosen is None:
        raise RuntimeError("an IKE SA without algorithms is to be replaced")
    select((chosen,), templates)
    return replace(chosen, number=_NUMBER, spi=spi)


def inherited_ike(sa: IkeSaState, templates: Sequence[Template], spi: bytes) -> Proposal | None:
    """What an IKE SA has, for its successor with this SPI; None: it has to be a regular rekey."""
    if not is_agreed(sa):
        return None
    try:
        return inherited_proposal(sa.proposal, templates, spi)
    except Refusal:
        return None


def _refusal(reason: str) -> Refusal:
    return Refusal(NotifyType.NO_PROPOSAL_CHOSEN, f"optimized rekey: {reason}")


@dataclass(frozen=True, slots=True)
class InheritedOffer(ChildOffer):
    """A child SA like the one that it is to replace."""

    def payloads(self, *fresh: AnyPayload) -> list[AnyPayload]:
        """N(OPTIMIZED_REKEY), nonce, and KE if the old one has a method."""
        return [new_spi(self.spi.to_bytes(SPI_SIZE, "big")), *fresh]


@dataclass(frozen=True, slots=True)
class Inheritance(Agreement):
    """An agreement on one."""

    def payloads(self, *fresh: AnyPayload) -> list[AnyPayload]:
        """The responder's N(OPTIMIZED_REKEY), nonce, and KE if the old one has a method."""
        return [new_spi(self.spi_in.to_bytes(SPI_SIZE, "big")), *fresh]


def inherited_offer(sa: IkeSaState, old: ChildSa) -> InheritedOffer | None:
    """An offer under a fresh SPI; None where it has to be a regular one."""
    if not is_agreed(sa):
        return None
    try:
        scope = _check_inheritable(sa, old)
    except Refusal:
        return None
    spi = allocate(sa, spis_like(sa, old.params.layout))
    proposal = replace(old.chosen, number=_NUMBER, spi=spi.to_bytes(SPI_SIZE, "big"))
    return InheritedOffer(scope, spi, (proposal,), True, old, share=old.params.share)


def _check_inheritable(sa: IkeSaState, old: ChildSa) -> Scope:
    """That a child SA like the old one may be made today; its scope."""
    if not old.methods_known:
        raise _refusal("IKE_AUTH agreed on no key exchange method for later")
    obstacle = obstacle_of(sa, old.config, old.params.layout)
    if obstacle is not None:
        raise _refusal(obstacle)
    try:
        select((old.chosen,), templates_of(sa, old.config, old))
        return inherited_scope(sa, old)
    except Refusal as refusal:
        raise _refusal(refusal.reason) from None


def accept_inheritance(sa: IkeSaState, offer: InheritedOffer, answer: PayloadSet) -> Inheritance:
    """The responder's consent; `ProposalError` when there is none."""
    spi = spi_named(sa, answer, SPI_SIZE)
    if spi is None or offer.replaces is None:
        raise ProposalError("the answer to an optimized rekey names no SPI of 4 octets")
    old, chosen = offer.replaces, replace(offer.replaces.chosen, spi=spi)
    spi_out = check_peer_spi(sa, spi, old.params.layout)
    return Inheritance(
        *(offer.scope, chosen, offer.spi, spi_out, True),
        layout=old.params.layout,
        share=old.params.share,
    )


def answer_inheriting(
    sa: IkeSaState, old: ChildSa, request: PayloadSet, peer_spi: bytes
) -> Inheritance:
    """Agree to a child SA like the old one, under a fresh SPI; `Refusal` when that cannot be."""
    layout, chosen = old.params.layout, replace(old.chosen, spi=peer_spi)
    check_room(sa, old)
    scope = _check_inheritable(sa, old)
    require_same_method(request, old.chosen)
    spi_out = check_peer_spi(sa, peer_spi, layout)
    spi_in = allocate(sa, spis_like(sa, layout))
    return Inheritance(
        *(scope, chosen, spi_in, spi_out, False), layout=layout, share=old.params.share
    )
