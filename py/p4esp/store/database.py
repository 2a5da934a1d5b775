"""The store: SQLite in WAL mode, one file, one writer.

Every method commits before it returns, with `synchronous=FULL`, so that what the caller does
next (write to a switch, say) never happens without its record.
"""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from p4esp.store.records import Placement, SaRecord, SaState, child_from, facts_of, secret_of
from p4esp.store.sealing import Sealer, StoreError

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


class Store:
    """Records of all gateways of one controller. `path` None keeps them in memory."""

    def __init__(self, path: Path | None, sealer: Sealer) -> None:
        self._sealer = sealer
        try:
            self._db = sqlite3.connect(path or ":memory:", isolation_level=None)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=FULL")
            self._open_schema()
        except sqlite3.Error as error:
            raise StoreError(f"{path}: {error}") from None

    def _open_schema(self) -> None:
        (version,) = self._db.execute("PRAGMA user_version").fetchone()
        if version == 0:
            script = f"BEGIN; {_SCHEMA} PRAGMA user_version={SCHEMA_VERSION}; COMMIT;"
            self._db.executescript(script)
        elif version != SCHEMA_VERSION:
            self._db.close()
            raise StoreError(f"the store has version {version}; accepted: {SCHEMA_VERSION}")

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield self._db
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    # The boot id that was written to a switch after its pipeline.

    def boot_id(self, gateway: str) -> int | None:
        """The boot id this controller gave a gateway's switch last; None: never any."""
        row = self._db.execute("SELECT boot_id FROM boot WHERE gateway=?", (gateway,)).fetchone()
        return int(row[0], 16) if row else None

    def set_boot_id(self, gateway: str, boot_id: int) -> None:
        """Record a boot id, before it is written to the switch."""
        self._db.execute("INSERT OR REPLACE INTO boot VALUES (?, ?)", (gateway, f"{boot_id:016x}"))

    # Policy ids: the same rule keeps its number across policy versions.

    def policy_ids(self, gateway: str) -> dict[str, int]:
        """Policy id by rule name."""
        rows = self._db.execute("SELECT rule, id FROM policy WHERE gateway=?", (gateway,))
        return dict(rows.fetchall())

    def add_policy_id(self, gateway: str, rule: str, policy_id: int) -> None:
        """Record the id of a rule."""
        self._db.execute("INSERT INTO policy VALUES (?, ?, ?)", (gateway, rule, policy_id))

    # Generations outlive the SAs that had them.

    def generations(self, gateway: str, direction: str) -> dict[int, int]:
        """The last generation of each SA index; `direction` is "in" or "out"."""
        query = "SELECT sa, generation FROM generation WHERE gateway=? AND direction=?"
        return dict(self._db.execute(query, (gateway, direction)).fetchall())

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
        """Record how far an SA is; KeyError for an unknown one."""
        query = "UPDATE sa SET state=? WHERE gateway=? AND spi_in=?"
        if self._db.execute(query, (state.value, gateway, spi_in)).rowcount != 1:
            raise KeyError(f"{gateway} has no SA {spi_in:08x}")

    def change_sa(self, record: SaRecord) -> None:
        """Record that a known SA's parameters have changed."""
        query = "UPDATE sa SET facts=? WHERE gateway=? AND spi_in=?"
        facts = json.dumps(facts_of(record))
        self._db.execute(query, (facts, record.gateway, record.child.spi_in))

    def remove_sa(self, gateway: str, spi_in: int) -> None:
        """Forget an SA, keys included; an unknown one is ignored."""
        self._db.execute("DELETE FROM sa WHERE gateway=? AND spi_in=?", (gateway, spi_in))

    def remove_all_sas(self, gateway: str) -> None:
        """Forget all SAs of a gateway: its registers are gone."""
        self._db.execute("DELETE FROM sa WHERE gateway=?", (gateway,))

    def sas(self, gateway: str) -> list[SaRecord]:
        """All SAs of a gateway; StoreError when their keys do not open."""
        query = "SELECT spi_in, state, policy, facts, sealed_keys FROM sa WHERE gateway=?"
        return [self._record(gateway, row) for row in self._db.execute(query, (gateway,))]

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
