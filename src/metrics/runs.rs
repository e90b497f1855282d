//! `run_facts`: one row per run, in the types that BI tools expect. The other views read it.

use super::{Column, Item, View, unit};

/// One row per run.
pub static RUN_FACTS: View = View {
    name: "run_facts",
    description: "One row per run that has ended, in types that BI tools read: times in UTC \
                  without a zone, the cost also as a floating-point number, and the outcome as one \
                  of five words.",
    key: &["run_id"],
    steps: &[],
    // A subquery: DuckDB computes all columns of a common table expression, and most queries of
    // this view need few.
    from: "(
  SELECT r.run_id, coalesce(r.workflow_id, r.workflow_name) AS workflow_key, r.workflow_id,
    r.workflow_name, r.workflow_version, r.mcp_server_id, r.model, r.harness, r.trigger_type,
    r.status, {run meaning} AS status_meaning,
    r.verdict, {run verdict} AS verdict_meaning,
    r.classification, r.evaluation_state,
    {utc r.started_at} AS started_at,
    {utc r.ended_at} AS ended_at,
    r.duration_ms, r.cost, r.cost_currency, r.input_tokens, r.output_tokens, r.tool_call_count,
    r.span_count, r.run_url
  FROM {table runs} r
) AS understood",
    items: &[
        Item::Column(Column::text("run_id", "The run's id.")),
        Item::Column(Column::text(
            "workflow_key",
            "What tells workflows apart: the workflow's id, or its name where the API states no \
             id. Null where it states neither.",
        )),
        Item::Column(Column::text("workflow_id", "The workflow's id.")),
        Item::Column(Column::text(
            "workflow_name",
            "The workflow's name when the run was exported.",
        )),
        Item::Column(Column::text("workflow_version", "The version that was dispatched.")),
        Item::Column(Column::text("mcp_server_id", "The MCP server under test.")),
        Item::Column(Column::text("model", "The tester agent's model.")),
        Item::Column(Column::text("harness", "The harness that ran the tester agent.")),
        Item::Column(Column::text("trigger_type", "What started the run.")),
        Item::Column(Column::text("status", "The status, in the API's word.")),
        Item::Column(Column::text(
            "status_meaning",
            "What the status means: `passed`, `partial`, `failed`, `error`, `undecided`, \
             `cancelled`, `ended`, `open` or `unknown`.",
        )),
        Item::Column(
            Column::text(
                "outcome",
                "One of five words. `passed`, `partial` and `failed` are decided, and count in \
                 pass rates. `error`: infrastructure failed or time ran out. `undecided`: anything \
                 else, such as a cancelled run or a status that is not known. A status that does \
                 not state the result, such as `completed`, leaves it to the verdict.",
            )
            // A status such as `completed` leaves the result to the verdict. Any other status
            // stands, whatever the verdict: Armature counts by status.
            .sql(
                "CASE WHEN status_meaning IN {decided} OR status_meaning = 'error'
      THEN status_meaning
    WHEN status_meaning = 'ended' AND verdict_meaning IN {decided} THEN verdict_meaning
    ELSE 'undecided' END",
            ),
        ),
        Item::Column(Column::text("verdict", "The judge's verdict, in the API's word.")),
        Item::Column(Column::text(
            "verdict_meaning",
            "What the verdict means, in the words of `status_meaning`.",
        )),
        Item::Column(Column::text("classification", "The evaluation's classification.")),
        Item::Column(Column::text("evaluation_state", "`ok`, `absent` or `pending`.")),
        Item::Column(Column::timestamp("started_at", "When the run started.")),
        Item::Column(
            Column::day("day", "The day on which the run started.").sql("CAST(started_at AS DATE)"),
        ),
        Item::Column(Column::timestamp("ended_at", "When the run ended.")),
        Item::Column(Column::integer("duration_ms", unit::MILLISECONDS, "How long the run took.")),
        Item::Column(Column::exact_cost("cost", "The cost, exactly as the API states it.")),
        Item::Column(
            Column::float(
                "cost_float",
                unit::COST,
                "The same as a floating-point number, for tools that do not read decimals of 38 \
                 digits.",
            )
            .sql("cost"),
        ),
        Item::Column(Column::text("cost_currency", "The currency, where the API states one.")),
        Item::Column(Column::integer("input_tokens", unit::TOKENS, "Tokens that the model read.")),
        Item::Column(Column::integer(
            "output_tokens",
            unit::TOKENS,
            "Tokens that the model wrote.",
        )),
        Item::Column(Column::integer("tool_call_count", unit::CALLS, "Tool calls of the run.")),
        Item::Column(Column::integer("span_count", unit::COUNT, "Spans of the run's trace.")),
        Item::Column(Column::text("run_url", "The run's page in the dashboard.")),
    ],
};
