"""What a table's rows look like on the wire, and how many of them are read at once.

Two forms, by what the probe uses:

    print((…))   {"type": "value", "data": ["request",1,"text",…]}
    printf(…)    {"type": "printf", "data": "request\\t1\\ttext\\t…\\n"}

The second is for rows that no tuple can hold. Its separator is a tab or, a fifth
faster to read for JSON does not escape it, DEL (`\\x7f`). Its texts must not be able
to hold either: `%r` of a buffer, never `%s` of a name.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as csv

from stackledger.capture.escapes import plain, protect, stripped, unescaped
from stackledger.capture.lines import wrapped
from stackledger.catalog import Emitted
from stackledger.schema import TABLES

# Raw columns that derive.py unpacks.
_PACKED = frozenset(
    {
        *("pid_tid", "calls_handovers", "answer", "cmd_flags", "blk_status"),
        *("role", "rtt_us", "end_code", "tcp_state", "retransmit_code", "reset_code"),
        *("reason_code", "protocol_code", "buffer_code"),
    }
)
TEXT = pa.dictionary(pa.int32(), pa.string())
_Texts = Callable[[pa.BinaryArray], pa.StringArray | None]
_RAW_TEXT = pa.dictionary(pa.int32(), pa.binary())


class Layout:
    """One table's raw columns: their kinds and their Arrow schema."""

    def __init__(self, emitted: Emitted) -> None:
        self.name = emitted.table
        self.columns = emitted.columns
        self.kinds = emitted.kinds or tuple(
            raw_kind(emitted.table, column) for column in emitted.columns
        )
        self.schema = self._schema()
        # Columns that have held numbers of 2^63 and more: kernel pointers.
        self.wide: set[str] = set()
        self.quoted = False  # whether integers have had quotes too

    @property
    def decided(self) -> bool:
        """Whether the kind of every column is known."""
        return "" not in self.kinds

    def decide(self, values: Sequence[object]) -> None:
        """Take the kinds that are open from a row: bpftrace prints a value always alike."""
        if len(values) == len(self.kinds):
            self.kinds = tuple(
                kind or ("int" if isinstance(value, int) else "string")
                for kind, value in zip(self.kinds, values, strict=True)
            )
            self.schema = self._schema()

    def _schema(self) -> pa.Schema:
        return pa.schema(
            (name, {"string": TEXT, "bool": pa.bool_()}.get(kind, pa.int64()))
            for name, kind in zip(self.columns, self.kinds, strict=True)
        )


@dataclass(frozen=True, slots=True)
class Form:
    """One way in which a table's rows are printed."""

    layout: Layout
    prefix: bytes
    suffix: bytes
    delimiter: str  # "," of a tuple; tab or DEL of a printed text

    @property
    def _tuple(self) -> bool:
        return self.delimiter == ","

    def read_all(self, lines: pa.BinaryArray) -> pa.Table | None:
        """Return lines as a table, None if they are not all rows of this form.

        The lines are one value, without the first one's prefix and the last one's suffix.
        """
        between = self.suffix + b"\n" + self.prefix
        bodies = pc.replace_substring(lines, pattern=between, replacement=b"\n")
        before, after = (pc.binary_length(one)[0].as_py() for one in (lines, bodies))
        rows = (before - after) // (len(between) - 1) + 1
        return self._simple(bodies[0].as_buffer(), rows)

    def read(self, rows: pa.BinaryArray) -> pa.Table | None:
        """Return whole lines as a table, None where one of them is out of the ordinary."""
        body = pc.binary_slice(rows, len(self.prefix), -len(self.suffix))
        whole = pa.ListArray.from_arrays(pa.array([0, len(body)], pa.int32()), body)
        text = pc.binary_join(whole, b"\n")[0].as_buffer()
        table = self._simple(text, len(body))
        if table is None and self._tuple:
            table = self._quoted(text.to_pybytes(), body)
        return table

    def _simple(self, text: pa.Buffer, rows: int) -> pa.Table | None:
        """Read rows by their delimiters alone: quotes and escapes belong to the values.

        A comma in a tuple's text makes one value too many. As there are as many as a
        row needs, none has taken in its neighbour, and no text holds a bare quote.
        """
        if self._tuple:
            if self.layout.quoted:
                return None
            return self._typed(self._parsed(text, quoted=False), rows, stripped)
        if self.delimiter == "\t":
            # An escaped backslash before a t makes one value too many: the exact way.
            text = pa.py_buffer(text.to_pybytes().replace(b"\\t", b"\t"))
        return self._typed(self._parsed(text, quoted=False), rows, unescaped)

    def _quoted(self, text: bytes, body: pa.BinaryArray) -> pa.Table | None:
        """Read tuples by their quotes."""
        if b"\\" in text:
            text = protect(text)
        if pc.starts_with(body, pattern=b" ").true_count or not self._balanced(text, body):
            return None
        table = self._parsed(pa.py_buffer(text), quoted=True)
        return self._typed(table, len(body), plain)

    def _balanced(self, text: bytes, body: pa.BinaryArray) -> bool:
        """Return whether every row has its texts in quotes."""
        wanted = 2 * self.layout.kinds.count("string")
        if text.count(b'"') == wanted * len(body):
            return True
        # bpftrace >= 0.24 puts quotes around large integers too.
        lines = pc.split_pattern(pa.array([text], pa.binary()), pattern=b"\n").values
        quotes = pc.count_substring(lines, pattern=b'"')
        odd = pc.max(pc.bit_wise_and(quotes, 1)).as_py()
        self.layout.quoted = not odd and pc.min(quotes).as_py() >= wanted
        return self.layout.quoted

    def _parsed(self, text: pa.Buffer, *, quoted: bool) -> pa.Table | None:
        layout = self.layout
        types = {
            name: _RAW_TEXT if kind == "string" or name in layout.wide else field.type
            for name, kind, field in zip(layout.columns, layout.kinds, layout.schema, strict=True)
        }
        try:
            return csv.read_csv(
                pa.BufferReader(text),
                csv.ReadOptions(
                    column_names=layout.columns, use_threads=False, block_size=text.size + 1
                ),
                csv.ParseOptions(
                    delimiter=self.delimiter,
                    quote_char='"' if quoted else False,
                    double_quote=False,
                    ignore_empty_lines=False,
                ),
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

    def _typed(self, table: pa.Table | None, rows: int, text: _Texts) -> pa.Table | None:
        """Return the table's values, `text` making those of strings."""
        # An unbalanced quote, or a carriage return, would have made other lines.
        if table is None or table.num_rows != rows:
            return None
        layout = self.layout
        arrays = []
        for name, kind, column in zip(layout.columns, layout.kinds, table.columns, strict=True):
            array = column.combine_chunks()
            if kind == "string":
                texts = text(array.dictionary)
                if texts is None:
                    return None
                array = pa.DictionaryArray.from_arrays(array.indices, texts, safe=False)
            elif name in layout.wide:
                numbers = _signed(array.dictionary)
                if numbers is None:
                    return None
                array = numbers.take(array.indices)
            arrays.append(array)
        return pa.Table.from_arrays(arrays, schema=layout.schema)


def forms(layout: Layout) -> tuple[Form, ...]:
    """Return all forms of a table's rows."""
    name = layout.name.encode()
    printed = b'{"type": "printf", "data": "%s' % name
    return (
        Form(layout, b'{"type": "value", "data": ["%s",' % name, b"]}", ","),
        Form(layout, printed + b"\\t", b'\\n"}', "\t"),
        Form(layout, printed + b"\x7f", b'\\n"}', "\x7f"),
    )


def raw_kind(table: str, column: str) -> str:
    """Return `int`, `bool` or `string`: what the probe prints for a column.

    A raw column that the registry does not know is one of those that `derive.py`
    unpacks, or text, as the first bytes of a request.
    """
    known = TABLES.get(table)
    for candidate in known.columns if known else ():
        if candidate.name == column:
            return candidate.kind if candidate.kind in ("bool", "string") else "int"
    return "int" if column in _PACKED else "string"


def _signed(values: pa.BinaryArray) -> pa.Int64Array | None:
    try:
        numbers = [wrapped(int(value)) for value in values.to_pylist()]
    except ValueError:
        return None
    return None if None in numbers else pa.array(numbers, pa.int64())
