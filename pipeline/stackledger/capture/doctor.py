"""What this host can trace, found out by trying it.

A kernel's list of hooks and bpftrace's own `--info` promise more than they
hold, so a signal counts only when its real program attached.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from stackledger import catalog
from stackledger.capture import program, trial

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

State = Literal["ok", "exact", "approximate", "unavailable", "unknown"]

LEDGER = "request_ledger"
OLDEST_BPFTRACE = (0, 17)
SOCKET_TRACEPOINTS_SINCE = (6, 3)
_CAP_SYS_ADMIN, _CAP_PERFMON, _CAP_BPF = 21, 38, 39
_INSTALL = {
    "debian": "apt-get install -y",
    "ubuntu": "apt-get install -y",
    "fedora": "dnf install -y",
    "rhel": "dnf install -y",
    "suse": "zypper install -y",
    "arch": "pacman -S --noconfirm",
    "alpine": "apk add",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report: a property of the host, or a signal.

    `found` is what is there, `why` what is wrong with it, `remedy` a command
    to paste; the last two are empty where nothing is wrong.
    """

    name: str
    state: State
    found: str
    why: str = ""
    remedy: str = ""


def examine() -> tuple[list[Finding], list[Finding]]:
    """Return the findings about the host and about every signal of the catalogue.

    Mounts tracefs where that is allowed; leaves nothing else behind.
    """
    bpftrace = shutil.which("bpftrace")
    host = [
        _kernel(platform.release()),
        _architecture(platform.machine()),
        _btf(),
        _tracefs(),
        _lockdown(),
        _privileges(),
        _bpftrace(bpftrace),
    ]
    obstacle = ledger_obstacle(host)
    if bpftrace is None or obstacle is not None:
        return host, [_untried(probe, obstacle) for probe in catalog.probes().values()]
    padding = trial.register_padding(bpftrace)
    return [*host, _registers(padding)], _tried(bpftrace, padding)


def ledger_obstacle(findings: Sequence[Finding]) -> Finding | None:
    """Return the first finding without which there is no ledger, None if it can run."""
    needed = {"BTF", "tracefs", "lockdown", "privileges", "bpftrace", LEDGER}
    for finding in findings:
        if finding.name in needed and finding.state == "unavailable":
            return finding
    return None


# -------------------------------------------------------------- the signals


def _tried(bpftrace: str, padding: int | None) -> list[Finding]:
    """Attach every probe's real program for a moment, side by side."""
    probes = list(catalog.probes().values())
    with ThreadPoolExecutor(max_workers=len(probes)) as pool:
        return list(pool.map(lambda probe: _try(bpftrace, probe, padding), probes))


def _try(bpftrace: str, probe: catalog.Probe, padding: int | None) -> Finding:
    reason = trial.attach(bpftrace, program.render(probe, padding), env=program.ENVIRONMENT)
    if reason is None:
        return Finding(_signal(probe), _grade(probe), probe.purpose)
    remedy = _newer_kernel() if "not found" in reason or "not available" in reason else ""
    return Finding(_signal(probe), "unavailable", probe.purpose, reason, remedy)


def _untried(probe: catalog.Probe, obstacle: Finding | None) -> Finding:
    why = f"not tried, see {obstacle.name} above" if obstacle else "not tried"
    return Finding(_signal(probe), "unavailable", probe.purpose, why)


def _signal(probe: catalog.Probe) -> str:
    return f"{probe.name}.{probe.variant}" if probe.variant else probe.name


def _grade(probe: catalog.Probe) -> State:
    return "exact" if probe.grade.startswith("exact") else "approximate"


def _registers(padding: int | None) -> Finding:
    if padding is None:
        why = "system calls and first bytes are not where they are on x86-64"
        return Finding("registers", "unavailable", "layout unknown", why)
    return Finding("registers", "ok", f"16 KiB stacks, {padding} bytes above the saved registers")


# ---------------------------------------------------------------- the host


def _kernel(release: str) -> Finding:
    found = re.match(r"(\d+)\.(\d+)", release)
    if found and tuple(map(int, found.groups())) < SOCKET_TRACEPOINTS_SINCE:
        why = "socket tracepoints came with Linux 6.3; before it fentry or kprobes are needed"
        return Finding("kernel", "approximate", release, why, _newer_kernel())
    return Finding("kernel", "ok", release)


def _architecture(machine: str) -> Finding:
    if machine == "x86_64":
        return Finding("architecture", "ok", machine)
    why = "saved registers are read on x86_64 only; system calls are traced instead"
    return Finding("architecture", "approximate", machine, why)


def _btf() -> Finding:
    path = Path("/sys/kernel/btf/vmlinux")
    if path.exists():
        return Finding("BTF", "ok", str(path))
    why = "the kernel does not describe its types (CONFIG_DEBUG_INFO_BTF)"
    return Finding("BTF", "unavailable", "none", why, _newer_kernel())


def _tracefs() -> Finding:
    place = tracefs_mount(Path("/proc/self/mounts").read_text())
    command = ["mount", "-t", "tracefs", "tracefs", "/sys/kernel/tracing"]
    if place is None and os.geteuid() == 0:
        done = subprocess.run(command, capture_output=True, check=False)
        if done.returncode == 0:
            return Finding("tracefs", "ok", "/sys/kernel/tracing (mounted just now)")
    if place is None:
        return Finding(
            "tracefs", "unavailable", "not mounted", "tracing needs it", _as_root(" ".join(command))
        )
    return Finding("tracefs", "ok", place)


def tracefs_mount(mounts: str) -> str | None:
    """Return where `/proc/self/mounts` says tracefs is, if where bpftrace looks."""
    known = ("/sys/kernel/tracing", "/sys/kernel/debug/tracing")
    rows = [line.split() for line in mounts.splitlines()]
    places = {row[1] for row in rows if len(row) > 2 and row[2] == "tracefs"}
    return next((place for place in known if place in places), None)


def _lockdown() -> Finding:
    try:
        text = Path("/sys/kernel/security/lockdown").read_text()
    except OSError:
        return Finding(
            "lockdown",
            "unknown",
            "not shown",
            "securityfs is not mounted, or the kernel has no lockdown",
            _as_root("mount -t securityfs securityfs /sys/kernel/security"),
        )
    mode = lockdown_mode(text)
    if mode == "confidentiality":
        why = "the kernel refuses to let BPF read its memory"
        remedy = "boot with lockdown=integrity instead of lockdown=confidentiality"
        return Finding("lockdown", "unavailable", mode, why, remedy)
    return Finding("lockdown", "ok", mode)


def lockdown_mode(text: str) -> str:
    """Return the mode in brackets of `none [integrity] confidentiality`."""
    found = re.search(r"\[(\w+)\]", text)
    return found.group(1) if found else text.strip()


def _privileges() -> Finding:
    capabilities = effective_capabilities(Path("/proc/self/status").read_text())
    enough = _CAP_SYS_ADMIN in capabilities or {_CAP_BPF, _CAP_PERFMON} <= capabilities
    if os.geteuid() != 0:
        remedy = 'sudo "$(command -v stackledger)" doctor'
        user = f"user {os.geteuid()}"
        return Finding("privileges", "unavailable", user, "bpftrace runs as root only", remedy)
    if not enough:
        why = "root here has neither CAP_SYS_ADMIN nor CAP_BPF with CAP_PERFMON"
        remedy = "start the container with --privileged --pid=host"
        return Finding("privileges", "unavailable", "root, confined", why, remedy)
    return Finding("privileges", "ok", "root")


def effective_capabilities(status: str) -> set[int]:
    """Return the numbers of the effective capabilities in `/proc/PID/status`."""
    found = re.search(r"^CapEff:\s*([0-9a-f]+)$", status, re.MULTILINE)
    bits = int(found.group(1), 16) if found else 0
    return {number for number in range(bits.bit_length()) if bits >> number & 1}


def _bpftrace(path: str | None) -> Finding:
    install = _as_root(_install_command("bpftrace"))
    if path is None:
        return Finding("bpftrace", "unavailable", "not on PATH", "it does the tracing", install)
    try:
        shown = subprocess.run(
            [path, "--version"], capture_output=True, text=True, timeout=10, check=False
        ).stdout
    except (OSError, subprocess.TimeoutExpired) as failure:
        return Finding("bpftrace", "unavailable", path, f"it does not run: {failure}", install)
    version = bpftrace_version(shown)
    if version is None:
        return Finding("bpftrace", "unavailable", path, "it does not tell its version", install)
    found = f"{'.'.join(map(str, version))} at {path}"
    if version[:2] < OLDEST_BPFTRACE:
        return Finding("bpftrace", "unavailable", found, "0.17 or later is needed", install)
    return Finding("bpftrace", "ok", found)


def bpftrace_version(text: str) -> tuple[int, ...] | None:
    """Return (0, 17, 0) for `bpftrace v0.17.0`, None for anything else."""
    found = re.match(r"bpftrace v?(\d+)\.(\d+)(?:\.(\d+))?", text)
    return tuple(int(part) for part in found.groups("0")) if found else None


def _as_root(command: str) -> str:
    return command if os.geteuid() == 0 or not command else f"sudo {command}"


def _install_command(package: str) -> str:
    tool = next((_INSTALL[name] for name in os_names(_os_release()) if name in _INSTALL), "")
    return f"{tool} {package}" if tool else ""


def _newer_kernel() -> str:
    release = _os_release()
    flavour = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine())
    if release.get("ID") != "debian" or flavour is None:
        return ""
    suite = f"{release.get('VERSION_CODENAME', 'stable')}-backports"
    return _as_root(f"apt-get install -y -t {suite} linux-image-{flavour}")


def _os_release() -> Mapping[str, str]:
    try:
        return platform.freedesktop_os_release()
    except OSError:
        return {}


def os_names(release: Mapping[str, str]) -> list[str]:
    """Return the distribution's names, the most specific first."""
    return [release.get("ID", ""), *release.get("ID_LIKE", "").split()]
