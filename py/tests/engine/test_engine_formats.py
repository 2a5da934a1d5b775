"""Formats that are not RFC 4303's: judged by the digest's packets and by the library's AES-GCM."""

from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from engine_helpers import answer, any_key, changed, status_of
from format_helpers import DIGEST, KEY, ROOT, SALT, SHAPES, crafted, pair
from hypothesis import given, settings
from hypothesis import strategies as st

from p4esp.engine import Direction, Engine, Flag, KeySpec, Status
from p4esp.engine.check.layouts import INNER, LAYOUTS, Layout, ipv4, tih_of
from p4esp.engine.check.requests import OUTER, seal_request
from p4esp.engine.subkeys import HKDF_SHA2_256
from p4esp.engine.transforms import lookup, names

LAYOUT = pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)


def installed(engine: Engine, name: str, direction: Direction) -> int:
    """The key of a packet of the digest: VA has the second sub key of a root."""
    transform = SHAPES[name][0].transform
    if name != "VA":
        return engine.install(KeySpec(direction, transform, KEY, SALT))
    root = KeySpec(direction, transform, ROOT, b"", subs=2, kdf=HKDF_SHA2_256)
    return engine.install(root) + 1


# --- packets of the digest -----------------------------------------------------------------


@pytest.mark.parametrize("name", DIGEST)
def test_packet_of_the_digest_is_sealed_to_the_byte(name: str) -> None:
    layout, seq = SHAPES[name]
    engine = Engine()
    reply = answer(engine, layout.seal(installed(engine, name, Direction.SEAL), seq, INNER))
    sealed = reply.packet[len(OUTER) :]
    if name == "VD":  # the pipeline moves the header behind the text
        sealed = sealed[16:-16] + sealed[:16] + sealed[-16:]
    assert (reply.descriptor.status, sealed.hex()) == (Status.DONE, DIGEST[name])


@pytest.mark.parametrize("name", DIGEST)
def test_packet_of_the_digest_is_opened(name: str) -> None:
    layout, seq = SHAPES[name]
    esp = bytes.fromhex(DIGEST[name])
    if name == "VD":
        esp = esp[-32:-16] + esp[:-32] + esp[-16:]
    engine = Engine()
    request = layout.open(installed(engine, name, Direction.OPEN), seq, esp)
    reply = answer(engine, request)
    text = layout.text(tih_of(4, 0), INNER)
    assert reply.packet == request.packet[: request.descriptor.ct_off] + text
    found = reply.descriptor
    assert (found.nh, found.plain_len) == (4, len(text))


@pytest.mark.parametrize("name", DIGEST)
def test_flipped_bit_anywhere_in_a_packet_of_the_digest_is_bad_icv(name: str) -> None:
    layout, seq = SHAPES[name]
    esp = bytes.fromhex(DIGEST[name])
    if name == "VD":
        esp = esp[-32:-16] + esp[:-32] + esp[-16:]
    engine = Engine()
    handle = installed(engine, name, Direction.OPEN)
    for bit in range(len(esp) * 8):
        flipped = bytearray(esp)
        flipped[bit // 8] ^= 1 << bit % 8
        request = layout.open(handle, seq, bytes(flipped))
        assert status_of(engine, request) is Status.BAD_ICV


# --- any packet ----------------------------------------------------------------------------


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(sorted(LAYOUTS)), st.integers(1, 1 << 32), st.binary(min_size=8), st.booleans()
)
def test_any_packet_is_sealed_as_the_library_does_and_comes_back(
    name: str, seq: int, payload: bytes, high: bool
) -> None:
    """AAD, padding and nonce written a second time; ESN where the format has it."""
    layout, packet = LAYOUTS[name], ipv4(payload)
    short = layout.width == 8
    esn = Flag.ESN if short and (high or seq >> 32) else Flag(0)
    seq += (7 << 40) * (high or not short)
    engine, sealer, opener = pair(layout)
    request = layout.seal(sealer, seq, packet, flags=int(layout.flags | esn))
    head = request.packet[len(OUTER) : request.descriptor.ct_off]
    text = request.packet[request.descriptor.ct_off :]
    if layout.flags & Flag.TRAILER:
        pad = -(len(text) + 2) % 4
        ending = bytes(range(1, pad + 1)) + bytes((pad, 4))
    else:
        pad = -len(text) % 4
        ending = bytes(pad)
    header = layout.aad(head)
    aad = header[:4] + seq.to_bytes(8, "big") + header[8:] if esn else header
    sealed = AESGCM(KEY).encrypt(SALT + seq.to_bytes(8, "big"), text + ending, aad)
    reply = answer(engine, request)
    assert reply.packet == OUTER + head + sealed
    assert reply.descriptor == replace(request.descriptor.reply(Status.DONE), pad=pad)
    back = answer(engine, layout.open(opener, seq, head + sealed, flags=int(layout.flags | esn)))
    assert back.packet == request.packet
    found = back.descriptor
    in_reply = 0 if layout.flags & Flag.TRIM else pad
    assert (found.nh, found.pad, found.plain_len) == (4, in_reply, len(text))


@pytest.mark.parametrize("transform", [n for n in names() if lookup(n).any_header])
def test_formats_go_with_every_icv_and_with_chacha(transform: str) -> None:
    sizes = lookup(transform)
    cipher = ChaCha20Poly1305 if transform.startswith("CHACHA") else AESGCM
    key, packet = bytes(range(sizes.key_len)), ipv4(bytes(range(16)))
    for seq, name in enumerate(sorted(LAYOUTS), 1):
        layout, engine = replace(LAYOUTS[name], transform=transform), Engine()
        sealer, opener = (engine.install(KeySpec(d, transform, key, SALT)) for d in Direction)
        request = layout.seal(sealer, seq, packet)
        at = request.descriptor.ct_off
        header = request.packet[len(OUTER) : at]
        trailer = b"\1\2\2\4" if layout.flags & Flag.TRAILER else b""
        plain = request.packet[at:] + trailer
        whole = cipher(key).encrypt(SALT + seq.to_bytes(8, "big"), plain, layout.aad(header))
        sealed = answer(engine, request).packet[len(OUTER) :]
        assert sealed == header + whole[: len(plain) + sizes.icv_len]
        assert answer(engine, layout.open(opener, seq, sealed)).packet == request.packet


def test_aad_with_shown_and_esn_has_the_full_number() -> None:
    layout = LAYOUTS["crypt-offset"]
    engine, sealer, opener = pair(layout)
    esn = int(layout.flags | Flag.ESN)
    seq = 5 << 32 | 7
    sealed = answer(engine, layout.seal(sealer, seq, INNER, flags=esn)).packet[len(OUTER) :]
    request = layout.open(opener, seq, sealed, flags=esn)
    assert status_of(engine, request) is Status.DONE
    assert status_of(engine, changed(request, seq=6 << 32 | 7)) is Status.BAD_ICV
    assert status_of(engine, changed(request, flags=int(layout.flags), seq=7)) is Status.BAD_ICV


@pytest.mark.parametrize("name", ["subspaces-iv", "subspaces-tih"])
def test_seq_is_not_looked_at_where_the_header_has_the_full_number(name: str) -> None:
    layout = LAYOUTS[name]
    engine, sealer, opener = pair(layout)
    sealed = answer(engine, layout.seal(sealer, 1, INNER)).packet[len(OUTER) :]
    for seq in (0, 1 << 63, (1 << 64) - 1):
        request = changed(layout.open(opener, 1, sealed), seq=seq)
        assert answer(engine, request).descriptor.seq == seq
        assert status_of(engine, request) is Status.DONE


# --- one nonce, once -----------------------------------------------------------------------


def test_guard_looks_at_the_iv_within_the_aad() -> None:
    layout = LAYOUTS["crypt-offset"]
    engine, sealer, _ = pair(layout)
    first, second = (layout.seal(sealer, seq, INNER) for seq in (5, 6))
    assert status_of(engine, first) is Status.DONE
    iv_at = len(OUTER) + 8
    packet = second.packet[:iv_at] + first.packet[iv_at : iv_at + 8] + second.packet[iv_at + 8 :]
    assert status_of(engine, replace(second, packet=packet)) is Status.NONCE_REFUSED
    assert status_of(engine, second) is Status.DONE


@LAYOUT
def test_iv_used_by_any_format_is_used_for_plain_esp_too(layout: Layout) -> None:
    engine, sealer, _ = pair(layout)
    assert status_of(engine, layout.seal(sealer, 5, INNER)) is Status.DONE
    assert status_of(engine, layout.seal(sealer, 5, INNER)) is Status.NONCE_REFUSED
    plain = seal_request(sealer, 5, INNER, transform=layout.transform)
    assert status_of(engine, plain) is Status.NONCE_REFUSED


def test_equal_numbers_of_two_subspaces_are_two_nonces() -> None:
    layout = LAYOUTS["subspaces"]
    engine, sealer, _ = pair(layout)
    texts = set()
    for subspace in (3, 4):
        reply = answer(engine, layout.seal(sealer, subspace << 48 | 1, INNER))
        texts.add(reply.packet[reply.descriptor.ct_off :])
        request = layout.seal(sealer, subspace << 48 | 1, INNER)
        assert status_of(engine, request) is Status.NONCE_REFUSED
    assert len(texts) == 2


# --- what belongs together, and what is hostile --------------------------------------------


@pytest.mark.parametrize("transform", [n for n in names() if n.startswith(("AES-GM", "AES-CBC"))])
@pytest.mark.parametrize("fields", [{"flags": 0x42}, {"flags": 0x80}, {"aad_len": 12}])
def test_transform_with_an_aad_of_its_own_has_plain_headers_alone(
    transform: str, fields: dict[str, int]
) -> None:
    engine = Engine()
    handle = engine.install(any_key(Direction.SEAL, transform))
    request = seal_request(handle, 1, bytes(32), transform=transform)
    iv_len = request.descriptor.iv_len
    if "aad_len" in fields:
        fields = fields | {"ct_off": 32 + iv_len}
    assert status_of(engine, changed(request, **fields)) is Status.BAD_DESCRIPTOR
    assert status_of(engine, request) is Status.DONE


def test_plain_esp_is_served_by_the_functions_made_for_it() -> None:
    """What other formats need costs plain ESP nothing."""
    engine, sealer, opener = pair(SHAPES["V0"][0])
    served = []
    for name in ("V0", "VC1"):
        layout, seq = SHAPES[name]
        sealed = answer(engine, layout.seal(sealer, seq + len(served), INNER)).packet[20:]
        assert status_of(engine, layout.open(opener, seq, sealed)) is Status.DONE
        handlers = (engine._handlers[h.to_bytes(4, "big")] for h in (sealer, opener))
        served.append([handler.__qualname__.split(".")[0] for handler in handlers])
    assert served == [["_sealer", "_opener"], ["format_sealer", "format_opener"]]


@settings(max_examples=600, deadline=None)
@given(
    st.sampled_from(sorted(LAYOUTS)),
    st.sampled_from([0, Flag.TRIM, Flag.FILL | Flag.TRIM]),
    st.binary(max_size=80),
    st.one_of(st.binary(max_size=100), st.builds(ipv4, st.binary(max_size=40))),
    st.sampled_from([0, 1, 4, 7, 100]),
)
def test_hostile_but_authentic_text_never_raises_and_leaves_nothing_in_an_error(
    name: str, more: int, head: bytes, plain: bytes, zeros: int
) -> None:
    layout = LAYOUTS[name]
    engine, _, opener = pair(layout)
    header = layout.header(9, head[:4].ljust(4, b"\0"), head[4:].ljust(layout.shown, b"\0"))
    plain += bytes(zeros)
    request = crafted(layout, opener, header, plain, flags=int(layout.flags) | more)
    reply = answer(engine, request)
    front, back = reply.packet[: len(OUTER + header)], reply.packet[len(OUTER + header) :]
    found = reply.descriptor
    if found.status == Status.DONE:
        assert plain.startswith(back)
        assert len(back) == found.plain_len
    elif found.status == Status.BAD_DESCRIPTOR:
        assert reply.packet == b""
        return
    else:
        assert found.status & 0x40
        assert back == b""
    assert front == OUTER + header
