//! A lake that is copied, file by file, while a sync writes it.

use std::fs;
use std::path::{Path, PathBuf};

use crate::small_commits::small_commits;
use crate::support::seeded::Seeded;

/// The names of all files below a folder, as far as they stay for so long.
fn names(folder: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for path in entries.filter_map(Result::ok).map(|entry| entry.path()) {
        if path.is_dir() {
            names(&path, found);
        } else {
            found.push(path);
        }
    }
}

/// Copies a lake in an order of its own; files that go meanwhile are left out, as `cp` does. What
/// is new at the end of a round is copied in a last one, as by a backup that lists folders late.
fn copy(from: &Path, to: &Path, seeded: &mut Seeded) {
    for _ in 0..2 {
        let mut files = Vec::new();
        names(from, &mut files);
        while !files.is_empty() {
            let end = u64::try_from(files.len()).unwrap();
            let file = files.swap_remove(usize::try_from(seeded.below(end)).unwrap());
            let target = to.join(file.strip_prefix(from).unwrap());
            if !target.exists() {
                fs::create_dir_all(target.parent().unwrap()).unwrap();
                drop(fs::copy(&file, &target));
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_made_while_a_sync_writes_is_whole_or_says_what_is_missing() {
    let mut export = small_commits(36, 8_000);
    let mut seeded = Seeded::new(5);
    let lake = export.lake.clone();
    let duckdb = export.duckdb.clone();
    let (mut whole, mut refused) = (0, Vec::new());
    for round in 0..6 {
        let mut child = export.start(&["sync"]);
        let pause = std::time::Duration::from_millis(100 + seeded.below(700));
        tokio::time::sleep(pause).await;
        let target = export.folder().join(format!("copy-{round}"));
        copy(&lake, &target, &mut seeded);
        if round % 2 == 0 {
            child.kill().unwrap();
        }
        child.wait().unwrap();
        export.lake = target;
        export.duckdb = export.folder().join(format!("copy-{round}.duckdb"));
        let ended = export.run(&["sync"]);
        match ended.code {
            Some(0) => {
                export.assert_equals_the_world();
                export.assert_nothing_half_or_double("a copy").await;
                whole += 1;
            }
            Some(6) => {
                assert!(
                    ended.told().contains(&format!("`[dir]/copy-{round}/")),
                    "{}",
                    ended.told()
                );
                refused.push(ended.told().lines().nth(1).unwrap_or_default().to_owned());
            }
            _ => panic!("{}", ended.told()),
        }
        export.lake.clone_from(&lake);
        export.duckdb.clone_from(&duckdb);
        export.simulator.advance(chrono::Duration::minutes(40));
    }
    export.sync_brings_everything();
    println!("{whole} copies were whole, {} were refused: {refused:#?}", refused.len());
}
