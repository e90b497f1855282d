//! What publishing does to the files of a lake, the same for a local disk and for an object store in
//! both of its orders. Crashes in the middle are in the crash suite and the store suite.

use std::collections::BTreeMap;
use std::time::Duration;

use object_store::memory::InMemory;
use serde_json::json;
use tempfile::TempDir;

use super::cache::Cache;
use super::*;
use crate::config::ReadBy;
use crate::tables::SCHEMA_VERSION;

fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

/// A lake with a storage of its own.
struct TestLake {
    name: &'static str,
    store: LakeStore,
    _folder: TempDir,
}

/// One lake for each publishing strategy.
fn lakes() -> Vec<TestLake> {
    let local = |folder: &TempDir| LakeStore::local(folder.path());
    let remote = |folder: &TempDir, read_by| {
        LakeStore(Storage::Remote(Arc::new(Remote {
            url: "s3://bucket/lake".parse().unwrap(),
            objects: Arc::new(InMemory::new()),
            cache: Cache::new(folder.path().to_owned(), "s3://bucket/lake", 1000),
            read_by,
            lease: Duration::from_secs(1),
        })))
    };
    let lake = |name, make: &dyn Fn(&TempDir) -> LakeStore| {
        let folder = tempfile::tempdir().unwrap();
        TestLake { name, store: make(&folder), _folder: folder }
    };
    vec![
        lake("disk", &local),
        lake("store, read by files", &|folder| remote(folder, ReadBy::Files)),
        lake("store, read by tables", &|folder| remote(folder, ReadBy::Tables)),
    ]
}

impl TestLake {
    /// Whether superseded files stay beside the new ones until the grace time is over.
    fn keeps_superseded(&self) -> bool {
        self.name.ends_with("tables")
    }

    fn write(&self, path: &str, content: &str) {
        block_on(self.store.put(path, content.as_bytes().to_vec(), "write")).unwrap();
    }

    /// The content of all files whose names end in `.parquet`, by path, tombstones included.
    fn files(&self) -> BTreeMap<String, String> {
        let mut files = BTreeMap::new();
        for folder in ["runs", "spans", "workflows", TOMBSTONES, STAGING] {
            for path in self.store.files_below(folder).unwrap() {
                if path.ends_with(".parquet") {
                    let content = block_on(self.store.get(&path)).unwrap().unwrap();
                    files.insert(path, String::from_utf8(content.to_vec()).unwrap());
                }
            }
        }
        files
    }

    fn assert_files(&self, expected: &[(&str, &str)]) {
        let pairs = expected.iter().map(|(path, content)| ((*path).into(), (*content).into()));
        assert_eq!(self.files(), pairs.collect(), "{}", self.name);
    }
}

/// A commit of data files, as path, and the path that each replaces.
fn commit(parts: &[(&str, Option<&str>)], removed: &[&str], is_merge: bool) -> CommitFile {
    let part = |(path, replaces): &(&str, Option<&str>)| {
        json!({
            "table": path.split('/').next(), "path": path, "rows": 1, "bytes": 3,
            "sha256": "", "replaces": replaces,
        })
    };
    let (whole, parts): (Vec<_>, Vec<_>) =
        parts.iter().partition(|(path, _)| path.starts_with("workflows/"));
    let parts: Vec<_> = parts.into_iter().map(part).collect();
    let replaced: Vec<_> = whole.into_iter().map(part).collect();
    serde_json::from_value(json!({
        "commit": 2, "sync_id": "a", "created_at": 7, "schema_version": SCHEMA_VERSION,
        "staging": "00000002-a", "parts": parts, "replaced": replaced, "ledger_changes": [],
        "ledger_checkpoint": null, "proven": [], "gaps": [], "contents": {}, "sync": null,
        "removed": removed, "is_merge": is_merge,
    }))
    .unwrap()
}

fn staged(path: &str) -> String {
    format!("{STAGING}/00000002-a/{path}")
}

/// Publishes twice: the second time finds everything done.
fn publish_twice(lake: &TestLake, commit: &CommitFile) {
    lake.store.publish(commit).unwrap();
    let once = lake.files();
    assert_eq!(lake.store.unpublished(commit).unwrap(), None, "{}", lake.name);
    lake.store.publish(commit).unwrap();
    assert_eq!(lake.files(), once, "{}", lake.name);
}

#[test]
fn new_files_come_to_their_place_and_others_stay() {
    let commit =
        commit(&[("runs/date=1/b.parquet", None), ("spans/date=1/b.parquet", None)], &[], false);
    for lake in lakes() {
        lake.write("runs/date=1/a.parquet", "old");
        lake.write(&staged("runs/date=1/b.parquet"), "run");
        lake.write(&staged("spans/date=1/b.parquet"), "spa");
        let next = lake.store.unpublished(&commit).unwrap().map(|part| part.path.as_str());
        assert_eq!(next, Some("runs/date=1/b.parquet"), "{}", lake.name);
        publish_twice(&lake, &commit);
        lake.assert_files(&[
            ("runs/date=1/a.parquet", "old"),
            ("runs/date=1/b.parquet", "run"),
            ("spans/date=1/b.parquet", "spa"),
        ]);
    }
}

/// A crash left some files in their place, and the others in staging.
#[test]
fn what_was_begun_is_finished() {
    let commit =
        commit(&[("runs/date=1/b.parquet", None), ("spans/date=1/b.parquet", None)], &[], false);
    for lake in lakes() {
        lake.write("spans/date=1/b.parquet", "spa");
        lake.write(&staged("runs/date=1/b.parquet"), "run");
        publish_twice(&lake, &commit);
        lake.assert_files(&[("runs/date=1/b.parquet", "run"), ("spans/date=1/b.parquet", "spa")]);
    }
}

#[test]
fn a_file_that_is_nowhere_is_damage() {
    let commit =
        commit(&[("runs/date=1/b.parquet", None), ("spans/date=1/b.parquet", None)], &[], false);
    for lake in lakes() {
        lake.write(&staged("runs/date=1/b.parquet"), "run");
        let error = lake.store.publish(&commit).unwrap_err();
        let LakeError::Damaged { path, problem } = error else { panic!("{}: {error}", lake.name) };
        assert!(path.to_string().ends_with("spans/date=1/b.parquet"), "{}: {path}", lake.name);
        assert!(problem.contains("commit 2"), "{}: {problem}", lake.name);
        // `runs` comes last, so no reader sees a run without its spans.
        assert!(!lake.store.contains("runs/date=1/b.parquet").unwrap(), "{}", lake.name);
    }
}

/// A replay writes a file anew, and a table without days is replaced as a whole.
#[test]
fn a_file_takes_the_place_of_another() {
    let commit = commit(
        &[
            ("runs/date=1/b.parquet", Some("runs/date=1/a.parquet")),
            ("workflows/b.parquet", Some("workflows/a.parquet")),
        ],
        &[],
        false,
    );
    for lake in lakes() {
        for path in ["runs/date=1/a.parquet", "workflows/a.parquet", "runs/date=1/z.parquet"] {
            lake.write(path, "old");
        }
        for path in ["runs/date=1/b.parquet", "workflows/b.parquet"] {
            lake.write(&staged(path), "new");
        }
        publish_twice(&lake, &commit);
        lake.store.remove_tombstones("00000002-a").unwrap();
        lake.assert_files(&[
            ("runs/date=1/b.parquet", "new"),
            ("runs/date=1/z.parquet", "old"),
            ("workflows/b.parquet", "new"),
        ]);
    }
}

#[test]
fn a_merge_keeps_what_it_replaces_for_those_who_listed_it_before() {
    let (small, large) =
        (["runs/date=1/a.parquet", "runs/date=1/b.parquet"], "runs/date=1/c.parquet");
    let commit = commit(&[(large, None)], &small, true);
    for lake in lakes() {
        for path in small {
            lake.write(path, "few");
        }
        lake.write("runs/date=1/z.parquet", "own");
        lake.write(&staged(large), "all");
        publish_twice(&lake, &commit);
        let kept = small.map(|path| {
            if lake.keeps_superseded() {
                path.to_owned()
            } else {
                format!("{TOMBSTONES}/00000002-a/{path}")
            }
        });
        lake.assert_files(&[
            (&kept[0], "few"),
            (&kept[1], "few"),
            (large, "all"),
            ("runs/date=1/z.parquet", "own"),
        ]);
        let staying = lake.store.staying().unwrap();
        assert_eq!(staying.len(), if lake.keeps_superseded() { 2 } else { 0 }, "{}", lake.name);
        lake.store.remove_tombstones("00000002-a").unwrap();
        lake.assert_files(&[(large, "all"), ("runs/date=1/z.parquet", "own")]);
        assert_eq!(lake.store.staying().unwrap().len(), 0, "{}", lake.name);
    }
}
