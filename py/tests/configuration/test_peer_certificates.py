"""Certificates, keys and revocation lists of a peer, as configuration files name them."""

import os
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from ike_lab import TODAY
from pki_lab import authority, host, private_key, revocation_list

from p4esp.configuration.peers import PeerSection
from p4esp.configuration.pem_files import CrlFiles
from p4esp.configuration.sections import ConfigError, parse_file
from p4esp.ike.auth.certificates import CertifiedKey, TrustedCertificates
from p4esp.ike.auth.credentials import Anonymous, PresharedKey
from p4esp.ike.auth.path import CertificateError
from p4esp.ike.auth.schemes import SCHEMES
from p4esp.ipsec.identity import Identity, IdType

ROOT = authority("file root")
MIDDLE = authority("file middle", ROOT)
WEST = host("west", MIDDLE, names=("west.example", "a@west.example", "192.0.2.1"))


def pem(*parties: Any) -> bytes:
    return b"".join(party.certificate.public_bytes(Encoding.PEM) for party in parties)


def write_key(path: Path, key: Any, passphrase: bytes | None = None, mode: int = 0o600) -> None:
    how = BestAvailableEncryption(passphrase) if passphrase else NoEncryption()
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, how))
    path.chmod(mode)


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A directory with the files of west."""
    (tmp_path / "west.pem").write_bytes(pem(WEST, MIDDLE))
    (tmp_path / "ca.pem").write_bytes(pem(ROOT))
    (tmp_path / "ca.der").write_bytes(ROOT.certificate.public_bytes(Encoding.DER))
    write_key(tmp_path / "west.key", WEST.key)
    return tmp_path


OWN = {"file": "west.pem", "key": "west.key"}
TRUST = {"authorities": ["ca.pem"]}


def section(files: Path, **changes: Any) -> PeerSection:
    data = {"name": "east", "remote_id": "east.example", "certificate": OWN, "trust": TRUST}
    kept = {key: value for key, value in (data | changes).items() if value is not None}
    return parse_file(PeerSection, kept, "test.toml", files)


def refusal(files: Path, **changes: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        section(files, **changes)
    return str(caught.value)


def test_a_certificate_section_makes_both_directions_certified(files: Path) -> None:
    auth = section(files).config().auth
    assert auth.own == CertifiedKey(WEST.key, WEST.chain)
    assert auth.accepted == (TrustedCertificates((ROOT.certificate,)),)


def test_der_files_do_as_well(files: Path) -> None:
    config = section(files, trust={"authorities": ["ca.der"]}).config()
    assert config.auth.accepted == (TrustedCertificates((ROOT.certificate,)),)


def test_the_directions_are_chosen_apart(files: Path) -> None:
    one = section(files, certificate=None, psk="correct horse", local_id="west.example").config()
    assert isinstance(one.auth.own, PresharedKey)
    assert isinstance(one.auth.accepted[0], TrustedCertificates)
    other = section(files, trust=None, psk="correct horse").config()
    assert isinstance(other.auth.own, CertifiedKey)
    assert isinstance(other.auth.accepted[0], PresharedKey)
    none = section(files, certificate=None, local_auth="null").config()
    assert isinstance(none.auth.own, Anonymous)
    assert none.local_id == Identity(IdType.NULL, b"")


def test_our_identity_is_the_subject_unless_it_is_another_name_of_the_certificate(
    files: Path,
) -> None:
    subject = Identity(IdType.DER_ASN1_DN, WEST.certificate.subject.public_bytes())
    assert section(files).config().local_id == subject
    assert section(files, local_id="C=CH, O=p4esp, CN=west").config().local_id == subject
    for name in ("west.example", "a@west.example", "192.0.2.1", "@#0a"):
        assert section(files, local_id=name).config().local_id == Identity.parse(name)
    assert "CN=west,O=p4esp,C=CH does not name wost.example" in refusal(
        files, local_id="wost.example"
    )


def test_an_encrypted_key_needs_its_passphrase(files: Path) -> None:
    write_key(files / "sealed.key", WEST.key, b"open sesame")
    secret = files / "passphrase"
    sealed = {"file": "west.pem", "key": "sealed.key"}
    assert "sealed.key: accepted: a passphrase_file for this" in refusal(files, certificate=sealed)
    for content, mode, why in (
        (b"open sesame\n", 0o644, "passphrase: mode 0644 lets others read"),
        (b"wrong\n", 0o600, "sealed.key: its passphrase does not open it"),
    ):
        secret.write_bytes(content)
        secret.chmod(mode)
        text = refusal(files, certificate=sealed | {"passphrase_file": "passphrase"})
        assert why in text
        assert "sesame" not in text
    secret.write_bytes(b"open sesame\n")
    opened = section(files, certificate=sealed | {"passphrase_file": "passphrase"}).config()
    assert opened.auth.own == CertifiedKey(WEST.key, WEST.chain)
    needless = OWN | {"passphrase_file": "passphrase"}
    assert "west.key: accepted: an unencrypted key" in refusal(files, certificate=needless)


def test_neither_repr_nor_refusals_show_a_key(files: Path) -> None:
    shown = repr(section(files).config()) + repr(section(files))
    assert "private" not in shown.lower()


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"certificate": OWN | {"key": "none.key"}}, "none.key: No such file"),
        ({"certificate": OWN | {"file": "none.pem"}}, "none.pem: No such file"),
        ({"certificate": OWN | {"file": "ca.pem"}}, "the key is not that of certificate CN=file"),
        ({"certificate": OWN | {"file": "west.key"}}, "accepted: X.509 certificates in PEM"),
        ({"certificate": OWN | {"key": "west.pem"}}, "mode 0644 lets others read"),
        ({"certificate": OWN | {"key": "junk"}}, "junk: it holds no key"),
        ({"certificate": OWN | {"key": "open.key"}}, "mode 0644 lets others read"),
        ({"certificate": OWN | {"key": "koblitz.key"}}, "accepted: RSA of 2048..8192 bits"),
        ({"certificate": OWN | {"signatures": ["md5"]}}, "accepted: ed25519, ecdsa-sha256"),
        ({"certificate": None}, "psk or psk_file is missing"),
        ({"local_auth": "psk"}, "psk or psk_file is missing"),
        ({"psk": "correct horse"}, "psk or psk_file is used by neither direction"),
        ({"trust": {}}, "nothing is trusted"),
        ({"trust": TRUST | {"crls": ["ca.pem"]}}, "ca.pem: "),
        ({"trust": TRUST | {"signatures": ["rsa-sha1"]}}, "rsa-sha1 is weak"),
    ],
)
def test_what_cannot_be_used_is_refused_by_name(
    files: Path, changes: dict[str, Any], why: str
) -> None:
    from cryptography.hazmat.primitives.asymmetric import ec

    (files / "junk").write_text("no key")
    (files / "junk").chmod(0o600)
    write_key(files / "open.key", WEST.key, mode=0o644)
    write_key(files / "koblitz.key", ec.generate_private_key(ec.SECP256K1()))
    text = refusal(files, **changes)
    assert text.startswith("test.toml: ")
    assert why in text


def test_sha1_signatures_are_accepted_where_weak_ones_are_allowed(files: Path) -> None:
    trust = TRUST | {"signatures": ["rsa-sha1", "rsa-sha256"]}
    (requirement,) = section(files, trust=trust, allow_weak=True).config().auth.accepted
    assert requirement.schemes == (SCHEMES["rsa-sha1"], SCHEMES["rsa-sha256"])


def write_crl(path: Path, *revoked: Any) -> None:
    crl = revocation_list(MIDDLE, *revoked)
    beside = path.with_suffix(".new")
    beside.write_bytes(crl.public_bytes(Encoding.DER))
    os.replace(beside, path)


def test_revocation_lists_are_read_again_when_their_file_changes(files: Path) -> None:
    write_crl(files / "ca.crl")
    trust = TRUST | {"crls": ["ca.crl"], "revocation": "soft"}
    (requirement,) = section(files, trust=trust).config().auth.accepted
    chain = (*WEST.chain, ROOT.certificate)
    requirement.revocation.check(chain, TODAY)
    write_crl(files / "ca.crl", WEST)
    with pytest.raises(CertificateError, match="was revoked"):
        requirement.revocation.check(chain, TODAY)


def test_a_list_whose_file_is_damaged_or_gone_stays_as_it_was(files: Path) -> None:
    path = files / "ca.crl"
    write_crl(path, WEST)
    lists = CrlFiles([path])
    (before,) = lists()
    path.write_bytes(b"half a fi")
    assert list(lists()) == [before]
    path.unlink()
    assert list(lists()) == [before]
    write_crl(path)
    assert len(list(lists()[0])) == 0


def test_an_unchanged_list_is_not_read_again(files: Path) -> None:
    write_crl(files / "ca.crl")
    lists = CrlFiles([files / "ca.crl"])
    assert lists()[0] is lists()[0]


def test_every_kind_of_key_is_read(files: Path) -> None:
    root = authority("file root")
    for kind in ("rsa", "p384", "p521", "ed25519"):
        party = host("west", root, kind=kind)
        (files / "west.pem").write_bytes(pem(party))
        write_key(files / "west.key", private_key(kind, "west"))
        assert section(files).config().auth.own.key.public_key() == party.key.public_key()


def test_a_pinned_certificate_speaks_for_one_peer_not_for_a_pattern(files: Path) -> None:
    """Nothing binds it to a name: its owner could be any of those that the pattern means."""
    pinned = {"pinned": ["west.pem"]}
    assert section(files, trust=pinned)
    with pytest.raises(ConfigError, match="accepted: one remote_id"):
        section(files, trust=pinned, remote_id="*.example")
    assert section(files, remote_id="*.example")


def test_several_certificates_are_credentials_in_their_order(files: Path) -> None:
    other = host("west", ROOT, kind="rsa")
    (files / "rsa.pem").write_bytes(pem(other))
    write_key(files / "rsa.key", other.key)
    both = [OWN, {"file": "rsa.pem", "key": "rsa.key"}]
    config = section(files, certificate=None, certificates=both, local_id="west.example").config()
    assert config.auth.own == CertifiedKey(WEST.key, WEST.chain)
    assert config.auth.others == (CertifiedKey(other.key, other.chain),)
    assert config.local_id == Identity.parse("west.example")
    assert section(files, certificate=None, certificates=both).config().local_id == Identity(
        IdType.DER_ASN1_DN, WEST.certificate.subject.public_bytes()
    )
    assert "exactly one of" in refusal(files, certificates=both)


def test_several_certificates_have_our_identity_in_common(files: Path) -> None:
    other = host("elsewhere", ROOT)
    (files / "other.pem").write_bytes(pem(other))
    write_key(files / "other.key", other.key)
    both = [OWN, {"file": "other.pem", "key": "other.key"}]
    assert "accepted: a common local_id" in refusal(files, certificate=None, certificates=both)
    changes = {"certificate": None, "certificates": both, "local_id": "west.example"}
    assert "west.example" in refusal(files, **changes)
