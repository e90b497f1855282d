//! Checks the rows of a lake: no row twice, none without its run, and all rows that the ledger
//! knows.

use std::collections::BTreeSet;
use std::time::Duration;

use super::Finding;
use super::commit_log::LogReplay;
use super::ledger_repair::is_awaited;
use crate::job::JobError;
use crate::query::LakeReader;
use crate::tables::{ALL, RUNS, SPANS, TOOL_CALLS, Table, WriteDisposition};

/// Age limit, before the start of the newest sync: runs that are younger must be in
/// the ledger. It keeps runs for 45 days, which leaves enough for clocks that differ.
const KNOWN: Duration = Duration::from_hours(30 * 24);

/// Checks all rows. Returns the number of runs.
pub(super) fn check(
    mut reader: LakeReader,
    log: &LogReplay,
    findings: &mut Vec<Finding>,
) -> Result<u64, JobError> {
    let reader = &mut reader;
    // Views and not tables: these would be as large as the history is long. Only runs that have
    // another revision than the first are looked up by their latest one.
    reader.execute(
        "look at the runs",
        "CREATE VIEW run_keys AS SELECT run_id, _revision, tool_call_count, span_count, \
         coalesce(started_at, _extracted_at) AS started_at FROM runs; \
         CREATE VIEW revised AS SELECT run_id, max(_revision) AS highest FROM runs \
         WHERE _revision > 1 GROUP BY run_id",
    )?;
    for table in ALL.iter().filter(|table| table.write != WriteDisposition::CommitLog) {
        doubled(reader, table, findings)?;
        if table.write == WriteDisposition::Append && table.name != RUNS.name {
            without_run(reader, table, findings)?;
        }
    }
    for (table, column) in [(&TOOL_CALLS, "tool_call_count"), (&SPANS, "span_count")] {
        counts(reader, table, column, findings)?;
    }
    check_ledger(reader, log, findings)?;
    note_awaited(log, findings);
    let runs = reader.rows("SELECT count(*) FROM (SELECT DISTINCT run_id FROM run_keys)")?;
    Ok(number(runs.first().and_then(|row| row.first())))
}

fn number<T: std::str::FromStr + Default>(cell: Option<&Option<String>>) -> T {
    cell.and_then(Option::as_deref).and_then(|text| text.parse().ok()).unwrap_or_default()
}

fn text(cell: Option<&Option<String>>) -> String {
    cell.cloned().flatten().unwrap_or_default()
}

fn doubled(
    reader: &mut LakeReader,
    table: &'static Table,
    findings: &mut Vec<Finding>,
) -> Result<(), JobError> {
    let name = table.name;
    let (keys, shown) = (table.key.join(", "), table.key.first().copied().unwrap_or("_revision"));
    let revision = if table.write == WriteDisposition::Append { ", _revision" } else { "" };
    let sql = format!(
        "SELECT {shown}, count(*) FROM (SELECT {shown} FROM \"{name}\" GROUP BY {keys}{revision} \
         HAVING count(*) > 1) GROUP BY ALL ORDER BY ALL"
    );
    let found = reader.rows(&sql)?.into_iter().map(|row| Finding::DoubledRows {
        table: name,
        key: text(row.first()),
        rows: number(row.get(1)),
    });
    findings.extend(found);
    Ok(())
}

/// Finds rows whose run is not in `runs`. Rows of older revisions are ignored, because no reader
/// uses them.
fn without_run(
    reader: &mut LakeReader,
    table: &'static Table,
    findings: &mut Vec<Finding>,
) -> Result<(), JobError> {
    let name = table.name;
    let sql = format!(
        "SELECT run_id, sum(n)::BIGINT FROM (SELECT run_id, _revision, count(*) AS n FROM \"{name}\" \
         GROUP BY ALL) c ANTI JOIN run_keys USING (run_id, _revision) WHERE NOT EXISTS (FROM \
         revised r WHERE r.run_id = c.run_id AND r.highest > c._revision) GROUP BY ALL ORDER BY ALL"
    );
    let found = reader.rows(&sql)?.into_iter().map(|row| Finding::RowsWithoutRun {
        table: name,
        run_id: text(row.first()),
        rows: number(row.get(1)),
    });
    findings.extend(found);
    Ok(())
}

fn counts(
    reader: &mut LakeReader,
    table: &'static Table,
    column: &str,
    findings: &mut Vec<Finding>,
) -> Result<(), JobError> {
    let name = table.name;
    let sql = format!(
        "SELECT run_id, any_value({column}), coalesce(any_value(n), 0) FROM (SELECT k.* FROM \
         run_keys k ANTI JOIN revised r ON r.run_id = k.run_id AND r.highest > k._revision) \
         LEFT JOIN (SELECT run_id, _revision, count(*) AS n FROM \"{name}\" GROUP BY ALL) \
         USING (run_id, _revision) GROUP BY run_id \
         HAVING any_value({column}) IS DISTINCT FROM coalesce(any_value(n), 0) ORDER BY ALL"
    );
    let found = reader.rows(&sql)?.into_iter().map(|row| Finding::CountDiffers {
        run_id: text(row.first()),
        table: name,
        stated: number(row.get(1)),
        found: number(row.get(2)),
    });
    findings.extend(found);
    Ok(())
}

/// Replaces the findings of a run that is fetched again in any case with a single one.
fn note_awaited(log: &LogReplay, findings: &mut Vec<Finding>) {
    let awaited = log.ledger.iter().filter(|(_, entry)| is_awaited(entry));
    let awaited: BTreeSet<&str> = awaited.map(|(run_id, _)| run_id).collect();
    findings.retain(|finding| match finding {
        Finding::RowsLost { run_id, .. }
        | Finding::RowsWithoutRun { run_id, .. }
        | Finding::CountDiffers { run_id, .. } => !awaited.contains(run_id.as_str()),
        _ => true,
    });
    let awaited = awaited.into_iter().map(str::to_owned);
    findings.extend(awaited.map(|run_id| Finding::RunAwaited { run_id }));
}

fn check_ledger(
    reader: &mut LakeReader,
    log: &LogReplay,
    findings: &mut Vec<Finding>,
) -> Result<(), JobError> {
    let entries = log.ledger.iter().map(|(run_id, entry)| (run_id, entry.revision));
    reader.load("ledger", entries)?;
    let lost = "SELECT id, number FROM ledger WHERE number > 0 AND NOT EXISTS (FROM run_keys WHERE \
                run_id = id AND _revision >= number) ORDER BY ALL";
    findings.extend(
        reader.rows(lost)?.into_iter().map(|row| Finding::RowsLost {
            run_id: text(row.first()),
            revision: number(row.get(1)),
        }),
    );
    let behind = "SELECT run_id, max(_revision) FROM run_keys JOIN ledger ON id = run_id \
                  WHERE _revision > number GROUP BY run_id ORDER BY ALL";
    findings.extend(reader.rows(behind)?.into_iter().map(|row| Finding::LedgerBehind {
        run_id: text(row.first()),
        revision: number(row.get(1)),
    }));
    let started = log.syncs.iter().filter_map(|commit_file| commit_file.sync.as_ref());
    let Some(newest) = started.map(|sync| sync.started_at).max() else { return Ok(()) };
    let unknown = format!(
        "SELECT DISTINCT run_id FROM run_keys ANTI JOIN ledger ON id = run_id \
         WHERE epoch_us(started_at) >= {} ORDER BY ALL",
        (newest - KNOWN).as_micros()
    );
    let unknown = reader.rows(&unknown)?.into_iter();
    findings.extend(unknown.map(|row| Finding::RunNotInLedger { run_id: text(row.first()) }));
    Ok(())
}
