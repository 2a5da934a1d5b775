"""Tables and action profiles of one pipeline."""

from __future__ import annotations

from dataclasses import dataclass

from p4esp.switch import ir
from p4esp.switch.entries import Exact, Lpm, Match, Range, Ternary
from p4esp.switch.loader.cursor import Cursor
from p4esp.switch.loader.expressions import unsigned
from p4esp.switch.loader.externs import load_calculation_input, meter_unit
from p4esp.switch.loader.scope import Scope
from p4esp.switch.program import MatchKind

_MAX_ENTRIES = 1 << 24


@dataclass(frozen=True, slots=True)
class DirectResources:
    """Direct counters and meters of the document, by table."""

    counters: dict[str, str]
    meters: dict[str, ir.DirectMeter]


def load_direct_resources(document: Cursor, scope: Scope) -> DirectResources:
    """Finds which tables have a counter or a meter of their own."""
    counters = {
        c["binding"].text(): c["name"].text()
        for c in document.items("counter_arrays")
        if c.flag("is_direct")
    }
    meters = {
        m["binding"].text(): ir.DirectMeter(
            m["name"].text(), meter_unit(m), scope.field(m["result_target"])
        )
        for m in document.items("meter_arrays")
        if m.flag("is_direct")
    }
    return DirectResources(counters, meters)


def load_table(
    at: Cursor, scope: Scope, direct: DirectResources, profile_names: frozenset[str]
) -> ir.Table:
    """One table, its default action and const entries included."""
    name = at["name"].text()
    profile = _profile_name(at)
    if profile is not None and profile not in profile_names:
        raise at["action_profile"].malformed("the name of an action profile")
    actions = tuple(_action_id(a, scope) for a in at.items("action_ids"))
    keys = tuple(_key(k, scope) for k in at.items("key"))
    return ir.Table(
        name=name,
        keys=keys,
        actions=actions,
        size=at["max_size"].size(_MAX_ENTRIES),
        default=_default(at, actions, scope),
        entries=_entries(at, keys, actions, scope),
        direct_counter=direct.counters.get(name),
        direct_meter=direct.meters.get(name),
        idle_timeout=at.flag("support_timeout"),
        profile=profile,
    )


def load_profiles(
    pipeline: Cursor, scope: Scope, tables: dict[str, ir.Table]
) -> dict[str, ir.Profile]:
    """The action profiles of one pipeline; their actions are those of the tables that use them."""
    profiles = {}
    for at in pipeline.items("action_profiles"):
        name = at["name"].text()
        users = [t.actions for t in tables.values() if t.profile == name]
        selector = at.get("selector")
        profiles[name] = ir.Profile(
            name,
            at["max_size"].size(_MAX_ENTRIES),
            None if selector is None else load_calculation_input(selector, scope),
            users[0] if users else (),
        )
        if any(actions != users[0] for actions in users):
            raise at.unsupported("action profile shared by tables with different actions")
    return profiles


def _action_id(at: Cursor, scope: Scope) -> int:
    if at.number() not in scope.actions:
        raise at.malformed("the id of an action")
    return at.number()


def _profile_name(at: Cursor) -> str | None:
    kind = at["type"].text()
    if kind == "simple":
        return None
    if kind not in ("indirect", "indirect_ws"):
        raise at["type"].unsupported(f"table of type '{kind}'")
    return at["action_profile"].text()


def _key(at: Cursor, scope: Scope) -> ir.Key:
    kind = at["match_type"].text()
    if kind == "valid":
        return ir.Key(_key_name(at), MatchKind.EXACT, 1, ir.Valid(scope.header(at["target"])))
    try:
        match_kind = MatchKind(kind)
    except ValueError:
        raise at["match_type"].unsupported(f"match kind '{kind}'") from None
    value = unsigned(scope.value(at["target"]))
    width = 1 if isinstance(value, ir.Valid) else scope.field(at["target"]).width
    mask = at.get("mask")
    return ir.Key(_key_name(at), match_kind, width, value, None if mask is None else mask.hex())


def _key_name(at: Cursor) -> str:
    name = at.get("name")
    if name is not None:
        return name.text()
    target = at["target"].value
    return target if isinstance(target, str) else ".".join(str(part) for part in target)


def _default(at: Cursor, actions: tuple[int, ...], scope: Scope) -> ir.DefaultAction | None:
    entry = at.get("default_entry")
    if entry is None:
        return None
    number, args = _call(entry, actions, scope)
    const = entry.flag("action_const") or entry.flag("action_entry_const")
    return ir.DefaultAction(number, args, const)


def _call(at: Cursor, actions: tuple[int, ...], scope: Scope) -> tuple[int, tuple[int, ...]]:
    action_id = _action_id(at["action_id"], scope)
    if action_id not in actions:
        raise at["action_id"].malformed("one of the table's actions")
    params = scope.actions[action_id].params
    data = list(at.items("action_data"))
    if len(data) != len(params):
        raise at["action_data"].malformed(f"{len(params)} arguments")
    args = (a.hex() & ((1 << width) - 1) for a, (_, width) in zip(data, params, strict=True))
    return actions.index(action_id), tuple(args)


def _entries(
    at: Cursor, keys: tuple[ir.Key, ...], actions: tuple[int, ...], scope: Scope
) -> tuple[ir.ConstEntry, ...] | None:
    if at.get("entries") is None:
        return None
    entries = list(at.items("entries"))
    priorities = [e["priority"].number() for e in entries]
    lowest = max(priorities, default=0) + 1  # the JSON's small numbers win, P4Runtime's large
    loaded = []
    for entry, priority in zip(entries, priorities, strict=True):
        number, args = _call(entry["action_entry"], actions, scope)
        match = tuple(_match(m, k) for m, k in zip(entry.items("match_key"), keys, strict=True))
        loaded.append(ir.ConstEntry(match, number, args, lowest - priority))
    return tuple(loaded)


def _match(at: Cursor, key: ir.Key) -> Match | None:
    full = (1 << key.width) - 1
    match at["match_type"].text():
        case "valid":
            return Exact(int(bool(at["key"].value)))
        case "exact":
            return Exact(at["key"].hex() & full)
        case "lpm":
            length = at["prefix_length"].number()
            mask = full >> (key.width - length) << (key.width - length)
            return Lpm(at["key"].hex() & mask, length) if length else None
        case "ternary":
            mask = at["mask"].hex() & full
            return Ternary(at["key"].hex() & mask, mask) if mask else None
        case "range":
            return _range(at["start"].hex(), at["end"].hex(), full)
        case kind:
            raise at.unsupported(f"match kind '{kind}'")


def _range(low: int, high: int, full: int) -> Range | None:
    return None if low == 0 and high & full == full else Range(low, high & full)
