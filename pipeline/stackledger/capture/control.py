"""Talks to running bpftrace programs through thread names that they watch.

bpftrace says "attached" before it attaches, and forgets what is in its buffers
when it is told to end. So every program gets two more probes: one that answers
when all is in place, and one that stops the printing of rows, so that what was
printed before can be waited for. Both watch for a thread that takes a name which
only this process knows: nobody else pays for that, whereas a tracepoint on any
system call makes every one of the host's slower (18 of 158 ns, Linux 6.18).
"""

from __future__ import annotations

import ctypes
import re
import secrets

from stackledger.capture.lines import ATTACHED_ROW, STOPPED_ROW

_SET_NAME, _GET_NAME = 15, 16  # of prctl
_READY, _STOP = "r", "s"
_SHEBANG = re.compile(r"\A#![^\n]*\n")
_STOPPED = re.compile(r"^([ \t]*)// @stopped$", re.MULTILINE)


class Control:
    """The name shared with the programs of one capture."""

    def __init__(self) -> None:
        self._secret = f"sl-{secrets.token_hex(5)}"
        self._words = 0
        self._prctl = ctypes.CDLL(None, use_errno=True).prctl

    def word(self) -> str:
        """Return a word for one program alone: two letters, as many as fit into a thread's name."""
        self._words += 1
        return chr(ord("A") + self._words // 26) + chr(ord("A") + self._words % 26)

    def wrap(self, program: str, word: str = "") -> str:
        """Return the program with the two probes; `// @stopped` leaves a probe after the stop.

        `word`: what stops this program alone.
        """
        # The first on the first line, for a map has no type before it is assigned
        # and errors name lines; the second last, for probes attach in their order.
        program = _SHEBANG.sub("", program)
        program = _STOPPED.sub(r"\1if (@stackledger_stopped != 0) { return; }", program)
        return self._stop(word) + program + self._ready()

    def wrap_own(self, script: str, word: str = "") -> str:
        """Return a user's script with the two probes behind it.

        Nothing comes before it: declarations have to, and errors name lines.
        """
        return f"{_SHEBANG.sub(chr(10), script)}\n{self._stop(word)}{self._ready()}"

    def ask_ready(self) -> None:
        """Have every program that is wholly attached print a row."""
        self._call(_READY)

    def stop(self, word: str = _STOP) -> None:
        """Have every program, or the one of that word, print a last row."""
        self._call(word)

    def _call(self, word: str) -> None:
        """Have this thread bear the secret name for a moment."""
        own = ctypes.create_string_buffer(16)
        self._prctl(_GET_NAME, own, 0, 0, 0)
        self._prctl(_SET_NAME, f"{self._secret}{word}".encode(), 0, 0, 0)
        self._prctl(_SET_NAME, own, 0, 0, 0)

    def _stop(self, word: str) -> str:
        return (
            f"{self._probe(_STOP, word)} {{ @stackledger_stopped = (uint64)1; "
            f'print(("{STOPPED_ROW}", nsecs)); }}\n'
        )

    def _ready(self) -> str:
        return f'\n{self._probe(_READY)} {{ print(("{ATTACHED_ROW}", nsecs)); }}\n'

    def _probe(self, *words: str) -> str:
        names = (f'args->newcomm == "{self._secret}{word}"' for word in words if word)
        named = " || ".join(names)
        return f"tracepoint:task:task_rename /{named}/"
