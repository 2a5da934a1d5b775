"""What the loader refuses, and that it says what and where."""

import contextlib
import json

import pytest
from switch_lab import Lab, lab, program_json

from p4esp.switch.errors import LoadError


def refusal(document) -> LoadError:
    with pytest.raises(LoadError) as caught:
        Lab().device.load(json.dumps(document).encode())
    return caught.value


def first_action(document, op):
    """The first action that has a primitive ``op``, with the primitive's place."""
    for action in document["actions"]:
        for place, call in enumerate(action["primitives"]):
            if call["op"] == op:
                return action, place
    raise AssertionError(op)


def test_unknown_primitive_is_refused_by_name_and_place():
    document = program_json("state")
    action, place = first_action(document, "register_read")
    action["primitives"][place]["op"] = "teleport"
    error = refusal(document)
    assert "primitive 'teleport'" in str(error)
    number = document["actions"].index(action)
    assert error.where == f"program.actions[{number}].primitives[{place}].op"


@pytest.mark.parametrize(
    ("op", "operator"),
    [("size_stack", "size_stack"), ("access_field", "access_field"), ("**", "**")],
)
def test_unknown_operator_is_refused_by_name(op, operator):
    document = program_json("arithmetic")
    action, place = first_action(document, "assign")
    right = {"type": "hexstr", "value": "0x1"}
    value = {"op": op, "left": right, "right": right}
    action["primitives"][place]["parameters"][1] = {"type": "expression", "value": value}
    assert f"operator '{operator}'" in str(refusal(document))


@pytest.mark.parametrize(
    ("kind", "named"), [("stack", "header stack"), ("union_stack", "header union_stack")]
)
def test_extraction_into_a_stack_is_refused_by_name(kind, named):
    document = program_json("state")
    operation = document["parsers"][0]["parse_states"][0]["parser_ops"][0]
    operation["parameters"][0]["type"] = kind
    assert named in str(refusal(document))


def test_parser_value_set_is_refused_by_name():
    document = program_json("parse")
    transition = document["parsers"][0]["parse_states"][0]["transitions"][0]
    transition["type"] = "parse_vset"
    assert "value set" in str(refusal(document))


def test_queueing_metadata_is_refused_by_name():
    document = program_json("state")
    action, place = first_action(document, "assign")
    field = {"type": "field", "value": ["standard_metadata", "enq_qdepth"]}
    action["primitives"][place]["parameters"][1] = field
    assert "queueing metadata 'enq_qdepth'" in str(refusal(document))


def test_extern_instance_is_refused_by_its_type():
    document = program_json("state")
    document["extern_instances"] = [{"name": "x", "id": 0, "type": "my_extern"}]
    assert "extern of type 'my_extern'" in str(refusal(document))


def test_unknown_match_kind_is_refused_by_name():
    document = program_json("tables")
    table = next(t for t in document["pipelines"][0]["tables"] if t["key"])
    table["key"][0]["match_type"] = "fuzzy"
    assert "match kind 'fuzzy'" in str(refusal(document))


def test_unknown_hash_algorithm_is_refused_by_name():
    document = program_json("state")
    document["calculations"][0]["algo"] = "md5"
    assert "hash algorithm 'md5'" in str(refusal(document))


def test_newer_major_version_is_refused():
    document = program_json("state")
    document["__meta__"]["version"] = [3, 0]
    assert "3.0" in str(refusal(document))


def test_cycle_of_tables_is_refused():
    document = program_json("tables")
    pipeline = document["pipelines"][0]
    table = next(t for t in pipeline["tables"] if t["name"] == pipeline["init_table"])
    table["base_default_next"] = table["name"]
    table["next_tables"] = dict.fromkeys(table["next_tables"], table["name"])
    assert "cycle" in str(refusal(document))


@pytest.mark.parametrize("document", [b"", b"{", b"[]", b"\xff\xfe", b"null", b"[" * 100_000])
def test_what_is_not_a_json_object_is_refused(document):
    with pytest.raises(LoadError):
        Lab().device.load(document)


def test_truncated_document_is_refused_at_every_length():
    whole = json.dumps(program_json("profile")).encode()
    for length in range(0, len(whole), 997):
        with pytest.raises(LoadError):
            Lab().device.load(whole[:length])


def test_missing_or_mistyped_members_never_raise_anything_else():
    """Every member of a document in turn is removed, or replaced by something of another type."""
    whole = json.dumps(program_json("profile"))

    def spoil(place: int, replacement: object) -> bool:
        document = json.loads(whole)
        stack, count = [document], 0
        while stack:
            node = stack.pop()
            keys = list(node) if isinstance(node, dict) else range(len(node))
            for key in keys:
                if count == place:
                    node[key] = replacement
                    with contextlib.suppress(LoadError):
                        Lab().device.load(json.dumps(document).encode())
                    return True
                count += 1
                if isinstance(node[key], dict | list):
                    stack.append(node[key])
        return False

    spoiled = 0
    for replacement in (None, "nonsense", -1, [], {}):
        for place in range(0, 1500, 13):
            spoiled += spoil(place, replacement)
    assert spoiled > 100


def test_refused_program_leaves_the_old_one_running():
    running = lab("state")
    before = running.send(bytes(9))
    with pytest.raises(LoadError):
        running.device.load(b"{}")
    assert running.send(bytes(9)) == before
    assert "ingress.cells" in running.device.program.registers


def test_a_device_without_program_drops_packets():
    assert Lab().send(bytes(60)) == []
