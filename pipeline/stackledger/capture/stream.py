"""A running probe: what its bpftrace prints becomes rows."""

from __future__ import annotations

import time
from typing import BinaryIO

from stackledger.capture.bpftrace import Tracer
from stackledger.capture.counters.disk import in_flight
from stackledger.capture.intake import Intake
from stackledger.catalog import Probe


class Stream(Intake):
    """A running probe: `open` while its bpftrace may still say something."""

    def __init__(self, probe: Probe, program: str, tracer: Tracer) -> None:
        super().__init__(probe, program)
        self.tracer = tracer
        self.copy: BinaryIO | None = None  # where its raw lines are kept too
        self.word = ""  # that its program alone listens to
        self.heard_s = 0.0  # when it last said something
        self.heard_bytes = 0
        self.optional = False  # the capture goes on without it where the host cannot run it
        self._errors_open = True

    def in_flight(self) -> dict[int, int]:
        """Ask the kernel, and note it for who replays this capture's lines."""
        self.run.in_flight = {str(dev): count for dev, count in in_flight().items()}
        return super().in_flight()

    def drain(self) -> int:
        """Take in what both pipes hold, up to a bound; return the bytes of rows."""
        taken = 0
        if self._errors_open:
            self._errors_open = self.tracer.read_errors()
        while self.open and not self.full:
            data = self.tracer.read()
            if data is None:
                self.open = False
            elif not data:
                break
            else:
                taken += len(data)
                self.heard_bytes += len(data)
                self.take(data)
                if self.copy is not None:
                    self.copy.write(data)
        if taken:
            self.heard_s = time.monotonic()
        return taken
