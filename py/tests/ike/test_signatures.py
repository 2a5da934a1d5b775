"""Signatures in AUTH: RFC 7427 method 14, RFC 8420 Ed25519, RFC 4754 ECDSA, RSA (cases 56, 57)."""

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from pki_lab import private_key

from p4esp.ike.auth.keys import UnusableKeyError, own_schemes, usable_private
from p4esp.ike.auth.schemes import RSA_SHA1, SCHEMES, STRONG, SignatureError
from p4esp.ike.auth.signatures import sign, sign_the_old_way, verify
from p4esp.ike.codec.payloads import Authentication

OCTETS = b"RealMessage1 | NonceRData | MACedIDForI"
ALL_HASHES = (1, 2, 3, 4, 5)

RFC_NAMES = {
    "rsa-sha1": "300d06092a864886f70d0101050500",
    "rsa-sha256": "300d06092a864886f70d01010b0500",
    "rsa-sha384": "300d06092a864886f70d01010c0500",
    "rsa-sha512": "300d06092a864886f70d01010d0500",
    "ecdsa-sha256": "300a06082a8648ce3d040302",
    "ecdsa-sha384": "300a06082a8648ce3d040303",
    "ecdsa-sha512": "300a06082a8648ce3d040304",
    "ed25519": "300506032b6570",
    "rsa-pss-sha256": "304106092a864886f70d01010a3034a00f300d06096086480165030402010500"
    "a11c301a06092a864886f70d010108300d06096086480165030402010500a203020120",
    "rsa-pss-sha384": "304106092a864886f70d01010a3034a00f300d06096086480165030402020500"
    "a11c301a06092a864886f70d010108300d06096086480165030402020500a203020130",
    "rsa-pss-sha512": "304106092a864886f70d01010a3034a00f300d06096086480165030402030500"
    "a11c301a06092a864886f70d010108300d06096086480165030402030500a203020140",
}
"""RFC 7427 appendix A and RFC 8420 appendix A; the PSS ones without the trailer field."""

RFC_PSS_EXAMPLE = bytes.fromhex(
    "304606092a864886f70d01010a3039a00f300d06096086480165030402010500a11c301a06092a864886f70d"
    "010108300d06096086480165030402010500a203020120a303020101"
)
"""RFC 7427 A.4.3, with the trailer field."""

KINDS = {"rsa": "rsa", "ecdsa": "p256", "ed25519": "ed25519"}


def key_for(scheme):
    return private_key(KINDS[scheme.name.split("-", maxsplit=1)[0]])


def named(name, signature):
    return Authentication(14, bytes([len(name)]) + name + signature)


@pytest.mark.parametrize("name", RFC_NAMES)
def test_algorithm_identifiers_are_those_of_the_rfc(name):
    assert SCHEMES[name].identifiers[0].hex() == RFC_NAMES[name]
    assert set(SCHEMES) == set(RFC_NAMES)


@pytest.mark.parametrize("scheme", STRONG, ids=str)
def test_every_scheme_verifies_what_it_signed(scheme):
    key = key_for(scheme)
    auth = sign(key, OCTETS, [scheme], ALL_HASHES)
    assert auth.data.startswith(bytes([len(scheme.identifiers[0])]) + scheme.identifiers[0])
    verify(auth, key.public_key(), OCTETS, STRONG)


@pytest.mark.parametrize("scheme", STRONG, ids=str)
def test_a_signature_over_another_transcript_is_refused(scheme):
    key = key_for(scheme)
    auth = sign(key, OCTETS, [scheme], ALL_HASHES)
    with pytest.raises(SignatureError, match="does not verify"):
        verify(auth, key.public_key(), OCTETS + b"\0", STRONG)


def test_both_forms_of_pss_parameters_are_taken():
    """RFC 4055 3.1: the trailer field may be there; RFC 4055 2.1: NULL may be missing."""
    key = private_key("rsa")
    signature = key.sign(OCTETS, padding.PSS(padding.MGF1(hashes.SHA256()), 32), hashes.SHA256())
    forms = SCHEMES["rsa-pss-sha256"].identifiers
    assert RFC_PSS_EXAMPLE in forms
    for form in forms:
        verify(named(form, signature), key.public_key(), OCTETS, STRONG)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("300d06092a864886f70d01010a3000", "empty PSS parameters mean SHA-1 (RFC 7427 A.4.1)"),
        ("300b06092a864886f70d01010a", "no PSS parameters"),
        (RFC_NAMES["rsa-pss-sha256"].replace("a203020120", "a203020114"), "salt of 20 octets"),
        (RFC_NAMES["rsa-sha1"], "SHA-1 is weak"),
        ("300c06082a8648ce3d0403020500", "ECDSA with NULL parameters (RFC 5758 3.2)"),
        ("", "nothing"),
        ("3081", "cut short"),
    ],
)
def test_other_algorithm_identifiers_are_refused_by_their_octets(name, why):
    key = private_key("rsa")
    signature = key.sign(OCTETS, padding.PSS(padding.MGF1(hashes.SHA256()), 32), hashes.SHA256())
    with pytest.raises(SignatureError, match="accepted: ed25519, ecdsa-sha256"):
        verify(named(bytes.fromhex(name), signature), key.public_key(), OCTETS, STRONG)


def test_a_salt_of_another_length_than_the_hash_does_not_verify():
    key = private_key("rsa")
    signature = key.sign(OCTETS, padding.PSS(padding.MGF1(hashes.SHA256()), 20), hashes.SHA256())
    auth = named(SCHEMES["rsa-pss-sha256"].identifiers[0], signature)
    with pytest.raises(SignatureError, match="rsa-pss-sha256 signature does not verify"):
        verify(auth, key.public_key(), OCTETS, STRONG)


@pytest.mark.parametrize("size", [0, 1, 14, 16, 255])
def test_an_asn1_length_that_lies_finds_no_algorithm(size):
    name = SCHEMES["rsa-sha256"].identifiers[0]
    data = bytes([size]) + name
    with pytest.raises(SignatureError, match="signature algorithm"):
        verify(Authentication(14, data), private_key("rsa").public_key(), OCTETS, STRONG)


def test_no_auth_data_at_all_finds_no_algorithm():
    with pytest.raises(SignatureError, match="signature algorithm"):
        verify(Authentication(14, b""), private_key("rsa").public_key(), OCTETS, STRONG)


@pytest.mark.parametrize("claimed", ["rsa-sha256", "rsa-pss-sha512", "ecdsa-sha256"])
def test_an_ed25519_key_under_another_algorithms_name_is_refused(claimed):
    key = private_key("ed25519")
    auth = named(SCHEMES[claimed].identifiers[0], key.sign(OCTETS))
    with pytest.raises(SignatureError, match=f"{claimed} does not go with a"):
        verify(auth, key.public_key(), OCTETS, STRONG)


@pytest.mark.parametrize("kind", ["rsa", "p256"])
def test_another_key_under_the_name_of_ed25519_is_refused(kind):
    auth = named(SCHEMES["ed25519"].identifiers[0], bytes(64))
    with pytest.raises(SignatureError, match="ed25519 does not go with a"):
        verify(auth, private_key(kind).public_key(), OCTETS, STRONG)


def test_a_scheme_that_the_configuration_leaves_out_is_refused():
    key = private_key("rsa")
    auth = sign(key, OCTETS, [SCHEMES["rsa-sha256"]], ALL_HASHES)
    with pytest.raises(SignatureError, match="accepted: rsa-pss-sha256"):
        verify(auth, key.public_key(), OCTETS, [SCHEMES["rsa-pss-sha256"]])


@pytest.mark.parametrize(
    ("kind", "announced", "chosen"),
    [
        ("rsa", (2, 3, 4, 5), "rsa-pss-sha256"),
        ("rsa", (4,), "rsa-pss-sha512"),
        ("p384", (2, 3, 4), "ecdsa-sha384"),
        ("p384", (2,), "ecdsa-sha256"),
        ("p521", (2, 3, 4), "ecdsa-sha512"),
        ("ed25519", (2, 5), "ed25519"),
    ],
)
def test_we_sign_with_a_hash_that_the_peer_announced(kind, announced, chosen):
    """RFC 7427 4."""
    key = private_key(kind)
    auth = sign(key, OCTETS, own_schemes(key), announced)
    assert auth.data[1:].startswith(SCHEMES[chosen].identifiers[0])
    verify(auth, key.public_key(), OCTETS, STRONG)


@pytest.mark.parametrize(
    ("kind", "announced"), [("ed25519", (2, 3, 4)), ("rsa", (1, 5)), ("rsa", ())]
)
def test_without_a_common_hash_nothing_is_signed(kind, announced):
    """RFC 8420 2: never EdDSA for who did not announce Identity."""
    key = private_key(kind)
    with pytest.raises(SignatureError, match="the peer announced no hash of ours"):
        sign(key, OCTETS, own_schemes(key), announced)


@pytest.mark.parametrize(
    ("kind", "method", "size"), [("p256", 9, 64), ("p384", 10, 96), ("p521", 11, 132)]
)
def test_57_the_old_ecdsa_methods_carry_r_and_s(kind, method, size):
    """RFC 4754 7."""
    key = private_key(kind)
    auth = sign_the_old_way(key, OCTETS, own_schemes(key))
    assert (auth.method, len(auth.data)) == (method, size)
    verify(auth, key.public_key(), OCTETS, STRONG)
    r, s = (int.from_bytes(auth.data[at : at + size // 2], "big") for at in (0, size // 2))
    digest = {9: hashes.SHA256(), 10: hashes.SHA384(), 11: hashes.SHA512()}[method]
    key.public_key().verify(encode_dss_signature(r, s), OCTETS, ec.ECDSA(digest))


RFC_4754 = {
    9: (
        ec.SECP256R1(),
        "2442a5cc0ecd015fa3ca31dc8e2bbc70bf42d60cbca20085e0822cb04235e970",
        "6fc98bd7e50211a4a27102fa3549df79ebcb4bf246b80945cddfe7d509bbfd7d",
        "cb28e0999b9c7715fd0a80d8e47a77079716cbbf917dd72e97566ea1c066957c",
        "86fa3bb4e26cad5bf90b7f81899256ce7594bb1ea0c89212748bff3b3d5b0315",
    ),
    10: (
        ec.SECP384R1(),
        "96281bf8dd5e0525ca049c048d345d3082968d10fedf5c5aca0c64e6465a97ea5ce10c9dfec21797"
        "415710721f437922",
        "447688ba94708eb6e2e4d59f6ab6d7edff9301d249fe49c33096655f5d502fad3d383b91c5e7edaa"
        "2b714cc99d5743ca",
        "fb017b914e29149432d8bac29a514640b46f53ddab2c69948084e2930f1c8f7e08e07c9c63f2d21a"
        "07dcb56a6af56eb3",
        "b263a1305e057f984d38726a1b46874109f417bca112674c528262a40a629af1cbb9f516ce0fa7d2"
        "ff630863a00e8b9f",
    ),
    11: (
        ec.SECP521R1(),
        "0151518f1af0f563517edd5485190df95a4bf57b5cba4cf2a9a3f6474725a35f7afe0a6ddeb8bedb"
        "cd6a197e592d40188901cecd650699c9b5e456aea5add19052a8",
        "006f3b142ea1bfff7e2837ad44c9e4ff6d2d34c73184bbad90026dd5e6e85317d9df45cad7803c6c"
        "20035b2f3ff63aff4e1ba64d1c077577da3f4286c58f0aeae643",
        "0154fd3836af92d0dca57dd5341d3053988534fde8318fc6aaaab68e2e6f4339b19f2f281a7e0b22"
        "c269d93cf8794a9278880ed7dbb8d9362caeacee544320552251",
        "017705a7030290d1ceb605a9a1bb03ff9cdd521e87a696ec926c8c10c8362df4975367101f67d1cf"
        "9bccbf2f3d239534fa509e70aac851ae01aac68d62f866472660",
    ),
}
"""Curve, public point x and y, and the signature r and s of the text abc (RFC 4754 8)."""


@pytest.mark.parametrize("method", RFC_4754)
def test_57_the_signatures_of_rfc_4754_verify(method):
    curve, x, y, r, s = RFC_4754[method]
    key = ec.EllipticCurvePublicNumbers(int(x, 16), int(y, 16), curve).public_key()
    auth = Authentication(method, bytes.fromhex(r + s))
    verify(auth, key, b"abc", STRONG)
    with pytest.raises(SignatureError, match="does not verify"):
        verify(auth, key, b"abd", STRONG)


@pytest.mark.parametrize("encode", [lambda der: der, lambda der: bytes(64), lambda der: bytes(63)])
def test_57_a_der_signature_or_zeros_under_an_old_method_are_refused(encode):
    key = private_key("p256")
    der = key.sign(OCTETS, ec.ECDSA(hashes.SHA256()))
    with pytest.raises(SignatureError):
        verify(Authentication(9, encode(der)), key.public_key(), OCTETS, STRONG)


def test_57_a_raw_signature_under_method_14_is_refused():
    key = private_key("p256")
    raw = sign_the_old_way(key, OCTETS, own_schemes(key)).data
    auth = named(SCHEMES["ecdsa-sha256"].identifiers[0], raw)
    with pytest.raises(SignatureError, match="does not verify"):
        verify(auth, key.public_key(), OCTETS, STRONG)


@pytest.mark.parametrize("kind", ["p384", "rsa", "ed25519"])
def test_57_an_old_ecdsa_method_goes_with_its_curve_only(kind):
    with pytest.raises(SignatureError, match="does not go with"):
        verify(Authentication(9, bytes(64)), private_key(kind).public_key(), OCTETS, STRONG)


def test_method_1_is_taken_with_every_accepted_hash_and_with_sha1_only_by_name():
    """RFC 7296 3.8; RFC 8247 3.2: SHA-1 must not be used."""
    key = private_key("rsa")
    strong = sign_the_old_way(key, OCTETS, own_schemes(key))
    weak = sign_the_old_way(key, OCTETS, [RSA_SHA1])
    verify(strong, key.public_key(), OCTETS, STRONG)
    with pytest.raises(SignatureError, match="method 1 does not verify; accepted: rsa-sha256"):
        verify(weak, key.public_key(), OCTETS, STRONG)
    verify(weak, key.public_key(), OCTETS, [*STRONG, RSA_SHA1])


def test_ed25519_cannot_be_used_with_a_peer_that_knows_no_rfc_7427():
    key = private_key("ed25519")
    with pytest.raises(SignatureError, match="knows no RFC 7427"):
        sign_the_old_way(key, OCTETS, own_schemes(key))


@pytest.mark.parametrize(
    "key", [ec.generate_private_key(ec.SECP256K1()), ec.generate_private_key(ec.SECP224R1())]
)
def test_keys_on_other_curves_are_not_used(key):
    with pytest.raises(UnusableKeyError, match="accepted: RSA of 2048"):
        usable_private(key)
