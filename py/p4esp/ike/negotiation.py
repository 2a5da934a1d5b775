"""Agreeing on a child SA: the payloads that IKE_AUTH and CREATE_CHILD_SA share (RFC 7296 2.9)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from p4esp.ike.children import ChildSa
from p4esp.ike.codec.message import PayloadSet
from p4esp.ike.codec.payload import AnyPayload
from p4esp.ike.codec.proposal import Proposal, SecurityAssociation
from p4esp.ike.codec.selectors import TsInitiator, TsResponder
from p4esp.ike.config import ChildConfig
from p4esp.ike.constants import KE_TYPES, NotifyType
from p4esp.ike.crypto.schedule import FreshInput, child_keys
from p4esp.ike.errors import ProposalError, Refusal
from p4esp.ike.ke_payloads import chosen_method
from p4esp.ike.proposals import Template, esp_suite, offers, select, verify_choice
from p4esp.ike.state import IkeSaState
from p4esp.ike.term import Term
from p4esp.ipsec.algorithms import Suite
from p4esp.ipsec.sa import ChildSaParams, Keymat, Mode
from p4esp.ipsec.selectors import TrafficSelector, is_subset, narrow

P = TypeVar("P", Proposal, Template)

FIRST_ESP_SPI = 256
"""Lower ones are reserved (RFC 4303 2.1)."""
MAX_LISTED = 8
"""Selectors that errors name."""


@dataclass(frozen=True, slots=True)
class ChildOffer:
    """A child SA that we propose."""

    config: ChildConfig
    spi: int
    proposals: tuple[Proposal, ...]
    local_ts: tuple[TrafficSelector, ...]
    remote_ts: tuple[TrafficSelector, ...]
    with_ke: bool
    """Whether key exchange methods are offered: never in IKE_AUTH (RFC 7296 1.2)."""

    def association(self) -> SecurityAssociation:
        """The SA payload."""
        return SecurityAssociation(self.proposals)

    def selectors(self) -> list[AnyPayload]:
        """TSi and TSr: the initiator's side is ours."""
        return [TsInitiator(self.local_ts), TsResponder(self.remote_ts)]


@dataclass(frozen=True, slots=True)
class Agreement:
    """What both ends want, before there are keys for it."""

    config: ChildConfig
    chosen: Proposal
    spi_in: int
    spi_out: int
    local_ts: tuple[TrafficSelector, ...]
    remote_ts: tuple[TrafficSelector, ...]
    initiator: bool
    """Whether we proposed it."""

    def answer(self) -> SecurityAssociation:
        """The responder's SA payload."""
        return SecurityAssociation((replace(self.chosen, spi=self.spi_in.to_bytes(4, "big")),))

    def selectors(self) -> list[AnyPayload]:
        """The responder's TSi and TSr."""
        return [TsInitiator(self.remote_ts), TsResponder(self.local_ts)]


def make_offer(
    sa: IkeSaState,
    config: ChildConfig,
    replaces: ChildSa | None = None,
    *,
    with_ke: bool = False,
) -> ChildOffer:
    """An offer under a fresh inbound SPI; a rekey offers the selectors in use (RFC 7296 2.9.2).

    `Refusal` when no SPI is to be had.
    """
    spi = _allocate(sa)
    proposals = offers(_usable(config.proposals, with_ke), spi.to_bytes(4, "big"))
    wanted: ChildConfig | ChildSaParams = config if replaces is None else replaces.params
    return ChildOffer(config, spi, proposals, wanted.local_ts, wanted.remote_ts, with_ke)


def accept_answer(sa: IkeSaState, offer: ChildOffer, answer: PayloadSet) -> Agreement:
    """What the responder agreed to; `ProposalError` when that is not within our offer."""
    proposals = _usable(answer.one(SecurityAssociation).proposals, offer.with_ke)
    chosen = verify_choice(proposals, offer.proposals)
    local_ts = answer.one(TsInitiator).selectors
    remote_ts = answer.one(TsResponder).selectors
    _check_narrowed(local_ts, offer.local_ts)
    _check_narrowed(remote_ts, offer.remote_ts)
    objection = sa.env.objection(sa.config.name, offer.config.name, local_ts, remote_ts)
    if objection is not None:
        raise ProposalError(objection)
    spi_out = _peer_spi(sa, chosen)
    return Agreement(offer.config, chosen, offer.spi, spi_out, local_ts, remote_ts, initiator=True)


def _check_narrowed(
    answer: tuple[TrafficSelector, ...], offered: tuple[TrafficSelector, ...]
) -> None:
    if not answer or not is_subset(answer, offered):
        raise ProposalError(
            f"the peer answered selectors {_list(answer)}, which are not within {_list(offered)}"
        )


def answer_offer(sa: IkeSaState, offer: PayloadSet, *, with_ke: bool = False) -> Agreement:
    """Agree to a child SA the peer proposes, under a fresh SPI; `Refusal` when nothing fits."""
    if len(sa.children) >= sa.env.settings.max_children:
        raise Refusal(NotifyType.NO_ADDITIONAL_SAS, f"{len(sa.children)} child SAs are the limit")
    proposals = _usable(offer.one(SecurityAssociation).proposals, with_ke)
    theirs, ours = offer.one(TsInitiator).selectors, offer.one(TsResponder).selectors
    config, remote_ts, local_ts = _fitting_config(sa, theirs, ours)
    chosen = select(proposals, _usable(config.proposals, with_ke))
    spi_out = _peer_spi(sa, chosen)
    return Agreement(config, chosen, _allocate(sa), spi_out, local_ts, remote_ts, initiator=False)


def _usable(choices: Sequence[P], with_ke: bool) -> tuple[P, ...]:
    """Templates or proposals as they are, or without their key exchange methods."""
    return tuple(choices) if with_ke else tuple(_without_ke(choice) for choice in choices)


def _without_ke(choice: P) -> P:
    kept = tuple(t for t in choice.transforms if t.type not in KE_TYPES)
    return replace(choice, transforms=kept)


def _fitting_config(
    sa: IkeSaState,
    theirs: Sequence[TrafficSelector],
    ours: Sequence[TrafficSelector],
) -> tuple[ChildConfig, tuple[TrafficSelector, ...], tuple[TrafficSelector, ...]]:
    """The first child that has selectors in common with the offer and that our owner can carry."""
    reason = f"no child configuration covers {_list(theirs)} to {_list(ours)}"
    for config in sa.config.children:
        remote_ts, local_ts = narrow(theirs, config.remote_ts), narrow(ours, config.local_ts)
        if not remote_ts or not local_ts:
            continue
        objection = sa.env.objection(sa.config.name, config.name, local_ts, remote_ts)
        if objection is None:
            return config, remote_ts, local_ts
        reason = objection
    raise Refusal(NotifyType.TS_UNACCEPTABLE, reason)


def _allocate(sa: IkeSaState) -> int:
    try:
        return sa.env.spis.allocate()
    except LookupError as error:
        raise Refusal(NotifyType.NO_ADDITIONAL_SAS, f"no SPI: {error}") from None


def _peer_spi(sa: IkeSaState, chosen: Proposal) -> int:
    spi = int.from_bytes(chosen.spi, "big")
    if spi < FIRST_ESP_SPI or sa.children.by_outbound(spi) is not None:
        reason = f"the peer's SPI {spi:08x} is reserved or in use"
        raise Refusal(NotifyType.NO_PROPOSAL_CHOSEN, reason)
    return spi


def enter_child(sa: IkeSaState, agreement: Agreement, fresh: FreshInput) -> ChildSa:
    """Make the keys of an agreed child SA, and enter it in the table."""
    suite, esn = esp_suite(agreement.chosen)
    params = ChildSaParams(
        peer=sa.config.name,
        name=agreement.config.name,
        spi_in=agreement.spi_in,
        spi_out=agreement.spi_out,
        suite=suite,
        esn=esn,
        mode=Mode.TUNNEL,
        keymat=_keymat(sa, suite, fresh, initiator=agreement.initiator),
        local_ts=agreement.local_ts,
        remote_ts=agreement.remote_ts,
        local=sa.path.local.host,
        remote=sa.path.remote.host,
        encapsulation=sa.encapsulation,
        initiator=agreement.initiator,
        local_id=sa.config.local_id,
        remote_id=sa.proven_id,
    )
    method, fraction = chosen_method(agreement.chosen), sa.env.fraction()
    child = ChildSa(params, agreement.config, fresh.nonces, method, fraction)
    child.term = Term.of(agreement.config.lifetime.seconds, sa.now, fraction)
    sa.children.add(child)
    return child


def _keymat(sa: IkeSaState, suite: Suite, fresh: FreshInput, *, initiator: bool) -> Keymat:
    ike, keys = sa.secrets
    forward, backward = child_keys(ike.prf, keys.d, fresh, suite)
    return Keymat(backward, forward) if initiator else Keymat(forward, backward)


def _list(selectors: Sequence[TrafficSelector]) -> str:
    """Those that a line of a log has room for."""
    more = [f"{len(selectors) - MAX_LISTED} more"] if len(selectors) > MAX_LISTED else []
    return ", ".join([*map(str, selectors[:MAX_LISTED]), *more]) or "nothing"
