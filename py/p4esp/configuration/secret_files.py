"""Files that hold secrets: readable by their owner alone."""

import stat
from pathlib import Path
from typing import Final

PSK_MIN: Final = 8
"""Octets a pre-shared key has at least."""
PSK_MAX: Final = 4096


def read_psk(path: Path) -> bytes:
    """A pre-shared key from its file, without the line end; ValueError when it cannot be used."""
    key = read_secret(path, PSK_MAX).rstrip(b"\r\n")
    if len(key) < PSK_MIN:
        raise ValueError(f"{path}: {len(key)} octets; accepted: at least {PSK_MIN}")
    return key


def read_secret(path: Path, at_most: int) -> bytes:
    """The octets of a file that nobody but its owner may read; ValueError otherwise."""
    data = read_regular(path, at_most)
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        raise ValueError(f"{path}: mode {mode:04o} lets others read the key; accepted: 0600")
    return data


def read_regular(path: Path, at_most: int) -> bytes:
    """The octets of an ordinary file of bounded size; ValueError otherwise."""
    try:
        facts = path.stat()
        if not stat.S_ISREG(facts.st_mode) or facts.st_size > at_most:
            raise ValueError(f"{path}: accepted: a file of at most {at_most} octets")
        return path.read_bytes()
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}; accepted: a readable file") from None
