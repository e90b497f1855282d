//! One seed: a series of syncs under faults, then calm, then the comparison.

use std::fmt;

use armature_export::config::RangeChoice;
use armature_export::lake::LakeView;
use armature_export::simulator::{ListEnvelope, Scenario, SimulatorSettings};
use armature_export::time::Timestamp;
use chrono::{DateTime, Duration, Utc};

use crate::support::TestExport;
use crate::support::rows;
use crate::support::seeded::Seeded;

/// The longest time between two syncs of a world whose runs stay open for longer than that.
const MOST_APART: Duration = Duration::days(14);

/// What was played.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    pub(crate) seeds: u64,
    syncs: u64,
    failed_syncs: u64,
    commits: u64,
    proofs: u64,
    /// Of them, those of time in which a lying list had hidden a run.
    deceived: u64,
    requests: u64,
    rows: u64,
}

impl Figures {
    pub(crate) fn add(&mut self, other: &Self) {
        self.seeds += other.seeds;
        self.syncs += other.syncs;
        self.failed_syncs += other.failed_syncs;
        self.commits += other.commits;
        self.proofs += other.proofs;
        self.deceived += other.deceived;
        self.requests += other.requests;
        self.rows += other.rows;
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seeds, syncs, failed_syncs, commits, proofs, deceived, requests, rows } = self;
        write!(
            formatter,
            "{seeds} seeds, {syncs} syncs ({failed_syncs} of them ended early or incomplete), \
             {commits} commits, {proofs} proofs checked run by run ({deceived} deceived by a list \
             that hid a run throughout), {requests} requests, {rows} rows compared"
        )
    }
}

/// Plays one seed; panics where anything is missing, doubled or wrong.
pub(crate) async fn play(seed: u64) -> Figures {
    Box::pin(Series::start(seed, &Scenario::random(seed)).play()).await
}

struct Series {
    export: TestExport,
    draws: Draws,
    /// How long runs start.
    future: Duration,
    has_very_long_runs: bool,
    /// Whether what the list hides shows in it: then a proof must never be wrong.
    is_honest: bool,
    figures: Figures,
}

/// The series' own seeded numbers.
struct Draws(Seeded);

impl Draws {
    fn between(&mut self, least: i64, most: i64) -> i64 {
        let span = u64::try_from(most - least + 1).unwrap();
        least + i64::try_from(self.0.below(span)).unwrap()
    }
}

impl Series {
    fn start(seed: u64, scenario: &Scenario) -> Self {
        let mut draws = Draws(Seeded::new(seed));
        let mut export = TestExport::new(SimulatorSettings {
            world: scenario.world.clone(),
            shape: scenario.shape,
            faults: Some(scenario.faults.clone()),
            record_requests: false,
            ..SimulatorSettings::default()
        });
        let api = &mut export.settings.api;
        api.max_attempts = u32::try_from(draws.between(2, 3)).unwrap();
        api.concurrency = 4;
        api.first_byte_timeout_secs = 2;
        api.max_rate_limit_wait_secs = 2;
        export.settings.sync.commit_bytes = u64::try_from(draws.between(30_000, 400_000)).unwrap();
        export.settings.duckdb.lock_wait_secs = 0;
        Self {
            future: seconds(scenario.world.days_after_birth * 86_400.0),
            has_very_long_runs: scenario.world.lives.long_open_days > 30.0,
            is_honest: is_honest(scenario),
            export,
            draws,
            figures: Figures { seeds: 1, ..Figures::default() },
        }
    }

    async fn play(mut self) -> Figures {
        self.bad_days().await;
        self.export.simulator.clear_faults();
        self.sync().await;
        if self.has_very_long_runs {
            self.pass(MOST_APART, RangeChoice::Month).await;
            self.pass(MOST_APART, RangeChoice::Month).await;
        }
        // Beyond all times of grace, and then until every run of the other worlds has ended.
        self.pass(Duration::hours(3), RangeChoice::Auto).await;
        self.pass(Duration::hours(50), RangeChoice::Month).await;
        self.assert_is_whole();
        let report = self.export.sync().await;
        let changes = (report.runs.new, report.runs.changed, report.outcome.name());
        assert_eq!(changes, (0, 0, "complete"), "one sync more: {report:?}");
        self.figures.syncs += 1;
        self.figures.requests = self.export.simulator.request_count();
        self.figures
    }

    fn assert_is_whole(&mut self) {
        self.export.assert_equals_the_world();
        let expected = self.export.expected();
        let open = rows::count(&self.export.duckdb, "SELECT count(*) FROM open_runs");
        let unfinished = expected.open_runs.len() + expected.waiting.len();
        assert_eq!(usize::try_from(open).unwrap(), unfinished, "open runs");
        let rows = expected.row_count();
        self.figures.rows = u64::try_from(rows).unwrap();
    }

    /// Every run that started in proven time is known: a proof is never wrong, unless the list lied
    /// in a way that nobody can see. Where the server's clock is ahead, that time ends after the
    /// list was read, and the overlap has the rest.
    async fn check_proof(&mut self, began: DateTime<Utc>) {
        let lake = LakeView::open(&self.export.lake).await.unwrap();
        let (ledger, _) = lake.ledger().await.unwrap();
        let proven = &lake.head().unwrap().coverage;
        let is_proven =
            |start: Timestamp| proven.iter().any(|it| (it.from..it.until).contains(&start));
        // The ledger forgets what is out of reach.
        let reach = began - Duration::days(30);
        let runs = self.export.simulator.world().run_starts(began);
        let proven = runs
            .filter(|(_, start)| *start > reach)
            .filter(|(_, start)| is_proven((*start).into()));
        let missed: Vec<_> =
            proven.filter(|(run_id, _)| ledger.get(run_id, None).unwrap().is_none()).collect();
        assert!(
            missed.is_empty() || !self.is_honest,
            "in proven time, and nobody knows them: {missed:?}"
        );
        self.figures.proofs += 1;
        self.figures.deceived += u64::from(!missed.is_empty());
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
            self.export.simulator.advance(step);
        }
    }

    /// Time without faults, and a sync.
    async fn pass(&mut self, time: Duration, range: RangeChoice) {
        self.export.simulator.advance(time);
        self.export.settings.sync.range = range;
        self.sync().await;
        self.export.settings.sync.range = RangeChoice::Auto;
    }

    /// One sync, after which no run stands twice anywhere.
    async fn sync(&mut self) {
        self.figures.syncs += 1;
        let began = self.export.simulator.now();
        match self.export.try_sync().await {
            Ok(report) => {
                self.figures.commits += report.commits;
                self.figures.failed_syncs += u64::from(report.outcome.name() != "complete");
                if report.sweep.certified {
                    self.check_proof(began).await;
                }
            }
            Err(_) => self.figures.failed_syncs += 1,
        }
        let twice = |relation: &str, key: &str| {
            format!("SELECT count(*) - count(DISTINCT ({key})) FROM {relation}")
        };
        if self.export.lake.join("runs").is_dir() {
            let files = format!("read_parquet('{}/runs/**/*.parquet')", self.export.lake.display());
            let doubled = rows::count_in_memory(&twice(&files, "run_id, _revision"));
            assert_eq!(doubled, 0, "runs that stand twice in the lake");
        }
        if self.export.duckdb.exists() {
            let doubled = rows::count(&self.export.duckdb, &twice("runs", "run_id"));
            assert_eq!(doubled, 0, "runs that stand twice in DuckDB");
        }
    }
}

/// Whether every run that the list holds back shows in its total, or on another look: a run that
/// is hidden throughout, or a list that ends too early twice, nobody can see.
fn is_honest(scenario: &Scenario) -> bool {
    let list = &scenario.faults.list;
    let has_totals = scenario.shape.has_total
        && scenario.shape.list != ListEnvelope::Bare
        && list.no_total_percent == 0.0
        && list.low_total_percent == 0.0;
    let hides = list.empty_page_percent > 0.0 || list.shuffled_percent > 0.0;
    list.vanish_percent == 0.0 && (has_totals || !hides)
}

fn seconds(seconds: f64) -> Duration {
    Duration::from_std(std::time::Duration::from_secs_f64(seconds)).unwrap()
}
