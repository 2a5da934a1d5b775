"""Choosing algorithms: configured templates against offered proposals (RFC 7296 2.7, 3.3)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Self

from p4esp.ike.codec.proposal import Proposal, Transform
from p4esp.ike.constants import (
    ESN_EXTENDED,
    ESN_NONE,
    INTEG_NONE,
    KE_NONE,
    NotifyType,
    ProtocolId,
    TransformType,
)
from p4esp.ike.crypto.keyexchange import KEY_EXCHANGES
from p4esp.ike.crypto.prf import PRFS
from p4esp.ike.crypto.suite import IkeSuite
from p4esp.ike.errors import ProposalError, Refusal
from p4esp.ipsec.algorithms import SUITES, Suite, suite_of_transform

_OPTIONAL: dict[int, int] = {TransformType.INTEG: INTEG_NONE, TransformType.KE: KE_NONE}
"""Transform types that a choice may leave out, and the ID that allows it."""


def _encr(suite: Suite) -> Transform:
    bits = suite.key_bits if suite.encryption.key_attribute else None
    return Transform.of(TransformType.ENCR, suite.encryption.transform_id, bits)


_ENCR = {suite.name: _encr(suite) for suite in SUITES.values()}
_PRF = {prf.name: Transform(TransformType.PRF, prf.transform_id) for prf in PRFS.values()}
_KE = {ke.name: Transform(TransformType.KE, ke.transform_id) for ke in KEY_EXCHANGES.values()}
_SN = {
    "noesn": Transform(TransformType.SN, ESN_NONE),
    "esn": Transform(TransformType.SN, ESN_EXTENDED),
}
KEYWORDS: dict[int, dict[str, Transform]] = {
    ProtocolId.IKE: _ENCR | _PRF | _KE,
    ProtocolId.ESP: _ENCR | _SN,
}
"""Algorithm keywords by protocol, in the vocabulary of strongSwan's proposal strings."""


@dataclass(frozen=True, slots=True)
class Template:
    """Algorithms we would accept together, each type in order of preference."""

    protocol: ProtocolId
    transforms: tuple[Transform, ...]

    @classmethod
    def ike(cls, text: str) -> Self:
        """Read an IKE template such as `aes256gcm16-aes128gcm16-prfsha256-x25519-ecp256`."""
        return cls(ProtocolId.IKE, _transforms(ProtocolId.IKE, text, _IKE_TYPES))

    @classmethod
    def esp(cls, text: str) -> Self:
        """Read an ESP template such as `aes256gcm16-esn-noesn`; without SN keyword: noesn."""
        if not _SN.keys() & set(text.split("-")):
            text += "-noesn"
        return cls(ProtocolId.ESP, _transforms(ProtocolId.ESP, text, _ESP_TYPES))

    def offer(self, number: int, spi: bytes = b"") -> Proposal:
        """The template as a proposal of an SA payload."""
        return Proposal(number, self.protocol, spi, self.transforms)

    def of_type(self, type_: int) -> tuple[Transform, ...]:
        """Our transforms of one type, most preferred first."""
        return tuple(transform for transform in self.transforms if transform.type == type_)


_IKE_TYPES = (TransformType.ENCR, TransformType.PRF, TransformType.KE)
_ESP_TYPES = (TransformType.ENCR, TransformType.SN)


def _transforms(
    protocol: ProtocolId, text: str, required: Iterable[TransformType]
) -> tuple[Transform, ...]:
    transforms = tuple(_transform(protocol, word) for word in text.split("-"))
    for type_ in required:
        if all(transform.type != type_ for transform in transforms):
            raise ProposalError(
                f"{protocol.name} proposal {text!r} names no {type_.name} algorithm; "
                f"accepted: {_keywords(protocol, type_)}"
            )
    return transforms


def _transform(protocol: ProtocolId, word: str) -> Transform:
    try:
        return KEYWORDS[protocol][word]
    except KeyError:
        raise ProposalError(
            f"{word!r} is no {protocol.name} algorithm; accepted: {_keywords(protocol)}"
        ) from None


def _keywords(protocol: ProtocolId, type_: int | None = None) -> str:
    rows = KEYWORDS[protocol].items()
    return ", ".join(word for word, row in rows if type_ in (None, row.type))


def offers(templates: Sequence[Template], spi: bytes = b"") -> tuple[Proposal, ...]:
    """Proposals numbered from 1, one for each template."""
    return tuple(template.offer(number, spi) for number, template in enumerate(templates, 1))


def select(offered: Sequence[Proposal], templates: Sequence[Template]) -> Proposal:
    """The offered proposal cut down to one transform per type; our order of preference counts.

    The answer keeps the offer's number and carries the offerer's SPI. Raises NO_PROPOSAL_CHOSEN.
    """
    for template in templates:
        for proposal in offered:
            chosen = _match(proposal, template)
            if chosen is not None:
                return chosen
    raise Refusal(NotifyType.NO_PROPOSAL_CHOSEN, _mismatch(offered, templates))


def _match(proposal: Proposal, template: Template) -> Proposal | None:
    if proposal.protocol != template.protocol or not _no_foreign_types(proposal, template):
        return None
    picked = [_pick(proposal, template, type_) for type_ in _types(template.transforms)]
    if None in picked:
        return None
    return replace(proposal, transforms=tuple(filter(None, picked)))


def _pick(proposal: Proposal, template: Template, type_: int) -> Transform | None:
    available = proposal.of_type(type_)
    return next((ours for ours in template.of_type(type_) if ours in available), None)


def _no_foreign_types(proposal: Proposal, template: Template) -> bool:
    foreign = set(_types(proposal.transforms)) - set(_types(template.transforms))
    return _may_lack(proposal, foreign)


def _may_lack(proposal: Proposal, types: Iterable[int]) -> bool:
    """Whether the proposal offers NONE for each of the types."""
    return all(
        any(offer.id == _OPTIONAL.get(type_) for offer in proposal.of_type(type_))
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
    chosen = _without_none(chosen)
    _verify_transforms(chosen, offer)
    return chosen


def _without_none(chosen: Proposal) -> Proposal:
    real = (t for t in chosen.transforms if _OPTIONAL.get(t.type) != t.id)
    return replace(chosen, transforms=tuple(real))


def _verify_transforms(chosen: Proposal, offer: Proposal) -> None:
    types = [transform.type for transform in chosen.transforms]
    missing = set(_types(offer.transforms)) - set(types)
    if len(types) != len(set(types)) or not _may_lack(offer, missing):
        raise ProposalError(f"the answer has transform types {types}, must be one of each offered")
    altered = set(chosen.transforms) - set(offer.transforms)
    if altered:
        raise ProposalError(f"the answer has transforms that were not offered: {altered}")


def ike_suite(chosen: Proposal) -> IkeSuite:
    """The algorithms of a chosen IKE proposal."""
    by_type = {transform.type: transform for transform in chosen.transforms}
    prf = PRFS[by_type[TransformType.PRF].id]
    return IkeSuite(_suite(by_type), prf, KEY_EXCHANGES[by_type[TransformType.KE].id])


def esp_suite(chosen: Proposal) -> tuple[Suite, bool]:
    """Cipher suite and whether extended sequence numbers are used."""
    by_type = {transform.type: transform for transform in chosen.transforms}
    return _suite(by_type), by_type[TransformType.SN].id == ESN_EXTENDED


def _suite(by_type: dict[int, Transform]) -> Suite:
    encr = by_type[TransformType.ENCR]
    return suite_of_transform(encr.id, encr.key_bits)


def _mismatch(offered: Sequence[Proposal], templates: Sequence[Template]) -> str:
    accepted = "; ".join(describe(template.transforms) for template in templates)
    got = "; ".join(describe(proposal.transforms) for proposal in offered)
    return f"offered {got}; accepted {accepted or 'nothing'}"


def describe(transforms: Iterable[Transform]) -> str:
    """Transforms as a proposal string; those without keyword as type/ID."""
    return "-".join(map(_describe_transform, transforms))


def _describe_transform(transform: Transform) -> str:
    for words in KEYWORDS.values():
        for word, row in words.items():
            if row == transform:
                return word
    return f"{transform.type}/{transform.id}"
