"""A user's own bpftrace: its tables, as its header says, and what they may be called.

    // Emits: mine(ts_ns, pid, comm string, size_bytes int)

One line for each table that it prints as tuples, `print(("mine", nsecs, pid, comm, …))`.
A column's type is `int`, `string` or `bool`; without one it is taken from the name
(`…_ns`, `…_bytes`, `pid`, `comm`, …) or from the first row.
"""

from __future__ import annotations

import re
from pathlib import Path

from stackledger.catalog import OWN, Emitted, Probe
from stackledger.errors import StackledgerError, UsageError
from stackledger.manifest import OwnColumn, OwnTable
from stackledger.resources import folder
from stackledger.schema import FACTS, TABLES

_COMMENTS = re.compile(r"^\s*//(.*)$", re.MULTILINE)
_EMITS = re.compile(r"\bEmits:\s*(\w*)\s*\(([^()]*)\)")
_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
_KINDS = ("int", "string", "bool")
_INTEGERS = frozenset(("pid", "tid", "ppid", "uid", "gid", "cpu", "count"))
_VIEW = re.compile(r"^CREATE OR REPLACE (?:VIEW|MACRO) (\w+)", re.MULTILINE)
# Rows with which the control probes and ours speak; names of the store's own.
_TAKEN = frozenset(("ended", "second", "member", "named_process"))
_PREFIXES = ("script_", "stackledger_", "chosen_")


def from_file(path: Path) -> tuple[Probe, str]:
    """Return a script and its text; raises UsageError."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as failure:
        raise UsageError("cannot read the script", f"{path}: {failure.strerror}") from None
    except UnicodeDecodeError:
        raise UsageError("the script is not UTF-8", path) from None
    if not text.strip():
        raise UsageError("the script is empty", path)
    return _probe(path.name, path, text), text


def from_line(text: str, number: int) -> tuple[Probe, str]:
    """Return the script of the `number`-th -e; raises UsageError."""
    if not text.strip():
        raise UsageError("the script is empty", "-e")
    name = "-e" if number == 1 else f"-e {number}"
    return _probe(name, Path(name), text), text


def own_tables(emits: tuple[Emitted, ...], kinds: dict[str, tuple[str, ...]]) -> list[OwnTable]:
    """Return a script's tables for the manifest; `kinds` are those that the rows had."""
    return [
        OwnTable(
            name=one.table,
            columns=[
                OwnColumn(name=column, kind={"int": "int64"}.get(kind, kind), unit=_unit(column))
                for column, kind in zip(one.columns, kinds.get(one.table, one.kinds), strict=True)
            ],
        )
        for one in emits
    ]


def _probe(name: str, path: Path, text: str) -> Probe:
    header = "\n".join(_COMMENTS.findall(text))
    emits = tuple(_emitted(path, *found) for found in _EMITS.findall(header))
    if len({one.table for one in emits}) < len(emits):
        raise _wrong(path, "names a table twice")
    if len(emits) < header.count("Emits:"):
        raise _wrong(path, "is not written like  Emits: mine(ts_ns, pid, comm string)")
    return Probe(
        name=name,
        variant="",
        purpose="a script of your own",
        path=path,
        emits=emits,
        sums=(),
        needs="",
        min_bpftrace=(0, 17),
        hooks=(),
        string_bytes=0,
        grade=OWN,
        overhead="",
        caveats="",
        origin=path.stem,
    )


def _emitted(path: Path, table: str, columns: str) -> Emitted:
    if not _NAME.fullmatch(table):
        raise _wrong(path, f"a table's name has small letters, digits and _: {table!r}")
    if table in _reserved() or table.startswith(_PREFIXES):
        raise _wrong(path, f"the name is taken, call the table something else: {table}")
    names, kinds = [], []
    for words in (column.split() for column in columns.split(",")):
        if not 1 <= len(words) <= 2 or not _NAME.fullmatch(words[0]):
            raise _wrong(path, f"{table} has no proper column: {' '.join(words)!r}")
        if words[1:] and words[1] not in _KINDS:
            raise _wrong(path, f"the type of {table}.{words[0]} is none of {', '.join(_KINDS)}")
        names.append(words[0])
        kinds.append(words[1] if words[1:] else _kind(words[0]))
    if len(set(names)) < len(names):
        raise _wrong(path, f"{table} names a column twice")
    return Emitted(table, tuple(names), tuple(kinds))


def _reserved() -> set[str]:
    views = (folder("queries") / "views").glob("*.sql")
    named = {name for path in views for name in _VIEW.findall(path.read_text(encoding="utf-8"))}
    return {*TABLES, *FACTS, *_TAKEN, *named}


def _kind(column: str) -> str:
    """Return the type that a column's name says, empty where only the rows can tell."""
    if column in _INTEGERS or column.endswith(("_ns", "_bytes")):
        return "int"
    return "string" if column == "comm" else ""


def _unit(column: str) -> str:
    return {"ns": "ns", "bytes": "bytes"}.get(column.rpartition("_")[2], "")


def _wrong(path: Path, what: str) -> StackledgerError:
    return UsageError("the script's Emits: line", f"{path}: {what}")
