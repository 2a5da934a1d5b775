"""One nonce, once, by any route; handles and generations."""

import pytest
from engine_helpers import GCM, INNER, KEY, SALT, answer, changed, engine_with, status_of
from hypothesis import given
from hypothesis import strategies as st

from p4esp.engine import (
    Direction,
    Engine,
    KeySpec,
    KeyStoreError,
    SealEvent,
    Status,
    TransformError,
)
from p4esp.engine.check.judge import sealed_reply
from p4esp.engine.check.requests import open_request, seal_request
from p4esp.engine.check.vectors import VECTORS
from p4esp.engine.datapath import KeyPath
from p4esp.engine.descriptor import FRAME_PARTS

IIV, GMAC = "AES-GCM-16-IIV-128", "AES-GMAC-128"


def seal_key(key: bytes = KEY, transform: str = GCM, generation: int = 0) -> KeySpec:
    return KeySpec(Direction.SEAL, transform, key, SALT, generation)


def test_sealing_twice_with_one_iv_is_refused_and_counted() -> None:
    engine, handle = engine_with(Direction.SEAL)
    request = seal_request(handle, 5, INNER, nh=4)
    assert status_of(engine, request) is Status.DONE
    reply = answer(engine, request)
    assert (reply.descriptor.status, reply.packet) == (Status.NONCE_REFUSED, request.packet[:36])
    assert engine.stats().nonce_refused == 1


@pytest.mark.parametrize("field", ["space", "sa", "nh", "align"])
def test_changing_a_descriptor_field_does_not_free_the_iv(field: str) -> None:
    engine, handle = engine_with(Direction.SEAL)
    request = seal_request(handle, 5, INNER, nh=4)
    assert status_of(engine, request) is Status.DONE
    value = {"align": 8}.get(field, 9)
    assert status_of(engine, changed(request, **{field: value})) is Status.NONCE_REFUSED


def test_guard_reads_the_iv_of_the_packet_not_the_sequence_number() -> None:
    engine, handle = engine_with(Direction.SEAL)
    iv = (77).to_bytes(8, "big")
    assert status_of(engine, seal_request(handle, 5, INNER, iv=iv)) is Status.DONE
    assert status_of(engine, seal_request(handle, 6, INNER, iv=iv)) is Status.NONCE_REFUSED
    assert status_of(engine, seal_request(handle, 5, INNER, iv=bytes(8))) is Status.DONE


def test_key_removed_and_installed_again_keeps_its_guard() -> None:
    engine, handle = engine_with(Direction.SEAL)
    assert status_of(engine, seal_request(handle, 5, INNER)) is Status.DONE
    engine.remove(handle)
    again = engine.install(seal_key(generation=1))
    assert again > handle
    assert status_of(engine, seal_request(again, 5, INNER, gen=1)) is Status.NONCE_REFUSED
    assert status_of(engine, seal_request(again, 6, INNER, gen=1)) is Status.DONE


@pytest.mark.parametrize(("first", "second"), [(GCM, IIV), (GCM, GMAC), (GCM, GCM)])
def test_two_handles_of_one_key_share_one_guard(first: str, second: str) -> None:
    engine = Engine()
    one = engine.install(seal_key(transform=first))
    two = engine.install(seal_key(transform=second))
    assert status_of(engine, seal_request(one, 5, INNER)) is Status.DONE
    assert status_of(engine, seal_request(two, 5, INNER, transform=second)) is Status.NONCE_REFUSED


def test_seal_key_may_also_be_installed_for_opening_and_opening_repeats() -> None:
    engine, handle = engine_with(Direction.SEAL)
    other = engine.install(KeySpec(Direction.OPEN, GCM, KEY, SALT))
    sealed = answer(engine, seal_request(handle, 1, INNER, nh=4)).packet[20:]
    for _ in range(2):
        assert answer(engine, open_request(other, 1, sealed)).packet[36:] == INNER


def test_on_sealed_reports_each_sealed_nonce_and_no_refused_one() -> None:
    events: list[SealEvent] = []
    engine = Engine(on_sealed=events.append)
    handle = engine.install(seal_key())
    implicit = engine.install(seal_key(bytes(16), IIV))
    request = seal_request(handle, 5, INNER, space=3, iv=(9).to_bytes(8, "big"))
    engine.process(request.encode())
    engine.process(request.encode())
    engine.process(seal_request(implicit, 6, INNER, transform=IIV).encode())
    assert [(e.handle, e.space, e.iv) for e in events] == [(handle, 3, 9), (implicit, 0, 6)]
    assert events[0].key_id != events[1].key_id


def test_handles_grow_and_are_never_used_again() -> None:
    engine = Engine(random_bytes=lambda count: b"\xff" * count)
    handles = []
    for _ in range(50):
        handles.append(engine.install(seal_key()))
        engine.remove(handles[-1])
    assert handles == list(range(0x80000000, 0x80000000 + 50))


def test_unknown_removed_and_wrong_direction_handles_are_no_key() -> None:
    engine, handle = engine_with(Direction.SEAL)
    assert status_of(engine, seal_request(handle + 1, 1, INNER)) is Status.NO_KEY
    assert status_of(engine, open_request(handle, 1, VECTORS["D1"].esp)) is Status.NO_KEY
    engine.remove(handle)
    assert status_of(engine, seal_request(handle, 1, INNER)) is Status.NO_KEY
    with pytest.raises(KeyStoreError, match="no key has handle"):
        engine.remove(handle)


def test_other_generation_is_stale_and_uses_no_iv() -> None:
    engine, handle = engine_with(Direction.SEAL, generation=7)
    assert status_of(engine, seal_request(handle, 1, INNER, gen=6)) is Status.STALE_GEN
    assert status_of(engine, seal_request(handle, 1, INNER, gen=7)) is Status.DONE


def test_handles_that_run_out_refuse_the_next_key() -> None:
    engine = Engine()
    engine._keys._next = 0xFFFFFFFF
    assert engine.install(seal_key()) == 0xFFFFFFFF
    with pytest.raises(KeyStoreError, match="restart"):
        engine.install(seal_key())


@pytest.mark.parametrize(
    ("spec", "error"),
    [
        (KeySpec(Direction.SEAL, "DES", KEY, SALT), TransformError),
        (KeySpec(Direction.SEAL, GCM, KEY + b"x", SALT), TransformError),
        (KeySpec(Direction.SEAL, GCM, KEY, b""), TransformError),
        (KeySpec(Direction.SEAL, GCM, KEY, SALT, generation=256), KeyStoreError),
        (KeySpec(3, GCM, KEY, SALT), KeyStoreError),
        (KeySpec(Direction.SEAL, GCM, KEY, SALT, sa_index=1 << 24), KeyStoreError),
    ],
)
def test_bad_key_is_refused_by_a_typed_error(spec: KeySpec, error: type[Exception]) -> None:
    with pytest.raises(error):
        Engine().install(spec)


def test_key_material_is_in_no_repr_and_overwritten_on_removal() -> None:
    engine, handle = engine_with(Direction.SEAL)
    (entry,) = engine._keys
    text = f"{entry!r} {engine.stats()!r} {seal_key()!r} {vars(engine)!r}"
    for secret in (KEY, SALT):
        assert secret.hex() not in text
        assert repr(secret)[2:-1] not in text
    salt = entry.salt
    engine.remove(handle)
    assert salt == bytes(4)


@given(st.lists(st.tuples(st.integers(0, 700), st.sampled_from([4, 41, 59])), max_size=40))
def test_requests_of_changing_shape_are_answered_each_by_its_own(shapes: list) -> None:
    engine, handle = engine_with(Direction.SEAL)
    for seq, (space, nh) in enumerate(shapes, 1):
        request = seal_request(handle, seq, INNER, space=space, nh=nh)
        assert answer(engine, request) == sealed_reply(request, seal_key())


def test_more_shapes_than_are_kept_do_no_harm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(KeyPath, "LIMIT", 2)
    engine, handle = engine_with(Direction.SEAL)
    for seq in range(1, 30):
        request = seal_request(handle, seq, INNER, space=seq % 5)
        assert status_of(engine, request) is Status.DONE
        assert status_of(engine, request) is Status.NONCE_REFUSED


def test_key_removed_while_its_shape_is_learnt_stays_removed() -> None:
    engine, handle = engine_with(Direction.SEAL)
    (entry,) = engine._keys
    serve = engine._handlers[entry.wire_handle]
    engine.remove(handle)
    engine._publish(entry, serve)
    assert status_of(engine, seal_request(handle, 1, INNER)) is Status.NO_KEY


def test_packet_in_flight_while_its_key_is_removed_is_not_sealed() -> None:
    engine, handle = engine_with(Direction.SEAL)
    (entry,) = engine._keys
    serve = engine._handlers[entry.wire_handle]
    engine.remove(handle)
    frame = seal_request(handle, 1, INNER).encode()
    reply = serve(frame, FRAME_PARTS.unpack_from(frame))
    assert reply is not None
    assert reply[16] == Status.NONCE_REFUSED
