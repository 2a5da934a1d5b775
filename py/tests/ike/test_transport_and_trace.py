"""Framing on the two ports, traces, and the rate limit of unprotected answers."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ike_lab import Lab, west_config

from p4esp.ike.ratelimit import RateLimit
from p4esp.ike.transport import Kind, Ports


@given(st.binary(min_size=28), st.sampled_from([500, 4500, 1024]))
def test_what_is_framed_for_a_port_is_unframed_there(message, port):
    assert Ports().unframe(Ports().frame(message, port), port) == (Kind.IKE, message)


@pytest.mark.parametrize(
    ("payload", "kind"),
    [
        (b"", Kind.RUNT),
        (b"\xff", Kind.KEEPALIVE),
        (b"\xfe", Kind.RUNT),
        (b"\0\0\0", Kind.RUNT),
        (b"\0\0\0\0", Kind.IKE),
        (b"\0\0\0\1", Kind.ESP),
        (b"\xff\xff", Kind.RUNT),
    ],
)
def test_datagrams_on_the_shared_port_are_told_apart(payload, kind):
    assert Ports().unframe(payload, 4500)[0] is kind


def wire_sizes(lab):
    """Octets of the IKE messages on the wire, without the non-ESP marker."""
    return sorted({len(datagram.data) for _, datagram in lab.wire})


def test_every_message_is_traced_without_a_secret():
    lab = Lab(west_config(psk=b"correct horse"))
    lab.connect()
    records = [trace.as_json() for trace in lab.west.traces + lab.east.traces]
    asked = {"exchange": "IKE_AUTH", "direction": "request", "message_id": 1}
    assert sum(asked.items() <= record.items() for record in records) == 2
    assert {record["peer"] for record in records} == {"", "east", "west"}
    assert sorted({record["size"] for record in records}) == wire_sizes(lab)
    text = json.dumps(records)
    assert '"N(INITIAL_CONTACT)"' in text
    _, _, _, keys = lab.west.keys[0]
    for secret in (b"correct horse", keys.d, keys.ei, keys.pi):
        assert secret.hex() not in text
    assert "correct horse" not in text


def test_keys_leave_only_through_the_hook_and_once_per_ike_sa():
    lab = Lab()
    lab.connect()
    assert lab.west.keys == lab.east.keys
    assert len(lab.west.keys) == 1
    assert repr(lab.west.keys[0][3]) == "IkeKeys()"


@given(st.lists(st.floats(0, 1), max_size=200))
def test_a_rate_limit_allows_no_more_than_a_burst_and_the_rate(gaps):
    limit, now, allowed = RateLimit(5.0, 0.0), 0.0, 0
    for gap in gaps:
        now += gap
        allowed += limit.allow(now)
    assert allowed <= 5 + 5.0 * now + 1e-6
    assert allowed >= min(len(gaps), 5)
