"""Authentic packets that lie, and what the digest has no vector of: tshark with our dissector."""

import struct

from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from format_reference import Key, Packet, RefusedError, _gcm_seal, open_, seal, sub_key
from format_vectors import INNER, KEY_EACH, ROOT, SHARED
from tshark_dissector import (
    GCM,
    IIV,
    KEY,
    MASTERS,
    PROTOCOLS,
    Row,
    Sealed,
    judged,
    needs_tshark,
)

pytestmark = needs_tshark
V4, NONE, AGGFRAG = 4, 59, 144
IV = (1).to_bytes(8)
HEAD = struct.pack("!II", 0x1001, 1)
PSP_KEY = bytes.fromhex("3fe9b90602a41ce17e20971810e9a6a0")


def sealed(form: str, octets: bytes, more: str, encryption: str = GCM) -> Sealed:
    secret = f"root={ROOT.hex()} subs=4" if form in KEY_EACH else KEY
    line = f"format={form} spi=0x1001 {encryption} {secret} {more}"
    return Sealed(form, PROTOCOLS.get(form, 50), octets, line, b"")


def told(directory, items: list[Sealed]) -> list[Row]:
    packets = [item.over(place) for place, item in enumerate(items)]
    return judged(directory, packets, [item.key_line(place) for place, item in enumerate(items)])


def esp(text: bytes) -> bytes:
    """An ESP packet with an explicit IV around any text."""
    return HEAD + IV + _gcm_seal(SHARED, IV, text, HEAD)


def counted(payload: bytes, pad: int, next_header: int) -> bytes:
    return payload + bytes(range(1, pad + 1)) + bytes((pad, next_header))


# ------------------------------------------------------------ padding and lengths


def test_padding_of_rfc_4303_that_is_not_1_2_3_is_told(tmp_path) -> None:
    items = [sealed("esp", esp(INNER + b"\1\3\2\4"), ""), sealed("esp", esp(INNER + b"\xff\4"), "")]
    items += [sealed("esp", esp(text), "") for text in (b"", b"\4", b"\0\4")]
    rows = told(tmp_path, items)
    assert [row.good for row in rows] == ["1"] * 5
    faults = [set(row.faults) for row in rows]
    assert faults == [{"bad_padding"}, {"bad_padding"}, {"truncated"}, {"truncated"}, set()]


def test_a_trailer_information_header_that_lies_is_told(tmp_path) -> None:
    texts = [
        *(b"\x00\x01\x04\x00" + INNER, b"\x10\x00\x04\x00" + INNER, b"\0\0\4\x28" + INNER),
        *(b"\0\0\4\1" + INNER + b"\1", b"\0\0\4"),
    ]
    rows = told(tmp_path, [sealed("trailer-in-header", esp(text), "") for text in texts])
    faults = [set(row.faults) for row in rows]
    wanted = [{"bad_reserved"}] * 2 + [{"bad_padding"}] * 2 + [{"truncated"}]
    assert faults == wanted
    for text in texts:
        try:
            open_("trailer-in-header", SHARED, esp(text))
        except RefusedError:
            continue
        raise AssertionError("the reference takes it")


def test_an_inner_packet_that_does_not_fit_its_text_is_told(tmp_path) -> None:
    long, short = INNER[:2] + b"\1\0" + INNER[4:], INNER[:2] + b"\0\x05" + INNER[4:]
    texts = (long, short, b"\x50" + INNER[1:], INNER[:19], INNER + bytes(4), INNER + b"\0\1")
    rows = told(tmp_path, [sealed("no-trailer", esp(text), "") for text in texts])
    faults = [set(row.faults) for row in rows]
    assert faults == [{"bad_payload"}] * 4 + [{"bad_padding"}] * 2
    assert all(row.good == "1" for row in rows)


def test_dummy_packets_are_opened_and_handed_to_nobody(tmp_path) -> None:
    (row,) = told(tmp_path, [sealed("esp", esp(counted(b"dummy.", 0, NONE)), "")])
    assert (row.good, row.inner, row.next_header) == ("1", b"dummy.", "59")
    assert row.protocol == "ESP"


# ------------------------------------------------------------ WESP and EESP


def wesp(first: bytes, text: bytes, clear: bytes = b"") -> bytes:
    """An authentic WESPv2 packet behind any header."""
    aad = first + HEAD + IV + clear
    return aad + _gcm_seal(SHARED, IV, text, aad)


def test_a_wesp_header_that_lies_is_told(tmp_path) -> None:
    good = counted(INNER, 2, V4)
    v2 = [
        wesp(b"\x3b\x14\x00\x40", good),
        wesp(b"\x04\x14\x00\x40", good),
        wesp(b"\x3b\x18\x00\x40", good),
        wesp(b"\x11\x14\x10\x40", good[16:], INNER[:16]),
        wesp(b"\x3b\x18\x00\x44\x05\x02\x00\x00", good),
        wesp(b"\x3b\x14\x00\x40", good)[:4].replace(b"\x40", b"\x80") + bytes(60),
    ]
    v1 = [b"\0\0\0\x20" + esp(good), b"\4\x14\x10\0" + esp(good), b"\0\x14\0\x20" + esp(good)]
    items = [sealed("wesp-v2", octets, "shown=28") for octets in v2]
    items += [sealed("wesp", octets, "") for octets in v1]
    rows = told(tmp_path, items)
    assert [set(row.faults) for row in rows] == [
        *(set(), {"mismatch"}, {"bad_length"}, {"mismatch"}, {"bad_option"}, {"bad_version"}),
        *(set(), {"mismatch"}, {"bad_length"}),
    ]
    assert [row.good for row in rows] == ["1"] * 5 + [""] + ["1"] * 3


def eesp(first: bytes, payload: bytes, key: Key | None = None, shown: int = 0) -> bytes:
    """An authentic EESP packet with an explicit IV behind any base header and options."""
    aad = first + IV + IV + payload[:shown]
    return aad + _gcm_seal(key or sub_key(ROOT, 0), IV, payload[shown:], aad)


def test_an_eesp_header_that_lies_is_told(tmp_path) -> None:
    base = b"\x80\0\0\0\0\0\x10\x01"
    with_options = b"\x80\4\0\0\0\0\x10\x01"
    pih = b"\0\0\4\0" + INNER
    octets = [
        eesp(base, INNER),
        eesp(b"\0" + base[1:], INNER),
        eesp(b"\x88" + base[1:], INNER),
        eesp(b"\x81" + base[1:], INNER),
        eesp(base[:3] + b"\4" + base[4:], INNER, sub_key(ROOT, 4)),
        eesp(with_options + b"\7\2\0\0", INNER),
        eesp(with_options + b"\1\7\0\0", INNER),
        eesp(with_options + b"\0\0\1\0", INNER),
        eesp(with_options + b"\2\2\x1c\x10", INNER),
    ]
    full = [
        eesp(with_options + b"\2\2\x1c\x80", pih, shown=32),
        eesp(with_options + b"\2\2\x18\x80", pih, shown=32),
        eesp(with_options + b"\2\2\x1c\x90", pih, shown=36),
        eesp(b"\x80\6\0\0\0\0\x10\x01" + b"\2\4\x20\x80\0\0", pih, shown=32),
        eesp(base, pih),
    ]
    items = [sealed("eesp-optimized", item, "") for item in octets]
    items += [sealed("eesp-full", item, "shown=32") for item in full]
    assert [set(row.faults) for row in told(tmp_path, items)] == [
        *(set(), {"bad_version"}, {"bad_version"}, {"bad_reserved"}, {"out_of_range"}),
        *({"bad_option"}, {"bad_option"}, set(), {"bad_option"}),
        *(set(), {"bad_option"}, {"out_of_range"}, {"bad_option"}, set()),
    ]


def test_an_id_above_the_last_one_is_told(tmp_path) -> None:
    items = []
    for form in ("subspaces", "sub-child"):
        for sub in (3, 4):
            key = sub_key(ROOT, sub) if form == "sub-child" else SHARED
            octets = seal(form, key, Packet(INNER, sub=sub))
            items.append(sealed(form, octets, "subs=4", IIV))
    rows = told(tmp_path, items)
    assert [set(row.faults) for row in rows] == [set(), {"out_of_range"}] * 2
    assert [(row.good, row.inner) for row in rows] == [("1", INNER), ("", b"")] * 2


def test_a_session_of_eesp_above_the_last_one_is_not_opened(tmp_path) -> None:
    items = []
    for session in (3, 4):
        base = b"\x80\0\0" + bytes((session,)) + b"\0\0\x10\x01"
        octets = eesp(base, b"\0\0\4\0" + INNER, sub_key(ROOT, session))
        items.append(sealed("eesp-full", octets, ""))
    shared = f"format=eesp-optimized spi=0x1001 {GCM} {KEY} subs=4"
    octets = eesp(b"\x80\0\0\1\0\0\x10\x01", INNER, SHARED)
    items.append(Sealed("eesp-optimized", 253, octets, shared, b""))
    rows = told(tmp_path, items)
    assert [(row.good, row.inner) for row in rows] == [("1", INNER), ("", b""), ("", b"")]
    assert [set(row.faults) for row in rows] == [set(), {"out_of_range"}, {"out_of_range"}]


# ------------------------------------------------------------ PSP


def psp(first: bytes, payload: bytes, cookie: bytes = b"", key: bytes = PSP_KEY) -> bytes:
    """An authentic PSP packet; `first` are the first four octets."""
    head = first + bytes.fromhex("1a345678") + IV
    text, clear = cookie + payload, 4 * (first[2] & 63)
    hides = first[3] >> 2 & 15 < 2
    clear = clear if hides else len(text)
    aad = head + text[:clear]
    return aad + AESGCM(key).encrypt(head[4:16], text[clear:], aad)


def test_psp_of_all_versions_with_master_keys_and_with_a_key(tmp_path) -> None:
    long = bytes.fromhex("184eecc110d0ecfcf85e6f7c9eedab4d21122fb2d2b8c344af3a1c38d0b6adfd")
    masters = f"format=psp master0={MASTERS[0]} master1={MASTERS[1]}"
    given = f"format=psp spi=0x1a345678 key={PSP_KEY.hex()}"
    cookie = b"cookie!!"
    cases = [
        (psp(b"\4\1\0\1", INNER), masters, set()),
        (psp(b"\4\1\0\5", INNER, key=long), masters, set()),
        (psp(b"\4\1\6\1", INNER), given, set()),
        (psp(b"\4\1\0\x09", INNER), given, set()),
        (psp(b"\4\1\0\5", INNER, key=long), given, {"no_key"}),
        (psp(b"\4\2\0\3", INNER, cookie), given, set()),
        (psp(b"\4\2\1\3", INNER, cookie), given, set()),
        (psp(b"\4\2\2\3", INNER, cookie), given, set()),
        (psp(b"\4\2\5\3", INNER, cookie), given, set()),
        (psp(b"\4\1\0\3", INNER, cookie), given, {"bad_length"}),
        (psp(b"\4\1\0\0", INNER), given, {"bad_version"}),
        (psp(b"\4\1\0\x11", INNER), given, {"bad_version"}),
        (psp(b"\4\1\x40\1", INNER), given, {"bad_reserved"}),
        (psp(b"\4\1\x3f\1", INNER), given, {"truncated"}),
    ]
    items = [Sealed("psp", 17, octets, line, b"", udp=1000) for octets, line, _ in cases]
    rows = told(tmp_path, items)
    assert [set(row.faults) for row in rows] == [faults for _, _, faults in cases]
    shown = [row.inner for row in rows if not row.faults]
    assert shown == [INNER] * len(shown)
    assert len(shown) == 8


# ------------------------------------------------------------ ciphers and numbers


def test_every_aead_of_the_product_is_opened(tmp_path) -> None:
    text, items = counted(INNER, 2, V4), []
    for bits in (128, 192, 256):
        key = bytes(range(bits // 8))
        for icv in (16, 12, 8):
            whole = AESGCM(key).encrypt(SHARED.salt + IV, text, HEAD)
            octets = HEAD + IV + whole[: len(text) + icv]
            items.append(_with(f"aes{bits}gcm{icv}", key, octets))
        implicit = HEAD + AESGCM(key).encrypt(SHARED.salt + IV, text, HEAD)
        items.append(_with(f"aes{bits}gcm16iiv", key, implicit))
        mac = AESGCM(key).encrypt(SHARED.salt + IV, b"", HEAD + IV + text)
        items.append(_with(f"aes{bits}gmac", key, HEAD + IV + text + mac))
    key = bytes(range(32))
    whole = ChaCha20Poly1305(key).encrypt(SHARED.salt + IV, text, HEAD)
    items.append(_with("chacha20poly1305", key, HEAD + IV + whole))
    items.append(_with("chacha20poly1305iiv", key, HEAD + whole))
    for item, row in zip(items, told(tmp_path, items), strict=True):
        assert (row.good, row.inner, row.faults) == ("1", INNER, frozenset()), item.line


def _with(encryption: str, key: bytes, octets: bytes) -> Sealed:
    secret = f"key={key.hex()} salt={SHARED.salt.hex()}"
    line = f"format=esp spi=0x1001 encryption={encryption} {secret}"
    return Sealed(encryption, 50, octets, line, INNER)


def test_the_high_half_of_extended_numbers_is_found(tmp_path) -> None:
    text, octets = counted(INNER, 2, V4), []
    numbers = [1, 0xFFFFFFF0 - 2**31, 0xFFFFFFF0, 2**32 + 5, 2**32 - 3, 2**32 + 2**31]
    for number in numbers:
        low = struct.pack("!I", number & 0xFFFFFFFF)
        aad = HEAD[:4] + struct.pack("!Q", number)
        nonce = SHARED.salt + struct.pack("!Q", number)
        octets.append(HEAD[:4] + low + AESGCM(SHARED.key).encrypt(nonce, text, aad))
    item = sealed("esp", b"", "esn=yes", IIV)
    rows = judged(tmp_path, [item.over(0, octets=sent) for sent in octets], [item.key_line(0)])
    assert [row.good for row in rows] == ["1"] * len(numbers)
    assert [int(row.number) for row in rows] == numbers


def test_esn_covers_what_is_shown_too(tmp_path) -> None:
    head = HEAD[:4] + bytes(4) + HEAD[4:]
    clear = IV + INNER[:28]
    text = _gcm_seal(SHARED, IV, counted(INNER[28:], 2, V4), head + clear)
    (row,) = told(tmp_path, [sealed("crypt-offset", HEAD + clear + text, "esn=yes shown=28")])
    assert (row.good, row.inner) == ("1", INNER)


# ------------------------------------------------------------ encrypted pings


def test_encrypted_pings_are_read_in_any_format(tmp_path) -> None:
    request = bytes.fromhex("02000004beef0001") + b"ping"
    reply = b"\3" + request[1:]
    wrong = bytes.fromhex("02010009beef0001") + b"ping"
    aggfrag = bytes(4) + INNER
    pih = b"\0\0\x90\0"
    items = [
        sealed("esp", esp(counted(request, 2, AGGFRAG)), ""),
        sealed("eesp-full", eesp(b"\x80\0\0\0\0\0\x10\x01", pih + reply), ""),
        sealed("trailer-in-header", esp(pih + wrong), ""),
        sealed("esp", esp(counted(aggfrag, 2, AGGFRAG)), ""),
    ]
    rows = told(tmp_path, items)
    assert [row.good for row in rows] == ["1"] * 4
    assert [row.inner for row in rows] == [request, reply, wrong, aggfrag]
    wanted = [set(), set(), {"bad_reserved", "bad_length"}, set()]
    assert [set(row.faults) for row in rows] == wanted
