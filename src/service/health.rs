//! The health of the export: what the end of each job changes, and which alerts that causes. Pure.

use std::time::Duration;

use serde::Serialize;

use crate::failure::Exit;
use crate::notify::MessageKind;
use crate::schedule::Job;
use crate::time::Timestamp;

/// The result of a job, as far as health and alerts need it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct JobResult {
    /// The exit code that the job's command would have.
    pub(super) exit_code: u8,
    /// What went wrong, in one line; `None` if nothing did.
    pub(super) problem: Option<String>,
    /// What the user can do about it.
    pub(super) hint: Option<String>,
    /// The time until which the export is known to be complete, if it is: the start of the job, by
    /// this machine's clock.
    pub(super) fresh_until: Option<Timestamp>,
    /// Whether it found a new gap.
    pub(super) new_gap: bool,
    /// Whether the API listed nothing, although some runs should be listed.
    pub(super) unexpected_zero: bool,
    /// Whether another process wrote the lake, so that the job did nothing.
    pub(super) lake_in_use: bool,
}

impl JobResult {
    /// Whether the result changes neither health nor alerts: the job was stopped, or another
    /// process was writing the lake.
    pub(super) fn is_no_news(&self) -> bool {
        self.lake_in_use || self.exit_code == Exit::Interrupted.code()
    }
}

/// A message to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Alert {
    pub(super) kind: MessageKind,
    pub(super) text: String,
    pub(super) exit_code: Option<u8>,
    pub(super) hint: Option<String>,
}

/// The body of `/readyz`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Readiness {
    /// `ready`, `starting` or `stale`.
    pub(super) status: &'static str,
    /// The time until which the export is known to be complete, RFC 3339: the start of the last
    /// good sync, or after a restart the end of the coverage.
    pub(super) last_success: Option<String>,
    /// The age of that time, in seconds.
    pub(super) age_seconds: Option<u64>,
    /// The age from which the export is stale, in seconds.
    pub(super) stale_after_seconds: u64,
    /// The exit code of the last sync.
    pub(super) last_exit_code: Option<u8>,
    /// The problem of the last sync; `None` if it had none.
    pub(super) problem: Option<String>,
}

/// A failure for which an alert was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Told {
    exit_code: u8,
    kind: MessageKind,
}

/// The state of the export.
#[derive(Clone, Debug)]
pub(super) struct Health {
    stale_after: Duration,
    /// When the service started, by this machine's clock.
    started: Timestamp,
    /// The time until which the export is known to be complete: the start of the last good sync, by
    /// this machine's clock, or after a restart the end of the coverage, by the server's.
    last_success: Option<Timestamp>,
    /// The reported failure of each job that is failing.
    failing: Vec<(Job, Told)>,
    told_stale: bool,
    last_exit_code: Option<u8>,
    problem: Option<String>,
}

impl Health {
    pub(super) fn new(
        stale_after: Duration,
        last_success: Option<Timestamp>,
        now: Timestamp,
    ) -> Self {
        Self {
            stale_after,
            started: now,
            last_success,
            failing: Vec::new(),
            told_stale: false,
            last_exit_code: None,
            problem: None,
        }
    }

    pub(super) fn set_stale_after(&mut self, stale_after: Duration) {
        self.stale_after = stale_after;
    }

    pub(super) fn last_success(&self) -> Option<Timestamp> {
        self.last_success
    }

    /// Starts over with another lake.
    pub(super) fn begin_anew(&mut self, last_success: Option<Timestamp>) {
        self.last_success = last_success;
    }

    /// Applies the result of a job, and returns the alerts to send: one for a failure until it
    /// changes its kind or ends, and one for each gap.
    pub(super) fn end(&mut self, job: Job, ending: &JobResult) -> Vec<Alert> {
        if ending.is_no_news() {
            return Vec::new();
        }
        let was_stale = self.told_stale;
        if let Some(until) = ending.fresh_until.filter(|_| job == Job::Sync) {
            self.last_success = Some(until);
            self.told_stale = false;
        }
        if job == Job::Sync {
            self.last_exit_code = Some(ending.exit_code);
            self.problem.clone_from(&ending.problem);
        }
        let before =
            self.failing.iter().find(|(failing, _)| *failing == job).map(|(_, told)| *told);
        self.failing.retain(|(failing, _)| *failing != job);
        let mut news = Vec::new();
        let mut tell = |kind, text: String| {
            let (exit_code, hint) = (Some(ending.exit_code), ending.hint.clone());
            news.push(Alert { kind, text, exit_code, hint });
        };
        let name = job.name();
        if ending.new_gap {
            let text = "a period that the API no longer lists was never exported: see \
                        `armature-export status` and the table _gaps";
            tell(MessageKind::Gap, format!("{name}: {text}"));
        }
        if let Some(problem) = &ending.problem {
            let kind = if ending.unexpected_zero {
                MessageKind::UnexpectedZero
            } else {
                MessageKind::Failure
            };
            let told = Told { exit_code: ending.exit_code, kind };
            self.failing.push((job, told));
            if before != Some(told) {
                let code = ending.exit_code;
                tell(kind, format!("{name} ended with exit code {code}: {problem}"));
            } else if was_stale && !self.told_stale {
                tell(MessageKind::Recovery, "the export is fresh again".to_owned());
            }
        } else if before.is_some() || (was_stale && !self.told_stale) {
            tell(MessageKind::Recovery, format!("{name} has recovered"));
        }
        news
    }

    /// An alert if the export became stale since the last call.
    pub(super) fn went_stale(&mut self, now: Timestamp) -> Option<Alert> {
        // If the clock was ahead and was corrected, the last success lies in the future, and would
        // hide that nothing happens.
        self.last_success = self.last_success.map(|last| last.min(now));
        if !self.is_stale(now) || std::mem::replace(&mut self.told_stale, true) {
            return None;
        }
        let age = rough(self.age(now));
        let since = if self.last_success.is_some() { "the last good sync" } else { "startup" };
        let problem = self.problem.as_ref().map(|problem| format!("; the last problem: {problem}"));
        Some(Alert {
            kind: MessageKind::Stale,
            text: format!(
                "the export is stale: {since} was {age} ago{}",
                problem.unwrap_or_default()
            ),
            exit_code: None,
            hint: None,
        })
    }

    /// Time until the export becomes stale if nothing happens; `None` if it is
    /// stale.
    pub(super) fn time_to_stale(&self, now: Timestamp) -> Option<Duration> {
        let left = self.stale_after.checked_sub(self.age(now))?;
        Some(left.saturating_add(Duration::from_micros(1)))
    }

    pub(super) fn readiness(&self, now: Timestamp) -> Readiness {
        let status = match (self.is_stale(now), self.last_success) {
            (true, _) => "stale",
            (false, None) => "starting",
            (false, Some(_)) => "ready",
        };
        Readiness {
            status,
            last_success: self.last_success.and_then(Timestamp::rfc3339),
            age_seconds: self.last_success.map(|_| self.age(now).as_secs()),
            stale_after_seconds: self.stale_after.as_secs(),
            last_exit_code: self.last_exit_code,
            problem: self.problem.clone(),
        }
    }

    fn is_stale(&self, now: Timestamp) -> bool {
        self.age(now) > self.stale_after
    }

    fn age(&self, now: Timestamp) -> Duration {
        now.since(self.last_success.unwrap_or(self.started))
    }
}

/// A duration, rounded for a message.
fn rough(length: Duration) -> String {
    match length.as_secs() {
        seconds @ ..120 => format!("{seconds} s"),
        seconds @ 120..7200 => format!("{} min", seconds / 60),
        seconds => format!("{} h", seconds / 3600),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_hours(1);

    /// An instant some seconds after the service started.
    fn at(seconds: u64) -> Timestamp {
        Timestamp::EPOCH + Duration::from_secs(seconds)
    }

    fn hour(hours: u64) -> Timestamp {
        at(hours * 3600)
    }

    fn good(seconds: u64) -> JobResult {
        JobResult { fresh_until: Some(at(seconds)), ..JobResult::default() }
    }

    fn bad(exit_code: u8) -> JobResult {
        JobResult {
            exit_code,
            problem: Some("the API is unreachable".into()),
            ..JobResult::default()
        }
    }

    fn kinds(news: &[Alert]) -> Vec<&'static str> {
        news.iter().map(|news| news.kind.name()).collect()
    }

    #[test]
    fn a_failure_is_told_once_and_its_end_too() {
        let mut health = Health::new(HOUR, None, at(0));
        assert!(health.end(Job::Sync, &good(1)).is_empty());
        assert_eq!(kinds(&health.end(Job::Sync, &bad(5))), ["failure"]);
        assert!(health.end(Job::Sync, &bad(5)).is_empty());
        assert_eq!(kinds(&health.end(Job::Sync, &bad(4))), ["failure"], "of another kind");
        assert!(health.end(Job::Reconcile, &good(5)).is_empty(), "another job");
        assert_eq!(kinds(&health.end(Job::Sync, &good(6))), ["recovery"]);
        assert!(health.end(Job::Sync, &good(7)).is_empty());
    }

    #[test]
    fn what_is_no_fault_is_not_told() {
        let mut health = Health::new(HOUR, None, at(0));
        assert!(health.end(Job::Sync, &bad(130)).is_empty());
        let busy = JobResult { lake_in_use: true, ..bad(6) };
        assert!(health.end(Job::Sync, &busy).is_empty());
        assert!(health.end(Job::Sync, &good(3)).is_empty());
    }

    #[test]
    fn a_gap_is_a_fact_and_not_a_state() {
        let mut health = Health::new(HOUR, None, at(0));
        let gap = JobResult { exit_code: 3, new_gap: true, ..good(1) };
        assert_eq!(kinds(&health.end(Job::Sync, &gap)), ["gap"]);
        assert!(health.end(Job::Sync, &good(2)).is_empty());
        let both = JobResult { problem: Some("2 runs could not be fetched".into()), ..gap.clone() };
        assert_eq!(kinds(&health.end(Job::Sync, &both)), ["gap", "failure"]);
        assert_eq!(kinds(&health.end(Job::Sync, &gap)), ["gap", "recovery"], "an outage ends so");
        assert!(health.end(Job::Sync, &good(5)).is_empty());
    }

    #[test]
    fn another_trouble_with_the_same_exit_code_is_told() {
        let mut health = Health::new(HOUR, None, at(0));
        assert_eq!(kinds(&health.end(Job::Sync, &bad(3))), ["failure"]);
        let zero = JobResult { unexpected_zero: true, ..bad(3) };
        assert_eq!(kinds(&health.end(Job::Sync, &zero)), ["unexpected_zero"]);
        assert_eq!(kinds(&health.end(Job::Sync, &bad(3))), ["failure"]);
    }

    #[test]
    fn an_incomplete_sync_can_make_a_stale_export_fresh() {
        let mut health = Health::new(HOUR, Some(at(0)), at(0));
        let incomplete = |at| JobResult { fresh_until: Some(at), ..bad(3) };
        assert_eq!(kinds(&health.end(Job::Sync, &incomplete(at(1)))), ["failure"]);
        assert!(health.went_stale(hour(2)).is_some());
        assert_eq!(kinds(&health.end(Job::Sync, &incomplete(hour(2)))), ["recovery"]);
    }

    #[test]
    fn a_clock_that_was_ahead_hides_nothing() {
        let mut health = Health::new(HOUR, Some(hour(100)), at(0));
        assert!(health.went_stale(hour(1)).is_none());
        assert!(health.went_stale(hour(2) + Duration::from_micros(1)).is_some());
    }

    #[test]
    fn a_list_that_is_empty_against_all_that_is_known() {
        let mut health = Health::new(HOUR, None, at(0));
        let zero = JobResult { unexpected_zero: true, ..bad(3) };
        assert_eq!(kinds(&health.end(Job::Sync, &zero)), ["unexpected_zero"]);
        assert!(health.end(Job::Sync, &zero).is_empty());
        assert_eq!(kinds(&health.end(Job::Sync, &good(3))), ["recovery"]);
    }

    #[test]
    fn an_export_goes_stale_once_and_recovers() {
        let mut health = Health::new(HOUR, Some(at(0)), at(10));
        assert_eq!(health.went_stale(hour(1)), None);
        assert_eq!(health.time_to_stale(hour(1)), Some(Duration::from_micros(1)));
        let stale = health.went_stale(hour(1) + Duration::from_mins(1)).unwrap();
        assert_eq!(stale.text, "the export is stale: the last good sync was 61 min ago");
        assert_eq!(health.went_stale(hour(2)), None, "told once");
        assert_eq!(health.readiness(hour(2)).status, "stale");
        assert_eq!(kinds(&health.end(Job::Sync, &good(2 * 3600))), ["recovery"]);
        assert_eq!(health.readiness(hour(2)).status, "ready");
        assert!(health.went_stale(hour(3) + Duration::from_micros(1)).is_some());
    }

    #[test]
    fn a_service_that_never_synced_is_starting_and_then_stale() {
        let mut health = Health::new(HOUR, None, at(0));
        assert_eq!(health.readiness(hour(1)).status, "starting");
        assert_eq!(health.readiness(hour(1) + Duration::from_micros(1)).status, "stale");
        health.end(Job::Sync, &bad(5));
        let stale = health.went_stale(hour(2)).unwrap();
        assert_eq!(
            stale.text,
            "the export is stale: startup was 2 h ago; the last problem: the API is unreachable"
        );
    }

    #[test]
    fn a_run_that_always_fails_does_not_make_the_export_stale() {
        let mut health = Health::new(HOUR, None, at(0));
        for number in 1..50 {
            let incomplete = JobResult { fresh_until: Some(hour(number)), ..bad(3) };
            let news = health.end(Job::Sync, &incomplete);
            assert_eq!(news.len(), usize::from(number == 1));
            assert_eq!(health.went_stale(hour(number + 1)), None);
        }
    }
}
