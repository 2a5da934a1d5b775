"""Rows: ratios, notes, and what becomes of a benchmark that breaks."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from bench.registry import Benchmark, UnknownBenchmarkError, all_benchmarks, select
from bench.row import Row, missing
from bench.session import MissingError, Session

ISSUE_NAMES = (
    *(f"switch.{way}bound.{size}" for way in ("out", "in") for size in (64, 512, 1400)),
    *("engine.seal.1400", "p4rt.write.single", "p4rt.write.batched", "p4rt.read"),
    *("scale.pps_50k_over_1", "scale.rss_50k", "ike.handshakes", "switch.start"),
)


def rows_of(measure: object, tmp_path: Path) -> list[Row]:
    return Benchmark("b", "ms", "", measure).rows(Session(tmp_path))  # type: ignore[arg-type]


def test_a_row_in_json_has_the_six_fields() -> None:
    fields = Row("n", 6.0, "packets/s", "bmv2", 3.0).as_dict()
    expected = {"name": "n", "value": 6.0, "unit": "packets/s", "peer": "bmv2", "peer_value": 3.0}
    assert fields == expected | {"ratio": 2.0}


@pytest.mark.parametrize("peer_value", [None, 0.0])
def test_without_a_peer_value_there_is_no_ratio(peer_value: float | None) -> None:
    assert Row("n", 6.0, "ms", "peer", peer_value).ratio is None


def test_a_row_survives_json() -> None:
    for row in (Row("n", 6.0, "ms", "p", 3.0, "note"), missing("n", "ms", "no bmv2")):
        assert Row.from_dict(row.as_dict()) == row


def test_more_packets_and_fewer_milliseconds_are_better() -> None:
    fast, slow = Row("n", 9.0, "packets/s"), Row("n", 3.0, "packets/s")
    assert fast.better(slow) is fast
    short, long = Row("n", 3.0, "ms"), Row("n", 9.0, "ms")
    assert long.better(short) is short
    assert long.better(missing("n", "ms", "")) is long


def test_what_is_missing_is_said_in_the_row(tmp_path: Path) -> None:
    def measure(_: Session) -> Iterator[Row]:
        yield Row("b", 1.0, "ms")
        raise MissingError("needs root")

    measured, absent = rows_of(measure, tmp_path)
    assert measured.value == 1.0
    assert (absent.value, absent.note, absent.failed) == (None, "needs root", False)


def test_a_benchmark_that_breaks_is_a_failed_row_and_keeps_its_figures(tmp_path: Path) -> None:
    def measure(_: Session) -> Iterator[Row]:
        yield Row("b", 1.0, "ms")
        raise ValueError("odd")

    measured, broken = rows_of(measure, tmp_path)
    assert measured.value == 1.0
    assert broken.failed
    assert "ValueError: odd" in broken.note


def test_every_benchmark_of_the_issue_is_there() -> None:
    assert set(ISSUE_NAMES) <= {benchmark.name for benchmark in all_benchmarks()}


def test_a_family_selects_all_below_it() -> None:
    chosen = [benchmark.name for benchmark in select(["switch.outbound"])]
    assert chosen == ["switch.outbound.64", "switch.outbound.512", "switch.outbound.1400"]


def test_an_unknown_name_is_refused_with_the_names_there_are() -> None:
    with pytest.raises(UnknownBenchmarkError, match=r"no benchmark 'switch\.out'.*ike\.handshakes"):
        select(["switch.out"])


def test_what_benchmarks_share_is_made_once_and_its_absence_remembered(tmp_path: Path) -> None:
    made = []

    def make(session: Session) -> str:
        made.append(session)
        raise MissingError("no bmv2")

    session = Session(tmp_path)
    for _ in range(2):
        with pytest.raises(MissingError, match="no bmv2"):
            session.share(make)
    assert len(made) == 1
