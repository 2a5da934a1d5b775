"""The P4Runtime side of the benchmarks against real servers in processes of their own."""

from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from bench.compare import run_in
from bench.p4runtime import entities_in, write_requests
from bench.processes import ChildError, child, free_port
from bench.session import Session
from bench.suites.p4rt_rates import NOOP, READ, noop_server
from bench.targets import Embedded, Switch, running
from finsy.proto import p4r

REPOSITORY = Path(__file__).parents[3]
SAS = 5


@pytest.fixture(scope="module")
def session() -> Iterator[Session]:
    session = Session(REPOSITORY, peers=False)
    with session.stack:
        yield session


@pytest.fixture(scope="module")
def switch(session: Session) -> Iterator[Switch]:
    with running(session, Embedded(), {}) as switch:
        switch.fill(SAS)
        yield switch


@pytest.mark.parametrize("table", ["sa_out", "sa_select", "sa_in", "sad"])
def test_a_filled_switch_holds_every_sa_in_both_directions(switch: Switch, table: str) -> None:
    query = switch.encoder.table_query(table)
    assert entities_in(switch.client.read_encoded(query)) == SAS


def test_a_refused_write_is_not_counted_as_a_write(switch: Switch) -> None:
    query = p4r.ReadRequest.FromString(switch.encoder.table_query("sa_out"))
    delete = p4r.Update(type=p4r.Update.DELETE, entity=query.entities[0])
    with pytest.raises(grpc.RpcError):
        switch.client.write_encoded(list(write_requests([delete])))


def test_the_memory_of_a_switch_process_is_read_in_mib(switch: Switch) -> None:
    assert 20 < switch.process.resident_mib() < 1000


@pytest.mark.parametrize("mode", NOOP)
def test_the_server_that_does_nothing_takes_writes_and_answers_reads(
    session: Session, mode: str
) -> None:
    with noop_server(session, mode) as client:
        client.write_encoded([p4r.WriteRequest().SerializeToString()])
        assert entities_in(client.read_encoded(p4r.ReadRequest().SerializeToString())) == READ


def test_a_child_that_ends_at_once_is_reported_with_its_last_words(tmp_path: Path) -> None:
    argv = ["sh", "-c", "echo no such interface >&2; exit 3"]
    with (
        child(argv, tmp_path / "log") as process,
        pytest.raises(ChildError, match="status 3: no such interface"),
    ):
        process.wait_listening(free_port())


def test_a_benchmark_runs_in_a_child_on_the_code_of_a_tree() -> None:
    rows = {row.name: row for row in run_in(REPOSITORY, REPOSITORY, "ike.handshakes")}
    assert rows["ike.handshakes"].value
