"""Choosing algorithms: templates against offers, and offers against choices (RFC 7296 2.7, 3.3)."""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TypeVar

from p4esp.ike import keywords
from p4esp.ike.codec.proposal import Proposal, Transform
from p4esp.ike.constants import (
    ADDKE_TYPES,
    INTEG_NONE,
    KE_NONE,
    KE_TYPES,
    SSKDF_NONE,
    NotifyType,
    ProtocolId,
    TransformType,
)
from p4esp.ike.errors import ProposalError, Refusal
from p4esp.ike.proposals import Template

P = TypeVar("P", Proposal, Template)

_OPTIONAL: dict[int, int] = {
    TransformType.INTEG: INTEG_NONE,
    TransformType.KE: KE_NONE,
    **dict.fromkeys(ADDKE_TYPES, KE_NONE),
}
"""Transform types that a choice may leave out, and the ID that says the same."""
DIFFERENT_METHODS = "only key exchange methods differ"
_OPTIONAL_IN_EESP = _OPTIONAL | {TransformType.SSKDF: SSKDF_NONE}


def _none(side: Proposal | Template, type_: int) -> int | None:
    """The ID that stands for leaving a type out; None: it may not be left out."""
    optional = _OPTIONAL_IN_EESP if side.protocol == ProtocolId.EESP else _OPTIONAL
    return optional.get(type_)


def select(offered: Sequence[Proposal], templates: Sequence[Template]) -> Proposal:
    """The offered proposal cut down to one transform per type; our order of preference counts.

    The answer keeps the offer's number and carries the offerer's SPI. Raises NO_PROPOSAL_CHOSEN.
    """
    chosen = _first_match(offered, templates)
    if chosen is None:
        raise Refusal(NotifyType.NO_PROPOSAL_CHOSEN, _mismatch(offered, templates))
    return chosen


def _first_match(offered: Iterable[Proposal], templates: Iterable[Template]) -> Proposal | None:
    pairs = itertools.product(templates, offered)
    matches = (_match(proposal, template) for template, proposal in pairs)
    return next((chosen for chosen in matches if chosen is not None), None)


def _match(proposal: Proposal, template: Template) -> Proposal | None:
    if proposal.protocol != template.protocol:
        return None
    picked: list[Transform] = []
    for type_ in sorted(_types(template.transforms + proposal.transforms)):
        transform = _pick(proposal, template, type_, picked)
        if transform is None:
            return None
        picked.append(transform)
    return _without_none(replace(proposal, transforms=tuple(picked)))


def _pick(
    proposal: Proposal, template: Template, type_: int, picked: Sequence[Transform]
) -> Transform | None:
    available = [t for t in _choices(proposal, type_) if not _repeats(t, picked)]
    return next((ours for ours in _choices(template, type_) if ours in available), None)


def _repeats(transform: Transform, picked: Sequence[Transform]) -> bool:
    """Whether a key exchange method was picked for another type already (RFC 9370 2.2.1)."""
    if transform.type not in KE_TYPES or transform.id == KE_NONE:
        return False
    return any(t.type in KE_TYPES and t.id == transform.id for t in picked)


def _choices(side: Proposal | Template, type_: int) -> tuple[Transform, ...]:
    """What a side accepts of a type; not to name an optional type means NONE (RFC 7296 3.3.3)."""
    none = _none(side, type_)
    return side.of_type(type_) or (() if none is None else (Transform(type_, none),))


def _may_lack(proposal: Proposal | Template, types: Iterable[int]) -> bool:
    """Whether the proposal offers NONE for each of the types."""
    return all(
        any(offer.id == _none(proposal, type_) for offer in proposal.of_type(type_))
        for type_ in types
    )


def _types(transforms: Iterable[Transform]) -> list[int]:
    return list(dict.fromkeys(transform.type for transform in transforms))


def verify_choice(answer: Sequence[Proposal], offered: Sequence[Proposal]) -> Proposal:
    """The responder's choice, checked to be one transform per type of one of our offers."""
    if len(answer) != 1:
        raise ProposalError(f"the answer holds {len(answer)} proposals, must be one")
    chosen = answer[0]
    offer = next((offer for offer in offered if offer.number == chosen.number), None)
    if offer is None or offer.protocol != chosen.protocol:
        raise ProposalError(f"the answer chose proposal {chosen.number}, which was not offered")
    _verify_single(chosen)
    chosen = _without_none(chosen)
    _verify_transforms(chosen, offer)
    return chosen


def _verify_single(chosen: Proposal) -> None:
    """NONE beside an algorithm says two things at once."""
    types = [transform.type for transform in chosen.transforms]
    if len(types) != len(set(types)):
        raise ProposalError(f"the answer has transform types {types}, must be one of each offered")


def _without_none(chosen: Proposal) -> Proposal:
    real = (t for t in chosen.transforms if _none(chosen, t.type) != t.id)
    return replace(chosen, transforms=tuple(real))


def _verify_transforms(chosen: Proposal, offer: Proposal) -> None:
    types = [transform.type for transform in chosen.transforms]
    missing = set(_types(offer.transforms)) - set(types)
    if not _may_lack(offer, missing):
        raise ProposalError(f"the answer has transform types {types}, must be one of each offered")
    altered = set(chosen.transforms) - set(offer.transforms)
    if altered:
        raise ProposalError(f"the answer has transforms that were not offered: {altered}")
    if any(_repeats(t, chosen.transforms[:at]) for at, t in enumerate(chosen.transforms)):
        raise ProposalError("the answer has the same key exchange method twice")


def without_ke(choice: P) -> P:
    """A template or proposal without its key exchange methods, additional ones included."""
    kept = tuple(t for t in choice.transforms if t.type not in KE_TYPES)
    return replace(choice, transforms=kept)


def without_additional(templates: Iterable[Template]) -> list[Template]:
    """What remains of templates when there can be no additional key exchanges: those that need
    one are gone.
    """
    return [
        replace(template, transforms=tuple(_without_additional(template)))
        for template in templates
        if _may_lack(template, set(_types(template.transforms)) & set(ADDKE_TYPES))
    ]


def _without_additional(template: Template) -> Iterator[Transform]:
    return (t for t in template.transforms if t.type not in ADDKE_TYPES)


def _mismatch(offered: Sequence[Proposal], templates: Sequence[Template]) -> str:
    if _first_match(map(without_ke, offered), map(without_ke, templates)) is not None:
        return methods_differ(methods_of(offered), methods_of(templates))
    accepted, got = ("; ".join(map(_described, sides)) for sides in (templates, offered))
    return f"offered {got}; accepted {accepted or 'nothing'}"


def methods_differ(offered: str, accepted: str) -> str:
    """Why the rest of the algorithms is of no use; `p4esp doctor` knows this sentence."""
    return f"{DIFFERENT_METHODS}: offered {offered}; accepted {accepted}"


def methods_of(sides: Iterable[Proposal | Template]) -> str:
    """The key exchange methods of proposals in keywords; `none` for one without."""
    kept = (keywords.describe(t for t in side.transforms if t.type in KE_TYPES) for side in sides)
    return ", ".join(dict.fromkeys(words or "none" for words in kept))


def _described(side: Proposal | Template) -> str:
    words = keywords.describe(side.transforms)
    return f"EESP {words}" if side.protocol == ProtocolId.EESP else words
