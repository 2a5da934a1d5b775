"""Packets that bmv2's simple_switch answered once; this switch must answer the same bytes.

The ``*.bmv2.json`` files hold rows of (packet in on port 0, port out, packet out), recorded from
simple_switch 1.15.5; ``null`` stands for a dropped packet.
"""

import json

import pytest
from switch_lab import PROGRAMS, lab

RECORDINGS = sorted(path.name.split(".")[0] for path in PROGRAMS.glob("*.bmv2.json"))


@pytest.mark.parametrize("program", RECORDINGS)
def test_answers_equal_those_of_bmv2(program):
    recording = json.loads((PROGRAMS / f"{program}.bmv2.json").read_text())
    running = lab(program)
    assert recording["packets"]
    for packet, port, expected in recording["packets"]:
        answer = [] if expected is None else [(port, bytes.fromhex(expected))]
        assert running.send(bytes.fromhex(packet)) == answer, packet


def test_recordings_exist_for_parser_arithmetic_and_checksums():
    assert {"parse", "arithmetic", "checksum"} <= set(RECORDINGS)
