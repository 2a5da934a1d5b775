"""bmv2 JSON, as p4c writes it for v1model, to the intermediate representation.

``load_program`` accepts versions 2.x of the format.  What this switch cannot do is refused here,
by name and place, and never later or silently.
"""

from __future__ import annotations

from p4esp.switch import ir
from p4esp.switch.errors import LoadError
from p4esp.switch.loader.actions import load_actions
from p4esp.switch.loader.controls import load_control
from p4esp.switch.loader.cursor import Cursor
from p4esp.switch.loader.externs import load_checksums, load_errors, load_externs
from p4esp.switch.loader.headers import load_headers
from p4esp.switch.loader.parser import load_parser
from p4esp.switch.loader.scope import Scope
from p4esp.switch.loader.tables import load_direct_resources, load_profiles, load_table

_MAJOR_VERSION = 2
_REQUIRED_FIELDS = ("ingress_port", "packet_length", "instance_type", "egress_spec", "egress_port")


def load_program(document: bytes) -> ir.Program:
    """Reads one program; raises ``LoadError``."""
    root = Cursor.parse(document)
    _check_version(root)
    scope = Scope()
    load_headers(root, scope)
    _check_standard_metadata(root, scope)
    load_externs(root, scope)
    load_actions(root, scope)
    return _program(root, scope)


def _program(root: Cursor, scope: Scope) -> ir.Program:
    direct = load_direct_resources(root, scope)
    pipelines = {p["name"].text(): p for p in root.items("pipelines")}
    tables: dict[str, ir.Table] = {}
    profiles: dict[str, ir.Profile] = {}
    for pipeline in pipelines.values():
        names = frozenset(p["name"].text() for p in pipeline.items("action_profiles"))
        for at in pipeline.items("tables"):
            tables[at["name"].text()] = load_table(at, scope, direct, names)
        profiles |= load_profiles(pipeline, scope, tables)
    return ir.Program(
        headers=scope.headers,
        parser=load_parser(root, scope),
        ingress=load_control(pipelines.get("ingress"), scope, tables),
        egress=load_control(pipelines.get("egress"), scope, tables),
        deparser=_deparser(root, scope),
        actions=scope.actions,
        tables=tables,
        profiles=profiles,
        calculations=scope.calculations,
        verify=load_checksums(root, scope, "verify"),
        update=load_checksums(root, scope, "update"),
        registers=scope.registers,
        counters=scope.counters,
        meters=scope.meters,
        field_lists=scope.field_lists,
        digests=scope.digests,
        errors=load_errors(root),
    )


def _check_version(root: Cursor) -> None:
    meta = root.get("__meta__")
    if meta is None:
        return
    version = meta["version"]
    if version[0].number() != _MAJOR_VERSION:
        found = f"format version {version[0].number()}.{version[1].number()}"
        raise LoadError(found, version.path, f"is not {_MAJOR_VERSION}.x")


def _check_standard_metadata(root: Cursor, scope: Scope) -> None:
    for name in _REQUIRED_FIELDS:
        if ("standard_metadata", name) not in scope.fields:
            raise LoadError(f"field standard_metadata.{name}", f"{root.path}.headers", "is missing")


def _deparser(root: Cursor, scope: Scope) -> tuple[str, ...]:
    deparsers = list(root.items("deparsers"))
    if len(deparsers) > 1:
        raise root["deparsers"].unsupported("second deparser")
    for deparser in deparsers:
        for primitive in deparser.items("primitives"):
            raise primitive.unsupported("primitive call in a deparser")
        return tuple(scope.header(h) for h in deparser.items("order"))
    return ()
