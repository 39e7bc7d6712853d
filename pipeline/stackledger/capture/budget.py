"""Keeps a recording within what it may cost, step by step, and says so.

Where stackledger's own part is the dearest, the host's counters are taken half as often;
else the dearest probe is stopped; and where one is left, the recording ends.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass

from stackledger import diagnostics
from stackledger.capture.clock import anchor
from stackledger.capture.control import Control
from stackledger.capture.overhead import OWN, Meter
from stackledger.capture.stream import Stream
from stackledger.errors import UsageError
from stackledger.manifest import Overhead

_QUIET_S, _PATIENCE_S = 0.3, 10.0
_ASK_AGAIN_S = 0.5
_REMIND_S = 2.0
_SELDOM_S = 8
_SHARE = re.compile(r"(\d{1,3}(?:\.\d{1,6})?)\s*%")


def share(text: str) -> float:
    """Return "2%" as 0.02; raises UsageError."""
    found = _SHARE.fullmatch(text.strip())
    value = float(found[1]) / 100 if found else 0.0
    if not 0 < value <= 1:
        raise UsageError(
            "not a share of the host's CPU time", text, hint="it is written like 2% or 0.5%"
        )
    return value


@dataclass(slots=True)
class _Stopping:
    """A probe on its way out: it prints its last rows, then its bpftrace is told to end."""

    since: float
    asked: float
    told: float = 0.0


class Budget:
    """The share of the host's CPU time that a recording may take, None for any."""

    def __init__(self, limit: float | None, control: Control) -> None:
        self.spent = False  # no probe is left to stop: the recording has to end
        self.counters_every_s = 1
        self._limit = limit
        self._control = control
        self._meter = Meter(steady=limit is not None)
        self._stopping: dict[str, _Stopping] = {}

    def begin(self, streams: list[Stream]) -> None:
        """Start the accounts: every probe is in place."""
        self._meter.begin(streams)

    def tick(self, streams: list[Stream]) -> None:
        """Take in a second's costs; stop the dearest probe where the last ones were too many."""
        self._meter.tick(streams)
        lately = self._meter.lately()
        if self._limit is None or lately is None or lately[0] <= self._limit:
            return
        total, shares = lately
        self._meter.forget()
        allowed = f"{self._limit * 100:.4g}%"
        why = f"{total:.1%} of the host's CPU time was used, {allowed} is allowed"
        dearest = max(shares, key=lambda name: shares[name])
        if dearest == OWN and self.counters_every_s < _SELDOM_S:
            self.counters_every_s *= 2
            seldom = f"the host's counters are taken every {self.counters_every_s} s now"
            diagnostics.warning(f"{seldom}: {why}")
            return
        running = [one for one in streams if one.open and one.run.state == "recording"]
        if len(running) < 2:
            self.spent = True
            diagnostics.warning(f"the recording ends: {why}")
            return
        self._stop(max(running, key=lambda one: shares.get(one.run.name, 0.0)), why)

    def _stop(self, stream: Stream, why: str) -> None:
        diagnostics.warning(f"{stream.run.name} is stopped: {why}")
        stream.run.state = "stopped"
        stream.run.stopped_ns = anchor().realtime_ns
        stream.run.stopped_why = why
        self._stopping[stream.run.name] = _Stopping(time.monotonic(), time.monotonic())
        self._control.stop(stream.word)

    def end_stopped(self, streams: list[Stream]) -> None:
        """Tell the bpftraces of stopped probes to end, once their last rows are out."""
        now = time.monotonic()
        for stream in streams:
            one = self._stopping.get(stream.run.name)
            if one is None or not stream.open:
                continue
            if stream.stopped:
                stream.run.stopped_ns = stream.stopped_ns
            elif now - one.asked > _ASK_AGAIN_S:
                one.asked = now
                self._control.stop(stream.word)
            quiet = stream.stopped and now - stream.heard_s >= _QUIET_S
            if not quiet and now - one.since < _PATIENCE_S:
                continue
            if not one.told:
                one.told = now
                stream.run.skipped_runs = stream.tracer.skipped()
                stream.tracer.interrupt()
            elif now - one.told > _REMIND_S:
                one.told = now
                stream.tracer.remind()

    def told_to_end(self, stream: Stream) -> bool:
        """Return whether a probe's bpftrace has been told already: twice is once too often."""
        one = self._stopping.get(stream.run.name)
        return one is not None and one.told > 0

    def end(self, streams: list[Stream]) -> Overhead:
        """Return what the recording has cost."""
        spent = self._meter.end(streams)
        spent.counters_every_s = self.counters_every_s
        return spent
