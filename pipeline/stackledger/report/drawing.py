"""Draws Vega-Lite specifications as inline SVG: no script, no text, no name of a font.

Vega writes the SVG; of it only the shapes are kept, attribute by attribute, so that
nothing else gets onto the page. A colour may be a CSS variable (Vega passes it through):
that is how a drawing follows the theme of its reader.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import vl_convert
from markupsafe import Markup

from stackledger.report.vegalite import HEIGHT, ROW, WIDTH, rows

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from stackledger.report.vegalite import Piece, Spec

_SVG = "{http://www.w3.org/2000/svg}"
_KEPT = ("d", "transform", "x2", "fill", "stroke", "stroke-width", "stroke-dasharray")
_NUMBER = re.compile(r"\d+\.\d+(?:e-?\d+)?")
_RECTANGLE = re.compile(r"M([-0-9.e]+),([-0-9.e]+)h([-0-9.e]+)v")


def prepare() -> None:
    """Start the library's engine, which takes some tenths of a second, once a process."""
    vl_convert.vegalite_to_svg(rows([]))


def plot(spec: Spec, label: str) -> Markup:
    """Return a chart that stretches to any width and height; `label` says it in words."""
    drawn = _root(label, viewBox=f"0 0 {WIDTH} {HEIGHT}", preserveAspectRatio="none")
    for shape in _shapes(spec):
        for name in set(shape.keys()) & {"d", "transform", "x2"}:
            shape.set(name, _NUMBER.sub(_short, shape.attrib[name]))
        drawn.append(shape)
    return _markup(drawn)


def tracks(bars: Sequence[Sequence[Piece]]) -> list[Markup]:
    """Return a drawing for each bar, its places in percent: patterns keep their shape."""
    drawn = [_root("; ".join(piece.tip for piece in bar)) for bar in bars]
    for shape in _shapes(rows(bars)):
        found = _RECTANGLE.match(shape.attrib["d"])
        assert found is not None
        left, top, width = map(float, found.groups())
        places = {
            "x": f"{100 * left / WIDTH:.4g}%",
            "width": f"{100 * width / WIDTH:.4g}%",
            # Above and below the track, so that an edge is seen between two pieces alone.
            "y": "-10%",
            "height": "120%",
        }
        kept = {name: value for name, value in shape.items() if name != "d"}
        bar = ET.SubElement(drawn[round(top / ROW)], "rect", places | kept)
        bar.extend(shape)
    return [_markup(one) for one in drawn]


def _shapes(spec: Spec) -> Iterator[ET.Element]:
    """Yield the marks and the grid's lines, from the back to the front."""
    page = ET.fromstring(vl_convert.vegalite_to_svg(spec))  # noqa: S314 - not from outside
    for group in page.iter(f"{_SVG}g"):
        if {"role-mark", "role-axis-grid"} & set(group.get("class", "").split()):
            yield from map(_shape, group)


def _shape(found: ET.Element) -> ET.Element:
    shape = ET.Element(
        found.tag.removeprefix(_SVG),
        {name: found.attrib[name] for name in _KEPT if name in found.attrib},
    )
    if tip := found.get("aria-label"):
        ET.SubElement(shape, "title").text = tip
    return shape


def _root(label: str, **attributes: str) -> ET.Element:
    return ET.Element("svg", {"role": "img", "aria-label": label, **attributes})


def _markup(drawn: ET.Element) -> Markup:
    return Markup(ET.tostring(drawn, encoding="unicode"))  # noqa: S704 - serialised XML


def _short(number: re.Match[str]) -> str:
    return f"{float(number[0]):.1f}".removesuffix(".0")
