"""The templates of the pages: one environment, in which every value is escaped."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import jinja2

from stackledger.report.format import count, duration, share
from stackledger.report.shown import text

TEMPLATES = Path(__file__).parent / "templates"


def template(name: str) -> jinja2.Template:
    """Return a template of `templates/`; a name that it was not given is an error."""
    return _environment().get_template(name)


def prepare() -> None:
    """Compile all templates."""
    for name in _environment().list_templates(extensions=["j2"]):
        template(name)


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
    return environment
