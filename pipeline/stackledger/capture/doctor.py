"""What this host can trace, found out by trying it.

A kernel's list of hooks and bpftrace's own `--info` promise more than they
hold, so a signal counts only when its real program attached.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stackledger import catalog
from stackledger.capture import hooks, program, trial
from stackledger.capture.bpftrace import find
from stackledger.capture.preconditions import Finding, State, host_findings, newer_kernel, obstacle
from stackledger.capture.symbols import read_functions
from stackledger.errors import CannotTraceError, StackledgerError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stackledger.capture.bpftrace import Bpftrace

LEDGER = "request_ledger"


@dataclass(frozen=True, slots=True)
class Host:
    """What was found out about the host; `bpftrace` is None where nothing can be traced."""

    findings: tuple[Finding, ...]
    bpftrace: Bpftrace | None = None
    padding: int | None = None


def examine_host() -> Host:
    """Return what the host offers; mounts tracefs where that is allowed."""
    findings = host_findings()
    if obstacle(findings) is not None:
        return Host(tuple(findings))
    bpftrace = find()
    try:
        padding = trial.register_padding(bpftrace)
    except CannotTraceError as failure:
        told = Finding("registers", "unavailable", failure.what, failure.value or "")
        return Host((*findings, told), bpftrace)
    return Host((*findings, _registers(padding)), bpftrace, padding)


def examine_signals(host: Host) -> list[Finding]:
    """Return a finding per signal: the real program was attached for a moment.

    Of several variants the one that a capture would take here.
    """
    names = dict.fromkeys(probe.name for probe in catalog.probes().values())
    if host.bpftrace is None:
        return [_untried(catalog.probe(name), host) for name in names]
    # Compiling a program keeps a CPU busy: more at once would only run out of time.
    with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
        return list(pool.map(lambda name: _signal(host, name), names))


def ledger_obstacle(host: Host, signals: Sequence[Finding]) -> Finding | None:
    """Return the finding without which there is no ledger, None if it can run."""
    ledgers = [one for one in signals if one.name == LEDGER]
    if any(one.state != "unavailable" for one in ledgers):
        return obstacle(host.findings)
    return obstacle(host.findings) or next(iter(ledgers), None)


def _signal(host: Host, name: str) -> Finding:
    """Try the variant that a capture would take."""
    assert host.bpftrace is not None
    offered = hooks.offered(host.bpftrace)
    for probe in catalog.variants(name):
        if not probe.lacks(host.bpftrace.version, offered):
            return _try(host, probe)
    probe = catalog.variants(name)[0]
    lacks = probe.lacks(host.bpftrace.version, offered)
    return Finding(name, "unavailable", probe.purpose, _lacking(lacks), newer_kernel())


def _try(host: Host, probe: catalog.Probe) -> Finding:
    assert host.bpftrace is not None
    constants = {} if host.padding is None else {"STACK": trial.STACK_BYTES - host.padding}
    try:
        text = program.build(
            probe.text(), constants=constants, sums=probe.sums, function=_any_function()
        )
    except StackledgerError as failure:
        return Finding(probe.name, "unavailable", probe.purpose, str(failure))
    reason = trial.attach(host.bpftrace, probe.name, text)
    if reason is None:
        return Finding(probe.name, _grade(probe), probe.purpose, _better(host.bpftrace, probe))
    remedy = newer_kernel() if "not found" in reason or "not available" in reason else ""
    return Finding(probe.name, "unavailable", probe.purpose, reason, remedy)


def _any_function() -> program.Function:
    """Return one of this interpreter's, by a path that leads to it from a chroot too."""
    path = f"/proc/{os.getpid()}/exe"
    names = (name.decode("ascii", "replace") for name in read_functions(path).names)
    return program.Function(path, next((name for name in names if name.startswith("Py")), "main"))


def _untried(probe: catalog.Probe, host: Host) -> Finding:
    missing = obstacle(host.findings)
    why = f"not tried, see {missing.name}" if missing else "not tried"
    return Finding(probe.name, "unavailable", probe.purpose, why)


def _better(bpftrace: Bpftrace, probe: catalog.Probe) -> str:
    """Say what an approximate variant lacks to be exact."""
    if _grade(probe) == "exact":
        return ""
    for other in catalog.variants(probe.name):
        if _grade(other) == "exact":
            lacks = other.lacks(None, hooks.offered(bpftrace))
            if lacks:
                return f"exact where the kernel has {_named(lacks)}"
            return f"exact with {', '.join(other.lacks(bpftrace.version, None))}"
    return ""


def _lacking(lacks: Sequence[str]) -> str:
    if lacks[0].startswith("bpftrace "):
        return f"needs {lacks[0]}"
    return f"the kernel lacks {_named(lacks)}"


def _named(lacks: Sequence[str]) -> str:
    """Return the names of hooks, without what the first has said of the others."""
    kinds = [hook.rpartition(":")[0] for hook in lacks]
    names = [hook.rpartition(":")[2] for hook in lacks]
    prefixes = [f"{kind}:" if kind not in kinds[:at] else "" for at, kind in enumerate(kinds)]
    return ", ".join(f"{prefix}{name}" for prefix, name in zip(prefixes, names, strict=True))


def _grade(probe: catalog.Probe) -> State:
    return "exact" if probe.grade.startswith("exact") else "approximate"


def _registers(padding: int | None) -> Finding:
    if padding is None:
        why = "system calls and first bytes are not where they are on x86-64"
        return Finding("registers", "unavailable", "layout unknown", why)
    return Finding("registers", "ok", f"16 KiB stacks, {padding} bytes above the saved registers")
