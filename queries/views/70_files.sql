-- files   Name the files that probes know by device and inode.
--
-- Needs: open_file, file_open, page_cache, writeback, disk

CREATE OR REPLACE VIEW file_path AS
-- One row per file. A number that was given out again has its latest path.
WITH told AS (
  SELECT dev, inode, path, ts_ns, true AS resolved FROM open_file
  UNION ALL
  SELECT dev, inode, path, ts_ns, starts_with(path, '/') AS resolved
  FROM file_open
  WHERE error = 0 AND path <> ''
)
SELECT
  dev,
  inode,
  coalesce(
    arg_max(path, ts_ns) FILTER (WHERE resolved),
    arg_max(path, ts_ns)
  ) AS path
FROM told
GROUP BY dev, inode
UNION ALL
-- A disk's own cache (the file system's metadata lies there) has the disk's
-- dev_t for an inode, on a device without a name.
SELECT p.dev, p.inode, '[' || any_value(d.name) || ']' AS path
FROM (
  SELECT DISTINCT dev, inode FROM page_cache
  UNION
  SELECT DISTINCT dev, inode FROM writeback
) AS p
JOIN disk AS d ON d.dev = p.inode AND p.dev >> 20 = 0
GROUP BY p.dev, p.inode;

CREATE OR REPLACE VIEW inode_dev AS
-- One row per inode number that only one device has.
SELECT inode, min(dev) AS dev
FROM (
  SELECT inode, dev FROM page_cache
  UNION ALL
  SELECT inode, dev FROM writeback
  UNION ALL
  SELECT inode, dev FROM file_path
)
WHERE dev <> 0
GROUP BY inode
HAVING min(dev) = max(dev);

CREATE OR REPLACE VIEW cache_use AS
-- One row per second, process, file and thread name.
SELECT
  p.ts_ns,
  p.interval_ns,
  p.pid,
  p.comm,
  coalesce(nullif(p.dev, 0), i.dev, 0) AS dev,
  p.inode,
  p.lookups,
  p.misses AS demand_misses,
  p.added - p.allocated - p.misses AS read_ahead,
  p.added - p.allocated AS read_in,
  p.allocated,
  p.dirtied,
  p.removed
FROM page_cache AS p
LEFT JOIN inode_dev AS i ON p.dev = 0 AND i.inode = p.inode;

COMMENT ON VIEW file_path IS 'one row per file whose path is known';
COMMENT ON COLUMN file_path.dev IS 'kernel dev_t: major << 20 | minor';
COMMENT ON COLUMN file_path.inode IS 'its number there';
COMMENT ON COLUMN file_path.path IS
  'from the root where known, else as a program gave it; a disk''s own cache: [disk]';
COMMENT ON VIEW inode_dev IS 'one row per inode number that only one device has';
COMMENT ON COLUMN inode_dev.inode IS 'its number';
COMMENT ON COLUMN inode_dev.dev IS 'that device: kernel dev_t';
COMMENT ON VIEW cache_use IS
  'one row per second, process, file and thread name: what it did with the page cache';
COMMENT ON COLUMN cache_use.ts_ns IS 'ns · end of the second';
COMMENT ON COLUMN cache_use.interval_ns IS 'ns · length of the interval';
COMMENT ON COLUMN cache_use.pid IS 'process';
COMMENT ON COLUMN cache_use.comm IS 'name of the thread';
COMMENT ON COLUMN cache_use.dev IS 'kernel dev_t of the file system, 0 where unknown';
COMMENT ON COLUMN cache_use.inode IS 'file';
COMMENT ON COLUMN cache_use.lookups IS 'pages · that reads and page faults asked for';
COMMENT ON COLUMN cache_use.demand_misses IS
  'pages · of lookups: not there, so that the reader waited for the disk';
COMMENT ON COLUMN cache_use.read_ahead IS
  'pages · read from the disk before anybody asked for them';
COMMENT ON COLUMN cache_use.read_in IS
  'pages · read from the disk: demand_misses and read_ahead';
COMMENT ON COLUMN cache_use.allocated IS 'pages · new for a write, not read from the disk';
COMMENT ON COLUMN cache_use.dirtied IS 'pages · made dirty';
COMMENT ON COLUMN cache_use.removed IS
  'pages · gone: reclaimed, truncated, invalidated or their file deleted';
