"""What a dashboard of CPU and memory showed while the capture ran."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stackledger.analysis.diagnosis import Dashboard, Gauge

if TYPE_CHECKING:
    import duckdb

# Where dashboards turn red; the strategy document calls a host at 80 % CPU-bound.
_ALERTS = {"CPU": 0.8, "RAM": 0.9}
_SOURCE = "usual alerts: 80 % of the CPUs, 90 % of the memory"

# Waiting for a disk is idle time to a dashboard; available memory is not in use.
_GAUGES = """
WITH second AS (
  SELECT
    1 - (idle_ns + iowait_ns) / nullif(
      user_ns + system_ns + iowait_ns + steal_ns + idle_ns, 0) AS cpu,
    1 - mem_available_bytes / nullif(mem_total_bytes, 0) AS memory
  FROM host_cpu
)
SELECT avg(cpu), max(cpu), avg(memory), max(memory)
FROM second
"""


def dashboard(connection: duckdb.DuckDBPyConnection) -> Dashboard:
    """Return the gauges of the capture's time range, none where nothing was counted."""
    row = connection.execute(_GAUGES).fetchone() or (None,) * 4
    gauges = [
        Gauge(name=name, mean=mean, highest=highest, alert=alert, fine=mean < alert)
        for (name, alert), mean, highest in zip(_ALERTS.items(), row[::2], row[1::2], strict=True)
        if mean is not None
    ]
    return Dashboard(
        gauges=gauges, fine=bool(gauges) and all(one.fine for one in gauges), source=_SOURCE
    )
