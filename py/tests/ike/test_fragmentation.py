"""Protected messages in fragments, both ways (RFC 7383; cases 79-84)."""

import itertools
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ike_lab import EAST, STEADY, WEST, Lab, path_between, toward

from p4esp.ike.codec.encrypted import Part, seal
from p4esp.ike.codec.header import Header, parse_header
from p4esp.ike.codec.message import parse_message
from p4esp.ike.codec.payloads import VendorId
from p4esp.ike.config import Settings
from p4esp.ike.constants import ExchangeType, PayloadType
from p4esp.ike.events import ChildUp, IkeDown, IkeEstablished, PeerAlive
from p4esp.ike.extensions.fragmentation import Fragmentation
from p4esp.ike.extensions.standard import STANDARD

INFORMATIONAL, SKF = ExchangeType.INFORMATIONAL, PayloadType.SKF
OVERHEAD = 20 + 8 + 4
"""IPv4, UDP, non-ESP marker."""


class Ballast:
    """Makes every protected message as large as wanted, and keeps what of it arrived."""

    def __init__(self, octets):
        self._octets = octets
        self.arrived = []

    def received(self, sa, message):
        if message.header.exchange != ExchangeType.IKE_SA_INIT:
            self.arrived.append(b"".join(p.data for p in message.payloads.every(VendorId)))

    def additions(self, sa, exchange, *, response):
        return [] if exchange == ExchangeType.IKE_SA_INIT else [VendorId(self._octets)]


def ballasted(octets=bytes(range(256)) * 12, fragment_size=576, **limits):
    """A lab whose protected messages carry ballast, and the ballast."""
    ballast = Ballast(octets)
    limits.setdefault("retransmission", STEADY)
    wanted = Settings(fragment_size=fragment_size, **limits)
    return Lab(settings=wanted, extensions=(*STANDARD, ballast)), ballast


@pytest.fixture
def lab():
    """Established, everything protected in about seven fragments."""
    lab, _ = ballasted()
    lab.connect()
    return lab


def fragments_of(lab, since=0):
    return [d for _, d in lab.wire[since:] if parse_header(d.data).next_payload == SKF]


def held_request(lab):
    """West's next request, in fragments that nobody has delivered."""
    lab.fate = lambda _: []
    sent = len(lab.wire)
    lab.west.endpoint.check_liveness(lab.west.one(IkeEstablished).ike.spi, lab.now)
    lab.settle()
    lab.fate = lambda _: [0.01]
    return [datagram for _, datagram in lab.wire[sent:]]


def part_of(datagram):
    return parse_message(datagram.data).encrypted.part


def protection_of(node):
    (entry,) = node.endpoint._entries.values()
    return entry.sa._state.protection


def forged(lab, number, total, piece, *, first=0, message_id=2):
    """An authentic fragment of west's, of our own making."""
    info, protection = lab.west.one(IkeEstablished).ike, protection_of(lab.west)
    header = Header(info.spi, info.peer_spi, INFORMATIONAL, True, False, message_id)
    iv, part = protection._new_iv(), Part(number, total)
    return seal(header, (first, piece), protection._out, iv, part)


def deliver(lab, data):
    """Hand octets from west to east; what east answers."""
    lab.east.endpoint.receive_datagram(data, path_between(EAST, WEST), lab.now)
    return [datagram.data for datagram in lab.east.endpoint.datagrams_to_send(lab.now)]


def test_a_large_handshake_travels_in_packets_of_the_configured_size():
    lab, ballast = ballasted()
    lab.connect()
    assert lab.west.one(ChildUp)
    assert lab.east.one(ChildUp)
    assert set(ballast.arrived) == {bytes(range(256)) * 12}
    assert len(fragments_of(lab)) == 14
    assert max(len(d.data) for _, d in lab.wire) == 576 - OVERHEAD


def test_a_message_that_fits_is_not_cut():
    lab = Lab()
    lab.connect()
    assert fragments_of(lab) == []


def test_without_the_notify_of_both_nothing_is_cut_and_fragments_are_dropped():
    silent = [extension for extension in STANDARD if not isinstance(extension, Fragmentation)]
    lab = Lab(settings=Settings(fragment_size=200), extensions=silent)
    lab.connect()
    assert lab.west.one(ChildUp)
    assert fragments_of(lab) == []
    assert deliver(lab, forged(lab, 1, 1, b"", message_id=2)) == []
    assert "not negotiated" in lab.east.traces[-1].reason


def test_a_responder_announces_fragments_only_to_who_did():
    for extensions, wanted in ((STANDARD, True), ((), False)):
        lab = Lab(extensions=extensions)
        lab.east = Lab().east
        lab.nodes[EAST] = lab.east
        lab.connect()
        names = next(record.payloads for record in lab.east.traces if record.kind == "sent")
        assert ("N(IKEV2_FRAGMENTATION_SUPPORTED)" in names) is wanted


def test_every_fragment_has_an_iv_and_an_icv_of_its_own(lab):
    fragments = fragments_of(lab)
    ivs = [(d.path.local, parse_message(d.data).encrypted.body[:8]) for d in fragments]
    assert len(set(ivs)) == len(ivs)
    for datagram in held_request(lab):
        spoiled = datagram.data[:-1] + bytes([datagram.data[-1] ^ 1])
        assert deliver(lab, spoiled) == []
        assert "integrity" in lab.east.traces[-1].reason


def test_80_fragments_arrive_in_any_order_and_more_than_once(lab):
    request = held_request(lab)
    for datagram in (*request[:0:-1], *request[3:]):
        lab.deliver(datagram)
    assert lab.west.of(PeerAlive) == []
    lab.deliver(request[0])
    lab.settle()
    assert lab.west.one(PeerAlive)


def test_81_a_fragment_that_is_not_authentic_displaces_nothing(lab):
    request = held_request(lab)
    for datagram in request:
        deliver(lab, datagram.data[:60] + bytes(len(datagram.data) - 60))
        if part_of(datagram).number < len(request):
            assert deliver(lab, datagram.data) == []
    larger = bytearray(request[0].data)
    larger[28 + 4 + 2 : 28 + 8] = (60).to_bytes(2, "big")
    assert deliver(lab, bytes(larger)) == []
    assert "integrity" in lab.east.traces[-1].reason
    assert len(deliver(lab, request[-1].data)) == len(request)


def test_80_more_fragments_than_before_start_the_message_over_and_fewer_are_dropped(lab):
    assert deliver(lab, forged(lab, 1, 2, bytes([0, 0, 0, 5]), first=43)) == []
    assert deliver(lab, forged(lab, 1, 3, bytes([0, 0, 0]), first=43)) == []
    assert deliver(lab, forged(lab, 2, 2, b"x")) == []
    assert "3 were announced before" in lab.east.traces[-1].reason
    assert deliver(lab, forged(lab, 2, 3, bytes([5]))) == []
    assert deliver(lab, forged(lab, 3, 3, b"x")) != []


def test_80_a_repeated_fragment_with_other_content_does_not_overwrite(lab):
    chain = bytes([0, 0, 0, 5]) + b"x"
    assert deliver(lab, forged(lab, 1, 2, chain[:3], first=43)) == []
    assert deliver(lab, forged(lab, 1, 2, b"garbage", first=43)) == []
    assert "came before" in lab.east.traces[-1].reason
    assert deliver(lab, forged(lab, 2, 2, chain[3:])) != []
    lab.settle()
    assert lab.east.of(IkeDown) == []


def test_81_pieces_may_be_empty_and_cut_anywhere(lab):
    chain = bytes([0, 0, 0, 5]) + b"x"
    pieces = [chain[:1], b"", chain[1:4], chain[4:]]
    answers = [
        deliver(lab, forged(lab, number, 4, piece, first=43 if number == 1 else 0))
        for number, piece in enumerate(pieces, start=1)
    ]
    assert answers[:3] == [[]] * 3
    assert answers[3]


def test_79_a_message_in_one_fragment_is_legal_even_without_payloads(lab):
    assert deliver(lab, forged(lab, 1, 1, b"")) != []


def test_45_what_is_malformed_shows_only_when_the_message_is_complete(lab):
    assert deliver(lab, forged(lab, 1, 2, b"\0\0\0\1", first=43)) == []
    lab.settle()
    assert lab.east.of(IkeDown) == []
    assert deliver(lab, forged(lab, 2, 2, b"")) != []
    lab.settle()
    assert lab.east.one(IkeDown)


@pytest.mark.parametrize("message_id", [0, 3, 0xFFFFFFFF])
def test_84_fragments_of_another_message_id_are_ignored(lab, message_id):
    request = held_request(lab)
    for datagram in request[:-1]:
        deliver(lab, datagram.data)
    assert deliver(lab, forged(lab, 1, 9, b"x", first=43, message_id=message_id)) == []
    assert deliver(lab, request[-1].data) != []


def test_84_an_incomplete_message_is_forgotten_after_a_while(lab):
    request = held_request(lab)
    for datagram in request[1:]:
        deliver(lab, datagram.data)
    assert lab.east.endpoint.get_timer() == pytest.approx(lab.now + 30.0)
    lab.now += 30.0
    lab.east.endpoint.handle_timer(lab.now)
    assert lab.east.endpoint.get_timer() is None
    assert deliver(lab, request[0].data) == []
    assert [deliver(lab, datagram.data) for datagram in request[1:-1]] == [[]] * (len(request) - 2)
    assert deliver(lab, request[-1].data) != []


@pytest.mark.parametrize("total", [65, 256, 65535])
def test_79_more_fragments_than_the_limit_are_not_kept(lab, total):
    assert deliver(lab, forged(lab, 1, total, b"x", first=43)) == []
    assert "more than 64" in lab.east.traces[-1].reason
    assert lab.east.endpoint.get_timer() is None


def test_84_a_message_beyond_the_size_limit_is_forgotten():
    lab, _ = ballasted(max_message_size=4096)
    lab.connect()
    assert deliver(lab, forged(lab, 1, 3, bytes(2048), first=43)) == []
    assert deliver(lab, forged(lab, 2, 3, bytes(2049))) == []
    assert "exceed 4096 octets" in lab.east.traces[-1].reason
    assert lab.east.endpoint.get_timer() is None
    assert len(lab.east.endpoint.ike_sas) == 1


def test_83_only_the_first_fragment_of_an_answered_request_is_answered_again(lab):
    request = held_request(lab)
    answers = [deliver(lab, datagram.data) for datagram in reversed(request)]
    answer = answers[-1]
    assert len(answer) == len(request)
    assert [deliver(lab, datagram.data) for datagram in request[1:]] == [[]] * (len(request) - 1)
    assert deliver(lab, request[0].data) == answer


def test_83_an_answered_request_cut_smaller_is_answered_again_once_it_is_authentic(lab):
    """RFC 7383 2.5.2: who hears no answer may try smaller fragments."""
    answers = [deliver(lab, datagram.data) for datagram in held_request(lab)]
    recut = [forged(lab, n, 20, b"piece", first=43 if n == 1 else 0) for n in (1, 2)]
    assert deliver(lab, recut[0][:-1] + bytes([recut[0][-1] ^ 1])) == []
    assert deliver(lab, recut[1]) == []
    assert deliver(lab, recut[0]) == answers[-1]
    assert lab.east.endpoint.get_timer() is None


def test_a_retransmission_repeats_every_fragment_bit_for_bit(lab):
    request = held_request(lab)
    sent = len(lab.wire)
    lab.run(4.5)
    assert [d for _, d in lab.wire[sent:]][: len(request)] == request


def test_a_whole_message_displaces_the_fragments_of_it(lab):
    request = held_request(lab)
    for datagram in request[:-1]:
        deliver(lab, datagram.data)
    info = lab.west.one(IkeEstablished).ike
    header = Header(info.spi, info.peer_spi, INFORMATIONAL, True, False, 2)
    assert deliver(lab, protection_of(lab.west).seal(header, [])) != []
    assert lab.east.endpoint.get_timer() is None
    assert deliver(lab, request[-1].data) == []


def test_82_ike_sa_init_is_never_fragmented(lab):
    info = lab.west.one(IkeEstablished).ike
    data = bytearray(forged(lab, 1, 1, b"", message_id=0))
    data[8:16], data[18] = bytes(8), ExchangeType.IKE_SA_INIT
    assert deliver(lab, bytes(data)) == []
    assert [sa.spi for sa in lab.east.endpoint.ike_sas] == [info.peer_spi]


def test_a_request_in_fragments_may_have_a_whole_answer_and_the_reverse():
    for large in ("request", "response"):
        ballast = Ballast(bytes(3000))
        ballast.additions = lambda sa, exchange, *, response, large=large: (
            [VendorId(bytes(3000))] if exchange == 37 and response is (large == "response") else []
        )
        lab = Lab(extensions=(*STANDARD, ballast))
        ike = lab.connect()
        lab.west.endpoint.check_liveness(ike, lab.now)
        lab.settle()
        assert lab.west.one(PeerAlive)
        assert {parse_header(d.data).response for d in fragments_of(lab)} == {large == "response"}


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    octets=st.binary(max_size=2000),
    fragment_size=st.integers(130, 1500),
    fates=st.lists(st.lists(st.floats(0.0, 3.0), max_size=3), max_size=120),
)
def test_any_message_in_any_cut_survives_loss_repetition_and_disorder(octets, fragment_size, fates):
    """The first datagrams are lost, repeated and delayed at will; the tries outlast that."""
    tries = replace(STEADY, base=1.1, tries=200)
    lab, ballast = ballasted(octets, fragment_size, retransmission=tries, half_open_timeout=1e6)
    remaining = iter(fates)
    lab.fate = lambda _: next(remaining, [0.01])
    lab.west.endpoint.initiate(lab.west_config, 0.0, child="net")
    lab.run(900.0)
    assert lab.west.one(ChildUp).child.spi_in == lab.east.one(ChildUp).child.spi_out
    assert set(ballast.arrived) == {octets}
    limit = max(fragment_size - OVERHEAD, 28 + 8 + 8 + 1 + 1 + 16)
    assert all(len(d.data) <= limit for d in fragments_of(lab))


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_mutated_fragments_never_pass(data):
    """Each fragment is preceded by a copy with one octet changed."""
    lab, _ = ballasted(bytes(700), 300)
    honest = lab.deliver

    def deliver_twice(datagram):
        at = data.draw(st.integers(0, len(datagram.data) - 1))
        spoiled = bytearray(datagram.data)
        spoiled[at] ^= data.draw(st.integers(1, 255))
        if parse_header(datagram.data).next_payload == SKF:
            honest(replace(datagram, data=bytes(spoiled)))
        honest(datagram)

    lab.deliver = deliver_twice
    lab.connect()
    assert lab.west.one(ChildUp).child.spi_in == lab.east.one(ChildUp).child.spi_out


def test_the_lab_can_tell_directions_apart(lab):
    """Guards the tests above: both sides really cut their messages."""
    for host in (WEST, EAST):
        assert any(toward(host, datagram) for datagram in fragments_of(lab))
    assert len(set(itertools.chain(map(len, (d.data for d in fragments_of(lab)))))) == 3
