"""The program of a variant: another file's, on other hooks.

    // @from block_io.tracepoint
    // @hook tracepoint:block:block_io_start = tracepoint:block:block_getrq; args->dev = $dev

A `@hook` line names a probe of that file, the hook that stands for it here, and what
stands for the words that only the first hook knows. Several lines for one hook make
a copy for each; `none` leaves its probes out. The variant's own probes come first, for
they may give maps types. Several probes on one hook fire as they stand in the origin: on
a function's return, where the last would fire first, they are put in the other way round.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import count

from stackledger import catalog
from stackledger.errors import StackledgerError

_FROM = re.compile(r"^// @from (\S+)\n", re.MULTILINE)
_HOOK = re.compile(r"^// @hook (\S+) = (.*)\n", re.MULTILINE)
_PROBE = r"^{}\b[^\n]*\n(?:[^}}\n][^\n]*\n|\n)*}}\n"
# As bpftrace 0.17 and 0.23 attach them.
_LAST_FIRES_FIRST = ("kretfunc", "fexit")
_SHEBANG = re.compile(r"\A#![^\n]*\n")


@dataclass(frozen=True, slots=True)
class _Hook:
    name: str
    words: dict[str, str]


def derived(template: str, unfolded: Callable[[str], str]) -> str:
    """Return the template; where it has `@from`, with that file's program on its own hooks.

    Raises StackledgerError where the other file is missing, or has no such probe.
    """
    named = _FROM.search(template)
    if named is None:
        return template
    origin = catalog.probes().get(named[1])
    if origin is None:
        raise StackledgerError("the probe is made from one that does not exist", named[1])
    program = _SHEBANG.sub("", unfolded(origin.text()))
    for hook, others in _hooks(template).items():
        moved = re.compile(_PROBE.format(re.escape(hook)), re.MULTILINE)
        found = moved.findall(program)
        if not found:
            raise StackledgerError("the probe is on a hook that its origin lacks", hook)
        program = moved.sub(partial(_copies, hook, others, found, count()), program)
    return _HOOK.sub("", _FROM.sub("", template)) + program


def _hooks(template: str) -> dict[str, list[_Hook]]:
    hooks: dict[str, list[_Hook]] = {}
    for hook, value in _HOOK.findall(template):
        name, *rest = (part.strip() for part in value.split(";"))
        words = dict(part.split(" = ", 1) for part in rest if part)
        hooks.setdefault(hook, []).append(_Hook(name, words))
    return hooks


def _copies(
    old: str, hooks: list[_Hook], probes: list[str], number: count[int], _found: re.Match[str]
) -> str:
    at = next(number)
    copies = []
    for hook in hooks:
        if hook.name == "none":
            continue
        kind = hook.name.partition(":")[0]
        text = probes[-1 - at] if kind in _LAST_FIRES_FIRST else probes[at]
        text = hook.name + text.removeprefix(old)
        for word, stands in hook.words.items():
            # A function, for backslashes in what stands for it mean nothing.
            text = re.sub(rf"(?<![\w>.$@]){re.escape(word)}\b", partial(_first, stands), text)
        copies.append(text)
    return "".join(copies)


def _first(text: str, _found: re.Match[str]) -> str:
    return text
