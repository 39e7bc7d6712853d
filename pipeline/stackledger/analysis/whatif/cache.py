"""What more memory would change: reads of the disk that the page cache would answer."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING

from stackledger.analysis.billing import GIB
from stackledger.analysis.missratio import miss_ratio_curve

if TYPE_CHECKING:
    from collections.abc import Sequence

    import duckdb

    from stackledger.analysis.missratio import MissRatioCurve
    from stackledger.analysis.whatif.demand import Job

_REMEDY = "stackledger capture --probe page_reuse --probe page_cache"
_MACHINE = """
SELECT
  any_value(memory_bytes),
  (SELECT count(*) FROM page_reuse) > 0 AND (SELECT count(*) FROM page_cache) > 0
FROM capture
"""
# The memory cgroup whose own limit holds back most of the cache, where one does.
_HELD_BACK = """
SELECT d.cgroup
FROM cache_domain AS d
JOIN (
  SELECT memory_cgroup_id AS cgroup_id
  FROM cgroup_stat
  WHERE memory_limit_bytes IS NOT NULL
  GROUP BY memory_cgroup_id
  HAVING sum(memory_limit_hits) > 0
) AS held USING (cgroup_id)
WHERE 2 * d.lookups > (SELECT lookups FROM cache_domain WHERE cgroup_id = 0)
ORDER BY d.lookups DESC, d.cgroup_id
LIMIT 1
"""


@dataclass(frozen=True, slots=True)
class Hits:
    """The share of today's reads from the disk that become hits, and its 95 % interval."""

    share: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Cache:
    """The page cache of the captured machine, whose memory is `memory_gib`.

    `curve` is None where it cannot be told, and `unknown` says why. `held_back` is the
    path of the memory cgroup whose own limit keeps the cache as small as it is.
    """

    memory_gib: Decimal
    curve: MissRatioCurve | None
    unknown: str = ""
    held_back: str | None = None


def read(connection: duckdb.DuckDBPyConnection, memory_gib: Decimal) -> Cache:
    """Return the cache of a capture; `memory_gib` 0 for as much as the host has."""
    row = connection.execute(_MACHINE).fetchone()
    assert row is not None
    gib = memory_gib or Decimal(row[0] or 0) / GIB
    if not row[1]:
        return Cache(gib, None, f"page_reuse and page_cache were not recorded: {_REMEDY}")
    held = connection.execute(_HELD_BACK).fetchone()
    curve = miss_ratio_curve(connection, held[0] if held else None)
    if curve is None:
        return Cache(gib, None, f"too few pages were asked for to tell; longer: {_REMEDY}")
    return Cache(gib, curve, held_back=held[0] if held else None)


def hits(cache: Cache, memory_gib: Decimal) -> Hits | str:
    """Return the reads that become hits with that much memory, or why it cannot be told."""
    curve = cache.curve
    if curve is None:
        return cache.unknown
    if memory_gib <= cache.memory_gib:
        return f"it has {cache.memory_gib.normalize():f} GiB today: only more can be foreseen"
    if curve.today_bytes is None:
        return "how large the cache is today was not recorded"
    if curve.measured_today is None:
        return f"how much misses today is not known: {_REMEDY}"
    larger = curve.today_bytes + int((memory_gib - cache.memory_gib) * GIB)
    if not curve.tells(larger):
        return (
            f"the capture tells of a cache of at most {_size(curve.largest_bytes)}, this would be"
            f" {_size(larger)}: capture longer"
        )
    today = curve.miss_ratio(curve.today_bytes)
    if not today:
        return "nothing that was asked for is read from a disk today"
    low, high = curve.interval(larger)
    share, least, most = (_hit(miss, today) for miss in (curve.miss_ratio(larger), high, low))
    return Hits(share, min(least, share), max(most, share))


def without_reads(jobs: Sequence[Job], share: float) -> list[Job]:
    """Return the jobs without that share of their reads: writes stay.

    Each read is drawn for itself, always alike: a larger share takes those of a smaller too.
    """
    chance = random.Random(1)  # noqa: S311 - repeatable on purpose
    return [_without(job, sum(chance.random() < share for _ in range(job.reads))) for job in jobs]


def _without(job: Job, number: int) -> Job:
    if not number:
        return job
    left = 1 - number / job.reads
    gone_ns, gone_bytes = job.read_ns * (1 - left), round(job.read_bytes * (1 - left))
    return replace(
        job,
        visits=job.visits - number,
        bytes=job.bytes - gone_bytes,
        service_ns=max(0.0, job.service_ns - gone_ns),
        reads=job.reads - number,
        read_bytes=job.read_bytes - gone_bytes,
        read_ns=job.read_ns * left,
    )


def _hit(miss: float, today: float) -> float:
    return min(1.0, max(0.0, 1 - miss / today))


def _size(size_bytes: int) -> str:
    gib = size_bytes / float(GIB)
    return f"{gib:.3g} GiB" if gib >= 1 else f"{round(gib * 1024)} MiB"
