"""MOBIKE: both ends agree on it, the one that began moves, ESP follows when it may (RFC 4555)."""

import random
from contextlib import suppress
from dataclasses import replace
from ipaddress import ip_address

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ike_lab import EAST, STEADY, WEST, east_config, toward, west_config
from mobile_lab import (
    AWAY,
    COOKIE2,
    EAST2,
    EAST6,
    HOME,
    UPDATE,
    WEST2,
    WEST6,
    MobileLab,
    forge,
    is_request,
    outer,
    protection_of,
)

from p4esp.ike.codec.header import Header
from p4esp.ike.codec.message import parse_message
from p4esp.ike.codec.payloads import Notify
from p4esp.ike.config import Settings
from p4esp.ike.constants import ExchangeType, NotifyType
from p4esp.ike.errors import CommandError
from p4esp.ike.events import (
    ChildRekeyed,
    ChildUp,
    DownReason,
    IkeDown,
    IkeRekeyed,
    MoveRefused,
    PathChanged,
    PeerAlive,
)
from p4esp.ike.extensions import mobike
from p4esp.ike.path import Datagram, Path, UdpAddress


@pytest.fixture
def lab():
    lab = MobileLab()
    lab.connect()
    return lab


@pytest.mark.parametrize("who", ["west", "east"])
def test_it_takes_both_to_agree(who):
    changes = {"mobike": False}
    west = west_config(**{"mobike": True, **(changes if who == "west" else {})})
    east = east_config(**{"mobike": True, **(changes if who == "east" else {})})
    lab = MobileLab(west, east)
    lab.connect()
    with pytest.raises(CommandError, match="not agreed"):
        lab.move()
    names = [name for record in lab.east.traces for name in record.payloads]
    assert names.count("N(MOBIKE_SUPPORTED)") == (1 if who == "east" else 0)


def test_the_mover_moves_and_esp_follows_at_both_ends(lab):
    lab.move()
    west, east = lab.west.one(PathChanged), lab.east.one(PathChanged)
    assert (west.old, west.new) == (HOME, AWAY)
    assert (east.new.local, east.new.remote) == (AWAY.remote, AWAY.local)
    assert outer(lab.west) == (WEST2, EAST, None)
    assert outer(lab.east) == (EAST, WEST2, None)
    assert west.followed_by(lab.west.one(ChildUp).child).local == WEST2
    lab.east.endpoint.check_liveness(lab.ike(lab.east).spi, lab.now)
    lab.settle()
    assert lab.east.one(PeerAlive)
    assert lab.wire[-1][1].path.local.host == WEST2


def test_the_responder_sends_no_esp_to_an_address_before_the_way_back_is_proved(lab):
    lab.fate = lambda d: [] if d.path.local.host == EAST and is_request(d) else [0.01]
    lab.move()
    assert lab.west.one(PathChanged)
    assert lab.ike(lab.east).path.remote.host == WEST2
    assert lab.east.of(PathChanged) == []
    assert outer(lab.east) == (EAST, WEST, None)
    lab.fate = lambda _: [0.01]
    lab.run(10.0)
    assert lab.east.one(PathChanged)
    assert outer(lab.east) == (EAST, WEST2, None)


def test_an_update_to_an_address_that_never_answers_ends_the_ike_sa_not_the_victims_peace(lab):
    """RFC 4555 3.7: nobody is flooded with ESP; IKE tries as often as ever."""
    notifies = [Notify(UPDATE)]
    before = len(lab.wire)
    victim = ip_address("203.0.113.77")
    lab.deliver(sealed_update(lab, notifies, HOME.between(victim, EAST)))
    lab.run(400.0)
    assert lab.east.one(IkeDown)
    assert lab.east.of(PathChanged) == []
    assert len([d for _, d in lab.wire[before:] if toward(victim, d)]) <= 7


def sealed_update(lab, payloads, path):
    info = lab.ike(lab.west)
    header = Header(info.spi, info.peer_spi, ExchangeType.INFORMATIONAL, True, False, 2)
    return Datagram(bytes(4) + protection_of(lab.west).seal(header, payloads), path)


@pytest.mark.parametrize("spoil", [lambda data: data[:-1], lambda data: bytes(len(data)), None])
def test_an_answer_without_the_same_cookie2_ends_the_ike_sa(lab, spoil, monkeypatch):

    def answer(sa):
        cookies = [n for n in sa.mobility.answer if n.type == COOKIE2]
        sa.mobility.answer = []
        return [Notify(COOKIE2, spoil(n.data)) for n in cookies] if spoil else []

    monkeypatch.setattr(mobike, "_taken_answer", answer)
    lab.move()
    assert lab.east.one(IkeDown)
    assert lab.east.of(PathChanged) == []


def test_moves_in_quick_succession_end_at_the_last_one(lab):
    """RFC 4555 3.5: an answer to an older update is not taken for one to a newer."""
    further = HOME.between(ip_address("198.51.100.9"), EAST)
    lab.nodes[further.local.host] = lab.west
    for path in (AWAY, HOME, AWAY, further):
        lab.west.endpoint.update_addresses(lab.ike(lab.west).spi, path, lab.now)
    lab.run(30.0)
    assert lab.ike(lab.west).path == further
    assert lab.ike(lab.east).path.remote == further.local
    assert outer(lab.west) == (further.local.host, EAST, None)
    assert outer(lab.east) == (EAST, further.local.host, None)
    assert lab.west.of(PathChanged)[-1].new == further


def test_an_older_update_that_comes_late_undoes_nothing(lab):
    lab.fate = lambda _: []
    lab.west.endpoint.update_addresses(lab.ike(lab.west).spi, AWAY, lab.now)
    lab.settle()
    late = lab.wire[-1][1]
    lab.fate = lambda _: [0.01]
    lab.run(10.0)
    lab.move(HOME)
    lab.run(10.0)
    lab.deliver(late)
    lab.settle()
    assert lab.ike(lab.east).path.remote.host == WEST
    assert outer(lab.east) == (EAST, WEST, None)


def test_a_request_that_was_outstanding_goes_on_from_the_new_address(lab):
    lab.dead = {WEST}
    lab.west.endpoint.rekey_child(lab.west.one(ChildUp).child.spi_in, lab.now)
    lab.settle()
    lab.move()
    assert lab.west.one(ChildRekeyed).new.local == WEST2
    assert lab.west.one(PathChanged).new == AWAY
    assert outer(lab.east) == (EAST, WEST2, None)


def test_only_the_one_that_began_moves_and_rekeying_does_not_change_who(lab):
    with pytest.raises(CommandError, match="only the peer moves"):
        lab.east.endpoint.update_addresses(lab.ike(lab.east).spi, AWAY, lab.now)
    lab.east.endpoint.rekey_ike(lab.ike(lab.east).spi, lab.now)
    lab.run(60.0)
    assert lab.east.one(IkeRekeyed)
    assert not lab.ike(lab.west).initiator
    lab.move()
    assert outer(lab.east) == (EAST, WEST2, None)
    with pytest.raises(CommandError, match="only the peer moves"):
        lab.east.endpoint.update_addresses(lab.ike(lab.east).spi, AWAY, lab.now)


def test_with_mobike_an_authentic_message_from_elsewhere_is_answered_but_not_followed(lab):
    """RFC 4555 3.8: even when a NAT seems to be in front of the peer."""
    answer, datagram = forge(lab, [], AWAY)
    assert datagram.path.remote == AWAY.local
    assert answer.payloads == ()
    assert lab.ike(lab.east).path.remote.host == WEST


def test_a_proof_of_one_address_is_none_of_the_next(lab):
    """RFC 4555 3.7: the answer to a COOKIE2 that went to both does not tell from where it came."""
    lab.fate = lambda d: [] if d.path.local.host == EAST and is_request(d) else [0.01]
    lab.move()
    asked = lab.wire[-1][1]
    assert asked.path.remote.host == WEST2
    forge(lab, [Notify(UPDATE)], HOME)
    lab.fate = lambda d: [] if d.path.remote.host == WEST and is_request(d) else [0.01]
    lab.deliver(asked)
    lab.settle()
    assert lab.ike(lab.east).path.remote.host == WEST
    assert len(lab.east.of(PathChanged)) == 0
    (entry,) = lab.east.endpoint._entries.values()
    ends = entry.sa._state.mobility
    assert ends.settled != ends.moves


def test_from_one_address_family_to_the_other(lab):
    lab.move(HOME.between(WEST6, EAST6))
    assert outer(lab.west) == (WEST6, EAST6, None)
    assert outer(lab.east) == (EAST6, WEST6, None)
    with pytest.raises(CommandError, match="two address families"):
        lab.move(HOME.between(WEST6, EAST))


def test_90_without_mobike_its_notifies_are_ignored():
    lab = MobileLab(west_config(), east_config())
    lab.connect()
    lab.fate = lambda _: []
    info = lab.ike(lab.west)
    header = Header(info.spi, info.peer_spi, ExchangeType.INFORMATIONAL, True, False, 2)
    notifies = [Notify(UPDATE), Notify(COOKIE2, bytes(8))]
    data = protection_of(lab.west).seal(header, notifies)
    path = Path(UdpAddress(WEST2, 500), UdpAddress(EAST, 500))
    lab.deliver(Datagram(data, path))
    answer = lab.wire[-1][1]
    assert protection_of(lab.west).open(parse_message(answer.data)).payloads == ()
    assert lab.ike(lab.east).path.remote.host == WEST


@pytest.mark.parametrize("size", [0, 7, 65])
def test_a_cookie2_of_an_illegal_size_is_malformed(lab, size):
    answer, _ = forge(lab, [Notify(COOKIE2, bytes(size))], HOME)
    assert answer.error().type == NotifyType.INVALID_SYNTAX


def test_a_move_the_responder_cannot_accept_is_taken_back():
    lab = MobileLab(east=east_config(mobike=True, local=EAST))
    lab.connect()
    lab.move(HOME.between(WEST, EAST2))
    refused = lab.west.one(MoveRefused)
    assert refused.reason.endswith("UNACCEPTABLE_ADDRESSES")
    assert refused.path.remote.host == EAST2
    assert lab.ike(lab.west).path == HOME
    assert lab.west.of(PathChanged) == lab.east.of(PathChanged) == []
    lab.move()
    assert outer(lab.east) == (EAST, WEST2, None)


@pytest.mark.parametrize("source", ["224.0.0.1", "0.0.0.0", "240.0.0.1"])
def test_addresses_no_peer_can_have_are_unacceptable(lab, source):
    answer, _ = forge(lab, [Notify(UPDATE)], HOME.between(ip_address(source), EAST))
    assert answer.error().type == NotifyType.UNACCEPTABLE_ADDRESSES
    assert lab.ike(lab.east).path.remote.host == WEST


def test_each_list_of_addresses_replaces_the_one_before():
    lab = MobileLab(east=east_config(mobike=True, local=None, additional_local=(EAST2, EAST6)))
    lab.connect()

    def known():
        (entry,) = lab.west.endpoint._entries.values()
        return entry.sa._state.mobility.peer_addresses

    assert known() == (EAST2, EAST6)
    lab.east.endpoint.announce_addresses(lab.ike(lab.east).spi, [EAST2], lab.now)
    lab.settle()
    assert known() == (EAST2,)
    lab.east.endpoint.announce_addresses(lab.ike(lab.east).spi, [], lab.now)
    lab.settle()
    assert known() == ()


def test_addresses_of_an_illegal_size_are_malformed_and_too_many_are_not_kept(lab):
    many = [Notify(NotifyType.ADDITIONAL_IP4_ADDRESS, bytes([10, 0, 0, n])) for n in range(60)]
    forge(lab, many, HOME)
    (entry,) = lab.east.endpoint._entries.values()
    assert len(entry.sa._state.mobility.peer_addresses) == 16
    spoiled = Notify(NotifyType.ADDITIONAL_IP4_ADDRESS, bytes(16))
    answer, _ = forge(lab, [spoiled], HOME, message_id=3)
    assert answer.error().type == NotifyType.INVALID_SYNTAX


def test_a_silent_path_makes_the_mover_try_the_other_addresses():
    east = east_config(mobike=True, local=None, additional_local=(EAST2,))
    lab = MobileLab(west_config(mobike=True, dpd_delay=10.0, additional_local=(WEST2,)), east)
    lab.connect()
    lab.dead = {EAST}
    lab.run(60.0)
    assert lab.west.of(PathChanged)[-1].new.remote.host == EAST2
    assert outer(lab.east)[0] == EAST2
    assert lab.west.of(IkeDown) == lab.east.of(IkeDown) == []
    lab.dead = {WEST}
    lab.run(120.0)
    assert outer(lab.west)[0] == WEST2
    assert lab.west.of(IkeDown) == []


def test_without_other_addresses_a_silent_path_ends_the_ike_sa_as_ever(lab):
    lab.dead = {EAST}
    lab.west.endpoint.check_liveness(lab.ike(lab.west).spi, lab.now)
    lab.run(400.0)
    assert lab.west.one(IkeDown)


PATHS = [HOME.between(here, there) for here in (WEST, WEST2) for there in (EAST, EAST2)]
actions = st.lists(
    st.tuples(
        st.sampled_from(["move", "rekey child", "rekey IKE", "check"]),
        st.sampled_from(PATHS),
        st.booleans(),
        st.floats(0.0, 3.0),
    ),
    max_size=8,
)


def act(lab, action, path, ours):
    """One command, if it is possible now."""
    node = lab.west if ours or action == "move" else lab.east
    sas = node.endpoint.ike_sas
    with suppress(CommandError):
        if action == "move":
            lab.west.endpoint.update_addresses(sas[0].spi, path, lab.now)
        elif action == "rekey IKE":
            node.endpoint.rekey_ike(sas[0].spi, lab.now)
        elif action == "rekey child":
            children = [c for e in node.endpoint._entries.values() for c in e.sa.children]
            node.endpoint.rekey_child(children[0].params.spi_in, lab.now)
        else:
            node.endpoint.check_liveness(sas[0].spi, lab.now)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(actions=actions, seed=st.integers(0, 2**32), loss=st.floats(0.0, 0.4))
def test_whatever_is_lost_or_late_both_ends_agree_where_they_are_in_the_end(actions, seed, loss):
    """Moves, rekeys of either side and losses in any order; then the network is good again."""
    rng = random.Random(seed)
    patience = replace(STEADY, first=1.0, base=1.0, tries=60)
    lab = MobileLab(settings=Settings(retransmission=patience))
    lab.connect()
    lab.fate = lambda _: [0.01 + rng.random() for _ in range(rng.random() >= loss)]
    for action, path, ours, pause in actions:
        act(lab, action, path, ours)
        lab.run(pause)
    lab.fate = lambda _: [0.01]
    lab.run(200.0)
    reasons = {down.reason for node in (lab.west, lab.east) for down in node.of(IkeDown)}
    assert reasons <= {DownReason.REKEYED, DownReason.COLLISION}
    west, east = lab.ike(lab.west).path, lab.ike(lab.east).path
    assert west == Path(east.remote, east.local)
    moved = [path for action, path, *_ in actions if action == "move"]
    assert west == [HOME, *moved][-1]
    for node, path in ((lab.west, west), (lab.east, east)):
        children = [c.params for e in node.endpoint._entries.values() for c in e.sa.children]
        ends = {(child.local, child.remote) for child in children}
        assert ends == {(path.local.host, path.remote.host)}
