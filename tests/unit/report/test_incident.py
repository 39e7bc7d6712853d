"""What happened when: every answer is counted once, and the page stays small at any length."""

from __future__ import annotations

import re

import pytest

from stackledger.report import hostdata, timedata
from stackledger.report.charts import Axis
from stackledger.report.heatmap import heat_map
from stackledger.report.incident import _bandwidth, incident

SECOND = 10**9
START_NS = 1_700_000_000_000_000_000


@pytest.mark.parametrize("seconds", [0, 0.001, 1, 8.3, 100, 3600, 86_400, 40 * 86_400])
def test_the_axis_is_bounded_and_covers_the_window(seconds: float) -> None:
    window_ns = round(seconds * SECOND)
    axis = timedata.grid(START_NS, window_ns)
    assert 1 <= axis.columns <= timedata.COLUMNS
    assert axis.columns * axis.width_ns >= window_ns > (axis.columns - 1) * axis.width_ns - 1


@pytest.mark.parametrize("transactions", [10, 4000])
def test_every_answer_is_in_one_cell_and_one_row(shop, transactions: int) -> None:  # type: ignore[no-untyped-def]
    connection = shop(transactions=transactions, still_open=True).open()
    axis = timedata.grid(START_NS, transactions * SECOND // 10)
    cells = timedata.cells(connection, None, axis)
    assert sum(cell.requests for cell in cells) == transactions - 1
    assert sum(one.requests for one in timedata.intervals(connection, None, axis)) == (
        transactions - 1
    )
    buckets = {cell.from_ns for cell in cells}
    assert len(buckets) <= timedata.BUCKETS
    assert all(0 <= cell.column < axis.columns for cell in cells)
    assert sum(cell.requests for cell in cells if cell.to_ns > 80e6) == transactions // 10 - 1


def test_latencies_of_any_spread_make_few_buckets(shop) -> None:  # type: ignore[no-untyped-def]
    connection = shop(transactions=200).open()
    connection.execute("UPDATE roots SET wall_ns = pow(1.15, (ts_ns // 100_000_000) % 200)::BIGINT")
    cells = timedata.cells(connection, None, timedata.grid(START_NS, 20 * SECOND))
    assert len({cell.from_ns for cell in cells}) <= timedata.BUCKETS
    assert sum(cell.requests for cell in cells) == 200


def test_the_shades_name_every_count() -> None:
    axis = timedata.grid(START_NS, 10 * SECOND)
    cells = [timedata.Cell(number, 1e6, 2e6, 4**number) for number in range(8)]
    drawn = heat_map(cells, axis, [])
    assert drawn is not None
    assert [one.text for one in drawn.shades] == [
        "1 to 4",
        "5 to 16",
        "17 to 64",
        "65 to 256",
        "257 to 1,024",
        "1,025 to 4,096",
        "4,097 or more",
    ]
    levels = re.findall(r'fill="var\(--heat(\d)\)"', str(drawn.plot.drawing))
    assert levels == ["0", "0", "1", "2", "3", "4", "5", "6"]
    one = heat_map(cells[:1], axis, [])
    assert one is not None
    assert [shade.text for shade in one.shades] == ["1 or more"]
    assert heat_map([], axis, []) is None


def test_a_line_stops_where_nothing_was_measured(shop) -> None:  # type: ignore[no-untyped-def]
    connection = shop(transactions=1200).open()
    # Of the I/Os, one every second, those of half a minute are missing.
    connection.execute(
        "DELETE FROM block_io WHERE ts_ns BETWEEN $from AND $until",
        {"from": START_NS + 40 * SECOND, "until": START_NS + 70 * SECOND},
    )
    shown = incident(connection, None, START_NS, 120 * SECOND)
    assert shown is not None
    (disk,) = shown.panels
    assert len(re.findall(r'stroke="var\(--p99\)"', str(disk.plot.drawing))) == 2


def test_samples_of_the_host_stand_in_the_middle_of_their_second(shop) -> None:  # type: ignore[no-untyped-def]
    connection = shop(transactions=10).open()
    connection.execute(
        "INSERT INTO host_cpu BY NAME SELECT $start + 1_000_000_000 AS ts_ns,"
        " 1_000_000_000 AS interval_ns, 150 AS user_ns, 50 AS system_ns, 100 AS iowait_ns,"
        " 0 AS steal_ns, 700 AS idle_ns, 1000 AS mem_total_bytes, 600 AS mem_available_bytes",
        {"start": START_NS},
    )
    axis = timedata.grid(START_NS, SECOND)
    (sample,) = hostdata.host(connection, axis)
    assert (sample.offset_ns, sample.first) == (SECOND // 2, pytest.approx(0.2))
    assert sample.second == pytest.approx(0.4)
    shown = incident(connection, None, START_NS, SECOND)
    assert shown is not None
    assert {(row.cpu, row.memory) for row in shown.rows} == {("20.0 %", "40.0 %")}
    assert [panel.title for panel in shown.panels] == [
        "Disk latency, logarithmic",
        "CPU and memory",
    ]


def test_nothing_measured_is_no_section(shop) -> None:  # type: ignore[no-untyped-def]
    connection = shop(disk=False).open()
    connection.execute("DELETE FROM roots")
    assert incident(connection, None, START_NS, SECOND) is None


def test_ticks_are_round_in_their_unit() -> None:
    axis = Axis(0, 170 * 1024, unit=1024)
    assert [tick / 1024 for tick in axis.ticks(4)] == [0, 50, 100, 150]


def test_a_network_without_traffic_has_an_axis_of_different_numbers() -> None:
    axis, write = _bandwidth([0.0, 0.0])
    words = [write(value) for value in axis.ticks(4)]
    assert len(words) == len(set(words)) > 1
