"""How texts end in formats that are not RFC 4303's: TIH, no trailer, bytes shown in the clear."""

from dataclasses import replace

import pytest
from engine_helpers import answer, any_key, changed, status_of
from format_helpers import KEY, SALT, WITH_TIH, WITHOUT_TRAILER, crafted, opened, pair

from p4esp.engine import Direction, Engine, Flag, KeySpec, Status
from p4esp.engine.check.field_cases import ipv6_udp
from p4esp.engine.check.judge import sealed_reply
from p4esp.engine.check.layouts import INNER, LAYOUTS, Layout, ipv4, ipv6, tih_of
from p4esp.engine.check.requests import OUTER, open_request, seal_request
from p4esp.engine.transforms import names

# --- trailer information header ------------------------------------------------------------


@pytest.mark.parametrize("layout", WITH_TIH, ids=lambda layout: layout.name)
@pytest.mark.parametrize("pad", [0, 1, 3, 4, 200, 255])
def test_padding_that_the_tih_tells_is_cut_off(layout: Layout, pad: int) -> None:
    tih = tih_of(17, pad)
    text = layout.text(tih, INNER)
    found, left = opened(layout, INNER, text + bytes(pad), tih)
    assert (found.status, found.nh, found.pad) == (Status.DONE, 17, pad)
    assert (found.plain_len, left) == (len(text), text)


@pytest.mark.parametrize("layout", WITH_TIH, ids=lambda layout: layout.name)
@pytest.mark.parametrize("bit", range(16))
def test_first_nibble_and_reserved_bits_of_a_tih_are_zero(layout: Layout, bit: int) -> None:
    tih = (1 << bit << 16 | 0x0400).to_bytes(4, "big")
    found, _ = opened(layout, INNER, layout.text(tih, INNER), tih)
    assert found.status == Status.BAD_PAD


@pytest.mark.parametrize("layout", WITH_TIH, ids=lambda layout: layout.name)
def test_padding_behind_a_tih_is_zeros(layout: Layout) -> None:
    for at in range(3):
        behind = bytearray(3)
        behind[at] = 1
        tih = tih_of(4, 3)
        found, _ = opened(layout, INNER, layout.text(tih, INNER) + behind, tih)
        assert found.status == Status.BAD_PAD


@pytest.mark.parametrize("layout", WITH_TIH, ids=lambda layout: layout.name)
def test_padding_longer_than_the_text_is_bad_padlen(layout: Layout) -> None:
    zeros = INNER[: layout.shown] + bytes(12)
    for pad, nh, status in (
        *((12, 4, None), (12, 59, Status.DONE)),
        *((13, 4, Status.BAD_PADLEN), (13, 59, Status.BAD_PADLEN), (255, 59, Status.BAD_PADLEN)),
    ):
        tih = tih_of(nh, pad)
        found, _ = opened(layout, zeros, layout.text(tih, zeros), tih)
        # All of the text is padding: then there is payload only where some is shown.
        expected = Status.DONE if layout.shown else Status.BAD_PADLEN
        assert found.status == (expected if status is None else status)


@pytest.mark.parametrize("layout", WITH_TIH, ids=lambda layout: layout.name)
@pytest.mark.parametrize("nh", [4, 41])
def test_trim_beside_a_tih_cuts_tfc_padding_off(layout: Layout, nh: int) -> None:
    packet = ipv4(bytes(16)) if nh == 4 else ipv6(bytes(16))
    tih, flags = tih_of(nh, 2), int(layout.flags | Flag.TRIM)
    text = layout.text(tih, packet)
    found, left = opened(layout, packet, text + bytes(50), tih, flags=flags)
    assert (found.status, found.nh, found.pad, left) == (Status.DONE, nh, 2, text)
    found, _ = opened(layout, packet, text[:-1], tih_of(nh, 0), flags=flags)
    assert found.status == Status.BAD_INNER
    found, _ = opened(layout, packet, text, tih_of(45 - nh, 0), flags=flags)
    assert found.status == Status.BAD_INNER


def test_engine_does_not_look_at_a_tih_that_it_seals() -> None:
    for layout in WITH_TIH:
        engine, sealer, _ = pair(layout)
        request = layout.seal(sealer, 1, INNER, b"\xff\xff\xff\xff")
        reply = answer(engine, request)
        assert (reply.descriptor.status, reply.descriptor.pad) == (Status.DONE, 0)


@pytest.mark.parametrize("length", range(4))
def test_text_without_room_for_its_tih_is_a_bad_descriptor(length: int) -> None:
    layout = LAYOUTS["trailer-in-header"]
    engine, sealer, opener = pair(layout)
    request = changed(layout.seal(sealer, 1, INNER), plain_len=length)
    assert status_of(engine, request) is Status.BAD_DESCRIPTOR
    request = crafted(layout, opener, layout.header(9, b"", b""), bytes(length))
    assert status_of(engine, request) is Status.BAD_DESCRIPTOR


# --- no trailer ----------------------------------------------------------------------------


@pytest.mark.parametrize("layout", WITHOUT_TRAILER, ids=lambda layout: layout.name)
@pytest.mark.parametrize(("packet", "nh"), [(ipv4(b"four" * 9), 4), (ipv6(b"six"), 41)])
def test_packet_without_trailer_ends_where_it_says(layout: Layout, packet: bytes, nh: int) -> None:
    text = packet[layout.shown :]
    filling = int(layout.flags | Flag.FILL)
    for pad in range(4):
        found, left = opened(layout, packet, text + bytes(pad))
        assert (found.status, found.nh, found.pad, left) == (Status.DONE, nh, 0, text)
    for pad in (4, 5, 1000):
        assert opened(layout, packet, text + bytes(pad))[0].status == Status.BAD_INNER
        found, left = opened(layout, packet, text + bytes(pad), flags=filling)
        assert (found.status, found.plain_len, left) == (Status.DONE, len(text), text)
    assert opened(layout, packet, text + b"\0\1")[0].status == Status.BAD_PAD
    assert opened(layout, packet, text + bytes(8) + b"\1", flags=filling)[0].status == (
        Status.BAD_PAD
    )
    assert opened(layout, packet, text[:-1])[0].status == Status.BAD_INNER


def test_bytes_behind_the_packet_go_by_align() -> None:
    layout, packet = LAYOUTS["no-trailer"], ipv4(bytes(1))
    assert opened(layout, packet, packet + bytes(7), align=8)[0].status == Status.DONE
    assert opened(layout, packet, packet + bytes(8), align=8)[0].status == Status.BAD_INNER
    engine, sealer, _ = pair(layout)
    reply = answer(engine, layout.seal(sealer, 1, packet, align=8))
    assert (reply.descriptor.pad, len(reply.packet)) == (3, len(OUTER) + 16 + 24 + 16)


@pytest.mark.parametrize("first", [*range(0x40), *range(0x50, 0x60), 0x70, 0xFF, 0x40, 0x44])
def test_text_that_is_no_ip_packet_is_bad_inner(first: int) -> None:
    packet = bytes((first,)) + ipv4(bytes(24))[1:]
    assert opened(LAYOUTS["no-trailer"], packet, packet)[0].status == Status.BAD_INNER


@pytest.mark.parametrize("length", range(20))
def test_text_shorter_than_an_ip_header_is_bad_inner(length: int) -> None:
    packet = b"\x45\0\0" + bytes((length,)) + bytes(16)
    assert opened(LAYOUTS["no-trailer"], b"", packet[:length])[0].status == Status.BAD_INNER


@pytest.mark.parametrize("transform", names())
def test_every_transform_seals_and_opens_without_trailer(transform: str) -> None:
    engine = Engine()
    sealer, opener = (engine.install(any_key(d, transform)) for d in Direction)
    for seq, size in enumerate(range(21, 38), 1):
        packet = ipv4(bytes(size - 20))
        request = seal_request(sealer, seq, packet, transform=transform, flags=Flag.TRIM)
        reply = answer(engine, request)
        asked = request.descriptor
        assert reply.descriptor.pad == -size % asked.align
        padded = size + reply.descriptor.pad
        assert len(reply.packet) == asked.ct_off + padded + asked.icv
        fields = {"transform": transform, "flags": Flag.TRIM}
        back = answer(engine, open_request(opener, seq, reply.packet[20:], **fields))
        assert (back.descriptor.status, back.descriptor.nh) == (Status.DONE, 4)
        assert back.packet[asked.ct_off :] == packet


# --- shown bytes ---------------------------------------------------------------------------


def test_all_of_a_packet_may_be_shown() -> None:
    layout, packet = LAYOUTS["crypt-offset"], ipv4(bytes(8))
    engine, sealer, opener = pair(layout)
    request = layout.seal(sealer, 1, packet)
    reply = answer(engine, request)
    assert (request.descriptor.plain_len, reply.descriptor.pad) == (0, 2)
    trim = int(layout.flags | Flag.TRIM)
    back = answer(engine, layout.open(opener, 1, reply.packet[20:], flags=trim))
    assert (back.descriptor.status, back.descriptor.plain_len) == (Status.DONE, 0)
    assert back.packet[36:] == packet


def test_text_without_payload_is_bad_padlen_where_nothing_is_shown() -> None:
    layout = replace(LAYOUTS["crypt-offset"], shown=0)
    assert opened(layout, b"", b"\1\2\2\4")[0].status == Status.BAD_PADLEN
    assert opened(layout, b"", b"\1\2\2\x3b")[0].status == Status.DONE


@pytest.mark.parametrize("name", ["crypt-offset", "crypt-offset-shown", "no-trailer-shown"])
def test_packet_that_ends_within_what_is_shown_is_bad_inner(name: str) -> None:
    layout = LAYOUTS[name]
    packet = ipv4(bytes(layout.shown - 21)) + bytes(9)
    text = layout.text(tih_of(4, 0), packet)
    text += b"\1\2\2\4" if layout.flags & Flag.TRAILER else b""
    flags = int(layout.flags | Flag.TRIM)
    assert opened(layout, packet, text, tih_of(4, 0), flags=flags)[0].status == Status.BAD_INNER


def test_clear_bytes_are_in_an_error_reply_and_the_text_is_not() -> None:
    layout = LAYOUTS["crypt-offset"]
    engine, sealer, _ = pair(layout)
    request = layout.seal(sealer, 1, INNER)
    for fields, status in (({"gen": 1}, Status.STALE_GEN), ({"key": 0}, Status.NO_KEY)):
        reply = answer(engine, changed(request, **fields))
        assert (reply.descriptor.status, reply.packet) == (status, request.packet[:64])
    for lies in ({"ct_off": 62}, {"ct_off": 35}, {"aad_len": 40}, {"aad_len": 6}, {"iv_len": 12}):
        assert answer(engine, changed(request, key=0, **lies)).packet == b""
    assert answer(engine, changed(request, aad_len=40)).packet == b""
    assert status_of(engine, request) is Status.DONE


@pytest.mark.parametrize("name", ["subspaces", "trailer-in-header", "crypt-offset", "no-trailer"])
@pytest.mark.parametrize("size", range(12, 16))
def test_udp_checksum_over_ipv6_covers_every_format(name: str, size: int) -> None:
    """The length in the UDP header is that of the sealed packet, padding of the format included."""
    layout, packet = LAYOUTS[name], ipv4(bytes(size))
    engine, sealer, _ = pair(layout)
    asked = layout.seal(sealer, 1, packet)
    behind = 2 if layout.flags & Flag.TRAILER else 0
    d = asked.descriptor
    pad = -(d.plain_len + behind) % 4
    outer = ipv6_udp(8 + d.ct_off - 20 + d.plain_len + pad + behind + 16)
    more = len(outer) - len(OUTER)
    request = changed(
        replace(asked, packet=outer + asked.packet[len(OUTER) :]),
        **{"pad": 40, "aad_off": d.aad_off + more, "ct_off": d.ct_off + more},
    )
    spec = KeySpec(Direction.SEAL, layout.transform, KEY, SALT)
    assert answer(engine, request) == sealed_reply(request, spec)
    shorter = changed(request, plain_len=d.plain_len - 4)
    assert status_of(engine, shorter) is Status.BAD_DESCRIPTOR
