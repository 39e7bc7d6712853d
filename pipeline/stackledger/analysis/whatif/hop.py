"""A hop less: a layer that only passes requests on, such as a mesh's sidecar, is gone.

Its own time and CPU leave, and the shorter of the two ways over the network that it lies
between; the call from its caller to its callee stays. What its processes spend beside
requests leaves too. Its waiting for a disk stays: a hop has next to none.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from stackledger.analysis.whatif.changes import Change

if TYPE_CHECKING:
    from collections.abc import Sequence

    import duckdb

    from stackledger.analysis.whatif.changes import Setting
    from stackledger.analysis.whatif.demand import Job

KIND = "layer"
# A layer of which more requests than this call nobody, or several, does work of its own.
_OTHERS = 0.05

_LAYERS = "SELECT DISTINCT layer FROM requests WHERE layer IS NOT NULL ORDER BY layer"
_COUNTED = """
SELECT count(*), count(*) FILTER (calls <> 1), sum(cpu_spent_ns)::DOUBLE
FROM requests
WHERE layer = $layer
"""
# One row per root, in the order of `demand.read`. `in_ns` is the way from the hop's caller,
# `out_ns` that to its callee. A root's caller is not traced: the way to it is not in the root.
_TAKEN = """
WITH hop AS (
  SELECT
    q.*,
    q.net_ns * q.critical_share AS out_ns
  FROM placed AS q
  SEMI JOIN sampled AS s ON s.sock = q.root_sock AND s.recv_ts_ns = q.root_recv_ts_ns
  WHERE q.layer = $layer
), way AS (
  SELECT
    h.sock, h.recv_ts_ns,
    greatest(0, c.wait_ns - c.callee_wall_ns) * o.wait_scale * p.critical_share AS in_ns
  FROM hop AS h
  JOIN edge AS e ON e.request_sock = h.sock AND e.request_recv_ts_ns = h.recv_ts_ns
  JOIN waits AS c ON c.sock = e.call_sock AND c.ts_ns = e.call_ts_ns
  JOIN owner AS o ON o.sock = e.owner_sock AND o.recv_ts_ns = e.owner_recv_ts_ns
  JOIN tree AS p ON p.sock = o.sock AND p.recv_ts_ns = o.recv_ts_ns
), taken AS (
  SELECT
    root_sock AS sock,
    root_recv_ts_ns AS recv_ts_ns,
    sum(cpu_ns * critical_share) AS cpu_ns,
    sum((runq_ns + queue_ns) * critical_share) AS runq_ns,
    sum((lock_ns + sleep_ns + other_ns + unexplained_ns) * critical_share
      + CASE WHEN depth = 0 THEN out_ns ELSE least(out_ns, coalesce(in_ns, 0)) END) AS wait_ns,
    sum(cpu_spent_ns) AS spent_ns
  FROM hop
  LEFT JOIN way USING (sock, recv_ts_ns)
  GROUP BY ALL
)
SELECT
  coalesce(t.cpu_ns, 0), coalesce(t.runq_ns, 0), coalesce(t.wait_ns, 0), coalesce(t.spent_ns, 0)
FROM sampled AS s
JOIN root_demand AS d USING (sock, recv_ts_ns)
LEFT JOIN taken AS t USING (sock, recv_ts_ns)
ORDER BY s.ts_ns, s.sock
"""
# What its processes spent, if they serve nothing else; NULL where none was sampled.
_PROCESSES = """
SELECT sum(user_ns + system_ns)::DOUBLE
FROM process_stat
WHERE pid IN (SELECT pid FROM requests WHERE layer = $layer)
  AND pid NOT IN (SELECT pid FROM requests WHERE layer <> $layer)
"""


@dataclass(frozen=True, slots=True)
class Taken:
    """What leaves one root: nanoseconds in the way of its answer, and CPU time in all."""

    cpu_ns: float
    runq_ns: float
    wait_ns: float
    spent_ns: float


@dataclass(frozen=True, slots=True)
class Hop:
    """A layer of a capture: what it takes of each root, in their order.

    Of its `requests`, `others` do not call exactly one server. `beside_ns` is what its
    processes spend for each root beside the requests that they serve.
    """

    layer: str
    known: tuple[str, ...]
    requests: int
    others: int
    taken: tuple[Taken, ...] = ()
    beside_ns: float = 0.0


def read(connection: duckdb.DuckDBPyConnection, layer: str, roots: int) -> Hop:
    """Return what a layer takes of the roots that `demand.read` returned the demand of."""
    known = tuple(row[0] for row in connection.execute(_LAYERS).fetchall())
    counted = connection.execute(_COUNTED, {"layer": layer}).fetchone()
    requests, others, spent = counted or (0, 0, None)
    if not requests:
        return Hop(layer, known, 0, 0)
    rows = connection.execute(_TAKEN, {"layer": layer}).fetchall()
    process = connection.execute(_PROCESSES, {"layer": layer}).fetchone()
    beside = max(0.0, (process[0] if process and process[0] else 0.0) - (spent or 0.0))
    taken = tuple(Taken(*map(float, row)) for row in rows)
    return Hop(layer, known, requests, others, taken, beside / roots)


def change(hop: Hop, setting: Setting) -> Change:
    """Return the system without that layer, at the same price."""
    name = f"no {hop.layer}"
    if not hop.requests:
        there = ", ".join(hop.known)
        return Change(
            name, KIND, None, None, refused=f"no request of that layer: there are {there}"
        )
    if hop.others > _OTHERS * hop.requests:
        why = f"{hop.others} of its {hop.requests} requests do not call exactly one server"
        return Change(name, KIND, None, None, refused=f"not a hop: {why}")
    jobs = without(setting.today.jobs, hop.taken)
    system = setting.today.system
    beside = min(hop.beside_ns, system.extra_ns)
    cpu_ns = sum(one.spent_ns for one in hop.taken) / len(hop.taken) + beside
    number = sum(map(_delay, hop.taken)) / len(hop.taken) / 1e6
    return Change(
        name,
        KIND,
        replace(system, extra_ns=system.extra_ns - beside),
        setting.priced.monthly_usd,
        (
            f"a request passes it in {number:.3g} ms and costs it {cpu_ns / 1e6:.3g} ms of CPU",
            "of the two ways to and from it the longer stays: the call past it",
            "its CPUs are paid for still: --nodes says which machines can go",
        ),
        jobs=jobs,
    )


def without(jobs: Sequence[Job], taken: Sequence[Taken]) -> tuple[Job, ...]:
    """Return the jobs less what is taken of each, none of it below zero."""
    return tuple(_less(job, one) for job, one in zip(jobs, taken, strict=True))


def _delay(taken: Taken) -> float:
    return taken.cpu_ns + taken.runq_ns + taken.wait_ns


def _less(job: Job, taken: Taken) -> Job:
    return replace(
        job,
        cpu_ns=max(0.0, job.cpu_ns - taken.cpu_ns),
        runq_ns=max(0.0, job.runq_ns - taken.runq_ns),
        wait_ns=max(0.0, job.wait_ns - taken.wait_ns),
        beside_ns=max(0.0, job.beside_ns - max(0.0, taken.spent_ns - taken.cpu_ns)),
    )
