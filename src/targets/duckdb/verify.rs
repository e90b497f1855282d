//! Comparison of the DuckDB file with the lake.

use std::path::Path;

use crate::query::{Fault, QueryError};
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
    let documents = lake.reader.relation(DOCUMENTS.name);
    let documents = match documents {
        Ok(documents) => documents,
        Err(error) => {
            return Ok(only(TargetFinding::DatabaseUnreadable { problem: problem(&error) }));
        }
    };
    // What the configuration says does not count: the next delivery makes of `documents` what it is
    // to be, and none of its rows are wrong until then.
    let is_there = |table: &&&Table| table.name != DOCUMENTS.name || documents.is_some();
    for table in ALL.iter().filter(is_there) {
        match lake.reader.compare(table) {
            Ok(None) => {}
            Ok(Some(difference)) => report.findings.push(TargetFinding::DatabaseDiffers {
                table: table.name,
                lake: difference.lake,
                database: difference.database,
                runs: difference.runs,
            }),
            Err(error) if table.name == DOCUMENTS.name && is_file_missing(&error) => {
                report.findings.push(TargetFinding::DatabaseView { path: shown() });
            }
            Err(error) => {
                let problem = problem(&error);
                report.findings.push(TargetFinding::DatabaseUnreadable { problem });
                break;
            }
        }
    }
    Ok(report)
}

/// Whether a query names files that are not there.
fn is_file_missing(error: &QueryError) -> bool {
    matches!(error, QueryError::Duckdb { fault: Fault::FileMissing, .. })
}

/// DuckDB's message without the path, which the finding does not need.
fn problem(error: &QueryError) -> String {
    match error {
        QueryError::Duckdb { message, .. } => message.clone(),
        other => other.to_string(),
    }
}
