"""Which of our credentials a peer can verify, by what it has announced (RFC 9593 3.1).

The announcement only helps to choose: where nothing of ours fits, the first credential is tried and
the peer judges.
"""

from collections.abc import Iterable
from dataclasses import replace

from cryptography import x509
from cryptography.exceptions import InvalidSignature

from p4esp.ike.auth.announcements import Announcement
from p4esp.ike.auth.certificates import CertifiedKey, TrustedCertificates, authority_names
from p4esp.ike.auth.credentials import Credential, PresharedKey
from p4esp.ike.auth.schemes import SignatureScheme
from p4esp.ike.auth.signatures import old_method_for
from p4esp.ike.constants import AuthMethod
from p4esp.ike.state import IkeSaState


def own_credential(sa: IkeSaState) -> Credential:
    """The first that the peer can verify, with the signature algorithms that it can verify."""
    auth = sa.config.auth
    if not sa.config.extensions.announce_auth or not sa.announced.peer_auth:
        return auth.own
    usable = (_cut_down(sa, one) for one in (auth.own, *auth.others))
    return next((one for one in usable if one is not None), auth.own)


def _cut_down(sa: IkeSaState, credential: Credential) -> Credential | None:
    """What is left of a credential when the peer's announcement is heeded; None: nothing."""
    if isinstance(credential, CertifiedKey):
        return _with_announced(sa, credential)
    psk = isinstance(credential, PresharedKey)
    method = AuthMethod.SHARED_KEY if psk else AuthMethod.NULL
    return credential if method in [one.method for one in sa.announced.peer_auth] else None


def _with_announced(sa: IkeSaState, certified: CertifiedKey) -> CertifiedKey | None:
    linked = any(one.authority for one in sa.announced.peer_auth)
    names = _names_above(sa, certified) if linked else set[bytes]()
    heard = [one for one in sa.announced.peer_auth if _is_about(sa, one, names)]
    fitting = [one for one in certified.usable_schemes if one.fits(certified.key.public_key())]
    schemes = tuple(scheme for scheme in fitting if _is_announced(sa, certified, scheme, heard))
    return replace(certified, schemes=schemes) if schemes else None


def _is_about(sa: IkeSaState, announcement: Announcement, names: set[bytes]) -> bool:
    """Whether it holds for certificates under these authorities."""
    link, asked = announcement.authority, sa.announced.peer_authorities
    return link == 0 or (link <= len(asked) and asked[link - 1] in names)


def _is_announced(
    sa: IkeSaState,
    certified: CertifiedKey,
    scheme: SignatureScheme,
    heard: Iterable[Announcement],
) -> bool:
    if not sa.announced.digital_signatures:
        method = old_method_for(certified.key, scheme)
        return any(one.method == method for one in heard)
    known = [one.algorithm for one in heard if one.method == AuthMethod.SIGNATURE]
    named = any(name in known for name in scheme.identifiers)
    return named and scheme.hash_id in sa.announced.peer_hashes


def _names_above(sa: IkeSaState, certified: CertifiedKey) -> set[bytes]:
    """Names of the authorities above our certificate, as far as we have their certificates."""
    trusts = [one for one in sa.config.auth.accepted if isinstance(one, TrustedCertificates)]
    known = {ca for trust in trusts for ca in (*trust.anchors, *trust.intermediates)}
    known |= set(certified.certificates[1:])
    above = list[x509.Certificate]()
    below = [certified.certificates[0]]
    while below:
        lowest = below.pop()
        issuers = [ca for ca in known if ca not in above and _has_issued(ca, lowest)]
        above += issuers
        below += issuers
    return set(authority_names(above))


def _has_issued(authority: x509.Certificate, certificate: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True
