"""What a capture has before its first row: a manifest of what is here now, and a folder."""

from __future__ import annotations

import os
import platform
import secrets
import shutil
import time
from contextlib import suppress
from pathlib import Path

import stackledger
from stackledger.capture import bpftrace as tracing
from stackledger.capture import private, topology
from stackledger.capture.manifest import safe_word
from stackledger.capture.options import Options
from stackledger.capture.partfile import unwritable
from stackledger.manifest import Manifest, redaction
from stackledger.schema import SCHEMA_VERSION


def new_manifest(options: Options, bpftrace: tracing.Bpftrace) -> Manifest:
    """Return the manifest of a capture that begins, with what is on this host now."""
    host = platform.node() or "unnamed"
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    return Manifest(
        schema_version=SCHEMA_VERSION,
        id=f"{stamp}-{secrets.token_hex(3)}",
        name=options.name,
        state="recording",
        host=host,
        kernel=platform.release(),
        boot_id=topology.boot_id(),
        machine=topology.machine(),
        stackledger=stackledger.__version__,
        bpftrace=str(bpftrace),
        writer_pid=os.getpid(),
        options={
            "duration_s": options.duration_s,
            "keep_ns": options.pace.kept.keep_ns,
            "max_bytes": options.pace.kept.max_bytes,
            "payload": options.payload,
            "function": options.function,
            "map_keys": options.map_keys,
            "string_bytes": options.string_bytes,
            "max_overhead": options.max_overhead,
        },
        filters={
            "pid": [str(pid) for pid in options.filters.pids],
            "comm": list(options.filters.comms),
            "cgroup": list(options.filters.cgroups),
        },
        constants=dict(options.constants),
        topology=topology.snapshot(),
        probes=[],
        redaction=redaction(payload=options.payload),
    )


def make_folder(store: Path, manifest: Manifest) -> Path:
    """Make a capture's own folder and return it; raises StackledgerError where it cannot be."""
    day = time.strftime("%Y-%m-%d", time.gmtime())
    names = (f"dt={day}", f"host={safe_word(manifest.host)}", f"capture={manifest.id}")
    folder = store.joinpath(*names)
    try:
        private.make(store, names)
        # Root can make folders on a full disk; a byte tells.
        trial = folder / ".trial"
        trial.write_bytes(b"0" * 4096)
        trial.unlink()
    except OSError as failure:
        remove(folder)
        raise unwritable(store, failure) from None
    return folder


def remove(folder: Path) -> None:
    """Remove a capture's folder, and its day's and host's where they are empty now."""
    shutil.rmtree(folder, ignore_errors=True)
    with suppress(OSError):
        folder.parent.rmdir()
        folder.parent.parent.rmdir()
