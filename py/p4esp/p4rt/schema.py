"""The p4info as the server uses it: P4 objects by id, with names, widths and sizes."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from finsy.proto import p4i, p4t

from p4esp.p4rt.actions import ActionInfo, ActionParam, ActionRef
from p4esp.p4rt.errors import invalid
from p4esp.p4rt.match import MatchField

_MATCH_KINDS = {
    p4i.MatchField.EXACT: "exact",
    p4i.MatchField.LPM: "lpm",
    p4i.MatchField.TERNARY: "ternary",
    p4i.MatchField.RANGE: "range",
    p4i.MatchField.OPTIONAL: "optional",
}


@dataclass(frozen=True, slots=True)
class TableInfo:
    """A table of the p4info; `profile_id` is 0 for a direct table."""

    table_id: int
    name: str
    fields: tuple[MatchField, ...]
    actions: tuple[ActionRef, ...]
    size: int
    is_const: bool
    has_const_default: bool
    profile_id: int
    has_counter: bool
    has_meter: bool
    has_idle_timeout: bool

    def __str__(self) -> str:
        return f"table '{self.name}'"


@dataclass(frozen=True, slots=True)
class ProfileInfo:
    """An action profile; `max_group_size` 0 means "no limit given"."""

    profile_id: int
    name: str
    table_ids: tuple[int, ...]
    has_selector: bool
    size: int
    max_group_size: int
    sum_of_members: bool
    max_member_weight: int
    weights_disallowed: bool

    def __str__(self) -> str:
        return f"action profile '{self.name}'"


@dataclass(frozen=True, slots=True)
class ArrayInfo:
    """An indirect counter, meter or register array."""

    array_id: int
    name: str
    size: int
    kind: str

    def __str__(self) -> str:
        return f"{self.kind} '{self.name}'"


@dataclass(frozen=True, slots=True)
class DigestInfo:
    """A digest: `members` are (name, width); `is_struct` is False for a bare bit<W>."""

    digest_id: int
    name: str
    members: tuple[tuple[str, int], ...]
    is_struct: bool

    def __str__(self) -> str:
        return f"digest '{self.name}'"


@dataclass(frozen=True, slots=True)
class HeaderField:
    """One metadata field of a controller header; `width` in bits."""

    metadata_id: int
    name: str
    width: int


@dataclass(frozen=True, slots=True)
class Schema:
    """Everything the p4info declares, by P4 object id."""

    tables: dict[int, TableInfo]
    actions: dict[int, ActionInfo]
    profiles: dict[int, ProfileInfo]
    counters: dict[int, ArrayInfo]
    meters: dict[int, ArrayInfo]
    registers: dict[int, ArrayInfo]
    digests: dict[int, DigestInfo]
    packet_in: tuple[HeaderField, ...]
    packet_out: tuple[HeaderField, ...]

    def describe(self, object_id: int) -> str:
        """A P4 object for an error text: its kind and name, or the bare id."""
        kinds: tuple[Mapping[int, object], ...] = (
            self.tables,
            self.profiles,
            self.counters,
            self.meters,
            self.registers,
            self.digests,
        )
        for objects in kinds:
            if object_id in objects:
                return str(objects[object_id])
        return f"P4 object id {object_id:#x}"


def read_schema(p4info: p4i.P4Info) -> Schema:
    """Index `p4info`; INVALID_ARGUMENT for what this server does not serve, by its name."""
    _refuse_unsupported(p4info)
    actions = {action.preamble.id: _action(action) for action in p4info.actions}
    direct_counters = {counter.preamble.id for counter in p4info.direct_counters}
    direct_meters = {meter.preamble.id for meter in p4info.direct_meters}
    return Schema(
        tables={
            table.preamble.id: _table(table, actions, direct_counters, direct_meters)
            for table in p4info.tables
        },
        actions=actions,
        profiles={prof.preamble.id: _profile(prof) for prof in p4info.action_profiles},
        counters=_arrays(p4info.counters, "counter"),
        meters=_arrays(p4info.meters, "meter"),
        registers=_arrays(p4info.registers, "register"),
        digests={digest.preamble.id: _digest(digest, p4info) for digest in p4info.digests},
        packet_in=_header(p4info, "packet_in"),
        packet_out=_header(p4info, "packet_out"),
    )


def _refuse_unsupported(p4info: p4i.P4Info) -> None:
    arch = p4info.pkg_info.arch
    if arch not in ("", "v1model"):
        invalid(f"p4info: architecture '{arch}' is not supported; accepted: v1model")
    for name, spec in p4info.type_info.new_types.items():
        if spec.WhichOneof("representation") == "translated_type":
            invalid(f"p4info: @p4runtime_translation of type '{name}' is not supported")
    for value_set in p4info.value_sets:
        invalid(f"p4info: value set '{value_set.preamble.name}' is not supported")
    for extern in p4info.externs:
        invalid(f"p4info: extern '{extern.extern_type_name}' is not supported")


def _action(action: p4i.Action) -> ActionInfo:
    params = tuple(ActionParam(p.id, p.name, p.bitwidth) for p in action.params)
    return ActionInfo(action.preamble.id, action.preamble.name, params)


def _table(
    table: p4i.Table,
    actions: dict[int, ActionInfo],
    direct_counters: set[int],
    direct_meters: set[int],
) -> TableInfo:
    where = f"p4info: table '{table.preamble.name}'"
    return TableInfo(
        table_id=table.preamble.id,
        name=table.preamble.name,
        fields=tuple(_match_field(where, field) for field in table.match_fields),
        actions=tuple(_action_ref(where, ref, actions) for ref in table.action_refs),
        size=table.size,
        is_const=table.is_const_table,
        has_const_default=bool(table.const_default_action_id),
        profile_id=table.implementation_id,
        has_counter=not direct_counters.isdisjoint(table.direct_resource_ids),
        has_meter=not direct_meters.isdisjoint(table.direct_resource_ids),
        has_idle_timeout=table.idle_timeout_behavior == p4i.Table.NOTIFY_CONTROL,
    )


def _match_field(where: str, field: p4i.MatchField) -> MatchField:
    kind = _MATCH_KINDS.get(field.match_type)
    if kind is None:
        given = field.other_match_type or field.match_type
        accepted = ", ".join(_MATCH_KINDS.values())
        invalid(f"{where}: key '{field.name}' has match type {given}; accepted: {accepted}")
    return MatchField(field.id, field.name, kind, field.bitwidth, kind)


def _action_ref(where: str, ref: p4i.ActionRef, actions: dict[int, ActionInfo]) -> ActionRef:
    action = actions.get(ref.id)
    if action is None:
        invalid(f"{where}: action id {ref.id:#x} is not among the actions of the p4info")
    return ActionRef(
        action,
        in_entries=ref.scope != p4i.ActionRef.DEFAULT_ONLY,
        as_default=ref.scope != p4i.ActionRef.TABLE_ONLY,
    )


def _profile(profile: p4i.ActionProfile) -> ProfileInfo:
    return ProfileInfo(
        profile_id=profile.preamble.id,
        name=profile.preamble.name,
        table_ids=tuple(profile.table_ids),
        has_selector=profile.with_selector,
        size=profile.size,
        max_group_size=profile.max_group_size,
        sum_of_members=profile.HasField("sum_of_members"),
        max_member_weight=profile.sum_of_members.max_member_weight,
        weights_disallowed=profile.weights_disallowed,
    )


def _arrays(
    items: Iterable[p4i.Counter] | Iterable[p4i.Meter] | Iterable[p4i.Register], kind: str
) -> dict[int, ArrayInfo]:
    return {
        item.preamble.id: ArrayInfo(item.preamble.id, item.preamble.name, int(item.size), kind)
        for item in items
    }


def _digest(digest: p4i.Digest, p4info: p4i.P4Info) -> DigestInfo:
    name, spec = digest.preamble.name, digest.type_spec
    kind = spec.WhichOneof("type_spec")
    if kind == "struct":
        struct = p4info.type_info.structs[spec.struct.name]
        members = tuple((m.name, _bit_width(name, m.type_spec, p4info)) for m in struct.members)
        return DigestInfo(digest.preamble.id, name, members, is_struct=True)
    members = ((name, _bit_width(name, spec, p4info)),)
    return DigestInfo(digest.preamble.id, name, members, is_struct=False)


def _bit_width(digest: str, spec: p4t.P4DataTypeSpec, p4info: p4i.P4Info) -> int:
    """Width of a digest member: bit<W>, bool, serializable enum, or a type made from one."""
    kind = spec.WhichOneof("type_spec")
    if kind == "bitstring" and spec.bitstring.HasField("bit"):
        return spec.bitstring.bit.bitwidth
    if kind == "new_type":
        original = p4info.type_info.new_types[spec.new_type.name].original_type
        return _bit_width(digest, original, p4info)
    if kind == "serializable_enum":
        enum = p4info.type_info.serializable_enums[spec.serializable_enum.name]
        return int(enum.underlying_type.bitwidth)
    if kind == "bool":
        return 1
    invalid(f"p4info: digest '{digest}' has a member of type {kind}; accepted: bit<W>, enums, bool")


def _header(p4info: p4i.P4Info, name: str) -> tuple[HeaderField, ...]:
    for header in p4info.controller_packet_metadata:
        if header.preamble.name == name:
            fields = tuple(HeaderField(m.id, m.name, m.bitwidth) for m in header.metadata)
            _check_whole_bytes(name, fields)
            return fields
    return ()


def _check_whole_bytes(name: str, fields: tuple[HeaderField, ...]) -> None:
    total = sum(field.width for field in fields)
    if total % 8:
        invalid(f"p4info: controller header '{name}' has {total} bits; accepted: whole bytes")
