"""What is not used is counted, and told with peer, exchange and reason; of a flood a few lines."""

import json

from hypothesis import given
from hypothesis import strategies as st
from ike_lab import EAST, WEST, Lab, path_between, west_config

from p4esp.ike.audit import Audit
from p4esp.ike.drops import Drop
from p4esp.ike.trace import TraceKind, TraceRecord

PATH = path_between(EAST, WEST)


def drops_of(node):
    return [trace for trace in node.traces if trace.kind is TraceKind.DROPPED]


def record(time, drop=Drop.NO_COOKIE):
    return TraceRecord(time, TraceKind.DROPPED, PATH, drop=drop)


@given(st.lists(st.floats(0, 0.5), max_size=300))
def test_every_drop_is_counted_and_told_by_itself_or_by_the_next_line(gaps):
    told, now = [], 0.0
    audit = Audit(told.append, 5.0, now)
    for gap in gaps:
        now += gap
        audit(record(now))
    assert audit.counts == ({Drop.NO_COOKIE: len(gaps)} if gaps else {})
    assert len(told) <= 5 + 5.0 * now + 1e-6
    audit(record(now + 10.0))
    assert sum(1 + line.untold for line in told) == len(gaps) + 1


def test_without_a_trace_drops_are_counted_all_the_same():
    audit = Audit(None, 5.0, 0.0)
    audit(record(0.0, Drop.RUNT))
    assert audit.counts == {Drop.RUNT: 1}


def test_a_refused_peer_leaves_a_line_with_address_exchange_and_reason():
    lab = Lab(west_config(psk=b"guess"))
    lab.connect()
    (line,) = [line.as_json() for line in drops_of(lab.east)]
    assert json.loads(json.dumps(line)) == line
    assert (line["drop"], line["exchange"], line["remote"]) == (
        "REFUSED",
        "IKE_AUTH",
        "192.0.2.1:500",
    )
    assert "the keys differ" in line["reason"]
    assert lab.east.endpoint.drops == {Drop.REFUSED: 1}


def test_each_reason_inside_an_ike_sa_has_a_name():
    """The next request damaged at its end, too late, under another's SPI, and in clear."""
    lab = Lab()
    ike = lab.connect()
    lab.fate = lambda _: []
    lab.west.endpoint.check_liveness(ike, lab.now)
    lab.settle()
    good = lab.wire[-1][1].data
    for spoiled in (
        good[:-1] + bytes([good[-1] ^ 1]),
        good[:20] + bytes([0, 0, 0, 9]) + good[24:],
        bytes(8) + good[8:],
        good[:16] + b"\x2b" + good[17:],
    ):
        lab.east.endpoint.receive_datagram(spoiled, PATH, lab.now)
    names = Drop.NOT_AUTHENTIC, Drop.OUTSIDE_WINDOW, Drop.WRONG_SA, Drop.NOT_PROTECTED
    assert [line.drop for line in drops_of(lab.east)] == list(names)
    assert lab.east.endpoint.drops == dict.fromkeys(names, 1)
    assert all(line.reason and line.path == PATH for line in drops_of(lab.east))
