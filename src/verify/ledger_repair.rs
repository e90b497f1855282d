//! Rebuilds entries of the ledger from rows and documents.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::Finding;
use crate::digest::fingerprint;
use crate::extract::RunPaths;
use crate::job::{JobError, LakeJob};
use crate::lake::{FileGroup, Lake, LakeError, LakeStore, Snapshot};
use crate::ledger::{DocumentStates, Entry, RunState};
use crate::query::{LakeReader, QueryOptions};
use crate::replay::read_bodies;
use crate::run::{DocumentState, FetchedRun, Resource, content_fingerprint};
use crate::tables::{ALL, DOCUMENTS, Mapping, WriteDisposition};
use crate::time::Timestamp;

/// Changes of the ledger, by run.
pub(super) type Changes = BTreeMap<String, Option<Entry>>;

/// The changes that correct the ledger for the runs in these findings.
pub(super) async fn ledger_changes(
    lake: &Lake,
    findings: &[Finding],
    job: &LakeJob,
) -> Result<Changes, JobError> {
    let mut changes = Changes::new();
    let mut unknown = BTreeSet::new();
    for finding in findings {
        match finding {
            Finding::RowsLost { run_id, .. }
            | Finding::RowsWithoutRun { run_id, .. }
            | Finding::CountDiffers { run_id, .. } => {
                changes.extend(fetch_again(lake, [run_id.as_str()])?);
            }
            Finding::LedgerBehind { run_id, revision } => {
                let known = lake.ledger().get(run_id, None).map_err(LakeError::from)?;
                let entry = known.map(|known| Entry { revision: *revision, ..known.clone() });
                changes.extend(entry.map(|entry| (run_id.clone(), Some(entry))));
            }
            Finding::RunNotInLedger { run_id } => {
                unknown.insert(run_id.clone());
            }
            _ => {}
        }
    }
    if !unknown.is_empty() {
        let live = lake.view().snapshot().await?;
        let (store, job) = (lake.store().clone(), job.clone());
        let task = tokio::task::spawn_blocking(move || {
            let mut entries = entries_of(&store, &live, &unknown, &job)?;
            add_documents(&store, &live, &job.mapping, &mut entries)?;
            Ok::<_, JobError>(entries)
        });
        let entries = task.await??;
        changes.extend(entries.into_iter().map(|(run_id, entry)| (run_id, Some(entry))));
    }
    Ok(changes)
}

/// Whether a repair marked this run to be fetched again by the next sync. Any other failed run that
/// was exported has the fingerprint of its documents.
pub(super) fn is_awaited(entry: &Entry) -> bool {
    entry.state == RunState::Failed && entry.revision > 0 && entry.content_fingerprint == 0
}

/// Marks runs to be fetched again by the next sync. Their revision is kept, so that the next export
/// gets a higher one than any existing row.
///
/// # Errors
/// [`LakeError`] if a part of the ledger cannot be read.
pub(super) fn fetch_again<'r>(
    lake: &Lake,
    runs: impl IntoIterator<Item = &'r str>,
) -> Result<Changes, LakeError> {
    let mut changes = Changes::new();
    for run_id in runs {
        let known = lake.ledger().get(run_id, None)?;
        let Some(known) = known.filter(|known| known.revision > 0 && !is_awaited(known)) else {
            continue;
        };
        let entry = Entry {
            state: RunState::Failed,
            row_fingerprint: 0,
            content_fingerprint: 0,
            documents: DocumentStates::default(),
            check_at: None,
            problem: Some("its rows in the lake were lost".into()),
            ..known
        };
        changes.insert(run_id.to_owned(), Some(entry));
    }
    Ok(changes)
}

/// The runs that have rows in the intact data files of a group.
pub(super) fn runs_of(
    store: &LakeStore,
    group: &FileGroup,
    bad: &BTreeSet<String>,
    mapping: &Mapping,
    to: &QueryOptions,
) -> Result<Vec<String>, JobError> {
    let whole = group.parts.values().filter(|part| !bad.contains(&part.path));
    let mut reader = LakeReader::open(store, whole, mapping, to)?;
    let tables = ALL.iter().filter(|table| table.write == WriteDisposition::Append);
    let tables: Vec<String> =
        tables.map(|table| format!("SELECT run_id FROM \"{}\"", table.name)).collect();
    let rows = reader.rows(&tables.join(" UNION "))?;
    Ok(rows.into_iter().flatten().flatten().collect())
}

/// Entries of the ledger, as far as the rows of `runs` determine them.
fn entries_of(
    store: &LakeStore,
    live: &Snapshot,
    runs: &BTreeSet<String>,
    job: &LakeJob,
) -> Result<HashMap<String, Entry>, JobError> {
    let mut reader =
        LakeReader::open(store, live.iter().map(|live| &live.part), &job.mapping, &job.query)?;
    reader.load("wanted", runs.iter().map(|run_id| (run_id.as_str(), 0)))?;
    let sql = "SELECT run_id, max(_revision), arg_max(_commit, _revision), \
               arg_max(epoch_us(_extracted_at), _revision), arg_max(status, _revision), \
               arg_max(epoch_us(started_at), _revision), arg_max(epoch_us(ended_at), _revision), \
               arg_max(evaluation_state, _revision) \
               FROM runs SEMI JOIN wanted ON id = run_id GROUP BY ALL";
    let read = |row: Vec<Option<String>>| {
        let [run_id, revision, commit, extracted_at, status, started_at, ended_at, evaluation] =
            <[_; 8]>::try_from(row).ok()?;
        let number = |text: Option<String>| text.and_then(|text| text.parse::<i64>().ok());
        let time = |text| number(text).map(Timestamp::from_micros);
        let first_listed_at = time(extracted_at)?;
        let is_judged = evaluation.as_deref() == Some(DocumentState::Ok.name());
        let evaluation = if is_judged { DocumentState::Ok } else { DocumentState::Absent };
        let have = DocumentState::Ok;
        let entry = Entry {
            state: RunState::Exported,
            status: status.map(Arc::from),
            started_at: time(started_at),
            ended_at: time(ended_at),
            first_listed_at,
            row_fingerprint: 0,
            content_fingerprint: 0,
            revision: number(revision)?,
            commit: commit?.parse().ok()?,
            documents: DocumentStates { detail: have, trace: have, evaluation, tool_calls: have },
            failures: 0,
            // Due immediately; the next sync that requests the evaluation sets the following time.
            check_at: (!is_judged).then_some(first_listed_at),
            problem: None,
        };
        Some((run_id?, entry))
    };
    Ok(reader.rows(sql)?.into_iter().filter_map(read).collect())
}

/// Adds what only the documents determine. A run without documents is fetched once more when it is
/// listed.
fn add_documents(
    store: &LakeStore,
    live: &Snapshot,
    mapping: &Mapping,
    entries: &mut HashMap<String, Entry>,
) -> Result<(), JobError> {
    let paths = Arc::new(RunPaths::new(mapping));
    let commits: BTreeSet<u64> = entries.values().map(|entry| entry.commit).collect();
    let holds_some = |group: &&FileGroup| {
        let held = group.commits();
        commits.range(held.least..=held.greatest).next().is_some()
    };
    for group in live.groups().iter().filter(holds_some) {
        let Some(part) = group.parts.get(DOCUMENTS.name) else { continue };
        let Some(reader) = read_bodies(store, part, &paths)? else { continue };
        for bodies in reader {
            for run in bodies?.runs {
                let entry = entries.get_mut(&run.run_id);
                if let Some(entry) = entry.filter(|entry| entry.revision == run.revision) {
                    add_run(entry, &run);
                }
            }
        }
    }
    Ok(())
}

fn add_run(entry: &mut Entry, run: &FetchedRun) {
    let state = |resource| match run.document(resource) {
        Some(_) => DocumentState::Ok,
        None => DocumentState::Absent,
    };
    entry.status = run.status.as_deref().map(Arc::from);
    (entry.started_at, entry.ended_at) = (run.started_at, run.ended_at);
    entry.documents = DocumentStates {
        detail: state(Resource::Detail),
        trace: state(Resource::Trace),
        evaluation: state(Resource::Evaluation),
        tool_calls: state(Resource::ToolCalls),
    };
    entry.content_fingerprint = content_fingerprint(&run.documents);
    let listing = run.document(Resource::Listing);
    entry.row_fingerprint = listing.map_or(0, |document| fingerprint([document.body.as_ref()]));
}
