//! The baseline of a gate: how often earlier runs of a workflow passed, by the lake.

use std::collections::HashMap;
use std::time::Duration;

use super::fisher::Sample;
use crate::job::JobError;
use crate::lake::{LakeError, LakeStore, LakeView};
use crate::metrics::RUN_FACTS;
use crate::query::{LakeReader, QueryOptions};
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

    /// Reads the runs that started in the time before `now`, each by its latest revision and
    /// without those in `except`.
    ///
    /// # Errors
    /// [`JobError`] if the lake cannot be read. A lake that does not exist, or that holds the runs
    /// of another organization, is not an error: the baseline is then empty, with a note.
    pub(super) async fn read(
        options: &BaselineOptions,
        mapping: &Mapping,
        organization: Option<&str>,
        now: Timestamp,
        except: impl IntoIterator<Item = &str>,
    ) -> Result<Self, JobError> {
        let lake = match LakeView::open(options.store.clone()).await {
            Ok(lake) => lake,
            Err(LakeError::Missing { .. }) => return Ok(Self::none("there is no lake")),
            Err(error) => return Err(error.into()),
        };
        let identity = lake.identity();
        if identity.is_some_and(|identity| identity.organization_id.as_deref() != organization) {
            return Ok(Self::none("the lake holds the runs of another organization"));
        }
        let live = lake.snapshot().await?;
        let files = live.iter().map(|live| &live.part).filter(|file| file.table == RUNS.name);
        let mut reader = LakeReader::open(lake.store(), files, mapping, &options.query)?;
        reader.load("excepted", except.into_iter().map(|run_id| (run_id, 0)))?;
        let from = (now - options.reach).as_micros();
        // `runs` of the lake has every revision; the query of `run_facts` expects the latest ones.
        let sql = format!(
            "WITH runs AS (
  SELECT * FROM main.runs
  QUALIFY row_number() OVER (PARTITION BY run_id ORDER BY _revision DESC) = 1
)
SELECT workflow_id, model, harness,
  count_if(outcome = 'passed') AS passed,
  count_if(outcome IN ('passed', 'partial', 'failed')) AS decided
FROM ({}) AS facts
WHERE workflow_id IS NOT NULL AND started_at >= make_timestamp({from})
  AND run_id NOT IN (SELECT id FROM excepted)
GROUP BY ALL",
            RUN_FACTS.query()
        );
        let rows = reader.rows(&sql)?;
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
