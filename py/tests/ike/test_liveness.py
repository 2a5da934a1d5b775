"""Liveness: what proves it, what merely asks for it, what is ignored (RFC 7296 2.3-2.5, 3.10.1)."""

from dataclasses import replace

import pytest
from ike_lab import EAST, WEST, Lab, east_config, path_between, west_config

from p4esp.ike.codec import chain
from p4esp.ike.codec.header import Header, parse_header
from p4esp.ike.codec.message import encode_clear, parse_message
from p4esp.ike.codec.payload import RawPayload
from p4esp.ike.codec.payloads import Notify
from p4esp.ike.config import Settings
from p4esp.ike.constants import ExchangeType, NotifyType
from p4esp.ike.events import ChildFailed, ChildUp, IkeDown, IkeEstablished, PeerAlive
from p4esp.ike.extensions.standard import STANDARD

INFORMATIONAL, CREATE_CHILD_SA = ExchangeType.INFORMATIONAL, ExchangeType.CREATE_CHILD_SA
UNKNOWN_ERROR, UNKNOWN_STATUS = 8000, 40000


@pytest.fixture
def lab():
    lab = Lab()
    lab.connect()
    return lab


def protection_of(node):
    (entry,) = node.endpoint._entries.values()
    return entry.sa._state.protection


def header_of(lab, **changes):
    info = lab.west.one(IkeEstablished).ike
    return replace(Header(info.spi, info.peer_spi, INFORMATIONAL, True, False, 2), **changes)


def to_west(lab, data):
    """Hand octets that claim to be east's to west; what west sends then."""
    lab.west.endpoint.receive_datagram(data, path_between(WEST, EAST), lab.now)
    return [datagram.data for datagram in lab.west.endpoint.datagrams_to_send(lab.now)]


def to_east(lab, data):
    lab.east.endpoint.receive_datagram(data, path_between(EAST, WEST), lab.now)
    return [datagram.data for datagram in lab.east.endpoint.datagrams_to_send(lab.now)]


def is_liveness_check(lab, data):
    header = parse_header(data)
    empty = not protection_of(lab.east).open(parse_message(data)).payloads
    return header.exchange == INFORMATIONAL and not header.response and empty


def lost_ike_sa(lab, **changes):
    """What a peer says that does not know the IKE SA: nobody vouches for it."""
    answer = header_of(lab, initiator=False, response=True, **changes)
    return encode_clear(answer, [Notify(NotifyType.INVALID_IKE_SPI)])


def lost_child_sa(spi, **changes):
    """The one-way message of who gets ESP with an unknown SPI (RFC 7296 1.5)."""
    header = replace(Header(bytes(8), bytes(8), INFORMATIONAL, True, False, 0), **changes)
    return encode_clear(header, [Notify(NotifyType.INVALID_SPI, spi.to_bytes(4, "big"))])


def test_an_unprotected_invalid_ike_spi_asks_for_life_once_in_a_while_and_ends_nothing(lab):
    (check,) = to_west(lab, lost_ike_sa(lab))
    assert is_liveness_check(lab, check)
    (answer,) = to_east(lab, check)
    assert to_west(lab, answer) == []
    assert [to_west(lab, lost_ike_sa(lab)) for _ in range(100)] == [[]] * 100
    lab.now += Settings().hint_interval
    assert len(to_west(lab, lost_ike_sa(lab))) == 1
    assert lab.west.of(IkeDown) == []


@pytest.mark.parametrize(
    "spis", [{}, {"spi_i": b"r" * 8, "spi_r": b"s" * 8}], ids=["zero", "random"]
)
def test_an_unprotected_invalid_spi_asks_for_life_and_is_never_answered(lab, spis):
    child = lab.west.one(ChildUp).child
    (check,) = to_west(lab, lost_child_sa(child.spi_out, **spis))
    assert is_liveness_check(lab, check)
    assert [to_west(lab, lost_child_sa(child.spi_out, **spis)) for _ in range(50)] == [[]] * 50
    assert to_west(Lab(), lost_child_sa(child.spi_out, **spis)) == []


def test_hints_of_other_addresses_and_of_foreign_spis_ask_for_nothing(lab):
    child = lab.west.one(ChildUp).child
    assert to_west(lab, lost_child_sa(child.spi_in)) == []
    lab.now += 10
    lab.west.endpoint.receive_datagram(
        lost_child_sa(child.spi_out), path_between(WEST, WEST), lab.now
    )
    assert lab.west.endpoint.datagrams_to_send(lab.now) == []


def test_a_hint_while_a_request_waits_for_its_answer_sends_nothing_more(lab):
    lab.fate = lambda _: []
    lab.west.endpoint.check_liveness(lab.west.one(IkeEstablished).ike.spi, lab.now)
    lab.settle()
    assert to_west(lab, lost_ike_sa(lab)) == []


def test_a_peer_that_has_forgotten_everything_is_found_by_its_own_refusals():
    """East restarts: its INVALID_IKE_SPI proves nothing, the silence after the check does."""
    lab = Lab(west_config(dpd_delay=20.0))
    lab.connect()
    lab.east = Lab().east
    lab.nodes[EAST] = lab.east
    lab.run(19.0)
    assert lab.west.of(IkeDown) == []
    lab.run(400.0)
    assert lab.west.one(IkeDown)


@pytest.mark.parametrize("kind", [UNKNOWN_ERROR, UNKNOWN_STATUS, NotifyType.SET_WINDOW_SIZE])
@pytest.mark.parametrize("exchange", list(ExchangeType)[:4])
def test_notifies_nobody_knows_are_ignored_in_requests_of_every_exchange(kind, exchange):
    """3.10.1, and 2.3: a larger window of the peer's is an offer that need not be used."""
    lab = Lab(extensions=(*STANDARD, Extra(exchange, kind, response=False)))
    ike = lab.connect()
    lab.west.endpoint.create_child(ike, "net", lab.now)
    lab.west.endpoint.check_liveness(ike, lab.now)
    lab.settle()
    assert len(lab.west.of(ChildUp)) == len(lab.east.of(ChildUp)) == 2
    assert lab.west.one(PeerAlive)


def test_a_status_notify_nobody_knows_is_ignored_in_responses_and_an_error_fails_the_request():
    for kind, children in ((UNKNOWN_STATUS, 2), (UNKNOWN_ERROR, 1)):
        lab = Lab(extensions=(*STANDARD, Extra(CREATE_CHILD_SA, kind, response=True)))
        ike = lab.connect()
        lab.west.endpoint.create_child(ike, "net", lab.now)
        lab.settle()
        assert len(lab.west.of(ChildUp)) == children
        assert [failed.reason for failed in lab.west.of(ChildFailed)] == ["8000"] * (2 - children)
        assert lab.west.of(IkeDown) == []


class Extra:
    """Adds one notify to the messages of an exchange."""

    def __init__(self, exchange, kind, *, response):
        self._where = exchange, response
        self._notify = Notify(kind, bytes(4))

    def received(self, sa, message):
        pass

    def additions(self, sa, exchange, *, response):
        return [self._notify] if (exchange, response) == self._where else []


@pytest.mark.parametrize("exchange", [CREATE_CHILD_SA, INFORMATIONAL])
def test_a_critical_unknown_payload_in_a_protected_request_is_refused_by_its_type(
    lab, monkeypatch, exchange
):
    with monkeypatch.context() as patch:
        patch.setattr(chain, "generic_header", critical)
        header = header_of(lab, exchange=exchange)
        sealed = protection_of(lab.west).seal(header, [RawPayload(200, b"")])
    (answer,) = to_east(lab, sealed)
    (refusal,) = protection_of(lab.west).open(parse_message(answer)).payloads
    assert refusal == Notify(NotifyType.UNSUPPORTED_CRITICAL_PAYLOAD, b"\xc8")
    assert len(lab.east.endpoint.ike_sas) == 1


def critical(following, size):
    return bytes([following, 0x80]) + (4 + size).to_bytes(2, "big")


@pytest.mark.parametrize("sealed", [True, False])
def test_esp_traffic_and_authentic_messages_alone_put_the_next_check_off(sealed):
    lab = Lab(east=east_config(dpd_delay=30.0))
    lab.connect()
    due = lab.east.endpoint.get_timer()
    lab.now += 10.0
    header = header_of(lab)
    data = protection_of(lab.west).seal(header, []) if sealed else encode_clear(header, [])
    to_east(lab, data)
    assert lab.east.endpoint.get_timer() == (pytest.approx(lab.now + 30.0) if sealed else due)
    lab.now += 10.0
    lab.east.endpoint.note_inbound_traffic(lab.east.one(ChildUp).child.spi_in, lab.now)
    lab.east.endpoint.handle_timer(due + 1.0)
    assert lab.east.endpoint.datagrams_to_send(due + 1.0) == []
