"""The five verbs of a single IKE SA, without an endpoint around it."""

import os
from itertools import count

from ike_lab import EAST, TODAY, WEST, Spis, east_config, path_between, west_config

from p4esp.ike.config import Settings
from p4esp.ike.events import ChildDown, ChildUp, DownReason, IkeDown, IkeEstablished
from p4esp.ike.extensions.standard import STANDARD
from p4esp.ike.sa import IkeSa
from p4esp.ike.state import Environment, Phase
from p4esp.ike.window import MAX_MESSAGE_ID


def environment(extensions=STANDARD):
    return Environment(
        os.urandom, Spis(0xC0000000), Settings(), extensions, wall_clock=lambda: TODAY
    )


def pair(extensions=STANDARD):
    """An initiator and a responder that were made for each other."""
    config = west_config()
    path = path_between(WEST, EAST)
    west = IkeSa.initiate(environment(extensions), config, path, 0.0, child=config.children[0])
    back = path_between(EAST, WEST)
    east = IkeSa.respond(environment(extensions), [east_config()], back, 0.0, west.own_spi)
    return west, east


def exchange(west, east):
    """Carry messages to and fro until both are silent."""
    for _ in count():
        there, back = west.datagrams_to_send(0.0), east.datagrams_to_send(0.0)
        if not there and not back:
            return
        for datagram in there:
            east.receive_datagram(datagram.data, path_between(EAST, WEST), 0.0)
        for datagram in back:
            west.receive_datagram(datagram.data, path_between(WEST, EAST), 0.0)


def events(sa):
    return list(iter(sa.next_event, None))


def test_two_ike_sas_establish_each_other_by_the_five_verbs_alone():
    west, east = pair()
    assert west.get_timer() > 0.0
    exchange(west, east)
    for sa in (west, east):
        assert [type(event) for event in events(sa)] == [IkeEstablished, ChildUp]
        assert sa.phase is Phase.ESTABLISHED
        assert sa.get_timer() is None
        assert len(sa.children) == 1


def test_extensions_can_be_left_out():
    west, east = pair(extensions=())
    exchange(west, east)
    (established, _) = events(west)
    assert established.ike.nat is None
    assert not established.initial_contact


def test_handling_a_timer_that_is_not_due_does_nothing():
    west, _ = pair()
    west.datagrams_to_send(0.0)
    west.handle_timer(west.get_timer() - 0.001)
    assert west.datagrams_to_send(0.0) == []
    west.handle_timer(west.get_timer())
    assert len(west.datagrams_to_send(0.0)) == 1


def test_message_ids_never_wrap():
    west, east = pair()
    exchange(west, east)
    events(west)
    west._requesting._window._next_id = MAX_MESSAGE_ID
    west.check_liveness(0.0)
    (datagram,) = west.datagrams_to_send(0.0)
    assert datagram.data[20:24] == b"\xff\xff\xff\xff"
    west._requesting._window.complete()
    west.check_liveness(0.0)
    assert west.datagrams_to_send(0.0) == []
    down = next(event for event in events(west) if isinstance(event, IkeDown))
    assert (down.reason, down.detail) == (
        DownReason.PROTOCOL_ERROR,
        "all message IDs are used up",
    )


def test_a_request_without_a_message_id_holds_no_spi():
    west, east = pair()
    exchange(west, east)
    west._requesting._window._next_id = MAX_MESSAGE_ID + 1
    west.create_child("net", 0.0)
    assert west.phase is Phase.DEAD
    (child,) = (event.child for event in events(west) if isinstance(event, ChildDown))
    assert west._state.env.spis.used == {child.spi_in}


def test_keys_are_forgotten_when_an_ike_sa_is_closed():
    west, east = pair()
    exchange(west, east)
    west.delete(0.0)
    exchange(west, east)
    assert east.phase is Phase.CLOSED
    assert east._state.keys is None
    assert east._state.protection is None
    east.handle_timer(east.get_timer())
    assert east.phase is Phase.DEAD
