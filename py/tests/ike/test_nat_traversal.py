"""NAT detection, the move to port 4500, and peers that move (RFC 7296 2.23; cases 39-42)."""

from dataclasses import replace
from functools import partial
from ipaddress import ip_address

import pytest
from ike_lab import EAST, WEST, Lab, east_config, toward, west_config

from p4esp.ike.codec.message import encode_clear, parse_message
from p4esp.ike.codec.payloads import Notify
from p4esp.ike.config import Settings
from p4esp.ike.constants import NotifyType
from p4esp.ike.errors import CommandError
from p4esp.ike.events import ChildUp, IkeEstablished, PathChanged, PeerAlive
from p4esp.ike.nat import NatStatus
from p4esp.ike.path import Datagram, Path, UdpAddress
from p4esp.ike.transport import NAT_KEEPALIVE, NON_ESP_MARKER
from p4esp.ipsec.sa import UdpEncapsulation

PUBLIC = ip_address("203.0.113.9")
WEST6, EAST6 = ip_address("2001:db8::1"), ip_address("2001:db8::2")


class NatLab(Lab):
    """West is behind a NAT that shows `PUBLIC` and a port of its own choosing."""

    mapping = 20000

    def _launch(self, datagram):
        source, target = datagram.path.local, datagram.path.remote
        if source.host == WEST:
            source = UdpAddress(PUBLIC, self.mapping + source.port)
        super()._launch(Datagram(datagram.data, Path(source, target)))

    def deliver(self, datagram):
        target = datagram.path.remote
        if target.host == PUBLIC:
            if not 0 <= target.port - self.mapping <= 4500:
                return
            target = UdpAddress(WEST, target.port - self.mapping)
        super().deliver(Datagram(datagram.data, Path(datagram.path.local, target)))


def test_39_without_nat_everything_stays_on_port_500():
    lab = Lab()
    lab.connect()
    assert lab.west.one(IkeEstablished).ike.nat == NatStatus(local=False, remote=False)
    assert {d.path.remote.port for _, d in lab.wire} == {500}
    assert lab.west.one(ChildUp).child.encapsulation is None


def test_39_behind_a_nat_both_ends_know_who_is_and_move_to_4500_with_udp_encapsulation():
    lab = NatLab()
    lab.connect()
    west, east = lab.west.one(IkeEstablished).ike, lab.east.one(IkeEstablished).ike
    assert west.nat == NatStatus(local=True, remote=False)
    assert east.nat == NatStatus(local=False, remote=True)
    assert west.path == Path(UdpAddress(WEST, 4500), UdpAddress(EAST, 4500))
    assert east.path == Path(UdpAddress(EAST, 4500), UdpAddress(PUBLIC, 24500))
    assert lab.west.one(ChildUp).child.encapsulation == UdpEncapsulation(4500, 4500)
    assert lab.east.one(ChildUp).child.encapsulation == UdpEncapsulation(4500, 24500)
    assert lab.east.one(ChildUp).child.remote == PUBLIC
    init, auth = lab.wire[0][1].data, lab.wire[2][1].data
    assert not init.startswith(NON_ESP_MARKER)
    assert auth.startswith(NON_ESP_MARKER)


def test_after_floating_all_later_messages_use_4500():
    lab = NatLab()
    ike = lab.connect()
    before = len(lab.wire)
    lab.west.endpoint.check_liveness(ike, lab.now)
    lab.east.endpoint.check_liveness(lab.east.one(IkeEstablished).ike.spi, lab.now)
    lab.settle()
    assert lab.west.one(PeerAlive)
    assert lab.east.one(PeerAlive)
    assert all(d.data.startswith(NON_ESP_MARKER) for _, d in lab.wire[before:])


def test_40_the_side_without_nat_follows_a_changed_mapping_after_an_authentic_message_only():
    lab = NatLab()
    ike = lab.connect()
    old = lab.wire[2][1]
    lab.mapping = 40000
    lab.deliver(replace(old, path=Path(UdpAddress(PUBLIC, 44500), old.path.remote)))
    assert lab.east.of(PathChanged) == []
    lab.west.endpoint.check_liveness(ike, lab.now)
    lab.settle()
    changed = lab.east.one(PathChanged)
    assert changed.old.remote == UdpAddress(PUBLIC, 24500)
    assert changed.new.remote == UdpAddress(PUBLIC, 44500)
    lab.east.endpoint.check_liveness(lab.east.one(IkeEstablished).ike.spi, lab.now)
    lab.settle()
    assert lab.east.one(PeerAlive)


def test_40_without_nat_an_authentic_message_from_elsewhere_is_answered_but_not_followed():
    lab = Lab()
    ike = lab.connect()
    lab.fate = lambda _: []
    lab.west.endpoint.check_liveness(ike, lab.now)
    lab.settle()
    request = lab.wire[-1][1]
    elsewhere = UdpAddress(PUBLIC, 500)
    lab.deliver(replace(request, path=Path(elsewhere, request.path.remote)))
    assert lab.wire[-1][1].path.remote == elsewhere
    assert lab.east.of(PathChanged) == []
    assert lab.east.endpoint.ike_sas[0].path.remote == UdpAddress(WEST, 500)


def moved(node, remote):
    """What the data plane says of a node's only child SA."""
    child = node.one(ChildUp).child
    node.endpoint.peer_moved(child.spi_in, remote, 1.0)
    while (event := node.endpoint.next_event()) is not None:
        node.events.append(event)


def test_40_ike_and_child_sas_follow_an_authentic_esp_packet_of_a_peer_behind_a_nat():
    lab = NatLab()
    lab.connect()
    assert lab.east.one(ChildUp).child.follows
    lab.mapping = 40000
    moved(lab.east, UdpAddress(PUBLIC, 44500))
    changed = lab.east.one(PathChanged)
    assert changed.new.remote == UdpAddress(PUBLIC, 44500)
    assert changed.encapsulation == UdpEncapsulation(4500, 44500)
    lab.east.endpoint.check_liveness(lab.east.one(IkeEstablished).ike.spi, lab.now)
    lab.settle()
    assert lab.east.one(PeerAlive)


@pytest.mark.parametrize(
    ("make", "side"),
    [
        (NatLab, "west"),
        (Lab, "east"),
        (partial(Lab, west_config(force_encapsulation=True)), "west"),
    ],
)
def test_40_who_is_behind_a_nat_himself_or_whose_peer_is_not_follows_no_esp_packet(make, side):
    lab = make()
    lab.connect()
    node = getattr(lab, side)
    assert not node.one(ChildUp).child.follows
    with pytest.raises(CommandError, match="until it says otherwise"):
        moved(node, UdpAddress(PUBLIC, 44500))
    assert node.of(PathChanged) == []


@pytest.mark.parametrize("forcing", ["west", "east"])
def test_either_side_can_force_udp_encapsulation(forcing):
    west = west_config(force_encapsulation=forcing == "west")
    east = east_config(force_encapsulation=forcing == "east")
    lab = Lab(west, east)
    lab.connect()
    for node in (lab.west, lab.east):
        assert node.one(ChildUp).child.encapsulation == UdpEncapsulation(4500, 4500)


def rewrite(lab, change):
    """Deliver west's IKE_SA_INIT request with other notifies; east's answer and NAT status."""
    lab.fate = lambda _: []
    lab.west.endpoint.initiate(lab.west_config, lab.now)
    lab.settle()
    datagram = lab.wire[0][1]
    message = parse_message(datagram.data)
    payloads = change(list(message.clear.payloads))
    lab.deliver(replace(datagram, data=encode_clear(message.header, payloads)))
    answer = parse_message(lab.wire[1][1].data).clear
    return answer, lab.east.endpoint.ike_sas[0].nat


SOURCE, DESTINATION = NotifyType.NAT_DETECTION_SOURCE_IP, NotifyType.NAT_DETECTION_DESTINATION_IP


def without(*kinds):
    return lambda payloads: [p for p in payloads if getattr(p, "type", None) not in kinds]


def spoil(kind, data):
    def change(payloads):
        return [Notify(kind, data) if getattr(p, "type", None) == kind else p for p in payloads]

    return change


@pytest.mark.parametrize("kinds", [(SOURCE,), (DESTINATION,), (SOURCE, DESTINATION)], ids=str)
def test_39_missing_notifies_mean_that_the_peer_cannot_traverse_nats(kinds):
    answer, nat = rewrite(Lab(), without(*kinds))
    assert nat is None
    assert answer.notify(SOURCE) is answer.notify(DESTINATION) is None


@pytest.mark.parametrize("data", [bytes(19), bytes(20), bytes(21), b""], ids=len)
def test_39_a_hash_that_does_not_match_means_nat(data):
    assert rewrite(Lab(), spoil(SOURCE, data))[1] == NatStatus(local=False, remote=True)
    assert rewrite(Lab(), spoil(DESTINATION, data))[1] == NatStatus(local=True, remote=False)


def test_39_one_matching_source_hash_of_several_is_enough():
    answer, nat = rewrite(Lab(), lambda payloads: [*payloads, Notify(SOURCE, bytes(20))])
    assert nat == NatStatus(local=False, remote=False)
    assert answer.notify(SOURCE)


def test_42_a_peer_that_floats_without_nat_is_followed():
    """strongSwan does so for MOBIKE's sake."""
    lab = Lab()
    lab.fate = lambda d: [0.01] if d.data[18] == 34 else []
    lab.west.endpoint.initiate(lab.west_config, lab.now)
    lab.settle()
    auth = lab.wire[-1][1]
    ports = lab.west.endpoint._env.settings.ports
    lab.deliver(Datagram(NON_ESP_MARKER + auth.data, ports.float(auth.path)))
    answer = lab.wire[-1][1]
    assert toward(WEST, answer)
    assert (answer.path.local.port, answer.path.remote.port) == (4500, 4500)
    assert answer.data.startswith(NON_ESP_MARKER)
    assert lab.east.one(IkeEstablished).ike.path.local.port == 4500


def keepalives(lab, since=0):
    return [(time, d) for time, d in lab.wire[since:] if d.data == NAT_KEEPALIVE]


def test_41_only_the_side_behind_the_nat_sends_keepalives_and_only_in_silence():
    """UDP-10: after 20 s of silence, RFC 3948 4."""
    lab = NatLab()
    ike = lab.connect()
    lab.run(70.0)
    sent = keepalives(lab)
    assert [round(time) for time, _ in sent] == [20, 40, 60]
    assert {d.path.local for _, d in sent} == {UdpAddress(PUBLIC, 24500)}
    assert {d.path.remote for _, d in sent} == {UdpAddress(EAST, 4500)}
    assert lab.east.endpoint.drops["ESP or NAT keepalive"] == 3
    lab.west.endpoint.check_liveness(ike, lab.now)
    lab.run(19.0)
    assert len(keepalives(lab)) == 3
    lab.run(2.0)
    assert len(keepalives(lab)) == 4


def test_41_a_keepalive_is_no_sign_of_life():
    lab = NatLab(east=east_config(dpd_delay=30.0))
    lab.connect()
    lab.run(29.0)
    assert keepalives(lab)
    before = len(lab.wire)
    lab.run(2.0)
    assert any(toward(PUBLIC, datagram) for _, datagram in lab.wire[before:])


def test_41_no_keepalives_without_nat_nor_after_the_end_nor_when_switched_off():
    lab = Lab()
    lab.connect()
    lab.run(100.0)
    assert keepalives(lab) == []
    lab = NatLab()
    lab.west.endpoint.delete_ike(lab.connect(), lab.now)
    lab.run(100.0)
    assert keepalives(lab) == []
    lab = NatLab(settings=Settings(nat_keepalive=0.0))
    lab.connect()
    lab.run(100.0)
    assert keepalives(lab) == []


def test_a_peer_behind_a_nat_is_not_followed_back_to_the_port_without_esp():
    lab = NatLab()
    ike = lab.connect()
    before = len(lab.wire)
    lab.fate = lambda _: []
    lab.west.endpoint.check_liveness(ike, lab.now)
    lab.settle()
    request = lab.wire[before][1]
    lab.deliver(Datagram(request.data[4:], Path(UdpAddress(PUBLIC, 20500), UdpAddress(EAST, 500))))
    answer = lab.wire[-1][1]
    assert (answer.path.local.port, answer.path.remote.port) == (500, 20500)
    assert lab.east.of(PathChanged) == []
    assert lab.east.endpoint.ike_sas[0].path.local.port == 4500


def test_a_repeated_request_from_elsewhere_moves_nothing():
    lab = NatLab()
    ike = lab.connect()
    before = len(lab.wire)
    lab.west.endpoint.check_liveness(ike, lab.now)
    lab.settle()
    request = lab.wire[before][1]
    elsewhere = Path(UdpAddress(PUBLIC, 40000), request.path.remote)
    lab.deliver(replace(request, path=elsewhere))
    assert lab.wire[-1][1].path.remote == elsewhere.local
    assert lab.east.of(PathChanged) == []


def test_the_side_behind_a_nat_does_not_follow():
    """RFC 7296 2.23: it would follow whoever the NAT lets through."""
    lab = NatLab()
    lab.connect()
    before = len(lab.wire)
    lab.fate = lambda _: []
    lab.east.endpoint.check_liveness(lab.east.one(IkeEstablished).ike.spi, lab.now)
    lab.settle()
    request = lab.wire[before][1]
    west = UdpAddress(WEST, 4500)
    lab.west.endpoint.receive_datagram(request.data, Path(west, UdpAddress(EAST, 4501)), lab.now)
    lab.settle()
    assert lab.wire[-1][1].path.remote == UdpAddress(EAST, 4501)
    assert lab.west.of(PathChanged) == []
    assert lab.west.endpoint.ike_sas[0].path.remote.port == 4500


@pytest.mark.parametrize("hosts", [(WEST, EAST), (WEST6, EAST6)], ids=["IPv4", "IPv6"])
def test_an_initiator_may_begin_on_4500(hosts):
    here, there = hosts
    lab = Lab(west_config(local=here, remote=there), east_config(local=there))
    lab.nodes = {here: lab.west, there: lab.east}
    path = Path(UdpAddress(here, 4500), UdpAddress(there, 4500))
    lab.west.endpoint.initiate(lab.west_config, lab.now, child="net", path=path)
    lab.settle()
    assert lab.west.one(IkeEstablished).ike.path == path
    assert lab.east.one(IkeEstablished).ike.path == Path(path.remote, path.local)
    assert all(d.data.startswith(NON_ESP_MARKER) for _, d in lab.wire)
    assert lab.west.one(ChildUp).child.encapsulation is None


def test_over_ipv6_hashes_cover_the_long_addresses_and_no_nat_means_no_keepalive():
    lab = Lab(west_config(local=WEST6, remote=EAST6), east_config(local=EAST6))
    lab.nodes = {WEST6: lab.west, EAST6: lab.east}
    lab.connect()
    assert lab.west.one(IkeEstablished).ike.nat == NatStatus(local=False, remote=False)
    lab.run(100.0)
    assert keepalives(lab) == []


def test_a_port_that_a_nat_translated_stays_when_the_initiator_began_on_4500():
    lab = NatLab()
    path = Path(UdpAddress(WEST, 4500), UdpAddress(EAST, 4500))
    lab.west.endpoint.initiate(lab.west_config, lab.now, child="net", path=path)
    lab.settle()
    assert lab.west.one(IkeEstablished).ike.nat == NatStatus(local=True, remote=False)
    assert lab.west.one(IkeEstablished).ike.path == path
    assert lab.east.one(IkeEstablished).ike.path.remote == UdpAddress(PUBLIC, 24500)
