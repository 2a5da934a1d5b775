"""Tables: lookup against a brute-force model, what writes are refused, direct resources."""

import pytest
from switch_lab import Lab, lab

from p4esp.switch.entries import (
    ActionCall,
    CounterValue,
    ErrorCode,
    Exact,
    Lpm,
    MeterConfig,
    TableEntry,
    TableError,
    Ternary,
)

EXACT, LPM, TERNARY, RANGE, OPTIONAL, CONST, WAY, COLOUR = range(8, 16)


def packet(op: int = 0, a: int = 0, b: int = 0, c: int = 0) -> bytes:
    return bytes([op, a]) + b.to_bytes(2, "big") + c.to_bytes(4, "big")


def result(running: Lab, **fields: int) -> bytes:
    [(_, answer)] = running.send(packet(**fields))
    return answer


def refused(code: ErrorCode, call, *args) -> str:
    with pytest.raises(TableError) as caught:
        call(*args)
    assert caught.value.code is code
    return caught.value.message


def exact(a: int, b: int, value: int = 0) -> tuple[Exact, Exact, Exact]:
    return Exact(a), Exact(b), Exact(value)


# ---------------------------------------------------------------- lookup


def test_exact_entry_hits_and_default_runs_on_a_miss():
    running = lab("tables")
    running.add("ingress.exact_t", exact(1, 2), "ingress.set_exact", 7)
    assert result(running, a=1, b=2)[EXACT] == 7
    assert result(running, a=1, b=3)[EXACT] == 0xEE


def test_a_field_of_an_invalid_header_counts_as_zero_in_a_key():
    running = lab("tables")
    running.add("ingress.exact_t", exact(1, 2, 5), "ingress.set_exact", 7)
    assert result(running, a=1, b=2)[EXACT] == 0xEE


def test_the_longest_prefix_wins_whatever_the_order_of_insertion():
    running = lab("tables")
    for value, length, mark in ((0x0A000000, 8, 1), (0x0A010203, 32, 3), (0x0A010000, 16, 2)):
        running.add("ingress.lpm_t", (Lpm(value, length), Exact(0)), "ingress.set_lpm", mark)
    running.add("ingress.lpm_t", (None, Exact(0)), "ingress.set_lpm", 9)
    found = [result(running, c=c)[LPM] for c in (0x0A010203, 0x0A010204, 0x0A020304, 0x0B000000)]
    assert found == [4, 3, 2, 10]


@pytest.mark.parametrize("before", [(), (Lpm(0x0A000000, 8),)], ids=["alone", "second"])
def test_a_default_route_is_found_whenever_it_comes(before):
    running = lab("tables")
    for match in before:
        running.add("ingress.lpm_t", (match, Exact(0)), "ingress.set_lpm", 1)
        result(running, c=0x0B000000)
    running.add("ingress.lpm_t", (None, Exact(0)), "ingress.set_lpm", 9)
    assert result(running, c=0x0B000000)[LPM] == 10


def test_hit_and_miss_take_their_own_branches():
    running = lab("tables")
    running.add("ingress.lpm_t", (Lpm(0, 1), Exact(0)), "NoAction")
    assert result(running, c=1)[LPM] == 1
    assert result(running, c=0x80000000)[LPM] == 0xAA


def test_action_run_selects_the_branch_of_the_action():
    running = lab("tables")
    running.add("ingress.way_t", (Exact(1),), "ingress.one")
    running.add("ingress.way_t", (Exact(2),), "ingress.two")
    assert [result(running, op=op)[WAY] for op in (0, 1, 2)] == [0x9A, 0x12, 0x23]


def test_exit_ends_the_control_at_once():
    running = lab("tables")
    running.add("ingress.ternary_t", (Ternary(3, 255), None, None), "ingress.leave", priority=1)
    [(port, answer)] = running.send(packet(a=3))
    assert (port, answer[TERNARY], answer[WAY]) == (2, 0xFF, 0x99)


def test_const_entries_match_in_their_order_and_cannot_be_written():
    running = lab("tables")
    found = [result(running, a=a)[CONST] for a in (0x10, 0x11, 0x1F, 0x20, 0x30)]
    assert found == [1, 1, 1, 3, 0xDD]
    table = running.device.table("ingress.const_t")
    listed = list(table.entries())
    assert [entry.priority for entry in listed] == [3, 2, 1]
    assert all(entry.is_const for entry in listed)
    entry = TableEntry((None,), ActionCall("NoAction"), 1)
    refused(ErrorCode.PERMISSION_DENIED, table.insert, entry)
    refused(ErrorCode.PERMISSION_DENIED, table.set_default, ActionCall("NoAction"))


def test_a_cached_result_is_forgotten_when_the_table_changes():
    running = lab("tables")
    key = (Lpm(0x0A000000, 8), Exact(0))
    assert result(running, c=0x0A000001)[LPM] == 0xAA
    running.add("ingress.lpm_t", key, "ingress.set_lpm", 1)
    assert result(running, c=0x0A000001)[LPM] == 2
    table = running.device.table("ingress.lpm_t")
    table.modify(TableEntry(key, ActionCall("ingress.set_lpm", (5,))))
    assert result(running, c=0x0A000001)[LPM] == 6
    table.delete(key)
    assert result(running, c=0x0A000001)[LPM] == 0xAA
    table.set_default(ActionCall("ingress.set_lpm", (8,)))
    assert running.device.table("ingress.lpm_t").default() == ActionCall("ingress.set_lpm", (8,))


# ---------------------------------------------------------------- writes


def test_writes_are_refused_with_the_canonical_code():
    running = lab("tables")
    table = running.device.table("ingress.exact_t")
    call = ActionCall("ingress.set_exact", (1,))
    table.insert(TableEntry(exact(1, 1), call))
    refused(ErrorCode.ALREADY_EXISTS, table.insert, TableEntry(exact(1, 1), call))
    refused(ErrorCode.NOT_FOUND, table.modify, TableEntry(exact(1, 2), call))
    refused(ErrorCode.NOT_FOUND, table.delete, exact(1, 2))
    refused(ErrorCode.NOT_FOUND, running.device.table, "ingress.nowhere")
    message = refused(
        ErrorCode.INVALID_ARGUMENT, table.insert, TableEntry(exact(2, 2), ActionCall("ingress.one"))
    )
    assert "ingress.set_exact_twice" in message
    few = TableEntry(exact(2, 2), ActionCall("ingress.set_exact"))
    refused(ErrorCode.INVALID_ARGUMENT, table.insert, few)
    refused(ErrorCode.INVALID_ARGUMENT, table.insert, TableEntry((Exact(1),), call))
    refused(ErrorCode.INVALID_ARGUMENT, table.insert, TableEntry((None, None, None), call))


def test_a_full_table_is_resource_exhausted_and_keeps_working():
    running = lab("tables")
    for number in range(4):
        running.add("ingress.exact_t", exact(number, 0), "ingress.set_exact", number)
    table = running.device.table("ingress.exact_t")
    entry = TableEntry(exact(9, 0), ActionCall("ingress.set_exact", (9,)))
    refused(ErrorCode.RESOURCE_EXHAUSTED, table.insert, entry)
    table.delete(exact(0, 0))
    table.insert(entry)
    assert len(table) == 4
    assert result(running, a=9)[EXACT] == 9


def test_entries_are_read_back_as_written():
    running = lab("tables")
    table = running.device.table("ingress.ternary_t")
    written = [
        TableEntry(
            (Ternary(1, 3), None, Lpm(0x0A000000, 8)),
            ActionCall("ingress.set_ternary", (5,)),
            9,
            b"mine",
            0,
            77,
        ),
        TableEntry((None, None, None), ActionCall("NoAction"), 1),
    ]
    for entry in written:
        table.insert(entry)
    assert list(table.entries()) == written
    assert table.get(written[0].match, 9) == written[0]


# ---------------------------------------------------------------- direct resources


def test_direct_counter_counts_hits_of_its_entry():
    running = lab("tables")
    running.add("ingress.exact_t", exact(1, 2), "NoAction")
    table = running.device.table("ingress.exact_t")
    for _ in range(3):
        result(running, a=1, b=2)
    result(running, a=9)
    assert table.read_counter(exact(1, 2)) == CounterValue(3, 24)
    assert table.default_counter() == CounterValue(1, 8)
    table.modify(TableEntry(exact(1, 2), ActionCall("ingress.set_exact", (1,))))
    assert table.read_counter(exact(1, 2)).packets == 3
    table.write_counter(exact(1, 2), 0, CounterValue(0, 0))
    assert table.read_counter(exact(1, 2)) == CounterValue(0, 0)


def test_direct_meter_colours_packets_by_rate():
    running = lab("tables")
    running.add("ingress.exact_t", exact(1, 2), "ingress.set_exact_twice", 3)
    table = running.device.table("ingress.exact_t")
    assert result(running, a=1, b=2)[COLOUR] == 0
    table.write_meter(exact(1, 2), 0, MeterConfig(cir=1, cburst=1, pir=2, pburst=2))
    colours = [result(running, a=1, b=2)[COLOUR] for _ in range(3)]
    assert colours == [0, 1, 2]
    running.clock.now += 1_000_000_000
    assert result(running, a=1, b=2)[COLOUR] == 0
    table.write_meter(exact(1, 2), 0, None)
    assert table.read_meter(exact(1, 2)) is None
    assert result(running, a=1, b=2)[COLOUR] == 0


def test_an_entry_is_idle_from_its_last_hit():
    running = lab("tables")
    table = running.device.table("ingress.exact_t")
    table.insert(TableEntry(exact(1, 2), ActionCall("NoAction"), idle_timeout_ns=100))
    running.clock.now += 60
    result(running, a=1, b=2)
    running.clock.now += 60
    assert table.time_since_hit(exact(1, 2)) == 60
    assert list(table.idle_entries(running.clock.now)) == []
    running.clock.now += 60
    assert [e.match for e in table.idle_entries(running.clock.now)] == [exact(1, 2)]
