"""Decoders name every field of the digest's vectors, and refuse what cannot be of their format."""

import pytest
from format_reference import NAMES, Packet, seal
from format_vectors import ANSWERS, INNER, SHARED, key_of

from p4esp.ipsec.formats import FormatError, Parameters, format_named
from p4esp.ipsec.formats.decoding import Found, decode
from p4esp.ipsec.formats.opening import open_packet

SHOWN, REST = INNER[:28].hex(), INNER[28:].hex()
# Offset, name and digits of each field, written by hand from the digest.
FIELDS = {
    "V0": [
        (0, "SPI", "00001001"),
        (4, "Sequence Number", "00000001"),
        (8, "IV", "0000000000000001"),
        (16, "Payload", INNER.hex()),
        (52, "Padding", "0102"),
        (54, "Pad Length", "02"),
        (55, "Next Header", "04"),
        (56, "ICV", "3459caef836be8379d0966c86cec780f"),
    ],
    "V1": [
        (0, "SPI", "00001001"),
        (4, "Sequence Number", "00000001"),
        (8, "Payload", INNER.hex()),
        (44, "Padding", "0102"),
        (46, "Pad Length", "02"),
        (47, "Next Header", "04"),
        (48, "ICV", "3459caef836be8379d0966c86cec780f"),
    ],
    "VA": [
        (0, "SPI", "00001001"),
        (4, "Sub ID", "0001"),
        (6, "Sequence Number", "000000000001"),
        (12, "Payload", INNER.hex()),
        (48, "Padding", "0102"),
        (50, "Pad Length", "02"),
        (51, "Next Header", "04"),
        (52, "ICV", "fd936ccaaef9470a07c0fde5796f46cd"),
    ],
    "VB": [
        (0, "SPI", "00001001"),
        (4, "Subspace ID", "0003"),
        (6, "Sequence Number", "000000000001"),
        (12, "Payload", INNER.hex()),
        (48, "Padding", "0102"),
        (50, "Pad Length", "02"),
        (51, "Next Header", "04"),
        (52, "ICV", "bcc9360c50942b4c5f7a0aedcab83ca0"),
    ],
    "VC1": [
        (0, "SPI", "00001001"),
        (4, "Sequence Number", "00000001"),
        (8, "IV", "0000000000000001"),
        (16, "Zero", "0"),
        (16, "Reserved", "000"),
        (18, "Next Header", "04"),
        (19, "Pad Length", "00"),
        (20, "Payload", INNER.hex()),
        (56, "Padding", ""),
        (56, "ICV", "d0065bd357e0137c573c7ddedcaa8cca"),
    ],
    "VC2": [
        (0, "SPI", "00001001"),
        (4, "Sequence Number", "00000001"),
        (8, "IV", "0000000000000001"),
        (16, "Zero", "0"),
        (16, "Reserved", "000"),
        (18, "Next Header", "04"),
        (19, "Pad Length", "00"),
        (20, "Payload", INNER.hex()),
        (56, "Padding", ""),
        (56, "ICV", "6a661b489a8abb7cd98824d6a9176820"),
    ],
    "VD": [
        (0, "Payload", INNER.hex()),
        (36, "Padding", ""),
        (36, "Zero", "0"),
        (36, "Reserved", "000"),
        (38, "Next Header", "04"),
        (39, "Pad Length", "00"),
        (40, "SPI", "00001001"),
        (44, "Sequence Number", "0000000000000001"),
        (52, "ICV", "ce590ab3230e2a8475d659609dc5a80c"),
    ],
    "VE": [
        (0, "SPI", "00001001"),
        (4, "Sequence Number", "00000001"),
        (8, "IV", "0000000000000001"),
        (16, "Clear Payload", SHOWN),
        (44, "Rest of Payload", REST),
        (52, "Padding", "0102"),
        (54, "Pad Length", "02"),
        (55, "Next Header", "04"),
        (56, "ICV", "56414105ad23e65232f5469bf33b397b"),
    ],
}


def parameters(packet: Packet) -> Parameters:
    return Parameters(iv_len=0 if packet.implicit_iv else 8, shown=packet.shown)


def opened(vector: str) -> list[Found]:
    name, packet, answer = ANSWERS[vector]
    key = key_of(name, packet.sub)
    data = bytes.fromhex(answer)
    return open_packet(format_named(name), data, parameters(packet), key.key, key.salt)


@pytest.mark.parametrize("vector", FIELDS)
def test_every_field_of_a_vector_is_named_where_it_stands(vector: str) -> None:
    found = [(item.offset, item.field.name, item.hex) for item in opened(vector)]
    assert found == FIELDS[vector]


@pytest.mark.parametrize("vector", FIELDS)
def test_the_fields_are_the_whole_packet_without_gap_or_overlap(vector: str) -> None:
    at = 0
    for item in opened(vector):
        assert item.at == at
        at += item.bits
    assert at == 4 * len(ANSWERS[vector][2])


@pytest.mark.parametrize("vector", FIELDS)
def test_without_the_key_the_ciphertext_is_one_field(vector: str) -> None:
    name, packet, answer = ANSWERS[vector]
    found = decode(format_named(name), bytes.fromhex(answer), parameters(packet))
    assert "".join(item.hex for item in found) == answer
    assert [item.field.name for item in found if item.field.encrypted] == ["Ciphertext"]


@pytest.mark.parametrize("name", NAMES)
def test_packets_of_the_reference_are_read_at_every_length(name: str) -> None:
    form = format_named(name)
    for octets in (*range(28, 64), 1399, 1400):
        payload = b"\x45\0" + octets.to_bytes(2) + bytes(range(4, 28)) + bytes(octets - 28)
        said = Packet(payload, implicit_iv=not form.usual.iv_len, shown=form.usual.shown)
        data = seal(name, SHARED, said)
        found = open_packet(form, data, form.usual, SHARED.key, SHARED.salt)
        parts = ("Clear Payload", "Payload", "Rest of Payload", "Inner IP Packet")
        read = b"".join(item.octets for item in found if item.field.name in parts)
        assert read == payload
        assert len(data) == octets + form.added(octets)


@pytest.mark.parametrize("name", NAMES)
def test_a_packet_shorter_than_its_fields_is_refused_with_what_is_needed(name: str) -> None:
    form = format_named(name)
    least = form.added(0) - form.padding(0) + form.usual.shown
    decode(form, bytes(least))
    with pytest.raises(FormatError, match=f"packet of {least - 1} octets, {least} are needed"):
        decode(form, bytes(least - 1))


def test_a_wrong_tag_is_told() -> None:
    form = format_named("esp")
    with pytest.raises(FormatError, match="the ICV is wrong"):
        open_packet(form, bytes(60), form.usual, SHARED.key, SHARED.salt)


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("esp", b"\0\0\xff\x04", "padding of 255 octets is longer than the text"),
        ("trailer-in-header", b"\0\0\x04\x09" + bytes(8), "padding of 9 octets is longer"),
        ("no-trailer", b"\x50" + bytes(19), r"no IP packet \(first nibble 5\); accepted: 4, 6"),
        ("no-trailer", b"\x45\0\0\xff" + bytes(16), "inner packet of 255 octets in a text of 20"),
    ],
)
def test_lengths_that_cannot_be_are_told(name: str, text: bytes, words: str) -> None:
    form = format_named(name)
    packet = bytes(16) + text + bytes(16)
    with pytest.raises(FormatError, match=words):
        decode(form, packet, form.usual, text)
