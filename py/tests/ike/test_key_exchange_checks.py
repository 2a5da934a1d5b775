"""Public values that RFC 6989, RFC 7748 and RFC 8031 tell us to refuse (cases 28, 30, 31)."""

import os

import pytest

from p4esp.ike.crypto.curves import X25519, Ecp256, Ecp384, Ecp521
from p4esp.ike.crypto.methods import KEY_EXCHANGES
from p4esp.ike.crypto.modp import Modp1024, Modp1536, Modp2048, Modp3072, Modp4096
from p4esp.ike.errors import KeyExchangeError

FIELDS = {
    Ecp256: 2**256 - 2**224 + 2**192 + 2**96 - 1,
    Ecp384: 2**384 - 2**128 - 2**96 + 2**32 - 1,
    Ecp521: 2**521 - 1,
}
"""The primes of the curves (FIPS 186-4 D.1.2)."""
MODP = [Modp1024, Modp1536, Modp2048, Modp3072, Modp4096]
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
    ours = method(os.urandom)
    first, second = (method.respond(os.urandom, ours.public) for _ in range(2))
    assert ours.public != method(os.urandom).public
    assert len(ours.public) == method.public_size
    assert ours.shared_secret(first.public) == first.secret
    assert first.public != second.public
    assert first.secret != second.secret


@pytest.mark.parametrize("method", KEY_EXCHANGES.values(), ids=lambda m: m.name)
@pytest.mark.parametrize("change", [-1, 1, None])
def test_28_a_public_value_of_wrong_length_is_refused(method, change):
    size = 0 if change is None else method.public_size + change
    reason = f"{size} octets, must be {method.public_size}"
    with pytest.raises(KeyExchangeError, match=reason):
        method.respond(os.urandom, bytes(size))


@pytest.mark.parametrize("method", KEY_EXCHANGES.values(), ids=lambda m: m.name)
@pytest.mark.parametrize("change", [-1, 1, None])
def test_28_an_answer_of_wrong_length_is_refused(method, change):
    right = method.answer_size or method.public_size
    size = 0 if change is None else right + change
    with pytest.raises(KeyExchangeError, match=f"{size} octets, must be {right}"):
        method(os.urandom).shared_secret(bytes(size))


@pytest.mark.parametrize("group", MODP, ids=lambda m: m.name)
def test_29_modp_values_outside_1_and_p_minus_1_are_refused_and_2_is_not(group):
    p, size = group.prime, group.public_size
    ours = group(os.urandom)
    for value in (0, 1, p - 1, p, p + 1, 256**size - 1):
        with pytest.raises(KeyExchangeError, match="not acceptable"):
            ours.shared_secret(value.to_bytes(size, "big"))
    assert len(ours.shared_secret((2).to_bytes(size, "big"))) == size


@pytest.mark.parametrize("u", SMALL_ORDER)
def test_31_x25519_refuses_an_all_zero_secret(u):
    with pytest.raises(KeyExchangeError):
        X25519(os.urandom).shared_secret(u.to_bytes(32, "little"))


def test_31_x25519_accepts_non_canonical_values_and_ignores_the_top_bit():
    ours = X25519(lambda _: bytes(range(32)))
    nine = ours.shared_secret((9).to_bytes(32, "little"))
    assert ours.shared_secret((9 + 2**255).to_bytes(32, "little")) == nine
    assert ours.shared_secret((P25519 + 9).to_bytes(32, "little")) == nine


def halves(point):
    return point[: len(point) // 2], point[len(point) // 2 :]


@pytest.mark.parametrize("curve", FIELDS, ids=lambda m: m.name)
@pytest.mark.parametrize(
    "spoil",
    [
        lambda x, y, p: bytes(len(x + y)),
        lambda x, y, p: x + y[:-1] + bytes([y[-1] ^ 1]),
        lambda x, y, p: p + y,
        lambda x, y, p: x + p,
        lambda x, y, p: b"\xff" * len(x) + y,
        lambda x, y, p: b"\x04" + x + y[:-1],
        lambda x, y, p: b"\x02" + x + bytes(len(y) - 1),
    ],
    ids=["infinity", "off-curve", "x=p", "y=p", "x>p", "uncompressed-prefix", "compressed"],
)
def test_30_ecp_groups_refuse_what_is_no_point_of_the_curve(curve, spoil):
    x, y = halves(curve(os.urandom).public)
    prime = FIELDS[curve].to_bytes(len(x), "big")
    with pytest.raises(KeyExchangeError):
        curve(os.urandom).shared_secret(spoil(x, y, prime))
