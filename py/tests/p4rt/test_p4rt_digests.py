"""Digest lists: buffering, duplicates, acknowledgement, time-outs (section 9.8). Sans-IO."""

from dataclasses import dataclass

import pytest
from finsy.proto import p4r

from p4esp.p4rt.digests import DigestHandler
from p4esp.p4rt.errors import P4RuntimeError
from p4esp.p4rt.schema import DigestInfo

INFO = DigestInfo(7, "station_t", (("mac", 48), ("port", 9)), is_struct=True)


@dataclass
class Bench:
    """A handler with a clock that the test turns; times in nanoseconds."""

    now: int = 0

    def __post_init__(self) -> None:
        self.sent: list[p4r.DigestList] = []
        self.handler = DigestHandler(
            {7: INFO}, self.sent.append, lambda: self.now, lambda: self.now + 10**18
        )

    def enable(self, **config: int) -> None:
        """INSERT with this configuration."""
        entry = p4r.DigestEntry(digest_id=7, config=p4r.DigestEntry.Config(**config))
        self.handler.write(p4r.Update.INSERT, entry)

    def lists(self) -> list[list[int]]:
        """The MAC values of the lists sent since the last call."""
        lists = [
            [int.from_bytes(data.struct.members[0].bitstring) for data in message.data]
            for message in self.sent
        ]
        self.sent.clear()
        return lists


def test_nothing_is_sent_before_the_digest_is_enabled_and_after_it_is_disabled() -> None:
    bench = Bench()
    bench.handler.learn("station_t", (1, 1))
    bench.enable(max_list_size=1)
    bench.handler.learn("station_t", (2, 1))
    bench.handler.write(p4r.Update.DELETE, p4r.DigestEntry(digest_id=7))
    bench.handler.learn("station_t", (3, 1))
    assert bench.lists() == [[2]]


def test_full_list_is_sent_at_once_with_canonical_members_and_rising_ids() -> None:
    bench = Bench()
    bench.enable(max_list_size=2, max_timeout_ns=100)
    for mac in (0x1FF, 2, 3, 4):
        bench.handler.learn("station_t", (mac, 300))
    first, second = bench.sent
    assert [first.digest_id, first.list_id, second.list_id] == [7, 1, 2]
    members = first.data[0].struct.members
    assert [member.bitstring for member in members] == [b"\x01\xff", b"\x01\x2c"]
    assert first.timestamp == 10**18


def test_duplicates_within_a_list_and_unacknowledged_ones_are_held_back() -> None:
    bench = Bench()
    bench.enable(max_list_size=2, max_timeout_ns=100, ack_timeout_ns=1000)
    for mac in (1, 1, 2, 2, 1, 3, 4):
        bench.handler.learn("station_t", (mac, 1))
    assert bench.lists() == [[1, 2], [3, 4]]


def test_acknowledged_data_may_be_learned_again() -> None:
    bench = Bench()
    bench.enable(max_list_size=1, ack_timeout_ns=1000)
    bench.handler.learn("station_t", (1, 1))
    bench.handler.acknowledge(p4r.DigestListAck(digest_id=7, list_id=1))
    bench.handler.learn("station_t", (1, 1))
    assert bench.lists() == [[1], [1]]


def test_data_without_acknowledgement_may_be_learned_again_after_the_time_out() -> None:
    bench = Bench()
    bench.enable(max_list_size=1, ack_timeout_ns=1000)
    bench.handler.learn("station_t", (1, 1))
    bench.now = 999
    bench.handler.learn("station_t", (1, 1))
    bench.now = 1000
    bench.handler.learn("station_t", (1, 1))
    assert bench.lists() == [[1], [1]]


def test_list_that_does_not_fill_is_sent_at_its_time_out() -> None:
    bench = Bench()
    bench.enable(max_list_size=10, max_timeout_ns=100)
    bench.now = 5
    bench.handler.learn("station_t", (1, 1))
    bench.now = 104
    assert bench.handler.poll() == 105
    assert bench.lists() == []
    bench.now = 105
    assert bench.handler.poll() is None
    assert bench.lists() == [[1]]


@pytest.mark.parametrize("config", [{}, {"max_list_size": 10}, {"max_list_size": 1}])
def test_without_time_out_or_with_size_one_nothing_is_held_back(config: dict[str, int]) -> None:
    bench = Bench()
    bench.enable(**config)
    bench.handler.learn("station_t", (1, 1))
    assert bench.lists() == [[1]]


def test_acknowledgement_of_an_unknown_digest_is_refused_and_of_an_unknown_list_ignored() -> None:
    bench = Bench()
    bench.enable(max_list_size=1, ack_timeout_ns=1000)
    bench.handler.acknowledge(p4r.DigestListAck(digest_id=7, list_id=99))
    with pytest.raises(P4RuntimeError, match="station_t"):
        bench.handler.acknowledge(p4r.DigestListAck(digest_id=8, list_id=1))
