"""What all parts of the generator share."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field

from p4esp.switch import ir
from p4esp.switch.codegen.facts import Facts, meet
from p4esp.switch.codegen.layout import Layout, build_layouts, lazy_fields, opaque_fields
from p4esp.switch.codegen.names import Names
from p4esp.switch.codegen.usage import Usage, find_usage
from p4esp.switch.codegen.values import Value
from p4esp.switch.codegen.writer import Writer

DROP_PORT = 511
PORT_BITS = 9


@dataclass(slots=True)
class Context:
    """The state of one generation.

    ``facts`` is what is known where the writer stands, ``None`` where control cannot come.
    ``ended`` collects what is known wherever the current control ends.  ``constants`` are objects
    the code needs besides the run-time state, by their name in the code.
    """

    program: ir.Program
    traced: bool
    usage: Usage
    names: Names
    layouts: Mapping[str, Layout]
    tail: tuple[str, ...]
    lazy: Mapping[ir.Field, tuple[str, int]]
    opaque: Mapping[ir.Field, int]
    writer: Writer = field(default_factory=Writer)
    facts: Facts = field(default_factory=Facts)
    ended: Facts | None = None
    params: tuple[Value, ...] = ()
    constants: dict[str, object] = field(default_factory=dict)
    groups: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Of the deparser's headers: ``groups.py``."""
    jumps: int = 0
    in_egress: bool = False

    @classmethod
    def of(cls, program: ir.Program, traced: bool, tail: tuple[str, ...]) -> Context:
        """A fresh context; ``tail`` are the headers that leave as they came, with the payload."""
        usage, names = find_usage(program), Names()
        layouts = build_layouts(program, usage, names)
        lazy, opaque = lazy_fields(layouts), opaque_fields(layouts)
        return cls(program, traced, usage, names, layouts, tail, lazy, opaque)

    def number(self, mapping: Mapping[str, object], name: str) -> int:
        """The place of a declared object among its kind: run-time names end in it."""
        return list(mapping).index(name)

    def standard(self, name: str) -> ir.Field | None:
        """A field of ``standard_metadata``, if the program declares it."""
        header = self.program.headers["standard_metadata"]
        return next((f for f in header.fields if f.name == name), None)

    def is_live(self, target: ir.Field) -> bool:
        """Whether anybody can notice the field's value."""
        if target in self.usage.reads or target == self.standard("egress_spec"):
            return True
        if target == self.standard("mcast_grp"):
            return self.multicasts
        if self.traced and target == self.drop_reason:
            return True
        return target.header in self.layouts and self.is_rebuilt(target.header)

    @property
    def drop_reason(self) -> ir.Field | None:
        """The metadata field in which the program says why it drops, by its name."""
        metadata = (h for h in self.program.headers.values() if h.metadata)
        fields = (f for h in metadata for f in h.fields)
        return next((f for f in fields if f.name.split(".")[-1] == "drop_reason"), None)

    def is_rebuilt(self, header: str) -> bool:
        """Whether the header's bytes are put together from its fields somewhere."""
        emitted = header in self.program.deparser and header in self.usage.modified
        return emitted or any(header in pair for pair in self.usage.twins)

    @property
    def multicasts(self) -> bool:
        """Whether the program ever chooses a multicast group."""
        return self.standard("mcast_grp") in self.usage.written

    @property
    def clones_egress(self) -> bool:
        """Whether the program clones at egress."""
        return bool(self.usage.egress_clone_lists)

    @property
    def tracks_length(self) -> bool:
        """Whether egress looks at ``packet_length``."""
        return self.standard("packet_length") in self.usage.egress_read

    def end_control(self) -> None:
        """Notes that the control can end where the writer stands."""
        self.ended = meet(self.ended, self.facts)

    def struct(self, method: str, layout: str) -> str:
        """The name of a bound ``struct`` method for a format in network order."""
        name = f"{method}_{layout.replace('?', '_')}"
        self.constants[name] = getattr(struct.Struct(">" + layout), method)
        return name

    def error_code(self, name: str) -> int:
        """The number the program gave to a parser error of the core library."""
        return self.program.errors.get(name, 0)
