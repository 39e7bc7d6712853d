"""Links a large capture's requests to their transactions once, and keeps that beside it.

Matching calls to requests takes seconds for a million of them. `keep` does it when a
capture has ended; whatever reads `requests`, `tree`, `untraced` or `request_io` of the whole
capture then reads Parquet files. They are named after the SQL that made them: where that has
changed since, or the files are gone, everything is worked out anew.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from stackledger.analysis.needs import views_of
from stackledger.analysis.thinning import ENOUGH
from stackledger.errors import StackledgerError
from stackledger.store import KEPT_PREFIX
from stackledger.views import definitions

if TYPE_CHECKING:
    import duckdb

    from stackledger.store import Capture

# It runs beside the servers that were traced.
_MEMORY = "2GB"
# Who serves a process, and as which layer, is decided when it is read: rules change.
_FILES = {
    "requests": """
SELECT
  q.* EXCLUDE (service, layer, unexplained_ns),
  r.conn_ts_ns,
  c.pid AS caller_pid,
  t.root_sock,
  t.root_recv_ts_ns,
  o.endpoint AS root_endpoint,
  o.complete AS root_complete,
  t.depth,
  t.critical_share
FROM requests AS q
JOIN request AS r USING (sock, recv_ts_ns)
LEFT JOIN tree AS t USING (sock, recv_ts_ns)
LEFT JOIN roots AS o ON o.sock = t.root_sock AND o.recv_ts_ns = t.root_recv_ts_ns
LEFT JOIN request AS c
  ON c.sock = q.parent_sock AND c.recv_ts_ns = q.parent_recv_ts_ns""",
    "untraced_call": "FROM untraced_call",
    "request_io": "FROM request_io",
    "given_io": "FROM given_io",
}
# Worked out once for those of them that read each other.
_STEPS = (
    "submitted_io",
    "ownerless_io",
    "waiting_request",
    "awaited_io",
    "shared_io",
    "request_io",
)
_WRITE = """COPY ({select}) TO $1 (
  FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1, PARQUET_VERSION v2, USE_TMP_FILE false)"""
_READ = """
CREATE OR REPLACE TEMP VIEW linked_request AS
SELECT
  *,
  wall_ns - cpu_ns - runq_ns - disk_ns - lock_ns - sleep_ns - queue_ns - net_ns
    - downstream_ns - other_ns AS unexplained_ns
FROM read_parquet(getvariable('links_requests'));
CREATE OR REPLACE TEMP VIEW named_request AS
SELECT
  q.*,
  s.service,
  CASE
    WHEN s.layer <> 'proxy' THEN s.layer
    WHEN q.parent_sock IS NULL THEN 'gateway'
    ELSE 'sidecar'
  END AS layer
FROM linked_request AS q
LEFT JOIN process_service AS s USING (pid);
CREATE OR REPLACE TEMP VIEW named_both AS
SELECT q.*, p.service AS caller
FROM named_request AS q
LEFT JOIN process_service AS p ON p.pid = q.caller_pid;
"""
# Each view's rows; its columns are taken from the view that works them out.
_VIEWS = {
    "requests": "named_request",
    "request_caller": "named_both",
    "placed": "named_request WHERE root_sock IS NOT NULL",
    "tree": "linked_request WHERE root_sock IS NOT NULL",
    "cost_tree": "linked_request WHERE root_sock IS NOT NULL",
    "roots": "linked_request WHERE parent_sock IS NULL",
    "linked": "linked_request WHERE parent_sock IS NOT NULL",
    "worked": "linked_request",
    "cost_worked": "linked_request WHERE root_sock IS NOT NULL",
    "untraced_call": "read_parquet(getvariable('links_untraced_call'))",
    "request_io": "read_parquet(getvariable('links_request_io'))",
    "given_io": "read_parquet(getvariable('links_given_io'))",
}
VIEWS = (*_VIEWS, "linked_request", "named_request", "named_both")


def keep(capture: Capture, *, enough: int = ENOUGH) -> Path | None:
    """Write the links of a capture of more than `enough` requests; None where there are fewer.

    They appear whole or not at all. Raises StackledgerError where they cannot be written:
    the capture is as good without them.
    """
    import duckdb

    from stackledger.analysis import assembly
    from stackledger.store import connect

    target = capture.folder / f"{KEPT_PREFIX}{fingerprint()}"
    if target.is_dir():
        return target
    scratch = capture.folder / f".{target.name}.{os.getpid()}.tmp"
    files = {name: scratch / f"{name}.parquet" for name in _FILES}
    with connect(capture, with_views=False, more=list(files.values())) as connection:
        row = connection.execute("SELECT count(*) FROM request").fetchone()
        if row is None or row[0] <= enough:
            return None
        connection.execute(f"SET memory_limit = '{_MEMORY}'")
        try:
            assembly.assemble(connection, read=_FILES)
            assembly.keep(connection, *_STEPS)
            scratch.mkdir(0o700)
            for name, select in _FILES.items():
                _write(connection, select, files[name])
            _forget(capture)
            scratch.rename(target)
        except OSError as failure:
            raise _unwritable(failure.strerror or str(failure)) from None
        except duckdb.Error as failure:  # no memory, no room, a part that is broken
            raise _unwritable(str(failure).splitlines()[0]) from None
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    return target


def _write(connection: duckdb.DuckDBPyConnection, select: str, path: Path) -> None:
    connection.execute(_WRITE.format(select=select), [str(path)])
    path.chmod(0o600)
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def _unwritable(why: str) -> StackledgerError:
    return StackledgerError(
        "the capture is whole, but its links were not kept", f"{why}: analyses take longer"
    )


def _forget(capture: Capture) -> None:
    """Remove what other versions left."""
    for folder in capture.folder.glob(f"{KEPT_PREFIX}*"):
        shutil.rmtree(folder, ignore_errors=True)


@cache
def fingerprint() -> str:
    """Return what stands for the SQL that makes the files: others than these are not read."""
    made = views_of(["tree roots", *_FILES])
    statements = [one.statement for one in definitions() if one.kind == "macro" or one.name in made]
    text = "\n".join([*statements, *_FILES.values()])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def use(connection: duckdb.DuckDBPyConnection) -> bool:
    """Tell a connection of a whole capture where its links are; False where there are none."""
    if _narrowed(connection):
        return False
    row = connection.execute("SELECT getvariable('capture_folder')").fetchone()
    folder = Path(row[0]) / f"{KEPT_PREFIX}{fingerprint()}" if row and row[0] else None
    files = {name: folder / f"{name}.parquet" for name in _FILES} if folder else {}
    if not files or not all(file.is_file() for file in files.values()):
        return False
    for name, file in files.items():
        connection.execute(f"SET VARIABLE links_{name} = $1", [str(file)])
    return True


def read(connection: duckdb.DuckDBPyConnection) -> None:
    """Let the views of these names be the kept links, once `use` has found them.

    Those of `queries/views` are defined, and `process_service` is a temporary table.
    """
    connection.execute(_READ)
    for name, rows in _VIEWS.items():
        columns = connection.execute(
            "SELECT string_agg('\"' || column_name || '\"', ', ' ORDER BY column_index)"
            " FROM duckdb_columns() WHERE database_name = 'memory' AND table_name = $1",
            [name],
        ).fetchone()
        if columns is not None and columns[0]:
            connection.execute(
                f'CREATE OR REPLACE TEMP VIEW "{name}" AS SELECT {columns[0]} FROM {rows}'  # noqa: S608 - our views
            )


def _narrowed(connection: duckdb.DuckDBPyConnection) -> bool:
    row = connection.execute(
        "SELECT count(*) FROM (SELECT view_name AS name FROM duckdb_views() WHERE temporary"
        " UNION ALL SELECT table_name FROM duckdb_tables() WHERE temporary)"
        " WHERE name IN ('request', 'call')"
    ).fetchone()
    return row is not None and row[0] > 0
