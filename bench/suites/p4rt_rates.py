"""p4rt.write.single, p4rt.write.batched, p4rt.read: entries/s over P4Runtime.

Requests are encoded beforehand and sent from this process, one at a time, to servers in processes
of their own: our switch, bmv2, and two servers that do nothing (see `noop_server`).
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from finsy.proto import p4r

from bench.entries import Entry, sa_entries
from bench.p4runtime import Client, EntryEncoder, entities_in, write_requests
from bench.processes import child, free_port
from bench.registry import Benchmark
from bench.row import Row, compared
from bench.session import Session
from bench.targets import absent_peer, child_path, running, targets
from bench.timing import Round, best_rates, rate

TABLE = "sa_out"
SINGLES = 250
BATCHED = 3000
READ = 4000
ROUNDS = 4
OURS = "embedded"
NOOP = {"ignore": "no-op server", "visit": "no-op, visits fields"}
SUFFIX = {"ignore": "noop", "visit": "visit"}


@dataclass(frozen=True, slots=True)
class Servers:
    """Clients of all servers, by the server's name; ours comes first."""

    clients: dict[str, Client]
    encoder: EntryEncoder

    def rates(self, make: Callable[[Client], Round]) -> dict[str, float]:
        """The best rate of each server, measured in turn."""
        rounds = [make(client) for client in self.clients.values()]
        return dict(zip(self.clients, best_rates(rounds, ROUNDS), strict=True))


def measure_single(session: Session) -> Iterator[Row]:
    """One update a request, one request at a time."""
    name = "p4rt.write.single"
    session.step(name)
    servers = session.share(start_servers)
    make = partial(_write_round, servers.encoder, _entries(SINGLES), 1)
    yield from _rows(session, name, "writes/s", servers.rates(make))


def measure_batched(session: Session) -> Iterator[Row]:
    """1,000 updates a request."""
    name = "p4rt.write.batched"
    session.step(name)
    servers = session.share(start_servers)
    make = partial(_write_round, servers.encoder, _entries(BATCHED), 1000)
    yield from _rows(session, name, "writes/s", servers.rates(make))


def measure_read(session: Session) -> Iterator[Row]:
    """A whole table of 4,000 entries."""
    session.step("p4rt.read")
    servers = session.share(start_servers)
    with _filled(servers):
        rates = servers.rates(partial(_read_round, servers.encoder))
    rates.pop(NOOP["visit"], None)  # a read has no fields to visit
    yield from _rows(session, "p4rt.read", "entries/s", rates)


def start_servers(session: Session) -> Servers:
    """Starts every server for the rest of the session."""
    clients = {}
    for target in targets(session):
        session.step(f"starting {target.name}")
        switch = session.stack.enter_context(running(session, target, {}))
        clients[switch.name] = switch.client
    for mode in NOOP if session.peers else ():
        clients[NOOP[mode]] = session.stack.enter_context(noop_server(session, mode))
    return Servers(clients, EntryEncoder(session.p4info))


@contextmanager
def noop_server(session: Session, mode: str) -> Iterator[Client]:
    """Starts `bench.noop_server`; a client that is primary."""
    port = free_port()
    argv = [sys.executable, "-m", "bench.noop_server", str(port), str(session.p4info), str(READ)]
    log = session.scratch() / f"noop-{mode}.log"
    with (
        child([*argv, mode], log, child_path()) as process,
        Client(f"127.0.0.1:{port}") as client,
    ):
        process.wait_listening(port)
        client.capabilities()
        client.become_primary()
        yield client


def _write_round(
    encoder: EntryEncoder, entries: Sequence[Entry], batch: int, client: Client
) -> Round:
    """Inserts all entries, then deletes them."""
    inserts = (encoder.update(p4r.Update.INSERT, entry) for entry in entries)
    deletes = (encoder.update(p4r.Update.DELETE, entry) for entry in entries)
    requests = [*write_requests(inserts, batch), *write_requests(deletes, batch)]
    return lambda: rate(2 * len(entries), partial(client.write_encoded, requests))


def _read_round(encoder: EntryEncoder, client: Client) -> Round:
    query = encoder.table_query(TABLE)
    found = entities_in(client.read_encoded(query))
    if found != READ:
        raise RuntimeError(f"a read brought {found} entries, {READ} were written")
    return lambda: rate(READ, partial(client.read_encoded, query))


@contextmanager
def _filled(servers: Servers) -> Iterator[None]:
    entries, encoder = _entries(READ), servers.encoder
    for kind in (p4r.Update.INSERT, p4r.Update.DELETE):
        requests = list(write_requests(encoder.update(kind, entry) for entry in entries))
        for client in servers.clients.values():
            client.write_encoded(requests)
        if kind == p4r.Update.INSERT:
            yield


def _entries(count: int) -> list[Entry]:
    return [entry for entry in sa_entries(count) if entry.table == TABLE]


def _rows(session: Session, name: str, unit: str, rates: dict[str, float]) -> Iterator[Row]:
    """One row beside each peer; the first has the benchmark's own name."""
    switches = {peer: value for peer, value in rates.items() if peer not in NOOP.values()}
    yield compared(name, unit, switches, absent_peer(session))
    for mode, suffix in SUFFIX.items():
        if NOOP[mode] in rates:
            yield Row(f"{name}.{suffix}", rates[OURS], unit, NOOP[mode], rates[NOOP[mode]])


BENCHMARKS = (
    Benchmark("p4rt.write.single", "writes/s", "one update a request", measure_single),
    Benchmark("p4rt.write.batched", "writes/s", "1,000 updates a request", measure_batched),
    Benchmark("p4rt.read", "entries/s", "reads of a table of 4,000 entries", measure_read),
)
