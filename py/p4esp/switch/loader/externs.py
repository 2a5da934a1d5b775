"""Declared objects: registers, counters, meters, calculations, checksums, field lists, errors."""

from __future__ import annotations

from p4esp.switch import ir
from p4esp.switch.loader.cursor import Cursor
from p4esp.switch.loader.expressions import load_expression
from p4esp.switch.loader.scope import Scope

MAX_CELLS = 1 << 24
ALGORITHMS = frozenset(
    {"crc16", "crc32", "crcCCITT", "crc16_custom", "crc32_custom", "csum16", "cksum16"}
    | {"identity", "xor16", "xor32"}
)


def load_externs(document: Cursor, scope: Scope) -> None:
    """Fills ``scope`` with everything actions may refer to."""
    for instance in document.items("extern_instances"):
        raise instance.unsupported(f"extern of type '{instance['type'].text()}'")
    scope.registers = {r.name: r for r in map(_register, document.items("register_arrays"))}
    scope.counters = {
        c["name"].text(): ir.Counter(c["name"].text(), c["size"].size(MAX_CELLS))
        for c in document.items("counter_arrays")
        if not c.flag("is_direct")
    }
    scope.meters = {
        m["name"].text(): ir.Meter(m["name"].text(), m["size"].size(MAX_CELLS), meter_unit(m))
        for m in document.items("meter_arrays")
        if not m.flag("is_direct")
    }
    scope.calculations = {
        c.name: c for c in (_calculation(at, scope) for at in document.items("calculations"))
    }
    scope.field_lists = dict(_field_list(f, scope) for f in document.items("field_lists"))
    scope.digests = dict(_field_list(f, scope) for f in document.items("learn_lists"))


def load_checksums(document: Cursor, scope: Scope, kind: str) -> tuple[ir.Checksum, ...]:
    """The checksums to ``verify`` or to ``update``, in program order."""
    checksums = document.items("checksums")
    return tuple(_checksum(c, scope) for c in checksums if _applies(c, kind))


def load_errors(document: Cursor) -> dict[str, int]:
    """Parser errors by name."""
    return {e[0].text(): e[1].number() for e in document.items("errors")}


def meter_unit(at: Cursor) -> ir.CounterUnit:
    """What a meter array measures."""
    if at["rate_count"].number() != 2:
        raise at["rate_count"].unsupported("meter without two rates")
    try:
        return ir.CounterUnit(at["type"].text())
    except ValueError:
        raise at["type"].malformed("'packets' or 'bytes'") from None


def load_calculation_input(at: Cursor, scope: Scope) -> ir.Calculation:
    """An unnamed calculation: ``algo`` over ``input``, as a selector has it."""
    algorithm = at["algo"].text()
    if algorithm not in ALGORITHMS:
        raise at["algo"].unsupported(f"hash algorithm '{algorithm}'")
    inputs: list[ir.Field | tuple[int, int]] = []
    payload = False
    for item in at.items("input"):
        payload = payload or item["type"].value == "payload"
        inputs += _input(item, scope)
    return ir.Calculation("", algorithm, tuple(inputs), payload)


def _input(at: Cursor, scope: Scope) -> list[ir.Field | tuple[int, int]]:
    match at["type"].text():
        case "field":
            return [scope.field(at["value"])]
        case "hexstr":
            width = at["bitwidth"].size(1 << 16)
            return [(at["value"].hex() & ((1 << width) - 1), width)]
        case "header":
            return list(scope.headers[scope.header(at["value"])].fields)
        case "payload":
            return []
        case kind:
            raise at.unsupported(f"calculation input of type '{kind}'")


def _calculation(at: Cursor, scope: Scope) -> ir.Calculation:
    unnamed = load_calculation_input(at, scope)
    return ir.Calculation(at["name"].text(), unnamed.algorithm, unnamed.inputs, unnamed.payload)


def _applies(at: Cursor, kind: str) -> bool:
    flag = at.get(kind)
    return flag is None or bool(flag.value)


def _checksum(at: Cursor, scope: Scope) -> ir.Checksum:
    calculation = at["calculation"].text()
    if calculation not in scope.calculations:
        raise at["calculation"].malformed("the name of a calculation")
    condition = at.get("if_cond")
    loaded = None if condition is None else load_expression(condition, scope)
    return ir.Checksum(at["name"].text(), scope.field(at["target"]), calculation, loaded)


def _register(at: Cursor) -> ir.Register:
    return ir.Register(at["name"].text(), at["size"].size(MAX_CELLS), at["bitwidth"].size(1 << 16))


def _field_list(at: Cursor, scope: Scope) -> tuple[int, ir.FieldList]:
    fields = []
    for element in at.items("elements"):
        if element["type"].text() != "field":
            raise element.unsupported(f"'{element['type'].text()}' in a field list")
        fields.append(scope.field(element["value"]))
    return at["id"].number(), ir.FieldList(at["name"].text(), tuple(fields))
