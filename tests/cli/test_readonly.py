"""`stackledger sql`: it reads the capture's own files, and nothing that it is told changes that."""

from __future__ import annotations

import pytest

from stackledger.analysis import readonly
from stackledger.errors import UsageError
from stackledger.store import connect, find


@pytest.mark.parametrize(
    "statement",
    [
        "FROM read_csv('/etc/passwd')",
        "FROM read_text('/etc/passwd')",
        "FROM read_blob('/proc/self/environ')",
        "FROM read_json('/etc/os-release')",
        "FROM read_parquet('{other}')",
        "FROM '{other}'",
        "FROM glob('/etc/*')",
        "FROM read_parquet(list_append(getvariable('files_request'), '{other}'))",
        "FROM read_csv('http://127.0.0.1:9/x')",
        "FROM sniff_csv('/etc/passwd')",
        "FROM parquet_metadata('{other}')",
    ],
)
def test_no_other_file_is_read(statement, ask, replayed, tmp_path):
    other = tmp_path / "other.parquet"
    other.write_bytes(next((replayed.folder / "request").glob("*.parquet")).read_bytes())
    done = ask("sql", statement.format(other=other))
    assert (done.code in (1, 2), done.stdout) == (True, "")
    assert "root:" not in done.stderr


@pytest.mark.parametrize(
    "statement",
    [
        "COPY (SELECT 1) TO '{file}'",
        "COPY (SELECT 1) TO '{part}' (USE_TMP_FILE false)",
        "EXPLAIN ANALYZE COPY (SELECT 1) TO '{part}' (USE_TMP_FILE false)",
        "/**/ explain /* x */ analyze /**/ copy (SELECT 1) TO '{part}' (USE_TMP_FILE false)",
        "PREPARE p AS COPY (SELECT 1) TO '{part}' (USE_TMP_FILE false); EXECUTE p",
        "SELECT 1; COPY (SELECT 1) TO '{part}' (USE_TMP_FILE false)",
        "EXPORT DATABASE '{file}'",
        "IMPORT DATABASE '{file}'",
        "ATTACH '{file}' AS other",
        "ATTACH ':memory:' AS other",
        "INSTALL httpfs",
        "LOAD '{file}'",
        "PRAGMA enable_profiling",
        "CALL enable_logging(storage = 'file', storage_path = '{file}')",
        "VACUUM",
        "CREATE PERSISTENT SECRET s (TYPE s3)",
        "SET temp_directory = '{file}'",
        "SET memory_limit = '1TB'",
        "SET enable_external_access = true",
        "SET allowed_paths = ['/etc/passwd']",
        "SET lock_configuration = false",
        "RESET memory_limit",
        "SET profiling_output = '{file}'",
        "SET custom_extension_repository = '{file}'",
        "SET secret_directory = '{file}'",
    ],
)
def test_nothing_is_written_loaded_or_set(statement, ask, replayed, tmp_path):
    part = min((replayed.folder / "request").glob("*.parquet"))
    before = {path: path.stat().st_mtime_ns for path in replayed.store.rglob("*")}
    content = part.read_bytes()
    done = ask("sql", statement.format(file=tmp_path / "made", part=part))
    assert (done.code in (1, 2), done.stdout) == (True, ""), done
    assert done.stderr.count("stackledger: error: ") == 1
    assert part.read_bytes() == content
    assert {path: path.stat().st_mtime_ns for path in replayed.store.rglob("*")} == before
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "statement",
    [
        "EXPLAIN SELECT 'copy' AS copied FROM request",
        "EXPLAIN ANALYZE SELECT count(*) FROM request",
        "SELECT 1 AS copy",
        "DESCRIBE request",
        "SHOW TABLES",
        "SUMMARIZE loss",
        'PIVOT loss ON "table" USING sum(received)',
        "SET VARIABLE own = 17; SELECT getvariable('own') AS n",
        "CREATE MACRO twice(x) AS 2 * x; SELECT twice(4) AS n",
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 9) FROM n",
    ],
)
def test_what_only_reads_is_answered(statement, ask):
    done = ask("sql", statement)
    assert (done.code, done.stderr, bool(done.stdout)) == (0, "", True)


def test_the_files_are_closed_to_whoever_gets_by_the_check(replayed, tmp_path):
    """The second wall: without the look at the statement there is no other file either."""
    import duckdb

    with connect(find("last", replayed.store)) as connection:
        for statement in (
            "FROM read_csv('/etc/passwd')",
            f"COPY (SELECT 1) TO '{tmp_path / 'made'}' (USE_TMP_FILE false)",
            "SET enable_external_access = true",
            "INSTALL httpfs",
            f"ATTACH '{tmp_path / 'made'}'",
        ):
            with pytest.raises(duckdb.Error):
                connection.execute(statement).fetchall()
    assert list(tmp_path.iterdir()) == []


def test_a_kind_of_statement_that_nobody_knows_is_refused():
    with pytest.raises(UsageError, match="sql only reads"):
        readonly.check("UPDATE EXTENSIONS")
