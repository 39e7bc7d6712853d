"""What a user's own bpftrace prints beside tables, as rows: maps, histograms, lines."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import msgspec
import pyarrow as pa

from stackledger.capture.lines import Message, mended, wrapped
from stackledger.capture.writer import arrow_schema

_OURS = ("@stackledger_", "@produced_")
# What bpftrace says of itself.
_SILENT = frozenset(("attached_probes", "lost_events", "attached", "stopped", "ended", "second"))


class Prints:
    """Rows of the tables `script_…` of one script; they are timed as they are read."""

    def __init__(self, script: str) -> None:
        self._script = script
        self._rows: dict[str, list[tuple[Any, ...]]] = {}

    def take(self, message: Message, offset_ns: int) -> None:
        """Take in what bpftrace said."""
        if message.kind in _SILENT or message.kind.endswith("error"):
            return
        ts_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME) + offset_ns
        data = mended(message.data)
        if message.kind in ("map", "stats", "hist") and isinstance(data, dict):
            for name, content in data.items():
                if not name.startswith(_OURS):
                    self._map(message.kind, (ts_ns, self._script, name), content)
        else:
            line = (data if isinstance(data, str) else _json(data)).removesuffix("\n")
            self._add("script_line", (ts_ns, self._script, line))

    def tables(self) -> Iterator[tuple[str, pa.Table]]:
        """Yield what was taken in since the last time."""
        for table, rows in self._rows.items():
            schema = arrow_schema(table)
            columns = [
                pa.array(column, field.type)
                for column, field in zip(zip(*rows, strict=True), schema, strict=True)
            ]
            encoded = [
                one.dictionary_encode() if pa.types.is_string(one.type) else one for one in columns
            ]
            yield table, pa.Table.from_arrays(encoded, names=schema.names)
        self._rows.clear()

    def _map(self, kind: str, begin: tuple[Any, ...], content: Any) -> None:
        # A map without keys has its content directly; stats() without keys is a dict too.
        plain = not isinstance(content, dict) or (kind == "stats" and "count" in content)
        for key, value in {"": content}.items() if plain else content.items():
            if kind == "hist" and isinstance(value, list):
                for bucket in value:
                    self._bucket((*begin, key), bucket)
            elif kind == "stats" and isinstance(value, dict):
                for part, number in value.items():
                    self._entry((*begin, key, part), number)
            else:
                self._entry((*begin, key, ""), value)

    def _bucket(self, begin: tuple[Any, ...], bucket: Any) -> None:
        limits = [_number(bucket.get(name)) for name in ("min", "max")]
        self._add("script_hist", (*begin, *limits, _number(bucket.get("count"))))

    def _entry(self, begin: tuple[Any, ...], value: Any) -> None:
        text = value if isinstance(value, str) else _json(value)
        self._add("script_map", (*begin, _number(value), text))

    def _add(self, table: str, row: tuple[Any, ...]) -> None:
        self._rows.setdefault(table, []).append(row)


def _number(value: Any) -> int | None:
    return wrapped(value) if isinstance(value, int) else None


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
