"""The control plane's view of a program, taken from its intermediate representation."""

from __future__ import annotations

from p4esp.switch import ir
from p4esp.switch.entries import ActionCall
from p4esp.switch.program import (
    ActionSpec,
    ArraySpec,
    DigestSpec,
    KeySpec,
    MeterSpec,
    ParamSpec,
    ProfileSpec,
    ProgramSpec,
    TableSpec,
)


def program_spec(program: ir.Program) -> ProgramSpec:
    """Names and shapes of everything that can be read or written."""
    tables = {name: table_spec(program, table) for name, table in program.tables.items()}
    return ProgramSpec(
        tables=tables,
        actions={a.name: a for t in tables.values() for a in t.actions},
        profiles={name: profile_spec(program, p) for name, p in program.profiles.items()},
        counters={c.name: ArraySpec(c.name, c.size) for c in program.counters.values()},
        direct_counters={
            t.direct_counter: t.name for t in program.tables.values() if t.direct_counter
        },
        meters=_meters(program),
        registers={r.name: ArraySpec(r.name, r.size, r.width) for r in program.registers.values()},
        digests={d.name: _digest_spec(d) for d in program.digests.values()},
    )


def table_spec(program: ir.Program, table: ir.Table) -> TableSpec:
    """One table."""
    actions = _action_specs(program, table.actions)
    default = table.default
    call = None if default is None else ActionCall(actions[default.action].name, default.args)
    return TableSpec(
        name=table.name,
        keys=tuple(KeySpec(k.name, k.kind, k.width) for k in table.keys),
        size=table.size,
        actions=actions,
        default=call,
        const_default=default is not None and default.const,
        const_entries=table.entries is not None,
        direct_counter=table.direct_counter is not None,
        direct_meter=None if table.direct_meter is None else table.direct_meter.name,
        idle_timeout=table.idle_timeout,
        action_profile=table.profile,
    )


def profile_spec(program: ir.Program, profile: ir.Profile) -> ProfileSpec:
    """One action profile."""
    actions = _action_specs(program, profile.actions)
    return ProfileSpec(profile.name, profile.size, profile.selector is not None, actions)


def _action_specs(program: ir.Program, ids: tuple[int, ...]) -> tuple[ActionSpec, ...]:
    actions = (program.actions[i] for i in ids)
    return tuple(ActionSpec(a.name, tuple(ParamSpec(n, w) for n, w in a.params)) for a in actions)


def _meters(program: ir.Program) -> dict[str, MeterSpec]:
    per_byte = ir.CounterUnit.BYTES
    found = {
        m.name: MeterSpec(m.name, m.size, m.unit is per_byte, None) for m in program.meters.values()
    }
    for table in program.tables.values():
        meter = table.direct_meter
        if meter is not None:
            unit = meter.unit is per_byte
            found[meter.name] = MeterSpec(meter.name, table.size, unit, table.name)
    return found


def _digest_spec(digest: ir.FieldList) -> DigestSpec:
    return DigestSpec(digest.name, tuple(ParamSpec(f.name, f.width) for f in digest.fields))
