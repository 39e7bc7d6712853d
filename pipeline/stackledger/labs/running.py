"""Runs a lab: its servers, each phase's load and capture, and the end of it all.

The first SIGINT or SIGTERM ends the lab as an exception does: the capture under
way is closed, the servers stop, folders, cgroups and namespaces go. More of them
are not heard meanwhile.
"""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stackledger import diagnostics
from stackledger.analysis.experiment import PhaseResult, Result, look
from stackledger.capture import bpftrace as tracing
from stackledger.capture.preconditions import require
from stackledger.capture.profiles import DEFAULT, choose
from stackledger.capture.registers import constants
from stackledger.capture.session import Options, Outcome, record
from stackledger.errors import CannotTraceError, StackledgerError
from stackledger.labs import load as loads
from stackledger.labs import network, programs, servers, throttle
from stackledger.store import find

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from stackledger.capture.recording import Progress
    from stackledger.labs.lab import Lab, Load, Phase, Stage

_LOCK = Path("/run/stackledger/lab.lock")
_LEDGER = "request_ledger"
# The servers' first requests, which open connections and read files, are in no phase.
_SEED, _WARM_UP_SEED = 1, 2


def run(
    lab: Lab[Any],
    store: Path,
    *,
    phase_s: float | None = None,
    on_progress: Callable[[Progress], None] = lambda _: None,
) -> Result:
    """Run every phase of a lab; captures go to `store`, named LAB.PHASE.

    Raises CannotTraceError where the host lacks something, StackledgerError where
    a lab runs already or a server does not start, KeyboardInterrupt when stopped.
    Nothing but the captures is left behind, whatever happens.
    """
    check_host(lab)
    kernel = constants(tracing.find())
    if kernel is None:
        raise CannotTraceError("the ledger cannot run here", hint="stackledger doctor")
    chosen = choose(DEFAULT, lab.probes)
    with _stoppable(), _alone(), _swept(), lab.stage(None) as stage:
        phases: list[PhaseResult] = []
        for phase in possible(lab):
            diagnostics.note(f"{lab.name} · {phase.name}: {phase.done}")
            phase.prepare(stage)
            load = phase.load or lab.load
            _warm_up(stage, load, lab.warm_up)
            outcome = record(
                Options(
                    store=store,
                    name=f"{lab.name}.{phase.name}",
                    probes=chosen.probes,
                    required=chosen.required | {_LEDGER},
                    command=_command(stage, load, duration_s=phase_s or lab.phase_s),
                    constants=kernel,
                ),
                on_progress,
            )
            _check(outcome)
            capture = find(str(outcome.folder), store)
            values = {**stage.values, **phase.values}
            phases.append(
                look(capture, phase.name, phase.done, lab.figures, values, root_pid=os.getpid())
            )
    return Result(lab.name, lab.question, lab.answer, lab.figures, phases)


def check_host(lab: Lab[Any]) -> None:
    """Raise CannotTraceError where this host cannot run a lab; says what installs the missing."""
    require()
    programs.programs(lab.programs)


def possible(lab: Lab[Any]) -> list[Phase[Any]]:
    """Return the phases whose programs are installed; says which are left out."""
    found = []
    for phase in lab.phases:
        if missing := programs.missing_programs(phase.needs):
            remedy = programs.install_line(missing)
            diagnostics.note(f"left out: {phase.name}: not installed: {' '.join(missing)}")
            diagnostics.note(f"hint: {remedy}")
        else:
            found.append(phase)
    return found


def _check(outcome: Outcome) -> None:
    """Raise where a capture did not come to its own end."""
    told = outcome.manifest
    if told.command is None or told.command.exit_code is None:
        # Told to stop: the recording took the signal as its own normal end.
        if told.started_ns:
            diagnostics.note(f"stopped; what was recorded until then: {outcome.folder}")
        _hear_no_more()
        raise KeyboardInterrupt
    if outcome.exit_code:
        raise StackledgerError(
            "the recording failed", told.error or f"the load ended with {outcome.exit_code}"
        )


def _command(stage: Stage, load: Load, **limits: Any) -> tuple[str, ...]:
    """Return the load as a command that prints nothing; it goes before what it measures."""
    argv = loads.command(
        stage.url,
        load.paths,
        connections=load.connections,
        rate_hz=load.rate_hz,
        seed=limits.pop("seed", _SEED),
        **limits,
    )
    quietly = ("sh", "-c", 'exec "$@" >/dev/null', "sh")
    words = [f"{name}={value}" for name, value in servers.module_path().items()]
    return (*stage.inside, "chrt", "-f", "10", "env", *words, *quietly, *argv)


def _warm_up(stage: Stage, load: Load, requests: int) -> None:
    command = _command(stage, load, requests=requests, seed=_WARM_UP_SEED)
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        said = done.stderr.strip().removeprefix("stackledger: error: ")
        raise StackledgerError("the load failed", said.partition("\n")[0])


@contextmanager
def _stoppable() -> Iterator[None]:
    """Have SIGTERM end this program as Ctrl-C does, and the second of either do nothing."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def stop(_number: int, _frame: object) -> None:
        _hear_no_more()
        raise KeyboardInterrupt

    for number in before:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _hear_no_more() -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


@contextmanager
def _swept() -> Iterator[None]:
    """Begin without what labs left that were killed outright: each lab makes other things."""
    throttle.remove_abandoned()
    network.remove_abandoned()
    yield


@contextmanager
def _alone() -> Iterator[None]:
    """Be the only lab on this host: two would measure each other."""
    _LOCK.parent.mkdir(mode=0o700, exist_ok=True)
    lock = os.open(_LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.pread(lock, 20, 0).decode("ascii", "replace")
            raise StackledgerError(
                "another lab is running",
                f"process {owner}" if owner else None,
                hint="wait for its end: two at once would measure each other",
            ) from None
        os.ftruncate(lock, 0)
        os.pwrite(lock, str(os.getpid()).encode(), 0)
        yield
    finally:
        os.close(lock)
