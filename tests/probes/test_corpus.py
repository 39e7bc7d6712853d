"""What real bpftraces printed, and the rows that have to come of it.

record_corpus.py made the corpus: eight threads, by turns, with the names below, read
seven pages each of a loop device and sent seven commands each to a Redis server.
Those of `.tabs` are as the probe printed them before DEL stood between the values,
as it does in recordings that are older.
"""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from stackledger import catalog
from stackledger.capture.intake import Intake
from stackledger.manifest import Loss

CORPUS = Path(__file__).with_name("corpus")
VERSIONS = {"0.17.0": "tracepoint", "0.23.2": "rawtracepoint"}
LOOP = 7 << 20
# As record_corpus.py's, at most 15 bytes of each, invalid UTF-8 replaced.
NAMES = [
    'a","x":1}',
    "\\\"'\\n\\u0041",
    "new\nline\ttab\r",
    "<script>1",
    "]}",
    "café",
    "\ufffd\ufffd\ufffdbad",
    "\x01\x02\x1f\x7f",
]


def _intake(
    version: str, stem: str, piece: int, separated: str = ""
) -> tuple[dict[str, list[dict[str, Any]]], Intake]:
    intake = Intake(catalog.probe(stem), "")
    intake.run.state = "complete"
    data = gzip.decompress((CORPUS / f"{version}-{stem}{separated}.jsonl.gz").read_bytes())
    found: dict[str, list[pa.Table]] = {}
    for start in range(0, len(data), piece):
        intake.take(data[start : start + piece])
        intake.open = start + piece < len(data)
        for table, rows in intake.rows():
            found.setdefault(table, []).append(rows)
    tables = {
        table: pa.concat_tables(rows).unify_dictionaries().to_pylist()
        for table, rows in found.items()
    }
    return tables, intake


@pytest.mark.parametrize("piece", [97, 1 << 20])
@pytest.mark.parametrize("version", VERSIONS)
def test_block_io(version: str, piece: int) -> None:
    tables, intake = _intake(version, f"block_io.{VERSIONS[version]}", piece)
    reads = [row for row in tables["block_io"] if row["dev"] >> 20 == 7 and row["comm"] in NAMES]
    assert [row["comm"] for row in reads] == [name for name in NAMES for _ in range(7)]
    assert [row["sector"] for row in reads] == [
        8 * (100 * number + at) for number in range(len(NAMES)) for at in range(7)
    ]
    assert {(row["bytes"], row["error"]) for row in reads} == {(4096, 0)}
    assert {row["rwbs"] for row in reads} == {"RS"}
    assert len({row["pid"] for row in reads}) == 1
    assert all(0 <= row["queue_ns"] < 10**9 for row in reads)
    assert all(0 < row["device_ns"] < 10**9 for row in reads)
    assert [row["ts_ns"] for row in reads] == sorted(row["ts_ns"] for row in reads)
    assert intake.losses()[0].undecodable == 0


@pytest.mark.parametrize("piece", [97, 1 << 20])
@pytest.mark.parametrize("separated", ["", ".tabs"])
@pytest.mark.parametrize("version", VERSIONS)
def test_request_ledger(version: str, separated: str, piece: int) -> None:
    tables, intake = _intake(version, "request_ledger", piece, separated)
    connections = tables["connection"]
    clients = [row for row in connections if not row["accepted"]]
    servers = [row for row in connections if row["accepted"]]
    assert [row["comm"] for row in clients] == NAMES
    assert {row["local_port"] for row in servers} == {6390}
    assert {row["remote_port"] for row in clients} == {6390}
    assert [row["remote_port"] for row in servers] == [row["local_port"] for row in clients]
    assert {row["local_addr"] for row in connections} == {"127.0.0.1"}

    requests = tables["request"]
    assert len(requests) == 7 * len(NAMES)
    assert {(row["sock"], row["conn_ts_ns"]) for row in requests} == {
        (row["sock"], row["ts_ns"]) for row in servers
    }
    assert {(row["protocol"], row["endpoint"], row["error"]) for row in requests} == {
        ("redis", "GET", False)
    }
    assert {(row["recv_bytes"], row["send_bytes"]) for row in requests} == {(22, 5)}
    assert all(row["complete"] and row["payload"] is None for row in requests)
    assert all(0 < row["cpu_ns"] <= row["wall_ns"] for row in requests)
    assert intake.losses() == [
        Loss(table="connection", produced=16, received=16, lost=0, undecodable=0),
        Loss(table="request", produced=56, received=56, lost=0, undecodable=0),
        Loss(table="call", produced=0, received=0, lost=0, undecodable=0),
    ]
