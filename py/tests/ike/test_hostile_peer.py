"""Peers that proved who they are, and mean harm all the same."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from ipaddress import ip_address

import pytest
from ike_lab import (
    EAST,
    EAST_NET,
    LATENCY,
    STEADY,
    WEST_NET,
    Lab,
    child,
    east_config,
    net,
    path_between,
    west_config,
)

from p4esp.ike.codec.header import parse_header
from p4esp.ike.codec.message import PayloadSet
from p4esp.ike.codec.payload import AnyPayload
from p4esp.ike.codec.payloads import Delete, KeyExchange, Nonce
from p4esp.ike.codec.proposal import SecurityAssociation
from p4esp.ike.codec.selectors import TsInitiator, TsResponder
from p4esp.ike.config import DEFAULT_ESP, Settings
from p4esp.ike.constants import ExchangeType, NotifyType, ProtocolId
from p4esp.ike.crypto.curves import X25519
from p4esp.ike.crypto.mlkem import MlKem768
from p4esp.ike.events import ChildDown, ChildUp, IkeEstablished
from p4esp.ike.proposals import Template
from p4esp.ike.tasks.base import Inbound, InitiatorTask, Verdict
from p4esp.ike.transport import Ports
from p4esp.ipsec.identity import Identity
from p4esp.ipsec.identity_pattern import IdentityPattern
from p4esp.ipsec.selectors import MAX_NARROWED, TrafficSelector

SPI = bytes.fromhex("d0000001")


@dataclass
class Say(InitiatorTask):
    """Whatever a test wants west to say, and what east answers."""

    payloads: Sequence[AnyPayload]
    exchange: ExchangeType = ExchangeType.INFORMATIONAL  # type: ignore[misc]
    answers: list[PayloadSet] = field(default_factory=list)

    def build(self, sa: object) -> list[AnyPayload]:
        return list(self.payloads)

    def process(self, sa: object, reply: Inbound) -> Verdict:
        self.answers.append(reply.payloads)
        return Verdict.DONE


def say(lab: Lab, payloads, exchange=ExchangeType.INFORMATIONAL) -> PayloadSet:
    """East's answer to a request of west's."""
    task = Say(payloads, exchange)
    (entry,) = lab.west.endpoint._entries.values()
    entry.sa._command(task, lab.now)
    lab.west.endpoint._settle(entry, lab.now)
    lab.settle()
    return task.answers[0]


def child_request(theirs, ours):
    offer = DEFAULT_ESP[0].offer(1, SPI)
    return [SecurityAssociation((offer,)), Nonce(bytes(32)), TsInitiator(theirs), TsResponder(ours)]


def one_for_each_protocol(first, last):
    ends = ip_address(first), ip_address(last)
    return tuple(TrafficSelector(*ends, protocol) for protocol in range(1, 256))


def test_selectors_that_meet_policy_in_more_places_than_an_answer_can_hold_are_narrowed_further():
    two_nets = child(EAST_NET, WEST_NET)
    two_nets = replace(two_nets, local_ts=net("10.2.0.0/16") + net("10.4.0.0/16"))
    lab = Lab(east=east_config(children=(two_nets,)))
    lab.connect(child=None)
    ours = one_for_each_protocol("10.2.0.0", "10.4.255.255")
    answer = say(lab, child_request(net(WEST_NET), ours), ExchangeType.CREATE_CHILD_SA)
    assert len(answer.one(TsResponder).selectors) == MAX_NARROWED
    assert len(lab.east.one(ChildUp).child.local_ts) == MAX_NARROWED


@pytest.mark.parametrize("count", [1, 8, 255])
def test_what_is_said_of_refused_selectors_fits_into_a_line(count):
    lab = Lab()
    lab.connect(child=None)
    ugly = TrafficSelector(ip_address("2001:db8::1"), ip_address("2001:db8:ffff::fffe"))
    say(lab, child_request((ugly,) * count, net(EAST_NET)), ExchangeType.CREATE_CHILD_SA)
    assert "no child configuration covers" in lab.east.traces[-2].reason
    assert len(lab.east.traces[-2].reason) < 500


def state_of(node):
    """The data of a node's only IKE SA."""
    (entry,) = node.endpoint._entries.values()
    return entry.sa._state


def is_request_of_east(datagram):
    _, message = Ports().unframe(datagram.data, datagram.path.remote.port)
    header = parse_header(message)
    return not header.initiator and not header.response


def test_a_peer_that_moves_again_and_again_does_not_make_checks_of_its_way_pile_up():
    """It tells us each time (RFC 4555 3.5), and never answers when we ask whether it is there."""
    lab = Lab(west_config(mobike=True), east_config(mobike=True))
    ike = lab.connect()
    lab.fate = lambda datagram: [] if is_request_of_east(datagram) else [LATENCY]
    places = [ip_address(f"198.51.100.{n}") for n in range(1, 30)]
    lab.nodes |= dict.fromkeys(places, lab.west)
    for place in places:
        lab.west.endpoint.update_addresses(ike, path_between(place, EAST, 4500), lab.now)
        lab.settle()
    assert lab.east.endpoint.ike_sas[0].path.remote.host == places[-1]
    assert len(state_of(lab.east).tasks) <= 1


def test_of_peers_under_a_pattern_that_are_gone_nothing_is_kept():
    lab = Lab(east=east_config(remote_id=IdentityPattern.parse("*.example")))
    for number in range(5):
        lab.west_config = west_config(local_id=Identity.parse(f"w{number}.example"))
        lab.west.endpoint.delete_ike(lab.connect(), lab.now)
        lab.run(60)
    assert len(lab.east.of(IkeEstablished)) == 5
    assert not lab.east.endpoint._entries._established


def keyed(spi, *more):
    """A request for a child SA with x25519 and, where the responder can, another exchange."""
    template = Template.esp("aes256gcm16-x25519-" + "-".join(("noesn", *more)))
    ke = KeyExchange(31, X25519(bytes_of(7)).public)
    nonce = Nonce(bytes(32))
    selectors = TsInitiator(net(WEST_NET)), TsResponder(net(EAST_NET))
    return [SecurityAssociation((template.offer(1, spi),)), nonce, ke, *selectors]


def bytes_of(octet):
    return lambda size: bytes([octet]) * size


def test_an_spi_that_came_into_use_during_additional_key_exchanges_is_refused():
    """The peer makes another child SA with it before it goes on with the first (RFC 9370 2.2.4)."""
    proposals = (Template.esp("aes256gcm16-x25519-ke1_mlkem768-ke1_none"),)
    lab = Lab(east=east_config(children=(replace(child(EAST_NET, WEST_NET), proposals=proposals),)))
    lab.connect(child=None)
    create = ExchangeType.CREATE_CHILD_SA
    begun = say(lab, keyed(SPI, "ke1_mlkem768"), create)
    say(lab, keyed(SPI), create)
    first = lab.east.one(ChildUp).child
    link = begun.notify(NotifyType.ADDITIONAL_KEY_EXCHANGE)
    public = KeyExchange(MlKem768.transform_id, MlKem768(bytes_of(9)).public)
    answer = say(lab, [public, link], ExchangeType.IKE_FOLLOWUP_KE)
    assert answer.error().type == NotifyType.NO_PROPOSAL_CHOSEN
    assert lab.east.one(ChildUp)
    say(lab, [Delete(ProtocolId.ESP, (SPI,))])
    assert lab.east.one(ChildDown).child == first
    assert lab.east.spis.used == {first.spi_in}


def test_a_peer_that_asks_for_new_sas_without_end_is_told_to_wait():
    """Each costs a key exchange and work in the data plane; deleting them makes room for more."""
    lab = Lab(settings=Settings(retransmission=STEADY, create_child_rate=1.0, max_children=4))
    lab.connect(child=None)
    create, refusals = ExchangeType.CREATE_CHILD_SA, []
    for number in range(20):
        spi = (0xD0000000 + number).to_bytes(4, "big")
        payloads = child_request(net(WEST_NET), net(EAST_NET))
        payloads[0] = SecurityAssociation((DEFAULT_ESP[0].offer(1, spi),))
        refusals.append(say(lab, payloads, create).error())
        say(lab, [Delete(ProtocolId.ESP, (spi,))])
    assert len(lab.east.of(ChildUp)) in (8, 9)
    assert refusals[-1].type == NotifyType.TEMPORARY_FAILURE
    lab.run(10)
    assert say(lab, child_request(net(WEST_NET), net(EAST_NET)), create).error() is None
