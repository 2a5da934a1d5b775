"""Child SAs that the owner of the endpoint cannot carry (RFC 7296 2.9)."""

from ike_lab import EAST_NET, WEST_NET, Lab, child, east_config

from p4esp.ike.events import ChildDown, ChildFailed, ChildUp, IkeEstablished
from p4esp.ike.state import IntendedSa
from p4esp.ipsec.sa import Mode

NARROW = "10.2.3.0/24"
WIDE_FIRST = (child(EAST_NET, WEST_NET, "wide"), child(NARROW, WEST_NET, "narrow"))


def no_wide(wanted: IntendedSa) -> str | None:
    return "too wide" if wanted.child in ("wide", "net") else None


def test_a_responder_answers_ts_unacceptable_and_allocates_nothing() -> None:
    lab = Lab()
    lab.east.objects = no_wide
    lab.connect()
    assert lab.west.one(ChildFailed).reason == "TS_UNACCEPTABLE"
    assert lab.east.one(ChildFailed).reason == "TS_UNACCEPTABLE: too wide"
    assert not lab.east.of(ChildUp)
    assert not lab.west.spis.used
    assert not lab.east.spis.used
    assert lab.west.one(IkeEstablished)


def test_a_responder_takes_the_first_child_that_its_owner_can_carry() -> None:
    lab = Lab(east=east_config(children=WIDE_FIRST))
    lab.east.objects = no_wide
    lab.connect()
    assert lab.east.one(ChildUp).child.name == "narrow"
    assert [str(ts) for ts in lab.west.one(ChildUp).child.remote_ts] == [NARROW]


def test_an_initiator_whose_owner_cannot_carry_the_answer_deletes_it_at_the_peer() -> None:
    lab = Lab(east=east_config(children=(child(NARROW, WEST_NET),)))
    lab.west.objects = lambda *_: "too narrow"
    lab.connect()
    assert lab.west.one(ChildFailed).reason == "too narrow"
    assert not lab.west.of(ChildUp)
    assert lab.east.one(ChildDown).child == lab.east.one(ChildUp).child
    assert not lab.west.spis.used


def test_the_owner_is_asked_with_its_own_side_first() -> None:
    lab = Lab()
    asked = []
    lab.east.objects = lambda *question: asked.append(question)
    lab.connect()
    ((wanted,),) = asked
    (local,), (remote,) = wanted.local_ts, wanted.remote_ts
    assert (wanted.peer, str(wanted.remote_id), wanted.child) == ("west", "west.example", "net")
    assert (wanted.mode, str(local), str(remote)) == (Mode.TUNNEL, EAST_NET, WEST_NET)
