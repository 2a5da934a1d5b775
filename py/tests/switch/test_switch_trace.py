"""A traced packet does what an untraced one does, and tells it."""

import io
import json

from rich.console import Console
from switch_lab import lab

from p4esp.switch.entries import Exact, Lpm
from p4esp.switch.trace import (
    ActionRun,
    End,
    Extracted,
    ParserError,
    ParserState,
    RegisterTouched,
    TableApplied,
    trace_packet,
)


def of_kind(trace, kind):
    return [event for event in trace.events if isinstance(event, kind)]


def test_a_trace_names_the_entry_that_was_hit_and_the_action():
    running = lab("tables")
    match = (Lpm(0x0A000000, 8), Exact(0))
    running.add("ingress.lpm_t", match, "ingress.set_lpm", 6)
    packet = bytes([0, 1, 0, 2, 10, 0, 0, 9])
    trace = trace_packet(running.device, 0, packet)
    applied = {event.table: event for event in of_kind(trace, TableApplied)}
    assert applied["ingress.lpm_t"].entry.match == match
    assert applied["ingress.lpm_t"].keys == (("hdr.key.c", 0x0A000009), ("hdr.key.op", 0))
    assert not applied["ingress.exact_t"].hit
    assert ActionRun("ingress.set_lpm", (("v", 6),)) in trace.events
    assert list(trace.packets) == running.send(packet)


def test_a_trace_tells_registers_and_the_program_s_drop_reason():
    running = lab("state")
    write = trace_packet(running.device, 0, bytes([1, 0, 0, 0, 3, 0, 0, 0, 9]))
    assert of_kind(write, RegisterTouched) == [RegisterTouched("ingress.cells", "write", 3, 9)]
    assert running.device.register_array("ingress.cells").read(3) == 9
    dropped = trace_packet(running.device, 0, bytes([11]) + bytes(8))
    assert dropped.events[-1] == End("dropped at ingress", 7, None, None)


def test_a_trace_tells_parser_states_and_errors():
    trace = trace_packet(lab("parse").device, 0, bytes(12) + b"\x08\x00" + b"\x45")
    assert [e.name for e in of_kind(trace, ParserState)] == ["start", "parse_ipv4"]
    assert of_kind(trace, Extracted) == [Extracted("ethernet", 0, 14)]
    assert of_kind(trace, ParserError) == [ParserError("PacketTooShort")]


def test_a_trace_follows_a_packet_that_comes_back():
    trace = trace_packet(lab("replicate").device, 3, bytes([3, 0]))
    assert [type(e).__name__ for e in trace.events].count("Start") == 2


def test_a_trace_is_text_and_json():
    trace = trace_packet(lab("tables").device, 0, bytes(8))
    console = Console(file=io.StringIO(), width=200)
    console.print(trace)
    assert "table ingress.lpm_t (hdr.key.c=0x0, hdr.key.op=0x0): miss" in console.file.getvalue()
    data = json.loads(json.dumps(trace.to_dict()))
    assert data["events"][0] == {"event": "Start", "port": 0, "kind": 0, "size": 8}


def test_untraced_code_has_no_tracing_in_it():
    assert "trace" not in lab("tables").device.source
