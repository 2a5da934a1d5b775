"""FILL, MODE, the UDP checksum over IPv6, long headers: fields that few requests use."""

import socket
from dataclasses import replace

import pytest
from engine_helpers import INNER, answer, any_key, changed, engine_with, for_vector, status_of
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import (
    HBHOptUnknown,
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrHopByHop,
    PadN,
    in6_chksum,
)
from scapy.packet import Packet, Raw

from p4esp.engine import CryptoFrame, Descriptor, Direction, Engine, Flag, KeySpec, Status
from p4esp.engine.check.judge import sealed_reply
from p4esp.engine.check.requests import ETHERNET, open_request, seal_request, vector_open
from p4esp.engine.check.vectors import VECTORS
from p4esp.engine.checksum import with_udp_checksum
from p4esp.engine.transforms import Transform, lookup, names, offered

FILLING = Flag.TRAILER | Flag.FILL
OCTETS = bytes(range(1, 101))
TRANSFORM = pytest.mark.parametrize("transform", names())
transforms = st.sampled_from(names())


def sealer(transform: str) -> tuple[Engine, int, KeySpec]:
    engine, spec = Engine(), any_key(Direction.SEAL, transform, OCTETS)
    return engine, engine.install(spec), spec


def opened_again(
    engine: Engine, transform: str, sealed: bytes, outer: bytes, **fields: int
) -> bytes:
    opener = engine.install(any_key(Direction.OPEN, transform, OCTETS))
    asked = open_request(opener, 7, sealed, transform=transform, outer=outer, **fields)
    reply = answer(engine, asked)
    assert reply.descriptor.status == Status.DONE
    return reply.packet[asked.descriptor.ct_off :]


# --- FILL ----------------------------------------------------------------------------------


@given(transforms, st.binary(max_size=80), st.integers(0, 2000))
def test_what_a_frame_with_fill_lacks_is_zeros(
    transform: str, payload: bytes, plain_len: int
) -> None:
    engine, handle, _ = sealer(transform)
    request = seal_request(
        *(handle, 7, payload),
        **{"transform": transform, "flags": FILLING, "plain_len": plain_len, "nh": 59},
    )
    reply = answer(engine, request)
    assert (reply.descriptor.status, reply.descriptor.plain_len) == (Status.DONE, plain_len)
    text = opened_again(engine, transform, reply.packet[20:], request.packet[:20])
    assert text == payload[:plain_len].ljust(plain_len, b"\0")


def test_tfc_padding_by_fill_is_cut_off_at_the_other_end() -> None:
    """D11, whose inner packet is filled with zeros to 64 octets, comes of the 33 that it has."""
    vector = VECTORS["D11"]
    engine, handle = for_vector(Direction.SEAL, vector)
    request = seal_request(handle, 7, INNER, nh=4, flags=FILLING, plain_len=64)
    sealed = answer(engine, request).packet[20:]
    assert sealed == vector.esp
    opener = engine.install(vector.key_spec(Direction.OPEN))
    assert answer(engine, vector_open(opener, vector)).packet[36:] == INNER


def test_fill_ends_where_the_headers_do() -> None:
    engine, handle = engine_with(Direction.SEAL)
    whole = seal_request(handle, 7, b"", flags=FILLING, plain_len=64)
    for length in range(36):
        short = replace(whole, packet=whole.packet[:length])
        assert status_of(engine, short) is Status.BAD_DESCRIPTOR
    assert status_of(engine, whole) is Status.DONE


def test_without_fill_a_short_frame_is_a_bad_descriptor_also_after_one_with_fill() -> None:
    engine, handle = engine_with(Direction.SEAL)
    for seq in range(1, 4):
        filled = seal_request(handle, seq, INNER, flags=FILLING, plain_len=64)
        assert status_of(engine, filled) is Status.DONE
        short = seal_request(handle, seq + 100, INNER, plain_len=64)
        assert status_of(engine, short) is Status.BAD_DESCRIPTOR
    assert status_of(engine, seal_request(handle, 101, INNER)) is Status.DONE


def test_the_largest_payload_that_a_descriptor_can_ask_for_is_filled() -> None:
    engine, handle = engine_with(Direction.SEAL)
    reply = answer(engine, seal_request(handle, 1, INNER, flags=FILLING, plain_len=0xFFFF))
    assert len(reply.packet) == 36 + 0xFFFF + 3 + 2 + 16


def test_a_refused_request_with_fill_comes_back_without_its_text() -> None:
    engine, handle = engine_with(Direction.SEAL)
    request = seal_request(handle, 1, INNER, flags=FILLING, plain_len=64)
    assert status_of(engine, request) is Status.DONE
    reply = answer(engine, request)
    assert reply.descriptor == request.descriptor.reply(Status.NONCE_REFUSED)
    assert reply.packet == request.packet[:36]


# --- MODE ----------------------------------------------------------------------------------


@TRANSFORM
@pytest.mark.parametrize("mode", range(4))
def test_mode_comes_back_as_it_was_and_changes_nothing(transform: str, mode: int) -> None:
    engine, handle, spec = sealer(transform)
    flags = Flag.TRAILER | mode << 4
    request = seal_request(handle, 7, INNER, transform=transform, nh=4, flags=flags)
    reply = answer(engine, request)
    sizes = lookup(transform)
    iv = reply.packet[28 : 28 + sizes.iv_len] if not sizes.guarded else b""
    assert reply == sealed_reply(request, spec, iv)
    assert reply.descriptor.flags == flags
    text = opened_again(engine, transform, reply.packet[20:], request.packet[:20], flags=flags)
    assert text == INNER


def test_mode_comes_back_in_an_error_too() -> None:
    engine, handle = engine_with(Direction.SEAL)
    request = seal_request(handle, 7, INNER, flags=Flag.TRAILER | 0x20, gen=1)
    assert answer(engine, request).descriptor == request.descriptor.reply(Status.STALE_GEN)


# --- UDP checksum over IPv6 ----------------------------------------------------------------

ADDRESSES = st.binary(min_size=16, max_size=16)
BETWEEN = {
    "nothing": [],
    "hop by hop": [IPv6ExtHdrHopByHop(options=[PadN(optdata=bytes(4))])],
    "two headers": [
        IPv6ExtHdrHopByHop(options=[HBHOptUnknown(otype=0x3E, optdata=bytes(10))]),
        IPv6ExtHdrDestOpt(options=[PadN(optdata=bytes(4))]),
    ],
}


def stacked(source: bytes, destination: bytes, between: str, *inner: Packet) -> Packet:
    packet = IPv6(
        src=socket.inet_ntop(socket.AF_INET6, source),
        dst=socket.inet_ntop(socket.AF_INET6, destination),
    )
    for layer in (*BETWEEN[between], *inner):
        packet /= layer.copy()
    return packet


def in_udp(
    handle: int, payload: bytes, header: Packet, transform: str = "AES-GCM-16-128", **fields: int
) -> CryptoFrame:
    """A request for ESP in UDP as the pipeline builds it, lengths those of the sealed packet."""
    sizes, size = lookup(transform), fields.get("plain_len", len(payload))
    sealed = 8 + sizes.iv_len + size + 2 + -(size + 2) % sizes.align + sizes.icv_len
    udp = UDP(sport=4500, dport=4500, len=8 + sealed, chksum=fields.pop("chksum", 0))
    whole = bytes(header / udp / Raw(bytes(sealed)))
    outer = whole[: len(whole) - sealed]
    fields = {"pad": len(outer) - 8} | fields
    return seal_request(handle, 7, payload, transform=transform, outer=outer, **fields)


@settings(max_examples=150)
@given(ADDRESSES, ADDRESSES, st.sampled_from(sorted(BETWEEN)), st.binary(max_size=300), transforms)
def test_the_checksum_of_a_sealed_datagram_is_scapys(
    source: bytes, destination: bytes, between: str, payload: bytes, transform: str
) -> None:
    engine, handle, _ = sealer(transform)
    header = stacked(source, destination, between)
    request = in_udp(handle, payload, header, transform, nh=59, chksum=0x1234)
    packet = answer(engine, request).packet
    at = request.descriptor.pad
    assert packet[: at + 6] == request.packet[: at + 6]
    written = int.from_bytes(packet[at + 6 : at + 8])
    datagram = packet[at : at + 6] + bytes(2) + packet[at + 8 :]
    assert written == (in6_chksum(17, header, datagram) or 0xFFFF)
    text = opened_again(engine, transform, packet[at + 8 :], packet[: at + 8])
    assert text == payload


def test_a_computed_zero_is_written_as_ones() -> None:
    """The last word is chosen so that the sum is 0xFFFF: its complement would mean no checksum."""
    header = stacked(bytes(15) + b"\1", bytes(15) + b"\2", "nothing")
    datagram = bytes(UDP(sport=4500, dport=4500, len=20, chksum=0)) + bytes(12)
    last = in6_chksum(17, header, datagram)
    frame = bytes(header) + datagram[:-2] + last.to_bytes(2)
    assert with_udp_checksum(frame, 0, 40)[46:48] == b"\xff\xff"


@given(st.binary(min_size=0, max_size=70))
def test_a_datagram_of_odd_length_is_summed_as_if_a_zero_followed(data: bytes) -> None:
    header = stacked(bytes(15) + b"\1", bytes(15) + b"\2", "nothing")
    udp = UDP(sport=4500, dport=4500, len=8 + len(data), chksum=0)
    frame = with_udp_checksum(bytes(header / udp / Raw(data)), 0, 40)
    expected = in6_chksum(17, header, bytes(udp) + data)
    assert int.from_bytes(frame[46:48]) == expected
    assert frame[48:] == data


@pytest.mark.parametrize("transform", ["AES-GCM-16-128", "NULL-HMAC-SHA2-512-256"])
def test_without_trailer_the_datagram_ends_with_the_icv(transform: str) -> None:
    engine, handle, spec = sealer(transform)
    header = stacked(bytes(range(16)), bytes(range(16, 32)), "nothing")
    request = in_udp(handle, INNER, header, transform, flags=0)
    exact = len(request.packet) - 40 + lookup(transform).icv_len
    packet = request.packet[:44] + exact.to_bytes(2) + request.packet[46:]
    request = replace(request, packet=packet)
    assert answer(engine, request) == sealed_reply(request, spec)


def test_fill_and_a_checksum_go_together() -> None:
    engine, handle, spec = sealer("AES-GCM-16-128")
    header = stacked(bytes(range(16)), bytes(range(16, 32)), "hop by hop")
    request = in_udp(handle, INNER, header, plain_len=500, flags=FILLING, nh=59)
    reply = answer(engine, request)
    assert reply == sealed_reply(request, spec)
    sealed = reply.packet[request.descriptor.pad + 8 :]
    text = opened_again(engine, "AES-GCM-16-128", sealed, request.packet[:40])
    assert text == INNER.ljust(500, b"\0")


def udp_request(handle: int, **fields: int) -> CryptoFrame:
    return in_udp(handle, INNER, stacked(bytes(range(16)), bytes(16), "two headers"), **fields)


@pytest.mark.parametrize("pad", [1, 8, 39, *range(40, 63), *range(65, 255, 10)])
def test_pad_points_at_a_udp_header_whose_length_fits_or_the_descriptor_is_bad(pad: int) -> None:
    engine, handle, _ = sealer("AES-GCM-16-128")
    request = udp_request(handle)
    assert request.descriptor.pad == 64
    assert status_of(engine, changed(request, pad=pad)) is Status.BAD_DESCRIPTOR
    assert status_of(engine, request) is Status.DONE


@pytest.mark.parametrize("change", [-4, 4, 1])
def test_a_sealed_length_that_is_not_udps_is_a_bad_descriptor(change: int) -> None:
    engine, handle, _ = sealer("AES-GCM-16-128")
    request = udp_request(handle)
    filled = changed(request, flags=FILLING, plain_len=len(INNER) + change)
    expected = Status.DONE if change == 1 else Status.BAD_DESCRIPTOR  # within the padding
    assert status_of(engine, filled) is expected


def test_a_checksum_over_ipv4_is_a_bad_descriptor() -> None:
    engine, handle, _ = sealer("AES-GCM-16-128")
    request = udp_request(handle)
    ipv4 = replace(request, packet=bytes(IP(options=[])) + request.packet[20:])
    assert status_of(engine, ipv4) is Status.BAD_DESCRIPTOR


def test_nobody_asks_for_a_checksum_when_opening() -> None:
    engine, handle = for_vector(Direction.OPEN, VECTORS["D1"])
    outer = bytes(stacked(bytes(16), bytes(16), "nothing", UDP(len=76, chksum=0)))
    request = open_request(handle, 7, VECTORS["D1"].esp, outer=outer)
    assert status_of(engine, changed(request, pad=40)) is Status.BAD_DESCRIPTOR
    assert status_of(engine, request) is Status.DONE


def test_a_refused_checksum_request_comes_back_unchanged() -> None:
    engine, handle, _ = sealer("AES-GCM-16-128")
    request = udp_request(handle)
    assert status_of(engine, request) is Status.DONE
    reply = answer(engine, request)
    assert reply.descriptor == request.descriptor.reply(Status.NONCE_REFUSED)
    assert reply.packet == request.packet[: request.descriptor.ct_off]


# --- what stands around ESP ----------------------------------------------------------------


@TRANSFORM
def test_headers_may_reach_as_far_as_a_byte_counts(transform: str) -> None:
    engine, handle, _ = sealer(transform)
    outer = bytes(255 - 8 - lookup(transform).iv_len)
    request = seal_request(handle, 7, INNER, transform=transform, outer=outer)
    assert request.descriptor.ct_off == 255
    reply = answer(engine, request)
    sealed = reply.packet[len(outer) :]
    assert opened_again(engine, transform, sealed, outer) == INNER


@pytest.mark.parametrize("name", ["D9a", "D9b", "D9c"])
def test_wesp_before_the_spi_is_none_of_the_engines_business(name: str) -> None:
    """The digest's D9: D8 and D1 behind a WESP header of 4 or 8 octets (RFC 5840)."""
    wesp, inner = {
        "D9a": ("040c1000", "D8"),
        "D9b": ("0410101000000000", "D8"),
        "D9c": ("00000020", "D1"),
    }[name]
    vector, outer = VECTORS[inner], bytes(20) + bytes.fromhex(wesp)
    engine, handle = for_vector(Direction.SEAL, vector)
    fields = {"transform": vector.transform, "outer": outer}
    reply = answer(engine, seal_request(handle, 7, INNER, nh=4, iv=vector.iv, **fields))
    assert reply.packet == outer + vector.esp


# --- the checks of section 6, written a second time ----------------------------------------

OUTER_LEN = 72
ENGINE = Engine()
KEYS = {
    (ENGINE.install(any_key(direction, name, OCTETS, generation=3))): (direction, name)
    for direction in Direction
    for name in (names() if direction == Direction.SEAL else offered())
}
HEADER = bytes(stacked(bytes(16), bytes(16), "two headers"))


def is_sound(d: Descriptor, packet: bytes) -> bool:
    """The list of docs/crypto-port.md, section 6, rule by rule."""
    direction, name = KEYS[d.key]
    sizes, opening = lookup(name), direction == Direction.OPEN
    filling = d.flags & 8 and not opening
    return all(
        (
            are_sound_flags(d.flags, opening),
            (d.iv_len, d.icv) == (sizes.iv_len, sizes.icv_len),
            are_sound_headers(d, name),
            d.align in (1, 2, 4, 8, 16, 32, 64, 128),
            d.align >= 16 or not name.startswith("AES-CBC"),
            d.seq < 1 << 32 or d.flags & 1 or d.aad_len > 8 or name.startswith("PSP"),
            d.ct_off + (0 if filling else d.plain_len) <= len(packet),
            is_sound_open(d, sizes) if opening else is_sound_seal(d, packet, sizes),
        )
    )


def are_sound_flags(flags: int, opening: bool) -> bool:
    trailer, trim, fill, tih = (bool(flags & bit) for bit in (2, 4, 8, 0x80))
    if trailer and tih:
        return False
    if opening:
        return not fill or (trim and not trailer and not tih)
    return not (trim and (trailer or tih)) and (not fill or trailer or tih or trim)


def are_sound_headers(d: Descriptor, name: str) -> bool:
    shown, tih = d.flags & 0x40, d.flags & 0x80
    if name.startswith(("AES-GMAC", "AES-CBC", "NULL")) and (shown or tih or d.aad_len != 8):
        return False
    if d.aad_len != 8 and d.flags & 1:
        return False
    if name.startswith("PSP") and (d.flags & 0xCF != 0x40 or d.aad_len != 8):
        return False
    iv_end = d.aad_off + d.aad_len + d.iv_len
    if shown:
        return d.aad_len in range(8, 256, 4) and d.ct_off in range(iv_end, 256, 4)
    return d.aad_len in (8, 12, 16) and d.ct_off == iv_end


def has_tih_in_text(d: Descriptor) -> bool:
    if d.flags & 0x40:
        return d.flags & 0x80 and d.ct_off == d.aad_off + d.aad_len + d.iv_len
    return d.flags & 0x80 and d.aad_len != 16


def is_sound_open(d: Descriptor, sizes: Transform) -> bool:
    text = d.plain_len - sizes.icv_len
    least = 2 if d.flags & 2 else 4 if has_tih_in_text(d) else 0
    return text >= least and d.pad == 0 and (sizes.block == 1 or text % 16 == 0)


def is_sound_seal(d: Descriptor, packet: bytes, sizes: Transform) -> bool:
    trailer, padded = 2 if d.flags & 2 else 0, d.flags & 0x86
    if not padded and sizes.block > 1 and d.plain_len % 16:
        return False
    if has_tih_in_text(d) and d.plain_len < 4:
        return False
    if d.pad == 0:
        return True
    behind = -(d.plain_len + trailer) % d.align + trailer if padded and d.align else 0
    length = d.ct_off - d.pad + d.plain_len + behind + sizes.icv_len
    named = int.from_bytes(packet[d.pad + 4 : d.pad + 6])
    return 40 <= d.pad <= d.aad_off - 8 and packet[:1] >= b"\x60" and named == length


@st.composite
def requests(draw: st.DrawFn) -> tuple[Descriptor, bytes]:
    """A sound request, then up to two fields made into something else."""
    handle = draw(st.sampled_from(sorted(KEYS)))
    direction, name = KEYS[handle]
    sizes, payload = lookup(name), draw(st.sampled_from([b"", INNER, bytes(32)]))
    seals = {"gen": 3, "flags": draw(st.sampled_from([2, 3, 0x0A, 0x32]))}
    if direction == Direction.OPEN:
        esp = bytes(8 + sizes.iv_len + 48 + sizes.icv_len)
        flags = 0x40 if name.startswith("PSP") else 2
        opens = {"transform": name, "outer": bytes(20), "gen": 3, "flags": flags}
        frame = open_request(handle, 7, esp, **opens)
    elif draw(st.booleans()):
        frame = in_udp(handle, payload, IPv6(HEADER), name, **seals)
    else:
        frame = seal_request(handle, 7, payload, transform=name, **seals)
    near = {
        "flags": st.integers(0, 255),
        "pad": st.sampled_from([0, 39, 40, 48, 64, 65, 255]),
        "aad_len": st.sampled_from([0, 7, 8, 12, 16, 20, 21, 24]),
        "iv_len": st.sampled_from([0, 8, 16]),
        "icv": st.sampled_from([8, 12, 16, 24, 32]),
        "align": st.sampled_from([0, 1, 2, 3, 4, 8, 16, 24, 128, 255]),
        "seq": st.sampled_from([7, 1 << 32, (1 << 64) - 1]),
        "plain_len": st.integers(0, 130) | st.just(0xFFFF),
        "ct_off": st.integers(0, 110),
        "aad_off": st.integers(0, 90),
    }
    chosen = draw(st.lists(st.sampled_from(sorted(near)), max_size=2, unique=True))
    fields = {field: draw(near[field]) for field in chosen}
    if draw(st.booleans()):
        fields = longer_header(draw, frame.descriptor) | fields
    cut = draw(st.sampled_from([0, 0, 0, 1, 20]))
    packet = frame.packet[: len(frame.packet) - cut]
    return replace(frame.descriptor, **fields), packet


def longer_header(draw: st.DrawFn, d: Descriptor) -> dict[str, int]:
    """Fields of a format that is not RFC 4303's; the bytes in its header do not matter here."""
    shown = draw(st.sampled_from([0, 0x40]))
    flags = draw(st.sampled_from([0, 1, 2, 4, 0x0A, 0x0C, 0x80, 0x84, 0x88])) | shown
    aad_len = draw(st.sampled_from([8, 12, 16, 20, 24] if shown else [8, 12, 16]))
    clear = draw(st.sampled_from([0, 4, 8] if shown else [0]))
    ct_off = d.aad_off + aad_len + d.iv_len + clear
    return {
        "flags": flags,
        "aad_len": aad_len,
        "ct_off": ct_off,
        "plain_len": max(d.plain_len + d.ct_off - ct_off, 0),
    }


@settings(max_examples=2500, deadline=None)
@given(requests())
def test_exactly_what_the_specification_lists_is_a_bad_descriptor(
    request_: tuple[Descriptor, bytes],
) -> None:
    descriptor, packet = request_
    before = [entry.packets for entry in ENGINE._keys]
    reply = answer(ENGINE, CryptoFrame(ETHERNET, descriptor, packet))
    refused = reply.descriptor.status == Status.BAD_DESCRIPTOR
    assert refused == (not is_sound(descriptor, packet))
    if refused:
        assert reply == CryptoFrame(ETHERNET, descriptor.reply(Status.BAD_DESCRIPTOR), b"")
        assert [entry.packets for entry in ENGINE._keys] == before
