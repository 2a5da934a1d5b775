"""Exported ESP keys: tshark opens with them what the engine has sealed, suite by suite."""

import os
import shutil
import subprocess
from dataclasses import replace
from ipaddress import IPv4Address

import pytest
from controller_samples import CHILD
from scapy.layers.inet import IP
from scapy.layers.l2 import Ether
from scapy.packet import Raw
from scapy.utils import wrpcap

from p4esp.controller.engine_keys import TRANSFORMS
from p4esp.engine import CryptoFrame, Direction, Engine, KeySpec
from p4esp.engine.check.requests import seal_request
from p4esp.engine.check.vectors import VECTORS
from p4esp.ike.errors import KeyExportError
from p4esp.ike.keylog import esp_lines
from p4esp.ipsec.algorithms import SUITES
from p4esp.ipsec.sa import DirectionKeys, Keymat

TSHARK = shutil.which("tshark")
UNKNOWN = [name for name in SUITES if "iiv" in name or "gmac" in name or "chacha" in name]
KNOWN = [name for name in TRANSFORMS if name not in UNKNOWN]
INNER = VECTORS["D1"].payload
PREFERENCES = ("enable_encryption_decode", "enable_authentication_check")


def child(name, keys, number):
    """An SA pair of a suite, between addresses of its own."""
    local, remote = IPv4Address(f"192.0.2.{number}"), IPv4Address("198.51.100.2")
    keymat = Keymat(keys, keys)
    return replace(CHILD, suite=SUITES[name], keymat=keymat, local=local, remote=remote)


def material(suite):
    """Keys of recognisable octets."""
    octets = bytes(range(1, 1 + suite.keymat_size))
    parts = octets[: suite.key_size], octets[suite.key_size : suite.cipher_size]
    return DirectionKeys(*parts, octets[suite.cipher_size :])


def sealed(name, keys, spi):
    """A packet of the engine's, SPI to ICV."""
    engine, transform = Engine(), TRANSFORMS[name]
    spec = KeySpec(Direction.SEAL, transform, keys.key, keys.salt, integrity_key=keys.integrity)
    request = seal_request(engine.install(spec), 7, INNER, transform=transform, spi=spi, nh=4)
    return CryptoFrame.decode(engine.process(request.encode())).packet[20:]


@pytest.mark.skipif(TSHARK is None, reason="tshark missing")
def test_tshark_finds_what_the_engine_sealed_authentic_and_opens_it(tmp_path):
    rows, packets = [], []
    for number, name in enumerate(KNOWN, 1):
        keys = material(SUITES[name])
        pair = child(name, keys, number)
        rows.append(esp_lines(pair)[1])
        header = IP(src=str(pair.local), dst=str(pair.remote), proto=50)
        packets.append(Ether() / header / Raw(sealed(name, keys, pair.spi_out)))
    text = tshark(tmp_path, rows, packets)
    assert text.count("[correct]") == len(KNOWN)
    assert text.count("Src Port: 5000, Dst Port: 5001") == len(KNOWN)
    assert "incorrect" not in text
    assert "Malformed" not in text


@pytest.mark.skipif(TSHARK is None, reason="tshark missing")
def test_tshark_finds_a_forged_packet_incorrect(tmp_path):
    keys = material(SUITES["null-sha256"])
    pair = child("null-sha256", keys, 1)
    esp = sealed("null-sha256", keys, pair.spi_out)
    header = IP(src=str(pair.local), dst=str(pair.remote), proto=50)
    forged = Ether() / header / Raw(esp[:-1] + bytes((esp[-1] ^ 1,)))
    assert "incorrect" in tshark(tmp_path, [esp_lines(pair)[1]], [forged])


def tshark(directory, rows, packets):
    """What tshark makes of packets with a profile that holds the exported rows."""
    profile, path = directory / "profiles" / "exported", directory / "esp.pcap"
    profile.mkdir(parents=True)
    (profile / "esp_sa").write_text("".join(f"{row}\n" for row in rows))
    wrpcap(str(path), packets)
    preferences = (word for name in PREFERENCES for word in ("-o", f"esp.{name}:TRUE"))
    command = [TSHARK, "-C", "exported", "-r", str(path), "-V", *preferences]
    environment = {**os.environ, "WIRESHARK_CONFIG_DIR": str(directory)}
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return run.stdout


@pytest.mark.parametrize("name", UNKNOWN)
def test_suites_that_wireshark_does_not_know_are_refused_by_name(name):
    with pytest.raises(KeyExportError, match=f"cannot decrypt {name}; it can"):
        esp_lines(child(name, material(SUITES[name]), 1))
