//! Workflows over time: by day, by version, and whether they are stable.

use super::{Column, ColumnType, Interval, Item, Metric, Sample, Step, View, unit};

/// The size from which two samples are compared, and from which a 95th percentile is one.
pub(super) const LEAST_TO_COMPARE: u32 = 20;

/// The size from which a ratio without an interval is shown.
pub(super) const LEAST_FOR_RATIO: u32 = 5;

/// The share of decided runs that passed.
pub(super) static PASS_RATE: Metric = Metric {
    name: "pass_rate",
    question: "How often does it pass?",
    kind: ColumnType::Float,
    unit: Some(unit::SHARE),
    description: "Passed runs divided by decided ones (passed, partial, failed). Runs that ended \
                  in an error or timed out, and runs without a known result, are left out, as \
                  Armature does. The interval is Wilson's.",
    sql: "1e0 * passed / nullif(decided, 0)",
    interval: Some(Interval::Wilson { with: "passed", of: "decided" }),
    sample: Sample { size: "decided", least: 1 },
    level: 1,
};

/// The same of the version before.
static PREVIOUS_PASS_RATE: Metric = Metric {
    name: "previous_pass_rate",
    question: "How often did the version before it pass?",
    kind: ColumnType::Float,
    unit: Some(unit::SHARE),
    description: "The pass rate of the version before, which is the one whose first run started \
                  last before the first run of this version.",
    sql: "1e0 * previous_passed / nullif(previous_decided, 0)",
    interval: Some(Interval::Wilson { with: "previous_passed", of: "previous_decided" }),
    sample: Sample { size: "coalesce(previous_decided, 0)", least: 1 },
    level: 1,
};

/// The difference between two versions.
static PASS_RATE_CHANGE: Metric = Metric {
    name: "pass_rate_change",
    question: "By how much did the pass rate change with this version?",
    kind: ColumnType::Float,
    unit: Some(unit::DIFFERENCE),
    description: "The pass rate minus that of the version before. The interval is Newcombe's \
                  (method 10). A change of the mix of models or of the tested server counts too: \
                  the figure says when, not why.",
    sql: "pass_rate - previous_pass_rate",
    interval: Some(Interval::Newcombe { share: "pass_rate", subtracted: "previous_pass_rate" }),
    sample: Sample {
        size: "least(decided, coalesce(previous_decided, 0))",
        least: LEAST_TO_COMPARE,
    },
    level: 2,
};

/// What the difference between two versions means.
static COMPARISON: Metric = Metric {
    name: "comparison",
    question: "Is this version a regression?",
    kind: ColumnType::Text,
    unit: None,
    description: "`regression` or `improvement` if the interval of the change excludes zero, \
                  otherwise `no clear change`. If nothing changed, one comparison in 40 is called \
                  a regression by chance.",
    sql: "CASE WHEN pass_rate_change_high < 0 THEN 'regression'
      WHEN pass_rate_change_low > 0 THEN 'improvement' ELSE 'no clear change' END",
    interval: None,
    sample: Sample {
        size: "least(decided, coalesce(previous_decided, 0))",
        least: LEAST_TO_COMPARE,
    },
    level: 3,
};

/// The columns that name a workflow.
pub(super) const WORKFLOW_KEY: Item = Item::Column(Column::text(
    "workflow_key",
    "The workflow's id, or its name where the API states no id.",
));

/// The name beside it.
pub(super) const WORKFLOW_NAME: Item =
    Item::Column(Column::text("workflow_name", "The workflow's name in its last run."));

/// The step with the name of each workflow.
pub(super) const NAMES: Step = Step { name: "names", sql: "{names}" };

/// The step that adds that name to the rows of the step `measured`.
pub(super) const NAMED: Step = Step {
    name: "named",
    sql: "SELECT measured.*, names.workflow_name
  FROM measured LEFT JOIN names ON names.named_key = measured.workflow_key",
};

/// Counts of runs, which the fragment `{outcomes}` computes.
pub(super) const RUNS: Item =
    Item::Column(Column::integer("runs", unit::RUNS, "All runs: decided, errors and undecided."));
pub(super) const DECIDED: Item = Item::Column(Column::integer(
    "decided",
    unit::RUNS,
    "Runs with a result: passed, partial and failed.",
));
pub(super) const PASSED: Item =
    Item::Column(Column::integer("passed", unit::RUNS, "Runs that passed."));
pub(super) const PARTIAL: Item = Item::Column(Column::integer(
    "partial",
    unit::RUNS,
    "Runs that met some of the required criteria.",
));
pub(super) const FAILED: Item =
    Item::Column(Column::integer("failed", unit::RUNS, "Runs that failed."));
pub(super) const ERRORS: Item = Item::Column(Column::integer(
    "errors",
    unit::RUNS,
    "Runs that ended in an error or timed out. Not in pass rates.",
));
pub(super) const UNDECIDED: Item = Item::Column(Column::integer(
    "undecided",
    unit::RUNS,
    "Runs that were cancelled or state no known result. Not in pass rates.",
));

/// One row per workflow and version.
pub static WORKFLOW_VERSIONS: View = View {
    name: "workflow_versions",
    description: "One row per workflow and version, compared with the version before it. Runs \
                  that state no workflow are left out.",
    key: &["workflow_key", "workflow_version"],
    steps: &[
        NAMES,
        Step {
            name: "measured",
            sql: "SELECT workflow_key, workflow_version, min(started_at) AS first_started_at,
    max(started_at) AS last_started_at,
    CASE WHEN workflow_version IS NOT NULL AND min(started_at) IS NOT NULL THEN 1 ELSE 0 END
      AS is_ordered,
    {outcomes}
  FROM {table run_facts} r WHERE workflow_key IS NOT NULL
  GROUP BY workflow_key, workflow_version",
        },
        // Versions are ordered by their first run: their names are opaque text. Runs that state no
        // version, or no start, have no place in that order.
        Step {
            name: "numbered",
            sql: "SELECT measured.*, row_number() OVER (PARTITION BY workflow_key, is_ordered
      ORDER BY first_started_at, {bytes workflow_version}) AS place,
    count(*) OVER (PARTITION BY workflow_key, is_ordered) AS places
  FROM measured",
        },
        Step {
            name: "compared",
            sql: "SELECT n.*, names.workflow_name, is_ordered = 1 AND place = places AS is_latest,
    CASE WHEN is_ordered = 1 AND place > 1 THEN lag(n.workflow_version)
      OVER (PARTITION BY n.workflow_key, is_ordered ORDER BY place) END AS previous_version,
    CASE WHEN is_ordered = 1 AND place > 1 THEN lag(passed)
      OVER (PARTITION BY n.workflow_key, is_ordered ORDER BY place) END AS previous_passed,
    CASE WHEN is_ordered = 1 AND place > 1 THEN lag(decided)
      OVER (PARTITION BY n.workflow_key, is_ordered ORDER BY place) END AS previous_decided
  FROM numbered n LEFT JOIN names ON names.named_key = n.workflow_key",
        },
    ],
    from: "compared",
    items: &[
        WORKFLOW_KEY,
        WORKFLOW_NAME,
        Item::Column(Column::text(
            "workflow_version",
            "The version; null for runs that state none.",
        )),
        Item::Column(Column::flag("is_latest", "Whether no later version has runs.")),
        Item::Column(Column::timestamp("first_started_at", "Start of its first run.")),
        Item::Column(Column::timestamp("last_started_at", "Start of its last run.")),
        RUNS,
        DECIDED,
        PASSED,
        PARTIAL,
        FAILED,
        ERRORS,
        UNDECIDED,
        Item::Metric(&PASS_RATE),
        Item::Column(Column::text(
            "previous_version",
            "The version before it; null for the first one.",
        )),
        Item::Column(Column::integer(
            "previous_decided",
            unit::RUNS,
            "Decided runs of that version.",
        )),
        Item::Metric(&PREVIOUS_PASS_RATE),
        Item::Metric(&PASS_RATE_CHANGE),
        Item::Metric(&COMPARISON),
    ],
};

/// One row per workflow and day.
pub static WORKFLOW_DAILY: View = View {
    name: "workflow_daily",
    description: "One row per workflow and UTC day, with counts and sums only: add them up over \
                  days or workflows, then divide. Rates are left out, because rates of days cannot \
                  be averaged.",
    key: &["workflow_key", "day"],
    steps: &[
        NAMES,
        Step {
            name: "measured",
            sql: "SELECT workflow_key, day, count(cost) AS runs_with_cost, sum(cost_float) AS cost,
    count(duration_ms) AS runs_with_duration, sum(duration_ms) AS duration_ms,
    sum(tool_call_count) AS tool_calls,
    {outcomes}
  FROM {table run_facts} r GROUP BY workflow_key, day",
        },
        NAMED,
    ],
    from: "named",
    items: &[
        Item::Column(Column::text(
            "workflow_key",
            "The workflow's id, or its name where the API states no id; null for runs that state \
             neither.",
        )),
        WORKFLOW_NAME,
        Item::Column(Column::day(
            "day",
            "The day on which the runs started; null for runs that state no start.",
        )),
        RUNS,
        DECIDED,
        PASSED,
        PARTIAL,
        FAILED,
        ERRORS,
        UNDECIDED,
        Item::Column(Column::integer("runs_with_cost", unit::RUNS, "Runs that state a cost.")),
        Item::Column(Column::float("cost", unit::COST, "The sum of their costs.")),
        Item::Column(Column::integer(
            "runs_with_duration",
            unit::RUNS,
            "Runs that state a duration.",
        )),
        Item::Column(Column::float(
            "duration_ms",
            unit::MILLISECONDS,
            "The sum of their durations.",
        )),
        Item::Column(Column::integer("tool_calls", unit::CALLS, "Tool calls of all runs.")),
    ],
};

/// The share of groups of three runs that all pass.
static PASS_CUBED: Metric = Metric {
    name: "pass_cubed",
    question: "How often do three runs in a row all pass?",
    kind: ColumnType::Float,
    unit: Some(unit::PROBABILITY),
    description: "pass^3: the probability that three decided runs, drawn at random from those \
                  there are, all passed. A workflow that passes 80 % of the time has about 0.5.",
    sql: "1e0 * passed / nullif(decided, 0) * (passed - 1) / nullif(decided - 1, 0)
      * (passed - 2) / nullif(decided - 2, 0)",
    interval: None,
    sample: Sample { size: "decided", least: LEAST_FOR_RATIO },
    level: 1,
};

/// The exact p-value of the runs test.
static RUNS_TEST_P: Metric = Metric {
    name: "runs_test_p",
    question: "Could the order of passes and failures be chance?",
    kind: ColumnType::Float,
    unit: Some(unit::PROBABILITY),
    description: "The runs test (Wald–Wolfowitz), one-sided and exact: the probability that a \
                  random order of the same passes and failures has as few stretches as this one or \
                  fewer. A stretch is a longest sequence of runs that all pass or all do not.",
    sql: "least(1e0, coalesce(p_value, 1))",
    interval: None,
    sample: Sample { size: STABILITY_SIZE, least: LEAST_TO_COMPARE },
    level: 1,
};

/// Whether a workflow is flaky, or changed.
static STABILITY: Metric = Metric {
    name: "stability",
    question: "Is the workflow flaky, or did something change?",
    kind: ColumnType::Text,
    unit: None,
    description: "`changed`: passes and failures come in longer stretches than chance makes them \
                  (p below 0.025 in the runs test), so something changed at a moment, at least \
                  once. `flaky`: there are both, in no such order. `always passes` and `never \
                  passes`: there is one kind only. `not enough runs` also stands where there are \
                  both, and fewer than five of one kind.",
    sql: "CASE WHEN not_passed = 0 THEN 'always passes' WHEN passed = 0 THEN 'never passes'
      WHEN runs_test_p < 0.025 THEN 'changed' ELSE 'flaky' END",
    interval: None,
    sample: Sample { size: STABILITY_SIZE, least: LEAST_TO_COMPARE },
    level: 2,
};

/// The moment of a change.
static CHANGED_AT: Metric = Metric {
    name: "changed_at",
    question: "When did it change?",
    kind: ColumnType::Timestamp,
    unit: Some(unit::UTC),
    description: "Where `stability` is `changed`: the start of the first run after the likeliest \
                  moment, which is where the number of passes so far is farthest from what the \
                  overall rate predicts.",
    sql: "CASE WHEN stability = 'changed' THEN after_started_at END",
    interval: None,
    sample: Sample { size: STABILITY_SIZE, least: LEAST_TO_COMPARE },
    level: 3,
};

/// The pass rate before that moment.
static PASS_RATE_BEFORE: Metric = Metric {
    name: "pass_rate_before",
    question: "How often did it pass before it changed?",
    kind: ColumnType::Float,
    unit: Some(unit::SHARE),
    description: "The pass rate of the runs before `changed_at`.",
    sql: "CASE WHEN stability = 'changed' THEN 1e0 * passed_before / nullif(decided_before, 0) END",
    interval: None,
    sample: Sample { size: STABILITY_SIZE, least: LEAST_TO_COMPARE },
    level: 3,
};

/// The pass rate after that moment.
static PASS_RATE_AFTER: Metric = Metric {
    name: "pass_rate_after",
    question: "How often has it passed since?",
    kind: ColumnType::Float,
    unit: Some(unit::SHARE),
    description: "The pass rate of the runs from `changed_at` on. No interval is given: the moment \
                  was chosen to make the two rates as different as possible.",
    sql: "CASE WHEN stability = 'changed' THEN 1e0 * (passed - passed_before)
      / nullif(decided - decided_before, 0) END",
    interval: None,
    sample: Sample { size: STABILITY_SIZE, least: LEAST_TO_COMPARE },
    level: 3,
};

/// What the stability of a workflow is judged by: all its runs, or none of them where there are
/// both kinds and fewer than five of one. One failure among a hundred runs is at the end of the
/// order by chance often enough.
const STABILITY_SIZE: &str =
    "CASE WHEN least(passed, not_passed) BETWEEN 1 AND 4 THEN 0 ELSE decided END";

/// One row per workflow.
pub static WORKFLOW_STABILITY: View = View {
    name: "workflow_stability",
    description: "One row per workflow, over its decided runs in the order of their starts: \
                  whether it is flaky, or changed at a moment. Runs that state no workflow or no \
                  start are left out.",
    key: &["workflow_key"],
    steps: &[
        NAMES,
        Step {
            name: "ordered",
            sql: "SELECT workflow_key, started_at, CASE WHEN outcome = 'passed' THEN 1 ELSE 0 END
      AS is_passed,
    row_number() OVER (PARTITION BY workflow_key ORDER BY started_at, {bytes run_id}) AS place,
    lag(CASE WHEN outcome = 'passed' THEN 1 ELSE 0 END)
      OVER (PARTITION BY workflow_key ORDER BY started_at, {bytes run_id}) AS previous
  FROM {table run_facts} r
  WHERE workflow_key IS NOT NULL AND started_at IS NOT NULL AND outcome IN {decided}",
        },
        Step {
            name: "measured",
            sql: "SELECT workflow_key, count(*) AS decided, sum(is_passed) AS passed,
    count(CASE WHEN is_passed = 0 THEN 1 END) AS not_passed, min(started_at) AS first_started_at,
    max(started_at) AS last_started_at,
    sum(CASE WHEN place > 1 AND previous = is_passed THEN 0 ELSE 1 END) AS stretches
  FROM ordered GROUP BY workflow_key",
        },
        // The number of orders of p passes and q failures with exactly s stretches is
        // C(p-1, k-1) C(q-1, k-1) times 2 if s = 2k, or times (p+q-2k)/k if s = 2k+1; all orders
        // are C(p+q, p). Each row of `ordered` with a place up to half the number of stretches
        // stands for one k, so that no series of numbers is needed. The logarithms of the
        // coefficients are sums over these rows, as few engines know the gamma function.
        Step {
            name: "orders",
            sql: "SELECT m.workflow_key AS all_key,
    sum(ln((1e0 * m.not_passed + o.place) / o.place)) AS log_all
  FROM measured m JOIN ordered o ON o.workflow_key = m.workflow_key AND o.place <= m.passed
  GROUP BY m.workflow_key",
        },
        Step {
            name: "terms",
            sql: "SELECT m.workflow_key AS tested_key,
    2 + CASE WHEN 2 * o.place < m.stretches THEN 1e0 * m.decided / o.place - 2 ELSE 0 END AS weight,
    sum(CASE WHEN o.place > 1 THEN ln((1e0 * m.passed - o.place + 1) / (o.place - 1))
        + ln((1e0 * m.not_passed - o.place + 1) / (o.place - 1)) ELSE 0 END)
      OVER (PARTITION BY m.workflow_key ORDER BY o.place ROWS UNBOUNDED PRECEDING)
      - orders.log_all AS log_share
  FROM measured m JOIN orders ON orders.all_key = m.workflow_key
  JOIN ordered o ON o.workflow_key = m.workflow_key AND 2 * o.place <= m.stretches",
        },
        // The exponential of less is 0, and an error in PostgreSQL.
        Step {
            name: "tested",
            sql: "SELECT tested_key,
    sum(weight * CASE WHEN log_share > -700 THEN exp(log_share) ELSE 0 END) AS p_value
  FROM terms GROUP BY tested_key",
        },
        Step {
            name: "cumulated",
            sql: "SELECT workflow_key, place, started_at,
    sum(is_passed) OVER (PARTITION BY workflow_key ORDER BY place ROWS UNBOUNDED PRECEDING)
      AS passed_so_far,
    lead(started_at) OVER (PARTITION BY workflow_key ORDER BY place) AS after_started_at
  FROM ordered",
        },
        Step {
            name: "splits",
            sql: "SELECT c.workflow_key AS split_key, c.place AS decided_before,
    c.passed_so_far AS passed_before, c.after_started_at,
    row_number() OVER (PARTITION BY c.workflow_key
      ORDER BY abs(c.passed_so_far * m.decided - c.place * m.passed) DESC, c.place) AS likeliest
  FROM cumulated c JOIN measured m ON m.workflow_key = c.workflow_key",
        },
        Step {
            name: "judged",
            sql: "SELECT m.*, names.workflow_name, tested.p_value, s.decided_before,
    s.passed_before, s.after_started_at
  FROM measured m LEFT JOIN names ON names.named_key = m.workflow_key
  LEFT JOIN tested ON tested.tested_key = m.workflow_key
  LEFT JOIN splits s ON s.split_key = m.workflow_key AND s.likeliest = 1",
        },
    ],
    from: "judged",
    items: &[
        WORKFLOW_KEY,
        WORKFLOW_NAME,
        Item::Column(Column::timestamp("first_started_at", "Start of its first decided run.")),
        Item::Column(Column::timestamp("last_started_at", "Start of its last decided run.")),
        DECIDED,
        PASSED,
        Item::Metric(&PASS_RATE),
        Item::Metric(&PASS_CUBED),
        Item::Note("pass_cubed_note", &PASS_CUBED),
        Item::Column(Column::integer(
            "stretches",
            unit::COUNT,
            "Stretches: longest sequences of runs that all pass or all do not.",
        )),
        Item::Metric(&RUNS_TEST_P),
        Item::Metric(&STABILITY),
        Item::Metric(&CHANGED_AT),
        Item::Metric(&PASS_RATE_BEFORE),
        Item::Metric(&PASS_RATE_AFTER),
    ],
};
