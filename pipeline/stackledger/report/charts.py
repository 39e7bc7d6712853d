"""A chart's axes: their range, their round numbers, and the labels beside the drawing.

The drawing (`drawing.py`) stretches to any width and has no text: labels are HTML, placed
by percentages, so that they keep their size on a phone and in print.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

_STEPS = (1, 2, 5)


@dataclass(frozen=True, slots=True)
class Label:
    """A text at a percentage of the axis (from the left, or from the bottom)."""

    at: float
    text: str


@dataclass(frozen=True, slots=True)
class Plot:
    """One chart: the drawing and what stands at its edges; `marks` are vertical lines."""

    drawing: Markup
    x_labels: list[Label]
    y_labels: list[Label]
    marks: list[Label]


@dataclass(frozen=True, slots=True)
class Axis:
    """A range of numbers on 0..1, linear or logarithmic; linear ticks are round in `unit`."""

    low: float
    high: float
    log: bool = False
    unit: float = 1.0

    def at(self, value: float) -> float:
        """Return where a value lies, 0..1, kept inside."""
        low, high, value = (
            (math.log10(self.low), math.log10(self.high), math.log10(max(value, 1e-9)))
            if self.log
            else (self.low, self.high, value)
        )
        return min(1.0, max(0.0, (value - low) / (high - low))) if high > low else 0.0

    def ticks(self, most: int) -> list[float]:
        """Return at most `most` round numbers within the range."""
        return self._log_ticks(most) if self.log else self._linear_ticks(most)

    def _linear_ticks(self, most: int) -> list[float]:
        low, high = self.low / self.unit, self.high / self.unit
        span = high - low
        if span <= 0:
            return [self.low]
        exponent = math.floor(math.log10(span)) - 2
        while True:
            for step in (k * 10.0**exponent for k in _STEPS):
                first, last = math.ceil(low / step), math.floor(high / step)
                if last - first < most:
                    return [round(n * step, 9) * self.unit for n in range(first, last + 1)]
            exponent += 1

    def _log_ticks(self, most: int) -> list[float]:
        decades = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        candidates: list[list[float]] = [
            [k * 10.0**e for e in decades for k in steps] for steps in ((1, 2, 5), (1, 3), (1,))
        ]
        candidates += [[10.0**e for e in decades if e % n == 0] for n in (2, 3, 4)]
        for numbers in candidates:
            inside = [n for n in numbers if self.low * 0.999 <= n <= self.high * 1.001]
            if len(inside) <= most:
                return inside
        return []


def around(values: Sequence[float], *, log: bool) -> Axis:
    """Return an axis for the values: from 0 where linear, with air where logarithmic."""
    high = max(values, default=1.0)
    if not log:
        return Axis(0.0, (high or 1.0) * 1.05)
    low = min((value for value in values if value > 0), default=1.0)
    # At least a factor of four, or a flat line fills the plot with noise.
    centre, span = math.sqrt(low * max(high, low)), max(max(high, low) / low, 4.0)
    return Axis(centre / math.sqrt(span) / 1.15, centre * math.sqrt(span) * 1.15, log=True)


def labels(axis: Axis, most: int, write: Callable[[float], str]) -> list[Label]:
    """Return the axis's round numbers as labels."""
    return [Label(_percent(axis.at(value)), write(value)) for value in axis.ticks(most)]


def _percent(share: float) -> float:
    return round(share * 100, 2)
