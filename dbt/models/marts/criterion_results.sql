-- Made by `armature-export schema --format dbt`; do not change it here.
WITH grades AS (
  SELECT r.workflow_name, c.criterion_text, c.is_required,
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
