//! Views for analysts. The tables below them hold the latest revision of each run only.
//!
//! Days are UTC days, made without the time-zone extension, which not every reader has.

/// The statements that make the views.
pub(super) const VIEWS: &str = "
CREATE OR REPLACE VIEW run_overview AS
SELECT r.run_id, make_timestamp(epoch_us(r.started_at))::DATE AS day, r.workflow_name, r.model,
       r.harness, r.status, r.verdict, r.classification, r.duration_ms, r.cost,
       r.tool_call_count, coalesce(t.tool_errors, 0) AS tool_errors,
       coalesce(c.criteria, 0) AS criteria, coalesce(c.criteria_passed, 0) AS criteria_passed,
       r.run_url
FROM runs r
LEFT JOIN (SELECT run_id, count(*) FILTER (is_error) AS tool_errors FROM tool_calls GROUP BY ALL) t
       USING (run_id)
LEFT JOIN (SELECT run_id, count(*) AS criteria, count(*) FILTER (verdict = 'pass') AS criteria_passed
           FROM criteria GROUP BY ALL) c USING (run_id);
COMMENT ON VIEW run_overview IS 'One row per run with its tool errors and criteria counted.';

CREATE OR REPLACE VIEW workflow_days AS
SELECT make_timestamp(epoch_us(started_at))::DATE AS day, workflow_id,
       any_value(workflow_name) AS workflow_name, count(*) AS runs,
       count(*) FILTER (status = 'pass') AS passed, count(*) FILTER (status = 'error') AS errors,
       count(*) FILTER (status = 'pass') / nullif(count(*) FILTER (status <> 'error'), 0)
           AS pass_rate,
       sum(cost) AS cost, quantile_cont(duration_ms, 0.5) AS median_duration_ms
FROM runs GROUP BY ALL;
COMMENT ON VIEW workflow_days IS
'One row per workflow and UTC day. The pass rate leaves runs of status error out, as Armature does.';

CREATE OR REPLACE VIEW tool_usage AS
SELECT r.workflow_name, t.tool_name, count(*) AS calls, count(*) FILTER (t.is_error) AS errors,
       count(*) FILTER (t.is_error) / count(*) AS error_rate,
       quantile_cont(t.duration_ms, 0.5) AS median_ms, quantile_cont(t.duration_ms, 0.95) AS p95_ms
FROM tool_calls t JOIN runs r USING (run_id) GROUP BY ALL;
COMMENT ON VIEW tool_usage IS 'One row per workflow and tool: how often, how slow, how broken.';

CREATE OR REPLACE VIEW criterion_results AS
SELECT r.workflow_name, c.criterion_text, bool_or(c.is_required) AS is_required,
       count(*) AS graded, count(*) FILTER (c.verdict = 'pass') AS passed,
       count(*) FILTER (c.verdict = 'pass') / count(*) AS pass_rate
FROM criteria c JOIN runs r USING (run_id) GROUP BY ALL;
COMMENT ON VIEW criterion_results IS 'One row per workflow and criterion: how often it is met.';
";
