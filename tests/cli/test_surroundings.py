"""Closed pipes, full disks, odd locales, terminals, Ctrl-C."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
from contextlib import suppress

import pytest


def test_ctrl_c_ends_a_query(replayed):
    endless = "SELECT sum(a.range * b.range) FROM range(10000000) AS a, range(10000000) AS b"
    asking = subprocess.Popen(
        [sys.executable, "-m", "stackledger", "sql", endless],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(sys.path),
            "STACKLEDGER_STORE": str(replayed.store),
        },
    )
    with pytest.raises(subprocess.TimeoutExpired):
        asking.communicate(timeout=4)
    asking.send_signal(signal.SIGINT)
    assert asking.communicate(timeout=5) == (b"", b"")
    assert asking.returncode == 130


def shell(script, replayed, **environment):
    """Run a script in which `stackledger` is this one."""
    return subprocess.run(
        ["bash", "-c", f'stackledger() {{ "{sys.executable}" -m stackledger "$@"; }}\n{script}'],
        capture_output=True,
        text=True,
        timeout=60,
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.pathsep.join(sys.path),
            "STACKLEDGER_STORE": str(replayed.store),
            **environment,
        },
    )


def test_a_closed_pipe_is_no_failure(replayed):
    done = shell(
        'stackledger sql "SELECT * FROM block_io" | head -1; echo ${PIPESTATUS[0]}', replayed
    )
    assert done.stdout.splitlines()[0].startswith("ts_ns,pid,")
    assert (done.stdout.splitlines()[1:], done.stderr) == (["0"], "")


def test_a_full_disk_under_standard_output(replayed):
    for words in ('sql "SELECT * FROM block_io"', "attribute", "sql --format parquet 'SELECT 1'"):
        done = shell(f"stackledger {words} > /dev/full", replayed)
        assert done.stderr == (
            "stackledger: error: cannot write to standard output: No space left on device\n"
        )
        assert done.returncode == 1


def test_without_a_locale_and_a_home(replayed):
    done = shell("stackledger attribute; stackledger report -o -", replayed, LC_ALL="C")
    assert (done.returncode, done.stderr) == (0, "")
    # Python takes UTF-8 where the locale is C; where it is told not to, escapes.
    ascii_only = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    done = shell("stackledger attribute; stackledger query --format json", replayed, **ascii_only)
    assert (done.returncode, done.stderr) == (0, "")
    assert "all endpoints \\xb7 p99 band" in done.stdout
    done = shell("stackledger captures", replayed, STACKLEDGER_STORE="", XDG_DATA_HOME="")
    assert (done.returncode, done.stderr) == (0, "")


def on_terminal(*words, **environment):
    """Run a command on a terminal of 80 columns; return its exit code and what is seen."""
    ours, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 25, 80, 0, 0))
    running = subprocess.Popen(
        [sys.executable, "-m", "stackledger", *words],
        stdin=its,
        stdout=its,
        stderr=its,
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.pathsep.join(sys.path),
            "TERM": "xterm",
            "LANG": "C.UTF-8",
            **environment,
        },
    )
    os.close(its)
    seen = b""
    with suppress(OSError):  # a terminal ends so
        while data := os.read(ours, 1 << 16):
            seen += data
    os.close(ours)
    return running.wait(10), seen.decode().replace("\r\n", "\n")


def test_parquet_is_not_for_a_terminal(replayed):
    words = ("captures", "--format", "parquet", "--store", str(replayed.store))
    assert on_terminal(*words) == (
        2,
        "stackledger: error: Parquet is not for a terminal\nhint: redirect it: … > rows.parquet\n",
    )


def test_a_terminal_gets_a_table_that_fits(replayed):
    code, seen = on_terminal("query", "services", "--store", str(replayed.store), NO_COLOR="1")
    assert code == 0
    assert not seen.startswith("caller,")
    plain = re.sub(r"\x1b\[[0-9;]*m", "", seen)
    assert "\x1b" not in plain
    assert max(map(len, plain.splitlines())) <= 80
