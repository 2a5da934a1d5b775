"""The formats' fuzzer finds nothing in a short run, and does find what is planted."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))
from fuzz import formats
from fuzz.formats import Road
from fuzz.pipeline_oracle import FindingError

from p4esp.controller.numbers import CRYPTO_PORT
from p4esp.engine.attach import attach_engine
from p4esp.ipsec.formats import FORMATS


@pytest.fixture(scope="module")
def every_road() -> list[Road]:
    """All SAs."""
    return formats.build(7)


@pytest.fixture
def roads(every_road: list[Road]) -> Iterator[list[Road]]:
    """The same, with the engine of the honest gateway back in its place at the end."""
    yield every_road
    opening = every_road[0].honest.opening
    attach_engine(opening.device, CRYPTO_PORT, opening._engine.process)


def drive(roads: list[Road], times: int) -> None:
    """So many packets on each."""
    for road in roads * times:
        road.drive()


def test_a_short_run_finds_nothing_in_any_format(roads: list[Road]) -> None:
    drive(roads, 40)
    assert {road.sa.form for road in roads} == set(FORMATS)
    for road in roads:
        assert road.outcomes["damaged, refused"] > 5, str(road)
    assert sum(road.outcomes["insider, delivered"] for road in roads) > len(roads)


def test_an_engine_that_believes_everything_is_found(roads: list[Road]) -> None:
    """What nobody has authenticated is delivered, or takes the number of what somebody has."""
    opening = roads[0].honest.opening

    def gullible(request: bytes) -> bytes | None:
        reply = opening._engine.process(request)
        if reply is None or reply[16] != 1:
            return reply
        size, icv = len(request), request[44]
        plain_len = (size - 46 - request[41] - icv).to_bytes(2)
        body = request[46 : size - icv]
        return (
            request[:14]
            + b"\x82"
            + request[15:16]
            + b"\0"
            + request[17:42]
            + plain_len
            + (request[44:46] + body)
        )

    attach_engine(opening.device, CRYPTO_PORT, gullible)
    with pytest.raises(FindingError):
        drive(roads, 40)
