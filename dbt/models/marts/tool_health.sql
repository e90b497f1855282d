-- Made by `armature-export schema --format dbt`; do not change it here.
WITH names AS (
  SELECT workflow_key AS named_key, workflow_name FROM (
    SELECT workflow_key, workflow_name, row_number() OVER (PARTITION BY workflow_key
      ORDER BY CASE WHEN started_at IS NULL THEN 1 ELSE 0 END, started_at DESC,
      {{ armature.byte_order("run_id") }} DESC) AS place
    FROM {{ ref('run_facts') }} r WHERE workflow_key IS NOT NULL AND workflow_name IS NOT NULL
  ) AS named WHERE place = 1
),
by_run AS (
  SELECT t.run_id, t.tool_name, count(*) AS calls,
    count(t.is_error) AS calls_with_result, count(CASE WHEN t.is_error THEN 1 END) AS errors,
    count(CASE WHEN substr(t.arguments, 1, 1) = '{' THEN 1 END) AS calls_with_arguments,
    count(DISTINCT CASE WHEN substr(t.arguments, 1, 1) = '{' THEN t.arguments END)
      AS different_calls
  FROM {{ ref('stg_armature__tool_calls') }} t GROUP BY t.run_id, t.tool_name
),
measured AS (
  SELECT r.workflow_key, b.tool_name, count(*) AS runs, sum(b.calls) AS calls,
    sum(b.calls_with_result) AS calls_with_result, sum(b.errors) AS errors,
    sum(b.calls_with_arguments) AS calls_with_arguments,
    sum(b.calls_with_arguments - b.different_calls) AS repeats,
    count(CASE WHEN b.errors > 0 THEN 1 END) AS runs_where_erred,
    count(CASE WHEN b.errors > 0 AND r.outcome IN ('passed', 'partial', 'failed') THEN 1 END) AS decided_where_erred,
    count(CASE WHEN b.errors > 0 AND r.outcome = 'passed' THEN 1 END) AS passed_where_erred,
    count(CASE WHEN b.errors = 0 AND b.calls_with_result = b.calls AND r.outcome IN ('passed', 'partial', 'failed')
      THEN 1 END) AS decided_where_worked,
    count(CASE WHEN b.errors = 0 AND b.calls_with_result = b.calls AND r.outcome = 'passed'
      THEN 1 END) AS passed_where_worked
  FROM by_run b JOIN {{ ref('run_facts') }} r ON r.run_id = b.run_id
  GROUP BY r.workflow_key, b.tool_name
),
timed AS (
  SELECT r.workflow_key AS timed_key, t.tool_name AS timed_name,
    count(t.duration_ms) AS calls_with_duration,
    {{ armature.percentile('0.5', "t.duration_ms") }} AS median_ms,
    {{ armature.percentile('0.95', "t.duration_ms") }} AS slow_ms
  FROM {{ ref('stg_armature__tool_calls') }} t JOIN {{ ref('run_facts') }} r ON r.run_id = t.run_id
  GROUP BY r.workflow_key, t.tool_name
),
named AS (
  SELECT m.*, timed.calls_with_duration, timed.median_ms, timed.slow_ms,
    names.workflow_name
  FROM measured m
  JOIN timed ON timed.timed_key = m.workflow_key
    AND coalesce(timed.timed_name, '') = coalesce(m.tool_name, '')
    AND CASE WHEN timed.timed_name IS NULL THEN 1 ELSE 0 END
      = CASE WHEN m.tool_name IS NULL THEN 1 ELSE 0 END
  LEFT JOIN names ON names.named_key = m.workflow_key
  WHERE m.workflow_key IS NOT NULL
),
metrics_1 AS (
  SELECT *,
    CAST(1 AS {{ armature.type_float() }}) * errors / nullif(calls_with_result, 0) AS tool_error_rate,
    CAST(1 AS {{ armature.type_float() }}) * passed_where_erred / nullif(decided_where_erred, 0) AS pass_rate_where_erred,
    greatest(CAST(0 AS {{ armature.type_float() }}), (2 * passed_where_erred + CAST(3.841458820694124 AS {{ armature.type_float() }}) - CAST(1.959963984540054 AS {{ armature.type_float() }}) * sqrt(CAST(3.841458820694124 AS {{ armature.type_float() }}) + CAST(4 AS {{ armature.type_float() }}) * passed_where_erred * (decided_where_erred - passed_where_erred) / nullif(decided_where_erred, 0))) / (2 * (decided_where_erred + CAST(3.841458820694124 AS {{ armature.type_float() }})))) AS pass_rate_where_erred_low,
    least(CAST(1 AS {{ armature.type_float() }}), (2 * passed_where_erred + CAST(3.841458820694124 AS {{ armature.type_float() }}) + CAST(1.959963984540054 AS {{ armature.type_float() }}) * sqrt(CAST(3.841458820694124 AS {{ armature.type_float() }}) + CAST(4 AS {{ armature.type_float() }}) * passed_where_erred * (decided_where_erred - passed_where_erred) / nullif(decided_where_erred, 0))) / (2 * (decided_where_erred + CAST(3.841458820694124 AS {{ armature.type_float() }})))) AS pass_rate_where_erred_high,
    CAST(1 AS {{ armature.type_float() }}) * passed_where_worked / nullif(decided_where_worked, 0) AS pass_rate_where_worked,
    greatest(CAST(0 AS {{ armature.type_float() }}), (2 * passed_where_worked + CAST(3.841458820694124 AS {{ armature.type_float() }}) - CAST(1.959963984540054 AS {{ armature.type_float() }}) * sqrt(CAST(3.841458820694124 AS {{ armature.type_float() }}) + CAST(4 AS {{ armature.type_float() }}) * passed_where_worked * (decided_where_worked - passed_where_worked) / nullif(decided_where_worked, 0))) / (2 * (decided_where_worked + CAST(3.841458820694124 AS {{ armature.type_float() }})))) AS pass_rate_where_worked_low,
    least(CAST(1 AS {{ armature.type_float() }}), (2 * passed_where_worked + CAST(3.841458820694124 AS {{ armature.type_float() }}) + CAST(1.959963984540054 AS {{ armature.type_float() }}) * sqrt(CAST(3.841458820694124 AS {{ armature.type_float() }}) + CAST(4 AS {{ armature.type_float() }}) * passed_where_worked * (decided_where_worked - passed_where_worked) / nullif(decided_where_worked, 0))) / (2 * (decided_where_worked + CAST(3.841458820694124 AS {{ armature.type_float() }})))) AS pass_rate_where_worked_high,
    CAST(1 AS {{ armature.type_float() }}) * repeats / nullif(calls_with_arguments, 0) AS repeat_rate,
    median_ms AS call_duration_p50_ms,
    slow_ms AS call_duration_p95_ms FROM named
)
SELECT
  workflow_key,
  workflow_name,
  tool_name,
  CAST(runs AS {{ armature.type_integer() }}) AS runs,
  CAST(calls AS {{ armature.type_integer() }}) AS calls,
  CAST(calls_with_result AS {{ armature.type_integer() }}) AS calls_with_result,
  CAST(errors AS {{ armature.type_integer() }}) AS errors,
  CAST(CASE WHEN calls_with_result >= 5 THEN tool_error_rate END AS {{ armature.type_float() }}) AS tool_error_rate,
  CASE WHEN calls_with_result >= 5 THEN NULL ELSE 'not enough runs' END AS tool_error_rate_note,
  CAST(runs_where_erred AS {{ armature.type_integer() }}) AS runs_where_erred,
  CAST(decided_where_erred AS {{ armature.type_integer() }}) AS decided_where_erred,
  CAST(CASE WHEN decided_where_erred >= 1 THEN pass_rate_where_erred END AS {{ armature.type_float() }}) AS pass_rate_where_erred,
  CAST(CASE WHEN decided_where_erred >= 1 THEN pass_rate_where_erred_low END AS {{ armature.type_float() }}) AS pass_rate_where_erred_low,
  CAST(CASE WHEN decided_where_erred >= 1 THEN pass_rate_where_erred_high END AS {{ armature.type_float() }}) AS pass_rate_where_erred_high,
  CAST(decided_where_worked AS {{ armature.type_integer() }}) AS decided_where_worked,
  CAST(CASE WHEN decided_where_worked >= 1 THEN pass_rate_where_worked END AS {{ armature.type_float() }}) AS pass_rate_where_worked,
  CAST(CASE WHEN decided_where_worked >= 1 THEN pass_rate_where_worked_low END AS {{ armature.type_float() }}) AS pass_rate_where_worked_low,
  CAST(CASE WHEN decided_where_worked >= 1 THEN pass_rate_where_worked_high END AS {{ armature.type_float() }}) AS pass_rate_where_worked_high,
  CAST(calls_with_arguments AS {{ armature.type_integer() }}) AS calls_with_arguments,
  CAST(repeats AS {{ armature.type_integer() }}) AS repeats,
  CAST(CASE WHEN calls_with_arguments >= 5 THEN repeat_rate END AS {{ armature.type_float() }}) AS repeat_rate,
  CASE WHEN calls_with_arguments >= 5 THEN NULL ELSE 'not enough runs' END AS repeat_rate_note,
  CAST(calls_with_duration AS {{ armature.type_integer() }}) AS calls_with_duration,
  CAST(CASE WHEN calls_with_duration >= 1 THEN call_duration_p50_ms END AS {{ armature.type_float() }}) AS call_duration_p50_ms,
  CAST(CASE WHEN calls_with_duration >= 20 THEN call_duration_p95_ms END AS {{ armature.type_float() }}) AS call_duration_p95_ms,
  CASE WHEN calls_with_duration >= 20 THEN NULL ELSE 'not enough runs' END AS call_duration_p95_note
FROM metrics_1
