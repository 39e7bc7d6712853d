"""The program of a variant: another file's, on other hooks.

    // @from block_io.tracepoint
    // @hook tracepoint:block:block_io_start = tracepoint:block:block_getrq; args->dev = $dev

A `@hook` line names a probe of that file, the hook that stands for it here, and what
stands for the words that only the first hook knows. Several lines for one hook make
a copy for each. The variant's own probes come first, for they may give maps types.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from stackledger import catalog
from stackledger.errors import StackledgerError

_FROM = re.compile(r"^// @from (\S+)\n", re.MULTILINE)
_HOOK = re.compile(r"^// @hook (\S+) = (.*)\n", re.MULTILINE)
_PROBE = r"^{}\b[^\n]*\n(?:[^}}\n][^\n]*\n|\n)*}}\n"
_SHEBANG = re.compile(r"\A#![^\n]*\n")


@dataclass(frozen=True, slots=True)
class _Hook:
    name: str
    words: dict[str, str]


def derived(template: str, unfolded: Callable[[str], str]) -> str:
    """Return the template; where it has `@from`, with that file's program on its own hooks.

    Raises StackledgerError where the other file is missing, or has no such probe.
    """
    found = _FROM.search(template)
    if found is None:
        return template
    origin = catalog.probes().get(found[1])
    if origin is None:
        raise StackledgerError("the probe is made from one that does not exist", found[1])
    program = _SHEBANG.sub("", unfolded(origin.text()))
    for hook, others in _hooks(template).items():
        moved = re.compile(_PROBE.format(re.escape(hook)), re.MULTILINE)
        if not moved.search(program):
            raise StackledgerError("the probe is on a hook that its origin lacks", hook)
        program = moved.sub(partial(_copies, hook, others), program)
    return _HOOK.sub("", _FROM.sub("", template)) + program


def _hooks(template: str) -> dict[str, list[_Hook]]:
    hooks: dict[str, list[_Hook]] = {}
    for hook, value in _HOOK.findall(template):
        name, *rest = (part.strip() for part in value.split(";"))
        words = dict(part.split(" = ", 1) for part in rest if part)
        hooks.setdefault(hook, []).append(_Hook(name, words))
    return hooks


def _copies(old: str, hooks: list[_Hook], probe: re.Match[str]) -> str:
    copies = []
    for hook in hooks:
        text = hook.name + probe[0].removeprefix(old)
        for word, stands in hook.words.items():
            # A function, for backslashes in what stands for it mean nothing.
            text = re.sub(rf"(?<![\w>.$@]){re.escape(word)}\b", partial(_first, stands), text)
        copies.append(text)
    return "".join(copies)


def _first(text: str, _found: re.Match[str]) -> str:
    return text
