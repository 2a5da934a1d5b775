"""Keywords of proposal strings, in strongSwan's vocabulary, and the transforms they name."""

from collections.abc import Iterable

from p4esp.ike.codec.proposal import Transform
from p4esp.ike.constants import (
    ADDKE_TYPES,
    KE_NONE,
    SSKDF_HKDF_SHA2_256,
    SSKDF_NONE,
    ProtocolId,
    SequenceNumbers,
    TransformType,
)
from p4esp.ike.crypto import methods, prf
from p4esp.ike.errors import ProposalError
from p4esp.ipsec import algorithms


def _ciphers(esp_only: bool) -> dict[str, Transform]:
    return {
        algorithms.cipher_name(row, bits): Transform.of(
            TransformType.ENCR, row.transform_id, bits if row.key_attribute else None
        )
        for row in algorithms.ENCRYPTIONS
        for bits in row.key_bits
        if row.esp_only == esp_only
    }


_ENCR, _ESP_ENCR = _ciphers(esp_only=False), _ciphers(esp_only=True)
_INTEG = {
    row.name: Transform(TransformType.INTEG, row.transform_id) for row in algorithms.INTEGRITIES
}
_PRF = {row.name: Transform(TransformType.PRF, row.transform_id) for row in prf.PRFS.values()}
_METHODS = {row.name: row.transform_id for row in methods.KEY_EXCHANGES.values()}
_KE = {name: Transform(TransformType.KE, number) for name, number in _METHODS.items()}
_ADDKE = {
    f"ke{slot}_{name}": Transform(type_, number)
    for slot, type_ in enumerate(ADDKE_TYPES, start=1)
    for name, number in [*_METHODS.items(), ("none", KE_NONE)]
}
_NO_KE = {"modpnone": Transform(TransformType.KE, KE_NONE)}
"""Beside methods it makes perfect forward secrecy the peer's choice (RFC 7296 3.3.6)."""
_SN = {
    "noesn": Transform(TransformType.SN, SequenceNumbers.SHORT),
    "esn": Transform(TransformType.SN, SequenceNumbers.EXTENDED),
}
KEYWORDS: dict[int, dict[str, Transform]] = {
    ProtocolId.IKE: _ENCR | _INTEG | _PRF | _KE | _ADDKE,
    ProtocolId.ESP: _ENCR | _ESP_ENCR | _INTEG | _KE | _NO_KE | _SN | _ADDKE,
}
"""Keywords by protocol."""
_WEAK = algorithms.WEAK | prf.WEAK | methods.WEAK
_AEAD = {row.transform_id for row in algorithms.ENCRYPTIONS if row.aead}


def read(protocol: ProtocolId, text: str, *, allow_weak: bool) -> tuple[Transform, ...]:
    """The transforms of a string of keywords, joined by dashes."""
    return tuple(_transform(protocol, word, allow_weak) for word in text.split("-"))


def _transform(protocol: ProtocolId, word: str, allow_weak: bool) -> Transform:
    if _algorithm(word) in _WEAK and not allow_weak:
        raise ProposalError(
            f"{word!r} is weak (RFC 8221, RFC 8247) and refused unless the peer has allow_weak; "
            f"accepted: {accepted(protocol)}"
        )
    if protocol == ProtocolId.IKE and word in _ESP_ENCR:
        raise ProposalError(
            f"{word!r} protects ESP only, never IKE (RFC 8750, RFC 4543, RFC 2410); "
            f"accepted: {accepted(protocol)}"
        )
    try:
        return KEYWORDS[protocol][word]
    except KeyError:
        raise ProposalError(
            f"{word!r} is no {protocol.name} algorithm; accepted: {accepted(protocol)}"
        ) from None


def _algorithm(word: str) -> str:
    """The keyword without the slot of an additional key exchange."""
    return word.partition("_")[2] or word


def accepted(protocol: ProtocolId, type_: int | None = None) -> str:
    """The keywords of a protocol, or of one transform type, that are not weak."""
    rows = KEYWORDS[protocol].items()
    types = (type_,) if type_ else set(TransformType) - set(ADDKE_TYPES)
    strong = ", ".join(word for word, row in rows if row.type in types and word not in _WEAK)
    return strong if type_ else f"{strong}, and ke1_ to ke7_ before a key exchange method or none"


def prf_like(integrity: Transform) -> Transform:
    """The PRF with the hash function of an integrity algorithm."""
    return _PRF[f"prf{describe((integrity,))}"]


def is_aead(encryption: Transform) -> bool:
    """Whether an ENCR transform protects integrity as well."""
    return encryption.id in _AEAD


def describe(transforms: Iterable[Transform]) -> str:
    """Transforms as a proposal string; those without keyword as type/ID."""
    return "-".join(map(_describe_transform, transforms))


def _describe_transform(transform: Transform) -> str:
    return _WORDS.get(transform, f"{transform.type}/{transform.id}")


_OF_EESP = {
    "seq64": Transform(TransformType.SN, SequenceNumbers.WHOLE),
    "noseq": Transform(TransformType.SN, SequenceNumbers.NONE),
    "sskdfsha256": Transform(TransformType.SSKDF, SSKDF_HKDF_SHA2_256),
    "nosskdf": Transform(TransformType.SSKDF, SSKDF_NONE),
}
"""No keywords: what EESP has beyond ESP follows from the child's format."""
_WORDS = {row: word for words in (*KEYWORDS.values(), _OF_EESP) for word, row in words.items()}
