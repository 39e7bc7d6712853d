"""Reads what all bpftraces print, and hands the rows on."""

from __future__ import annotations

import selectors
import time
from collections.abc import Iterable
from typing import Protocol

import pyarrow as pa

from stackledger.capture.stream import Stream

# bpftrace writes line by line; reading each at once would cost a wake-up per event.
# So long a pause that the pipes fill to a quarter at the rate of late, and their size.
PAUSE_S, _LONGEST_PAUSE_S = 0.02, 0.1
_QUARTER_BYTES = 256 << 10


class Sink(Protocol):
    """Where rows go: to the parts of a capture, or to who looks at them live."""

    def add(self, table: str, rows: pa.Table) -> None:
        """Take rows in the registry's columns."""

    def grow(self, table: str, rows: pa.Table) -> None:
        """Take a second's rows of the host's counters."""

    def flush(self) -> None:
        """A second is over: what came in it is all there."""

    @property
    def bytes(self) -> int:
        """What was written so far."""


class Pump:
    """The pipes of a capture's bpftraces, and where their rows go."""

    def __init__(self, streams: Iterable[Stream], sink: Sink) -> None:
        self._streams = streams
        self._sink = sink
        self._selector = selectors.DefaultSelector()
        self._pause_s = PAUSE_S
        for stream in streams:
            self._selector.register(stream.tracer.out, selectors.EVENT_READ, stream)

    def forget(self, stream: Stream) -> None:
        """Read a stream no more that is open."""
        self._selector.unregister(stream.tracer.out)

    def read(self, timeout_s: float, pause_s: float = PAUSE_S) -> int:
        """Read what the pipes hold, then pause; return the bytes that came."""
        if not self._selector.get_map():
            time.sleep(min(timeout_s, PAUSE_S))
            return 0
        taken = 0
        ready = self._selector.select(timeout_s)
        for key, _ in ready:
            stream: Stream = key.data
            taken += stream.drain()
            if stream.full:
                self._take(stream)
            if not stream.open:
                self._selector.unregister(key.fileobj)
        if ready:
            time.sleep(pause_s)
        return taken

    def read_at_ease(self, timeout_s: float) -> None:
        """Read with pauses as long as the rate of late allows."""
        begun = time.monotonic()
        if taken := self.read(timeout_s, self._pause_s):
            pause = _QUARTER_BYTES * (time.monotonic() - begun) / taken
            self._pause_s = min(_LONGEST_PAUSE_S, max(PAUSE_S, pause))

    def decode(self) -> None:
        """Make rows of all that was read."""
        for stream in self._streams:
            self._take(stream)

    def _take(self, stream: Stream) -> None:
        for table, rows in stream.rows():
            self._sink.add(table, rows)
