"""Reads that a throttled disk's worker submitted are found to be the requests' that waited.

What a request really read is known from PostgreSQL's own processes: `/proc/PID/io` counts a
read where it is asked for, before the throttle holds it back.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import pytest

from stackledger.analysis.costmodel import load_model
from stackledger.analysis.costs import cost_table
from stackledger.labs import folders, postgres, servers, throttle

if TYPE_CHECKING:
    pass

pytestmark = pytest.mark.live

READ_IOPS, SECONDS = 200, 5.0
# What is asked for, of how many rows, and by how many: each row lies on a page of its own.
KINDS = {"count": (1, 12), "min": (10, 3)}

ASK = """
import json, random, sys, threading, time
from pathlib import Path
from stackledger.labs.pgwire import Connection
port, seconds, kinds = int(sys.argv[1]), float(sys.argv[2]), json.loads(sys.argv[3])
end, read = time.monotonic() + seconds, []
def read_bytes(pid):
    return int(Path(f"/proc/{pid}/io").read_text().split("\\nread_bytes: ")[1].split()[0])
def ask(kind, rows, chance):
    connection = Connection(("127.0.0.1", port), user="lab", database="postgres")
    ((pid,),) = connection.query("SELECT pg_backend_pid()")
    before = read_bytes(pid)
    while time.monotonic() < end:
        ids = ", ".join(str(chance.randint(1, 40000)) for _ in range(rows))
        connection.query(f"SELECT {kind}(note) FROM orders WHERE id IN ({ids})")
    read.append((kind, read_bytes(pid) - before))
    connection.close()
threads = [threading.Thread(target=ask, args=(kind, rows, random.Random(f"{kind} {n}")))
           for kind, (rows, number) in kinds.items() for n in range(number)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(json.dumps({kind: sum(size for one, size in read if one == kind) for kind in kinds}))
"""
OF_EACH = """
SELECT
  regexp_extract(r.endpoint, '^SELECT (count|min)\\(note\\)', 1) AS kind,
  sum(io.bytes)::BIGINT,
  (sum(io.bytes * (io.ios - io.given_ios) / io.ios))::BIGINT
FROM request AS r
JOIN request_io AS io USING (sock, recv_ts_ns)
GROUP BY kind
HAVING kind <> ''
"""


@pytest.fixture(scope="module")
def recorded(stack_programs: None, recorder: Any, tmp_path_factory: Any) -> tuple[Any, Any]:
    """Give what PostgreSQL's processes read by kind, and the capture of it."""
    told = tmp_path_factory.mktemp("told") / "read.json"
    with folders.private_folder(None) as folder, throttle.throttle(folder) as limit:
        port = servers.free_ports(["database"])["database"]
        with postgres.database(folder, port) as database:
            limit.add(database.server.pids)
            limit.set(READ_IOPS)
            database.drop_cache()
            words = [str(port), str(SECONDS), json.dumps(KINDS)]
            argv = ["sh", "-c", f'"$0" "$@" > {told}', sys.executable, "-c", ASK, *words]
            found = recorder({"ask": argv}, [port])
    return json.loads(told.read_text()), found


def test_each_read_is_the_requests_that_asked_for_it(recorded) -> None:
    read, found = recorded
    of_each = {kind: (whole, own) for kind, whole, own in found.rows(OF_EACH)}
    print(f"read {read}, attributed and submitted by its thread {of_each}")
    whole = sum(read.values())
    # Most of them the threads did not submit themselves.
    assert sum(own for _, own in of_each.values()) < 0.5 * whole
    assert sum(one for one, _ in of_each.values()) == pytest.approx(whole, rel=0.05)
    for kind, size in read.items():
        assert of_each[kind][0] == pytest.approx(size, rel=0.15), kind


def test_the_costs_have_them_too(recorded) -> None:
    read, found = recorded
    result = cost_table(found.sql, load_model("aws-us-east-1"))
    assert result.difference_usd == 0
    assert any("disk I/Os were submitted by the kernel's threads" in note for note in result.notes)
    (used,) = found.one("SELECT sum(disk_bytes)::BIGINT FROM cost_usage")
    assert used >= 0.95 * sum(read.values())
