"""Revocation lists: RFC 5280 6.3, RFC 4945 5.2."""

from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from ike_lab import TODAY
from pki_lab import DAY, authority, host, revocation_list, usage

from p4esp.ike.auth.path import CertificateError
from p4esp.ike.auth.revocation import Revocation

ROOT = authority("crl root")
MIDDLE = authority("crl middle", ROOT)
END, OTHER = host("end", MIDDLE), host("other", MIDDLE)
CHAIN = tuple(party.certificate for party in (END, MIDDLE, ROOT))
CLEAN = revocation_list(ROOT), revocation_list(MIDDLE, OTHER)


def check(*lists, strict=True, now=TODAY):
    Revocation(lambda: lists, strict).check(CHAIN, now)


def refused(why, *lists, **more):
    with pytest.raises(CertificateError, match=why):
        check(*lists, **more)


@pytest.mark.parametrize("strict", [True, False])
def test_a_chain_that_no_list_names_is_good(strict):
    check(*CLEAN, strict=strict)


@pytest.mark.parametrize("strict", [True, False])
def test_a_host_or_a_ca_that_was_revoked_is_refused(strict):
    refused("CN=end.* was revoked", CLEAN[0], revocation_list(MIDDLE, END), strict=strict)
    refused("CN=crl middle.* was revoked", CLEAN[1], revocation_list(ROOT, MIDDLE), strict=strict)


def test_strict_demands_a_list_of_every_ca_and_soft_none():
    refused("no current CRL of .*crl root.* covers .*crl middle", CLEAN[1])
    refused("no current CRL of .*crl middle.* covers .*end", CLEAN[0])
    check(strict=False)


STALE = {"start": TODAY - 3 * DAY, "stop": TODAY - timedelta(seconds=1)}
EARLY = {"start": TODAY + timedelta(seconds=1), "stop": TODAY + DAY}


@pytest.mark.parametrize("dates", [STALE, EARLY], ids=["stale", "not yet"])
def test_a_list_out_of_its_time_covers_nothing_but_still_revokes(dates):
    refused("no current CRL", CLEAN[0], revocation_list(MIDDLE, **dates))
    check(CLEAN[0], revocation_list(MIDDLE, **dates), strict=False)
    refused("was revoked", revocation_list(MIDDLE, END, **dates), strict=False)


def test_a_newer_list_beside_a_stale_one_is_enough():
    check(*CLEAN, revocation_list(MIDDLE, **STALE))


def test_a_list_that_its_issuer_did_not_sign_says_nothing():
    forged = revocation_list(MIDDLE, END, signer=OTHER)
    refused("no current CRL", CLEAN[0], forged)
    check(*CLEAN, forged)


def test_a_list_with_a_weak_signature_clears_nobody_and_still_refuses():
    """Whoever forges it must gain nothing; whom it names must not gain either."""
    weak = {"digest": hashes.SHA224()}
    refused("no current CRL", CLEAN[0], revocation_list(MIDDLE, **weak))
    refused("was revoked", CLEAN[0], revocation_list(MIDDLE, END, **weak), strict=False)


def test_a_list_of_another_issuer_says_nothing():
    twin = authority("crl twin")
    refused("no current CRL of .*crl middle", CLEAN[0], revocation_list(twin, END))


def test_a_ca_that_may_not_sign_lists_has_none():
    """RFC 5280 6.3.3 (f)."""
    mute = authority("mute", ROOT, extensions=((usage("key_cert_sign"), True),))
    end = host("under mute", mute)
    chain = tuple(party.certificate for party in (end, mute, ROOT))
    with pytest.raises(CertificateError, match=r"no current CRL of .*mute"):
        Revocation(lambda: (revocation_list(mute, end), CLEAN[0])).check(chain, TODAY)


def test_a_delta_list_is_not_used():
    """RFC 4945 5.2.2.4.1."""
    delta = ((x509.DeltaCRLIndicator(1), True),)
    refused("no current CRL", CLEAN[0], revocation_list(MIDDLE, END, extensions=delta))
    check(*CLEAN, revocation_list(MIDDLE, END, extensions=delta))


def distribution(**more):
    values = {
        "full_name": None,
        "relative_name": None,
        "only_contains_user_certs": False,
        "only_contains_ca_certs": False,
        "only_some_reasons": None,
        "indirect_crl": False,
        "only_contains_attribute_certs": False,
    }
    return ((x509.IssuingDistributionPoint(**{**values, **more}), True),)


def test_a_partial_list_covers_nothing_but_still_revokes():
    """RFC 4945 5.2.1: what any trusted source says was revoked, was."""
    part = distribution(only_contains_user_certs=True)
    refused("no current CRL", CLEAN[0], revocation_list(MIDDLE, extensions=part))
    refused("was revoked", *CLEAN, revocation_list(MIDDLE, END, extensions=part))


def test_an_indirect_list_is_not_used():
    """Its entries may be about another CA's certificates (RFC 5280 5.2.5)."""
    indirect = distribution(indirect_crl=True)
    check(*CLEAN, revocation_list(MIDDLE, END, extensions=indirect))


def test_lists_are_asked_for_anew_each_time():
    current = list(CLEAN)
    rule = Revocation(lambda: current)
    rule.check(CHAIN, TODAY)
    current[1] = revocation_list(MIDDLE, END)
    with pytest.raises(CertificateError, match="was revoked"):
        rule.check(CHAIN, TODAY)
