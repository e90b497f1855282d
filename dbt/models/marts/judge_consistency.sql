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
  FROM (SELECT c.run_id, coalesce(c.verdict_meaning, CASE WHEN c.verdict IS NULL THEN NULL
      WHEN {{ armature.position("' ' || replace(replace(replace(lower(trim(c.verdict)), '-', ''), '_', ''), ' ', '') || ' '", "' pass passed passing success succeeded successful ok met satisfied true yes '") }} > 0 THEN 'passed'
      WHEN {{ armature.position("' ' || replace(replace(replace(lower(trim(c.verdict)), '-', ''), '_', ''), ' ', '') || ' '", "' partial partially partialpass partiallypassed partiallymet partialsuccess mixed '") }} > 0 THEN 'partial'
      WHEN {{ armature.position("' ' || replace(replace(replace(lower(trim(c.verdict)), '-', ''), '_', ''), ' ', '') || ' '", "' fail failed failing failure unsuccessful notmet unmet unsatisfied false no '") }} > 0 THEN 'failed'
      WHEN {{ armature.position("' ' || replace(replace(replace(lower(trim(c.verdict)), '-', ''), '_', ''), ' ', '') || ' '", "' error errored timedout timeout expired crashed systemerror internalerror infrastructureerror infraerror evaluatornotstarted '") }} > 0 THEN 'error'
      WHEN {{ armature.position("' ' || replace(replace(replace(lower(trim(c.verdict)), '-', ''), '_', ''), ' ', '') || ' '", "' undecided inconclusive indeterminate unclear neutral na n/a notapplicable notevaluated needsreview '") }} > 0 THEN 'undecided'
      WHEN {{ armature.position("' ' || replace(replace(replace(lower(trim(c.verdict)), '-', ''), '_', ''), ' ', '') || ' '", "' cancelled canceled aborted skipped terminated killed stopped '") }} > 0 THEN 'cancelled'
      WHEN {{ armature.position("' ' || replace(replace(replace(lower(trim(c.verdict)), '-', ''), '_', ''), ' ', '') || ' '", "' completed complete done finished ended closed final '") }} > 0 THEN 'ended'
      WHEN {{ armature.position("' ' || replace(replace(replace(lower(trim(c.verdict)), '-', ''), '_', ''), ' ', '') || ' '", "' pending running queued scheduled created starting started inprogress processing initializing dispatched waiting active evaluating judging grading retrying notready notstarted '") }} > 0 THEN 'open'
      ELSE 'unknown' END) AS grade
    FROM {{ ref('stg_armature__criteria') }} c WHERE c.is_required) AS required_grades
  GROUP BY run_id
),
judged AS (
  SELECT r.workflow_key, e.judge_model, r.status_meaning AS status,
    coalesce(g.required, 0) > 0 AND g.decided = g.required AS is_graded, g.unmet,
    coalesce(e.verdict_meaning, CASE WHEN e.verdict IS NULL THEN NULL
      WHEN {{ armature.position("' ' || replace(replace(replace(lower(trim(e.verdict)), '-', ''), '_', ''), ' ', '') || ' '", "' pass passed passing success succeeded successful ok met satisfied true yes '") }} > 0 THEN 'passed'
      WHEN {{ armature.position("' ' || replace(replace(replace(lower(trim(e.verdict)), '-', ''), '_', ''), ' ', '') || ' '", "' partial partially partialpass partiallypassed partiallymet partialsuccess mixed '") }} > 0 THEN 'partial'
      WHEN {{ armature.position("' ' || replace(replace(replace(lower(trim(e.verdict)), '-', ''), '_', ''), ' ', '') || ' '", "' fail failed failing failure unsuccessful notmet unmet unsatisfied false no '") }} > 0 THEN 'failed'
      WHEN {{ armature.position("' ' || replace(replace(replace(lower(trim(e.verdict)), '-', ''), '_', ''), ' ', '') || ' '", "' error errored timedout timeout expired crashed systemerror internalerror infrastructureerror infraerror evaluatornotstarted '") }} > 0 THEN 'error'
      WHEN {{ armature.position("' ' || replace(replace(replace(lower(trim(e.verdict)), '-', ''), '_', ''), ' ', '') || ' '", "' undecided inconclusive indeterminate unclear neutral na n/a notapplicable notevaluated needsreview '") }} > 0 THEN 'undecided'
      WHEN {{ armature.position("' ' || replace(replace(replace(lower(trim(e.verdict)), '-', ''), '_', ''), ' ', '') || ' '", "' cancelled canceled aborted skipped terminated killed stopped '") }} > 0 THEN 'cancelled'
      WHEN {{ armature.position("' ' || replace(replace(replace(lower(trim(e.verdict)), '-', ''), '_', ''), ' ', '') || ' '", "' completed complete done finished ended closed final '") }} > 0 THEN 'ended'
      WHEN {{ armature.position("' ' || replace(replace(replace(lower(trim(e.verdict)), '-', ''), '_', ''), ' ', '') || ' '", "' pending running queued scheduled created starting started inprogress processing initializing dispatched waiting active evaluating judging grading retrying notready notstarted '") }} > 0 THEN 'open'
      ELSE 'unknown' END) AS verdict
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
