"""Postquantum preshared keys at rest: an SQLite file of their own, sealed like the keys of SAs,
that `p4esp ppk` changes while a gateway or daemon uses it.

A key that is used once is marked so, and its octets are overwritten, before anybody may use it.
"""

import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from p4esp.ike.ppk import ID_SIZES, MAX_SECRET, MIN_SECRET, OPAQUE, PostquantumKey, shown
from p4esp.store.sealing import Sealer, StoreError
from p4esp.store.sqlite_file import faults_of, prepare

PATIENCE: Final = 2.0
"""Seconds to wait for somebody else who writes."""
SCHEMA_VERSION: Final = 1
_SCHEMA: Final = """
CREATE TABLE ppk (
    number INTEGER PRIMARY KEY AUTOINCREMENT, peer TEXT NOT NULL, identity BLOB NOT NULL,
    sealed_key BLOB, UNIQUE (peer, identity));
"""

_Answer = TypeVar("_Answer")


@dataclass(frozen=True, slots=True)
class StoredPpk:
    """A key of the store, still sealed."""

    peer: str
    identity: bytes
    """PPK_ID."""
    sealed: bytes | None
    """None: it has been used."""

    @property
    def one_time(self) -> bool:
        """Whether it is used once."""
        return self.identity[0] == OPAQUE

    @property
    def label(self) -> bytes:
        """What its seal belongs to."""
        return b"ppk/" + self.peer.encode() + b"/" + self.identity


class PpkStore:
    """The keys of one file. Every method raises StoreError for a file that cannot be used."""

    def __init__(self, path: Path, sealer: Sealer, patience: float = PATIENCE) -> None:
        """Make the file if it is missing, with mode 0600."""
        self._name = str(path)
        self._sealer = sealer
        self._left: dict[str, dict[bytes, StoredPpk]] = {}
        """Keys that have not been used, by peer and PPK_ID, in the order in which they came."""
        self._version: int | None = None
        """Of the file when these were read; None: read them again."""
        with self._faults():
            prepare(path)
            self._db = sqlite3.connect(path, patience, isolation_level=None)
            self._open()

    def _faults(self) -> AbstractContextManager[None]:
        return faults_of(self._name)

    def _open(self) -> None:
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "secure_delete=ON"):
            self._db.execute(f"PRAGMA {pragma}")
        (version,) = self._db.execute("PRAGMA user_version").fetchone()
        if version == 0:
            script = f"BEGIN IMMEDIATE; {_SCHEMA} PRAGMA user_version={SCHEMA_VERSION}; COMMIT;"
            self._db.executescript(script)
        elif version != SCHEMA_VERSION:
            self._db.close()
            raise StoreError(
                f"{self._name} is no store of PPKs of version {SCHEMA_VERSION}, but of {version}"
            )

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def add(self, peer: str, keys: Iterable[PostquantumKey]) -> None:
        """Add keys for a peer, all or none; StoreError for one that is too short, or was there."""
        rows = [(peer, key.identity, self._sealed(peer, key)) for key in keys]
        query = "INSERT INTO ppk (peer, identity, sealed_key) VALUES (?, ?, ?)"
        with self._faults(), self._db:
            self._db.execute("BEGIN IMMEDIATE")
            for row in rows:
                self._insert(query, row)
        self._version = None

    def _insert(self, query: str, row: tuple[str, bytes, bytes]) -> None:
        try:
            self._db.execute(query, row)
        except sqlite3.IntegrityError:
            raise StoreError(
                f"{self._name}: {row[0]} has, or had, {shown(row[1])}; accepted: another name"
            ) from None

    def _sealed(self, peer: str, key: PostquantumKey) -> bytes:
        if len(key.identity) not in ID_SIZES or not MIN_SECRET <= len(key.secret) <= MAX_SECRET:
            raise StoreError(
                f"{shown(key.identity)}: {len(key.secret)} octets; accepted: a name of "
                f"1..{ID_SIZES.stop - 2} octets, and a key of {MIN_SECRET}..{MAX_SECRET}"
            )
        return self._sealer.seal(key.secret, StoredPpk(peer, key.identity, None).label)

    def remove(self, peer: str, identity: bytes) -> bool:
        """Forget a key, that it was used included; False: there is none. IKE SAs that have it keep
        it.
        """
        with self._faults():
            query = "DELETE FROM ppk WHERE peer=? AND identity=?"
            gone = self._db.execute(query, (peer, identity)).rowcount
        self._version = None
        return gone == 1

    def use(self, key: StoredPpk) -> bool:
        """Mark a key that is used once; False: somebody was faster. It is on disk then."""
        with self._faults():
            query = "UPDATE ppk SET sealed_key=NULL WHERE peer=? AND identity=?"
            query += " AND sealed_key IS NOT NULL"
            marked = self._db.execute(query, (key.peer, key.identity)).rowcount
        self._left.get(key.peer, {}).pop(key.identity, None)
        return marked == 1

    def listed(self) -> list[StoredPpk]:
        """All keys in the order in which they were added, used ones too."""
        query = "SELECT peer, identity, sealed_key FROM ppk ORDER BY number"
        with self._faults():
            return [StoredPpk(*row) for row in self._db.execute(query)]

    def left(self, peer: str) -> Mapping[bytes, StoredPpk]:
        """Those of a peer that have not been used, by PPK_ID; read again only when somebody else
        has changed the file.
        """
        with self._faults():
            (version,) = self._db.execute("PRAGMA data_version").fetchone()
        if version != self._version:
            self._left = {}
            for key in self.listed():
                if key.sealed is not None:
                    self._left.setdefault(key.peer, {})[key.identity] = key
            self._version = version
        return self._left.get(peer, {})

    def opened(self, key: StoredPpk) -> PostquantumKey | None:
        """The key itself; None: it has been used."""
        if key.sealed is None:
            return None
        return PostquantumKey(key.identity, self._sealer.open(key.sealed, key.label))


class PeerPpks:
    """The keys of one peer as IKE asks for them; the file is opened when it is needed first."""

    def __init__(self, peer: str, make_store: Callable[[], PpkStore]) -> None:
        self._peer = peer
        self._make_store = make_store
        self._store: PpkStore | None = None

    def any(self) -> bool:
        """Whether there is one that has not been used."""
        return _answer(lambda: bool(self._left))

    def offer(self) -> Sequence[PostquantumKey]:
        """The oldest that is used once, which it is hereby; then the others, latest first."""
        return _answer(lambda: [*self._used_now(), *self._fixed()])

    def find(self, identity: bytes) -> PostquantumKey | None:
        """By PPK_ID, which is no secret."""
        return _answer(lambda: self._find(identity))

    def claim(self, key: PostquantumKey) -> bool:
        """Whether it is still there, and has not been used if it is used once."""
        return _answer(lambda: self._claim(key))

    @property
    def _file(self) -> PpkStore:
        if self._store is None:
            self._store = self._make_store()
        return self._store

    @property
    def _left(self) -> Mapping[bytes, StoredPpk]:
        return self._file.left(self._peer)

    def _used_now(self) -> list[PostquantumKey]:
        for stored in list(self._left.values()):
            key = self._file.opened(stored) if stored.one_time else None
            if key is not None and self._file.use(stored):
                return [key]
        return []

    def _fixed(self) -> list[PostquantumKey]:
        latest = [*self._left.values()][::-1]
        opened = [self._file.opened(key) for key in latest if not key.one_time]
        return [key for key in opened if key is not None]

    def _find(self, identity: bytes) -> PostquantumKey | None:
        stored = self._left.get(identity)
        return None if stored is None else self._file.opened(stored)

    def _claim(self, key: PostquantumKey) -> bool:
        stored = self._left.get(key.identity)
        return stored is not None and (not stored.one_time or self._file.use(stored))


def _answer(question: Callable[[], _Answer]) -> _Answer:
    """LookupError is what IKE knows of a store that fails."""
    try:
        return question()
    except StoreError as error:
        raise LookupError(str(error)) from None
