"""Key exchange methods against RFC 5903, and groups against the formula of RFC 3526."""

import pytest

from p4esp.ike.crypto.curves import Ecp256, Ecp384, Ecp521
from p4esp.ike.crypto.modp import Modp1024, Modp1536, Modp2048, Modp3072, Modp4096

h = bytes.fromhex

RFC_5903 = {
    Ecp256: (
        "c88f01f510d9ac3f70a292daa2316de544e9aab8afe84049c62a9c57862d1433",
        "c6ef9c5d78ae012a011164acb397ce2088685d8f06bf9be0b283ab46476bee53",
        "dad0b65394221cf9b051e1feca5787d098dfe637fc90b9ef945d0c3772581180"
        "5271a0461cdb8252d61f1c456fa3e59ab1f45b33accf5f58389e0577b8990bb3",
        "d6840f6b42f6edafd13116e0e12565202fef8e9ece7dce03812464d04b9442de",
    ),
    Ecp384: (
        "099f3c7034d4a2c699884d73a375a67f7624ef7c6b3c0f160647b67414dce655e35b538041e649ee3faef896"
        "783ab194",
        "41cb0779b4bdb85d47846725fbec3c9430fab46cc8dc5060855cc9bda0aa2942e0308312916b8ed2960e4bd5"
        "5a7448fc",
        "667842d7d180ac2cde6f74f37551f55755c7645c20ef73e31634fe72b4c55ee6de3ac808acb4bdb4c88732ae"
        "e95f41aa9482ed1fc0eeb9cafc4984625ccfc23f65032149e0e144ada024181535a0f38eeb9fcff3c2c947da"
        "e69b4c634573a81c",
        "11187331c279962d93d604243fd592cb9d0a926f422e47187521287e7156c5c4d603135569b9e9d09cf5d4a2"
        "70f59746",
    ),
    Ecp521: (
        "0037ade9319a89f4dabdb3ef411aaccca5123c61acab57b5393dce47608172a095aa85a30fe1c2952c6771d9"
        "37ba9777f5957b2639bab072462f68c27a57382d4a52",
        "0145ba99a847af43793fdd0e872e7cdfa16be30fdc780f97bccc3f078380201e9c677d600b343757a3bdbf2a"
        "3163e4c2f869cca7458aa4a4effc311f5cb151685eb9",
        "0015417e84dbf28c0ad3c278713349dc7df153c897a1891bd98bab4357c9ecbee1e3bf42e00b8e380aeae57c"
        "2d107564941885942af5a7f4601723c4195d176ced3e017cae20b6641d2eeb695786d8c946146239d099e18e"
        "1d5a514c739d7cb4a10ad8a788015ac405d7799dc75e7b7d5b6cf2261a6a7f1507438bf01beb6ca3926f9582",
        "01144c7d79ae6956bc8edb8e7c787c4521cb086fa64407f97894e5e6b2d79b04d1427e73ca4baa240a347868"
        "59810c06b3c715a3a8cc3151f2bee417996d19f3ddea",
    ),
}
"""Method: private keys i and r, public value of i as x | y, x of the shared point."""

OFFSETS = {Modp2048: 124476, Modp3072: 1690314, Modp4096: 240904, Modp1536: 741804}


def fixed(scalar):
    """A random source from which the method draws this private key."""
    return lambda size: (int(scalar, 16) - 1).to_bytes(size, "big")


@pytest.mark.parametrize("method", RFC_5903, ids=lambda m: m.name)
def test_ecp_groups_of_rfc_5903(method):
    i, r, public, shared = RFC_5903[method]
    initiator, responder = method(fixed(i)), method(fixed(r))
    assert initiator.public == h(public)
    assert initiator.shared_secret(responder.public) == h(shared)
    assert method.respond(fixed(r), h(public)) == (responder.public, h(shared))


def pi_scaled(bits):
    """floor(pi * 2**bits), by Machin's formula."""
    one = 1 << (bits + 64)

    def arctan_of_inverse(x):
        term = total = one // x
        divisor, sign = 1, 1
        while term:
            term //= x * x
            divisor, sign = divisor + 2, -sign
            total += sign * (term // divisor)
        return total

    return 4 * (4 * arctan_of_inverse(5) - arctan_of_inverse(239)) >> 64


def safe_prime(bits, offset):
    """The form RFC 3526 gives its primes (RFC 2409 6.2 has the same for 1024 bits)."""
    return 2**bits - 2 ** (bits - 64) - 1 + 2**64 * (pi_scaled(bits - 130) + offset)


@pytest.mark.parametrize(("group", "offset"), [*OFFSETS.items(), (Modp1024, 129093)])
def test_modp_primes_are_those_the_formula_of_rfc_3526_yields(group, offset):
    assert group.prime == safe_prime(8 * group.public_size, offset)


@pytest.mark.parametrize("group", [Modp2048, Modp3072, Modp4096], ids=lambda m: m.name)
def test_a_modp_secret_is_the_peers_value_to_the_power_of_ours_as_long_as_the_prime(group):
    ours = group(bytes)
    exponent = ours._private.private_numbers().x
    assert int.from_bytes(ours.public, "big") == pow(2, exponent, group.prime)
    peer = pow(2, 0xC0FFEE, group.prime)
    secret = ours.shared_secret(peer.to_bytes(group.public_size, "big"))
    assert secret == pow(peer, exponent, group.prime).to_bytes(group.public_size, "big")


def test_leading_zeros_of_a_modp_secret_are_kept():
    ours, size = Modp1024(bytes), Modp1024.public_size
    exponent = ours._private.private_numbers().x
    for peer in range(2, 5000):
        expected = pow(peer, exponent, Modp1024.prime)
        if expected >> (8 * (size - 1)) == 0:
            break
    secret = ours.shared_secret(peer.to_bytes(size, "big"))
    assert secret == expected.to_bytes(size, "big")
    assert secret[0] == 0
