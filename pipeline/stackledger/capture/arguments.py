"""Command lines without what may be secret: the program, names of options, `?` for the rest.

    mysql -p? --host=?         redis-cli ? ?        python -m orders.app --port=? ?

Of an interpreter the script's name is kept, for it is the service's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import pyarrow as pa

from stackledger.schema import TABLES

_INTERPRETER = re.compile(
    r"(?:python|pypy|ruby|perl|php|php-fpm|lua|java|node|nodejs|bun|deno)[0-9.]*\Z"
)
_LONG = re.compile(r"(--[A-Za-z][A-Za-z-]{0,30})(=.*)?\Z", re.DOTALL)
_WHOLE = frozenset(("-jar", "-classpath", "-cp"))
_CODE = frozenset(("-c", "-e", "-r", "--eval", "--print"))  # a program follows, not its name
_SCRIPT = re.compile(r"[A-Za-z0-9_./@-]{1,160}\Z")
_ROW = re.compile(rb'\{"type": "[a-z]{1,10}", "data": \[?"([a-z_]{1,40})')
HIDDEN = "?"


def normalised(argv: Sequence[str]) -> list[str]:
    """Return the words of a command line in which nothing is left of an argument's value."""
    if not argv:
        return []
    program, space, _ = argv[0].partition(" ")  # a process may write its own title there
    words = [f"{program} {HIDDEN}" if space else program]
    named = _INTERPRETER.match(program.rpartition("/")[2]) is None
    for word in argv[1:]:
        shown = HIDDEN
        if word in _WHOLE:
            shown = word
        elif found := _LONG.match(word):
            shown = found[1] + (f"={HIDDEN}" if found[2] else "")
        elif re.match("-[A-Za-z]", word):
            shown = word if len(word) == 2 else f"{word[:2]}{HIDDEN}"
        elif not named:
            named = True
            shown = word if _SCRIPT.match(word) else HIDDEN
        named = named or word in _CODE
        words.append(shown)
    return words


def normalised_rows(
    begun: Iterable[tuple[int, int]], positions: Iterable[int], arguments: Iterable[str]
) -> pa.Array:
    """Return the arguments of programs, one a row, normalised.

    `begun` is when and by which process, `positions` count from 0. Where a program's first
    arguments came with earlier rows, of the others no value is told.
    """
    rows = list(zip(begun, positions, arguments, strict=True))
    argv: dict[tuple[int, int], dict[int, str]] = {}
    for key, position, argument in rows:
        argv.setdefault(key, {})[position] = argument
    told: dict[tuple[tuple[int, int], int], str] = {}
    for key, words in argv.items():
        first = min(words)
        given = [*([""] if first else []), *(words[at] for at in sorted(words))]
        shown = normalised(given)[1 if first else 0 :]
        told.update(zip(((key, at) for at in sorted(words)), shown, strict=True))
    return pa.array([told[key, position] for key, position, _ in rows], pa.string())


def hidden(line: bytes) -> bytes:
    """Return a line that could not be decoded with its shape alone: letters x, digits 0.

    Where it begins like a row of a registered table, that beginning stays.
    """
    begun = _ROW.match(line)
    if begun and begun[1].decode() in TABLES:
        return begun[0] + hidden(line[begun.end() :])
    return re.sub(rb"[0-9]", b"0", re.sub(rb"[A-Za-z\x80-\xff]", b"x", line))
