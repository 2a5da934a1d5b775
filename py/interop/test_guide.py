"""The operator guide's commands for `p4esp ike` do what it says, word for word."""

import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from lab.logged_process import LoggedProcess
from lab.netlab import Lab, Namespace
from our_daemon import ENVIRONMENT, P4ESP, OurDaemon

REPOSITORY = Path(__file__).parents[2]
GUIDE = (REPOSITORY / "docs" / "operator-guide.md").read_text()
SECTION = GUIDE.split("\n## IKE without a switch\n", 1)[1].split("\n## ", 1)[0]
KEY = "the key of both ends"
OUTCOMES = [
    *("child-up", "peer-alive", "child-rekeyed", "ike-rekeyed", "child-down", "ike-down"),
    *("child-up", "path-changed", "announced"),
]
"""What the commands behind `status` end with."""


def blocks() -> list[list[str]]:
    """The command blocks of the section, as lists of lines."""
    return [block.splitlines() for block in re.findall(r"```sh\n(.*?)```", SECTION, re.DOTALL)]


def right_end() -> dict[str, object]:
    """The mirror image of the example."""
    child = {"name": "net", "local": ["10.2.0.0/16"], "remote": ["10.1.0.0/16"]}
    peer = {"name": "left", "local": "192.0.2.2", "psk": KEY, "mobike": True, "children": [child]}
    return {"peers": [peer | {"local_id": "right.example", "remote_id": "left.example"}]}


@dataclass(frozen=True, slots=True)
class Desk:
    """Where the operator of the guide sits."""

    namespace: Namespace
    directory: Path

    def run(self, line: str) -> str:
        """A command of the guide: what it prints."""
        words = self.namespace.command("sh", "-c", line)
        done = subprocess.run(
            words, cwd=self.directory, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def start(self, line: str) -> LoggedProcess:
        """One that stays in the foreground."""
        words = ("sh", "-c", f"cd {self.directory} && exec {line}")
        return LoggedProcess(self.namespace, words, self.directory / "log", ENVIRONMENT)


@pytest.fixture
def desk(lab: Lab, tmp_path: Path) -> Iterator[Desk]:
    """The example's file and key, and the other end."""
    left, right = lab.host("left"), lab.host("right")
    ours = ["192.0.2.1/24", "192.0.2.7/24"]
    lab.cable((left, "wire", ours), (right, "wire", ["192.0.2.2/24"]))
    place = tmp_path / "desk"
    (place / ".venv" / "bin").mkdir(parents=True)
    (place / ".venv" / "bin" / "p4esp").symlink_to(P4ESP)
    (place / "ike.toml").write_text((REPOSITORY / "examples" / "ike.toml").read_text())
    (place / "right.psk").write_text(f"{KEY}\n")
    (place / "right.psk").chmod(0o600)
    with OurDaemon(right, tmp_path / "right", right_end()):
        yield Desk(left, place)


def test_the_commands_of_the_guide_do_what_it_says(desk: Desk) -> None:
    (check, run), sas, moves = blocks()[:3]
    assert "nothing to object to" in desk.run(check)
    with desk.start(run) as daemon:
        daemon.wait_for("ike: ready")
        said = [desk.run(line) for line in (*sas, *moves)]
    assert [text.split()[0] for text in said[1:]] == OUTCOMES
