-- blkphases   The phases of block I/O per disk and kind, as btt sums them up.
--
-- Answers:  Does an I/O's time go by in the kernel's queue or in the device?
-- Params:   disk VARCHAR = NULL (one disk by name; NULL: all)
-- Returns:  one row per disk, kind (T: R, W, F or D) and phase: q2d from submission to
--           the driver, d2c in the device, q2c both; I/Os, times in ns, and the
--           phase's share of q2c. Only I/Os of which both are known
-- Cost:     one pass over block_io, with quantiles
WITH timed AS (
  SELECT
    coalesce(d.name, (b.dev >> 20) || ':' || (b.dev & 1048575)) AS disk,
    b.rwbs[1] AS t,
    b.queue_ns AS q2d,
    b.device_ns AS d2c,
    b.queue_ns + b.device_ns AS q2c
  FROM block_io AS b
  LEFT JOIN disk AS d USING (dev)
  WHERE b.queue_ns IS NOT NULL AND b.device_ns IS NOT NULL
    -- An fsync's wait for the device's flush, FF, is neither phase.
    AND b.rwbs <> 'FWS'
), phases AS (
  UNPIVOT timed ON q2d, d2c, q2c INTO NAME phase VALUE phase_ns
), summed AS (
  SELECT
    disk,
    t,
    phase,
    count(*) AS ios,
    min(phase_ns) AS min_ns,
    avg(phase_ns) AS mean_ns,
    quantile_cont(phase_ns, [0.5, 0.99]) AS quantiles,
    max(phase_ns) AS max_ns,
    sum(phase_ns) AS sum_ns
  FROM phases
  WHERE $disk IS NULL OR disk = $disk
  GROUP BY disk, t, phase
)
SELECT
  disk,
  t,
  phase,
  ios,
  min_ns,
  mean_ns,
  quantiles[1] AS p50_ns,
  quantiles[2] AS p99_ns,
  max_ns,
  sum_ns / max(sum_ns) OVER (PARTITION BY disk, t) AS q2c_share
FROM summed
ORDER BY disk, t, phase = 'q2c', phase = 'd2c'
