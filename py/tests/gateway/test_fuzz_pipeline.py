"""The pipeline's fuzzer finds nothing in a short run, and does find what is planted."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6, IPv6ExtHdrDestOpt
from scapy.layers.l2 import Ether
from scapy.packet import Packet

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))
from fuzz import pipeline
from fuzz.pipeline_damage import stimulus
from fuzz.pipeline_oracle import FindingError, Judge, beyond_policy
from fuzz.pipeline_world import Stimulus

SEED = 11
Process = Callable[[int, bytes], list[tuple[int, bytes]]]


@pytest.fixture(scope="module")
def judge() -> Judge:
    """One world for all tests."""
    return Judge(SEED)


@pytest.fixture
def process(judge: Judge) -> Iterator[Process]:
    """East's pipeline, which a test may replace."""
    before = judge.world.east.device.process
    yield before
    judge.world.east.device.process = before


def batch(judge: Judge, count: int = 500) -> list[Stimulus]:
    """Damaged packets."""
    rng = random.Random(SEED)
    return [stimulus(judge.world, rng) for _ in range(count)]


def test_a_short_run_finds_nothing(judge: Judge) -> None:
    """What the counters say adds up as well."""
    judge.judge(batch(judge))
    tally = judge.tally
    assert tally.packets == 500
    # Every request that the engine takes comes back as a packet.
    assert tally.outcomes.total() == 500 + tally.outcomes["TO_ENGINE"]
    assert len(tally.drops) > 15, "many checks fail"


def test_an_engine_that_believes_everything_is_found(
    judge: Judge, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Packets that nobody has authenticated leave."""
    honest = judge.world.east.engine.process

    def gullible(frame: bytes) -> bytes | None:
        reply = honest(frame)
        assert reply is not None
        return frame[:14] + bytes([reply[14]]) + frame[15:16] + b"\0" + reply[17:]

    monkeypatch.setattr(judge.world.east.engine, "process", gullible)
    with pytest.raises(FindingError):
        judge.judge(batch(judge))


def test_a_packet_that_vanishes_is_found(judge: Judge, process: Process) -> None:
    """Counted as sent, and not sent."""
    device = judge.world.east.device
    device.process = lambda port, data: process(port, data)[1:]
    with pytest.raises(FindingError, match="counted as sent"):
        judge.judge(batch(judge))


def test_a_clear_packet_that_leaks_is_found(judge: Judge, process: Process) -> None:
    """What was asked to be sealed leaves as it is."""
    device = judge.world.east.device

    def leaking(port: int, data: bytes) -> list[tuple[int, bytes]]:
        return [(1, data) if out == 509 else (out, packet) for out, packet in process(port, data)]

    device.process = leaking
    with pytest.raises(FindingError):
        judge.judge(batch(judge))


def test_an_exception_is_a_finding_of_its_packet(judge: Judge, process: Process) -> None:
    """It is kept, and not lost in a traceback."""
    device = judge.world.east.device

    def failing(port: int, data: bytes) -> list[tuple[int, bytes]]:
        if len(data) > 200:
            raise IndexError("planted")
        return process(port, data)

    device.process = failing
    with pytest.raises(FindingError, match="planted") as found:
        judge.judge(batch(judge))
    assert found.value.stimulus is not None
    assert len(found.value.stimulus.data) > 200


def test_a_finding_is_saved_and_can_be_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The file names the world and the packet; the command stands in the output."""
    monkeypatch.setattr(pipeline, "PLACE", tmp_path)
    good = Stimulus("other", 1, bytes(60))
    assert pipeline.report(SEED, [good], FindingError("planted", good)) == 1
    (file,) = tmp_path.iterdir()
    assert f"make fuzz-pipeline REPLAY={file}" in capsys.readouterr().out
    assert pipeline.replay(file) == 0
    assert "gone" in capsys.readouterr().out


REQUEST, OTHER = b"\0\0\0\7", b"\0\0\1\7"
ALIGNED = IPv6ExtHdrDestOpt(nh=50, options=[])


@pytest.mark.parametrize(
    ("packet", "text", "allowed"),
    [
        (IP(proto=50), REQUEST + bytes(12), True),
        (IP(proto=50), OTHER + REQUEST + bytes(8), False),
        (IP(proto=50), OTHER + bytes(40) + REQUEST, False),
        (IP(proto=50), REQUEST[:3], False),
        (IP(proto=50, options=[b"\1" * 4]), REQUEST + bytes(12), True),
        (IP(proto=50, options=[REQUEST]), OTHER + bytes(12), False),
        (IP(proto=51), REQUEST + bytes(12), False),
        (IPv6(nh=50), REQUEST + bytes(12), True),
        (IPv6(nh=50), OTHER + REQUEST + bytes(8), False),
        (IPv6(nh=50, dst="2001:db8::7"), OTHER + bytes(12), False),
        (IPv6() / ALIGNED, REQUEST + bytes(12), False),
        (IP() / UDP(sport=500, dport=500), OTHER, True),
        (IP() / UDP(sport=501, dport=500), REQUEST, False),
    ],
)
def test_only_ike_and_what_begins_as_a_request_for_esp_is_beyond_policy(
    packet: Packet, text: bytes, allowed: bool
) -> None:
    """The four octets of the request's SPI stand where ESP begins, and are none of its data."""
    assert beyond_policy(bytes(Ether() / packet / text)) is allowed
