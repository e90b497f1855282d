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
  SELECT run_id, count(*) AS required,
    count(CASE WHEN grade IN ('passed', 'partial', 'failed') THEN 1 END) AS decided,
    count(CASE WHEN grade IN ('partial', 'failed') THEN 1 END) AS unmet
  FROM (SELECT c.run_id, coalesce(c.verdict_meaning, CASE WHEN c.verdict IS NOT NULL THEN
      CASE replace(replace(replace(lower(trim(c.verdict)), '-', ''), '_', ''), ' ', '') WHEN 'pass' THEN 'passed' WHEN 'passed' THEN 'passed' WHEN 'passing' THEN 'passed' WHEN 'success' THEN 'passed' WHEN 'succeeded' THEN 'passed' WHEN 'successful' THEN 'passed' WHEN 'ok' THEN 'passed' WHEN 'met' THEN 'passed' WHEN 'satisfied' THEN 'passed' WHEN 'true' THEN 'passed' WHEN 'yes' THEN 'passed'
        WHEN 'partial' THEN 'partial' WHEN 'partially' THEN 'partial' WHEN 'partialpass' THEN 'partial' WHEN 'partiallypassed' THEN 'partial' WHEN 'partiallymet' THEN 'partial' WHEN 'partialsuccess' THEN 'partial' WHEN 'mixed' THEN 'partial'
        WHEN 'fail' THEN 'failed' WHEN 'failed' THEN 'failed' WHEN 'failing' THEN 'failed' WHEN 'failure' THEN 'failed' WHEN 'unsuccessful' THEN 'failed' WHEN 'notmet' THEN 'failed' WHEN 'unmet' THEN 'failed' WHEN 'unsatisfied' THEN 'failed' WHEN 'false' THEN 'failed' WHEN 'no' THEN 'failed'
        WHEN 'error' THEN 'error' WHEN 'errored' THEN 'error' WHEN 'timedout' THEN 'error' WHEN 'timeout' THEN 'error' WHEN 'expired' THEN 'error' WHEN 'crashed' THEN 'error' WHEN 'systemerror' THEN 'error' WHEN 'internalerror' THEN 'error' WHEN 'infrastructureerror' THEN 'error' WHEN 'infraerror' THEN 'error' WHEN 'evaluatornotstarted' THEN 'error'
        WHEN 'undecided' THEN 'undecided' WHEN 'inconclusive' THEN 'undecided' WHEN 'indeterminate' THEN 'undecided' WHEN 'unclear' THEN 'undecided' WHEN 'neutral' THEN 'undecided' WHEN 'na' THEN 'undecided' WHEN 'n/a' THEN 'undecided' WHEN 'notapplicable' THEN 'undecided' WHEN 'notevaluated' THEN 'undecided' WHEN 'needsreview' THEN 'undecided'
        WHEN 'cancelled' THEN 'cancelled' WHEN 'canceled' THEN 'cancelled' WHEN 'aborted' THEN 'cancelled' WHEN 'skipped' THEN 'cancelled' WHEN 'terminated' THEN 'cancelled' WHEN 'killed' THEN 'cancelled' WHEN 'stopped' THEN 'cancelled'
        WHEN 'completed' THEN 'ended' WHEN 'complete' THEN 'ended' WHEN 'done' THEN 'ended' WHEN 'finished' THEN 'ended' WHEN 'ended' THEN 'ended' WHEN 'closed' THEN 'ended' WHEN 'final' THEN 'ended'
        WHEN 'pending' THEN 'open' WHEN 'running' THEN 'open' WHEN 'queued' THEN 'open' WHEN 'scheduled' THEN 'open' WHEN 'created' THEN 'open' WHEN 'starting' THEN 'open' WHEN 'started' THEN 'open' WHEN 'inprogress' THEN 'open' WHEN 'processing' THEN 'open' WHEN 'initializing' THEN 'open' WHEN 'dispatched' THEN 'open' WHEN 'waiting' THEN 'open' WHEN 'active' THEN 'open' WHEN 'evaluating' THEN 'open' WHEN 'judging' THEN 'open' WHEN 'grading' THEN 'open' WHEN 'retrying' THEN 'open' WHEN 'notready' THEN 'open' WHEN 'notstarted' THEN 'open'
        ELSE 'unknown' END END) AS grade
    FROM {{ ref('stg_armature__criteria') }} c WHERE c.is_required) AS required_grades
  GROUP BY run_id
),
judged AS (
  SELECT r.workflow_key, e.judge_model, r.status_meaning AS status,
    coalesce(g.required, 0) > 0 AND g.decided = g.required AS is_graded, g.unmet,
    coalesce(e.verdict_meaning, CASE WHEN e.verdict IS NOT NULL THEN
      CASE replace(replace(replace(lower(trim(e.verdict)), '-', ''), '_', ''), ' ', '') WHEN 'pass' THEN 'passed' WHEN 'passed' THEN 'passed' WHEN 'passing' THEN 'passed' WHEN 'success' THEN 'passed' WHEN 'succeeded' THEN 'passed' WHEN 'successful' THEN 'passed' WHEN 'ok' THEN 'passed' WHEN 'met' THEN 'passed' WHEN 'satisfied' THEN 'passed' WHEN 'true' THEN 'passed' WHEN 'yes' THEN 'passed'
        WHEN 'partial' THEN 'partial' WHEN 'partially' THEN 'partial' WHEN 'partialpass' THEN 'partial' WHEN 'partiallypassed' THEN 'partial' WHEN 'partiallymet' THEN 'partial' WHEN 'partialsuccess' THEN 'partial' WHEN 'mixed' THEN 'partial'
        WHEN 'fail' THEN 'failed' WHEN 'failed' THEN 'failed' WHEN 'failing' THEN 'failed' WHEN 'failure' THEN 'failed' WHEN 'unsuccessful' THEN 'failed' WHEN 'notmet' THEN 'failed' WHEN 'unmet' THEN 'failed' WHEN 'unsatisfied' THEN 'failed' WHEN 'false' THEN 'failed' WHEN 'no' THEN 'failed'
        WHEN 'error' THEN 'error' WHEN 'errored' THEN 'error' WHEN 'timedout' THEN 'error' WHEN 'timeout' THEN 'error' WHEN 'expired' THEN 'error' WHEN 'crashed' THEN 'error' WHEN 'systemerror' THEN 'error' WHEN 'internalerror' THEN 'error' WHEN 'infrastructureerror' THEN 'error' WHEN 'infraerror' THEN 'error' WHEN 'evaluatornotstarted' THEN 'error'
        WHEN 'undecided' THEN 'undecided' WHEN 'inconclusive' THEN 'undecided' WHEN 'indeterminate' THEN 'undecided' WHEN 'unclear' THEN 'undecided' WHEN 'neutral' THEN 'undecided' WHEN 'na' THEN 'undecided' WHEN 'n/a' THEN 'undecided' WHEN 'notapplicable' THEN 'undecided' WHEN 'notevaluated' THEN 'undecided' WHEN 'needsreview' THEN 'undecided'
        WHEN 'cancelled' THEN 'cancelled' WHEN 'canceled' THEN 'cancelled' WHEN 'aborted' THEN 'cancelled' WHEN 'skipped' THEN 'cancelled' WHEN 'terminated' THEN 'cancelled' WHEN 'killed' THEN 'cancelled' WHEN 'stopped' THEN 'cancelled'
        WHEN 'completed' THEN 'ended' WHEN 'complete' THEN 'ended' WHEN 'done' THEN 'ended' WHEN 'finished' THEN 'ended' WHEN 'ended' THEN 'ended' WHEN 'closed' THEN 'ended' WHEN 'final' THEN 'ended'
        WHEN 'pending' THEN 'open' WHEN 'running' THEN 'open' WHEN 'queued' THEN 'open' WHEN 'scheduled' THEN 'open' WHEN 'created' THEN 'open' WHEN 'starting' THEN 'open' WHEN 'started' THEN 'open' WHEN 'inprogress' THEN 'open' WHEN 'processing' THEN 'open' WHEN 'initializing' THEN 'open' WHEN 'dispatched' THEN 'open' WHEN 'waiting' THEN 'open' WHEN 'active' THEN 'open' WHEN 'evaluating' THEN 'open' WHEN 'judging' THEN 'open' WHEN 'grading' THEN 'open' WHEN 'retrying' THEN 'open' WHEN 'notready' THEN 'open' WHEN 'notstarted' THEN 'open'
        ELSE 'unknown' END END) AS verdict
  FROM {{ ref('stg_armature__evaluations') }} e JOIN {{ ref('run_facts') }} r ON r.run_id = e.run_id
  LEFT JOIN grades g ON g.run_id = e.run_id WHERE r.workflow_key IS NOT NULL
),
measured AS (
  SELECT workflow_key, judge_model, count(*) AS evaluations,
    count(CASE WHEN verdict IN ('passed', 'partial', 'failed') THEN 1 END) AS decided_verdicts,
    count(CASE WHEN verdict IN ('passed', 'partial', 'failed') AND status IN ('passed', 'partial', 'failed') THEN 1 END) AS compared,
    count(CASE WHEN verdict IN ('passed', 'partial', 'failed') AND status = verdict THEN 1 END) AS agreed,
    count(CASE WHEN verdict IN ('passed', 'partial', 'failed') AND is_graded THEN 1 END) AS graded_evaluations,
    count(CASE WHEN verdict = 'passed' AND is_graded AND unmet > 0 THEN 1 END)
      AS passed_with_unmet,
    count(CASE WHEN verdict IN ('partial', 'failed') AND is_graded AND unmet = 0 THEN 1 END)
      AS unpassed_with_all_met
  FROM judged GROUP BY workflow_key, judge_model
),
named AS (
  SELECT m.*, passed_with_unmet + unpassed_with_all_met AS contradictions,
    names.workflow_name
  FROM measured m LEFT JOIN names ON names.named_key = m.workflow_key
),
metrics_1 AS (
  SELECT *,
    CAST(1 AS {{ armature.type_float() }}) * agreed / nullif(compared, 0) AS agreement_rate,
    greatest(CAST(0 AS {{ armature.type_float() }}), (2 * agreed + CAST(3.841458820694124 AS {{ armature.type_float() }}) - CAST(1.959963984540054 AS {{ armature.type_float() }}) * sqrt(CAST(3.841458820694124 AS {{ armature.type_float() }}) + CAST(4 AS {{ armature.type_float() }}) * agreed * (compared - agreed) / nullif(compared, 0))) / (2 * (compared + CAST(3.841458820694124 AS {{ armature.type_float() }})))) AS agreement_rate_low,
    least(CAST(1 AS {{ armature.type_float() }}), (2 * agreed + CAST(3.841458820694124 AS {{ armature.type_float() }}) + CAST(1.959963984540054 AS {{ armature.type_float() }}) * sqrt(CAST(3.841458820694124 AS {{ armature.type_float() }}) + CAST(4 AS {{ armature.type_float() }}) * agreed * (compared - agreed) / nullif(compared, 0))) / (2 * (compared + CAST(3.841458820694124 AS {{ armature.type_float() }})))) AS agreement_rate_high,
    CAST(1 AS {{ armature.type_float() }}) * contradictions / nullif(graded_evaluations, 0) AS contradiction_rate,
    greatest(CAST(0 AS {{ armature.type_float() }}), (2 * contradictions + CAST(3.841458820694124 AS {{ armature.type_float() }}) - CAST(1.959963984540054 AS {{ armature.type_float() }}) * sqrt(CAST(3.841458820694124 AS {{ armature.type_float() }}) + CAST(4 AS {{ armature.type_float() }}) * contradictions * (graded_evaluations - contradictions) / nullif(graded_evaluations, 0))) / (2 * (graded_evaluations + CAST(3.841458820694124 AS {{ armature.type_float() }})))) AS contradiction_rate_low,
    least(CAST(1 AS {{ armature.type_float() }}), (2 * contradictions + CAST(3.841458820694124 AS {{ armature.type_float() }}) + CAST(1.959963984540054 AS {{ armature.type_float() }}) * sqrt(CAST(3.841458820694124 AS {{ armature.type_float() }}) + CAST(4 AS {{ armature.type_float() }}) * contradictions * (graded_evaluations - contradictions) / nullif(graded_evaluations, 0))) / (2 * (graded_evaluations + CAST(3.841458820694124 AS {{ armature.type_float() }})))) AS contradiction_rate_high FROM named
)
SELECT
  workflow_key,
  workflow_name,
  judge_model,
  CAST(evaluations AS {{ armature.type_integer() }}) AS evaluations,
  CAST(decided_verdicts AS {{ armature.type_integer() }}) AS decided_verdicts,
  CAST(compared AS {{ armature.type_integer() }}) AS compared,
  CAST(agreed AS {{ armature.type_integer() }}) AS agreed,
  CAST(CASE WHEN compared >= 1 THEN agreement_rate END AS {{ armature.type_float() }}) AS agreement_rate,
  CAST(CASE WHEN compared >= 1 THEN agreement_rate_low END AS {{ armature.type_float() }}) AS agreement_rate_low,
  CAST(CASE WHEN compared >= 1 THEN agreement_rate_high END AS {{ armature.type_float() }}) AS agreement_rate_high,
  CAST(graded_evaluations AS {{ armature.type_integer() }}) AS graded_evaluations,
  CAST(passed_with_unmet AS {{ armature.type_integer() }}) AS passed_with_unmet,
  CAST(unpassed_with_all_met AS {{ armature.type_integer() }}) AS unpassed_with_all_met,
  CAST(CASE WHEN graded_evaluations >= 1 THEN contradiction_rate END AS {{ armature.type_float() }}) AS contradiction_rate,
  CAST(CASE WHEN graded_evaluations >= 1 THEN contradiction_rate_low END AS {{ armature.type_float() }}) AS contradiction_rate_low,
  CAST(CASE WHEN graded_evaluations >= 1 THEN contradiction_rate_high END AS {{ armature.type_float() }}) AS contradiction_rate_high
FROM metrics_1
