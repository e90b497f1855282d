//! The baseline of a gate: how often earlier runs of a workflow passed, by the lake.

use std::collections::HashMap;
use std::time::Duration;

use tokio::runtime::Handle;

use super::error::GateError;
use super::fisher::Sample;
use crate::job::JobError;
use crate::lake::{LakeError, LakeStore, LakeView};
use crate::metrics::RUN_FACTS;
use crate::query::{LATEST_RUNS, LakeReader, QueryOptions};
use crate::tables::{Mapping, RUNS};
use crate::time::Timestamp;

/// Where the baseline is read from.
#[derive(Clone, Debug)]
pub struct BaselineOptions {
    /// The storage of the lake.
    pub store: LakeStore,
    /// How DuckDB queries its files.
    pub query: QueryOptions,
    /// How far back earlier runs count, by their start.
    pub reach: Duration,
}

/// Why there is no baseline.
#[derive(Debug, thiserror::Error)]
pub(super) enum BaselineError {
    /// Nothing was exported to this place.
    #[error("there is no lake")]
    NoLake,
    /// The lake is that of another organization.
    #[error("the lake holds the runs of another organization")]
    OtherOrganization,
    /// The lake took too long.
    #[error("the lake could not be read within {}", humantime::format_duration(*.within))]
    TooSlow {
        /// How long it could have taken.
        within: Duration,
    },
    /// A stop was requested.
    #[error("interrupted")]
    Interrupted,
    /// The lake cannot be read.
    #[error(transparent)]
    Job(#[from] JobError),
}

impl From<BaselineError> for GateError {
    fn from(error: BaselineError) -> Self {
        match error {
            BaselineError::Interrupted => Self::Interrupted,
            BaselineError::Job(error) => Self::Job(error),
            other => Self::NoBaseline { reason: other.to_string() },
        }
    }
}

/// Workflow, model and harness.
type Key = (String, Option<String>, Option<String>);

/// Earlier runs, by workflow, model and harness.
#[derive(Clone, Debug, Default)]
pub(super) struct Baseline {
    samples: HashMap<Key, Sample>,
    /// Why there is none, in words.
    pub(super) note: Option<String>,
}

impl Baseline {
    /// A baseline without runs.
    pub(super) fn none(note: impl Into<String>) -> Self {
        Self { samples: HashMap::new(), note: Some(note.into()) }
    }

    /// Earlier runs of a workflow on a model and harness.
    pub(super) fn sample(
        &self,
        workflow: &str,
        model: Option<&str>,
        harness: Option<&str>,
    ) -> Option<Sample> {
        let key = (workflow.to_owned(), model.map(str::to_owned), harness.map(str::to_owned));
        self.samples.get(&key).copied()
    }

    /// Reads the runs that started in the time before `until`, each by its latest revision and
    /// without those in `except`.
    ///
    /// # Errors
    /// [`BaselineError`] if the lake does not exist, cannot be read, or holds the runs of another
    /// organization.
    pub(super) async fn read(
        options: &BaselineOptions,
        mapping: &Mapping,
        organization: Option<&str>,
        until: Timestamp,
        except: impl IntoIterator<Item = &str>,
    ) -> Result<Self, BaselineError> {
        let (options, mapping) = (options.clone(), mapping.clone());
        let organization = organization.map(str::to_owned);
        let except: Vec<String> = except.into_iter().map(str::to_owned).collect();
        // Object stores and DuckDB block their thread: on one of its own, they can be given up.
        let runtime = Handle::current();
        let task = tokio::task::spawn_blocking(move || {
            let organization = organization.as_deref();
            runtime.block_on(Self::read_here(&options, &mapping, organization, until, &except))
        });
        task.await.map_err(JobError::from)?
    }

    async fn read_here(
        options: &BaselineOptions,
        mapping: &Mapping,
        organization: Option<&str>,
        until: Timestamp,
        except: &[String],
    ) -> Result<Self, BaselineError> {
        let lake = match LakeView::open(options.store.clone()).await {
            Ok(lake) => lake,
            Err(LakeError::Missing { .. }) => return Err(BaselineError::NoLake),
            Err(error) => return Err(JobError::from(error).into()),
        };
        let identity = lake.identity();
        if identity.is_some_and(|identity| identity.organization_id.as_deref() != organization) {
            return Err(BaselineError::OtherOrganization);
        }
        let live = lake.snapshot().await.map_err(JobError::from)?;
        let files = live.iter().map(|live| &live.part).filter(|file| file.table == RUNS.name);
        let opened = LakeReader::open(lake.store(), files, mapping, &options.query);
        let mut reader = opened.map_err(JobError::from)?;
        let excepted = except.iter().map(|run_id| (run_id.as_str(), 0));
        reader.load("excepted", excepted).map_err(JobError::from)?;
        let (from, until) = ((until - options.reach).as_micros(), until.as_micros());
        // `runs` of the lake has every revision; the query of `run_facts` expects the latest ones.
        let sql = format!(
            "WITH runs AS (SELECT * FROM {LATEST_RUNS})
SELECT workflow_id, model, harness,
  count_if(outcome = 'passed') AS passed,
  count_if(outcome IN ('passed', 'partial', 'failed')) AS decided
FROM ({}) AS facts
WHERE workflow_id IS NOT NULL AND started_at >= make_timestamp({from})
  AND started_at < make_timestamp({until}) AND run_id NOT IN (SELECT id FROM excepted)
GROUP BY ALL",
            RUN_FACTS.query()
        );
        let rows = reader.rows(&sql).map_err(JobError::from)?;
        let samples = rows.into_iter().filter_map(sample_of_row).collect();
        Ok(Self { samples, note: None })
    }
}

fn sample_of_row(row: Vec<Option<String>>) -> Option<(Key, Sample)> {
    let [workflow, model, harness, passed, decided] = <[_; 5]>::try_from(row).ok()?;
    let number = |text: Option<String>| text?.parse().ok();
    let sample = Sample { passed: number(passed)?, decided: number(decided)? };
    Some(((workflow?, model, harness), sample))
}
