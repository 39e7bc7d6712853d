"""The parts' colours can be told apart, also by the colour-blind, and carry their labels."""

from __future__ import annotations

import itertools
import math

import pytest

from stackledger.analysis.attribution import PARTS as ATTRIBUTED
from stackledger.report.parts import PARTS

# Machado, Oliveira, Fernandes 2009, severity 1.0; on linear RGB.
SIGHT = {
    "normal": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "protanopia": (
        (0.152286, 1.052583, -0.204868),
        (0.114503, 0.786281, 0.099216),
        (-0.003882, -0.048116, 1.051998),
    ),
    "deuteranopia": (
        (0.367322, 0.860646, -0.227968),
        (0.280085, 0.672501, 0.047413),
        (-0.011820, 0.042940, 0.968881),
    ),
    "tritanopia": (
        (1.255528, -0.076749, -0.178779),
        (-0.078411, 0.930809, 0.147602),
        (0.004733, 0.691367, 0.303900),
    ),
}


def linear(colour: str) -> list[float]:
    levels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    return [x / 12.92 if x <= 0.04045 else ((x + 0.055) / 1.055) ** 2.4 for x in levels]


def oklab(rgb: list[float]) -> tuple[float, float, float]:
    r, g, b = (max(0.0, x) for x in rgb)
    long = (0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b) ** (1 / 3)
    middle = (0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b) ** (1 / 3)
    short = (0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b) ** (1 / 3)
    return (
        0.2104542553 * long + 0.7936177850 * middle - 0.0040720468 * short,
        1.9779984951 * long - 2.4285922050 * middle + 0.4505937099 * short,
        0.0259040371 * long + 0.7827717662 * middle - 0.8086757660 * short,
    )


def contrast(one: str, other: str) -> float:
    light = [0.2126 * r + 0.7152 * g + 0.0722 * b for r, g, b in (linear(one), linear(other))]
    return (max(light) + 0.05) / (min(light) + 0.05)


@pytest.mark.parametrize("sight", SIGHT)
def test_solid_colours_are_far_apart(sight: str) -> None:
    solid = [part for part in PARTS if part.pattern == "solid"]
    seen = {
        part.key: oklab(
            [
                sum(k * x for k, x in zip(row, linear(part.colour), strict=True))
                for row in SIGHT[sight]
            ]
        )
        for part in solid
    }
    for one, other in itertools.combinations(seen, 2):
        assert 100 * math.dist(seen[one], seen[other]) >= 12, (one, other)


def test_what_looks_alike_differs_by_its_pattern() -> None:
    looks = [(part.colour, part.pattern) for part in PARTS]
    assert len(set(looks)) == len(looks)


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.key)
def test_labels_can_be_read_and_bars_be_seen(part) -> None:  # type: ignore[no-untyped-def]
    assert contrast(part.ink, part.colour) >= 4.0
    assert contrast(part.colour, "#14171c") >= 2.5


def test_every_part_of_the_ledger_has_a_colour() -> None:
    assert {part.column for part in PARTS} == set(ATTRIBUTED)
