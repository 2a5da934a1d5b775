"""What names mean while a program is loaded: headers, fields and declared objects."""

from __future__ import annotations

from dataclasses import dataclass, field

from p4esp.switch import ir
from p4esp.switch.loader.cursor import Cursor

QUEUEING = frozenset({"enq_timestamp", "enq_qdepth", "deq_timedelta", "deq_qdepth", "priority"})
"""Fields of ``standard_metadata`` that describe queues; this switch has none."""


@dataclass(slots=True)
class Scope:
    """Everything a reference can point to, filled from top to bottom of the document."""

    headers: dict[str, ir.Header] = field(default_factory=dict)
    fields: dict[tuple[str, str], ir.Field] = field(default_factory=dict)
    union_members: frozenset[str] = frozenset()
    actions: dict[int, ir.Action] = field(default_factory=dict)
    calculations: dict[str, ir.Calculation] = field(default_factory=dict)
    registers: dict[str, ir.Register] = field(default_factory=dict)
    counters: dict[str, ir.Counter] = field(default_factory=dict)
    meters: dict[str, ir.Meter] = field(default_factory=dict)
    field_lists: dict[int, ir.FieldList] = field(default_factory=dict)
    digests: dict[int, ir.FieldList] = field(default_factory=dict)

    def header(self, at: Cursor) -> str:
        """The header instance named at ``at``."""
        name = at.text()
        if name not in self.headers:
            raise at.malformed("the name of a header")
        if name in self.union_members:
            raise at.unsupported(f"header union member '{name}'")
        return name

    def field(self, at: Cursor) -> ir.Field:
        """The field referred to by ``[header, field]``; never a hidden one."""
        name = self.header(at[0])
        found = self.fields.get((name, at[1].text()))
        if found is None:
            raise at.malformed(f"a field of header '{name}'")
        if name == "standard_metadata" and found.name in QUEUEING:
            raise at.unsupported(f"queueing metadata '{found.name}'")
        return found

    def value(self, at: Cursor) -> ir.Expr:
        """The value of ``[header, field]``, where the field may be the hidden ``$valid$``."""
        if at[1].value == "$valid$":
            return ir.Valid(self.header(at[0]))
        return ir.Read(self.field(at))
