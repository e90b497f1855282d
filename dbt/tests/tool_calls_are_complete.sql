-- Runs that do not have as many tool calls as they state.
SELECT r.run_id, r.tool_call_count, coalesce(t.found, 0) AS found
FROM {{ ref('stg_armature__runs') }} r
LEFT JOIN (
  SELECT run_id AS calling_run, count(*) AS found
  FROM {{ ref('stg_armature__tool_calls') }}
  GROUP BY run_id
) t ON t.calling_run = r.run_id
WHERE r.tool_call_count <> coalesce(t.found, 0)
