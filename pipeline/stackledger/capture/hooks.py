"""What the running kernel offers to attach to: by its own lists, and a dry attach."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path

from stackledger.capture import trial
from stackledger.capture.bpftrace import Bpftrace

_PLACES = (Path("/sys/kernel/tracing"), Path("/sys/kernel/debug/tracing"))
_KPROBES = ("kprobe", "kretprobe")
_FUNCTIONS = ("kfunc", "kretfunc", "fentry", "fexit", *_KPROBES)


@cache
def offered(bpftrace: Bpftrace) -> Callable[[str], bool]:
    """Return what tells whether this host has a hook: `tracepoint:block:block_rq_issue`."""
    place = next((one for one in _PLACES if (one / "events").is_dir()), _PLACES[0])
    return listed(place, lambda hook: trial.attach(bpftrace, "dry", f"{hook} {{ }}\n") is None)


def listed(tracefs: Path, attaches: Callable[[str], bool]) -> Callable[[str], bool]:
    """Return what tells whether a hook is in tracefs' lists.

    A tracepoint may be asked for a field: `tracepoint:tcp:tcp_send_reset.reason`.
    Of functions it is not enough to be listed: `attaches` is asked for the first of
    a kind. Lockdown may forbid to read their list. Hooks that are neither tracepoints
    nor functions of the kernel are always there.
    """
    kinds: dict[str, bool] = {}

    @cache
    def functions() -> frozenset[str]:
        with suppress(OSError):
            lines = (tracefs / "available_filter_functions").read_text("utf-8").splitlines()
            return frozenset(line.split(" ", 1)[0] for line in lines)
        return frozenset()

    @cache
    def tracepoints() -> frozenset[str]:
        return frozenset(one.name for one in (tracefs / "events").glob("*/*"))

    def has(hook: str) -> bool:
        kind, _, name = hook.partition(":")
        if kind == "tracepoint":
            event, _, field = name.partition(".")
            place = tracefs / "events" / event.replace(":", "/")
            return _has_field(place / "format", field) if field else place.is_dir()
        if kind == "rawtracepoint":
            return name in tracepoints()
        if kind not in _FUNCTIONS:
            return True
        if name not in functions():
            return False
        means = "kprobe" if kind in _KPROBES else "fentry"
        if means not in kinds:
            kinds[means] = attaches(hook)
        return kinds[means]

    return has


def _has_field(layout: Path, field: str) -> bool:
    with suppress(OSError):
        return bool(
            re.search(rf"\b{re.escape(field)}(\[\d*\])?;\toffset:", layout.read_text("utf-8"))
        )
    return False
