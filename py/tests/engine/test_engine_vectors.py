"""Engine.process against published vectors (RFC 7634, mcgrew-gcm-test, ours)."""

from dataclasses import replace

import pytest
from engine_helpers import (
    GCM,
    INNER,
    KEY,
    SALT,
    answer,
    engine_with,
    for_vector,
    opened,
    status_of,
)

from p4esp.engine import (
    Direction,
    Flag,
    KeySpec,
    Status,
)
from p4esp.engine.check.requests import (
    OUTER,
    open_request,
    seal_request,
    vector_open,
    vector_seal,
)
from p4esp.engine.check.vectors import VECTORS

EXACT = ["M1", "M2", "M3", "M4", "M5", "M6", "M7", "M8", "M9", "M10", "M11", "M12", "M13", "M14"]
EXACT += ["C1", "D1", "D2", "D3", "D4", "D5", "D6a", "D6b", "D7a", "D7b", "D8", "D10", "D14", "D15"]


@pytest.mark.parametrize("name", EXACT)
def test_icv_01_icv_03_sealing_gives_the_vectors_packet(name: str) -> None:
    vector = VECTORS[name]
    engine, handle = for_vector(Direction.SEAL, vector)
    request = vector_seal(handle, vector)
    reply = answer(engine, request)
    expected = replace(request.descriptor.reply(Status.DONE), pad=vector.plain[-2])
    assert (reply.descriptor, reply.packet) == (expected, OUTER + vector.esp)


@pytest.mark.parametrize("name", [*(name for name in EXACT if name != "M12"), "D16"])
def test_icv_01_icv_03_opening_hoists_the_trailer_and_leaves_the_payload(name: str) -> None:
    vector = VECTORS[name]
    engine, handle = for_vector(Direction.OPEN, vector)
    request = vector_open(handle, vector, flags=Flag.TRAILER | Flag.ESN * vector.esn)
    reply = answer(engine, request)
    expected = replace(
        request.descriptor.reply(Status.DONE),
        nh=vector.next_header,
        pad=vector.plain[-2],
        plain_len=len(vector.payload),
    )
    shown = OUTER + vector.esp[: vector.text_at]
    assert (reply.descriptor, reply.packet) == (expected, shown + vector.payload)


@pytest.mark.parametrize("name", ["M7", "M12"])
def test_without_trailer_flag_the_text_is_as_it_is(name: str) -> None:
    vector = VECTORS[name]
    engine, handle = for_vector(Direction.OPEN, vector)
    reply = answer(engine, vector_open(handle, vector, flags=Flag.ESN * vector.esn, nh=77))
    assert reply.packet[len(OUTER) + vector.text_at :] == vector.plain
    assert (reply.descriptor.nh, reply.descriptor.pad) == (77, 0)
    sealer, key = for_vector(Direction.SEAL, vector)
    request = seal_request(
        *(key, vector.seq, vector.plain),
        spi=vector.spi,
        iv=vector.iv,
        flags=Flag.ESN * vector.esn,
    )
    assert answer(sealer, request).packet == OUTER + vector.esp


def test_tfc_padding_is_trimmed_to_the_inner_length() -> None:
    assert opened("D11").packet[len(OUTER) + 16 :] == INNER
    assert opened("D11").descriptor.plain_len == len(INNER)


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("N1", Status.BAD_PAD),
        ("N2", Status.BAD_PADLEN),
        ("N3", Status.BAD_PADLEN),
        ("N4", Status.BAD_INNER),
        ("N6", Status.BAD_INNER),
        ("N8", Status.BAD_INNER),
    ],
)
def test_fault_behind_a_valid_icv_is_named_and_shows_no_clear_text(name: str, status: int) -> None:
    reply = opened(name)
    assert reply.descriptor.status == status
    assert reply.descriptor.status & 0x40
    assert reply.packet == OUTER + VECTORS[name].esp[:16]


def test_empty_payload_is_a_pad_length_error() -> None:
    assert opened("M12").descriptor.status == Status.BAD_PADLEN


def test_empty_dummy_packet_opens() -> None:
    engine, seal = engine_with(Direction.SEAL)
    sealed = answer(engine, seal_request(seal, 1, b"", nh=59))
    handle = engine.install(KeySpec(Direction.OPEN, GCM, KEY, SALT))
    reply = answer(engine, open_request(handle, 1, sealed.packet[20:], flags=Flag.TRAILER))
    assert (reply.descriptor.status, reply.descriptor.plain_len) == (Status.DONE, 0)


def test_flipping_any_byte_of_the_packet_gives_bad_icv() -> None:
    vector = VECTORS["D1"]
    engine, handle = for_vector(Direction.OPEN, vector)
    for position in range(len(vector.esp)):
        esp = bytearray(vector.esp)
        esp[position] ^= 1 << position % 8
        assert status_of(engine, open_request(handle, 7, bytes(esp))) is Status.BAD_ICV


@pytest.mark.parametrize("seq", [0x0000000000000007, 0x0000000200000007])
def test_wrong_high_half_is_bad_icv(seq: int) -> None:
    assert opened("D2", seq=seq).descriptor.status == Status.BAD_ICV


def test_esn_aad_on_a_32_bit_packet_is_bad_icv_and_the_other_way_round() -> None:
    assert opened("D1", flags=Flag.TRAILER | Flag.ESN).descriptor.status == Status.BAD_ICV
    assert opened("D2", flags=Flag.TRAILER, seq=7).descriptor.status == Status.BAD_ICV


def test_ethernet_padding_behind_the_packet_is_ignored() -> None:
    vector = VECTORS["D1"]
    for direction, build in ((Direction.SEAL, vector_seal), (Direction.OPEN, vector_open)):
        engine, handle = for_vector(direction, vector)
        other, twin = for_vector(direction, vector)
        request = build(handle, vector)
        padded = replace(build(twin, vector), packet=request.packet + b"\xaa" * 9)
        assert answer(other, padded).packet == answer(engine, request).packet
