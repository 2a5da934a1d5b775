"""RFC 6311: one of a cluster takes an IKE SA over, and both ends agree on message IDs anew."""

from dataclasses import replace
from ipaddress import ip_address

import pytest
from ike_lab import EAST, STEADY, WEST, Lab, east_config, make_node, toward, west_config

from p4esp.ike.codec.header import Header
from p4esp.ike.codec.message import encode_clear, parse_message
from p4esp.ike.codec.payloads import Notify
from p4esp.ike.config import Settings
from p4esp.ike.constants import ExchangeType, NotifyType
from p4esp.ike.drops import Drop
from p4esp.ike.errors import CommandError
from p4esp.ike.events import (
    ChildRekeyed,
    ChildUp,
    DownReason,
    IkeDown,
    IkeEstablished,
    PeerAlive,
    ReplayCountersSkipped,
)
from p4esp.ike.extension_wishes import ExtensionWishes
from p4esp.ike.message_id_sync import SyncIds
from p4esp.ike.path import Datagram, UdpAddress
from p4esp.ike.proposals import Template
from p4esp.ike.syncing import SKIPPED
from p4esp.ike.tasks.informational import CheckLiveness

WISH = ExtensionWishes(message_id_sync=True)
SETTINGS = Settings(retransmission=STEADY)
KEY = bytes(range(32))
SYNC, COUNTERS = NotifyType.IKEV2_MESSAGE_ID_SYNC, NotifyType.IPSEC_REPLAY_COUNTER_SYNC


def lab_of(west=WISH, east=WISH, *, moves=True, proposals=None, **changes):
    ends = west_config(extensions=west, **changes), east_config(extensions=east)
    if proposals is not None:
        ends = tuple(
            replace(end, children=tuple(replace(c, proposals=proposals) for c in end.children))
            for end in ends
        )
    lab = Lab(*ends, settings=SETTINGS, moves_counters=moves)
    lab.connect()
    return lab


def export(lab):
    """East's IKE SA, and its child SAs as the data plane has them."""
    (ike,) = lab.east.endpoint.ike_sas
    sealed = lab.east.endpoint.export_ike(ike.spi, KEY)
    return sealed, [up.child for up in lab.east.of(ChildUp)]


def fail_over(lab, exported, missed=0):
    """Another member stands where east stood."""
    node = make_node([lab.east_config], 99, SETTINGS, moves_counters=True)
    lab.east = lab.nodes[EAST] = node
    sealed, children = exported
    node.endpoint.take_over(sealed, KEY, [lab.east_config], children, lab.now, missed=missed)


def check(lab, node, count=1):
    """A sign of life, so many times."""
    for _ in range(count):
        (ike,) = node.endpoint.ike_sas
        node.endpoint.check_liveness(ike.spi, lab.now)
        lab.settle()


def ids(node):
    """Next ID to send, next to receive."""
    (entry,) = node.endpoint._entries.values()
    return entry.sa._requesting.next_id, entry.sa._responding.expected_id


def test_a_stale_member_and_its_peer_agree_on_numbers() -> None:
    lab = lab_of()
    exported = export(lab)
    check(lab, lab.west, 3)
    check(lab, lab.east, 2)
    lab.west.events.clear()
    fail_over(lab, exported)
    lab.settle()
    assert ids(lab.west) == (5, SKIPPED)
    assert ids(lab.east) == (SKIPPED, 5)
    check(lab, lab.west)
    check(lab, lab.east)
    assert lab.west.of(PeerAlive)
    assert lab.east.of(PeerAlive)
    assert lab.west.of(IkeDown) == lab.east.of(IkeDown) == []


def test_without_the_extension_a_stale_member_is_not_heard() -> None:
    lab = lab_of(east=ExtensionWishes())
    exported = export(lab)
    check(lab, lab.east, 2)
    fail_over(lab, exported)
    lab.settle()
    check(lab, lab.east)
    assert lab.east.of(PeerAlive) == []
    assert lab.west.endpoint.drops[Drop.OUTSIDE_WINDOW] >= 1


def test_the_request_has_message_id_0_and_nothing_else() -> None:
    lab = lab_of()
    exported = export(lab)
    check(lab, lab.east)
    lab.wire.clear()
    fail_over(lab, exported)
    lab.settle()
    messages = [parse_message(datagram.data).header for _, datagram in lab.wire]
    assert [(h.exchange, h.message_id, h.response) for h in messages] == [
        (ExchangeType.INFORMATIONAL, 0, False),
        (ExchangeType.INFORMATIONAL, 0, True),
    ]
    names = [record.payloads for record in lab.east.traces]
    assert names == [("N(IKEV2_MESSAGE_ID_SYNC)",)] * 2


def test_child_sas_are_taken_over_and_can_be_rekeyed_by_either_end() -> None:
    lab = lab_of()
    exported = export(lab)
    (child,) = exported[1]
    fail_over(lab, exported)
    lab.settle()
    lab.east.spis.used.add(child.spi_in)
    lab.east.endpoint.rekey_child(child.spi_in, lab.now)
    lab.settle()
    new = lab.east.one(ChildRekeyed).new
    lab.west.endpoint.rekey_child(new.spi_out, lab.now)
    lab.settle()
    assert len(lab.east.of(ChildRekeyed)) == 2


def test_the_ike_sa_can_be_rekeyed_afterwards() -> None:
    lab = lab_of()
    fail_over(lab, export(lab))
    lab.settle()
    (ike,) = lab.east.endpoint.ike_sas
    lab.east.endpoint.rekey_ike(ike.spi, lab.now)
    lab.settle()
    assert lab.east.endpoint.ike_sas[0].spi != ike.spi
    check(lab, lab.west)
    assert lab.west.of(PeerAlive)


def test_a_lost_answer_is_given_again() -> None:
    lab = lab_of()
    exported = export(lab)
    lost = []
    lab.fate = lambda d: (lost.append(d) or []) if toward(EAST, d) and not lost else [0.01]
    fail_over(lab, exported)
    lab.run(10)
    assert len(lost) == 1
    assert ids(lab.west)[1] == ids(lab.east)[0] == SKIPPED


def test_a_replay_of_a_synchronisation_changes_nothing() -> None:
    """RFC 6311 5.1: silently dropped, or answered as before while nothing else was asked."""
    lab = lab_of()
    exported = export(lab)
    lab.wire.clear()
    fail_over(lab, exported)
    lab.settle()
    request = next(d for _, d in lab.wire if toward(WEST, d))
    check(lab, lab.east, 3)
    before, count = ids(lab.west), len(lab.wire)
    lab.deliver(request)
    assert ids(lab.west) == before
    assert len(lab.wire) == count
    check(lab, lab.east)


def test_a_second_failure_is_synchronised_too() -> None:
    lab = lab_of()
    fail_over(lab, export(lab))
    lab.settle()
    (ike,) = lab.east.endpoint.ike_sas
    sealed = lab.east.endpoint.export_ike(ike.spi, KEY)
    (entry,) = lab.east.endpoint._entries.values()
    fail_over(lab, (sealed, [child.params for child in entry.sa.children]))
    lab.settle()
    assert ids(lab.east)[0] == ids(lab.west)[1] == 2 * SKIPPED
    check(lab, lab.west)


def test_what_was_outstanding_goes_out_again_under_a_number_that_counts() -> None:
    lab = lab_of()
    exported = export(lab)
    check(lab, lab.west)
    lab.fate = lambda _: []
    (ike,) = lab.west.endpoint.ike_sas
    lab.west.events.clear()
    lab.west.endpoint.check_liveness(ike.spi, lab.now)
    lab.settle()
    lab.fate = lambda _: [0.01]
    fail_over(lab, exported)
    lab.settle()
    assert lab.west.of(PeerAlive), "without waiting for a retransmission"


def test_both_ends_may_be_taken_over_at_once() -> None:
    """RFC 6311 A.4."""
    lab = lab_of()
    exported = export(lab)
    (ike,) = lab.west.endpoint.ike_sas
    sealed = lab.west.endpoint.export_ike(ike.spi, KEY)
    children = [up.child for up in lab.west.of(ChildUp)]
    check(lab, lab.west, 2)
    fail_over(lab, exported)
    node = make_node([lab.west_config], 98, SETTINGS, moves_counters=True)
    lab.west = lab.nodes[WEST] = node
    node.endpoint.take_over(sealed, KEY, [lab.west_config], children, lab.now)
    lab.settle()
    assert ids(lab.west) == ids(lab.east)[::-1]
    check(lab, lab.west)
    check(lab, lab.east)
    assert lab.west.of(PeerAlive)
    assert lab.east.of(PeerAlive)


def raw_sync(lab, *payloads, message_id=0):
    """East says something in an INFORMATIONAL request with message ID 0."""
    (entry,) = lab.east.endpoint._entries.values()
    state = entry.sa._state
    spis = state.spi_i, state.spi_r
    header = Header(*spis, ExchangeType.INFORMATIONAL, state.initiator, False, message_id)
    message = state.protection.seal(header, payloads)
    lab.deliver(Datagram(message, state.path))
    lab.settle()


GOOD = SyncIds(b"nonc", 50, 60).notify()


@pytest.mark.parametrize(
    "payloads",
    [
        [replace(GOOD, data=GOOD.data[:-1])],
        [replace(GOOD, data=GOOD.data + b"\0")],
        [replace(GOOD, data=b"")],
        [replace(GOOD, protocol=1)],
        [replace(GOOD, protocol=3, spi=bytes(4))],
        [GOOD, GOOD],
        [GOOD, Notify(NotifyType.COOKIE2, bytes(8))],
        [SyncIds(b"nonc", 2, 60).notify()],
    ],
    ids=["short", "long", "empty", "protocol", "spi", "twice", "not-alone", "old"],
)
def test_a_synchronisation_that_breaks_a_rule_is_dropped_in_silence(payloads) -> None:
    lab = lab_of()
    check(lab, lab.east, 3)
    before, count = ids(lab.west), len(lab.wire)
    raw_sync(lab, *payloads)
    assert ids(lab.west) == before
    assert len(lab.wire) == count
    assert lab.west.endpoint.drops[Drop.OUTSIDE_WINDOW] == 1


def test_the_same_request_without_a_fault_is_answered() -> None:
    lab = lab_of()
    check(lab, lab.east, 3)
    raw_sync(lab, GOOD)
    assert ids(lab.west) == (60, 50)


def test_a_peer_that_names_the_last_message_id_ends_its_ike_sa_and_nothing_else() -> None:
    """Message IDs have 32 bits, whatever the two ends tell each other."""
    lab = lab_of()
    raw_sync(lab, SyncIds(b"nonc", 50, 0xFFFFFFFF).notify())
    check(lab, lab.west)
    assert ids(lab.west)[0] == 1 << 32
    raw_sync(lab, SyncIds(b"nond", 60, 1).notify())
    assert lab.west.one(IkeDown).reason is DownReason.PROTOCOL_ERROR


def test_one_whose_message_ids_are_nearly_used_up_can_be_taken_over() -> None:
    lab = lab_of()
    raw_sync(lab, SyncIds(b"nonc", 0xFFFFFFFF, 0xFFFFFFFE).notify())
    check(lab, lab.east)
    (ike,) = lab.west.endpoint.ike_sas
    sealed = lab.west.endpoint.export_ike(ike.spi, KEY)
    lab.west = lab.nodes[WEST] = make_node([lab.west_config], 98, SETTINGS)
    children = [up.child for up in lab.east.of(ChildUp)]
    children = [replace(c, spi_in=c.spi_out, spi_out=c.spi_in) for c in children]
    lab.west.endpoint.take_over(sealed, KEY, [lab.west_config], children, lab.now)
    lab.settle()
    assert ids(lab.west)[0] == 0xFFFFFFFF


def test_under_another_message_id_it_moves_nothing() -> None:
    lab = lab_of()
    check(lab, lab.east, 3)
    raw_sync(lab, GOOD, message_id=3)
    assert ids(lab.west) == (2, 4), "an ordinary request, whose notify is not known"


def test_without_protection_it_moves_nothing() -> None:
    lab = lab_of()
    (ike,) = lab.west.endpoint.ike_sas

    header = Header(ike.spi, ike.peer_spi, ExchangeType.INFORMATIONAL, False, False, 0)
    path = replace(ike.path, local=ike.path.remote, remote=ike.path.local)
    lab.deliver(Datagram(encode_clear(header, [GOOD]), path))
    assert ids(lab.west)[1] == 0


def test_an_answer_with_another_nonce_is_no_answer(monkeypatch) -> None:
    lab = lab_of()
    exported = export(lab)
    real = SyncIds.notify
    monkeypatch.setattr(
        SyncIds,
        "notify",
        lambda self: real(replace(self, nonce=b"evil") if self.send < SKIPPED else self),
    )
    fail_over(lab, exported)
    lab.settle()
    assert lab.east.endpoint.drops[Drop.IGNORED_NOTIFY] == 1
    assert ids(lab.east)[1] == 2


def test_a_replayed_answer_moves_nobody() -> None:
    """RFC 7296 2.23: who is behind a NAT is followed by new messages alone."""
    lab = lab_of(force_encapsulation=True)
    lab.wire.clear()
    check(lab, lab.east)
    old = next(d for _, d in lab.wire if toward(EAST, d))
    lab.fate = lambda d: [] if toward(EAST, d) else [0.01]
    fail_over(lab, export(lab))
    lab.settle()
    (before,) = lab.east.endpoint.ike_sas
    assert before.path.remote.port == 4500
    elsewhere = UdpAddress(ip_address("192.0.2.66"), 4500)
    lab.deliver(replace(old, path=replace(old.path, local=elsewhere)))
    assert [ike.path for ike in lab.east.endpoint.ike_sas] == [before.path]
    assert lab.east.endpoint.drops[Drop.IGNORED_NOTIFY] == 1


def test_a_replay_does_not_spoil_a_request_that_comes_in_fragments() -> None:
    """Any INFORMATIONAL with message ID 0 is opened, to see whether it is a synchronisation."""
    ends = west_config(extensions=WISH), east_config(extensions=WISH)
    lab = Lab(*ends, settings=replace(SETTINGS, fragment_size=200))
    lab.connect()
    lab.wire.clear()
    check(lab, lab.east)
    old = next(d for _, d in lab.wire if toward(WEST, d))
    lab.wire.clear()
    lab.fate = lambda _: []
    lab.east.endpoint.rekey_child(lab.east.one(ChildUp).child.spi_in, lab.now)
    lab._collect()
    first, *more = [d for _, d in lab.wire]
    assert more
    for datagram in (first, old, *more):
        lab.deliver(datagram)
    assert lab.west.of(ChildRekeyed)


def test_the_peer_skips_numbers_by_what_the_member_may_have_missed() -> None:
    lab = lab_of()
    exported = export(lab)
    fail_over(lab, exported, missed=5000)
    lab.settle()
    (child,) = exported[1]
    skipped = lab.west.one(ReplayCountersSkipped)
    assert (skipped.children, skipped.delta) == ((child.spi_out,), 5000)
    own = lab.east.one(ReplayCountersSkipped)
    assert (own.children, own.delta) == ((child.spi_in,), 5000)


@pytest.mark.parametrize(("esn", "size"), [("esn", 8), ("noesn", 4)])
def test_the_delta_is_as_wide_as_the_numbers(esn, size) -> None:
    lab = lab_of(proposals=(Template.esp(f"aes256gcm16-{esn}"),))
    raw_sync(lab, GOOD, Notify(COUNTERS, (7).to_bytes(size, "big")))
    assert lab.west.one(ReplayCountersSkipped).delta == 7
    lab = lab_of(proposals=(Template.esp(f"aes256gcm16-{esn}"),))
    raw_sync(lab, GOOD, Notify(COUNTERS, (7).to_bytes(12 - size, "big")))
    assert lab.west.of(ReplayCountersSkipped) == []
    assert lab.west.endpoint.drops[Drop.IGNORED_NOTIFY] == 1
    assert ids(lab.west) == (60, 50), "message IDs count all the same"


def test_counters_may_be_raised_alone_by_an_ordinary_request(monkeypatch) -> None:
    lab = lab_of()
    monkeypatch.setattr(
        CheckLiveness, "build", lambda *_: [Notify(COUNTERS, (9).to_bytes(8, "big"))]
    )
    check(lab, lab.east)
    assert lab.west.one(ReplayCountersSkipped).delta == 9


def test_a_replayed_synchronisation_raises_no_counter() -> None:
    lab = lab_of()
    check(lab, lab.east, 3)
    old = SyncIds(b"nonc", 1, 60).notify()
    raw_sync(lab, old, Notify(COUNTERS, (7).to_bytes(8, "big")))
    assert lab.west.of(ReplayCountersSkipped) == []


def test_who_cannot_move_counters_does_not_announce_it() -> None:
    lab = lab_of(moves=False)
    assert lab.west.endpoint.ike_sas[0].extensions.count("IKEV2_MESSAGE_ID_SYNC_SUPPORTED") == 1
    fail_over(lab, export(lab), missed=5000)
    lab.settle()
    assert lab.west.of(ReplayCountersSkipped) == []


def test_an_initialisation_vector_is_not_used_twice() -> None:
    """RFC 6311 3.4: the members have the same keys."""
    lab = lab_of()
    exported = export(lab)
    check(lab, lab.east, 3)
    fail_over(lab, exported)
    lab.settle()
    check(lab, lab.east, 3)
    messages = [parse_message(d.data) for _, d in lab.wire if toward(WEST, d)]
    vectors = [m.encrypted.body[:8] for m in messages if m.encrypted is not None]
    assert len(set(vectors)) == len(vectors) > 6


@pytest.mark.parametrize("at", [0, 20, -1])
def test_a_changed_export_is_refused(at) -> None:
    lab = lab_of()
    sealed, children = export(lab)
    changed = bytearray(sealed)
    changed[at] ^= 1
    with pytest.raises(CommandError, match="sealed with this key"):
        fail_over(lab, (bytes(changed), children))


def test_what_cannot_be_taken_over_is_refused_by_name() -> None:
    lab = lab_of()
    sealed, _ = export(lab)
    with pytest.raises(CommandError, match="has no child SA"):
        fail_over(lab, (sealed, []))
    lab = lab_of()
    sealed, children = export(lab)
    with pytest.raises(CommandError, match="here already"):
        lab.east.endpoint.take_over(sealed, KEY, [lab.east_config], children, lab.now)
    with pytest.raises(CommandError, match="accepted: a configured one"):
        lab.west.endpoint.take_over(sealed, KEY, [lab.west_config], children, lab.now)


def test_keys_are_not_in_an_export_that_is_not_opened() -> None:
    lab = lab_of()
    sealed, _ = export(lab)
    for key in (lab.east.keys[-1][-1].d, lab.east.keys[-1][-1].ei):
        assert bytes(key) not in sealed
        assert bytes(key).hex().encode() not in sealed


def test_an_owner_hears_of_the_ike_sa_it_took_over() -> None:
    lab = lab_of()
    fail_over(lab, export(lab))
    lab.settle()
    assert len(lab.east.of(IkeEstablished)) == 1
