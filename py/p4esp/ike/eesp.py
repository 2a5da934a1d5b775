"""EESP in IKE (draft-ietf-ipsecme-eesp-ikev2-02): a security protocol of its own beside ESP, with
proposals of its own, and maxima that each end announces for what it receives.

A transform that is not for EESP is never in our templates, so it counts as one that is not known:
a proposal without another of its type is not chosen (RFC 7296 3.3.6).
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from p4esp.ike.codec.payloads import Notify
from p4esp.ike.codec.proposal import Proposal, Transform
from p4esp.ike.config import ChildConfig, FormatWish
from p4esp.ike.constants import (
    SSKDF_HKDF_SHA2_256,
    SSKDF_NONE,
    NotifyType,
    ProtocolId,
    SequenceNumbers,
    TransformType,
)
from p4esp.ike.format_notifies import MOST_SUBS, UNIT
from p4esp.ike.proposals import Template
from p4esp.ipsec.formats import eesp_full, eesp_optimized
from p4esp.ipsec.layouts import fault_of_suite
from p4esp.ipsec.sa import Layout, Mode

FULL: Final = eesp_full.FORMAT.name
OPTIMIZED: Final = eesp_optimized.FORMAT.name
_OFFSET_BITS: Final = 0x3F
_ESPS_OWN: Final = (TransformType.ENCR, TransformType.SN)


@dataclass(frozen=True, slots=True)
class Limits:
    """What a peer announces that it receives."""

    subs: int = MOST_SUBS
    """Sub SAs; who says nothing sets no limit."""
    shown: int | None = None
    """Octets in clear, payload info header included; who says nothing takes none."""


NARROW: Final = {
    NotifyType.EESP_MAX_SUB_SA_ID: bytes(2),
    NotifyType.EESP_MAX_CRYPT_OFFSET: None,
}
"""What a maximum counts as that cannot be read: the least."""
SIZES: Final = {NotifyType.EESP_MAX_SUB_SA_ID: 2, NotifyType.EESP_MAX_CRYPT_OFFSET: 1}
"""Octets of a maximum."""


def eesp_templates(config: ChildConfig) -> tuple[Template, ...]:
    """What a child proposes and accepts of EESP: its AEADs and key exchanges, with the numbers and
    the key derivation of EESP in place of ESP's.
    """
    found = (_of_eesp(template, config.format) for template in config.proposals)
    return tuple(template for template in found if template is not None)


def _of_eesp(template: Template, wish: FormatWish) -> Template | None:
    if template.of_type(TransformType.INTEG):
        return None
    ciphers = tuple(_ciphers(template, wish))
    kept = (transform for transform in template.transforms if transform.type not in _ESPS_OWN)
    number = Transform(
        TransformType.SN, SequenceNumbers.WHOLE if wish.numbered else SequenceNumbers.NONE
    )
    transforms = (*ciphers, *kept, number, *_derivations(wish))
    return replace(template, protocol=ProtocolId.EESP, transforms=transforms) if ciphers else None


def _ciphers(template: Template, wish: FormatWish) -> Iterator[Transform]:
    pairs = zip(template.of_type(TransformType.ENCR), template.suites(), strict=True)
    for transform, suite in pairs:
        if fault_of_suite(wish.form, suite, esn=False, numbered=wish.numbered) is None:
            yield transform


def _derivations(wish: FormatWish) -> tuple[Transform, ...]:
    """Sub SAs are the peer's choice, too."""
    ids = (SSKDF_HKDF_SHA2_256, SSKDF_NONE) if wish.subs > 1 else ()
    return tuple(Transform(TransformType.SSKDF, id_) for id_ in ids)


def announcements(wish: FormatWish, *, derived: bool) -> tuple[Notify, ...]:
    """The maxima that we state, in an offer and in an answer; that of sub SAs means something only
    with key derivation.
    """
    highest = Notify(NotifyType.EESP_MAX_SUB_SA_ID, (wish.subs - 1).to_bytes(2, "big"))
    offset = Notify(NotifyType.EESP_MAX_CRYPT_OFFSET, bytes((wish.shown // UNIT,)))
    return (*((highest,) if derived else ()), *((offset,) if wish.shown else ()))


def limits_of(highest: bytes | None, offset: bytes | None) -> Limits:
    """What the data of the two maxima say; None: there is none."""
    subs = MOST_SUBS if highest is None else int.from_bytes(highest, "big") + 1
    return Limits(subs, None if offset is None else (offset[0] & _OFFSET_BITS) * UNIT)


def eesp_layout(config: ChildConfig, chosen: Proposal, limits: Limits) -> Layout:
    """How packets are laid out under a chosen proposal. A tunnel is optimized, but full towards who
    announces how much it takes in clear: what it takes may change from packet to packet, the
    format may not.
    """
    wish = config.format
    sent = OPTIMIZED if config.mode is Mode.TUNNEL and limits.shown is None else FULL
    ids = {transform.type: transform.id for transform in chosen.transforms}
    derived = ids.get(TransformType.SSKDF, SSKDF_NONE) != SSKDF_NONE
    return Layout(
        wish.name,
        wish.subs if derived else 1,
        limits.subs if derived else 1,
        wish.shown,
        min(wish.shown, limits.shown or 0),
        format_out="" if sent == wish.name else sent,
        one_key=not derived,
        numbered=ids[TransformType.SN] == SequenceNumbers.WHOLE,
    )
