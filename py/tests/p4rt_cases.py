"""Updates with the canonical code that the P4Runtime specification asks for.

Used twice: the embedded switch must answer so; bmv2 must, too, but for the differences that its
test lists.
"""

from collections.abc import Callable
from dataclasses import dataclass

import finsy as fy
from finsy.proto import p4r
from p4rt_harness import ENTITIES as P

Build = Callable[[], p4r.Update]


@dataclass(frozen=True)
class Case:
    """`before` must succeed, then `update` is answered with `code` and a text holding `tells`."""

    name: str
    update: Build
    code: str = "OK"
    tells: tuple[str, ...] = ()
    before: tuple[Build, ...] = ()


def host(dst: int = 0xA1, **more: object) -> fy.P4TableEntry:
    """An entry of the exact table."""
    action = more.pop("action", fy.Action("forward", port=3))
    return fy.P4TableEntry("host", match=fy.Match(dst=dst), action=action, **more)


def route(prefix: str = "10.0.0.0/8") -> fy.P4TableEntry:
    """An entry of the LPM table."""
    return fy.P4TableEntry("route", match=fy.Match(dst=prefix), action=fy.Action("forward", port=1))


def acl(priority: int = 5, **match: object) -> fy.P4TableEntry:
    """An entry of the ternary/optional/range/exact table."""
    return fy.P4TableEntry(
        "acl",
        match=fy.Match(ingress_port=1, **match),
        action=fy.Action("drop"),
        priority=priority,
    )


def tiny(ttl: int) -> fy.P4TableEntry:
    """An entry of the table with room for four."""
    return fy.P4TableEntry("tiny", match=fy.Match(ttl=ttl), action=fy.Action("mark", vlan=1))


def member(member_id: int = 1, profile: str = "paths", port: int = 1) -> fy.P4ActionProfileMember:
    """A member of an action profile."""
    return fy.P4ActionProfileMember(
        profile, member_id=member_id, action=fy.Action("forward", port=port)
    )


def group(group_id: int = 1, *members: int, max_size: int = 0) -> fy.P4ActionProfileGroup:
    """A group of the selector."""
    return fy.P4ActionProfileGroup(
        "paths",
        group_id=group_id,
        max_size=max_size,
        members=[fy.P4Member(member_id=m, weight=1) for m in members],
    )


def spread(action: object, dst: int = 7) -> fy.P4TableEntry:
    """An entry of the table behind the selector."""
    return fy.P4TableEntry("spread", match=fy.Match(dst=dst), action=action)


def edited(
    update: p4r.Update, edit: Callable[[p4r.TableEntry], object]
) -> Callable[[], p4r.Update]:
    """The update with its table entry changed by `edit`."""

    def build() -> p4r.Update:
        changed = p4r.Update()
        changed.CopyFrom(update)
        edit(changed.entity.table_entry)
        return changed

    return build


def table_case(
    name: str,
    entry: fy.P4TableEntry,
    edit: Callable[[p4r.TableEntry], object],
    code: str,
    *tells: str,
) -> Case:
    """An INSERT spoilt by `edit`."""
    return Case(name, edited(P.insert(entry), edit), code, tells)


def _set_match(field: int, kind: str, **values: object) -> Callable[[p4r.TableEntry], None]:
    def edit(entry: p4r.TableEntry) -> None:
        match = next((m for m in entry.match if m.field_id == field), None)
        if match is None:
            match = entry.match.add(field_id=field)
        message = getattr(match, kind)
        message.SetInParent()
        for name, value in values.items():
            setattr(message, name, value)

    return edit


def _set(name: str, value: object) -> Callable[[p4r.TableEntry], None]:
    return lambda entry: setattr(entry, name, value)


def _default(table: str, action: object = None, **more: object) -> fy.P4TableEntry:
    return fy.P4TableEntry(table, is_default_action=True, action=action, **more)


def _edit(name: str, message: str, **values: object) -> Callable[[p4r.TableEntry], None]:
    """Set sub-fields of the message field `name.message`, also when they are all default."""

    def edit(entry: p4r.TableEntry) -> None:
        target = getattr(getattr(entry, name), message) if message else getattr(entry, name)
        target.SetInParent()
        for key, value in values.items():
            setattr(target, key, value)

    return edit


def _set_member(entry: p4r.TableEntry) -> None:
    entry.action.action_profile_member_id = 1


def _drop_params(entry: p4r.TableEntry) -> None:
    del entry.action.action.params[:]


def _add_param(param_id: int) -> Callable[[p4r.TableEntry], object]:
    return lambda entry: entry.action.action.params.add(param_id=param_id, value=b"\1")


def _repeat_match(entry: p4r.TableEntry) -> None:
    entry.match.append(entry.match[0])


def _without_entity() -> p4r.Update:
    return p4r.Update(type=p4r.Update.INSERT)


def _update(update_type: int, entity: p4r.Entity) -> p4r.Update:
    return p4r.Update(type=p4r.Update.Type.ValueType(update_type), entity=entity)


def _ins(entity: object) -> Build:
    return lambda: P.insert(entity)


def _mod(entity: object) -> Build:
    return lambda: P.modify(entity)


def _del(entity: object) -> Build:
    return lambda: P.delete(entity)


COUNTS = fy.P4CounterData(byte_count=1, packet_count=2)
RATES = fy.P4MeterConfig(cir=1, cburst=2, pir=3, pburst=4)
METERED = fy.Action("metered", port=1)
FULL_ACL = acl(src=(0x0A000000, 0xFF000000), protocol=6, total_length=(10, 20))
SRC, PROTOCOL, LENGTH = 1, 2, 3

ACCEPTED = [
    Case("exact entry", _ins(host())),
    Case("lpm entry", _ins(route())),
    Case("entry with all kinds of match", _ins(FULL_ACL)),
    Case("don't care fields left out", _ins(acl())),
    Case(
        "action with three parameters",
        _ins(host(action=fy.Action("rewrite", port=1, dst=2, vlan=3))),
    ),
    Case("modify", _mod(host(action=fy.Action("drop"))), before=(_ins(host()),)),
    Case("delete", _del(host()), before=(_ins(host()),)),
    Case(
        "modify without action",
        edited(P.modify(host()), lambda entry: entry.ClearField("action")),
        before=(_ins(host()),),
    ),
    Case(
        "delete looks at nothing but the key",
        edited(P.delete(host()), _edit("action", "action", action_id=0xDEAD)),
        before=(_ins(host()),),
    ),
    Case(
        "leading zero bytes",
        edited(P.insert(host()), _set_match(1, "exact", value=b"\0" * 7 + b"\5")),
    ),
    Case("same match with another priority", _ins(acl(6)), before=(_ins(acl(5)),)),
    Case("default action", _mod(_default("route", fy.Action("forward", port=2)))),
    Case(
        "default action of scope defaultonly", _mod(_default("route", fy.Action("punt", reason=1)))
    ),
    Case("default action reset", _mod(_default("route"))),
    Case("counter value with the entry", _ins(host(counter_data=COUNTS))),
    Case("meter rates with the entry", _ins(host(action=METERED, meter_config=RATES))),
    Case("idle timeout", edited(P.insert(tiny(1)), _set("idle_timeout_ns", 10**9))),
    Case("member", _ins(member())),
    Case("group", _ins(group(1, 1)), before=(_ins(member()),)),
    Case(
        "entry that points to a member",
        _ins(spread(fy.P4IndirectAction(member_id=1))),
        before=(_ins(member()),),
    ),
    Case(
        "entry that points to a group",
        _ins(spread(fy.P4IndirectAction(group_id=1))),
        before=(_ins(member()), _ins(group(1, 1))),
    ),
    Case(
        "one-shot action set",
        _ins(
            spread(fy.P4IndirectAction([(1, fy.Action("forward", port=1)), (2, fy.Action("drop"))]))
        ),
    ),
    Case("clone session", _ins(fy.P4CloneSessionEntry(5, replicas=(510,)))),
    Case("indirect counter cell", _mod(fy.P4CounterEntry("port_hits", index=3, data=COUNTS))),
    Case("indirect meter cell", _mod(fy.P4MeterEntry("port_rate", index=3, config=RATES))),
    Case(
        "direct counter",
        _mod(fy.P4DirectCounterEntry(table_entry=host(), data=COUNTS)),
        before=(_ins(host()),),
    ),
    Case(
        "direct meter",
        _mod(fy.P4DirectMeterEntry(table_entry=host(), config=RATES)),
        before=(_ins(host(action=METERED)),),
    ),
    Case("digest", _ins(fy.P4DigestEntry("station_t", max_list_size=1))),
]

REFUSED_KEYS = [
    table_case(
        "unknown table",
        host(),
        _set("table_id", 0x02ABCDEF),
        "INVALID_ARGUMENT",
        "0x2abcdef",
        "ingress.host",
    ),
    table_case(
        "empty exact value",
        host(),
        _set_match(1, "exact", value=b""),
        "OUT_OF_RANGE",
        "ingress.host",
        "hdr.eth.dst",
        "empty",
    ),
    table_case(
        "value too wide",
        host(),
        _set_match(1, "exact", value=b"\1" + bytes(6)),
        "OUT_OF_RANGE",
        "hdr.eth.dst",
        "49 bits",
        "bit<48>",
    ),
    table_case(
        "exact field missing",
        host(),
        lambda e: e.ClearField("match"),
        "INVALID_ARGUMENT",
        "hdr.eth.dst",
        "missing",
    ),
    table_case(
        "unknown match field",
        host(),
        _set_match(9, "exact", value=b"\1"),
        "INVALID_ARGUMENT",
        "9",
        "1 (hdr.eth.dst)",
    ),
    table_case("match field twice", host(), _repeat_match, "INVALID_ARGUMENT", "twice"),
    table_case(
        "wrong kind of match",
        host(),
        _set_match(1, "ternary", value=b"\1", mask=b"\1"),
        "INVALID_ARGUMENT",
        "ternary",
        "exact",
    ),
    table_case(
        "no kind of match",
        host(),
        lambda e: e.match[0].ClearField("exact"),
        "INVALID_ARGUMENT",
        "exact",
    ),
    table_case(
        "priority where none is used",
        host(),
        _set("priority", 4),
        "INVALID_ARGUMENT",
        "priority 4",
        "0",
    ),
    table_case(
        "missing priority", acl(), _set("priority", 0), "INVALID_ARGUMENT", "priority", "hdr.ip.src"
    ),
    table_case("negative priority", acl(), _set("priority", -1), "INVALID_ARGUMENT", "negative"),
    table_case(
        "prefix length zero",
        route(),
        _set_match(1, "lpm", value=b"\0", prefix_len=0),
        "INVALID_ARGUMENT",
        "don't-care",
    ),
    table_case(
        "prefix longer than the field",
        route(),
        _set_match(1, "lpm", prefix_len=33),
        "INVALID_ARGUMENT",
        "33",
        "1..32",
    ),
    table_case(
        "bits behind the prefix",
        route(),
        _set_match(1, "lpm", value=b"\x0a\1\0\0", prefix_len=8),
        "INVALID_ARGUMENT",
        "behind its prefix",
    ),
    table_case(
        "mask zero",
        acl(),
        _set_match(SRC, "ternary", value=b"\0", mask=b"\0"),
        "INVALID_ARGUMENT",
        "don't-care",
        "hdr.ip.src",
    ),
    table_case(
        "value outside its mask",
        acl(),
        _set_match(SRC, "ternary", value=b"\3", mask=b"\1"),
        "INVALID_ARGUMENT",
        "outside its mask",
    ),
    table_case(
        "range upside down",
        acl(),
        _set_match(LENGTH, "range", low=b"\2", high=b"\1"),
        "INVALID_ARGUMENT",
        "low",
        "high",
    ),
    table_case(
        "full range",
        acl(),
        _set_match(LENGTH, "range", low=b"\0", high=b"\xff\xff"),
        "INVALID_ARGUMENT",
        "don't-care",
    ),
    table_case(
        "optional too wide",
        acl(),
        _set_match(PROTOCOL, "optional", value=b"\1\0"),
        "OUT_OF_RANGE",
        "hdr.ip.protocol",
        "bit<8>",
    ),
]

REFUSED_ACTIONS = [
    table_case(
        "unknown action",
        host(),
        _edit("action", "action", action_id=0x01ABCDEF),
        "INVALID_ARGUMENT",
        "0x1abcdef",
        "ingress.forward",
    ),
    table_case(
        "action of another table",
        host(),
        _edit("action", "action", action_id=P.schema.actions["learn"].id),
        "INVALID_ARGUMENT",
        "ingress.forward",
    ),
    table_case(
        "defaultonly action in an entry",
        host(action=fy.Action("NoAction")),
        lambda e: None,
        "PERMISSION_DENIED",
        "entries",
    ),
    Case(
        "tableonly action as default",
        _mod(_default("route", fy.Action("mark", vlan=1))),
        "PERMISSION_DENIED",
        ("default entry",),
    ),
    table_case(
        "no action", host(), lambda e: e.ClearField("action"), "INVALID_ARGUMENT", "no action"
    ),
    table_case(
        "member in a direct table",
        host(),
        _set_member,
        "INVALID_ARGUMENT",
        "action_profile_member_id",
    ),
    table_case("parameter missing", host(), _drop_params, "INVALID_ARGUMENT", "1 (port)"),
    table_case("parameter too many", host(), _add_param(2), "INVALID_ARGUMENT", "1 (port)"),
    table_case("parameter twice", host(), _add_param(1), "INVALID_ARGUMENT", "twice"),
    table_case(
        "parameter too wide",
        host(),
        lambda e: setattr(e.action.action.params[0], "value", b"\2\0"),
        "OUT_OF_RANGE",
        "parameter 'port'",
        "bit<9>",
    ),
    table_case(
        "parameter without value",
        host(),
        lambda e: setattr(e.action.action.params[0], "value", b""),
        "OUT_OF_RANGE",
        "empty",
    ),
    table_case(
        "direct action in an indirect table",
        spread(fy.P4IndirectAction(member_id=1)),
        _edit("action", "action", action_id=P.schema.actions["drop"].id),
        "INVALID_ARGUMENT",
        "action_profile_member_id",
    ),
    Case("unknown member", _ins(spread(fy.P4IndirectAction(member_id=99))), "NOT_FOUND", ("99",)),
    Case("unknown group", _ins(spread(fy.P4IndirectAction(group_id=99))), "NOT_FOUND", ("99",)),
]

REFUSED_ENTRIES = [
    Case("duplicate entry", _ins(host()), "ALREADY_EXISTS", ("ingress.host",), (_ins(host()),)),
    Case(
        "duplicate with leading zeros",
        edited(P.insert(host(5)), _set_match(1, "exact", value=b"\0\5")),
        "ALREADY_EXISTS",
        (),
        (_ins(host(5)),),
    ),
    Case("modify of nothing", _mod(host()), "NOT_FOUND", ("ingress.host",)),
    Case("delete of nothing", _del(host()), "NOT_FOUND", ("ingress.host",)),
    Case("delete with another priority", _del(acl(6)), "NOT_FOUND", (), (_ins(acl(5)),)),
    Case(
        "full table",
        _ins(tiny(5)),
        "RESOURCE_EXHAUSTED",
        ("ingress.tiny", "4"),
        tuple(_ins(tiny(n)) for n in range(1, 5)),
    ),
    table_case("is_const", host(), _set("is_const", True), "INVALID_ARGUMENT", "is_const"),
    table_case(
        "idle timeout in a table without",
        host(),
        _set("idle_timeout_ns", 5),
        "INVALID_ARGUMENT",
        "idle",
    ),
    table_case(
        "time_since_last_hit in a write",
        tiny(1),
        _edit("time_since_last_hit", ""),
        "INVALID_ARGUMENT",
        "time_since_last_hit",
    ),
    table_case(
        "counter value in a table without",
        route(),
        _edit("counter_data", "", packet_count=1),
        "INVALID_ARGUMENT",
        "direct counter",
    ),
    table_case(
        "meter rates in a table without",
        route(),
        _edit("meter_config", "", cir=1),
        "INVALID_ARGUMENT",
        "direct meter",
    ),
    Case(
        "const table",
        _ins(fy.P4TableEntry("classes", match=fy.Match(tos=9), action=fy.Action("mark", vlan=1))),
        "PERMISSION_DENIED",
        ("ingress.classes", "const"),
    ),
    Case(
        "delete of a const entry",
        _del(fy.P4TableEntry("classes", match=fy.Match(tos=1), action=fy.Action("mark", vlan=1))),
        "PERMISSION_DENIED",
        ("const",),
    ),
    Case(
        "const default action",
        _mod(_default("acl", fy.Action("drop"))),
        "PERMISSION_DENIED",
        ("ingress.acl", "const"),
    ),
    Case(
        "insert of the default entry",
        _ins(_default("route", fy.Action("drop"))),
        "INVALID_ARGUMENT",
        ("MODIFY",),
    ),
    Case(
        "delete of the default entry",
        _del(_default("route", fy.Action("drop"))),
        "INVALID_ARGUMENT",
        ("MODIFY",),
    ),
    Case(
        "default entry with priority",
        edited(P.modify(_default("route", fy.Action("drop"))), _set("priority", 1)),
        "INVALID_ARGUMENT",
        ("priority",),
    ),
    Case(
        "default entry of an indirect table",
        _mod(_default("spread", fy.P4IndirectAction(member_id=1))),
        "INVALID_ARGUMENT",
        ("action profile",),
        (_ins(member()),),
    ),
]

REFUSED_OTHERS = [
    Case("no entity", _without_entity, "INVALID_ARGUMENT", ("entity",)),
    Case("no update type", lambda: _update(0, P.entity(host())), "INVALID_ARGUMENT", ("type",)),
    Case(
        "unknown action profile",
        lambda: _update(
            1,
            p4r.Entity(
                action_profile_member=p4r.ActionProfileMember(action_profile_id=5, member_id=1)
            ),
        ),
        "INVALID_ARGUMENT",
        ("ingress.paths",),
    ),
    Case("member id zero", _ins(member(0)), "INVALID_ARGUMENT", ("id",)),
    Case("duplicate member", _ins(member()), "ALREADY_EXISTS", ("member 1",), (_ins(member()),)),
    Case("modify of no member", _mod(member()), "NOT_FOUND", ("member 1",)),
    Case("delete of no member", _del(member()), "NOT_FOUND", ("member 1",)),
    Case(
        "delete of a member in a group",
        _del(member()),
        "FAILED_PRECONDITION",
        (),
        (_ins(member()), _ins(group(1, 1))),
    ),
    Case(
        "group in a profile without selector",
        _ins(fy.P4ActionProfileGroup("next_hops", group_id=1)),
        "INVALID_ARGUMENT",
        ("selector",),
    ),
    Case("group of an unknown member", _ins(group(1, 99)), "NOT_FOUND", ("99",)),
    Case(
        "group with a member twice",
        _ins(group(1, 1, 1)),
        "INVALID_ARGUMENT",
        ("twice",),
        (_ins(member()),),
    ),
    Case(
        "group above its max_size",
        _ins(group(1, 1, 2, max_size=1)),
        "RESOURCE_EXHAUSTED",
        ("max_size",),
        (_ins(member(1)), _ins(member(2))),
    ),
    Case(
        "group with another max_size",
        _mod(group(1, 1, max_size=3)),
        "INVALID_ARGUMENT",
        ("max_size",),
        (_ins(member(1)), _ins(group(1, 1, max_size=2))),
    ),
    Case(
        "counter index too large",
        _mod(fy.P4CounterEntry("port_hits", index=64, data=COUNTS)),
        "OUT_OF_RANGE",
        ("64", "0..63"),
    ),
    Case(
        "counter index negative",
        _mod(fy.P4CounterEntry("port_hits", index=-1, data=COUNTS)),
        "INVALID_ARGUMENT",
        ("-1",),
    ),
    Case(
        "counter inserted",
        _ins(fy.P4CounterEntry("port_hits", index=1, data=COUNTS)),
        "INVALID_ARGUMENT",
        ("MODIFY",),
    ),
    Case(
        "unknown counter",
        lambda: _update(2, p4r.Entity(counter_entry=p4r.CounterEntry(counter_id=7))),
        "INVALID_ARGUMENT",
        ("ingress.port_hits",),
    ),
    Case(
        "meter index too large",
        _mod(fy.P4MeterEntry("port_rate", index=32, config=RATES)),
        "OUT_OF_RANGE",
        ("0..31",),
    ),
    Case(
        "meter rates upside down",
        _mod(
            fy.P4MeterEntry(
                "port_rate", index=1, config=fy.P4MeterConfig(cir=9, cburst=1, pir=1, pburst=1)
            )
        ),
        "INVALID_ARGUMENT",
        ("cir 9",),
    ),
    Case(
        "direct counter of no entry",
        _mod(fy.P4DirectCounterEntry(table_entry=host(), data=COUNTS)),
        "NOT_FOUND",
        ("ingress.host",),
    ),
    Case(
        "register",
        _mod(fy.P4RegisterEntry("state", index=0, data=1)),
        "UNIMPLEMENTED",
        ("ingress.state",),
    ),
    Case(
        "clone session zero",
        _ins(fy.P4CloneSessionEntry(0, replicas=(1,))),
        "INVALID_ARGUMENT",
        ("0",),
    ),
    Case(
        "clone session twice",
        _ins(fy.P4CloneSessionEntry(5, replicas=(1,))),
        "ALREADY_EXISTS",
        ("5",),
        (_ins(fy.P4CloneSessionEntry(5, replicas=(1,))),),
    ),
    Case("delete of no clone session", _del(fy.P4CloneSessionEntry(5)), "NOT_FOUND", ("5",)),
    Case(
        "digest twice",
        _ins(fy.P4DigestEntry("station_t")),
        "ALREADY_EXISTS",
        ("station_t",),
        (_ins(fy.P4DigestEntry("station_t")),),
    ),
    Case(
        "modify of a digest that is off",
        _mod(fy.P4DigestEntry("station_t")),
        "NOT_FOUND",
        ("station_t",),
    ),
]

REFUSED = REFUSED_KEYS + REFUSED_ACTIONS + REFUSED_ENTRIES + REFUSED_OTHERS
