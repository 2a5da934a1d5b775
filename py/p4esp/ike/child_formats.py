"""Agreeing on the format of a child SA's packets: asked for, and answered in kind.

The initiator asks in IKE_AUTH or CREATE_CHILD_SA; who answers agrees. Without consent the child is
plain ESP, or refused where its configuration requires the format. A rekey asks anew: nothing is
inherited. Each end says what it receives; of two maxima of octets in clear the lower counts both
ways, so that no peer makes us show more than our configuration does.
"""

from p4esp.ike.codec.message import PayloadSet
from p4esp.ike.codec.payloads import Notify
from p4esp.ike.codec.proposal import Proposal
from p4esp.ike.config import ChildConfig
from p4esp.ike.constants import NotifyType
from p4esp.ike.drops import Drop
from p4esp.ike.errors import ProposalError, Refusal
from p4esp.ike.format_notifies import MalformedNotifyError, Stated, notify_of, stated, unasked
from p4esp.ike.proposals import esp_suite
from p4esp.ike.state import IkeSaState
from p4esp.ike.trace import TraceKind, TraceRecord
from p4esp.ipsec.formats import Format, format_named
from p4esp.ipsec.layouts import fault_of_suite, takes_udp
from p4esp.ipsec.sa import Layout

PLAIN = Layout()
_ELSEWHERE = "the peer does not agree to it"

Formats = tuple[Notify, ...]
"""What a message of ours says of formats: one notify, or none."""


def formats_asked(sa: IkeSaState, config: ChildConfig) -> Formats:
    """What an offer says; `Refusal` when a format that is required cannot be had here."""
    if config.format.plain:
        return ()
    form = format_named(config.format.name)
    obstacle = _obstacle(sa, form)
    if obstacle is None:
        return (notify_of(form, config.format),)
    _check_optional(config, obstacle)
    return ()


def layout_agreed(
    sa: IkeSaState, config: ChildConfig, offer: PayloadSet, chosen: Proposal
) -> Layout:
    """What we agree to of an offer; `Refusal` when the format that is required is not in it."""
    if config.format.plain:
        return PLAIN
    form = format_named(config.format.name)
    suite, esn = esp_suite(chosen)
    why = _obstacle(sa, form) or fault_of_suite(form, suite, esn=esn)
    said = None if why else _offered(sa, form, offer)
    if said is not None:
        return _layout(config, said)
    _check_optional(config, why or _ELSEWHERE)
    return PLAIN


def formats_answered(config: ChildConfig, layout: Layout) -> Formats:
    """What an answer says of the layout that we agreed to."""
    return () if layout == PLAIN else (notify_of(format_named(layout.format), config.format),)


def layout_accepted(
    sa: IkeSaState, config: ChildConfig, asked: Formats, answer: PayloadSet, chosen: Proposal
) -> Layout:
    """What a responder's answer means; `ProposalError` when it is not within our offer, or the
    format that is required is not in it.
    """
    if not asked:
        _check_unasked(sa, answer)
        return PLAIN
    form = format_named(config.format.name)
    said = _answered(form, answer)
    if said is None:
        _check_silent(config, answer)
        return PLAIN
    suite, esn = esp_suite(chosen)
    fault = fault_of_suite(form, suite, esn=esn)
    if fault is not None:
        raise ProposalError(f"the peer answered {fault}")
    return _layout(config, said)


def _layout(config: ChildConfig, said: Stated) -> Layout:
    wish = config.format
    shown = min(wish.shown, said.shown)
    return Layout(wish.name, wish.subs, said.subs, shown, shown)


def _obstacle(sa: IkeSaState, form: Format) -> str | None:
    """Why a format cannot even be asked for between these two."""
    if not sa.announced.experimental:
        return "the two ends do not share the vendor ID that it takes"
    if sa.encapsulation is not None and not takes_udp(form):
        return "there is a NAT, and it cannot travel in UDP"
    return None


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
        _audit(sa, str(error))
        return None


def _answered(form: Format, answer: PayloadSet) -> Stated | None:
    """What an answer says. The peer has agreed to something: we must know to what."""
    try:
        return stated(form, answer, answer=True)
    except MalformedNotifyError as error:
        raise ProposalError(f"the peer answered with {error}") from None


def _check_silent(config: ChildConfig, answer: PayloadSet) -> None:
    """Plain ESP is what a peer that says nothing means, and nothing else is."""
    other = unasked(answer)
    if other is not None:
        raise ProposalError(f"the peer answered {other} in a way that was not offered")
    if config.format.required:
        raise ProposalError(f"format {config.format.name} is required, and {_ELSEWHERE}")


def _check_unasked(sa: IkeSaState, answer: PayloadSet) -> None:
    """To a peer without our vendor ID the number means something else, or nothing."""
    other = unasked(answer)
    if other is None:
        return
    if sa.announced.experimental:
        raise ProposalError(f"the peer answered {other}, which was not offered")
    _audit(sa, f"{other} from a peer that shares no vendor ID with us")


def _audit(sa: IkeSaState, reason: str) -> None:
    hook = sa.env.dropped or sa.env.trace
    if hook is not None:
        peer = sa.peer.name if sa.peer else ""
        hook(
            TraceRecord(
                *(sa.now, TraceKind.DROPPED, sa.path, None, peer),
                drop=Drop.IGNORED_NOTIFY,
                reason=f"ignored: {reason}",
            )
        )
