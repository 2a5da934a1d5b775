"""The committed artefacts belong to the sources, and their cost is what p4c's p4info says."""

import json
import re
import shutil
from pathlib import Path

import pytest
from finsy.proto import p4i
from google.protobuf import text_format

from p4esp.p4build.cost import cost_of
from p4esp.p4build.graph import pipeline_nodes
from p4esp.p4build.passes import Pass, reachable
from p4esp.p4build.programs import (
    ARTEFACT_DIR,
    PROGRAMS,
    BuildError,
    find_repository,
    source_files,
)
from p4esp.p4build.stamp import differences, read_stamp, take_stamp

REPOSITORY = find_repository(Path(__file__).parent)
GATEWAY = PROGRAMS[0].json_path(REPOSITORY / ARTEFACT_DIR)


@pytest.fixture(scope="module")
def p4info() -> p4i.P4Info:
    text = PROGRAMS[0].p4info_path(REPOSITORY / ARTEFACT_DIR).read_text()
    return text_format.Parse(text, p4i.P4Info())


@pytest.fixture
def copy_of_tree(tmp_path: Path) -> Path:
    for folder in ("p4src", "bmv2-configs"):
        shutil.copytree(REPOSITORY / folder, tmp_path / folder)
    return tmp_path


def changes(tree: Path) -> list[str]:
    return differences(read_stamp(tree), take_stamp(tree, "1"))


def test_stamp_fits_the_committed_tree() -> None:
    assert changes(REPOSITORY) == []


def test_stamp_names_a_changed_source(copy_of_tree: Path) -> None:
    source = source_files(copy_of_tree)[0]
    (copy_of_tree / source).write_text("// changed\n")
    assert changes(copy_of_tree) == [f"{source}: changed since the stamp was made"]


def test_stamp_names_an_added_and_a_removed_source(copy_of_tree: Path) -> None:
    gone = source_files(copy_of_tree)[0]
    (copy_of_tree / gone).unlink()
    (copy_of_tree / "p4src" / "zz.p4").write_text("")
    assert changes(copy_of_tree) == [
        f"{gone}: removed since the stamp was made",
        "p4src/zz.p4: added since the stamp was made",
    ]


def test_stamp_names_an_edited_artefact(copy_of_tree: Path) -> None:
    p4info = PROGRAMS[0].p4info_path(ARTEFACT_DIR)
    (copy_of_tree / p4info).write_text("")
    assert changes(copy_of_tree) == [f"{p4info}: changed since the stamp was made"]


@pytest.mark.parametrize("text", ["", "[]", '{"compiler": "1"}'])
def test_unreadable_stamp_says_what_to_run(copy_of_tree: Path, text: str) -> None:
    (copy_of_tree / "bmv2-configs" / "stamp.json").write_text(text)
    with pytest.raises(BuildError, match=r"stamp\.json.*make p4"):
        read_stamp(copy_of_tree)


def test_cost_counts_the_keyed_tables_of_the_p4info(p4info: p4i.P4Info) -> None:
    keyed = sum(bool(table.match_fields) for table in p4info.tables)
    assert cost_of(GATEWAY).keyed_tables == keyed


def test_cost_counts_the_register_cells_of_the_p4info(p4info: p4i.P4Info) -> None:
    cost = cost_of(GATEWAY)
    assert cost.register_cells == sum(item.size for item in p4info.registers)
    assert cost.register_bits == 64 * cost.register_cells


def test_every_table_and_action_has_a_stable_id(p4info: p4i.P4Info) -> None:
    sources = "".join((REPOSITORY / path).read_text() for path in source_files(REPOSITORY))
    written = {int(text, 16) for text in re.findall(r"@id\((0x[0-9A-Fa-f]+)\)", sources)}
    exposed = [*p4info.tables, *p4info.counters, *p4info.meters, *p4info.registers]
    exposed_ids = {item.preamble.id for item in exposed}
    exposed_ids |= {action.id for table in p4info.tables for action in table.action_refs}
    assert exposed_ids == written


def test_cost_of_something_else_says_so(tmp_path: Path) -> None:
    other = tmp_path / "other.json"
    other.write_text(json.dumps({"pipelines": []}))
    with pytest.raises(BuildError, match=r"other\.json: not a bmv2 JSON"):
        cost_of(other)


def test_a_pass_does_not_meet_the_tables_of_the_other_direction() -> None:
    program = json.loads(GATEWAY.read_text())
    nodes = pipeline_nodes(program, program["pipelines"][0])
    inbound = Pass("inbound", ".path", frozenset({4, 5}))
    names = {node.name for node in reachable(nodes, inbound)}
    assert "sa_in" in names
    assert not {"sa_out", "sa_select"} & names
