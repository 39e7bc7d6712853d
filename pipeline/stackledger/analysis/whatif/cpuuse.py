"""Reads how busy a captured machine's CPUs were, and with whose work."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb

# What runs niced gives way to requests.
_CORES = """
SELECT sum(user_ns + system_ns - coalesce(nice_ns, 0))::DOUBLE / sum(interval_ns) AS busy
FROM host_core
WHERE ts_ns - interval_ns // 2 BETWEEN $begin AND $end
GROUP BY cpu
ORDER BY busy DESC
"""
_CPUS = """
SELECT any_value(cpus), coalesce((
  SELECT sum(user_ns + system_ns - coalesce(nice_ns, 0))::DOUBLE / sum(interval_ns)
  FROM host_cpu
  WHERE ts_ns - interval_ns // 2 BETWEEN $begin AND $end
), 0)
FROM capture
"""
# Processes whose work comes with requests: those at either end of a traced connection,
# and the tracer. NULL where no process was sampled.
_WITH_REQUESTS = """
SELECT sum(user_ns + system_ns)::DOUBLE
FROM process_stat
WHERE ts_ns - interval_ns // 2 BETWEEN $begin AND $end
  AND (pid IN (SELECT pid FROM connection) OR comm = 'bpftrace')
"""


def cores(connection: duckdb.DuckDBPyConnection, begin: int, end: int) -> tuple[float, ...]:
    """Return the use of each CPU, the busiest first; of all alike where only their sum is known."""
    # One middle at least, however short the time was.
    given = {"begin": begin - 500_000_000, "end": end + 500_000_000}
    found = tuple(float(row[0]) for row in connection.execute(_CORES, given).fetchall())
    if found:
        return found
    row = connection.execute(_CPUS, given).fetchone()
    number, busy = row or (1, 0.0)
    each: float = float(busy) / max(1, number)
    return (each,) * max(1, int(number))


def attending(
    connection: duckdb.DuckDBPyConnection, begin: int, end: int, spent_ns: float
) -> float | None:
    row = connection.execute(_WITH_REQUESTS, {"begin": begin, "end": end}).fetchone()
    if row is None or row[0] is None:
        return None
    return max(0.0, float(row[0]) - spent_ns) / max(1, end - begin)
