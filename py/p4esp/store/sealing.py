"""Key material at rest: sealed with AES-256-GCM under a key that is not in the database.

The sealing key is 32 random octets in a file of its own with mode 0600, so that a copy of the
database (a backup, a bug report) gives away no traffic key. It protects against nothing that can
read the controller's files. The row's identity is authenticated with the keys: a sealed blob that
is moved to another SA does not open.
"""

import os
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_SIZE: Final = 32
NONCE_SIZE: Final = 12


class StoreError(RuntimeError):
    """The store cannot be used; the text says which file and why."""


class KeyFileError(StoreError):
    """The sealing key's file is missing, readable by others, or not what it should be."""


class Sealer:
    """Seals and opens small secrets."""

    def __init__(self, key: bytes, random_bytes: Callable[[int], bytes] = os.urandom) -> None:
        self._aead = AESGCM(key)
        self._random_bytes = random_bytes

    @classmethod
    def from_file(cls, path: Path) -> Self:
        """Use the key in a file; a missing file is made, with mode 0600."""
        return cls(key_from_file(path))

    def seal(self, secret: bytes, identity: bytes) -> bytes:
        """Encrypt a secret that belongs to `identity`."""
        nonce = self._random_bytes(NONCE_SIZE)
        return nonce + self._aead.encrypt(nonce, secret, identity)

    def open(self, sealed: bytes, identity: bytes) -> bytes:
        """Decrypt; StoreError when key, identity or blob are not those of `seal`."""
        try:
            return self._aead.decrypt(sealed[:NONCE_SIZE], sealed[NONCE_SIZE:], identity)
        except (InvalidTag, ValueError):
            text = identity.decode(errors="replace")
            raise StoreError(
                f"the keys of {text} do not open: is the key file another one?"
            ) from None


def key_from_file(path: Path) -> bytes:
    """The 32 octets of a key file; a missing file is made of random ones, with mode 0600."""
    try:
        if not path.exists():
            _create(path, os.urandom(KEY_SIZE))
        return _read(path)
    except OSError as error:
        raise KeyFileError(f"key file {path}: {error.strerror}") from None


def _create(path: Path, key: bytes) -> None:
    """Complete or not at all: a crash leaves no file of the final name that is cut short."""
    descriptor, draft = tempfile.mkstemp(dir=path.parent, prefix=f"{path.name}.")  # mode 0600
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(key)
            file.flush()
            os.fsync(file.fileno())
        os.link(draft, path)
    finally:
        os.unlink(draft)


def _read(path: Path) -> bytes:
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        raise KeyFileError(f"{path}: mode {mode:04o} lets others read the key; accepted: 0600")
    key = path.read_bytes()
    if len(key) != KEY_SIZE:
        raise KeyFileError(f"{path}: {len(key)} octets; accepted: {KEY_SIZE} random octets")
    return key
