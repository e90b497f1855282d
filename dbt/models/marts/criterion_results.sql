-- Made by `armature-export schema --format dbt`; do not change it here.
WITH grades AS (
  SELECT r.workflow_name, c.criterion_text, c.is_required,
    coalesce(c.verdict_meaning, CASE WHEN c.verdict IS NOT NULL THEN
      CASE replace(replace(replace(lower(trim(c.verdict)), '-', ''), '_', ''), ' ', '') WHEN 'pass' THEN 'passed' WHEN 'passed' THEN 'passed' WHEN 'passing' THEN 'passed' WHEN 'success' THEN 'passed' WHEN 'succeeded' THEN 'passed' WHEN 'successful' THEN 'passed' WHEN 'ok' THEN 'passed' WHEN 'met' THEN 'passed' WHEN 'satisfied' THEN 'passed' WHEN 'true' THEN 'passed' WHEN 'yes' THEN 'passed'
        WHEN 'partial' THEN 'partial' WHEN 'partially' THEN 'partial' WHEN 'partialpass' THEN 'partial' WHEN 'partiallypassed' THEN 'partial' WHEN 'partiallymet' THEN 'partial' WHEN 'partialsuccess' THEN 'partial' WHEN 'mixed' THEN 'partial'
        WHEN 'fail' THEN 'failed' WHEN 'failed' THEN 'failed' WHEN 'failing' THEN 'failed' WHEN 'failure' THEN 'failed' WHEN 'unsuccessful' THEN 'failed' WHEN 'notmet' THEN 'failed' WHEN 'unmet' THEN 'failed' WHEN 'unsatisfied' THEN 'failed' WHEN 'false' THEN 'failed' WHEN 'no' THEN 'failed'
        WHEN 'error' THEN 'error' WHEN 'errored' THEN 'error' WHEN 'timedout' THEN 'error' WHEN 'timeout' THEN 'error' WHEN 'expired' THEN 'error' WHEN 'crashed' THEN 'error' WHEN 'systemerror' THEN 'error' WHEN 'internalerror' THEN 'error' WHEN 'infrastructureerror' THEN 'error' WHEN 'infraerror' THEN 'error' WHEN 'evaluatornotstarted' THEN 'error'
        WHEN 'undecided' THEN 'undecided' WHEN 'inconclusive' THEN 'undecided' WHEN 'indeterminate' THEN 'undecided' WHEN 'unclear' THEN 'undecided' WHEN 'neutral' THEN 'undecided' WHEN 'na' THEN 'undecided' WHEN 'n/a' THEN 'undecided' WHEN 'notapplicable' THEN 'undecided' WHEN 'notevaluated' THEN 'undecided' WHEN 'needsreview' THEN 'undecided'
        WHEN 'cancelled' THEN 'cancelled' WHEN 'canceled' THEN 'cancelled' WHEN 'aborted' THEN 'cancelled' WHEN 'skipped' THEN 'cancelled' WHEN 'terminated' THEN 'cancelled' WHEN 'killed' THEN 'cancelled' WHEN 'stopped' THEN 'cancelled'
        WHEN 'completed' THEN 'ended' WHEN 'complete' THEN 'ended' WHEN 'done' THEN 'ended' WHEN 'finished' THEN 'ended' WHEN 'ended' THEN 'ended' WHEN 'closed' THEN 'ended' WHEN 'final' THEN 'ended'
        WHEN 'pending' THEN 'open' WHEN 'running' THEN 'open' WHEN 'queued' THEN 'open' WHEN 'scheduled' THEN 'open' WHEN 'created' THEN 'open' WHEN 'starting' THEN 'open' WHEN 'started' THEN 'open' WHEN 'inprogress' THEN 'open' WHEN 'processing' THEN 'open' WHEN 'initializing' THEN 'open' WHEN 'dispatched' THEN 'open' WHEN 'waiting' THEN 'open' WHEN 'active' THEN 'open' WHEN 'evaluating' THEN 'open' WHEN 'judging' THEN 'open' WHEN 'grading' THEN 'open' WHEN 'retrying' THEN 'open' WHEN 'notready' THEN 'open' WHEN 'notstarted' THEN 'open'
        ELSE 'unknown' END END) AS grade
  FROM {{ ref('stg_armature__criteria') }} c JOIN {{ ref('run_facts') }} r ON r.run_id = c.run_id
),
measured AS (
  SELECT workflow_name, criterion_text,
    max(CASE WHEN is_required THEN 1 WHEN NOT is_required THEN 0 END) = 1 AS is_required,
    count(*) AS graded, count(CASE WHEN grade = 'passed' THEN 1 END) AS passed,
    count(CASE WHEN grade IN ('passed', 'partial', 'failed') THEN 1 END) AS decided
  FROM grades GROUP BY workflow_name, criterion_text
)
SELECT
  workflow_name,
  criterion_text,
  CAST(is_required AS {{ armature.type_boolean() }}) AS is_required,
  CAST(graded AS {{ armature.type_integer() }}) AS graded,
  CAST(passed AS {{ armature.type_integer() }}) AS passed,
  CAST(CAST(1 AS {{ armature.type_float() }}) * passed / nullif(decided, 0) AS {{ armature.type_float() }}) AS pass_rate
FROM measured
