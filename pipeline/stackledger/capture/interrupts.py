"""Counts the signals that ask a capture to end."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any

import pyarrow as pa


class Interrupts:
    """While entered, SIGINT, SIGTERM and SIGHUP are counted instead of raised.

    The first asks for a normal end, the second for an end at once. A SIGHUP that is
    ignored, as nohup does, stays so. Outside the main thread, where Python takes no
    signals, the count stays 0. Arrow's readers would take a SIGINT for themselves and
    raise: they may not.
    """

    def __init__(self) -> None:
        self.count = 0
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is threading.main_thread():
            pa.enable_signal_handlers(False)
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                before = signal.signal(number, self._taken)
                if number == signal.SIGHUP and before == signal.SIG_IGN:
                    signal.signal(number, before)
                else:
                    self._before[number] = before
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        failure: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        if self._before:
            pa.enable_signal_handlers(True)

    def _taken(self, _number: int, _frame: FrameType | None) -> None:
        self.count += 1
