-- services_of   Name the service and the layer of every process.
--
-- Needs: process, connection, layer_rule

CREATE OR REPLACE VIEW process_service AS
-- One row per process.
WITH known AS (
  SELECT
    pid,
    arg_max(comm, ts_ns) AS comm,
    arg_max(exe, ts_ns) AS exe,
    arg_max(cmdline, ts_ns) AS cmdline,
    arg_max(cgroup, ts_ns) AS cgroup
  FROM process
  GROUP BY pid
  UNION ALL BY NAME
  -- Too short-lived to be looked up: known by the name of a thread.
  SELECT pid, arg_min(comm, ts_ns) AS comm, '' AS exe, '' AS cmdline, '' AS cgroup
  FROM connection
  WHERE pid NOT IN (SELECT pid FROM process)
  GROUP BY pid
), named AS (
  SELECT
    *,
    regexp_replace(
      CASE
        -- One file may serve under several names, as redis-server does.
        WHEN comm IN (SELECT pattern FROM layer_rule WHERE field = 'program') THEN comm
        ELSE coalesce(
          nullif(regexp_extract(exe, '([^/]+?)( \(deleted\))?$', 1), ''), comm)
      END,
      '^(python|pypy|ruby|perl|php|php-fpm|lua|java|node)[0-9.]*$', '\1'
    ) AS program
  FROM known
), scripted AS (
  SELECT
    *,
    CASE
      WHEN program IN ('python', 'pypy', 'ruby', 'perl', 'php', 'node', 'java', 'bun', 'deno')
      THEN nullif(regexp_extract(
        cmdline,
        '^\S+(?:\s+-(?:[IsEBuOPqX]+|-[\w-]+(?:=\S*)?))*\s+(?:-m\s+|-jar\s+)?(?:\S*/)?([\w.-]+)',
        1
      ), '')
    END AS script
  FROM named
)
SELECT
  pid,
  program,
  coalesce(script, program) AS service,
  coalesce(
    (SELECT arg_min(layer, priority) FROM layer_rule
     WHERE (field = 'program' AND (program GLOB pattern OR comm GLOB pattern))
       OR (field = 'service' AND coalesce(script, program) GLOB pattern)
       OR (field = 'container' AND cgroup GLOB pattern)),
    'app'
  ) AS layer
FROM scripted;

COMMENT ON VIEW process_service IS 'one row per process: its service and layer';
COMMENT ON COLUMN process_service.pid IS 'process';
COMMENT ON COLUMN process_service.program IS 'file name of the program';
COMMENT ON COLUMN process_service.service IS
  'the program, or the script that an interpreter runs';
COMMENT ON COLUMN process_service.layer IS
  'by rule: gateway, proxy, sidecar, app, database, cache, messaging';
