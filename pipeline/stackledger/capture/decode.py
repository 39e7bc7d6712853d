"""bpftrace's JSON, any version from 0.17 on, into Arrow tables of raw columns.

The way of nearly all rows, with no Python per row: read what is between a table's
prefix and suffix as CSV, of the whole chunk where its lines are all alike, else of
the lines that have them. Whatever does not fit that exactly goes, chunk by chunk, through
`lines.py`, one line at a time; what fits neither is counted and a sample kept.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from stackledger.capture.escapes import has_code, protectable
from stackledger.capture.layout import TEXT, Layout, forms
from stackledger.capture.lines import Message, Row, Value, any_line, read_line, typed
from stackledger.catalog import Emitted

_CHUNK_BYTES = 8 << 20
_LINE_LIMIT_BYTES = 1 << 20
_MAP_LIMIT_BYTES = 16 << 20
_SAMPLES = 5
_MIXED_CHUNKS = 7

_COUNTS = re.compile(rb'"(?:lost_events|hist)"')

_Parts = dict[str, list[pa.Table]]


@dataclass(slots=True)
class Decoded:
    """What one piece of output held; `undecodable` counts lines by table ("" if unknown)."""

    tables: dict[str, pa.Table] = field(default_factory=dict)
    messages: list[Message] = field(default_factory=list)
    lost: int = 0
    undecodable: dict[str, int] = field(default_factory=dict)
    samples: list[bytes] = field(default_factory=list)


class Decoder:
    """Decodes one bpftrace's standard output, fed in pieces of any size."""

    def __init__(self, emits: Iterable[Emitted], *, maps: bool = False, free: bool = False) -> None:
        # A user's script: what is no row of its tables is a message.
        self._free = free
        # A map is printed as one line: 32768 entries of 100 bytes and more.
        self._line_limit = _MAP_LIMIT_BYTES if maps else _LINE_LIMIT_BYTES
        self._layouts = {emitted.table: Layout(emitted) for emitted in emits}
        self._forms = [
            form for layout in self._layouts.values() if layout.decided for form in forms(layout)
        ]
        self._rest = b""
        self._skipping = False  # inside a line that is too long to be one
        # Of bpftrace >= 0.24, whose output prints some counts in hexadecimal once a
        # byte was escaped; its first line tells, as does every later count.
        self._rewritten = False
        self._hexadecimal = False
        self._mixed = 0  # chunks for which not to hope for rows of one form

    def feed(self, data: bytes) -> Decoded:
        """Return what the complete lines of `data`, and of what came before, hold."""
        out = Decoded()
        parts: _Parts = {}
        start = 0
        if self._rest or self._skipping:
            start = data.find(b"\n") + 1
            if start and not self._skipping:
                # On its own: one long copy less.
                self._slow([self._rest + data[: start - 1]], out, parts)
            if start:
                self._rest, self._skipping = b"", False
        end = data.rfind(b"\n") + 1
        self._keep(data[end:], out)
        while start < end:
            stop = data.rfind(b"\n", start, start + _CHUNK_BYTES) + 1
            stop = stop or data.find(b"\n", start) + 1
            self._chunk(data, start, stop, out, parts)
            start = stop
        out.tables = {name: pa.concat_tables(tables) for name, tables in parts.items()}
        return out

    def finish(self) -> Decoded:
        """Return what is left: a last line without its end counts if it is whole."""
        rest, self._rest = self._rest, b""
        return self.feed(rest + b"\n") if rest else Decoded()

    def table(self, name: str, rows: list[list[Value]]) -> pa.Table:
        """Return rows that were made by other means as a table of raw columns."""
        layout = self._layouts[name]
        arrays = [
            _array(column, field.type)
            for column, field in zip(zip(*rows, strict=True), layout.schema, strict=True)
        ]
        return pa.Table.from_arrays(arrays, schema=layout.schema)

    def _keep(self, rest: bytes, out: Decoded) -> None:
        """Keep a line's beginning until its end comes, unless it is too long to be one."""
        if self._skipping:
            return
        self._rest += rest
        if len(self._rest) > self._line_limit:
            _undecodable(out, "", self._rest)
            self._rest, self._skipping = b"", True

    def _chunk(self, data: bytes, start: int, stop: int, out: Decoded, parts: _Parts) -> None:
        if not protectable(data, start, stop) or (
            self._rewritten and _COUNTS.search(data, start, stop)
        ):
            # In their order: an escape that came before decides how a count is read.
            self._slow(data[start:stop].split(b"\n"), out, parts)
            return
        if self._of_one_form(data, start, stop, parts):
            return
        # Every chunk ends with a newline: behind it is no line.
        lines = _one_text(data, start, stop - 1)
        lines = pc.split_pattern(lines, pattern=b"\n").values
        for form in self._forms:
            mask = pc.starts_with(lines, pattern=form.prefix)
            if not mask.true_count:
                continue
            mask = pc.and_(mask, pc.ends_with(lines, pattern=form.suffix))
            whole = mask.true_count == len(lines)
            rows = lines if whole else lines.filter(mask)
            table = form.read(rows) if len(rows) else None
            if table is None:
                self._slow(rows.to_pylist(), out, parts)
            else:
                parts.setdefault(form.layout.name, []).append(table)
            lines = lines.slice(0, 0) if whole else lines.filter(pc.invert(mask))
        self._slow(lines.to_pylist(), out, parts)
        if self._rewritten and not self._hexadecimal:
            self._hexadecimal = has_code(data[start:stop])

    def _of_one_form(self, data: bytes, start: int, stop: int, parts: _Parts) -> bool:
        """Read a chunk in which all lines are rows of one form, as most are; False else."""
        if self._mixed:  # trying costs as much as reading
            self._mixed -= 1
            return False
        for form in self._forms:
            if not data.startswith(form.prefix, start):
                continue
            end = stop - 1 - len(form.suffix)
            start += len(form.prefix)
            end = stop - 1 - len(form.suffix)
            if end < start or not data.startswith(form.suffix, end):
                return False
            table = form.read_all(_one_text(data, start, end))
            if table is None:
                self._mixed = _MIXED_CHUNKS
                return False
            parts.setdefault(form.layout.name, []).append(table)
            return True
        return False

    def _slow(self, lines: Iterable[bytes], out: Decoded, parts: _Parts) -> None:
        found: dict[str, list[list[Value]]] = {}
        for line in lines:
            if not line or line.isspace():
                continue
            said = read_line(line, hexadecimal=self._hexadecimal)
            self._hexadecimal = self._hexadecimal or has_code(line)
            if isinstance(said, Message):
                self._rewritten = self._rewritten or b'"count":' in line
                if said.kind == "lost_events":
                    out.lost += said.data or 0
                out.messages.append(said)
                continue
            layout = self._layouts.get(said.table) if said else None
            if self._free and layout is None and (free := any_line(line)):
                out.messages.append(free)
                continue
            if said and layout and not layout.decided:
                self._decide(layout, said)
            values = typed(said.values, layout.kinds) if said and layout else None
            if said is None or layout is None or values is None:
                _undecodable(out, layout.name if layout else self._named(line), line)
                continue
            _learn(layout, said)
            found.setdefault(layout.name, []).append(values)
        for name, rows in found.items():
            parts.setdefault(name, []).append(self.table(name, rows))

    @property
    def kinds(self) -> dict[str, tuple[str, ...]]:
        """The kinds of each table's columns, as far as they are decided."""
        return {name: layout.kinds for name, layout in self._layouts.items()}

    def _decide(self, layout: Layout, row: Row) -> None:
        layout.decide(row.values)
        if layout.decided:
            self._forms += forms(layout)

    def _named(self, line: bytes) -> str:
        """Return the table that a broken line begins like."""
        for form in self._forms:
            if line.startswith(form.prefix):
                return form.layout.name
        return ""


def _one_text(data: bytes, start: int, stop: int) -> pa.BinaryArray:
    """Return part of `data` as an array of one value, without a copy."""
    offsets = pa.array([start, stop], pa.int32()).buffers()[1]
    return pa.Array.from_buffers(pa.binary(), 1, [None, offsets, pa.py_buffer(data)])


def _array(values: tuple[Value, ...], kind: pa.DataType) -> pa.Array:
    if kind == TEXT:
        return pa.array(values, pa.string()).dictionary_encode()
    if pa.types.is_boolean(kind):
        return pa.array([bool(value) for value in values], kind)
    return pa.array(values, kind)


def _learn(layout: Layout, row: Row) -> None:
    """Remember columns that hold numbers of 2^63 and more, for the fast way."""
    for name, kind, raw in zip(layout.columns, layout.kinds, row.values, strict=True):
        if kind == "int" and _large(raw):
            layout.wide.add(name)


def _large(raw: Any) -> bool:
    return (isinstance(raw, int) and raw >= 1 << 63) or (isinstance(raw, str) and len(raw) > 18)


def _undecodable(out: Decoded, table: str, line: bytes) -> None:
    out.undecodable[table] = out.undecodable.get(table, 0) + 1
    if len(out.samples) < _SAMPLES:
        out.samples.append(line[:200])
