"""What may be agreed on: configured templates, offers made of them, suites that come of them."""

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NoReturn, Self

from p4esp.ike import keywords
from p4esp.ike.codec.proposal import Proposal, Transform
from p4esp.ike.constants import (
    ADDKE_TYPES,
    KE_NONE,
    ProtocolId,
    SequenceNumbers,
    TransformType,
)
from p4esp.ike.crypto.keyexchange import KeyExchangeMethod
from p4esp.ike.crypto.methods import KEY_EXCHANGES, TOO_LARGE_FOR_INIT
from p4esp.ike.crypto.prf import PRFS
from p4esp.ike.crypto.suite import IkeSuite
from p4esp.ike.errors import ProposalError
from p4esp.ipsec.algorithms import Suite, suite_of_transforms
from p4esp.ipsec.layouts import form_of, is_eesp
from p4esp.ipsec.sa import ChildSaParams


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
            transforms += (Transform(TransformType.SN, SequenceNumbers.SHORT),)
        return cls(ProtocolId.ESP, transforms)._checked(text, _ESP_TYPES)

    def _checked(self, text: str, required: Iterable[TransformType]) -> Self:
        for type_ in required:
            if not self.of_type(type_):
                self._fault(text, f"names no {type_.name} algorithm", type_)
        self._check_ciphers(text)
        self._check_methods(text)
        return self

    def _check_ciphers(self, text: str) -> None:
        aead = {keywords.is_aead(transform) for transform in self.of_type(TransformType.ENCR)}
        integrity = self.of_type(TransformType.INTEG)
        if len(aead) > 1:
            self._fault(text, "mixes AEAD and other ciphers, which takes two proposals")
        if integrity and True in aead:
            names = keywords.describe(integrity)
            self._fault(text, f"names {names} beside an AEAD, which takes none")
        if not integrity and False in aead:
            self._fault(text, "names no INTEG algorithm", TransformType.INTEG)

    def _check_methods(self, text: str) -> None:
        methods = {transform.id for transform in self.of_type(TransformType.KE)}
        if self.additional and (not methods or KE_NONE in methods):
            self._fault(text, "adds key exchanges to none", TransformType.KE)
        if self.protocol == ProtocolId.IKE:
            self._check_sizes(text)

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
        return tuple(suite_of(encryption, integrity) for encryption, integrity in pairs)

    @property
    def extended(self) -> bool:
        """Whether extended sequence numbers may come of it."""
        return Transform(TransformType.SN, SequenceNumbers.EXTENDED) in self.transforms

    @property
    def additional(self) -> bool:
        """Whether it names additional key exchanges (RFC 9370)."""
        return any(transform.type in ADDKE_TYPES for transform in self.transforms)


_IKE_TYPES = (TransformType.ENCR, TransformType.PRF, TransformType.KE)
_ESP_TYPES = (TransformType.ENCR, TransformType.SN)


def offers(templates: Sequence[Template], spi: bytes = b"") -> tuple[Proposal, ...]:
    """Proposals numbered from 1, one for each template."""
    return tuple(template.offer(number, spi) for number, template in enumerate(templates, 1))


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


def esp_suite(chosen: Proposal) -> tuple[Suite, bool]:
    """Cipher suite and whether extended sequence numbers are used."""
    by_type = {transform.type: transform for transform in chosen.transforms}
    return _suite_of(by_type), by_type[TransformType.SN].id == SequenceNumbers.EXTENDED


def numbers_of(child: ChildSaParams) -> int:
    """What stands for an SA's sequence numbers in a proposal. EESP knows no ESN."""
    if child.esn or not is_eesp(form_of(child.layout)):
        return SequenceNumbers.EXTENDED if child.esn else SequenceNumbers.SHORT
    return SequenceNumbers.WHOLE if child.layout.numbered else SequenceNumbers.NONE


def _suite_of(by_type: dict[int, Transform]) -> Suite:
    return suite_of(by_type[TransformType.ENCR], by_type.get(TransformType.INTEG))


def suite_of(encr: Transform, integrity: Transform | None) -> Suite:
    """The algorithms that two transforms stand for."""
    return suite_of_transforms(encr.id, encr.key_bits, integrity.id if integrity else None)
