-- Made by `armature-export schema --format dbt`; do not change it here.
WITH calls AS (
  SELECT t.run_id AS calling_run, count(t.is_error) AS stated,
    count(CASE WHEN t.is_error THEN 1 END) AS tool_errors
  FROM {{ ref('stg_armature__tool_calls') }} t GROUP BY t.run_id
),
grades AS (
  SELECT c.run_id AS graded_run, count(*) AS criteria,
    count(CASE WHEN coalesce(c.verdict_meaning, CASE WHEN c.verdict IS NULL THEN NULL
      WHEN {{ armature.position("' ' || replace(replace(replace(lower(trim(c.verdict)), '-', ''), '_', ''), ' ', '') || ' '", "' pass passed passing success succeeded successful ok met satisfied true yes '") }} > 0 THEN 'passed'
      WHEN {{ armature.position("' ' || replace(replace(replace(lower(trim(c.verdict)), '-', ''), '_', ''), ' ', '') || ' '", "' partial partially partialpass partiallypassed partiallymet partialsuccess mixed '") }} > 0 THEN 'partial'
      WHEN {{ armature.position("' ' || replace(replace(replace(lower(trim(c.verdict)), '-', ''), '_', ''), ' ', '') || ' '", "' fail failed failing failure unsuccessful notmet unmet unsatisfied false no '") }} > 0 THEN 'failed'
      WHEN {{ armature.position("' ' || replace(replace(replace(lower(trim(c.verdict)), '-', ''), '_', ''), ' ', '') || ' '", "' error errored timedout timeout expired crashed systemerror internalerror infrastructureerror infraerror evaluatornotstarted '") }} > 0 THEN 'error'
      WHEN {{ armature.position("' ' || replace(replace(replace(lower(trim(c.verdict)), '-', ''), '_', ''), ' ', '') || ' '", "' undecided inconclusive indeterminate unclear neutral na n/a notapplicable notevaluated needsreview '") }} > 0 THEN 'undecided'
      WHEN {{ armature.position("' ' || replace(replace(replace(lower(trim(c.verdict)), '-', ''), '_', ''), ' ', '') || ' '", "' cancelled canceled aborted skipped terminated killed stopped '") }} > 0 THEN 'cancelled'
      WHEN {{ armature.position("' ' || replace(replace(replace(lower(trim(c.verdict)), '-', ''), '_', ''), ' ', '') || ' '", "' completed complete done finished ended closed final '") }} > 0 THEN 'ended'
      WHEN {{ armature.position("' ' || replace(replace(replace(lower(trim(c.verdict)), '-', ''), '_', ''), ' ', '') || ' '", "' pending running queued scheduled created starting started inprogress processing initializing dispatched waiting active evaluating judging grading retrying notready notstarted '") }} > 0 THEN 'open'
      ELSE 'unknown' END) = 'passed' THEN 1 END) AS criteria_passed
  FROM {{ ref('stg_armature__criteria') }} c GROUP BY c.run_id
),
counted AS (
  SELECT r.run_id, r.day, r.workflow_name, r.model, r.harness, r.status, r.verdict,
    r.classification, r.duration_ms, r.cost, r.tool_call_count,
    CASE WHEN calls.calling_run IS NULL THEN 0 WHEN stated > 0 THEN tool_errors END AS tool_errors,
    coalesce(grades.criteria, 0) AS criteria,
    coalesce(grades.criteria_passed, 0) AS criteria_passed, r.run_url
  FROM {{ ref('run_facts') }} r LEFT JOIN calls ON calls.calling_run = r.run_id
  LEFT JOIN grades ON grades.graded_run = r.run_id
)
SELECT
  run_id,
  CAST(day AS {{ armature.type_date() }}) AS day,
  workflow_name,
  model,
  harness,
  status,
  verdict,
  classification,
  CAST(duration_ms AS {{ armature.type_integer() }}) AS duration_ms,
  CAST(cost AS {{ armature.type_decimal() }}) AS cost,
  CAST(tool_call_count AS {{ armature.type_integer() }}) AS tool_call_count,
  CAST(tool_errors AS {{ armature.type_integer() }}) AS tool_errors,
  CAST(criteria AS {{ armature.type_integer() }}) AS criteria,
  CAST(criteria_passed AS {{ armature.type_integer() }}) AS criteria_passed,
  run_url
FROM counted
