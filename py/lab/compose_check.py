"""Checks docker-compose.yml and what it refers to, where no docker engine runs.

    python -m lab.compose_check [--json]

Where compose is installed it reads the file too. The exit status is 0 when all is well.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rich.console import Console

from lab.command_lines import P4ESP, configuration_of, simple_commands, usage_fault
from lab.compose_file import OUR_IMAGE, ComposeError, ComposeFile, load_compose, local_name
from lab.dockerfile import Dockerfile
from lab.facts import Facts
from lab.report import Report

REPOSITORY: Final = Path(__file__).parents[2]
FILE: Final = "docker-compose.yml"
SCRIPTS: Final = "docker"
"""Programs of our image that are ours."""
BMV2_IMAGE: Final = "p4lang/behavioral-model:latest"
PROGRAMS: Final[Mapping[str, frozenset[str]]] = {
    OUR_IMAGE: frozenset({P4ESP, "ip", "ss", "grep"}),
    BMV2_IMAGE: frozenset({"simple_switch_grpc", "python3"}),
}
"""What the images have, as far as we use it."""
RUN: Final = (sys.executable, "-c", "from p4esp.cli.main import main; main()")
_SLEEP: Final = re.compile(r"\bsleep\b")


@dataclass(frozen=True, slots=True)
class Subject:
    """A repository with a compose file that could be read."""

    directory: Path
    compose: ComposeFile
    dockerfile: Dockerfile

    def commands(self) -> Iterator[tuple[str, str, tuple[str, ...]]]:
        """(service, image, command) of all that is run."""
        for name, service in self.compose.services.items():
            for words in service.commands:
                for command in simple_commands(words):
                    yield name, service.image, command

    @property
    def scripts(self) -> list[Path]:
        """Our own programs in the image."""
        return sorted((self.directory / SCRIPTS).iterdir())


def image_faults(subject: Subject) -> Iterator[str]:
    """Images are named without registry; the one we build is built from what there is."""
    for image in subject.dockerfile.images:
        try:
            local_name(image)
        except ValueError as error:
            yield f"Dockerfile: {error}"
    kept = (subject.directory / ".dockerignore").read_text().splitlines()
    for source in subject.dockerfile.copied:
        if not (subject.directory / source).exists():
            yield f"Dockerfile: {source} is not there"
        if f"!{source}" not in kept:
            yield f".dockerignore: leaves out {source}, which the Dockerfile copies"


def mount_faults(subject: Subject) -> Iterator[str]:
    """What is mounted from the repository is there."""
    for name, service in subject.compose.services.items():
        for source, _ in service.mounts:
            if source.startswith("./") and not (subject.directory / source).exists():
                yield f"{name}: {source} is not there"


def program_faults(subject: Subject) -> Iterator[str]:
    """What is run is in the image; our scripts can be executed."""
    scripts = {path.name for path in subject.scripts}
    for name, image, (program, *_) in subject.commands():
        accepted = PROGRAMS.get(image, frozenset()) | (scripts if image == OUR_IMAGE else set())
        if program not in accepted:
            yield f"{name}: {image} has no {program}; accepted: {', '.join(sorted(accepted))}"
    for path in subject.scripts:
        if not os.access(path, os.X_OK):
            yield f"{SCRIPTS}/{path.name} is not executable"


def user_faults(subject: Subject) -> Iterator[str]:
    """The user that the engine becomes is the image's."""
    wanted = subject.dockerfile.user_ids.get(P4ESP)
    found = re.findall(r"--re[ug]id=(\S+)", (subject.directory / SCRIPTS / "as-p4esp").read_text())
    if set(found) != {str(wanted)}:
        yield f"{SCRIPTS}/as-p4esp: {', '.join(found)}; the Dockerfile's user is {wanted}"


def usage_faults(subject: Subject) -> Iterator[str]:
    """`p4esp` takes each of its command lines."""
    for name, _, (program, *words) in subject.commands():
        if program == P4ESP and (fault := usage_fault(words)):
            yield f"{name}: p4esp {' '.join(words)}: {fault}"


def configuration_faults(subject: Subject) -> Iterator[str]:
    """`p4esp up --check` has nothing to object to."""
    found = [configuration_of(words) for _, _, words in subject.commands()]
    configurations = [item for item in found if item is not None]
    if not configurations:
        yield "no service runs p4esp up"
    for path, key in configurations:
        yield from _check_configuration(subject.directory / path, key)


def _check_configuration(path: Path, key: str) -> Iterator[str]:
    if not path.is_file() or key not in path.read_text():
        yield f"{path.name} is not there, or does not use the key {key}"
        return
    with tempfile.TemporaryDirectory() as place:
        made = Path(place, "lab.psk")
        made.touch(mode=0o600)
        made.write_text("a key for this check")
        copy = Path(place, path.name)
        copy.write_text(path.read_text().replace(key, str(made)))
        words = [*RUN, "up", "--check", str(copy)]
        done = subprocess.run(words, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    if done.returncode:
        yield done.stderr.strip()


def sleep_faults(subject: Subject) -> Iterator[str]:
    """Nothing waits by the clock: readiness is probed."""
    for path in (subject.directory / FILE, *subject.scripts):
        if _SLEEP.search(path.read_text()):
            yield f"{path.name} sleeps"


CHECKS: Final[Mapping[str, Callable[[Subject], Iterator[str]]]] = {
    "images": image_faults,
    "mounts": mount_faults,
    "programs": program_faults,
    "user": user_faults,
    "command lines": usage_faults,
    "configurations": configuration_faults,
    "no sleep": sleep_faults,
}
SCHEMA: Final = "schema"


def check_repository(directory: Path, facts: Facts) -> None:
    """Make all claims that need nothing but this program."""
    try:
        compose = load_compose(directory / FILE)
    except ComposeError as error:
        facts.give_up(str(error))
        return
    facts.claim(SCHEMA, [], f"{len(compose.services)} services, each with a health check")
    subject = Subject(directory, compose, Dockerfile.read(directory / "Dockerfile"))
    for name, check in CHECKS.items():
        facts.claim(name, check(subject), (check.__doc__ or "").rstrip("."))


def docker_has_compose() -> bool:
    """Whether compose is docker's plugin."""
    if not shutil.which("docker"):
        return False
    words = ["docker", "compose", "version"]
    return not subprocess.run(words, capture_output=True, check=False).returncode


def compose_program() -> list[str]:
    """Compose itself, as docker's plugin or on its own; empty when it is not installed."""
    if docker_has_compose():
        return ["docker", "compose"]
    return ["docker-compose"] if shutil.which("docker-compose") else []


def ask_compose(directory: Path, facts: Facts, program: list[str]) -> None:
    """Have compose itself read the file."""
    words = [*program, "--file", str(directory / FILE), "config", "--quiet"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    faults = [done.stderr.strip()] if done.returncode else []
    facts.claim("compose itself", faults, f"{' '.join(program)} config")


def check(report: Report) -> Facts:
    """Everything that can be checked here."""
    facts = Facts("compose", (SCHEMA, *CHECKS))
    check_repository(REPOSITORY, facts)
    program = compose_program()
    if program:
        ask_compose(REPOSITORY, facts, program)
    else:
        report.line("compose is not installed: its own look at the file is left out")
    for claim in facts.claims:
        report.claim(claim)
    return facts


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print the facts as JSON")
    as_json = parser.parse_args().json
    facts = check(Report(Console(quiet=as_json, soft_wrap=True)))
    if as_json:
        print(json.dumps(facts.as_json(), indent=2))
    sys.exit(0 if facts.all_held else 1)


if __name__ == "__main__":
    main()
