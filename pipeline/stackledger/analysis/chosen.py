"""Which processes of a capture are meant by numbers, names, containers and layers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from stackledger.errors import NoSuchCaptureError, nearest

if TYPE_CHECKING:
    from collections.abc import Iterable

    import duckdb

    from stackledger.schema import Table

# A container by any component of its cgroup's path, with or without what systemd
# and the runtimes put around it (docker-ID.scope), or by the beginning of its id.
_CGROUPS = r"""
CREATE OR REPLACE TEMP TABLE chosen_cgroup AS
WITH known AS (
  SELECT DISTINCT cgroup FROM process
), component AS (
  SELECT
    cgroup,
    unnest(string_split(cgroup, '/')) AS word
  FROM known
), named AS (
  SELECT cgroup, word, regexp_replace(word, '\.(scope|slice|service)$', '') AS bare
  FROM component
)
SELECT DISTINCT n.cgroup
FROM named AS n, (SELECT unnest(getvariable('containers')) AS wanted) AS w
WHERE n.cgroup = w.wanted
  OR starts_with(n.cgroup, rtrim(w.wanted, '/') || '/')
  OR n.word = w.wanted
  OR n.bare = w.wanted
  OR (regexp_full_match(w.wanted, '[0-9a-f]{8,64}')
    AND starts_with(regexp_extract(n.bare, '([0-9a-f]{12,64})$', 1), w.wanted))
"""


@dataclass(frozen=True, slots=True)
class Processes:
    """The words given; a process is meant where one of each kind that is given fits."""

    pids: tuple[int, ...] = ()
    comms: tuple[str, ...] = ()
    containers: tuple[str, ...] = ()
    layers: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.pids or self.comms or self.containers or self.layers)


def choose_processes(
    connection: duckdb.DuckDBPyConnection, wanted: Processes, tables: Iterable[Table]
) -> None:
    """Make the temporary tables `chosen_process`, `chosen_cgroup` and `named_process`.

    Raises NoSuchCaptureError where the capture knows no such name, container or layer.
    """
    kinds = []
    if wanted.pids:
        connection.execute("SET VARIABLE pids = $1::BIGINT[]", [list(wanted.pids)])
        kinds.append("SELECT unnest(getvariable('pids')) AS pid")
    if wanted.comms:
        kinds.append(_by_name(connection, wanted.comms, tables))
    if wanted.containers:
        kinds.append(_by_container(connection, wanted.containers))
    if wanted.layers:
        kinds.append(_by_layer(connection, wanted.layers))
    chosen = [f"SELECT pid FROM ({kind}) WHERE pid IS NOT NULL" for kind in kinds]  # noqa: S608 - ours
    connection.execute("CREATE OR REPLACE TEMP TABLE chosen_process (pid BIGINT)")
    if chosen:
        connection.execute("INSERT INTO chosen_process " + " INTERSECT ".join(chosen))


def _by_name(
    connection: duckdb.DuckDBPyConnection, comms: tuple[str, ...], tables: Iterable[Table]
) -> str:
    connection.execute("SET VARIABLE comms = $1::VARCHAR[]", [list(comms)])
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE named_process AS SELECT DISTINCT pid FROM process"
        " WHERE list_contains(getvariable('comms'), comm)"
    )
    threads = " UNION ".join(
        f'SELECT pid FROM memory.main."{one.name}"'  # noqa: S608 - registry
        " WHERE list_contains(getvariable('comms'), comm)"
        for one in tables
        if one.has("pid") and one.has("comm")
    )
    if connection.execute(f"SELECT 1 FROM ({threads}) LIMIT 1").fetchone() is None:  # noqa: S608
        known = _words(connection, "SELECT DISTINCT comm FROM process ORDER BY comm")
        raise NoSuchCaptureError(
            "the capture knows no process or thread of that name",
            ", ".join(comms),
            hint=nearest(comms[0], known),
        )
    return threads


def _by_container(connection: duckdb.DuckDBPyConnection, containers: tuple[str, ...]) -> str:
    connection.execute("SET VARIABLE containers = $1::VARCHAR[]", [list(containers)])
    connection.execute(_CGROUPS)
    if connection.execute("SELECT 1 FROM chosen_cgroup LIMIT 1").fetchone() is None:
        raise NoSuchCaptureError(
            "the capture knows no process of that container",
            ", ".join(containers),
            hint='stackledger sql "SELECT DISTINCT cgroup FROM process" lists the cgroups',
        )
    return "SELECT pid FROM process SEMI JOIN chosen_cgroup USING (cgroup)"


def _by_layer(connection: duckdb.DuckDBPyConnection, layers: tuple[str, ...]) -> str:
    known = _words(connection, "SELECT DISTINCT layer FROM process_layer ORDER BY layer")
    for layer in layers:
        if layer not in known:
            hint = nearest(layer, known) or f"there are: {', '.join(known) or 'none'}"
            raise NoSuchCaptureError("the capture has no such layer", layer, hint=hint)
    connection.execute("SET VARIABLE layers = $1::VARCHAR[]", [list(layers)])
    # Materialised: it reads the tables that are about to be narrowed.
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE chosen_layer AS SELECT pid FROM process_layer"
        " WHERE list_contains(getvariable('layers'), layer)"
    )
    return "SELECT pid FROM chosen_layer"


def _words(connection: duckdb.DuckDBPyConnection, statement: str) -> list[str]:
    return [row[0] for row in connection.execute(statement).fetchall()]
