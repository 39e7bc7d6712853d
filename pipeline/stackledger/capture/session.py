"""Records a capture: all probes side by side, their rows to Parquet, the accounts at the end.

    from pathlib import Path
    from stackledger.capture.program import Filters
    from stackledger.capture.session import Options, record

    outcome = record(
        Options(
            store=Path("/var/lib/stackledger"),
            probes=("request_ledger", "block_io"),
            duration_s=10,                         # or command=("wrk", "-d5", "http://…")
            constants={"PAD": 16, "STACK": 16384}, # for __PAD__ and __STACK__ in a template
            filters=Filters(pids=(4711,)),
        ),
        on_progress=print,
    )
    outcome.folder, outcome.exit_code, outcome.manifest.losses

`record` blocks until the time is over, COMMAND has ended, or the first SIGINT or
SIGTERM; a second SIGINT aborts (exit code 130). It raises a StackledgerError where
nothing was recorded, and leaves nothing behind then.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

from stackledger import catalog, diagnostics
from stackledger.capture import bpftrace as tracing
from stackledger.capture import private, privileges
from stackledger.capture.arguments import normalised
from stackledger.capture.budget import Budget
from stackledger.capture.clock import anchor
from stackledger.capture.control import Control
from stackledger.capture.interrupts import Interrupts
from stackledger.capture.manifest import save
from stackledger.capture.opening import make_folder, new_manifest, remove
from stackledger.capture.options import Options
from stackledger.capture.program import build, function
from stackledger.capture.recording import Progress, Recording
from stackledger.capture.retention import account
from stackledger.capture.starting import programs_of, start
from stackledger.capture.stream import Stream
from stackledger.capture.writer import PartWriter
from stackledger.errors import CannotTraceError, StackledgerError, UsageError
from stackledger.manifest import Command, Manifest

ABORTED = 130


@dataclass(frozen=True, slots=True)
class Outcome:
    """Where the capture is and how it went: `exit_code` as the command line returns it."""

    folder: Path
    manifest: Manifest
    exit_code: int


def record(
    options: Options, on_progress: Callable[[Progress], None] = lambda _progress: None
) -> Outcome:
    """Record one capture; see the module's docstring."""
    check(options)
    bpftrace = tracing.find(options.bpftrace)
    manifest = new_manifest(options, bpftrace)
    programs, unavailable = programs_of(options, bpftrace, manifest)
    control = Control()
    folder = make_folder(options.store, manifest)
    writer = PartWriter(folder, options.pace, manifest)
    streams: list[Stream] = []
    try:
        with Interrupts() as interrupts, ExitStack() as opened:
            start(programs, options, bpftrace, control, streams)
            if options.raw_folder is not None:
                for stream in streams:
                    raw = options.raw_folder / f"{stream.run.name}.jsonl"
                    stream.copy = opened.enter_context(raw.open("wb"))
            manifest.own_tables = [own for stream in streams for own in stream.own_tables()]
            manifest.probes = [*(stream.run for stream in streams), *unavailable]
            budget = Budget(options.max_overhead, control)
            recording = Recording(
                streams, writer, manifest, control, interrupts, budget, on_progress
            )
            if not recording.attach(options.attach_limit_s):
                return _abandoned(folder, manifest, writer, streams)
            outcome = _run(options, recording, folder, writer, streams)
        private.hand_over(folder)
        return outcome
    except BaseException as failure:
        _kill(streams)
        with suppress(StackledgerError):
            writer.abort()
        if manifest.started_ns == 0:
            remove(folder)
        else:
            _finish(manifest, "failed", str(failure) or type(failure).__name__)
            with suppress(StackledgerError):
                save(manifest, folder)
            private.hand_over(folder)
            diagnostics.note(f"what was recorded until then: {folder}")
        raise


def check(options: Options) -> None:
    """Raise UsageError where the options cannot be meant, whatever the host can do."""
    if options.command and shutil.which(options.command[0]) is None:
        raise UsageError("no such command", options.command[0])
    wanted = function(options.function) if options.function else None
    for name in options.probes:
        probe = catalog.probe(name)
        if "function" in probe.needs:
            build("uprobe:@function", function=wanted)
    build("", filters=options.filters)


def _run(
    options: Options,
    recording: Recording,
    folder: Path,
    writer: PartWriter,
    streams: list[Stream],
) -> Outcome:
    manifest = recording.manifest
    command = _start(options.command, manifest)
    try:
        recording.begin()
        save(manifest, folder)
        if options.alone:
            privileges.drop()
            writer.have(privileges.drop)
        recording.run(options.duration_s, command)
    finally:
        if command is not None and manifest.command is not None:
            manifest.command.exit_code = command.poll()
            _end_command(command)
    if not recording.stop(options.stop_grace_s):
        _kill(streams)
        writer.close(recording.hurry)
        manifest.size_bytes = writer.bytes
        account(manifest, folder)
        _finish(manifest, "failed", "interrupted a second time")
        save(manifest, folder)
        return Outcome(folder, manifest, ABORTED)
    _kill(streams)
    writer.close(recording.hurry)
    manifest.size_bytes = writer.bytes
    account(manifest, folder)
    failed = [f"{stream.run.name}: {stream.run.error}" for stream in streams if stream.run.error]
    _finish(manifest, "failed" if failed else "complete", "; ".join(failed))
    save(manifest, folder)
    exit_code = manifest.command.exit_code if manifest.command else 0
    if exit_code is not None and exit_code < 0:
        exit_code = 128 - exit_code  # as a shell names a death by signal
    return Outcome(folder, manifest, 1 if failed else exit_code or 0)


def _start(argv: tuple[str, ...], manifest: Manifest) -> subprocess.Popen[bytes] | None:
    if not argv:
        return None
    shown = argv if manifest.redaction.payload else normalised(argv)
    manifest.command = Command(argv=list(shown))
    try:
        return subprocess.Popen(argv, process_group=0)
    except OSError as failure:
        raise UsageError("cannot start the command", f"{argv[0]}: {failure.strerror}") from None


def _end_command(command: subprocess.Popen[bytes]) -> None:
    for number in (15, 9):
        if command.poll() is not None:
            return
        with suppress(ProcessLookupError):
            os.killpg(command.pid, number)
        with suppress(subprocess.TimeoutExpired):
            command.wait(3)


def _finish(manifest: Manifest, state: str, error: str) -> None:
    manifest.state, manifest.error = state, error
    manifest.clock.append(anchor())
    if manifest.ended_ns == 0:
        manifest.ended_ns = manifest.clock[-1].realtime_ns
    manifest.writer_pid = 0


def _abandoned(
    folder: Path, manifest: Manifest, writer: PartWriter, streams: list[Stream]
) -> Outcome:
    """Clean up after an interruption that came before anything was recorded."""
    _kill(streams)
    writer.abort()
    remove(folder)
    _finish(manifest, "failed", "interrupted before the recording")
    return Outcome(folder, manifest, ABORTED)


def _kill(streams: list[Stream]) -> None:
    for stream in streams:
        stream.tracer.kill()


__all__ = ["ABORTED", "CannotTraceError", "Options", "Outcome", "Progress", "record"]
