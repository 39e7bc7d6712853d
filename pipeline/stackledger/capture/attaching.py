"""Waits until every probe is in place, and goes on without those that may be missing."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass

from stackledger import diagnostics
from stackledger.capture.control import Control
from stackledger.capture.interrupts import Interrupts
from stackledger.capture.pump import Pump
from stackledger.capture.stream import Stream
from stackledger.errors import CannotTraceError, UsageError

_PROGRAM_FILE = re.compile(r"/proc/self/fd/\d+")


@dataclass(frozen=True, slots=True)
class Attaching:
    """Probes on their way: those that cannot be had are taken out of `streams`."""

    streams: list[Stream]
    pump: Pump
    control: Control
    interrupts: Interrupts

    def wait(self, limit_s: float) -> bool:
        """Wait until every probe is in place; False when a signal came before.

        Raises CannotTraceError where one ends, or is not ready in time.
        """
        deadline = time.monotonic() + limit_s
        while not all(stream.attached for stream in self.streams):
            if self.interrupts.count:
                return False
            self.control.ask_ready()
            self.pump.read(0.1)
            self.pump.decode()
            for stream in [one for one in self.streams if not one.attached]:
                if not stream.open:
                    stream.drain()
                    if stream.own:
                        self._own_ended(stream)
                        continue
                    self._leave_out(stream, "could not be attached", stream.tracer.complaint(), "")
                elif time.monotonic() >= deadline:
                    overloaded = "the host may be overloaded: try again, or "
                    self._leave_out(stream, "did not attach in time", f"{limit_s:g} s", overloaded)
        for stream in self.streams:
            stream.run.state = "recording"
        return True

    def _leave_out(self, stream: Stream, what: str, why: str, remedy: str) -> None:
        """Go on without a probe; raises CannotTraceError where it is required, or the last."""
        if not stream.optional or len(self.streams) == 1:
            raise CannotTraceError(
                f"{stream.run.name} {what}", why, hint=f"{remedy}stackledger doctor"
            )
        if stream.open:
            self.pump.forget(stream)
        self.streams.remove(stream)
        stream.tracer.kill()
        stream.run.state, stream.run.error = "unavailable", f"{what}: {why}"
        diagnostics.warning(f"not recorded: {stream.run.name} {stream.run.error}")

    def _own_ended(self, stream: Stream) -> None:
        """Take a script that ended before it was seen attached: by exit(), or refused.

        Raises UsageError after bpftrace's own words where it was refused.
        """
        if stream.tracer.wait(5.0) == 0:
            stream.attached = True
            return
        for line in stream.tracer.message():
            diagnostics.note(_PROGRAM_FILE.sub(stream.run.name, line))
        raise UsageError("bpftrace refuses the script", stream.run.name)
