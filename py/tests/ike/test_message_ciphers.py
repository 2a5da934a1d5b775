"""SK payload ciphers: vectors, and what must not open (RFC 7296 3.14, RFC 5282, RFC 4868)."""

import hmac
import os

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from p4esp.ike.codec.header import Header
from p4esp.ike.codec.message import open_message, parse_message, seal_message
from p4esp.ike.crypto.ciphers import message_cipher
from p4esp.ike.crypto.prf import HMAC_SHA2_256
from p4esp.ike.crypto.schedule import Nonces, ike_keys, skeyseed
from p4esp.ike.errors import IntegrityError
from p4esp.ike.protection import Protection
from p4esp.ipsec.algorithms import INTEGRITIES, SUITES

h = bytes.fromhex
SPI_I, SPI_R = b"\x11" * 8, b"\x22" * 8
NONCES = Nonces(bytes(range(32)), bytes(range(32, 64)))
HEAD = Header(SPI_I, SPI_R, 37, False, True, 2)
RFC_4868 = {
    "sha256": "198a607eb44bfbc69903a0f1cf2bbdc5",
    "sha384": "b6a8d5636f5c6a7224f9977dcf7ee6c7fb6d0c48cbdee973",
    "sha512": "637edc6e01dce7e6742a99451aae82df23da3e92439e590e43e761b33e910fb8",
}
"""2.7.2, test cases AUTH256-1, AUTH384-1, AUTH512-1: ICV of "Hi There" under 0b0b..."""


IKE_SUITES = [name for name, suite in SUITES.items() if not suite.esp_only]


def keys_of(name):
    """The digest's keys for a suite."""
    seed = skeyseed(HMAC_SHA2_256, NONCES, bytes(range(0x40, 0x60)))
    return ike_keys(HMAC_SHA2_256, SUITES[name], seed, NONCES, SPI_I + SPI_R)


def pair(name):
    """A responder's protection, and the initiator's."""
    keys = keys_of(name)
    return (Protection(SUITES[name], keys, initiator, os.urandom) for initiator in (False, True))


@pytest.mark.parametrize("integrity", INTEGRITIES[:3], ids=lambda i: i.name)
def test_hmac_icvs_of_rfc_4868(integrity):
    digest = hmac.digest(b"\x0b" * integrity.key_size, b"Hi There", integrity.digest)
    assert digest[: integrity.icv_size] == h(RFC_4868[integrity.name])


def test_the_digests_cbc_message_octet_for_octet():
    keys = keys_of("aes256-sha256")
    cipher = message_cipher(SUITES["aes256-sha256"], keys.er, keys.ar)
    sealed = h(
        "111111111111111122222222222222222e202520000000020000005000000034"
        "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff317e35063ba093c83519842bf5a0492d"
        "dff03dadd07945c4c79085d29a6ab474"
    )
    assert seal_message(HEAD, [], cipher, bytes(range(0xF0, 0x100))) == sealed
    message = parse_message(sealed)
    assert open_message(message.encrypted, cipher).payloads == ()


@pytest.mark.parametrize("name", ["aes128gcm8", "aes128gcm12", "aes192gcm8", "aes256gcm12"])
def test_short_gcm_tags_are_cut_from_the_full_one(name):
    suite = SUITES[name]
    key = os.urandom(suite.cipher_size)
    full = AESGCM(key[:-4]).encrypt(key[-4:] + b"iviviviv", b"plaintext", b"header")
    sealed = message_cipher(suite, key).seal(b"header", b"iviviviv", b"plaintext")
    assert sealed == b"iviviviv" + full[: suite.icv_size - 16]
    assert message_cipher(suite, key).open(b"header", sealed) == b"plaintext"


@pytest.mark.parametrize("name", IKE_SUITES)
def test_43_no_flipped_bit_opens(name):
    sender, receiver = pair(name)
    sealed = sender.seal(HEAD, [])
    assert receiver.open(parse_message(sealed)).payloads == ()
    for at in range(32, len(sealed)):
        spoiled = sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1 :]
        with pytest.raises(IntegrityError):
            receiver.open(parse_message(spoiled))


@pytest.mark.parametrize("name", IKE_SUITES)
def test_44_bodies_of_every_wrong_size_are_refused(name):
    suite, keys = SUITES[name], keys_of(name)
    cipher = message_cipher(suite, keys.er, keys.ar)
    whole = suite.iv_size + suite.icv_size + 2 * suite.block_size
    for size in range(whole):
        with pytest.raises(IntegrityError):
            cipher.open(b"header", bytes(size))


def test_a_wrong_icv_is_found_before_the_padding_is_looked_at():
    """Encrypt-then-MAC: no padding oracle, the errors do not differ."""
    suite, keys = SUITES["aes128-sha256"], keys_of("aes128-sha256")
    cipher = message_cipher(suite, keys.er, keys.ar)
    texts = set()
    for plaintext in (bytes(16), b"\xff" * 16):
        sealed = cipher.seal(b"header", bytes(16), plaintext)
        with pytest.raises(IntegrityError) as caught:
            cipher.open(b"another", sealed)
        texts.add(str(caught.value))
    assert texts == {"SK payload: integrity check failed"}


@pytest.mark.parametrize("name", ["aes128-sha256", "3des-sha1"])
def test_cbc_ivs_come_from_the_random_source_and_others_count(name):
    drawn = []

    def random(size):
        drawn.append(os.urandom(size))
        return drawn[-1]

    protection = Protection(SUITES[name], keys_of(name), False, random)
    messages = [protection.seal(HEAD, []) for _ in range(3)]
    size = SUITES[name].iv_size
    assert [message[32 : 32 + size] for message in messages] == drawn


def test_46_counted_ivs_never_repeat():
    protection = Protection(SUITES["aes128gcm8"], keys_of("aes128gcm8"), False, bytes)
    ivs = [protection.seal(HEAD, [])[32:40] for _ in range(1000)]
    assert len(set(ivs)) == len(ivs)


@pytest.mark.parametrize("name", [name for name in SUITES if name not in IKE_SUITES])
def test_what_is_for_esp_only_makes_no_cipher_for_ike(name):
    suite = SUITES[name]
    with pytest.raises(KeyError):
        message_cipher(suite, bytes(suite.cipher_size), bytes(suite.integrity_size))
