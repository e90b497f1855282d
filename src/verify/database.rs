//! The DuckDB file against the lake.

use std::path::Path;

use super::manifests::Walk;
use super::{Finding, VerifyError, VerifyReport};
use crate::deliver::{DeliverError, LakeReader};
use crate::lake::LakeView;
use crate::tables::ALL;

/// Compares every table of the file with what the lake's parts and manifests say.
pub(super) fn check(
    reader: &mut LakeReader,
    view: &LakeView,
    walk: &Walk,
    path: &Path,
    report: &mut VerifyReport,
) -> Result<(), VerifyError> {
    let findings = &mut report.findings;
    let Some(head) = &walk.head else { return Ok(()) };
    let shown = || path.display().to_string();
    if !path.exists() {
        findings.push(Finding::DatabaseMissing { path: shown() });
        return Ok(());
    }
    let delivered = match reader.attach().and_then(|()| reader.delivered()) {
        Ok(delivered) => delivered,
        // A file that is held says nothing of what is in it, nor whose it is.
        Err(DeliverError::Locked { holder, .. }) => {
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
    reader.record(&walk.syncs, head)?;
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

/// DuckDB's words without the path, which stands beside them.
fn problem(error: &DeliverError) -> String {
    match error {
        DeliverError::Duckdb { message, .. } => message.clone(),
        other => other.to_string(),
    }
}
