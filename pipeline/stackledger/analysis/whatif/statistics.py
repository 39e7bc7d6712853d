"""Figures of latencies, each with a 95 % interval by block bootstrap."""

from __future__ import annotations

import math
import random
from bisect import bisect_left
from itertools import accumulate
from typing import TYPE_CHECKING

from stackledger.analysis.prediction import FIGURES, Figure, Latency

if TYPE_CHECKING:
    from collections.abc import Sequence

# Neighbours in time are alike: what is drawn again is blocks of them, not requests.
_BLOCKS = 30
_DRAWS = 200
_TAIL = 0.025
_PERCENTILES = {"p50": 0.50, "p95": 0.95, "p99": 0.99}

Errors = dict[str, float]


def figures(values: Sequence[float]) -> dict[str, float]:
    """Return mean, p50, p95 and p99 (nearest rank) by name; of nothing, 0."""
    ordered = sorted(values)
    if not ordered:
        return dict.fromkeys(FIGURES, 0.0)
    found = {name: _at(ordered, share) for name, share in _PERCENTILES.items()}
    return {"mean": sum(ordered) / len(ordered), **found}


def latency(values: Sequence[float], errors: Errors | None = None) -> Latency:
    """Return the figures of latencies in order of time, in their unit.

    `errors` widens each interval by a share of the figure: the replay's own error.
    """
    found = figures(values)
    drawn = _bootstrap(values) if values else {name: [0.0] for name in FIGURES}
    made = {}
    for name, value in found.items():
        error = (errors or {}).get(name, 0.0)
        ordered = sorted(drawn[name])
        low = min(value, _at(ordered, _TAIL)) * max(0.0, 1 - error)
        high = max(value, _at(ordered, 1 - _TAIL)) * (1 + error)
        made[name] = Figure(value, low, high)
    return Latency(**made)


def rate(values_hz: Sequence[float]) -> Figure:
    """Return the mean of rates, one per block of time, with its interval."""
    if not values_hz:
        return Figure(0.0, 0.0, 0.0)
    chance = random.Random(1)  # noqa: S311 - repeatable on purpose
    number = len(values_hz)
    means = sorted(sum(chance.choices(values_hz, k=number)) / number for _ in range(_DRAWS))
    return Figure(sum(values_hz) / number, _at(means, _TAIL), _at(means, 1 - _TAIL))


def _at(ordered: Sequence[float], share: float) -> float:
    """Return the smallest value with that share at or below it."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def _bootstrap(values: Sequence[float]) -> dict[str, list[float]]:
    number = len(values)
    blocks = min(_BLOCKS, number)
    place = [index * blocks // number for index in range(number)]
    order = sorted(range(number), key=values.__getitem__)
    ordered = [values[index] for index in order]
    block_of = [place[index] for index in order]
    sums = [0.0] * blocks
    sizes = [0] * blocks
    for value, block in zip(values, place, strict=True):
        sums[block] += value
        sizes[block] += 1
    chance = random.Random(1)  # noqa: S311 - repeatable on purpose
    drawn: dict[str, list[float]] = {name: [] for name in FIGURES}
    for _ in range(_DRAWS):
        weights = [0] * blocks
        for block in chance.choices(range(blocks), k=blocks):
            weights[block] += 1
        total = sum(weight * size for weight, size in zip(weights, sizes, strict=True))
        mean = sum(weight * one for weight, one in zip(weights, sums, strict=True)) / total
        drawn["mean"].append(mean)
        running = list(accumulate(map(weights.__getitem__, block_of)))
        for name, share in _PERCENTILES.items():
            drawn[name].append(ordered[bisect_left(running, share * total)])
    return drawn
