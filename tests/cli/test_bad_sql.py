"""SQL that is wrong, empty, several, or not a question; values that no format foresaw."""

from __future__ import annotations

import json

import pytest

SQL_HINT = 'stackledger sql last "SELECT count(*) FROM requests"'


@pytest.mark.parametrize(
    ("statement", "code", "line"),
    [
        ("SELEC 1", 2, 'syntax error at or near "SELEC" (line 1, column 1: SELEC 1)'),
        ("SELECT *\nFROM reqests", 2, "(line 2, column 6: FROM reqests)"),
        ("SELECT cuont(*)\nFROM requests", 2, "(line 1, column 8: SELECT cuont(*))"),
        ("SELECT nope FROM requests", 2, 'column "nope" not found'),
        ("SELECT 'x'::INTEGER", 1, "Could not convert string 'x'"),
        ("SELECT error('own\nwords')", 1, "own words"),
        ("SELECT * FROM read_csv('/nonexistent')", 1, "/nonexistent"),
    ],
)
def test_an_error_in_sql_is_one_line_with_its_place(statement, code, line, ask):
    outcome = ask("sql", statement)
    assert (outcome.code, outcome.stdout, outcome.stderr.count("\n")) == (code, "", 1)
    assert outcome.stderr.startswith("stackledger: error: SQL: ")
    assert line in outcome.stderr


@pytest.mark.parametrize("words", [[], [""], ["  -- nothing"], [";"]])
def test_sql_without_a_statement(words, ask):
    outcome = ask("sql", *words)
    assert outcome.stderr.startswith("stackledger: error: ")
    assert (outcome.code, outcome.stdout, outcome.stderr.count("\n")) == (2, "", 2)


def test_sql_whose_last_word_is_a_capture(ask, failed):
    failed(ask("sql", "last"), 2, "the last word is not an SQL statement: last", SQL_HINT)


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM loss",
        "DROP VIEW request",
        "CREATE TABLE own AS SELECT 1",
        "DROP TABLE requests; SELECT 1",
        "UPDATE capture SET name = 'forged'",
    ],
)
def test_sql_that_changes_something_changes_no_capture(statement, ask, replayed):
    before = contents(replayed.store)
    assert ask("sql", statement).code == 0
    assert contents(replayed.store) == before
    assert ask("query", "losses").stdout.count("\n") > 1


def contents(folder):
    return {
        path: (path.stat().st_mtime_ns, path.stat().st_size)
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_of_several_statements_the_last_one_answers(ask):
    outcome = ask("sql", "CREATE TEMP TABLE own AS SELECT 17 AS n; SELECT n + 1 AS n FROM own")
    assert outcome == (0, "n\n18\n", "")


def test_odd_values_come_through_every_format(ask):
    statement = (
        "SELECT 1 AS a, 2 AS a, 'nan'::DOUBLE AS nan, {'k': [1, 2]} AS nested, 'x\\xff'::BLOB AS b,"
        " 170141183460469231731687303715884105727 AS wide, 'line' || chr(10) || chr(27) AS s,"
        " NULL AS nothing, 0.10::DECIMAL(9, 2) AS price"
    )
    (row,) = json.loads(ask("sql", statement, "--format", "json").stdout)
    assert row == {
        "a": 1,
        "a_2": 2,
        "nan": None,
        "nested": {"k": [1, 2]},
        "b": "x\\xff",
        "wide": 170141183460469231731687303715884105727,
        "s": "line\n\x1b",
        "nothing": None,
        "price": 0.1,
    }
    text = ask("sql", statement, "--format", "csv").stdout
    assert text.endswith(
        '1,2,nan,"{""k"":[1,2]}",x\\xff,170141183460469231731687303715884105727,'
        "line\\x0a\\x1b,,0.10\n"
    )
    table = ask("sql", statement, "--format", "table").stdout
    assert "line\\x0a\\x1b" in table
    assert "\x1b" not in table


def test_a_formula_is_text_in_csv_and_the_name_of_a_map_is_itself(ask):
    outcome = ask("sql", "SELECT '@opens' AS a, '@SUM(1)' AS b, '=1' AS c", "--format", "csv")
    assert outcome.stdout == "a,b,c\n@opens,'@SUM(1),'=1\n"
