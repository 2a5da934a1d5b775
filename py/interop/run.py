"""Runs the interoperability suite in namespaces of its own. Takes pytest's options, or
`--run SCRIPT ARGUMENT...` for a script of this directory.
"""

import os
import shutil
import sys
from pathlib import Path

from lab.isolation import inside, isolate, prepare
from programs import PACKAGES, PROGRAMS

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[1]


def main() -> None:
    """Become pytest, one `exec` after the other: outside, inside the namespaces."""
    if inside():
        prepare()
        os.execv(sys.executable, [sys.executable, *_program(sys.argv[1:])])
    _require_programs(frozenset({"pluto"}) if sys.argv[1:2] == ["--run"] else frozenset())
    isolate([__file__, *sys.argv[1:]])


def _require_programs(needless: frozenset[str]) -> None:
    needed = PROGRAMS.keys() - needless
    missing = [name for name in needed if shutil.which(name, path=PROGRAMS[name].path) is None]
    if missing:
        accepted = f"apt-get install {' '.join(PACKAGES)}, then make interop-peer"
        sys.exit(f"interop: {', '.join(missing)} not found; accepted: {accepted}")


def _program(arguments: list[str]) -> list[str]:
    """What Python is to run: a script of this directory after `--run`, else pytest."""
    if arguments[:1] == ["--run"]:
        return [str(HERE / arguments[1]), *arguments[2:]]
    return ["-m", "pytest", *_options(arguments)]


def _options(arguments: list[str]) -> list[str]:
    os.chdir(REPOSITORY)
    report = REPOSITORY / "build" / "reports"
    report.mkdir(parents=True, exist_ok=True)
    patience = ["--timeout=150", "-o", "faulthandler_timeout=200"]
    shared = ["-n", "2", "--dist", "loadfile"]
    fixed = [*patience, *shared, f"--junitxml={report / 'interop.xml'}"]
    named = any(Path(item.split("::")[0]).exists() for item in arguments)
    return [*fixed, *arguments, *([] if named else [str(HERE)])]


if __name__ == "__main__":
    main()
