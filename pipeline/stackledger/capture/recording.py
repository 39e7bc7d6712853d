"""The loop of a capture: pipes to rows, a part every second, host counters beside them."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass

from stackledger import diagnostics
from stackledger.capture import topology
from stackledger.capture.attaching import Attaching
from stackledger.capture.budget import Budget
from stackledger.capture.clock import anchor
from stackledger.capture.control import Control
from stackledger.capture.counters.sampler import Sampler
from stackledger.capture.ending import Ending
from stackledger.capture.interrupts import Interrupts
from stackledger.capture.liveness import Liveness
from stackledger.capture.openfiles import TABLE as OPEN_FILE
from stackledger.capture.openfiles import OpenFiles, wanted
from stackledger.capture.pump import Pump, Sink
from stackledger.capture.stream import Stream
from stackledger.manifest import Manifest

_TICK_S = 1.0
_ANCHOR_EVERY_S = 10.0


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a capture is: `phase` is attaching, recording or finishing."""

    phase: str
    elapsed_s: float
    rows: dict[str, int]
    lost: int
    undecodable: int
    bytes: int


class Recording:
    """A capture under way, from the first attaching probe to the last row."""

    def __init__(
        self,
        streams: list[Stream],
        writer: Sink,
        manifest: Manifest,
        control: Control,
        interrupts: Interrupts,
        budget: Budget,
        on_progress: Callable[[Progress], None],
    ) -> None:
        self.manifest = manifest
        self._streams = streams
        self._writer = writer
        self._control = control
        self._liveness = Liveness(control)
        self._interrupts = interrupts
        self._budget = budget
        self._on_progress = on_progress
        self._pump = Pump(streams, writer)
        self._known_processes: set[tuple[int, int]] = set()
        self._open_files = OpenFiles() if wanted(t for one in streams for t in one.tables) else None
        self._ticks = 0
        self._started = time.monotonic()
        self._begun = anchor()
        manifest.clock.append(self._begun)
        manifest.clock_offset_ns = self._begun.offset_ns
        for stream in streams:
            stream.offset_ns = self._begun.offset_ns

    def attach(self, limit_s: float) -> bool:
        """Wait until every probe is in place; False when a signal came before.

        Raises CannotTraceError where a required one ends, or is not ready in time.
        """
        self._report("attaching")
        attaching = Attaching(self._streams, self._pump, self._control, self._interrupts)
        return attaching.wait(limit_s)

    def begin(self) -> None:
        """Note that the recording starts now."""
        self._started = time.monotonic()
        self._begun = anchor()
        self.manifest.started_ns = self._begun.realtime_ns
        self._budget.begin(self._streams)

    def run(self, duration_s: float | None, command: subprocess.Popen[bytes] | None) -> None:
        """Record until the time is over, the command has ended, a signal comes, or all failed."""
        self._processes()
        with closing(Sampler(self._begun)) as sampler:
            self._loop(sampler, duration_s, command)
        self._processes()

    def _loop(
        self,
        sampler: Sampler,
        duration_s: float | None,
        command: subprocess.Popen[bytes] | None,
    ) -> None:
        self._report("recording")
        next_tick = self._started + _TICK_S
        next_anchor = self._started + _ANCHOR_EVERY_S
        deadline = None if duration_s is None else self._started + duration_s
        while not self._interrupts.count and self._goes_on():
            now = time.monotonic()
            if deadline is not None and now >= deadline:
                break
            if command is not None and command.poll() is not None:
                break
            self._pump.read_at_ease(min(0.1, max(0.0, next_tick - now)))
            self._notice_ends()
            self._budget.end_stopped(self._streams)
            if now >= next_tick:
                self._tick(sampler)
                self._budget.tick(self._streams)
                self._end_wedged()
                next_tick += _TICK_S
                next_tick = max(next_tick, time.monotonic())
            if now >= next_anchor:
                next_anchor += _ANCHOR_EVERY_S
                self.manifest.clock.append(anchor())
                self._processes()
        self.manifest.ended_ns = anchor().realtime_ns
        self._tick(sampler, last=True)

    def _goes_on(self) -> bool:
        # Without a probe the host's counters alone are looked at.
        some = not self._streams or any(stream.open for stream in self._streams)
        return some and not self._budget.spent

    def _notice_ends(self) -> None:
        """Note, and say at once, that a probe's bpftrace has ended by itself."""
        for stream in self._streams:
            if not stream.open and stream.run.state == "recording" and not stream.run.error:
                if stream.own and stream.tracer.wait(5.0) == 0:
                    stream.run.state = "complete"
                    diagnostics.note(f"{stream.run.name} ended by itself")
                    continue
                stream.fail(stream.tracer.complaint())
                others = any(one.open for one in self._streams)
                self._tell_end(stream, others)

    def _end_wedged(self) -> None:
        """End a bpftrace that answers no more, and say so at once; its pipe is read to its end."""
        for stream in self._liveness.wedged(self._streams):
            stream.fail("bpftrace answered no more, and was killed")
            stream.tracer.end_at_once()
            others = any(one.open for one in self._streams if one is not stream)
            self._tell_end(stream, others)

    @staticmethod
    def _tell_end(stream: Stream, others: bool) -> None:
        then = "the others go on" if others else "the last"
        diagnostics.warning(f"{stream.run.name} ended: {stream.run.error}; {then}")

    def stop(self, grace_s: float) -> bool:
        """End every bpftrace and take in its last rows; False on a second signal."""
        self._notice_ends()
        self.manifest.overhead = self._budget.end(self._streams)
        ending = Ending(self._streams, self._pump, self._control, self._interrupts)
        ending.quiesce(grace_s)
        for stream in self._streams:
            if not self._budget.told_to_end(stream):
                stream.run.skipped_runs = stream.tracer.skipped()
                stream.tracer.interrupt()
        ending.take_last(grace_s)
        if self._interrupts.count > 1:
            return False
        for stream in self._streams:
            if stream.open:
                stream.fail(f"did not end within {grace_s:g} s: its last rows are missing")
            elif stream.run.state == "recording":
                stream.run.state = "complete"
        self.manifest.losses = [loss for stream in self._streams for loss in stream.losses()]
        self.manifest.own_tables = [
            table for stream in self._streams for table in stream.own_tables()
        ]
        self._report("finishing")
        return True

    def hurry(self) -> bool:
        """Tell whether a second signal came: nothing may take long any more."""
        return self._interrupts.count > 1

    def _tick(self, sampler: Sampler, *, last: bool = False) -> None:
        self._pump.decode()
        self._ticks += 1
        if last or self._ticks % self._budget.counters_every_s == 0:
            for table, rows in sampler.tick(anchor(), self.manifest.clock_offset_ns).items():
                self._writer.grow(table, rows)
        self._writer.flush()
        self._report("recording")

    def _processes(self) -> None:
        rows = topology.processes(
            anchor(), self._known_processes, payload=self.manifest.redaction.payload
        )
        self._writer.add("process", rows)
        if self._open_files is not None:
            self._writer.add(OPEN_FILE, self._open_files.look(anchor()))

    def _report(self, phase: str) -> None:
        losses = [loss for stream in self._streams for loss in stream.losses()]
        self._on_progress(
            Progress(
                phase=phase,
                elapsed_s=time.monotonic() - self._started,
                rows={loss.table: loss.received for loss in losses},
                lost=sum(stream.run.lost_events for stream in self._streams),
                undecodable=sum(loss.undecodable for loss in losses),
                bytes=self._writer.bytes,
            )
        )
