"""Probes and registry agree: what is printed is registered, what is registered is printed."""

from __future__ import annotations

import re
import time
from contextlib import closing

import pytest

from stackledger import catalog
from stackledger.capture import openfiles, topology
from stackledger.capture.clock import anchor
from stackledger.capture.counters.namespaces import Namespaces
from stackledger.capture.counters.process import Processes
from stackledger.capture.counters.sampler import Sampler, subjects
from stackledger.capture.decode import Decoder
from stackledger.capture.derive import derive
from stackledger.capture.layout import raw_kind
from stackledger.capture.program import unfolded
from stackledger.capture.writer import arrow_schema
from stackledger.schema import TABLES, host, net_sockets

# Raw columns that capture/derive.py turns into others; all the rest keep their names.
DERIVED = {
    "local_ip": {"local_addr"},
    "remote_ip": {"remote_addr"},
    "role": {"accepted"},
    "rtt_us": {"rtt_ns"},
    "end_code": {"ended"},
    "tcp_state": {"state"},
    "retransmit_code": {"kind"},
    "reset_code": {"reason"},
    "reason_code": {"reason"},
    "protocol_code": {"protocol"},
    "buffer_code": {"buffer"},
    "pid_tid": {"pid", "tid"},
    "calls_handovers": {"calls", "handovers"},
    "first": {"protocol", "endpoint", "statement", "payload"},
    "answer": {"status", "error"},
    "cmd_flags": {"rwbs"},
    "blk_status": {"error"},
}
# The one column that some table lacks although it is derived: calls keep no payload.
NOT_KEPT = {("call", "payload")}
# Read from /proc and /sys.
OF_THE_HOST = {"process", "open_file"}
OF_THE_HOST |= {one.name for one in (*host.TABLES, *net_sockets.TABLES)}

# Of a user's own script.
OF_SCRIPTS = {"script_map", "script_hist", "script_line"}

EMITTED = [(stem, emitted) for stem, probe in catalog.probes().items() for emitted in probe.emits]
SUMMED = [(stem, summed) for stem, probe in catalog.probes().items() for summed in probe.sums]
IDS = [f"{stem}-{emitted.table}" for stem, emitted in EMITTED]


@pytest.mark.parametrize(("stem", "emitted"), EMITTED, ids=IDS)
def test_what_a_probe_emits_is_what_is_registered(stem, emitted):
    made = {name for raw in emitted.columns for name in DERIVED.get(raw, {raw})}
    made -= {column for table, column in NOT_KEPT if table == emitted.table}
    assert made == {column.name for column in TABLES[emitted.table].columns}


@pytest.mark.parametrize(
    ("stem", "summed"), SUMMED, ids=[f"{stem}-{summed.table}" for stem, summed in SUMMED]
)
def test_what_a_probe_sums_is_what_is_registered(stem, summed):
    columns = [column.name for column in TABLES[summed.table].columns]
    keys = [name for raw in summed.keys for name in DERIVED.get(raw, {raw})]
    assert columns == ["ts_ns", "interval_ns", *keys, *summed.values]


def test_every_table_is_emitted_by_a_probe_or_read_from_the_host():
    of_probes = {emitted.table for _stem, emitted in EMITTED}
    of_probes |= {summed.table for _stem, summed in SUMMED}
    assert of_probes | OF_THE_HOST | OF_SCRIPTS == set(TABLES)
    assert not of_probes & OF_THE_HOST


@pytest.mark.parametrize(("stem", "emitted"), EMITTED, ids=IDS)
def test_derive_fills_every_column(stem, emitted):
    """A row of ones has a value in each column of its table, and nothing else comes of it."""
    ones = {"string": "GET / HTTP/1.1\\x0d\\x0a", "bool": True, "int": 1}
    row = [ones[raw_kind(emitted.table, name)] for name in emitted.columns]
    raw = Decoder(catalog.probe(stem).emits).table(emitted.table, [row])
    derived = derive(emitted.table, raw, 0, payload=True)
    assert derived.column_names == arrow_schema(emitted.table).names
    (found,) = derived.to_pylist()
    assert [name for name, value in found.items() if value is None] == []


@pytest.mark.parametrize("stem", sorted(catalog.probes()))
def test_a_program_prints_as_many_values_as_its_header_says(stem):
    probe = catalog.probes()[stem]
    program = unfolded(probe.text())
    columns = {emitted.table: len(emitted.columns) for emitted in probe.emits}
    printed = {
        (table, fields.count("\\x7f"))
        for table, fields in re.findall(r'printf\("(\w+)((?:\\x7f%\w+)+)\\n"', program)
    }
    for table, values in re.findall(r'print\(\("(\w+)", (.*?)\)\);', program, re.DOTALL):
        if table in columns:
            printed.add((table, len(_split(values))))
    assert printed == set(columns.items())


def _split(values: str) -> list[str]:
    """Return the parts between commas that are in no parentheses and no brackets."""
    parts, depth = [""], 0
    for letter in values:
        depth += (letter in "([") - (letter in ")]")
        if letter == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += letter
    return parts


def test_what_is_read_from_the_host_is_what_is_registered():
    now = anchor()
    with closing(Sampler(now)) as sampler:
        time.sleep(0.12)
        tables = {
            **sampler.tick(anchor(), 0),
            "process": topology.processes(now, set()),
            "open_file": openfiles.OpenFiles().look(now),
        }
    # A kernel may be built without pressure; a host may have no cgroup but the root.
    assert OF_THE_HOST - {"host_pressure", "cgroup_stat", "socket"} <= set(tables) <= OF_THE_HOST
    for name, rows in tables.items():
        assert rows.schema.names == arrow_schema(name).names


@pytest.mark.parametrize(
    "subject", subjects(Namespaces(), Processes()), ids=lambda subject: type(subject).__name__
)
def test_a_subject_names_no_column_that_is_not_registered(subject):
    """Arrow would leave it out without a word."""
    subject.rows(1)
    time.sleep(0.02)
    for table, rows in subject.rows(2).items():
        registered = {column.name for column in TABLES[table].columns}
        for row in rows:
            assert set(row) <= registered - {"ts_ns"}
