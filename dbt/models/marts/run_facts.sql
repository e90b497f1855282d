-- Made by `armature-export schema --format dbt`; do not change it here.
SELECT
  run_id,
  workflow_key,
  workflow_id,
  workflow_name,
  workflow_version,
  mcp_server_id,
  model,
  harness,
  trigger_type,
  status,
  status_meaning,
  CASE WHEN status_meaning IN ('passed', 'partial', 'failed') OR status_meaning = 'error'
      THEN status_meaning
    WHEN status_meaning = 'ended' AND verdict_meaning IN ('passed', 'partial', 'failed') THEN verdict_meaning
    ELSE 'undecided' END AS outcome,
  verdict,
  verdict_meaning,
  classification,
  evaluation_state,
  CAST(started_at AS {{ armature.type_timestamp() }}) AS started_at,
  CAST(CAST(started_at AS DATE) AS {{ armature.type_date() }}) AS day,
  CAST(ended_at AS {{ armature.type_timestamp() }}) AS ended_at,
  CAST(duration_ms AS {{ armature.type_integer() }}) AS duration_ms,
  CAST(cost AS {{ armature.type_decimal() }}) AS cost,
  CAST(cost AS {{ armature.type_float() }}) AS cost_float,
  cost_currency,
  CAST(input_tokens AS {{ armature.type_integer() }}) AS input_tokens,
  CAST(output_tokens AS {{ armature.type_integer() }}) AS output_tokens,
  CAST(tool_call_count AS {{ armature.type_integer() }}) AS tool_call_count,
  CAST(span_count AS {{ armature.type_integer() }}) AS span_count,
  run_url
FROM (
  SELECT r.run_id, coalesce(r.workflow_id, r.workflow_name) AS workflow_key, r.workflow_id,
    r.workflow_name, r.workflow_version, r.mcp_server_id, r.model, r.harness, r.trigger_type,
    r.status, coalesce(r.status_meaning, CASE WHEN r.status IS NULL THEN NULL
      WHEN {{ armature.position("' ' || replace(replace(replace(lower(trim(r.status)), '-', ''), '_', ''), ' ', '') || ' '", "' pass passed passing success succeeded successful ok met satisfied true yes '") }} > 0 THEN 'passed'
      WHEN {{ armature.position("' ' || replace(replace(replace(lower(trim(r.status)), '-', ''), '_', ''), ' ', '') || ' '", "' partial partially partialpass partiallypassed partiallymet partialsuccess mixed '") }} > 0 THEN 'partial'
      WHEN {{ armature.position("' ' || replace(replace(replace(lower(trim(r.status)), '-', ''), '_', ''), ' ', '') || ' '", "' fail failed failing failure unsuccessful notmet unmet unsatisfied false no '") }} > 0 THEN 'failed'
      WHEN {{ armature.position("' ' || replace(replace(replace(lower(trim(r.status)), '-', ''), '_', ''), ' ', '') || ' '", "' error errored timedout timeout expired crashed systemerror internalerror infrastructureerror infraerror evaluatornotstarted '") }} > 0 THEN 'error'
      WHEN {{ armature.position("' ' || replace(replace(replace(lower(trim(r.status)), '-', ''), '_', ''), ' ', '') || ' '", "' undecided inconclusive indeterminate unclear neutral na n/a notapplicable notevaluated needsreview '") }} > 0 THEN 'undecided'
      WHEN {{ armature.position("' ' || replace(replace(replace(lower(trim(r.status)), '-', ''), '_', ''), ' ', '') || ' '", "' cancelled canceled aborted skipped terminated killed stopped '") }} > 0 THEN 'cancelled'
      WHEN {{ armature.position("' ' || replace(replace(replace(lower(trim(r.status)), '-', ''), '_', ''), ' ', '') || ' '", "' completed complete done finished ended closed final '") }} > 0 THEN 'ended'
      WHEN {{ armature.position("' ' || replace(replace(replace(lower(trim(r.status)), '-', ''), '_', ''), ' ', '') || ' '", "' pending running queued scheduled created starting started inprogress processing initializing dispatched waiting active evaluating judging grading retrying notready notstarted '") }} > 0 THEN 'open'
      ELSE 'unknown' END) AS status_meaning,
    r.verdict, coalesce(r.verdict_meaning, CASE WHEN r.verdict IS NULL THEN NULL
      WHEN {{ armature.position("' ' || replace(replace(replace(lower(trim(r.verdict)), '-', ''), '_', ''), ' ', '') || ' '", "' pass passed passing success succeeded successful ok met satisfied true yes '") }} > 0 THEN 'passed'
      WHEN {{ armature.position("' ' || replace(replace(replace(lower(trim(r.verdict)), '-', ''), '_', ''), ' ', '') || ' '", "' partial partially partialpass partiallypassed partiallymet partialsuccess mixed '") }} > 0 THEN 'partial'
      WHEN {{ armature.position("' ' || replace(replace(replace(lower(trim(r.verdict)), '-', ''), '_', ''), ' ', '') || ' '", "' fail failed failing failure unsuccessful notmet unmet unsatisfied false no '") }} > 0 THEN 'failed'
      WHEN {{ armature.position("' ' || replace(replace(replace(lower(trim(r.verdict)), '-', ''), '_', ''), ' ', '') || ' '", "' error errored timedout timeout expired crashed systemerror internalerror infrastructureerror infraerror evaluatornotstarted '") }} > 0 THEN 'error'
      WHEN {{ armature.position("' ' || replace(replace(replace(lower(trim(r.verdict)), '-', ''), '_', ''), ' ', '') || ' '", "' undecided inconclusive indeterminate unclear neutral na n/a notapplicable notevaluated needsreview '") }} > 0 THEN 'undecided'
      WHEN {{ armature.position("' ' || replace(replace(replace(lower(trim(r.verdict)), '-', ''), '_', ''), ' ', '') || ' '", "' cancelled canceled aborted skipped terminated killed stopped '") }} > 0 THEN 'cancelled'
      WHEN {{ armature.position("' ' || replace(replace(replace(lower(trim(r.verdict)), '-', ''), '_', ''), ' ', '') || ' '", "' completed complete done finished ended closed final '") }} > 0 THEN 'ended'
      WHEN {{ armature.position("' ' || replace(replace(replace(lower(trim(r.verdict)), '-', ''), '_', ''), ' ', '') || ' '", "' pending running queued scheduled created starting started inprogress processing initializing dispatched waiting active evaluating judging grading retrying notready notstarted '") }} > 0 THEN 'open'
      ELSE 'unknown' END) AS verdict_meaning,
    r.classification, r.evaluation_state,
    {{ armature.utc("r.started_at") }} AS started_at,
    {{ armature.utc("r.ended_at") }} AS ended_at,
    r.duration_ms, r.cost, r.cost_currency, r.input_tokens, r.output_tokens, r.tool_call_count,
    r.span_count, r.run_url
  FROM {{ ref('stg_armature__runs') }} r
) AS understood
