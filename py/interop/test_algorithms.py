"""Every algorithm that both sides have is agreed on, in both roles, and used under protection."""

import pytest

from pairing import Pair, Role, Terms

ROLES = pytest.mark.parametrize("role", ["initiator", "responder"])
METHODS = {
    "ecp256": "ECP_256",
    "ecp384": "ECP_384",
    "ecp521": "ECP_521",
    "modp2048": "MODP_2048",
    "modp3072": "MODP_3072",
    "modp4096": "MODP_4096",
    "x25519": "CURVE_25519",
}
IKE_SUITES = {
    "aes128-sha256-x25519": ("AES_CBC", "HMAC_SHA2_256_128", "PRF_HMAC_SHA2_256"),
    "aes192-sha384-x25519": ("AES_CBC", "HMAC_SHA2_384_192", "PRF_HMAC_SHA2_384"),
    "aes256-sha512-x25519": ("AES_CBC", "HMAC_SHA2_512_256", "PRF_HMAC_SHA2_512"),
    "aes256gcm16-prfsha512-x25519": ("AES_GCM_16", None, "PRF_HMAC_SHA2_512"),
    "aes128gcm12-prfsha256-x25519": ("AES_GCM_12", None, "PRF_HMAC_SHA2_256"),
    "aes128gcm8-prfsha384-x25519": ("AES_GCM_8", None, "PRF_HMAC_SHA2_384"),
    "chacha20poly1305-prfsha256-x25519": ("CHACHA20_POLY1305", None, "PRF_HMAC_SHA2_256"),
}
ESP_SUITES = {
    "aes128-sha256": ("AES_CBC", "HMAC_SHA2_256_128", "128"),
    "aes192-sha384": ("AES_CBC", "HMAC_SHA2_384_192", "192"),
    "aes256-sha512": ("AES_CBC", "HMAC_SHA2_512_256", "256"),
    "aes128gcm8": ("AES_GCM_8", None, "128"),
    "aes192gcm12": ("AES_GCM_12", None, "192"),
    "aes256gcm16": ("AES_GCM_16", None, "256"),
    "chacha20poly1305": ("CHACHA20_POLY1305", None, None),
    "null-sha256": ("NULL", "HMAC_SHA2_256_128", None),
    "null-sha512": ("NULL", "HMAC_SHA2_512_256", None),
    "aes128gmac": ("NULL_AES_GMAC", None, "128"),
    "aes256gmac": ("NULL_AES_GMAC", None, "256"),
}


@ROLES
@pytest.mark.parametrize("method", METHODS)
def test_each_key_exchange_method(pair: Pair, role: Role, method: str) -> None:
    with pair.session(Terms(ike=f"aes128gcm16-prfsha256-{method}")) as session:
        session.up(role)
        assert session.their_ike()["dh-group"] == METHODS[method]


@ROLES
@pytest.mark.parametrize("suite", IKE_SUITES)
def test_each_ike_suite(pair: Pair, role: Role, suite: str) -> None:
    with pair.session(Terms(ike=suite)) as session:
        session.up(role)
        ike = session.their_ike()
        found = ike["encr-alg"], ike.get("integ-alg"), ike["prf-alg"]
        assert found == IKE_SUITES[suite]
        assert session.ours.tell("check", peer="charon")["event"] == "peer-alive"


@ROLES
@pytest.mark.parametrize("suite", ESP_SUITES)
def test_each_esp_suite(pair: Pair, role: Role, suite: str) -> None:
    with pair.session(Terms(esp=suite)) as session:
        ours, theirs = session.up(role)
        found = theirs["encr-alg"], theirs.get("integ-alg"), theirs.get("encr-keysize")
        assert found == ESP_SUITES[suite]
        assert ours["suite"] == suite


@ROLES
@pytest.mark.parametrize(
    ("offered", "extended"),
    [("aes128gcm16-esn", True), ("aes128gcm16-noesn", False), ("aes128gcm16-esn-noesn", True)],
)
def test_extended_sequence_numbers(pair: Pair, role: Role, offered: str, extended: bool) -> None:
    with pair.session(Terms(esp=offered)) as session:
        ours, theirs = session.up(role)
        assert (ours["esn"], theirs.get("esn") == "1") == (extended, extended)


def between_hosts(ours: str, theirs: str) -> Terms:
    """A child SA between the two hosts themselves, in the mode that each side is configured for."""
    ends = ["10.99.0.1/32"], ["10.99.0.2/32"]
    return Terms(
        our_child={"local": ends[0], "remote": ends[1], "mode": ours},
        their_child={"local_ts": ends[1], "remote_ts": ends[0], "mode": theirs},
    )


@ROLES
def test_transport_mode_between_hosts(pair: Pair, role: Role) -> None:
    with pair.session(between_hosts("transport", "transport")) as session:
        ours, theirs = session.up(role)
        assert (ours["mode"], theirs["mode"]) == ("transport", "TRANSPORT")
        session.ours.tell("rekey-child", child="charon/net")
        session.ours.wait("child-down")
        ours, theirs = session.agreed_child()
        assert (ours["mode"], theirs["mode"]) == ("transport", "TRANSPORT")


def test_a_peer_that_would_like_transport_mode_gets_a_tunnel(pair: Pair) -> None:
    with pair.session(between_hosts("tunnel", "transport")) as session:
        ours, theirs = session.up("responder")
        assert (ours["mode"], theirs["mode"]) == ("tunnel", "TUNNEL")
