"""Agreeing on the format of a child SA's packets: asked for, and answered in kind.

The initiator asks in IKE_AUTH or CREATE_CHILD_SA; who answers agrees. Without consent the child is
plain ESP, or refused where its configuration requires the format. A rekey asks anew: nothing is
inherited. Each end says what it receives; of two maxima of octets in clear the lower counts both
ways, so that no peer makes us show more than our configuration does.
"""

from p4esp.ike import diet
from p4esp.ike.assigning import local_side, remote_side
from p4esp.ike.child_scope import Scope
from p4esp.ike.codec.message import PayloadSet
from p4esp.ike.codec.payloads import Notify
from p4esp.ike.codec.proposal import Proposal
from p4esp.ike.config import ChildConfig
from p4esp.ike.constants import NotifyType, ProtocolId
from p4esp.ike.eesp import (
    NARROW,
    SIZES,
    Limits,
    announcements,
    eesp_layout,
    eesp_templates,
    limits_of,
)
from p4esp.ike.errors import ProposalError, Refusal
from p4esp.ike.format_notifies import (
    Stated,
    notify_of,
    stated,
    unasked,
)
from p4esp.ike.notifies import MalformedNotifyError, data_of, note_ignored
from p4esp.ike.proposals import Template, esp_suite
from p4esp.ike.state import IkeSaState
from p4esp.ipsec.formats import Format, FormatError
from p4esp.ipsec.layouts import (
    fault_of_suite,
    form_of,
    has_roots,
    is_diet,
    is_eesp,
    is_standard,
    takes_udp,
)
from p4esp.ipsec.sa import Layout

PLAIN = Layout()
_ELSEWHERE = "the peer does not agree to it"

Formats = tuple[Notify, ...]
"""What a message of ours says of formats: notifies of one of them, or none."""


def templates_for(sa: IkeSaState, config: ChildConfig) -> tuple[Template, ...]:
    """What a child proposes and accepts: EESP first, which is a protocol beside ESP; alone where it
    is required. `Refusal` when that cannot be had here.
    """
    wish = config.format
    if not is_eesp(wish.form):
        return config.proposals
    eesp = eesp_templates(config)
    obstacle = _obstacle(sa, wish.form) if eesp else "its proposals have no cipher for it"
    if obstacle is None:
        return eesp if wish.required else (*eesp, *config.proposals)
    _check_optional(config, obstacle)
    return config.proposals


def formats_asked(sa: IkeSaState, config: ChildConfig) -> Formats:
    """What an offer says; `Refusal` when a format that is required cannot be had here."""
    wish = config.format
    if wish.plain:
        return ()
    obstacle = _obstacle(sa, wish.form)
    if obstacle is not None:
        _check_optional(config, obstacle)
        return ()
    if is_eesp(wish.form):
        return announcements(wish, derived=wish.subs > 1)
    if is_diet(wish.form):
        return _compression_asked(sa, config)
    return (notify_of(wish.form, wish),)


def _compression_asked(sa: IkeSaState, config: ChildConfig) -> Formats:
    """Of all that the child may carry, for the peer derives its rule from the selectors, too."""
    sides = local_side(sa, config.local_ts), remote_side(sa, config.remote_ts)
    try:
        return (diet.notify_asked(sa, Scope(config, *sides)),)
    except FormatError as error:
        _check_optional(config, str(error))
        return ()


def layout_agreed(sa: IkeSaState, scope: Scope, offer: PayloadSet, chosen: Proposal) -> Layout:
    """What we agree to of an offer; `Refusal` when the format that is required is not in it."""
    config, form = scope.config, scope.config.format.form
    if chosen.protocol == ProtocolId.EESP:
        return eesp_layout(config, chosen, _limits_offered(sa, offer))
    if config.format.plain or is_eesp(form):
        return PLAIN
    suite, esn = esp_suite(chosen)
    why = _obstacle(sa, form) or fault_of_suite(form, suite, esn=esn)
    if is_diet(form):
        return _compression_agreed(sa, scope, offer, why)
    said = None if why else _offered(sa, form, offer)
    if said is not None:
        return _layout(config, said)
    _check_optional(config, why or _ELSEWHERE)
    return PLAIN


def _compression_agreed(sa: IkeSaState, scope: Scope, offer: PayloadSet, why: str | None) -> Layout:
    """Why we do not compress is noted: a peer may ask for what we cannot do."""
    try:
        layout = None if why else diet.layout_agreed(sa, scope, offer)
    except (FormatError, ProposalError) as error:
        note_ignored(sa, str(error))
        layout, why = None, str(error)
    if layout is None:
        _check_optional(scope.config, why or _ELSEWHERE)
    return layout or PLAIN


def formats_answered(sa: IkeSaState, scope: Scope, layout: Layout, offer: PayloadSet) -> Formats:
    """What an answer says of the layout that we agreed to."""
    config = scope.config
    if layout == PLAIN:
        return ()
    if is_diet(form_of(layout)):
        return (diet.notify_answered(sa, scope, layout, offer),)
    if is_eesp(form_of(layout)):
        return announcements(config.format, derived=has_roots(layout))
    return (notify_of(form_of(layout), config.format),)


def layout_accepted(
    sa: IkeSaState, scope: Scope, asked: Formats, answer: PayloadSet, chosen: Proposal
) -> Layout:
    """What a responder's answer means; `ProposalError` when it is not within our offer, or the
    format that is required is not in it.
    """
    config, form = scope.config, scope.config.format.form
    if chosen.protocol == ProtocolId.EESP:
        return eesp_layout(config, chosen, _limits_answered(answer))
    if not asked or is_eesp(form):
        _check_unasked(sa, answer)
        return PLAIN
    said = _compression(sa, scope, asked, answer) if is_diet(form) else _answered(form, answer)
    if said is None:
        _check_silent(sa, config, answer)
        return PLAIN
    suite, esn = esp_suite(chosen)
    fault = fault_of_suite(form, suite, esn=esn)
    if fault is not None:
        raise ProposalError(f"the peer answered {fault}")
    return said if isinstance(said, Layout) else _layout(config, said)


def _compression(sa: IkeSaState, scope: Scope, asked: Formats, answer: PayloadSet) -> Layout | None:
    try:
        return diet.layout_accepted(sa, scope, asked[0], answer)
    except (FormatError, MalformedNotifyError) as error:
        raise ProposalError(f"the peer answered {error}") from None


def _layout(config: ChildConfig, said: Stated) -> Layout:
    wish = config.format
    shown = min(wish.shown, said.shown)
    return Layout(wish.name, wish.subs, said.subs, shown, shown)


def _obstacle(sa: IkeSaState, form: Format) -> str | None:
    """Why a format cannot even be asked for between these two."""
    if not is_standard(form) and not sa.announced.experimental:
        return "the two ends do not share the vendor ID that it takes"
    if sa.encapsulation is not None and not takes_udp(form):
        return "there is a NAT, and it cannot travel in UDP"
    return None


def obstacle_of(sa: IkeSaState, config: ChildConfig, layout: Layout) -> str | None:
    """Why the successor of a child SA can't have its layout between these two."""
    wish = config.format
    if layout.format != wish.name and (wish.required or layout != PLAIN):
        return f"its format is {layout.format}, policy has {wish.name}"
    return _obstacle(sa, form_of(layout))


def _check_optional(config: ChildConfig, why: str) -> None:
    if config.format.required:
        reason = f"child {config.name}: format {config.format.name} is required, and {why}"
        raise Refusal(NotifyType.NO_PROPOSAL_CHOSEN, reason)


def _offered(sa: IkeSaState, form: Format, offer: PayloadSet) -> Stated | None:
    """What an offer says. A malformed notify says nothing (RFC 7296 2.5: what is not understood is
    ignored); our answer without it tells the peer.
    """
    try:
        return stated(form, offer, answer=False)
    except MalformedNotifyError as error:
        note_ignored(sa, str(error))
        return None


def _answered(form: Format, answer: PayloadSet) -> Stated | None:
    """What an answer says. The peer has agreed to something: we must know to what."""
    try:
        return stated(form, answer, answer=True)
    except MalformedNotifyError as error:
        raise ProposalError(f"the peer answered with {error}") from None


def _limits_offered(sa: IkeSaState, offer: PayloadSet) -> Limits:
    """What an initiator of EESP receives. A maximum that cannot be read is the least one."""
    data: list[bytes | None] = []
    for kind, size in SIZES.items():
        try:
            data.append(data_of(kind, offer, (size,)))
        except MalformedNotifyError as error:
            note_ignored(sa, str(error))
            data.append(NARROW[kind])
    return limits_of(*data)


def _limits_answered(answer: PayloadSet) -> Limits:
    """What a responder of EESP receives."""
    try:
        return limits_of(*(data_of(kind, answer, (size,)) for kind, size in SIZES.items()))
    except MalformedNotifyError as error:
        raise ProposalError(f"the peer answered with {error}") from None


def _check_silent(sa: IkeSaState, config: ChildConfig, answer: PayloadSet) -> None:
    """Plain ESP is what a peer that says nothing means, and nothing else is."""
    other = unasked(answer, private=sa.announced.experimental)
    if other is not None:
        raise ProposalError(f"the peer answered {other} in a way that was not offered")
    if config.format.required:
        raise ProposalError(f"format {config.format.name} is required, and {_ELSEWHERE}")


def _check_unasked(sa: IkeSaState, answer: PayloadSet) -> None:
    """To a peer without our vendor ID the number means something else, or nothing."""
    known = unasked(answer, private=sa.announced.experimental)
    if known is not None:
        raise ProposalError(f"the peer answered {known}, which was not offered")
    unknown = unasked(answer, private=True)
    if unknown is not None:
        note_ignored(sa, f"{unknown} from a peer that shares no vendor ID with us")
