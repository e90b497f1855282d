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
  SELECT workflow_key, model, harness, count(cost) AS runs_with_cost,
    sum(cost_float) AS cost_of_all,
    sum(CASE WHEN outcome <> 'passed' THEN cost_float END) AS cost_of_unsuccessful,
    count(CASE WHEN outcome = 'passed' AND cost IS NOT NULL THEN 1 END) AS passed_with_cost,
    CASE WHEN min(CASE WHEN cost IS NOT NULL THEN coalesce(cost_currency, '') END)
        = max(CASE WHEN cost IS NOT NULL THEN coalesce(cost_currency, '') END)
      THEN min(CASE WHEN cost IS NOT NULL THEN coalesce(cost_currency, '') END) END
      AS one_currency,
    count(CASE WHEN outcome IN ('passed', 'partial', 'failed') THEN duration_ms END) AS decided_with_duration,
    {{ armature.percentile('0.5', "CASE WHEN outcome IN ('passed', 'partial', 'failed') THEN duration_ms END") }} AS median_ms,
    {{ armature.percentile('0.95', "CASE WHEN outcome IN ('passed', 'partial', 'failed') THEN duration_ms END") }} AS slow_ms,
    count(*) AS runs,
    count(CASE WHEN outcome IN ('passed', 'partial', 'failed') THEN 1 END) AS decided,
    count(CASE WHEN outcome = 'passed' THEN 1 END) AS passed,
    count(CASE WHEN outcome = 'partial' THEN 1 END) AS partial,
    count(CASE WHEN outcome = 'failed' THEN 1 END) AS failed,
    count(CASE WHEN outcome = 'error' THEN 1 END) AS errors,
    count(CASE WHEN outcome = 'undecided' THEN 1 END) AS undecided
  FROM {{ ref('run_facts') }} r WHERE workflow_key IS NOT NULL
  GROUP BY workflow_key, model, harness
),
named AS (
  SELECT measured.*, names.workflow_name
  FROM measured LEFT JOIN names ON names.named_key = measured.workflow_key
),
metrics_1 AS (
  SELECT *,
    CAST(1 AS {{ armature.type_float() }}) * passed / nullif(decided, 0) AS pass_rate,
    greatest(CAST(0 AS {{ armature.type_float() }}), (2 * passed + CAST(3.841458820694124 AS {{ armature.type_float() }}) - CAST(1.959963984540054 AS {{ armature.type_float() }}) * sqrt(CAST(3.841458820694124 AS {{ armature.type_float() }}) + CAST(4 AS {{ armature.type_float() }}) * passed * (decided - passed) / nullif(decided, 0))) / (2 * (decided + CAST(3.841458820694124 AS {{ armature.type_float() }})))) AS pass_rate_low,
    least(CAST(1 AS {{ armature.type_float() }}), (2 * passed + CAST(3.841458820694124 AS {{ armature.type_float() }}) + CAST(1.959963984540054 AS {{ armature.type_float() }}) * sqrt(CAST(3.841458820694124 AS {{ armature.type_float() }}) + CAST(4 AS {{ armature.type_float() }}) * passed * (decided - passed) / nullif(decided, 0))) / (2 * (decided + CAST(3.841458820694124 AS {{ armature.type_float() }})))) AS pass_rate_high,
    CAST(1 AS {{ armature.type_float() }}) * runs_with_cost / nullif(runs, 0) AS cost_coverage,
    CASE WHEN one_currency IS NOT NULL THEN cost_of_all / nullif(passed_with_cost, 0) END AS cost_per_pass,
    median_ms AS run_duration_p50_ms,
    slow_ms AS run_duration_p95_ms FROM named
)
SELECT
  workflow_key,
  workflow_name,
  model,
  harness,
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
  CAST(runs_with_cost AS {{ armature.type_integer() }}) AS runs_with_cost,
  CAST(CASE WHEN runs >= 1 THEN cost_coverage END AS {{ armature.type_float() }}) AS cost_coverage,
  nullif(one_currency, '') AS cost_currency,
  CAST(CASE WHEN one_currency IS NOT NULL THEN cost_of_all END AS {{ armature.type_float() }}) AS cost,
  CAST(CASE WHEN one_currency IS NOT NULL THEN cost_of_unsuccessful END AS {{ armature.type_float() }}) AS cost_of_unsuccessful,
  CAST(passed_with_cost AS {{ armature.type_integer() }}) AS passed_with_cost,
  CAST(CASE WHEN passed_with_cost >= 5 THEN cost_per_pass END AS {{ armature.type_float() }}) AS cost_per_pass,
  CASE WHEN passed_with_cost >= 5 THEN NULL ELSE 'not enough runs' END AS cost_per_pass_note,
  CAST(decided_with_duration AS {{ armature.type_integer() }}) AS decided_with_duration,
  CAST(CASE WHEN decided_with_duration >= 1 THEN run_duration_p50_ms END AS {{ armature.type_float() }}) AS run_duration_p50_ms,
  CAST(CASE WHEN decided_with_duration >= 20 THEN run_duration_p95_ms END AS {{ armature.type_float() }}) AS run_duration_p95_ms,
  CASE WHEN decided_with_duration >= 20 THEN NULL ELSE 'not enough runs' END AS run_duration_p95_note
FROM metrics_1
