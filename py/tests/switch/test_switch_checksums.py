"""Checksums and hashes against RFC 1071 by hand, scapy and published check values."""

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.layers.inet import IP, UDP
from switch_lab import lab

from p4esp.switch.runtime import hashes

CHECK_INPUT = b"123456789"
RIGHT, WRONG = 1, 2

running = lab("checksum")


def bits(data: bytes) -> tuple[int, int]:
    return int.from_bytes(data, "big"), 8 * len(data)


@pytest.mark.parametrize(
    ("function", "check"),
    [(hashes.crc16, 0xBB3D), (hashes.crc32, 0xCBF43926), (hashes.crc_ccitt, 0x29B1)],
)
def test_crcs_have_their_published_check_values(function, check):
    assert function(*bits(CHECK_INPUT)) == check
    assert function(*bits(CHECK_INPUT[:4]), CHECK_INPUT[4:]) == check


def test_internet_checksum_of_the_rfc_1071_example():
    assert hashes.csum16(*bits(bytes.fromhex("0001f203f4f5f6f7"))) == 0xFFFF - 0xDDF2


def test_identity_and_xor_follow_bmv2():
    assert hashes.identity(*bits(bytes(range(10)))) == 0x0001020304050607
    assert hashes.xor16(*bits(b"\x12\x34\x56\x78\x9a")) == 0x1234 ^ 0x5678 ^ 0x9A00
    assert hashes.xor32(*bits(b"\x12\x34\x56\x78\x9a")) == 0x12345678 ^ 0x9A000000


def test_a_partial_last_byte_is_filled_with_zero_bits():
    assert hashes.crc16(0b1010, 4) == hashes.crc16(*bits(b"\xa0"))


@settings(max_examples=200, deadline=None)
@given(
    options=st.integers(0, 10).map(lambda words: b"\x01" * 4 * words),
    payload=st.binary(max_size=60),
    src=st.integers(0, 2**32 - 1),
    ident=st.integers(0, 65535),
    sport=st.integers(0, 65534),
)
def test_updated_checksums_equal_those_of_scapy(options, payload, src, ident, sport):
    address = ".".join(map(str, src.to_bytes(4, "big")))
    sent = IP(src=address, dst="10.0.0.2", id=ident, ttl=9, options=options)
    packet = bytes(sent / UDP(sport=sport, dport=7) / payload)
    [(port, answer)] = running.send(packet)
    assert port == RIGHT
    parsed = IP(answer)
    assert (parsed.ttl, parsed[UDP].sport) == (8, sport + 1)
    found = parsed.chksum, parsed[UDP].chksum
    del parsed.chksum, parsed[UDP].chksum
    recomputed = IP(bytes(parsed))
    wanted_udp = recomputed[UDP].chksum
    assert found[0] == recomputed.chksum
    assert found[1] == (0 if wanted_udp == 0xFFFF and found[1] == 0 else wanted_udp)


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 65535), st.integers(0, 65535), st.sampled_from([b"", b"\x01" * 8]))
def test_verification_accepts_exactly_the_right_checksum(ident, stated, options):
    packet = bytearray(bytes(IP(id=ident, options=options, proto=1)))
    right = int.from_bytes(packet[10:12], "big")
    for value in (stated, right, right ^ 1):
        packet[10:12] = value.to_bytes(2, "big")
        [(port, _)] = running.send(bytes(packet))
        assert port == (RIGHT if value == right else WRONG)


def test_verification_knows_both_notations_of_zero():
    """0xFFFF in place of 0 is wrong, and a header of zeros has checksum 0xFFFF."""
    packet = bytearray(bytes(IP(proto=1)))
    packet[10:12] = b"\0\0"
    words = sum(struct.unpack(">10H", packet))
    rest = words - int.from_bytes(packet[4:6], "big")
    packet[4:6] = (-rest % 65535).to_bytes(2, "big")
    assert running.send(bytes(packet))[0][0] == RIGHT
    packet[10:12] = b"\xff\xff"
    assert running.send(bytes(packet))[0][0] == WRONG
