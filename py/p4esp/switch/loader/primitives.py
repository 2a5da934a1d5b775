"""Primitive calls, of actions and of parser states, to statements."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from p4esp.switch import ir
from p4esp.switch.loader.cursor import Cursor
from p4esp.switch.loader.expressions import load_expression
from p4esp.switch.loader.scope import Scope

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Call:
    """One primitive call: typed access to its arguments."""

    at: Cursor
    scope: Scope
    params: tuple[int, ...]

    def arg(self, index: int) -> Cursor:
        """The raw argument."""
        return self.at["parameters"][index]

    def value(self, index: int) -> ir.Expr:
        """The argument as a value."""
        return load_expression(self.arg(index), self.scope, self.params)

    def target(self, index: int) -> ir.Field:
        """The argument as a field to be written."""
        at = self.arg(index)
        if at["type"].text() != "field":
            raise at.unsupported(f"assignment to a '{at['type'].text()}'")
        return self.scope.field(at["value"])

    def header(self, index: int) -> str:
        """The argument as a header instance."""
        at = self.arg(index)
        if at["type"].text() != "header":
            raise at.unsupported(f"'{at['type'].text()}' in place of a header")
        return self.scope.header(at["value"])

    def named(self, index: int, declared: Mapping[str, _T]) -> str:
        """The argument as the name of a declared object."""
        name = self.arg(index)["value"].text()
        if name not in declared:
            raise self.arg(index).malformed("the name of a declared object")
        return name

    def field_list(self, index: int, declared: Mapping[int, _T]) -> int:
        """The argument as the constant id of a field list (0: the empty one)."""
        list_id = self.arg(index)["value"].hex()
        if list_id not in declared and list_id != 0:
            raise self.arg(index).malformed("the id of a declared field list")
        return list_id


def load_primitive(at: Cursor, scope: Scope, params: tuple[int, ...] = ()) -> ir.Stmt | None:
    """The statement for one call; ``None`` for one without effect; unknown names are refused."""
    op = at["op"].text()
    build = _PRIMITIVES.get(op)
    if build is None:
        raise at["op"].unsupported(f"primitive '{op}'")
    return build(Call(at, scope, params))


def _assign(call: Call) -> ir.Stmt:
    target = call.target(0)
    return _assign_varbit(call) if target.varbit else ir.Assign(target, call.value(1))


def _assign_varbit(call: Call) -> ir.Stmt:
    target, source = call.target(0), call.target(1)
    if not (target.varbit and source.varbit):
        raise call.at.malformed("an assignment between variable-length fields")
    return ir.AssignVarbit(target, source)


def _copy_header(call: Call) -> ir.Stmt:
    target, source = call.header(0), call.header(1)
    headers = call.scope.headers
    if [f.width for f in headers[target].fields] != [f.width for f in headers[source].fields]:
        raise call.at.malformed("a copy between headers of one type")
    return ir.CopyHeader(target, source)


def _clone(egress: bool) -> Callable[[Call], ir.Stmt]:
    def build(call: Call) -> ir.Stmt:
        return ir.Clone(call.value(0), call.field_list(1, call.scope.field_lists), egress)

    return build


def _log(call: Call) -> ir.Stmt:
    values = call.arg(1)["value"].value
    count = len(values) if isinstance(values, list) else 0
    items = (call.arg(1)["value"][i] for i in range(count))
    loaded = tuple(load_expression(item, call.scope, call.params) for item in items)
    return ir.Log(call.arg(0)["value"].text(), loaded)


def _check(kind: str) -> Callable[[Call], ir.Stmt]:
    return lambda call: ir.Check(kind, call.value(0), _source_line(call.at))


def _source_line(at: Cursor) -> str:
    info = at.get("source_info")
    return at.path if info is None else f"{info.value.get('filename')}:{info.value.get('line')}"


_PRIMITIVES: dict[str, Callable[[Call], ir.Stmt | None]] = {
    "assign": _assign,
    "assign_VL": _assign_varbit,
    "assign_header": _copy_header,
    "add_header": lambda c: ir.SetValid(c.header(0)),
    "remove_header": lambda c: ir.SetInvalid(c.header(0)),
    "no_op": lambda c: None,
    "exit": lambda c: ir.Exit(),
    "mark_to_drop": lambda c: ir.MarkToDrop(),
    "drop": lambda c: ir.MarkToDrop(),
    "register_read": lambda c: ir.RegisterRead(
        c.target(0), c.named(1, c.scope.registers), c.value(2)
    ),
    "register_write": lambda c: ir.RegisterWrite(
        c.named(0, c.scope.registers), c.value(1), c.value(2)
    ),
    "count": lambda c: ir.Count(c.named(0, c.scope.counters), c.value(1)),
    "execute_meter": lambda c: ir.ExecuteMeter(c.named(0, c.scope.meters), c.value(1), c.target(2)),
    "modify_field_with_hash_based_offset": lambda c: ir.Hash(
        c.target(0), c.value(1), c.named(2, c.scope.calculations), c.value(3)
    ),
    "modify_field_rng_uniform": lambda c: ir.Random(c.target(0), c.value(1), c.value(2)),
    "generate_digest": lambda c: ir.Digest(c.field_list(1, c.scope.digests)),
    "clone_ingress_pkt_to_egress": _clone(egress=False),
    "clone_egress_pkt_to_egress": _clone(egress=True),
    "recirculate": lambda c: ir.Recirculate(c.field_list(0, c.scope.field_lists)),
    "resubmit": lambda c: ir.Resubmit(c.field_list(0, c.scope.field_lists)),
    "truncate": lambda c: ir.Truncate(c.value(0)),
    "assert": _check("assert"),
    "assume": _check("assume"),
    "log_msg": _log,
}
