"""Reads one line of bpftrace's JSON exactly: rows that the fast path left, and messages."""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass
from typing import Any

import msgspec

from stackledger.capture.escapes import buffer_text, mend

# The rows that control.py adds to every program; "ended" a probe may print at its END.
ATTACHED_ROW = "stackledger_attached"
STOPPED_ROW = "stackledger_stopped"
# And sums.py to those that sum: what follows is of the second before this one.
SECOND_ROW = "stackledger_second"
_SIGNS = {
    ATTACHED_ROW: "attached",
    STOPPED_ROW: "stopped",
    SECOND_ROW: "second",
    "ended": "ended",
}
_PRINTED_ROW = re.compile(r"([a-z][a-z0-9_]*)([\t\x7f])(.*)\n\Z", re.DOTALL)

_MAP = b'{"type": "map"'
_STACK = b",\\"  # in the key of a map: the end of a line follows, once or twice escaped

_INTEGER = re.compile(r"[-+]?[0-9]+\Z|0x[0-9a-f]+\Z")
_HEX_COUNT = re.compile(r'("(?:count|events)": ?)([0-9a-f]+)\b')
_TRUTH = {1: True, 0: False, "1": True, "0": False, "true": True, "false": False}

Value = int | str | bool


@dataclass(frozen=True, slots=True)
class Message:
    """What bpftrace says beside rows: `kind` is its `type`.

    `lost_events` and `attached_probes` carry an int; `attached` (all is in place),
    `stopped` (no more rows) and `ended` the boot clock; `second` its seconds; `map`,
    `hist` and `stats` a dict of name to content, that of a map not `mended` yet, for
    most maps hold numbers only; anything else what came.
    """

    kind: str
    data: Any


@dataclass(frozen=True, slots=True)
class Row:
    """A printed tuple, or a line of printf with tabs between: the table first, then its values."""

    table: str
    values: list[Any]


def read_line(line: bytes, *, hexadecimal: bool = False) -> Row | Message | None:
    """Return what a line says, None where it is not bpftrace's JSON.

    `hexadecimal`: bpftrace >= 0.24 has escaped a byte on this stream, and since
    then prints the counts of histograms and of lost events in hexadecimal.
    """
    if hexadecimal and (b"lost_events" in line[:30] or b'"hist"' in line[:30]):
        text = line.decode("utf-8", "replace")
        line = _HEX_COUNT.sub(lambda found: found[1] + str(int(found[2], 16)), text).encode()
    said = _decoded(line)
    if not isinstance(said, dict) or not isinstance(said.get("type"), str):
        return None
    kind = said["type"]
    data = said.get("data", said)
    if kind == "value" and isinstance(data, list) and data and isinstance(data[0], str):
        if data[0] in _SIGNS:
            return Message(_SIGNS[data[0]], data[1] if len(data) > 1 else None)
        return Row(data[0], data[1:])
    if kind == "printf" and isinstance(data, str):
        printed = _PRINTED_ROW.match(data)
        if printed:
            return Row(printed[1], printed[3].split(printed[2]))
    if kind == "value":
        return None
    if kind in ("lost_events", "attached_probes"):
        values = data.values() if isinstance(data, dict) else ()
        counts = [value for value in values if isinstance(value, int)]
        return Message(kind, counts[0]) if counts else None
    return Message(kind, data if kind == "map" else mended(data))


def _decoded(line: bytes) -> Any:
    try:
        if line.startswith(_MAP) and _STACK in line:
            return json.loads(line, object_pairs_hook=_distinct)
        return msgspec.json.decode(line)
    except (msgspec.DecodeError, ValueError):
        return _with_valid_text(line)


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object of which several keys may be alike, as stacks that differ may print alike.

    Of a map that sums.py made the key's first part is the CPU, which nobody reads.
    """
    found: dict[str, Any] = {}
    seen: Counter[str] = Counter()
    for key, value in pairs:
        seen[key] += 1
        found[key if seen[key] == 1 else f"{1_000_000 + seen[key]}{key}"] = value
    return found


def any_line(line: bytes) -> Message | None:
    """Return whatever a line says as a message: what a user's script prints is no row."""
    try:
        said = msgspec.json.decode(line.decode("utf-8", "replace"))
    except msgspec.DecodeError:
        return None
    if not isinstance(said, dict) or not isinstance(said.get("type"), str):
        return None
    return Message(said["type"], mended(said.get("data", said)))


def _with_valid_text(line: bytes) -> Any:
    """Decode a line whose only fault is a string that is not UTF-8."""
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        try:
            return msgspec.json.decode(line.decode("utf-8", "replace"))
        except msgspec.DecodeError:
            return None
    return None


def typed(values: list[Any], kinds: tuple[str, ...]) -> list[Value] | None:
    """Return a row's values as their columns' kinds, None where one does not fit."""
    if len(values) != len(kinds):
        return None
    row: list[Value] = []
    for value, kind in zip(values, kinds, strict=True):
        fitted = _fitted(value, kind)
        if fitted is None:
            return None
        row.append(fitted)
    return row


def wrapped(number: int) -> int | None:
    """Return a 64-bit number as a signed one, None where it has more bits."""
    if -(1 << 63) <= number < 1 << 64:
        return number - (1 << 64) if number >= 1 << 63 else number
    return None


def _fitted(value: Any, kind: str) -> Value | None:
    if kind == "string":
        if isinstance(value, str):
            return mend(value)
        if isinstance(value, list) and all(type(item) is int for item in value):
            return buffer_text(value)
        return None
    if kind == "bool":
        return _TRUTH.get(value) if isinstance(value, (int, str)) else None
    if isinstance(value, str) and _INTEGER.match(value):
        return wrapped(int(value, 0 if value.startswith("0x") else 10))
    return wrapped(value) if isinstance(value, int) else None


def mended(data: Any) -> Any:
    """Return what a message carries with its mangled text put right."""
    if isinstance(data, str):
        return mend(data)
    if isinstance(data, list):
        return [mended(item) for item in data]
    if isinstance(data, dict):
        return {mend(str(key)): mended(value) for key, value in data.items()}
    return data
