//! State that the loop shares with the endpoints.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};

use super::health::{Alert, Health};
use super::options::ServiceSettings;
use crate::failure::Failure;
use crate::notify::{Message, Notifier};
use crate::observe::Metrics;
use crate::schedule::Job;
use crate::time::Timestamp;

/// State that is shared with the endpoints.
#[derive(Debug)]
pub(super) struct ServiceState {
    pub(super) metrics: Arc<Metrics>,
    pub(super) health: Mutex<Health>,
    pub(super) running: Mutex<Option<Job>>,
    /// The page of the report, which `/report` serves; `None` if none is configured.
    pub(super) report: Mutex<Option<PathBuf>>,
    /// `None` after the service has ended.
    pub(super) receivers: Mutex<Option<Receivers>>,
    /// When the service started, by this machine's clock.
    pub(super) started: Timestamp,
    pub(super) clock: fn() -> DateTime<Utc>,
}

/// The notifier, and the lake that messages name.
#[derive(Debug)]
pub(super) struct Receivers {
    pub(super) notifier: Notifier,
    pub(super) lake: String,
}

impl Receivers {
    pub(super) fn new(current: &ServiceSettings, metrics: &Arc<Metrics>) -> Result<Self, Failure> {
        let notifier = Notifier::start(&current.settings.notify, metrics)?;
        Ok(Self { notifier, lake: current.settings.lake.path.display().to_string() })
    }
}

impl ServiceState {
    pub(super) fn receivers(&self) -> MutexGuard<'_, Option<Receivers>> {
        self.receivers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn ping(&self) {
        if let Some(Receivers { notifier, .. }) = &*self.receivers() {
            notifier.ping();
        }
    }

    pub(super) fn tell(&self, job: Job, news: Alert) {
        let Some(Receivers { notifier, lake }) = &*self.receivers() else { return };
        let Alert { kind, text, exit_code, hint } = news;
        notifier.tell(&Message {
            kind,
            text: format!("armature-export ({lake}): {text}"),
            job: job.name(),
            exit_code,
            hint,
            lake: lake.clone(),
            at: self.now().rfc3339().unwrap_or_default(),
        });
    }

    pub(super) fn now(&self) -> Timestamp {
        (self.clock)().into()
    }

    pub(super) fn health(&self) -> MutexGuard<'_, Health> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn report(&self) -> Option<PathBuf> {
        self.report.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set_report(&self, path: Option<PathBuf>) {
        *self.report.lock().unwrap_or_else(PoisonError::into_inner) = path;
    }

    pub(super) fn running(&self) -> Option<Job> {
        *self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set_running(&self, job: Option<Job>) {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        for (job, runs) in [(*running, false), (job, true)] {
            if let Some(job) = job {
                self.metrics.set_running(job.name(), runs);
            }
        }
        *running = job;
    }
}
