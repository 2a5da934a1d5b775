"""Registers, counters, meters, hashes, random numbers, log messages, assertions."""

import logging
import random
import time
import zlib

import pytest
from switch_lab import PROGRAMS, Lab, lab

from p4esp.switch.device import Device
from p4esp.switch.entries import CounterValue, MeterConfig, TableError

READ, WRITE, COUNT, METER, CRC32, CRC16, CSUM16, RANDOM, ASSERT, LOG, SIGNED, DROP = range(12)


def ask(running: Lab, op: int, index: int = 0, value: int = 0) -> int | None:
    packet = bytes([op]) + index.to_bytes(4, "big") + value.to_bytes(4, "big")
    answers = running.send(packet)
    return int.from_bytes(answers[0][1][9:], "big") if answers else None


def test_registers_keep_what_packets_and_the_control_plane_write():
    running = lab("state")
    cells = running.device.register_array("ingress.cells")
    ask(running, WRITE, 3, 0xDEADBEEF)
    assert (cells.read(3), ask(running, READ, 3)) == (0xDEADBEEF, 0xDEADBEEF)
    cells.write(4, 5)
    assert ask(running, READ, 4) == 5
    for call, args in ((cells.read, (8,)), (cells.write, (-1, 0)), (cells.write, (0, 1 << 32))):
        with pytest.raises(TableError):
            call(*args)


def test_a_register_index_out_of_range_reads_zero_writes_nothing_and_is_counted():
    running = lab("state")
    ask(running, WRITE, 8, 1)
    ask(running, WRITE, 0xFFFFFFFF, 1)
    assert ask(running, READ, 8) == 0
    assert running.device.faults == {
        "register ingress.cells: write out of range": 2,
        "register ingress.cells: read out of range": 1,
    }


def test_a_signed_register_gives_back_the_sign():
    assert ask(lab("state"), SIGNED, 1, 0x80) == 0xFFFFFF80


def test_counters_count_packets_and_bytes_and_ignore_a_bad_index():
    running = lab("state")
    ask(running, COUNT, 2)
    ask(running, COUNT, 2)
    ask(running, COUNT, 4)
    counters = running.device.counter_array("ingress.packets")
    assert counters.read(2) == CounterValue(2, 18)
    assert running.device.faults == {"counter ingress.packets: count out of range": 1}
    with pytest.raises(TableError):
        counters.read(4)


def test_byte_meter_is_green_yellow_then_red_and_recovers():
    running = lab("state")
    meters = running.device.meter_array("ingress.rate")
    meters.write(1, MeterConfig(cir=9, cburst=9, pir=18, pburst=18))
    assert [ask(running, METER, 1) for _ in range(3)] == [0, 1, 2]
    assert ask(running, METER, 0) == 0
    running.clock.now += 500_000_000
    assert ask(running, METER, 1) == 1
    assert meters.read(1) == MeterConfig(9, 9, 18, 18)
    with pytest.raises(TableError):
        meters.write(1, MeterConfig(cir=2, cburst=1, pir=1, pburst=1))


def test_hash_takes_base_and_modulus():
    running = lab("state")
    data = (5).to_bytes(4, "big") + (6).to_bytes(4, "big")
    assert ask(running, CRC32, 5, 6) == zlib.crc32(data)
    assert 10 <= (ask(running, CRC16, 5, 6) or 0) < 110
    assert ask(running, CSUM16, 5, 6) == 0xFFFF - 11


def test_random_stays_inside_its_bounds_and_an_empty_range_changes_nothing():
    running = lab("state")
    drawn = {ask(running, RANDOM, 10, 13) for _ in range(100)}
    assert drawn == {10, 11, 12, 13}
    assert ask(running, RANDOM, 13, 10) == 0


def test_a_failed_assertion_drops_the_packet_and_is_counted():
    running = lab("state")
    assert ask(running, ASSERT, 1) == 0
    assert ask(running, ASSERT, 0) is None
    assert list(running.device.faults.values()) == [1]


def test_log_msg_fills_in_its_values(caplog):
    with caplog.at_level(logging.INFO, logger="p4esp.switch"):
        ask(lab("state"), LOG, 3, 4)
    assert caplog.messages == ["index 3 value 4"]


def test_mark_to_drop_drops():
    assert ask(lab("state"), DROP) is None


def test_loading_clears_all_state():
    running = lab("state")
    ask(running, WRITE, 1, 1)
    running.device.load((PROGRAMS / "state.json").read_bytes())
    assert running.device.register_array("ingress.cells").read(1) == 0


def test_a_restart_clears_all_state_and_runs_the_same_program():
    running = lab("state")
    ask(running, WRITE, 1, 1)
    running.device.restart()
    assert running.device.register_array("ingress.cells").read(1) == 0
    ask(running, WRITE, 1, 2)
    assert running.device.register_array("ingress.cells").read(1) == 2


def test_without_a_program_there_is_nothing_to_restart():
    with pytest.raises(TableError):
        Device(time.monotonic_ns, random.Random(1)).restart()
