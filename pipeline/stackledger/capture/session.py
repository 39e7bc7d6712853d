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
import platform
import secrets
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path

from stackledger import catalog, diagnostics
from stackledger.capture import bpftrace as tracing
from stackledger.capture import private, privileges, topology
from stackledger.capture.arguments import normalised
from stackledger.capture.budget import Budget
from stackledger.capture.clock import anchor
from stackledger.capture.control import Control
from stackledger.capture.interrupts import Interrupts
from stackledger.capture.limits import attach_limit_s
from stackledger.capture.manifest import safe_word, save
from stackledger.capture.partfile import unwritable
from stackledger.capture.program import Filters, build, function
from stackledger.capture.recording import Progress, Recording
from stackledger.capture.retention import account
from stackledger.capture.starting import programs_of, start
from stackledger.capture.stream import Stream
from stackledger.capture.upkeep import Pace
from stackledger.capture.writer import PartWriter
from stackledger.errors import CannotTraceError, StackledgerError, UsageError
from stackledger.manifest import Command, Manifest, redaction
from stackledger.schema import SCHEMA_VERSION

ABORTED = 130


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What to record, and until when: `duration_s`, the end of `command`, or a signal."""

    store: Path
    name: str = ""
    probes: tuple[str, ...] = ("request_ledger", "block_io")
    # Those without which there is no capture, None for all; any other that the host
    # cannot run is noted as unavailable, and the rest is recorded.
    required: frozenset[str] | None = None
    scripts: tuple[tuple[catalog.Probe, str], ...] = ()  # a user's own, of script.py
    unavailable: Mapping[str, str] = field(default_factory=dict)  # known before: name to why
    duration_s: float | None = None
    command: tuple[str, ...] = ()
    filters: Filters = field(default_factory=Filters)
    constants: Mapping[str, int] = field(default_factory=dict)
    function: str = ""  # FILE:NAME, what function_latency times
    payload: bool = False
    bpftrace: tuple[str, ...] | None = None  # how to call it; None finds it
    max_overhead: float | None = None  # of the host's CPU time: 0.02 is 2 %
    attach_limit_s: float = field(default_factory=lambda: attach_limit_s("60s"))
    stop_grace_s: float = 30.0  # of silence: detaching takes long on an overloaded host
    map_keys: int = 32768
    string_bytes: int = 64
    pace: Pace = field(default_factory=Pace)
    raw_folder: Path | None = None  # keep bpftrace's own lines here too
    alone: bool = False  # the process does nothing else: it drops what privileges it can

    def requires(self, probe: catalog.Probe) -> bool:
        """Tell whether there is no capture without that probe."""
        names = {probe.name, f"{probe.name}.{probe.variant}"}
        return self.required is None or bool(self.required & names)


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
    folder = _make_folder(options.store, manifest)
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
            _remove(folder)
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


def new_manifest(options: Options, bpftrace: tracing.Bpftrace) -> Manifest:
    """Return the manifest of a capture that begins, with what is on this host now."""
    host = platform.node() or "unnamed"
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    return Manifest(
        schema_version=SCHEMA_VERSION,
        id=f"{stamp}-{secrets.token_hex(3)}",
        name=options.name,
        state="recording",
        host=host,
        kernel=platform.release(),
        boot_id=topology.boot_id(),
        machine=topology.machine(),
        stackledger=_own_version(),
        bpftrace=str(bpftrace),
        writer_pid=os.getpid(),
        options={
            "duration_s": options.duration_s,
            "keep_ns": options.pace.kept.keep_ns,
            "max_bytes": options.pace.kept.max_bytes,
            "payload": options.payload,
            "function": options.function,
            "map_keys": options.map_keys,
            "string_bytes": options.string_bytes,
            "max_overhead": options.max_overhead,
        },
        filters={
            "pid": [str(pid) for pid in options.filters.pids],
            "comm": list(options.filters.comms),
            "cgroup": list(options.filters.cgroups),
        },
        constants=dict(options.constants),
        topology=topology.snapshot(),
        probes=[],
        redaction=redaction(payload=options.payload),
    )


def _own_version() -> str:
    import stackledger

    return str(getattr(stackledger, "__version__", ""))


def _make_folder(store: Path, manifest: Manifest) -> Path:
    day = time.strftime("%Y-%m-%d", time.gmtime())
    names = (f"dt={day}", f"host={safe_word(manifest.host)}", f"capture={manifest.id}")
    folder = store.joinpath(*names)
    try:
        private.make(store, names)
        # Root can make folders on a full disk; a byte tells.
        trial = folder / ".trial"
        trial.write_bytes(b"0" * 4096)
        trial.unlink()
    except OSError as failure:
        _remove(folder)
        raise unwritable(store, failure) from None
    return folder


def _remove(folder: Path) -> None:
    """Remove a capture's folder, and its day's and host's where they are empty now."""
    shutil.rmtree(folder, ignore_errors=True)
    with suppress(OSError):
        folder.parent.rmdir()
        folder.parent.parent.rmdir()


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
    _remove(folder)
    _finish(manifest, "failed", "interrupted before the recording")
    return Outcome(folder, manifest, ABORTED)


def _kill(streams: list[Stream]) -> None:
    for stream in streams:
        stream.tracer.kill()


__all__ = ["ABORTED", "CannotTraceError", "Options", "Outcome", "Progress", "record"]
