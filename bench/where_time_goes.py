"""Where the time of an action goes, by part of the code."""

from __future__ import annotations

import cProfile
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import PurePath
from pstats import Stats

CRYPTOGRAPHY = "cryptography"
_CRYPTO_MARKS = ("cryptography", "_hashlib", "_hmac", "hmac.digest", "hmac_digest")
OTHER = "other"


def self_times(action: Callable[[], object]) -> Mapping[str, float]:
    """Seconds by part: `cryptography` calls (hash functions included), packages of ours, other.

    Taken with cProfile, which makes Python functions look slower than they are, C code not.
    """
    profile = cProfile.Profile()
    profile.runcall(action)
    times: Counter[str] = Counter()
    for (file, _, name), (_, _, own, _, _) in Stats(profile).stats.items():  # type: ignore[attr-defined]
        times[_part(file, name)] += own
    return times


def _part(file: str, name: str) -> str:
    if any(mark in file or mark in name for mark in _CRYPTO_MARKS):
        return CRYPTOGRAPHY
    parts = PurePath(file).parts
    if "p4esp" not in parts:
        return OTHER
    inside = parts[len(parts) - parts[::-1].index("p4esp") :]
    return ".".join(inside[:2]).removesuffix(".py")
