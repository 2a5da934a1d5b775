"""Finishes the generated functions: parameters, start values, needless code, compilation.

While they are written, calls of ``egress`` stand as ``egress()`` and, for a clone that keeps field
list n, ``egress(n)``: which variables egress needs is only known once it is written.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from types import CodeType

from p4esp.switch.codegen.assignment import Guards, initialise, needed_names, stored_names
from p4esp.switch.codegen.context import Context
from p4esp.switch.codegen.groups import note_groups
from p4esp.switch.codegen.homes import start_in_branches
from p4esp.switch.codegen.liveness import remove_dead_stores
from p4esp.switch.codegen.locals import share_locals, unpack_in_place

_EGRESS_CLONE = 2
_WORKING = frozenset({"rest", "offset", "jump", "egress_rid", "kept"})
"""Variables of the generator itself that some programs read but never assign."""

_CLONE_ARGUMENTS = {
    "egress_port": "clone_port",
    "egress_rid": "clone_rid",
    "cut": "(clone_cut or cut)",
    "depth": "depth + 1",
}


@dataclass(frozen=True, slots=True)
class Functions:
    """``process`` and, where there is one, ``egress``."""

    module: ast.Module

    def compile(self) -> CodeType:
        """Code that defines the functions when executed in a namespace."""
        return compile(self.module, "<p4 program>", "exec")

    def text(self) -> str:
        """The source, for reading."""
        return ast.unparse(self.module)


def finish(ctx: Context, process_text: str, egress_text: str | None) -> Functions:
    """Joins the texts of the functions to what can be compiled."""
    process = _function(process_text)
    functions = [process]
    named = ctx.names.given() | _WORKING
    if egress_text is not None:
        egress = _function(egress_text)
        functions.insert(0, egress)
    for function in functions:
        note_groups(function, ctx.groups)
    if egress_text is not None:
        _connect(ctx, process, egress, stored_names(process) | named | set(ctx.groups))
    variables = named.union(*(stored_names(f) for f in functions))
    for function in functions:
        remove_dead_stores(function)
        unpack_in_place(function)
        needed = needed_names(function, variables, _guards(ctx))
        needed = start_in_branches(function, needed, _initial_values(ctx))
        initialise(function, needed, _initial_values(ctx))
        if not ctx.traced:
            share_locals(function)
    module = ast.Module([*functions], [])
    return Functions(ast.fix_missing_locations(module))


def _function(text: str) -> ast.FunctionDef:
    function = ast.parse(text).body[0]
    assert isinstance(function, ast.FunctionDef)
    return function


def _connect(
    ctx: Context, process: ast.FunctionDef, egress: ast.FunctionDef, outer: set[str]
) -> None:
    """Makes what egress reads first its parameters, and passes them in every call."""
    wanted = needed_names(egress, outer | stored_names(egress), {}) & outer
    params = sorted(wanted)
    egress.args.args = [ast.arg(name) for name in params]
    for function in (process, egress):
        for call in ast.walk(function):
            if isinstance(call, ast.Call) and ast.unparse(call.func) == "egress":
                call.args = [_argument(ctx, name, call.args[:1]) for name in params]


def _argument(ctx: Context, name: str, clone: list[ast.expr]) -> ast.expr:
    """What a call passes for one parameter; clones start with cleared metadata."""
    text = name
    if clone:
        list_id = ast.literal_eval(clone[0])
        text = _CLONE_ARGUMENTS.get(name, _cloned_value(ctx, name, list_id))
    return ast.parse(text, mode="eval").body


def _cloned_value(ctx: Context, name: str, list_id: int) -> str:
    instance_type = ctx.standard("instance_type")
    if instance_type is not None and name == ctx.names.field(instance_type):
        return str(_EGRESS_CLONE)
    kept = ctx.program.field_lists.get(list_id)
    if kept is not None and name in {ctx.names.field(f) for f in kept.fields}:
        return name
    metadata = (h for h in ctx.program.headers.values() if h.metadata)
    cleared = {ctx.names.field(f) for h in metadata for f in h.fields if not f.varbit}
    return "0" if name in cleared else name


def _guards(ctx: Context) -> Guards:
    """A header that is valid was extracted, cleared or copied: all its cells are assigned."""
    return {
        ctx.names.valid(name): frozenset(variable for variable, _ in layout.variables())
        for name, layout in ctx.layouts.items()
    }


def _initial_values(ctx: Context) -> Mapping[str, str]:
    """Start values of variables that do not start as 0."""
    initial: dict[str, str] = {}
    for header in ctx.program.headers.values():
        initial |= {ctx.names.field(f): "b''" for f in header.fields if f.varbit}
    for layout in ctx.layouts.values():
        rows = layout.variables()
        initial |= {name: zero for name, zero in rows if zero != "0" and name != layout.varbit}
        initial[ctx.names.valid(layout.header.name)] = "False"
    return initial
