-- Made by `armature-export schema --format dbt`; do not change it here.
WITH calls AS (
  SELECT t.run_id AS calling_run, count(t.is_error) AS stated,
    count(CASE WHEN t.is_error THEN 1 END) AS tool_errors
  FROM {{ ref('stg_armature__tool_calls') }} t GROUP BY t.run_id
),
grades AS (
  SELECT c.run_id AS graded_run, count(*) AS criteria,
    count(CASE WHEN coalesce(c.verdict_meaning, CASE WHEN c.verdict IS NOT NULL THEN
      CASE replace(replace(replace(lower(trim(c.verdict)), '-', ''), '_', ''), ' ', '') WHEN 'pass' THEN 'passed' WHEN 'passed' THEN 'passed' WHEN 'passing' THEN 'passed' WHEN 'success' THEN 'passed' WHEN 'succeeded' THEN 'passed' WHEN 'successful' THEN 'passed' WHEN 'ok' THEN 'passed' WHEN 'met' THEN 'passed' WHEN 'satisfied' THEN 'passed' WHEN 'true' THEN 'passed' WHEN 'yes' THEN 'passed'
        WHEN 'partial' THEN 'partial' WHEN 'partially' THEN 'partial' WHEN 'partialpass' THEN 'partial' WHEN 'partiallypassed' THEN 'partial' WHEN 'partiallymet' THEN 'partial' WHEN 'partialsuccess' THEN 'partial' WHEN 'mixed' THEN 'partial'
        WHEN 'fail' THEN 'failed' WHEN 'failed' THEN 'failed' WHEN 'failing' THEN 'failed' WHEN 'failure' THEN 'failed' WHEN 'unsuccessful' THEN 'failed' WHEN 'notmet' THEN 'failed' WHEN 'unmet' THEN 'failed' WHEN 'unsatisfied' THEN 'failed' WHEN 'false' THEN 'failed' WHEN 'no' THEN 'failed'
        WHEN 'error' THEN 'error' WHEN 'errored' THEN 'error' WHEN 'timedout' THEN 'error' WHEN 'timeout' THEN 'error' WHEN 'expired' THEN 'error' WHEN 'crashed' THEN 'error' WHEN 'systemerror' THEN 'error' WHEN 'internalerror' THEN 'error' WHEN 'infrastructureerror' THEN 'error' WHEN 'infraerror' THEN 'error' WHEN 'evaluatornotstarted' THEN 'error'
        WHEN 'undecided' THEN 'undecided' WHEN 'inconclusive' THEN 'undecided' WHEN 'indeterminate' THEN 'undecided' WHEN 'unclear' THEN 'undecided' WHEN 'neutral' THEN 'undecided' WHEN 'na' THEN 'undecided' WHEN 'n/a' THEN 'undecided' WHEN 'notapplicable' THEN 'undecided' WHEN 'notevaluated' THEN 'undecided' WHEN 'needsreview' THEN 'undecided'
        WHEN 'cancelled' THEN 'cancelled' WHEN 'canceled' THEN 'cancelled' WHEN 'aborted' THEN 'cancelled' WHEN 'skipped' THEN 'cancelled' WHEN 'terminated' THEN 'cancelled' WHEN 'killed' THEN 'cancelled' WHEN 'stopped' THEN 'cancelled'
        WHEN 'completed' THEN 'ended' WHEN 'complete' THEN 'ended' WHEN 'done' THEN 'ended' WHEN 'finished' THEN 'ended' WHEN 'ended' THEN 'ended' WHEN 'closed' THEN 'ended' WHEN 'final' THEN 'ended'
        WHEN 'pending' THEN 'open' WHEN 'running' THEN 'open' WHEN 'queued' THEN 'open' WHEN 'scheduled' THEN 'open' WHEN 'created' THEN 'open' WHEN 'starting' THEN 'open' WHEN 'started' THEN 'open' WHEN 'inprogress' THEN 'open' WHEN 'processing' THEN 'open' WHEN 'initializing' THEN 'open' WHEN 'dispatched' THEN 'open' WHEN 'waiting' THEN 'open' WHEN 'active' THEN 'open' WHEN 'evaluating' THEN 'open' WHEN 'judging' THEN 'open' WHEN 'grading' THEN 'open' WHEN 'retrying' THEN 'open' WHEN 'notready' THEN 'open' WHEN 'notstarted' THEN 'open'
        ELSE 'unknown' END END) = 'passed' THEN 1 END) AS criteria_passed
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
