"""Drawings: the library's places are the labels' places, and a traced text stays a text."""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import jsonschema
import pytest

from stackledger.report import charts, drawing, vegalite
from stackledger.report.charts import Axis
from stackledger.report.costbars import FILLS
from stackledger.report.pages import TEMPLATES
from stackledger.report.parts import PARTS
from stackledger.report.vegalite import Box

HOSTILE = (
    "<script>alert(1)</script>",
    "\"'/></title></svg><img src=x onerror=alert(1)>",
    "${alert(1)} {{7*7}} datum['tip'] ]]> <![CDATA[ &lt; <!--",
    "https://example.org/x.js",
    "__proto__",
    "العربية \\u0000 \\\\",
)
TIME, LATENCY = Axis(0, 60e9), Axis(2e5, 7e8, log=True)
RULES = LATENCY.ticks(6)


@dataclass
class Stretch:
    left: float
    width: float
    tip: str = "disk"
    fill: str = "#cc3915"


def every_kind(names: tuple[str, ...]) -> list[vegalite.Spec]:
    """Return a specification of each kind with such texts in it."""
    fields = [Box(n * 1e9, (n + 1) * 1e9, 1e7, tip, bottom=1e6) for n, tip in enumerate(names)]
    points = [(n * 1e9, 1e6 * (n + 1)) for n in range(5)]
    return [
        vegalite.boxes(fields, TIME, LATENCY, RULES, gap=0.1),
        vegalite.lines([("p99", points), ("p50", points[:1])], TIME, LATENCY, RULES),
        vegalite.rows([[Stretch(10 * n, 10, tip)] for n, tip in enumerate(names)]),
    ]


@pytest.mark.parametrize(
    "axis", [LATENCY, Axis(0, 1100), Axis(0, 170 * 1024, unit=1024)], ids=["log", "linear", "KiB"]
)
def test_the_grid_lies_where_the_labels_are(axis: Axis) -> None:
    labels = charts.labels(axis, 6, str)
    column = Box(0, 30e9, axis.ticks(6)[-1], "half of the time", bottom=axis.low)
    root = ET.fromstring(
        drawing.plot(vegalite.boxes([column], TIME, axis, axis.ticks(6)), "a chart")
    )
    heights = [
        float(line.attrib["transform"].removeprefix("translate(0,").removesuffix(")"))
        for line in root.iter("line")
    ]
    assert [100 - y / 2 for y in heights] == pytest.approx([one.at for one in labels], abs=0.06)
    (path,) = root.iter("path")
    assert path.attrib["d"].startswith(f"M0,{heights[-1]:g}h500v")


def test_a_bar_is_placed_in_percent_and_what_is_small_is_seen() -> None:
    bars = [[Stretch(0, 12.5), Stretch(12.5, 0.001, "cpu")], [], [Stretch(25, 75)]]
    first, empty, last = [ET.fromstring(one) for one in drawing.tracks(bars)]
    assert [(r.get("x"), r.get("width")) for r in first] == [("0%", "12.5%"), ("12.5%", "0.1%")]
    assert first.get("aria-label") == "disk; cpu"
    assert len(empty) == 0
    assert [(r.get("x"), r.get("width")) for r in last] == [("25%", "75%")]
    assert drawing.tracks([]) == []


def test_a_column_of_one_request_among_a_million_is_seen() -> None:
    boxes = [Box(0, 1e9, 1e6, "many"), Box(1e9, 2e9, 1, "one"), Box(2e9, 3e9, 0, "none")]
    drawn = ET.fromstring(drawing.plot(vegalite.boxes(boxes, TIME, Axis(0, 1e6), []), "requests"))
    heights = [path.attrib["d"].split("v")[1].split("h")[0] for path in drawn.iter("path")]
    assert heights == ["200", "1.5", "0"]


def test_hostile_texts_stay_texts() -> None:
    boxes = every_kind(HOSTILE)[0]
    tracks = drawing.tracks([[Stretch(0, 50, tip)] for tip in HOSTILE])
    for drawn in [drawing.plot(boxes, HOSTILE[1]), *tracks]:
        root = ET.fromstring(drawn)
        assert {one.tag for one in root.iter()} <= {"svg", "line", "path", "rect", "title"}
        assert {name for one in root.iter() for name in one.keys()} <= {  # noqa: SIM118 - an element
            *("role", "aria-label", "viewBox", "preserveAspectRatio", "x", "y", "width", "height"),
            *("d", "transform", "x2", "fill", "stroke", "stroke-width", "stroke-dasharray"),
        }
    tips = [one.text for one in ET.fromstring(drawing.plot(boxes, "x")).iter("title")]
    assert tips == list(HOSTILE)
    assert ET.fromstring(drawing.plot(boxes, HOSTILE[1])).get("aria-label") == HOSTILE[1]
    assert [ET.fromstring(one).findtext("rect/title") for one in tracks] == list(HOSTILE)


def test_texts_stand_in_the_data_alone() -> None:
    hostile, plain = every_kind(HOSTILE), every_kind(tuple("abcdef"))
    for one, other in zip(hostile, plain, strict=True):
        for spec in (one, other):
            assert spec.pop("data").keys() == {"values"}
        assert one == other


def test_no_font_and_nothing_from_elsewhere_is_named() -> None:
    for spec in every_kind(("a", "b")):
        drawn = drawing.plot(spec, "a chart")
        for absent in ("font", "http", "href", "xmlns", "<text", "<style", "<image", "url("):
            assert absent not in drawn
        assert drawing.plot(spec, "a chart") == drawn


def test_what_fills_a_bar_is_on_the_page() -> None:
    patterns = (TEMPLATES / "patterns.html.j2").read_text()
    named = {f for f in [*FILLS.values(), *(part.fill for part in PARTS)] if f.startswith("url(")}
    assert len(named) == 4
    for fill in named:
        assert f'<pattern id="{fill.removeprefix("url(#").removesuffix(")")}" ' in patterns


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    """Return the Vega-Lite schema that altair ships; altair itself is not imported."""
    found = find_spec("altair")
    assert found is not None
    assert found.submodule_search_locations
    (path,) = Path(found.submodule_search_locations[0]).glob("vegalite/v6/schema/vega-lite-*.json")
    loaded: dict[str, Any] = json.loads(path.read_text())
    return loaded


@pytest.mark.parametrize("number", range(3), ids=["boxes", "lines", "rows"])
def test_specifications_are_vega_lite(schema: dict[str, Any], number: int) -> None:
    validator = jsonschema.Draft7Validator(schema)
    spec = every_kind(("a", "b"))[number]
    assert validator.is_valid(spec)
    assert not validator.is_valid(spec | {"mark": {"type": "rectangle"}})
