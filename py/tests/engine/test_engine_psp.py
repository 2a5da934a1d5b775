"""PSP: one pair of master keys opens the packets of every SPI."""

import logging
import threading
from dataclasses import replace
from typing import Any

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from engine_helpers import answer, any_key, changed, status_of
from hypothesis import given, settings
from hypothesis import strategies as st

from p4esp.engine import Direction, Engine, KeySpec, KeyStoreError, Status, TransformError
from p4esp.engine import psp as psp_module
from p4esp.engine.check.judge import psp_key
from p4esp.engine.check.psp_cases import KNOWN_KEYS, KNOWN_PAIR, PSP128, PSP256, PspPacket
from p4esp.engine.check.requests import OUTER
from p4esp.engine.errors import HandleError
from p4esp.engine.psp import MAX_CACHED, MasterPair
from p4esp.engine.transforms import names, offered

INNER = bytes.fromhex("4500002400014000401126c30a0100010a02000212340035001000004142434445464748")
SPI = 0x1A345678
COOKIE = bytes(8)
# What follows the UDP header: known answers of the formats.
DIGEST = {
    "VH1": "040106011a34567800000000000000014500002400014000401126c30a0100010a02000212340035"
    "5791aa05bb6691c249bda4a1edf3166febe685291b00a43b7ab875a9",
    "VH2": "040200031a3456780000000000000002f4fc7e538c7047d5dc1f85e8c01752d7a93dd58fe6b3c0ae"
    "d46e3439c0c43f046852f8b536a5d6a31d24cc80b8ab807796a1c918d1d8bf4c820834bc",
    "VH3": "040208031a345678000000000000000200000000000000004500002400014000401126c30a010001"
    "0a02000212340035f4ec7e53cd320491dc59c284bfa0619858ebdb305190216b5c0539f2",
}
PACKETS = {
    "VH1": PspPacket(SPI, 1, INNER[:24], INNER[24:], bytes.fromhex("04010601")),
    "VH2": PspPacket(SPI, 2, b"", COOKIE + INNER, bytes.fromhex("04020003")),
    "VH3": PspPacket(SPI, 2, COOKIE + INNER[:24], INNER[24:], bytes.fromhex("04020803")),
}
SIZES = {PSP128: 16, PSP256: 32}


def masters(pair: bytes = KNOWN_PAIR, transform: str = PSP128, **fields: Any) -> KeySpec:
    return replace(KeySpec(Direction.OPEN, transform, pair, b""), **fields)


def pair_with(**fields: Any) -> tuple[Engine, int]:
    engine = Engine()
    return engine, engine.install(masters(**fields))


def packet_of(spi: int, iv: int = 1) -> PspPacket:
    return PspPacket(spi, iv, INNER[:4], INNER[4:])


def sealed(packet: PspPacket, pair: bytes = KNOWN_PAIR) -> bytes:
    return packet.sealed(psp_key(pair, packet.spi, 16))


def opens(engine: Engine, handle: int, spi: int, pair: bytes = KNOWN_PAIR) -> Status:
    packet = packet_of(spi)
    return status_of(engine, packet.open(handle, sealed(packet, pair)))


def kept(engine: Engine) -> dict[bytes, AESGCM]:
    (entry,) = engine._keys
    assert isinstance(entry.aead, MasterPair)
    return entry.aead._by_spi


# --- derivation and the digest's packets -----------------------------------------------------


@pytest.mark.parametrize(("transform", "spi"), KNOWN_KEYS)
def test_key_of_an_spi_is_that_of_google_psp(transform: str, spi: int) -> None:
    engine, handle = pair_with(transform=transform)
    assert engine.derive(handle, spi).hex() == KNOWN_KEYS[transform, spi]


@settings(max_examples=100, deadline=None)
@given(st.binary(min_size=64, max_size=64), st.integers(0, (1 << 32) - 1))
def test_key_of_any_spi_is_the_one_computed_apart(pair: bytes, spi: int) -> None:
    for transform, size in SIZES.items():
        engine, handle = pair_with(pair=pair, transform=transform)
        assert engine.derive(handle, spi) == psp_key(pair, spi, size)


def test_most_significant_bit_of_the_spi_chooses_the_master_key() -> None:
    other = KNOWN_PAIR[:32] + bytes(32)
    engine, handle = pair_with(pair=other)
    assert engine.derive(handle, 0x1A345678).hex() == KNOWN_KEYS[PSP128, 0x1A345678]
    assert engine.derive(handle, 0x9A345678).hex() != KNOWN_KEYS[PSP128, 0x9A345678]
    assert opens(engine, handle, 0x7FFFFFFF) is Status.DONE
    assert opens(engine, handle, 0x80000000) is Status.BAD_ICV


@pytest.mark.parametrize("name", DIGEST)
def test_packet_of_the_digest_is_sealed_with_a_derived_key_and_the_spi_as_salt(name: str) -> None:
    engine, handle = pair_with()
    packet, key = PACKETS[name], engine.derive(handle, SPI)
    sealer = engine.install(KeySpec(Direction.SEAL, "AES-GCM-16-128", key, packet.salt))
    reply = answer(engine, packet.seal(sealer))
    assert (reply.descriptor.status, reply.descriptor.pad) == (Status.DONE, 0)
    assert reply.packet[len(OUTER) :].hex() == DIGEST[name]
    assert status_of(engine, packet.seal(sealer)) is Status.NONCE_REFUSED


@pytest.mark.parametrize("name", DIGEST)
@pytest.mark.parametrize("ordinary", [False, True])
def test_packet_of_the_digest_is_opened(name: str, ordinary: bool) -> None:
    engine, handle = pair_with()
    packet = PACKETS[name]
    if ordinary:
        key = engine.derive(handle, SPI)
        handle = engine.install(KeySpec(Direction.OPEN, "AES-GCM-16-128", key, packet.salt))
    request = packet.open(handle, bytes.fromhex(DIGEST[name]))
    reply = answer(engine, request)
    expected = replace(request.descriptor.reply(Status.DONE), plain_len=len(packet.text))
    assert (reply.descriptor, reply.packet) == (expected, OUTER + packet.head + packet.text)


@pytest.mark.parametrize("name", DIGEST)
def test_flipped_bit_anywhere_in_a_packet_of_the_digest_is_bad_icv(name: str) -> None:
    engine, handle = pair_with()
    esp = bytes.fromhex(DIGEST[name])
    for bit in range(8 * len(esp)):
        flipped = bytearray(esp)
        flipped[bit // 8] ^= 1 << bit % 8
        request = PACKETS[name].open(handle, bytes(flipped))
        assert status_of(engine, request) is Status.BAD_ICV


def test_packet_may_be_opened_twice_and_seq_is_not_looked_at() -> None:
    engine, handle = pair_with()
    packet = packet_of(7)
    for seq in (0, 5, 5, 1 << 32, (1 << 64) - 1):
        assert status_of(engine, packet.open(handle, sealed(packet), seq=seq)) is Status.DONE


# --- rotation --------------------------------------------------------------------------------


def test_old_spis_work_until_the_second_rotation() -> None:
    one, two, three, four = (bytes((n,)) * 32 for n in range(1, 5))
    engine = Engine()
    first, second, third = (
        engine.install(masters(pair)) for pair in (one + two, three + two, three + four)
    )
    old, new = 0x80000001, 1
    assert opens(engine, first, old, one + two) is Status.DONE
    assert opens(engine, second, old, one + two) is Status.DONE
    assert opens(engine, second, new, three + two) is Status.DONE
    assert opens(engine, first, new, three + two) is Status.BAD_ICV
    engine.remove(first)
    assert opens(engine, first, old, one + two) is Status.NO_KEY
    assert opens(engine, third, old, one + two) is Status.BAD_ICV
    assert opens(engine, third, new, three + two) is Status.DONE


def test_renewed_master_key_opens_nothing_of_the_one_before_and_the_other_stays() -> None:
    one, two, three, four = (bytes((n,)) * 32 for n in range(1, 5))
    engine, handle = pair_with(pair=one + two)
    old, new = 0x80000001, 1
    assert opens(engine, handle, old, one + two) is Status.DONE
    engine.renew(handle, 0, three)
    assert opens(engine, handle, old, three + two) is Status.DONE
    assert opens(engine, handle, new, three + two) is Status.DONE
    engine.renew(handle, 1, bytearray(four))
    assert opens(engine, handle, old, one + two) is Status.BAD_ICV
    assert opens(engine, handle, new, three + two) is Status.DONE
    assert opens(engine, handle, old, three + four) is Status.DONE
    assert engine.derive(handle, old) == psp_key(three + four, old, 16)


def test_renewal_lets_go_the_derived_keys_of_that_master_key_alone() -> None:
    engine, handle = pair_with()
    for spi in (1, 2, 0x80000001):
        assert opens(engine, handle, spi) is Status.DONE
    engine.renew(handle, 0, bytes(32))
    assert [int.from_bytes(spi) for spi in kept(engine)] == [0x80000001]


@pytest.mark.parametrize("known", [False, True])
def test_packet_under_way_while_its_master_key_is_renewed_is_not_opened(
    monkeypatch: pytest.MonkeyPatch, known: bool
) -> None:
    """Nor is its key kept: the SPI would go on working after the second rotation."""
    engine, handle = pair_with()
    request = packet_of(1).open(handle, sealed(packet_of(1)))

    class Renewing:
        """Renews the master key while a packet is opened."""

        def __init__(self, key: bytes) -> None:
            self._cipher = AESGCM(key)

        def decrypt(self, *parts: bytes) -> bytes:
            engine.renew(handle, 0, bytes(32))
            return self._cipher.decrypt(*parts)

    with monkeypatch.context() as patch:
        if known:
            assert opens(engine, handle, 1) is Status.DONE
            kept(engine)[bytes(3) + b"\1"] = Renewing(psp_key(KNOWN_PAIR, 1, 16))  # type: ignore
        else:
            patch.setattr(psp_module, "AESGCM", Renewing)
        assert status_of(engine, request) is Status.BAD_ICV
    assert kept(engine) == {}
    assert status_of(engine, request) is Status.BAD_ICV


def test_packet_that_comes_just_before_the_new_master_key_leaves_no_key_behind() -> None:
    """Its key is of the master key that goes; kept as one of the new, it would stay for good."""
    pair = MasterPair(16, bytearray(KNOWN_PAIR))
    spi = SPI.to_bytes(4, "big")
    old = AESGCM(pair.derive(spi))
    under_way: list[threading.Thread] = []

    def opens(cipher: AESGCM) -> bool:
        aad, iv = bytes(4) + spi, bytes(8)
        try:
            pair.decrypt(iv, cipher.encrypt(spi + iv, INNER, aad), aad)
        except InvalidTag:
            return False
        return True

    class Slow(bytearray):
        """Lets a packet come when it is about to be overwritten."""

        def __setitem__(self, at: Any, octets: Any) -> None:
            thread = threading.Thread(target=opens, args=(old,))
            under_way.append(thread)
            thread.start()
            thread.join(0.2)  # that it waits for the renewal is fine
            super().__setitem__(at, octets)

    pair._key = Slow(pair._key)
    pair.renew(0, bytes(range(32)))
    assert under_way
    for thread in under_way:
        thread.join()
    pair._key = bytearray(pair._key)
    assert not opens(old)
    assert opens(AESGCM(pair.derive(spi)))


def test_packet_under_way_while_the_other_master_key_is_renewed_is_opened() -> None:
    engine, handle = pair_with()
    assert opens(engine, handle, 1) is Status.DONE
    request = packet_of(1).open(handle, sealed(packet_of(1)))
    (cipher,) = kept(engine).values()

    class Renewing:
        """Renews the other master key while a packet is opened."""

        def decrypt(self, *parts: bytes) -> bytes:
            engine.renew(handle, 1, bytes(32))
            return cipher.decrypt(*parts)

    kept(engine)[bytes(3) + b"\1"] = Renewing()  # type: ignore[assignment]
    assert status_of(engine, request) is Status.DONE


@pytest.mark.parametrize(
    ("half", "master", "text"),
    [
        (2, bytes(32), r"half 2 is outside 0\.\.1"),
        (-1, bytes(32), r"half -1 is outside 0\.\.1"),
        (0, bytes(31), "a master key has 32 bytes, not 31"),
        (0, bytes(64), "a master key has 32 bytes, not 64"),
        (0, KNOWN_PAIR[:32], "must be a new one"),
        (0, KNOWN_PAIR[32:], "must be a new one"),
        (1, bytearray(KNOWN_PAIR[:32]), "must be a new one"),
    ],
)
def test_renewal_with_another_key_is_refused_and_changes_nothing(
    half: int, master: bytes, text: str
) -> None:
    engine, handle = pair_with()
    with pytest.raises(KeyStoreError, match=text) as caught:
        engine.renew(handle, half, master)
    assert bytes(master[:8]).hex() not in str(caught.value)
    for spi in (1, 0x80000001):
        assert opens(engine, handle, spi) is Status.DONE


def test_ordinary_keys_and_unknown_handles_have_no_master_key_to_renew() -> None:
    engine = Engine()
    handles = [engine.install(any_key(Direction.OPEN, name)) for name in names()]
    removed = engine.install(masters())
    engine.remove(removed)
    for handle in (0, removed, *handles):
        with pytest.raises(HandleError, match=f"no PSP master keys have handle {handle}"):
            engine.renew(handle, 0, bytes(32))


# --- keys at hand ----------------------------------------------------------------------------


def test_key_is_derived_once_for_the_packets_of_an_spi(monkeypatch: pytest.MonkeyPatch) -> None:
    engine, handle = pair_with()
    assert opens(engine, handle, SPI) is Status.DONE
    monkeypatch.setattr(psp_module, "_cmac", None)
    for clear in (0, 4, 8):
        packet = PspPacket(SPI, 9, INNER[:clear], INNER[clear:])
        assert status_of(engine, packet.open(handle, sealed(packet))) is Status.DONE


def test_no_more_keys_are_kept_than_the_bound_and_the_oldest_goes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert MAX_CACHED == 4096
    monkeypatch.setattr(psp_module, "MAX_CACHED", 3)
    engine, handle = pair_with()
    for spi in (1, 2, 3, 1, 4, 5):
        assert opens(engine, handle, spi) is Status.DONE
    assert [int.from_bytes(spi) for spi in kept(engine)] == [3, 4, 5]
    assert opens(engine, handle, 1) is Status.DONE


def test_forged_packets_leave_no_key_and_drive_none_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psp_module, "MAX_CACHED", 2)
    engine, handle = pair_with()
    assert opens(engine, handle, 1) is Status.DONE
    for spi in range(100, 200):
        assert opens(engine, handle, spi, bytes(64)) is Status.BAD_ICV
    assert list(kept(engine)) == [(1).to_bytes(4, "big")]


# --- removal ---------------------------------------------------------------------------------


def test_removal_overwrites_the_master_keys_and_lets_the_others_go() -> None:
    engine, handle = pair_with()
    assert opens(engine, handle, 1) is Status.DONE
    (entry,) = engine._keys
    keys = kept(engine)
    engine.remove(handle)
    assert isinstance(entry.aead, MasterPair)
    assert (entry.aead._key, keys) == (bytearray(64), {})
    with pytest.raises(KeyStoreError, match=f"no PSP master keys have handle {handle}"):
        engine.derive(handle, 1)


@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize("authentic", [False, True])
def test_packet_under_way_while_the_masters_are_removed_is_no_key(
    monkeypatch: pytest.MonkeyPatch, known: bool, authentic: bool
) -> None:
    engine, handle = pair_with()
    if known:
        assert opens(engine, handle, 1) is Status.DONE
    (entry,) = engine._keys
    assert isinstance(entry.aead, MasterPair)
    pair = KNOWN_PAIR if authentic else bytes(64)
    request = packet_of(1).open(handle, sealed(packet_of(1), pair))

    class Removing:
        """Removes the key while a packet is opened."""

        def __init__(self, key: bytes) -> None:
            self._cipher = AESGCM(key)

        def decrypt(self, *parts: bytes) -> bytes:
            engine.remove(handle)
            return self._cipher.decrypt(*parts)

    if known:
        entry.aead._by_spi[bytes(3) + b"\1"] = Removing(psp_key(KNOWN_PAIR, 1, 16))  # type: ignore
    monkeypatch.setattr(psp_module, "AESGCM", Removing)
    assert status_of(engine, request) is Status.NO_KEY
    assert entry.aead._by_spi == {}


def test_masters_may_go_while_another_thread_opens() -> None:
    engine = Engine()
    packet = packet_of(1)
    handle = engine.install(masters())
    request = packet.open(handle, sealed(packet))
    replies: set[Status] = set()

    def open_on() -> None:
        replies.update(status_of(engine, request) for _ in range(2000))

    thread = threading.Thread(target=open_on)
    thread.start()
    engine.remove(handle)
    thread.join()
    assert replies <= {Status.DONE, Status.NO_KEY}


# --- what is refused -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"direction": Direction.SEAL}, "opens and does not seal: .* SPI as its salt"),
        ({"pair": KNOWN_PAIR[:32]}, "a key of 64, .* not 32, 0 and 0"),
        ({"pair": KNOWN_PAIR + b"\0"}, "a key of 64, .* not 65, 0 and 0"),
        ({"salt": b"salt"}, "a key of 64, a salt of 0 .* not 64, 4 and 0"),
        ({"integrity_key": bytes(32)}, "not 64, 0 and 32"),
        ({"subs": 2, "kdf": "HKDF-SHA2-256"}, "has no sub keys"),
        ({"transform": "PSP-AES-GMAC-128"}, "unknown transform 'PSP-AES-GMAC-128'; known: .*PSP"),
        ({"transform": "PSP-AES-GMAC-256"}, "unknown transform 'PSP-AES-GMAC-256'; known: .*PSP"),
    ],
)
def test_other_master_keys_are_refused_by_name_and_not_shown(
    fields: dict[str, Any], text: str
) -> None:
    engine = Engine()
    with pytest.raises(KeyStoreError, match=text) as caught:
        engine.install(masters(**fields))
    assert KNOWN_PAIR[:8].hex() not in str(caught.value)
    assert (engine.key_count, engine._handlers) == (0, {})


def test_gmac_versions_are_not_offered() -> None:
    assert set(offered()) - set(names()) == set(SIZES)
    with pytest.raises(TransformError):
        Engine().install(masters(transform="PSP-AES-GMAC-128"))


@pytest.mark.parametrize(
    "fields",
    [
        *({"flags": flags} for flags in (0x00, 0x41, 0x42, 0x43, 0x44, 0x46, 0x48, 0x4C, 0xC0)),
        *({"aad_len": 12}, {"aad_len": 12, "ct_off": 44}, {"aad_len": 4}, {"iv_len": 0}),
        *({"ct_off": 38}, {"ct_off": 32}, {"icv": 8}, {"align": 0}, {"pad": 40}),
        *({"plain_len": 15}, {"plain_len": 0}, {"plain_len": 200}),
    ],
)
def test_request_with_a_number_trailer_or_padding_is_a_bad_descriptor(
    fields: dict[str, int],
) -> None:
    engine, handle = pair_with()
    request = packet_of(1).open(handle, sealed(packet_of(1)))
    reply = answer(engine, changed(request, **fields))
    assert (reply.descriptor.status, reply.packet) == (Status.BAD_DESCRIPTOR, b"")
    assert status_of(engine, changed(request, flags=0x70)) is Status.DONE
    assert status_of(engine, changed(request, op=1)) is Status.NO_KEY


@pytest.mark.parametrize("spi", [-1, 1 << 32, 1 << 70])
def test_spi_outside_32_bits_has_no_key(spi: int) -> None:
    engine, handle = pair_with()
    with pytest.raises(KeyStoreError, match=r"SPI .* outside 0\.\.4294967295"):
        engine.derive(handle, spi)


def test_no_key_is_derived_from_other_keys() -> None:
    engine = Engine()
    root = KeySpec(Direction.OPEN, "AES-GCM-16-128", bytes(32), b"", subs=2, kdf="HKDF-SHA2-256")
    first = engine.install(root)
    handles = [engine.install(any_key(Direction.OPEN, name)) for name in names()]
    for handle in (0, -1, first, first + 1, *handles, handles[-1] + 1):
        with pytest.raises(KeyStoreError, match=f"no PSP master keys have handle {handle}"):
            engine.derive(handle, 1)


# --- what is hostile, and what must not show --------------------------------------------------

HOSTILE, PAIR = pair_with()


@settings(max_examples=400, deadline=None)
@given(st.binary(max_size=80), st.integers(0, 70), st.integers(0, 100), st.booleans())
def test_hostile_packets_never_raise_and_show_no_text(
    octets: bytes, clear: int, length: int, authentic: bool
) -> None:
    esp = octets
    if authentic and len(octets) >= 16:
        spi = int.from_bytes(octets[4:8], "big")
        iv = int.from_bytes(octets[8:16], "big")
        clear = min(clear, len(octets) - 16) // 4 * 4
        front, rest = octets[:4], octets[16:]
        esp = sealed(PspPacket(spi, iv, rest[:clear], rest[clear:], front))
        length = len(esp) - 16 - clear
    request = changed(
        PACKETS["VH2"].open(PAIR, esp.ljust(16, b"\0")), ct_off=36 + clear, plain_len=length
    )
    reply = answer(HOSTILE, request)
    if reply.descriptor.status == Status.DONE:
        assert authentic
    else:
        assert reply.packet in (b"", request.packet[: 36 + clear])
    assert len(kept(HOSTILE)) <= MAX_CACHED


def test_masters_and_derived_keys_are_in_no_repr_no_log_and_no_statistic(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    engine, spec = Engine(), masters()
    handle = engine.install(spec)
    key = engine.derive(handle, SPI)
    assert opens(engine, handle, SPI) is Status.DONE
    assert opens(engine, handle, SPI, bytes(64)) is Status.BAD_ICV
    (entry,) = engine._keys
    printed = capfd.readouterr()
    text = f"{spec!r} {entry!r} {entry.aead!r} {engine._keys.groups()!r} {engine.stats()!r}"
    text += f"{vars(engine)!r} {kept(engine)!r} {caplog.text} {printed.out} {printed.err}"
    for secret in (KNOWN_PAIR[:32], KNOWN_PAIR[32:], key):
        assert secret.hex() not in text
        assert repr(secret)[2:-1] not in text


def test_counters_name_the_transform_and_count_opened_packets() -> None:
    engine, handle = pair_with(sa_index=9, generation=4)
    packet = packet_of(1)
    request = packet.open(handle, sealed(packet), gen=4)
    assert [status_of(engine, request) for _ in range(3)] == [Status.DONE] * 3
    assert status_of(engine, changed(request, gen=3)) is Status.STALE_GEN
    (row,) = engine.stats().keys
    assert (row.transform, row.packets, row.octets) == (PSP128, 3, 3 * len(packet.text))
    assert (row.generation, row.sa_index, row.direction) == (4, 9, Direction.OPEN)
