"""Sub keys: HKDF-Expand, consecutive handles, one install and one removal."""

import hmac
from dataclasses import replace

import pytest
from engine_helpers import INNER, answer, status_of

from p4esp.engine import Direction, Engine, KeySpec, KeyStoreError, Status, TransformError
from p4esp.engine.check.judge import sealed_reply
from p4esp.engine.check.requests import GCM, seal_request
from p4esp.engine.errors import HandlesExhaustedError
from p4esp.engine.subkeys import HKDF_SHA2_256, derived
from p4esp.engine.transforms import lookup, names

ROOT = bytes(range(0x40, 0x60))
# The digest's vectors for a key of 16 bytes and a salt of 4: known answers of the formats.
KEYMAT = {
    0x0000: "e48038de8e8b98782c27ab1eb5f5d0aaa3f7d6e7",
    0x0001: "263fc6916fcc7ab78a2ee846f17817696c378700",
    0x0102: "479e5f39c8fbb4c6033adfcd71d6828c2615b6ee",
}


def root(subs: int = 3, transform: str = GCM, **fields: object) -> KeySpec:
    spec = KeySpec(Direction.SEAL, transform, ROOT, b"", subs=subs, kdf=HKDF_SHA2_256)
    return replace(spec, **fields)


def expanded(sub: int, length: int) -> bytes:
    """RFC 5869, section 2.3, for up to two blocks."""
    info = sub.to_bytes(2, "big")
    first = hmac.digest(ROOT, info + b"\1", "sha256")
    return (first + hmac.digest(ROOT, first + info + b"\2", "sha256"))[:length]


def test_sub_keys_are_those_of_the_digest() -> None:
    found = [bytes(key + salt).hex() for key, salt in derived(lookup(GCM), ROOT, 0x103)]
    assert {sub: found[sub] for sub in KEYMAT} == KEYMAT


@pytest.mark.parametrize("sub", KEYMAT)
def test_sub_key_of_the_digest_seals_under_the_first_handle_plus_its_number(sub: int) -> None:
    engine, octets = Engine(), bytes.fromhex(KEYMAT[sub])
    request = seal_request(engine.install(root(0x103)) + sub, 7, INNER, nh=4)
    spec = KeySpec(Direction.SEAL, GCM, octets[:16], octets[16:])
    assert answer(engine, request) == sealed_reply(request, spec)


@pytest.mark.parametrize("transform", [n for n in names() if lookup(n).salt_len])
def test_key_and_salt_of_every_length_come_from_one_expansion(transform: str) -> None:
    engine, size = Engine(), lookup(transform).key_len
    first = engine.install(root(3, transform))
    for sub in range(3):
        octets = expanded(sub, size + 4)
        spec = KeySpec(Direction.SEAL, transform, octets[:size], octets[size:])
        request = seal_request(first + sub, 7, INNER, nh=4, transform=transform)
        assert answer(engine, request) == sealed_reply(request, spec)


def test_handles_are_consecutive_and_the_next_key_has_the_next_one() -> None:
    engine = Engine(random_bytes=bytes)
    assert [engine.install(root(n)) for n in (5, 1, 2)] == [1, 6, 7]
    assert engine.install(KeySpec(Direction.OPEN, GCM, ROOT[:16], b"salt")) == 9


def test_each_sub_key_has_a_guard_of_its_own_that_outlives_it() -> None:
    engine = Engine()
    first = engine.install(root())
    for sub in range(3):
        assert status_of(engine, seal_request(first + sub, 5, INNER)) is Status.DONE
    engine.remove(first)
    again = engine.install(root(4))
    for sub in range(3):
        assert status_of(engine, seal_request(again + sub, 5, INNER)) is Status.NONCE_REFUSED
    assert status_of(engine, seal_request(again + 3, 5, INNER)) is Status.DONE


def test_sub_key_installed_by_itself_shares_the_guard() -> None:
    engine, octets = Engine(), expanded(1, 20)
    alone = engine.install(KeySpec(Direction.SEAL, GCM, octets[:16], octets[16:]))
    first = engine.install(root())
    assert status_of(engine, seal_request(alone, 5, INNER)) is Status.DONE
    assert status_of(engine, seal_request(first + 1, 5, INNER)) is Status.NONCE_REFUSED
    assert status_of(engine, seal_request(first, 5, INNER)) is Status.DONE


def test_first_handle_removes_all_sub_keys_and_another_one_none() -> None:
    engine = Engine()
    first, other = engine.install(root()), engine.install(root(2, key=bytes(32)))
    for sub in (1, 2):
        with pytest.raises(KeyStoreError, match=f"{first + sub} of its own: .* by {first}"):
            engine.remove(first + sub)
    assert status_of(engine, seal_request(first + 2, 1, INNER)) is Status.DONE
    salts = [entry.salt for entry in engine._keys][:3]
    engine.remove(first)
    assert salts == [bytes(4)] * 3
    for sub in range(3):
        assert status_of(engine, seal_request(first + sub, 2, INNER)) is Status.NO_KEY
    assert status_of(engine, seal_request(other + 1, 1, INNER)) is Status.DONE
    with pytest.raises(KeyStoreError, match=f"no key has handle {first + 3 + 2}$"):
        engine.remove(first + 3 + 2)
    assert engine.remove_all() == 1
    assert engine._handlers == {}


def test_counters_of_a_root_are_one_row_and_outlive_it() -> None:
    engine = Engine()
    first = engine.install(root(generation=2, sa_index=9))
    for sub, seq in ((0, 1), (2, 1), (2, 2)):
        engine.process(seal_request(first + sub, seq, b"four", gen=2).encode())
    (row,) = engine.stats().keys
    assert (row.handle, row.subs, row.packets, row.octets) == (first, 3, 3, 12)
    assert (row.generation, row.sa_index, engine.key_count) == (2, 9, 1)
    engine.remove(first)
    assert engine.stats().replies["DONE"] == 3


def test_sub_keys_open_what_they_sealed_each_by_its_own() -> None:
    engine = Engine()
    sealer, opener = engine.install(root()), engine.install(root(direction=Direction.OPEN))
    sealed = answer(engine, seal_request(sealer + 1, 1, INNER, nh=4)).packet
    request = seal_request(opener + 1, 1, INNER, nh=4)
    asked = replace(request.descriptor, op=2, nh=0, plain_len=len(sealed) - 36)
    statuses = [
        status_of(engine, replace(request, packet=sealed, descriptor=replace(asked, key=key)))
        for key in (opener, opener + 1, opener + 2)
    ]
    assert statuses == [Status.BAD_ICV, Status.DONE, Status.BAD_ICV]


@pytest.mark.parametrize(
    ("spec", "error"),
    [
        (root(-1), KeyStoreError),
        (root(65_537), KeyStoreError),
        (root(0), KeyStoreError),
        (root(3, kdf=""), KeyStoreError),
        (root(3, kdf="HKDF-SHA2-512"), KeyStoreError),
        (root(3, key=ROOT[:-1]), TransformError),
        (root(3, key=ROOT + b"\0"), TransformError),
        (root(3, salt=b"salt"), TransformError),
        (root(3, integrity_key=ROOT), TransformError),
        (root(3, "NULL-HMAC-SHA2-256-128"), TransformError),
        (root(3, "AES-CBC-256-HMAC-SHA2-256-128"), TransformError),
        (root(3, generation=256), KeyStoreError),
    ],
)
def test_refused_root_changes_nothing_and_is_not_shown(
    spec: KeySpec, error: type[Exception]
) -> None:
    engine = Engine(random_bytes=bytes)
    with pytest.raises(error) as caught:
        engine.install(spec)
    assert (ROOT.hex() in str(caught.value), repr(ROOT)[2:-1] in str(caught.value)) == (False,) * 2
    assert (engine.key_count, engine._handlers) == (0, {})
    assert engine.install(root()) == 1


def test_handles_that_do_not_suffice_for_all_sub_keys_suffice_for_fewer() -> None:
    engine = Engine()
    engine._keys._next = 0xFFFFFFFE
    with pytest.raises(HandlesExhaustedError, match="restart"):
        engine.install(root(3))
    assert engine.install(root(2)) == 0xFFFFFFFE
    with pytest.raises(HandlesExhaustedError, match="restart"):
        engine.install(root(1))


def test_root_and_sub_keys_are_in_no_repr_and_no_statistic() -> None:
    engine, spec = Engine(), root()
    first = engine.install(spec)
    engine.process(seal_request(first + 1, 1, INNER).encode())
    groups = engine._keys.groups()
    text = f"{spec!r} {groups!r} {engine.stats()!r} {vars(engine)!r} {list(engine._keys)!r}"
    secrets = [ROOT, *(expanded(sub, 20)[:16] for sub in range(3))]
    secrets += [expanded(sub, 20)[16:] for sub in range(3)]
    for secret in secrets:
        assert secret.hex() not in text
        assert repr(secret)[2:-1] not in text


def test_derived_octets_are_overwritten_once_they_were_installed() -> None:
    seen = []
    for key, salt in derived(lookup(GCM), ROOT, 3):
        assert any(key)
        seen += [key, salt]
    assert not any(map(any, seen))
