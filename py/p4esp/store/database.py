"""The store: SQLite in WAL mode, one file, one writer.

Every method commits before it returns, with `synchronous=FULL`, so that what the caller does
next (write to a switch, say) never happens without its record. StoreError is all that any of them
raises for a file that cannot be read or written.
"""

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Final

from p4esp.store.records import Placement, SaRecord, SaState, child_from, facts_of, secret_of
from p4esp.store.sealing import Sealer, StoreError
from p4esp.store.sqlite_file import faults_of, prepare

PATIENCE: Final = 2.0
"""Seconds to wait for the file of a controller that is ending."""
SCHEMA_VERSION: Final = 1
_SCHEMA: Final = """
CREATE TABLE boot (gateway TEXT PRIMARY KEY, boot_id TEXT NOT NULL);
CREATE TABLE policy (
    gateway TEXT NOT NULL, rule TEXT NOT NULL, id INTEGER NOT NULL,
    PRIMARY KEY (gateway, rule), UNIQUE (gateway, id));
CREATE TABLE generation (
    gateway TEXT NOT NULL, direction TEXT NOT NULL, sa INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    PRIMARY KEY (gateway, direction, sa));
CREATE TABLE sa (
    gateway TEXT NOT NULL, spi_in INTEGER NOT NULL, state TEXT NOT NULL, policy INTEGER NOT NULL,
    facts TEXT NOT NULL, sealed_keys BLOB NOT NULL,
    PRIMARY KEY (gateway, spi_in));
"""
_LATER: Final = """
CREATE TABLE IF NOT EXISTS secret (
    gateway TEXT NOT NULL, purpose TEXT NOT NULL, sealed BLOB NOT NULL,
    PRIMARY KEY (gateway, purpose));
"""
"""What stores of this version may lack that are older."""


class Store:
    """Records of all gateways of one controller. `path` None keeps them in memory."""

    def __init__(self, path: Path | None, sealer: Sealer, patience: float = PATIENCE) -> None:
        """StoreError for a file that is no store of this version, or stays another controller's
        for `patience` seconds.
        """
        self._sealer = sealer
        self._name = str(path or "the store in memory")
        with self._faults():
            if path is not None:
                prepare(path)
            self._db = sqlite3.connect(path or ":memory:", patience, isolation_level=None)
            self._open()

    def _faults(self) -> AbstractContextManager[None]:
        return faults_of(self._name)

    def _open(self) -> None:
        """Lock the file for as long as it is open: generations and policy ids have one owner."""
        self._db.execute("PRAGMA locking_mode=EXCLUSIVE")
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=FULL")
        (version,) = self._db.execute("PRAGMA user_version").fetchone()
        if version == 0:
            script = f"BEGIN; {_SCHEMA} PRAGMA user_version={SCHEMA_VERSION}; COMMIT;"
            self._db.executescript(script)
        elif version != SCHEMA_VERSION:
            self._db.close()
            raise StoreError(f"the store has version {version}; accepted: {SCHEMA_VERSION}")
        self._db.executescript(_LATER)

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._faults(), self._db:
            self._db.execute("BEGIN IMMEDIATE")
            yield self._db

    def _rows(self, query: str, *values: object) -> list[Any]:
        with self._faults():
            return self._db.execute(query, values).fetchall()

    def _change(self, query: str, *values: object) -> None:
        with self._faults():
            self._db.execute(query, values)

    # The boot id that was written to a switch after its pipeline.

    def boot_id(self, gateway: str) -> int | None:
        """The boot id this controller gave a gateway's switch last; None: never any."""
        rows = self._rows("SELECT boot_id FROM boot WHERE gateway=?", gateway)
        return int(rows[0][0], 16) if rows else None

    def set_boot_id(self, gateway: str, boot_id: int) -> None:
        """Record a boot id, before it is written to the switch."""
        self._change("INSERT OR REPLACE INTO boot VALUES (?, ?)", gateway, f"{boot_id:016x}")

    # Secrets of a gateway that outlive the controller.

    def secret(self, gateway: str, purpose: str, make: Callable[[], bytes]) -> bytes:
        """The secret for a purpose, made when it is first asked for; StoreError when it does not
        open.
        """
        identity = f"{gateway}/{purpose}".encode()
        query = "SELECT sealed FROM secret WHERE gateway=? AND purpose=?"
        for (sealed,) in self._rows(query, gateway, purpose):
            return self._sealer.open(sealed, identity)
        made = make()
        values = gateway, purpose, self._sealer.seal(made, identity)
        self._change("INSERT INTO secret VALUES (?, ?, ?)", *values)
        return made

    # Policy ids: the same rule keeps its number across policy versions.

    def policy_ids(self, gateway: str) -> dict[str, int]:
        """Policy id by rule name."""
        return dict(self._rows("SELECT rule, id FROM policy WHERE gateway=?", gateway))

    def add_policy_id(self, gateway: str, rule: str, policy_id: int) -> None:
        """Record the id of a rule."""
        self._change("INSERT INTO policy VALUES (?, ?, ?)", gateway, rule, policy_id)

    def remove_policy_id(self, gateway: str, rule: str) -> None:
        """Forget the id of a rule that is gone."""
        self._change("DELETE FROM policy WHERE gateway=? AND rule=?", gateway, rule)

    # Generations outlive the SAs that had them.

    def generations(self, gateway: str, direction: str) -> dict[int, int]:
        """The last generation of each SA index; `direction` is "in" or "out"."""
        query = "SELECT sa, generation FROM generation WHERE gateway=? AND direction=?"
        return dict(self._rows(query, gateway, direction))

    # Security associations.

    def add_sa(self, record: SaRecord) -> None:
        """Record a new SA with its generations, before anything else knows of it."""
        place = record.placement
        with self._transaction() as db:
            db.execute("INSERT INTO sa VALUES (?, ?, ?, ?, ?, ?)", self._row(record))
            rows = [
                (record.gateway, "in", place.sa_in, place.generation_in),
                (record.gateway, "out", place.sa_out, place.generation_out),
            ]
            db.executemany("INSERT OR REPLACE INTO generation VALUES (?, ?, ?, ?)", rows)

    def set_state(self, gateway: str, spi_in: int, state: SaState) -> None:
        """Record how far an SA is; an unknown one is ignored."""
        query = "UPDATE sa SET state=? WHERE gateway=? AND spi_in=?"
        self._change(query, state.value, gateway, spi_in)

    def change_sa(self, record: SaRecord) -> None:
        """Record that a known SA's parameters have changed."""
        query = "UPDATE sa SET facts=? WHERE gateway=? AND spi_in=?"
        facts = json.dumps(facts_of(record))
        self._change(query, facts, record.gateway, record.child.spi_in)

    def remove_sa(self, gateway: str, spi_in: int) -> None:
        """Forget an SA, keys included; an unknown one is ignored."""
        self._change("DELETE FROM sa WHERE gateway=? AND spi_in=?", gateway, spi_in)

    def remove_all_sas(self, gateway: str) -> None:
        """Forget all SAs of a gateway: its registers are gone."""
        self._change("DELETE FROM sa WHERE gateway=?", gateway)

    def sas(self, gateway: str) -> list[SaRecord]:
        """All SAs of a gateway; StoreError when their keys do not open."""
        query = "SELECT spi_in, state, policy, facts, sealed_keys FROM sa WHERE gateway=?"
        return [self._record(gateway, row) for row in self._rows(query, gateway)]

    def _row(self, record: SaRecord) -> tuple[object, ...]:
        sealed = self._sealer.seal(secret_of(record.child), record.identity.encode())
        head = (record.gateway, record.child.spi_in, record.state.value, record.policy)
        return (*head, json.dumps(facts_of(record)), sealed)

    def _record(self, gateway: str, row: tuple[int, str, int, str, bytes]) -> SaRecord:
        spi_in, state, policy, facts_text, sealed = row
        facts = json.loads(facts_text)
        secret = self._sealer.open(sealed, f"{gateway}/{spi_in:08x}".encode())
        child = child_from(facts, spi_in, secret)
        return SaRecord(gateway, SaState(state), policy, child, Placement(**facts["placement"]))
