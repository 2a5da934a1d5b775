"""Agreeing on every kind of suite, and what may not be agreed on (RFC 8247, RFC 7296 2.10)."""

import pytest
from ike_lab import Lab, east_config, west_config

from p4esp.ike.codec.proposal import Transform
from p4esp.ike.config import DEFAULT_IKE
from p4esp.ike.crypto.curves import X25519
from p4esp.ike.crypto.methods import KEY_EXCHANGES, TOO_LARGE_FOR_INIT
from p4esp.ike.crypto.schedule import Nonces
from p4esp.ike.errors import ParseError
from p4esp.ike.establish import derive_keys
from p4esp.ike.events import ChildUp, IkeEstablished
from p4esp.ike.proposals import Template, offers


def connected(text):
    """A lab whose ends know one proposal."""
    proposals = (Template.ike(text, allow_weak=True),)
    lab = Lab(west_config(proposals=proposals), east_config(proposals=proposals))
    lab.connect()
    return lab


@pytest.mark.parametrize(
    "method", sorted({method.name for method in KEY_EXCHANGES.values()} - TOO_LARGE_FOR_INIT)
)
def test_every_key_exchange_method_makes_an_ike_sa(method):
    lab = connected(f"aes128gcm16-prfsha256-{method}")
    assert lab.west.one(IkeEstablished).ike.suite == f"aes128gcm16-prfsha256-{method}"
    assert lab.east.one(ChildUp)


@pytest.mark.parametrize("prf", ["prfsha256", "prfsha384", "prfsha512", "prfsha1"])
def test_every_prf_makes_an_ike_sa_with_keys_of_its_size(prf):
    lab = connected(f"aes256-sha384-{prf}-x25519")
    *_, suite, keys = lab.west.keys[0]
    assert (len(keys.d), len(keys.pi), len(keys.pr)) == (suite.prf.size,) * 3
    assert (len(keys.ai), len(keys.ei)) == (48, 32)
    assert lab.east.one(IkeEstablished)


def test_the_prf_of_the_integrity_algorithm_is_meant_when_none_is_named():
    assert Template.ike("aes256-sha512-x25519") == Template.ike("aes256-sha512-x25519-prfsha512")


def test_the_default_ike_proposals_hold_what_rfc_8247_says_must_be_there():
    named = {transform for template in DEFAULT_IKE for transform in template.transforms}
    cbc = {Transform.of(1, 12, bits) for bits in (128, 256)}
    gcm = {Transform.of(1, 20, bits) for bits in (128, 256)}
    assert cbc | gcm | {Transform(2, 5), Transform(3, 12), Transform(4, 14)} <= named


def test_the_first_guess_is_the_method_most_preferred():
    lab = Lab()
    lab.connect()
    request = lab.wire[0][1].data
    assert X25519.transform_id.to_bytes(2, "big") + bytes(2) in request
    assert len(request) < 600


def test_33_a_nonce_shorter_than_half_the_prfs_key_is_refused():
    (chosen,) = offers([Template.ike("aes128gcm16-prfsha512-x25519")])
    for short in (Nonces(bytes(31), bytes(32)), Nonces(bytes(32), bytes(16))):
        with pytest.raises(ParseError, match="must be 32 with prfsha512"):
            derive_keys(None, chosen, short, b"secret")
