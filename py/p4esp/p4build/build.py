"""`p4esp p4 build` and `p4esp p4 check`."""

from __future__ import annotations

import tempfile
from pathlib import Path

from p4esp.p4build.compiler import Compiler, find_compiler
from p4esp.p4build.programs import ARTEFACT_DIR, PROGRAMS, BuildError, Program
from p4esp.p4build.stamp import Stamp, differences, read_stamp, take_stamp


def build(repository: Path) -> Stamp:
    """Compiles every program into ``bmv2-configs`` and stamps the result."""
    compiler = find_compiler(repository)
    for program in PROGRAMS:
        compiler.compile(program, repository, repository / ARTEFACT_DIR)
    stamp = take_stamp(repository, compiler.version)
    stamp.write(repository)
    return stamp


def check(repository: Path) -> str:
    """Proves that the artefacts belong to the sources; returns how far the proof went.

    ``BuildError`` lists what differs. Where a p4c is at hand the sources are compiled again: all
    outputs must be equal under the stamp's version, the p4info under any other.
    """
    committed = read_stamp(repository)
    changed = differences(committed, take_stamp(repository, committed.compiler))
    if changed:
        raise BuildError("\n".join([*changed, "run: make p4"]))
    try:
        compiler = find_compiler(repository)
    except BuildError:
        return f"stamp of p4c {committed.compiler} fits the sources (no p4c here to recompile)"
    return _compare_recompiled(repository, compiler, committed)


def _compare_recompiled(repository: Path, compiler: Compiler, committed: Stamp) -> str:
    same_version = compiler.version == committed.compiler
    build_dir = repository / "build"
    build_dir.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=build_dir) as scratch:
        for program in PROGRAMS:
            compiler.compile(program, repository, Path(scratch))
            _compare(program, repository / ARTEFACT_DIR, Path(scratch), same_version)
    what = "all outputs are" if same_version else "the p4info is"
    return f"recompiled with p4c {compiler.version}: {what} identical"


def _compare(program: Program, committed: Path, fresh: Path, with_json: bool) -> None:
    outputs = [program.p4info_path] + ([program.json_path] if with_json else [])
    for output in outputs:
        if output(committed).read_bytes() != output(fresh).read_bytes():
            raise BuildError(f"{output(ARTEFACT_DIR)}: p4c now makes something else; run: make p4")
