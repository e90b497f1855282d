-- Runs that do not have as many spans as they state.
SELECT r.run_id, r.span_count, coalesce(s.found, 0) AS found
FROM {{ ref('stg_armature__runs') }} r
LEFT JOIN (
  SELECT run_id AS traced_run, count(*) AS found
  FROM {{ ref('stg_armature__spans') }}
  GROUP BY run_id
) s ON s.traced_run = r.run_id
WHERE r.span_count <> coalesce(s.found, 0)
