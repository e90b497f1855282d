-- Made by `armature-export schema --format dbt`; do not change it here.
{{ config(enabled = var('armature_commit_log', target.type == 'duckdb')) }}

WITH newest_sync AS (
  SELECT 1 AS one, {{ armature.utc("started_at") }} AS started_at, outcome, certified,
    {{ armature.utc("proven_until") }} AS proven_until
  FROM {{ ref('stg_armature__syncs') }} s ORDER BY _commit DESC LIMIT 1
),
missing AS (
  SELECT count(*) AS gaps,
    CAST(1 AS {{ armature.type_float() }}) * sum({{ armature.microseconds("gap_from", "gap_until") }}) / 3600000000 AS gap_hours FROM {{ ref('stg_armature__gaps') }} g
),
counted AS (
  SELECT 1 AS one, count(*) AS runs,
    count(CASE WHEN evaluation_state = 'ok' THEN 1 END) AS runs_evaluated,
    count(CASE WHEN evaluation_state = 'pending' THEN 1 END) AS evaluations_pending,
    count(CASE WHEN outcome IN ('passed', 'partial', 'failed') AND evaluation_state = 'absent' THEN 1 END)
      AS evaluations_absent,
    count(CASE WHEN outcome = 'undecided' THEN 1 END) AS runs_undecided,
    count(CASE WHEN status_meaning = 'unknown' OR status_meaning IS NULL THEN 1 END)
      AS runs_with_unknown_status,
    count(CASE WHEN workflow_key IS NULL THEN 1 END) AS runs_without_workflow,
    count(CASE WHEN workflow_version IS NULL THEN 1 END) AS runs_without_version,
    count(CASE WHEN started_at IS NULL THEN 1 END) AS runs_without_start,
    count(CASE WHEN duration_ms IS NULL THEN 1 END) AS runs_without_duration,
    count(CASE WHEN cost IS NULL THEN 1 END) AS runs_without_cost
  FROM {{ ref('run_facts') }} r
),
called AS (
  SELECT count(*) AS tool_calls,
    count(CASE WHEN is_error IS NULL THEN 1 END) AS calls_without_result
  FROM {{ ref('stg_armature__tool_calls') }} t
),
unread AS (
  SELECT count(*) AS issues, count(DISTINCT run_id) AS runs_with_issues,
    count(DISTINCT CASE WHEN rows_received IS NOT NULL THEN run_id END) AS runs_incomplete
  FROM {{ ref('stg_armature__issues') }} i
),
opened AS (
  SELECT count(*) AS open_runs,
    min({{ armature.utc("started_at") }}) AS oldest_open_started_at FROM {{ ref('stg_armature__open_runs') }} o
),
together AS (
  SELECT counted.*, called.*, unread.*, opened.*, missing.gaps,
    coalesce(missing.gap_hours, 0) AS gap_hours, newest_sync.started_at AS last_sync_started_at,
    newest_sync.outcome AS last_sync_outcome, newest_sync.certified AS last_sync_certified,
    newest_sync.proven_until AS covered_until
  FROM counted CROSS JOIN called CROSS JOIN unread CROSS JOIN opened CROSS JOIN missing
  LEFT JOIN newest_sync ON newest_sync.one = counted.one
)
SELECT
  CAST(covered_until AS {{ armature.type_timestamp() }}) AS covered_until,
  CAST(last_sync_started_at AS {{ armature.type_timestamp() }}) AS last_sync_started_at,
  last_sync_outcome,
  CAST(last_sync_certified AS {{ armature.type_boolean() }}) AS last_sync_certified,
  CAST(gaps AS {{ armature.type_integer() }}) AS gaps,
  CAST(gap_hours AS {{ armature.type_float() }}) AS gap_hours,
  CAST(runs AS {{ armature.type_integer() }}) AS runs,
  CAST(open_runs AS {{ armature.type_integer() }}) AS open_runs,
  CAST(oldest_open_started_at AS {{ armature.type_timestamp() }}) AS oldest_open_started_at,
  CAST(runs_evaluated AS {{ armature.type_integer() }}) AS runs_evaluated,
  CAST(evaluations_pending AS {{ armature.type_integer() }}) AS evaluations_pending,
  CAST(evaluations_absent AS {{ armature.type_integer() }}) AS evaluations_absent,
  CAST(runs_undecided AS {{ armature.type_integer() }}) AS runs_undecided,
  CAST(runs_with_unknown_status AS {{ armature.type_integer() }}) AS runs_with_unknown_status,
  CAST(runs_without_workflow AS {{ armature.type_integer() }}) AS runs_without_workflow,
  CAST(runs_without_version AS {{ armature.type_integer() }}) AS runs_without_version,
  CAST(runs_without_start AS {{ armature.type_integer() }}) AS runs_without_start,
  CAST(runs_without_duration AS {{ armature.type_integer() }}) AS runs_without_duration,
  CAST(runs_without_cost AS {{ armature.type_integer() }}) AS runs_without_cost,
  CAST(tool_calls AS {{ armature.type_integer() }}) AS tool_calls,
  CAST(calls_without_result AS {{ armature.type_integer() }}) AS calls_without_result,
  CAST(issues AS {{ armature.type_integer() }}) AS issues,
  CAST(runs_with_issues AS {{ armature.type_integer() }}) AS runs_with_issues,
  CAST(runs_incomplete AS {{ armature.type_integer() }}) AS runs_incomplete
FROM together
