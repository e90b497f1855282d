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
    r.status, coalesce(r.status_meaning, CASE WHEN r.status IS NOT NULL THEN
      CASE replace(replace(replace(lower(trim(r.status)), '-', ''), '_', ''), ' ', '') WHEN 'pass' THEN 'passed' WHEN 'passed' THEN 'passed' WHEN 'passing' THEN 'passed' WHEN 'success' THEN 'passed' WHEN 'succeeded' THEN 'passed' WHEN 'successful' THEN 'passed' WHEN 'ok' THEN 'passed' WHEN 'met' THEN 'passed' WHEN 'satisfied' THEN 'passed' WHEN 'true' THEN 'passed' WHEN 'yes' THEN 'passed'
        WHEN 'partial' THEN 'partial' WHEN 'partially' THEN 'partial' WHEN 'partialpass' THEN 'partial' WHEN 'partiallypassed' THEN 'partial' WHEN 'partiallymet' THEN 'partial' WHEN 'partialsuccess' THEN 'partial' WHEN 'mixed' THEN 'partial'
        WHEN 'fail' THEN 'failed' WHEN 'failed' THEN 'failed' WHEN 'failing' THEN 'failed' WHEN 'failure' THEN 'failed' WHEN 'unsuccessful' THEN 'failed' WHEN 'notmet' THEN 'failed' WHEN 'unmet' THEN 'failed' WHEN 'unsatisfied' THEN 'failed' WHEN 'false' THEN 'failed' WHEN 'no' THEN 'failed'
        WHEN 'error' THEN 'error' WHEN 'errored' THEN 'error' WHEN 'timedout' THEN 'error' WHEN 'timeout' THEN 'error' WHEN 'expired' THEN 'error' WHEN 'crashed' THEN 'error' WHEN 'systemerror' THEN 'error' WHEN 'internalerror' THEN 'error' WHEN 'infrastructureerror' THEN 'error' WHEN 'infraerror' THEN 'error' WHEN 'evaluatornotstarted' THEN 'error'
        WHEN 'undecided' THEN 'undecided' WHEN 'inconclusive' THEN 'undecided' WHEN 'indeterminate' THEN 'undecided' WHEN 'unclear' THEN 'undecided' WHEN 'neutral' THEN 'undecided' WHEN 'na' THEN 'undecided' WHEN 'n/a' THEN 'undecided' WHEN 'notapplicable' THEN 'undecided' WHEN 'notevaluated' THEN 'undecided' WHEN 'needsreview' THEN 'undecided'
        WHEN 'cancelled' THEN 'cancelled' WHEN 'canceled' THEN 'cancelled' WHEN 'aborted' THEN 'cancelled' WHEN 'skipped' THEN 'cancelled' WHEN 'terminated' THEN 'cancelled' WHEN 'killed' THEN 'cancelled' WHEN 'stopped' THEN 'cancelled'
        WHEN 'completed' THEN 'ended' WHEN 'complete' THEN 'ended' WHEN 'done' THEN 'ended' WHEN 'finished' THEN 'ended' WHEN 'ended' THEN 'ended' WHEN 'closed' THEN 'ended' WHEN 'final' THEN 'ended'
        WHEN 'pending' THEN 'open' WHEN 'running' THEN 'open' WHEN 'queued' THEN 'open' WHEN 'scheduled' THEN 'open' WHEN 'created' THEN 'open' WHEN 'starting' THEN 'open' WHEN 'started' THEN 'open' WHEN 'inprogress' THEN 'open' WHEN 'processing' THEN 'open' WHEN 'initializing' THEN 'open' WHEN 'dispatched' THEN 'open' WHEN 'waiting' THEN 'open' WHEN 'active' THEN 'open' WHEN 'evaluating' THEN 'open' WHEN 'judging' THEN 'open' WHEN 'grading' THEN 'open' WHEN 'retrying' THEN 'open' WHEN 'notready' THEN 'open' WHEN 'notstarted' THEN 'open'
        ELSE 'unknown' END END) AS status_meaning,
    r.verdict, coalesce(r.verdict_meaning, CASE WHEN r.verdict IS NOT NULL THEN
      CASE replace(replace(replace(lower(trim(r.verdict)), '-', ''), '_', ''), ' ', '') WHEN 'pass' THEN 'passed' WHEN 'passed' THEN 'passed' WHEN 'passing' THEN 'passed' WHEN 'success' THEN 'passed' WHEN 'succeeded' THEN 'passed' WHEN 'successful' THEN 'passed' WHEN 'ok' THEN 'passed' WHEN 'met' THEN 'passed' WHEN 'satisfied' THEN 'passed' WHEN 'true' THEN 'passed' WHEN 'yes' THEN 'passed'
        WHEN 'partial' THEN 'partial' WHEN 'partially' THEN 'partial' WHEN 'partialpass' THEN 'partial' WHEN 'partiallypassed' THEN 'partial' WHEN 'partiallymet' THEN 'partial' WHEN 'partialsuccess' THEN 'partial' WHEN 'mixed' THEN 'partial'
        WHEN 'fail' THEN 'failed' WHEN 'failed' THEN 'failed' WHEN 'failing' THEN 'failed' WHEN 'failure' THEN 'failed' WHEN 'unsuccessful' THEN 'failed' WHEN 'notmet' THEN 'failed' WHEN 'unmet' THEN 'failed' WHEN 'unsatisfied' THEN 'failed' WHEN 'false' THEN 'failed' WHEN 'no' THEN 'failed'
        WHEN 'error' THEN 'error' WHEN 'errored' THEN 'error' WHEN 'timedout' THEN 'error' WHEN 'timeout' THEN 'error' WHEN 'expired' THEN 'error' WHEN 'crashed' THEN 'error' WHEN 'systemerror' THEN 'error' WHEN 'internalerror' THEN 'error' WHEN 'infrastructureerror' THEN 'error' WHEN 'infraerror' THEN 'error' WHEN 'evaluatornotstarted' THEN 'error'
        WHEN 'undecided' THEN 'undecided' WHEN 'inconclusive' THEN 'undecided' WHEN 'indeterminate' THEN 'undecided' WHEN 'unclear' THEN 'undecided' WHEN 'neutral' THEN 'undecided' WHEN 'na' THEN 'undecided' WHEN 'n/a' THEN 'undecided' WHEN 'notapplicable' THEN 'undecided' WHEN 'notevaluated' THEN 'undecided' WHEN 'needsreview' THEN 'undecided'
        WHEN 'cancelled' THEN 'cancelled' WHEN 'canceled' THEN 'cancelled' WHEN 'aborted' THEN 'cancelled' WHEN 'skipped' THEN 'cancelled' WHEN 'terminated' THEN 'cancelled' WHEN 'killed' THEN 'cancelled' WHEN 'stopped' THEN 'cancelled'
        WHEN 'completed' THEN 'ended' WHEN 'complete' THEN 'ended' WHEN 'done' THEN 'ended' WHEN 'finished' THEN 'ended' WHEN 'ended' THEN 'ended' WHEN 'closed' THEN 'ended' WHEN 'final' THEN 'ended'
        WHEN 'pending' THEN 'open' WHEN 'running' THEN 'open' WHEN 'queued' THEN 'open' WHEN 'scheduled' THEN 'open' WHEN 'created' THEN 'open' WHEN 'starting' THEN 'open' WHEN 'started' THEN 'open' WHEN 'inprogress' THEN 'open' WHEN 'processing' THEN 'open' WHEN 'initializing' THEN 'open' WHEN 'dispatched' THEN 'open' WHEN 'waiting' THEN 'open' WHEN 'active' THEN 'open' WHEN 'evaluating' THEN 'open' WHEN 'judging' THEN 'open' WHEN 'grading' THEN 'open' WHEN 'retrying' THEN 'open' WHEN 'notready' THEN 'open' WHEN 'notstarted' THEN 'open'
        ELSE 'unknown' END END) AS verdict_meaning,
    r.classification, r.evaluation_state,
    {{ armature.utc("r.started_at") }} AS started_at,
    {{ armature.utc("r.ended_at") }} AS ended_at,
    r.duration_ms, r.cost, r.cost_currency, r.input_tokens, r.output_tokens, r.tool_call_count,
    r.span_count, r.run_url
  FROM {{ ref('stg_armature__runs') }} r
) AS understood
