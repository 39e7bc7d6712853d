"""The demo's own stack: driven, recorded, and gone at the end."""

from __future__ import annotations

import gzip
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from stackledger.capture import bpftrace as tracing
from stackledger.capture.session import Options, Outcome, record
from stackledger.capture.trial import STACK_BYTES, register_padding
from stackledger.errors import CannotTraceError
from stackledger.labs import load, servers
from stackledger.labs import stack as stacks

if TYPE_CHECKING:
    from collections.abc import Callable

    from stackledger.capture.recording import Progress

# A disk that is just too slow for the reads that the load asks for.
READ_IOPS = 60
LOAD = (
    f"8:{stacks.ORDERS_PATH}",
    f"2:{stacks.MIXED_PATH}",
    f"1:{stacks.SEARCH_PATH}",
    "2:/api/busy",
    "1:/api/sleep",
    "1:/api/lock",
)
RATE_HZ = 120.0
CONNECTIONS = 8
DURATION_S = 8.0


def live(
    store: Path,
    *,
    on_progress: Callable[[Progress], None] = lambda _: None,
    raw_folder: Path | None = None,
) -> Outcome:
    """Start nginx → haproxy → application → PostgreSQL, drive it, record it, stop it.

    Raises StackledgerError where a program is missing or the host cannot trace.
    """
    padding = register_padding(tracing.find())
    if padding is None:
        raise CannotTraceError("the ledger cannot run here", hint="stackledger doctor")
    with stacks.stack(throttle_read_iops=READ_IOPS) as running:
        command = load.command(
            running.url, LOAD, connections=CONNECTIONS, rate_hz=RATE_HZ, duration_s=DURATION_S
        )
        os.environ.update(servers.module_path())
        return record(
            Options(
                store=store,
                name="demo",
                command=("sh", "-c", 'exec "$@" >/dev/null', "sh", *command),
                constants={"STACK": STACK_BYTES - padding},
                raw_folder=raw_folder,
            ),
            on_progress,
        )


def pack(capture: Path, raw_folder: Path, recording: Path) -> None:
    """Make the recording that `stackledger demo` replays from a capture and its raw lines."""
    shutil.rmtree(recording, ignore_errors=True)
    recording.mkdir(parents=True)
    shutil.copy2(capture / "capture.json", recording)
    for table in ("process", "host_cpu", "host_disk", "host_net"):
        if (capture / table).is_dir():
            shutil.copytree(capture / table, recording / table)
    for lines in sorted(raw_folder.glob("*.jsonl")):
        # No time of packing inside: the same lines give the same bytes.
        with (recording / f"{lines.name}.gz").open("wb") as file:
            file.write(gzip.compress(lines.read_bytes(), 9, mtime=0))
