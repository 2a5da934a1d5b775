"""Child SAs for a class of DSCPs each (draft-mglt-ipsecme-dscp-np, in octets of our own)."""

from dataclasses import replace

import pytest
from ike_formats import OFFERED, SETTINGS, offer
from ike_lab import EAST_NET, STEADY, WEST_NET, Lab, child, east_config, west_config
from ike_ledger import assert_mirrored, ike_of, live

from p4esp.ike.codec.message import encode_clear, parse_message
from p4esp.ike.codec.payloads import Notify, VendorId
from p4esp.ike.config import Settings
from p4esp.ike.constants import NotifyType, ProtocolId
from p4esp.ike.drops import Drop
from p4esp.ike.events import AuthenticationFailed, ChildFailed, ChildRekeyed
from p4esp.ike.extensions.dscp_classes import DscpClasses
from p4esp.ike.extensions.experimental import P4ESP
from p4esp.ike.extensions.resources import name_of_resource
from p4esp.ipsec.sa import Share

DSCP = NotifyType.DSCP
VOICE, VIDEO = (46,), (34, 36, 38)
CLASSES = (VOICE, VIDEO)


def lab_of(here=CLASSES, there=CLASSES, *, connect=True, settings=SETTINGS, resources=0):
    """West and east whose child has these classes."""
    more = {"resources": resources}
    ours = replace(child(WEST_NET, EAST_NET), dscp_classes=here, **more)
    theirs = replace(child(EAST_NET, WEST_NET), dscp_classes=there, **more)
    ends = west_config(children=(ours,)), east_config(children=(theirs,))
    lab = Lab(*ends, settings=settings)
    if connect:
        lab.connect()
    return lab


def want(lab, *classes, node=None, resource=None):
    """An end asks for SAs of classes, all at once."""
    node = node or lab.west
    for dscps in classes:
        share = Share(resource, dscps)
        node.endpoint.create_child(ike_of(node), "net", lab.now, share=share)
    lab.settle()


def classes(node):
    return sorted(sa.share.dscps for sa in live(node).values())


def ignored(node):
    return [record.reason for record in node.traces if record.drop is Drop.IGNORED_NOTIFY]


def answer_with(monkeypatch, *notifies):
    """The responder answers this, whatever it has agreed to."""
    monkeypatch.setattr(DscpClasses, "answered", lambda *_: list(notifies))


@pytest.mark.parametrize("role", ["west", "east"])
def test_each_class_gets_an_sa_and_the_first_one_has_none(role):
    lab = lab_of()
    want(lab, VOICE, VIDEO, node=getattr(lab, role))
    assert_mirrored(lab)
    assert classes(lab.west) == classes(lab.east) == [(), VIDEO, VOICE]


def test_the_notify_lists_code_points_one_octet_each():
    lab = lab_of()
    answer = offer(lab, Notify(DSCP, bytes(VIDEO)))
    assert answer.notify(DSCP).data == bytes((34, 36, 38))


@pytest.mark.parametrize(
    ("asked", "got"),
    [
        ((34, 36), (34, 36)),
        ((10, 34, 36), (34, 36)),
        ((34, 46), (46,)),
        ((34, 38, 46), (34, 38)),
    ],
)
def test_a_narrower_list_accepts_a_part_and_one_sa_never_serves_two_classes(asked, got):
    lab = lab_of(here=(asked,))
    want(lab, asked)
    assert classes(lab.west) == classes(lab.east) == [(), got]


def test_a_list_of_which_no_class_has_anything_is_refused():
    lab = lab_of(here=((10, 12),))
    want(lab, (10, 12))
    failed = lab.west.one(ChildFailed)
    assert (failed.refusal, failed.share.dscps) == (NotifyType.TS_UNACCEPTABLE, (10, 12))
    assert classes(lab.east) == [()]
    assert len(lab.east.spis.used) == 1


def test_without_an_answer_the_initiator_deletes_the_sa_at_both_ends():
    lab = lab_of()
    entry = lab.east.endpoint._entries[ike_of(lab.east)]
    config = replace(lab.east_config.children[0], dscp_classes=())
    entry.sa._state.peer = replace(lab.east_config, children=(config,))
    want(lab, VOICE)
    assert "does not bind an SA to DSCP 46" in lab.west.one(ChildFailed).reason
    assert classes(lab.west) == classes(lab.east) == [()]
    assert len(lab.west.spis.used) == 1


def test_an_answer_with_more_than_was_asked_for_is_not_taken(monkeypatch):
    lab = lab_of()
    answer_with(monkeypatch, Notify(DSCP, bytes((46, 48))))
    want(lab, VOICE)
    assert "answered DSCP 46, 48, asked was 46" in lab.west.one(ChildFailed).reason
    assert classes(lab.west) == classes(lab.east) == [()]


def test_an_answer_that_nobody_asked_for_is_ignored_and_recorded(monkeypatch):
    answer_with(monkeypatch, Notify(DSCP, bytes(VOICE)))
    lab = lab_of()
    assert classes(lab.west) == [()]
    assert ignored(lab.west) == ["ignored: DSCP, for which nobody asked"]


# Rekeys


@pytest.mark.parametrize("role", ["west", "east"])
def test_a_rekey_repeats_the_notify_and_the_class_stays(role):
    lab = lab_of()
    want(lab, VOICE)
    for _ in range(2):
        spi = next(s for s, sa in live(lab.west).items() if sa.share.dscps)
        node = getattr(lab, role)
        node.endpoint.rekey_child(spi if role == "west" else live(lab.west)[spi].spi_out, lab.now)
        lab.settle()
        assert classes(lab.west) == classes(lab.east) == [(), VOICE]
    assert not lab.west.of(ChildFailed)


def rekey_video(lab):
    spi = next(s for s, sa in live(lab.west).items() if sa.share.dscps)
    lab.west.endpoint.rekey_child(spi, lab.now)
    lab.settle()
    assert classes(lab.west) == classes(lab.east) == [(), VIDEO]
    assert_mirrored(lab)


@pytest.mark.parametrize("said", [(), (34, 36), (46,), (64,)])
def test_a_rekey_that_does_not_repeat_the_class_is_refused(said, monkeypatch):
    lab = lab_of()
    want(lab, VIDEO)
    notifies = [Notify(DSCP, bytes(said))] if said else []
    monkeypatch.setattr(DscpClasses, "asked", lambda *_: notifies)
    rekey_video(lab)
    assert lab.west.one(ChildFailed).refusal is NotifyType.TS_UNACCEPTABLE
    assert not lab.east.of(ChildRekeyed)


def test_a_rekey_that_asks_for_more_than_the_class_gets_the_class(monkeypatch):
    lab = lab_of(here=((10, *VIDEO),))
    want(lab, (10, *VIDEO))
    more = Notify(DSCP, bytes((10, *VIDEO)))
    monkeypatch.setattr(DscpClasses, "asked", lambda *_: [more])
    rekey_video(lab)
    assert lab.west.one(ChildRekeyed)


def test_a_rekey_does_not_give_a_class_to_the_sa_that_has_none(monkeypatch):
    lab = lab_of()
    monkeypatch.setattr(DscpClasses, "asked", lambda *_: [Notify(DSCP, bytes(VOICE))])
    lab.west.endpoint.rekey_child(*live(lab.west), lab.now)
    lab.settle()
    assert classes(lab.west) == classes(lab.east) == [()]
    assert lab.west.one(ChildFailed).refusal is NotifyType.TS_UNACCEPTABLE


@pytest.mark.parametrize("said", [(), (34, 36)])
def test_a_rekey_that_is_answered_with_less_than_the_class_is_undone(said, monkeypatch):
    lab = lab_of()
    want(lab, VIDEO)
    answer_with(monkeypatch, *([Notify(DSCP, bytes(said))] if said else []))
    rekey_video(lab)
    assert lab.west.one(ChildFailed).share.dscps == VIDEO
    assert len(lab.west.spis.used) == 2


def test_a_rekeyed_ike_sa_keeps_classes_and_makes_more():
    lab = lab_of()
    want(lab, VOICE)
    lab.west.endpoint.rekey_ike(ike_of(lab.west), lab.now)
    lab.settle()
    (info,) = lab.west.endpoint.ike_sas
    lab.west.endpoint.create_child(info.spi, "net", lab.now, share=Share(dscps=VIDEO))
    lab.settle()
    assert classes(lab.west) == [(), VIDEO, VOICE]
    assert_mirrored(lab)


# With resources: what counts is class and resource


def test_a_class_may_have_an_sa_for_each_resource_and_limits_are_each_classs():
    lab = lab_of(resources=2)
    want(lab, VOICE)
    for number in (0, 1):
        want(lab, VOICE, (), resource=name_of_resource(number))
    shares = {(sa.share.dscps, sa.share.resource) for sa in live(lab.east).values()}
    both = (name_of_resource(0), name_of_resource(1))
    assert shares == {(part, name) for part in ((), VOICE) for name in (None, *both)}
    assert_mirrored(lab)


def test_a_resources_sa_of_a_class_that_has_none_yet_is_that_classs_first():
    lab = lab_of(resources=2)
    answer = offer(lab, Notify(DSCP, bytes(VOICE)), Notify(NotifyType.SA_RESOURCE_INFO, bytes(4)))
    assert answer.notify(NotifyType.SA_RESOURCE_INFO).data == b""
    assert {sa.share for sa in live(lab.east).values()} == {Share(), Share(dscps=VOICE)}


# Numbers without a meaning


@pytest.mark.parametrize("without", ["west", "east"])
def test_without_classes_at_both_ends_there_is_no_vendor_id_and_no_class(without):
    lab = lab_of(**{"here" if without == "west" else "there": ()})
    want(lab, VOICE)
    assert "do not share the vendor ID" in lab.west.one(ChildFailed).reason
    assert classes(lab.west) == classes(lab.east) == [()]
    assert len(lab.west.spis.used) == 1


def test_without_experimental_the_number_is_neither_sent_nor_heeded():
    lab = lab_of(settings=Settings(retransmission=STEADY))
    want(lab, VOICE)
    assert "do not share the vendor ID" in lab.west.one(ChildFailed).reason
    answer = offer(lab, Notify(DSCP, bytes(VOICE)))
    assert answer.notify(DSCP) is None
    assert classes(lab.east) == [(), ()]
    assert not ignored(lab.east)


@pytest.mark.parametrize("message", [0, 1])
def test_a_vendor_id_taken_out_on_the_way_fails_the_authentication(message):
    lab = lab_of(connect=False)
    launch = lab._launch

    def strip(datagram):
        if len(lab.wire) == message:
            parsed = parse_message(datagram.data)
            kept = [p for p in parsed.clear.payloads if not isinstance(p, VendorId)]
            assert P4ESP in parsed.clear.payloads
            datagram = replace(datagram, data=encode_clear(parsed.header, kept))
        launch(datagram)

    lab._launch = strip
    lab.connect()
    lab.run(120)
    assert lab.west.of(AuthenticationFailed) or lab.east.of(AuthenticationFailed)


# Bad input

BAD = {
    "empty": [Notify(DSCP)],
    "64": [Notify(DSCP, bytes((46, 64)))],
    "too long": [Notify(DSCP, bytes(range(65)))],
    "not ascending": [Notify(DSCP, bytes((38, 34)))],
    "twice the same": [Notify(DSCP, bytes((46, 46)))],
    "protocol": [Notify(DSCP, bytes(VOICE), protocol=ProtocolId.ESP)],
    "SPI": [Notify(DSCP, bytes(VOICE), spi=OFFERED)],
    "twice": [Notify(DSCP, bytes(VOICE)), Notify(DSCP, bytes(VIDEO))],
}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD.keys())
def test_a_malformed_notify_is_ignored_and_recorded(bad):
    lab = lab_of()
    answer = offer(lab, *bad)
    assert answer.error() is None
    assert answer.notify(DSCP) is None
    assert classes(lab.east) == [(), ()]
    assert len(ignored(lab.east)) == 1


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD.keys())
def test_a_malformed_answer_makes_no_sa(bad, monkeypatch):
    """The peer has agreed to something, and we must know to what."""
    lab = lab_of()
    answer_with(monkeypatch, *bad)
    want(lab, VOICE)
    assert lab.west.one(ChildFailed).share.dscps == VOICE
    assert classes(lab.west) == classes(lab.east) == [()]


def test_with_the_first_sa_the_notify_is_ignored(monkeypatch):
    """In IKE_AUTH it has no place: what no class has must go somewhere."""
    monkeypatch.setattr(DscpClasses, "asked", lambda *_: [Notify(DSCP, bytes(VOICE))])
    lab = lab_of()
    assert classes(lab.west) == classes(lab.east) == [()]
    assert "first SA of child net is for all" in ignored(lab.east)[0]
