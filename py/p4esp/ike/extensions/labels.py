"""Security labels of child SAs (RFC 9478).

A label is a traffic selector without addresses. An offer has those that its sender would take in
both TS payloads, an answer the one that was chosen. What a label means is for others to say: here
two are the same or not.
"""

from collections.abc import Iterable
from typing import Final

from p4esp.ike.children import ChildSa
from p4esp.ike.codec.message import PayloadSet
from p4esp.ike.codec.selectors import SecurityLabel, TsInitiator, TsResponder
from p4esp.ike.config import ChildConfig
from p4esp.ike.constants import NotifyType
from p4esp.ike.errors import ProposalError, Refusal
from p4esp.ike.notifies import note_ignored
from p4esp.ike.state import IkeSaState

Labels = tuple[SecurityLabel, ...]
SHOWN: Final = 64
"""Octets of a peer's label that errors show."""


def labels_wanted(names: Iterable[bytes]) -> Labels:
    """Labels as an offer has them: with the NUL of Linux, without which libreswan takes none."""
    return tuple(SecurityLabel(name + b"\0") for name in names)


def labels_in_use(replaces: ChildSa) -> Labels:
    """What a rekey offers: the label of the SA that is replaced, if it has one."""
    label = replaces.params.share.label
    return labels_wanted([label] if label else [])


def agreed_label(config: ChildConfig, offer: PayloadSet, replaces: ChildSa | None) -> Labels:
    """The best label of ours that an offer has on both sides, in the offer's octets; none where it
    has none and we need none. `Refusal`: no such label (RFC 9478 2.2, 3).
    """
    theirs, ours = offer.one(TsInitiator).labels, offer.one(TsResponder).labels
    if not theirs and not ours:
        _check_not_needed(config, replaces)
        return ()
    answerable = {label.bare for label in ours}
    common = {label.bare: label for label in theirs if label.bare in answerable}
    for name in _accepted(config, replaces):
        if name in common:
            return (common[name],)
    reason = f"child {config.name} takes no security label of {_listed((*theirs, *ours))}"
    raise Refusal(NotifyType.TS_UNACCEPTABLE, reason)


def _accepted(config: ChildConfig, replaces: ChildSa | None) -> tuple[bytes, ...]:
    """Without NUL. A rekey stays with the label in use."""
    if replaces is None:
        return config.labels
    return tuple(label.bare for label in labels_in_use(replaces))


def _is_needed(config: ChildConfig, replaces: ChildSa | None) -> bool:
    if replaces is not None:
        return bool(replaces.params.share.label)
    return bool(config.labels) and config.label_required


def _check_not_needed(config: ChildConfig, replaces: ChildSa | None) -> None:
    if _is_needed(config, replaces):
        reason = f"child {config.name} needs a security label, the peer offers none"
        raise Refusal(NotifyType.TS_UNACCEPTABLE, reason)


def accepted_label(
    offered: Labels, config: ChildConfig, answer: PayloadSet, replaces: ChildSa | None
) -> Labels:
    """The label that a responder chose; none when it knows none and we need none. `ProposalError`:
    it is not one and the same of those offered, or missing.
    """
    theirs, ours = answer.one(TsResponder).labels, answer.one(TsInitiator).labels
    if not theirs and not ours:
        if _is_needed(config, replaces):
            raise ProposalError("the peer answered without a security label")
        return ()
    chosen = {label.bare for label in (*theirs, *ours)}
    if len(theirs) != 1 or len(ours) != 1 or len(chosen) != 1:
        raise ProposalError(
            f"the peer answered security labels {_listed((*ours, *theirs))}; "
            "accepted: the same one on both sides"
        )
    if not chosen <= {label.bare for label in offered}:
        raise ProposalError(f"the peer chose security label {_listed(ours)}, which was not offered")
    return ours


def note_empty_labels(sa: IkeSaState, message: PayloadSet) -> None:
    """Record labels without octets, which stand for no label and match none (RFC 9478 2.2)."""
    found = (*message.one(TsInitiator).labels, *message.one(TsResponder).labels)
    if not all(label.bare for label in found):
        note_ignored(sa, "an empty security label")


def _listed(labels: Labels) -> str:
    """As a log can hold them, whatever a peer has put in."""
    names = dict.fromkeys(repr(label.bare[:SHOWN])[2:-1] for label in labels)
    return ", ".join(name or "(empty)" for name in names)
