-- blkparse   The life of every block I/O as events: queued, issued, completed.
--
-- Answers:  In which order did I/Os reach the kernel, the device, and come back?
-- Params:   disk VARCHAR = NULL (one disk by name; NULL: all)
-- Returns:  up to three rows per I/O in order of time: action Q (submitted), D (to the
--           driver), C (completed); rwbs, first sector, sectors of 512 bytes. Q is
--           left out where the submitter is not known
-- Cost:     block_io is sorted three times over
WITH chosen AS (
  SELECT b.*, b.ts_ns - b.device_ns AS issue_ts_ns
  FROM block_io AS b
  LEFT JOIN disk AS d USING (dev)
  WHERE $disk IS NULL OR d.name = $disk
), event AS (
  SELECT 'Q' AS action, issue_ts_ns - queue_ns AS at_ts_ns, 1 AS place, *
  FROM chosen
  WHERE queue_ns IS NOT NULL AND device_ns IS NOT NULL
  UNION ALL
  SELECT 'D', issue_ts_ns, 2, *
  FROM chosen
  -- A flush that several asked for is issued once: as FF.
  WHERE device_ns IS NOT NULL AND rwbs <> 'FWS'
  UNION ALL
  SELECT 'C', ts_ns, 3, *
  FROM chosen
)
SELECT
  at_ts_ns AS ts_ns,
  dev >> 20 AS maj,
  dev & 1048575 AS min,
  pid,
  action,
  rwbs,
  sector,
  bytes // 512 AS sectors,
  comm,
  error
FROM event
ORDER BY
  at_ts_ns, place, dev, sector, rwbs, pid, comm, bytes, error, event.ts_ns
