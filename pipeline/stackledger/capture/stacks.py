"""bpftrace's stacks as lists of functions: innermost first, one a line.

    kernel, named by bpftrace      do_idle+532
    user, named by symbols.py      7f5cedcf5f80

Offsets are left out: with them hardly two samples would be alike.
"""

from __future__ import annotations

import re
from functools import lru_cache

import pyarrow as pa

from stackledger.capture.symbols import symbols

KERNEL, USER = "kstack", "ustack"
# How a probe has to write them, for one map's key to fit another's.
EXPRESSIONS = {KERNEL: "kstack(bpftrace)", USER: "ustack"}

_OFFSET = re.compile(r"\+(?:\d+|0x[0-9a-f]+)\Z")
_ADDRESS = re.compile(r"(?:0x)?([0-9a-f]{1,16})\Z")
_NAMELESS = "[unknown]"
# Of a map's key: both stacks, each empty or lines of its own, before a text that is last.
_STACK = r"((?:\n(?:[ \t]*[^\n,][^\n]*\n)*)?)"
_PAIR = re.compile(rf"{_STACK},{_STACK},(.*)\Z", re.DOTALL)


@lru_cache(maxsize=8192)
def kernel_functions(stack: str) -> str:
    """Return the functions of a printed kernel stack."""
    names = (_OFFSET.sub("", line.strip()) for line in stack.split("\n"))
    return "\n".join(_NAMELESS if name.startswith("0x") else name for name in names if name)


def user_functions(pid: int, stack: str) -> str:
    """Return the functions of a process's printed stack; nameless ones in a row are one."""
    found: list[str] = []
    for line in stack.split("\n"):
        address = _ADDRESS.match(line.strip())
        if address:
            name = symbols().name(pid, int(address[1], 16)) or _NAMELESS
            if name != _NAMELESS or found[-1:] != [_NAMELESS]:
                found.append(name.replace("\n", " "))
    return "\n".join(found)


def named(columns: dict[str, pa.ChunkedArray | pa.Array]) -> dict[str, pa.Array]:
    """Return the columns `kstack` and `ustack` as functions; `pid` says whose."""
    kernel, user = columns[KERNEL].to_pylist(), columns[USER].to_pylist()
    kernel = [kernel_functions(stack) for stack in kernel]
    pids = columns["pid"].to_pylist()
    user = [user_functions(pid, stack) for pid, stack in zip(pids, user, strict=True)]
    return {
        KERNEL: pa.array(kernel, pa.string()).dictionary_encode(),
        USER: pa.array(user, pa.string()).dictionary_encode(),
    }


def split(text: str) -> tuple[str, str, str]:
    """Return a map's key as kernel stack, user stack and the text after them.

    Raises ValueError where it is none.
    """
    found = _PAIR.match(text)
    if found is None:
        raise ValueError("not two stacks and a text")
    return found[1], found[2], found[3]
