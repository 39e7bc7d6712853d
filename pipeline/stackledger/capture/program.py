"""Turns a probe's template into the program text.

The only place where a value enters a program that the kernel runs as root.
Templates are readable bpftrace:

    // @listen       becomes one `@listen[PORT] = 1;` for every listening port
    // @filter       becomes `if (!(…)) { return; }` for the capture's filters
    __NAME__         becomes an integer; `__FILTERED__` is 1 where a filter is set,
                     `__SELF__` the process that records, 0 where its number is unknown
    // @block NAME   begins lines that are left out here, up to `// @end`, and
    // @use NAME     put in there: bpftrace 0.17 has neither functions nor macros;
                     blocks for all probes are in probes/blocks/
    // @sum TABLE[…] += …   is written out by sums.py
    uprobe:@function       the function that was asked for; "@function" its name
    // @from NAME    puts another file's program here, on other hooks: variants.py

`// @stopped` is left for control.py.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from stackledger.capture import sums as summing
from stackledger.capture.symbols import read_functions
from stackledger.capture.variants import derived
from stackledger.catalog import Summed
from stackledger.errors import StackledgerError, UsageError, nearest
from stackledger.resources import folder

COMM_BYTES = 15
_PID_MAX = 1 << 22
_HOST_PIDS = 0xEFFFFFFC  # inode of the first namespace of pids (PROC_PID_INIT_INO)
_PLACEHOLDER = re.compile(r"__[A-Z][A-Z0-9_]*__")
_LISTEN = re.compile(r"^([ \t]*)// @listen$", re.MULTILINE)
_FILTER = re.compile(r"^([ \t]*)// @filter$", re.MULTILINE)
_BLOCK = re.compile(r"^// @block ([a-z_]+).*\n((?:.*\n)*?)// @end\n+", re.MULTILINE)
_USE = re.compile(r"^[ \t]*// @use ([a-z_]+)\n", re.MULTILINE)
_FUNCTION = re.compile(r'(")@function"|:@function\b')
_PATH = re.compile(r"/[A-Za-z0-9._/+@-]+\Z")
_SYMBOL = re.compile(r"[A-Za-z_.$][A-Za-z0-9_.$@]*\Z")
_PLAIN = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./: ")


@dataclass(frozen=True, slots=True)
class Function:
    """A function of a program or library, checked: `function` makes it."""

    path: str
    symbol: str


@dataclass(frozen=True, slots=True)
class Filters:
    """What to trace: any of each kind, and all kinds that are given."""

    pids: tuple[int, ...] = ()
    comms: tuple[str, ...] = ()
    cgroups: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.pids or self.comms or self.cgroups)


def build(
    template: str,
    *,
    listen: Iterable[int] = (),
    filters: Filters | None = None,
    constants: Mapping[str, int] | None = None,
    sums: Iterable[Summed] = (),
    function: Function | None = None,
) -> str:
    """Return the program; raises UsageError where a filter's value is refused."""
    if function is None and _FUNCTION.search(template):
        raise UsageError(
            "the probe needs a function", hint="--function /usr/bin/program:name_of_function"
        )
    filters = filters or Filters()
    condition = _condition(filters)
    statement = f"if (!({condition})) {{ return; }}" if condition else ""
    ports = sorted({_integer("port", port, 1, 65535) for port in listen})

    def listening(found: re.Match[str]) -> str:
        return "\n".join(f"{found[1]}@listen[{port}] = 1;" for port in ports)

    known = {**(constants or {}), "FILTERED": int(bool(filters)), "SELF": _own_pid()}

    def constant(found: re.Match[str]) -> str:
        name = found[0].strip("_")
        if name not in known:
            raise StackledgerError("the probe has a placeholder without a value", found[0])
        return str(_integer(name, known[name], -(1 << 63), (1 << 64) - 1))

    # Constants first: no text that a user chose is looked at again.
    program = _PLACEHOLDER.sub(constant, summing.expanded(unfolded(template), sums))
    program = _LISTEN.sub(listening, program)
    if function is not None:
        hook, name = f"{function.path}:{function.symbol}", literal(function.symbol)
        program = _FUNCTION.sub(lambda found: name if found[1] else f":{hook}", program)
    return _FILTER.sub(lambda found: found[1] + statement, program)


def _own_pid() -> int:
    """Return this process's number as the kernel's programs see it."""
    try:
        host = Path("/proc/self/ns/pid").stat().st_ino == _HOST_PIDS
    except OSError:
        host = False
    return os.getpid() if host else 0


def unfolded(template: str) -> str:
    """Return the template with its blocks put in where they are used; a variant's whole."""
    template = derived(template, unfolded)
    blocks = dict(_BLOCK.findall(template))

    def block(found: re.Match[str]) -> str:
        if found[1] in blocks:
            return str(blocks[found[1]])
        shared = folder("probes") / "blocks" / f"{found[1]}.block"
        if not shared.is_file():
            raise StackledgerError("the probe uses a block that it does not have", found[1])
        return shared.read_text(encoding="utf-8")

    # Twice, for a block may use another.
    return _USE.sub(block, _USE.sub(block, _BLOCK.sub("", template)))


def literal(text: str) -> str:
    """Return a bpftrace string literal that equals `text` and nothing else.

    Every byte that is not plainly harmless is written as an octal escape.
    """
    return (
        '"'
        + "".join(chr(code) if code in _PLAIN else f"\\{code:03o}" for code in text.encode("utf-8"))
        + '"'
    )


def function(text: str) -> Function:
    """Return the function that FILE:NAME means; raises UsageError where there is none.

    Both become part of a program, so both are of harmless letters only.
    """
    path, _, symbol = text.rpartition(":")
    if not _PATH.match(path) or not _SYMBOL.match(symbol):
        raise UsageError(
            "a function is written /path/of/file:name, in letters, digits and . _ / + - @", text
        )
    if not os.path.isfile(path):  # noqa: PTH113 - says no where it may not look
        raise UsageError("no such program or library", path)
    known = read_functions(path).names
    if symbol.encode() not in known:
        near = nearest(symbol, (name.decode("utf-8", "replace") for name in known))
        raise UsageError(
            "no such function", text, hint=near or f"nm -D {path} lists what is left of its names"
        )
    return Function(path, symbol)


def cgroup_id(path: str) -> int:
    """Return the kernel's id of a cgroup (v2): the inode of its folder."""
    folder = Path(path)
    if not folder.is_absolute() or not folder.is_dir():
        mounts = [mount / path.lstrip("/") for mount in cgroup2_mounts()]
        folder = next((found for found in mounts if found.is_dir()), folder)
    try:
        if not (folder / "cgroup.procs").is_file():
            raise UsageError("not a cgroup (v2)", path)
        return folder.stat().st_ino
    except OSError as failure:
        raise UsageError("cannot read the cgroup", f"{path}: {failure.strerror}") from None


def cgroup2_mounts() -> list[Path]:
    """Return where cgroup v2 is mounted."""
    lines = Path("/proc/self/mounts").read_text(encoding="utf-8", errors="replace").split("\n")
    fields = (line.split(" ") for line in lines)
    return [Path(words[1]) for words in fields if len(words) > 2 and words[2] == "cgroup2"]


def _condition(filters: Filters) -> str:
    kinds = (
        [f"pid == {_integer('pid', pid, 1, _PID_MAX)}" for pid in filters.pids],
        [f"comm == {literal(_comm(comm))}" for comm in filters.comms],
        [f"cgroup == {cgroup_id(path)}" for path in filters.cgroups],
    )
    return " && ".join(f"({' || '.join(words)})" for words in kinds if words)


def _comm(comm: str) -> str:
    if not comm or "\0" in comm:
        raise UsageError("a process name has 1 to 15 bytes", comm)
    if len(comm.encode("utf-8")) > COMM_BYTES:
        short = comm.encode("utf-8")[:COMM_BYTES].decode("utf-8", "ignore")
        raise UsageError(
            "the kernel keeps 15 bytes of a process name", comm, hint=f"--comm {short!r}"
        )
    return comm


def _integer(name: str, value: object, low: int, high: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise UsageError(f"{name} is not an integer from {low} to {high}", value)
    return value
