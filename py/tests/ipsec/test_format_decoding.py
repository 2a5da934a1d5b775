"""Decoders name every field of the digest's vectors, and refuse what cannot be of their format."""

import pytest
from format_reference import NAMES, Packet, seal
from format_vectors import ANSWERS, INNER, SHARED, key_of

from p4esp.ipsec.formats import FormatError, Option, Parameters, format_named
from p4esp.ipsec.formats.decoding import Found, decode
from p4esp.ipsec.formats.opening import open_packet
from p4esp.ipsec.formats.telling import told_by_eesp

SHOWN, REST = INNER[:28].hex(), INNER[28:].hex()
EESP = [
    (0, "One", "1"),
    (0, "Version", "0"),
    (0, "Reserved", "0"),
    (1, "Option Length", "00"),
    (2, "Session ID", "0001"),
    (4, "SPI", "00001001"),
]


def psp(length: str, offset: str, present: str, iv: str) -> list[tuple[int, str, str]]:
    """The base header of a PSP packet of the digest."""
    return [
        (0, "Next Header", "04"),
        (1, "Header Ext Length", f"0{length}"),
        (2, "Reserved", "0"),
        (2, "Crypt Offset", offset),
        (3, "Sample", "0"),
        (3, "Drop", "0"),
        (3, "Version", "0"),
        (3, "Cookie Present", present),
        (3, "One", "1"),
        (4, "SPI", "1a345678"),
        (8, "IV", iv),
    ]


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
    "VF1": [
        (0, "Next Header", "04"),
        (1, "Header Length", "14"),
        (2, "Trailer Length", "10"),
        (3, "Version", "0"),
        (3, "Encrypted", "0"),
        (3, "Padded", "0"),
        (3, "Reserved", "0"),
        (4, "SPI", "00001001"),
        (8, "Sequence Number", "00000001"),
        (12, "IV", "0000000000000001"),
        (20, "Payload", INNER.hex()),
        (56, "Padding", "0102"),
        (58, "Pad Length", "02"),
        (59, "Next Header", "04"),
        (60, "ICV", "1553efff15a258b1bae3b4e90fa84448"),
    ],
    "VF2": [
        (0, "Next Header", "04"),
        (1, "Header Length", "14"),
        (2, "Crypt Offset", "07"),
        (2, "Reserved", "0"),
        (3, "Version", "1"),
        (3, "Option Length", "00"),
        (4, "SPI", "00001001"),
        (8, "Sequence Number", "00000001"),
        (12, "IV", "0000000000000001"),
        (20, "Clear Payload", SHOWN),
        (48, "Rest of Payload", REST),
        (56, "Padding", "0102"),
        (58, "Pad Length", "02"),
        (59, "Next Header", "04"),
        (60, "ICV", "2b54218c481be43d7c01a6d1b6cb596e"),
    ],
    "VG1": [
        *EESP,
        (8, "Sequence Number", "0000000000000001"),
        (16, "Inner IP Packet", INNER.hex()),
        (52, "Padding", ""),
        (52, "ICV", "1f873d71b2ed11395507a2ba452b9ab6"),
    ],
    "VG2": [
        *EESP,
        (8, "Sequence Number", "0000000000000001"),
        (16, "IV", "1122334455667788"),
        (24, "Inner IP Packet", INNER.hex()),
        (60, "Padding", ""),
        (60, "ICV", "441884a386328665ba84996c6dee2f1f"),
    ],
    "VG3": [
        *EESP[:3],
        (1, "Option Length", "04"),
        *EESP[4:],
        (8, "Option Type", "02"),
        (9, "Option Data Length", "02"),
        (10, "Payload Offset", "07"),
        (10, "Crypt Offset", "08"),
        (11, "Reserved", "0"),
        (12, "Sequence Number", "0000000000000001"),
        (20, "IV", "1122334455667788"),
        (28, "Zero", "0"),
        (28, "Reserved", "000"),
        (30, "Next Header", "04"),
        (31, "Pad Length", "00"),
        (32, "Clear Payload", SHOWN),
        (60, "Rest of Payload", REST),
        (68, "Padding", ""),
        (68, "ICV", "40f332781124b5c3257f6f920d8e9a02"),
    ],
    "VG4": [
        *EESP,
        (8, "Sequence Number", "0000000000000001"),
        (16, "Zero", "0"),
        (16, "Reserved", "000"),
        (18, "Next Header", "11"),
        (19, "Pad Length", "00"),
        (20, "Payload", INNER[20:].hex()),
        (36, "Padding", ""),
        (36, "ICV", "39957871c04f9ec9e40f443530cc184f"),
    ],
    "VG5": [
        *EESP,
        (8, "IV", "1122334455667788"),
        (16, "Inner IP Packet", INNER.hex()),
        (52, "Padding", ""),
        (52, "ICV", "b1a5b101e81ad8c030629c0e46f3cf11"),
    ],
    "VG6": [
        *EESP[:3],
        (1, "Option Length", "04"),
        *EESP[4:],
        (8, "PadN", "01020000"),
        (12, "Sequence Number", "0000000000000001"),
        (20, "Zero", "0"),
        (20, "Reserved", "000"),
        (22, "Next Header", "11"),
        (23, "Pad Length", "00"),
        (24, "Payload", INNER[20:].hex()),
        (40, "Padding", ""),
        (40, "ICV", "768aa53c2346e90f58d32f4f8f879023"),
    ],
    "VH1": [
        *psp("1", "06", "0", "0000000000000001"),
        (16, "Clear Payload", INNER[:24].hex()),
        (40, "Rest of Payload", INNER[24:].hex()),
        (52, "ICV", "edf3166febe685291b00a43b7ab875a9"),
    ],
    "VH2": [
        *psp("2", "00", "1", "0000000000000002"),
        (16, "Security Token", "00000000"),
        (20, "Virtual Key", "00000000"),
        (24, "Payload", INNER.hex()),
        (60, "ICV", "b8ab807796a1c918d1d8bf4c820834bc"),
    ],
    "VH3": [
        *psp("2", "08", "1", "0000000000000002"),
        (16, "Security Token", "00000000"),
        (20, "Virtual Key", "00000000"),
        (24, "Clear Payload", INNER[:24].hex()),
        (48, "Rest of Payload", INNER[24:].hex()),
        (60, "ICV", "bfa0619858ebdb305190216b5c0539f2"),
    ],
}


SALTED = (SHARED.key, SHARED.salt)


def parameters(packet: Packet) -> Parameters:
    """What two peers agree on; options stand in the packets."""
    iv_len = 0 if packet.implicit_iv else 8
    return Parameters(iv_len=iv_len, shown=packet.shown, numbered=packet.numbered)


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


def bits_of(digits: str) -> str:
    return f"{int(digits, 16):0{4 * len(digits)}b}"


@pytest.mark.parametrize("vector", FIELDS)
def test_without_the_key_the_ciphertext_is_one_field(vector: str) -> None:
    name, packet, answer = ANSWERS[vector]
    found = decode(format_named(name), bytes.fromhex(answer), parameters(packet))
    assert "".join(f"{item.value:0{item.bits}b}" for item in found if item.bits) == bits_of(answer)
    hidden = [item.field.name for item in found if item.field.encrypted]
    assert hidden == ([] if name == "wesp" else ["Ciphertext"])


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
    shown = form.clear_payload(form.usual)
    least = form.added(0) - form.padding(0) + shown
    said = Packet(bytes(shown), implicit_iv=not form.usual.iv_len, shown=form.usual.shown)
    packet = seal(name, SHARED, said)[: least - 18] + b"\0\4" + bytes(16)
    decode(form, packet)
    with pytest.raises(FormatError, match=f"packet of {least - 1} octets, {least} are needed"):
        decode(form, packet[:-1])


@pytest.mark.parametrize(
    ("vector", "at", "octets", "words"),
    [
        ("VF1", 3, "20", "version and E flag 001; accepted: 000"),
        ("VF1", 3, "40", "version and E flag 010; accepted: 000"),
        ("VF1", 3, "10", r"lengths \(20, 16\); accepted: \(24, 16\)"),
        ("VF1", 2, "0c", r"lengths \(20, 12\); accepted: \(20, 16\)"),
        ("VF2", 3, "00", "version 0; accepted: 1"),
        ("VF2", 3, "80", "version 2; accepted: 1"),
        ("VF2", 3, "7f", "63 octets of options; accepted: 0, 4"),
        ("VF2", 1, "10", "header length 16; accepted: 20"),
        ("VG1", 0, "00", "first octet 0x00; accepted: 0x80"),
        ("VG1", 0, "88", "first octet 0x88; accepted: 0x80"),
        ("VG1", 0, "81", "first octet 0x81; accepted: 0x80"),
        ("VG1", 1, "ff", "packet of 68 octets, 263 are needed"),
        ("VG1", 1, "03", "options 000000; accepted: none, Crypt Offset"),
        ("VG3", 8, "03", "options 03021c80; accepted"),
        ("VG3", 9, "04", "options 02041c80; accepted"),
        ("VG3", 10, "20", "payload offset 8; accepted: 7"),
        ("VG6", 9, "03", "options 01030000; accepted"),
        ("VH1", 3, "00", "octets 2 and 3 are 0600; accepted: first two bits 0, last bit 1"),
        ("VH1", 2, "46", "octets 2 and 3 are 4601; accepted"),
        ("VH1", 3, "09", "version 2; accepted: 0, 1"),
        ("VH1", 3, "03", "header ext length 1; accepted: 2"),
        ("VH2", 1, "01", "header ext length 1; accepted: 2"),
        ("VH1", 2, "3f", "packet of 68 octets, 284 are needed"),
    ],
)
def test_versions_and_options_that_are_not_read_are_told(
    vector: str, at: int, octets: str, words: str
) -> None:
    name, packet, answer = ANSWERS[vector]
    data = bytearray.fromhex(answer)
    data[at] = int(octets, 16)
    with pytest.raises(FormatError, match=words):
        decode(format_named(name), bytes(data), parameters(packet))


@pytest.mark.parametrize("octets", [0, 3, 7])
@pytest.mark.parametrize("name", ["wesp-v2", "eesp-optimized", "eesp-full", "psp"])
def test_a_packet_that_ends_in_its_base_header_is_refused(name: str, octets: int) -> None:
    with pytest.raises(FormatError, match=f"packet of {octets} octets|version 0"):
        decode(format_named(name), bytes(octets))


@pytest.mark.parametrize(("name", "shown"), [("wesp-v2", 4), ("eesp-full", 4), ("eesp-full", 12)])
def test_a_packet_itself_tells_what_it_shows(name: str, shown: int) -> None:
    data = seal(name, SHARED, Packet(INNER, shown=shown))
    form = format_named(name)
    (found,) = [f for f in decode(form, data) if f.field.name == "Clear Payload"]
    assert found.octets == INNER[: form.clear_payload(Parameters(shown=shown))]


def test_a_crypt_offset_of_nothing_leaves_the_payload_info_header_encrypted() -> None:
    told = told_by_eesp(bytes.fromhex("8004000000001001 02021c00"), Parameters())
    assert (told.shown, told.options) == (0, (Option.OFFSET,))
    names = [field.name for field in format_named("eesp-full").inside(told)]
    assert names == ["Zero", "Reserved", "Next Header", "Pad Length", "Payload", "Padding"]


def test_a_pad_may_follow_a_crypt_offset() -> None:
    said = Packet(INNER, shown=32, padded=True)
    data = seal("eesp-full", SHARED, said)
    form = format_named("eesp-full")
    read = {f.field.name: f.hex for f in open_packet(form, data, form.usual, *SALTED)}
    assert (read["PadN"], read["Payload Offset"]) == ("01020000", "08")


@pytest.mark.parametrize("shown", [0, 4, 8, 12, 44])
def test_a_cookie_may_be_on_both_sides_of_the_crypt_offset(shown: int) -> None:
    cookie = bytes(range(8))
    data = seal("psp", SHARED, Packet(INNER, shown=shown, cookie=cookie))
    found = open_packet(format_named("psp"), data, format_named("psp").usual, *SALTED)
    halves = {f.field.name: f for f in found if f.field.name in ("Security Token", "Virtual Key")}
    assert b"".join(half.octets for half in halves.values()) == cookie
    hidden = [half.field.encrypted for half in halves.values()]
    assert hidden == [shown < 4, shown < 8]
    payload = b"".join(f.octets for f in found if "Payload" in f.field.name)
    assert payload == INNER


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
