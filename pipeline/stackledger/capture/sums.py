"""Tables that the kernel sums up, second by second: their part of a program, and their rows.

A template says what one event adds:

    // Sums:  syscall_count(pid, comm | calls, errors, max_ns)
    $now = nsecs;
    // @sum syscall_count[pid, comm] += 1, $failed, $dur

Each CPU has entries of its own, so nothing is added to by two at once. There are
two maps a table, for even and odd seconds of the boot clock: one is printed and
cleared while the other is written to. A value named `max_…` keeps the largest,
all others are added; the first one counts events. `@produced_TABLE` counts them
too, whether the map was full or not. The keys may end in `kstack, ustack, comm`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from stackledger.capture import stacks
from stackledger.capture.escapes import mend
from stackledger.capture.layout import raw_kind
from stackledger.capture.lines import SECOND_ROW, wrapped
from stackledger.catalog import Summed
from stackledger.errors import StackledgerError

_SECOND_NS = 1_000_000_000
_SUM = re.compile(r"^([ \t]*)// @sum ([a-z_0-9]+)\[(.*)\] \+= (.*)$", re.MULTILINE)
_TOP = re.compile(r"\A(?:#![^\n]*\n)?")
_BEGIN = re.compile(r"^BEGIN\s*\{", re.MULTILINE)
_MAP = re.compile(r"@([a-z][a-z0-9_]*)_(even|odd)\Z")
# bpftrace 0.23 escapes a map's key twice: this map's only key tells.
_ESCAPE_MAP = "@stackledger_escape"


def expanded(template: str, sums: Iterable[Summed]) -> str:
    """Return the template with every `// @sum` written out, and what prints the maps.

    Raises StackledgerError where a line does not fit the header's `Sums:`.
    """
    known = {summed.table: summed for summed in sums}
    if not known:
        return template

    def addition(found: re.Match[str]) -> str:
        indent, table, keys, values = found.groups()
        summed = known.get(table)
        if summed is None:
            raise StackledgerError("the probe adds to a table that its header lacks", table)
        given, added = parts(keys), parts(values)
        if (len(given), len(added)) != (len(summed.keys), len(summed.values)):
            raise StackledgerError("a sum's keys or values are not those of the header", table)
        lines = ["if (($now / 1000000000) & 1) {"]
        lines += [f"  {line}" for line in _added(summed, "odd", given, added)]
        lines += ["} else {"]
        lines += [f"  {line}" for line in _added(summed, "even", given, added)]
        lines += ["}", f"@produced_{table} = count();"]
        return "\n".join(indent + line for line in lines)

    summed = _SUM.sub(addition, template) + _tick(known)
    begun = _begun(known.values())
    if _BEGIN.search(summed):  # bpftrace 0.23 takes only one
        return _BEGIN.sub(lambda begin: f"{begin[0]} {begun}", summed, count=1)
    return _TOP.sub(lambda top: f"{top[0]}BEGIN {{ {begun} }} ", summed, count=1)


def parts(text: str) -> list[str]:
    """Return what stands between the commas that are in no parentheses and no brackets."""
    found, depth = [""], 0
    for letter in text:
        depth += (letter in "([") - (letter in ")]")
        if letter == "," and depth == 0:
            found.append("")
        else:
            found[-1] += letter
    return [part.strip() for part in found if part.strip()]


def _added(summed: Summed, parity: str, keys: list[str], values: list[str]) -> Iterator[str]:
    entry = f"@{summed.table}_{parity}[{', '.join(['cpu', *keys])}]"
    was = f"$was_{summed.table}"
    yield f"{was} = {entry};"
    if len(values) == 1:  # bpftrace has no tuple of one
        yield f"{entry} = {was} + (uint64)({values[0]});"
        return
    sums = []
    for number, (name, value) in enumerate(zip(summed.values, values, strict=True)):
        old, new = f"{was}.{number}", f"(uint64)({value})"
        largest = name.startswith("max_")
        sums.append(f"{old} > {new} ? {old} : {new}" if largest else f"{old} + {new}")
    yield f"{entry} = ({', '.join(sums)});"


def _begun(sums: Iterable[Summed]) -> str:
    """Return what gives each map its type: on one line, for errors name lines."""
    statements = ["@stackledger_second = (uint64)0;"]
    statements += [f'{_ESCAPE_MAP}["\\""] = (uint64)1; print({_ESCAPE_MAP});']
    if any(stacks.KERNEL in summed.keys for summed in sums):
        # Taken once: a second one would not be the same.
        statements += [f"${name} = {text};" for name, text in stacks.EXPRESSIONS.items()]
    for summed in sums:
        keys = ", ".join(["(uint64)0", *(_typed(summed.table, name) for name in summed.keys)])
        zeros = ", ".join("(uint64)0" for _ in summed.values)
        zeros = f"({zeros})" if len(summed.values) > 1 else zeros
        for parity in ("even", "odd"):
            entry = f"@{summed.table}_{parity}[{keys}]"
            statements.append(f"{entry} = {zeros}; delete({entry});")
    return " ".join(statements)


def _typed(table: str, name: str) -> str:
    if name in ("comm", "interface"):  # a text of 16 bytes
        return "comm"
    if name in stacks.EXPRESSIONS:
        return f"${name}"
    return "str((uint64)0)" if raw_kind(table, name) == "string" else "(uint64)0"


def _tick(sums: Iterable[str]) -> str:
    """Return the probe that prints and clears the maps of the second that is over."""
    odd = "".join(f" print(@{table}_odd); clear(@{table}_odd);" for table in sums)
    even = odd.replace("_odd)", "_even)")
    return (
        "\ninterval:ms:250 {\n"
        "  $second = nsecs / 1000000000;\n"
        "  if (@stackledger_second != $second) {\n"
        "    @stackledger_second = $second;\n"
        f'    print(("{SECOND_ROW}", $second));\n'
        f"    if ($second & 1) {{{even} }} else {{{odd} }}\n"
        "  }\n}\n"
    )


class Sums:
    """Reads the maps that `expanded` has printed."""

    def __init__(self, sums: Iterable[Summed]) -> None:
        self._sums = {summed.table: summed for summed in sums}
        self._second = 0
        self._printed: set[str] = set()
        self._escaped_twice = False

    def begin_second(self, second: int) -> None:
        """Note that the maps which follow hold the second before this one."""
        self._second = second
        self._printed.clear()

    def owns(self, name: str) -> bool:
        """Return whether a map of this name is one of these."""
        found = _MAP.match(name)
        return name == _ESCAPE_MAP or (found is not None and found[1] in self._sums)

    def counter(self, table: str) -> str:
        """Return the column that counts a table's events."""
        return self._sums[table].values[0]

    def take(self, name: str, content: Mapping[str, Any]) -> tuple[str, pa.Table] | None:
        """Return a table's name and its rows of one second, without clock offset; None if empty.

        Raises ValueError where the map is not as its header says.
        """
        if name == _ESCAPE_MAP:
            self._escaped_twice = '\\"' in content
            return None
        found = _MAP.match(name)
        if found is None or not content:
            return None
        end = self._end(name, odd=found[2] == "odd")
        return found[1], self._rows(self._sums[found[1]], content, end * _SECOND_NS)

    def _end(self, name: str, *, odd: bool) -> int:
        """Return the second at whose beginning the map's own second was over."""
        over = (self._second & 1) != odd
        if over and name not in self._printed:
            self._printed.add(name)
            return self._second
        # bpftrace prints once more at its end what has come since.
        return self._second + (2 if over else 1)

    def _rows(self, summed: Summed, content: Mapping[str, Any], end_ns: int) -> pa.Table:
        columns = self._keys(summed, list(content))
        values = list(content.values())
        if len(summed.values) == 1:
            values = [value if isinstance(value, list) else [value] for value in values]
        if any(len(value) != len(summed.values) for value in values):
            raise ValueError(summed.table)
        for number, name in enumerate(summed.values):
            columns[name] = pa.array([int(value[number]) for value in values], pa.int64())
        sums = [(name, "max" if name.startswith("max_") else "sum") for name in summed.values]
        grouped = pa.table(columns).group_by(list(summed.keys)).aggregate(sums)
        grouped = grouped.rename_columns([*summed.keys, *summed.values])
        for number, (name, value) in enumerate((("ts_ns", end_ns), ("interval_ns", _SECOND_NS))):
            column = pa.repeat(pa.scalar(value, pa.int64()), grouped.num_rows)
            grouped = grouped.add_column(number, name, column)
        return grouped

    def _keys(self, summed: Summed, keys: list[str]) -> dict[str, pa.Array]:
        # The CPU, then the header's; a text, which may hold commas, is the last.
        names = summed.keys
        traced = stacks.KERNEL in names
        if traced:
            names = (*names[: names.index(stacks.KERNEL)], "texts")
        count = len(names)
        split = pc.split_pattern(pa.array(keys, pa.string()), ",", max_splits=count)
        if pc.any(pc.not_equal(pc.list_value_length(split), count + 1)).as_py():
            raise ValueError(summed.table)
        words = split.flatten()
        columns: dict[str, pa.Array] = {}
        for number, name in enumerate(names, start=1):
            column = words.take(pa.array(range(number, len(words), count + 1), pa.int64()))
            text = name == "texts" or raw_kind(summed.table, name) == "string"
            columns[name] = self._texts(column) if text else _integers(column)
        if traced:
            texts = [stacks.split(text) for text in columns.pop("texts").to_pylist()]
            for name, parted in zip(
                summed.keys[count - 1 :], zip(*texts, strict=True), strict=True
            ):
                columns[name] = pa.array(parted, pa.string()).dictionary_encode()
            columns.update(stacks.named(columns))
        return columns

    def _texts(self, column: pa.Array) -> pa.Array:
        encoded = column.dictionary_encode()
        texts = [mend(self._once(text)) for text in encoded.dictionary.to_pylist()]
        return pa.DictionaryArray.from_arrays(encoded.indices, pa.array(texts, pa.string()))

    def _once(self, text: str) -> str:
        if self._escaped_twice and "\\" in text:
            try:
                return str(msgspec.json.decode(f'"{text}"'.encode()))
            except msgspec.DecodeError:
                return text
        return text


def _integers(column: pa.Array) -> pa.Array:
    try:
        return column.cast(pa.int64())
    except pa.ArrowInvalid:  # pointers of 2^63 and more
        return pa.array([wrapped(int(word)) for word in column.to_pylist()], pa.int64())
