"""The rules of a diagnosis on tiny captures: what they find, what they leave, what they say."""

from __future__ import annotations

import io
import json
from pathlib import Path

import msgspec
import pytest

from stackledger import store
from stackledger.analysis.diagnose import examine, examine_beside, reads
from stackledger.analysis.diagnosis import SEVERITIES, Confidence, Diagnosis, Threshold, Verdict
from stackledger.analysis.diagnosisranks import graded, ranked
from stackledger.analysis.diagnosisrules import COLUMNS, read_rule, rules
from stackledger.analysis.diagnosissample import assemble_sample, take
from stackledger.analysis.needs import relations_of_each
from stackledger.analysis.queries import execute
from stackledger.catalog import queries
from stackledger.errors import StackledgerError
from stackledger.manifest import Loss, Manifest, ProbeRun
from stackledger.report import diagnosis as text
from stackledger.schema import FACTS, TABLES

SCHEMA = Path(__file__).parents[2] / "docs" / "diagnosis-1.schema.json"
MS = 1_000_000
WORDS = {"layer", "service", "object"}


@pytest.fixture(scope="module")
def examined(capture):
    """Give a function that examines a capture of some rows; other words go to its manifest."""

    def found(*, manifest: dict[str, object] | None = None, **tables) -> Diagnosis:
        connection = capture(**tables)
        return examine(told(**(manifest or {})), connection)

    return found


def told(**words: object) -> store.Capture:
    """Return a capture without files, whose manifest says this."""
    fields = {
        "schema_version": 1, "id": "20260102T030405Z-0a1b2c", "name": "tiny", "state": "complete",
        "host": "web-1", "kernel": "6.18", "boot_id": "b", "stackledger": "0", "bpftrace": "0.17.0",
        "machine": {"cpus": 2, "memory_bytes": 1 << 33, "arch": "x86_64"},
        "started_ns": 1, "ended_ns": 1_000_000_001, "options": {}, "filters": {},
        "topology": {}, "probes": [],
    }  # fmt: skip
    return store.Capture(Path("no-files"), msgspec.convert(fields | words, Manifest))


def requests(number: int, every_ns: int, **parts: int) -> dict[str, list[dict[str, object]]]:
    """Return the tables of so many requests to one server, all with these parts."""
    wall_ns = sum(parts.values())
    one = {"sock": 7, "conn_ts_ns": 1, "pid": 42, "tid": 42, "endpoint": "GET /", "calls": 0}
    return {
        "process": [{"pid": 42, "comm": "shop", "exe": "/usr/bin/shop"}],
        "connection": [{"ts_ns": 1, "sock": 7, "accepted": "true", "pid": 42, "family": 2}],
        "request": [
            {**one, "ts_ns": at, "recv_ts_ns": at, "wall_ns": wall_ns, "protocol": "http", **parts}
            for at in range(2, 2 + number * every_ns, every_ns)
        ],
    }


def test_every_rule_is_whole(capture):
    connection = capture()
    read = relations_of_each([rule.text() for rule in rules()], {*TABLES, *FACTS})
    for rule, names in zip(rules(), read, strict=True):
        assert tuple(execute(connection, rule.text()).columns) == COLUMNS, rule.name
        assert set(rule.needs) <= names & TABLES.keys(), rule.name
        assert set(rule.refines) <= {one.name for one in rules()}, rule.name
        program, verb, name, *_ = rule.evidence.split()
        assert (program, verb) == ("stackledger", "query"), rule.name
        assert name in queries(), rule.name
        for words in (rule.title, rule.next, rule.evidence):
            assert "{" not in words.format_map(dict.fromkeys(WORDS, "x")), rule.name
        assert 0 < rule.certainty <= 1, rule.name
        assert max(map(len, rule.text().splitlines())) <= 80, rule.name
        assert "\nORDER BY " in rule.text(), rule.name


def test_the_documentation_has_every_rule():
    page = (SCHEMA.parent / "diagnose.md").read_text(encoding="utf-8")
    for rule in rules():
        assert f"| `{rule.name}` | {rule.purpose} |" in page


def test_nobody_refines_in_a_circle():
    refines = {rule.name: rule.refines for rule in rules()}
    for name, general in refines.items():
        assert all(name not in refines[one] for one in general), name


def test_a_bad_header_names_its_file(tmp_path):
    path = tmp_path / "odd.sql"
    good = (rules()[0].path).read_text()
    path.write_text(
        good.replace(f"-- {rules()[0].name} ", "-- odd ").replace("Version:   1", "Version: x")
    )
    with pytest.raises(StackledgerError, match=r"odd\.sql: invalid literal"):
        read_rule(path)


def test_an_empty_capture_is_not_called_healthy_without_saying_what_was_not_measured(examined):
    found = examined()
    assert (found.verdicts, found.healthy, found.transactions) == ([], True, 0)
    assert {one.outcome for one in found.looked} == {"not measured"}
    assert all(one.missing for one in found.looked)
    assert text.headline(found).startswith("No requests were recorded")


def test_a_probe_that_saw_nothing_has_measured(examined):
    run = ProbeRun(name="fsync", variant="", sha256="", tables=["fsync"], state="complete")
    found = examined(
        manifest={"probes": [msgspec.to_builtins(run)]}, **requests(11, 10 * MS, cpu_ns=MS)
    )
    (looked,) = [one for one in found.looked if one.rule == "fsync_stall"]
    assert (looked.outcome, looked.missing) == ("nothing", [])


def test_time_in_a_part_is_a_verdict_with_its_share(examined):
    found = examined(**requests(11, 20 * MS, cpu_ns=MS, lock_ns=9 * MS))
    top = found.top
    assert top is not None
    assert (top.rule, top.severity, top.service, top.layer) == (
        "lock_wait", "critical", "shop", "app",
    )  # fmt: skip
    assert top.explained_ns == 11 * 9 * MS
    assert top.explained_share == pytest.approx(0.9)
    assert top.typical_ns == 9 * MS
    assert top.query == "stackledger query offcputime 20260102T030405Z-0a1b2c"


@pytest.mark.parametrize(
    ("exe", "syscall", "rule"),
    [
        ("/usr/lib/postgresql/15/bin/postgres", 232, "database_lock"),
        ("/usr/lib/postgresql/15/bin/postgres", 24, "other_wait"),
        ("/usr/bin/shop", 232, "other_wait"),
    ],
)
def test_a_database_that_polls_in_a_statement_waits_for_another_session(
    examined, exe, syscall, rule
):
    tables = requests(11, 20 * MS, cpu_ns=MS, other_ns=9 * MS)
    for one in tables["request"]:
        one["other_syscall"] = syscall
    tables["process"] = [{"pid": 42, "comm": Path(exe).name, "exe": exe}]
    found = examined(**tables)
    assert [one.rule for one in found.verdicts if one.severity != "note"] == [rule]
    assert found.verdicts[0].explained_ns == 11 * 9 * MS


@pytest.mark.parametrize(("late_ns", "rule"), [(0, "commit_wait"), (8 * MS, "lock_wait")])
def test_a_lock_held_during_an_fsync_is_the_disk_s(examined, late_ns, rule):
    """Of requests at 0, 20 ms, …, each waits 9 ms; an fsync lies in that time, or after it."""
    tables = requests(11, 20 * MS, cpu_ns=MS, lock_ns=9 * MS)
    exe = "/usr/lib/postgresql/15/bin/postgres"
    tables["process"] = [{"pid": 42, "comm": "postgres", "exe": exe}]
    tables["fsync"] = [
        {
            "pid": 42,
            "tid": 77,
            "ts_ns": one["ts_ns"] + 8 * MS + late_ns,
            "dur_ns": 4 * MS,
            "error": 0,
        }
        for one in tables["request"]
    ]
    found = examined(**tables)
    graver = [one for one in found.verdicts if one.severity != "note"]
    assert [one.rule for one in graver] == [rule]
    assert graver[0].explained_ns == 11 * 9 * MS


def test_quick_requests_are_healthy(examined):
    found = examined(**requests(11, 20 * MS, cpu_ns=MS // 2))
    assert found.healthy
    assert [one.severity for one in found.verdicts] == ["note"]
    assert text.headline(found).startswith("Nothing wrong here")


def test_the_ledger_of_a_diagnosis_sums_to_the_wall_time(examined, case_rows):
    for name in ("chain", "parallel", "untraced", "overlapping", "unlinked"):
        found = examined(**case_rows(name))
        assert sum(one.explained_ns for one in found.ledger) == pytest.approx(found.wall_ns, abs=5)
        assert sum(one.explained_share for one in found.ledger) == pytest.approx(1)


def test_losses_and_a_short_capture_lower_the_confidence(examined):
    rows = requests(11, MS, cpu_ns=MS, lock_ns=9 * MS)
    long = {"ended_ns": 60_000_000_000}
    lost = Loss(table="request", produced=1000, received=700, lost=300, undecodable=0)
    sound = examined(**rows)
    lossy = examined(manifest={**long, "losses": [msgspec.to_builtins(lost)]}, **rows)
    before, after = sound.verdicts[0].confidence, lossy.verdicts[0].confidence
    assert (before.level, after.level) == ("medium", "low")
    assert after.score < before.score
    assert "rows lost" in [one.name for one in after.reasons]
    assert lossy.lost_share == pytest.approx(0.3)


def test_block_io_alone_is_diagnosed(examined):
    second = {"interval_ns": 10**9, "dev": 8 << 20, "disk": "sda", "busy_ns": 99 * 10**7}
    disk = [
        {
            **second,
            "ts_ns": at * 10**9,
            "reads": 100,
            "weighted_ns": 8 * 10**9,
            "read_ns": 8 * 10**9,
        }
        for at in range(1, 4)
    ]
    found = examined(host_disk=disk)
    top = found.top
    assert top is not None
    assert (top.rule, top.object, top.severity) == ("disk_busy", "sda", "warning")
    assert (top.explained_ns, top.explained_share) == (None, None)
    assert text.headline(found) == "The disk sda is busy all the time."


def test_reads_that_wait_while_the_disk_is_idle_are_held_at_a_limit(examined):
    rows = requests(11, 10 * MS, cpu_ns=MS, disk_ns=20 * MS)
    io = {"dev": 8 << 20, "rwbs": "R", "bytes": 8192, "pid": 3, "tid": 3, "comm": "kworker/0:1"}
    rows["block_io"] = [
        {**io, "ts_ns": at, "device_ns": MS // 2, "queue_ns": 0, "sector": at // MS}
        for at in range(MS, 110 * MS, 10 * MS)
    ]
    top = examined(**rows).top
    assert top is not None
    assert (top.rule, top.object, top.covers) == ("disk_limit", "sda", ["disk_wait"])
    assert top.threshold.measured == pytest.approx(0.025)


def test_a_volume_that_does_no_more_is_at_its_limit(examined):
    rows = requests(11, 10 * MS, cpu_ns=MS, disk_ns=20 * MS)
    rows["block_io"] = [
        {
            "ts_ns": at,
            "dev": 8 << 20,
            "rwbs": "R",
            "bytes": 8192,
            "device_ns": at * MS,
            "sector": at,
        }
        for at in range(1, 61)
    ]
    second = {
        "interval_ns": 10**9,
        "dev": 8 << 20,
        "disk": "sda",
        "busy_ns": 10**9,
        "read_bytes": 1,
    }
    rows["host_disk"] = [
        {**second, "ts_ns": at, "reads": reads, "weighted_ns": 8 * 10**9}
        for at, reads in enumerate((500, 501, 499, 500))
    ]
    top = examined(**rows).top
    assert top is not None
    assert (top.rule, top.object) == ("disk_rate", "sda")
    # 1 MiB is read; the kernel says which of it had been in the cache, of the cgroup or of all.
    rows["process_stat"] = [{"ts_ns": 9, "pid": 42, "comm": "shop", "read_bytes": 1 << 20}]
    for refaults, rule in ((None, "disk_rate"), (60, "disk_rate"), (70, "cache_small")):
        rows["host_memory"] = [{"ts_ns": 9, "interval_ns": 10**9, "refaults": refaults}]
        assert examined(**rows).top.rule == rule
    rows["process"][0]["cgroup"] = "/shop"
    group = {"ts_ns": 9, "interval_ns": 10**9, "cgroup": "/shop"}
    for refaults, rule in ((60, "disk_rate"), (128, "cache_small")):
        rows["cgroup_stat"] = [{**group, "refaults": refaults}]
        top = examined(**rows).top
        assert top.rule == rule
    assert (top.threshold.measured, top.covers) == (
        0.5,
        ["cache_cold", "disk_rate", "disk_wait"],
    )
    for absent in ("process_stat", "host_memory", "cgroup_stat"):
        del rows[absent]
    for row, count in zip(rows["host_disk"], (100, 900, 500, 700), strict=True):
        row |= {"reads": count, "read_bytes": count}
    assert examined(**rows).top.rule == "disk_wait"


def rows_of_much_else() -> dict[str, list[dict[str, object]]]:
    """Return a second in which much is wrong that no live test brings about."""
    rows = requests(11, 50 * MS, cpu_ns=5 * MS, disk_ns=20 * MS)
    stuck = {
        **rows["request"][0],
        "sock": 8,
        "complete": "false",
        "wall_ns": 3 * 10**9,
        "disk_ns": 0,
    }
    rows["request"].append(stuck)
    rows["connection"].append({**rows["connection"][0], "sock": 8})
    io = {
        "dev": 8 << 20,
        "rwbs": "W",
        "bytes": 1 << 20,
        "device_ns": 4 * MS,
        "comm": "kworker/u8:1",
    }
    rows["block_io"] = [{**io, "ts_ns": at * MS, "sector": at} for at in range(1, 65)]
    rows["host_memory"] = [{"ts_ns": 10**9, "interval_ns": 10**9, "dirty_bytes": 1 << 30}]
    rows["host_pressure"] = [
        {"ts_ns": 10**9, "interval_ns": 10**9, "resource": "memory", "some_ns": 10**8}
    ]
    left = {"protocol": "tcp", "state": "CLOSE_WAIT", "pid": 42}
    full = {"protocol": "tcp", "state": "ESTABLISHED", "pid": 42, "cookie": 99}
    rows["socket"] = [
        *({**left, "ts_ns": at, "cookie": cookie} for at in (1, 9) for cookie in range(20 + at)),
        {**full, "ts_ns": 1, "busy_ns": 0, "peer_limited_ns": 0, "buffer_limited_ns": 0},
        {
            **full,
            "ts_ns": 9,
            "busy_ns": 9 * 10**8,
            "peer_limited_ns": 8 * 10**8,
            "buffer_limited_ns": 0,
        },
    ]
    syn = {"pid": 42, "tid": 42, "accepted": "false", "remote_addr": "10.0.0.9", "remote_port": 80}
    rows["tcp_connection"] = [
        {**syn, "opened_ts_ns": one["ts_ns"], "connect_ns": 200 * MS, "ended": "closed", "sock": 50}
        for one in rows["request"]
    ]
    rows["host_cpu"] = [
        {"ts_ns": 10**9, "interval_ns": 10**9, "user_ns": 14 * 10**8, "steal_ns": 6 * 10**8,
         "context_switches": 200_000, "running": 9},
    ]  # fmt: skip
    rows["process_stat"] = [{"ts_ns": 10**9, "pid": 42, "comm": "shop", "cpu_ns": 10**9}]
    return rows


def test_the_rules_that_no_live_fault_proves_find_their_rows(examined):
    rows = rows_of_much_else()
    found = examined(**rows)
    rules_found = {one.rule for one in found.looked if one.outcome == "found"}
    wanted = "writeback_storm connection_leak socket_buffers slow_connect cpu_steal unanswered"
    assert set(wanted.split()) <= rules_found
    assert {"context_switches", "memory_pressure", "cpu_saturated"} <= rules_found
    by = {one.rule: one for one in found.verdicts}
    assert by["connection_leak"].threshold.measured == 29
    assert by["slow_connect"].object == "10.0.0.9:80"
    assert by["socket_buffers"].object == "the receive window of its peers"
    assert by["writeback_storm"].covers == ["disk_wait"]
    for one in rows["block_io"]:
        one["device_ns"] = MS
    quick = examined(**rows)
    assert "writeback_storm" not in {one.rule for one in quick.verdicts}
    assert by["cpu_steal"].threshold.measured == pytest.approx(0.3)
    assert by["unanswered"].threshold.measured == 1


def held_back(busy_ns: int, held_by: str, held_ns: int) -> dict[str, list[dict[str, object]]]:
    """Return ten answers from 20 ms away, which wait in the server for 40, beyond it for 50 ms."""
    near = {"local_addr": "10.0.0.1", "local_port": 40000}
    far = {"local_addr": "10.0.0.2", "local_port": 8000}
    to_far = {"remote_addr": "10.0.0.2", "remote_port": 8000}
    to_near = {"remote_addr": "::ffff:10.0.0.1", "remote_port": 40000}
    asked = [{"ts_ns": at, "recv_ts_ns": at} for at in range(2, 10**9, 100 * MS)]
    wait = {"wall_ns": 90 * MS, "protocol": "http", "endpoint": "GET /"}
    proxy = {**wait, "sock": 31, "conn_ts_ns": 1, "pid": 3, "tid": 3}
    counts = {"min_rtt_ns": 20 * MS, "peer_limited_ns": 0, "buffer_limited_ns": 0, "busy_ns": 0}
    own = {**far, **to_near, **counts, "protocol": "tcp", "state": "ESTABLISHED", "cookie": 9}
    return {
        "process": [
            {"pid": 3, "comm": "haproxy", "exe": "/usr/sbin/haproxy"},
            {"pid": 42, "comm": "shop", "exe": "/usr/bin/shop"},
        ],
        "connection": [
            {"ts_ns": 1, "sock": 31, "accepted": "true", "family": 2, "pid": 3},
            {"ts_ns": 1, "sock": 32, "accepted": "false", "family": 2, "pid": 3, **near, **to_far},
            {"ts_ns": 1, "sock": 41, "accepted": "true", "family": 2, "pid": 42, **far, **to_near},
        ],
        "request": [
            *({**proxy, **one, "covered_ns": 90 * MS, "calls": 1} for one in asked),
            *(
                {**wait, **one, "sock": 41, "conn_ts_ns": 1, "pid": 42, "wall_ns": 40 * MS}
                for one in asked
            ),
        ],
        "call": [
            {**proxy, "sock": 32, "owner_sock": 31, "owner_recv_ts_ns": one["ts_ns"]}
            | {"ts_ns": one["ts_ns"]}
            for one in asked
        ],
        "socket": [
            {**own, "pid": 42, "ts_ns": 1},
            {**own, "pid": 42, "ts_ns": 1 + 10**9, "busy_ns": busy_ns, held_by: held_ns},
        ],
    }


@pytest.mark.parametrize(
    ("held_by", "at_the_server", "at_the_proxy"),
    [
        ("buffer_limited_ns", "its send buffers", "the send buffers of app shop"),
        ("peer_limited_ns", "the receive window of its peers", "its receive buffers"),
    ],
)
def test_a_small_buffer_takes_what_is_waited_for_less_a_round_trip(
    examined, held_by, at_the_server, at_the_proxy
):
    def found(*held: int) -> dict[tuple[str, str], int | None]:
        verdicts = examined(**held_back(held[0], held_by, held[1])).verdicts
        return {
            (one.layer, one.object): one.explained_ns
            for one in verdicts
            if one.rule == "socket_buffers"
        }

    app, gateway = ("app", at_the_server), ("gateway", at_the_proxy)
    assert found(900 * MS, 200 * MS) == {app: 400 * MS, gateway: 300 * MS}
    # Not more than there was data to send.
    assert found(350 * MS, 200 * MS) == {app: 200 * MS, gateway: 150 * MS}
    # A link of 20 ms alone holds nobody back.
    assert found(900 * MS, 80 * MS) == {}


@pytest.mark.parametrize(
    ("opened", "bytes_each", "rules"),
    [(10, 0, ["connection_leak"]), (0, 0, []), (10, 100, [])],
    ids=["never used again", "a pool that is full", "all in use"],
)
def test_connections_that_become_more_and_carry_nothing_leak(examined, opened, bytes_each, rules):
    one = {"protocol": "tcp", "state": "ESTABLISHED", "pid": 42, "local_addr": "10.0.0.1"}
    there = {"remote_addr": "10.0.0.9", "remote_port": 5432}
    rows = requests(1, MS, cpu_ns=MS // 100)
    rows["socket"] = [
        {**one, **there, "ts_ns": at * 10**9, "cookie": cookie, "local_port": 40000 + cookie}
        | {"acked_bytes": 10 + bytes_each * at, "received_bytes": 20}
        for at in range(1, 6)
        for cookie in range(40 + opened * at)
    ]
    verdicts = examined(**rows).verdicts
    assert [one.rule for one in verdicts] == rules
    assert [one.object for one in verdicts] == ["10.0.0.9:5432"] * len(rules)


MANY = """
INSERT INTO request
SELECT r.* REPLACE (
  r.ts_ns + n * 200_000 AS ts_ns,
  r.recv_ts_ns + n * 200_000 AS recv_ts_ns,
  CASE WHEN n % 10 = 0 THEN 3_000_000 ELSE 0 END AS disk_ns,
  r.wall_ns + CASE WHEN n % 10 = 0 THEN 3_000_000 ELSE 0 END AS wall_ns
)
FROM request AS r, range(1, 4000) AS many(n)
"""


def test_a_sample_of_a_large_capture_says_what_all_of_it_says(capture, monkeypatch):
    rows = requests(1, MS, cpu_ns=MS // 100, lock_ns=MS // 10)
    assembled = capture(before=lambda one: one.execute(MANY), **rows)
    whole = examine(told(), assembled)
    monkeypatch.setattr("stackledger.analysis.diagnosissample.ENOUGH", 400)
    connection = capture(assembled=False, **rows)
    connection.execute(MANY)
    assemble_sample(connection, read=reads())
    sample = examine(told(), connection)
    assert 0.02 < sample.sampled_share < 0.2
    assert sample.wall_ns == pytest.approx(whole.wall_ns, rel=0.01)
    assert [one.rule for one in sample.verdicts] == [one.rule for one in whole.verdicts]
    for one, other in zip(sample.verdicts, whole.verdicts, strict=True):
        assert one.explained_share == pytest.approx(other.explained_share, abs=0.05)
        assert one.explained_ns == pytest.approx(other.explained_ns, rel=0.1)
    # Of a capture that is assembled as a whole, the same is taken.
    beside = store.beside(assembled, told())
    assert examine_beside(told(), beside, take(assembled)) == sample


@pytest.mark.parametrize(
    ("explained_ms", "typical_ms", "least", "severity"),
    [
        (60, 60, None, "critical"),
        (30, 30, None, "warning"),
        (30, 1, None, "note"),
        (4, 100, None, None),
        (4, 100, "warning", "warning"),
        (60, 60, "warning", "critical"),
        (None, None, "note", "note"),
        (None, None, None, None),
    ],
)
def test_grades(explained_ms, typical_ms, least, severity):
    whole = {"wall_ns": 100 * MS, "transactions": 10}
    explained, typical = (None if one is None else one * MS for one in (explained_ms, typical_ms))
    assert graded(explained, typical, whole, least=least) == severity


def verdict(
    rule: str, explained_ns: int | None, severity: str = "warning", **words: str
) -> Verdict:
    given = {
        "layer": "app",
        "service": "shop",
        "object": "",
        "title": rule,
        "resource": "",
        **words,
    }
    return Verdict(
        rule=rule,
        version=1,
        severity=severity,
        explained_ns=explained_ns,
        explained_share=None,
        typical_ns=None,
        threshold=Threshold(measured=1, value=1, unit="share", source="s"),
        evidence=[],
        query="",
        confidence=Confidence(level="high", score=1, reasons=[]),
        next="",
        covers=[],
        **given,
    )


def test_a_general_verdict_goes_into_the_exact_one_that_explains_it():
    found = ranked([verdict("disk_wait", 100), verdict("disk_limit", 90)])
    assert [(one.rule, one.covers) for one in found] == [("disk_limit", ["disk_wait"])]
    both = ranked([verdict("disk_wait", 100), verdict("disk_limit", 10)])
    assert [one.rule for one in both] == ["disk_wait", "disk_limit"]
    others = ranked([verdict("disk_wait", 100), verdict("disk_limit", 90, service="db")])
    assert len(others) == 2


def test_what_a_caller_does_to_its_callee_covers_what_that_suffers():
    late = verdict("accept_queue", 100, service="db")
    found = ranked([late, verdict("connection_churn", 90, object="db")])
    assert [(one.rule, one.covers) for one in found] == [("connection_churn", ["accept_queue"])]
    # To another service, or while a full queue drops connections, which is nobody's churn.
    assert len(ranked([late, verdict("connection_churn", 90, object="cache")])) == 2
    assert len(ranked([late, verdict("connection_churn", 10, object="db")])) == 2


def a_connection_for_each() -> dict[str, list[dict[str, object]]]:
    """Return 40 requests to a front: each opens a connection that a shop accepts 10 ms late."""
    rows: dict[str, list[dict[str, object]]] = {
        "process": [{"pid": 41, "comm": "front"}, {"pid": 42, "comm": "shop"}],
        "connection": [{"ts_ns": 1, "sock": 7, "accepted": "true", "pid": 41, "family": 2}],
        "request": [],
        "call": [],
        "tcp_connection": [],
    }
    address = {"family": 2, "local_addr": "127.0.0.1", "remote_addr": "127.0.0.1"}
    for number in range(40):
        at, client, server = 2 + number * 20 * MS, 200 + number, 300 + number
        opened, accepted = at + MS, at + 11 * MS
        common = {"endpoint": "GET /", "protocol": "http", "calls": 0, "conn_ts_ns": opened}
        ends = [
            {**address, "sock": client, "accepted": "false", "pid": 41, "tid": 41,
             "local_port": 40_000 + number, "remote_port": 8000},
            {**address, "sock": server, "accepted": "true", "pid": 42, "tid": 42,
             "local_port": 8000, "remote_port": 40_000 + number},
        ]  # fmt: skip
        rows["connection"] += [{**end, "ts_ns": opened} for end in ends]
        rows["tcp_connection"] += [
            {**ends[0], "ts_ns": at + 14 * MS, "opened_ts_ns": opened, "connect_ns": MS // 10},
            {**ends[1], "ts_ns": at + 14 * MS, "opened_ts_ns": opened, "accept_ns": 10 * MS},
        ]
        rows["request"] += [
            {**common, "conn_ts_ns": 1, "sock": 7, "pid": 41, "tid": 41, "ts_ns": at, "calls": 1,
             "recv_ts_ns": at, "wall_ns": 14 * MS, "cpu_ns": MS, "covered_ns": 13 * MS},
            {**common, "sock": server, "pid": 42, "tid": 42, "ts_ns": opened,
             "recv_ts_ns": accepted, "wall_ns": 12 * MS, "cpu_ns": 2 * MS},
        ]  # fmt: skip
        rows["call"].append(
            {"endpoint": "GET /", "protocol": "http", "conn_ts_ns": opened, "ts_ns": opened,
             "sock": client, "owner_sock": 7, "owner_recv_ts_ns": at,
             "pid": 41, "tid": 41, "wall_ns": 13 * MS}
        )  # fmt: skip
    return rows


def test_who_opens_a_connection_for_each_request_has_the_wait_until_it_is_accepted(examined):
    rows = a_connection_for_each()
    top = examined(**rows).top
    assert top is not None
    assert (top.rule, top.service, top.object) == ("connection_churn", "front", "shop")
    assert top.explained_ns == pytest.approx(40 * 10.1 * MS, rel=0.01)
    assert top.covers == ["accept_queue"]
    # A full queue is the callee's own.
    rows["host_protocol"] = [
        {"ts_ns": 9, "interval_ns": 10**9, "protocol": "TcpExt", "name": "ListenOverflows",
         "value": 5},
    ]  # fmt: skip
    top = examined(**rows).top
    assert (top.rule, top.service) == ("accept_queue", "shop")


def test_the_gravest_come_first_then_what_explains_most():
    found = ranked(
        [
            verdict("sleep", 10, "note"),
            verdict("lock_wait", 10, "critical"),
            verdict("cpu_time", 99),
            verdict("descriptor_leak", None),
        ]
    )
    assert [one.rule for one in found] == ["lock_wait", "cpu_time", "descriptor_leak", "sleep"]
    assert [SEVERITIES.index(one.severity) for one in found] == [0, 1, 1, 2]


def test_the_schema_of_the_json_is_the_documented_one():
    made = json.dumps(msgspec.json.schema(Diagnosis), indent=1, ensure_ascii=False) + "\n"
    assert made == SCHEMA.read_text(encoding="utf-8"), "a change of diagnosis/1 breaks alerts"


def test_json_is_whole_and_reads_back(examined):
    found = examined(**requests(11, 20 * MS, cpu_ns=MS, lock_ns=9 * MS))
    assert msgspec.json.decode(msgspec.json.encode(found), type=Diagnosis) == found


def test_no_line_is_wider_than_a_terminal_and_nothing_of_the_traced_controls_it(examined):
    rows = requests(11, 20 * MS, cpu_ns=MS, lock_ns=9 * MS)
    name = "\x1b[31mshop\u202e" + "x" * 90
    rows["process"] = [{"pid": 42, "comm": "shop", "exe": f"/usr/bin/{name}"}]
    for every in (False, True):
        out = io.StringIO()
        text.show(examined(**rows), every=every, out=out)
        lines = out.getvalue().splitlines()
        assert max(map(len, lines)) <= 80, max(lines, key=len)
        assert "\x1b[31m" not in out.getvalue()
        assert "\u202e" not in out.getvalue()
