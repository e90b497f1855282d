//! Prometheus metrics. All names are declared here and nowhere else.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use prometheus::core::Collector;
use prometheus::{
    CounterVec, Gauge, GaugeVec, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge,
    IntGaugeVec, Opts, Registry, TextEncoder,
};

use crate::event::Event;
use crate::ledger::StateCounts;
use crate::reconcile::Reconciliation;
use crate::schedule::Job;
use crate::sync::{SyncOutcome, SyncReport};
use crate::targets;
use crate::time::Timestamp;

/// Histogram buckets in seconds: single long responses take seconds, whole syncs up to hours.
const SYNC_BUCKETS: &[f64] = &[0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0];

/// Why a firing did not start its job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Skipped {
    /// Another job was running.
    Busy,
    /// The process was not running at the time, for example because the machine was suspended; the
    /// next firing replaces it.
    Missed,
    /// Another process was writing the lake.
    LakeInUse,
}

impl Skipped {
    const ALL: [Self; 3] = [Self::Busy, Self::Missed, Self::LakeInUse];

    fn name(self) -> &'static str {
        match self {
            Self::Busy => "busy",
            Self::Missed => "missed",
            Self::LakeInUse => "lake_in_use",
        }
    }
}

/// Statistics of the lake.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LakeFigures {
    /// Bytes of the live data files.
    pub bytes: u64,
    /// Number of the live data files.
    pub parts: u64,
    /// The newest commit; 0 if there is none.
    pub commit: u64,
    /// The end of the coverage, by the server's clock; `None` if nothing is covered.
    pub proven_until: Option<Timestamp>,
    /// Number of gaps: time that can no longer be listed.
    pub gaps: u64,
    /// Total length of the gaps, in seconds.
    pub gap_seconds: u64,
    /// Number of runs in the ledger, by state.
    pub runs: StateCounts,
}

/// All metrics of the process.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    requests: IntCounterVec,
    retries: IntCounter,
    received_bytes: IntCounter,
    wait_seconds: CounterVec,
    held_until: Mutex<Option<Instant>>,
    syncs: IntCounterVec,
    sync_duration: Histogram,
    runs_exported: IntCounterVec,
    rows_exported: IntCounterVec,
    rejected_cells: IntCounter,
    last_sync: Gauge,
    last_success: Gauge,
    last_exit_code: IntGaugeVec,
    proven_until: Gauge,
    runs: IntGaugeVec,
    gaps: IntGauge,
    gap_seconds: IntGauge,
    lake_bytes: IntGauge,
    lake_parts: IntGauge,
    lake_commit: IntGauge,
    delivery_lag: IntGaugeVec,
    delivered_commit: IntGaugeVec,
    delivery_failures: IntCounterVec,
    copy_written: GaugeVec,
    reconciliations: IntCounterVec,
    reconciled_runs: IntGaugeVec,
    skipped: IntCounterVec,
    running: IntGaugeVec,
    messages: IntCounterVec,
    reloads: IntCounterVec,
    reports: IntCounterVec,
    last_report: Gauge,
    next_firing: GaugeVec,
}

impl Metrics {
    /// Registers all metrics, at zero.
    ///
    /// # Errors
    /// If a name is invalid or registered twice: a bug of this program.
    pub fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new_custom(Some("armature_export".to_owned()), None)?;
        let made = Maker { registry: &registry };
        let build = made.gauges("build_info", "The running version; always 1.", &["version"])?;
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        process_metrics()?;
        let metrics = Self {
            requests: made.counters(
                "requests_total",
                "Requests sent to the API, retries included, by endpoint and status; `none` where no answer began.",
                &["endpoint", "status"],
            )?,
            retries: made.counter("retries_total", "Requests that were sent again.")?,
            received_bytes: made.counter(
                "received_bytes_total",
                "Bytes of bodies from the API, decompressed.",
            )?,
            wait_seconds: made.register(CounterVec::new(
                Opts::new("wait_seconds_total", "Time waited: for the API's rate limit, before retries, and for a reader of the DuckDB file."),
                &["reason"],
            )?)?,
            held_until: Mutex::default(),
            syncs: made.counters("syncs_total", "Syncs that ended, by outcome; `failed` came to nothing at all.", &["outcome"])?,
            sync_duration: made.register(Histogram::with_opts(HistogramOpts {
                common_opts: Opts::new("sync_duration_seconds", "How long syncs took."),
                buckets: SYNC_BUCKETS.to_vec(),
            })?)?,
            runs_exported: made.counters(
                "runs_exported_total",
                "Runs exported for the first time (`new`), or again at a higher revision (`changed`).",
                &["kind"],
            )?,
            rows_exported: made.counters("rows_exported_total", "Rows written to the lake.", &["table"])?,
            rejected_cells: made.counter(
                "rejected_cells_total",
                "Values that did not fit their column (table _issues).",
            )?,
            last_sync: made.register(Gauge::with_opts(
                Opts::new("last_sync_timestamp_seconds", "When the last sync ended, however it did; 0 for never."),
            )?)?,
            last_success: made.register(Gauge::with_opts(Opts::new(
                "last_success_timestamp_seconds",
                "Until when the export is known to be whole: the end of the last sync that proved its window and brought DuckDB up to date; 0 for never.",
            ))?)?,
            last_exit_code: made.gauges("last_exit_code", "The exit code that the last run of a job would have had.", &["job"])?,
            proven_until: made.register(Gauge::with_opts(Opts::new(
                "proven_until_timestamp_seconds",
                "Until when every run that the API lists is known; 0 for not at all.",
            ))?)?,
            runs: made.gauges("runs", "Runs that the ledger knows, by state.", &["state"])?,
            gaps: made.gauge("gaps", "Stretches of time that were never exported and no longer can be.")?,
            gap_seconds: made.gauge(
                "gap_seconds",
                "How long the stretches of time are together that were never exported.",
            )?,
            lake_bytes: made.gauge("lake_bytes", "Bytes of the Parquet files that readers see.")?,
            lake_parts: made.gauge("lake_parts", "Parquet files that readers see.")?,
            lake_commit: made.gauge("lake_commit", "The number of the lake's last commit.")?,
            delivery_lag: made.gauges("delivery_lag_commits", "Commits of the lake that a target does not have yet.", &["target"])?,
            delivered_commit: made.gauges("delivered_commit", "The last commit that a target has; 0 for none.", &["target"])?,
            delivery_failures: made.counters("delivery_failures_total", "Deliveries to a target that failed.", &["target"])?,
            copy_written: made.times("published_copy_timestamp_seconds", "When the published copy of a target was written; 0 if there is none, or it cannot be read.", &["target"])?,
            reconciliations: made.counters("reconciliations_total", "Reconciliations that ended, by outcome.", &["outcome"])?,
            reconciled_runs: made.gauges("reconciled_runs", "Runs that the API listed at the last reconciliation, by how they compared with the lake.", &["verdict"])?,
            skipped: made.counters("firings_skipped_total", "Firings that started nothing, and why.", &["job", "reason"])?,
            running: made.gauges("job_running", "1 while the job runs.", &["job"])?,
            messages: made.counters("messages_total", "Messages to the webhook and pings, by how they ended.", &["kind", "outcome"])?,
            reloads: made.counters("configuration_reloads_total", "Times the configuration was read again (SIGHUP), by outcome.", &["outcome"])?,
            reports: made.counters("reports_total", "Reports (report.path) that were written or failed.", &["outcome"])?,
            last_report: made.register(Gauge::with_opts(Opts::new(
                "last_report_timestamp_seconds",
                "When a report was last written; 0 for never since the start.",
            ))?)?,
            next_firing: made.times("next_firing_timestamp_seconds", "When the job is due next.", &["job"])?,
            registry,
        };
        metrics.begin_at_zero();
        Ok(metrics)
    }

    /// Creates all series at zero: `rate()` does not see the first increase of a series that did
    /// not exist before.
    fn begin_at_zero(&self) {
        let words = |counters: &IntCounterVec, words: &[&str]| {
            for word in words {
                counters.with_label_values(&[*word]).inc_by(0);
            }
        };
        for outcome in SyncOutcome::ALL {
            words(&self.syncs, &[outcome.name()]);
        }
        words(&self.syncs, &["failed"]);
        words(&self.runs_exported, &["new", "changed"]);
        words(&self.reconciliations, &["same", "different", "doubtful", "failed"]);
        words(&self.reloads, &["accepted", "refused"]);
        words(&self.reports, &["written", "failed"]);
        for reason in ["rate_limit", "retry", "duckdb_file"] {
            self.waited(reason, Duration::ZERO);
        }
        for job in Job::ALL {
            self.set_running(job.name(), false);
            for reason in Skipped::ALL {
                self.skip(job.name(), reason, 0);
            }
        }
    }

    /// All metrics in Prometheus' text format.
    ///
    /// # Errors
    /// If they cannot be encoded: a bug of this program.
    pub fn text(&self) -> Result<String, prometheus::Error> {
        let mut families = self.registry.gather();
        // Metrics of the process; their names have no prefix, as is usual.
        families.extend(prometheus::gather());
        TextEncoder::new().encode_to_string(&families)
    }

    /// Counts what happens during a job.
    pub fn note(&self, event: &Event) {
        match event {
            Event::RequestEnded { endpoint, status, bytes, again } => {
                self.retries.inc_by(u64::from(*again));
                let status = status.map_or("none".to_owned(), |status| status.to_string());
                self.requests.with_label_values(&[*endpoint, status.as_str()]).inc();
                self.received_bytes.inc_by(*bytes);
            }
            Event::RateLimited { wait } => self.held(*wait),
            Event::Retrying { wait, .. } => self.waited("retry", *wait),
            Event::DeliveryWaiting { wait, .. } => self.waited("duckdb_file", *wait),
            _ => {}
        }
    }

    /// Adds a wait for a rate limit. Every worker reports the same wait, so overlapping waits count
    /// once.
    fn held(&self, wait: Duration) {
        let now = Instant::now();
        let mut held = self.held_until.lock().unwrap_or_else(PoisonError::into_inner);
        let until = now + wait;
        let before = held.map_or(now, |held| held.max(now));
        self.waited("rate_limit", until.saturating_duration_since(before));
        *held = Some(before.max(until));
    }

    fn waited(&self, reason: &str, wait: Duration) {
        self.wait_seconds.with_label_values(&[reason]).inc_by(wait.as_secs_f64());
    }

    /// Counts a sync that made a report; `now` is in seconds since 1970.
    pub fn note_sync(&self, report: &SyncReport, now: f64) {
        self.syncs.with_label_values(&[report.outcome.name()]).inc();
        self.sync_duration.observe(Duration::from_millis(report.elapsed_ms).as_secs_f64());
        self.runs_exported.with_label_values(&["new"]).inc_by(report.runs.new);
        self.runs_exported.with_label_values(&["changed"]).inc_by(report.runs.changed);
        for (table, rows) in &report.rows {
            self.rows_exported.with_label_values(&[table.as_str()]).inc_by(*rows);
        }
        self.rejected_cells.inc_by(report.issues);
        self.last_sync.set(now);
    }

    /// Counts a sync that made no report; `now` is in seconds since 1970.
    pub fn note_failed_sync(&self, now: f64) {
        self.syncs.with_label_values(&["failed"]).inc();
        self.last_sync.set(now);
    }

    /// Sets the time until which the export is known to be complete, in seconds since 1970.
    pub fn set_last_success(&self, at: f64) {
        self.last_success.set(at);
    }

    /// Sets the exit code that a job's command would have had.
    pub fn set_exit_code(&self, job: &str, code: u8) {
        self.last_exit_code.with_label_values(&[job]).set(code.into());
    }

    /// Counts a reconciliation: `same`, `different`, `doubtful` (the list scan was uncertified) or
    /// `failed`.
    pub fn note_reconciliation(&self, found: Option<&Reconciliation>) {
        let outcome = match found {
            None => "failed",
            Some(found) if found.is_well() => "same",
            Some(found) if found.sweep.certified => "different",
            Some(_) => "doubtful",
        };
        self.reconciliations.with_label_values(&[outcome]).inc();
        let Some(found) = found else { return };
        let total = &found.total;
        for (verdict, runs) in [
            ("same", total.same),
            ("missing", total.missing),
            ("not_in_ledger", total.not_in_ledger),
            ("changed", total.changed),
            ("failed", total.failed),
            ("pending", total.pending),
        ] {
            self.reconciled_runs.with_label_values(&[verdict]).set(signed(runs));
        }
    }

    /// Updates the statistics of the lake.
    pub fn show_lake(&self, lake: &LakeFigures) {
        self.lake_bytes.set(signed(lake.bytes));
        self.lake_parts.set(signed(lake.parts));
        self.lake_commit.set(signed(lake.commit));
        self.gaps.set(signed(lake.gaps));
        self.gap_seconds.set(signed(lake.gap_seconds));
        for (state, runs) in &lake.runs {
            self.runs.with_label_values(&[*state]).set(signed(*runs));
        }
        self.proven_until.set(lake.proven_until.map_or(0.0, seconds));
    }

    /// Updates how far the targets of a lake are that ends at commit `newest`: by their kind, the
    /// last commit that they have, or `None` where it is not known. Kinds that are left out are not
    /// configured.
    pub fn show_targets(&self, newest: u64, applied: &BTreeMap<&'static str, Option<u64>>) {
        for kind in targets::KINDS {
            if applied.contains_key(kind) {
                self.delivery_failures.with_label_values(&[kind]).inc_by(0);
            }
            if let Some(Some(commit)) = applied.get(kind) {
                let lag = newest.saturating_sub(*commit);
                self.delivery_lag.with_label_values(&[kind]).set(signed(lag));
                self.delivered_commit.with_label_values(&[kind]).set(signed(*commit));
            } else {
                // A series that does not exist cannot be removed, which is no error.
                let _absent = self.delivery_lag.remove_label_values(&[kind]);
                let _absent = self.delivered_commit.remove_label_values(&[kind]);
            }
        }
    }

    /// Sets when the published copies of targets were written, by the kind of the target: `None` for
    /// never. Kinds that are left out publish no copy.
    pub fn show_copies(&self, written: &BTreeMap<&'static str, Option<Timestamp>>) {
        for kind in targets::KINDS {
            if let Some(written) = written.get(kind) {
                let written = written.map_or(0.0, seconds);
                self.copy_written.with_label_values(&[kind]).set(written);
            } else {
                let _absent = self.copy_written.remove_label_values(&[kind]);
            }
        }
    }

    /// Counts a delivery that failed, by the kind of its target.
    pub fn note_failed_delivery(&self, target: &str) {
        self.delivery_failures.with_label_values(&[target]).inc();
    }

    /// Counts firings that did not start their job.
    pub fn skip(&self, job: &str, reason: Skipped, firings: usize) {
        let firings = u64::try_from(firings).unwrap_or(u64::MAX);
        self.skipped.with_label_values(&[job, reason.name()]).inc_by(firings);
    }

    /// Sets whether a job is running.
    pub fn set_running(&self, job: &str, running: bool) {
        self.running.with_label_values(&[job]).set(running.into());
    }

    /// Sets when a job is due next, by this machine's clock; [`Timestamp::EPOCH`] for never.
    pub fn set_next_firing(&self, job: &str, at: Timestamp) {
        self.next_firing.with_label_values(&[job]).set(seconds(at));
    }

    /// Counts messages or pings by outcome: `sent`, `failed` or `dropped`.
    pub fn note_message(&self, kind: &str, outcome: &str, number: u64) {
        self.messages.with_label_values(&[kind, outcome]).inc_by(number);
    }

    /// Counts a report that was written at a time in seconds since 1970, or one that failed.
    pub fn note_report(&self, written_at: Option<f64>) {
        let outcome = if written_at.is_some() { "written" } else { "failed" };
        self.reports.with_label_values(&[outcome]).inc();
        if let Some(at) = written_at {
            self.last_report.set(at);
        }
    }

    /// Counts a reload of the configuration.
    pub fn note_reload(&self, accepted: bool) {
        let outcome = if accepted { "accepted" } else { "refused" };
        self.reloads.with_label_values(&[outcome]).inc();
    }
}

/// Registers memory, file handles and CPU time of this process, once per process.
fn process_metrics() -> Result<(), prometheus::Error> {
    #[cfg(target_os = "linux")]
    {
        let collector = prometheus::process_collector::ProcessCollector::for_self();
        match prometheus::register(Box::new(collector)) {
            Err(prometheus::Error::AlreadyReg) | Ok(()) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

struct Maker<'a> {
    registry: &'a Registry,
}

impl Maker<'_> {
    fn register<C: Collector + Clone + 'static>(&self, made: C) -> Result<C, prometheus::Error> {
        self.registry.register(Box::new(made.clone()))?;
        Ok(made)
    }

    fn counter(&self, name: &str, help: &str) -> Result<IntCounter, prometheus::Error> {
        self.register(IntCounter::with_opts(Opts::new(name, help))?)
    }

    fn counters(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
    ) -> Result<IntCounterVec, prometheus::Error> {
        self.register(IntCounterVec::new(Opts::new(name, help), labels)?)
    }

    fn gauge(&self, name: &str, help: &str) -> Result<IntGauge, prometheus::Error> {
        self.register(IntGauge::with_opts(Opts::new(name, help))?)
    }

    /// Gauges of points in time, in seconds since 1970.
    fn times(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
    ) -> Result<GaugeVec, prometheus::Error> {
        self.register(GaugeVec::new(Opts::new(name, help), labels)?)
    }

    fn gauges(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
    ) -> Result<IntGaugeVec, prometheus::Error> {
        self.register(IntGaugeVec::new(Opts::new(name, help), labels)?)
    }
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A timestamp in seconds since 1970, the unit of Prometheus.
#[expect(clippy::as_conversions, clippy::cast_precision_loss, reason = "exact for 285 years")]
pub fn seconds(at: Timestamp) -> f64 {
    at.as_micros() as f64 / 1e6
}
