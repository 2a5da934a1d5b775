"""What each transform protects, which IVs it has, how its keys end (digest, sections 3, 8.1)."""

import hmac
import sys
import threading
from collections import Counter
from collections.abc import Callable
from itertools import pairwise

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.hashes import SHA256, SHA384, SHA512
from engine_helpers import INNER, answer, any_key, for_vector, opened, status_of

from p4esp.engine import CryptoFrame, Direction, Engine, Flag, KeySpec, SealEvent, Status
from p4esp.engine.check.requests import OUTER, open_request, seal_request, vector_open
from p4esp.engine.check.vectors import VECTORS
from p4esp.engine.ciphers import AesCbc, Clear, EncryptThenMac, KeyGoneError, Mac, ShortTagGcm
from p4esp.engine.descriptor import FRAME_PARTS
from p4esp.engine.transforms import lookup, names

h = bytes.fromhex
CBC, NULL = "AES-CBC-128-HMAC-SHA2-256-128", "NULL-HMAC-SHA2-256-128"
UNGUARDED = [name for name in names() if not lookup(name).guarded]
KEYED = pytest.mark.parametrize("transform", names())
#: The IV of a sealed CBC packet: behind outer header, SPI and sequence number.
IV = slice(28, 44)
OCTETS = bytes(range(1, 101))


def pair(transform: str) -> tuple[Engine, int, int]:
    """An engine with one key of a transform for both directions."""
    engine = Engine()
    spec = any_key(Direction.SEAL, transform, OCTETS)
    opener = any_key(Direction.OPEN, transform, OCTETS)
    return engine, engine.install(spec), engine.install(opener)


# --- ciphers and MACs alone ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "iv", "plain", "text"),
    [
        (
            "06a9214036b8a15b512e03d534120006",
            "3dafba429d9eb430b422da802c9fac41",
            "53696e676c6520626c6f636b206d7367",
            "e353779c1079aeb82708942dbe77181a",
        ),
        (
            "c286696d887c9aa0611bbb3e2025a45a",
            "562e17996d093d28ddb3ba695a2e6f58",
            "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
            "d296cd94c2cccf8a3a863028b5e1dc0a7586602d253cfff91b8266bea6d61ab1",
        ),
        (  # 4, case 8, from behind its IV: tunnel mode with ten bytes of padding
            "0123456789abcdef0123456789abcdef",
            "85d47224b5f3dd5d2101d4ea8dffab22",
            "45000044090c00004001f990c0a87b03c0a87bc80800d63caa0a0200c69c083da3de0300"
            "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"
            "0102030405060708090a0a04",
            "15b92683819596a8047232cc00f7048fe45318e11f8a0f62ede3c3fc61203bb50f980a08c9843fd3"
            "a1b06d5c07ff9639b7eb7dfb3512e5de435e7207ed971ef3d2726d9b5ef6affc6d17a0decbb13892",
        ),
    ],
)
def test_icv_02_aes_cbc_of_rfc_3602(key: str, iv: str, plain: str, text: str) -> None:
    cipher = AesCbc(h(key))
    assert cipher.encrypt(h(iv), h(plain)) == h(text)
    assert cipher.decrypt(h(iv), h(text)) == h(plain)


@pytest.mark.parametrize(
    ("algorithm", "icv"),
    [
        (SHA256, "198a607eb44bfbc69903a0f1cf2bbdc5"),
        (SHA384, "b6a8d5636f5c6a7224f9977dcf7ee6c7fb6d0c48cbdee973"),
        (SHA512, "637edc6e01dce7e6742a99451aae82df23da3e92439e590e43e761b33e910fb8"),
    ],
)
def test_icv_02_hmac_of_rfc_4868(algorithm: type, icv: str) -> None:
    mac = Mac(algorithm(), len(h(icv)), b"\x0b" * algorithm.digest_size)
    assert mac(b"Hi There") == h(icv)
    assert mac(b"Hi There") == h(icv)


def test_icv_02_one_mac_key_serves_many_packets() -> None:
    mac = Mac(SHA256(), 16, b"Jefe" * 8)
    assert mac(b"what do ya want for nothing?") == h("167f928588c5cc2eef8e3093caa0e87c")
    assert mac(b"") == hmac.digest(b"Jefe" * 8, b"", "sha256")[:16]


# --- what is authenticated -----------------------------------------------------------------


@pytest.mark.parametrize("name", ["D6a", "D7a", "D8", "D3"])
def test_a_flipped_bit_in_any_octet_is_bad_icv(name: str) -> None:
    vector = VECTORS[name]
    engine, handle = for_vector(Direction.OPEN, vector)
    for position in range(len(vector.esp)):
        esp = bytearray(vector.esp)
        esp[position] ^= 1 << position % 8
        request = vector_open(handle, vector)
        spoilt = CryptoFrame(request.ethernet, request.descriptor, OUTER + bytes(esp))
        reply = answer(engine, spoilt)
        assert reply.descriptor.status == Status.BAD_ICV
        assert reply.packet == spoilt.packet[: len(OUTER) + vector.text_at]


@KEYED
def test_a_flipped_bit_in_any_octet_is_bad_icv_with_esn_too(transform: str) -> None:
    engine, sealer, opener = pair(transform)
    fields = {"transform": transform, "flags": Flag.TRAILER | Flag.ESN}
    esp = answer(engine, seal_request(sealer, 1 << 32 | 7, INNER, nh=4, **fields)).packet[20:]
    assert status_of(engine, open_request(opener, 1 << 32 | 7, esp, **fields)) is Status.DONE
    seql = range(4, 8)  # the engine reads it in the descriptor, where pass 1 has put it
    for position in sorted({*range(len(esp))} - {*seql}):
        spoilt = bytearray(esp)
        spoilt[position] ^= 1 << position % 8
        request = open_request(opener, 1 << 32 | 7, bytes(spoilt), **fields)
        assert status_of(engine, request) is Status.BAD_ICV
    for bit in range(64):
        request = open_request(opener, (1 << 32 | 7) ^ 1 << bit, esp, **fields)
        assert status_of(engine, request) is Status.BAD_ICV


def test_icv_08_an_implicit_iv_packet_on_an_explicit_iv_sa_and_the_other_way_round() -> None:
    explicit, implicit = VECTORS["D1"], VECTORS["D3"]
    engine, handle = for_vector(Direction.OPEN, explicit)
    assert status_of(engine, open_request(handle, 7, implicit.esp)) is Status.BAD_ICV
    engine, handle = for_vector(Direction.OPEN, implicit)
    request = open_request(handle, 7, explicit.esp, transform=implicit.transform)
    assert status_of(engine, request) is Status.BAD_ICV


@pytest.mark.parametrize("position", range(8, 16))
def test_icv_10_gmac_authenticates_its_iv(position: int) -> None:
    vector = VECTORS["D6a"]
    engine, handle = for_vector(Direction.OPEN, vector)
    esp = bytearray(vector.esp)
    esp[position] ^= 1
    request = open_request(handle, 7, bytes(esp), transform=vector.transform)
    assert status_of(engine, request) is Status.BAD_ICV


def test_icv_11_a_packet_with_an_icv_of_96_bits_is_no_whole_number_of_blocks() -> None:
    """The pipeline drops it as BAD_LENGTH; the engine would not look at it either."""
    vector = VECTORS["D7a"]
    engine, handle = for_vector(Direction.OPEN, vector)
    request = open_request(handle, 7, vector.esp[:-4], transform=vector.transform)
    reply = answer(engine, request)
    assert (reply.descriptor.status, reply.packet) == (Status.BAD_DESCRIPTOR, b"")


def test_icv_12_the_high_half_is_hashed_behind_the_packet() -> None:
    assert opened("D7b").descriptor.status == Status.DONE
    assert opened("D7b", seq=2 << 32 | 7).descriptor.status == Status.BAD_ICV
    assert opened("D7b", seq=7).descriptor.status == Status.BAD_ICV
    assert opened("D7b", seq=7, flags=Flag.TRAILER).descriptor.status == Status.BAD_ICV
    assert opened("D7a", flags=Flag.TRAILER | Flag.ESN).descriptor.status == Status.BAD_ICV


@KEYED
def test_a_key_of_another_transform_opens_nothing(transform: str) -> None:
    """Same octets, same sizes on the wire: the transform alone makes the difference."""
    engine, sealer, _ = pair(transform)
    esp = answer(engine, seal_request(sealer, 7, INNER, transform=transform)).packet[20:]
    for other in names():
        handle = engine.install(any_key(Direction.OPEN, other, OCTETS))
        expected = {Status.DONE} if other == transform else {Status.BAD_ICV, Status.BAD_DESCRIPTOR}
        assert status_of(engine, open_request(handle, 7, esp, transform=other)) in expected


# --- no oracle -----------------------------------------------------------------------------


def test_a_cbc_padding_fault_is_seen_only_behind_a_right_icv() -> None:
    spec = any_key(Direction.OPEN, CBC, OCTETS)
    engine = Engine()
    handle = engine.install(spec)
    forger = EncryptThenMac(AesCbc, spec.key, Mac(SHA256(), 16, spec.integrity_key))
    header, iv = h("c0ffee0100000007"), bytes(range(16))
    statuses = {}
    for tail in ("0102030405060708090a0b0c0c0c0d04", "ff" * 16, "00" * 14 + "0304"):
        sealed = forger.encrypt(iv, bytes(16) + h(tail), header)
        esp = header + iv + sealed
        forged = esp[:-1] + bytes((esp[-1] ^ 1,))
        requests = (open_request(handle, 7, packet, transform=CBC) for packet in (esp, forged))
        statuses[tail] = [status_of(engine, request) for request in requests]
    assert {status for status, _ in statuses.values()} == {Status.BAD_PAD, Status.BAD_PADLEN}
    assert {status for _, status in statuses.values()} == {Status.BAD_ICV}


def test_nothing_is_decrypted_before_the_icv_is_right(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(AesCbc, "decrypt", lambda *_: pytest.fail("decrypted"))
    vector = VECTORS["D7a"]
    engine, handle = for_vector(Direction.OPEN, vector)
    esp = vector.esp[:-1] + bytes((vector.esp[-1] ^ 1,))
    assert status_of(engine, open_request(handle, 7, esp, transform=CBC)) is Status.BAD_ICV


@pytest.mark.parametrize("cipher", [AesCbc, Clear])
def test_an_icv_of_another_length_is_wrong(cipher: type) -> None:
    """So short a text never comes here: the engine refuses it by its length."""
    with pytest.raises(InvalidTag):
        EncryptThenMac(cipher, bytes(16), Mac(SHA256(), 16, bytes(32))).decrypt(bytes(16), b"", b"")


# --- IVs -----------------------------------------------------------------------------------


def sealed_ivs(engine: Engine, handle: int, count: int) -> list[bytes]:
    frame = seal_request(handle, 0, INNER, transform=CBC).encode()
    head, tail = frame[:26], frame[30:]
    replies = (engine.process(head + seq.to_bytes(4) + tail) for seq in range(1, count + 1))
    return [reply[46:][IV] for reply in replies if reply]


def test_icv_14_cbc_ivs_look_random_and_never_repeat() -> None:
    engine, sealer, _ = pair(CBC)
    ivs = sealed_ivs(engine, sealer, 20_000)
    assert len(set(ivs)) == 20_000
    ones = Counter(bit for iv in ivs for bit in range(128) if iv[bit // 8] >> bit % 8 & 1)
    assert all(9_500 < ones[bit] < 10_500 for bit in range(128))  # 7 standard deviations
    flips = [(int.from_bytes(a) ^ int.from_bytes(b)).bit_count() for a, b in pairwise(ivs)]
    assert 63.5 < sum(flips) / len(flips) < 64.5
    assert min(flips) > 20


@pytest.mark.parametrize("transform", ["AES-GCM-16-128", "AES-GMAC-128", "CHACHA20-POLY1305"])
def test_icv_14_ivs_of_counter_modes_are_the_pipelines_and_never_repeat(transform: str) -> None:
    engine, sealer, _ = pair(transform)
    for seq in range(1, 2000):
        request = seal_request(sealer, seq, INNER, transform=transform)
        assert answer(engine, request).packet[28:36] == seq.to_bytes(8)
        assert status_of(engine, request) is Status.NONCE_REFUSED


def test_a_cbc_iv_is_the_random_sources_and_nothing_of_the_request() -> None:
    drawn = iter(range(1, 100))
    engine = Engine(random_bytes=lambda count: bytes((next(drawn),)) * count)
    handle = engine.install(any_key(Direction.SEAL, CBC, OCTETS))
    before = next(drawn)
    request = seal_request(handle, 7, INNER, transform=CBC, iv=b"\xee" * 16)
    for number in (1, 2):
        reply = answer(engine, request)
        assert reply.packet[IV] == bytes((before + number,)) * 16
        assert reply.packet[:28] == request.packet[:28]


@pytest.mark.parametrize("transform", UNGUARDED)
def test_a_number_may_be_sealed_twice_where_no_nonce_is_made_of_it(transform: str) -> None:
    engine, sealer, opener = pair(transform)
    request = seal_request(sealer, 7, INNER, transform=transform)
    sealed = [answer(engine, request) for _ in range(2)]
    for reply in sealed:
        asked = open_request(opener, 7, reply.packet[20:], transform=transform)
        assert answer(engine, asked).packet[asked.descriptor.ct_off :] == INNER
    texts = {reply.packet[request.descriptor.ct_off :] for reply in sealed}
    assert len(texts) == (1 if transform.startswith("NULL") else 2)


def test_events_name_the_ivs_that_were_used() -> None:
    events: list[SealEvent] = []
    engine = Engine(on_sealed=events.append)
    handles = {}
    for transform in (CBC, NULL, "AES-GMAC-128", "AES-GCM-8-128"):
        handles[transform] = engine.install(any_key(Direction.SEAL, transform, OCTETS))
        request = seal_request(handles[transform], 7, INNER, transform=transform, space=3)
        reply = answer(engine, request)
        if transform == CBC:
            drawn = int.from_bytes(reply.packet[IV])
    expected = [(CBC, drawn), ("AES-GMAC-128", 7)]
    assert [(e.handle, e.space, e.iv) for e in events] == [
        (handles[t], 3, iv) for t, iv in expected
    ]


# --- blocks --------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 16, 1408])
def test_without_trailer_cbc_seals_and_opens_whole_blocks(size: int) -> None:
    engine, sealer, opener = pair(CBC)
    text = bytes(range(256))[:size] or bytes(size)
    reply = answer(engine, seal_request(sealer, 7, text, transform=CBC, flags=0))
    assert (reply.descriptor.status, reply.descriptor.pad) == (Status.DONE, 0)
    asked = open_request(opener, 7, reply.packet[20:], transform=CBC, flags=0)
    assert answer(engine, asked).packet[44:] == text


@pytest.mark.parametrize(
    "fields", [{"flags": 0}, {"align": 4}, {"align": 8}, {"iv_len": 8, "ct_off": 36}]
)
def test_what_does_not_fit_blocks_is_a_bad_descriptor(fields: dict[str, int]) -> None:
    engine, sealer, _ = pair(CBC)
    request = seal_request(sealer, 7, INNER, transform=CBC, **fields)
    assert status_of(engine, request) is Status.BAD_DESCRIPTOR


@pytest.mark.parametrize("align", [16, 32, 128])
def test_a_larger_alignment_than_the_block_is_kept(align: int) -> None:
    engine, sealer, opener = pair(CBC)
    reply = answer(engine, seal_request(sealer, 7, INNER, transform=CBC, nh=4, align=align))
    assert reply.descriptor.pad == -(len(INNER) + 2) % align
    asked = open_request(opener, 7, reply.packet[20:], transform=CBC)
    assert answer(engine, asked).packet[44:] == INNER


# --- keys ----------------------------------------------------------------------------------


@KEYED
@pytest.mark.parametrize("part", ["key", "salt", "integrity_key"])
def test_a_part_of_a_wrong_length_is_refused_and_not_shown(transform: str, part: str) -> None:
    good = any_key(Direction.SEAL, transform, OCTETS)
    parts = {name: getattr(good, name) for name in ("key", "salt", "integrity_key")}
    for wrong in (parts[part] + b"\xaa", parts[part][:-1] if parts[part] else b"\xaa\xbb"):
        with pytest.raises(ValueError, match=f"^{transform} takes a key of") as caught:
            Engine().install(KeySpec(Direction.SEAL, transform, **parts | {part: wrong}))
        assert wrong.hex() not in str(caught.value)


@KEYED
def test_keys_are_in_no_repr_and_overwritten_on_removal(transform: str) -> None:
    engine, _, _ = pair(transform)
    sealer, opener = engine._keys
    spec = any_key(Direction.SEAL, transform, OCTETS)
    text = f"{sealer!r} {opener!r} {engine.stats()!r} {spec!r} {vars(engine)!r}"
    for secret in filter(None, (spec.key, spec.salt, spec.integrity_key)):
        assert secret.hex() not in text
        assert repr(secret)[2:-1] not in text
    kept = [entry.aead._key for entry in (sealer, opener) if hasattr(entry.aead, "_key")]
    assert all(bytes(key) == spec.key for key in kept)
    assert engine.remove_all() == 2
    assert all(not any(key) for key in kept)
    assert not any(sealer.salt)


def test_what_the_caller_overwrites_is_still_the_key() -> None:
    """The engine has a copy of its own: a controller may wipe what it handed over."""
    engine = Engine()
    for seq, transform in enumerate(names(), 1):
        clean = any_key(Direction.SEAL, transform, OCTETS)
        material = [bytearray(part) for part in (clean.key, clean.salt, clean.integrity_key)]
        key, salt, integrity = material
        handle = engine.install(
            KeySpec(Direction.SEAL, transform, key, salt, integrity_key=integrity)
        )
        for part in material:
            part[:] = bytes(len(part))
        opener = engine.install(any_key(Direction.OPEN, transform, OCTETS))
        sealed = answer(engine, seal_request(handle, seq, INNER, transform=transform))
        asked = open_request(opener, seq, sealed.packet[20:], transform=transform)
        assert answer(engine, asked).packet[asked.descriptor.ct_off :] == INNER


@pytest.mark.parametrize("transform", [CBC, NULL, "AES-GCM-8-128"])
def test_a_packet_under_way_while_its_key_is_removed_is_neither_sealed_nor_opened(
    transform: str,
) -> None:
    engine, sealer, opener = pair(transform)
    esp = answer(engine, seal_request(sealer, 7, INNER, transform=transform)).packet[20:]
    requests = [
        seal_request(sealer, 8, INNER, transform=transform).encode(),
        open_request(opener, 7, esp, transform=transform).encode(),
    ]
    serving = {entry.handle: engine._handlers[entry.wire_handle] for entry in engine._keys}
    engine.remove_all()
    for frame, handle in zip(requests, (sealer, opener), strict=True):
        reply = serving[handle](frame, FRAME_PARTS.unpack_from(frame))
        assert reply is not None
        assert reply[16] in (Status.NO_KEY, Status.NONCE_REFUSED, Status.BAD_ICV)
        assert len(reply) <= 46 + frame[41]


@pytest.mark.parametrize(
    "make",
    [
        lambda: EncryptThenMac(AesCbc, bytes(range(16)), Mac(SHA256(), 16, bytes(32))),
        lambda: EncryptThenMac(Clear, b"", Mac(SHA256(), 16, bytes(32))),
        lambda: ShortTagGcm(8, bytes(range(16))),
    ],
)
def test_what_was_made_of_an_overwritten_key_is_thrown_away(make: Callable) -> None:
    aead, nonce = make(), bytes(16)
    sealed = aead.encrypt(nonce, bytes(16), bytes(8))
    aead.close()
    with pytest.raises((KeyGoneError, InvalidTag)):
        aead.encrypt(nonce, bytes(16), bytes(8))
    with pytest.raises((KeyGoneError, InvalidTag)):
        aead.decrypt(nonce, sealed, bytes(8))


@pytest.mark.parametrize("transform", [CBC, NULL, "AES-GCM-8-128"])
def test_threads_that_race_with_a_removal_seal_nothing_under_another_key(transform: str) -> None:
    """Whatever is answered DONE opens with the key that was installed, not with zeros."""
    spec = any_key(Direction.SEAL, transform, OCTETS)
    engine, replies = Engine(), []

    def seal(handle: int, first: int) -> None:
        for seq in range(first, first + 400):
            request = seal_request(handle, seq, INNER, transform=transform, nh=4)
            replies.append((seq, answer(engine, request)))

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for run in range(8):
            handle = engine.install(spec)
            thread = threading.Thread(target=seal, args=(handle, 1 + 1000 * run))
            thread.start()
            while thread.is_alive() and len(replies) < 400 * run + 50:
                pass
            engine.remove(handle)
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    opener = engine.install(any_key(Direction.OPEN, transform, OCTETS))
    done = [(seq, reply) for seq, reply in replies if reply.descriptor.status == Status.DONE]
    for seq, reply in done:
        request = open_request(opener, seq, reply.packet[20:], transform=transform)
        assert status_of(engine, request) is Status.DONE
    assert 0 < len(done) < len(replies)
