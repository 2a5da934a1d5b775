"""Agreeing on a child SA: the payloads that IKE_AUTH and CREATE_CHILD_SA share (RFC 7296 2.9)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from p4esp.ike.child_formats import (
    PLAIN,
    Formats,
    formats_answered,
    formats_asked,
    layout_accepted,
    layout_agreed,
)
from p4esp.ike.child_methods import templates_of
from p4esp.ike.child_scope import (
    Scope,
    accepted_scope,
    agreed_scope,
    rekeyed_scope,
    wanted_scope,
)
from p4esp.ike.child_terms import share_accepted, share_agreed, terms_answered, terms_asked
from p4esp.ike.children import ChildSa
from p4esp.ike.choosing import methods_differ, methods_of, select, verify_choice, without_ke
from p4esp.ike.codec.message import PayloadSet
from p4esp.ike.codec.payload import AnyPayload
from p4esp.ike.codec.payloads import Notify
from p4esp.ike.codec.proposal import Proposal, SecurityAssociation, Transform
from p4esp.ike.config import ChildConfig
from p4esp.ike.constants import NotifyType, TransformType
from p4esp.ike.crypto.schedule import FreshInput, child_keys, child_roots
from p4esp.ike.diet import apart_of, check_beside
from p4esp.ike.errors import Refusal
from p4esp.ike.extensions.labels import labels_in_use, labels_wanted
from p4esp.ike.extensions.resources import alike, check_alike, narrowed, no_room
from p4esp.ike.ke_payloads import METHOD_SIZE
from p4esp.ike.keywords import describe
from p4esp.ike.mobility import follows
from p4esp.ike.proposals import Template, esp_suite, offers
from p4esp.ike.state import IkeSaState
from p4esp.ike.term import Term
from p4esp.ipsec.diet import Apart
from p4esp.ipsec.layouts import block, form_of, has_roots, is_block, is_diet, spis_out, wrap_of
from p4esp.ipsec.sa import EVERYTHING, ChildSaParams, Keymat, Layout, Share

P = TypeVar("P", Proposal, Template)

SpiWish = tuple[int, Apart | None]
"""How many SPIs of one block, and what they must differ from."""
SPI_SIZE = 4
FIRST_ESP_SPI = 256
"""Lower ones are reserved (RFC 4303 2.1)."""


@dataclass(frozen=True, slots=True)
class ChildOffer:
    """A child SA that we propose."""

    scope: Scope
    spi: int
    proposals: tuple[Proposal, ...]
    with_ke: bool
    """Whether key exchange methods are offered: in IKE_AUTH only where both ends have agreed to
    that (RFC 7296 1.2).
    """
    replaces: ChildSa | None = None
    formats: Formats = ()
    share: Share = EVERYTHING
    terms: tuple[Notify, ...] = ()

    @property
    def config(self) -> ChildConfig:
        """The child's configuration."""
        return self.scope.config

    @property
    def protocols(self) -> tuple[int, ...]:
        """What the peer may make of it: ESP, EESP, or either."""
        return tuple(dict.fromkeys(proposal.protocol for proposal in self.proposals))

    def payloads(self, *fresh: AnyPayload) -> list[AnyPayload]:
        """[N] SA, nonce and KE if there are any, TSi, TSr: the initiator's side is ours."""
        association = SecurityAssociation(self.proposals)
        notifies = *self.scope.notifies(), *self.formats, *self.terms
        return [*notifies, association, *fresh, *self.scope.selectors(initiator=True)]


@dataclass(frozen=True, slots=True)
class Agreement:
    """What both ends want, before there are keys for it."""

    scope: Scope
    chosen: Proposal
    spi_in: int
    spi_out: int
    initiator: bool
    """Whether we proposed it."""
    layout: Layout = PLAIN
    share: Share = EVERYTHING
    terms: tuple[Notify, ...] = ()
    with_ke: bool = True
    """Whether key exchange methods are agreed on, too."""
    formats: Formats = ()

    def payloads(self, *fresh: AnyPayload) -> list[AnyPayload]:
        """The responder's [N] SA, nonce and KE if there are any, TSi, TSr."""
        answer = replace(self.chosen, spi=self.spi_in.to_bytes(SPI_SIZE, "big"))
        association = SecurityAssociation((answer,))
        notifies = *self.scope.notifies(), *self.formats, *self.terms
        return [*notifies, association, *fresh, *self.scope.selectors(initiator=False)]


def make_offer(
    sa: IkeSaState,
    config: ChildConfig,
    replaces: ChildSa | None = None,
    *,
    packet: Scope | None = None,
    with_ke: bool = False,
    share: Share = EVERYTHING,
) -> ChildOffer:
    """An offer under a fresh inbound SPI; a rekey offers the selectors in use (RFC 7296 2.9.2), and
    the share of traffic that they have.

    `Refusal` when no SPI is to be had, or no such child on this path.
    """
    if replaces is None:
        scope = wanted_scope(sa, config, packet)
        if share.label:
            scope = replace(scope, labels=labels_wanted([share.label]))
    else:
        scope = replace(rekeyed_scope(replaces), labels=labels_in_use(replaces))
        share = replaces.params.share
    templates, formats = templates_of(sa, config, replaces), formats_asked(sa, config)
    if share.resource is not None and replaces is None:
        templates = _like_the_others(sa, config, templates, share)
    terms = terms_asked(sa, config, share)
    spi = allocate(sa, _spis_asked(sa, config, formats))
    proposals = offers(_usable(templates, with_ke), spi.to_bytes(SPI_SIZE, "big"))
    return ChildOffer(scope, spi, proposals, with_ke, replaces, formats, share, terms)


def accept_answer(sa: IkeSaState, offer: ChildOffer, answer: PayloadSet) -> Agreement:
    """What the responder agreed to; `ProposalError` when that is not within our offer."""
    proposals = _usable(answer.one(SecurityAssociation).proposals, offer.with_ke)
    chosen = verify_choice(proposals, offer.proposals)
    scope = accepted_scope(sa, offer.scope, answer, offer.replaces)
    layout = layout_accepted(sa, scope, offer.formats, answer, chosen)
    share = share_accepted(sa, offer.share, answer, Share(label=scope.label), offer.replaces)
    if offer.replaces is None:
        check_alike(sa, scope, chosen, layout, share)
    spi_out = check_peer_spi(sa, chosen.spi, layout)
    return Agreement(
        *(scope, chosen, offer.spi, spi_out),
        initiator=True,
        layout=layout,
        share=share,
        with_ke=offer.with_ke,
    )


def refusal_detail(offer: ChildOffer, error: Notify) -> str:
    """What is known of why the peer refused an offer: it does not say."""
    if error.type == NotifyType.INVALID_KE_PAYLOAD and len(error.data) == METHOD_SIZE:
        wanted = Transform(TransformType.KE, int.from_bytes(error.data, "big"))
        return methods_differ(methods_of(offer.proposals), describe((wanted,)))
    if error.type != NotifyType.NO_PROPOSAL_CHOSEN:
        return ""
    if offer.with_ke and offer.replaces is not None and not offer.replaces.methods_known:
        return methods_differ(methods_of(offer.proposals), "none of them")  # IKE_AUTH took the rest
    offered = "; ".join(dict.fromkeys(describe(p.transforms) for p in offer.proposals))
    methods = f"; methods offered: {methods_of(offer.proposals)}" if offer.with_ke else ""
    return f"offered {offered}; the peer does not say what it accepts{methods}"


def answer_offer(
    sa: IkeSaState, offer: PayloadSet, replaces: ChildSa | None = None, *, with_ke: bool = False
) -> Agreement:
    """Agree to a child SA the peer proposes, under a fresh SPI; `Refusal` when nothing fits."""
    check_room(sa, replaces, no_room(offer))
    proposals = _usable(offer.one(SecurityAssociation).proposals, with_ke)
    scope = agreed_scope(sa, offer, replaces)
    chosen = select(proposals, _usable(templates_of(sa, scope.config, replaces), with_ke))
    layout = layout_agreed(sa, scope, offer, chosen)
    share = share_agreed(sa, scope.config, offer, Share(label=scope.label), replaces)
    if replaces is None:
        check_alike(sa, scope, chosen, layout, share)
    spi_out = check_peer_spi(sa, chosen.spi, layout)
    formats = formats_answered(sa, scope, layout, offer)
    spi_in = allocate(sa, spis_like(sa, layout), no_room(offer))
    terms = terms_answered(sa, scope.config, offer, share)
    return Agreement(
        *(scope, chosen, spi_in, spi_out, False, layout, share, terms, with_ke), formats=formats
    )


def _usable(choices: Sequence[P], with_ke: bool) -> tuple[P, ...]:
    """Templates or proposals as they are, or without their key exchange methods."""
    return tuple(choices) if with_ke else tuple(dict.fromkeys(map(without_ke, choices)))


def _spis_asked(sa: IkeSaState, config: ChildConfig, formats: Formats) -> SpiWish:
    """The SPIs to have ready: the peer may agree to a block of them, or that the fewest octets of
    them are sent.
    """
    wish = config.format
    if not formats:
        return 1, None
    return spis_like(sa, Layout(wish.name, wish.subs, spi_octets=wish.spi_octets))


def _like_the_others(
    sa: IkeSaState, config: ChildConfig, templates: Sequence[Template], share: Share
) -> tuple[Template, ...]:
    """What to offer for a resource: an SA like those that there are (RFC 9611 3)."""
    labels = (share.label,) if share.label else (*config.labels, b"")
    found = (alike(sa, config, replace(share, label=label)) for label in labels)
    others: list[ChildSa] = next(filter(None, found), [])
    same = narrowed(templates, others[0]) if others else ()
    if not same:
        reason = f"child {config.name} has no SA to which one for a resource could be added"
        raise Refusal(NotifyType.NO_PROPOSAL_CHOSEN, reason)
    return same


def _block_of(layout: Layout) -> int:
    """How many SPIs a child SA of a layout has."""
    return block(layout.subs_in) if is_block(layout) else 1


def spis_like(sa: IkeSaState, layout: Layout) -> SpiWish:
    """What a child SA of a layout takes."""
    return _block_of(layout), _apart(sa, layout)


def _apart(sa: IkeSaState, layout: Layout) -> Apart | None:
    """What its inbound SPI must differ from; None: from no more than all others."""
    return apart_of(sa, layout.spi_octets) if is_diet(form_of(layout)) else None


def check_room(
    sa: IkeSaState,
    replaces: ChildSa | None,
    refusal: NotifyType = NotifyType.NO_ADDITIONAL_SAS,
) -> None:
    """`Refusal` when there are as many child SAs as may be; twice that while they are replaced."""
    limit = sa.env.settings.max_children * (1 if replaces is None else 2)
    if len(sa.children) >= limit:
        raise Refusal(refusal, f"{len(sa.children)} child SAs are the limit")


def allocate(
    sa: IkeSaState, spis: SpiWish, refusal: NotifyType = NotifyType.NO_ADDITIONAL_SAS
) -> int:
    """The first of so many fresh inbound SPIs; `Refusal` when there are none."""
    try:
        return sa.env.spis.allocate(*spis)
    except LookupError as error:
        raise Refusal(refusal, f"no SPI: {error}") from None


def check_peer_spi(sa: IkeSaState, octets: bytes, layout: Layout) -> int:
    """The SPI that the peer has chosen; `Refusal` when it can't be one."""
    if len(octets) != SPI_SIZE:
        raise Refusal(NotifyType.NO_PROPOSAL_CHOSEN, f"an SPI of {len(octets)} octets")
    spi = int.from_bytes(octets, "big")
    _check_free(sa, spi, layout)
    return spi


def _check_free(sa: IkeSaState, spi_out: int, layout: Layout) -> None:
    """The peer's SPI, or each of its block, is no other child's, and a block is aligned."""
    count = block(layout.subs_out) if is_block(layout) else 1
    taken = (spis_out(child.params) for child in sa.children)
    overlaps = any(spi_out < used.stop and used.start < spi_out + count for used in taken)
    if spi_out < FIRST_ESP_SPI or spi_out % count or overlaps:
        reason = f"the peer's SPI {spi_out:08x} is reserved, in use or not aligned to {count}"
        raise Refusal(NotifyType.NO_PROPOSAL_CHOSEN, reason)
    check_beside(sa, layout, spi_out)


def enter_child(sa: IkeSaState, agreement: Agreement, fresh: FreshInput) -> ChildSa:
    """Make the keys of an agreed child SA, and enter it in the table. `Refusal`: since the
    agreement the peer has used the SPI for another.
    """
    _check_free(sa, agreement.spi_out, agreement.layout)
    params = _params_of(sa, agreement, _keymat(sa, agreement, fresh))
    fraction, known = sa.env.fraction(), agreement.with_ke
    child = ChildSa(params, agreement.scope.config, fresh.nonces, agreement.chosen, known, fraction)
    child.term = Term.of(agreement.scope.config.lifetime.seconds, sa.now, fraction)
    sa.children.add(child)
    return child


def _params_of(sa: IkeSaState, agreement: Agreement, keymat: Keymat) -> ChildSaParams:
    suite, esn = esp_suite(agreement.chosen)
    return ChildSaParams(
        peer=sa.config.name,
        name=agreement.scope.config.name,
        spi_in=agreement.spi_in,
        spi_out=agreement.spi_out,
        suite=suite,
        esn=esn,
        mode=agreement.scope.mode,
        keymat=keymat,
        local_ts=agreement.scope.local_ts,
        remote_ts=agreement.scope.remote_ts,
        local=sa.path.local.host,
        remote=sa.path.remote.host,
        encapsulation=sa.encapsulation,
        initiator=agreement.initiator,
        local_id=sa.config.local_id,
        remote_id=sa.proven_id,
        wrap=wrap_of(agreement.layout, suite),
        tfc=agreement.scope.tfc,
        follows=follows(sa),
        layout=agreement.layout,
        share=agreement.share,
    )


def _keymat(sa: IkeSaState, agreement: Agreement, fresh: FreshInput) -> Keymat:
    """Keys, or where each sub-SA has one of its own the roots that they are derived from."""
    ike, keys = sa.secrets
    suite, _ = esp_suite(agreement.chosen)
    if has_roots(agreement.layout):
        forward, backward = child_roots(ike.prf, keys.d, fresh)
    else:
        forward, backward = child_keys(ike.prf, keys.d, fresh, suite)
    return Keymat(backward, forward) if agreement.initiator else Keymat(forward, backward)
