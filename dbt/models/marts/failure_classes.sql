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
  SELECT workflow_key, outcome, classification, count(*) AS runs,
    min(started_at) AS first_started_at, max(started_at) AS last_started_at,
    sum(count(*)) OVER (PARTITION BY workflow_key) AS runs_not_passed
  FROM {{ ref('run_facts') }} r WHERE outcome <> 'passed' AND workflow_key IS NOT NULL
  GROUP BY workflow_key, outcome, classification
),
named AS (
  SELECT measured.*, names.workflow_name
  FROM measured LEFT JOIN names ON names.named_key = measured.workflow_key
),
metrics_1 AS (
  SELECT *,
    CAST(1 AS {{ armature.type_float() }}) * runs / nullif(runs_not_passed, 0) AS class_share FROM named
)
SELECT
  workflow_key,
  workflow_name,
  outcome,
  classification,
  CAST(runs AS {{ armature.type_integer() }}) AS runs,
  CAST(runs_not_passed AS {{ armature.type_integer() }}) AS runs_not_passed,
  CAST(CASE WHEN runs_not_passed >= 5 THEN class_share END AS {{ armature.type_float() }}) AS class_share,
  CASE WHEN runs_not_passed >= 5 THEN NULL ELSE 'not enough runs' END AS class_share_note,
  CAST(first_started_at AS {{ armature.type_timestamp() }}) AS first_started_at,
  CAST(last_started_at AS {{ armature.type_timestamp() }}) AS last_started_at
FROM metrics_1
