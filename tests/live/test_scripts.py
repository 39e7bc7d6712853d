"""A user's own bpftrace: a table of its own, its maps and lines, its mistakes."""

from __future__ import annotations

import csv
import io
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

PIPELINE = Path(__file__).resolve().parents[2] / "pipeline"
# Another bpftrace, e.g. "chroot /somewhere bpftrace".
_OTHER = os.environ.get("STACKLEDGER_OTHER_BPFTRACE", "")
OPENS = 23
Done = subprocess.CompletedProcess


@pytest.fixture(params=["", _OTHER] if _OTHER else [""], ids=["host", "other"][: 1 + bool(_OTHER)])
def run(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[..., Done]:
    """Give `run(*words)` of stackledger, with a store of its own."""
    programs = tmp_path / "bin"
    programs.mkdir()
    if request.param:
        (programs / "bpftrace").write_text(f'#!/bin/sh\nexec {request.param} "$@"\n')
        (programs / "bpftrace").chmod(0o755)
    env = {
        **os.environ,
        "PATH": f"{programs}:{os.environ['PATH']}",
        "PYTHONPATH": os.pathsep.join([str(PIPELINE), *sys.path]),
        "STACKLEDGER_STORE": str(tmp_path / "store"),
    }

    def call(*words: str) -> Done:
        return subprocess.run(
            [sys.executable, "-m", "stackledger", *words],
            capture_output=True,
            text=True,
            timeout=120,
            env=env,
        )

    return call


@pytest.fixture
def opener(tmp_path: Path) -> tuple[str, ...]:
    """A command that opens one file 23 times, under a name that only it has."""
    target = tmp_path / 'a "file", \\ with <b>'
    target.write_text("x")
    script = (
        "import ctypes, os, sys\n"
        f"ctypes.CDLL(None).prctl(15, {_name()!r}.encode(), 0, 0, 0)\n"
        "os.chdir(sys.argv[1])\n"
        f"for _ in range({OPENS}): os.close(os.open(sys.argv[2], os.O_RDONLY))\n"
    )
    return (sys.executable, "-S", "-c", script, str(tmp_path), target.name)


def _name() -> str:
    return f"slt{os.getpid()}"


def rows(done: Done) -> list[dict[str, str]]:
    assert done.returncode == 0, done.stderr
    return list(csv.DictReader(io.StringIO(done.stdout)))


def _script(path: Path) -> Path:
    path.write_text(
        f"""#!/usr/bin/env bpftrace
// mine   Opens of one program.
//
// Emits: mine(ts_ns, pid, comm, flags, path)
#define SEVEN 7
struct unused {{ int a; }};
BEGIN {{ printf("begun\\n"); }}
tracepoint:syscalls:sys_enter_openat /comm == "{_name()}"/ {{
  @path[tid] = (uint64)args->filename;
}}
tracepoint:syscalls:sys_exit_openat /comm == "{_name()}" && @path[tid]/ {{
  print(("mine", nsecs, pid, comm, args->ret, str(@path[tid])));
  delete(@path[tid]);
  @opened[comm] = count();
  @size = hist(SEVEN);
}}
END {{ printf("ended %d\\n", 7); clear(@path); }}
"""
    )
    return path


def test_a_script_is_a_table_of_the_capture(
    run: Callable[..., Done], opener: tuple[str, ...], tmp_path: Path
) -> None:
    script = _script(tmp_path / "mine.bt")
    done = run("capture", "--script", str(script), "--name", "own", "--", *opener)
    assert done.returncode == 0, done.stderr
    assert 'next: stackledger sql own "FROM mine"' in done.stderr
    found = rows(run("sql", "own", "FROM mine WHERE path LIKE '%file%'"))
    assert len(found) == OPENS
    assert {row["comm"] for row in found} == {_name()}
    assert {row["path"] for row in found} == {opener[-1]}
    now = time.time_ns()
    assert all(now - 120 * 10**9 < int(row["ts_ns"]) < now for row in found)
    (whole,) = rows(run("sql", "own", "SELECT count(*) AS n FROM mine"))
    (counted,) = rows(run("sql", "own", "FROM script_map"))
    assert (counted["map"], counted["key"], counted["value"]) == ("@opened", _name(), whole["n"])
    (bucket,) = rows(run("sql", "own", "FROM script_hist"))
    assert (bucket["from_value"], bucket["to_value"], bucket["count"]) == ("4", "7", whole["n"])
    lines = rows(run("sql", "own", "FROM script_line"))
    assert [row["line"] for row in lines] == ["begun", "ended 7"]
    kinds = {
        row["column"]: row["type"]
        for row in rows(run("show", "own", "--schema", "--format", "csv"))
        if row["table"] == "mine"
    }
    assert kinds == {
        "ts_ns": "BIGINT",
        "pid": "BIGINT",
        "comm": "VARCHAR",
        "flags": "BIGINT",
        "path": "VARCHAR",
    }


def test_what_it_lost_is_not_known(
    run: Callable[..., Done], opener: tuple[str, ...], tmp_path: Path
) -> None:
    script = _script(tmp_path / "mine.bt")
    assert run("capture", "--script", str(script), "--", *opener).returncode == 0
    losses = {row["table"]: row for row in rows(run("query", "losses"))}
    assert (losses["mine"]["produced"], losses["mine"]["lost"]) == ("", "")
    assert losses["mine"]["lost_share"] == ""


def test_a_part_of_it(run: Callable[..., Done], opener: tuple[str, ...], tmp_path: Path) -> None:
    script = _script(tmp_path / "mine.bt")
    assert run("capture", "--script", str(script), "--", *opener).returncode == 0
    every = rows(run("sql", "FROM mine ORDER BY ts_ns"))
    middle = every[len(every) // 2]["ts_ns"]
    assert rows(run("sql", "FROM mine ORDER BY ts_ns", "--until", middle)) == [
        row for row in every if row["ts_ns"] < middle
    ]
    named = rows(run("sql", "FROM mine ORDER BY ts_ns", "--comm", _name()))
    assert named == every
    assert rows(run("sql", "FROM mine", "--pid", "4194303")) == []


def test_beside_a_probe_and_alone(run: Callable[..., Done], tmp_path: Path) -> None:
    line = 'interval:ms:100 { printf("tick\\n"); }'
    for words, tables in (((), set()), (("--probe", "block_io"), {"block_io"})):
        done = run("capture", "-e", line, *words, "--for", "500ms", "--name", "ticks")
        assert done.returncode == 0, done.stderr
        losses = {row["table"] for row in rows(run("query", "losses", "ticks"))}
        assert losses == {"script_line", *tables}
        (count,) = rows(run("sql", "ticks", "SELECT count(*) AS n FROM script_line"))
        # It runs from when it is attached: the other may take longer.
        assert int(count["n"]) >= 3


def test_one_that_ends_by_itself(run: Callable[..., Done]) -> None:
    for line in ("BEGIN { @x = 7; exit(); }", "interval:ms:300 { @x = 7; exit(); }"):
        done = run("capture", "-e", line)
        assert done.returncode == 0, done.stderr
        assert "-e ended by itself" in done.stderr
        assert [row["value"] for row in rows(run("sql", "FROM script_map"))] == ["7"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("BEGIN { @x = 1; }\nEND { foo( }\n", ":2:"),
        ("tracepoint:no:such { }", "racepoint"),
        ("BEGIN { printf(5); }", "printf"),
    ],
)
def test_one_that_bpftrace_refuses(
    run: Callable[..., Done], tmp_path: Path, text: str, message: str
) -> None:
    script = tmp_path / "bad.bt"
    script.write_text(text)
    done = run("capture", "--script", str(script), "--for", "1s")
    told = done.stderr.splitlines()
    assert (done.returncode, done.stdout) == (2, "")
    assert told[-1] == "stackledger: error: bpftrace refuses the script: bad.bt"
    assert any(message in line for line in told[1:-1]), told
    assert not any("/proc/self" in line for line in told)
    assert list((tmp_path / "store").iterdir()) == []


def test_killed_in_mid_capture_its_rows_are_there(tmp_path: Path) -> None:
    script = tmp_path / "ticks.bt"
    script.write_text(
        '// Emits: ticks(ts_ns, word)\ninterval:ms:50 { print(("ticks", nsecs, "tick")); }\n'
    )
    env = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(PIPELINE), *sys.path]),
        "STACKLEDGER_STORE": str(tmp_path / "store"),
    }
    words = [sys.executable, "-m", "stackledger"]
    with subprocess.Popen(
        [*words, "capture", "--script", str(script)], stderr=subprocess.DEVNULL, env=env
    ) as running:
        deadline = time.monotonic() + 60
        while not list((tmp_path / "store").glob("*/*/*/ticks/part-*")):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        running.send_signal(signal.SIGKILL)
    done = subprocess.run(
        [*words, "sql", "SELECT DISTINCT word FROM ticks"], capture_output=True, text=True, env=env
    )
    assert done.stdout == "word\ntick\n"
    assert "cut off" in done.stderr
