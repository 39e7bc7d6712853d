"""`stackledger capture`: record a live stack."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stackledger import diagnostics
from stackledger.capture.profiles import DEFAULT, NAMES, NONE, choose
from stackledger.commands.common import StoreOption, chosen_store
from stackledger.durations import nanoseconds, seconds
from stackledger.errors import (
    CannotTraceError,
    LossesExceededError,
    StackledgerError,
    UsageError,
)
from stackledger.sizes import size_bytes

if TYPE_CHECKING:
    from stackledger.capture.profiles import Chosen
    from stackledger.capture.retention import Retention
    from stackledger.capture.session import Outcome

LEDGER = "request_ledger"
_LEAST_NS, _LEAST_BYTES = 10 * 10**9, 10 * 10**6
_RESERVED = ("all", "last")


def capture(
    command: Annotated[
        list[str] | None,
        typer.Argument(metavar="[-- COMMAND]", help="Record while it runs; its exit code is ours."),
    ] = None,
    duration: Annotated[
        str | None, typer.Option("--for", metavar="TIME", help="How long: 500ms, 30s, 2m, 1h.")
    ] = None,
    keep: Annotated[
        str | None,
        typer.Option("--keep", metavar="TIME", help="Drop rows that are older, as it goes: 24h."),
    ] = None,
    max_size: Annotated[
        str | None,
        typer.Option("--max-size", metavar="SIZE", help="Drop the oldest rows beyond that: 10GB."),
    ] = None,
    name: Annotated[str, typer.Option("--name", help="A name to find the capture by.")] = "",
    store: StoreOption = None,
    profile: Annotated[
        str | None,
        typer.Option(
            "--profile",
            metavar="NAME",
            help=f"What to record: {', '.join(NAMES)}; default {DEFAULT}.",
        ),
    ] = None,
    probe: Annotated[
        list[str] | None,
        typer.Option("--probe", metavar="NAME", help="That probe too; may be repeated."),
    ] = None,
    pid: Annotated[
        list[int] | None, typer.Option("--pid", help="Only this process; may be repeated.")
    ] = None,
    comm: Annotated[
        list[str] | None, typer.Option("--comm", help="Only threads of this name.")
    ] = None,
    cgroup: Annotated[
        list[str] | None, typer.Option("--cgroup", help="Only this cgroup (v2).")
    ] = None,
    function: Annotated[
        str,
        typer.Option("--function", metavar="FILE:NAME", help="Time the calls of one function too."),
    ] = "",
    script: Annotated[
        list[Path] | None,
        typer.Option("--script", metavar="FILE", help="Your own bpftrace; may be repeated."),
    ] = None,
    line: Annotated[
        list[str] | None,
        typer.Option("-e", metavar="PROGRAM", help="Your own bpftrace, as a line."),
    ] = None,
    payload: Annotated[
        bool, typer.Option("--payload", help="Keep the first bytes of requests: may hold secrets.")
    ] = False,
    max_loss: Annotated[
        float,
        typer.Option(
            "--max-loss",
            metavar="SHARE",
            min=0,
            max=1,
            help="Exit 5 where a larger share of rows was lost, 0 to 1.",
        ),
    ] = 0.01,
    max_overhead: Annotated[
        str | None,
        typer.Option(
            "--max-overhead",
            metavar="SHARE",
            help="Of the host's CPU time, as 2%: probes are stopped to stay below.",
        ),
    ] = None,
    attach_limit: Annotated[
        str,
        typer.Option(
            "--attach-limit",
            metavar="TIME",
            envvar="STACKLEDGER_ATTACH_LIMIT",
            help="How long probes may take to attach.",
        ),
    ] = "60s",
) -> None:
    """Record until the time is over, COMMAND has ended, or Ctrl-C; print the capture's path.

    Needs root. Nothing is instrumented or restarted. A second Ctrl-C ends it at once.
    """
    from stackledger.capture.budget import share
    from stackledger.capture.preconditions import require
    from stackledger.capture.program import Filters
    from stackledger.capture.script import from_file, from_line
    from stackledger.capture.session import Options, check, record
    from stackledger.capture.summary import Narrator, summary
    from stackledger.capture.upkeep import Pace

    scripts = (
        *(from_file(path) for path in script or ()),
        *(from_line(text, number) for number, text in enumerate(line or (), 1)),
    )
    named = [*(probe or ()), *(["function_latency"] if function else [])]
    # A script runs with what is named, alone where nothing is.
    chosen = choose(profile or (NONE if scripts else DEFAULT), named)
    if not chosen.probes and not scripts:
        raise UsageError("nothing to record", f"--profile {profile}", hint="--probe NAME adds one")
    options = Options(
        store=chosen_store(store),
        name=_name(name),
        probes=chosen.probes,
        required=chosen.required,
        scripts=scripts,
        duration_s=None if duration is None else seconds(duration),
        command=tuple(command or ()),
        pace=Pace(kept=_kept(keep, max_size)),
        filters=Filters(tuple(pid or ()), tuple(comm or ()), tuple(cgroup or ())),
        function=function,
        payload=payload,
        max_overhead=None if max_overhead is None else share(max_overhead),
        alone=True,
        attach_limit_s=seconds(attach_limit),
    )
    check(options)
    require()
    if scripts and options.filters:
        diagnostics.warning("the filters do not reach into your own scripts")
    for number in options.filters.pids:
        if not Path(f"/proc/{number}").exists():
            diagnostics.warning(f"no process has the number {number}")
    narrator = Narrator()
    constants, unavailable = _constants(chosen)
    outcome = record(
        replace(options, constants=constants, unavailable=unavailable),
        on_progress=narrator.tell,
    )
    narrator.end()
    _link(outcome)
    for told in summary(outcome):
        diagnostics.note(told)
    if outcome.folder.is_dir():
        typer.echo(outcome.folder)
    if outcome.exit_code:
        # What ended badly comes first; the summary has told the losses.
        raise typer.Exit(outcome.exit_code)
    _check_losses(outcome, max_loss)


def _constants(chosen: Chosen) -> tuple[dict[str, int], dict[str, str]]:
    """Return what the ledger has to know about this kernel, or why there is none.

    Raises CannotTraceError where it is required.
    """
    from stackledger.capture.bpftrace import find
    from stackledger.capture.registers import constants

    if LEDGER not in chosen.probes:
        return {}, {}
    found = constants(find())
    if found is not None:
        return dict(found), {}
    why = "this kernel keeps a thread's registers where the ledger does not find them"
    if LEDGER in chosen.required:
        raise CannotTraceError(
            why, hint="stackledger capture --profile io records the disks; stackledger doctor"
        )
    return {}, {LEDGER: why}


def _kept(keep: str | None, max_size: str | None) -> Retention:
    """Return what is kept of a long recording; raises UsageError."""
    from stackledger.capture.retention import Retention

    keep_ns = None if keep is None else nanoseconds(keep)
    max_bytes = None if max_size is None else size_bytes(max_size)
    if keep_ns is not None and keep_ns < _LEAST_NS:
        raise UsageError("--keep is too short", keep, hint="10s or longer")
    if max_bytes is not None and max_bytes < _LEAST_BYTES:
        raise UsageError("--max-size is too small", max_size, hint="10MB or more")
    return Retention(keep_ns, max_bytes)


def _link(outcome: Outcome) -> None:
    """Link a large capture's requests to their transactions, for all who will read it."""
    from stackledger.analysis.thinning import ENOUGH

    received = sum(one.received for one in outcome.manifest.losses if one.table == "request")
    if received <= ENOUGH:
        return
    from stackledger.analysis.linking import keep
    from stackledger.capture.private import hand_over
    from stackledger.manifest import load
    from stackledger.store import Capture

    diagnostics.note(f"linking {received:,} requests to their transactions (Ctrl-C skips it)")
    try:
        keep(Capture(outcome.folder, load(outcome.folder)))
        hand_over(outcome.folder)
    except StackledgerError as failure:
        diagnostics.warning(str(failure))
    except KeyboardInterrupt:
        diagnostics.note("not linked: analyses take longer")


def _name(name: str) -> str:
    if len(name) > 64 or not re.fullmatch(r"[\w.@:+-]*", name):
        raise UsageError("a name has up to 64 letters, digits and . _ - @ : +", name)
    if name in _RESERVED:
        raise UsageError("a capture cannot be called that, it means something else", name)
    if name and Path(name).exists():
        diagnostics.warning(f"a file is called {name} too: use ./{name} for the file")
    return name


def _check_losses(outcome: Outcome, max_loss: float) -> None:
    for loss in outcome.manifest.losses:
        gone = (loss.lost or 0) + loss.undecodable
        if gone > max_loss * max(1, loss.received + gone):
            raise LossesExceededError(
                "captured, but rows were lost",
                f"{loss.table}: {gone} of {loss.received + gone}",
                hint="narrow it: --pid, --comm, --cgroup; or raise --max-loss",
            )
