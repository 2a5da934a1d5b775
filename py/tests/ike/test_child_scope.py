"""Traffic selectors and modes of child SAs (RFC 7296 1.3.1, 2.9, 3.13.1)."""

from dataclasses import replace

import pytest
from ike_lab import EAST, EAST_NET, WEST, WEST_NET, Lab, child, east_config, net, west_config
from ike_ledger import ask, assert_mirrored, ike_of, live

from p4esp.ike import child_scope
from p4esp.ike.codec.message import parse_message
from p4esp.ike.codec.payloads import Nonce, Notify, VendorId
from p4esp.ike.codec.proposal import Proposal, SecurityAssociation
from p4esp.ike.codec.selectors import TsInitiator, TsResponder
from p4esp.ike.config import ChildConfig
from p4esp.ike.constants import ExchangeType, NotifyType, ProtocolId
from p4esp.ike.errors import CommandError, Refusal
from p4esp.ike.events import ChildFailed
from p4esp.ike.extensions import vendor
from p4esp.ike.extensions.vendor import STRONGSWAN
from p4esp.ike.negotiation import Agreement
from p4esp.ike.tasks.create_child import CreateChildResponder
from p4esp.ipsec.sa import Mode
from p4esp.ipsec.selectors import OPAQUE_PORTS, TrafficSelector

TCP, UDP, ICMP, ICMPV6 = 6, 17, 1, 58
ANY = "0.0.0.0/0"


def ts(text, protocol=0, ports=(0, 65535)):
    return TrafficSelector.of_network(text, protocol, ports)


def lab_of(west, east, **options):
    """One child at each end, given as pairs of selectors: here, there."""
    lab = Lab(
        west_config(children=(ChildConfig("net", *west),), **options),
        east_config(children=(ChildConfig("net", *east),)),
    )
    lab.connect()
    return lab


def agreed(lab):
    (made,) = live(lab.west).values()
    assert_mirrored(lab)
    return made.local_ts, made.remote_ts


BOTH = (ts("10.1.0.0/16"), ts("10.3.0.0/16"))
MIXED = (ts("10.1.0.0/16"), ts("fd00:1::/48"))
ECHO, ECHO6 = (ts("10.1.0.0/16", ICMP, (0x0800, 0x08FF)),), (ts("fd00:1::/48", ICMPV6, (1, 2)),)
OPAQUE = (ts("10.1.0.0/16", TCP, OPAQUE_PORTS),)


@pytest.mark.parametrize(
    ("offered", "allowed", "result"),
    [
        (BOTH, net("10.0.0.0/8"), BOTH),
        (BOTH, net("10.3.0.0/16"), net("10.3.0.0/16")),
        (net("10.1.0.0/16"), net("10.1.7.0/24"), net("10.1.7.0/24")),
        ((ts("10.1.0.0/16", TCP),), net("10.1.0.0/16"), (ts("10.1.0.0/16", TCP),)),
        (net("10.1.0.0/16"), (ts("10.1.0.0/16", UDP, (5, 9)),), (ts("10.1.0.0/16", UDP, (5, 9)),)),
        (
            (ts("10.1.0.0/16", UDP, (550, 700)),),
            (ts("10.1.0.0/16", UDP, (500, 600)),),
            (ts("10.1.0.0/16", UDP, (550, 600)),),
        ),
        (ECHO, (ts("10.1.0.0/16", ICMP),), ECHO),
        (net("fd00:1::/48"), net("fd00:1:0:7::/64"), net("fd00:1:0:7::/64")),
        (ECHO6, net("fd00::/16"), ECHO6),
        (MIXED, (ts("10.0.0.0/8"), ts("fd00::/16")), MIXED),
        (MIXED, net("fd00::/16"), net("fd00:1::/48")),
        (OPAQUE, net("10.1.0.0/16"), OPAQUE),
    ],
)
def test_the_responder_takes_all_that_it_allows_and_no_more(offered, allowed, result):
    there = net(EAST_NET) + net("fd00:2::/48")
    assert agreed(lab_of((offered, there), (there, allowed))) == (result, there)


@pytest.mark.parametrize(
    ("offered", "allowed"),
    [
        (ts("10.1.0.0/16"), ts("10.9.0.0/16")),
        (ts("10.1.0.0/16"), ts("fd00::/16")),
        (ts("10.1.0.0/16", TCP), ts("10.1.0.0/16", UDP)),
        (ts("10.1.0.0/16", UDP, (1, 99)), ts("10.1.0.0/16", UDP, (100, 200))),
        (ts("10.1.0.0/16", TCP, OPAQUE_PORTS), ts("10.1.0.0/16", TCP, (80, 80))),
        (ts("10.1.0.0/16", ICMP, (0x0800, 0x08FF)), ts("10.1.0.0/16", ICMP, (0, 0xFF))),
    ],
)
def test_what_has_nothing_in_common_is_unacceptable(offered, allowed):
    lab = lab_of(((offered,), net(EAST_NET)), (net(EAST_NET), (allowed,)))
    assert lab.west.one(ChildFailed).reason == "TS_UNACCEPTABLE"
    assert live(lab.west) == live(lab.east) == {}
    assert lab.west.spis.used == lab.east.spis.used == set()


def test_the_child_that_has_the_packet_is_chosen_before_one_that_only_meets_the_ranges():
    part, whole = child(EAST_NET, "10.1.9.0/24", "part"), child(EAST_NET, WEST_NET, "whole")
    lab = Lab(west_config(), east_config(children=(part, whole)))
    lab.connect(child=None)
    packet = ts("10.1.7.7/32", UDP, (53, 53)), ts("10.2.0.1/32", UDP, (53, 53))
    lab.west.endpoint.create_child(ike_of(lab.west), "net", lab.now, packet)
    lab.settle()
    (made,) = live(lab.east).values()
    assert made.name == "whole"
    assert agreed(lab) == (net(WEST_NET), net(EAST_NET))


def test_a_packet_outside_its_child_is_refused():
    lab = Lab()
    lab.connect()
    packet = ts("10.9.0.1/32"), ts("10.2.0.1/32")
    with pytest.raises(CommandError, match=r"child net does not carry 10\.9\.0\.1/32"):
        lab.west.endpoint.create_child(ike_of(lab.west), "net", lab.now, packet)


@pytest.mark.parametrize("with_packet", [True, False])
def test_a_peer_that_wants_single_pairs_is_asked_once_for_that_of_the_packet(
    monkeypatch, with_packet
):
    real, seen = CreateChildResponder.process, []

    def picky(self, sa, request):
        seen.append(request.payloads.one(TsInitiator).selectors)
        if any(selector.first != selector.last for selector in seen[-1]):
            raise Refusal(NotifyType.SINGLE_PAIR_REQUIRED, "test")
        real(self, sa, request)

    monkeypatch.setattr(CreateChildResponder, "process", picky)
    lab = Lab()
    lab.connect(child=None)
    packet = (ts("10.1.7.7/32"), ts("10.2.0.1/32")) if with_packet else None
    lab.west.endpoint.create_child(ike_of(lab.west), "net", lab.now, packet)
    lab.settle()
    if with_packet:
        assert seen == [(packet[0], *net(WEST_NET)), packet[:1]]
        assert agreed(lab) == (packet[:1], packet[1:])
    else:
        assert lab.west.one(ChildFailed).reason == "SINGLE_PAIR_REQUIRED"
    assert len(lab.west.spis.used) == len(live(lab.west))


def test_a_rekey_stays_with_its_child_and_its_selectors():
    wide, narrow = child(EAST_NET, "10.0.0.0/8", "wide"), child(EAST_NET, WEST_NET, "narrow")
    lab = Lab(east=east_config(children=(wide, narrow)))
    lab.connect()
    before = agreed(lab)
    for node in (lab.west, lab.east):
        node.endpoint.rekey_child(next(iter(live(node))), lab.now)
        lab.settle()
        assert agreed(lab) == before
        assert [made.name for made in live(lab.east).values()] == ["wide"]


def test_an_answer_to_a_rekey_that_leaves_out_what_is_in_use_is_refused(monkeypatch):
    lab = Lab()
    lab.connect()
    (old,) = live(lab.west)
    less, real = TsResponder(net("10.2.7.0/24")), Agreement.payloads
    monkeypatch.setattr(Agreement, "payloads", lambda *a: [*real(*a)[:-1], less])
    lab.west.endpoint.rekey_child(old, lab.now)
    lab.settle()
    assert "in use are" in lab.west.one(ChildFailed).reason
    assert old in live(lab.west)


def offer(lab, *more):
    config = lab.west_config.children[0]
    proposal = Proposal(1, ProtocolId.ESP, b"\xc9\0\0\1", config.proposals[0].transforms)
    return ask(
        lab,
        ExchangeType.CREATE_CHILD_SA,
        *more,
        SecurityAssociation((proposal,)),
        Nonce(bytes(32)),
        TsInitiator(config.local_ts),
        TsResponder(config.remote_ts),
    )


IGNORED = [
    NotifyType.ESP_TFC_PADDING_NOT_SUPPORTED,
    NotifyType.NON_FIRST_FRAGMENTS_ALSO,
    NotifyType.ADDITIONAL_TS_POSSIBLE,
    NotifyType.HTTP_CERT_LOOKUP_SUPPORTED,
]


@pytest.mark.parametrize("kind", IGNORED)
def test_what_we_do_not_offer_is_ignored_and_not_agreed_to(kind):
    lab = Lab()
    lab.connect()
    answer = offer(lab, Notify(kind), Notify(NotifyType.IPCOMP_SUPPORTED, b"\0\1\2"))
    assert not answer.has(Notify)
    assert len(live(lab.east)) == 2


# Transport mode

HOST = (net(ANY), net(ANY))


def transport_lab(west=Mode.TRANSPORT, east=Mode.TRANSPORT, **options):
    made = ChildConfig("net", *HOST)
    lab = Lab(
        west_config(children=(replace(made, mode=west),), **options),
        east_config(children=(replace(made, mode=east),)),
    )
    lab.connect()
    return lab


def host(address):
    return (TrafficSelector(address, address),)


@pytest.mark.parametrize("role", ["west", "east"])
def test_transport_mode_is_agreed_on_for_the_two_hosts_and_survives_rekeys(role):
    lab = transport_lab()
    for _ in range(2):
        assert agreed(lab) == (host(WEST), host(EAST))
        assert {made.mode for made in live(lab.east).values()} == {Mode.TRANSPORT}
        node = getattr(lab, role)
        node.endpoint.rekey_child(next(iter(live(node))), lab.now)
        lab.settle()


def test_a_responder_for_tunnel_mode_ignores_the_wish_and_the_initiator_takes_it_back():
    lab = transport_lab(east=Mode.TUNNEL)
    assert "asked for was transport" in lab.west.one(ChildFailed).reason
    assert live(lab.west) == live(lab.east) == {}
    assert lab.west.spis.used == set()


def test_a_responder_for_transport_mode_makes_no_tunnel():
    lab = transport_lab(west=Mode.TUNNEL)
    assert lab.west.one(ChildFailed).reason == "TS_UNACCEPTABLE"
    assert "the peer asks for tunnel mode" in lab.east.one(ChildFailed).reason


def test_an_answer_in_transport_mode_that_nobody_asked_for_is_refused(monkeypatch):
    real = Agreement.payloads
    unasked = Notify(NotifyType.USE_TRANSPORT_MODE)
    monkeypatch.setattr(Agreement, "payloads", lambda *a: [unasked, *real(*a)])
    lab = Lab()
    lab.connect()
    assert "asked for was tunnel" in lab.west.one(ChildFailed).reason


def test_transport_mode_through_a_nat_is_refused_by_name():
    lab = transport_lab(force_encapsulation=True)
    assert "through a NAT" in lab.west.one(ChildFailed).reason
    assert lab.west.traces[-1].message.startswith("IKE_AUTH")
    answer = offer(lab, Notify(NotifyType.USE_TRANSPORT_MODE))
    assert answer.error().type == NotifyType.TS_UNACCEPTABLE
    assert "through a NAT" in lab.east.traces[-2].reason


def test_transport_mode_for_other_hosts_is_refused():
    elsewhere = ChildConfig("net", net(WEST_NET), net(EAST_NET), mode=Mode.TRANSPORT)
    lab = Lab(west_config(children=(elsewhere,)))
    lab.connect()
    assert "which it leaves out" in lab.west.one(ChildFailed).reason


# BEET mode: a private number of strongSwan's (RFC 7402 appendix B)

INNER = net("10.1.0.10/32"), net("10.2.0.10/32")
BEET = ChildConfig("net", *INNER, mode=Mode.BEET)


def beet_lab(west=BEET, east=None, **options):
    theirs = east or replace(BEET, local_ts=INNER[1], remote_ts=INNER[0])
    lab = Lab(west_config(children=(west,), **options), east_config(children=(theirs,)))
    lab.connect()
    return lab


def vendor_ids(lab):
    """Those of the two messages of IKE_SA_INIT."""
    return [parse_message(sent.data).clear.every(VendorId) for _, sent in lab.wire[:2]]


@pytest.mark.parametrize("role", ["west", "east"])
@pytest.mark.parametrize("nat", [False, True])
def test_beet_mode_is_agreed_on_for_one_pair_through_a_nat_too_and_survives_rekeys(role, nat):
    lab = beet_lab(force_encapsulation=nat)
    node = getattr(lab, role)
    for _ in range(2):
        assert agreed(lab) == INNER
        for made in (*live(lab.west).values(), *live(lab.east).values()):
            assert (made.mode, {made.local, made.remote}) == (Mode.BEET, {WEST, EAST})
            assert (made.encapsulation is not None) is nat
        node.endpoint.rekey_child(next(iter(live(node))), lab.now)
        lab.settle()


def test_beet_mode_survives_a_rekey_of_the_ike_sa():
    lab = beet_lab()
    ike = ike_of(lab.west)
    lab.west.endpoint.rekey_ike(ike, lab.now)
    lab.settle()
    lab.west.endpoint.rekey_child(next(iter(live(lab.west))), lab.now)
    lab.settle()
    assert [made.mode for made in live(lab.east).values()] == [Mode.BEET]
    assert_mirrored(lab)


def test_the_vendor_id_is_sent_only_where_a_child_is_for_beet_mode():
    """RFC 7296 3.12."""
    assert vendor_ids(beet_lab()) == [[STRONGSWAN], [STRONGSWAN]]
    plain = Lab()
    plain.connect()
    assert vendor_ids(plain) == [[], []]


def tunnel(local, remote):
    return ChildConfig("net", local, remote)


def test_a_responder_without_beet_answers_tunnel_mode_which_the_initiator_refuses(monkeypatch):
    """It knows the number and has the vendor ID, or it would not even be asked."""
    lab = beet_lab(east=tunnel(*INNER[::-1]))
    assert "which the peer has no vendor ID for" in lab.west.one(ChildFailed).reason
    monkeypatch.setattr(vendor, "_has_beet", lambda _: True)
    lab = beet_lab(east=tunnel(*INNER[::-1]))
    assert "asked for was beet" in lab.west.one(ChildFailed).reason
    assert live(lab.west) == live(lab.east) == {}
    assert lab.west.spis.used == set()


def test_a_responder_for_beet_mode_makes_no_tunnel():
    lab = beet_lab(west=tunnel(*INNER))
    assert lab.west.one(ChildFailed).reason == "TS_UNACCEPTABLE"
    assert "which the peer has no vendor ID for" in lab.east.one(ChildFailed).reason


def test_without_the_vendor_id_the_number_means_nothing():
    """RFC 7296 3.10.1: unknown status notifies are ignored."""
    lab = Lab()
    lab.connect()
    answer = offer(lab, Notify(NotifyType.USE_BEET_MODE))
    assert not answer.has(Notify)
    assert {made.mode for made in live(lab.east).values()} == {Mode.TUNNEL}


def test_two_modes_at_once_are_refused():
    lab = beet_lab()
    both = Notify(NotifyType.USE_BEET_MODE), Notify(NotifyType.USE_TRANSPORT_MODE)
    assert offer(lab, *both).error().type == NotifyType.INVALID_SYNTAX
    assert len(live(lab.east)) == 1


def test_a_peer_that_asks_a_child_for_beet_for_a_tunnel_is_refused():
    lab = beet_lab()
    assert offer(lab).error().type == NotifyType.TS_UNACCEPTABLE
    assert "the peer asks for tunnel mode" in lab.east.traces[-2].reason


WIDE = [
    (net("10.1.0.0/24"), INNER[1], "SINGLE_PAIR_REQUIRED"),
    ((*INNER[0], *net("10.1.0.11/32")), INNER[1], "SINGLE_PAIR_REQUIRED"),
    (net("fd00::1/128"), INNER[1], "TS_UNACCEPTABLE"),
]


@pytest.mark.parametrize(
    ("here", "there", "error"), WIDE, ids=["range", "two addresses", "two families"]
)
def test_beet_mode_for_anything_but_one_pair_is_refused_by_either_end(
    here, there, error, monkeypatch
):
    """A pair there might be is asked for by its name (draft-ietf-ipsecme-ikev2-beet-mode)."""
    sides = here, there
    west, east = (ChildConfig("net", *ends, mode=Mode.BEET) for ends in (sides, sides[::-1]))
    lab = beet_lab(west, east)
    assert "between two addresses of one family" in lab.west.one(ChildFailed).reason
    assert not lab.east.of(ChildFailed)
    real = child_scope._require_pair
    monkeypatch.setattr(
        child_scope, "_require_pair", lambda scope: scope.config is west or real(scope)
    )
    lab = beet_lab(west, east)
    assert lab.west.one(ChildFailed).reason == error
    assert "between two addresses of one family" in lab.east.one(ChildFailed).reason
    assert lab.west.spis.used == lab.east.spis.used == set()


def test_who_takes_no_tfc_padding_says_so_and_that_holds_for_what_is_sent_there():
    lab = Lab()
    lab.connect()
    offer(lab, Notify(NotifyType.ESP_TFC_PADDING_NOT_SUPPORTED))
    assert sorted(child.tfc for child in live(lab.east).values()) == [False, True]
