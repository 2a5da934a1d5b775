"""The tests' own reference for ESP formats is judged by the digest's vectors before it judges."""

import ast
import sys
from dataclasses import replace
from pathlib import Path

import format_reference as reference
import pytest
from cryptography.exceptions import InvalidTag
from format_reference import NAMES, Key, Packet, RefusedError
from format_vectors import (
    ANSWERS,
    DERIVED,
    INNER,
    PSP_KEYS,
    PSP_MASTERS,
    ROOT,
    SHARED,
    key_of,
)

SHOWN = {"crypt-offset": 28, "crypt-offset-shown": 28, "wesp-v2": 28, "eesp-full": 32, "psp": 24}
IGNORED = {"VF1": set(range(28, 32))}
"""Reserved bits that nothing covers (RFC 5840 2)."""
WESP_V2 = bytes.fromhex(ANSWERS["VF2"][2])[:48]
IP_PACKETS = {
    4: lambda octets: b"\x45\0" + octets.to_bytes(2) + bytes(octets - 4),
    41: lambda octets: b"\x60\0\0\0" + (octets - 40).to_bytes(2) + bytes(octets - 6),
}


def test_the_reference_shares_no_code_with_the_product() -> None:
    tree = ast.parse(Path(reference.__file__).read_text())
    modules = [node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    modules += [
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import)
        for alias in node.names
    ]
    tops = {str(module).split(".")[0] for module in modules}
    assert tops - set(sys.stdlib_module_names) == {"cryptography"}


@pytest.mark.parametrize("sub", DERIVED)
def test_kd0_kd1_kd2_keys_of_sub_sas(sub: int) -> None:
    key = reference.sub_key(ROOT, sub)
    assert (key.key + key.salt).hex() == DERIVED[sub]


@pytest.mark.parametrize("spi", PSP_KEYS)
def test_keys_of_psp_are_those_of_google_psp(spi: int) -> None:
    assert reference.psp_key(PSP_MASTERS, spi).key.hex() == PSP_KEYS[spi]


@pytest.mark.parametrize("vector", ANSWERS)
def test_the_reference_seals_every_vector(vector: str) -> None:
    name, packet, answer = ANSWERS[vector]
    assert reference.seal(name, key_of(name, packet.sub), packet).hex() == answer


@pytest.mark.parametrize("vector", ANSWERS)
def test_the_reference_opens_every_vector(vector: str) -> None:
    name, packet, answer = ANSWERS[vector]
    key, data = key_of(name, packet.sub), bytes.fromhex(answer)
    agreed = (packet.implicit_iv, packet.shown)
    found = reference.open_(name, key, data, *agreed, numbered=packet.numbered)
    assert found == (packet.payload, packet.next_header)


@pytest.mark.parametrize("vector", ANSWERS)
def test_no_flipped_bit_of_a_vector_is_accepted(vector: str) -> None:
    name, packet, answer = ANSWERS[vector]
    key, agreed = key_of(name, packet.sub), (packet.implicit_iv, packet.shown)
    for bit in set(range(4 * len(answer))) - IGNORED.get(vector, set()):
        data = bytearray.fromhex(answer)
        data[bit // 8] ^= 0x80 >> bit % 8
        with pytest.raises((InvalidTag, RefusedError)):
            reference.open_(name, key, bytes(data), *agreed, numbered=packet.numbered)


@pytest.mark.parametrize("next_header", IP_PACKETS)
@pytest.mark.parametrize("name", NAMES)
def test_what_the_reference_seals_it_opens_at_every_length(name: str, next_header: int) -> None:
    shown = SHOWN.get(name, 0)
    implicit = name in ("subspaces", "sub-child", "header-in-trailer")
    for octets in (*range(40, 72), 1499, 1500):
        payload = IP_PACKETS[next_header](octets)
        packet = Packet(payload, next_header=next_header, implicit_iv=implicit, shown=shown)
        data = reference.seal(name, SHARED, packet)
        assert reference.open_(name, SHARED, data, implicit, shown) == (payload, next_header)


def test_an_offset_of_nothing_is_plain_esp() -> None:
    sealed = reference.seal("crypt-offset", SHARED, Packet(INNER))
    assert sealed[:-16] == bytes.fromhex(ANSWERS["V0"][2])[:-16], "only the AAD has the IV as well"


def test_the_same_number_in_two_subspaces_makes_two_ciphertexts() -> None:
    three, four = (
        reference.seal("subspaces", SHARED, Packet(INNER, sub=sub, implicit_iv=True))
        for sub in (3, 4)
    )
    assert three[12:] != four[12:]


@pytest.mark.parametrize(
    ("name", "lie"),
    [
        ("trailer-in-header", b"\0\x01\4\0" + INNER),
        ("trailer-in-header", b"\x40\0\4\0" + INNER),
        ("trailer-in-header", b"\0\0\4\xff" + INNER),
        ("trailer-in-header", b"\0\0\4\4" + INNER + b"\0\0\1\0"),
        ("no-trailer", INNER[:2] + b"\0\x29" + INNER[4:]),
        ("no-trailer", INNER + bytes(4)),
        ("no-trailer", b"\0" + INNER[1:]),
        ("esp", INNER + b"\1\2\x2a\4"),
        ("esp", INNER + b"\1\3\2\4"),
    ],
)
def test_authentic_lies_are_refused(name: str, lie: bytes) -> None:
    head, iv = reference.seal("esp", SHARED, Packet(INNER))[:8], (1).to_bytes(8)
    data = head + iv + reference._gcm_seal(SHARED, iv, lie, head)
    with pytest.raises(RefusedError):
        reference.open_(name, SHARED, data)


EESP = bytes.fromhex("80000001 00001001 0000000000000001")


@pytest.mark.parametrize(
    ("name", "clear", "lie"),
    [
        ("wesp-v2", WESP_V2.replace(b"\x04", b"\x29", 1), INNER[28:] + b"\1\2\2\4"),
        ("wesp-v2", WESP_V2, INNER[28:] + b"\1\2\2\x29"),
        ("eesp-full", b"\x88" + EESP[1:], b"\0\0\4\0" + INNER),
        ("eesp-full", b"\x81" + EESP[1:], b"\0\0\4\0" + INNER),
        ("eesp-full", EESP[:1] + b"\4" + EESP[2:8] + b"\3\2\0\0" + EESP[8:], INNER),
        ("eesp-full", EESP[:1] + b"\4" + EESP[2:8] + b"\1\3\0\0" + EESP[8:], INNER),
        ("eesp-full", EESP[:1] + b"\4" + EESP[2:8] + b"\2\2\x1c\x10" + EESP[8:], INNER),
        ("eesp-full", EESP[:1] + b"\4" + EESP[2:8] + b"\2\2\x14\x90" + EESP[8:] + INNER, b""),
        ("eesp-optimized", EESP[:1] + b"\4" + EESP[2:8] + b"\2\2\x14\x10" + EESP[8:], INNER),
        ("eesp-optimized", EESP, INNER + bytes(256)),
    ],
)
def test_authentic_lies_of_wesp_v2_and_eesp_are_refused(
    name: str, clear: bytes, lie: bytes
) -> None:
    data = clear + reference._gcm_seal(SHARED, (1).to_bytes(8), lie, clear)
    implicit, shown = name != "wesp-v2", SHOWN.get(name, 0)
    with pytest.raises(RefusedError):
        reference.open_(name, SHARED, data, implicit, shown)


@pytest.mark.parametrize(
    ("at", "octet"), [(0, 41), (1, 16), (2, 12), (3, 0x10), (3, 0x20), (3, 0x40), (3, 0x80)]
)
def test_a_wesp_header_that_disagrees_is_refused_though_the_icv_is_right(
    at: int, octet: int
) -> None:
    data = bytearray.fromhex(ANSWERS["VF1"][2])
    data[at] = octet
    with pytest.raises((RefusedError, InvalidTag)):
        reference.open_("wesp", SHARED, bytes(data))


def test_options_of_eesp_may_stand_in_any_order_and_a_pad_may_have_any_data() -> None:
    options = bytes.fromhex("0104deadbeef 0000 02021c10")
    head = b"\x80\x0c" + EESP[2:8] + options + EESP[8:]
    clear = head + b"\0\0\4\0"
    data = clear + reference._gcm_seal(SHARED, (1).to_bytes(8), INNER, clear)
    assert reference.open_("eesp-full", SHARED, data, True, 32) == (INNER, 4)


def test_a_sub_id_in_flight_selects_another_key_and_fails() -> None:
    packet = Packet(INNER, sub=1, implicit_iv=True)
    data = reference.seal("sub-child", key_of("sub-child", 1), packet)
    with pytest.raises(InvalidTag):
        reference.open_("sub-child", key_of("sub-child", 2), data[:5] + b"\2" + data[6:], True)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "psp"])
def test_another_salt_opens_nothing(name: str) -> None:
    packet = replace(Packet(INNER), implicit_iv=name not in ("esp",))
    data = reference.seal(name, SHARED, packet)
    with pytest.raises((InvalidTag, RefusedError)):
        reference.open_(name, Key(SHARED.key, b"salt"), data, packet.implicit_iv)
