"""Choosing algorithms: configured templates against offered proposals (RFC 7296 2.7, 3.3)."""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NoReturn, Self

from p4esp.ike import keywords
from p4esp.ike.codec.proposal import Proposal, Transform
from p4esp.ike.constants import (
    ADDKE_TYPES,
    ESN_EXTENDED,
    ESN_NONE,
    INTEG_NONE,
    KE_NONE,
    KE_TYPES,
    NotifyType,
    ProtocolId,
    TransformType,
)
from p4esp.ike.crypto.keyexchange import KeyExchangeMethod
from p4esp.ike.crypto.methods import KEY_EXCHANGES, TOO_LARGE_FOR_INIT
from p4esp.ike.crypto.prf import PRFS
from p4esp.ike.crypto.suite import IkeSuite
from p4esp.ike.errors import ProposalError, Refusal
from p4esp.ipsec.algorithms import Suite, suite_of_transforms

_OPTIONAL: dict[int, int] = {
    TransformType.INTEG: INTEG_NONE,
    TransformType.KE: KE_NONE,
    **dict.fromkeys(ADDKE_TYPES, KE_NONE),
}
"""Transform types that a choice may leave out, and the ID that says the same."""


@dataclass(frozen=True, slots=True)
class Template:
    """Algorithms we would accept together, each type in order of preference."""

    protocol: ProtocolId
    transforms: tuple[Transform, ...]

    @classmethod
    def ike(cls, text: str, *, allow_weak: bool = False) -> Self:
        """Read an IKE template such as `aes256gcm16-aes128gcm16-prfsha256-x25519-ecp256`.

        Without a PRF keyword those that go with the integrity algorithms are meant.
        """
        transforms = keywords.read(ProtocolId.IKE, text, allow_weak=allow_weak)
        if all(transform.type != TransformType.PRF for transform in transforms):
            transforms += tuple(
                keywords.prf_like(t) for t in transforms if t.type == TransformType.INTEG
            )
        return cls(ProtocolId.IKE, transforms)._checked(text, _IKE_TYPES)

    @classmethod
    def esp(cls, text: str, *, allow_weak: bool = False) -> Self:
        """Read an ESP template such as `aes256gcm16-x25519-esn-noesn`; without SN keyword: noesn.

        A key exchange method asks for perfect forward secrecy in CREATE_CHILD_SA.
        """
        transforms = keywords.read(ProtocolId.ESP, text, allow_weak=allow_weak)
        if all(transform.type != TransformType.SN for transform in transforms):
            transforms += (Transform(TransformType.SN, ESN_NONE),)
        return cls(ProtocolId.ESP, transforms)._checked(text, _ESP_TYPES)

    def _checked(self, text: str, required: Iterable[TransformType]) -> Self:
        for type_ in required:
            if not self.of_type(type_):
                self._fault(text, f"names no {type_.name} algorithm", type_)
        aead = {keywords.is_aead(transform) for transform in self.of_type(TransformType.ENCR)}
        integrity = self.of_type(TransformType.INTEG)
        if len(aead) > 1:
            self._fault(text, "mixes AEAD and other ciphers, which takes two proposals")
        if integrity and aead == {True}:
            names = keywords.describe(integrity)
            self._fault(text, f"names {names} beside an AEAD, which takes none")
        if not integrity and aead == {False}:
            self._fault(text, "names no INTEG algorithm", TransformType.INTEG)
        methods = {transform.id for transform in self.of_type(TransformType.KE)}
        if self.additional and (not methods or KE_NONE in methods):
            self._fault(text, "adds key exchanges to none", TransformType.KE)
        if self.protocol == ProtocolId.IKE:
            self._check_sizes(text)
        return self

    def _check_sizes(self, text: str) -> None:
        for transform in self.of_type(TransformType.KE):
            method = KEY_EXCHANGES[transform.id].name
            if method in TOO_LARGE_FOR_INIT:
                raise ProposalError(
                    f"IKE proposal {text!r}: {method} does not fit into IKE_SA_INIT; "
                    f"accepted: ke1_{method} beside another method"
                )

    def _fault(self, text: str, fault: str, type_: int = TransformType.ENCR) -> NoReturn:
        raise ProposalError(
            f"{self.protocol.name} proposal {text!r} {fault}; "
            f"accepted: {keywords.accepted(self.protocol, type_)}"
        )

    def offer(self, number: int, spi: bytes = b"") -> Proposal:
        """The template as a proposal of an SA payload."""
        return Proposal(number, self.protocol, spi, self.transforms)

    def of_type(self, type_: int) -> tuple[Transform, ...]:
        """Our transforms of one type, most preferred first."""
        return tuple(transform for transform in self.transforms if transform.type == type_)

    def suites(self) -> tuple[Suite, ...]:
        """Every suite that may come of it."""
        integrities = self.of_type(TransformType.INTEG) or (None,)
        pairs = itertools.product(self.of_type(TransformType.ENCR), integrities)
        return tuple(_suite(encryption, integrity) for encryption, integrity in pairs)

    @property
    def additional(self) -> bool:
        """Whether it names additional key exchanges (RFC 9370)."""
        return any(transform.type in ADDKE_TYPES for transform in self.transforms)


_IKE_TYPES = (TransformType.ENCR, TransformType.PRF, TransformType.KE)
_ESP_TYPES = (TransformType.ENCR, TransformType.SN)


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
    none = _OPTIONAL.get(type_)
    return side.of_type(type_) or (() if none is None else (Transform(type_, none),))


def _may_lack(proposal: Proposal | Template, types: Iterable[int]) -> bool:
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
    if any(_repeats(t, chosen.transforms[:at]) for at, t in enumerate(chosen.transforms)):
        raise ProposalError("the answer has the same key exchange method twice")


def ike_suite(chosen: Proposal) -> IkeSuite:
    """The algorithms of a chosen IKE proposal."""
    by_type = {transform.type: transform for transform in chosen.transforms}
    prf = PRFS[by_type[TransformType.PRF].id]
    additional = keywords.describe(t for t in chosen.transforms if t.type in ADDKE_TYPES)
    return IkeSuite(
        _suite_of(by_type), prf, KEY_EXCHANGES[by_type[TransformType.KE].id], additional
    )


def additional_methods(chosen: Proposal) -> list[type[KeyExchangeMethod]]:
    """The additional key exchanges of a choice, in their order."""
    rounds = sorted((t for t in chosen.transforms if t.type in ADDKE_TYPES), key=_type)
    return [KEY_EXCHANGES[transform.id] for transform in rounds]


def _type(transform: Transform) -> int:
    return transform.type


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


def esp_suite(chosen: Proposal) -> tuple[Suite, bool]:
    """Cipher suite and whether extended sequence numbers are used."""
    by_type = {transform.type: transform for transform in chosen.transforms}
    return _suite_of(by_type), by_type[TransformType.SN].id == ESN_EXTENDED


def _suite_of(by_type: dict[int, Transform]) -> Suite:
    return _suite(by_type[TransformType.ENCR], by_type.get(TransformType.INTEG))


def _suite(encr: Transform, integrity: Transform | None) -> Suite:
    return suite_of_transforms(encr.id, encr.key_bits, integrity.id if integrity else None)


def _mismatch(offered: Sequence[Proposal], templates: Sequence[Template]) -> str:
    accepted = "; ".join(keywords.describe(template.transforms) for template in templates)
    got = "; ".join(keywords.describe(proposal.transforms) for proposal in offered)
    return f"offered {got}; accepted {accepted or 'nothing'}"
