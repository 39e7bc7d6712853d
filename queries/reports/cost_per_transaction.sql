-- cost_per_transaction   What a transaction used, layer by layer.
--
-- Answers:  Which resources does one transaction of each endpoint use, and where?
-- Params:   endpoint VARCHAR = NULL (one root endpoint; NULL: all)
-- Returns:  one row per root endpoint, layer and service: requests (roots), and per
--           root cpu_ns, disk_ios, disk_bytes, net_bytes; priced by `stackledger cost`
-- Cost:     one pass over the requests and the block I/O
SELECT
  endpoint,
  layer,
  service,
  requests,
  cpu_ns / requests AS cpu_ns,
  disk_ios / requests AS disk_ios,
  disk_bytes / requests AS disk_bytes,
  net_bytes / requests AS net_bytes
FROM cost_usage
WHERE $endpoint IS NULL OR endpoint = $endpoint
ORDER BY endpoint, cpu_ns DESC, layer, service
