"""Runs a fuzz target.

python -m fuzz NAME SECONDS    with atheris, for so long; findings go to build/fuzz/NAME
python -m fuzz NAME FILE...    once for each file, without a fuzzer
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

TARGETS = ("ike_codec", "ike_machine")
MAX_SIZE = 4096


def main(name: str, *rest: str) -> None:
    """The command line."""
    if name not in TARGETS or not rest:
        sys.exit(f"{__doc__}\ntargets: {', '.join(TARGETS)}")
    if rest[0].isdigit():
        _fuzz(name, int(rest[0]))
    target = importlib.import_module(f"fuzz.{name}")
    for file in rest:
        target.check(Path(file).read_bytes())


def _fuzz(name: str, seconds: int) -> None:
    """Ends the process; status 0 when nothing was found."""
    import atheris

    with atheris.instrument_imports(include=["p4esp"]):
        target = importlib.import_module(f"fuzz.{name}")
    place = Path("build") / "fuzz" / name
    corpus = place / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(target.seeds()):
        (corpus / f"seed-{number}").write_bytes(seed)
    options = [f"-max_total_time={seconds}", f"-max_len={MAX_SIZE}", f"-artifact_prefix={place}/"]
    quiet = ["-print_final_stats=1", "-verbosity=0", "-timeout=20", "-rss_limit_mb=2048"]
    atheris.Setup([sys.argv[0], *options, *quiet, str(corpus)], target.check)
    atheris.Fuzz()


if __name__ == "__main__":
    main(*sys.argv[1:])
