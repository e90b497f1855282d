//! The commit file: one commit as one JSON file that is created once.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::FileStatistics;
use crate::digest::sha256_hex;
use crate::ledger::{Entry, RunTotals};
use crate::tables::{FieldIds, SCHEMA_VERSION};
use crate::time::{Interval, Timestamp};

/// One commit, as its file states it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CommitFile {
    /// Its number; the first is 1.
    pub commit: u64,
    /// The SHA-256 of the previous commit file, in hexadecimal, so that a change of any commit file
    /// but the newest is detected. `None` in the first commit, and in those of versions that did
    /// not write it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<String>,
    /// The id of the sync that made it; a replay, a merge and a repair have ids of their own.
    pub sync_id: String,
    /// When it was made: by the server's clock for a sync, by this machine's clock for a replay, a
    /// merge or a repair.
    pub created_at: Timestamp,
    /// The version of the tables in its data files.
    pub schema_version: String,
    /// The folder below `_armature/staging` that its data files came from. The name is unique, and
    /// identifies the commit after a restore too.
    pub staging: String,
    /// The data files that it adds.
    pub parts: Vec<DataFile>,
    /// The tables that it replaces as a whole, one data file each.
    pub replaced: Vec<DataFile>,
    /// Paths of data files that it removes, and whose place no new data file takes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub removed: Vec<String>,
    /// Whether it only merges data files of earlier commits, and so adds no rows.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_merge: bool,
    /// Changes of the ledger: entries by run id; `null` removes a run that is out of reach.
    pub ledger_changes: Vec<(String, Option<Entry>)>,
    /// The commit of the newest checkpoint of the ledger, which holds all changes up to and
    /// including that commit.
    pub ledger_checkpoint: Option<u64>,
    /// The SHA-256 of the file of that checkpoint, in hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ledger_checkpoint_sha256: Option<String>,
    /// The numbers of runs in the ledger after this commit. `None` in commits of versions that did not
    /// write it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ledger_totals: Option<RunTotals>,
    /// The commit of the newest checkpoint of the live files, which holds all data files that readers
    /// see after that commit. `None` in commits of versions that did not write it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files_checkpoint: Option<u64>,
    /// The SHA-256 of the file of that checkpoint, in hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files_checkpoint_sha256: Option<String>,
    /// The field ids of the user's columns after this commit.
    #[serde(default, skip_serializing_if = "FieldIds::is_empty")]
    pub field_ids: FieldIds,
    /// The path of the data file of each table that is replaced as a whole, after this commit.
    /// Earlier versions did not write it: see [`CommitFile::replaced_path`].
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub replaced_paths: BTreeMap<String, String>,
    /// The SHA-256 of `format.json`, in hexadecimal; `None` in commits of versions that did not
    /// write it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity_sha256: Option<String>,
    /// The coverage after this commit, which is the watermark of the incremental export: the time
    /// intervals whose runs are all known.
    #[serde(rename = "proven")]
    pub coverage: Vec<Interval>,
    /// The gaps after this commit: time whose runs can no longer be listed.
    pub gaps: Vec<Gap>,
    /// Whether the list went from new to old when all of it was last read.
    #[serde(default)]
    pub newest_first: Option<bool>,
    /// Fingerprint of how rows of the list were read: if the mapping is corrected, all reachable
    /// time is listed again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listing_mapping: Option<u64>,
    /// Fingerprint of what the rows of each replaced table were built from, after this commit:
    /// shows whether they would change.
    pub contents: BTreeMap<String, u64>,
    /// The record of the sync, in its last commit.
    pub sync: Option<SyncRecord>,
}

/// `major.minor` as numbers; `None` for any other text.
fn version(text: &str) -> Option<(u64, u64)> {
    let (major, minor) = text.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// What separates the other members of a commit file from its own SHA-256, and what follows the
/// SHA-256.
const DIGEST: (&[u8], &[u8]) = (b",\"sha256\":\"", b"\"}");

/// The version of a commit file, read without the other members, which may differ in later
/// versions.
#[derive(Deserialize)]
struct Versioned {
    schema_version: String,
}

impl CommitFile {
    /// The version of the tables that a commit file states, if it is later than this program's.
    pub(super) fn later_version(bytes: &[u8]) -> Option<String> {
        let found = serde_json::from_slice::<Versioned>(bytes).ok()?.schema_version;
        (version(&found)? > version(SCHEMA_VERSION)?).then_some(found)
    }

    /// The gaps as time intervals.
    pub fn gap_intervals(&self) -> Vec<Interval> {
        self.gaps.iter().map(|gap| Interval { from: gap.from, until: gap.until }).collect()
    }

    /// The content of the commit file: one JSON object, whose last member is the SHA-256 of all
    /// bytes before it.
    pub(super) fn encode(&self) -> Result<Vec<u8>, serde_json::Error> {
        let mut bytes = serde_json::to_vec(self)?;
        bytes.pop();
        let digest = sha256_hex(&bytes);
        for part in [DIGEST.0, digest.as_bytes(), DIGEST.1] {
            bytes.extend_from_slice(part);
        }
        Ok(bytes)
    }

    /// Reads what [`CommitFile::encode`] wrote, and accepts only exactly these bytes. A file without
    /// `sha256` is of the first version, which did not write it.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, String> {
        let commit_file: Self = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        if has_own_digest(bytes) {
            return Ok(commit_file);
        }
        let members: serde_json::Map<String, serde_json::Value> =
            serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        if members.contains_key("sha256") {
            return Err("it was changed after it was written: its `sha256` differs".to_owned());
        }
        if commit_file.must_have_digest() {
            return Err("it is not what was written: its `sha256` is missing".to_owned());
        }
        Ok(commit_file)
    }

    /// Whether the version that made it wrote a digest. All versions but the first do, and each
    /// member that was added later shows a later version.
    fn must_have_digest(&self) -> bool {
        const WITHOUT: (u64, u64) = (1, 0);
        version(&self.schema_version).is_none_or(|version| version > WITHOUT)
            || self.previous.is_some()
            || self.ledger_checkpoint_sha256.is_some()
            || self.files_checkpoint.is_some()
            || self.identity_sha256.is_some()
    }
}

/// Whether a commit file ends in the SHA-256 of all bytes before it.
fn has_own_digest(bytes: &[u8]) -> bool {
    const DIGITS: usize = 64;
    let tail = DIGEST.0.len() + DIGITS + DIGEST.1.len();
    let split = bytes.len().checked_sub(tail).and_then(|at| bytes.split_at_checked(at));
    let stated = split.and_then(|(members, tail)| {
        Some((members, tail.strip_prefix(DIGEST.0)?.strip_suffix(DIGEST.1)?))
    });
    stated.is_some_and(|(members, digest)| sha256_hex(members).as_bytes() == digest)
}

/// One Parquet file of a table, as its commit describes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataFile {
    /// The name of its table.
    pub table: String,
    /// Its path, relative to the lake's root.
    pub path: String,
    /// The number of its rows.
    pub rows: u64,
    /// Its length in bytes.
    pub bytes: u64,
    /// The SHA-256 of the file, in hexadecimal.
    pub sha256: String,
    /// The earliest start of its runs, by the server's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub least_started_at: Option<Timestamp>,
    /// The latest start of its runs, by the server's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub greatest_started_at: Option<Timestamp>,
    /// Whether it holds later revisions of runs that earlier data files also hold.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub has_revisions: bool,
    /// The path of the older data file whose place it takes: after a replay, or of a table that is
    /// replaced as a whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<String>,
    /// The commits whose rows it holds, if it was merged from smaller data files; `None` if its
    /// rows are its own commit's. Each row's `_commit` is still the commit that added the row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub merged: Option<CommitRange>,
    /// Statistics of its columns; `None` in commits of versions that did not write them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub statistics: Option<FileStatistics>,
}

/// A range of consecutive commits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommitRange {
    /// The first commit of the range.
    pub least: u64,
    /// The last commit of the range.
    pub greatest: u64,
}

impl CommitRange {
    /// The range of a single commit.
    pub fn of(commit: u64) -> Self {
        Self { least: commit, greatest: commit }
    }

    /// The smallest range that holds both ranges.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self { least: self.least.min(other.least), greatest: self.greatest.max(other.greatest) }
    }

    /// Whether the range holds a commit.
    pub fn contains(self, commit: u64) -> bool {
        (self.least..=self.greatest).contains(&commit)
    }
}

impl CommitFile {
    /// Every data file that must be in place once the commit is published.
    pub fn all_parts(&self) -> impl Iterator<Item = &DataFile> {
        self.parts.iter().chain(&self.replaced)
    }

    /// The path of the data file of a table that is replaced as a whole, after this commit; `None`
    /// if it has none. Earlier versions gave it the same name in every commit.
    pub fn replaced_path(&self, table: &str) -> Option<String> {
        let recorded = self.replaced_paths.get(table).cloned();
        recorded.or_else(|| {
            self.contents.contains_key(table).then(|| format!("{table}/{table}.parquet"))
        })
    }

    /// The paths of older data files that this commit replaces or removes.
    pub fn superseded(&self) -> impl Iterator<Item = &str> {
        let replaced = self.all_parts().filter_map(|part| part.replaces.as_deref());
        replaced.chain(self.removed.iter().map(String::as_str))
    }
}

/// A gap: time whose runs can no longer be listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// Its start, by the server's clock.
    pub from: Timestamp,
    /// Its end, by the server's clock.
    pub until: Timestamp,
    /// When it was found, by the server's clock.
    pub found_at: Timestamp,
}

/// The result of a list scan. Names are those of the commit file and of `_syncs`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScanRecord {
    /// Pages requested.
    pub pages: u32,
    /// Passes: how often the list was read from its head.
    pub looks: u32,
    /// Rows that were already on an earlier page.
    pub repeats: u64,
    /// Runs that started during the scan.
    pub head_moved: u64,
    /// Whether it ended early, in covered time.
    pub ended_early: bool,
    /// The proof of its completeness: `one_page`, `counted` or `seen_again`; `None` if it is not
    /// certified.
    pub proof: Option<String>,
}

impl Gap {
    /// Adds a gap to a sorted list; a gap that starts where another one ends extends that one.
    pub(super) fn add_to(self, gaps: &mut Vec<Self>) {
        match gaps.iter_mut().find(|gap| gap.until == self.from) {
            Some(gap) => gap.until = self.until,
            None => gaps.push(self),
        }
        gaps.sort_by_key(|gap| gap.from);
    }
}

/// The record of a sync, for `status` and the `_syncs` table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncRecord {
    /// The id of the sync.
    pub sync_id: String,
    /// `complete`, `incomplete`, `stopped` or `interrupted`.
    pub outcome: String,
    /// When it started, by the server's clock.
    pub started_at: Timestamp,
    /// Milliseconds from its start to this commit.
    pub elapsed_ms: u64,
    /// The `range` that it requested: `24h`, `7d` or `30d`.
    pub range: String,
    /// The result of its list scan; `None` in records of versions that did not write it.
    #[serde(default)]
    pub sweep: Option<ScanRecord>,
    /// Whether its list scan was certified.
    pub certified: bool,
    /// The reasons why it was not certified; empty if it was.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub uncertified_because: Vec<String>,
    /// The end of the coverage's last interval, by the server's clock; `None` if nothing is covered.
    pub proven_until: Option<Timestamp>,
    /// Runs listed.
    pub runs_listed: u64,
    /// Runs exported for the first time.
    pub runs_new: u64,
    /// Runs exported again at a higher revision.
    pub runs_changed: u64,
    /// Runs that had not ended, or waited for their evaluation.
    pub runs_open: u64,
    /// Runs of which a document could not be fetched.
    pub runs_failed: u64,
    /// Runs that were listed and that the API does not know by their id; `None` in records of
    /// versions that did not count them.
    #[serde(default)]
    pub runs_absent: Option<u64>,
    /// Runs exported with fewer rows than the API announces; `None` as above.
    #[serde(default)]
    pub runs_partial: Option<u64>,
    /// Requests sent.
    pub requests: u64,
    /// Bytes of response bodies, after decompression.
    pub bytes_received: u64,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    /// A commit with the members that every version writes, and some more.
    fn commit_file(more: &Value) -> CommitFile {
        let mut members = json!({
            "commit": 2, "sync_id": "a", "created_at": 7, "schema_version": SCHEMA_VERSION,
            "staging": "00000002-a", "parts": [], "replaced": [], "ledger_changes": [],
            "ledger_checkpoint": null, "proven": [{"from": 1, "until": 2}], "gaps": [],
            "contents": {}, "sync": null,
        });
        for (name, value) in more.as_object().unwrap() {
            members[name] = value.clone();
        }
        serde_json::from_value(members).unwrap()
    }

    #[test]
    fn what_was_written_is_read() {
        let commit_file = commit_file(&json!({"previous": "b"}));
        assert_eq!(CommitFile::decode(&commit_file.encode().unwrap()), Ok(commit_file));
    }

    #[test]
    fn a_commit_file_that_was_written_again_is_damaged() {
        let bytes = commit_file(&json!({})).encode().unwrap();
        let value: Value = serde_json::from_slice(&bytes).unwrap();
        let mut with_more = value.clone();
        with_more["zzz"] = "later".into();
        let mut spaced = bytes.clone();
        spaced.push(b'\n');
        for again in [
            serde_json::to_vec_pretty(&value).unwrap(),
            serde_json::to_vec(&with_more).unwrap(),
            spaced,
        ] {
            let error = CommitFile::decode(&again).unwrap_err();
            assert!(error.ends_with("its `sha256` differs"), "{error}");
        }
    }

    #[test]
    fn only_the_first_version_has_no_digest() {
        let decode = |more: &Value| {
            let bytes = serde_json::to_vec(&commit_file(more)).unwrap();
            CommitFile::decode(&bytes).is_ok()
        };
        assert!(decode(&json!({"schema_version": "1.0"})));
        for later in [
            json!({}),
            json!({"schema_version": "1.1"}),
            json!({"schema_version": "one"}),
            json!({"schema_version": "1.0", "previous": "b"}),
            json!({"schema_version": "1.0", "ledger_checkpoint_sha256": "b"}),
            json!({"schema_version": "1.0", "identity_sha256": "b"}),
        ] {
            assert!(!decode(&later), "{later}");
        }
    }

    proptest! {
        #[test]
        fn every_other_byte_shows(at in 0..1000_usize, with in any::<u8>()) {
            let written = commit_file(&json!({"previous": "b"})).encode().unwrap();
            let mut changed = written.clone();
            let at = at % changed.len();
            changed[at] = with;
            prop_assert_eq!(CommitFile::decode(&changed).is_ok(), changed == written);
        }
    }
}
