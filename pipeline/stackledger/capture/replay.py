"""Takes a recording of bpftrace's own lines through decoder and writer, as a capture does.

A recording is a folder: capture.json, a `PROBE.jsonl.gz` for each probe, and the
Parquet parts of what stackledger itself read (processes, host counters).
"""

from __future__ import annotations

import gzip
import shutil
import time
from contextlib import suppress
from pathlib import Path

from stackledger import catalog, parts
from stackledger.capture.intake import Intake
from stackledger.capture.manifest import safe_word, save
from stackledger.capture.partfile import unwritable
from stackledger.capture.writer import PartWriter
from stackledger.errors import StackledgerError
from stackledger.manifest import Manifest, load

_CHUNK_BYTES = 1 << 20


def replay(recording: Path, store: Path) -> Path:
    """Write the capture that a recording was made from into `store`; return its folder.

    Raises StackledgerError where the store cannot be written.
    """
    manifest = load(recording)
    folder = _folder(recording, store, manifest)
    writer = PartWriter(folder)
    intakes = []
    try:
        for run in manifest.probes:
            name = f"{run.name}.{run.variant}" if run.variant else run.name
            probe = catalog.probe(name)
            intake = Intake(probe, "")
            intake.run = run
            intake.offset_ns = manifest.clock_offset_ns
            run.rows = 0
            intakes.append(intake)
            with gzip.open(recording / f"{run.name}.jsonl.gz", "rb") as lines:
                while data := lines.read(_CHUNK_BYTES):
                    intake.take(data)
                    for table, rows in intake.rows():
                        writer.add(table, rows)
                intake.open = False
                for table, rows in intake.rows():
                    writer.add(table, rows)
        writer.close()
    except BaseException:
        with suppress(StackledgerError):
            writer.abort()
        shutil.rmtree(folder, ignore_errors=True)
        raise
    manifest.size_bytes = parts.size_bytes(folder)
    manifest.losses = [loss for intake in intakes for loss in intake.losses()]
    save(manifest, folder)
    return folder


def _folder(recording: Path, store: Path, manifest: Manifest) -> Path:
    """Make the capture's folder, with the tables that no probe printed."""
    day = time.strftime("%Y-%m-%d", time.gmtime(manifest.started_ns // 10**9))
    host = safe_word(manifest.host)
    folder = store / f"dt={day}" / f"host={host}" / f"capture={safe_word(manifest.id)}"
    try:
        if folder.exists():
            shutil.rmtree(folder)
        folder.mkdir(parents=True)
        for table in recording.iterdir():
            if table.is_dir():
                shutil.copytree(table, folder / table.name)
    except OSError as failure:
        shutil.rmtree(folder, ignore_errors=True)
        raise unwritable(store, failure) from None
    return folder
