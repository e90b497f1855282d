//! The loop that stays up: waits for firings, runs jobs, and reloads its configuration.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use tokio::net::TcpListener;

use super::endpoints::{self, listen_address};
use super::health::Health;
use super::lake_stats::{AppliedCommits, LakeWatch, applied, copies};
use super::options::{ServiceOptions, ServiceSettings};
use super::shared::{Receivers, ServiceState};
use super::written_report::WrittenReport;
use crate::config::{ScheduleSettings, Settings};
use crate::failure::{Exit, Failure};
use crate::lake::LakeStore;
use crate::ledger::StateCounts;
use crate::observe::{LakeFigures, Metrics, Skipped, seconds};
use crate::schedule::{Expression, Job, Timetable, longest_pause};
use crate::time::Timestamp;

/// Maximum sleep: after a suspension, or if the clock was set, the process notices within this
/// time.
const LONGEST_SLEEP: Duration = Duration::from_secs(30);

/// Minimum default time after which an export is stale.
const LEAST_STALE: Duration = Duration::from_hours(1);

/// Maximum time that queued messages may delay the end of the process.
const FAREWELL: Duration = Duration::from_secs(5);

/// A running service.
#[derive(Debug)]
pub struct Service {
    pub(super) options: ServiceOptions,
    pub(super) current: ServiceSettings,
    pub(super) timetable: Timetable,
    pub(super) shared: Arc<ServiceState>,
    pub(super) lake_watch: LakeWatch,
    /// The last commit that each target has.
    pub(super) applied: AppliedCommits,
    /// The report that this process wrote last.
    pub(super) written_report: Option<WrittenReport>,
}

/// Why [`Service::wait`] returned.
enum Woken {
    Stop,
    Reload,
    Due,
}

impl Service {
    /// Reads the configuration and the state of the lake, and starts to listen if an address is
    /// configured.
    ///
    /// # Errors
    /// A [`Failure`] that the user must fix before the service can run.
    pub async fn start(options: ServiceOptions) -> Result<Self, Failure> {
        let current = (options.load)()?;
        (options.key)(&current.settings)?;
        let now = (options.clock)();
        let timetable = timetable(&current, now)?;
        let bug = |error: prometheus::Error| Failure::new(Exit::Bug, error.into());
        let metrics = Arc::new(Metrics::new().map_err(bug)?);
        let receivers = Receivers::new(&current, &metrics)?;
        let listener = match &current.settings.schedule.listen {
            Some(address) => Some(listen(address).await?),
            None => None,
        };
        let stale_after = stale_after(&current, now)?;
        let now = Timestamp::from(now);
        let shared = Arc::new(ServiceState {
            metrics,
            health: Mutex::new(Health::new(stale_after, None, now)),
            running: Mutex::default(),
            report: Mutex::new(current.settings.report.path.clone()),
            receivers: Mutex::new(Some(receivers)),
            started: now,
            clock: options.clock,
        });
        if let Some(listener) = listener {
            tokio::spawn(endpoints::serve(listener, Arc::clone(&shared)));
        }
        let lake_watch = LakeWatch::default();
        let mut service = Self {
            options,
            current,
            timetable,
            shared,
            lake_watch,
            applied: AppliedCommits::new(),
            written_report: None,
        };
        service.begin_with_lake().await;
        service.announce();
        Ok(service)
    }

    /// Runs jobs until a stop is requested.
    ///
    /// # Errors
    /// A [`Failure`] if the timetable has no firing left.
    pub async fn run(mut self) -> Result<(), Failure> {
        let freshness = tokio::spawn(watch_freshness(Arc::clone(&self.shared)));
        if self.current.settings.schedule.run_at_start {
            self.work(Job::Sync).await;
            self.skip_busy();
        }
        loop {
            match self.wait().await? {
                Woken::Stop => break,
                Woken::Reload => self.reload().await,
                Woken::Due => {
                    for due in self.timetable.take_due((self.options.clock)()) {
                        self.skip(due.job, Skipped::Missed, due.missed);
                        if !*self.options.stop.borrow() {
                            self.work(due.job).await;
                        }
                    }
                    self.skip_busy();
                }
            }
        }
        freshness.abort();
        let receivers = self.shared.receivers().take();
        if let Some(Receivers { notifier, .. }) = receivers {
            notifier.finish(FAREWELL).await;
        }
        Ok(())
    }

    fn skip_busy(&mut self) {
        for (job, firings) in self.timetable.skip((self.options.clock)()) {
            self.skip(job, Skipped::Busy, firings);
        }
    }

    pub(super) fn skip(&self, job: Job, reason: Skipped, firings: usize) {
        if firings == 0 {
            return;
        }
        let name = job.name();
        self.shared.metrics.skip(name, reason, firings);
        let why = match reason {
            Skipped::Busy => "came during a running job",
            Skipped::Missed => "were missed, as while the machine slept; this one replaces them",
            Skipped::LakeInUse => "found the lake written by another process",
        };
        tracing::warn!(job = name, firings, "firings that {why}: {firings}");
    }

    /// Waits for the next firing, a reload or a stop.
    async fn wait(&mut self) -> Result<Woken, Failure> {
        let mut planned: Option<(DateTime<Utc>, DateTime<Utc>)> = None;
        loop {
            let now = (self.options.clock)();
            let Some(firing) = self.timetable.next(now) else {
                return Err(Failure::usage(
                    "no job ever fires again",
                    "give schedule.cron an expression that does",
                ));
            };
            let target = match planned {
                Some((same, target)) if same == firing => target,
                _ => firing + self.jitter(firing),
            };
            planned = Some((firing, target));
            for job in Job::ALL {
                let next = self.timetable.next_of(job, now);
                let next = next.map_or(Timestamp::EPOCH, Timestamp::from);
                self.shared.metrics.set_next_firing(job.name(), next);
            }
            let left = target.signed_duration_since(now).to_std().unwrap_or_default();
            if left.is_zero() {
                return Ok(Woken::Due);
            }
            tokio::select! {
                biased;
                _ = self.options.stop.wait_for(|stop| *stop) => return Ok(Woken::Stop),
                Some(()) = self.options.reload.recv() => return Ok(Woken::Reload),
                () = tokio::time::sleep(left.min(LONGEST_SLEEP)) => {}
            }
        }
    }

    /// A random delay, at most half of the time until the next firing, so that it never delays a
    /// firing beyond the next one.
    fn jitter(&self, firing: DateTime<Utc>) -> Duration {
        let most = Duration::from_secs(self.current.settings.schedule.jitter_secs);
        let pause = self.timetable.pause_after(firing).and_then(|pause| pause.to_std().ok());
        let most = pause.map_or(most, |pause| most.min(pause / 2));
        Duration::from_millis(fastrand::u64(0..=u64::try_from(most.as_millis()).unwrap_or(0)))
    }

    /// Reloads the configuration; an invalid one changes nothing.
    async fn reload(&mut self) {
        match self.reread().await {
            Ok(()) => {
                tracing::info!("the configuration was read again");
                self.shared.metrics.note_reload(true);
                self.announce();
            }
            Err(failure) => {
                tracing::error!("the configuration stays as it was: {}", failure.line());
                self.shared.metrics.note_reload(false);
            }
        }
    }

    async fn reread(&mut self) -> Result<(), Failure> {
        let new = (self.options.load)()?;
        (self.options.key)(&new.settings)?;
        let now = (self.options.clock)();
        let timetable = timetable(&new, now)?;
        let stale_after = stale_after(&new, now)?;
        let receivers = Receivers::new(&new, &self.shared.metrics)?;
        for option in fixed_options(&self.current.settings, &new.settings) {
            tracing::warn!("{option} changes at the next start only");
        }
        self.shared.health().set_stale_after(stale_after);
        let old = self.shared.receivers().replace(receivers);
        self.timetable = timetable.in_place_of(&self.timetable, now);
        let (before, after) = (&self.current.settings, &new.settings);
        let is_elsewhere = before.lake.path != after.lake.path
            || before.duckdb != after.duckdb
            || before.iceberg != after.iceberg;
        self.shared.set_report(new.settings.report.path.clone());
        self.current = new;
        if is_elsewhere {
            self.begin_with_lake().await;
        }
        if let Some(Receivers { notifier, .. }) = old {
            notifier.finish(FAREWELL).await;
        }
        Ok(())
    }

    fn announce(&self) {
        let schedule = &self.current.settings.schedule;
        let zone = &schedule.time_zone;
        tracing::info!("syncing by `{}` ({zone})", schedule.cron);
        if !self.current.only_sync && !schedule.reconcile_cron.is_empty() {
            tracing::info!("reconciling by `{}` ({zone})", schedule.reconcile_cron);
        }
        let compact_cron = self.current.settings.compact_cron();
        if !self.current.only_sync && !compact_cron.is_empty() {
            tracing::info!("compacting by `{compact_cron}` ({zone})");
        }
        for (firing, job) in self.timetable.upcoming((self.options.clock)(), 3) {
            tracing::info!("next: {} {}", firing.format("%Y-%m-%d %H:%M:%S UTC"), job.name());
        }
    }

    /// Reads the state of the configured lake and DuckDB file, and sets the time until which the
    /// export is known to be complete.
    async fn begin_with_lake(&mut self) {
        // If the lake cannot be read, the first sync reports it.
        self.applied = applied(&self.current.settings).await.unwrap_or_default();
        let lake = self.show_lake(None).await;
        let is_whole =
            |lake: &LakeFigures| self.applied.values().all(|applied| *applied == Some(lake.commit));
        let last_success = lake.filter(is_whole).and_then(|lake| lake.proven_until);
        self.shared.health().begin_anew(last_success);
        self.shared.metrics.set_last_success(last_success.map_or(0.0, seconds));
    }

    /// Updates the lake's metrics. `runs` comes from a sync that has just counted them; without it,
    /// the ledger is read.
    pub(super) async fn show_lake(&mut self, runs: Option<&StateCounts>) -> Option<LakeFigures> {
        let looked = match LakeStore::configured(&self.current.settings) {
            Ok(lake) => {
                self.shared.metrics.show_copies(&copies(&self.current.settings, &lake));
                self.lake_watch.look(&lake, runs).await
            }
            Err(error) => Err(error),
        };
        match looked {
            Ok(figures) => {
                let figures = figures.unwrap_or_default();
                self.shared.metrics.show_lake(&figures);
                self.shared.metrics.show_targets(figures.commit, &self.applied);
                Some(figures)
            }
            Err(error) => {
                let failure = Failure::from(error);
                tracing::warn!("the lake's figures are not known: {}", failure.line());
                None
            }
        }
    }
}

/// Options that differ and that a running process cannot change.
fn fixed_options(old: &Settings, new: &Settings) -> Vec<&'static str> {
    let pairs = [
        ("schedule.listen", old.schedule.listen == new.schedule.listen),
        ("schedule.stop_secs", old.schedule.stop_secs == new.schedule.stop_secs),
        ("lake.access", old.lake.access == new.lake.access),
    ];
    pairs.into_iter().filter(|(_, same)| !same).map(|(name, _)| name).collect()
}

/// Sends an alert when the last good sync is too long ago. A separate task, so that it also does so
/// while a sync hangs.
async fn watch_freshness(shared: Arc<ServiceState>) {
    loop {
        let now = shared.now();
        let (news, left) = {
            let mut health = shared.health();
            (health.went_stale(now), health.time_to_stale(now))
        };
        if let Some(news) = news {
            tracing::warn!("{}", news.text);
            shared.tell(Job::Sync, news);
        }
        let nap = left.unwrap_or(LONGEST_SLEEP).min(LONGEST_SLEEP);
        tokio::time::sleep(nap).await;
    }
}

async fn listen(address: &str) -> Result<TcpListener, Failure> {
    let hint = "name another one with --listen or schedule.listen";
    let address: SocketAddr =
        listen_address(address).map_err(|problem| Failure::usage(problem, hint))?;
    let listener = TcpListener::bind(address)
        .await
        .map_err(|error| Failure::usage(format!("failed to listen on {address}: {error}"), hint))?;
    let bound = listener.local_addr().unwrap_or(address);
    tracing::info!("serving /healthz, /readyz, /metrics and /report on http://{bound}");
    if !bound.ip().is_loopback() {
        tracing::warn!("{bound} can be reached from outside, without authentication");
    }
    Ok(listener)
}

fn timetable(current: &ServiceSettings, now: DateTime<Utc>) -> Result<Timetable, Failure> {
    let schedule = &current.settings.schedule;
    let mut jobs = vec![(Job::Sync, expression(schedule, &schedule.cron)?)];
    if !current.only_sync && !schedule.reconcile_cron.trim().is_empty() {
        jobs.push((Job::Reconcile, expression(schedule, &schedule.reconcile_cron)?));
    }
    let compact_cron = current.settings.compact_cron();
    if !current.only_sync && !compact_cron.is_empty() {
        jobs.push((Job::Compact, expression(schedule, compact_cron)?));
    }
    let mut timetable = Timetable::new(jobs, now);
    if timetable.next(now).is_none() {
        return Err(Failure::usage(
            format!("`{}` never fires in the future", schedule.cron),
            "give schedule.cron an expression that does",
        ));
    }
    Ok(timetable)
}

fn expression(schedule: &ScheduleSettings, text: &str) -> Result<Expression, Failure> {
    let zone: Tz = schedule.time_zone.parse().map_err(|_| {
        Failure::usage(
            format!("`{}` is not a time zone", schedule.time_zone),
            "name one such as UTC or Europe/Berlin as schedule.time_zone",
        )
    })?;
    Expression::parse(text, zone).map_err(|error| {
        let hint =
            "five fields: minute hour day-of-month month day-of-week, such as `*/15 * * * *`";
        let message = format!("failed to understand the cron expression `{text}`: {error}");
        Failure::usage(message, hint)
    })
}

/// Time without a good sync after which the export is stale.
fn stale_after(current: &ServiceSettings, now: DateTime<Utc>) -> Result<Duration, Failure> {
    let schedule = &current.settings.schedule;
    let configured = schedule.stale_after_secs.map(Duration::from_secs);
    let pause = longest_pause(&expression(schedule, &schedule.cron)?, now);
    let usual = (pause * 2).to_std().unwrap_or_default().max(LEAST_STALE);
    Ok(configured.unwrap_or(usual))
}
