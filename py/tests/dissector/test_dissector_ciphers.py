"""The dissector's own ciphers, against those of `cryptography`."""

import os
import random
import subprocess
from pathlib import Path

from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand
from tshark_dissector import DISSECTOR, LINK, MASTERS, TSHARK, needs_tshark, write

pytestmark = needs_tshark
PSP_KEYS = {
    ("1a345678", 16): "3fe9b90602a41ce17e20971810e9a6a0",
    ("1a345678", 32): "184eecc110d0ecfcf85e6f7c9eedab4d21122fb2d2b8c344af3a1c38d0b6adfd",
    ("9a345678", 16): "3946da2554eae46ad1ef77a64372edc4",
    ("9a345678", 32): "fa00f609df6020289a1c93d6027081a637ad45b24a5576b36e6f49dd43114d80",
}
"""Of the digest (h.11), by SPI and length."""


def made(directory: Path, lines: list[list[str | bytes]]) -> list[str]:
    """What the Lua functions make of each line."""
    inputs, capture = directory / "inputs", directory / "nothing.pcap"
    words = ([w if isinstance(w, str) else w.hex() or "-" for w in line] for line in lines)
    inputs.write_text("".join(" ".join(line) + "\n" for line in words))
    write(capture, [LINK])
    script = Path(__file__).with_name("known_answers.lua")
    environment = {"P4ESP_LUA": str(DISSECTOR.parent), "P4ESP_INPUTS": str(inputs)}
    done = subprocess.run(
        [str(TSHARK), "-X", f"lua_script:{script}", "-r", str(capture), "-Y", "frame.number > 1"],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, **environment},
    )
    return done.stdout.splitlines()


def test_gcm_and_chacha_are_those_of_another_library(tmp_path) -> None:
    rng, lines, wanted = random.Random(6), [], []
    for number in range(200):
        nonce, key = rng.randbytes(12), rng.randbytes(rng.choice((16, 24, 32)))
        data, text = rng.randbytes(number % 67), rng.randbytes(number)
        lines.append(["gcm", key, nonce, data, text])
        wanted.append(AESGCM(key).encrypt(nonce, text, data))
        # All ones: every carry of Poly1305.
        key, ones = rng.randbytes(32), b"\xff" * number
        lines.append(["chacha20poly1305", key, nonce, data, text if number % 2 else ones])
        wanted.append(ChaCha20Poly1305(key).encrypt(nonce, text if number % 2 else ones, data))
    assert made(tmp_path, lines) == [octets.hex() for octets in wanted]


def test_keys_of_sub_sas_are_those_of_another_hkdf(tmp_path) -> None:
    rng, lines, wanted = random.Random(7), [], []
    for length in (20, 28, 36, 64, 80):
        root, info = rng.randbytes(32), rng.randbytes(2)
        lines.append(["hkdf", root, info, bytes((length,))])
        wanted.append(HKDFExpand(SHA256(), length, info).derive(root).hex())
    assert made(tmp_path, lines) == wanted


def test_keys_of_psp_are_those_of_its_reference_code(tmp_path) -> None:
    lines = [
        ["psp", bytes.fromhex(MASTERS[spi[0] >= "8"]), bytes.fromhex(spi), bytes((size,))]
        for spi, size in PSP_KEYS
    ]
    assert made(tmp_path, lines) == list(PSP_KEYS.values())
