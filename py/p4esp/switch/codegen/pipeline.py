"""The whole program: one function from a packet to what leaves the switch.

``process(port, data, out, kind, saved, depth)`` appends (port, packet) pairs to ``out``.  A packet
that comes back (recirculated, resubmitted) and a clone made at ingress enter the function again:
``kind`` is then their instance type, ``saved`` their list of kept fields.  Programs that multicast
or clone at egress get egress as a second function, called once per copy.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from p4esp.switch import ir
from p4esp.switch.codegen import values
from p4esp.switch.codegen.checksums import emit_update, emit_verify
from p4esp.switch.codegen.context import DROP_PORT, Context
from p4esp.switch.codegen.deparser import emit_deparser, find_tail
from p4esp.switch.codegen.expressions import read_field
from p4esp.switch.codegen.facts import Facts, meet
from p4esp.switch.codegen.flow import Flow, refuse_cycle
from p4esp.switch.codegen.functions import Functions, finish
from p4esp.switch.codegen.parser import emit_parser
from p4esp.switch.codegen.tables import end_apply, ways_of_apply
from p4esp.switch.codegen.usage import find_usage
from p4esp.switch.codegen.values import Value

MAX_DEPTH = 32
"""How often one packet may come back or be cloned before it is dropped as a loop."""


class Kind(enum.IntEnum):
    """``standard_metadata.instance_type`` (bmv2, simple_switch)."""

    NORMAL = 0
    INGRESS_CLONE = 1
    EGRESS_CLONE = 2
    RECIRCULATED = 4
    REPLICATED = 5
    RESUBMITTED = 6


@dataclass(frozen=True, slots=True)
class Generated:
    """The program's function(s) and the constants they need by name."""

    functions: Functions
    constants: dict[str, object]


def generate(program: ir.Program, traced: bool = False) -> Generated:
    """Writes the program as Python; ``traced`` adds calls to a ``trace`` object."""
    ctx = Context.of(program, traced, find_tail(program, find_usage(program)))
    return Generated(_Pipeline(ctx).write(), ctx.constants)


@dataclass(slots=True)
class _Pipeline:
    ctx: Context

    @property
    def split(self) -> bool:
        """Whether egress is a function of its own."""
        return self.ctx.multicasts or self.ctx.clones_egress

    def write(self) -> Functions:
        """Both functions, optimised."""
        egress = self._egress_function() if self.split else None
        self._ingress_function()
        return finish(self.ctx, self.ctx.writer.text(), egress)

    # ------------------------------------------------------------ functions

    def _ingress_function(self) -> None:
        ctx = self.ctx
        header = "def process(port, data, out=None, kind=0, saved=None, depth=0):"
        with ctx.writer.block(header):
            with ctx.writer.block("if out is None:"):
                ctx.writer.line("out = []")
            ctx.writer.line("size = len(data)")
            if ctx.traced:
                ctx.writer.line("trace.start(port, kind, size)")
            if ctx.tracks_length:
                ctx.writer.line("length = size")
            if ctx.usage.statements[ir.Truncate]:
                ctx.writer.line("cut = size + 65536")
            self._start_packet()
            self._parse()
            self._ingress_and_egress()

    def _ingress_and_egress(self) -> None:
        ctx = self.ctx
        if not ctx.usage.ingress_clone_lists:
            self._ingress()
            self._egress()
            return
        parsed = ctx.facts.copy()
        with ctx.writer.block(f"if kind != {Kind.INGRESS_CLONE}:"):
            self._ingress()
        through = ctx.facts
        ctx.facts = parsed
        with ctx.writer.block("else:"):
            self._start_clone()
        ctx.facts = meet(through, ctx.facts)
        self._egress()

    # ------------------------------------------------------------ start of a packet

    def _start_packet(self) -> None:
        """Metadata as bmv2 has it before the parser: zero but for a few standard fields."""
        ctx = self.ctx
        for header in ctx.program.headers.values():
            if header.metadata:
                ctx.facts.consts.update({f: 0 for f in header.fields if not f.varbit})
        returns = bool(ctx.usage.recirculated_lists)
        clones = bool(ctx.usage.ingress_clone_lists)
        fresh = f"port if kind < {Kind.RECIRCULATED} else 0" if returns else "port"
        self._set("ingress_port", fresh)
        self._set("packet_length", "0 if kind == 1 else size" if clones else "size")
        self._set(
            "ingress_global_timestamp",
            "0 if kind else micros()" if returns or clones else "micros()",
        )
        if returns:
            self._set("instance_type", "0 if kind == 1 else kind" if clones else "kind")
            self._restore(self.ctx.usage.recirculated_lists, "kind > 1")

    def _set(self, name: str, text: str) -> None:
        """A standard field gets a value that is not known now; nothing if nobody reads it."""
        target = self.ctx.standard(name)
        if target is not None and self.ctx.is_live(target):
            fitted = values.fitted(Value(text, 0, 1 << 64), target.width, signed=False)
            self.ctx.writer.line(f"{self.ctx.names.field(target)} = {fitted.text}")
            self.ctx.facts.forget(target)

    def _restore(self, lists: set[int], condition: str) -> None:
        """Unpacks the kept fields of a packet that came back or was cloned."""
        kept = {n: self._live_fields(n) for n in sorted(lists)}
        if not any(kept.values()):
            return
        with self.ctx.writer.block(f"if {condition}:"):
            self.ctx.writer.line("kept_list, kept = saved[:2]")
            for number, fields in kept.items():
                if fields:
                    with self.ctx.writer.block(f"if kept_list == {number}:"):
                        targets = "".join(f"{self.ctx.names.field(f)}, " for f in fields)
                        self.ctx.writer.line(f"{targets}= kept")
        for target in (f for fields in kept.values() for f in fields):
            self.ctx.facts.forget(target)

    def _live_fields(self, list_id: int) -> list[ir.Field]:
        found = self.ctx.program.field_lists.get(list_id)
        return [] if found is None else [f for f in found.fields if self.ctx.is_live(f)]

    def _saved(self, list_id: int) -> str:
        """The source of ``saved`` for a packet that comes back."""
        kept = "".join(f"{read_field(self.ctx, f).text}, " for f in self._live_fields(list_id))
        return f"({list_id}, ({kept}))"

    # ------------------------------------------------------------ parser

    def _parse(self) -> None:
        ctx = self.ctx
        emit_parser(ctx)
        ctx.facts = ctx.ended or Facts()
        ctx.facts.offset = None
        self._set("parser_error", "parser_error")
        emit_verify(ctx)

    # ------------------------------------------------------------ ingress

    def _control(self, graph: ir.Graph, name: str) -> None:
        ctx = self.ctx
        ctx.ended = None
        flow = Flow(
            ctx,
            graph,
            lambda c, b, n: True,
            True,
            {ir.Apply: end_apply},
            {ir.Apply: ways_of_apply(ctx.program)},
        )
        with ctx.writer.block("while True:"):
            if not flow.run():
                raise refuse_cycle(f"pipeline '{name}'")
            ctx.writer.line("break")
        ctx.facts = ctx.ended or Facts()

    def _ingress(self) -> None:
        ctx, line = self.ctx, self.ctx.writer.line
        usage = ctx.usage
        if usage.statements[ir.Digest]:
            line("digest_list = 0")
        if usage.ingress_clone_lists:
            line("clone_session = -1")
        if usage.statements[ir.Resubmit]:
            line("resubmit_list = 0")
        self._control(ctx.program.ingress, "ingress")
        self._clone_ingress()
        self._send_digest()
        self._resubmit()
        self._choose_port()

    def _clone_ingress(self) -> None:
        ctx = self.ctx
        if not ctx.usage.ingress_clone_lists:
            return
        with ctx.writer.block(f"if clone_session >= 0 and depth < {MAX_DEPTH}:"):
            for number in sorted(ctx.usage.ingress_clone_lists):
                with ctx.writer.block(f"if clone_list == {number}:"):
                    ctx.writer.line(f"kept = {self._saved(number)}")
            with ctx.writer.block("for copy in clones.get(clone_session, ()):"):
                call = f"process(port, data, out, {Kind.INGRESS_CLONE}, kept + copy, depth + 1)"
                ctx.writer.line(call)

    def _start_clone(self) -> None:
        """A clone made at ingress goes from the parser straight to egress."""
        ctx = self.ctx
        for header in ctx.program.headers.values():
            if header.metadata:
                self._clear_metadata(header)
        self._restore(ctx.usage.ingress_clone_lists, "True")
        ctx.writer.line("egress_port, egress_rid = saved[2], saved[3]")
        if ctx.usage.statements[ir.Truncate]:
            ctx.writer.line("cut = saved[4] or cut")
        self._set_constant("instance_type", Kind.INGRESS_CLONE)

    def _clear_metadata(self, header: ir.Header) -> None:
        for target in header.fields:
            if self.ctx.is_live(target) and not target.varbit:
                if self.ctx.facts.consts.get(target) != 0:
                    self.ctx.writer.line(f"{self.ctx.names.field(target)} = 0")
                self.ctx.facts.consts[target] = 0

    def _send_digest(self) -> None:
        ctx = self.ctx
        if not ctx.usage.statements[ir.Digest]:
            return
        with ctx.writer.block("if digest_list:"):
            for number, digest in ctx.program.digests.items():
                fields = "".join(f"{read_field(ctx, f).text}, " for f in digest.fields)
                with ctx.writer.block(f"if digest_list == {number}:"):
                    ctx.writer.line(f"digest({digest.name!r}, ({fields}))")

    def _resubmit(self) -> None:
        ctx = self.ctx
        if not ctx.usage.statements[ir.Resubmit]:
            return
        with ctx.writer.block("if resubmit_list:"):
            self._again("resubmit_list", "data", Kind.RESUBMITTED)

    def _again(self, request: str, packet: str, kind: Kind) -> None:
        """The packet enters the switch again, with the kept fields of the list asked for."""
        ctx = self.ctx
        with ctx.writer.block(f"if depth >= {MAX_DEPTH}:"):
            ctx.writer.line("fault('packet came back too often')")
            ctx.writer.line("return out")
        lists = sorted(ctx.usage.recirculated_lists)
        for number in lists:
            with ctx.writer.block(f"if {request} == {number + 1}:"):
                ctx.writer.line(f"kept = {self._saved(number)}")
        ctx.writer.line(f"return process(port, {packet}, out, {int(kind)}, kept, depth + 1)")

    def _choose_port(self) -> None:
        ctx, line = self.ctx, self.ctx.writer.line
        if ctx.multicasts:
            self._multicast()
        spec = ctx.standard("egress_spec")
        assert spec is not None
        chosen = read_field(ctx, spec)
        self._drop_if_chosen(chosen, "dropped at ingress")
        line(f"egress_port = {chosen.text}")
        self._set_constant("instance_type", Kind.NORMAL)
        if ctx.usage.ingress_clone_lists or self.split:
            line("egress_rid = 0")

    def _drop_if_chosen(self, port: Value, what: str) -> None:
        dropped = values.binary("==", port, values.constant(DROP_PORT))
        if dropped.constant == 0:
            return
        with self.ctx.writer.block(f"if {dropped.text}:"):
            self._trace_end(what)
            self.ctx.writer.line("return out")

    def _multicast(self) -> None:
        ctx = self.ctx
        group = ctx.standard("mcast_grp")
        assert group is not None
        chosen = read_field(ctx, group)
        with ctx.writer.block(f"if {chosen.text}:"):
            before = ctx.facts.copy()
            self._set_constant("instance_type", Kind.REPLICATED)
            loop = f"for egress_port, egress_rid in groups.get({chosen.text}, ()):"
            with ctx.writer.block(loop):
                ctx.writer.line("egress()")
            ctx.writer.line("return out")
            ctx.facts = before

    def _set_constant(self, name: str, value: int) -> None:
        target = self.ctx.standard(name)
        if target is not None and self.ctx.is_live(target):
            self.ctx.writer.line(f"{self.ctx.names.field(target)} = {int(value)}")
            self.ctx.facts.consts[target] = int(value)

    # ------------------------------------------------------------ egress

    def _egress(self) -> None:
        if self.split:
            self.ctx.writer.line("egress()")
            self.ctx.writer.line("return out")
        else:
            self._egress_body()

    def _egress_function(self) -> str:
        """Its parameters and the arguments of its calls are put in by ``finish``."""
        ctx = self.ctx
        ctx.facts, mark = Facts(), ctx.writer.mark()
        with ctx.writer.block("def egress():"):
            self._egress_body()
        ctx.facts = Facts()
        text = ctx.writer.text()
        ctx.writer.cut(mark)
        return text

    def _egress_body(self) -> None:
        ctx, line = self.ctx, self.ctx.writer.line
        ctx.in_egress = True
        self._set("egress_port", "egress_port")
        self._set("egress_global_timestamp", "micros()")
        if ctx.tracks_length:
            self._set("packet_length", "length")
        if ctx.usage.ingress_clone_lists or self.split:
            self._set("egress_rid", "egress_rid")
        spec = ctx.standard("egress_spec")
        assert spec is not None
        self._set_constant("egress_spec", 0)
        if ctx.usage.statements[ir.Recirculate]:
            line("recirculate_list = 0")
        if ctx.clones_egress:
            line("clone_session = -1")
        self._control(ctx.program.egress, "egress")
        self._clone_egress()
        self._drop_or_send(spec)
        ctx.in_egress = False

    def _clone_egress(self) -> None:
        ctx = self.ctx
        if not ctx.clones_egress:
            return
        with ctx.writer.block(f"if clone_session >= 0 and depth < {MAX_DEPTH}:"):
            for number in sorted(ctx.usage.egress_clone_lists):
                with ctx.writer.block(f"if clone_list == {number}:"):
                    loop = "for clone_port, clone_rid, clone_cut in clones.get(clone_session, ()):"
                    with ctx.writer.block(loop):
                        ctx.writer.line(f"egress({number})")

    def _drop_or_send(self, spec: ir.Field) -> None:
        ctx, line = self.ctx, self.ctx.writer.line
        self._drop_if_chosen(read_field(ctx, spec), "dropped at egress")
        emit_update(ctx)
        emit_deparser(ctx)
        if ctx.usage.statements[ir.Truncate]:
            line("packet = packet[:cut]")
        if ctx.usage.statements[ir.Recirculate]:
            with ctx.writer.block("if recirculate_list:"):
                self._again("recirculate_list", "packet", Kind.RECIRCULATED)
        self._trace_end("sent")
        line("out.append((egress_port, packet))")
        line("return out")

    # ------------------------------------------------------------ ends

    def _trace_end(self, what: str) -> None:
        ctx = self.ctx
        if not ctx.traced:
            return
        reason = ctx.drop_reason
        text = "None" if reason is None else read_field(ctx, reason).text
        sent = "egress_port, packet" if what == "sent" else "None, None"
        ctx.writer.line(f"trace.end({what!r}, {text}, {sent})")
