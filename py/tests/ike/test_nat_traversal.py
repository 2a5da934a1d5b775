"""NAT detection, the move to port 4500, and peers that move (RFC 7296 2.23; cases 39-42)."""

from dataclasses import replace
from ipaddress import ip_address

import pytest
from ike_lab import EAST, WEST, Lab, east_config, toward, west_config

from p4esp.ike.codec.message import encode_clear, parse_message
from p4esp.ike.codec.payloads import Notify
from p4esp.ike.constants import NotifyType
from p4esp.ike.events import ChildUp, IkeEstablished, PathChanged, PeerAlive
from p4esp.ike.nat import NatStatus
from p4esp.ike.path import Datagram, Path, UdpAddress
from p4esp.ike.transport import NON_ESP_MARKER
from p4esp.ipsec.sa import UdpEncapsulation

PUBLIC = ip_address("203.0.113.9")


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
