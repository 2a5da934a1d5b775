"""Bar charts as inline SVG: no script, no network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

LABELS, BARS, VALUES = 170, 470, 90
"""Widths: names on the left, bars, figures on the right."""
BAR, GAP = 13, 10


@dataclass(frozen=True, slots=True)
class Chart:
    """Bars in groups: one group for each name, one bar for each series."""

    title: str
    unit: str
    series: tuple[str, ...]
    names: tuple[str, ...]
    values: tuple[tuple[float, ...], ...]
    """By name, then by series."""

    @property
    def highest(self) -> float:
        """What the longest bar stands for."""
        return max(max(group) for group in self.values) or 1


def svg(chart: Chart) -> str:
    """The chart; the bars' figures stand next to them, so that no axis is needed."""
    step = len(chart.series) * BAR + GAP
    height = step * len(chart.names) + GAP
    groups = [_group(chart, place, GAP + place * step) for place in range(len(chart.names))]
    return (
        f"<figure><figcaption><b>{escape(chart.title)}</b> ({escape(chart.unit)}) "
        f"{_legend(chart.series)}</figcaption>"
        f'<svg viewBox="0 0 {LABELS + BARS + VALUES} {height}" role="img" '
        f'aria-label="{escape(chart.title)}">{"".join(groups)}</svg></figure>'
    )


def _legend(series: Sequence[str]) -> str:
    if len(series) == 1:
        return ""
    return " ".join(
        f'<span class="key k{place}"></span>{escape(name)}' for place, name in enumerate(series)
    )


def _group(chart: Chart, place: int, top: int) -> str:
    name, values = chart.names[place], chart.values[place]
    middle = top + len(values) * BAR / 2 + 4
    bars = [_bar(chart, series, value, top + series * BAR) for series, value in enumerate(values)]
    label = f'<text x="{LABELS - 8}" y="{middle:.0f}" text-anchor="end">{escape(name)}</text>'
    return label + "".join(bars)


def _bar(chart: Chart, series: int, value: float, top: int) -> str:
    width = BARS * value / chart.highest
    return (
        f'<rect class="s{series}" x="{LABELS}" y="{top}" width="{width:.1f}" height="{BAR - 2}">'
        f"<title>{escape(chart.series[series])}: {value:,.0f}</title></rect>"
        f'<text class="value" x="{LABELS + width + 5:.1f}" y="{top + BAR - 3}">{value:,.0f}</text>'
    )
