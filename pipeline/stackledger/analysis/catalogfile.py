"""Reads one CSV file of the catalogue: its columns exactly, every fault with its line."""

from __future__ import annotations

import csv
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, TypeVar

from stackledger.errors import StackledgerError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

Row = TypeVar("Row")
CONFIDENCES = ("verified", "secondary", "conflicting")


def read(
    path: Path, columns: Sequence[str], parse: Callable[[dict[str, str]], Row], what: str
) -> Iterator[Row]:
    """Yield every row as `parse` returns it; `what` names one row in an error.

    `parse` may raise ValueError or InvalidOperation; each becomes a UsageError
    with file and line.
    """
    try:
        with path.open(encoding="utf-8", newline="") as lines:
            yield from _rows(path, csv.DictReader(lines, strict=True), columns, parse, what)
    except (OSError, UnicodeDecodeError) as failure:
        raise StackledgerError("cannot read the price catalogue", f"{path}: {failure}") from None


def _rows(
    path: Path,
    reader: csv.DictReader[str],
    columns: Sequence[str],
    parse: Callable[[dict[str, str]], Row],
    what: str,
) -> Iterator[Row]:
    try:
        if tuple(reader.fieldnames or ()) != tuple(columns):
            raise UsageError(
                "the price catalogue has the wrong columns",
                f"{path}:1",
                hint=f"accepted: {','.join(columns)}",
            )
        for row in reader:
            if None in row or None in row.values():
                raise ValueError(f"expected {len(columns)} fields")
            yield parse(row)
    except InvalidOperation:
        raise UsageError(
            f"{what} in the catalogue is not a decimal number", f"{path}:{reader.line_num}"
        ) from None
    except (ValueError, csv.Error) as failure:
        raise UsageError(
            f"{what} in the catalogue is wrong", f"{path}:{reader.line_num}: {failure}"
        ) from None


def amount(word: str) -> Decimal | None:
    """Return a decimal of 0 or more, None for an empty word; raises ValueError."""
    if not word:
        return None
    number = Decimal(word)
    if not number.is_finite() or number < 0:
        raise ValueError(f"an amount must not be negative: {word}")
    return number


def confidence(word: str) -> str:
    """Return the word where it is one of CONFIDENCES; raises ValueError."""
    if word not in CONFIDENCES:
        raise ValueError(f"confidence must be one of {', '.join(CONFIDENCES)}")
    return word
