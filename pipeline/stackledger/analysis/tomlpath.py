"""Finds the line of a TOML file on which a validation error's path lies."""

from __future__ import annotations

import re

_STEP = re.compile(r"\.([A-Za-z0-9_-]+)|\[(\d+)\]")
_HEADER = re.compile(r"^\s*\[\[?\s*([A-Za-z0-9_.-]+)\s*\]\]?")


def steps(path: str) -> list[str | int]:
    """Return `$.node[0].sku` as ["node", 0, "sku"]."""
    return [name or int(index) for name, index in _STEP.findall(path)]


def line_of(text: str, path: list[str | int]) -> int | None:
    """Return the 1-based line of the last key of `path` that the text shows.

    An inline table's key is found on its table's line; a key that is missing
    is reported at the header of the table that misses it. None for an empty
    path and where the text is laid out in a way that this does not follow.
    """
    names = [step for step in path if isinstance(step, str)]
    if not names:
        return None
    index = next((step for step in path if isinstance(step, int)), 0)
    lines = text.splitlines()
    headers = [(n, match[1]) for n, line in enumerate(lines) if (match := _HEADER.match(line))]
    own = [n for n, name in headers if name == names[0]]
    if index < len(own):
        at: int | None = own[index]
        after = (n for n, name in headers if n > own[index] and not name.startswith(f"{names[0]}."))
        span, keys = range(own[index] + 1, next(after, len(lines))), names[1:]
    else:
        at = None
        span, keys = range(headers[0][0] if headers else len(lines)), names
    for key in keys:
        pattern = re.compile(rf"(^|[\s,{{.]){re.escape(key)}\"?\s*(=|\])")
        found = next((n for n in span if pattern.search(lines[n].split("#", 1)[0])), None)
        if found is None:
            break
        at, span = found, range(found, span.stop)
    return None if at is None else at + 1
