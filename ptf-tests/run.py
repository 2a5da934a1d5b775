"""Runs the packet tests against a target and leaves build/reports/ptf-<target>.xml.

    python ptf-tests/run.py --target embedded|bmv2 [--jobs N] [--record] [test ...]

With several jobs each has a target of its own and a share of the modules.  A test is a PTF test
specification: a module, or module.Class.  The last line of the output is "N passed, N failed".
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from harness.jobs import Job, split
from harness.p4runtime import Client
from harness.report import (
    Result,
    closing_line,
    judge,
    read_allowed_skips,
    read_results,
    write_junit,
)
from harness.target import (
    COMMANDS,
    Addresses,
    TargetDiedError,
    TargetError,
    free_addresses,
    running,
)

SUITE = Path(__file__).resolve().parent
ROOT = SUITE.parent
P4INFO = ROOT / "bmv2-configs" / "esp_gateway.p4info.txtpb"
PROGRAM = ROOT / "bmv2-configs" / "esp_gateway.json"
REPORTS = ROOT / "build" / "reports"
TEST_TIMEOUT = 180  # seconds


def push_pipeline(addresses: Addresses) -> None:
    """Waits for the target and gives it the program, without which it takes no packets."""
    client = Client(addresses.p4runtime, 1, P4INFO)
    client.wait_ready()
    client.become_primary()
    client.push(PROGRAM.read_bytes())
    client.close()


def run_ptf(addresses: Addresses, results: Path, arguments: argparse.Namespace, job: Job) -> int:
    """The exit status of ptf; ``results`` gets one line a test."""
    params = {"p4rt": addresses.p4runtime, "p4info": str(P4INFO), "results": str(results)}
    params["record"] = "yes" if arguments.record else ""
    # Not the console script: its first line may name another interpreter.
    command = [sys.executable, str(Path(sys.executable).parent / "ptf"), "--allow-user"]
    command += ["--test-dir", str(SUITE / "tests"), "--platform-dir", str(SUITE / "platforms")]
    command += ["-P", "dpgrpc", "-a", f"dp={addresses.packets}"]
    command += ["-t", ";".join(f"{name}={value!r}" for name, value in params.items())]
    command += ["--test-case-timeout", str(TEST_TIMEOUT)]
    command += ["--quiet", "--log-file", str(REPORTS / f"ptf-{arguments.target}{job.suffix}.log")]
    command += job.tests
    environment = {**os.environ, "PYTHONPATH": str(SUITE), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(command, env=environment, check=False).returncode


def run_job(arguments: argparse.Namespace, job: Job, addresses: Addresses) -> list[Result]:
    """Starts the target, runs the tests, stops it; a target that dies is a failed test."""
    problems: tuple[str, ...] = ()
    status = 0
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch, "results.jsonl")
        try:
            log = REPORTS / f"{arguments.target}{job.suffix}.log"
            with running(arguments.target, addresses, log):
                push_pipeline(addresses)
                status = run_ptf(addresses, file, arguments, job)
        except TargetDiedError as error:
            problems = (str(error),)
        results = read_results(file)
    if status != 0 and not any(result.problems for result in results):
        problems += (f"ptf ended with status {status}",)
    return [*results, Result("target.RunsToTheEnd", 0.0, problems, ())] if problems else results


def run_jobs(arguments: argparse.Namespace) -> list[Result]:
    """The results of all jobs, which run at the same time."""
    jobs = split(arguments.tests, SUITE / "tests", arguments.jobs)
    with ThreadPoolExecutor(len(jobs)) as workers:
        run_one = partial(run_job, arguments)
        results = workers.map(run_one, jobs, free_addresses(len(jobs)))
        return [result for of_job in results for result in of_job]


def run(arguments: argparse.Namespace) -> int:
    """0 if every test passed."""
    REPORTS.mkdir(parents=True, exist_ok=True)
    allowed = read_allowed_skips(SUITE / "allowed_skips.txt")
    results = judge(run_jobs(arguments), allowed)
    write_junit(results, f"ptf-{arguments.target}", REPORTS / f"ptf-{arguments.target}.xml")
    for result in results:
        for problem in result.problems:
            print(f"FAILED {result.name}: {problem.strip().splitlines()[-1]}")
    print(closing_line(results))
    return int(not results or any(result.problems for result in results))


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--target", choices=sorted(COMMANDS), default="embedded")
    parser.add_argument("--jobs", type=int, default=1, help="targets that run at the same time")
    parser.add_argument("--record", action="store_true", help="write the fixtures anew")
    parser.add_argument("tests", nargs="*", help="all if none is named")
    try:
        return run(parser.parse_args())
    except TargetError as error:
        print(f"ptf: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
