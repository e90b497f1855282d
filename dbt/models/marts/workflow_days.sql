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
  SELECT workflow_key, day, min(workflow_id) AS workflow_id,
    CASE WHEN max(abs(cost)) < 1000000000000
      THEN sum(CASE WHEN abs(cost) < 1000000000000 THEN cost END) END AS cost,
    {{ armature.percentile('0.5', "duration_ms") }} AS median_duration_ms,
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
  CAST(day AS {{ armature.type_date() }}) AS day,
  workflow_id,
  workflow_name,
  CAST(runs AS {{ armature.type_integer() }}) AS runs,
  CAST(passed AS {{ armature.type_integer() }}) AS passed,
  CAST(errors AS {{ armature.type_integer() }}) AS errors,
  CAST(CAST(1 AS {{ armature.type_float() }}) * passed / nullif(decided, 0) AS {{ armature.type_float() }}) AS pass_rate,
  CAST(cost AS {{ armature.type_decimal() }}) AS cost,
  CAST(median_duration_ms AS {{ armature.type_float() }}) AS median_duration_ms
FROM named
