"""Fuzzes the whole pipeline: damaged packets of every mode, family and wrapping through the
embedded switch and the engine, judged after each batch.

    python -m fuzz.pipeline [--count N] [--seed N]
    python -m fuzz.pipeline --replay FILE

`make fuzz-pipeline` runs it. A finding goes to build/fuzz/pipeline, with the command that repeats
it.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TimeElapsedColumn, TimeRemainingColumn

from fuzz.pipeline_damage import stimulus
from fuzz.pipeline_oracle import FindingError, Judge, Tally
from fuzz.pipeline_world import Stimulus

PLACE = Path("build") / "fuzz" / "pipeline"
COUNT = 50_000
BATCH = 500


def main() -> int:
    """The command line; 0 when nothing was found."""
    parser = argparse.ArgumentParser(description="Fuzzes the whole pipeline.")
    parser.add_argument("--count", type=int, default=COUNT, help="packets")
    parser.add_argument("--seed", type=int, help="of an earlier run")
    parser.add_argument("--replay", type=Path, help="a finding to repeat")
    arguments = parser.parse_args()
    if arguments.replay:
        return replay(arguments.replay)
    seed = arguments.seed if arguments.seed is not None else random.SystemRandom().getrandbits(32)
    return fuzz(arguments.count, seed)


def fuzz(count: int, seed: int) -> int:
    """Runs `count` packets; 0 when nothing was found."""
    print(f"seed {seed}", flush=True)
    started = time.monotonic()
    judge, rng = Judge(seed), random.Random(seed)
    columns = (*Progress.get_default_columns()[:2], MofNCompleteColumn())
    with Progress(*columns, TimeElapsedColumn(), TimeRemainingColumn()) as progress:
        task = progress.add_task("packets", total=count)
        while not progress.finished:
            size = min(BATCH, count - judge.tally.packets)
            batch = [stimulus(judge.world, rng) for _ in range(size)]
            try:
                judge.judge(batch)
            except FindingError as finding:
                progress.stop()
                return report(seed, batch, finding)
            progress.update(task, completed=judge.tally.packets)
    _print(judge.tally, time.monotonic() - started)
    return 0


def replay(file: Path) -> int:
    """Repeats a finding; 0 when it is gone."""
    lines = file.read_text().splitlines()
    seed, batch = int(lines[0]), [_read(line) for line in lines[1:]]
    try:
        Judge(seed).judge(batch)
    except FindingError as finding:
        print(f"still there: {finding}")
        return 1
    print("gone")
    return 0


def report(seed: int, batch: Sequence[Stimulus], finding: FindingError) -> int:
    """Saves the packet that did it, or the batch when it takes all of them."""
    guilty = _alone(seed, batch, finding)
    PLACE.mkdir(parents=True, exist_ok=True)
    file = PLACE / f"{seed}-{time.time_ns() // 1_000_000}.txt"
    file.write_text("\n".join([str(seed), *map(_line, guilty)]) + "\n")
    print(f"FOUND: {finding}")
    print(f"{len(guilty)} packet(s), the last a {guilty[-1].kind} packet by port {guilty[-1].port}")
    print(f"again: make fuzz-pipeline REPLAY={file}")
    return 1


def _alone(seed: int, batch: Sequence[Stimulus], finding: FindingError) -> Sequence[Stimulus]:
    """One packet that breaks the rule in a new world, if there is one."""
    suspects = [finding.stimulus] if finding.stimulus else batch
    judge = Judge(seed)
    for suspect in suspects:
        try:
            judge.judge([suspect])
        except FindingError:
            return [suspect]
    return batch


def _line(packet: Stimulus) -> str:
    return json.dumps({"kind": packet.kind, "port": packet.port, "data": packet.data.hex()})


def _read(line: str) -> Stimulus:
    fields = json.loads(line)
    return Stimulus(fields["kind"], fields["port"], bytes.fromhex(fields["data"]))


def _print(tally: Tally, seconds: float) -> None:
    console = Console(soft_wrap=True)
    console.print(f"{tally.packets} packets in {seconds:.1f} s, nothing found")
    rows = {
        "sent": tally.kinds,
        "outcomes": tally.outcomes,
        "drops": tally.drops,
        "punts": tally.punts,
    }
    for name, counter in rows.items():
        console.print(f"{name}: {_shown(counter)}")


def _shown(counter: Counter[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counter.most_common())


if __name__ == "__main__":
    sys.exit(main())
