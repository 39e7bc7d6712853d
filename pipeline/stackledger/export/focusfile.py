"""Writes FOCUS rows as CSV or Parquet, and reads either back as the texts that FOCUS rules on."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stackledger.errors import StackledgerError, UsageError
from stackledger.export.cells import number
from stackledger.export.focuscolumns import (
    COLUMNS,
    COST_SCALE,
    NAMES,
    PRICE_SCALE,
    QUANTITY_SCALE,
)
from stackledger.untrusted import traced

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

_TIME = "%Y-%m-%dT%H:%M:%SZ"
# Only these carry words of the traced programs.
_TRACED = ("x_Endpoint", "x_Layer", "x_Service")


def as_csv(rows: Sequence[dict[str, Any]]) -> bytes:
    """Return the rows as CSV in UTF-8: NULL is an empty field, decimals are written out."""
    written = io.StringIO(newline="")
    writer = csv.writer(written, lineterminator="\r\n")
    writer.writerow(NAMES)
    for row in rows:
        texts = texts_of(row)
        for name in _TRACED:
            texts[name] = traced(texts[name])
        writer.writerow([texts[name] for name in NAMES])
    return written.getvalue().encode("utf-8", "backslashreplace")


def as_parquet(rows: Sequence[dict[str, Any]]) -> bytes:
    """Return the rows as Parquet: decimals of 38 figures, times in UTC, NULL as NULL."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    arrays = []
    for column in COLUMNS:
        values = [row[column.name] for row in rows]
        if column.kind in ("string", "json"):
            values = [None if one is None else _whole(one) for one in values]
        arrays.append(pa.array(values, _arrow(column.kind)))
    fields = [
        pa.field(column.name, _arrow(column.kind), nullable=column.null) for column in COLUMNS
    ]
    sink = io.BytesIO()
    pq.write_table(pa.table(arrays, schema=pa.schema(fields)), sink, compression="zstd")
    return sink.getvalue()


def texts_of(row: dict[str, Any]) -> dict[str, str | None]:
    """Return a row as FOCUS writes it: every value a text, None for no value."""
    return {name: _text(value) for name, value in row.items()}


def read(path: Path) -> tuple[list[str], list[dict[str, str | None]]]:
    """Return the columns and rows of a FOCUS file (CSV or Parquet) as texts.

    Raises UsageError where there is no such file, StackledgerError where it is neither.
    """
    try:
        content = path.read_bytes()
    except OSError as failure:
        raise UsageError("cannot read the file", f"{path}: {failure.strerror}") from None
    if content.startswith(b"PAR1"):
        return _from_parquet(path, content)
    try:
        lines = list(csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""), strict=True))
    except (UnicodeDecodeError, csv.Error) as failure:
        raise StackledgerError("neither CSV nor Parquet", f"{path}: {failure}") from None
    if not lines:
        raise StackledgerError("the file is empty", path)
    names = lines[0]
    for at, line in enumerate(lines[1:], start=2):
        if len(line) != len(names):
            raise StackledgerError(
                "a line of the file has another number of fields than its head", f"{path}:{at}"
            )
    return names, [
        {name: value or None for name, value in zip(names, line, strict=True)} for line in lines[1:]
    ]


def _from_parquet(path: Path, content: bytes) -> tuple[list[str], list[dict[str, str | None]]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(io.BytesIO(content))
    except (pa.ArrowException, OSError) as failure:
        raise StackledgerError("broken Parquet", f"{path}: {failure}") from None
    return table.column_names, [texts_of(row) for row in table.to_pylist()]


def _arrow(kind: str) -> pa.DataType:
    import pyarrow as pa

    scales = {"cost": COST_SCALE, "price": PRICE_SCALE, "quantity": QUANTITY_SCALE}
    if kind in scales:
        return pa.decimal128(38, scales[kind])
    return pa.timestamp("ms", "UTC") if kind == "time" else pa.string()


def _text(value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, Decimal):
        return number(value)
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime(_TIME)
    return str(value)


def _whole(text: str) -> str:
    """Return text that can be UTF-8: half a character is spelled out."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
