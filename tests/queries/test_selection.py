"""Part of a capture: what is chosen and its opposite are all of it; transactions stay whole."""

from __future__ import annotations

import pytest

from stackledger.analysis import needs
from stackledger.analysis.chosen import Processes
from stackledger.analysis.diagnosisrules import rules
from stackledger.analysis.queries import run
from stackledger.analysis.selection import Selection, check, narrow
from stackledger.analysis.timerange import TimeRange
from stackledger.catalog import queries
from stackledger.errors import NoSuchCaptureError, UsageError
from stackledger.schema import TABLES

MS = 1_000_000


@pytest.fixture
def part(capture, case_rows):
    """Give a function that opens a case, or rows, narrowed."""

    def opened(selection, *, rows=None, case="chain", ledger=True):
        return capture(
            before=lambda it: narrow(it, selection, TABLES.values(), ledger=ledger),
            **(rows or case_rows(case)),
        )

    return opened


def io(at, pid, comm, **more):
    return {"ts_ns": at, "pid": pid, "comm": comm, "device_ns": 1, "rwbs": "R", **more}


IOS = [
    io(5 * MS, 7, "postgres"),
    io(10 * MS, 7, "postgres"),
    io(15 * MS, 8, "worker"),
    io(20 * MS, None, ""),
    io(25 * MS, 9, "worker"),
]
PROCESSES = [
    {
        "ts_ns": 1,
        "pid": 7,
        "comm": "postgres",
        "exe": "/bin/postgres",
        "cgroup": "/db.slice/pg.service",
    },
    {"ts_ns": 1, "pid": 8, "comm": "java", "exe": "/bin/java", "cgroup": "/docker/" + "a1" * 32},
    {
        "ts_ns": 1,
        "pid": 9,
        "comm": "worker",
        "exe": "/bin/worker",
        "cgroup": "/system.slice/docker-" + "b2" * 32 + ".scope",
    },
]


def ios(part, **words):
    names = ("begin", "until", "last")
    selection = Selection(
        TimeRange(**{key: value for key, value in words.items() if key in names}),
        Processes(**{key: value for key, value in words.items() if key not in names}),
    )
    connection = part(selection, rows={"block_io": IOS, "process": PROCESSES}, ledger=False)
    rows = connection.execute("SELECT ts_ns FROM block_io ORDER BY ALL").fetchall()
    return [ts_ns // MS for (ts_ns,) in rows]


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ({}, [5, 10, 15, 20, 25]),
        ({"begin": "+9ms"}, [10, 15, 20, 25]),
        ({"until": "+14ms"}, [5, 10]),
        ({"begin": "+9ms", "until": "+19ms"}, [10, 15]),
        ({"pids": (7,)}, [5, 10]),
        ({"pids": (7, 9)}, [5, 10, 25]),
        ({"pids": (7,), "comms": ("worker",)}, []),
        # A thread's own name; and the process's name for all its threads.
        ({"comms": ("worker",)}, [15, 25]),
        ({"comms": ("java",)}, [15]),
        ({"containers": ("a1" * 32,)}, [15]),
        ({"containers": ("b2" * 6,)}, [25]),
        ({"containers": ("/db.slice",)}, [5, 10]),
        ({"containers": ("/db.slice/pg.service",)}, [5, 10]),
        ({"containers": ("pg",)}, [5, 10]),
        ({"layers": ("database",)}, [5, 10]),
        ({"layers": ("database", "app"), "begin": "+9ms"}, [10, 15, 25]),
    ],
)
def test_rows_of_a_table(part, words, wanted):
    assert ios(part, **words) == wanted


@pytest.mark.parametrize(
    "words", [{"comms": ("';--",)}, {"containers": ("a1",)}, {"layers": ("databse",)}]
)
def test_a_name_that_the_capture_does_not_know(part, words):
    with pytest.raises(NoSuchCaptureError):
        ios(part, **words)


def test_an_interval_is_where_its_middle_is(part):
    rows = [{"ts_ns": s * 100 * MS, "interval_ns": 100 * MS, "user_ns": s} for s in range(1, 10)]
    connection = part(
        Selection(TimeRange("+200ms", "+500ms")), rows={"host_cpu": rows}, ledger=False
    )
    assert connection.execute("SELECT user_ns FROM host_cpu").fetchall() == [(3,), (4,), (5,)]
    assert connection.execute("FROM span").fetchall() == [(1 + 200 * MS, 1 + 500 * MS, 300 * MS)]


def _all(connection, relation):
    return set(connection.execute(f"FROM {relation}").fetchall())


@pytest.mark.parametrize("enough", [0, 60_000])
@pytest.mark.parametrize("case", ["chain", "parallel", "untraced", "overlapping", "afterwards"])
def test_both_sides_of_any_instant_are_all_of_it(part, case, enough, monkeypatch):
    """Transactions are cut nowhere: each is on the side where its root arrived.

    Of a large capture only what is near the range is assembled.
    """
    monkeypatch.setattr("stackledger.analysis.selection.ENOUGH", enough)
    monkeypatch.setattr("stackledger.analysis.selection._MOST", 1)
    whole = part(Selection(), case=case)
    (at,) = whole.execute("SELECT median(ts_ns)::BIGINT FROM requests").fetchone()
    sides = []
    for time in (TimeRange(until=f"+{at}ns"), TimeRange(f"+{at}ns")):
        connection = part(Selection(time), case=case)
        sides.append(connection)
        roots = connection.execute("SELECT ts_ns FROM requests WHERE parent_sock IS NULL")
        assert all((1 + at <= root) == (time.begin is not None) for (root,) in roots.fetchall())
    for relation in ("requests", "calls", "tree", "untraced"):
        one, other = (_all(side, relation) for side in sides)
        assert one | other == _all(whole, relation)
        assert not one & other


def test_a_process_of_the_ledger_brings_its_whole_transactions(part):
    whole = part(Selection())
    (pid,) = whole.execute("SELECT pid FROM requests WHERE layer = 'database' LIMIT 1").fetchone()
    chosen = part(Selection(processes=Processes(pids=(pid,))))
    wanted = whole.execute(
        "SELECT * FROM requests SEMI JOIN (SELECT t.sock, t.recv_ts_ns FROM tree AS t"
        " SEMI JOIN (SELECT root_sock, root_recv_ts_ns FROM tree JOIN requests"
        " USING (sock, recv_ts_ns) WHERE pid = $1) USING (root_sock, root_recv_ts_ns))"
        " USING (sock, recv_ts_ns) ORDER BY ALL",
        [pid],
    ).fetchall()
    assert wanted
    assert chosen.execute("FROM requests ORDER BY ALL").fetchall() == wanted


def _tables(name):
    return [TABLES[one] for one in needs.relations(queries()[name].text(), TABLES) & TABLES.keys()]


def test_views_are_found_as_duckdb_parses_them():
    """`needs` looks through our own SQL for names: parsing it takes longer than running it."""
    every = {*TABLES, *needs.views()}
    for name, parsed in zip(needs.views(), needs._named(needs.views().values()), strict=True):
        assert needs._named_by_views()[name] & every == parsed & every, name
    texts = [one.text() for one in (*queries().values(), *rules())]
    for text, read in zip(texts, needs.relations_of_each(texts, TABLES), strict=True):
        assert needs.views_of([text]) >= read & needs.views().keys()


def test_what_a_query_reads():
    assert {one.name for one in _tables("biosnoop")} == {"block_io"}
    assert {one.name for one in _tables("ledger")} == {"request", "call", "connection", "process"}
    assert needs.relations("SELECT 1 -- request", TABLES) == set()
    assert needs.relations("SELECT 'request' AS call", TABLES) == set()
    assert needs.relations('FROM "REQUEST"; FROM call', TABLES) == {"request", "call"}
    assert "request" in needs.relations("PIVOT request ON pid", TABLES)
    assert "request" in needs.relations("WITH tree AS (FROM loss) FROM requests", TABLES)
    assert needs.relations("SHOW TABLES", TABLES) >= {"request", "tree"}
    assert needs.relations("not SQL at all", TABLES) == set()


def test_a_selection_that_fits_nothing_is_refused(capsys):
    time, pid = Selection(TimeRange(last="1s")), Selection(processes=Processes(pids=(1,)))
    with pytest.raises(UsageError, match="cannot be narrowed to a time range"):
        check(time, _tables("losses"))
    with pytest.raises(UsageError, match="cannot be narrowed to processes: host_cpu"):
        check(pid, [TABLES["host_cpu"], TABLES["process"]])
    check(pid, [TABLES["host_cpu"], TABLES["block_io"]])
    assert capsys.readouterr().err == "not narrowed to processes: host_cpu\n"
    for name in ("biosnoop", "ledger"):
        check(time, _tables(name))
        check(pid, _tables(name))


def test_rates_are_those_of_the_range(part):
    whole, half = part(Selection()), part(Selection(TimeRange(until="+500ms")))
    for name in ("endpoints", "services"):
        rates = []
        for connection in (whole, half):
            result = run(connection, name)
            at = result.columns.index("rate_hz")
            rates.append(
                {row[:2] if name == "services" else row[0]: row[at] for row in result.rows}
            )
        assert rates[0]
        assert rates[1] == {key: 2 * rate for key, rate in rates[0].items()}


@pytest.fixture(scope="module")
def narrowed(capture, case_rows):
    """Every kind of narrowing at once."""
    selection = Selection(
        TimeRange("+0s", "+900ms"),
        Processes((3, 4), ("postgres", "python"), (), ("app", "database")),
    )
    return capture(
        before=lambda it: narrow(it, selection, TABLES.values(), ledger=True), **case_rows("chain")
    )


@pytest.mark.parametrize("name", sorted(queries()))
def test_every_query_runs_over_a_part(narrowed, name):
    run(narrowed, name)


@pytest.mark.parametrize("table", sorted(TABLES))
def test_every_table_of_a_part_has_all_its_columns(narrowed, table):
    cursor = narrowed.execute(f'FROM "{table}" LIMIT 0')
    assert [column[0] for column in cursor.description] == [
        column.name for column in TABLES[table].columns
    ]


def test_files_that_were_open_keep_their_paths(part):
    """What was open is told of the whole capture; the opens are those of the part."""
    rows = {
        "process": PROCESSES,
        "file_open": [{"ts_ns": MS, "pid": 7, "dev": 8, "inode": 5, "path": "/data/opened"}],
        "open_file": [{"ts_ns": MS, "pid": 7, "dev": 8, "inode": 6, "path": "/data/found"}],
        "fsync": [
            {"ts_ns": at * MS, "pid": 8, "dev": 8, "inode": inode, "dur_ns": 1}
            for at, inode in ((5, 5), (25, 5), (26, 6))
        ],
    }
    selection = Selection(TimeRange("+20ms"), Processes(pids=(8,)))
    result = run(part(selection, rows=rows, ledger=False), "fsyncs")
    calls, file = result.columns.index("calls"), result.columns.index("file")
    assert [(row[calls], row[file]) for row in result.rows] == [
        (1, "/data/found"),
        (1, "0:8:5"),
    ]
