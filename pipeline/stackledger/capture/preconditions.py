"""What tracing needs of a host before the first program is tried."""

from __future__ import annotations

import ctypes
import os
import platform
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from stackledger.capture.bpftrace import find
from stackledger.errors import CannotTraceError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

State = Literal["ok", "exact", "approximate", "unavailable", "unknown"]

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


def host_findings() -> list[Finding]:
    """Return what the host offers; mounts tracefs where that is allowed."""
    return [
        _kernel(platform.release()),
        _architecture(platform.machine()),
        _btf(),
        _tracefs(),
        _lockdown(),
        _privileges(),
        _bpftrace(),
    ]


def obstacle(findings: Sequence[Finding]) -> Finding | None:
    """Return the first finding of the host without which nothing is traced, or None."""
    needed = {"BTF", "tracefs", "lockdown", "privileges", "bpftrace"}
    failed = (one for one in findings if one.name in needed and one.state == "unavailable")
    return next(failed, None)


def require() -> None:
    """Raise CannotTraceError where the host lacks something; mounts tracefs where it may."""
    for finding in (_privileges(), _btf(), _tracefs(), _lockdown()):
        if finding.state == "unavailable":
            raise CannotTraceError(
                "this host cannot trace",
                f"{finding.name}: {finding.found}, {finding.why}",
                hint=finding.remedy.replace("doctor", "capture …") or "stackledger doctor",
            )
    find()


def _kernel(release: str) -> Finding:
    found = re.match(r"(\d+)\.(\d+)", release)
    if found and tuple(map(int, found.groups())) < SOCKET_TRACEPOINTS_SINCE:
        why = "before Linux 6.3 sockets have no tracepoints: the ledger traces functions instead"
        return Finding("kernel", "approximate", release, why, newer_kernel())
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
    return Finding("BTF", "unavailable", "none", why, newer_kernel())


def _tracefs() -> Finding:
    place = tracefs_mount(Path("/proc/self/mounts").read_text(errors="replace"))
    if place is not None:
        return Finding("tracefs", "ok", place)
    where = "/sys/kernel/tracing"
    # The system call, not mount(8): that is not on everybody's PATH.
    if ctypes.CDLL(None).mount(b"tracefs", where.encode(), b"tracefs", 0, None) == 0:
        return Finding("tracefs", "ok", f"{where} (mounted just now)")
    remedy = _as_root(f"mount -t tracefs tracefs {where}")
    return Finding("tracefs", "unavailable", "not mounted", "tracing needs it", remedy)


def tracefs_mount(mounts: str) -> str | None:
    """Return where `/proc/self/mounts` says tracefs is, if where bpftrace looks."""
    known = ("/sys/kernel/tracing", "/sys/kernel/debug/tracing")
    rows = [line.split(" ") for line in mounts.split("\n")]
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
        why = "BPF may not read the kernel's memory: boot with lockdown=integrity instead"
        return Finding("lockdown", "unavailable", mode, why)
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
        remedy = "docker run --privileged --pid=host IMAGE"
        return Finding("privileges", "unavailable", "root, confined", why, remedy)
    return Finding("privileges", "ok", "root")


def effective_capabilities(status: str) -> set[int]:
    """Return the numbers of the effective capabilities in `/proc/PID/status`."""
    found = re.search(r"^CapEff:\s*([0-9a-f]+)$", status, re.MULTILINE)
    bits = int(found.group(1), 16) if found else 0
    return {number for number in range(bits.bit_length()) if bits >> number & 1}


def _bpftrace() -> Finding:
    install = _as_root(_install_command("bpftrace"))
    try:
        bpftrace = find()
    except CannotTraceError as failure:
        found = "not on PATH" if failure.value is None else failure.value.strip()
        return Finding("bpftrace", "unavailable", found, failure.what, install)
    return Finding("bpftrace", "ok", f"{bpftrace} at {bpftrace.command[0]}")


def _as_root(command: str) -> str:
    return command if os.geteuid() == 0 or not command else f"sudo {command}"


def _install_command(package: str) -> str:
    tool = next((_INSTALL[name] for name in os_names(_os_release()) if name in _INSTALL), "")
    return f"{tool} {package}" if tool else ""


def newer_kernel() -> str:
    """Return the command that installs a newer kernel, empty where none is known."""
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
