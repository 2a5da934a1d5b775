"""Agreeing on a child SA: the payloads that IKE_AUTH and CREATE_CHILD_SA share (RFC 7296 2.9)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from p4esp.ike.children import ChildSa
from p4esp.ike.codec.message import PayloadSet
from p4esp.ike.codec.payload import AnyPayload
from p4esp.ike.codec.proposal import Proposal, SecurityAssociation
from p4esp.ike.codec.selectors import TsInitiator, TsResponder
from p4esp.ike.config import ChildConfig
from p4esp.ike.constants import NotifyType
from p4esp.ike.crypto.schedule import Nonces, child_keys
from p4esp.ike.errors import ProposalError, Refusal
from p4esp.ike.proposals import esp_suite, offers, select, verify_choice
from p4esp.ike.state import IkeSaState
from p4esp.ipsec.sa import ChildSaParams, Keymat, Mode, UdpEncapsulation
from p4esp.ipsec.selectors import TrafficSelector, is_subset, narrow

FIRST_ESP_SPI = 256
"""Lower ones are reserved (RFC 4303 2.1)."""


@dataclass(frozen=True, slots=True)
class ChildOffer:
    """A child SA that we propose."""

    config: ChildConfig
    spi: int
    proposals: tuple[Proposal, ...]
    local_ts: tuple[TrafficSelector, ...]
    remote_ts: tuple[TrafficSelector, ...]

    def association(self) -> SecurityAssociation:
        """The SA payload."""
        return SecurityAssociation(self.proposals)

    def selectors(self) -> list[AnyPayload]:
        """TSi and TSr: the initiator's side is ours."""
        return [TsInitiator(self.local_ts), TsResponder(self.remote_ts)]


@dataclass(frozen=True, slots=True)
class _Agreement:
    """The outcome, before keys."""

    config: ChildConfig
    chosen: Proposal
    spi_in: int
    spi_out: int
    local_ts: tuple[TrafficSelector, ...]
    remote_ts: tuple[TrafficSelector, ...]


def make_offer(sa: IkeSaState, config: ChildConfig, replaces: ChildSa | None = None) -> ChildOffer:
    """An offer under a fresh inbound SPI; a rekey offers the selectors in use (RFC 7296 2.9.2).

    `Refusal` when no SPI is to be had.
    """
    spi = _allocate(sa)
    proposals = offers(config.proposals, spi.to_bytes(4, "big"))
    if replaces is None:
        return ChildOffer(config, spi, proposals, config.local_ts, config.remote_ts)
    in_use = replaces.params
    return ChildOffer(config, spi, proposals, in_use.local_ts, in_use.remote_ts)


def accept_answer(sa: IkeSaState, offer: ChildOffer, answer: PayloadSet, nonces: Nonces) -> ChildSa:
    """The child SA the responder agreed to, entered in the table; `ProposalError` when its answer
    is not within our offer.
    """
    chosen = verify_choice(answer.one(SecurityAssociation).proposals, offer.proposals)
    local_ts = answer.one(TsInitiator).selectors
    remote_ts = answer.one(TsResponder).selectors
    _check_narrowed(local_ts, offer.local_ts)
    _check_narrowed(remote_ts, offer.remote_ts)
    objection = sa.env.objection(sa.config.name, offer.config.name, local_ts, remote_ts)
    if objection is not None:
        raise ProposalError(objection)
    spi_out = _peer_spi(sa, chosen)
    agreement = _Agreement(offer.config, chosen, offer.spi, spi_out, local_ts, remote_ts)
    return _make_child(sa, agreement, nonces, initiator=True)


def _check_narrowed(
    answer: tuple[TrafficSelector, ...], offered: tuple[TrafficSelector, ...]
) -> None:
    if not answer or not is_subset(answer, offered):
        raise ProposalError(
            f"the peer answered selectors {_list(answer)}, which are not within {_list(offered)}"
        )


def answer_offer(
    sa: IkeSaState, offer: PayloadSet, nonces: Nonces
) -> tuple[ChildSa, list[AnyPayload]]:
    """Agree to a child SA the peer proposes: the SA, in the table, and the SA and TS payloads of
    the answer. `Refusal` when nothing fits.
    """
    if len(sa.children) >= sa.env.settings.max_children:
        raise Refusal(NotifyType.NO_ADDITIONAL_SAS, f"{len(sa.children)} child SAs are the limit")
    agreement = _agree(sa, offer)
    child = _make_child(sa, agreement, nonces, initiator=False)
    spi = agreement.spi_in.to_bytes(4, "big")
    answer = Proposal(
        agreement.chosen.number, agreement.chosen.protocol, spi, agreement.chosen.transforms
    )
    return child, [
        SecurityAssociation((answer,)),
        TsInitiator(agreement.remote_ts),
        TsResponder(agreement.local_ts),
    ]


def _agree(sa: IkeSaState, offer: PayloadSet) -> _Agreement:
    proposals = offer.one(SecurityAssociation).proposals
    theirs, ours = offer.one(TsInitiator).selectors, offer.one(TsResponder).selectors
    config, remote_ts, local_ts = _fitting_config(sa, theirs, ours)
    chosen = select(proposals, config.proposals)
    spi_out = _peer_spi(sa, chosen)
    return _Agreement(config, chosen, _allocate(sa), spi_out, local_ts, remote_ts)


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


def _make_child(
    sa: IkeSaState, agreement: _Agreement, nonces: Nonces, *, initiator: bool
) -> ChildSa:
    ike, keys = sa.secrets
    suite, esn = esp_suite(agreement.chosen)
    forward, backward = child_keys(ike.prf, keys.d, nonces, suite)
    params = ChildSaParams(
        peer=sa.config.name,
        name=agreement.config.name,
        spi_in=agreement.spi_in,
        spi_out=agreement.spi_out,
        suite=suite,
        esn=esn,
        mode=Mode.TUNNEL,
        keymat=Keymat(backward, forward) if initiator else Keymat(forward, backward),
        local_ts=agreement.local_ts,
        remote_ts=agreement.remote_ts,
        local=sa.path.local.host,
        remote=sa.path.remote.host,
        encapsulation=_encapsulation(sa),
        initiator=initiator,
        local_id=sa.config.local_id,
        remote_id=sa.config.remote_id,
    )
    child = ChildSa(params, agreement.config, nonces)
    sa.children.add(child)
    return child


def _encapsulation(sa: IkeSaState) -> UdpEncapsulation | None:
    if sa.nat is None or not sa.nat.found:
        return None
    return UdpEncapsulation(sa.path.local.port, sa.path.remote.port)


def _list(selectors: Iterable[TrafficSelector]) -> str:
    return ", ".join(map(str, selectors)) or "nothing"
