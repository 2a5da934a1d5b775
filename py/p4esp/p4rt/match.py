"""Match fields of one table (section 9.1.1): protobuf to key tuples and back.

The decoders are closures made once per table, so that an update pays no lookup in the p4info.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from finsy.proto import p4r

from p4esp.p4rt.bytestring import encode_uint, uint_decoder
from p4esp.p4rt.errors import Code, P4RuntimeError, invalid
from p4esp.switch.entries import Exact, Lpm, Match, OptionalMatch, Range, Ternary

FieldDecoder = Callable[[p4r.FieldMatch], Match]
FieldEncoder = Callable[[p4r.FieldMatch, Match], None]


@dataclass(frozen=True, slots=True)
class MatchField:
    """One key of a table as the p4info names it; `width` in bits.

    `kind` is the p4info match type in lower case; `stored_as` the key kind of the packet core,
    which differs only for an optional key that the compiler made ternary.
    """

    field_id: int
    name: str
    kind: str
    width: int
    stored_as: str

    def __str__(self) -> str:
        return f"match field '{self.name}' (id {self.field_id}, {self.kind}, bit<{self.width}>)"

    @property
    def needs_priority(self) -> bool:
        """Entries that use this kind are ordered by priority."""
        return self.kind in ("ternary", "range", "optional")


class MatchCodec:
    """Key codec of one table: `FieldMatch` messages to the core's key tuple and back."""

    def __init__(self, table: str, fields: tuple[MatchField, ...]) -> None:
        self.fields = fields
        self.needs_priority = any(field.needs_priority for field in fields)
        self._table = table
        self._empty: list[Match | None] = [None] * len(fields)
        self._slots = {
            field.field_id: (index, _DECODERS[field.kind](f"{table}, {field}", field))
            for index, field in enumerate(fields)
        }
        self._required = [i for i, field in enumerate(fields) if field.kind == "exact"]
        self._encoders = [(field.field_id, _ENCODERS[field.kind]) for field in fields]

    def decode(self, matches: Iterable[p4r.FieldMatch]) -> tuple[Match | None, ...]:
        """The key in table order; a field that is left out is "don't care" (None)."""
        key = self._empty.copy()
        slots = self._slots
        for match in matches:
            slot = slots.get(match.field_id)
            if slot is None:
                raise self._unknown_field(match.field_id)
            index, decode = slot
            if key[index] is not None:
                invalid(f"{self._table}, {self.fields[index]}: given twice; accepted: once")
            key[index] = decode(match)
        for index in self._required:
            if key[index] is None:
                invalid(f"{self._table}, {self.fields[index]}: missing; an exact field is required")
        return tuple(key)

    def encode(self, entry: p4r.TableEntry, key: tuple[Match | None, ...]) -> None:
        """Append `key` to `entry.match`, leaving "don't care" fields out."""
        add = entry.match.add
        for (field_id, encode), value in zip(self._encoders, key, strict=True):
            if value is not None:
                match = add()
                match.field_id = field_id
                encode(match, value)

    def check_priority(self, priority: int) -> None:
        """Ternary, range and optional keys need a positive priority, other tables take none."""
        if priority < 0:
            invalid(f"{self._table}: priority {priority} is negative")
        if self.needs_priority and not priority:
            names = ", ".join(field.name for field in self.fields if field.needs_priority)
            invalid(f"{self._table}: priority is missing; {names} need a priority of 1 or more")
        if priority and not self.needs_priority:
            invalid(
                f"{self._table}: priority {priority} is not allowed; "
                "without ternary, range or optional keys it must be 0"
            )

    def _unknown_field(self, field_id: int) -> P4RuntimeError:
        known = ", ".join(f"{field.field_id} ({field.name})" for field in self.fields) or "none"
        return P4RuntimeError(
            Code.INVALID_ARGUMENT,
            f"{self._table}: match field id {field_id} is unknown; accepted: {known}",
        )


def _check_kind(where: str, kind: str, match: p4r.FieldMatch) -> None:
    given = match.WhichOneof("field_match_type")
    if given != kind:
        invalid(f"{where}: the request has {given or 'no'} match; accepted: {kind}")


def _dont_care(where: str, what: str) -> None:
    invalid(f"{where}: {what} is a don't-care match; leave the field out instead")


def _exact_decoder(where: str, field: MatchField) -> FieldDecoder:
    decode_value = uint_decoder(where, field.width)

    def decode(match: p4r.FieldMatch) -> Match:
        data = match.exact.value
        if not data:
            _check_kind(where, "exact", match)
        return Exact(decode_value(data))

    return decode


def _lpm_decoder(where: str, field: MatchField) -> FieldDecoder:
    decode_value = uint_decoder(where, field.width)
    width = field.width

    def decode(match: p4r.FieldMatch) -> Match:
        lpm = match.lpm
        length = lpm.prefix_len
        if not 0 < length <= width:
            _check_kind(where, "lpm", match)
            if not length:
                _dont_care(where, "prefix length 0")
            invalid(f"{where}: prefix length {length} is out of range; accepted: 1..{width}")
        value = decode_value(lpm.value)
        if value & ((1 << (width - length)) - 1):
            invalid(f"{where}: value {value:#x} has bits set behind its prefix length {length}")
        return Lpm(value, length)

    return decode


def _ternary_decoder(where: str, field: MatchField) -> FieldDecoder:
    decode_value = uint_decoder(where, field.width)

    def decode(match: p4r.FieldMatch) -> Match:
        ternary = match.ternary
        if not ternary.mask:
            _check_kind(where, "ternary", match)
        value = decode_value(ternary.value)
        mask = decode_value(ternary.mask)
        if not mask:
            _dont_care(where, "mask 0")
        if value & ~mask:
            invalid(f"{where}: value {value:#x} has bits set outside its mask {mask:#x}")
        return Ternary(value, mask)

    return decode


def _range_decoder(where: str, field: MatchField) -> FieldDecoder:
    decode_value = uint_decoder(where, field.width)
    top = (1 << field.width) - 1

    def decode(match: p4r.FieldMatch) -> Match:
        bounds = match.range
        if not bounds.high:
            _check_kind(where, "range", match)
        low = decode_value(bounds.low)
        high = decode_value(bounds.high)
        if low > high:
            invalid(f"{where}: low {low:#x} is above high {high:#x}")
        if low == 0 and high == top:
            _dont_care(where, "the full range")
        return Range(low, high)

    return decode


def _optional_decoder(where: str, field: MatchField) -> FieldDecoder:
    decode_value = uint_decoder(where, field.width)
    mask = (1 << field.width) - 1 if field.stored_as == "ternary" else None

    def decode(match: p4r.FieldMatch) -> Match:
        data = match.optional.value
        if not data:
            _check_kind(where, "optional", match)
        value = decode_value(data)
        return OptionalMatch(value) if mask is None else Ternary(value, mask)

    return decode


def _encode_exact(match: p4r.FieldMatch, key: Match) -> None:
    assert isinstance(key, Exact)
    match.exact.value = encode_uint(key.value)


def _encode_lpm(match: p4r.FieldMatch, key: Match) -> None:
    assert isinstance(key, Lpm)
    match.lpm.value = encode_uint(key.value)
    match.lpm.prefix_len = key.prefix_len


def _encode_ternary(match: p4r.FieldMatch, key: Match) -> None:
    assert isinstance(key, Ternary)
    match.ternary.value = encode_uint(key.value)
    match.ternary.mask = encode_uint(key.mask)


def _encode_range(match: p4r.FieldMatch, key: Match) -> None:
    assert isinstance(key, Range)
    match.range.low = encode_uint(key.low)
    match.range.high = encode_uint(key.high)


def _encode_optional(match: p4r.FieldMatch, key: Match) -> None:
    assert isinstance(key, OptionalMatch | Ternary)
    match.optional.value = encode_uint(key.value)


_DECODERS: dict[str, Callable[[str, MatchField], FieldDecoder]] = {
    "exact": _exact_decoder,
    "lpm": _lpm_decoder,
    "ternary": _ternary_decoder,
    "range": _range_decoder,
    "optional": _optional_decoder,
}
_ENCODERS: dict[str, FieldEncoder] = {
    "exact": _encode_exact,
    "lpm": _encode_lpm,
    "ternary": _encode_ternary,
    "range": _encode_range,
    "optional": _encode_optional,
}
