//! A lake that knows many runs: they are put into its ledger by commits, without data files.

use std::path::Path;

use armature_export::digest::sha256_hex;
use armature_export::lake::{CommitBuilder, CommitFile, Lake, LakeView};
use armature_export::ledger::{DocumentStates, Entry, LedgerChange, RunState};
use armature_export::run::DocumentState;
use armature_export::time::Timestamp;
use uuid::Uuid;

/// Runs of a commit: about as many as a long sync commits between two checkpoints.
const OF_COMMIT: usize = 50_000;

/// Adds so many exported runs to the ledger of a lake, `step` milliseconds apart, the newest of which
/// started at `newest` (milliseconds since 1970).
///
/// A commit of so many changes is a file of 17 MB. The content of those that the ledger's checkpoint
/// covers, which no sync reads, is removed again to spare the disk.
pub(crate) async fn add(root: &Path, runs: usize, newest: i64, step: i64) {
    let mut random = fastrand::Rng::with_seed(13);
    let mut lake = Lake::open(root).await.unwrap();
    let first = lake.next_commit();
    let (mut left, created_at) = (runs, lake.head().unwrap().created_at);
    while left > 0 {
        let count = left.min(OF_COMMIT);
        let commit = lake.next_commit();
        let change = |number: usize| -> LedgerChange {
            let id = uuid::Builder::from_random_bytes(random.u128(..).to_be_bytes()).into_uuid();
            let start = newest - step * i64::try_from(left - number).unwrap();
            (id.to_string(), Some(entry(commit, start, id)))
        };
        let draft = CommitBuilder {
            sync_id: Uuid::new_v4().to_string(),
            created_at,
            ledger_changes: (0..count).map(change).collect(),
            ..CommitBuilder::default()
        };
        let staging = lake.stage();
        lake.commit(staging, draft).await.unwrap();
        left -= count;
    }
    let checkpoint = lake.head().unwrap().ledger_checkpoint.unwrap_or(0);
    drop(lake);
    let view = LakeView::open(root).await.unwrap();
    for commit in first..checkpoint {
        let path = root.join(format!("_armature/manifests/{commit:08}.json"));
        let light = without_changes(view.commit_file(commit).await.unwrap());
        std::fs::write(path, light).unwrap();
    }
}

/// The content of a commit file without its changes of the ledger: deliveries still read it.
fn without_changes(commit: CommitFile) -> Vec<u8> {
    let light = CommitFile { ledger_changes: Vec::new(), ..commit };
    let mut bytes = serde_json::to_vec(&light).unwrap();
    bytes.pop();
    let digest = sha256_hex(&bytes);
    bytes.extend_from_slice(format!(",\"sha256\":\"{digest}\"}}").as_bytes());
    bytes
}

fn entry(commit: u64, start: i64, id: Uuid) -> Entry {
    let start = Timestamp::from_micros(start * 1000);
    let (fingerprint, content) = id.as_u64_pair();
    let ok = DocumentState::Ok;
    Entry {
        state: RunState::Exported,
        status: Some("pass".into()),
        started_at: Some(start),
        ended_at: Some(start + std::time::Duration::from_mins(4)),
        first_listed_at: start + std::time::Duration::from_mins(5),
        row_fingerprint: fingerprint,
        content_fingerprint: content,
        revision: 1,
        commit,
        documents: DocumentStates { detail: ok, trace: ok, evaluation: ok, tool_calls: ok },
        failures: 0,
        check_at: None,
        problem: None,
    }
}
