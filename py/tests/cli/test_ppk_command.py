"""`p4esp ppk`: keys into the sealed store and out of it, never onto the screen."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from p4esp.cli.main import build_app
from p4esp.ike.ppk import PostquantumKey
from p4esp.store.ppks import PeerPpks, PpkStore
from p4esp.store.sealing import Sealer

A, B = bytes(range(32)), bytes(range(32, 80))
RUNNER = CliRunner()


class Place:
    """A directory with a store."""

    def __init__(self, directory: Path) -> None:
        self.store, self.key = directory / "ppk.db", directory / "ppk.key"
        self.file = directory / "keys.txt"

    def run(self, verb: str, *more: str, code: int = 0) -> str:
        words = ["ppk", verb, str(self.store), *more, "--store-key", str(self.key)]
        result = RUNNER.invoke(build_app(words), words)
        assert result.exit_code == code, result.output
        return str(result.output)

    def load(self, text: str, *more: str, mode: int = 0o600, code: int = 0) -> str:
        self.file.write_text(text)
        self.file.chmod(mode)
        return self.run("import", str(self.file), "--peer", "east", *more, code=code)

    def keys(self) -> PeerPpks:
        return PeerPpks("east", lambda: PpkStore(self.store, Sealer.from_file(self.key)))


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_keys_are_imported_listed_used_and_removed(place: Place) -> None:
    said = place.load(f"first {A.hex()}\nsecond key {B.hex()}\n")
    said += place.load(f"7c2a {B.hex()}\n", "--once")
    assert "2 key(s) that stay the same for east" in said
    assert place.keys().find(b"\x02second key") == PostquantumKey(b"\x02second key", B)
    assert [key.identity for key in place.keys().offer()] == [
        b"\x017c2a",
        b"\x02second key",
        b"\x02first",
    ]
    said += place.run("remove", "first", "--peer", "east")
    facts = json.loads(place.run("list", "--json"))
    assert facts == [
        {"peer": "east", "id": "fixed:second key", "used": False},
        {"peer": "east", "id": "opaque:7c2a", "used": True},
    ]
    said += place.run("list")
    assert "opaque:7c2a" in said
    assert A.hex() not in said
    assert B.hex()[:16] not in said


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (f"a {A.hex()}\nb 12xy\n", "line 2: accepted: a name, a blank, a key in hex"),
        (A.hex(), "line 1: accepted"),
        (f"a {A.hex()}\n\n", "line 2: accepted"),
        (f"a {A.hex()}\nb {A[:31].hex()}", "fixed:b: 31 octets; accepted"),
        (f"a {A.hex()}\na {B.hex()}", "east has, or had, fixed:a"),
        ("", "keys.txt: no line; accepted: a name"),
    ],
)
def test_a_file_that_is_wrong_adds_nothing(place: Place, text: str, reason: str) -> None:
    said = place.load(text, code=1)
    assert reason in said
    assert A.hex() not in said
    assert not place.store.exists() or not place.keys().any()


def test_octets_that_are_no_text_are_named_by_file_and_line_alone(place: Place) -> None:
    place.file.write_bytes(b"a " + A.hex().encode() + b"\nb \xfe\xff\n")
    place.file.chmod(0o600)
    said = place.run("import", str(place.file), "--peer", "east", code=1)
    assert said.strip().endswith(
        "keys.txt: line 2: accepted: a name, a blank, a key in hexadecimal"
    )


def test_a_file_of_keys_that_others_may_read_is_refused(place: Place) -> None:
    assert "lets others read the key" in place.load(f"a {A.hex()}", mode=0o644, code=1)


def test_nothing_is_made_by_looking(place: Place) -> None:
    assert "p4esp ppk import" in place.run("list", code=1)
    assert "p4esp ppk import" in place.run("remove", "a", "--peer", "east", code=1)
    assert not place.store.exists()
    assert not place.key.exists()


def test_removing_what_is_not_there_fails(place: Place) -> None:
    place.load(f"a {A.hex()}")
    assert "east has no fixed:b" in place.run("remove", "b", "--peer", "east", code=1)
    assert "east has no opaque:a" in place.run("remove", "a", "--peer", "east", "--once", code=1)
