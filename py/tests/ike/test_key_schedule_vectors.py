"""The key schedule against NIST CAVP vectors, RFC vectors and the digest's composite vectors."""

from ipaddress import ip_address

import pytest

from p4esp.ike.codec.header import Header
from p4esp.ike.codec.message import open_message, parse_message, seal_message
from p4esp.ike.codec.payloads import Delete, IdInitiator
from p4esp.ike.constants import ProtocolId
from p4esp.ike.crypto.auth import shared_key_auth, signed_octets
from p4esp.ike.crypto.ciphers import AeadCipher
from p4esp.ike.crypto.curves import X25519, Ecp256
from p4esp.ike.crypto.prf import (
    HMAC_SHA1,
    HMAC_SHA2_256,
    HMAC_SHA2_384,
    HMAC_SHA2_512,
)
from p4esp.ike.crypto.schedule import (
    FreshInput,
    Nonces,
    child_keymat,
    child_keys,
    ike_keys,
    rekeyed_skeyseed,
    skeyseed,
)
from p4esp.ike.nat import nat_hash
from p4esp.ike.path import UdpAddress
from p4esp.ipsec.algorithms import AES128_GCM, AES256_GCM, SUITES
from p4esp.ipsec.identity import Identity

h = bytes.fromhex

CAVP_SHA1 = {
    "ni": "32b50d5f4a3763f3",
    "nr": "9206a04b26564cb1",
    "spis": "34c9e7c1888687853ff77d760d2b2199",
    "secret": "4b2c1f971981a8ad8d0abeafabf38cf75fc8349c148142465ed9c8b516b8be52",
    "new_secret": "863f3c9d06efd39d2b907b97f8699e5dd5251ef64a2a176f36ee40c87d4f9330",
    "skeyseed": "a9a7b222b59f8f48645f28a1db5b5f5d7479cba7",
    "dkm": "a14293677cc80ff8f9cc0eee30d895da9d8f405666e30ef0dfcb63c634a46002a2a63080e514a062768b76"
    "606f9fa5e992204fc5a670bde3f10d6b027113936a5c55b648a194ae587b0088d52204b702c979fa280870d2ed41ef"
    "a9c549fd11198af1670b143d384bd275c5f594cf266b05ebadca855e4249520a441a81157435a7a56cc4",
    "rekeyed": "63e81194946ebd05df7df5ebf5d8750056bf1f1d",
    "child": "8059e3ee8810e6c3a91bc8bcd2a7a41151b8d0e6ae239c7b38093ad85ef4c5811a8e7b5d1cdabd9560b2"
    "d5e092d1f24e2d4b85eccdf0ad0dc9abd94b51ee71814ca6dbc8bb51b6309f5b9545c7eb35cf5580b1e521a8fe2075"
    "4a2d883ba0c2cf285f524aea6545b33106bc03e614296d319d41d4b50b3f510b1c0a22f3e664994d234cb4",
    "child_dh": "bb43244c1860ad65ee1e211ffe8bb3661750c8f89cb9f547df7f4fa61d37301628190e38c66232eab4"
    "b3ab14c400a5197dd3730ed4820a8a10394d51e1c0400052f63ebd36b0e7ef53aaed31eba4a5080d7d4b5666023a8b"
    "bb5ffb7857240f9a05884d1b7d2f933708450b7b3288f1fc863ab49fa901227cffc06e27899c7054d56fd74c",
}
CAVP_SHA2 = {
    HMAC_SHA2_256: {
        "nonces": "ed80dc79912c32a935fb6d1a3feac078",
        "spis": "47c1858efc932ea4606fd05609624002",
        "secret": "42968e5d0ccc3cfc5a3e4bc1bba370cea1fae0d54c49ccba34b2bee804be"
        "eb2e9e8c57a4e01bd45102cf"
        "2433aacc6cfec06792f363e5170e6aa6650274e906648e449d27a8f00b5b44261982c9835c748a751ec5"
        "138eaacc5e025661339538a61bf418e454699e19c32db8d9ce5dd86b220f1e89afc5872e68be36cb1a0c"
        "8866",
        "skeyseed": "37fde90b81d63692620f67367b62092e3efdc6a03509137d731004767ff35010",
        "dkm": "63d018a08f7a29daa7d1f92cb63f45fa39bbaf5e5f1a78139613bb891e3e"
        "6bf9d0448f7c74e05b4c1a25"
        "c0b61e62c875e852f287e192d4ae536112db5197216400bd5e123470efc15f53161865fe8b19a1416518"
        "a157d651ecd2caddab6a9eae6a27a55af088218d5156edaa9789f934d9836ed43edffda553822202ff9f"
        "7d4860ca72e0",
    },
    HMAC_SHA2_384: {
        "nonces": "d672b0bc852829b93509f3b724706364",
        "spis": "0f9a016d7b22223c85f710daf8b982d8",
        "secret": "4df040b70978629c49437cff41a0d46cbea68c8d75b370ffc11d7b387144"
        "ea83bb5903fbb92e473df50a"
        "9b19ea43e9c2f3da9a849c03864276c6f264ecf02a60d40ba65c06656b633f02a87427e928eb66a2dabd"
        "9dc05744717bcaf7ae78c296872f5c48d1a8120c2155b70c565ce271998e3e44af263d487ea3ba7f5613"
        "2d7d",
        "skeyseed": "54436a9ea95d6ff79b967f4b07f6de976a376e8ea26aa9574709afc60243"
        "c9c141da4ca0e158e627a75e"
        "a87f6feb07ef",
        "dkm": "10b00a654643b3b985764f86e23ef62431122fcc96de16e338a372bee493"
        "91db1f83a7358c080380abbf"
        "4af47cdb83b9530343168f7dbc9221260e1546c6b383e2235d2705a727f0b41aebf6a1b4c61cb4606601"
        "52a17ba74c20d5191ba6841794945270d829587b7f3294639ea7b77149e1d07230ac16e0cd5ab236fa32"
        "12bd569ee70f",
    },
    HMAC_SHA2_512: {
        "nonces": "df7931db9b429e10b8aa8e4d46042393",
        "spis": "9ba40af9157f47925383c7cd3d1046e6",
        "secret": "1e3b007d2da913ca60ecc98c25a22db08073d5c35c11b2524b298a922b6a"
        "bfe6acf7359db66ae5f85d67"
        "aacff686419cd8666d05ae7977cefad7f54dd8e312a8e8e5e0370f88142fbdd659dd6fde22bdd531f540"
        "2881a8de85c1024e595ec93c575618af7fd3dbac7982919078d71cc13eff1910a032750e1ff428675de1"
        "89ee",
        "skeyseed": "daf9bd6f2f912da553867966af386e67909a8df0ca7e84b83b355cb7d7f1"
        "026f17d8ea34b5d57fd0d1ba"
        "389528fca1e81d1c8ce511b28a2458241143fee30ccc",
        "dkm": "919a75deaeccbd393bebc89615f8a215edb7073b2319d86740221eee7a2d"
        "eb92509044d7e61fcb1bf967"
        "6b3881c7ced49e6bba1549da3113601677a2445d91ac13a597335782dd3a9cf496d9e19b932f27dd35e3"
        "6f8070d232d0a3b3f4c4a0b4ba4470778dc090f31f52ab1b6d81e4c7dfb35063ad96c327adcdbde714cc"
        "9a6b5ef049b8",
    },
}

NI, NR, SECRET = bytes(range(32)), bytes(range(0x20, 0x40)), bytes(range(0x40, 0x60))
SPI_I, SPI_R = b"\x11" * 8, b"\x22" * 8
NONCES = Nonces(NI, NR)


def test_cavp_hmac_sha1_initial_keys_and_both_kinds_of_child_keymat():
    v, prf = CAVP_SHA1, HMAC_SHA1
    nonces = Nonces(h(v["ni"]), h(v["nr"]))
    seed = skeyseed(prf, nonces, h(v["secret"]))
    assert seed == h(v["skeyseed"])
    keys = ike_keys(prf, SUITES["aes128-sha1"], seed, nonces, h(v["spis"]))
    parts = (keys.d, keys.ai, keys.ar, keys.ei, keys.er, keys.pi, keys.pr)
    assert b"".join(parts) == h(v["dkm"])
    assert child_keymat(prf, keys.d, FreshInput(nonces), 132) == h(v["child"])
    fresh = FreshInput(nonces, h(v["new_secret"]))
    assert child_keymat(prf, keys.d, fresh, 132) == h(v["child_dh"])
    assert rekeyed_skeyseed(prf, keys.d, fresh) == h(v["rekeyed"])


@pytest.mark.parametrize("prf", CAVP_SHA2, ids=lambda prf: prf.name)
def test_cavp_hmac_sha2_initial_keys(prf):
    v = CAVP_SHA2[prf]
    nonces = Nonces(h(v["nonces"])[:8], h(v["nonces"])[8:])
    seed = skeyseed(prf, nonces, h(v["secret"]))
    assert seed == h(v["skeyseed"])
    assert prf.expand(seed, nonces.joined + h(v["spis"]), 132) == h(v["dkm"])


def test_prf_plus_counter_never_leaves_its_octet():
    assert len(HMAC_SHA2_256.expand(b"k", b"s", 255 * 32)) == 255 * 32
    with pytest.raises(ValueError, match="at most 8160"):
        HMAC_SHA2_256.expand(b"k", b"s", 255 * 32 + 1)


@pytest.fixture
def keys():
    seed = skeyseed(HMAC_SHA2_256, NONCES, SECRET)
    return ike_keys(HMAC_SHA2_256, AES256_GCM, seed, NONCES, SPI_I + SPI_R)


def test_aead_keys_are_sliced_in_order_with_the_salt_last(keys):
    assert keys.d == h("7b3a7b73648865c2ecc2cdfb6847b7384e99c313443b263ee761be733603d05c")
    assert keys.ei == h("85a2f5bec230d3875e18ee8885c451c4c9571830e5d838550316a677e9ed9fda89abcdee")
    assert keys.er == h("164a3875ab720e51010c45e3a59e9ecff6089b5ee69d9b12eb12514c3fbfb530efaf49f1")
    assert keys.pi == h("0da8485f66ba42168b333e0538a439349277b02ffa53e9e862a2885d1a51194f")
    assert keys.pr == h("6284c9a65a8dd3e707d1c39c2fc30212470026e0a258bf72555f61189a8714a1")
    assert keys.ai == keys.ar == b""


def test_integrity_keys_come_before_encryption_keys():
    seed = skeyseed(HMAC_SHA2_256, NONCES, SECRET)
    keys = ike_keys(HMAC_SHA2_256, SUITES["aes256-sha256"], seed, NONCES, SPI_I + SPI_R)
    assert keys.ai == h("85a2f5bec230d3875e18ee8885c451c4c9571830e5d838550316a677e9ed9fda")
    assert keys.er == h("62a2885d1a51194f6284c9a65a8dd3e707d1c39c2fc30212470026e0a258bf72")
    assert keys.pr == h("9729e17a5c7cee562477c7b8f671f77985c767a56d279bf6d6e835df31060cde")


def test_child_keys_initiator_to_responder_first_and_salt_last(keys):
    forward, backward = child_keys(HMAC_SHA2_256, keys.d, FreshInput(NONCES), AES256_GCM)
    assert forward.key + forward.salt == h(
        "395831481751a7438560cf43256986250804bef2433b22bf4af313663e0092efa99534b2"
    )
    assert backward.key + backward.salt == h(
        "53c807646f7e6f5072ed57f3bc8248e8dae1b3a73cb8fcb3a9270d3c4a60eba98e69ef3f"
    )
    fresh = FreshInput(NONCES)
    cbc, _ = child_keys(HMAC_SHA2_256, keys.d, fresh, SUITES["aes128-sha256"])
    stream = child_keymat(HMAC_SHA2_256, keys.d, fresh, 48)
    assert (cbc.key, cbc.salt, cbc.integrity) == (stream[:16], b"", stream[16:])
    short, _ = child_keys(HMAC_SHA2_256, keys.d, fresh, AES128_GCM)
    assert short.key + short.salt == (forward.key + forward.salt)[:20]


@pytest.mark.parametrize("name", SUITES)
def test_every_suites_keymat_is_key_salt_integrity_key_for_one_direction_and_then_the_other(
    keys, name
):
    """RFC 7296 2.17; the salt ends the encryption part (RFC 4106 8.1, RFC 4543 5.4, RFC 8750)."""
    suite, fresh = SUITES[name], FreshInput(NONCES)
    stream = child_keymat(HMAC_SHA2_256, keys.d, fresh, 2 * KEYMAT[suite.name])
    made = child_keys(HMAC_SHA2_256, keys.d, fresh, suite)
    assert b"".join(part.key + part.salt + part.integrity for part in made) == stream
    for part in made:
        assert len(part.salt) == (4 if suite.integrity is None else 0)
        assert len(part.integrity) == (suite.integrity.key_size if suite.integrity else 0)


KEYMAT = {
    **{
        f"aes{8 * key}{mode}": key + 4
        for key in (16, 24, 32)
        for mode in ("gcm16", "gcm12", "gcm8", "gcm16iiv", "gmac")
    },
    **{f"chacha20poly1305{iv}": 36 for iv in ("", "iiv")},
    **{
        f"{cipher}-{mac}": key + size
        for cipher, key in (
            ("null", 0),
            ("aes128", 16),
            ("aes192", 24),
            ("aes256", 32),
            ("3des", 24),
        )
        for mac, size in (("sha256", 32), ("sha384", 48), ("sha512", 64), ("sha1", 20))
    },
}
"""Octets for one direction, as the digest has them (3.1)."""


def test_shared_key_auth_covers_message_peer_nonce_and_identity(keys):
    identity = IdInitiator(Identity.parse("a.example")).encode()
    octets = signed_octets(HMAC_SHA2_256, b"\xaa" * 64, NR, keys.pi, identity)
    assert shared_key_auth(HMAC_SHA2_256, b"secret", octets) == h(
        "d7ffb45a344d8346e3d867b3364ac2c81fe4323a09625ebc01eae61c99d91d5e"
    )


def test_sealed_messages_are_octet_for_octet_those_of_the_digest(keys):
    cipher = AeadCipher(AES256_GCM, keys.ei)
    liveness = h(
        "111111111111111122222222222222222e20250800000002000000390000001d"
        "000000000000000124c0f3a7beba9e8ab03fdd8856d9db095e"
    )
    delete = h(
        "111111111111111122222222222222222e20250800000003000000412a000025"
        "0000000000000002284aa174a29482c1617f2c1599615d20ed46b012dec6bef094"
    )
    head = Header(SPI_I, SPI_R, 37, True, False, 2)
    assert seal_message(head, [], cipher, (1).to_bytes(8, "big")) == liveness
    head = Header(SPI_I, SPI_R, 37, True, False, 3)
    payload = Delete(ProtocolId.IKE)
    assert seal_message(head, [payload], cipher, (2).to_bytes(8, "big")) == delete
    message = parse_message(delete)
    assert message.encrypted is not None
    assert open_message(message.encrypted, cipher).payloads == (payload,)


def test_nat_detection_hashes():
    v4, v6 = UdpAddress(ip_address("192.0.2.1"), 500), UdpAddress(ip_address("2001:db8::1"), 4500)
    assert nat_hash(SPI_I, bytes(8), v4) == h("f6e3c7e4ba2c49f4496f95b26b1dbaeb66d6d0f7")
    assert nat_hash(SPI_I, SPI_R, v6) == h("e1de20e0b6effa428e056a7907cef82a0a00ae7a")


def test_x25519_of_rfc_7748():
    a = h("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a")
    b = h("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb")
    alice, bob = X25519(lambda _: a), X25519(lambda _: b)
    assert alice.public == h("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a")
    shared = h("4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742")
    assert alice.shared_secret(bob.public) == bob.shared_secret(alice.public) == shared


def test_ecp256_of_rfc_5114():
    def fixed(scalar):
        return lambda size: (int(scalar, 16) - 1).to_bytes(size, "big")

    i = Ecp256(fixed("814264145f2f56f2e96a8e337a1284993faf432a5abce59e867b7291d507a3af"))
    r = Ecp256(fixed("2ce1788ec197e096db95a200cc0ab26a19ce6bccad562b8eee1b593761cf7f41"))
    assert i.public == h(
        "2af502f3be8952f2c9b5a8d4160d09e97165be50bc42ae4a5e8d3b4ba83aeb15"
        "eb0faf4ca986c4d38681a0f9872d79d56795bd4bff6e6de3c0f5015ece5efd85"
    )
    shared = h("dd0f5396219d1ea393310412d19a08f1f5811e9dc8ec8eea7f80d21c820c2788")
    assert i.shared_secret(r.public) == r.shared_secret(i.public) == shared
