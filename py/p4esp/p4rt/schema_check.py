"""Does the p4info describe the program it came with? Ids, names, widths, sizes, kinds."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from finsy.proto import p4i
from google.protobuf.message import Message
from google.protobuf.unknown_fields import UnknownFieldSet

from p4esp.p4rt.actions import ActionInfo
from p4esp.p4rt.errors import invalid
from p4esp.p4rt.match import MatchField
from p4esp.p4rt.schema import ArrayInfo, Schema, TableInfo
from p4esp.switch.program import ActionSpec, ArraySpec, KeySpec, MeterSpec, ProgramSpec, TableSpec


def check_known_fields(p4info: p4i.P4Info) -> None:
    """INVALID_ARGUMENT if `p4info` has fields of a newer p4info version than this server knows."""
    for where, number in _unknown_fields("p4info", p4info):
        invalid(f"{where}: field number {number} is unknown; written by a newer p4info version")


def check_unique_ids(p4info: p4i.P4Info) -> None:
    """INVALID_ARGUMENT if an object has no id, or two objects of one kind share an id."""
    for kind, objects in _preambles(p4info):
        seen: dict[int, str] = {}
        for preamble in objects:
            if not preamble.id:
                invalid(f"p4info: {kind} '{preamble.name}' has no id")
            if preamble.id in seen:
                names = f"'{seen[preamble.id]}' and '{preamble.name}'"
                invalid(f"p4info: {kind} {names} share the id {preamble.id:#x}")
            seen[preamble.id] = preamble.name


def match_program(schema: Schema, program: ProgramSpec) -> Schema:
    """Check `schema` against `program`; returns it with the key kinds that the core stores.

    Raises INVALID_ARGUMENT naming the first object that differs.
    """
    _check_missing_tables(schema, program)
    for action in schema.actions.values():
        _check_action(action, program.actions.get(action.name))
    _check_arrays(schema.counters, program.counters)
    _check_arrays(schema.meters, program.meters)
    _check_arrays(schema.registers, program.registers)
    _check_profiles(schema, program)
    _check_digests(schema, program)
    tables = {
        table_id: _check_table(table, program.tables.get(table.name))
        for table_id, table in schema.tables.items()
    }
    return replace(schema, tables=tables)


def _check_missing_tables(schema: Schema, program: ProgramSpec) -> None:
    """Tables the compiler made up have no dot in their name and are not in the p4info."""
    declared = {table.name for table in schema.tables.values()}
    for name in program.tables:
        if "." in name and name not in declared:
            invalid(f"p4info: table '{name}' of the program is missing; is the p4info truncated?")


def _check_table(table: TableInfo, spec: TableSpec | None) -> TableInfo:
    where = f"p4info: {table}"
    if spec is None:
        invalid(f"{where} is not in the program (p4_device_config)")
    if table.size != spec.size and not table.is_const:  # p4c counts the entries of const tables
        invalid(f"{where} has size {table.size}, the program says {spec.size}")
    if len(table.fields) != len(spec.keys):
        invalid(f"{where} has {len(table.fields)} keys, the program has {len(spec.keys)}")
    known = {action.name for action in spec.actions}
    for ref in table.actions:
        if ref.action.name not in known:
            invalid(f"{where} lists {ref.action}, which the program's table does not have")
    pairs = zip(table.fields, spec.keys, strict=True)
    return replace(table, fields=tuple(_check_key(where, field, key) for field, key in pairs))


def _check_key(where: str, field: MatchField, key: KeySpec) -> MatchField:
    if field.name != key.name:
        invalid(f"{where}: key '{field.name}' is called '{key.name}' in the program")
    if field.width != key.width:
        invalid(f"{where}: key '{field.name}' is bit<{field.width}>, the program: bit<{key.width}>")
    stored_as = key.kind.value
    if stored_as != field.kind and (field.kind, stored_as) != ("optional", "ternary"):
        invalid(f"{where}: key '{field.name}' is {field.kind}, the program says {stored_as}")
    return replace(field, stored_as=stored_as)


def _check_action(action: ActionInfo, spec: ActionSpec | None) -> None:
    where = f"p4info: {action}"
    if spec is None:
        invalid(f"{where} is not in the program (p4_device_config)")
    ours = [(param.name, param.width) for param in action.params]
    theirs = [(param.name, param.width) for param in spec.params]
    if ours != theirs:
        invalid(f"{where} has parameters {_params(ours)}, the program has {_params(theirs)}")


def _params(params: list[tuple[str, int]]) -> str:
    return "(" + ", ".join(f"bit<{width}> {name}" for name, width in params) + ")"


def _check_arrays(
    arrays: dict[int, ArrayInfo], specs: Mapping[str, ArraySpec] | Mapping[str, MeterSpec]
) -> None:
    for array in arrays.values():
        spec = specs.get(array.name)
        if spec is None:
            invalid(f"p4info: {array} is not in the program (p4_device_config)")
        if spec.size != array.size:
            invalid(f"p4info: {array} has size {array.size}, the program says {spec.size}")


def _check_profiles(schema: Schema, program: ProgramSpec) -> None:
    for profile in schema.profiles.values():
        spec = program.profiles.get(profile.name)
        if spec is None:
            invalid(f"p4info: {profile} is not in the program (p4_device_config)")
        if spec.selector != profile.has_selector:
            invalid(f"p4info: {profile}: with_selector differs from the program")


def _check_digests(schema: Schema, program: ProgramSpec) -> None:
    for digest in schema.digests.values():
        spec = program.digests.get(digest.name)
        if spec is None:
            invalid(f"p4info: {digest} is not in the program (p4_device_config)")
        ours = [width for _, width in digest.members]
        theirs = [field.width for field in spec.fields]
        if ours != theirs:
            invalid(f"p4info: {digest} has fields of {ours} bits, the program has {theirs}")


def _unknown_fields(where: str, message: Message) -> Iterator[tuple[str, int]]:
    for unknown in UnknownFieldSet(message):
        yield where, unknown.field_number
    for field, value in message.ListFields():
        if field.message_type is None or field.message_type.GetOptions().map_entry:
            continue
        items = value if field.is_repeated else [value]
        for index, item in enumerate(items):
            yield from _unknown_fields(f"{where}.{field.name}[{index}]", item)


def _preambles(p4info: p4i.P4Info) -> Iterator[tuple[str, list[p4i.Preamble]]]:
    yield "table", [item.preamble for item in p4info.tables]
    yield "action", [item.preamble for item in p4info.actions]
    yield "action profile", [item.preamble for item in p4info.action_profiles]
    yield "counter", [item.preamble for item in p4info.counters]
    yield "meter", [item.preamble for item in p4info.meters]
    yield "register", [item.preamble for item in p4info.registers]
    yield "digest", [item.preamble for item in p4info.digests]
