"""Lifetimes by time, octets and packets: soft limits rekey, hard limits delete (RFC 7296 2.8)."""

from dataclasses import replace

import pytest
from ike_lab import EAST_NET, LATENCY, WEST_NET, Lab, child, east_config, west_config
from ike_ledger import assert_mirrored, live

from p4esp.ike.config import Lifetime, Limit
from p4esp.ike.constants import NotifyType
from p4esp.ike.errors import Refusal
from p4esp.ike.events import ChildDown, ChildFailed, ChildRekeyed, DownReason, IkeDown, IkeRekeyed
from p4esp.ike.tasks.create_child import CreateChildResponder
from p4esp.ike.tasks.create_child_sa import CreateChildSaResponder


def lab_with(lifetime=None, ike=None, seed=1):
    """Limits at west only, so that only west acts."""
    made = replace(child(WEST_NET, EAST_NET), lifetime=lifetime or Lifetime())
    lab = Lab(west_config(children=(made,), lifetime=ike), seed=seed)
    lab.connect()
    return lab


def only(node):
    (spi,) = live(node)
    return spi


def test_a_child_sa_is_rekeyed_when_its_soft_time_has_come_and_again():
    lab = lab_with(Lifetime(seconds=Limit(100, 120, spread=0)))
    lab.run(99)
    assert lab.west.of(ChildRekeyed) == []
    lab.run(2)
    assert len(lab.west.of(ChildRekeyed)) == 1
    lab.run(900)
    assert len(lab.west.of(ChildRekeyed)) == 10
    assert {down.reason for down in lab.west.of(ChildDown)} == {DownReason.REKEYED}
    assert_mirrored(lab)


def test_the_peers_limits_count_for_the_peer():
    made = replace(child(EAST_NET, WEST_NET), lifetime=Lifetime(seconds=Limit(50, 60)))
    lab = Lab(east=east_config(children=(made,)))
    lab.connect()
    lab.run(50)
    assert lab.east.one(ChildRekeyed).new.initiator
    assert_mirrored(lab)


def test_rekeys_come_early_by_a_random_share_and_never_late():
    limit = Limit(100, 120, spread=0.5)
    assert limit.rekey_at(0.0) == 100
    assert limit.rekey_at(0.5) == 75
    times = set()
    for seed in range(1, 9):
        lab = lab_with(Lifetime(seconds=limit), seed=seed)
        lab.run(101)
        rekey = next(
            time for time, d in lab.wire[4:] if d.path.remote.host == lab.west_config.remote
        )
        assert 50 <= rekey <= 100.1
        times.add(round(rekey))
    assert len(times) > 4


@pytest.mark.parametrize(
    "limits", [(0, 1, 0.1), (2, 1, 0.1), (1, 1, 0.1), (1, 2, 1.0), (1, 2, -0.1)]
)
def test_a_limit_that_makes_no_sense_is_refused(limits):
    with pytest.raises(ValueError, match="accepted: 0 < soft < hard, 0 <= spread < 1"):
        Limit(*limits)


@pytest.mark.parametrize("what", ["octets", "packets"])
def test_a_child_sa_that_has_carried_its_share_is_rekeyed_once(what):
    lab = lab_with(Lifetime(**{what: Limit(1000, 2000, spread=0)}))
    spi = only(lab.west)

    def use(amount):
        counts = {"octets": 0, "packets": 0, what: amount}
        lab.west.endpoint.note_usage(spi, now=lab.now, **counts)
        lab.settle()

    use(999)
    assert lab.west.of(ChildRekeyed) == []
    lab.fate = lambda _: [1.0]
    use(1000)
    use(1200)
    lab.run(10)
    assert lab.west.one(ChildRekeyed).old.spi_in == spi
    assert_mirrored(lab)


@pytest.mark.parametrize("what", ["octets", "packets"])
def test_a_child_sa_that_has_carried_too_much_is_deleted(what):
    lab = lab_with(Lifetime(**{what: Limit(1000, 2000)}))
    counts = {"octets": 0, "packets": 0, what: 2000}
    lab.west.endpoint.note_usage(only(lab.west), now=lab.now, **counts)
    lab.settle()
    assert lab.west.one(ChildDown).reason is DownReason.EXPIRED
    assert live(lab.east) == {}


def refuse(*_):
    raise Refusal(NotifyType.NO_PROPOSAL_CHOSEN, "test")


def test_a_child_sa_that_cannot_be_rekeyed_is_tried_again_and_ends_at_its_hard_limit(monkeypatch):
    monkeypatch.setattr(CreateChildResponder, "process", refuse)
    lab = lab_with(Lifetime(seconds=Limit(100, 300, spread=0)))
    lab.run(299)
    assert len(lab.west.of(ChildFailed)) == 4
    assert len(live(lab.west)) == 1
    lab.run(2)
    assert lab.west.one(ChildDown).reason is DownReason.EXPIRED
    assert live(lab.east) == {}
    lab.run(100)
    assert len(lab.west.of(ChildFailed)) == 4


def test_an_ike_sa_is_rekeyed_when_its_time_has_come_and_its_heir_too():
    lab = lab_with(ike=Limit(1000, 1100, spread=0))
    lab.run(3002)
    assert len(lab.west.of(IkeRekeyed)) == 3
    assert lab.west.of(ChildDown) == []
    assert_mirrored(lab)


def test_an_ike_sa_that_cannot_be_rekeyed_is_deleted_at_its_hard_limit(monkeypatch):
    monkeypatch.setattr(CreateChildSaResponder, "process", refuse)
    lab = lab_with(ike=Limit(1000, 1100))
    lab.run(1101)
    assert lab.west.one(IkeDown).reason is DownReason.EXPIRED
    assert lab.east.one(IkeDown).reason is DownReason.PEER_DELETE
    assert live(lab.west) == live(lab.east) == {}


def busy(*_):
    raise Refusal(NotifyType.TEMPORARY_FAILURE, "test")


@pytest.mark.parametrize("command", ["rekey_child", "rekey_ike"])
def test_72_a_peer_that_is_busy_for_minutes_has_lost_step_and_the_ike_sa_is_closed(
    monkeypatch, command
):
    monkeypatch.setattr(CreateChildSaResponder, "process", busy)
    lab = lab_with()
    name = only(lab.west) if command == "rekey_child" else lab.west.endpoint.ike_sas[0].spi
    getattr(lab.west.endpoint, command)(name, lab.now)
    lab.run(170)
    assert lab.west.of(IkeDown) == []
    requests = [trace for trace in lab.west.traces if "CREATE_CHILD_SA req" in trace.message]
    assert 12 <= len(requests) <= 40
    lab.run(30)
    assert lab.west.one(IkeDown).reason is DownReason.OUT_OF_STEP
    assert lab.east.one(IkeDown).reason is DownReason.PEER_DELETE


def test_72_a_peer_that_was_busy_long_ago_has_not_lost_step_when_it_is_busy_again(monkeypatch):
    """What was put off then had become needless: no proper answer ever came in between."""
    lab = lab_with()
    for _ in range(2):
        monkeypatch.setattr(CreateChildSaResponder, "process", busy)
        lab.west.endpoint.rekey_child(only(lab.west), lab.now)
        lab.settle()
        monkeypatch.undo()
        lab.east.endpoint.rekey_child(only(lab.east), lab.now)
        lab.run(1000)
        assert_mirrored(lab)
    assert lab.west.of(IkeDown) == lab.east.of(IkeDown) == []
    assert len(lab.west.of(ChildRekeyed)) == 2


def test_both_ends_with_the_same_limits_agree_for_days():
    lifetime = Lifetime(seconds=Limit(3600, 3960))
    here = replace(child(WEST_NET, EAST_NET), lifetime=lifetime)
    there = replace(child(EAST_NET, WEST_NET), lifetime=lifetime)
    ike = Limit(14400, 15840)
    lab = Lab(
        west_config(children=(here,), lifetime=ike), east_config(children=(there,), lifetime=ike)
    )
    lab.fate = lambda _: [LATENCY * 100]
    lab.connect()
    lab.run(3 * 86400)
    assert len(live(lab.west)) == 1
    assert len(lab.west.of(IkeRekeyed)) >= 18
    assert len(lab.west.of(ChildRekeyed)) >= 72
    assert lab.west.of(IkeDown)[0].reason is DownReason.REKEYED
    assert_mirrored(lab)
