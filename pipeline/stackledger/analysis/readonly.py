"""Somebody's own SQL over a capture: it reads, and changes nothing outside the connection.

Which files a connection can open is settled in `store.connect`. Here is settled that it
cannot write to these either, and that its limits stay as they are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from stackledger import sqlerrors
from stackledger.analysis.queries import Result, execute
from stackledger.errors import UsageError

if TYPE_CHECKING:
    import duckdb

# What they make or change is in memory, and gone with the connection.
_ALLOWED = frozenset(
    (
        *("ALTER", "ANALYZE", "CREATE", "DELETE", "DROP", "EXPLAIN", "INSERT", "MERGE_INTO"),
        *("MULTI", "RELATION", "SELECT", "SET", "TRANSACTION", "UPDATE", "VARIABLE_SET"),
    )
)
_WRITING = frozenset(("ATTACH", "COPY", "EXPORT", "INSTALL", "LOAD", "PREPARE"))
_HINT = "what it answers can be written: stackledger sql … --format parquet > FILE"


def ask(connection: duckdb.DuckDBPyConnection, sql: str) -> Result:
    """Return the rows of the last statement, as `queries.execute` does.

    Raises UsageError for a statement that would write a file, load code or call a program.
    """
    check(sql)
    connection.execute("SET lock_configuration = true")
    return execute(connection, sql)


def check(sql: str) -> None:
    """Raise UsageError where one of the statements does more than read."""
    import duckdb

    try:
        for one in duckdb.extract_statements(sql):
            kind = one.type.name
            if kind not in _ALLOWED or (kind == "EXPLAIN" and _words(one.query) & _WRITING):
                raise UsageError("sql only reads", one.query.strip()[:60], hint=_HINT)
    except ValueError:  # a kind of statement that DuckDB's Python has no word for
        raise UsageError("sql only reads", sql.strip()[:60], hint=_HINT) from None
    except duckdb.Error as failure:
        raise sqlerrors.explain(failure) from None


def _words(sql: str) -> set[str]:
    """Return the key words of a statement, in capitals; comments and texts have none."""
    import duckdb

    tokens = duckdb.tokenize(sql)
    ends = [*(start for start, _ in tokens[1:]), len(sql.encode())]
    raw = sql.encode()
    return {
        raw[start:end].decode("utf-8", "replace").strip().upper()
        for (start, _), end in zip(tokens, ends, strict=True)
    }
