//! What changed in a lake since a commit: the data files that a loader reads, and the rows that
//! they take the place of.
//!
//! The rows of a table of runs carry the number of the commit that added them. A load therefore
//! takes a range of commits: it deletes the rows of that range from the warehouse and inserts those
//! of the listed files. A load that is repeated changes nothing, and of a merged file, which also
//! holds rows that were loaded before, only the rows of the range are taken. Where a commit
//! replaced rows that were loaded before (`replay`, `compact --drop-older-revisions`, a repair),
//! the range begins with the earliest of them.

use std::collections::{BTreeMap, BTreeSet};
use std::num::ParseIntError;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::WarehouseError;
use crate::lake::{CommitFile, LakeError, LakeView, LiveFile, Snapshot};
use crate::tables::{ALL, SCHEMA_VERSION, Table, WriteDisposition, find};

/// The last commit that a warehouse has: `N`, or `N:NAME`.
///
/// A lake that was restored from an older copy makes other commits with the numbers that it had
/// before. The name tells them apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadedCommit {
    /// Its number; 0 if the warehouse is empty.
    pub commit: u64,
    /// Its name in the lake that it was loaded from, if it is known.
    pub name: Option<String>,
}

impl FromStr for LoadedCommit {
    type Err = ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (commit, name) = text.split_once(':').unwrap_or((text, ""));
        let name = (!name.is_empty()).then(|| name.to_owned());
        Ok(Self { commit: commit.parse()?, name })
    }
}

/// The changes of a lake in a range of commits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changes {
    /// The id of the lake: a warehouse holds the rows of one lake.
    pub lake_id: String,
    /// Where the lake is: a full path, or its address in an object store.
    pub lake: String,
    /// The changes are those after this commit.
    pub since: u64,
    /// The name of that commit in the lake. `None` if it is 0, and in lists of versions that did
    /// not name commits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since_name: Option<String>,
    /// The last commit of the range: the next load asks for the changes after it.
    pub commit: u64,
    /// The name of that commit, which no other commit has. `None` as for `since_name`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit_name: Option<String>,
    /// The version of the tables of the program that listed the changes.
    pub schema_version: String,
    /// The one table that was asked for. Such changes cannot be loaded by a script: recording them
    /// would leave out those of the other tables for good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub only: Option<String>,
    /// The tables that changed.
    pub tables: Vec<TableChanges>,
}

/// The changes of one table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableChanges {
    /// The table.
    pub table: String,
    /// How its rows are loaded.
    #[serde(flatten)]
    pub load: Load,
    /// The data files to read. None if rows were removed and none added.
    pub files: Vec<ChangedFile>,
}

/// How the rows of a table are loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "load", rename_all = "snake_case")]
pub enum Load {
    /// The rows whose `_commit` is in the range take the place of those in the warehouse. The files
    /// can hold other rows too.
    Range {
        /// The first commit of the range.
        first_commit: u64,
        /// The last commit of the range.
        last_commit: u64,
    },
    /// The rows of the files take the place of all rows of the table.
    Whole,
}

/// A data file to read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangedFile {
    /// Its full path, or its address in an object store.
    pub path: String,
    /// The number of its rows.
    pub rows: u64,
    /// Its length in bytes.
    pub bytes: u64,
    /// The SHA-256 of the file, in hexadecimal.
    pub sha256: String,
    /// The least `_commit` that its rows can have.
    pub least_commit: u64,
    /// The greatest `_commit` that its rows can have.
    pub greatest_commit: u64,
}

impl Changes {
    /// The changes after commit `since`, up to and including commit `until` or the newest one. All
    /// tables, or the one that is named.
    ///
    /// # Errors
    /// [`WarehouseError`] if the lake does not have these commits, no longer has their rows, or
    /// cannot be read.
    pub async fn read(
        lake: &LakeView,
        since: &LoadedCommit,
        until: Option<u64>,
        table: Option<&str>,
    ) -> Result<Self, WarehouseError> {
        let LoadedCommit { commit: since, name: loaded } = since;
        let since = *since;
        let newest = lake.head().map_or(0, |head| head.commit);
        if since > newest {
            return Err(WarehouseError::NewerThanLake { since, newest });
        }
        let until = until.unwrap_or(newest);
        if !(since..=newest).contains(&until) {
            return Err(WarehouseError::NoRange { since, until, newest });
        }
        let since_name = commit_name(lake, since).await?;
        if let Some(loaded) = loaded
            && since_name.as_ref() != Some(loaded)
        {
            let loaded = loaded.clone();
            return Err(WarehouseError::OtherHistory { since, loaded, found: since_name });
        }
        if let Some(head) = lake.head()
            && let Some(part) = lake.store().unpublished(head)?
        {
            let path = lake.store().location(&part.path);
            return Err(WarehouseError::NotInPlace { path, commit: newest });
        }
        let first = first_commits(lake, since, until).await?;
        let snapshot = lake.snapshot_at(newest).await?;
        let wanted = ALL.iter().filter(|it| table.is_none_or(|name| it.name == name));
        let mut tables = Vec::new();
        for table in wanted {
            tables.extend(match table.write {
                WriteDisposition::Append => {
                    let replaced = first.get(table.name).copied();
                    of_range(lake, &snapshot, table, (since, replaced, until))
                }
                WriteDisposition::Replace => whole(lake, &snapshot, table, since).await?,
                WriteDisposition::CommitLog => None,
            });
        }
        Ok(Self {
            lake_id: lake.identity().map(|it| it.lake_id.to_string()).unwrap_or_default(),
            lake: lake.root().to_string(),
            since,
            since_name,
            commit: until,
            commit_name: commit_name(lake, until).await?,
            schema_version: SCHEMA_VERSION.to_owned(),
            only: table.map(str::to_owned),
            tables,
        })
    }

    /// Whether the load of these changes leaves nothing of earlier loads.
    pub(super) fn is_complete(&self) -> bool {
        self.since == 0 && self.tables.iter().all(|table| table.load == Load::Whole)
    }

    /// The files of all tables.
    pub fn files(&self) -> impl Iterator<Item = &ChangedFile> {
        self.tables.iter().flat_map(|table| &table.files)
    }

    /// The manifest of a `COPY` of Redshift: the files of the one table, which must be in S3.
    ///
    /// # Errors
    /// [`WarehouseError::Manifest`].
    pub fn redshift_manifest(&self) -> Result<RedshiftManifest, WarehouseError> {
        if self.tables.len() > 1 {
            return Err(WarehouseError::Manifest("lists the files of one table"));
        }
        if !self.lake.starts_with("s3://") {
            return Err(WarehouseError::Manifest("needs a lake in S3"));
        }
        let entry = |file: &ChangedFile| ManifestEntry {
            url: file.path.clone(),
            mandatory: true,
            meta: ManifestMeta { content_length: file.bytes },
        };
        Ok(RedshiftManifest { entries: self.files().map(entry).collect() })
    }
}

/// The name of a commit of a lake; `None` for 0, which is before the first one.
async fn commit_name(lake: &LakeView, commit: u64) -> Result<Option<String>, LakeError> {
    match lake.head() {
        _ if commit == 0 => Ok(None),
        Some(head) if head.commit == commit => Ok(Some(head.staging.clone())),
        _ => Ok(Some(lake.commit_file(commit).await?.staging)),
    }
}

/// The manifest of a `COPY` of Redshift.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RedshiftManifest {
    entries: Vec<ManifestEntry>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct ManifestEntry {
    url: String,
    /// Whether the load fails if the file is missing.
    mandatory: bool,
    meta: ManifestMeta,
}

/// What Redshift needs to know of a Parquet file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct ManifestMeta {
    content_length: u64,
}

/// For each table whose earlier rows were replaced or removed by commits after `since`: the first
/// commit whose rows must be loaded again.
async fn first_commits(
    lake: &LakeView,
    since: u64,
    until: u64,
) -> Result<BTreeMap<&'static str, u64>, WarehouseError> {
    let mut first: BTreeMap<&'static str, u64> = BTreeMap::new();
    let newest = lake.head().map_or(0, |head| head.commit);
    // Everything is loaded anyway, and nothing was removed meanwhile.
    if since == 0 && until == newest {
        return Ok(first);
    }
    // Only from the first commit on that supersedes data files: most do not.
    let mut before: Option<Snapshot> = None;
    for commit in since + 1..=newest {
        let commit_file = lake.commit_file(commit).await?;
        let superseded = commit_file.superseded().filter(|path| append_table(path).is_some());
        let superseded: BTreeSet<String> = superseded.map(str::to_owned).collect();
        if before.is_none() && !superseded.is_empty() {
            before = Some(lake.snapshot_at(commit - 1).await?);
        }
        let Some(known) = &mut before else { continue };
        let gone = superseded.iter().filter_map(|path| known.get(path));
        for (table, least) in replaced_rows(&commit_file, gone) {
            if commit > until && least <= until {
                return Err(WarehouseError::NotExact { until, commit });
            }
            let first = first.entry(table).or_insert(since + 1);
            *first = least.min(*first);
        }
        known.apply(&commit_file);
    }
    Ok(first)
}

/// The tables of which a commit replaced or removed rows, with the least commit of these rows. A
/// merge that keeps all rows is none: each row keeps its `_commit`.
fn replaced_rows<'f>(
    commit_file: &CommitFile,
    gone: impl Iterator<Item = &'f LiveFile>,
) -> Vec<(&'static str, u64)> {
    let mut tables: BTreeMap<&'static str, (u64, u64)> = BTreeMap::new();
    for file in gone {
        let Some(table) = append_table(&file.part.path) else { continue };
        let (rows, least) = tables.entry(table.name).or_insert((0, u64::MAX));
        *rows += file.part.rows;
        *least = file.commits().least.min(*least);
    }
    let merged = |table: &str| {
        let parts = commit_file.parts.iter().filter(|part| part.table == table);
        parts.map(|part| part.rows).sum::<u64>()
    };
    let is_kept = |table: &str, rows: u64| commit_file.is_merge && merged(table) == rows;
    let tables = tables.into_iter().filter(|(table, (rows, _))| !is_kept(table, *rows));
    tables.map(|(table, (_, least))| (table, least)).collect()
}

/// The table of a data file, if it is one that rows are added to.
fn append_table(path: &str) -> Option<&'static Table> {
    let (name, _) = path.split_once('/')?;
    find(name).filter(|table| table.write == WriteDisposition::Append)
}

/// The changes of a table that rows are added to; `None` if there are none.
fn of_range(
    lake: &LakeView,
    snapshot: &Snapshot,
    table: &Table,
    (since, replaced, until): (u64, Option<u64>, u64),
) -> Option<TableChanges> {
    let first = replaced.unwrap_or(since + 1);
    let files = snapshot.iter().filter(|live| live.part.table == table.name);
    let files = files.filter(|live| {
        let commits = live.commits();
        commits.greatest >= first && commits.least <= until
    });
    let files: Vec<ChangedFile> = files.map(|live| changed_file(lake, live)).collect();
    // Everything: rows that are in the warehouse and not in the lake go too, as after a restore.
    let is_everything = since == 0 && lake.head().is_none_or(|head| head.commit == until);
    let load = if is_everything {
        Load::Whole
    } else {
        Load::Range { first_commit: first, last_commit: until }
    };
    // Also without files: a load that was killed may have inserted rows that were removed since.
    let has_changed = is_everything || replaced.is_some() || !files.is_empty();
    has_changed.then(|| TableChanges { table: table.name.to_owned(), load, files })
}

/// The changes of a table that is replaced as a whole; `None` if there are none.
async fn whole(
    lake: &LakeView,
    snapshot: &Snapshot,
    table: &Table,
    since: u64,
) -> Result<Option<TableChanges>, WarehouseError> {
    let live: Vec<&LiveFile> =
        snapshot.iter().filter(|live| live.part.table == table.name).collect();
    let has_changed = if live.is_empty() {
        since == 0 || lake.commit_file(since).await?.replaced_path(table.name).is_some()
    } else {
        live.iter().any(|live| live.commit > since)
    };
    let files = live.into_iter().map(|live| changed_file(lake, live)).collect();
    let table = table.name.to_owned();
    Ok(has_changed.then_some(TableChanges { table, load: Load::Whole, files }))
}

fn changed_file(lake: &LakeView, live: &LiveFile) -> ChangedFile {
    let (part, commits) = (&live.part, live.commits());
    ChangedFile {
        path: lake.store().location(&part.path).to_string(),
        rows: part.rows,
        bytes: part.bytes,
        sha256: part.sha256.clone(),
        least_commit: commits.least,
        greatest_commit: commits.greatest,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changes(lake: &str) -> Changes {
        let file = ChangedFile {
            path: format!("{lake}/runs/date=2026-11-23/a.parquet"),
            rows: 3,
            bytes: 4096,
            sha256: "00".repeat(32),
            least_commit: 2,
            greatest_commit: 5,
        };
        let load = Load::Range { first_commit: 4, last_commit: 5 };
        let runs = TableChanges { table: "runs".to_owned(), load, files: vec![file] };
        Changes {
            lake_id: "lake".to_owned(),
            lake: lake.to_owned(),
            since: 3,
            since_name: Some("00000003-a".to_owned()),
            commit: 5,
            commit_name: Some("00000005-b".to_owned()),
            schema_version: SCHEMA_VERSION.to_owned(),
            only: None,
            tables: vec![runs],
        }
    }

    #[test]
    fn the_last_commit_of_a_warehouse() {
        let loaded = |text: &str| text.parse::<LoadedCommit>();
        let named =
            |commit, name: Option<&str>| Ok(LoadedCommit { commit, name: name.map(str::to_owned) });
        assert_eq!(loaded("3"), named(3, None));
        assert_eq!(loaded("3:00000003-a"), named(3, Some("00000003-a")));
        // A load of a version that did not name commits, and an empty warehouse.
        assert_eq!(loaded("3:"), named(3, None));
        assert_eq!(loaded("0:"), named(0, None));
        for text in ["", ":00000003-a", "three", "-1"] {
            assert!(loaded(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_printed_is_read() {
        let changes = changes("/lake");
        let text = serde_json::to_string(&changes).unwrap();
        assert_eq!(serde_json::from_str::<Changes>(&text).unwrap(), changes);
    }

    #[test]
    fn a_manifest_for_redshift() {
        let of_s3 = changes("s3://bucket/lake");
        let manifest = serde_json::to_string_pretty(&of_s3.redshift_manifest().unwrap()).unwrap();
        insta::assert_snapshot!(manifest, @r#"
        {
          "entries": [
            {
              "url": "s3://bucket/lake/runs/date=2026-11-23/a.parquet",
              "mandatory": true,
              "meta": {
                "content_length": 4096
              }
            }
          ]
        }
        "#);
        assert!(changes("/lake").redshift_manifest().is_err());
        let mut two = of_s3;
        two.tables.push(two.tables[0].clone());
        assert!(two.redshift_manifest().is_err());
    }
}
