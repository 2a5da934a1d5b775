"""What anybody on the network can send changes no state (RFC 7296 2.4, 2.21; cases 1-18, 43-50)."""

import random
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ike_lab import EAST, WEST, Lab, path_between, toward
from ike_stranger import fresh_east, good_opening, send, untouched

from p4esp.ike.codec import chain
from p4esp.ike.codec.header import Header, parse_header
from p4esp.ike.codec.message import encode_clear, parse_message
from p4esp.ike.codec.payload import RawPayload
from p4esp.ike.codec.payloads import Authentication, Delete, Notify, VendorId
from p4esp.ike.config import Settings
from p4esp.ike.constants import NotifyType, ProtocolId
from p4esp.ike.drops import Drop
from p4esp.ike.events import ChildDown, ChildUp, IkeDown, IkeEstablished, PeerAlive

INIT, AUTH, INFORMATIONAL = 34, 35, 37


@pytest.fixture
def lab():
    lab = Lab()
    lab.connect()
    return lab


@pytest.fixture
def opening():
    return good_opening()


@pytest.mark.parametrize("size", [0, 1, 3, 27])
@pytest.mark.parametrize("port", [500, 4500])
def test_1_datagrams_too_short_for_a_header_are_dropped(size, port):
    east = fresh_east()
    for data in (bytes(size), b"\xff" * size):
        assert send(east, data, path_between(EAST, WEST, port)) == []
    assert untouched(east)


@pytest.mark.parametrize("length", [0, 27, -1, +1, 0xFFFFFFFF])
def test_2_a_length_that_is_not_the_datagrams_is_malformed(opening, length):
    east = fresh_east()
    value = len(opening) + length if length in (-1, 1) else length
    assert send(east, opening[:24] + value.to_bytes(4, "big") + opening[28:]) == []
    assert east.endpoint.drops[Drop.MALFORMED] == 1


@pytest.mark.parametrize("version", [0x30, 0xF0])
def test_3_a_later_major_version_is_told_ours_a_few_times_a_second(opening, version):
    east = fresh_east(unprotected_replies=3.0)
    data = opening[:17] + bytes([version]) + opening[18:]
    answers = [answer for _ in range(10) for answer in send(east, data)]
    assert len(answers) == 3
    answer = parse_message(answers[0])
    assert answer.header.version == 0x20
    assert answer.header.response
    assert answer.header.spi_i == opening[:8]
    assert answer.clear.payloads == (Notify(NotifyType.INVALID_MAJOR_VERSION),)
    assert send(east, data, now=1.0) != []


def test_3_an_earlier_major_version_is_dropped_and_a_later_minor_version_accepted(opening):
    east = fresh_east()
    assert send(east, opening[:17] + b"\x10" + opening[18:]) == []
    assert send(east, opening[:17] + b"\x27" + opening[18:]) != []


@pytest.mark.parametrize(
    "change",
    [
        {"spi_i": bytes(8)},
        {"initiator": False},
        {"response": True},
        {"message_id": 1},
        {"spi_r": b"\1" * 8},
        {"exchange": AUTH},
        {"exchange": 99},
    ],
    ids=str,
)
def test_4_5_6_what_is_no_proper_opening_is_dropped_unanswered(opening, change):
    east = fresh_east()
    message = parse_message(opening)
    data = encode_clear(replace(message.header, **change), message.clear.payloads)
    assert send(east, data) == []
    assert untouched(east)
    assert sum(east.endpoint.drops.values()) == 1


def test_7_reserved_flag_bits_are_ignored(opening):
    east = fresh_east()
    assert send(east, opening[:19] + bytes([opening[19] | 0xD7]) + opening[20:]) != []


@pytest.mark.parametrize(
    ("port", "prefix", "drop"),
    [
        (4500, b"", Drop.NOT_IKE),
        (500, bytes(4), Drop.MALFORMED),
    ],
)
def test_8_the_non_esp_marker_belongs_to_port_4500_only(opening, port, prefix, drop):
    east = fresh_east()
    assert send(east, prefix + opening, path_between(EAST, WEST, port)) == []
    assert east.endpoint.drops[drop] == 1


def test_8_esp_look_alikes_and_keepalives_on_4500_are_not_ike():
    east, path = fresh_east(), path_between(EAST, WEST, 4500)
    for data in (b"\xff", b"\xc0\0\0\1" + bytes(60)):
        assert send(east, data, path) == []
    assert east.endpoint.drops[Drop.NOT_IKE] == 2


def is_invalid_ike_spi(answer, request):
    """Whether an answer is the unprotected error for an unknown IKE SA, for this very request."""
    said, asked = parse_message(answer), parse_header(request)
    head = replace(asked, response=True, initiator=not asked.initiator, next_payload=41, length=36)
    return said.header == head and said.clear.payloads == (Notify(NotifyType.INVALID_IKE_SPI),)


@pytest.mark.parametrize("initiator", [True, False])
def test_10_requests_with_unknown_spis_are_refused_a_few_times_a_second(lab, initiator):
    header = Header(b"\1" * 8, b"\2" * 8, INFORMATIONAL, initiator, False, 7)
    request = encode_clear(header, [])
    answers = [answer for _ in range(30) for answer in send(lab.east, request, now=lab.now)]
    assert len(answers) == Settings().unprotected_replies
    assert is_invalid_ike_spi(answers[0], request)
    assert lab.east.endpoint.drops[Drop.UNKNOWN_SPI] == 30


@pytest.mark.parametrize(
    "change", [{"response": True}, {"exchange": INIT}, {"spi_i": bytes(8)}], ids=str
)
def test_10_responses_and_openings_with_unknown_spis_are_dropped_in_silence(lab, change):
    header = Header(b"\1" * 8, b"\2" * 8, INFORMATIONAL, True, False, 7)
    assert send(lab.east, encode_clear(replace(header, **change), [])) == []


def test_9_a_protected_message_with_swapped_or_altered_spis_is_dropped(lab):
    lab.fate = lambda _: []
    lab.west.endpoint.check_liveness(lab.west.one(IkeEstablished).ike.spi, lab.now)
    lab.settle()
    good = lab.wire[-1][1].data
    assert send(lab.east, bytes([good[0] ^ 1]) + good[1:], now=lab.now) == []
    for unknown in (
        good[8:16] + good[:8] + good[16:],
        good[:8] + bytes([good[8] ^ 1]) + good[9:],
    ):
        (answer,) = send(lab.east, unknown, now=lab.now)
        assert is_invalid_ike_spi(answer, unknown)
    assert send(lab.east, good, now=lab.now) != []


def test_11_12_13_malformed_chains_open_nothing(opening):
    body = opening[28:]
    for spoiled in (
        body[:2] + b"\0\0" + body[4:],
        body[:2] + b"\0\3" + body[4:],
        body[:2] + b"\xff\xff" + body[4:],
        body + b"\0",
        body[:-1],
    ):
        head = opening[:24] + (28 + len(spoiled)).to_bytes(4, "big")
        east = fresh_east()
        assert send(east, head + spoiled) == []
        assert untouched(east)


def test_12_next_payload_zero_with_a_body_is_malformed(opening):
    east = fresh_east()
    assert send(east, opening[:16] + b"\0" + opening[17:]) == []
    assert untouched(east)


def with_extra(opening, *extra, critical=False, first=False):
    message = parse_message(opening)
    payloads = [*extra, *message.clear.payloads] if first else [*message.clear.payloads, *extra]
    data = bytearray(encode_clear(message.header, payloads))
    if critical:
        _, without = chain.encode_chain(message.clear.payloads)
        data[28 + (0 if first else len(without)) + 1] |= 0x80
    return bytes(data)


@pytest.mark.parametrize("first", [True, False])
def test_13_an_unknown_payload_is_skipped_unless_it_is_critical(opening, first):
    extra = RawPayload(200, b"future")
    (answer,) = send(fresh_east(), with_extra(opening, extra, first=first))
    assert parse_message(answer).header.spi_r != bytes(8)
    east = fresh_east()
    (answer,) = send(east, with_extra(opening, extra, critical=True, first=first))
    refusal = parse_message(answer)
    assert refusal.clear.payloads == (Notify(NotifyType.UNSUPPORTED_CRITICAL_PAYLOAD, b"\xc8"),)
    assert refusal.header.spi_r == bytes(8)
    assert untouched(east)


def test_13_a_critical_unknown_payload_in_a_response_is_not_answered_and_not_used():
    held = []
    lab = Lab(fate=lambda d: [0.01] if toward(EAST, d) else held.append(d) or [])
    lab.west.endpoint.initiate(lab.west_config, 0.0, child="net")
    lab.settle()
    lab.fate = lambda _: [0.01]
    spoiled = with_extra(held[0].data, RawPayload(200, b""), critical=True)
    sent = len(lab.wire)
    lab.deliver(replace(held[0], data=spoiled))
    assert len(lab.wire) == sent
    lab.deliver(held[0])
    lab.settle()
    assert lab.west.one(IkeEstablished)


def test_14_the_critical_bit_on_a_known_payload_is_ignored(opening):
    data = bytearray(opening)
    data[29] |= 0x80
    (answer,) = send(fresh_east(), bytes(data))
    assert parse_message(answer).header.spi_r != bytes(8)


def test_16_auth_outside_sk_and_sk_in_ike_sa_init_open_nothing(opening):
    message = parse_message(opening)
    east = fresh_east()
    assert send(east, encode_clear(replace(message.header, exchange=AUTH), [])) == []
    sealed = RawPayload(46, bytes(40))
    assert send(east, encode_clear(message.header, [*message.clear.payloads, sealed])) == []
    assert untouched(east)


def test_16_a_clear_auth_message_for_a_half_open_ike_sa_is_ignored(opening):
    east = fresh_east()
    (answer,) = send(east, opening)
    header = replace(parse_message(answer).header, exchange=AUTH, initiator=True, response=False)
    auth = [Authentication(2, bytes(32))]
    assert send(east, encode_clear(replace(header, message_id=1), auth)) == []
    assert east.endpoint.half_open == 1


@pytest.mark.parametrize("count", [300, 1000])
def test_18_floods_of_payloads_are_malformed(opening, count):
    message = parse_message(opening)
    east = fresh_east(max_init_size=65535)
    assert send(east, encode_clear(message.header, [VendorId(b"x")] * count)) == []
    assert untouched(east)


def test_17_payloads_of_ike_sa_init_may_come_in_any_order(opening):
    message = parse_message(opening)
    for seed in range(20):
        payloads = list(message.clear.payloads)
        random.Random(seed).shuffle(payloads)
        (answer,) = send(fresh_east(), encode_clear(message.header, payloads))
        assert parse_message(answer).header.spi_r != bytes(8)


def test_43_no_flipped_bit_anywhere_gets_an_answer_or_changes_anything(lab):
    lab.fate = lambda _: []
    lab.west.endpoint.check_liveness(lab.west.one(IkeEstablished).ike.spi, lab.now)
    lab.settle()
    good = lab.wire[-1][1].data
    for bit in range(len(good) * 8):
        if bit // 8 in (*range(8, 16), 17, 19):
            continue  # another IKE SA's; minor version and reserved flags: the ICV covers them
        data = bytearray(good)
        data[bit // 8] ^= 1 << bit % 8
        assert send(lab.east, bytes(data), now=lab.now) == []
    (answer,) = send(lab.east, good, now=lab.now)
    assert send(lab.west, answer, path_between(WEST, EAST), lab.now) == []
    lab.settle()
    assert lab.west.one(PeerAlive)


def test_43_flipped_version_and_flag_bits_never_pass_the_integrity_check(lab):
    lab.fate = lambda _: []
    lab.west.endpoint.check_liveness(lab.west.one(IkeEstablished).ike.spi, lab.now)
    lab.settle()
    good = lab.wire[-1][1].data
    before = len(lab.east.traces)
    errors = {NotifyType.INVALID_MAJOR_VERSION, NotifyType.INVALID_IKE_SPI}
    for octet in (8, 15, 17, 19):
        for bit in range(8):
            data = bytearray(good)
            data[octet] ^= 1 << bit
            for answer in send(lab.east, bytes(data), now=lab.now):
                assert parse_message(answer).clear.error().type in errors
    assert all(trace.kind == "dropped" for trace in lab.east.traces[before:])


def test_89_unprotected_errors_and_deletes_never_touch_an_ike_sa(lab):
    info = lab.east.one(IkeEstablished).ike
    header = Header(info.peer_spi, info.spi, INFORMATIONAL, True, False, 2)
    for payload in (
        Notify(NotifyType.INVALID_SYNTAX),
        Notify(NotifyType.AUTHENTICATION_FAILED),
        Delete(ProtocolId.IKE),
    ):
        for change in ({}, {"response": True}, {"response": True, "message_id": 0}):
            assert send(lab.east, encode_clear(replace(header, **change), [payload])) == []
    assert lab.east.of(IkeDown) == lab.east.of(ChildDown) == []


def protection_of(node):
    """The sealing half of a node's only IKE SA, to forge authentic messages with."""
    (entry,) = node.endpoint._entries.values()
    return entry.sa._state.protection


def test_64_ike_sa_init_and_ike_auth_on_an_established_ike_sa_are_ignored(lab):
    info = lab.west.one(IkeEstablished).ike
    for exchange in (INIT, AUTH):
        header = Header(info.spi, info.peer_spi, exchange, True, False, 2)
        sealed = protection_of(lab.west).seal(header, [])
        assert send(lab.east, sealed, now=lab.now) == []
    assert len(lab.east.endpoint.ike_sas) == 1
    assert lab.east.of(IkeDown) == []


def test_48_message_ids_outside_the_window_are_ignored(lab):
    info = lab.west.one(IkeEstablished).ike
    protection = protection_of(lab.west)
    for message_id in (0, 3, 4, 0xFFFFFFFF):
        header = Header(info.spi, info.peer_spi, INFORMATIONAL, True, False, message_id)
        assert send(lab.east, protection.seal(header, []), now=lab.now) == []
    header = Header(info.spi, info.peer_spi, INFORMATIONAL, True, False, 2)
    assert send(lab.east, protection.seal(header, []), now=lab.now) != []


def test_49_a_reencrypted_copy_of_an_answered_request_is_not_answered(lab):
    info = lab.west.one(IkeEstablished).ike
    protection = protection_of(lab.west)
    header = Header(info.spi, info.peer_spi, INFORMATIONAL, True, False, 2)
    first, second = protection.seal(header, []), protection.seal(header, [])
    (answer,) = send(lab.east, first, now=lab.now)
    assert send(lab.east, second, now=lab.now) == []
    assert send(lab.east, first, now=lab.now) == [answer]


def test_50_an_answer_of_another_exchange_type_is_ignored(lab):
    west, east = lab.west.one(IkeEstablished).ike, lab.east.one(IkeEstablished).ike
    lab.fate = lambda _: []
    lab.west.endpoint.check_liveness(west.spi, lab.now)
    lab.settle()
    protection = protection_of(lab.east)
    for exchange in (36, 35, 99):
        header = Header(west.spi, east.spi, exchange, False, True, 2)
        send(lab.west, protection.seal(header, []), path_between(WEST, EAST), lab.now)
    assert lab.west.of(PeerAlive) == []


def test_an_unknown_critical_payload_inside_sk_is_refused_and_the_ike_sa_stays(lab, monkeypatch):
    info = lab.west.one(IkeEstablished).ike
    header = Header(info.spi, info.peer_spi, INFORMATIONAL, True, False, 2)
    with monkeypatch.context() as patch:
        patch.setattr(chain, "generic_header", critical_header)
        sealed = protection_of(lab.west).seal(header, [RawPayload(200, b"")])
    (answer,) = send(lab.east, sealed, now=lab.now)
    refusal = protection_of(lab.west).open(parse_message(answer))
    assert refusal.payloads == (Notify(NotifyType.UNSUPPORTED_CRITICAL_PAYLOAD, b"\xc8"),)
    assert lab.east.of(IkeDown) == []


def critical_header(following, size):
    return bytes([following, 0x80]) + (4 + size).to_bytes(2, "big")


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data(), protected=st.booleans())
def test_91_mutated_messages_raise_nothing_and_mutated_protected_ones_change_nothing(
    data, protected
):
    """Each datagram is preceded by a mutated copy: of any kind, or of protected messages only."""
    lab = Lab()
    honest = lab.deliver

    def deliver(datagram):
        if not protected or datagram.data[18] != INIT:
            spoiled = mutate(data, datagram.data)
            if spoiled != datagram.data:
                honest(replace(datagram, data=spoiled))
        honest(datagram)

    lab.deliver = deliver
    lab.connect()
    if protected:
        assert len(lab.west.of(IkeEstablished)) == len(lab.east.of(IkeEstablished)) == 1
        assert len(lab.west.events) == len(lab.east.events) == 2
        assert lab.west.one(ChildUp).child.spi_in == lab.east.one(ChildUp).child.spi_out
    assert len(lab.east.endpoint.ike_sas) <= 2


def mutate(data, octets):
    spoiled = bytearray(octets)
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(spoiled) - 1))
        action = data.draw(st.sampled_from(["set", "insert", "delete"]))
        if action == "set":
            spoiled[at] = data.draw(st.integers(0, 255))
        elif action == "insert":
            spoiled[at:at] = data.draw(st.binary(min_size=1, max_size=8))
        elif len(spoiled) > 1:
            del spoiled[at]
    if data.draw(st.booleans()) and len(spoiled) >= 28:
        spoiled[24:28] = len(spoiled).to_bytes(4, "big")
    return bytes(spoiled)
