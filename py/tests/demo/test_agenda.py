"""The tour of the agenda: what it says of two runs, and that it notices a claim that is false."""

import asyncio
import io
import json
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest
from lab_helpers import PROGRAM
from rich.console import Console

from p4esp.agenda.configuring import extension
from p4esp.agenda.differences import table_changes, wire_changes
from p4esp.agenda.items import ITEMS
from p4esp.agenda.model import Claim, Evidence, Finding, Item, Message, Run
from p4esp.agenda.report import as_json, show, verdict
from p4esp.agenda.tour import walk
from p4esp.controller.entries import Entry
from p4esp.ike.extension_wishes import ExtensionWishes

REPOSITORY = Path(__file__).parents[3]
P4ESP = (sys.executable, "-c", "from p4esp.cli.main import main; main()")
NAMES = [item.name for item in ITEMS]


def evidence(messages=(), tables=(), sent=0, delivered=0) -> Evidence:
    ends = {"left": []}
    return Evidence(ends, ends, list(messages), {"left": list(tables)}, [], sent, delivered)


def findings(*items: Item) -> list[Finding]:
    async def all_of_them() -> list[Finding]:
        return [finding async for finding in walk(PROGRAM, items)]

    return asyncio.run(all_of_them())


def test_items_have_names_of_their_own_and_claims() -> None:
    assert len(set(NAMES)) == len(NAMES)
    assert all(item.claims and item.documents for item in ITEMS)


@pytest.mark.parametrize("item", ITEMS, ids=NAMES)
def test_the_test_of_an_item_exists(item: Item) -> None:
    path, _, name = item.test.partition("::")
    assert re.search(rf"^(async )?def {name}\(", (REPOSITORY / path).read_text(), re.MULTILINE)


def test_the_readme_lists_every_item_with_its_test_and_its_step() -> None:
    table = (REPOSITORY / "README.md").read_text().split("## The agenda of IETF 118\n", 1)[1]
    rows = re.findall(r"^\| (.+?) \| (.+?) \| .*\[(.+?)\]\((.+?)\).* \| `(.+?)` \|$", table, re.M)
    found = [(title, documents, path, step) for title, documents, _, path, step in rows]
    assert found == [
        (item.title, ", ".join(item.documents), item.test.partition("::")[0], item.name)
        for item in ITEMS
    ]


def test_the_extensions_are_explained_with_their_switches_and_their_steps() -> None:
    """Those of a peer, and the steps that show them."""
    text = (REPOSITORY / "docs" / "extensions.md").read_text()
    switches = [f"extensions.{each.name}" for each in fields(ExtensionWishes)]
    table = text.split("\n## ", 1)[0]
    assert [name for name in (*switches, *NAMES) if f"`{name}`" not in table] == []


def test_an_item_is_walked_through_with_what_it_changed() -> None:
    (found,) = findings(*(item for item in ITEMS if item.name == "subspaces"))
    assert found.held
    assert found.negotiated == ["format subspaces, subs 16 in, 16 out"]
    assert any("+N(REPLAY_SUBSPACES)" in line for line in found.wire_changed)
    assert "left: format_in read_as 0 -> 1" in found.tables_changed


def test_a_claim_that_is_false_or_cannot_be_looked_at_fails_the_item() -> None:
    def missing(_: Evidence, after: Evidence) -> bool:
        return bool(after.children["nowhere"])

    claims = Claim("is false", lambda *_: False), Claim("is missing", missing)
    item = Item("x", "X", ("none",), "none", Run(), claims=claims)
    (found,) = findings(item)
    assert not found.held
    assert found.claims["is false"] is found.claims["is missing"] is False


def test_gateways_that_cannot_run_fail_the_item_and_not_the_tour() -> None:
    broken = Run(lambda _, section: section.update(nonsense=True))
    good = next(item for item in ITEMS if item.name == "subspaces")
    found = findings(Item("x", "X", ("none",), "none", broken), good)
    assert [finding.held for finding in found] == [False, True]
    assert "nonsense" in "".join(found[0].claims)


def test_an_item_without_a_claim_does_not_hold() -> None:
    assert not Finding("x", "X", (), "none").held


def test_messages_that_are_new_gone_or_changed_are_told() -> None:
    def sent(name: str, octets: int, *payloads: str) -> Message:
        return Message("left", name, octets, payloads)

    before = evidence([sent("A request", 10, "SA"), sent("B request", 5, "D")])
    after = evidence([sent("A request", 14, "SA", "N(X)"), sent("C request", 7, "KE")])
    assert wire_changes(before, after) == [
        "A request: +N(X), 10 -> 14 octets",
        "B request: is gone",
        "C request: is new, 7 octets: KE",
    ]
    assert wire_changes(before, before) == []


def test_tables_that_have_more_or_fewer_entries_are_told() -> None:
    entries = [Entry.make("spd", {"dst": (at, 1)}, "protect", {}) for at in range(2)]
    lines = table_changes(evidence(tables=entries[:1]), evidence(tables=entries))
    assert lines == ["left: spd protect 1 -> 2"]


def test_the_findings_are_printed_and_are_json() -> None:
    finding = Finding("x", "An item", ("RFC 1",), "tests/x.py::test_y", claims={"works": True})
    out = io.StringIO()
    show(Console(file=out, width=100), 1, finding)
    verdict(Console(file=out, width=100), [finding])
    assert "ok  works" in out.getvalue()
    assert "1 of 1 items held" in out.getvalue()
    (read,) = json.loads(json.dumps(as_json([finding])))
    assert {"negotiated", "wire_changed", "tables_changed", "test"} <= read.keys()
    assert read["held"] is True


def test_the_command_names_the_items_that_there_are() -> None:
    command = [*P4ESP, "demo", "--tour", "--item", "nonsense"]
    ended = subprocess.run(command, capture_output=True, text=True, cwd=REPOSITORY, check=False)
    assert ended.returncode == 2
    assert "subspaces" in re.sub(r"\W+", " ", ended.stderr)


def test_extensions_of_drafts_come_with_their_switch() -> None:
    section: dict = {"peers": [{}]}
    extension(pfs_info=True)("left", section)
    assert section == {"experimental": True, "peers": [{"extensions": {"pfs_info": True}}]}
