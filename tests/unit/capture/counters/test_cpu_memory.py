"""CPU, memory and pressure from odd files of /proc, and from this host's."""

from __future__ import annotations

import os
import time

import pytest

from stackledger.capture.counters import cpu, memory, pressure

STAT = """\
cpu  100 10 50 1000 7 3 2 4 60 5
cpu0 60 10 30 500 7 3 2 4 60 5
cpu2 40 0 20 500 0 0 0 0 0 0
intr 900 1 2 3
ctxt 5000
processes 70
procs_running 2
procs_blocked 1
softirq 9 1 2
"""
# Linux 6: the 13th column is the CPU's number; CPU 1 is off line.
SOFTNET = "0000000a 00000001 00000002 " + "00000000 " * 9 + "00000000 00000000 00000000\n"
SOFTNET += "0000000b 00000000 00000000 " + "00000000 " * 9 + "00000002 00000000 00000000\n"
TICK = cpu.TICK_NS


def test_the_parts_of_a_line_are_added_up_as_the_columns_say() -> None:
    found = cpu.reading(1, STAT, SOFTNET)
    assert found.times == {
        "user_ns": 110 * TICK,
        "system_ns": 55 * TICK,
        "iowait_ns": 7 * TICK,
        "steal_ns": 4 * TICK,
        "idle_ns": 1000 * TICK,
        "nice_ns": 10 * TICK,
        "irq_ns": 3 * TICK,
        "softirq_ns": 2 * TICK,
    }
    assert found.events == {"context_switches": 5000, "interrupts": 900, "forks": 70}
    assert found.levels == {"running": 2, "blocked": 1}
    assert found.queues[2] == {"net_processed": 11, "net_dropped": 0, "net_squeezed": 0}


def test_a_cpu_that_comes_on_line_and_one_that_leaves_have_no_row() -> None:
    before = cpu.reading(1, STAT, SOFTNET)
    after = cpu.reading(5, STAT.replace("cpu2", "cpu1"), SOFTNET)
    (row,) = cpu.cores(before, after)
    assert (row["cpu"], row["interval_ns"], row["user_ns"]) == (0, 4, 0)


def test_idle_time_that_goes_back_counts_nothing() -> None:
    before = cpu.reading(1, STAT, "")
    after = cpu.reading(2, STAT.replace("cpu0 60 10 30 500 7", "cpu0 61 10 30 499 6"), "")
    row = cpu.cores(before, after)[0]
    assert (row["user_ns"], row["idle_ns"], row["iowait_ns"]) == (TICK, 0, 0)


def test_a_queues_counter_wraps_at_32_bits() -> None:
    before = cpu.reading(1, STAT, "ffffffff 00000000 00000000\n")
    after = cpu.reading(2, STAT, "00000003 00000000 00000000\n")
    assert cpu.cores(before, after)[0]["net_processed"] == 4


def test_an_old_softnet_line_is_that_of_the_cpu_at_its_place() -> None:
    assert set(cpu.queues("1 0 0\n2 0 0\n")) == {0, 1}


def test_memory_has_a_unit_or_is_left_out() -> None:
    told = memory.levels("MemTotal:  12 kB\nHugePages_Total:  5\nOdd\nX: y\n")
    assert told == {"MemTotal": 12288}


def test_reclaim_is_summed_over_whom_this_kernel_names() -> None:
    told = memory.events(
        "pgsteal_kswapd 5\npgsteal_direct 7\npgpgin 3\npgmajfault 2\nnr_free 1\n"
        "workingset_refault_anon 4\nworkingset_refault_file 9\n"
    )
    assert told == {"reclaimed": 12, "paged_in_bytes": 3072, "major_faults": 2, "refaults": 9}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "some avg10=0.11 avg60=0.42 total=12\nfull avg10=0.00 avg60=0.00 total=3\n",
            {"some_ns": 12000, "full_ns": 3000},
        ),
        ("some avg10=0.00 avg60=0.00 avg300=0.00 total=5\n", {"some_ns": 5000}),
        ("full avg10=0.00 avg60=0.00 avg300=0.00 total=5\n", {"full_ns": 5000}),
        ("", {}),
    ],
    ids=["both", "cpu before 5.13", "irq", "empty"],
)
def test_pressure(text: str, expected: dict[str, int]) -> None:
    assert pressure.totals(text) == expected


def test_a_busy_third_of_a_second_is_counted() -> None:
    subject = cpu.Cpu()
    assert subject.rows(1) == {}
    deadline = time.monotonic() + 0.3
    while time.monotonic() < deadline:
        pass
    found = subject.rows(300_000_001)
    (host,) = found["host_cpu"]
    assert host["user_ns"] + host["system_ns"] >= 200_000_000
    assert 0 < host["mem_available_bytes"] <= host["mem_total_bytes"]
    assert host["running"] >= 1
    assert {row["cpu"] for row in found["host_core"]} <= set(range(os.cpu_count() or 1))
    parts = ("user_ns", "system_ns", "iowait_ns", "steal_ns", "idle_ns")
    whole = sum(host[name] for name in parts)
    of_cores = sum(row[name] for row in found["host_core"] for name in parts)
    assert whole == pytest.approx(of_cores, abs=10 * TICK * (os.cpu_count() or 1))
