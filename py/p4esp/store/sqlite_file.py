"""What the stores have in common: SQLite files of mode 0600, and StoreError for whatever fails."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from p4esp.store.sealing import StoreError


@contextmanager
def faults_of(name: str) -> Iterator[None]:
    """StoreError, which begins with the name, for an error of the file or in it."""
    try:
        yield
    except OSError as error:
        raise StoreError(f"{name}: {error.strerror or error}") from None
    except sqlite3.Error as error:
        raise StoreError(f"{name}: {error}") from None


def prepare(path: Path) -> None:
    """A file of mode 0600; StoreError for a path where something else is."""
    if path.exists() and not path.is_file():
        raise StoreError(f"{path} is no file; accepted: a path for the database")
    path.touch(mode=0o600)
    path.chmod(0o600)  # a file that was there keeps its mode otherwise
