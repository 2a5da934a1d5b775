"""Suites, identities, SA parameters and policy rules."""

import pytest
from ike_lab import Lab, net

from p4esp.ike.events import ChildUp
from p4esp.ipsec.algorithms import (
    AES256_GCM,
    CHACHA20,
    SUITES,
    UnknownSuiteError,
    suite_of_transforms,
)
from p4esp.ipsec.algorithms import suite_named as named
from p4esp.ipsec.identity import Identity, IdType
from p4esp.ipsec.policy import Action, PolicyError, PolicyRule


def test_suite_sizes_are_those_of_rfc_4106_and_rfc_7634():
    assert (AES256_GCM.keymat_size, AES256_GCM.iv_size, AES256_GCM.icv_size) == (36, 8, 16)
    assert (CHACHA20.keymat_size, CHACHA20.iv_size, CHACHA20.icv_size) == (36, 8, 16)
    assert named("aes128gcm16").keymat_size == 20


@pytest.mark.parametrize(
    ("name", "sizes"),
    [
        ("aes128gcm16", (16, 4, 8, 4, 16)),
        ("aes192gcm12", (24, 4, 8, 4, 12)),
        ("aes256gcm8", (32, 4, 8, 4, 8)),
        ("aes256gmac", (32, 4, 8, 4, 16)),
        ("chacha20poly1305", (32, 4, 8, 4, 16)),
        ("aes128gcm16iiv", (16, 4, 0, 4, 16)),
        ("chacha20poly1305iiv", (32, 4, 0, 4, 16)),
        ("aes128-sha256", (16, 0, 16, 16, 16)),
        ("aes256-sha384", (32, 0, 16, 16, 24)),
        ("aes192-sha512", (24, 0, 16, 16, 32)),
        ("null-sha256", (0, 0, 0, 4, 16)),
        ("null-sha512", (0, 0, 0, 4, 32)),
    ],
)
def test_esp_sizes_are_those_of_the_digest(name, sizes):
    """Digest 3.1: key, salt, IV, alignment, ICV."""
    suite = named(name)
    found = (suite.key_size, suite.salt_size, suite.iv_size, suite.align, suite.icv_size)
    assert found == sizes


def test_what_does_not_encrypt_or_has_no_iv_on_the_wire_is_for_esp_only():
    readable = {name for name, suite in SUITES.items() if not suite.encrypts}
    assert readable == {name for name in SUITES if "gmac" in name or name.startswith("null")}
    implicit = {name for name in SUITES if name.endswith("iiv")}
    assert {name for name, suite in SUITES.items() if suite.esp_only} == readable | implicit


def test_suites_are_found_by_transform_with_key_length_only_where_it_belongs():
    assert suite_of_transforms(20, 256, None) is AES256_GCM
    assert suite_of_transforms(28, None, None) is CHACHA20
    assert suite_of_transforms(12, 128, 12) is named("aes128-sha256")
    assert suite_of_transforms(11, None, 14) is named("null-sha512")
    assert suite_of_transforms(21, 192, None) is named("aes192gmac")
    assert suite_of_transforms(30, 256, None) is named("aes256gcm16iiv")
    assert suite_of_transforms(31, None, None) is named("chacha20poly1305iiv")
    for numbers in ((20, None, None), (20, 512, None), (28, 256, None), (12, 128, None)):
        with pytest.raises(UnknownSuiteError, match="accepted: aes256gcm16"):
            suite_of_transforms(*numbers)


def test_null_needs_a_mac():
    with pytest.raises(UnknownSuiteError, match="INTEG transform None"):
        suite_of_transforms(11, None, None)


def test_unknown_suite_names_list_the_known_ones():
    with pytest.raises(UnknownSuiteError, match="aes128gcm16"):
        named("3des")


@pytest.mark.parametrize(
    ("text", "kind", "data"),
    [
        ("192.0.2.1", IdType.IPV4_ADDR, bytes([192, 0, 2, 1])),
        ("2001:db8::1", IdType.IPV6_ADDR, bytes.fromhex("20010db8000000000000000000000001")),
        ("gw.example", IdType.FQDN, b"gw.example"),
        ("a@b.example", IdType.RFC822_ADDR, b"a@b.example"),
        ("@#c0ffee", IdType.KEY_ID, bytes.fromhex("c0ffee")),
    ],
)
def test_identities_are_read_as_written_and_shown_the_same(text, kind, data):
    identity = Identity.parse(text)
    assert identity == Identity(kind, data)
    assert str(identity) == text


def test_a_leading_at_sign_marks_a_domain_name():
    assert Identity.parse("@gw.example") == Identity(IdType.FQDN, b"gw.example")


@pytest.mark.parametrize("data", [b"a\nb", b"\x00", b"\x1b[2J", b"\xff"])
def test_hostile_identities_show_no_control_characters(data):
    assert str(Identity(IdType.FQDN, data)) == f"id-type-2:{data.hex()}"


def test_key_material_never_shows_in_repr():
    lab = Lab()
    lab.connect()
    child = lab.west.one(ChildUp).child
    for secret in (child.keymat.inbound.key, child.keymat.outbound.salt):
        assert repr(secret)[2:-1] not in repr(child)
        assert secret.hex() not in repr(child)
    assert "correct horse" not in repr(lab.west_config)


def rule(action=Action.PROTECT, child="net", **more):
    return PolicyRule("r", action, net("10.1.0.0/16"), net("10.2.0.0/16"), child=child, **more)


def test_a_rule_covers_traffic_within_both_selectors():
    assert rule().covers(*net("10.1.1.0/24"), *net("10.2.0.1/32"))
    assert not rule().covers(*net("10.1.1.0/24"), *net("10.3.0.1/32"))
    assert not rule().covers(*net("10.0.0.0/8"), *net("10.2.0.1/32"))


@pytest.mark.parametrize(
    ("build", "reason"),
    [
        (lambda: rule(child=None), "child SA goes with protect"),
        (lambda: rule(Action.BYPASS), "child SA goes with protect"),
        (lambda: rule(priority=-1), "below 0"),
        (lambda: PolicyRule("r", Action.DISCARD, (), ()), "needs a local"),
    ],
)
def test_contradictory_rules_are_refused_with_the_reason(build, reason):
    with pytest.raises(PolicyError, match=reason):
        build()
