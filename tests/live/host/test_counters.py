"""The host's counters against iostat, ip, nstat, and what a process says of itself."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from stackledger.analysis.queries import run

pytestmark = pytest.mark.live

_SPEC = importlib.util.spec_from_file_location("scene", Path(__file__).with_name("scene.py"))
assert _SPEC is not None
assert _SPEC.loader is not None
scene = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(scene)


def test_a_disk_s_counters_are_exactly_what_was_done(recorded):
    found = recorded.one(
        "SELECT sum(reads) AS reads, sum(writes) AS writes, sum(read_bytes) AS read_bytes,"
        " sum(write_bytes) AS write_bytes FROM host_disk WHERE disk = $1"
        " AND ts_ns < (SELECT min(ts_ns) + 7000000000 FROM host_disk)",
        recorded.device,
    )
    # The process of the scene reads 1 MB later; only dd writes.
    assert found["writes"] == scene.WRITES
    assert found["write_bytes"] == scene.WRITES * scene.BLOCK
    assert found["reads"] >= scene.READS + scene.GROUP_READS


def test_iostat_s_columns_are_sysstat_s(recorded):
    """Sums over the seconds of sysstat's one interval, in which this disk did only our I/O."""
    result = run(recorded.sql, "iostat", {"disk": recorded.device})
    rows = [dict(zip(result.columns, row, strict=True)) for row in result.rows]
    seconds = dict(
        recorded.sql.execute(
            "SELECT ts_ns, interval_ns / 1e9 FROM host_disk WHERE disk = $1", [recorded.device]
        ).fetchall()
    )
    # What came before the first write was dd's; the later reads are another's.
    last = max(row["ts_ns"] for row in rows if row["w/s"] > 0)
    rows = [row for row in rows if row["ts_ns"] <= last]
    # The cgroup's reads came a second and more before dd's.
    first = min(row["ts_ns"] for row in rows if row["r/s"] > 0)
    rows = [row for row in rows if row["ts_ns"] > first]

    def total(column):
        return sum((row[column] or 0) * seconds[row["ts_ns"]] for row in rows)

    def weighted(column, by):
        return total_of(column, by) / total(by)

    def total_of(column, by):
        return sum((row[column] or 0) * row[by] * seconds[row["ts_ns"]] for row in rows)

    told, length = recorded.told["disk"], scene.IOSTAT_S
    # sysstat prints two digits after the point, and its interval is a few ms off.
    for column, per_s in (("r/s", 1), ("w/s", 1), ("rkB/s", 8), ("wkB/s", 8)):
        assert total(column) == pytest.approx(told[column] * length, rel=0.01, abs=0.05 * per_s)
    for column, by in (("r_await", "r/s"), ("w_await", "w/s")):
        assert weighted(f"{column}_ns", by) / 1e6 == pytest.approx(told[column], abs=0.011)
    assert weighted("rareq_bytes", "r/s") / 1024 == pytest.approx(told["rareq-sz"], abs=0.011)
    assert total("aqu-sz") == pytest.approx(told["aqu-sz"] * length, rel=0.02, abs=0.03)
    assert total("util_share") * 100 == pytest.approx(told["util"] * length, rel=0.02, abs=0.3)


def test_a_namespace_s_counters_are_nstat_s(recorded):
    before, after = recorded.told["connections"]["before"], recorded.told["connections"]["after"]
    grown = {name: value - before.get(name, 0) for name, value in after.items()}
    assert grown["TcpActiveOpens"] == 29 + 13
    assert grown["TcpAttemptFails"] == 13
    assert grown["UdpOutDatagrams"] == 31
    found = dict(
        recorded.sql.execute(
            "SELECT protocol || name, sum(value) FROM host_protocol"
            " WHERE netns = $1 AND protocol IN ('Tcp', 'TcpExt', 'Udp')"
            " AND name <> 'CurrEstab' GROUP BY ALL",
            [recorded.netns],
        ).fetchall()
    )
    told = {
        name: value
        for name, value in grown.items()
        if value and name.startswith(("Tcp", "Udp")) and not name.startswith(("Udp6", "UdpLite"))
    }
    # 47 datagrams came later, by the cable.
    told["UdpNoPorts"] += scene.PINGS
    assert found == told


def test_an_interface_that_comes_goes_and_comes_again(recorded):
    told = recorded.told["interface"]
    (name,) = told["name"]
    columns = list(told["begun"])
    rows = recorded.sql.execute(
        f"SELECT ts_ns, {', '.join(columns)} FROM host_net WHERE interface = $1 ORDER BY ts_ns",
        [name],
    ).fetchall()
    assert len(rows) >= 3
    for position, column in enumerate(columns, 1):
        sent = told["ended"][column] - told["begun"][column]
        values = [row[position] for row in rows]
        assert min(values) >= 0
        # All of it was counted while the first cable was there; the second's is its own.
        assert sent <= sum(values) <= told["ended"][column] + told["last"][column]
    packets = dict(
        zip(columns, map(sum, zip(*(row[1:] for row in rows), strict=True)), strict=True)
    )
    assert packets["send_packets"] >= scene.PINGS
    names = [row[0] for row in run(recorded.sql, "nicstat", {"interface": name}).rows]
    assert names == [row[0] for row in rows]


def test_cpu_memory_and_reads_of_a_cgroup_of_either_version(recorded):
    assert recorded.groups, "no cgroup hierarchy here counts CPU time"
    counted = set()
    for path in recorded.groups:
        found = recorded.one(
            "SELECT sum(cpu_ns) AS cpu_ns, sum(user_ns + system_ns) AS parts_ns,"
            " max(memory_bytes) AS memory_bytes, sum(reads) AS reads,"
            " sum(read_bytes) AS read_bytes, max(tasks) AS tasks"
            " FROM cgroup_stat WHERE cgroup = $1",
            path,
        )
        burnt_ns = recorded.told["cpu_s"] * 1e9
        # The process also ends in the group.
        assert found["cpu_ns"] == pytest.approx(burnt_ns, rel=0.02, abs=15e6), path
        assert found["parts_ns"] == pytest.approx(burnt_ns, rel=0.05, abs=30e6), path
        counted |= {name for name, value in found.items() if value is not None}
        if found["memory_bytes"] is not None:
            assert scene.MEMORY <= found["memory_bytes"] < 2 * scene.MEMORY
        if found["reads"] is not None:
            assert found["reads"] == scene.GROUP_READS
            assert found["read_bytes"] == scene.GROUP_READS * scene.BLOCK
        if found["tasks"] is not None:
            assert found["tasks"] == 1
    assert counted >= {"memory_bytes", "reads", "tasks"}
    listed = {row[0]: row[2] for row in run(recorded.sql, "cgroups").rows}
    assert set(recorded.groups) <= set(listed)


def test_a_process_s_counters_are_what_it_says_of_itself(recorded):
    """Its rows up to the second time that it told lie between what it told the two times."""
    first, second = recorded.told["process"]
    found = recorded.one(
        "SELECT sum(cpu_ns) AS cpu, sum(runq_ns) AS runq, sum(read_calls) AS syscr,"
        " sum(read_call_bytes) AS rchar, sum(read_bytes) AS read_bytes,"
        " sum(voluntary_switches) AS voluntary, sum(involuntary_switches) AS involuntary,"
        " max(threads) AS threads, min(interval_ns) AS shortest"
        " FROM process_stat WHERE pid = $1 AND ts_ns < $2",
        first["pid"],
        second["at_ns"],
    )
    for name in ("cpu", "runq", "syscr", "rchar", "read_bytes", "voluntary", "involuntary"):
        assert first[name] <= found[name] <= second[name], name
    assert found["threads"] == 4
    assert found["shortest"] > 0
    assert first["syscr"] >= 3 * scene.WORK_READS
    assert first["read_bytes"] >= 1 << 20
    assert second["cpu"] < 1.2 * first["cpu"]


def test_every_second_has_its_rows(recorded):
    seconds = recorded.one(
        "SELECT count(*) AS n, max(interval_ns) AS longest, sum(interval_ns) AS together,"
        " any_value(ended_ts_ns - started_ts_ns) AS dur_ns FROM host_cpu, capture"
    )
    assert seconds["together"] == pytest.approx(seconds["dur_ns"], rel=0.02, abs=150e6)
    assert seconds["n"] >= seconds["dur_ns"] / 1e9 * 0.8
    for query in ("host", "vmstat", "mpstat", "limits", "netstat", "ss", "buffers", "pidstat"):
        assert run(recorded.sql, query).rows, query


def test_the_memory_and_limits_are_those_of_free_and_df(recorded):
    told = {
        line.split(":")[0]: int(line.split()[1]) * 1024
        for line in Path("/proc/meminfo").read_text().splitlines()
    }
    found = recorded.one(
        "SELECT any_value(total_bytes) AS total, avg(available_bytes) AS available FROM host_memory"
    )
    assert found["total"] == told["MemTotal"]
    assert found["available"] == pytest.approx(told["MemAvailable"], rel=0.3)
    rows = {(row[0], row[1]): row for row in run(recorded.sql, "limits").rows}
    assert rows["open_files", ""][5] == int(Path("/proc/sys/fs/file-max").read_text())
