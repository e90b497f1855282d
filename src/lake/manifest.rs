//! The manifest: one commit, whole, in one file that is created once.

use serde::{Deserialize, Serialize};

use crate::digest::sha256_hex;
use crate::interval::Interval;
use crate::ledger::Entry;
use crate::tables::SCHEMA_VERSION;

/// One commit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// The number; the first is 1.
    pub commit: u64,
    /// The SHA-256 of the manifest file before it, in hexadecimal, so that a change of any but the
    /// newest shows; `None` in the first, and in those of versions that did not write it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<String>,
    /// The sync that made it; a replay and a repair have an id of their own.
    pub sync_id: String,
    /// When, by the server's clock, in microseconds since 1970.
    pub created_at: i64,
    /// The version of the tables in its parts.
    pub schema_version: String,
    /// The folder below `_armature/staging` that its parts came from.
    pub staging: String,
    /// The parts that it adds.
    pub parts: Vec<Part>,
    /// The tables that it replaces as a whole, one part each.
    pub replaced: Vec<Part>,
    /// Paths of older parts that are gone with this commit, and whose place no part takes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub removed: Vec<String>,
    /// Whether it only merges parts of earlier commits: it brings no row that they do not have.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_merge: bool,
    /// What it changes in the ledger: entries by run id; `null` forgets a run that is out of reach.
    pub ledger_changes: Vec<(String, Option<Entry>)>,
    /// The newest checkpoint of the ledger: it holds all changes up to and including its commit.
    pub ledger_checkpoint: Option<u64>,
    /// The SHA-256 of that checkpoint's file, in hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ledger_checkpoint_sha256: Option<String>,
    /// The SHA-256 of `format.json`, in hexadecimal; `None` in those of versions that did not write it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity_sha256: Option<String>,
    /// The time whose runs are all known, after this commit.
    pub proven: Vec<Interval>,
    /// The time whose runs can no longer be known, after this commit.
    pub gaps: Vec<Gap>,
    /// Whether the list went from new to old when the whole of it was last read.
    #[serde(default)]
    pub newest_first: Option<bool>,
    /// Tells how rows of the list were read, so that a corrected mapping lists all of them again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listing_mapping: Option<u64>,
    /// What the rows of each replaced table were made from, after this commit: tells whether
    /// they would change.
    pub contents: std::collections::BTreeMap<String, u64>,
    /// The sync's record, in the last commit of each sync.
    pub sync: Option<SyncRecord>,
}

/// `major.minor` as numbers; `None` for what is no version.
fn version(text: &str) -> Option<(u64, u64)> {
    let (major, minor) = text.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// What stands between a manifest's members and the SHA-256 of them, and after it.
const DIGEST: (&[u8], &[u8]) = (b",\"sha256\":\"", b"\"}");

/// Only the version of a manifest, whatever else it holds.
#[derive(Deserialize)]
struct Versioned {
    schema_version: String,
}

impl Manifest {
    /// The version of the tables that a manifest states, if it is later than this program's.
    pub(super) fn later_version(bytes: &[u8]) -> Option<String> {
        let found = serde_json::from_slice::<Versioned>(bytes).ok()?.schema_version;
        (version(&found)? > version(SCHEMA_VERSION)?).then_some(found)
    }

    /// The gaps as stretches of time.
    pub fn gap_intervals(&self) -> Vec<Interval> {
        self.gaps.iter().map(|gap| Interval { from: gap.from, until: gap.until }).collect()
    }

    /// The file: one JSON object, whose last member is the SHA-256 of all that stands before it.
    pub(super) fn encode(&self) -> Result<Vec<u8>, serde_json::Error> {
        let mut bytes = serde_json::to_vec(self)?;
        bytes.pop();
        let digest = sha256_hex(&bytes);
        for part in [DIGEST.0, digest.as_bytes(), DIGEST.1] {
            bytes.extend_from_slice(part);
        }
        Ok(bytes)
    }

    /// Reads what [`Manifest::encode`] made, byte for byte. One without a `sha256` is of the first
    /// version, which wrote none.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, String> {
        let manifest: Self = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        if has_own_digest(bytes) {
            return Ok(manifest);
        }
        let members: serde_json::Map<String, serde_json::Value> =
            serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        if members.contains_key("sha256") {
            return Err("it is not what was written: its `sha256` is another".to_owned());
        }
        if manifest.must_have_digest() {
            return Err("it is not what was written: its `sha256` is missing".to_owned());
        }
        Ok(manifest)
    }

    /// Whether the version that made it wrote a digest: all but the first do, and every member that
    /// came later shows that.
    fn must_have_digest(&self) -> bool {
        const WITHOUT: (u64, u64) = (1, 0);
        version(&self.schema_version).is_none_or(|version| version > WITHOUT)
            || self.previous.is_some()
            || self.ledger_checkpoint_sha256.is_some()
            || self.identity_sha256.is_some()
    }
}

/// Whether a manifest ends in the SHA-256 of all that stands before it.
fn has_own_digest(bytes: &[u8]) -> bool {
    const DIGITS: usize = 64;
    let tail = DIGEST.0.len() + DIGITS + DIGEST.1.len();
    let split = bytes.len().checked_sub(tail).and_then(|at| bytes.split_at_checked(at));
    let stated = split.and_then(|(members, tail)| {
        Some((members, tail.strip_prefix(DIGEST.0)?.strip_suffix(DIGEST.1)?))
    });
    stated.is_some_and(|(members, digest)| sha256_hex(members).as_bytes() == digest)
}

/// One Parquet file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// The table.
    pub table: String,
    /// Where it is, from the lake's root.
    pub path: String,
    /// How many rows it has.
    pub rows: u64,
    /// How long it is.
    pub bytes: u64,
    /// The SHA-256 of the file, in hexadecimal.
    pub sha256: String,
    /// The earliest start of the runs in it, in microseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub least_started_at: Option<i64>,
    /// The latest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub greatest_started_at: Option<i64>,
    /// Whether it holds later revisions of runs that earlier parts hold too.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub has_revisions: bool,
    /// The path of the older part whose place it takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<String>,
    /// The commits whose rows it holds, where these are not its own commit's: in a part that
    /// smaller ones were merged into. Each row's `_commit` is still the one that brought it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub merged: Option<CommitRange>,
}

/// Some commits, one after another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommitRange {
    /// The first of them.
    pub least: u64,
    /// The last.
    pub greatest: u64,
}

impl CommitRange {
    /// One commit alone.
    pub fn of(commit: u64) -> Self {
        Self { least: commit, greatest: commit }
    }

    /// Both, and what lies between.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self { least: self.least.min(other.least), greatest: self.greatest.max(other.greatest) }
    }

    /// Whether a commit is among them.
    pub fn contains(self, commit: u64) -> bool {
        (self.least..=self.greatest).contains(&commit)
    }
}

impl Manifest {
    /// Every part that must be in place once the commit is.
    pub fn all_parts(&self) -> impl Iterator<Item = &Part> {
        self.parts.iter().chain(&self.replaced)
    }

    /// The paths of older parts that are gone with this commit.
    pub fn superseded(&self) -> impl Iterator<Item = &str> {
        let replaced = self.parts.iter().filter_map(|part| part.replaces.as_deref());
        replaced.chain(self.removed.iter().map(String::as_str))
    }
}

/// Time whose runs can no longer be listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// Its begin, in microseconds since 1970.
    pub from: i64,
    /// Its end.
    pub until: i64,
    /// When it was found, by the server's clock.
    pub found_at: i64,
}

/// How a sweep over the list went.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SweepRecord {
    /// Pages asked for.
    pub pages: u32,
    /// How often the list was read from its head.
    pub looks: u32,
    /// Rows that stood on an earlier page too.
    pub repeats: u64,
    /// Runs that started while it was under way.
    pub head_moved: u64,
    /// Whether it ended early, in time that is proven.
    pub ended_early: bool,
    /// What proves it: `one_page`, `counted` or `seen_again`.
    pub proof: Option<String>,
}

impl Gap {
    /// Adds a gap to a sorted list: one that goes on where another ends makes that one longer.
    pub(super) fn add_to(self, gaps: &mut Vec<Self>) {
        match gaps.iter_mut().find(|gap| gap.until == self.from) {
            Some(gap) => gap.until = self.until,
            None => gaps.push(self),
        }
        gaps.sort_by_key(|gap| gap.from);
    }
}

/// What a sync did, for `status` and the `_syncs` table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncRecord {
    /// The sync.
    pub sync_id: String,
    /// `complete`, `incomplete`, `stopped` or `interrupted`.
    pub outcome: String,
    /// When it began, by the server's clock, in microseconds since 1970.
    pub started_at: i64,
    /// How long it took until this commit.
    pub elapsed_ms: u64,
    /// The `range` that it asked for.
    pub range: String,
    /// How its sweep went; `None` in records of versions that did not write it.
    #[serde(default)]
    pub sweep: Option<SweepRecord>,
    /// Whether its sweep came out complete.
    pub certified: bool,
    /// Why not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub uncertified_because: Vec<String>,
    /// Every run that started before is known.
    pub proven_until: Option<i64>,
    /// Runs listed.
    pub runs_listed: u64,
    /// Runs exported for the first time.
    pub runs_new: u64,
    /// Runs exported again at a higher revision.
    pub runs_changed: u64,
    /// Runs that had not ended, or waited for their evaluation.
    pub runs_open: u64,
    /// Runs whose documents could not be had.
    pub runs_failed: u64,
    /// Runs that were listed, and not known to the API by their id; `None` where a version wrote it
    /// that did not count them.
    #[serde(default)]
    pub runs_absent: Option<u64>,
    /// Runs exported with fewer rows than the API announces; `None` as above.
    #[serde(default)]
    pub runs_partial: Option<u64>,
    /// Requests sent.
    pub requests: u64,
    /// Bytes of bodies, decompressed.
    pub bytes_received: u64,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    /// A manifest with what every version writes, and some members of its own.
    fn manifest(more: &Value) -> Manifest {
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
        let manifest = manifest(&json!({"previous": "b"}));
        assert_eq!(Manifest::decode(&manifest.encode().unwrap()), Ok(manifest));
    }

    #[test]
    fn a_manifest_that_was_written_again_is_damaged() {
        let bytes = manifest(&json!({})).encode().unwrap();
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
            let error = Manifest::decode(&again).unwrap_err();
            assert!(error.ends_with("its `sha256` is another"), "{error}");
        }
    }

    #[test]
    fn only_the_first_version_has_no_digest() {
        let decode = |more: &Value| {
            let bytes = serde_json::to_vec(&manifest(more)).unwrap();
            Manifest::decode(&bytes).is_ok()
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
            let written = manifest(&json!({"previous": "b"})).encode().unwrap();
            let mut changed = written.clone();
            let at = at % changed.len();
            changed[at] = with;
            prop_assert_eq!(Manifest::decode(&changed).is_ok(), changed == written);
        }
    }
}
