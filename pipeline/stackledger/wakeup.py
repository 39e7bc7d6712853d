"""Lets Ctrl-C end a query: DuckDB looks for it late or never while it computes.

Python's own handler waits until the call into DuckDB has returned. The byte that
Python writes when a signal comes does not: a thread waits for it and interrupts
the connection, which makes the call return.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import weakref
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb

# A connection that outlives its command makes DuckDB complain at the end.
_connections: weakref.WeakSet[duckdb.DuckDBPyConnection] = weakref.WeakSet()
_watching = threading.Event()


def interruptible(connection: duckdb.DuckDBPyConnection) -> None:
    """Have SIGINT interrupt the connection from now on."""
    if threading.current_thread() is not threading.main_thread():
        return
    _connections.add(connection)
    if not _watching.is_set():
        _watching.set()
        heard, told = os.pipe()
        os.set_blocking(told, False)
        signal.set_wakeup_fd(told, warn_on_full_buffer=False)
        threading.Thread(target=_watch, args=(heard,), daemon=True, name="wakeup").start()


def _watch(heard: int) -> None:
    while signals := os.read(heard, 64):
        if signal.SIGINT in signals:
            _interrupt_all()


def _interrupt_all() -> None:
    import duckdb

    for connection in list(_connections):
        # It may have been closed in the meantime: nothing is left to interrupt.
        with contextlib.suppress(duckdb.Error):
            connection.interrupt()
