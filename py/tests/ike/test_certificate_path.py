"""Certificate paths and names: RFC 5280 6.1, RFC 4945 3.1 and 5.1 (case 58)."""

from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509 import verification
from cryptography.x509.oid import ExtendedKeyUsageOID
from ike_lab import TODAY
from pki_lab import DAY, MAKERS, authority, host, issue, name, usage

from p4esp.ike.auth import name_constraints
from p4esp.ike.auth.binding import check_binding
from p4esp.ike.auth.path import CertificateError, find_path
from p4esp.ipsec.identity import Identity, IdType

ROOT = authority()
MIDDLE = authority("middle", ROOT)
WEST = host("west", MIDDLE)


def path_of(party, *others, anchors=(ROOT,), now=TODAY):
    """The common names along the path."""
    certificates = [other.certificate for other in others]
    path = find_path(
        party.certificate, certificates, [anchor.certificate for anchor in anchors], now
    )
    return [
        certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[0].value
        for certificate in path
    ]


def refused(why, *parties, **more):
    with pytest.raises(CertificateError, match=why):
        path_of(*parties, **more)


def test_a_path_runs_over_intermediates_to_the_anchor():
    assert path_of(WEST, MIDDLE) == ["west", "middle", "root"]
    assert path_of(host("near", ROOT)) == ["near", "root"]


def test_58_the_order_of_certificates_does_not_matter_and_strangers_do_no_harm():
    """RFC 4945 3.3.10.3, 3.3.10.5."""
    low = authority("low", MIDDLE)
    far, stranger = host("far", low), authority("stranger")
    assert path_of(far, MIDDLE, stranger, low, MIDDLE) == ["far", "low", "middle", "root"]


@pytest.mark.parametrize("kind", MAKERS)
def test_every_kind_of_key_may_sign_certificates(kind):
    root = authority(f"root {kind}", kind=kind)
    middle = authority(f"middle {kind}", root, kind=kind)
    end = host(f"end {kind}", middle, kind=kind, names=("end.example",))
    assert len(path_of(end, middle, anchors=[root])) == 3


def test_an_unknown_issuer_is_named():
    refused("issuer of certificate CN=west,O=p4esp,C=CH is not known", WEST)
    refused("issuer of .*CN=middle.* is not known", WEST, MIDDLE, anchors=[authority("other")])


def test_whoever_a_certificate_claims_to_be_fits_into_a_line_of_a_log():
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "x\nike: up\x1b[2J")])
    with pytest.raises(CertificateError) as caught:
        path_of(host("west", None, subject=subject))
    assert str(caught.value).isprintable()


def test_a_ca_of_the_same_name_and_another_key_does_not_do():
    impostor = authority("root", kind="p384")
    refused("CN=middle.* is not signed by .*CN=root", WEST, MIDDLE, anchors=[impostor])


def test_two_cas_of_one_name_are_both_tried():
    impostor = authority("root", kind="p384")
    assert path_of(WEST, MIDDLE, anchors=[impostor, ROOT])[-1] == "root"


@pytest.mark.parametrize("which", ["end", "middle", "root"])
@pytest.mark.parametrize(
    ("when", "why"),
    [
        ({"stop": TODAY - timedelta(seconds=1)}, "expired on 2026-03-01 11:59:59 UTC"),
        ({"start": TODAY + timedelta(seconds=1)}, "is not valid before 2026-03-01 12:00:01 UTC"),
    ],
)
def test_58_every_certificate_of_the_path_must_be_valid_now(which, when, why):
    def dates(place):
        return when if place == which else {}

    root = authority("dated root", **dates("root"))
    middle = authority("dated middle", root, **dates("middle"))
    end = host("dated end", middle, **dates("end"))
    refused(f"CN=dated {which}.*{why}", end, middle, anchors=[root])


def test_validity_includes_its_first_and_last_second():
    end = host("brief", ROOT, start=TODAY, stop=TODAY + DAY)
    assert path_of(end, now=TODAY) == path_of(end, now=TODAY + DAY)
    refused("expired", end, now=TODAY + DAY + timedelta(seconds=1))


def test_a_host_is_no_ca():
    refused("CN=west.* is not a CA", host("child", WEST), WEST, MIDDLE)


def test_a_ca_flag_that_says_no_counts():
    basic = x509.BasicConstraints(ca=False, path_length=None)
    claimed = issue("claimed", ROOT, extensions=((basic, True),))
    refused("CN=claimed.* is not a CA", host("child", claimed), claimed)


def test_a_ca_whose_key_usage_lacks_certificate_signing_is_refused():
    mute = authority("mute", ROOT, extensions=((usage("crl_sign"), True),))
    refused("CN=mute.*key usage allows no certificate signatures", host("child", mute), mute)


def test_path_length_counts_the_cas_below():
    root = authority("short root", length=0)
    assert path_of(host("near", root), anchors=[root])
    middle = authority("too much", root)
    refused("allows 0 CAs below it, there are 1", host("far", middle), middle, anchors=[root])


def test_chains_that_go_in_circles_end():
    one, two = authority("one"), authority("two")
    cross_one, cross_two = authority("one", two), authority("two", one)
    refused("issuer .* is not known|not signed", host("lost", one), cross_one, cross_two, one, two)


def test_a_path_is_no_longer_than_eight_certificates():
    chain = [ROOT]
    for number in range(8):
        chain.append(authority(f"level {number}", chain[-1]))
    refused("is longer than 8", host("deep", chain[-1]), *chain[1:])
    assert len(path_of(host("less deep", chain[6]), *chain[1:])) == 8


def test_the_search_for_a_path_is_bounded():
    """Many CAs of one name, none of which signed: the work ends."""
    twins = [authority("twin", extensions=((usage("key_cert_sign"), True),)) for _ in range(40)]
    false = authority("twin", kind="p384")
    refused("no path after 32 certificate signatures", host("lost", false), *twins, anchors=[ROOT])


def test_a_weak_hash_in_a_certificate_is_refused():
    weak = issue("weak", ROOT, digest=hashes.SHA224())
    refused("CN=weak.* is signed with a weak hash", weak)


@pytest.mark.parametrize(
    ("bits", "good"),
    [
        (("digital_signature",), True),
        (("content_commitment",), True),
        (("key_encipherment",), False),
        ((), False),
    ],
)
def test_58_key_usage_must_allow_signatures(bits, good):
    """RFC 4945 5.1.3.2."""
    end = host("limited", ROOT, extensions=((usage(*bits), True),))
    if good:
        assert path_of(end)
    else:
        refused("key usage allows no signatures", end)


@pytest.mark.parametrize(
    ("purpose", "good"),
    [
        (ExtendedKeyUsageOID.IPSEC_IKE, True),
        (ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE, True),
        (ExtendedKeyUsageOID.SERVER_AUTH, True),
        (ExtendedKeyUsageOID.CLIENT_AUTH, True),
        (x509.ObjectIdentifier("1.3.6.1.5.5.8.2.2"), True),
        (ExtendedKeyUsageOID.CODE_SIGNING, False),
        (ExtendedKeyUsageOID.OCSP_SIGNING, False),
    ],
)
def test_58_extended_key_usage_must_allow_ike(purpose, good):
    """RFC 4945 5.1.3.12, and what CAs issue to IKE hosts besides."""
    end = host("purposeful", ROOT, extensions=((x509.ExtendedKeyUsage([purpose]), True),))
    if good:
        assert path_of(end)
    else:
        refused("extended key usage does not allow IKE", end)


@pytest.mark.parametrize("place", ["end", "ca"])
def test_an_unknown_critical_extension_is_refused_wherever_it_is(place):
    """RFC 4945 5.1.3."""
    odd = ((x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\0"), True),)
    middle = authority("odd middle", ROOT, extensions=odd if place == "ca" else ())
    end = host("odd", middle, extensions=odd if place == "end" else ())
    refused("unknown critical extension 1.2.3.4", end, middle)


def test_an_unknown_extension_that_is_not_critical_is_ignored():
    odd = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\0")
    assert path_of(host("odd", ROOT, extensions=((odd, False),)))


def test_an_anchor_is_no_end_entity():
    refused("issuer", ROOT)


def constrained(permitted=None, excluded=None):
    constraint = x509.NameConstraints(permitted, excluded)
    return authority("bounded", ROOT, extensions=((constraint, True),))


@pytest.mark.parametrize(
    ("permitted", "names", "good"),
    [
        (x509.DNSName("example"), ("west.example",), True),
        (x509.DNSName("west.example"), ("west.example",), True),
        (x509.DNSName("example"), ("west.example.org",), False),
        (x509.DNSName("st.example"), ("west.example",), False),
        (x509.DNSName("example"), ("a@elsewhere",), True),
        (x509.RFC822Name("example.com"), ("a@example.com",), True),
        (x509.RFC822Name("example.com"), ("a@mail.example.com",), False),
        (x509.RFC822Name(".example.com"), ("a@mail.example.com",), True),
        (x509.RFC822Name("a@example.com"), ("b@example.com",), False),
        (x509.DirectoryName(x509.Name(name("x").rdns[:2])), ("west.example",), True),
        (x509.DirectoryName(name("other")), ("west.example",), False),
    ],
    ids=str,
)
def test_name_constraints_permit(permitted, names, good):
    """RFC 5280 4.2.1.10."""
    middle = constrained(permitted=[permitted])
    end = host("named", middle, names=names)
    if good:
        assert path_of(end, middle)
    else:
        refused("outside what its CA may name", end, middle)


def test_constraints_of_cas_that_nobody_vouches_for_are_not_looked_at(monkeypatch):
    """A peer can make up CAs with so many of them that comparing takes minutes."""
    compared = []
    monkeypatch.setattr(name_constraints, "_within", lambda *pair: compared.append(pair))
    many = tuple(f"x{number}.example" for number in range(50))
    limits = x509.NameConstraints(None, [x509.DNSName(name) for name in many])
    stranger = authority("stranger", extensions=((limits, True),))
    refused("not known", host("west", stranger, names=many), stranger)
    assert compared == []


def test_name_constraints_exclude():
    middle = constrained(excluded=[x509.DNSName("secret.example")])
    assert path_of(host("open", middle), middle)
    refused(
        "excluded from what its CA may name",
        host("hidden", middle, names=("x.secret.example",)),
        middle,
    )


@pytest.mark.parametrize("spoiled", [None, "expired", "stranger"])
@pytest.mark.parametrize("kind", ["rsa", "p256", "p384"])
def test_the_verifier_of_the_library_says_the_same(kind, spoiled):
    """An oracle for the kinds of key that it admits."""
    root = authority(f"oracle {kind}", kind=kind)
    middle = authority(f"oracle middle {kind}", root, kind=kind)
    dates = {"stop": TODAY - DAY} if spoiled == "expired" else {}
    end = host("judged", middle, kind=kind, **dates)
    anchor = authority("nobody") if spoiled == "stranger" else root
    agreed = verification.ExtensionPolicy.permit_all()
    ca = agreed.require_present(x509.BasicConstraints, verification.Criticality.AGNOSTIC, None)
    builder = (
        verification.PolicyBuilder()
        .store(verification.Store([anchor.certificate]))
        .time(TODAY)
        .extension_policies(ca_policy=ca, ee_policy=agreed)
    )
    verifier = builder.build_client_verifier()
    if spoiled is None:
        verdict = verifier.verify(end.certificate, [middle.certificate])
        assert len(verdict.chain) == len(path_of(end, middle, anchors=[anchor]))
    else:
        with pytest.raises(verification.VerificationError):
            verifier.verify(end.certificate, [middle.certificate])
        refused("certificate", end, middle, anchors=[anchor])


def subject_id(party):
    return Identity(IdType.DER_ASN1_DN, party.certificate.subject.public_bytes())


NAMED = host(
    "many", ROOT, names=("west.example", "a@west.example", "192.0.2.1", "2001:db8::1", "*.wild.org")
)


@pytest.mark.parametrize(
    "identity",
    [
        Identity.parse("west.example"),
        Identity.parse("WEST.Example"),
        Identity.parse("a@west.example"),
        Identity.parse("192.0.2.1"),
        Identity.parse("2001:db8::1"),
        subject_id(NAMED),
    ],
    ids=str,
)
def test_a_certificate_speaks_for_its_names(identity):
    """RFC 4945 3.1.1, 3.1.2, 3.1.3, 3.1.5."""
    check_binding(NAMED.certificate, identity)


@pytest.mark.parametrize(
    "identity",
    [
        Identity.parse("st.example"),
        Identity.parse("east.example"),
        Identity.parse("x.wild.org"),
        Identity.parse("*.wild.org"),
        Identity.parse("b@west.example"),
        Identity.parse("192.0.2.2"),
        Identity(IdType.FQDN, b"192.0.2.1"),
        Identity(IdType.IPV4_ADDR, b"\xc0\0\x02"),
        Identity(IdType.FQDN, b""),
        Identity(IdType.FQDN, b"west.example\0.evil"),
        Identity(IdType.KEY_ID, b"west.example"),
        Identity(IdType.NULL, b""),
        Identity(IdType.DER_ASN1_GN, b"west.example"),
        subject_id(WEST),
        Identity(IdType.DER_ASN1_DN, b"\x30\0"),
    ],
    ids=str,
)
def test_58_a_certificate_speaks_for_nobody_else(identity):
    with pytest.raises(CertificateError, match="does not name"):
        check_binding(NAMED.certificate, identity)


def test_an_empty_subject_names_nobody():
    """RFC 4945 3.1.5."""
    blank = issue("blank", ROOT, subject=x509.Name([]))
    with pytest.raises(CertificateError, match="does not name"):
        check_binding(blank.certificate, Identity(IdType.DER_ASN1_DN, b"\x30\0"))
