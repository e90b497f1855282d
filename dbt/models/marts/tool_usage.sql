-- Made by `armature-export schema --format dbt`; do not change it here.
WITH measured AS (
  SELECT r.workflow_name, t.tool_name, count(*) AS calls, count(t.is_error) AS stated,
    count(CASE WHEN t.is_error THEN 1 END) AS failing,
    {{ armature.percentile('0.5', "t.duration_ms") }} AS median_ms,
    {{ armature.percentile('0.95', "t.duration_ms") }} AS p95_ms
  FROM {{ ref('stg_armature__tool_calls') }} t JOIN {{ ref('run_facts') }} r ON r.run_id = t.run_id
  GROUP BY r.workflow_name, t.tool_name
)
SELECT
  workflow_name,
  tool_name,
  CAST(calls AS {{ armature.type_integer() }}) AS calls,
  CAST(CASE WHEN stated > 0 THEN failing END AS {{ armature.type_integer() }}) AS errors,
  CAST(CAST(1 AS {{ armature.type_float() }}) * failing / nullif(stated, 0) AS {{ armature.type_float() }}) AS error_rate,
  CAST(median_ms AS {{ armature.type_float() }}) AS median_ms,
  CAST(p95_ms AS {{ armature.type_float() }}) AS p95_ms
FROM measured
