"""What the kernel sums up: what enters the program, and what is read from its maps."""

from __future__ import annotations

import pytest

from stackledger.capture.sums import Sums, expanded, parts
from stackledger.catalog import Summed
from stackledger.errors import StackledgerError

COUNT = Summed(
    "syscall_count", ("pid", "syscall", "comm"), ("calls", "errors", "total_ns", "max_ns")
)
LATENCY = Summed("syscall_latency", ("syscall", "bucket_ns"), ("calls",))
TEMPLATE = """#!/usr/bin/env bpftrace
// the manual
tracepoint:a:b
{
  $now = nsecs;
  // @sum syscall_count[pid, (int64)f(1, 2), comm] += 1, $failed, $dur, $dur
  // @sum syscall_latency[3, 4] += 1
}
"""


def test_a_sum_is_written_out_for_both_seconds() -> None:
    program = expanded(TEMPLATE, (COUNT, LATENCY))
    assert program.startswith("#!/usr/bin/env bpftrace\nBEGIN {")
    assert "// @sum" not in program
    for parity in ("even", "odd"):
        assert f"$was_syscall_count = @syscall_count_{parity}[cpu, pid, (int64)f(1, 2), comm];" in (
            program
        )
        assert f"@syscall_latency_{parity}[cpu, 3, 4] = $was_syscall_latency + (uint64)(1);" in (
            program
        )
        assert f"print(@syscall_count_{parity}); clear(@syscall_count_{parity});" in program
    assert program.count("@produced_syscall_count = count();") == 1
    assert (
        "$was_syscall_count.3 > (uint64)($dur) ? $was_syscall_count.3 : (uint64)($dur)" in program
    )
    # Errors name lines of the file.
    assert program.splitlines()[1].endswith("// the manual")


def test_a_probes_own_begin_takes_the_types_in() -> None:
    """bpftrace 0.23 refuses a second one."""
    own = TEMPLATE.replace("tracepoint:a:b", "BEGIN\n{\n  @own = 1;\n}\n\ntracepoint:a:b")
    program = expanded(own, (COUNT, LATENCY))
    assert program.count("BEGIN") == 1
    assert "BEGIN\n{ @stackledger_second = (uint64)0; " in program
    assert program.index("delete(@syscall_latency_odd[") < program.index("  @own = 1;")
    assert program.count("\n", 0, program.index("@own")) == own.count("\n", 0, own.index("@own"))


def test_a_program_without_sums_is_left_alone() -> None:
    assert expanded("tracepoint:a:b { }", ()) == "tracepoint:a:b { }"


@pytest.mark.parametrize(
    "line",
    [
        "// @sum other[1] += 1",
        "// @sum syscall_latency[1] += 1",
        "// @sum syscall_latency[1, 2] += 1, 2",
    ],
)
def test_a_line_that_does_not_fit_the_header(line: str) -> None:
    with pytest.raises(StackledgerError):
        expanded(line, (LATENCY,))


def test_parts() -> None:
    assert parts("a, f(b, c), d[e, f] , g") == ["a", "f(b, c)", "d[e, f]", "g"]


def _read(sums: Sums, name: str, content: dict[str, object]) -> list[dict[str, object]]:
    taken = sums.take(name, content)
    return [] if taken is None else taken[1].to_pylist()


def test_cpus_are_added_up_and_the_largest_kept() -> None:
    sums = Sums((COUNT,))
    sums.begin_second(101)
    rows = _read(
        sums,
        "@syscall_count_even",
        {"0,7,1,sh": [2, 1, 10, 9], "1,7,1,sh": [3, 0, 20, 5], "1,7,2,sh": [1, 0, 1, 1]},
    )
    assert sorted(rows, key=lambda row: str(row["syscall"])) == [
        {
            "ts_ns": 101 * 10**9,
            "interval_ns": 10**9,
            "pid": 7,
            "syscall": 1,
            "comm": "sh",
            "calls": 5,
            "errors": 1,
            "total_ns": 30,
            "max_ns": 9,
        },
        {
            "ts_ns": 101 * 10**9,
            "interval_ns": 10**9,
            "pid": 7,
            "syscall": 2,
            "comm": "sh",
            "calls": 1,
            "errors": 0,
            "total_ns": 1,
            "max_ns": 1,
        },
    ]


@pytest.mark.parametrize(
    ("escape_map", "key", "comm"),
    [
        ({'"': 1}, '0,7,1,a","x":1}\\ \t,é', 'a","x":1}\\ \t,é'),
        ({'\\"': 1}, '0,7,1,a\\",\\"x\\":1}\\\\ \\t,é', 'a","x":1}\\ \t,é'),
        ({'"': 1}, "0,7,1,\uffffffc3\uffffffa9", "é"),
        ({'"': 1}, "0,7,1,\uffffffc3", "\ufffd"),
        ({'"': 1}, "0,7,1,", ""),
        ({'\\"': 1}, "0,7,1,\\q", "\\q"),
    ],
)
def test_names_that_processes_choose(escape_map: dict[str, int], key: str, comm: str) -> None:
    sums = Sums((COUNT,))
    assert sums.take("@stackledger_escape", escape_map) is None
    ((row),) = _read(sums, "@syscall_count_odd", {key: [1, 0, 1, 1]})
    assert (row["pid"], row["syscall"], row["comm"]) == (7, 1, comm)


def test_pointers_are_signed_numbers() -> None:
    sums = Sums((LATENCY,))
    rows = _read(sums, "@syscall_latency_odd", {"0,1,18446744073709551615": 2, "0,1,-2": 1})
    assert {(row["bucket_ns"], row["calls"]) for row in rows} == {(-1, 2), (-2, 1)}


def test_the_last_maps_belong_to_the_seconds_that_were_not_printed() -> None:
    sums = Sums((LATENCY,))
    sums.begin_second(11)
    seconds = [
        _read(sums, f"@syscall_latency_{parity}", {"0,1,1": 1})[0]["ts_ns"]
        for parity in ("even", "odd", "even")
    ]
    assert seconds == [11 * 10**9, 12 * 10**9, 13 * 10**9]


@pytest.mark.parametrize(
    "content", [{"0,1": 1}, {"0,1,2": [1, 2]}, {"0,1,2": "x"}, {"0,x,2": 1}, {"0,1,2,3": 1}]
)
def test_a_map_that_is_not_as_its_header_says(content: dict[str, object]) -> None:
    sums = Sums((LATENCY,))
    with pytest.raises((ValueError, TypeError)):
        sums.take("@syscall_latency_odd", content)


def test_other_maps_are_not_touched() -> None:
    sums = Sums((LATENCY,))
    assert sums.owns("@syscall_latency_even")
    assert not sums.owns("@syscall_count_even")
    assert not sums.owns("@syscall_latency")
