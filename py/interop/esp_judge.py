"""tshark judges a capture with the keys that our gateway exported."""

import os
import subprocess
from collections import Counter
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Verdict:
    """ESP packets by whether their ICV is right, and the IKE exchanges that could be read."""

    good: int
    bad: int
    unknown: int
    """No key fits."""
    exchanges: frozenset[str]


def _fields(capture: Path, keys: Path, wanted: str, *names: str) -> list[list[str]]:
    """Rows of field values of the packets that a display filter wants."""
    options = [item for name in names for item in ("-e", name)]
    preferences = ("enable_encryption_decode", "enable_authentication_check")
    decode = [item for name in preferences for item in ("-o", f"esp.{name}:TRUE")]
    words = ["tshark", "-C", "p", "-r", str(capture), *decode, "-Y", wanted, "-T", "fields"]
    environment = {**os.environ, "WIRESHARK_CONFIG_DIR": str(keys.parents[1])}
    done = subprocess.run(
        [*words, *options], env=environment, capture_output=True, text=True, check=True
    )
    return [line.split("\t") for line in done.stdout.splitlines()]


def judged(capture: Path, keys: Path) -> Verdict:
    """What tshark says of a capture; `keys` is a Wireshark profile directory."""
    rows = _fields(capture, keys, "esp", "esp.icv_good", "esp.icv_bad")
    verdicts = Counter(tuple(row) for row in rows)
    opened = _fields(capture, keys, "isakmp.enc.decrypted", "isakmp.exchangetype")
    clear = _fields(capture, keys, "isakmp.exchangetype == 34", "isakmp.exchangetype")
    return Verdict(
        good=verdicts["1", "0"],
        bad=verdicts["0", "1"],
        unknown=sum(verdicts.values()) - verdicts["1", "0"] - verdicts["0", "1"],
        exchanges=frozenset(row[0] for row in opened + clear),
    )
