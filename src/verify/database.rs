//! Comparison of the DuckDB file with the lake.

use std::path::Path;

use super::commit_log::LogReplay;
use super::{Finding, VerifyReport};
use crate::job::JobError;
use crate::lake::LakeView;
use crate::query::{LakeReader, QueryError};
use crate::tables::ALL;

/// Compares every table of the file with the lake's data files and commits.
pub(super) fn check(
    reader: &mut LakeReader,
    view: &LakeView,
    log: &LogReplay,
    path: &Path,
    report: &mut VerifyReport,
) -> Result<(), JobError> {
    let findings = &mut report.findings;
    let Some(head) = &log.head else { return Ok(()) };
    let shown = || path.display().to_string();
    if !reader.has_database() {
        findings.push(Finding::DatabaseMissing { path: shown() });
        return Ok(());
    }
    let delivered = match reader.attach().and_then(|()| reader.delivered()) {
        Ok(delivered) => delivered,
        // The file cannot be read while another process holds it: neither its content nor its lake
        // is known.
        Err(QueryError::Locked { holder, .. }) => {
            report.unchecked.push(format!("the DuckDB file `{}`, held by {holder}", shown()));
            report.database_holder = Some(holder);
            return Ok(());
        }
        Err(error) => {
            findings.push(Finding::DatabaseUnreadable { problem: problem(&error) });
            return Ok(());
        }
    };
    let lake_id = view.identity().map(|identity| identity.lake_id.to_string());
    let Some(delivered) =
        delivered.filter(|delivered| Some(&delivered.lake_id) == lake_id.as_ref())
    else {
        findings.push(Finding::DatabaseOfAnother { path: shown() });
        return Ok(());
    };
    if delivered.commit < head.commit {
        let commits = head.commit - delivered.commit;
        findings.push(Finding::DatabaseBehind { commits });
        return Ok(());
    }
    if delivered.commit > head.commit || delivered.name != head.staging {
        let (applied, newest) = (delivered.commit, head.commit);
        findings.push(Finding::DatabaseHistory { applied, newest });
        return Ok(());
    }
    reader.record(&log.syncs, head)?;
    for table in ALL {
        match reader.compare(table) {
            Ok(None) => {}
            Ok(Some(difference)) => findings.push(Finding::DatabaseDiffers {
                table: table.name,
                lake: difference.lake,
                database: difference.database,
                runs: difference.runs,
            }),
            Err(error) => {
                findings.push(Finding::DatabaseUnreadable { problem: problem(&error) });
                return Ok(());
            }
        }
    }
    Ok(())
}

/// DuckDB's message without the path, which the finding does not need.
fn problem(error: &QueryError) -> String {
    match error {
        QueryError::Duckdb { message, .. } => message.clone(),
        other => other.to_string(),
    }
}
