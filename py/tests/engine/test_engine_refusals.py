"""Requests that are refused, frames that are not answered, and frames nobody thought of."""

from dataclasses import replace

import pytest
from engine_helpers import (
    GCM,
    INNER,
    KEY,
    SALT,
    answer,
    any_key,
    changed,
    engine_with,
    opened,
    status_of,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from p4esp.engine import (
    CryptoFrame,
    Descriptor,
    Direction,
    Engine,
    Flag,
    KeySpec,
    Status,
)
from p4esp.engine.check.requests import (
    ETHERNET,
    open_request,
    seal_request,
)
from p4esp.engine.transforms import names, offered

BAD_SEAL = {
    "op 0": {"op": 0},
    "op 3": {"op": 3},
    "shown with a header below 8 bytes": {"flags": 0x42, "aad_len": 4},
    "shown with a header that is no multiple of 4": {"flags": 0x42, "aad_len": 10, "ct_off": 38},
    "shown with clear bytes that are no multiple of 4": {"flags": 0x42, "ct_off": 38},
    "shown with the text before the end of the IV": {"flags": 0x42, "aad_len": 12},
    "shown with a longer header and ESN": {"flags": 0x43, "aad_len": 12, "ct_off": 40},
    "trailer information header with a trailer": {"flags": Flag.TRAILER | Flag.TIH},
    "fill without trailer": {"flags": Flag.FILL},
    "trim on seal": {"flags": Flag.TRAILER | Flag.TRIM},
    "pad in request": {"pad": 1},
    "pad without room before the SPI": {"pad": 40},
    "aad_len": {"aad_len": 12},
    "iv_len not the key's": {"iv_len": 0, "ct_off": 28},
    "iv_len 16": {"iv_len": 16, "ct_off": 44},
    "icv": {"icv": 12},
    "align 0": {"align": 0},
    "align 3": {"align": 3},
    "text before the IV": {"ct_off": 35},
    "text behind its start": {"ct_off": 40},
    "aad elsewhere": {"aad_off": 21},
    "offsets outside the frame": {"aad_off": 200, "ct_off": 216},
    "plain_len beyond the frame": {"plain_len": len(INNER) + 1},
    "64-bit number without ESN": {"seq": 1 << 32},
}


@pytest.mark.parametrize("fields", BAD_SEAL.values(), ids=BAD_SEAL)
def test_inconsistent_seal_request_is_refused_and_uses_no_iv(fields: dict[str, int]) -> None:
    engine, handle = engine_with(Direction.SEAL)
    request = seal_request(handle, 1, INNER)
    reply = answer(engine, changed(request, **fields))
    assert reply.descriptor.status == Status.BAD_DESCRIPTOR
    assert reply.packet == b""
    assert status_of(engine, request) is Status.DONE


@pytest.mark.parametrize(
    "fields",
    [
        {"flags": Flag.FILL},
        {"flags": Flag.TIH | Flag.TRAILER},
        {"flags": Flag.TIH | Flag.TRIM | Flag.FILL},
        {"flags": Flag.TRAILER | Flag.FILL},
        {"plain_len": 17},
        {"plain_len": 0xFFFF},
        {"icv": 8},
        {"pad": 1},
        {"pad": 40, "aad_off": 48, "ct_off": 64},
        {"align": 6},
    ],
)
def test_inconsistent_open_request_is_refused(fields: dict[str, int]) -> None:
    assert opened("D1", **fields).descriptor.status == Status.BAD_DESCRIPTOR


def test_error_reply_is_the_request_up_to_the_text() -> None:
    engine, handle = engine_with(Direction.SEAL, generation=1)
    request = seal_request(handle, 1, INNER, gen=2, nh=4, sa=5, space=6)
    reply = answer(engine, request)
    assert reply.descriptor == request.descriptor.reply(Status.STALE_GEN)
    assert (reply.ethernet, reply.packet) == (ETHERNET, request.packet[:36])


@pytest.mark.parametrize(
    "fields",
    [{"ct_off": 255, "aad_off": 239}, {"ct_off": 60}, {"iv_len": 12, "ct_off": 40}],
)
def test_no_key_reply_carries_no_packet_when_ct_off_cannot_be_trusted(fields: dict) -> None:
    reply = answer(Engine(), changed(seal_request(1, 1, INNER), **fields))
    assert (reply.descriptor.status, reply.packet) == (Status.NO_KEY, b"")


def test_frames_that_are_no_request_are_counted_and_never_answered() -> None:
    engine, handle = engine_with(Direction.SEAL)
    request = seal_request(handle, 1, INNER)
    reply = engine.process(request.encode())
    assert reply is not None
    frames = [
        b"",
        request.encode()[:45],
        reply,
        changed(request, op=0x81).encode(),
        changed(request, status=0).encode(),
        replace(request, ethernet=ETHERNET[:12] + b"\x08\x00").encode(),
        ETHERNET[:12] + b"\x81\x00\x00\x01" + request.encode()[12:],
    ]
    assert [engine.process(frame) for frame in frames] == [None] * len(frames)
    assert engine.stats().not_a_request == len(frames)


def test_two_engines_facing_each_other_fall_silent() -> None:
    engine, handle = engine_with(Direction.SEAL)
    reply = engine.process(seal_request(handle + 1, 1, INNER).encode())
    assert reply is not None
    assert Engine().process(reply) is None


FUZZ = Engine()
FUZZ_KEYS = [FUZZ.install(any_key(direction, name)) for direction in Direction for name in names()]
FUZZ_KEYS += [FUZZ.install(any_key(Direction.OPEN, name)) for name in set(offered()) - set(names())]
small = st.sampled_from([0, 1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 20, 28, 36, 44, 48, 64, 255])
wild = st.builds(
    Descriptor,
    op=st.sampled_from([0, 1, 1, 2, 2, 3, 0x81]),
    flags=st.integers(0, 255),
    status=st.sampled_from([0xFF, 0xFF, 0xFF, 0]),
    key=st.sampled_from([*FUZZ_KEYS, 0]),
    seq=st.integers(0, (1 << 64) - 1),
    gen=st.sampled_from([0, 0, 0, 1]),
    pad=st.sampled_from([0, 0, 0, 1, 40]),
    plain_len=st.one_of(st.integers(0, 90), st.integers(0, 65535)),
    aad_off=small,
    aad_len=st.sampled_from([8, 8, 8, 0, 12, 16, 20, 24, 255]),
    iv_len=st.sampled_from([8, 8, 0, 16]),
    ct_off=small,
    icv=st.sampled_from([16, 16, 16, 8, 12, 24, 32, 0, 255]),
    align=st.sampled_from([4, 4, 16, 1, 0, 128, 255]),
)


@settings(max_examples=500, deadline=None)
@given(wild, st.binary(max_size=100))
def test_wild_descriptors_never_raise_and_every_frame_is_counted(
    descriptor: Descriptor, packet: bytes
) -> None:
    before = FUZZ.stats()
    reply = FUZZ.process(CryptoFrame(ETHERNET, descriptor, packet).encode())
    after = FUZZ.stats()
    total_before = sum(before.replies.values()) + before.not_a_request
    assert sum(after.replies.values()) + after.not_a_request == total_before + 1
    if reply is None:
        assert descriptor.op == 0x81 or descriptor.status == 0
    else:
        assert CryptoFrame.decode(reply).descriptor.op == descriptor.op | 0x80


@settings(max_examples=300)
@given(st.binary(max_size=120), st.booleans())
def test_random_frames_never_raise(data: bytes, as_request: bool) -> None:
    frame = bytearray(data)
    if as_request and len(frame) > 20:
        frame[12:17] = b"\x88\xb5\x01\x02\xff"
    FUZZ.process(bytes(frame))


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=80), small, small)
def test_hostile_but_authentic_plaintext_never_raises(plain: bytes, pad: int, nh: int) -> None:
    engine, seal = engine_with(Direction.SEAL)
    handle = engine.install(KeySpec(Direction.OPEN, GCM, KEY, SALT))
    text = plain + bytes((pad, nh))
    sealed = answer(engine, seal_request(seal, 1, text, flags=0)).packet[20:]
    reply = answer(engine, open_request(handle, 1, sealed, flags=Flag.TRAILER | Flag.TRIM))
    if reply.descriptor.status == Status.DONE:
        assert text.startswith(reply.packet[36:])
    else:
        assert reply.descriptor.status & 0x40
        assert len(reply.packet) == 36
