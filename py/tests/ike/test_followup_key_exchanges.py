"""IKE_FOLLOWUP_KE after CREATE_CHILD_SA (RFC 9370 2.2.4; case 86)."""

from dataclasses import replace

import pytest
from ike_lab import (
    EAST,
    EAST_NET,
    LATENCY,
    WEST,
    WEST_NET,
    Lab,
    child,
    east_config,
    toward,
    west_config,
)
from ike_ledger import assert_mirrored, live

from p4esp.ike import negotiation
from p4esp.ike.additional import FOLLOWUP_TIMEOUT
from p4esp.ike.codec.message import parse_message
from p4esp.ike.codec.payloads import KeyExchange, Notify
from p4esp.ike.constants import NotifyType
from p4esp.ike.crypto.prf import HMAC_SHA2_256
from p4esp.ike.crypto.schedule import FreshInput, Nonces, child_keymat
from p4esp.ike.errors import ProposalError
from p4esp.ike.events import (
    ChildFailed,
    ChildRekeyed,
    ChildUp,
    IkeDown,
    IkeEstablished,
    IkeRekeyed,
)
from p4esp.ike.proposals import Template
from p4esp.ike.tasks import create_child
from p4esp.ike.tasks.ike_followup_ke import IkeFollowupKe, IkeFollowupKeResponder, follow_up

IKE = "aes256gcm16-prfsha256-x25519-ke1_mlkem768"
ESP = "aes256gcm16-x25519-ke1_mlkem768-ke3_ecp384-esn"
LINK = NotifyType.ADDITIONAL_KEY_EXCHANGE


def lab_for(ike=IKE, esp=ESP, **more):
    """Two ends that know one IKE and one ESP proposal, connected."""
    proposals, child_proposals = (Template.ike(ike),), (Template.esp(esp),)

    def children(*nets):
        return (replace(child(*nets), proposals=child_proposals),)

    lab = Lab(
        west_config(proposals=proposals, children=children(WEST_NET, EAST_NET)),
        east_config(proposals=proposals, children=children(EAST_NET, WEST_NET)),
        **more,
    )
    lab.connect()
    return lab


def exchanges_since(lab, start):
    """Exchange types of whole messages from a place on the wire on."""
    headers = [parse_message(datagram.data).header for _, datagram in lab.wire[start:]]
    messages = dict.fromkeys((x.exchange, x.message_id, x.initiator, x.response) for x in headers)
    return [exchange for exchange, *_ in messages]


def exchange_of(datagram):
    return parse_message(datagram.data).header.exchange


def spi_of(node):
    return node.one(IkeEstablished).ike.spi


@pytest.mark.parametrize("end", ["west", "east"])
def test_a_child_sa_is_made_after_the_last_followup_exchange(end, monkeypatch):
    inputs = []
    child_keys = negotiation.child_keys

    def recording(prf, sk_d, fresh, suite):
        inputs.append(fresh)
        return child_keys(prf, sk_d, fresh, suite)

    lab = lab_for()
    monkeypatch.setattr(negotiation, "child_keys", recording)
    start, node = len(lab.wire), getattr(lab, end)
    node.endpoint.create_child(spi_of(node), "net", lab.now)
    lab.settle()
    assert exchanges_since(lab, start) == [36, 36, 44, 44, 44, 44]
    first, second = inputs
    assert first == second
    assert (len(first.secret), len(first.additional)) == (32, 32 + 48)
    west, east = (node.of(ChildUp)[1].child for node in (lab.west, lab.east))
    assert west.keymat.inbound == east.keymat.outbound


def test_the_secrets_come_after_the_nonces_in_the_order_of_the_exchanges():
    fresh = FreshInput(Nonces(b"Ni", b"Nr"), b"SK0", b"SK1SK2")
    assert fresh.octets == b"SK0NiNrSK1SK2"
    expected = HMAC_SHA2_256.expand(b"SK_d", b"SK0NiNrSK1SK2", 40)
    assert child_keymat(HMAC_SHA2_256, b"SK_d", fresh, 40) == expected


@pytest.mark.parametrize("end", ["west", "east"])
def test_a_child_sa_is_rekeyed_with_followup_exchanges(end):
    lab = lab_for()
    node = getattr(lab, end)
    node.endpoint.rekey_child(node.one(ChildUp).child.spi_in, lab.now)
    lab.settle()
    west, east = lab.west.one(ChildRekeyed).new, lab.east.one(ChildRekeyed).new
    assert west.keymat.inbound == east.keymat.outbound
    assert len(lab.west.spis.used) == len(lab.east.spis.used) == 2


@pytest.mark.parametrize("end", ["west", "east"])
def test_an_ike_sa_is_rekeyed_with_followup_exchanges(end):
    lab = lab_for()
    start, node = len(lab.wire), getattr(lab, end)
    node.endpoint.rekey_ike(spi_of(node), lab.now)
    lab.settle()
    assert exchanges_since(lab, start)[:4] == [36, 36, 44, 44]
    assert lab.west.one(IkeRekeyed).new.suite == IKE
    assert lab.west.keys[-1] == lab.east.keys[-1]
    again = lab.west.one(IkeRekeyed).new.spi
    lab.west.endpoint.create_child(again, "net", lab.now)
    lab.settle()
    assert len(lab.east.of(ChildUp)) == 2


def test_both_ends_rekey_the_ike_sa_at_once():
    lab = lab_for()
    lab.west.endpoint.rekey_ike(spi_of(lab.west), lab.now)
    lab.east.endpoint.rekey_ike(spi_of(lab.east), lab.now)
    lab.run(60)
    assert len(lab.west.endpoint.ike_sas) == len(lab.east.endpoint.ike_sas) == 1
    (west,), (east,) = lab.west.endpoint.ike_sas, lab.east.endpoint.ike_sas
    assert west.peer_spi == east.spi
    assert lab.west.of(IkeRekeyed)


def test_both_ends_rekey_the_child_sa_at_once():
    lab = lab_for()
    for node in (lab.west, lab.east):
        node.endpoint.rekey_child(node.one(ChildUp).child.spi_in, lab.now)
    lab.run(60)
    assert len(lab.west.spis.used) == len(lab.east.spis.used)
    assert lab.west.of(ChildRekeyed)
    assert lab.east.of(ChildRekeyed)


@pytest.mark.parametrize("index", range(12))
def test_any_datagram_may_get_lost(index):
    lab = lab_for()
    lost = len(lab.wire) + index
    lab.fate = lambda _: [] if len(lab.wire) == lost + 1 else [LATENCY]
    lab.west.endpoint.rekey_child(lab.west.one(ChildUp).child.spi_in, lab.now)
    lab.run(30)
    west, east = lab.west.one(ChildRekeyed).new, lab.east.one(ChildRekeyed).new
    assert west.keymat.inbound == east.keymat.outbound


def changed(change):
    """The payloads of IKE_FOLLOWUP_KE, changed before they leave."""

    def wrapper(build):
        return lambda self, sa: [x for p in build(self, sa) if (x := change(p)) is not None]

    return wrapper


def without_link(payload):
    return None if isinstance(payload, Notify) else payload


def other_link(payload):
    return Notify(LINK, bytes(16)) if isinstance(payload, Notify) else payload


def short_ke(payload):
    return replace(payload, data=payload.data[:-1]) if isinstance(payload, KeyExchange) else payload


def other_method(payload):
    return replace(payload, method=37) if isinstance(payload, KeyExchange) else payload


def rekeyed(lab):
    lab.west.endpoint.rekey_child(lab.west.one(ChildUp).child.spi_in, lab.now)
    lab.settle()
    return lab


@pytest.mark.parametrize("change", [without_link, short_ke, other_method])
@pytest.mark.parametrize("side", [IkeFollowupKe, IkeFollowupKeResponder])
def test_86_who_finds_a_followup_malformed_ends_the_ike_sa(change, side, monkeypatch):
    monkeypatch.setattr(side, "build", changed(change)(side.build))
    lab = rekeyed(lab_for())
    finder = lab.east if side is IkeFollowupKe else lab.west
    assert finder.one(IkeDown)
    assert lab.west.of(ChildRekeyed) == lab.east.of(ChildRekeyed) == []


def test_86_an_unknown_link_is_answered_state_not_found_and_tried_anew(monkeypatch):
    build = IkeFollowupKe.build
    monkeypatch.setattr(IkeFollowupKe, "build", changed(other_link)(build))
    lab = rekeyed(lab_for())
    assert any("N(STATE_NOT_FOUND" in str(trace.payloads) for trace in lab.east.traces)
    assert lab.west.of(ChildRekeyed) == lab.west.of(IkeDown) == []
    monkeypatch.setattr(IkeFollowupKe, "build", build)
    lab.run(30)
    assert lab.west.one(ChildRekeyed)
    assert len(lab.east.spis.used) == len(lab.west.spis.used) == 2


def test_a_peer_that_does_not_go_on_in_time_must_start_over():
    lab = lab_for()
    lab.fate = lambda d: (
        [] if toward(EAST, d) and parse_message(d.data).header.exchange == 44 else [LATENCY]
    )
    rekeyed(lab)
    lab.now += FOLLOWUP_TIMEOUT
    lab.fate = lambda _: [LATENCY]
    lab.run(60)
    assert any("N(STATE_NOT_FOUND" in str(trace.payloads) for trace in lab.east.traces)
    assert lab.west.one(ChildRekeyed)
    assert len(lab.east.spis.used) == 2


def test_what_was_not_completed_is_given_back_when_the_ike_sa_ends():
    lab = lab_for()
    lab.fate = lambda d: [] if exchange_of(d) == 44 else [LATENCY]
    rekeyed(lab)
    assert len(lab.east.spis.used) == 2
    lab.fate = lambda d: [] if toward(WEST, d) else [LATENCY]
    lab.east.endpoint.delete_ike(spi_of(lab.east), lab.now)
    lab.run(400)
    assert lab.east.endpoint.ike_sas == lab.west.endpoint.ike_sas == []
    for node in (lab.west, lab.east):
        assert node.spis.used == {node.one(ChildUp).child.spi_in}


def test_an_answer_without_link_is_refused(monkeypatch):
    """East forgets the notify that must come with additional exchanges."""
    lab = lab_for()
    monkeypatch.setattr("p4esp.ike.tasks.create_child.await_followups", lambda *_: [])
    rekeyed(lab)
    assert lab.west.of(ChildRekeyed) == []
    assert lab.west.of(ChildFailed) or lab.west.of(IkeDown)


@pytest.mark.parametrize("added", ["ke1_mlkem768", "x25519-modpnone-ke1_ecp256"])
def test_additional_exchanges_need_one_to_add_to(added):
    with pytest.raises(ProposalError, match="adds key exchanges to none"):
        Template.esp(f"aes256gcm16-{added}")


def test_a_child_sa_is_not_completed_under_an_ike_sa_that_is_being_rekeyed():
    """The last followup meets east's own rekey of the IKE SA, which is under way."""
    lab = lab_for()
    lab.fate = lambda d: [] if exchange_of(d) == 44 and toward(EAST, d) else [LATENCY]
    lab.west.endpoint.create_child(spi_of(lab.west), "net", lab.now)
    lab.settle()
    lab.fate = lambda d: [] if toward(WEST, d) and exchange_of(d) == 36 else [LATENCY]
    lab.east.endpoint.rekey_ike(spi_of(lab.east), lab.now)
    lab.run(8)
    assert any("N(TEMPORARY_FAILURE" in str(trace.payloads) for trace in lab.east.traces)
    lab.fate = lambda _: [LATENCY]
    lab.run(60)
    assert len(lab.west.of(ChildUp)) == len(lab.east.of(ChildUp)) == 2
    assert len(lab.west.spis.used) == len(lab.east.spis.used) == 2


def test_a_rekey_that_another_has_overtaken_is_not_completed(monkeypatch):
    """The peer begins a rekey, begins and ends one without followups, and goes on with the first:
    nothing is replaced twice.
    """

    def after_the_others(sa, task, *answer):
        follow_up(sa, task, *answer)
        sa.tasks.rotate(-1)

    monkeypatch.setattr(create_child, "follow_up", after_the_others)
    lab = lab_for(esp="aes256gcm16-x25519-ke1_ecp256-ke1_none-esn")
    (old,) = lab.west.endpoint._entries[spi_of(lab.west)].sa.children
    plain = replace(old.config, proposals=(Template.esp("aes256gcm16-x25519-esn"),))
    sa = lab.west.endpoint._entries[spi_of(lab.west)].sa
    sa._state.tasks.extend([create_child.CreateChild(one, old) for one in (old.config, plain)])
    lab.west.endpoint.check_liveness(spi_of(lab.west), lab.now)
    lab.settle()
    assert lab.east.one(ChildRekeyed).old == old_of(lab.east)
    assert any("TEMPORARY_FAILURE" in trace.reason for trace in lab.east.traces)
    lab.run(60)
    assert len(lab.east.spis.used) == 2


@pytest.mark.parametrize("delay", [0.03, 0.05, 2])
@pytest.mark.parametrize("seed", range(1, 7, 2))
def test_of_rekeys_at_once_that_take_their_time_one_sa_remains(seed, delay):
    """East's is over, and the old SA with it, when the followups of west's arrive."""
    lab = lab_for(esp="aes256gcm16-x25519-ke1_ecp256-esn", seed=seed)

    def late(datagram):
        followup = toward(EAST, datagram) and exchange_of(datagram) == 44
        return [delay if followup else LATENCY]

    lab.fate = late
    for node in (lab.west, lab.east):
        node.endpoint.rekey_child(node.one(ChildUp).child.spi_in, lab.now)
    lab.run(60)
    assert_mirrored(lab)
    assert len(live(lab.west)) == 1


def old_of(node):
    return node.one(ChildUp).child
