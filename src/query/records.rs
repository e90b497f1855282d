//! Rows of the tables that have no data files (`_syncs`, `_gaps`): SQL that fills them from
//! commits.

use std::fmt::Write as _;

use super::sql::{identifier, literal};
use crate::lake::{CommitFile, Gap, ScanRecord, SyncRecord};
use crate::time::Timestamp;

fn timestamp(at: Timestamp) -> String {
    format!("to_timestamp({}::DOUBLE / 1000000)", at.as_micros())
}

/// The values of a row of `_gaps`, each with its column.
pub(super) fn gap_values(gap: &Gap, commit_file: &CommitFile) -> [(&'static str, String); 6] {
    [
        ("gap_from", timestamp(gap.from)),
        ("gap_until", timestamp(gap.until)),
        ("found_at", timestamp(gap.found_at)),
        ("_commit", commit_file.commit.to_string()),
        ("_extracted_at", timestamp(commit_file.created_at)),
        ("_revision", "1".to_owned()),
    ]
}

/// The values of a row of `_syncs`, each with its column.
pub(super) fn sync_values(
    sync: &SyncRecord,
    commit_file: &CommitFile,
) -> Vec<(&'static str, String)> {
    let doubts = &sync.uncertified_because;
    let doubts = (!doubts.is_empty()).then(|| doubts.join("; "));
    let text = |text: Option<&str>| text.map_or_else(|| "NULL".to_owned(), literal);
    // Null, as in a file whose columns were added later.
    let counted =
        |number: Option<u64>| number.map_or_else(|| "NULL".to_owned(), |number| number.to_string());
    let of_sweep = |number: fn(&ScanRecord) -> u64| counted(sync.sweep.as_ref().map(number));
    let proof = sync.sweep.as_ref().and_then(|sweep| sweep.proof.as_deref());
    vec![
        ("sync_id", literal(&sync.sync_id)),
        ("outcome", literal(&sync.outcome)),
        ("started_at", timestamp(sync.started_at)),
        ("elapsed_ms", sync.elapsed_ms.to_string()),
        ("range", literal(&sync.range)),
        ("certified", sync.certified.to_string()),
        ("uncertified_because", text(doubts.as_deref())),
        ("proof", text(proof)),
        ("pages", of_sweep(|sweep| sweep.pages.into())),
        ("looks", of_sweep(|sweep| sweep.looks.into())),
        ("repeats", of_sweep(|sweep| sweep.repeats)),
        ("head_moved", of_sweep(|sweep| sweep.head_moved)),
        ("proven_until", sync.proven_until.map_or_else(|| "NULL".to_owned(), timestamp)),
        ("runs_listed", sync.runs_listed.to_string()),
        ("runs_new", sync.runs_new.to_string()),
        ("runs_changed", sync.runs_changed.to_string()),
        ("runs_open", sync.runs_open.to_string()),
        ("runs_failed", sync.runs_failed.to_string()),
        ("runs_absent", counted(sync.runs_absent)),
        ("runs_partial", counted(sync.runs_partial)),
        ("requests", sync.requests.to_string()),
        ("bytes_received", sync.bytes_received.to_string()),
        ("_commit", commit_file.commit.to_string()),
        ("_extracted_at", timestamp(commit_file.created_at)),
        ("_revision", "1".to_owned()),
    ]
}

/// A row of `_syncs`. Columns are named, because a file of an older version has them in another
/// order.
pub(crate) fn sync_row(sync: &SyncRecord, commit_file: &CommitFile) -> String {
    let values = sync_values(sync, commit_file);
    let (names, values): (Vec<String>, Vec<String>) =
        values.into_iter().map(|(name, value)| (identifier(name), value)).unzip();
    format!("INSERT INTO _syncs ({}) VALUES ({})", names.join(", "), values.join(", "))
}

/// Replaces the rows of `_gaps`.
pub(crate) fn gap_rows(gaps: &[Gap], commit_file: &CommitFile) -> String {
    let mut sql = "DELETE FROM _gaps;".to_owned();
    for gap in gaps {
        let (names, values) =
            gap_values(gap, commit_file).into_iter().unzip::<_, _, Vec<_>, Vec<_>>();
        let (names, values) = (names.join(", "), values.join(", "));
        // Writing to a String cannot fail.
        let _infallible = write!(sql, "INSERT INTO _gaps ({names}) VALUES ({values});");
    }
    sql
}
