//! One seed: a series of syncs under faults, then calm, then the comparison.

use std::collections::HashSet;
use std::fmt;

use armature_export::config::RangeChoice;
use armature_export::lake::LakeView;
use armature_export::simulator::{ListFaults, Scenario, SimulatorSettings};
use armature_export::sync::SyncReport;
use chrono::{DateTime, Duration, Utc};

use super::kit::Kit;
use super::rows;

/// The longest time between two syncs of a world whose runs stay open for longer than that.
const MOST_APART: Duration = Duration::days(14);

/// What was played.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    pub(crate) seeds: u64,
    syncs: u64,
    failed_syncs: u64,
    /// Syncs that proved more time than they had seen all runs of.
    false_proofs: u64,
    commits: u64,
    requests: u64,
    rows: u64,
}

impl Figures {
    pub(crate) fn add(&mut self, other: &Self) {
        self.seeds += other.seeds;
        self.syncs += other.syncs;
        self.failed_syncs += other.failed_syncs;
        self.false_proofs += other.false_proofs;
        self.commits += other.commits;
        self.requests += other.requests;
        self.rows += other.rows;
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seeds, syncs, failed_syncs, false_proofs, commits, requests, rows } = self;
        write!(
            formatter,
            "{seeds} seeds, {syncs} syncs ({failed_syncs} of them ended early or incomplete, \
             {false_proofs} deceived by a list that lied), {commits} commits, {requests} requests, {rows} rows compared"
        )
    }
}

/// Plays one seed; panics where anything is missing, doubled or wrong.
pub(crate) async fn play(seed: u64) -> Figures {
    Series::start(seed, &Scenario::random(seed)).await.play().await
}

struct Series {
    kit: Kit,
    draws: Draws,
    /// How long runs start.
    future: Duration,
    has_very_long_runs: bool,
    /// Whether the list never says what is not so: then nobody has an excuse.
    is_list_honest: bool,
    /// Runs in proven time that are not known.
    missed: HashSet<String>,
    figures: Figures,
}

/// The series' own seeded numbers (splitmix64).
struct Draws(u64);

impl Draws {
    fn between(&mut self, least: i64, most: i64) -> i64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        let span = u64::try_from(most - least + 1).unwrap();
        least + i64::try_from((mixed ^ (mixed >> 31)) % span).unwrap()
    }
}

impl Series {
    async fn start(seed: u64, scenario: &Scenario) -> Self {
        let mut draws = Draws(seed);
        let mut kit = Kit::with(SimulatorSettings {
            world: scenario.world.clone(),
            shape: scenario.shape,
            faults: Some(scenario.faults.clone()),
            record_requests: false,
            ..SimulatorSettings::default()
        })
        .await;
        let api = &mut kit.settings.api;
        api.max_attempts = u32::try_from(draws.between(2, 3)).unwrap();
        api.concurrency = 4;
        api.first_byte_timeout_secs = 2;
        api.max_rate_limit_wait_secs = 2;
        kit.settings.sync.commit_bytes = u64::try_from(draws.between(30_000, 400_000)).unwrap();
        kit.settings.duckdb.lock_wait_secs = 0;
        Self {
            future: seconds(scenario.world.days_after_birth * 86_400.0),
            is_list_honest: is_honest(scenario),
            has_very_long_runs: scenario.world.lives.long_open_days > 30.0,
            kit,
            draws,
            missed: HashSet::new(),
            figures: Figures { seeds: 1, ..Figures::default() },
        }
    }

    async fn play(mut self) -> Figures {
        self.bad_days().await;
        self.kit.simulator.calm();
        self.is_list_honest = true;
        // A list that lied may have been believed: all that can be listed is listed again.
        self.pass(Duration::zero(), RangeChoice::Month).await;
        if self.has_very_long_runs {
            self.pass(MOST_APART, RangeChoice::Month).await;
            self.pass(MOST_APART, RangeChoice::Month).await;
        }
        // Beyond all times of grace, and then until every run of the other worlds has ended.
        self.pass(Duration::hours(3), RangeChoice::Auto).await;
        self.pass(Duration::hours(50), RangeChoice::Month).await;
        self.assert_is_whole();
        let report = self.kit.sync().await;
        let changes = (report.runs.new, report.runs.changed, report.outcome.name());
        assert_eq!(changes, (0, 0, "complete"), "one sync more: {report:?}");
        self.figures.syncs += 1;
        self.figures.requests = self.kit.simulator.request_count();
        self.figures
    }

    fn assert_is_whole(&mut self) {
        self.kit.assert_equals_the_world();
        let expected = self.kit.expected();
        let open = rows::count(&self.kit.duckdb, "SELECT count(*) FROM open_runs");
        let unfinished = expected.open_runs.len() + expected.waiting.len();
        assert_eq!(usize::try_from(open).unwrap(), unfinished, "open runs");
        let tables = [
            &expected.runs,
            &expected.spans,
            &expected.tool_calls,
            &expected.evaluations,
            &expected.criteria,
            &expected.excerpts,
        ];
        let rows: usize = tables.iter().map(|table| table.len()).sum();
        self.figures.rows = u64::try_from(rows).unwrap();
    }

    /// A few syncs under faults, spread over the time in which runs start.
    async fn bad_days(&mut self) {
        let syncs = self.draws.between(5, 8);
        for left in (1..=syncs).rev() {
            self.sync().await;
            let most = self.future.num_seconds() * 2 / left;
            let step = if left == 1 { most } else { self.draws.between(60, most.max(60)) };
            let step = Duration::seconds(step.min(self.future.num_seconds()));
            self.future -= step;
            self.kit.simulator.advance(step);
        }
    }

    /// What a certified sweep proved must be so.
    async fn check_proof(&mut self, report: &SyncReport) {
        if !report.sweep.certified {
            return;
        }
        let lake = LakeView::open(&self.kit.lake).await.unwrap();
        let (ledger, _) = lake.ledger().await.unwrap();
        let proven = lake.head().unwrap().proven.clone();
        let is_proven = |start: DateTime<Utc>| {
            let start = start.timestamp_micros();
            proven.iter().any(|time| (time.from..time.until).contains(&start))
        };
        let now = self.kit.simulator.now();
        // What can no longer be listed is forgotten in time.
        let is_in_reach = |start: DateTime<Utc>| start > now - Duration::days(30);
        let runs = self.kit.simulator.world().run_starts(now);
        let missed: HashSet<String> = runs
            .filter(|(id, start)| {
                is_proven(*start) && is_in_reach(*start) && ledger.get(id).is_none()
            })
            .map(|(id, _)| id)
            .collect();
        assert!(
            missed.is_empty() || !self.is_list_honest,
            "in proven time, but not known: {missed:?}, after {report:?}"
        );
        self.figures.false_proofs += u64::from(!missed.is_subset(&self.missed));
        self.missed = missed;
    }

    /// Time without faults, and a sync.
    async fn pass(&mut self, time: Duration, range: RangeChoice) {
        self.kit.simulator.advance(time);
        self.kit.settings.sync.range = range;
        self.sync().await;
        self.kit.settings.sync.range = RangeChoice::Auto;
    }

    /// One sync, after which no run stands twice anywhere.
    async fn sync(&mut self) {
        self.figures.syncs += 1;
        match self.kit.try_sync().await {
            Ok(report) => {
                self.figures.commits += report.commits;
                self.figures.failed_syncs += u64::from(report.outcome.name() != "complete");
                self.check_proof(&report).await;
            }
            Err(_) => self.figures.failed_syncs += 1,
        }
        let twice = |relation: &str, key: &str| {
            format!("SELECT count(*) - count(DISTINCT ({key})) FROM {relation}")
        };
        if self.kit.lake.join("runs").is_dir() {
            let files = format!("read_parquet('{}/runs/**/*.parquet')", self.kit.lake.display());
            let doubled = rows::count_in_memory(&twice(&files, "run_id, _revision"));
            assert_eq!(doubled, 0, "runs that stand twice in the lake");
        }
        if self.kit.duckdb.exists() {
            let doubled = rows::count(&self.kit.duckdb, &twice("runs", "run_id"));
            assert_eq!(doubled, 0, "runs that stand twice in DuckDB");
        }
    }
}

/// A list that moves only because time passes, with a clock that is right.
fn is_honest(scenario: &Scenario) -> bool {
    let faults = &scenario.faults;
    let moving =
        ListFaults { clock_step_seconds: faults.list.clock_step_seconds, ..ListFaults::default() };
    let vanish_requests = faults.list.vanish_requests;
    faults.list == ListFaults { vanish_requests, ..moving } && faults.clock.skew_seconds == 0
}

fn seconds(seconds: f64) -> Duration {
    Duration::from_std(std::time::Duration::from_secs_f64(seconds)).unwrap()
}
