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
  SELECT workflow_key, workflow_version, min(started_at) AS first_started_at,
    max(started_at) AS last_started_at,
    CASE WHEN workflow_version IS NOT NULL AND min(started_at) IS NOT NULL THEN 1 ELSE 0 END
      AS is_ordered,
    count(*) AS runs,
    count(CASE WHEN outcome IN ('passed', 'partial', 'failed') THEN 1 END) AS decided,
    count(CASE WHEN outcome = 'passed' THEN 1 END) AS passed,
    count(CASE WHEN outcome = 'partial' THEN 1 END) AS partial,
    count(CASE WHEN outcome = 'failed' THEN 1 END) AS failed,
    count(CASE WHEN outcome = 'error' THEN 1 END) AS errors,
    count(CASE WHEN outcome = 'undecided' THEN 1 END) AS undecided
  FROM {{ ref('run_facts') }} r WHERE workflow_key IS NOT NULL
  GROUP BY workflow_key, workflow_version
),
numbered AS (
  SELECT measured.*, row_number() OVER (PARTITION BY workflow_key, is_ordered
      ORDER BY first_started_at, {{ armature.byte_order("workflow_version") }}) AS place,
    count(*) OVER (PARTITION BY workflow_key, is_ordered) AS places
  FROM measured
),
compared AS (
  SELECT n.*, names.workflow_name, is_ordered = 1 AND place = places AS is_latest,
    CASE WHEN is_ordered = 1 AND place > 1 THEN lag(n.workflow_version)
      OVER (PARTITION BY n.workflow_key, is_ordered ORDER BY place) END AS previous_version,
    CASE WHEN is_ordered = 1 AND place > 1 THEN lag(passed)
      OVER (PARTITION BY n.workflow_key, is_ordered ORDER BY place) END AS previous_passed,
    CASE WHEN is_ordered = 1 AND place > 1 THEN lag(decided)
      OVER (PARTITION BY n.workflow_key, is_ordered ORDER BY place) END AS previous_decided
  FROM numbered n LEFT JOIN names ON names.named_key = n.workflow_key
),
metrics_1 AS (
  SELECT *,
    CAST(1 AS {{ armature.type_float() }}) * passed / nullif(decided, 0) AS pass_rate,
    greatest(CAST(0 AS {{ armature.type_float() }}), (2 * passed + CAST(3.841458820694124 AS {{ armature.type_float() }}) - CAST(1.959963984540054 AS {{ armature.type_float() }}) * sqrt(CAST(3.841458820694124 AS {{ armature.type_float() }}) + CAST(4 AS {{ armature.type_float() }}) * passed * (decided - passed) / nullif(decided, 0))) / (2 * (decided + CAST(3.841458820694124 AS {{ armature.type_float() }})))) AS pass_rate_low,
    least(CAST(1 AS {{ armature.type_float() }}), (2 * passed + CAST(3.841458820694124 AS {{ armature.type_float() }}) + CAST(1.959963984540054 AS {{ armature.type_float() }}) * sqrt(CAST(3.841458820694124 AS {{ armature.type_float() }}) + CAST(4 AS {{ armature.type_float() }}) * passed * (decided - passed) / nullif(decided, 0))) / (2 * (decided + CAST(3.841458820694124 AS {{ armature.type_float() }})))) AS pass_rate_high,
    CAST(1 AS {{ armature.type_float() }}) * previous_passed / nullif(previous_decided, 0) AS previous_pass_rate,
    greatest(CAST(0 AS {{ armature.type_float() }}), (2 * previous_passed + CAST(3.841458820694124 AS {{ armature.type_float() }}) - CAST(1.959963984540054 AS {{ armature.type_float() }}) * sqrt(CAST(3.841458820694124 AS {{ armature.type_float() }}) + CAST(4 AS {{ armature.type_float() }}) * previous_passed * (previous_decided - previous_passed) / nullif(previous_decided, 0))) / (2 * (previous_decided + CAST(3.841458820694124 AS {{ armature.type_float() }})))) AS previous_pass_rate_low,
    least(CAST(1 AS {{ armature.type_float() }}), (2 * previous_passed + CAST(3.841458820694124 AS {{ armature.type_float() }}) + CAST(1.959963984540054 AS {{ armature.type_float() }}) * sqrt(CAST(3.841458820694124 AS {{ armature.type_float() }}) + CAST(4 AS {{ armature.type_float() }}) * previous_passed * (previous_decided - previous_passed) / nullif(previous_decided, 0))) / (2 * (previous_decided + CAST(3.841458820694124 AS {{ armature.type_float() }})))) AS previous_pass_rate_high FROM compared
),
metrics_2 AS (
  SELECT *,
    pass_rate - previous_pass_rate AS pass_rate_change,
    pass_rate - previous_pass_rate - sqrt((pass_rate - pass_rate_low) * (pass_rate - pass_rate_low) + (previous_pass_rate_high - previous_pass_rate) * (previous_pass_rate_high - previous_pass_rate)) AS pass_rate_change_low,
    pass_rate - previous_pass_rate + sqrt((pass_rate_high - pass_rate) * (pass_rate_high - pass_rate) + (previous_pass_rate - previous_pass_rate_low) * (previous_pass_rate - previous_pass_rate_low)) AS pass_rate_change_high FROM metrics_1
),
metrics_3 AS (
  SELECT *,
    CASE WHEN pass_rate_change_high < 0 THEN 'regression'
      WHEN pass_rate_change_low > 0 THEN 'improvement' ELSE 'no clear change' END AS comparison FROM metrics_2
)
SELECT
  workflow_key,
  workflow_name,
  workflow_version,
  CAST(is_latest AS {{ armature.type_boolean() }}) AS is_latest,
  CAST(first_started_at AS {{ armature.type_timestamp() }}) AS first_started_at,
  CAST(last_started_at AS {{ armature.type_timestamp() }}) AS last_started_at,
  CAST(runs AS {{ armature.type_integer() }}) AS runs,
  CAST(decided AS {{ armature.type_integer() }}) AS decided,
  CAST(passed AS {{ armature.type_integer() }}) AS passed,
  CAST(partial AS {{ armature.type_integer() }}) AS partial,
  CAST(failed AS {{ armature.type_integer() }}) AS failed,
  CAST(errors AS {{ armature.type_integer() }}) AS errors,
  CAST(undecided AS {{ armature.type_integer() }}) AS undecided,
  CAST(CASE WHEN decided >= 1 THEN pass_rate END AS {{ armature.type_float() }}) AS pass_rate,
  CAST(CASE WHEN decided >= 1 THEN pass_rate_low END AS {{ armature.type_float() }}) AS pass_rate_low,
  CAST(CASE WHEN decided >= 1 THEN pass_rate_high END AS {{ armature.type_float() }}) AS pass_rate_high,
  previous_version,
  CAST(previous_decided AS {{ armature.type_integer() }}) AS previous_decided,
  CAST(CASE WHEN coalesce(previous_decided, 0) >= 1 THEN previous_pass_rate END AS {{ armature.type_float() }}) AS previous_pass_rate,
  CAST(CASE WHEN coalesce(previous_decided, 0) >= 1 THEN previous_pass_rate_low END AS {{ armature.type_float() }}) AS previous_pass_rate_low,
  CAST(CASE WHEN coalesce(previous_decided, 0) >= 1 THEN previous_pass_rate_high END AS {{ armature.type_float() }}) AS previous_pass_rate_high,
  CAST(CASE WHEN least(decided, coalesce(previous_decided, 0)) >= 20 THEN pass_rate_change END AS {{ armature.type_float() }}) AS pass_rate_change,
  CAST(CASE WHEN least(decided, coalesce(previous_decided, 0)) >= 20 THEN pass_rate_change_low END AS {{ armature.type_float() }}) AS pass_rate_change_low,
  CAST(CASE WHEN least(decided, coalesce(previous_decided, 0)) >= 20 THEN pass_rate_change_high END AS {{ armature.type_float() }}) AS pass_rate_change_high,
  CASE WHEN least(decided, coalesce(previous_decided, 0)) >= 20 THEN comparison ELSE 'not enough runs' END AS comparison
FROM metrics_3
