"""A rekey starts before the packets of an SA run out, whatever is configured."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p4esp.configuration.sections import ConfigError
from p4esp.controller.config import parse_config
from p4esp.controller.sa_entries import LAST_SEQUENCE, SaSettings
from p4esp.demo.plan import LEFT, Change, gateway_section


def settings(**limits: int) -> SaSettings:
    section: dict[str, Any] = gateway_section(LEFT, "127.0.0.1:9559", Change(sa=limits))
    return (
        parse_config({"gateways": {"left": section}}, "limits.toml").gateways["left"].sa.settings()
    )


@pytest.mark.parametrize(
    ("soft", "hard", "accepted"),
    [(10, 10, "accepted: 1..9,"), (11, 10, "accepted: 1..9,"), (1 << 40, None, "accepted: 1..137")],
)
def test_a_soft_limit_that_is_not_below_the_hard_one_is_refused(
    soft: int, hard: int | None, accepted: str
) -> None:
    limits = {"soft_packets": soft} | ({"hard_packets": hard} if hard else {})
    with pytest.raises(ConfigError) as caught:
        settings(**limits)
    text = str(caught.value)
    assert text.startswith(f"limits.toml: gateways.left.sa: soft_packets {soft}: ")
    assert accepted in text


def test_a_hard_limit_that_leaves_no_packet_for_a_rekey_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"sa\.hard_packets: 1: .*greater than 1"):
        settings(hard_packets=1)


@given(st.integers(1, 1 << 36), st.booleans())
def test_each_kind_of_sa_is_rekeyed_before_it_stops(soft: int, esn: bool) -> None:
    """A limit that only 64-bit sequence numbers can reach does not disarm a 32-bit SA."""
    first, last = settings(soft_packets=soft).limits(esn=esn)
    assert 0 < first < last
    assert first == soft or (not esn and soft >= LAST_SEQUENCE)


def test_without_limits_three_quarters_of_the_sequence_numbers_are_used() -> None:
    assert settings().limits(esn=False) == (LAST_SEQUENCE * 3 // 4, LAST_SEQUENCE)
    assert settings(hard_packets=2).limits(esn=True) == (1, 2)
