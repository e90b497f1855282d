-- Made by `armature-export schema --format dbt`; do not change it here.
WITH names AS (
  SELECT workflow_key AS named_key, workflow_name FROM (
    SELECT workflow_key, workflow_name, row_number() OVER (PARTITION BY workflow_key
      ORDER BY CASE WHEN started_at IS NULL THEN 1 ELSE 0 END, started_at DESC,
      {{ armature.byte_order("run_id") }} DESC) AS place
    FROM {{ ref('run_facts') }} r WHERE workflow_key IS NOT NULL AND workflow_name IS NOT NULL
  ) AS named WHERE place = 1
),
grades AS (
  SELECT r.workflow_key, c.run_id, coalesce(c.criterion_text, c.criterion_id)
      AS criterion, c.is_required, r.outcome,
    coalesce(c.verdict_meaning, CASE WHEN c.verdict IS NULL THEN NULL
      WHEN {{ armature.position("' ' || replace(replace(replace(lower(trim(c.verdict)), '-', ''), '_', ''), ' ', '') || ' '", "' pass passed passing success succeeded successful ok met satisfied true yes '") }} > 0 THEN 'passed'
      WHEN {{ armature.position("' ' || replace(replace(replace(lower(trim(c.verdict)), '-', ''), '_', ''), ' ', '') || ' '", "' partial partially partialpass partiallypassed partiallymet partialsuccess mixed '") }} > 0 THEN 'partial'
      WHEN {{ armature.position("' ' || replace(replace(replace(lower(trim(c.verdict)), '-', ''), '_', ''), ' ', '') || ' '", "' fail failed failing failure unsuccessful notmet unmet unsatisfied false no '") }} > 0 THEN 'failed'
      WHEN {{ armature.position("' ' || replace(replace(replace(lower(trim(c.verdict)), '-', ''), '_', ''), ' ', '') || ' '", "' error errored timedout timeout expired crashed systemerror internalerror infrastructureerror infraerror evaluatornotstarted '") }} > 0 THEN 'error'
      WHEN {{ armature.position("' ' || replace(replace(replace(lower(trim(c.verdict)), '-', ''), '_', ''), ' ', '') || ' '", "' undecided inconclusive indeterminate unclear neutral na n/a notapplicable notevaluated needsreview '") }} > 0 THEN 'undecided'
      WHEN {{ armature.position("' ' || replace(replace(replace(lower(trim(c.verdict)), '-', ''), '_', ''), ' ', '') || ' '", "' cancelled canceled aborted skipped terminated killed stopped '") }} > 0 THEN 'cancelled'
      WHEN {{ armature.position("' ' || replace(replace(replace(lower(trim(c.verdict)), '-', ''), '_', ''), ' ', '') || ' '", "' completed complete done finished ended closed final '") }} > 0 THEN 'ended'
      WHEN {{ armature.position("' ' || replace(replace(replace(lower(trim(c.verdict)), '-', ''), '_', ''), ' ', '') || ' '", "' pending running queued scheduled created starting started inprogress processing initializing dispatched waiting active evaluating judging grading retrying notready notstarted '") }} > 0 THEN 'open'
      ELSE 'unknown' END) AS grade
  FROM {{ ref('stg_armature__criteria') }} c JOIN {{ ref('run_facts') }} r ON r.run_id = c.run_id
  WHERE r.workflow_key IS NOT NULL
),
blocked AS (
  SELECT workflow_key, run_id, criterion,
    count(*) OVER (PARTITION BY run_id) AS unmet_in_run
  FROM (SELECT DISTINCT workflow_key, run_id, criterion FROM grades
    WHERE is_required AND grade IN ('partial', 'failed') AND outcome IN ('partial', 'failed'))
    AS unmet
),
blocking AS (
  SELECT workflow_key AS blocked_key, criterion AS blocking_criterion,
    count(*) AS blocked_runs,
    count(CASE WHEN unmet_in_run = 1 THEN 1 END) AS blocked_alone_runs
  FROM blocked GROUP BY workflow_key, criterion
),
unsuccessful AS (
  SELECT workflow_key AS unsuccessful_key,
    count(DISTINCT run_id) AS unsuccessful_runs
  FROM grades
  WHERE outcome IN ('partial', 'failed') GROUP BY workflow_key
),
measured AS (
  SELECT workflow_key, criterion, count(DISTINCT run_id) AS runs, count(*) AS grades,
    max(CASE WHEN is_required THEN 1 WHEN NOT is_required THEN 0 END) = 1 AS is_required,
    count(CASE WHEN grade IN ('passed', 'partial', 'failed') THEN 1 END) AS graded,
    count(CASE WHEN grade = 'passed' THEN 1 END) AS met,
    count(CASE WHEN grade = 'partial' THEN 1 END) AS partly_met,
    count(CASE WHEN grade = 'failed' THEN 1 END) AS not_met
  FROM grades GROUP BY workflow_key, criterion
),
named AS (
  SELECT m.*, coalesce(b.blocked_runs, 0) AS blocked_runs,
    coalesce(b.blocked_alone_runs, 0) AS blocked_alone_runs,
    coalesce(u.unsuccessful_runs, 0) AS unsuccessful_runs, names.workflow_name
  FROM measured m
  LEFT JOIN blocking b ON b.blocked_key = m.workflow_key
    AND b.blocking_criterion = m.criterion
  LEFT JOIN unsuccessful u ON u.unsuccessful_key = m.workflow_key
  LEFT JOIN names ON names.named_key = m.workflow_key
),
metrics_1 AS (
  SELECT *,
    CAST(1 AS {{ armature.type_float() }}) * met / nullif(graded, 0) AS met_rate,
    greatest(CAST(0 AS {{ armature.type_float() }}), (2 * met + CAST(3.841458820694124 AS {{ armature.type_float() }}) - CAST(1.959963984540054 AS {{ armature.type_float() }}) * sqrt(CAST(3.841458820694124 AS {{ armature.type_float() }}) + CAST(4 AS {{ armature.type_float() }}) * met * (graded - met) / nullif(graded, 0))) / (2 * (graded + CAST(3.841458820694124 AS {{ armature.type_float() }})))) AS met_rate_low,
    least(CAST(1 AS {{ armature.type_float() }}), (2 * met + CAST(3.841458820694124 AS {{ armature.type_float() }}) + CAST(1.959963984540054 AS {{ armature.type_float() }}) * sqrt(CAST(3.841458820694124 AS {{ armature.type_float() }}) + CAST(4 AS {{ armature.type_float() }}) * met * (graded - met) / nullif(graded, 0))) / (2 * (graded + CAST(3.841458820694124 AS {{ armature.type_float() }})))) AS met_rate_high,
    CAST(1 AS {{ armature.type_float() }}) * blocked_runs / nullif(unsuccessful_runs, 0) AS blocking_rate FROM named
)
SELECT
  workflow_key,
  workflow_name,
  criterion,
  CAST(is_required AS {{ armature.type_boolean() }}) AS is_required,
  CAST(runs AS {{ armature.type_integer() }}) AS runs,
  CAST(grades AS {{ armature.type_integer() }}) AS grades,
  CAST(graded AS {{ armature.type_integer() }}) AS graded,
  CAST(met AS {{ armature.type_integer() }}) AS met,
  CAST(partly_met AS {{ armature.type_integer() }}) AS partly_met,
  CAST(not_met AS {{ armature.type_integer() }}) AS not_met,
  CAST(CASE WHEN graded >= 1 THEN met_rate END AS {{ armature.type_float() }}) AS met_rate,
  CAST(CASE WHEN graded >= 1 THEN met_rate_low END AS {{ armature.type_float() }}) AS met_rate_low,
  CAST(CASE WHEN graded >= 1 THEN met_rate_high END AS {{ armature.type_float() }}) AS met_rate_high,
  CAST(unsuccessful_runs AS {{ armature.type_integer() }}) AS unsuccessful_runs,
  CAST(blocked_runs AS {{ armature.type_integer() }}) AS blocked_runs,
  CAST(blocked_alone_runs AS {{ armature.type_integer() }}) AS blocked_alone_runs,
  CAST(CASE WHEN unsuccessful_runs >= 5 THEN blocking_rate END AS {{ armature.type_float() }}) AS blocking_rate,
  CASE WHEN unsuccessful_runs >= 5 THEN NULL ELSE 'not enough runs' END AS blocking_rate_note
FROM metrics_1
