"""Runs benchmarks on the code that PYTHONPATH shows, without peers; prints JSON.

    python -m bench TREE NAME...

`bench.compare` starts this once a revision and benchmark. TREE holds the P4 artefacts.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from bench.registry import select
from bench.session import Session


def main(tree: str, *names: str) -> None:
    """The command line."""
    session = Session(Path(tree), peers=False)
    with session.stack:
        rows = [row for benchmark in select(names) for row in benchmark.rows(session)]
    print(json.dumps([row.as_dict() for row in rows]))


if __name__ == "__main__":
    main(*sys.argv[1:])
