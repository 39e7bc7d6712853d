"""Reads the headers of probes and queries: one grammar for .bt and .sql files.

    <comment> name   purpose
    <comment>
    <comment> Key:   value, continued on
    <comment>        more deeply indented lines

The header starts at the top (a `#!` line may come first) and ends with the
first empty comment line after a key: free prose may follow. Every error names
the file and the line.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TypeVar

from stackledger.errors import CannotTraceError, StackledgerError, UsageError, nearest
from stackledger.resources import folder

_PROBE_KEYS = ("Emits", "Sums", "Strings", "Needs", "Grade", "Overhead", "Caveats")
_QUERY_KEYS = ("Answers", "Params", "Returns", "Cost")
_GRADES = ("exact", "approximate")
OWN = "own"  # the grade of a user's script: nobody has measured it

_KEY = re.compile(r"([A-Z][A-Za-z-]*):(?:\s+(.*))?$")
_TITLE = re.compile(r"([a-z][a-z0-9_]*)\s{2,}(\S.*)$")
_EMITS = re.compile(r"([a-z][a-z0-9_]*)\s*\(([^()]*)\)[\s;,.]*")
_COLUMN = re.compile(r"[a-z][a-z0-9_]*$")
_VERSION = re.compile(r"bpftrace\s*>=\s*([0-9]{1,6})\.([0-9]{1,6})")
_HOOK = re.compile(r"(?:([a-z]+(?::[a-z0-9_]+)*):)?([a-z0-9_]+(?:\.[a-z0-9_]+)?)$")
_FROM = re.compile(r"^// @from (\S+)$", re.MULTILINE)
_TRACEPOINTS = ("tracepoint", "rawtracepoint")


@dataclass(frozen=True, slots=True)
class Emitted:
    """A table as the probe prints it: its raw columns, in order.

    `kinds` are those of a script's own table: int, bool or string, empty where its
    first row decides. Of a registered table they are in the registry.
    """

    table: str
    columns: tuple[str, ...]
    kinds: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Summed:
    """A table that the kernel sums up per second: what a row is of, and what was added.

    The first value counts events, one named `max_…` is the largest, others are sums.
    """

    table: str
    keys: tuple[str, ...]
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Probe:
    """A bpftrace program and what its header says about it."""

    name: str
    variant: str  # "" where there is only one
    purpose: str
    path: Path
    emits: tuple[Emitted, ...]
    sums: tuple[Summed, ...]
    needs: str
    min_bpftrace: tuple[int, int]
    string_bytes: int  # what its longest text takes; 0 for what all have
    hooks: tuple[str, ...]  # tracepoint:block:block_rq_issue, with .field where that is needed
    grade: str
    overhead: str
    caveats: str
    origin: str  # stem of the file whose program this is, on other hooks; else its own

    def lacks(
        self, bpftrace: tuple[int, ...] | None, offered: Callable[[str], bool] | None
    ) -> list[str]:
        """Return what keeps it from running: a version, or the hooks that are not offered."""
        if bpftrace is not None and bpftrace < self.min_bpftrace:
            return [f"bpftrace {'.'.join(map(str, self.min_bpftrace))} or later"]
        return [hook for hook in self.hooks if offered is not None and not offered(hook)]

    @property
    def tables(self) -> tuple[str, ...]:
        """Return the tables that have its rows."""
        return (*(one.table for one in self.emits), *(one.table for one in self.sums))

    def text(self) -> str:
        """Return the template, placeholders and all."""
        return self.path.read_text(encoding="utf-8")


@dataclass(frozen=True, slots=True)
class Query:
    """A named query and what its header says about it."""

    name: str
    purpose: str
    path: Path
    answers: str
    params: str
    returns: str
    cost: str

    def text(self) -> str:
        """Return the SQL, header included."""
        return self.path.read_text(encoding="utf-8")


_Item = TypeVar("_Item", Probe, Query)


@dataclass(frozen=True, slots=True)
class _Header:
    name: str
    purpose: str
    fields: dict[str, list[tuple[int, str]]]  # key -> (line, value) in order

    def text(self, key: str) -> str:
        return " ".join(value for _, value in self.fields.get(key, ()))


def probes() -> dict[str, Probe]:
    """Return every probe by its file's stem: `block_io`, or `tcp_io.fentry` for a variant."""
    return _probes(folder("probes"))


def queries() -> dict[str, Query]:
    """Return every named query (queries/reports/*.sql) by name."""
    return _queries(folder("queries") / "reports")


def variants(name: str) -> list[Probe]:
    """Return a probe's variants, the best first; raises UsageError with the nearest name.

    Exact before approximate, then the one that asks for the newer bpftrace, for it
    uses what the older lacks, then tracepoints before functions: those stay.
    `name.variant` is that one alone.
    """
    known = probes()
    found = [one for one in known.values() if one.name == name]
    if not found and name in known:
        return [known[name]]
    if not found:
        raise UsageError("no such probe", name, hint=nearest(name, known))
    return sorted(
        found,
        key=lambda one: (
            not one.grade.startswith("exact"),
            tuple(-number for number in one.min_bpftrace),
            sum(hook.split(":")[0] not in _TRACEPOINTS for hook in one.hooks),
            one.variant,
        ),
    )


def probe(
    name: str,
    bpftrace: tuple[int, ...] | None = None,
    offered: Callable[[str], bool] | None = None,
) -> Probe:
    """Return a probe by name; of its variants the best that this bpftrace and kernel can run.

    `offered` tells whether the kernel has a hook: `tracepoint:block:block_rq_issue`.
    `name.variant` is taken as it is: whoever names it wants to see it fail. Raises
    UsageError where there is no such probe, or none for this bpftrace, and
    CannotTraceError where the kernel lacks a hook of each.
    """
    best = variants(name)
    if name != best[0].name:
        return best[0]
    of_version = [one for one in best if not one.lacks(bpftrace, None)]
    if not of_version:
        raise UsageError("no variant of the probe runs on this bpftrace", name)
    for one in of_version:
        if not one.lacks(bpftrace, offered):
            return one
    missing = of_version[0].lacks(bpftrace, offered)
    raise CannotTraceError(
        "this kernel lacks what the probe needs", f"{name}: {', '.join(missing)}"
    )


@cache
def _probes(base: Path) -> dict[str, Probe]:
    return _unique((path.stem, read_probe(path)) for path in sorted(base.rglob("*.bt")))


@cache
def _queries(base: Path) -> dict[str, Query]:
    return _unique((path.stem, read_query(path)) for path in sorted(base.rglob("*.sql")))


def _unique(items: Iterable[tuple[str, _Item]]) -> dict[str, _Item]:
    found: dict[str, _Item] = {}
    for name, item in items:
        if name in found:
            raise StackledgerError("two files of one name", f"{found[name].path}, {item.path}")
        found[name] = item
    return found


def read_probe(path: Path) -> Probe:
    """Return the probe in `path`; raises StackledgerError where its header is wrong."""
    header = _read(path, "//", _PROBE_KEYS, required=("Needs", "Grade"))
    name, _, variant = path.stem.partition(".")
    emits = tuple(
        emitted
        for line, value in header.fields.get("Emits", ())
        for emitted in _emitted(path, line, value)
    )
    sums = tuple(
        summed
        for line, value in header.fields.get("Sums", ())
        for summed in _summed(path, line, value)
    )
    if not emits and not sums:
        raise _wrong(path, 1, "the header lacks Emits: or Sums:")
    needs = header.text("Needs")
    version = _VERSION.search(needs)
    line = header.fields["Needs"][0][0]
    if version is None:
        raise _wrong(path, line, "Needs: does not say 'bpftrace >= MAJOR.MINOR'")
    strings = header.text("Strings") or "0"
    if not re.fullmatch("[0-9]{1,6}", strings):
        raise _wrong(path, header.fields["Strings"][0][0], "Strings: is not a number of bytes")
    grade = header.text("Grade")
    if not grade.startswith(_GRADES):
        raise _wrong(path, header.fields["Grade"][0][0], f"Grade: is none of {_GRADES}")
    return Probe(
        name=name,
        variant=variant,
        purpose=header.purpose,
        path=path,
        emits=emits,
        sums=sums,
        needs=needs,
        min_bpftrace=(int(version[1]), int(version[2])),
        string_bytes=int(strings),
        hooks=_hooks(needs),
        grade=grade,
        overhead=header.text("Overhead"),
        caveats=header.text("Caveats"),
        origin=_origin(path),
    )


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as failure:
        raise StackledgerError("not UTF-8", f"{path}: {failure}") from None


def _origin(path: Path) -> str:
    found = _FROM.search(_text(path))
    return found[1] if found else path.stem


def read_query(path: Path) -> Query:
    """Return the query in `path`; raises StackledgerError where its header is wrong."""
    header = _read(path, "--", _QUERY_KEYS, required=("Answers", "Returns"))
    return Query(
        name=header.name,
        purpose=header.purpose,
        path=path,
        answers=header.text("Answers"),
        params=header.text("Params"),
        returns=header.text("Returns"),
        cost=header.text("Cost"),
    )


def read_header(
    path: Path, marker: str, known: tuple[str, ...], required: tuple[str, ...]
) -> tuple[str, str, dict[str, str]]:
    """Return name, purpose and the text of every key of a header in this grammar.

    Raises StackledgerError where it is wrong.
    """
    header = _read(path, marker, known, required)
    return header.name, header.purpose, {key: header.text(key) for key in header.fields}


def _read(path: Path, marker: str, known: tuple[str, ...], required: tuple[str, ...]) -> _Header:
    lines = _comment(path, marker)
    if not lines:
        raise _wrong(path, 1, f"no header: the first line is not '{marker} name   purpose'")
    first, title_text = lines[0]
    title = _TITLE.match(title_text.strip())
    if title is None:
        raise _wrong(path, first, f"the header does not begin with '{marker} name   purpose'")
    if title[1] != path.name.split(".")[0]:
        raise _wrong(path, first, f"the header names {title[1]}, the file {path.name}")
    fields = _fields(path, lines[1:], known)
    for key in required:
        if not any(value for _, value in fields.get(key, ())):
            raise _wrong(path, first, f"the header lacks {key}:")
    return _Header(title[1], title[2].strip(), fields)


def _fields(
    path: Path, lines: list[tuple[int, str]], known: tuple[str, ...]
) -> dict[str, list[tuple[int, str]]]:
    fields: dict[str, list[tuple[int, str]]] = {}
    open_key: str | None = None
    for number, text in lines:
        body = text.strip()
        if not body:
            if open_key is not None:
                break
            continue
        found = None if text[:2].isspace() and len(text) > 1 else _KEY.match(body)
        if found is None:
            if open_key is None:
                raise _wrong(path, number, "neither 'Key: value' nor the continuation of one")
            start, value = fields[open_key][-1]
            fields[open_key][-1] = (start, f"{value} {body}".strip())
            continue
        open_key = found[1]
        if open_key not in known:
            hint = nearest(open_key, known) or f"known are {', '.join(known)}"
            raise _wrong(path, number, f"unknown key {open_key}", hint)
        fields.setdefault(open_key, []).append((number, found[2] or ""))
    return fields


def _comment(path: Path, marker: str) -> list[tuple[int, str]]:
    """Return (line number, text without the marker) of the comment at the top."""
    found: list[tuple[int, str]] = []
    for number, line in enumerate(_text(path).splitlines(), 1):
        if number == 1 and line.startswith("#!"):
            continue
        if not line.startswith(marker):
            break
        found.append((number, line.removeprefix(marker).rstrip()))
    return found


def _emitted(path: Path, line: int, value: str) -> Iterable[Emitted]:
    at = 0
    while at < len(value):
        found = _EMITS.match(value, at)
        if found is None:
            raise _wrong(path, line, f"Emits: is not 'table(column, …)': {value[at:]}")
        columns = tuple(name.strip() for name in found[2].split(","))
        for name in columns:
            if not _COLUMN.match(name):
                raise _wrong(path, line, f"Emits: {found[1]} has no proper column name: {name!r}")
        if len(set(columns)) < len(columns):
            raise _wrong(path, line, f"Emits: {found[1]} names a column twice")
        yield Emitted(found[1], columns)
        at = found.end()


def _summed(path: Path, line: int, value: str) -> Iterable[Summed]:
    for emitted in _emitted(path, line, value.replace(" | ", ", of_each, ")):
        if emitted.columns.count("of_each") != 1 or emitted.columns[-1] == "of_each":
            raise _wrong(path, line, f"Sums: is not 'table(key, … | value, …)': {value}")
        at = emitted.columns.index("of_each")
        yield Summed(emitted.table, emitted.columns[:at], emitted.columns[at + 1 :])


def _hooks(needs: str) -> tuple[str, ...]:
    """Return the hooks of a `Needs:` value; a bare name takes the prefix of the one before.

    `tracepoint:tcp:tcp_send_reset.reason` is one with a field that older kernels lack.
    """
    prefix = ""
    hooks: list[str] = []
    for word in re.split(r"[;,]\s*", needs):
        found = _HOOK.match(word.strip())
        if found is None or not (found[1] or prefix):
            continue
        prefix = found[1] or prefix
        hooks.append(f"{prefix}:{found[2]}")
    return tuple(hooks)


def _wrong(path: Path, line: int, what: str, hint: str | None = None) -> StackledgerError:
    return StackledgerError("bad header", f"{path}:{line}: {what}", hint=hint)
