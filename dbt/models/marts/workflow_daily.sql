-- Made by `armature-export schema --format dbt`; do not change it here.
WITH names AS (
  SELECT workflow_key AS named_key, workflow_name FROM (
    SELECT workflow_key, workflow_name, row_number() OVER (PARTITION BY workflow_key
      ORDER BY CASE WHEN started_at IS NULL THEN 1 ELSE 0 END, started_at DESC,
      {{ armature.byte_order("run_id") }} DESC) AS place
    FROM {{ ref('run_facts') }} r WHERE workflow_key IS NOT NULL AND workflow_name IS NOT NULL
  ) AS named WHERE place = 1
),
measured AS (
  SELECT workflow_key, day, count(cost) AS runs_with_cost, sum(cost_float) AS cost,
    count(duration_ms) AS runs_with_duration, sum(duration_ms) AS duration_ms,
    sum(tool_call_count) AS tool_calls,
    count(*) AS runs,
    count(CASE WHEN outcome IN ('passed', 'partial', 'failed') THEN 1 END) AS decided,
    count(CASE WHEN outcome = 'passed' THEN 1 END) AS passed,
    count(CASE WHEN outcome = 'partial' THEN 1 END) AS partial,
    count(CASE WHEN outcome = 'failed' THEN 1 END) AS failed,
    count(CASE WHEN outcome = 'error' THEN 1 END) AS errors,
    count(CASE WHEN outcome = 'undecided' THEN 1 END) AS undecided
  FROM {{ ref('run_facts') }} r GROUP BY workflow_key, day
),
named AS (
  SELECT measured.*, names.workflow_name
  FROM measured LEFT JOIN names ON names.named_key = measured.workflow_key
)
SELECT
  workflow_key,
  workflow_name,
  CAST(day AS {{ armature.type_date() }}) AS day,
  CAST(runs AS {{ armature.type_integer() }}) AS runs,
  CAST(decided AS {{ armature.type_integer() }}) AS decided,
  CAST(passed AS {{ armature.type_integer() }}) AS passed,
  CAST(partial AS {{ armature.type_integer() }}) AS partial,
  CAST(failed AS {{ armature.type_integer() }}) AS failed,
  CAST(errors AS {{ armature.type_integer() }}) AS errors,
  CAST(undecided AS {{ armature.type_integer() }}) AS undecided,
  CAST(runs_with_cost AS {{ armature.type_integer() }}) AS runs_with_cost,
  CAST(cost AS {{ armature.type_float() }}) AS cost,
  CAST(runs_with_duration AS {{ armature.type_integer() }}) AS runs_with_duration,
  CAST(duration_ms AS {{ armature.type_float() }}) AS duration_ms,
  CAST(tool_calls AS {{ armature.type_integer() }}) AS tool_calls
FROM named
