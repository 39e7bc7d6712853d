"""What the tests of scheduler, processes and profile share: a traced script, and its rows."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from stackledger import store
from stackledger.analysis.queries import run
from stackledger.capture.program import Filters
from stackledger.capture.session import Options, Outcome, record

from .conftest import OTHER_BPFTRACE

# A thread is watched from `begin` to `end`: it bears the name NAME, and what the kernel
# counts is read in an instant in which nothing happens. `counters` are two files' text.
_WATCH = """
import json, os, sys, time, threading, ctypes
def renamed(name):
    with open("/proc/thread-self/comm", "w") as file: file.write(name)
def read(path):
    with open(path) as file: return file.read()
def counters():
    words = dict(line.split(":", 1) for line in read("/proc/thread-self/status").splitlines())
    switches = [int(words[kind + "_ctxt_switches"]) for kind in ("voluntary", "nonvoluntary")]
    return switches + [int(word) for word in read("/proc/thread-self/schedstat").split()[1:2]]
def at_once(name):
    # None where something happened around the renaming: under which name is not known.
    before = counters(); renamed(name); after = counters()
    return after if before == after else None
def settled(name):
    # After one sleep and nothing else: the last wait for a CPU is counted when the thread
    # leaves that CPU, so under the new name. Its length is the counters' last.
    while True:
        first = counters(); time.sleep(0.001); before = counters(); renamed(name)
        if counters() == before and before[:2] == [first[0] + 1, first[1]]:
            return [*before, before[2] - first[2]]
        name = name[:-1] + chr(ord(name[-1]) + 1)
def own_name(): return read("/proc/thread-self/comm").strip()
def tell(**words):
    with open(sys.argv[1], "w") as file: json.dump(words, file)
"""


@dataclass(frozen=True)
class Traced:
    """A capture of one script: what the script told, and a connection."""

    outcome: Outcome
    told: dict[str, Any]
    sql: duckdb.DuckDBPyConnection

    def rows(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """Return the rows of a statement with $1, $2 …"""
        return self.sql.execute(statement, list(values)).fetchall()

    def query(self, name: str) -> list[dict[str, Any]]:
        """Return the rows of a named query."""
        result = run(self.sql, name)
        return [dict(zip(result.columns, row, strict=True)) for row in result.rows]


def traced(
    folder: Path, probes: tuple[str, ...], script: str, *comms: str, **options: Any
) -> Traced:
    """Record while a Python script runs; nothing may be lost."""
    told = folder / "told.json"
    outcome = record(
        Options(
            store=folder / "store",
            probes=probes,
            command=(sys.executable, "-c", _WATCH + script, str(told)),
            filters=Filters(comms=comms),
            bpftrace=OTHER_BPFTRACE or None,
            **options,
        )
    )
    assert outcome.exit_code == 0, outcome.manifest.error
    for loss in outcome.manifest.losses:
        assert (loss.lost, loss.undecodable) == (0, 0), loss
        assert loss.produced == loss.received
    words = json.loads(told.read_text()) if told.exists() else {}
    return Traced(outcome, words, store.connect(store.find("last", folder / "store")))
