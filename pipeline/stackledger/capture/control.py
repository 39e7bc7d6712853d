"""Talks to running bpftrace programs through a system call that they watch.

bpftrace says "attached" before it attaches, and forgets what is in its buffers
when it is told to end. So every program gets two more probes: one that answers
when all is in place, and one that stops the printing of rows, so that what was
printed before can be waited for. Both watch `prctl` for a number that only this
process knows.
"""

from __future__ import annotations

import ctypes
import re
import secrets

from stackledger.capture.lines import ATTACHED_ROW, STOPPED_ROW

_OPTION = 0x5354_4B4C  # no such option: the call itself does nothing
_READY, _STOP = 1, 2
_SHEBANG = re.compile(r"\A#![^\n]*\n")
_STOPPED = re.compile(r"^([ \t]*)// @stopped$", re.MULTILINE)


class Control:
    """The number shared with the programs of one capture."""

    def __init__(self) -> None:
        self._secret = secrets.randbits(62)
        self._prctl = ctypes.CDLL(None, use_errno=True).prctl

    def wrap(self, program: str) -> str:
        """Return the program with the two probes; `// @stopped` leaves a probe after the stop."""
        # The first on the first line, for a map has no type before it is assigned
        # and errors name lines; the second last, for probes attach in their order.
        stop = (
            f"{self._probe(_STOP)} {{ @stackledger_stopped = (uint64)1; "
            f'print(("{STOPPED_ROW}", nsecs)); }}\n'
        )
        ready = f'\n{self._probe(_READY)} {{ print(("{ATTACHED_ROW}", nsecs)); }}\n'
        program = _SHEBANG.sub("", program)
        program = _STOPPED.sub(r"\1if (@stackledger_stopped != 0) { return; }", program)
        return stop + program + ready

    def ask_ready(self) -> None:
        """Have every program that is wholly attached print a row."""
        self._call(_READY)

    def stop(self) -> None:
        """Have every program print a last row."""
        self._call(_STOP)

    def _call(self, word: int) -> None:
        self._prctl(
            ctypes.c_int(_OPTION),
            ctypes.c_ulong(self._secret),
            ctypes.c_ulong(word),
            ctypes.c_ulong(0),
            ctypes.c_ulong(0),
        )

    def _probe(self, word: int) -> str:
        condition = f"args->option == {_OPTION} && args->arg2 == {self._secret}"
        return f"tracepoint:syscalls:sys_enter_prctl /{condition} && args->arg3 == {word}/"
