"""What we can verify, for the peer to choose by (RFC 9593 3.1)."""

from collections.abc import Iterator, Sequence

from p4esp.ike.auth.announcements import Announcement
from p4esp.ike.auth.certificates import TrustedCertificates, authority_names
from p4esp.ike.auth.credentials import PresharedKey, Requirement
from p4esp.ike.auth.schemes import SignatureScheme
from p4esp.ike.auth.signatures import old_method_of
from p4esp.ike.constants import AuthMethod
from p4esp.ike.state import IkeSaState

MAX_AUTHORITIES = 16
"""With more we ask for any certificate."""


def requirements(sa: IkeSaState) -> list[Requirement]:
    """What counts as a proof for some peer in question."""
    return [proof for peer in sa.in_question for proof in peer.auth.accepted]


def authorities(sa: IkeSaState) -> list[bytes]:
    """Names of the authorities that CERTREQ lists, in its order; none: any will do."""
    trusts = [proof for proof in requirements(sa) if isinstance(proof, TrustedCertificates)]
    anchors = dict.fromkeys(anchor for trust in trusts for anchor in trust.anchors)
    names = sorted(set(authority_names(list(anchors))))
    return names if len(names) <= MAX_AUTHORITIES else []


def abilities(sa: IkeSaState) -> list[Announcement]:
    """One announcement of each method and, where signatures are not accepted alike under all
    authorities, of each authority.
    """
    proofs, names = requirements(sa), authorities(sa)
    lists = {proof.schemes for proof in proofs if isinstance(proof, TrustedCertificates)}
    found = dict.fromkeys(
        announcement
        for proof in proofs
        for announcement in _of_proof(sa, proof, names if len(lists) > 1 else [])
    )
    return list(found)


def _of_proof(sa: IkeSaState, proof: Requirement, names: list[bytes]) -> Iterator[Announcement]:
    if isinstance(proof, TrustedCertificates):
        for scheme in proof.schemes:
            for link in _links(proof, names):
                yield from _of_scheme(sa, scheme, link)
    else:
        psk = isinstance(proof, PresharedKey)
        yield Announcement(AuthMethod.SHARED_KEY if psk else AuthMethod.NULL)


def _links(trust: TrustedCertificates, names: list[bytes]) -> Sequence[int]:
    """Places in CERTREQ of the authorities that are trusted; a pinned certificate has none."""
    if not names or not trust.anchors or trust.pinned:
        return (0,)
    return sorted({1 + names.index(name) for name in authority_names(trust.anchors)})


def _of_scheme(sa: IkeSaState, scheme: SignatureScheme, link: int) -> Iterator[Announcement]:
    """Method 14 between two that announced hash algorithms, else what is older (RFC 7427 3)."""
    if sa.announced.digital_signatures:
        yield Announcement(AuthMethod.SIGNATURE, link, scheme.identifiers[0])
    elif (method := old_method_of(scheme)) is not None:
        yield Announcement(method, link)
