"""Looks at what happens now: the probes of a capture, and nothing is stored."""

from __future__ import annotations

from collections.abc import Callable

from stackledger.capture import bpftrace as tracing
from stackledger.capture.budget import Budget
from stackledger.capture.control import Control
from stackledger.capture.interrupts import Interrupts
from stackledger.capture.opening import new_manifest
from stackledger.capture.pump import Sink
from stackledger.capture.recording import Recording
from stackledger.capture.session import Options, check
from stackledger.capture.starting import programs_of, start
from stackledger.capture.stream import Stream
from stackledger.errors import StackledgerError
from stackledger.manifest import Loss, Manifest

# Whoever pressed Ctrl-C is waiting: a bpftrace that detaches for longer is killed.
_STOP_GRACE_S = 3.0


class EnoughError(Exception):
    """The sink wants no more."""


def watch(options: Options, sink_for: Callable[[Manifest], Sink]) -> list[Loss]:
    """Feed a sink with rows, second by second, until the time is over or a signal comes.

    The sink is made when all probes are in place; it may raise EnoughError. Returns
    what was lost. Raises StackledgerError where a probe cannot run, or does not last.
    """
    check(options)
    bpftrace = tracing.find(options.bpftrace)
    manifest = new_manifest(options, bpftrace)
    programs, _ = programs_of(options, bpftrace, manifest)
    control = Control()
    streams: list[Stream] = []
    late = _Late()
    try:
        with Interrupts() as interrupts:
            start(programs, options, bpftrace, control, streams)
            unlimited = Budget(None, control)
            recording = Recording(
                streams, late, manifest, control, interrupts, unlimited, lambda _progress: None
            )
            if not recording.attach(options.attach_limit_s):
                return []
            recording.begin()
            late.sink = sink_for(manifest)
            try:
                recording.run(options.duration_s, None)
                failed = [stream.run for stream in streams if stream.run.error]
                recording.stop(_STOP_GRACE_S)
                late.flush()
            except EnoughError:
                failed = []
            if failed:
                raise StackledgerError(f"{failed[0].name} ended", failed[0].error)
            return [loss for stream in streams for loss in stream.losses()]
    finally:
        for stream in streams:
            stream.tracer.kill()


class _Late:
    """Hands rows on from when there is a sink: what came before belongs to no second."""

    bytes = 0

    def __init__(self) -> None:
        self.sink: Sink | None = None

    def add(self, table: str, rows: object) -> None:
        if self.sink is not None:
            self.sink.add(table, rows)

    def grow(self, table: str, rows: object) -> None:
        self.add(table, rows)

    def flush(self) -> None:
        if self.sink is not None:
            self.sink.flush()
