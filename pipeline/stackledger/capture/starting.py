"""Starts the programs of a capture: what the host can run, as texts, then as bpftraces."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from stackledger import catalog, diagnostics
from stackledger.capture import bpftrace as tracing
from stackledger.capture import btf, hooks, kerneltypes
from stackledger.capture.program import build, function
from stackledger.capture.stream import Stream
from stackledger.errors import CannotTraceError, StackledgerError
from stackledger.manifest import Manifest, ProbeRun

if TYPE_CHECKING:
    from stackledger.capture.control import Control
    from stackledger.capture.options import Options


@dataclass(frozen=True, slots=True)
class Program:
    """A probe, or a user's script, as it is to run."""

    probe: catalog.Probe
    text: str


def programs_of(
    options: Options, bpftrace: tracing.Bpftrace, manifest: Manifest
) -> tuple[list[Program], list[ProbeRun]]:
    """Return the programs to start, and what is known of probes that cannot run here.

    Raises a StackledgerError for a required one that cannot.
    """
    probes, unavailable = _available(options, bpftrace)
    ports = {one.port for one in manifest.topology.listeners if one.port}
    programs = [
        Program(
            probe,
            build(
                probe.text(),
                listen=ports,
                filters=options.filters,
                constants=options.constants,
                sums=probe.sums,
                function=function(options.function) if options.function else None,
            ),
        )
        for probe in probes
    ]
    return [*programs, *(Program(*script) for script in options.scripts)], unavailable


def start(
    programs: list[Program],
    options: Options,
    bpftrace: tracing.Bpftrace,
    control: Control,
    streams: list[Stream],
) -> None:
    """Start a bpftrace for each program; those that run are in `streams` if one fails."""
    for program in programs:
        probe = program.probe
        own = probe.grade == catalog.OWN
        word = control.word()
        prepared = (
            kerneltypes.Prepared(control.wrap_own(program.text, word))
            if own
            else kerneltypes.prepared(
                control.wrap(program.text, word), btf.of_kernel(), bpftrace.version
            )
        )
        tracer = tracing.Tracer(
            bpftrace,
            probe.path.name,
            prepared.text,
            tracing.environment(
                bpftrace,
                map_keys=options.map_keys,
                string_bytes=max(
                    options.string_bytes, tracing.longest(bpftrace, probe.string_bytes)
                ),
                user_symbols=own,
            ),
            quiet=bool(probe.sums),
            own=own,
            btf=prepared.btf,
        )
        stream = Stream(probe, program.text, tracer)
        stream.payload = options.payload
        stream.word = word
        stream.optional = not options.requires(probe)
        streams.append(stream)


def _available(
    options: Options, bpftrace: tracing.Bpftrace
) -> tuple[list[catalog.Probe], list[ProbeRun]]:
    """Return the probes to try, and what is known of the others.

    Raises a StackledgerError for a required one that cannot run.
    """
    offered = hooks.offered(bpftrace)
    found, others = [], []
    for name in dict.fromkeys(options.probes):
        why = options.unavailable.get(name)
        try:
            if why is None:
                found.append(catalog.probe(name, bpftrace.version, offered))
        except StackledgerError as failure:
            if options.required is None or name in options.required:
                raise
            why = str(failure)
        if why is not None:
            diagnostics.warning(f"not recorded: {name}: {why}")
            others.append(
                ProbeRun(
                    name=name, variant="", sha256="", tables=[], state="unavailable", error=why
                )
            )
    if options.probes and not found:
        raise CannotTraceError(
            "none of the probes can run here", ", ".join(options.probes), hint="stackledger doctor"
        )
    return found, others
