"""Key schedule of RFC 9867 3.1 against answers that libreswan's own functions gave (main, August
2026: its prf+, SKEYSEED of IKE_INTERMEDIATE, keys of an IKE SA and PPK confirmation, built by
themselves on another HMAC), and against HMAC alone.
"""

from ike_meddler import prf, prf_plus, seven

from p4esp.ike.crypto.prf import HMAC_SHA2_256
from p4esp.ike.crypto.schedule import FreshInput, Nonces, ike_keys, ppk_skeyseed, rekeyed_skeyseed
from p4esp.ipsec.algorithms import AES256_GCM

h = bytes.fromhex
PPK, SK_D, SECRET = bytes(range(0x40, 0x60)), bytes(range(0x80, 0xA0)), bytes(range(0x60, 0x80))
NONCES = Nonces(bytes(range(32)), bytes(range(32, 64)))
SPIS = b"\x11" * 8 + b"\x22" * 8
SKEYSEED = h("2439d2f236cac67f2b2f7523d0744296f42685264ae7f96f5ee5b15622db9900")
KEYS = h(
    "3a91942342f3ad7fea9e9973ff0f525d97a73631c92a6c8ffff14dbbae3ec685"
    "49de9787e0bf7efc52347fa1af312967cec66c2db8583aa0f51b042156c41ff09311956f"
    "36bbf1f8d4f14bbf8c6e82f4cce079e1f123929e34daa410013f157241e910dd6079a15b"
    "ed79036ffcb03b54c3b69a1261235ee50fec49bfd06f73e0eb7637638a85e253"
    "976e5e16d1cb06dc4b185e0177cee9b51c8b3fa2dff394f5c5d522a8fc7baeca"
)
KEYS_AFTER_A_KEY_EXCHANGE = h(
    "2c22c05494e1632bb00f9d87885c1732ee846bdd19b45bac4452b29cb6ef1983"
    "49be71d4f51086b5ba4ea468467f7bfb1e70f0eed6e82e6ba458b5202daabd432d100e88"
    "b2e32d0e12a9b276d29b6f0ce1b0518f2e7bc717bb5f18f9b33f615b6ca14a7b3b2b164c"
    "03505b8f611c3e8a0796f875cc831d96e60d01c5c6dc7b56d45210107062339a"
    "6794e5557de6f6971ec3c55ab71093339537e35d28c73a9e9b53181a3edef34b"
)


def test_skeyseed_and_all_seven_keys_with_a_ppk():
    seed = ppk_skeyseed(HMAC_SHA2_256, SK_D, PPK)
    assert seed == SKEYSEED == prf_plus(PPK, SK_D, 32)
    assert seven(ike_keys(HMAC_SHA2_256, AES256_GCM, seed, NONCES, SPIS)) == KEYS
    assert prf_plus(SKEYSEED, NONCES.joined + SPIS, len(KEYS)) == KEYS


def test_a_key_exchange_first_and_the_ppk_after_it():
    seed = rekeyed_skeyseed(HMAC_SHA2_256, SK_D, FreshInput(NONCES, SECRET))
    between = ike_keys(HMAC_SHA2_256, AES256_GCM, seed, NONCES, SPIS)
    last = ppk_skeyseed(HMAC_SHA2_256, between.d, PPK)
    keys = ike_keys(HMAC_SHA2_256, AES256_GCM, last, NONCES, SPIS)
    assert seven(keys) == KEYS_AFTER_A_KEY_EXCHANGE


def test_the_confirmation():
    """That ours is this one on the wire, the test of IKE_INTERMEDIATE shows."""
    assert prf(PPK, NONCES.joined + SPIS)[:8] == h("02102c4398ca5ad2")
