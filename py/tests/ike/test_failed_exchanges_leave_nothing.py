"""Wherever an exchange breaks off, no half-open IKE SA, child SA, SPI, key or timer is left.

What a gateway has in its switch follows from the events: each child SA that came up must go down.
"""

from ipaddress import ip_address

import pytest
from ike_lab import EAST_NET, LATENCY, WEST_NET, Lab, child, east_config, west_config
from ike_ledger import ike_of, live

from p4esp.ike.config import Settings
from p4esp.ike.events import ChildDown, ChildRekeyed, ChildUp, IkeEstablished

SECOND, BACK = (
    child("10.7.0.0/16", "10.8.0.0/16", "second"),
    child("10.8.0.0/16", "10.7.0.0/16", "second"),
)
SILENCE = 4000.0
COMMANDS = {
    "create_child": lambda node, now: node.endpoint.create_child(ike_of(node), "second", now),
    "rekey_child": lambda node, now: node.endpoint.rekey_child(*live(node), now),
    "rekey_ike": lambda node, now: node.endpoint.rekey_ike(ike_of(node), now),
    "delete_child": lambda node, now: node.endpoint.delete_child(*live(node), now),
    "delete_ike": lambda node, now: node.endpoint.delete_ike(ike_of(node), now),
    "check_liveness": lambda node, now: node.endpoint.check_liveness(ike_of(node), now),
}


def make_lab(**limits):
    return Lab(
        west_config(children=(child(WEST_NET, EAST_NET), SECOND), dpd_delay=30.0),
        east_config(children=(child(EAST_NET, WEST_NET), BACK), dpd_delay=30.0),
        settings=Settings(**limits),
    )


def cut_after(lab, count):
    """`count` more datagrams arrive, then none."""
    left = iter(range(count))

    def fate(_):
        return [LATENCY] if next(left, None) is not None else []

    lab.fate = fate


def assert_nothing_left(lab):
    for node in lab.nodes.values():
        assert node.endpoint._entries == {}
        assert node.endpoint.half_open == 0
        assert node.endpoint.get_timer() is None
        assert node.endpoint._entries.children == {}
        assert live(node) == {}
        up = {event.child.spi_in for event in node.of(ChildUp)}
        up |= {event.new.spi_in for event in node.of(ChildRekeyed)}
        assert sorted(event.child.spi_in for event in node.of(ChildDown)) == sorted(up)
        assert node.spis.used <= up


@pytest.mark.parametrize("threshold", [0, 16], ids=["cookies", "no cookies"])
@pytest.mark.parametrize("arriving", range(7))
def test_a_handshake_that_breaks_off_leaves_nothing(arriving, threshold):
    lab = make_lab(cookie_threshold=threshold)
    cut_after(lab, arriving)
    lab.west.endpoint.initiate(lab.west_config, lab.now, child="net")
    lab.run(SILENCE)
    assert_nothing_left(lab)


@pytest.mark.parametrize("arriving", range(5))
@pytest.mark.parametrize("side", ["west", "east"])
@pytest.mark.parametrize("command", COMMANDS)
def test_an_exchange_that_breaks_off_leaves_nothing(command, side, arriving):
    lab = make_lab()
    lab.connect()
    assert lab.east.one(IkeEstablished)
    cut_after(lab, arriving)
    COMMANDS[command](getattr(lab, side), lab.now)
    lab.run(SILENCE)
    assert_nothing_left(lab)


@pytest.mark.parametrize("arriving", range(9))
@pytest.mark.parametrize("both", [("rekey_child", "rekey_child"), ("rekey_ike", "rekey_child")])
def test_colliding_exchanges_that_break_off_leave_nothing(both, arriving):
    lab = make_lab()
    lab.connect()
    cut_after(lab, arriving)
    for command, node in zip(both, (lab.west, lab.east), strict=True):
        COMMANDS[command](node, lab.now)
    lab.run(SILENCE)
    assert_nothing_left(lab)


@pytest.mark.parametrize("kind", ["wrong key", "no proposal", "no peer"])
def test_a_refused_handshake_leaves_nothing(kind):
    changes = {
        "wrong key": {"psk": b"guess"},
        "no proposal": {"proposals": ()},
        "no peer": {"remote": ip_address("192.0.2.99")},
    }[kind]
    lab = Lab(east=east_config(**changes))
    lab.west.endpoint.initiate(lab.west_config, lab.now, child="net")
    lab.run(SILENCE)
    assert lab.east.of(IkeEstablished) == []
    assert_nothing_left(lab)


def test_an_allocator_without_spis_leaves_nothing(monkeypatch):
    lab = make_lab()

    def none_left(_count, _apart):
        raise LookupError("no SPI is free")

    lab.connect()
    monkeypatch.setattr(lab.east.spis, "allocate", none_left)
    COMMANDS["create_child"](lab.west, lab.now)
    lab.settle()
    lab.fate = lambda _: []
    lab.run(SILENCE)
    assert_nothing_left(lab)
