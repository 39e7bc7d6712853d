"""Every report's order is total, and every view is documented column by column."""

from __future__ import annotations

import random
import re

import pytest

from stackledger import resources, views
from stackledger.analysis import describe
from stackledger.analysis.queries import params, run
from stackledger.catalog import queries
from stackledger.schema import FACTS, TABLES

VIEWS = sorted((resources.folder("queries") / "views").glob("*.sql"))
_CREATED = re.compile(r"^CREATE OR REPLACE VIEW (\w+)", re.MULTILINE)


def _crowd(tables: dict[str, list[dict[str, object]]]) -> dict[str, list[dict[str, object]]]:
    """Return the rows 24 times over, at the same times: alike but for sockets, threads, sectors."""
    crowd: dict[str, list[dict[str, object]]] = {"process": tables["process"]}
    for copy in range(24):
        for table, rows in tables.items():
            if table == "process":
                continue
            for row in rows:
                other = dict(row)
                for name in ("sock", "owner_sock", "peer_sock", "tid"):
                    if other.get(name) not in (None, "0", "NULL"):
                        other[name] = int(str(other[name])) + 100 * copy
                for name in ("local_port", "remote_port"):
                    if str(other.get(name, "0")) > "3":
                        other[name] = int(str(other[name])) + copy
                if table == "block_io":
                    other["comm"] = f"backend {copy}"
                crowd.setdefault(table, []).append(other)
    return crowd


@pytest.fixture(scope="module")
def shuffled(capture, case_rows):
    """Connections to the same rows, put in in different orders."""
    crowd = _crowd(case_rows("chain"))
    found = []
    for seed in range(3):
        rows = {table: list(of_table) for table, of_table in crowd.items()}
        for of_table in rows.values():
            random.Random(seed).shuffle(of_table)
        found.append(capture(**rows))
    return found


@pytest.mark.parametrize("name", sorted(queries()))
def test_the_order_does_not_depend_on_that_of_the_input(shuffled, name):
    given = {"count": 40} if "count" in {param.name for param in params(queries()[name])} else {}
    results = [run(connection, name, given).rows for connection in shuffled]
    assert results[0]
    assert results[1] == results[0]
    assert results[2] == results[0]


@pytest.mark.parametrize("name", sorted(queries()))
def test_a_report_is_one_select_with_its_order(name):
    text = queries()[name].text()
    code = "\n".join(line for line in text.splitlines() if not line.startswith("--"))
    assert re.match(r"(WITH|SELECT)\b", code)
    assert ";" not in code
    assert re.search(r"^ORDER BY\b", code, re.MULTILINE)
    assert max(map(len, code.splitlines())) <= 80


@pytest.fixture(scope="module")
def documented(capture):
    connection = capture(assembled=False)
    views.document(connection)
    return connection


def test_every_view_and_each_of_its_columns_has_a_comment(documented):
    created = {name for path in VIEWS for name in _CREATED.findall(path.read_text())}
    assert len(created) > 10
    views = dict(
        documented.execute(
            "SELECT view_name, comment FROM duckdb_views() WHERE NOT internal"
        ).fetchall()
    )
    assert set(views) == created
    assert [name for name, comment in views.items() if not comment] == []
    columns = documented.execute(
        "SELECT table_name, column_name, comment FROM duckdb_columns()"
        " WHERE NOT internal AND table_name IN (SELECT unnest($1))",
        [sorted(created)],
    ).fetchall()
    assert [column[:2] for column in columns if not column[2]] == []


def test_every_column_of_every_view_is_described(documented):
    described = {(row[0], row[1]) for row in describe.columns(documented)[1]}
    there = documented.execute(
        "SELECT table_name, column_name FROM duckdb_columns() WHERE NOT internal"
        " AND table_name IN (SELECT view_name FROM duckdb_views() WHERE NOT internal)"
    ).fetchall()
    assert set(there) <= described


def test_a_columns_unit_is_in_its_name_and_in_its_comment(documented):
    """A comment begins with the unit and ` · `; nanoseconds are in `_ns`, and nothing else is."""
    for table, column, _kind, unit, _meaning in describe.columns(documented)[1]:
        assert column.endswith("_ns") == (unit == "ns"), f"{table}.{column}"
        if column.endswith("_bytes"):
            assert unit == "bytes", f"{table}.{column}"


def test_what_is_made_of_the_manifest_is_known_by_name(capture):
    made = {
        name
        for (name,) in capture()
        .execute("SELECT table_name FROM duckdb_tables() WHERE database_name = 'memory'")
        .fetchall()
    }
    assert made == {*TABLES, *FACTS}
