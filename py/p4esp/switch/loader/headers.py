"""Header types and instances."""

from __future__ import annotations

from p4esp.switch import ir
from p4esp.switch.errors import LoadError
from p4esp.switch.loader.cursor import Cursor
from p4esp.switch.loader.scope import Scope

MAX_FIELD_BITS = 1 << 16


def load_headers(document: Cursor, scope: Scope) -> None:
    """Fills ``scope`` with every header instance and its fields."""
    types = {t["name"].text(): t for t in document.items("header_types")}
    for instance in document.items("headers"):
        header = _instance(instance, types)
        scope.headers[header.name] = header
        scope.fields.update({(header.name, f.name): f for f in header.fields})
    scope.union_members = _union_members(document)


def _instance(at: Cursor, types: dict[str, Cursor]) -> ir.Header:
    name = at["name"].text()
    type_name = at["header_type"].text()
    if type_name not in types:
        raise at["header_type"].malformed("the name of a header type")
    fields = tuple(_field(f, name, types[type_name]) for f in types[type_name].items("fields"))
    header = ir.Header(name, type_name, fields, at.flag("metadata"))
    _check_layout(header, at)
    return header


def _field(at: Cursor, header: str, header_type: Cursor) -> ir.Field:
    name = at[0].text()
    signed = len(at.value) > 2 and bool(at[2].expect((bool, int), "a boolean").value)
    if at[1].value != "*":
        return ir.Field(header, name, at[1].size(MAX_FIELD_BITS), signed)
    if header_type.get("length_exp") is not None:
        raise header_type.unsupported(f"length expression of varbit field '{name}'")
    max_bytes = header_type["max_length"].size(MAX_FIELD_BITS // 8)
    return ir.Field(header, name, max_bytes * 8, varbit=True)


def _check_layout(header: ir.Header, at: Cursor) -> None:
    if header.metadata:
        return
    if sum(f.varbit for f in header.fields) > 1:
        raise at.unsupported("header with two variable-length fields")
    if header.fixed_bits % 8:
        raise LoadError(f"header '{header.name}'", at.path, "is not a whole number of bytes")
    offset = 0
    for field in header.fields:
        if field.varbit and offset % 8:
            raise at.unsupported(f"variable-length field '{field.name}' off a byte boundary")
        offset += 0 if field.varbit else field.width


def _union_members(document: Cursor) -> frozenset[str]:
    by_id = {h["id"].number(): h["name"].text() for h in document.items("headers")}
    ids = (
        i.number() for union in document.items("header_unions") for i in union.items("header_ids")
    )
    return frozenset(by_id[i] for i in ids if i in by_id)
