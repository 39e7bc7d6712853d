"""Write-back is charged to the requests that dirtied the pages, and recording has its own line.

A server overwrites pages of a file that is on the disk already, three of its own for each
request, and never syncs: the kernel's threads write them when somebody else asks for it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from stackledger import store
from stackledger.analysis.costmodel import load_model
from stackledger.analysis.costs import cost_table
from stackledger.labs import load, servers

if TYPE_CHECKING:
    import duckdb

pytestmark = pytest.mark.live

PAGE, REQUESTS, EACH = 4096, 101, 3
SERVER = """
import os, socket, sys
file = os.open(sys.argv[1], os.O_RDWR)
listening = socket.create_server(("127.0.0.1", 0))
print(listening.getsockname()[1], flush=True)
place = 0
while True:
    connection, _ = listening.accept()
    while connection.recv(4096):
        for _ in range(3):
            os.pwrite(file, b"x" * 4096, place)
            place += 4096
        connection.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nok")
    connection.close()
"""


@dataclass(frozen=True)
class Scene:
    """A capture, the server's process, its file, and the CPU time of all that recorded."""

    sql: duckdb.DuckDBPyConnection
    pid: int
    inode: int
    recorder_cpu_ns: int

    def one(self, query: str, *values: object) -> Any:
        (row,) = self.sql.execute(query, list(values)).fetchall()
        return row[0]


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    home = Path(tempfile.mkdtemp(prefix="stackledger-test-", dir="/var/tmp"))
    try:
        file = home / "data"
        with file.open("wb") as content:
            content.write(bytes(PAGE * EACH * REQUESTS))
            content.flush()
            os.fsync(content.fileno())
            # Else its large folios, in the cache, would be dirtied as a page each.
            os.posix_fadvise(content.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        argv = [sys.executable, "-c", SERVER, str(file)]
        with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as server:
            try:
                assert server.stdout is not None
                url = f"http://127.0.0.1:{int(server.stdout.readline())}"
                yield _recorded(home, file, url, server.pid)
            finally:
                server.kill()
    finally:
        shutil.rmtree(home)


def _recorded(home: Path, file: Path, url: str, pid: int) -> Scene:
    asked = load.command(url, ["/write"], requests=REQUESTS, connections=1)
    script = f'"$@" > /dev/null && sync -f {file}'
    argv = [sys.executable, "-m", "stackledger", "capture", "--store", str(home)]
    argv += ["--probe", "page_cache", "--probe", "writeback", "--", "sh", "-c", script, "sh"]
    environment = {**os.environ, **servers.module_path()}
    with subprocess.Popen([*argv, *asked], env=environment, stdout=subprocess.DEVNULL) as recorder:
        _, status, used = os.wait4(recorder.pid, 0)
        recorder.returncode = os.waitstatus_to_exitcode(status)
    assert recorder.returncode == 0
    spent = round((used.ru_utime + used.ru_stime) * 1e9)
    sql = store.connect(store.find("last", home))
    return Scene(sql, pid, file.stat().st_ino, spent)


def test_the_pages_are_counted(scene: Scene) -> None:
    pages = EACH * REQUESTS
    dirtied = "SELECT sum(dirtied)::BIGINT FROM page_cache WHERE pid = $1 AND inode = $2"
    assert scene.one(dirtied, scene.pid, scene.inode) == pages
    written = "SELECT sum(pages)::BIGINT FROM writeback WHERE inode = $1"
    assert scene.one(written, scene.inode) == pages


def test_their_writing_is_the_requests(scene: Scene) -> None:
    result = cost_table(scene.sql, load_model("aws-us-east-1"))
    assert result.difference_usd == 0
    (mine,) = [row for row in result.transactions if row.endpoint == "GET /write"]
    assert mine.requests == REQUESTS
    used = "SELECT sum(disk_bytes)::BIGINT FROM cost_usage WHERE endpoint = 'GET /write'"
    # What a page comes to on the disk is that of all pages written meanwhile.
    assert scene.one(used) == pytest.approx(PAGE * EACH * REQUESTS, rel=0.1)
    of_disks = "SELECT sum(write_bytes)::BIGINT FROM host_disk"
    assert scene.one(used) <= scene.one(of_disks)


def test_recording_is_a_line_of_its_own(scene: Scene) -> None:
    result = cost_table(scene.sql, load_model("aws-us-east-1"))
    counted = scene.one("SELECT cpu_ns FROM cost_tracer")
    # Its start, before the window, and its last second's writing are in the latter alone.
    assert 0 < counted <= scene.recorder_cpu_ns
    of_tracer = sum(row.cost_usd for row in result.rows if row.kind == "tracer")
    assert of_tracer == result.tracer_usd > 0
    whole = result.requests_usd + result.idle_usd + result.tracer_usd + result.unattributed_usd
    assert whole == result.bill_usd
