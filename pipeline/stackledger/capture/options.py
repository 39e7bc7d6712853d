"""What a capture is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from stackledger import catalog
from stackledger.capture.limits import attach_limit_s
from stackledger.capture.program import Filters
from stackledger.capture.upkeep import Pace


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
