"""The templates of the pages: one environment, in which every value is escaped."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jinja2

from stackledger.report import drawing
from stackledger.report.format import count, duration, share
from stackledger.report.shown import text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from markupsafe import Markup

TEMPLATES = Path(__file__).parent / "templates"


def template(name: str) -> jinja2.Template:
    """Return a template of `templates/`; a name that it was not given is an error."""
    return _environment().get_template(name)


def prepare() -> None:
    """Compile all templates."""
    for name in _environment().list_templates(extensions=["j2"]):
        template(name)


def _drawn(lines: Sequence[Any], attribute: str) -> list[tuple[Any, Markup]]:
    """Return each line with the drawing of the bar that it has as that attribute."""
    bars = [getattr(line, attribute) for line in lines]
    return list(zip(lines, drawing.tracks(bars), strict=True))


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"duration": duration, "count": count, "share": share, "shown": text}
    environment.filters["drawn"] = _drawn
    return environment
