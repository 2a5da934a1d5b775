"""Deletes that say why (digest 7): both layouts, what is read and what is left out."""

from dataclasses import replace

import pytest
from ike_lab import STEADY, Lab, east_config, west_config

from p4esp.ike.codec.payloads import Delete, Notify
from p4esp.ike.config import Lifetime, Limit, Settings
from p4esp.ike.constants import NotifyType, ProtocolId
from p4esp.ike.delete_reason import MAX_TEXT, DeleteReason, ReasonType
from p4esp.ike.drops import Drop
from p4esp.ike.errors import CommandError
from p4esp.ike.events import ChildDown, DownReason, IkeDown, IkeEstablished
from p4esp.ike.extension_wishes import ExtensionWishes
from p4esp.ike.tasks import deleting
from p4esp.ike.tasks.informational import CheckLiveness, InformationalResponder

WISH = ExtensionWishes(delete_reason=True)
OLD = ExtensionWishes(delete_reason=True, delete_downtime=True)
SETTINGS = Settings(retransmission=STEADY, experimental=True)
RESTART = DeleteReason(ReasonType.SERVICE_RESTART)
KIND = NotifyType.DELETE_REASON


def lab_of(west=WISH, east=WISH, settings=SETTINGS, **changes):
    ends = west_config(extensions=west, **changes), east_config(extensions=east)
    lab = Lab(*ends, settings=settings)
    lab.connect()
    return lab


def delete_ike(lab, told=None):
    (ike,) = lab.west.endpoint.ike_sas
    lab.west.endpoint.delete_ike(ike.spi, lab.now, told)
    lab.settle()


def sends(monkeypatch, *notifies):
    """Have every Delete go with these."""
    monkeypatch.setattr(deleting, "reason_given", lambda *_: list(notifies))


def told(lab):
    """What east heard, of the IKE SA and of its child alike."""
    down, child = lab.east.one(IkeDown), lab.east.one(ChildDown)
    assert down.reason is DownReason.PEER_DELETE
    assert down.told == child.told
    return down.told


def test_an_ike_sa_deleted_by_command_tells_of_a_short_break() -> None:
    lab = lab_of()
    delete_ike(lab)
    assert told(lab) == RESTART
    assert lab.east.one(IkeDown).why == "deleted by the peer: SERVICE_RESTART"


@pytest.mark.parametrize("reason", ReasonType)
def test_a_command_may_give_each_reason_with_a_text(reason) -> None:
    lab, given = lab_of(), DeleteReason(reason, "Wartung bis 3 Uhr", "de-CH")
    delete_ike(lab, given)
    assert told(lab) == given


def test_a_child_sa_is_deleted_with_its_reason() -> None:
    lab = lab_of()
    (child,) = lab.west.spis.used
    lab.west.endpoint.delete_child(child, lab.now, reason=DownReason.IDLE)
    lab.settle()
    assert lab.east.one(ChildDown).told == DeleteReason(ReasonType.IDLE_TIMEOUT)
    assert lab.west.one(ChildDown).told is None
    assert lab.east.of(IkeDown) == []


def test_what_a_rekey_replaced_says_so_and_children_stay() -> None:
    lab = lab_of()
    lab.west.endpoint.rekey_ike(lab.west.one(IkeEstablished).ike.spi, lab.now)
    lab.settle()
    assert lab.east.one(IkeDown).told == DeleteReason(ReasonType.REPLACED_SA)
    assert lab.east.of(ChildDown) == []
    delete_ike(lab)
    assert lab.east.of(IkeDown)[-1].told == RESTART, "on the new IKE SA it works alike"


@pytest.mark.parametrize(
    ("west", "east", "experimental"),
    [
        (WISH, ExtensionWishes(), True),
        (ExtensionWishes(), WISH, True),
        (WISH, WISH, False),
    ],
    ids=["west-alone", "east-alone", "without-the-switch"],
)
def test_without_our_vendor_id_it_is_a_plain_delete(west, east, experimental) -> None:
    lab = lab_of(west, east, replace(SETTINGS, experimental=experimental))
    delete_ike(lab)
    assert told(lab) is None
    assert not any(str(Notify(KIND)) in record.payloads for record in lab.west.traces)


def test_a_reason_that_would_not_arrive_is_refused_by_name() -> None:
    lab = lab_of(east=ExtensionWishes())
    with pytest.raises(CommandError, match="accepted: no reason"):
        delete_ike(lab, RESTART)
    assert lab.east.endpoint.ike_sas, "nothing was deleted"


def test_a_downtime_goes_with_the_old_layout_only() -> None:
    with pytest.raises(CommandError, match="delete_downtime"):
        delete_ike(lab_of(), DeleteReason(downtime=60))


def test_the_old_layout_has_a_downtime_and_a_text() -> None:
    lab = lab_of(OLD, OLD)
    delete_ike(lab, DeleteReason(downtime=60, text="maintenance"))
    assert told(lab) == DeleteReason(downtime=60, text="maintenance")


def test_in_the_old_layout_a_type_is_told_in_words() -> None:
    lab = lab_of(OLD, OLD)
    delete_ike(lab, DeleteReason(ReasonType.ADMINISTRATIVELY_DOWN))
    assert told(lab) == DeleteReason(text="ADMINISTRATIVELY_DOWN")


@pytest.mark.parametrize(
    ("data", "heard"),
    [
        (b"\0\2", DeleteReason(2)),
        (b"\0\2\0", DeleteReason(2)),
        (b"\0\6\2en", DeleteReason(6, "", "en")),
        (b"\0\6\2enback at noon", DeleteReason(6, "back at noon", "en")),
        (b"\0\6\0back at noon", DeleteReason(6, "back at noon")),
        (b"\0\6\xffen", DeleteReason(6)),
        (b"\0\6\2e en", DeleteReason(6)),
        (b"\0\6\2\xff\xfetext", DeleteReason(6)),
        (b"\0\6\7x-klingHab", DeleteReason(6, "Hab", "x-kling")),
        (b"\0\6\2en\x1b[2J\x00\x07red\r\n\xe2\x80\xae", DeleteReason(6, "[2Jred", "en")),
        (b"\0\6\2en\xff\xfe!", DeleteReason(6, "\ufffd\ufffd!", "en")),
        (b"\xff\0", DeleteReason(65280)),
        (b"\0\0", DeleteReason(0)),
    ],
    ids=[
        *("2-octets", "3-octets", "no-text", "all", "no-tag", "tag-past-the-end", "bad-tag"),
        *("tag-not-ascii", "unknown-language", "control-characters", "not-utf8", "private", "zero"),
    ],
)
def test_what_is_read_of_the_working_copy(monkeypatch, data, heard) -> None:
    lab = lab_of()
    sends(monkeypatch, Notify(KIND, data))
    delete_ike(lab)
    assert told(lab) == heard


def test_a_long_text_is_cut() -> None:
    assert DeleteReason.parse(b"\0\1\0" + b"x" * 5000).text == "x" * MAX_TEXT
    assert len(DeleteReason.parse_downtime(b"\0\1" + "ü".encode() * 5000).text) == MAX_TEXT // 2


@pytest.mark.parametrize(
    "notifies",
    [
        [Notify(KIND, b"")],
        [Notify(KIND, b"\1")],
        [Notify(KIND, b"\0\2"), Notify(KIND, b"\0\2")],
        [Notify(KIND, b"\0\2", protocol=ProtocolId.ESP, spi=bytes(4))],
    ],
    ids=["empty", "one-octet", "twice", "spi"],
)
def test_a_malformed_reason_is_ignored_and_recorded(monkeypatch, notifies) -> None:
    lab = lab_of()
    sends(monkeypatch, *notifies)
    delete_ike(lab)
    assert told(lab) is None
    assert lab.east.endpoint.drops[Drop.IGNORED_NOTIFY] == 1


def test_a_reason_without_a_delete_is_ignored_and_recorded(monkeypatch) -> None:
    monkeypatch.setattr(CheckLiveness, "build", lambda *_: [Notify(KIND, b"\0\6")])
    lab = lab_of()
    lab.west.endpoint.check_liveness(lab.west.one(IkeEstablished).ike.spi, lab.now)
    lab.settle()
    assert lab.east.endpoint.drops[Drop.IGNORED_NOTIFY] == 1
    assert len(lab.east.endpoint.ike_sas) == 1


def test_all_deletes_of_a_message_have_its_reason(monkeypatch) -> None:
    lab = lab_of()
    lab.west.endpoint.create_child(lab.west.one(IkeEstablished).ike.spi, "net", lab.now)
    lab.settle()
    spis = [spi.to_bytes(4, "big") for spi in sorted(lab.west.spis.used)]
    both = [Delete(ProtocolId.ESP, (spi,)) for spi in spis]
    monkeypatch.setattr(CheckLiveness, "build", lambda *_: [*both, Notify(KIND, b"\0\7")])
    lab.west.endpoint.check_liveness(lab.west.one(IkeEstablished).ike.spi, lab.now)
    lab.settle()
    assert [down.told for down in lab.east.of(ChildDown)] == [DeleteReason(7)] * 2


def test_a_reason_in_a_response_is_not_looked_at(monkeypatch) -> None:
    lab = lab_of()
    monkeypatch.setattr(InformationalResponder, "build", lambda *_: [Notify(KIND, b"\0\6")])
    (child,) = lab.west.spis.used
    lab.west.endpoint.delete_child(child, lab.now)
    lab.settle()
    assert lab.west.one(ChildDown).told is None
    assert lab.west.endpoint.drops == {}


def test_a_peer_that_is_not_authenticated_hears_no_reason() -> None:
    lab = Lab(
        west_config(extensions=WISH, psk=b"another key"),
        east_config(extensions=WISH),
        settings=SETTINGS,
    )
    lab.connect()
    assert not any(str(Notify(KIND)) in record.payloads for record in lab.west.traces)


def test_a_child_whose_lifetime_is_over_says_so() -> None:
    config = west_config()
    worn = replace(config.children[0], lifetime=Lifetime(octets=Limit(10, 20)))
    lab = lab_of(children=(worn,))
    (child,) = lab.west.spis.used
    lab.west.endpoint.note_usage(child, 30, 1, lab.now)
    lab.settle()
    assert lab.east.one(ChildDown).told == DeleteReason(ReasonType.LIFETIME_EXCEEDED)
