"""IKE_SA_INIT and IKE_AUTH between two endpoints (RFC 7296 1.2, 2.6, 2.7, 2.9)."""

from dataclasses import replace
from ipaddress import ip_address

import pytest
from ike_lab import (
    EAST,
    EAST_NET,
    LATENCY,
    STEADY,
    WEST,
    WEST_NET,
    Lab,
    child,
    east_config,
    net,
    toward,
    west_config,
)

from p4esp.ike.codec.header import Header
from p4esp.ike.codec.message import encode_clear, parse_message
from p4esp.ike.codec.payloads import KeyExchange, Nonce, Notify
from p4esp.ike.codec.proposal import SecurityAssociation
from p4esp.ike.constants import NO_SPI, NotifyType
from p4esp.ike.errors import CommandError
from p4esp.ike.events import (
    ChildFailed,
    ChildUp,
    IkeDown,
    IkeEstablished,
    InitRefused,
    NegotiationFailed,
)
from p4esp.ike.nat import NatStatus
from p4esp.ike.path import Datagram, Path
from p4esp.ike.proposals import Template
from p4esp.ipsec.algorithms import SUITES
from p4esp.ipsec.sa import Mode


def test_both_sides_establish_one_ike_sa_and_one_child_sa():
    lab = Lab()
    ike = lab.connect()
    west, east = lab.west.one(IkeEstablished).ike, lab.east.one(IkeEstablished).ike
    assert (west.spi, west.peer_spi) == (ike, east.spi)
    assert east.peer_spi == ike
    assert (west.initiator, east.initiator) == (True, False)
    assert west.remote_id == east.local_id
    assert len(lab.wire) == 4
    assert lab.east.endpoint.half_open == 0


def test_the_child_sa_has_mirrored_keys_selectors_and_spis():
    lab = Lab()
    lab.connect()
    west, east = lab.west.one(ChildUp).child, lab.east.one(ChildUp).child
    assert (west.spi_in, west.spi_out) == (east.spi_out, east.spi_in)
    assert west.keymat.inbound == east.keymat.outbound
    assert west.keymat.outbound == east.keymat.inbound
    assert west.keymat.inbound != west.keymat.outbound
    assert (len(west.keymat.inbound.key), len(west.keymat.inbound.salt)) == (32, 4)
    assert (west.local_ts, west.remote_ts) == (net(WEST_NET), net(EAST_NET))
    assert (east.local_ts, east.remote_ts) == (net(EAST_NET), net(WEST_NET))
    assert (west.mode, west.esn, west.encapsulation) == (Mode.TUNNEL, True, None)
    assert (west.local, west.remote) == (WEST, EAST)
    assert {west.spi_in} == lab.west.spis.used
    assert {east.spi_in} == lab.east.spis.used


@pytest.mark.parametrize("cipher", SUITES)
@pytest.mark.parametrize("group", ["x25519", "ecp256"])
@pytest.mark.parametrize("esn", ["esn", "noesn"])
def test_every_suite_key_exchange_and_sequence_number_size_can_be_agreed_on(cipher, group, esn):
    ike = "aes128gcm16" if SUITES[cipher].esp_only else cipher
    proposals = (Template.ike(f"{ike}-prfsha256-{group}", allow_weak=True),)
    esp = (Template.esp(f"{cipher}-{esn}", allow_weak=True),)
    west = west_config(
        proposals=proposals, children=(replace(child(WEST_NET, EAST_NET), proposals=esp),)
    )
    east = east_config(
        proposals=proposals, children=(replace(child(EAST_NET, WEST_NET), proposals=esp),)
    )
    lab = Lab(west, east)
    lab.connect()
    up = lab.east.one(ChildUp).child
    assert (up.suite.name, up.esn) == (cipher, esn == "esn")
    assert lab.west.one(IkeEstablished).ike.suite == f"{ike}-prfsha256-{group}"


def test_the_responders_order_of_preference_decides():
    east = east_config(proposals=(Template.ike("aes128gcm16-aes256gcm16-prfsha256-x25519"),))
    lab = Lab(east=east)
    lab.connect()
    assert lab.west.one(IkeEstablished).ike.suite == "aes128gcm16-prfsha256-x25519"


def test_a_second_proposal_is_chosen_with_its_own_number():
    east = east_config(proposals=(Template.ike("aes192gcm8-prfsha256-x25519"),))
    two = ("aes256gcm16-prfsha256-x25519", "aes192gcm8-prfsha256-x25519")
    lab = Lab(west_config(proposals=tuple(map(Template.ike, two))), east)
    lab.connect()
    answer = parse_message(lab.wire[1][1].data).clear.one(SecurityAssociation)
    assert [proposal.number for proposal in answer.proposals] == [2]
    assert lab.east.one(ChildUp)


def test_34_invalid_ke_payload_is_retried_with_the_method_the_responder_wants():
    lab = Lab(east=east_config(proposals=(Template.ike("aes256gcm16-prfsha256-ecp256"),)))
    lab.connect()
    first, refusal, second = (parse_message(d.data) for _, d in lab.wire[:3])
    assert refusal.clear.notify(NotifyType.INVALID_KE_PAYLOAD).data == b"\x00\x13"
    assert refusal.header.spi_r == NO_SPI
    assert second.header.spi_i == first.header.spi_i
    assert second.header.message_id == 0
    assert second.clear.one(Nonce) == first.clear.one(Nonce)
    assert second.clear.one(SecurityAssociation) == first.clear.one(SecurityAssociation)
    assert second.clear.one(KeyExchange).method == 19
    assert lab.west.one(ChildUp)
    assert len(lab.east.endpoint.ike_sas) == 1


def answer_init(lab, *payloads, spi_r=NO_SPI):
    """What an attacker or a loaded responder sends back to west's IKE_SA_INIT request."""
    request = parse_message(lab.wire[0][1].data).header
    header = Header(request.spi_i, spi_r, request.exchange, False, True, 0)
    path = lab.wire[0][1].path
    back = Datagram(encode_clear(header, payloads), Path(path.remote, path.local))
    lab.deliver(back)


@pytest.mark.parametrize(
    "data", [b"", b"\x1f", b"\x00\x1f", b"\x00\x02", b"\x00\x00\x13"], ids=bytes.hex
)
def test_34_invalid_ke_payload_that_offers_no_choice_is_ignored(data):
    lab = Lab(fate=lambda _: [])
    lab.west.endpoint.initiate(lab.west_config, 0.0)
    lab.settle()
    answer_init(lab, Notify(NotifyType.INVALID_KE_PAYLOAD, data))
    assert len(lab.wire) == 1
    assert "INVALID_KE_PAYLOAD" in lab.west.one(InitRefused).reason


def test_34_a_second_copy_of_the_refusal_is_no_refusal_of_the_next_request():
    copies = iter([[LATENCY], [LATENCY, LATENCY]])
    lab = Lab(
        east=east_config(proposals=(Template.ike("aes256gcm16-prfsha256-ecp256"),)),
        fate=lambda _: next(copies, [LATENCY]),
    )
    lab.connect()
    assert lab.west.one(IkeEstablished)
    assert lab.west.of(InitRefused) == []


def test_34_the_number_of_key_exchange_retries_is_bounded_by_the_offer():
    lab = Lab(fate=lambda _: [])
    lab.west.endpoint.initiate(lab.west_config, 0.0)
    lab.settle()
    for method in (19, 31, 19, 31):
        answer_init(lab, Notify(NotifyType.INVALID_KE_PAYLOAD, bytes([0, method])))
    assert len(lab.wire) == 2


def test_35_a_cookie_comes_first_and_everything_else_stays_the_same():
    lab = Lab(fate=lambda _: [])
    lab.west.endpoint.initiate(lab.west_config, 0.0)
    lab.settle()
    answer_init(lab, Notify(NotifyType.COOKIE, b"crumbs"))
    first, second = (parse_message(d.data) for _, d in lab.wire)
    assert second.clear.payloads == (Notify(NotifyType.COOKIE, b"crumbs"), *first.clear.payloads)
    assert second.header.spi_i == first.header.spi_i


@pytest.mark.parametrize("size", [0, 65])
def test_35_a_cookie_of_illegal_size_is_ignored(size):
    lab = Lab(fate=lambda _: [])
    lab.west.endpoint.initiate(lab.west_config, 0.0)
    lab.settle()
    answer_init(lab, Notify(NotifyType.COOKIE, bytes(size)))
    assert len(lab.wire) == 1


def test_35_the_same_cookie_twice_and_endless_new_cookies_do_not_loop():
    lab = Lab(fate=lambda _: [])
    lab.west.endpoint.initiate(lab.west_config, 0.0)
    lab.settle()
    for cookie in b"aabbccddee":
        answer_init(lab, Notify(NotifyType.COOKIE, bytes([cookie])))
        lab.run(STEADY.first)
    cookies = [parse_message(d.data).clear.notify(NotifyType.COOKIE) for _, d in lab.wire]
    assert [cookie.data for cookie in dict.fromkeys(cookies[1:])] == [b"a", b"b", b"c"]


def test_35_the_handshake_completes_after_a_cookie_detour():
    detour = []

    def fate(datagram):
        if toward(EAST, datagram) and not detour:
            detour.append(datagram)
            return []
        return [0.01]

    lab = Lab(fate=fate)
    lab.west.endpoint.initiate(lab.west_config, 0.0, child="net")
    lab.settle()
    answer_init(lab, Notify(NotifyType.COOKIE, b"x" * 64))
    lab.settle()
    assert lab.west.one(ChildUp)
    assert lab.east.one(ChildUp)


def test_an_unauthenticated_error_is_reported_but_does_not_end_the_attempt():
    lost = []

    def fate(datagram):
        lost.append(datagram)
        return [] if len(lost) == 1 else [0.01]

    lab = Lab(fate=fate)
    lab.west.endpoint.initiate(lab.west_config, 0.0, child="net")
    lab.settle()
    answer_init(lab, Notify(NotifyType.NO_PROPOSAL_CHOSEN))
    assert lab.west.one(InitRefused).reason == "NO_PROPOSAL_CHOSEN"
    lab.run(10)
    assert lab.west.one(ChildUp)


def test_no_proposal_chosen_leaves_no_state_and_is_reported_on_both_sides():
    lab = Lab(east=east_config(proposals=(Template.ike("aes192gcm8-prfsha256-x25519"),)))
    lab.connect()
    refusal = parse_message(lab.wire[1][1].data)
    assert refusal.header.spi_r == NO_SPI
    assert refusal.clear.payloads == (Notify(NotifyType.NO_PROPOSAL_CHOSEN),)
    assert lab.east.endpoint.ike_sas == []
    assert lab.west.one(InitRefused).reason == "NO_PROPOSAL_CHOSEN"
    reasons = [trace.reason for trace in lab.east.traces]
    assert any("accepted aes192gcm8-prfsha256-x25519" in reason for reason in reasons)
    lab.run(200)
    assert "sent 6 times" in lab.west.one(NegotiationFailed).reason
    assert lab.west.endpoint.ike_sas == []
    assert lab.west.spis.used == set()


def test_60_a_child_sa_that_fails_does_not_fail_the_ike_sa():
    lab = Lab(east=east_config(children=(child("10.9.0.0/16", WEST_NET),)))
    lab.connect()
    assert lab.west.one(IkeEstablished)
    assert lab.west.one(ChildFailed).reason == "TS_UNACCEPTABLE"
    assert "no child configuration covers" in lab.east.one(ChildFailed).reason
    assert lab.west.spis.used == lab.east.spis.used == set()
    lab.run(1000)
    assert lab.west.of(IkeDown) == []


def test_60_esp_algorithms_without_match_fail_only_the_child_sa():
    esp = (Template.esp("aes192gcm8-esn"),)
    lab = Lab(east=east_config(children=(replace(child(EAST_NET, WEST_NET), proposals=esp),)))
    lab.connect()
    assert lab.west.one(IkeEstablished)
    assert lab.west.one(ChildFailed).reason == "NO_PROPOSAL_CHOSEN"
    assert lab.west.spis.used == lab.east.spis.used == set()


def test_66_the_responder_narrows_and_the_initiator_takes_the_subset():
    lab = Lab(east=east_config(children=(child("10.2.3.0/24", "10.0.0.0/8"),)))
    lab.connect()
    west, east = lab.west.one(ChildUp).child, lab.east.one(ChildUp).child
    assert (west.local_ts, west.remote_ts) == (net(WEST_NET), net("10.2.3.0/24"))
    assert (east.local_ts, east.remote_ts) == (net("10.2.3.0/24"), net(WEST_NET))


def test_the_outer_addresses_may_be_ipv6():
    west, east = ip_address("2001:db8::1"), ip_address("2001:db8::2")
    lab = Lab(west_config(local=west, remote=east), east_config(local=east))
    lab.nodes = {west: lab.west, east: lab.east}
    lab.connect()
    assert lab.west.one(IkeEstablished).ike.nat == NatStatus(local=False, remote=False)
    assert lab.east.one(ChildUp).child.remote == west


def test_an_attempt_can_be_stopped_before_it_is_answered():
    lab = Lab(fate=lambda _: [])
    ike = lab.west.endpoint.initiate(lab.west_config, 0.0, child="net")
    lab.west.endpoint.delete_ike(ike, 1.0)
    lab.settle()
    assert lab.west.one(NegotiationFailed).reason == "deleted by us"
    assert lab.west.endpoint.get_timer() is None


def test_an_ike_sa_without_child_can_be_made():
    lab = Lab()
    lab.connect(child=None)
    assert lab.west.one(IkeEstablished)
    assert lab.east.one(IkeEstablished)
    assert lab.west.of(ChildUp) == lab.east.of(ChildUp) == []


def test_a_child_that_is_not_configured_is_refused_with_the_known_names():
    lab = Lab()
    with pytest.raises(CommandError, match="no child 'lan'; it has net"):
        lab.west.endpoint.initiate(lab.west_config, 0.0, child="lan")


def test_a_peer_without_fixed_address_cannot_be_called():
    with pytest.raises(CommandError, match="no fixed local and remote address"):
        Lab().east.endpoint.initiate(east_config(), 0.0)


def test_61_initial_contact_replaces_the_forgotten_ike_sa_of_the_same_peer_only_once_proved():
    lab = Lab()
    lab.connect()
    restarted = Lab(seed=7)
    lab.nodes[WEST] = restarted.west
    other = restarted.west.endpoint.initiate(west_config(psk=b"wrong"), lab.now, child="net")
    lab.settle()
    assert lab.east.of(IkeDown) == []
    assert other not in [info.spi for info in restarted.west.endpoint.ike_sas]
    restarted.west.endpoint.initiate(lab.west_config, lab.now, child="net")
    lab.settle()
    assert lab.east.one(IkeDown).reason == "the peer started afresh"
    assert len(lab.east.endpoint.ike_sas) == 1
    assert len(lab.east.of(ChildUp)) == 2


def test_61_without_initial_contact_both_ike_sas_live():
    lab = Lab()
    lab.connect()
    lab.connect()
    assert lab.east.of(IkeDown) == []
    assert len(lab.east.endpoint.ike_sas) == 2
