"""IKE_AUTH with certificates between two endpoints, honest and not (cases 55, 56, 58, 59)."""

from dataclasses import replace

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from ike_lab import WEST, Lab, assert_nothing_left, east_config, make_node, west_config
from pki_lab import (
    MAKERS,
    authority,
    certified_lab,
    host,
    issue,
    private_key,
    relayed,
    revocation_list,
    trusting,
)

from p4esp.ike.auth import proof
from p4esp.ike.auth.certificates import (
    CertifiedKey,
    CredentialError,
    TrustedCertificates,
    authority_names,
)
from p4esp.ike.auth.credentials import PeerAuth, PresharedKey
from p4esp.ike.auth.revocation import Revocation
from p4esp.ike.auth.schemes import RSA_SHA1, SCHEMES, STRONG
from p4esp.ike.codec.certificates import Certificate, CertificateRequest
from p4esp.ike.codec.message import parse_message
from p4esp.ike.constants import NotifyType
from p4esp.ike.events import AuthenticationFailed, ChildUp, IkeEstablished
from p4esp.ike.extensions.nat_detection import NatDetection
from p4esp.ike.extensions.signature_hashes import SignatureHashes
from p4esp.ike.extensions.standard import STANDARD
from p4esp.ipsec.identity import Identity, IdType

DER = Encoding.DER
ROOT = authority("ike root")
MIDDLE = authority("ike middle", ROOT)
WEST_HOST, EAST_HOST = host("west", MIDDLE), host("east", ROOT)
TRUST = trusting(ROOT)


def lab_of(west=WEST_HOST, east=EAST_HOST, trust=TRUST, **more):
    return certified_lab(west, east, trust, **more)


def connected(lab):
    lab.connect()
    assert lab.west.one(ChildUp)
    assert lab.east.one(ChildUp)
    return lab


def refused(lab, why):
    """East refuses west for a reason that only east knows."""
    lab.connect()
    assert why in lab.east.one(AuthenticationFailed).reason
    assert lab.west.one(AuthenticationFailed).reason == (
        "the peer refused us with AUTHENTICATION_FAILED"
    )
    assert_nothing_left(lab)
    return lab


def sent_payloads(lab, kind):
    """The payloads of a kind in the trace of what was sent, per message."""
    return [record.payloads.count(kind) for record in lab.west.traces if record.kind == "sent"]


@pytest.mark.parametrize("kind", MAKERS)
def test_both_sides_prove_themselves_with_any_kind_of_key(kind):
    root = authority(f"root of {kind}", kind=kind)
    west, east = (host(name, root, kind=kind) for name in ("west", "east"))
    lab = connected(lab_of(west, east, trusting(root)))
    assert lab.east.one(IkeEstablished).ike.remote_id == Identity.parse("west.example")


def test_intermediate_certificates_travel_with_the_hosts():
    lab = connected(lab_of())
    assert sent_payloads(lab, "CERT") == [0, 2]


def test_intermediate_certificates_may_be_known_already():
    """RFC 4945 3.3.8."""
    trust = trusting(ROOT, intermediates=(MIDDLE.certificate,))
    lab = lab_of(trust=trust)
    own = CertifiedKey(WEST_HOST.key, (WEST_HOST.certificate,))
    lab = Lab(replace(lab.west_config, auth=PeerAuth(own, (trust,))), lab.east_config)
    connected(lab)


@pytest.mark.parametrize("method", ["psk", "certificate"])
def test_each_direction_has_its_own_method(method):
    """RFC 7296 2.15: the two sides need not use the same."""
    key = PresharedKey(b"correct horse")
    if method == "psk":
        west, east = PeerAuth(key, (TRUST,)), PeerAuth(EAST_HOST.credential, (key,))
    else:
        west, east = PeerAuth(WEST_HOST.credential, (key,)), PeerAuth(key, (TRUST,))
    connected(Lab(west_config(auth=west), east_config(auth=east)))


def test_both_sides_announce_the_hashes_they_accept():
    """RFC 7427 4; RFC 8420 2: Identity stands for Ed25519."""
    lab = connected(lab_of())
    for _, datagram in lab.wire[:2]:
        clear = parse_message(datagram.data).clear
        notify = clear.notify(NotifyType.SIGNATURE_HASH_ALGORITHMS)
        assert (notify.protocol, notify.spi) == (0, b"")
        assert notify.data.hex() == "0002000300040005"


def test_what_is_accepted_narrows_what_is_announced_and_used():
    schemes = (SCHEMES["ecdsa-sha384"],)
    lab = connected(lab_of(trust=replace(TRUST, schemes=schemes)))
    clear = parse_message(lab.wire[0][1].data).clear
    assert clear.notify(NotifyType.SIGNATURE_HASH_ALGORITHMS).data == b"\0\3"


def test_a_responder_announces_hashes_only_to_who_did():
    lab = certified_lab(WEST_HOST, EAST_HOST, TRUST)
    lab.west = lab.nodes[WEST] = make_node([lab.west_config], 5, extensions=[NatDetection()])
    lab.connect()
    clear = parse_message(lab.wire[1][1].data).clear
    assert clear.notify(NotifyType.SIGNATURE_HASH_ALGORITHMS) is None


def test_certreq_names_the_authorities_by_the_hash_of_their_key():
    """RFC 7296 3.7: in the responder's IKE_SA_INIT and the initiator's IKE_AUTH."""
    lab = connected(lab_of())
    asked = parse_message(lab.wire[1][1].data).clear.one(CertificateRequest)
    digest = authority_names([ROOT.certificate])[0]
    assert (asked.encoding, asked.data) == (4, digest)
    assert digest != x509.SubjectKeyIdentifier.from_public_key(ROOT.key.public_key()).digest
    assert sent_payloads(lab, "CERTREQ") == [0, 1]


def without_rfc7427(lab, schemes=()):
    """West becomes a peer that does not know RFC 7427."""
    extensions = [item for item in STANDARD if not isinstance(item, SignatureHashes)]
    config = relayed(lab.west_config, schemes=schemes) if schemes else lab.west_config
    lab.west_config = config
    lab.west = lab.nodes[WEST] = make_node([config], 5, extensions=extensions)
    return lab


@pytest.mark.parametrize("kind", ["rsa", "p256", "p384", "p521"])
def test_peers_without_rfc_7427_use_the_old_methods(kind):
    """RFC 7296 3.8, RFC 4754."""
    root = authority(f"root of {kind}", kind=kind)
    west, east = (host(name, root, kind=kind) for name in ("west", "east"))
    connected(without_rfc7427(lab_of(west, east, trusting(root))))


def test_56_sha1_is_refused_unless_it_is_configured():
    """RFC 8247 3.2."""
    root = authority("rsa root", kind="rsa")
    west, east = host("west", root, kind="rsa"), host("east", root, kind="p256")
    refused(without_rfc7427(lab_of(west, east, trusting(root)), (RSA_SHA1,)), "method 1")
    weak = trusting(root, schemes=(*STRONG, RSA_SHA1))
    connected(without_rfc7427(lab_of(west, east, weak), (RSA_SHA1,)))


def test_an_old_method_is_refused_after_both_sides_announced_hashes(monkeypatch):
    """RFC 7427 3: else a downgrade would go unseen."""
    monkeypatch.setattr(
        proof, "sign", lambda key, octets, schemes, _: proof.sign_the_old_way(key, octets, schemes)
    )
    refused(lab_of(), "AUTH method 9 after both sides announced hashes")


def test_a_signature_over_another_transcript_is_refused(monkeypatch):
    monkeypatch.setattr(proof, "own_octets", lambda sa, identity: b"of another exchange")
    refused(lab_of(), "ecdsa-sha256 signature does not verify")


def test_56_a_hash_that_was_not_announced_is_refused(monkeypatch):
    """RFC 7427 4: west ignores what east announced."""
    trust = replace(TRUST, schemes=(SCHEMES["ecdsa-sha512"],))
    real = proof.sign
    monkeypatch.setattr(
        proof, "sign", lambda key, octets, schemes, _: real(key, octets, schemes, (2,))
    )
    refused(lab_of(trust=trust), "accepted: ecdsa-sha512")


def test_a_side_that_cannot_sign_for_the_peer_gives_up_by_itself():
    """RFC 8420 2: an Ed25519 key, and a peer that takes RSA only."""
    root = authority("ed root", kind="ed25519")
    west, east = host("west", root, kind="ed25519"), host("east", root, kind="rsa")
    rsa_only = trusting(root, schemes=(SCHEMES["rsa-sha256"],))
    lab = lab_of(west, east, rsa_only)
    lab.connect()
    assert "announced no hash of ours, which are IDENTITY" in (
        lab.west.one(AuthenticationFailed).reason
    )
    assert_nothing_left(lab)


def test_a_responder_that_cannot_sign_refuses_before_it_is_established():
    root = authority("ed root", kind="ed25519")
    west, east = host("west", root, kind="rsa"), host("east", root, kind="ed25519")
    rsa_only = trusting(root, schemes=(SCHEMES["rsa-sha256"],))
    lab = lab_of(west, east, rsa_only)
    refused(
        Lab(relayed(lab.west_config, schemes=rsa_only.schemes), lab.east_config),
        "announced no hash of ours",
    )


@pytest.mark.parametrize(
    ("party", "why"),
    [
        (host("west", authority("elsewhere")), "issuer of"),
        (host("west", ROOT, names=("wost.example",)), "does not name west.example"),
        (issue("west", ROOT), "does not name west.example"),
        (host("west", host("plain", ROOT)), "is not a CA"),
    ],
    ids=["wrong CA", "wrong name", "no names", "CA flag missing"],
)
def test_58_a_certificate_that_proves_nothing_is_refused(party, why):
    refused(lab_of(west=party), why)


def test_all_faults_are_recorded_and_one_answer_is_given(monkeypatch):
    monkeypatch.setattr(proof, "own_octets", lambda sa, identity: b"of another exchange")
    stranger = host("west", authority("elsewhere"), names=("wost.example",))
    lab = refused(lab_of(west=stranger), "signature does not verify; no trusted path")
    assert "does not name" in lab.east.one(AuthenticationFailed).reason


def test_the_refusal_looks_the_same_whatever_was_wrong():
    answers = set()
    for party in (host("west", authority("elsewhere")), host("west", ROOT, names=("a.example",))):
        lab = lab_of(west=party)
        lab.connect()
        answers.add(len(lab.wire[3][1].data))
    psk = Lab(west_config(psk=b"wrong"))
    psk.connect()
    assert answers == {len(psk.wire[3][1].data)}


def test_58_a_first_certificate_of_another_key_is_refused():
    """RFC 7296 3.6: the first certificate holds the key that verifies AUTH."""
    lab = lab_of()
    swapped = (MIDDLE.certificate, WEST_HOST.certificate)
    own = lab.west_config.auth.own
    object.__setattr__(own, "certificates", swapped)
    refused(lab, "signature does not verify")


def altered(monkeypatch, change):
    """West's CERT payloads become what `change` makes of them."""
    real = proof._sent
    monkeypatch.setattr(
        proof, "_sent", lambda own: change(real(own)) if own == WEST_HOST.credential else real(own)
    )


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda certs: [], "sent no X.509 certificate"),
        (lambda certs: [Certificate(12, bytes(30))], "CERT encoding 12 (hash and URL)"),
        (lambda certs: [Certificate(13, bytes(30))], "CERT encoding 13 (hash and URL)"),
        (lambda certs: [Certificate(4, b"")], "cannot be read"),
        (lambda certs: [Certificate(4, b"\x30\x82"), *certs], "cannot be read"),
        (lambda certs: certs * 5, "10 CERT payloads; accepted: 8"),
        (lambda certs: [*certs, Certificate(4, bytes(8193))], "CERT of 8193 octets"),
    ],
)
def test_58_cert_payloads_are_bounded_and_read_strictly(monkeypatch, change, why):
    altered(monkeypatch, change)
    refused(lab_of(), why)


@pytest.mark.parametrize(
    "change",
    [
        lambda certs: certs * 2,
        lambda certs: [certs[0], Certificate(4, b"no certificate"), certs[1]],
        lambda certs: [Certificate(7, b"a CRL"), *certs],
        lambda certs: [certs[0], Certificate(4, EAST_HOST.certificate.public_bytes(DER)), certs[1]],
    ],
    ids=["twice", "undecodable", "CRL", "irrelevant"],
)
def test_needless_cert_payloads_do_no_harm(monkeypatch, change):
    """RFC 4945 3.3.10."""
    altered(monkeypatch, change)
    connected(lab_of())


def test_a_pinned_certificate_needs_no_ca_and_may_stay_at_home(monkeypatch):
    pinned = issue("pinned", subject=None)
    key_id = Identity(IdType.KEY_ID, b"west's key")
    trust = TrustedCertificates(pinned=(pinned.certificate,))
    own = CertifiedKey(pinned.key, (pinned.certificate,))
    lab = Lab(
        west_config(local_id=key_id, auth=PeerAuth(own, (TRUST,))),
        east_config(remote_id=key_id, auth=PeerAuth(EAST_HOST.credential, (trust,))),
    )
    connected(lab)
    real = proof._sent
    monkeypatch.setattr(proof, "_sent", lambda key: [] if key == own else real(key))
    connected(Lab(lab.west_config, lab.east_config))


def test_a_key_id_is_refused_unless_the_certificate_is_pinned():
    key_id = Identity(IdType.KEY_ID, b"west.example")
    lab = lab_of()
    refused(
        Lab(replace(lab.west_config, local_id=key_id), replace(lab.east_config, remote_id=key_id)),
        "does not name",
    )


def test_another_certificate_than_the_pinned_one_is_refused():
    trust = TrustedCertificates(pinned=(host("other", ROOT).certificate,))
    refused(lab_of(trust=trust), "no trusted path")


def test_an_address_as_identity_must_be_where_the_peer_is():
    """RFC 4945 3.1.1."""
    here, there = Identity.parse("192.0.2.1"), Identity.parse("192.0.2.77")
    for claimed, good in ((here, True), (there, False)):
        party = host("west", ROOT, names=(str(claimed),))
        lab = lab_of(west=party)
        west = replace(lab.west_config, local_id=claimed)
        east = replace(lab.east_config, remote_id=claimed)
        if good:
            connected(Lab(west, east))
        else:
            refused(Lab(west, east), "sends from 192.0.2.1")
            roaming = replace(TRUST, addresses_roam=True)
            auth = PeerAuth(EAST_HOST.credential, (roaming,))
            connected(Lab(west, replace(east, auth=auth)))


def test_the_initiator_checks_the_responder_and_deletes_the_ike_sa():
    """RFC 7296 2.21.2."""
    false = host("east", authority("elsewhere"))
    lab = lab_of(east=false)
    lab.connect()
    assert "issuer of" in lab.west.one(AuthenticationFailed).reason
    assert lab.west.of(IkeEstablished) == []
    assert lab.west.endpoint.ike_sas == lab.east.endpoint.ike_sas == []


def test_a_revoked_certificate_is_refused():
    crl = revocation_list(MIDDLE, WEST_HOST)
    trust = replace(TRUST, revocation=Revocation(lambda: (crl,), strict=False))
    refused(lab_of(trust=trust), "CN=west,O=p4esp,C=CH was revoked on 2026-02-28")


def test_a_key_that_is_not_the_certificates_is_no_credential():
    with pytest.raises(CredentialError, match="the key is not that of certificate CN=west"):
        CertifiedKey(private_key("p384"), WEST_HOST.chain)
    with pytest.raises(CredentialError, match="without certificate"):
        CertifiedKey(WEST_HOST.key, ())


def test_neither_repr_nor_events_show_the_key():
    assert "key=" not in repr(WEST_HOST.credential)


def test_a_certificate_under_psk_rules_is_refused_by_method():
    key = PresharedKey(b"correct horse")
    lab = Lab(
        west_config(auth=PeerAuth(WEST_HOST.credential, (key,))),
        east_config(auth=PeerAuth(key, (key,))),
    )
    refused(lab, "AUTH method 14, accepted is 2 (PSK)")
