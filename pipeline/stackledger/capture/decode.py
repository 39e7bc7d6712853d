"""bpftrace's JSON, any version from 0.17 on, into Arrow tables of raw columns.

The way of nearly all rows, with no Python per row: split the chunk into lines,
take a table's lines by their prefix, and read what is between prefix and suffix
as CSV. Whatever does not fit that exactly goes, chunk by chunk, through
`lines.py`, one line at a time; what fits neither is counted and a sample kept.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as csv

from stackledger.capture.escapes import plain, protect, protectable, unprotect
from stackledger.capture.lines import Message, Row, Value, read_line, typed, wrapped
from stackledger.catalog import Emitted
from stackledger.schema import TABLES

_CHUNK_BYTES = 4 << 20  # measured: smaller and larger chunks are slower
_LINE_LIMIT_BYTES = 1 << 20
_SAMPLES = 5
_SUFFIX = b"]}"
_TEXT = pa.dictionary(pa.int32(), pa.string())
_RAW_TEXT = pa.dictionary(pa.int32(), pa.binary())


@dataclass(slots=True)
class Decoded:
    """What one piece of output held; `undecodable` counts lines by table ("" if unknown)."""

    tables: dict[str, pa.Table] = field(default_factory=dict)
    messages: list[Message] = field(default_factory=list)
    lost: int = 0
    undecodable: dict[str, int] = field(default_factory=dict)
    samples: list[bytes] = field(default_factory=list)


class _Layout:
    """How one table's rows look on the wire, and their Arrow schema."""

    def __init__(self, emitted: Emitted) -> None:
        self.name = emitted.table
        self.columns = emitted.columns
        self.kinds = tuple(raw_kind(emitted.table, column) for column in emitted.columns)
        self.prefix = b'{"type": "value", "data": ["%s",' % emitted.table.encode()
        self.quotes = 2 * self.kinds.count("string")
        self.schema = pa.schema(
            (name, {"string": _TEXT, "bool": pa.bool_()}.get(kind, pa.int64()))
            for name, kind in zip(self.columns, self.kinds, strict=True)
        )
        # Columns that have held numbers of 2^63 and more: kernel pointers.
        self.wide: set[str] = set()


def raw_kind(table: str, column: str) -> str:
    """Return `int`, `bool` or `string`: what the probe prints for a column.

    A raw column that the registry does not know (the first bytes of a request)
    is text.
    """
    known = TABLES.get(table)
    for candidate in known.columns if known else ():
        if candidate.name == column:
            return candidate.kind if candidate.kind in ("bool", "string") else "int"
    return "int" if column.endswith("_ns") else "string"


class Decoder:
    """Decodes one bpftrace's standard output, fed in pieces of any size."""

    def __init__(self, emits: Iterable[Emitted]) -> None:
        self._layouts = {emitted.table: _Layout(emitted) for emitted in emits}
        self._rest = b""
        self._skipping = False  # inside a line that is too long to be one
        self._hexadecimal = False

    def feed(self, data: bytes) -> Decoded:
        """Return what the complete lines of `data` and of what came before hold."""
        out = Decoded()
        data = self._rest + data
        if self._skipping:
            _, newline, data = data.partition(b"\n")
            if not newline:
                self._rest = b""
                return out
            self._skipping = False
        end = data.rfind(b"\n") + 1
        self._rest = data[end:]
        if len(self._rest) > _LINE_LIMIT_BYTES:
            _undecodable(out, "", self._rest[:200])
            self._rest, self._skipping = b"", True
        parts: dict[str, list[pa.Table]] = {}
        start = 0
        while start < end:
            stop = data.rfind(b"\n", start, min(end, start + _CHUNK_BYTES)) + 1
            stop = stop or data.find(b"\n", start) + 1
            self._chunk(data[start:stop], out, parts)
            start = stop
        out.tables = {name: pa.concat_tables(tables) for name, tables in parts.items()}
        return out

    def finish(self) -> Decoded:
        """Return what is left: a last line without its end counts if it is whole."""
        rest, self._rest = self._rest, b""
        return self.feed(rest + b"\n") if rest else Decoded()

    def _chunk(self, chunk: bytes, out: Decoded, parts: dict[str, list[pa.Table]]) -> None:
        safe = protectable(chunk)
        if not safe:
            self._slow(chunk.split(b"\n"), out, parts)
            return
        if b"\\" in chunk:
            chunk = protect(chunk)
        lines = pc.split_pattern(pa.array([chunk], pa.binary()), pattern=b"\n").values
        closed = pc.ends_with(lines, pattern=_SUFFIX)
        left: pa.BooleanArray | None = None
        for layout in self._layouts.values():
            mask = pc.and_(closed, pc.starts_with(lines, pattern=layout.prefix))
            count = mask.true_count
            if count:
                rows = lines.filter(mask)
                table = self._fast(layout, rows)
                if table is None:
                    self._slow((unprotect(line) for line in rows.to_pylist()), out, parts)
                else:
                    parts.setdefault(layout.name, []).append(table)
                mask = pc.invert(mask)
                left = mask if left is None else pc.and_(left, mask)
        rest = lines if left is None else lines.filter(left)
        self._slow((unprotect(line) for line in rest.to_pylist()), out, parts)
        self._hexadecimal = self._hexadecimal or b"\\u" in chunk

    def _fast(self, layout: _Layout, rows: pa.BinaryArray) -> pa.Table | None:
        """Return the rows as a table, None where one of them is out of the ordinary."""
        body = pc.binary_slice(rows, len(layout.prefix), -len(_SUFFIX))
        whole = pa.ListArray.from_arrays(pa.array([0, len(body)], pa.int32()), body)
        text = pc.binary_join(whole, b"\n")[0].as_py()
        if text.count(b'"') != layout.quotes * len(body):
            # bpftrace >= 0.24 puts quotes around large integers.
            quotes = pc.count_substring(body, pattern=b'"')
            odd = pc.bit_wise_and(quotes, 1)
            if pc.max(odd).as_py() or pc.min(quotes).as_py() < layout.quotes:
                return None
        if text.startswith(b" ") or b"\n " in text:
            return None
        types = {
            name: _RAW_TEXT if kind == "string" or name in layout.wide else layout.schema.field(name).type
            for name, kind in zip(layout.columns, layout.kinds, strict=True)
        }
        try:
            table = csv.read_csv(
                pa.BufferReader(text),
                csv.ReadOptions(
                    column_names=layout.columns, use_threads=False, block_size=len(text) + 1
                ),
                csv.ParseOptions(double_quote=False),
                csv.ConvertOptions(
                    column_types=types,
                    null_values=[],
                    strings_can_be_null=False,
                    true_values=["1", "true"],
                    false_values=["0", "false"],
                ),
            )
        except pa.ArrowInvalid:
            return None
        if table.num_rows != len(body):
            return None
        arrays = []
        for name, kind, column in zip(layout.columns, layout.kinds, table.columns, strict=True):
            array = column.combine_chunks()
            if kind == "string":
                array = pa.DictionaryArray.from_arrays(array.indices, plain(array.dictionary))
            elif name in layout.wide:
                numbers = _signed(array.dictionary)
                if numbers is None:
                    return None
                array = numbers.take(array.indices)
            arrays.append(array)
        return pa.Table.from_arrays(arrays, schema=layout.schema)

    def _slow(
        self, lines: Iterable[bytes], out: Decoded, parts: dict[str, list[pa.Table]]
    ) -> None:
        found: dict[str, list[list[Value]]] = {}
        for line in lines:
            if not line or line.isspace():
                continue
            said = read_line(line, hexadecimal=self._hexadecimal)
            if b"\\u" in line.replace(b"\\\\", b""):
                self._hexadecimal = True
            if said is None:
                _undecodable(out, self._named(line), line)
            elif isinstance(said, Message):
                if said.kind == "lost_events":
                    out.lost += said.data
                out.messages.append(said)
            else:
                self._row(said, line, out, found)
        for name, rows in found.items():
            layout = self._layouts[name]
            columns = zip(*rows, strict=True)
            arrays = [
                pa.array(column, pa.string()).dictionary_encode()
                if field.type == _TEXT
                else pa.array(column, field.type)
                for column, field in zip(columns, layout.schema, strict=True)
            ]
            parts.setdefault(name, []).append(pa.Table.from_arrays(arrays, schema=layout.schema))

    def _row(
        self, row: Row, line: bytes, out: Decoded, found: dict[str, list[list[Value]]]
    ) -> None:
        layout = self._layouts.get(row.table)
        values = typed(row.values, layout.kinds) if layout else None
        if layout is None or values is None:
            _undecodable(out, row.table if layout else "", line)
            return
        for name, kind, raw in zip(layout.columns, layout.kinds, row.values, strict=True):
            if kind == "int" and int(raw) >= 1 << 63:
                layout.wide.add(name)
        found.setdefault(row.table, []).append(values)

    def _named(self, line: bytes) -> str:
        for layout in self._layouts.values():
            if line.startswith(layout.prefix):
                return layout.name
        return ""


def _signed(values: pa.BinaryArray) -> pa.Int64Array | None:
    try:
        numbers = [wrapped(int(value)) for value in values.to_pylist()]
    except ValueError:
        return None
    return None if None in numbers else pa.array(numbers, pa.int64())


def _undecodable(out: Decoded, table: str, line: bytes) -> None:
    out.undecodable[table] = out.undecodable.get(table, 0) + 1
    if len(out.samples) < _SAMPLES:
        out.samples.append(line[:200])
