"""The header grammar, and what every probe of ours says of itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from stackledger import catalog
from stackledger.capture.bpftrace import Bpftrace, longest
from stackledger.capture.layout import raw_kind
from stackledger.errors import CannotTraceError, StackledgerError, UsageError
from stackledger.schema import TABLES

PROBE = """#!/usr/bin/env bpftrace
// some_io   Times something.
//
// Emits:     some_io(ts_ns, pid,
//            comm)
// Emits:     other(ts_ns); third(ts_ns, x)
// Needs:     bpftrace >= 0.17; BTF; tracepoint:block:block_rq_issue, block_rq_complete;
//            tracepoint:sock:sk_data_ready
// Grade:     exact, mostly
// Caveats:   see: below
//
// Prose: is not a key any more.
BEGIN { }
"""

QUERY = """-- slow_things   What was slow.
--
-- Answers:  which things were slow
-- Params:   top   how many rows (default 10)
-- Returns:  thing, wall_ns
-- Cost:     one scan
SELECT 1
"""


def _written(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_a_probe(tmp_path: Path) -> None:
    probe = catalog.read_probe(_written(tmp_path, "some_io.fentry.bt", PROBE))
    assert (probe.name, probe.variant, probe.purpose) == ("some_io", "fentry", "Times something.")
    assert [(one.table, one.columns) for one in probe.emits] == [
        ("some_io", ("ts_ns", "pid", "comm")),
        ("other", ("ts_ns",)),
        ("third", ("ts_ns", "x")),
    ]
    assert probe.min_bpftrace == (0, 17)
    assert probe.hooks == (
        "tracepoint:block:block_rq_issue",
        "tracepoint:block:block_rq_complete",
        "tracepoint:sock:sk_data_ready",
    )
    assert probe.grade == "exact, mostly"
    assert probe.caveats == "see: below"
    assert probe.text() == PROBE
    assert probe.string_bytes == 0


def test_a_probe_with_long_texts(tmp_path: Path) -> None:
    text = PROBE.replace("// Caveats:   see: below", "// Strings:   192")
    probe = catalog.read_probe(_written(tmp_path, "some_io.bt", text))
    assert probe.string_bytes == 192
    # Older ones build them on a stack of 512 bytes.
    for version, expected in (((0, 17, 0), 64), ((0, 21, 3), 64), ((0, 23, 2), 192)):
        assert longest(Bpftrace(("bpftrace",), version), probe.string_bytes) == expected


def test_a_query(tmp_path: Path) -> None:
    query = catalog.read_query(_written(tmp_path, "slow_things.sql", QUERY))
    assert (query.name, query.purpose) == ("slow_things", "What was slow.")
    assert query.answers == "which things were slow"
    assert query.params == "top   how many rows (default 10)"
    assert query.returns == "thing, wall_ns"
    assert query.cost == "one scan"


@pytest.mark.parametrize(
    ("change", "line", "said"),
    [
        (("// some_io   Times something.", "// Times"), 2, "'// name   purpose'"),
        (("// some_io   Times", "// other_io   Times"), 2, "names other_io"),
        (("some_io(ts_ns, pid,", "some_io ts_ns, pid,"), 4, "'table(column, …)'"),
        (("some_io(ts_ns, pid,", "some_io(ts_ns, Pid,"), 4, "no proper column name: 'Pid'"),
        (("some_io(ts_ns, pid,", "some_io(ts_ns, ts_ns,"), 4, "a column twice"),
        (("bpftrace >= 0.17", "bpftrace"), 7, "MAJOR.MINOR"),
        (("exact, mostly", "perfect"), 9, "is none of"),
        (("// Grade:", "// Graed:"), 9, "unknown key Graed"),
        (("// Emits:     some_io(ts_ns, pid,", "// what is this"), 4, "neither 'Key: value'"),
        ((PROBE, "BEGIN { }\n"), 1, "no header"),
        (("// Grade:     exact, mostly\n", ""), 2, "lacks Grade:"),
        (("// Caveats:   see: below", "// Strings:   long"), 10, "not a number of bytes"),
    ],
)
def test_errors_name_the_file_and_the_line(
    tmp_path: Path, change: tuple[str, str], line: int, said: str
) -> None:
    path = _written(tmp_path, "some_io.bt", PROBE.replace(*change))
    with pytest.raises(StackledgerError) as failure:
        catalog.read_probe(path)
    assert f"{path}:{line}: " in str(failure.value)
    assert said in str(failure.value)


def test_an_unknown_probe_has_its_nearest_name() -> None:
    with pytest.raises(UsageError, match="no such probe: block_oi") as failure:
        catalog.probe("block_oi")
    assert failure.value.hint is not None
    assert "block_io" in failure.value.hint


def test_the_best_variant_that_this_bpftrace_can_run() -> None:
    assert catalog.probe("block_io", (0, 17, 0)).variant == "tracepoint"
    assert catalog.probe("block_io", (0, 23, 2)).variant == "rawtracepoint"
    assert catalog.probe("block_io.tracepoint", (0, 23, 2)).variant == "tracepoint"
    with pytest.raises(UsageError):
        catalog.probe("block_io", (0, 16))


def test_the_best_variant_that_this_kernel_can_run() -> None:
    new = {hook for one in catalog.variants("block_io")[:2] for hook in one.hooks}
    old = {*catalog.probe("block_io.fentry").hooks}
    assert catalog.probe("block_io", (0, 23, 2), new.__contains__).variant == "rawtracepoint"
    assert catalog.probe("block_io", (0, 17, 0), new.__contains__).variant == "tracepoint"
    assert catalog.probe("block_io", (0, 17, 0), (new | old).__contains__).variant == "tracepoint"
    assert catalog.probe("block_io", (0, 23, 2), old.__contains__).variant == "fentry"
    less = old - {"tracepoint:block:block_rq_merge"}
    with pytest.raises(CannotTraceError, match="this kernel lacks what the probe needs: block_io"):
        catalog.probe("block_io", (0, 23, 2), less.__contains__)


def test_a_probe_says_what_it_lacks() -> None:
    ledger = catalog.variants("request_ledger")[0]
    assert ledger.variant == ""
    assert ledger.lacks((0, 16), None) == ["bpftrace 0.17 or later"]
    assert ledger.lacks((0, 17), lambda hook: "sock_" not in hook) == [
        "tracepoint:sock:sock_recv_length",
        "tracepoint:sock:sock_send_length",
        "tracepoint:sock:inet_sock_set_state",
    ]
    assert ledger.lacks((0, 17), lambda _hook: True) == []


def test_every_probe_emits_registered_tables() -> None:
    for name, probe in catalog.probes().items():
        for emitted in probe.emits:
            assert emitted.table in TABLES, name
            assert "ts_ns" in emitted.columns, name
            for column in emitted.columns:
                assert raw_kind(emitted.table, column) in {"int", "bool", "string"}
