"""Two-rate three-colour meters, colour-blind, as bmv2 runs them (after RFC 2698).

A packet that the peak bucket cannot pay is red and costs nothing; one that the committed bucket
cannot pay is yellow and costs the peak bucket; else it is green and costs both.
"""

from __future__ import annotations

from collections.abc import Callable

from p4esp.switch import ir
from p4esp.switch.entries import ErrorCode, MeterConfig, TableError
from p4esp.switch.runtime.arrays import check_index

GREEN, YELLOW, RED = 0, 1, 2
_SECOND = 1_000_000_000
"""Buckets hold billionths of a token, so that nanoseconds times rate needs no division."""


class Meter:
    """One configured meter; ``now`` in nanoseconds."""

    __slots__ = ("_committed", "_last", "_peak", "config", "per_byte")

    def __init__(self, config: MeterConfig, per_byte: bool, now: int) -> None:
        self.config, self.per_byte = config, per_byte
        self._committed, self._peak = config.cburst * _SECOND, config.pburst * _SECOND
        self._last = now

    def colour(self, size: int, now: int) -> int:
        """Meters one packet of ``size`` bytes."""
        config, elapsed = self.config, now - self._last
        self._last = now
        self._committed = min(self._committed + elapsed * config.cir, config.cburst * _SECOND)
        self._peak = min(self._peak + elapsed * config.pir, config.pburst * _SECOND)
        cost = (size if self.per_byte else 1) * _SECOND
        if self._peak < cost:
            return RED
        self._peak -= cost
        if self._committed < cost:
            return YELLOW
        self._committed -= cost
        return GREEN


def check_config(config: MeterConfig, name: str) -> None:
    """Raises INVALID_ARGUMENT unless 0 <= committed rate <= peak rate and no burst is negative."""
    if not (0 <= config.cir <= config.pir and config.cburst >= 0 and config.pburst >= 0):
        text = f"meter {name}: needs 0 <= cir <= pir and bursts >= 0, got {config}"
        raise TableError(ErrorCode.INVALID_ARGUMENT, text)


class Meters:
    """One meter array; an index outside it and an unconfigured meter are green."""

    def __init__(
        self, meter: ir.Meter, clock: Callable[[], int], fault: Callable[[str], None]
    ) -> None:
        self.name, self.size = meter.name, meter.size
        self._per_byte = meter.unit is ir.CounterUnit.BYTES
        self._clock, self._fault = clock, fault
        self._configured: dict[int, Meter] = {}

    def execute(self, index: int, size: int) -> int:
        """The colour of one packet of ``size`` bytes."""
        meter = self._configured.get(index)
        if meter is not None:
            return meter.colour(size, self._clock())
        if not 0 <= index < self.size:
            self._fault(f"meter {self.name}: execute out of range")
        return GREEN

    def read(self, index: int) -> MeterConfig | None:
        """The configuration of one meter."""
        check_index("meter", self.name, index, self.size)
        meter = self._configured.get(index)
        return None if meter is None else meter.config

    def write(self, index: int, config: MeterConfig | None) -> None:
        """Configures one meter; ``None`` makes every packet green again."""
        check_index("meter", self.name, index, self.size)
        if config is None:
            self._configured.pop(index, None)
            return
        check_config(config, self.name)
        self._configured[index] = Meter(config, self._per_byte, self._clock())
