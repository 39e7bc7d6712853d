"""The demo's own stack: driven, recorded, and gone at the end."""

from __future__ import annotations

import gzip
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow.compute as pc
import pyarrow.parquet as pq

from stackledger.capture import bpftrace as tracing
from stackledger.capture.manifest import save
from stackledger.capture.session import Options, Outcome, record
from stackledger.capture.trial import STACK_BYTES, register_padding
from stackledger.errors import CannotTraceError
from stackledger.labs import load, servers
from stackledger.labs import stack as stacks
from stackledger.manifest import load as load_manifest

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
    """Make the recording that `stackledger demo` replays from a capture and its raw lines.

    It is shipped: of this host's processes only those that served stay, and of
    their programs and arguments no folder.
    """
    shutil.rmtree(recording, ignore_errors=True)
    recording.mkdir(parents=True)
    for table in ("host_cpu", "host_disk", "host_net"):
        (recording / table).mkdir()
        parts = pq.read_table(capture / table)
        pq.write_table(parts, recording / table / "part-000001.parquet", compression="zstd")
    served = pq.read_table(capture / "request", columns=["pid"])["pid"].unique()
    processes = pq.read_table(capture / "process")
    processes = processes.filter(pc.is_in(processes["pid"], value_set=served))
    for name in ("exe", "cmdline", "cgroup"):
        bare = pc.replace_substring_regex(processes[name].cast("string"), r"\S*/", "")
        processes = processes.set_column(processes.column_names.index(name), name, bare)
    (recording / "process").mkdir()
    pq.write_table(processes, recording / "process" / "part-000001.parquet", compression="zstd")
    told = load_manifest(capture)
    ports = {one.port for one in told.topology.listeners if one.pid in served.to_pylist()}
    told.topology.listeners = [one for one in told.topology.listeners if one.port in ports]
    told.topology.cgroups = []
    told.host = "demo"
    told.boot_id = ""
    told.command = None
    save(told, recording)
    for lines in sorted(raw_folder.glob("*.jsonl")):
        # No time of packing inside: the same lines give the same bytes.
        with (recording / f"{lines.name}.gz").open("wb") as file:
            file.write(gzip.compress(lines.read_bytes(), 9, mtime=0))
