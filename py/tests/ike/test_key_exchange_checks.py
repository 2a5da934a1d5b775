"""Public values that RFC 6989, RFC 7748 and RFC 8031 tell us to refuse (cases 28, 30, 31)."""

import os

import pytest

from p4esp.ike.crypto.keyexchange import KEY_EXCHANGES, X25519, Ecp256
from p4esp.ike.errors import KeyExchangeError

P256 = 0xFFFFFFFF00000001000000000000000000000000FFFFFFFFFFFFFFFFFFFFFFFF
P25519 = 2**255 - 19
SMALL_ORDER = [
    0,
    1,
    325606250916557431795983626356110631294008115727848805560023387167927233504,
    39382357235489614581723060781553021112529911719440698176882885853963445705823,
    P25519 - 1,
    P25519,
    P25519 + 1,
]
"""Points of small order, encodings of curve25519's twist included (RFC 7748 6.1, RFC 8031 5)."""


@pytest.mark.parametrize("method", KEY_EXCHANGES.values(), ids=lambda m: m.name)
def test_both_sides_agree_and_never_reuse_a_key(method):
    a, b = method(os.urandom), method(os.urandom)
    assert a.public != b.public
    assert len(a.public) == method.public_size
    assert a.shared_secret(b.public) == b.shared_secret(a.public)


@pytest.mark.parametrize("method", KEY_EXCHANGES.values(), ids=lambda m: m.name)
@pytest.mark.parametrize("change", [-1, 1, None])
def test_28_a_public_value_of_wrong_length_is_refused(method, change):
    size = 0 if change is None else method.public_size + change
    with pytest.raises(KeyExchangeError, match=f"{size} octets, must be {method.public_size}"):
        method(os.urandom).shared_secret(bytes(size))


@pytest.mark.parametrize("u", SMALL_ORDER)
def test_31_x25519_refuses_an_all_zero_secret(u):
    with pytest.raises(KeyExchangeError):
        X25519(os.urandom).shared_secret(u.to_bytes(32, "little"))


def test_31_x25519_accepts_non_canonical_values_and_ignores_the_top_bit():
    ours = X25519(lambda _: bytes(range(32)))
    nine = ours.shared_secret((9).to_bytes(32, "little"))
    assert ours.shared_secret((9 + 2**255).to_bytes(32, "little")) == nine
    assert ours.shared_secret((P25519 + 9).to_bytes(32, "little")) == nine


def compressed(point):
    return b"\x02" + point[:32] + bytes(31)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda p: bytes(64),
        lambda p: p[:63] + bytes([p[63] ^ 1]),
        lambda p: P256.to_bytes(32, "big") + p[32:],
        lambda p: (b"\xff" * 32) + p[32:],
        lambda p: b"\x04" + p[:63],
        compressed,
    ],
    ids=["infinity", "off-curve", "x=p", "x>p", "uncompressed-prefix", "compressed"],
)
def test_30_ecp256_refuses_what_is_no_point_of_the_curve(spoil):
    point = Ecp256(os.urandom).public
    with pytest.raises(KeyExchangeError):
        Ecp256(os.urandom).shared_secret(spoil(point))
