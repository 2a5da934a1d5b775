"""Agreeing on Diet-ESP (draft-ietf-ipsecme-ikev2-diet-esp-extension-05): what is sent of ESP header
and trailer. What is sent of the inner headers follows from the selectors that are agreed on.

All that a peer sends to one of our addresses as ESP is compressed, with the same widths, or nothing
is (`p4src/formats/diet_peer.p4`): so the children of an IKE SA agree.
"""

from collections.abc import Iterable
from typing import Final

from p4esp.ike.child_scope import Scope
from p4esp.ike.codec.compression import DIET_ESP, Field, HcpProposal, parse_proposals
from p4esp.ike.codec.message import PayloadSet
from p4esp.ike.codec.payloads import Notify
from p4esp.ike.config import FormatWish
from p4esp.ike.constants import NotifyType
from p4esp.ike.errors import ParseError, ProposalError, Refusal
from p4esp.ike.notifies import data_of, usable_data
from p4esp.ike.state import IkeSaState
from p4esp.ipsec.diet import LSB_OCTETS, Apart, DietRule, agreed_rule, check_spis
from p4esp.ipsec.formats import FormatError, diet_esp
from p4esp.ipsec.sa import Layout

NAME: Final = diet_esp.FORMAT.name
SENT: Final = 0
GENERATED: Final = 2
_TRAILER: Final = {False: (0, 1), True: (2, 0)}
"""Alignment and `esp_trailer` by whether there is a trailer: of 8 bits and optional, or of 32."""
ANY_SIZE: Final = range(1 << 16)
_ALIKE: Final = "accepted: all child SAs of a peer compress alike, or none"
Widths = tuple[range, range]
"""Octets of SPI and number that will do."""


def proposals(wish: FormatWish, rule: DietRule, widths: Widths) -> tuple[HcpProposal, ...]:
    """What we offer: first without the trailer, if we can do without."""
    trailers = (True,) if wish.trailer else (False, True)
    return tuple(
        HcpProposal.of(number, _values(rule, widths, trailer=trailer))
        for number, trailer in enumerate(trailers, 1)
    )


def _values(rule: DietRule, widths: Widths, *, trailer: bool) -> dict[Field, range]:
    spi, number = (range(8 * span[0], 8 * span[-1] + 1) for span in widths)
    alignment, optional = _TRAILER[trailer]
    return {
        Field.FLOW_LABEL_CDA: _only(_identification(rule)),
        Field.ALIGNMENT: _only(alignment),
        Field.ESP_SPI_LSB: spi,
        Field.ESP_SN_LSB: number,
        Field.ESP_TRAILER: _only(optional),
    }


def _identification(rule: DietRule) -> int:
    return GENERATED if rule.template.generates_identification else SENT


def _chosen(
    data: bytes, wish: FormatWish, rule: DietRule, widths: Widths
) -> tuple[HcpProposal, Layout]:
    """Of an offer the first proposal that we can do, without ranges, and what it means.

    ProposalError, which says why, when there is none; ParseError for one that is cut off.
    """
    reasons = []
    for proposal in parse_proposals(data):
        try:
            layout = _choose(proposal, wish, rule, widths)
        except ProposalError as error:
            reasons.append(f"proposal {proposal.number}: {error}")
        else:
            return HcpProposal.of(proposal.number, _of_layout(rule, layout)), layout
    raise ProposalError("; ".join(reasons) or "no proposal of a compression")


def _choose(proposal: HcpProposal, wish: FormatWish, rule: DietRule, widths: Widths) -> Layout:
    if proposal.name != DIET_ESP:
        raise ProposalError(f"compression {proposal.name}; accepted: 0, Diet-ESP")
    values = proposal.values()
    _require(values, Field.DSCP_CDA, (SENT,))
    _require(values, Field.ECN_CDA, (SENT,))
    _require(values, Field.FLOW_LABEL_CDA, (_identification(rule),))
    spi = _require(values, Field.ESP_SPI_LSB, (8 * octets for octets in widths[0]))
    number = _require(values, Field.ESP_SN_LSB, (8 * octets for octets in widths[1]))
    trailer = _choose_trailer(values, wish)
    return Layout(NAME, spi_octets=spi // 8, sn_octets=number // 8, trailer=trailer)


def _choose_trailer(values: dict[Field, range], wish: FormatWish) -> bool:
    for trailer in (True,) if wish.trailer else (False, True):
        alignment, optional = _TRAILER[trailer]
        if alignment in values[Field.ALIGNMENT] and optional in values[Field.ESP_TRAILER]:
            return trailer
    less = "" if wish.trailer else "0 with esp_trailer 1, "
    raise ProposalError(
        f"alignment {_listed(values[Field.ALIGNMENT])} with esp_trailer "
        f"{_listed(values[Field.ESP_TRAILER])}; accepted: {less}2 with esp_trailer 0"
    )


def _require(values: dict[Field, range], field: Field, wanted: Iterable[int]) -> int:
    """The first of what we can do that an attribute may be."""
    accepted = list(wanted)
    for value in accepted:
        if value in values[field]:
            return value
    raise ProposalError(
        f"{field.name.lower()} {_listed(values[field])}; accepted: "
        f"{', '.join(map(str, accepted)) or 'none beside the SAs there are'}"
    )


def _of_layout(rule: DietRule, layout: Layout) -> dict[Field, range]:
    widths = _only(layout.spi_octets), _only(layout.sn_octets)
    return _values(rule, widths, trailer=layout.trailer)


def _accepted(data: bytes, asked: bytes, wish: FormatWish, rule: DietRule) -> Layout:
    """What an answer means; ProposalError when it is not one of our offer without ranges."""
    try:
        answers, offers = parse_proposals(data), parse_proposals(asked)
    except ParseError as error:
        raise ProposalError(f"the peer answered {error}") from None
    if len(answers) != 1:
        raise ProposalError(f"the peer answered {len(answers)} compressions; accepted: one")
    (answer,) = answers
    named = [offer for offer in offers if offer.number == answer.number]
    if not named or not all(_within(answer, offer) for offer in named):
        raise ProposalError("the peer answered a compression that was not offered")
    return _choose(answer, wish, rule, (range(1, 5), range(1, 5)))


def _within(answer: HcpProposal, offer: HcpProposal) -> bool:
    ours, theirs = offer.values(), answer.values()
    exact = all(len(span) == 1 for span in theirs.values())
    return exact and all(theirs[field][0] in ours[field] for field in theirs)


def _notify(proposed: Iterable[HcpProposal]) -> Notify:
    return Notify(NotifyType.HCP_PROPOSAL, b"".join(one.encode() for one in proposed))


def notify_asked(sa: IkeSaState, scope: Scope) -> Notify:
    """What our offer says; FormatError where no template fits."""
    wish = scope.config.format
    return _notify(proposals(wish, _rule(scope), _widths(sa, wish)))


def layout_agreed(sa: IkeSaState, scope: Scope, offer: PayloadSet) -> Layout | None:
    """What we agree to of an offer; None: it says nothing of compression, or nothing readable.

    FormatError or ProposalError, which say why, when none will do; ParseError for one that is cut
    off, which is answered with INVALID_SYNTAX.
    """
    picked = _pick(sa, scope, offer)
    return None if picked is None else picked[1]


def notify_answered(sa: IkeSaState, scope: Scope, layout: Layout, offer: PayloadSet) -> Notify:
    """What our answer says of a layout: the one proposal of the offer that has it."""
    picked = _pick(sa, scope, offer)
    if picked is None or picked[1] != layout:
        raise RuntimeError(f"{layout} was not agreed to")
    return _notify(picked[:1])


def _pick(sa: IkeSaState, scope: Scope, offer: PayloadSet) -> tuple[HcpProposal, Layout] | None:
    data = usable_data(sa, NotifyType.HCP_PROPOSAL, offer, ANY_SIZE)
    if data is None:
        return None
    wish = scope.config.format
    return _chosen(data, wish, _rule(scope), _widths(sa, wish))


def layout_accepted(
    sa: IkeSaState, scope: Scope, asked: Notify, answer: PayloadSet
) -> Layout | None:
    """What an answer means; None: nothing of compression. ProposalError when it is not within our
    offer, MalformedNotifyError, FormatError: the selectors that it names fit no template.
    """
    data = data_of(NotifyType.HCP_PROPOSAL, answer, ANY_SIZE)
    return None if data is None else _accepted(data, asked.data, scope.config.format, _rule(scope))


def _rule(scope: Scope) -> DietRule:
    return agreed_rule(Layout(NAME), scope.local_ts, scope.remote_ts)


def _widths(sa: IkeSaState, wish: FormatWish) -> Widths:
    """Octets of SPI and number that will do beside the child SAs there are; FormatError where one
    of them does not compress.
    """
    spi, number = _from(wish.spi_octets), _from(wish.sn_octets)
    for child in sa.children:
        layout = child.params.layout
        if layout.format != NAME:
            raise FormatError(f"Diet-ESP beside format {layout.format}; {_ALIKE}")
        spi, number = _same(spi, layout.spi_octets), _same(number, layout.sn_octets)
    return spi, number


def _from(least: int) -> range:
    return range(least, LSB_OCTETS[-1] + 1)


def _same(span: range, octets: int) -> range:
    return _only(octets) if octets in span else range(0)


def apart_of(sa: IkeSaState, octets: int) -> Apart:
    """What an inbound SPI of ours must differ from."""
    return Apart((sa.path.local.host, sa.path.remote.host), octets)


def check_beside(sa: IkeSaState, layout: Layout, spi_out: int) -> None:
    """`Refusal` for an SA that cannot be beside those there are: one with other widths, or an SPI
    that is not told from theirs.
    """
    present = [child.params for child in sa.children]
    other = next((one for one in present if _differ(one.layout, layout)), None)
    if other is not None:
        raise Refusal(
            NotifyType.NO_PROPOSAL_CHOSEN,
            f"format {layout} beside {other.layout} of child {other.name}; {_ALIKE}",
        )
    if layout.format == NAME:
        _check_spis([spi_out, *(one.spi_out for one in present)], layout.spi_octets)


def _differ(one: Layout, other: Layout) -> bool:
    return NAME in (one.format, other.format) and _shape(one) != _shape(other)


def _shape(layout: Layout) -> tuple[bool, int, int]:
    return layout.format == NAME, layout.spi_octets, layout.sn_octets


def _check_spis(spis: Iterable[int], octets: int) -> None:
    try:
        check_spis(spis, octets)
    except FormatError as error:
        raise Refusal(NotifyType.NO_PROPOSAL_CHOSEN, str(error)) from None


def _only(value: int) -> range:
    return range(value, value + 1)


def _listed(span: range) -> str:
    return str(span[0]) if len(span) == 1 else f"{span[0]} to {span[-1]}"
