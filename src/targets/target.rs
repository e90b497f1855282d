//! What a target is, and the results of bringing targets up to date.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use futures::future::BoxFuture;
use serde::Serialize;

use super::{DeliverError, TargetFinding};
use crate::lake::{CommitFile, LakeView, Snapshot};
use crate::query::LakeReader;
use crate::tables::Mapping;
use crate::time::Timestamp;

/// A copy of the lake's rows in another system.
///
/// A target reads commits, and remembers the last one that it applied together with that commit's
/// rows. It can therefore be late, or interrupted at any moment, without missing or doubling a row,
/// and it can be rebuilt from the lake. The lake never waits for a target: if a delivery fails, the
/// commits stay, and the next delivery applies them.
pub trait Target: fmt::Debug + Send + Sync {
    /// The kind of the target, as in reports: `duckdb` or `iceberg`.
    fn kind(&self) -> &'static str;

    /// What it is, for messages: `the DuckDB file` or `the Iceberg tables`.
    fn name(&self) -> &'static str;

    /// Where it is, as configured, without secrets.
    fn location(&self) -> String;

    /// The last commit that it applied; `None` if it does not exist yet. Changes nothing.
    ///
    /// # Errors
    /// [`DeliverError`] if it cannot be read, or was not made by this program.
    fn applied(&self) -> BoxFuture<'_, Result<Option<u64>, DeliverError>>;

    /// The last commit that it applied; `None` if it does not exist yet. Checks first, as far as
    /// reading shows it, that a delivery from this lake could continue it. Changes nothing.
    ///
    /// # Errors
    /// [`DeliverError`] as of a delivery that is refused.
    fn check<'c>(&'c self, lake: &'c LakeView) -> BoxFuture<'c, Result<Option<u64>, DeliverError>>;

    /// The copy of it that is published for readers; `None` if none is configured. Changes nothing.
    ///
    /// # Errors
    /// [`DeliverError`] if the copy cannot be read.
    fn published(&self) -> Result<Option<PublishedCopy>, DeliverError> {
        Ok(None)
    }

    /// Applies all commits that it does not have yet.
    ///
    /// # Errors
    /// [`DeliverError`]; it then has the commits before the failed one.
    fn deliver<'d>(
        &'d self,
        lake: &'d LakeView,
        mapping: &'d Mapping,
    ) -> BoxFuture<'d, Result<Delivery, DeliverError>>;

    /// Makes it anew from the lake, and then replaces the old one.
    ///
    /// # Errors
    /// [`DeliverError`]; the old one is then kept.
    fn rebuild<'d>(
        &'d self,
        lake: &'d LakeView,
        mapping: &'d Mapping,
    ) -> BoxFuture<'d, Result<Delivery, DeliverError>>;

    /// Compares it with its lake. Changes nothing. Can block the thread.
    ///
    /// # Errors
    /// [`DeliverError`] if it cannot be compared, for example because its catalog does not answer. A
    /// difference is not an error.
    fn verify<'v>(
        &'v self,
        lake: &'v mut CheckedLake<'_>,
    ) -> BoxFuture<'v, Result<TargetReport, DeliverError>>;
}

/// A lake whose commits and data files are intact, for the comparison with its targets.
#[derive(Debug)]
pub struct CheckedLake<'l> {
    /// The lake; its newest commit may not be read yet.
    pub view: &'l LakeView,
    /// The newest commit.
    pub head: &'l CommitFile,
    /// The live data files.
    pub live: &'l Snapshot,
    /// Paths of the data files that a commit replaced or removed, with the last such commit.
    pub superseded: &'l HashMap<String, u64>,
    /// The commits that end a sync, without their data files.
    pub syncs: &'l [CommitFile],
    /// A reader of the live data files.
    pub reader: &'l mut LakeReader,
}

/// The result of a comparison of a target with its lake.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TargetReport {
    /// How it differs.
    pub findings: Vec<TargetFinding>,
    /// The process that holds it, so that it could not be compared.
    pub holder: Option<String>,
}

/// What a delivery applied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Delivery {
    /// Kind of the target: `duckdb` or `iceberg`.
    pub target: &'static str,
    /// Where it is, as configured.
    pub path: String,
    /// `applied`, or `current` if there was nothing to do.
    pub state: &'static str,
    /// The last commit that the target has.
    pub commit: u64,
    /// Number of commits applied.
    pub commits: u64,
    /// Rows added, by table.
    pub rows: BTreeMap<String, u64>,
    /// The path of the published copy, which has the same content; `None` if no copy is configured,
    /// or a stop was requested before it was replaced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub published: Option<String>,
}

/// The state of a target's published copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublishedCopy {
    /// Where it is, as configured.
    pub path: String,
    /// Whether it has the content of the target.
    pub is_current: bool,
    /// When its content was written, by this machine's clock; `None` if it does not exist yet.
    pub written: Option<Timestamp>,
}

/// The result of a delivery to one target.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum DeliveryReport {
    /// The delivery succeeded: the target is up to date, or the next delivery continues.
    Done(Delivery),
    /// The target could not be brought up to date; the lake is complete.
    Failed {
        /// Kind of the target.
        target: &'static str,
        /// `failed`.
        state: &'static str,
        /// The error, as text.
        error: String,
        /// The error itself, for the exit code.
        #[serde(skip)]
        source: DeliverError,
    },
}

impl DeliveryReport {
    /// What was applied; `None` if the delivery failed.
    pub fn done(&self) -> Option<&Delivery> {
        match self {
            Self::Done(delivery) => Some(delivery),
            Self::Failed { .. } => None,
        }
    }

    /// Why the delivery failed; `None` if it succeeded.
    pub fn error(&self) -> Option<&DeliverError> {
        match self {
            Self::Done(_) => None,
            Self::Failed { source, .. } => Some(source),
        }
    }
}

/// Brings targets up to date, one after the other. A target that fails does not keep the others
/// from being brought up to date.
pub async fn deliver_all(
    targets: &[Box<dyn Target>],
    lake: &LakeView,
    mapping: &Mapping,
) -> Vec<DeliveryReport> {
    let mut reports = Vec::with_capacity(targets.len());
    for target in targets {
        reports.push(match target.deliver(lake, mapping).await {
            Ok(delivery) => DeliveryReport::Done(delivery),
            Err(source) => DeliveryReport::Failed {
                target: target.kind(),
                state: "failed",
                error: source.to_string(),
                source,
            },
        });
    }
    reports
}
