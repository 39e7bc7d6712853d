"""Rows on standard output, in the format that was asked for."""

from __future__ import annotations

import csv
import io
import re
import sys
import textwrap
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TextIO

import msgspec
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from stackledger.diagnostics import BIDIRECTIONAL, note, printable
from stackledger.errors import UsageError
from stackledger.report import format as text
from stackledger.untrusted import traced

if TYPE_CHECKING:
    from collections.abc import Sequence

_CELL_LIMIT = 60
_FACT_INDENT = 13
_STEERING = {code: f"\\u{code:04x}" for code in (*range(0x7F, 0xA0), *BIDIRECTIONAL)}
# A map of a user's own script: a name alone calls nothing.
_MAP = re.compile(r"@[A-Za-z_]\w*", re.ASCII)
_ENCODER = msgspec.json.Encoder(decimal_format="number", enc_hook=str)


def write(
    columns: Sequence[str], rows: Sequence[Sequence[Any]], form: str, limit: int | None = None
) -> None:
    """Print rows as table, csv, json, jsonl or parquet; at most `limit` of them.

    A table's numbers are made readable by the unit in the column's name; the
    other formats carry them as they are, in UTF-8 whatever the locale.
    """
    if form != "table" and isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8")
    shown = rows if limit is None else rows[:limit]
    if form == "table":
        table(columns, shown)
        if len(shown) < len(rows):
            note(f"… {len(rows) - len(shown)} more rows")
    elif form == "csv":
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows([[_harmless(value) for value in row] for row in shown])
    elif form == "json":
        records = [f" {_json(_record(columns, row))}" for row in shown]
        print("[\n" + ",\n".join(records) + "\n]" if records else "[]")
    elif form == "jsonl":
        for row in shown:
            print(_json(_record(columns, row)))
    else:
        _parquet(columns, shown)


def table(columns: Sequence[str], rows: Sequence[Sequence[Any]], out: TextIO | None = None) -> None:
    """Print rows as aligned columns, or as blocks of lines where they do not fit.

    Columns that say nothing (0, NULL or empty in every row) are left out first.
    """
    console = Console(file=out or sys.stdout, highlight=False)
    cells = [[cell(name, value) for name, value in zip(columns, row, strict=True)] for row in rows]
    heads = [heading(name) for name in columns]
    numeric = [all(r[at] is None or is_number(r[at]) for r in rows) for at in range(len(columns))]
    kept = list(range(len(columns)))
    if rows and _wide(_widths(heads, cells, kept)) > console.width:
        kept = [at for at in kept if any(row[at] not in (None, 0, "", False) for row in rows)]
        left_out = [heads[at] for at in range(len(columns)) if at not in kept]
        if left_out:
            note(f"left out, 0 or empty in every row: {', '.join(left_out)}")
    widths = _widths(heads, cells, kept)
    if _wide(widths) > console.width:
        if not rows:
            for wrapped in _wrapped(heads, "  ", console.width):
                _line(console, wrapped, "bold")
        _blocks(console, heads, cells, kept, numeric)
        return
    for style, line in (("bold", heads), *(("", line) for line in cells)):
        words = [
            _aligned(line[at], width, right=numeric[at])
            for at, width in zip(kept, widths, strict=True)
        ]
        _line(console, "  ".join(words).rstrip(), style)


def _blocks(
    console: Console,
    heads: Sequence[str],
    cells: Sequence[Sequence[str]],
    kept: Sequence[int],
    numeric: Sequence[bool],
) -> None:
    """Print each row as its texts and, below, its numbers with their names."""
    for line in cells:
        texts = [line[at] for at in kept if not numeric[at]]
        for wrapped in _wrapped(texts, " · ", console.width):
            _line(console, wrapped, "bold")
        numbers = [f"{heads[at]} {line[at]}" for at in kept if numeric[at]]
        for wrapped in _wrapped(numbers, "   ", console.width - 2):
            _line(console, f"  {wrapped}")


def _wrapped(words: Sequence[str], between: str, width: int) -> list[str]:
    """Return the words on as few lines as hold them; none is split."""
    lines: list[str] = []
    for word in words:
        if lines and cell_len(lines[-1]) + cell_len(between) + cell_len(word) <= width:
            lines[-1] += between + word
        else:
            lines.append(word)
    return lines


def _line(console: Console, line: str, style: str = "") -> None:
    # Where there is no style to show, rich only costs time: 0.3 ms a line.
    if style and console.is_terminal:
        console.print(Text(line, style=style), soft_wrap=True)
    else:
        console.file.write(f"{line}\n")


def _wide(widths: Sequence[int]) -> int:
    return sum(widths) + 2 * (len(widths) - 1)


def _widths(heads: Sequence[str], cells: Sequence[Sequence[str]], kept: Sequence[int]) -> list[int]:
    return [max(cell_len(heads[at]), *(cell_len(line[at]) for line in cells), 0) for at in kept]


def _aligned(word: str, width: int, *, right: bool) -> str:
    space = " " * (width - cell_len(word))
    return space + word if right else word + space


def fact(name: str, value: Any) -> str:
    """Return "name  value" on lines of 80 columns; what has no space stays whole."""
    shown = printable(value) if isinstance(value, str) else cell(name, value)
    return textwrap.fill(
        shown,
        80,
        initial_indent=f"{heading(name):<{_FACT_INDENT}}",
        subsequent_indent=" " * _FACT_INDENT,
        break_long_words=False,
        break_on_hyphens=False,
    )


def heading(column: str) -> str:
    """Return a column's name without the unit that its cells carry."""
    for unit in ("_ns", "_bytes", "_usd"):
        if column.endswith(unit) and column != f"ts{unit}":
            return column.removesuffix(unit)
    return column


def cell(column: str, value: Any) -> str:
    """Return one value as text, by the unit at the end of the column's name."""
    if value is None:
        return text.NO_VALUE
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, bytes | list | tuple | dict):
        value = plain(value)
    if is_number(value):
        return _number(column, value)
    return _cut(printable(str(value)))


def _number(column: str, value: Any) -> str:
    if column.endswith("ts_ns"):
        return text.timestamp(int(value))
    for unit, written in (
        ("_ns", text.duration),
        ("bytes", text.size),
        ("share", text.share),
        ("_usd", lambda amount: text.money(Decimal(amount))),
    ):
        if column.endswith(unit):
            return written(value)
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _cut(word: str) -> str:
    return word if len(word) <= _CELL_LIMIT else word[: _CELL_LIMIT - 1] + "…"


def is_number(value: Any) -> bool:
    """Tell whether a value is printed as a number."""
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool)


def plain(value: Any) -> Any:
    """Return a value as CSV holds it: what has parts as JSON, bytes as text."""
    if isinstance(value, list | tuple | dict):
        return _json(value)
    if isinstance(value, bytes):
        return _jsonable(value)
    if isinstance(value, Decimal):
        return f"{value:f}"  # no exponent
    return "" if value is None else value


def _harmless(value: Any) -> Any:
    """Return a value as CSV holds it where its text may be a traced program's."""
    value = plain(value)
    if not isinstance(value, str) or _MAP.fullmatch(value):
        return value
    return traced(value)


def _json(value: Any) -> str:
    """Return JSON; a Decimal keeps all its digits, what JSON has no word for is null.

    What would steer a terminal is escaped: it means the same text.
    """
    return _ENCODER.encode(_jsonable(value)).decode().translate(_STEERING)


def _record(columns: Sequence[str], row: Sequence[Any]) -> dict[str, Any]:
    return dict(zip(columns, row, strict=True))


def _jsonable(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    if isinstance(value, list | tuple):
        return [_jsonable(one) for one in value]
    if isinstance(value, dict):
        return {str(key): _jsonable(one) for key, one in value.items()}
    return value


def _parquet(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    if sys.stdout.isatty():
        raise UsageError("Parquet is not for a terminal", hint="redirect it: … > rows.parquet")
    content = {}
    for at, name in enumerate(columns):
        values = [row[at] for row in rows]
        try:
            content[name] = pa.array(values)
        except (pa.ArrowException, OverflowError, TypeError):
            # A sum beyond 64 bits, a type of DuckDB that Arrow does not know.
            content[name] = pa.array([None if one is None else str(plain(one)) for one in values])
    pq.write_table(pa.table(content), sys.stdout.buffer)
