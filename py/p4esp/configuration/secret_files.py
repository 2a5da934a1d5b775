"""Files that hold secrets: readable by their owner alone."""

import stat
from pathlib import Path
from typing import Final

PSK_MIN: Final = 8
"""Octets a pre-shared key has at least."""
PSK_MAX: Final = 4096


def read_psk(path: Path) -> bytes:
    """A pre-shared key from its file, without the line end; ValueError when it cannot be used."""
    try:
        facts = path.stat()
        if not stat.S_ISREG(facts.st_mode) or facts.st_size > PSK_MAX:
            raise ValueError(f"{path}: accepted: a file of at most {PSK_MAX} octets")
        key = path.read_bytes().rstrip(b"\r\n")
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}; accepted: a readable file") from None
    if stat.S_IMODE(facts.st_mode) & 0o077:
        mode = stat.S_IMODE(facts.st_mode)
        raise ValueError(f"{path}: mode {mode:04o} lets others read the key; accepted: 0600")
    if len(key) < PSK_MIN:
        raise ValueError(f"{path}: {len(key)} octets; accepted: at least {PSK_MIN}")
    return key
