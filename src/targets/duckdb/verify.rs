//! Comparison of the DuckDB file with the lake.

use std::path::Path;

use super::documents::Documents;
use crate::query::QueryError;
use crate::tables::{ALL, DOCUMENTS, Table};
use crate::targets::{CheckedLake, DeliverError, TargetFinding, TargetReport};

/// Compares every table of the file with the lake's data files and commits. Blocks the thread.
///
/// # Errors
/// DuckDB's error, if the lake cannot be read.
pub(super) fn verify(
    lake: &mut CheckedLake<'_>,
    path: &Path,
) -> Result<TargetReport, DeliverError> {
    let only = |finding| TargetReport { findings: vec![finding], holder: None };
    let shown = || path.display().to_string();
    if !lake.reader.has_database() {
        return Ok(only(TargetFinding::DatabaseMissing { path: shown() }));
    }
    let delivered = match lake.reader.attach().and_then(|()| lake.reader.delivered()) {
        Ok(delivered) => delivered,
        // The file cannot be read while another process holds it: neither its content nor its lake
        // is known.
        Err(QueryError::Locked { holder, .. }) => {
            return Ok(TargetReport { findings: Vec::new(), holder: Some(holder) });
        }
        Err(error) => {
            return Ok(only(TargetFinding::DatabaseUnreadable { problem: problem(&error) }));
        }
    };
    let lake_id = lake.view.identity().map(|identity| identity.lake_id.to_string());
    let Some(delivered) =
        delivered.filter(|delivered| Some(&delivered.lake_id) == lake_id.as_ref())
    else {
        return Ok(only(TargetFinding::DatabaseOfAnother { path: shown() }));
    };
    let head = lake.head;
    if delivered.commit < head.commit {
        let commits = head.commit - delivered.commit;
        return Ok(only(TargetFinding::DatabaseBehind { commits }));
    }
    if delivered.commit > head.commit || delivered.name != head.staging {
        let (applied, newest) = (delivered.commit, head.commit);
        return Ok(only(TargetFinding::DatabaseHistory { applied, newest }));
    }
    lake.reader.record(lake.syncs, head)?;
    let mut report = TargetReport::default();
    let documents = match check_documents(lake, &shown()) {
        Ok(documents) => documents,
        Err(DeliverError::Query(error)) => {
            return Ok(only(TargetFinding::DatabaseUnreadable { problem: problem(&error) }));
        }
        Err(error) => return Err(error),
    };
    report.findings.extend(documents.finding);
    let has_rows = |table: &&&Table| table.name != DOCUMENTS.name || documents.is_compared;
    for table in ALL.iter().filter(has_rows) {
        match lake.reader.compare(table) {
            Ok(None) => {}
            Ok(Some(difference)) => report.findings.push(TargetFinding::DatabaseDiffers {
                table: table.name,
                lake: difference.lake,
                database: difference.database,
                runs: difference.runs,
            }),
            Err(error) => {
                let problem = problem(&error);
                report.findings.push(TargetFinding::DatabaseUnreadable { problem });
                break;
            }
        }
    }
    Ok(report)
}

/// What is to be compared of `documents`.
struct CheckedDocuments {
    /// Whether its rows are compared.
    is_compared: bool,
    finding: Option<TargetFinding>,
}

/// Checks that a view `documents` is one over this lake. What the configuration says does not count:
/// the next delivery makes of it what it is to be, and none of its rows are wrong until then.
fn check_documents(
    lake: &mut CheckedLake<'_>,
    path: &str,
) -> Result<CheckedDocuments, DeliverError> {
    let Some(found) = lake.reader.relation(DOCUMENTS.name)? else {
        return Ok(CheckedDocuments { is_compared: false, finding: None });
    };
    let planned = lake.reader.plan().get(&DOCUMENTS);
    let is_current = match planned.filter(|_| found.is_view) {
        Some(planned) => Documents::view(lake.view.store(), planned)?.is(Some(&found)),
        None => true,
    };
    let finding = (!is_current).then(|| TargetFinding::DatabaseView { path: path.to_owned() });
    Ok(CheckedDocuments { is_compared: is_current, finding })
}

/// DuckDB's message without the path, which the finding does not need.
fn problem(error: &QueryError) -> String {
    match error {
        QueryError::Duckdb { message, .. } => message.clone(),
        other => other.to_string(),
    }
}
