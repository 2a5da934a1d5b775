"""Diet-ESP through pipeline and engine of the lab; what is expected is computed here, bit by
bit."""

import struct
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from format_vectors import INNER, SHARED

from p4esp.formats_lab import diet
from p4esp.formats_lab.decoded import built_and_read
from p4esp.formats_lab.errors import LabError
from p4esp.formats_lab.gateways import ETHERNET, Pair, esp_of, site_frame, udp_packet, with_ttl
from p4esp.formats_lab.sas import LabSa
from p4esp.formats_lab.vectors import digest_sa, produce, vector_named
from p4esp.ipsec.formats import FormatError, Parameters, format_named
from p4esp.ipsec.formats.opening import open_packet
from p4esp.ipsec.sa import Mode

PROGRAM = Path(__file__).parents[3] / "bmv2-configs" / "esp_gateway.json"
VI = "010116751cf22dc63414c22a015f5b48068cda0632754b79e327cddbf341"
SPI = 0x1001


def sealed(seq: int, packet: bytes, flags: str = "0100000000000000") -> bytes:
    """A UDP packet as the digest has it: 5, DSCP and ECN, flags and offset, four zero bits."""
    bits = f"{5:04b}{packet[1]:08b}{flags}0000"
    text = int(bits, 2).to_bytes(4) + packet[28:]
    aad = struct.pack("!II", SPI, seq)
    nonce = SHARED.salt + struct.pack("!Q", seq)
    return bytes((SPI & 255, seq & 255)) + AESGCM(SHARED.key).encrypt(nonce, text, aad)


def restored(packet: bytes, hops: int) -> bytes:
    """What comes out: no identification, a checksum of UDP."""
    head = with_ttl(packet[:4] + bytes(2) + packet[6:20], hops)
    pseudo = packet[12:20] + struct.pack("!HH", 17, len(packet) - 20)
    octets = pseudo + packet[20:26] + packet[28:]
    octets += bytes(len(octets) % 2)
    total = sum(int.from_bytes(octets[at : at + 2]) for at in range(0, len(octets), 2))
    checksum = 0xFFFF - total % 0xFFFF or 0xFFFF
    return head + packet[20:26] + checksum.to_bytes(2) + packet[28:]


def around(octets: bytes) -> bytes:
    """A frame of the lab's wire."""
    addresses = bytes((192, 0, 2, 1, 192, 0, 2, 4))
    head = b"\x45\0" + (20 + len(octets)).to_bytes(2) + bytes(4) + bytes((64, 50, 0, 0))
    link = bytes.fromhex("020000000100 020000000201 0800")
    return link + with_ttl(head + addresses, 64) + octets


@cache
def sa() -> LabSa:
    return digest_sa("diet-esp")


def test_pipeline_and_engine_make_vi_and_open_it_again() -> None:
    assert produce(PROGRAM, vector_named("VI")).hex() == VI


def test_vi_is_what_the_bits_of_the_digest_say() -> None:
    assert sealed(1, INNER).hex() == VI


@pytest.mark.parametrize("octets", [28, 29, 30, 36, 61, 62, 577, 1400])
def test_what_the_bits_say_is_sent_and_what_they_say_is_opened(octets: int) -> None:
    pair = Pair(PROGRAM, [sa()])
    packet = udp_packet(sa(), 0, octets)
    (frame,) = pair.seal([site_frame(packet)])
    assert esp_of(frame) == sealed(1, packet)
    (arrived,) = pair.open([around(sealed(1, packet))])
    assert arrived[ETHERNET:] == restored(packet, 63)


def test_numbers_beyond_an_octet_are_found_again() -> None:
    pair = Pair(PROGRAM, [sa()])
    packet = udp_packet(sa(), 0, 64)
    frames = pair.seal([site_frame(packet)] * 600)
    assert esp_of(frames[599]) == sealed(600, packet)
    assert len(pair.open(frames)) == 600


def test_a_packet_is_read_field_by_field() -> None:
    packet, fields = built_and_read(PROGRAM, format_named("diet-esp"), len(INNER))
    assert packet.hex() == VI
    assert [(found.at, found.field.name, found.hex) for found in fields] == [
        (0, "SPI", "01"),
        (8, "Sequence Number", "01"),
        (16, "IHL", "5"),
        (20, "DSCP", "00"),
        (26, "ECN", "0"),
        (28, "Flags and Fragment Offset", "4000"),
        (44, "SCHC Padding", "0"),
        (48, "Payload", INNER[28:].hex()),
        (112, "ICV", VI[28:]),
    ]


def test_without_the_whole_spi_nothing_is_opened() -> None:
    form, parameters = format_named("diet-esp"), Parameters(iv_len=0, align=1, spi=1)
    with pytest.raises(FormatError, match="diet-esp: the ICV is wrong"):
        open_packet(form, bytes.fromhex(VI), parameters, SHARED.key, SHARED.salt)


@pytest.mark.parametrize(
    ("bits", "reason"),
    [("0010000000000000", "BAD_RESIDUE"), ("0000000000000001", "BAD_RESIDUE")],
)
def test_a_fragment_of_a_flow_is_no_packet(bits: str, reason: str) -> None:
    pair = Pair(PROGRAM, [sa()])
    with pytest.raises(LabError, match=f"{reason} 1"):
        pair.open([around(sealed(1, udp_packet(sa(), 0, 64), bits))])


def test_an_sa_that_cannot_be_compressed_is_refused_where_it_is_made() -> None:
    transport = replace(sa(), mode=Mode.TRANSPORT)
    explicit = replace(sa(), parameters=Parameters(iv_len=8, align=1))
    small = replace(sa(), spi=0x2000)
    for bad, complaint in (
        (transport, "transport mode"),
        (explicit, "IV of 8 octets"),
        (small, "0x00002000 sent as 0x0"),
    ):
        with pytest.raises(FormatError, match=f"Diet-ESP.*{complaint}"):
            Pair(PROGRAM, [bad])


def test_its_packets_go_where_no_plain_esp_of_the_peer_goes() -> None:
    assert sa().ends[1] == diet.GATEWAY
    assert digest_sa("esp").ends[1] != diet.GATEWAY
