"""The loop of a capture: pipes to rows, a part every second, host counters beside them."""

from __future__ import annotations

import re
import selectors
import subprocess
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from typing import Protocol

import pyarrow as pa

from stackledger import diagnostics
from stackledger.capture import topology
from stackledger.capture.budget import Budget
from stackledger.capture.clock import anchor
from stackledger.capture.control import Control
from stackledger.capture.counters.sampler import Sampler
from stackledger.capture.interrupts import Interrupts
from stackledger.capture.liveness import Liveness
from stackledger.capture.openfiles import TABLE as OPEN_FILE
from stackledger.capture.openfiles import OpenFiles, wanted
from stackledger.capture.stream import Stream
from stackledger.errors import CannotTraceError, UsageError
from stackledger.manifest import Manifest

_TICK_S = 1.0
_ANCHOR_EVERY_S = 10.0
# bpftrace writes line by line; reading each at once would cost a wake-up per event.
# So long a pause that the pipes fill to a quarter at the rate of late, and their size.
_PAUSE_S, _LONGEST_PAUSE_S = 0.02, 0.1
_QUARTER_BYTES = 256 << 10
_STOP_LIMIT_S = 120.0
_PROGRAM_FILE = re.compile(r"/proc/self/fd/\d+")
_ASK_AGAIN_S = 0.5
_REMIND_S = 2.0
# bpftrace 0.17 reads one buffer per CPU in turn: the last row of one is not the last of all.
_QUIET_S = 0.15
_OWN_S = 3.0


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a capture is: `phase` is attaching, recording or finishing."""

    phase: str
    elapsed_s: float
    rows: dict[str, int]
    lost: int
    undecodable: int
    bytes: int


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
        self._selector = selectors.DefaultSelector()
        self._known_processes: set[tuple[int, int]] = set()
        self._open_files = OpenFiles() if wanted(t for one in streams for t in one.tables) else None
        self._pause_s = _PAUSE_S
        self._ticks = 0
        self._started = time.monotonic()
        self._begun = anchor()
        for stream in streams:
            self._selector.register(stream.tracer.out, selectors.EVENT_READ, stream)
        manifest.clock.append(self._begun)
        manifest.clock_offset_ns = self._begun.offset_ns
        for stream in streams:
            stream.offset_ns = self._begun.offset_ns

    def attach(self, limit_s: float) -> bool:
        """Wait until every probe is in place; False when a signal came before.

        Raises CannotTraceError where one ends, or is not ready in time.
        """
        deadline = time.monotonic() + limit_s
        self._report("attaching")
        while not all(stream.attached for stream in self._streams):
            if self._interrupts.count:
                return False
            self._control.ask_ready()
            self._pump(0.1)
            self._decode()
            for stream in [one for one in self._streams if not one.attached]:
                if not stream.open:
                    stream.drain()
                    if stream.own:
                        self._own_ended(stream)
                        continue
                    self._leave_out(stream, "could not be attached", stream.tracer.complaint(), "")
                elif time.monotonic() >= deadline:
                    overloaded = "the host may be overloaded: try again, or "
                    self._leave_out(stream, "did not attach in time", f"{limit_s:g} s", overloaded)
        for stream in self._streams:
            stream.run.state = "recording"
        return True

    def _leave_out(self, stream: Stream, what: str, why: str, remedy: str) -> None:
        """Go on without a probe; raises CannotTraceError where it is required, or the last."""
        if not stream.optional or len(self._streams) == 1:
            raise CannotTraceError(
                f"{stream.run.name} {what}", why, hint=f"{remedy}stackledger doctor"
            )
        if stream.open:
            self._selector.unregister(stream.tracer.out)
        self._streams.remove(stream)
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
            taken = self._pump(min(0.1, max(0.0, next_tick - now)), self._pause_s)
            self._adapt(taken, time.monotonic() - now)
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

    def _adapt(self, taken: int, elapsed_s: float) -> None:
        if taken:
            pause = _QUARTER_BYTES * elapsed_s / taken
            self._pause_s = min(_LONGEST_PAUSE_S, max(_PAUSE_S, pause))

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
        self._quiesce(grace_s)
        for stream in self._streams:
            if not self._budget.told_to_end(stream):
                stream.run.skipped_runs = stream.tracer.skipped()
                stream.tracer.interrupt()
        self._take_last(grace_s)
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

    def _take_last(self, grace_s: float) -> None:
        begun = quiet_since = asked = time.monotonic()
        while any(stream.open for stream in self._streams) and self._interrupts.count <= 1:
            if self._pump(0.1):
                quiet_since = time.monotonic()
            self._decode()
            now = time.monotonic()
            if now - asked > _REMIND_S:
                asked = now
                for stream in self._streams:
                    if stream.open:
                        stream.tracer.remind()
            if now - quiet_since > grace_s or now - begun > _STOP_LIMIT_S:
                return
        self._decode()

    def _quiesce(self, grace_s: float) -> None:
        """Have the programs stop printing, and take in what they printed before."""
        begun = time.monotonic()
        asked = quiet = 0.0
        while any(stream.open for stream in self._streams) and self._interrupts.count <= 1:
            now = time.monotonic()
            waiting = [one for one in self._streams if one.open and not one.stopped]
            if waiting and now - asked > _ASK_AGAIN_S:
                self._control.stop()
                asked = now
            # A script of the user's own may print on and on.
            patience_s = _OWN_S if any(one.own for one in self._streams) else grace_s
            if (not waiting and quiet >= _QUIET_S) or now - begun > patience_s:
                return
            came = self._pump(_PAUSE_S)
            self._decode()
            quiet = 0.0 if came else quiet + time.monotonic() - now

    def _tick(self, sampler: Sampler, *, last: bool = False) -> None:
        self._decode()
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

    def _pump(self, timeout_s: float, pause_s: float = _PAUSE_S) -> int:
        """Read what the pipes hold, then pause; return the bytes that came."""
        if not self._selector.get_map():
            time.sleep(min(timeout_s, _PAUSE_S))
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

    def _decode(self) -> None:
        for stream in self._streams:
            self._take(stream)

    def _take(self, stream: Stream) -> None:
        for table, rows in stream.rows():
            self._writer.add(table, rows)

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
