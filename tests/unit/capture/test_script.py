"""A user's script: what its header may say, what its rows become."""

from __future__ import annotations

import pytest

from stackledger.capture.intake import Intake
from stackledger.capture.script import from_file, from_line, own_tables
from stackledger.errors import UsageError

HEADER = """#!/usr/bin/env bpftrace
// mine  Whatever it does.
//
// Emits: mine(ts_ns, pid, comm, size_bytes,
//        path string, flags,  who)
// Emits: other(ok bool)
BEGIN { }
"""
# As bpftrace 0.17 and 0.23 print them.
LINES = r"""
{"type": "attached_probes", "data": {"probes": 3}}
{"type": "printf", "data": "hello\tyou 5\n"}
{"type": "value", "data": ["mine", 1000, 7, "a\"b", 4096, "/etc/x", 524288, "root"]}
{"type": "value", "data": ["mine", 2000, 7, "cat", 4096, "/etc/y", 1, "x, y"]}
{"type": "value", "data": ["mine", 3000, 7, "cat", 4096, "/etc/y", "text", "x"]}
{"type": "value", "data": ["other", 1]}
{"type": "value", "data": ["stranger", 1]}
{"type": "value", "data": 5}
{"type": "time", "data": "20\n"}
{"type": "hist", "data": {"@a": [{"max": -1, "count": 2}, {"min": 4, "max": 7, "count": 1}]}}
{"type": "hist", "data": {"@h": {"bpftrace,1": [{"min": 7, "max": 7, "count": 3}]}}}
{"type": "stats", "data": {"@av": 3, "@s": {"count": 1, "average": 4, "total": 4}}}
{"type": "stats", "data": {"@sk": {"1": {"count": 1, "average": 5, "total": 5}}}}
{"type": "map", "data": {"@c": 1, "@k": {"1,a,b": 3}, "@t": {"1": [1,"x"]}, "@str": "hi"}}
{"type": "map", "data": {"@produced_other": 1, "@stackledger_stopped": 1}}
"""


@pytest.fixture
def script(tmp_path):
    """Give a function that makes a script of a text."""

    def made(text, name="mine.bt"):
        path = tmp_path / name
        path.write_text(text)
        return from_file(path)[0]

    return made


def taken(probe, lines):
    intake = Intake(probe, "")
    intake.offset_ns = 10**18
    intake.run.state = "complete"
    intake.open = False
    intake.take(lines.encode())
    found: dict[str, list] = {}
    for table, rows in intake.rows():
        found.setdefault(table, []).extend(rows.to_pylist())
    return intake, found


def test_a_header(script):
    mine, other = script(HEADER).emits
    assert mine.columns == ("ts_ns", "pid", "comm", "size_bytes", "path", "flags", "who")
    assert mine.kinds == ("int", "int", "string", "int", "string", "", "")
    assert (other.table, other.kinds) == ("other", ("bool",))
    assert from_line("BEGIN { exit(); }", 1)[0].name == "-e"
    assert from_line("BEGIN { exit(); }", 2)[0].emits == ()


@pytest.mark.parametrize(
    ("emits", "complaint"),
    [
        ("block_io(ts_ns)", "the name is taken"),
        ("requests(ts_ns)", "the name is taken"),
        ("span(ts_ns)", "the name is taken"),
        ("capture(ts_ns)", "the name is taken"),
        ("script_map(ts_ns)", "the name is taken"),
        ("ended(ts_ns)", "the name is taken"),
        ("Mine(ts_ns)", "small letters"),
        ("mine(a, a)", "names a column twice"),
        ("mine(a blob)", "is none of int, string, bool"),
        ("mine(a int int)", "no proper column"),
        ("mine()", "no proper column"),
        ('mine("; DROP")', "no proper column"),
        ("mine", "is not written like"),
        ("mine(a)\n// Emits: mine(b)", "names a table twice"),
    ],
)
def test_what_a_header_may_not_say(script, emits, complaint):
    with pytest.raises(UsageError, match="the script's Emits: line") as failure:
        script(f"// Emits: {emits}\nBEGIN {{}}\n")
    assert complaint in str(failure.value)


def test_scripts_that_cannot_be_read(tmp_path):
    (tmp_path / "empty.bt").write_text(" \n")
    (tmp_path / "bytes.bt").write_bytes(b'BEGIN { printf("\xff"); }')
    for name, complaint in (("no.bt", "cannot read"), ("empty.bt", "empty"), ("bytes.bt", "UTF-8")):
        with pytest.raises(UsageError, match=complaint):
            from_file(tmp_path / name)


def test_rows_of_its_own_tables(script):
    intake, found = taken(script(HEADER), LINES)
    assert found["mine"] == [
        {
            "ts_ns": 10**18 + 1000,
            "pid": 7,
            "comm": 'a"b',
            "size_bytes": 4096,
            "path": "/etc/x",
            "flags": 524288,
            "who": "root",
        },
        {
            "ts_ns": 10**18 + 2000,
            "pid": 7,
            "comm": "cat",
            "size_bytes": 4096,
            "path": "/etc/y",
            "flags": 1,
            "who": "x, y",
        },
    ]
    assert found["other"] == [{"ok": True}]
    told = {table.name: [column.kind for column in table.columns] for table in intake.own_tables()}
    assert told["mine"] == ["int64", "int64", "string", "int64", "string", "int64", "string"]


def test_what_is_in_no_table_of_its_own(script):
    _, found = taken(script(HEADER), LINES)
    lines = [row["line"] for row in found["script_line"]]
    assert lines == ["hello\tyou 5", '["stranger",1]', "5", "20"]
    assert {row["script"] for row in found["script_line"]} == {"mine.bt"}
    hists = [tuple(row.values())[2:] for row in found["script_hist"]]
    assert hists == [
        ("@a", "", None, -1, 2),
        ("@a", "", 4, 7, 1),
        ("@h", "bpftrace,1", 7, 7, 3),
    ]
    maps = [tuple(row.values())[2:] for row in found["script_map"]]
    assert maps == [
        ("@av", "", "", 3, "3"),
        ("@s", "", "count", 1, "1"),
        ("@s", "", "average", 4, "4"),
        ("@s", "", "total", 4, "4"),
        ("@sk", "1", "count", 1, "1"),
        ("@sk", "1", "average", 5, "5"),
        ("@sk", "1", "total", 5, "5"),
        ("@c", "", "", 1, "1"),
        ("@k", "1,a,b", "", 3, "3"),
        ("@t", "1", "", None, '[1,"x"]'),
        ("@str", "", "", None, "hi"),
    ]


def test_losses_are_not_known_unless_the_script_counts(script):
    intake, _ = taken(script(HEADER), LINES)
    losses = {loss.table: loss for loss in intake.losses()}
    mine, other, line = (losses[name] for name in ("mine", "other", "script_line"))
    assert (mine.produced, mine.received, mine.lost, mine.undecodable) == (None, 2, None, 1)
    assert (other.produced, other.received, other.lost) == (1, 1, 0)
    assert (line.produced, line.received, line.lost) == (None, 4, None)


def test_types_that_no_row_decided(script):
    probe = script(HEADER)
    (mine, _) = own_tables(probe.emits, {})
    assert [column.kind for column in mine.columns][-2:] == ["", ""]
    assert [column.unit for column in mine.columns][:4] == ["ns", "", "", "bytes"]
