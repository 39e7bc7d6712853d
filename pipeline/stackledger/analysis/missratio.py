"""How often the page cache would miss at another size, from one capture.

The model is that of `queries/views/72_missratio.sql`; here its curve is corrected so
that it gives at today's size what was measured there, and looked up.
"""

from __future__ import annotations

import math
import statistics
from bisect import bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb

HOST = "(host)"
_FEWEST_LOOKUPS = 1000
_PARTS = 8
# Student's t, 95 %, of _PARTS - 1 degrees of freedom.
_T = 2.365

_TODAY = """
SELECT cgroup_id, today_bytes, measured, predicted, correction, largest_bytes, unseen
FROM miss_ratio_today
WHERE cgroup = $cgroup AND lookups >= $fewest
ORDER BY lookups DESC, cgroup_id
LIMIT 1
"""
_CURVES = """
SELECT left_out, list(cache_bytes ORDER BY cache_bytes), list(miss_ratio ORDER BY cache_bytes)
FROM miss_ratio_curve
WHERE cgroup_id = $cgroup_id
GROUP BY left_out
"""


@dataclass(frozen=True, slots=True)
class Points:
    """One curve: sizes, ascending, and the share of misses from each size on."""

    cache_bytes: list[float]
    miss_ratios: list[float]

    def at(self, cache_bytes: float) -> float:
        """Return the miss ratio at a size; before the first point everything misses."""
        place = bisect_right(self.cache_bytes, cache_bytes)
        return self.miss_ratios[place - 1] if place else 1.0


@dataclass(frozen=True, slots=True)
class MissRatioCurve:
    """Shares of page accesses that miss, by the size of the cache, corrected at today's.

    `measured_today` and `predicted_today`: their difference is to be shown. None where
    the capture lacks page_cache, or tells too little of today's size: then nothing
    is corrected. Of caches above `largest_bytes` it is too short to tell.
    `unseen_share` of the accesses could not be followed.
    """

    cgroup: str
    today_bytes: int | None
    measured_today: float | None
    predicted_today: float | None
    correction: float
    largest_bytes: int
    unseen_share: float
    whole: Points
    parts: tuple[Points, ...]

    def tells(self, cache_bytes: float) -> bool:
        """Return whether the recording is long enough to tell of a cache of this size."""
        return cache_bytes <= self.largest_bytes

    def miss_ratio(self, cache_bytes: float) -> float:
        """Return the share of the pages asked for that would be read from the disk, 0..1.

        Above `largest_bytes` it is an upper bound: that of the largest, or what was
        measured where today's cache is as large as that.
        """
        return self._bound(cache_bytes, min(1.0, self.correction * self.whole.at(cache_bytes)))

    def interval(self, cache_bytes: float) -> tuple[float, float]:
        """Return the lowest and highest miss ratio: 95 %, of the sampled pages alone.

        By the jackknife over eighths of the sample, widened by what could not be
        followed. Where the recording is too short the lowest is 0.
        """
        middle = self.miss_ratio(cache_bytes)
        spread = statistics.stdev(
            min(1.0, self._correction(part) * part.at(cache_bytes)) for part in self.parts
        )
        half = _T * (_PARTS - 1) / math.sqrt(_PARTS) * spread
        low = max(0.0, middle - half) if self.tells(cache_bytes) else 0.0
        seen = 1 - self.unseen_share
        high = min(1.0, middle + half) * seen + self.unseen_share
        return low * seen, self._bound(cache_bytes, high)

    def _bound(self, cache_bytes: float, ratio: float) -> float:
        """Return the ratio, or the measured one where the model does not reach today's size."""
        told = self.today_bytes is None or self.predicted_today is not None
        if told or self.measured_today is None or cache_bytes < (self.today_bytes or 0):
            return ratio
        return self.measured_today

    def _correction(self, part: Points) -> float:
        """Return what makes one curve give at today's size what was measured."""
        if not self.predicted_today or self.measured_today is None or self.today_bytes is None:
            return 1.0
        return self.measured_today / (part.at(self.today_bytes) or self.predicted_today)


def miss_ratio_curve(
    connection: duckdb.DuckDBPyConnection, cgroup: str | None = None
) -> MissRatioCurve | None:
    """Return the curve of a memory cgroup by its path, of the host where none is named.

    None where the capture has no such cgroup, or too few accesses of it to tell anything.
    """
    name = HOST if cgroup is None else cgroup
    today = connection.execute(_TODAY, {"cgroup": name, "fewest": _FEWEST_LOOKUPS}).fetchone()
    if today is None:
        return None
    cgroup_id, today_bytes, measured, predicted, correction, largest_bytes, unseen = today
    curves = {
        left_out: Points(sizes, ratios)
        for left_out, sizes, ratios in connection.execute(
            _CURVES, {"cgroup_id": cgroup_id}
        ).fetchall()
    }
    return MissRatioCurve(
        cgroup=name,
        today_bytes=today_bytes,
        measured_today=measured,
        predicted_today=predicted,
        correction=correction,
        largest_bytes=largest_bytes,
        unseen_share=unseen,
        whole=curves[_PARTS],
        parts=tuple(curves.get(part, curves[_PARTS]) for part in range(_PARTS)),
    )
