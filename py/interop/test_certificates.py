"""Certificates and signatures, both made and checked by strongSwan on its side."""

from pathlib import Path
from typing import Any

import pytest

from authority import KINDS, Authority, Issued, provide, their_side
from p4esp.service.control_client import ControlError
from pairing import OUR_ID, THEIR_ID, Pair, Role, Terms
from vici import ViciError

ROLES = pytest.mark.parametrize("role", ["initiator", "responder"])


def our_side(own: Issued, authority: Path, **trust: Any) -> dict[str, Any]:
    """Keys of our peer for certificates in both directions."""
    return {
        "psk": None,
        "certificate": {"file": str(own.certificate), "key": str(own.key)},
        "trust": {"authorities": [str(authority)], **trust},
    }


def hosts(directory: Path, kind: str) -> tuple[Authority, Issued, Issued]:
    """A CA, us and them."""
    authority = Authority(directory, kind)
    return authority, authority.host(OUR_ID), authority.host(THEIR_ID)


@ROLES
@pytest.mark.parametrize("kind", KINDS)
def test_both_sides_prove_themselves_with_certificates(
    pair: Pair, role: Role, kind: str, tmp_path: Path
) -> None:
    authority, us, them = hosts(tmp_path, kind)
    terms = Terms(
        our_peer=our_side(us, authority.own.certificate),
        their_connection=their_side(them, THEIR_ID, OUR_ID),
    )
    with pair.session(terms) as session:
        provide(pair.charon, them, authority.own.certificate)
        session.up(role)


@ROLES
@pytest.mark.parametrize("scheme", ["rsa-sha384", "rsa-pss-sha512"])
def test_rsa_in_both_paddings(pair: Pair, role: Role, scheme: str, tmp_path: Path) -> None:
    """Each side signs in the way it was told to; charon by constraints on what `auth` says."""
    authority, us, them = hosts(tmp_path, "rsa")
    ours = our_side(us, authority.own.certificate, signatures=[scheme])
    ours["certificate"]["signatures"] = [scheme]
    theirs = their_side(them, THEIR_ID, OUR_ID)
    padding, digest = scheme.rsplit("-", 1)
    told = f"ike:{'rsa/pss' if padding == 'rsa-pss' else 'rsa'}-{digest}"
    theirs["local"]["auth"] = theirs["remote"]["auth"] = told
    with pair.session(Terms(our_peer=ours, their_connection=theirs)) as session:
        provide(pair.charon, them, authority.own.certificate)
        session.up(role)


@ROLES
def test_chains_with_intermediate_authorities(pair: Pair, role: Role, tmp_path: Path) -> None:
    """The messages are so long that they travel in fragments."""
    root = Authority(tmp_path, "rsa", "root")
    middle = Authority(tmp_path, "rsa", "middle", above=root)
    low = Authority(tmp_path, "rsa", "low", above=middle)
    us, them = low.host(OUR_ID), low.host(THEIR_ID)
    above = [low.own.certificate, middle.own.certificate]
    bundle = tmp_path / "bundle.pem"
    bundle.write_bytes(b"".join(path.read_bytes() for path in (us.certificate, *above)))
    terms = Terms(
        our_peer=our_side(Issued(bundle, us.key), root.own.certificate),
        their_connection=their_side(them, THEIR_ID, OUR_ID, *above),
    )
    with pair.session(terms) as session:
        provide(pair.charon, them, root.own.certificate)
        session.up(role)


@ROLES
def test_subjects_as_identities(pair: Pair, role: Role, tmp_path: Path) -> None:
    """`pki` encodes the names as PrintableString; the text in our file means the same."""
    authority, us, them = hosts(tmp_path, "ecdsa")
    ours = our_side(us, authority.own.certificate)
    ours |= {"local_id": None, "remote_id": f"C=CH, O=p4esp, CN={THEIR_ID}"}
    theirs = their_side(them, f"C=CH, O=p4esp, CN={THEIR_ID}", f"C=CH, O=p4esp, CN={OUR_ID}")
    with pair.session(Terms(our_peer=ours, their_connection=theirs)) as session:
        provide(pair.charon, them, authority.own.certificate)
        session.up(role)


@ROLES
def test_a_key_in_one_direction_and_a_certificate_in_the_other(
    pair: Pair, role: Role, tmp_path: Path
) -> None:
    authority, _, them = hosts(tmp_path, "ed25519")
    ours = {"trust": {"authorities": [str(authority.own.certificate)]}}
    theirs = their_side(them, THEIR_ID, OUR_ID)
    theirs["remote"] = {"auth": "psk", "id": OUR_ID}
    with pair.session(Terms(our_peer=ours, their_connection=theirs)) as session:
        provide(pair.charon, them)
        session.up(role)


@pytest.mark.parametrize("fault", ["revoked", "no list", "wrong name", "wrong authority"])
def test_we_refuse_a_certificate_that_proves_nothing(
    pair: Pair, fault: str, tmp_path: Path
) -> None:
    authority, us, them = hosts(tmp_path / "good", "ecdsa")
    other = Authority(tmp_path / "other", "ecdsa", "other")
    trust: dict[str, Any] = {}
    if fault == "revoked":
        trust["crls"] = [str(authority.crl(them))]
    elif fault == "no list":
        trust["crls"] = [str(other.crl())]
    elif fault == "wrong name":
        them = authority.host("c.example")
    else:
        them = other.host(THEIR_ID)
    ours = our_side(us, authority.own.certificate, **trust)
    identity = "c.example" if fault == "wrong name" else THEIR_ID
    theirs = their_side(them, identity, OUR_ID)
    with pair.session(Terms(our_peer=ours, their_connection=theirs)) as session:
        provide(pair.charon, them, authority.own.certificate)
        with pytest.raises(ViciError):
            pair.charon.initiate("net")
        session.ours.wait("authentication-failed")
        assert session.ours.status()["ike_sas"] == []


@ROLES
def test_a_list_that_revokes_another_does_no_harm(pair: Pair, role: Role, tmp_path: Path) -> None:
    authority, us, them = hosts(tmp_path, "ecdsa")
    stranger = authority.host("d.example")
    ours = our_side(us, authority.own.certificate, crls=[str(authority.crl(stranger))])
    with pair.session(
        Terms(our_peer=ours, their_connection=their_side(them, THEIR_ID, OUR_ID))
    ) as session:
        provide(pair.charon, them, authority.own.certificate)
        session.up(role)


def test_charon_refuses_us_and_we_are_told(pair: Pair, tmp_path: Path) -> None:
    authority, _, them = hosts(tmp_path / "good", "ecdsa")
    stranger = Authority(tmp_path / "other", "ecdsa", "other").host(OUR_ID)
    terms = Terms(
        our_peer=our_side(stranger, authority.own.certificate),
        their_connection=their_side(them, THEIR_ID, OUR_ID),
    )
    with pair.session(terms) as session:
        provide(pair.charon, them, authority.own.certificate)
        with pytest.raises(ControlError, match="AUTHENTICATION_FAILED"):
            session.ours.tell("up", peer="charon", child="net")
        assert pair.charon.sas() == []
