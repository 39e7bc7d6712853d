"""The registry of tables: every column's Arrow type, unit and meaning.

Read by the writer (Arrow schemas), the store (views), `show --schema`, the
documentation and a test that compares probes and registry both ways.
All times are nanoseconds. A name that ends in `ts_ns` is a clock reading:
the kernel's boot clock in a probe's row, nanoseconds since the Unix epoch (UTC)
from the writer on. Every other `_ns` is a duration.
"""

from __future__ import annotations

from stackledger.schema import (
    app,
    block,
    fs,
    host,
    ledger,
    net,
    net_sockets,
    proc,
    process,
    sched,
    script,
    syscall,
)
from stackledger.schema.model import Column, Table

SCHEMA_VERSION = 1

_SUBJECTS = (
    *(ledger, block, net, fs, syscall, sched, proc, app),
    *(process, host, net_sockets, script),
)
TABLES: dict[str, Table] = {table.name: table for subject in _SUBJECTS for table in subject.TABLES}

# Relations that the store makes of the manifest and of the layer rules.
FACTS = frozenset(("capture", "disk", "layer_rule", "loss", "overhead", "syscall_name"))

__all__ = ["FACTS", "SCHEMA_VERSION", "TABLES", "Column", "Table"]
