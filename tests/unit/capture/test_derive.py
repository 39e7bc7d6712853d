"""From raw columns to the registry's, and from what is left in the maps to rows."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from stackledger import catalog
from stackledger.capture import blockio
from stackledger.capture.decode import Decoder
from stackledger.capture.derive import derive
from stackledger.capture.leftovers import Left, rows_of
from stackledger.capture.writer import arrow_schema

OFFSET = 10**15


def _derived(
    probe: str, table: str, rows: list[list[Any]], **options: bool
) -> list[dict[str, Any]]:
    raw = Decoder(catalog.probe(probe).emits).table(table, rows)
    found = derive(table, raw, OFFSET, **options)
    assert found.column_names == arrow_schema(table).names
    return found.to_pylist()


def test_a_connection_s_port_is_turned_round() -> None:
    (row,) = _derived(
        *("request_ledger", "connection"),
        [[1, -5, True, 2, "127.0.0.1", 80, "10.0.0.9", 0x3930, 0, 7, 8, "nginx"]],
    )
    assert row["remote_port"] == 0x3039 == 12345
    assert (row["ts_ns"], row["sock"], row["accepted"]) == (OFFSET + 1, -5, True)


def _request(first: str, answer: int, complete: bool = True) -> list[Any]:
    columns = catalog.probe("request_ledger").emits[1].columns
    values: dict[str, Any] = dict.fromkeys(columns, 0)
    values |= {"ts_ns": 1, "recv_ts_ns": 2, "pid_tid": 7 << 32 | 8, "complete": complete}
    values |= {"first": first, "answer": answer, "calls_handovers": 3 << 32 | 4}
    return list(values.values())


def test_a_request_is_named_and_its_bytes_are_kept_on_demand_only() -> None:
    first = "GET /a/42?secret=x HTTP/1.1\\x0d\\x0aX: \\xff"
    answer = ord("H") | int.from_bytes(b"503", "little") << 8
    (row,) = _derived("request_ledger", "request", [_request(first, answer)])
    assert (row["protocol"], row["endpoint"]) == ("http", "GET /a/{id}")
    assert (row["status"], row["error"], row["payload"]) == (503, True, None)
    assert (row["pid"], row["tid"], row["calls"], row["handovers"]) == (7, 8, 3, 4)
    assert (row["conn_ts_ns"], row["recv_ts_ns"]) == (0, OFFSET + 2)
    (kept,) = _derived("request_ledger", "request", [_request(first, 0)], payload=True)
    assert kept["payload"] == b"GET /a/42?secret=x HTTP/1.1\r\nX: \xff"


def _block_io(**changes: Any) -> list[Any]:
    columns = catalog.probe("block_io.rawtracepoint").emits[0].columns
    values = dict.fromkeys(columns, 0) | {"comm": "dd", "cmd_flags": 1 | 1 << 11, **changes}
    return list(values.values())


def test_unknown_is_null_but_a_flush_s_sector_is_minus_one() -> None:
    (row,) = _derived(
        *("block_io.rawtracepoint", "block_io"),
        [_block_io(pid=-1, tid=-1, queue_ns=-1, device_ns=-1, sector=-1)],
    )
    assert {row[name] for name in ("pid", "tid", "queue_ns", "device_ns")} == {None}
    assert row["sector"] == -1


@pytest.mark.parametrize(
    ("flags", "letters"),
    [
        *((0, "R"), (0x80000, "RA"), (0x800, "RS"), (1, "W"), (0x801, "WS"), (0x1801, "WSM")),
        *((0x40801, "FWS"), (0x21801, "WFSM"), (3, "D"), (0x803, "DS"), (2 | 0x40000, "FF")),
        *((5, "DE"), (9, "W"), (34, "N")),
    ],
)
def test_letters_of_a_request(flags: int, letters: str) -> None:
    assert blockio.rwbs(pa.chunked_array([[flags]])).to_pylist() == [letters]


def test_errors_are_errno() -> None:
    status = pa.chunked_array([[0, 1, 3, 10, 200]])
    assert blockio.errno(status).to_pylist() == [0, -95, -28, -5, -5]


def test_open_requests_and_calls_are_rows_with_their_parts_so_far() -> None:
    """One request waits for its call since 400, another runs since 800."""
    maps = {
        "@state": {"-10": [100, 0, 0, 0], "-20": [700, 0, 0, 0], "-30": [0, 650, 0, 0]},
        "@req": {"-10": [90, 7 << 32 | 7, 5, 0, 1 << 32], "-20": [690, 8 << 32 | 9, 6, 0, 0]},
        "@time": {"-10": [50, 5, 0, 0, 0, 0], "-20": [20, 0, 0, 0, 0, 0]},
        "@conn": {"-10": [80, 1, 0], "-20": [680, 1, 0], "-40": [85, 0, 0]},
        "@thread": {"7": [2**64 - 10, 100, 400, 1], "9": [2**64 - 20, 700, 800, 1]},
        "@off": {"7": [400, 6, 0, 7]},
        "@cover": {"-10": [1, 300, 40, 0, 0]},
        "@call": {"-40": [2**64 - 10, 100, 300, 0, 40, 0, 0, 2]},
        "@callio": {"-40": [7 << 32 | 7, 33, 0]},
        "@first": {"-10": "GET / HTTP/1.1\\x0d", "-20": [71, 69, 84]},
        "@callfirst": {"-40": "*1\\x0d\\x0a$4\\x0d\\x0aPING\\x0d\\x0a"},
    }
    rows = rows_of("request_ledger", Left(maps, 950, 1000, {}))
    request = {row["sock"]: row for row in _derived("request_ledger", "request", rows["request"])}
    assert set(request) == {-10, -20}
    waiting, running = request[-10], request[-20]
    assert not waiting["complete"]
    assert waiting["wall_ns"] == 1000 - 90
    assert (waiting["cpu_ns"], waiting["runq_ns"]) == (50, 5)
    assert waiting["covered_ns"] == (1000 - 300) - (55 - 40)
    assert waiting["endpoint"] == "GET /"
    assert running["cpu_ns"] == 20 + (1000 - 800)
    (call,) = _derived("request_ledger", "call", rows["call"])
    assert (call["sock"], call["owner_sock"], call["wall_ns"]) == (-40, -10, 700)
    assert (call["complete"], call["inherited"], call["endpoint"]) == (False, True, "PING")


def test_a_probe_that_did_not_end_well_leaves_no_rows() -> None:
    assert rows_of("request_ledger", Left({"@state": {"1": [1, 0, 0, 0]}}, 0, 0, {})) == {}


def test_completions_that_the_kernel_skipped_are_rows_and_those_in_flight_are_not() -> None:
    dev = 254 << 20
    maps = {
        "@issue": {f"{dev},{sector}": [sector, 8, 1] for sector in (10, 20, 30, 2000)},
        "@fsync_begun": {str(dev): 5},
        "@fsyncs_ended": {str(dev): 3},
    }
    rows = rows_of("block_io.tracepoint", Left(maps, 1000, 1001, {dev: 1}))["block_io"]
    assert [(row[0], row[5], row[6], row[7]) for row in rows] == [
        *((10, 10, 4096, "W"), (20, 20, 4096, "W")),
        *((1000, -1, 0, "FWS"), (1000, -1, 0, "FWS")),
    ]
    known = {"@start": {f"{dev},20": [15, 7, 8, "dd"], f"{dev},10": [11, 7, 8, "late"]}}
    rows = rows_of("block_io.tracepoint", Left(maps | known, 1000, 1001, {dev: 1}))["block_io"]
    assert [row[1:4] + row[8:10] for row in rows[:2]] == [
        *([-1, -1, "", -1, -1], [7, 8, "dd", 20 - 15, -1]),
    ]
    filtered = Left(maps | known | {"@filtered": 1}, 1000, 1001, {dev: 1})
    assert [row[3] for row in rows_of("block_io.tracepoint", filtered)["block_io"]] == ["dd"]
    maps = {"@issue": {"-5": [10, 77, 4096, dev, 0x801], "-6": [2000, 78, 4096, dev, 0]}}
    rows = rows_of("block_io.rawtracepoint", Left(maps, 1000, 1001, {}))["block_io"]
    (row,) = _derived("block_io.rawtracepoint", "block_io", rows)
    assert (row["sector"], row["bytes"], row["rwbs"], row["device_ns"]) == (77, 4096, "WS", None)
