"""Layer rules: which program, service, container or port is which layer."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

from stackledger.errors import UsageError, nearest
from stackledger.resources import folder

if TYPE_CHECKING:
    from pathlib import Path

FIELDS = ("program", "service", "container", "port")
_COLUMNS = ["field", "pattern", "layer"]


def rules(own: Path | None = None) -> list[tuple[str, str, str]]:
    """Return (field, pattern, layer) of every rule, the user's own file first.

    Raises UsageError with the line that is wrong.
    """
    packaged = folder("queries") / "layers.csv"
    return [*(_read(own, packaged) if own else []), *_read(packaged, packaged)]


def _read(path: Path, example: Path) -> list[tuple[str, str, str]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file, strict=True)
            if (columns := next(reader, [])) != _COLUMNS:
                raise UsageError(
                    "layer rules begin with the line field,pattern,layer",
                    f"{path}:1: {','.join(columns)}",
                    hint=f"one to copy: {example}",
                )
            return [_rule(row, f"{path}:{reader.line_num}") for row in reader if row]
    except OSError as failure:
        raise UsageError("cannot read the layer rules", f"{path}: {failure.strerror}") from None
    except (csv.Error, UnicodeDecodeError) as failure:
        raise UsageError("layer rules are not CSV in UTF-8", f"{path}: {failure}") from None


def _rule(row: list[str], where: str) -> tuple[str, str, str]:
    if len(row) != len(_COLUMNS) or not all(word.strip() for word in row):
        raise UsageError("a layer rule is field,pattern,layer", f"{where}: {','.join(row)}")
    field, pattern, layer = row
    if field not in FIELDS:
        hint = f"the field is one of {', '.join(FIELDS)}"
        raise UsageError(
            "layer rule with an unknown field",
            f"{where}: {field}",
            hint=nearest(field, FIELDS) or hint,
        )
    return field, pattern, layer
