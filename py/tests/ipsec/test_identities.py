"""Identities as operators write them and as peers send them (RFC 7296 3.5, RFC 4945 3.1)."""

import subprocess
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.name import _ASN1Type
from cryptography.x509.oid import NameOID
from hypothesis import example, given
from hypothesis import strategies as st

from p4esp.ipsec.distinguished_name import DistinguishedNameError, decode, encode
from p4esp.ipsec.identity import Identity, IdType
from p4esp.ipsec.identity_pattern import parse_peer_identity

TEXT = "C=CH, O=Linux strongSwan, CN=moon.strongswan.org"


def test_a_distinguished_name_is_in_the_order_of_the_certificate():
    identity = Identity.parse(TEXT)
    expected = x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "CH"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Linux strongSwan"),
            x509.NameAttribute(NameOID.COMMON_NAME, "moon.strongswan.org"),
        ]
    )
    assert identity == Identity(IdType.DER_ASN1_DN, expected.public_bytes())
    assert str(identity) == TEXT


def test_names_match_however_their_text_is_encoded():
    """`pki` writes PrintableString where we write UTF8String."""
    printable = x509.Name(
        [
            x509.NameAttribute(oid, value, _ASN1Type.PrintableString)
            for oid, value in (
                (NameOID.COUNTRY_NAME, "CH"),
                (NameOID.ORGANIZATION_NAME, "Linux strongSwan"),
                (NameOID.COMMON_NAME, "moon.strongswan.org"),
            )
        ]
    )
    sent = Identity(IdType.DER_ASN1_DN, printable.public_bytes())
    assert sent != Identity.parse(TEXT)
    assert Identity.parse(TEXT).matches(sent)


def test_the_subject_that_openssl_writes_is_the_one_we_read(tmp_path: Path):
    request = tmp_path / "request.der"
    command = "openssl req -new -newkey ed25519 -nodes -keyout /dev/null -outform DER -utf8 -subj"
    subject = "/C=CH/O=Übung, AG/CN=west.example/emailAddress=a@b.example"
    subprocess.run([*command.split(), subject, "-out", request], check=True, capture_output=True)
    name = x509.load_der_x509_csr(request.read_bytes()).subject
    sent = Identity(IdType.DER_ASN1_DN, name.public_bytes())
    text = r"C=CH, O=Übung\, AG, CN=west.example, 1.2.840.113549.1.9.1=a@b.example"
    assert Identity.parse(text).matches(sent)


@pytest.mark.parametrize(
    "other",
    [
        "C=CH, O=Linux strongSwan, CN=sun.strongswan.org",
        "C=CH, O=Linux strongSwan",
        "O=Linux strongSwan, C=CH, CN=moon.strongswan.org",
        "moon.strongswan.org",
    ],
)
def test_other_names_do_not_match(other):
    assert not Identity.parse(TEXT).matches(Identity.parse(other))


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("West.Example", "west.example", True),
        ("A@West.example", "a@west.example", True),
        ("west.example", "west.example.", False),
        ("@#0a", "@#0A", True),
        ("@#61", "a", False),
    ],
)
def test_case_does_not_count_in_domain_names_and_mailboxes(one, other, same):
    assert Identity.parse(one).matches(Identity.parse(other)) is same


@pytest.mark.parametrize("text", ["CN", "=x", "C=CHE", "QQ=x", "CN=a,,CN=b"])
def test_text_that_is_no_name_is_refused_with_what_would_be(text):
    with pytest.raises(DistinguishedNameError, match="accepted: attributes such as C=CH"):
        encode(text)


@given(st.binary(max_size=60))
def test_any_octets_are_a_name_or_refused(data):
    try:
        decode(data)
    except ValueError:
        assert "id-type-9" in str(Identity(IdType.DER_ASN1_DN, data))
    assert isinstance(str(Identity(IdType.DER_ASN1_DN, data)), str)


@example(8, b"\x80\x80\x80")
@example(8, b"\xff\xff\xff")
@given(st.integers(0, 200), st.binary(max_size=3))
def test_a_damaged_name_is_a_name_or_refused(place, octets):
    good = encode(TEXT)
    damaged = good[:place] + octets + good[place + len(octets) :]
    assert isinstance(str(Identity(IdType.DER_ASN1_DN, damaged)), str)


@pytest.mark.parametrize(
    ("pattern", "identity", "meant"),
    [
        ("*", "west.example", True),
        ("*", "192.0.2.1", True),
        ("*.example", "West.Example", True),
        ("*.example", "a.b.example", True),
        ("*.example", "example", False),
        ("*.example", ".example", False),
        ("*.example", "west.example.org", False),
        ("*.example", "a@west.example", False),
        ("*@example", "a@example", True),
        ("*@example", "a@b.example", False),
        ("*@example", "@#614065", False),
    ],
)
def test_a_pattern_means_identities_of_its_kind_that_end_alike(pattern, identity, meant):
    assert parse_peer_identity(pattern).matches(Identity.parse(identity)) is meant


@pytest.mark.parametrize("text", ["*x", "**", "*.", "*@", "*.*.example"])
def test_other_patterns_are_refused(text):
    with pytest.raises(ValueError, match=r"accepted: \*, \*\.example or"):
        parse_peer_identity(text)
