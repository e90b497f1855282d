//! The folder `dbt/` of the repository is the package.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::{BY_HAND, package};
use crate::tables::{ColumnOverride, Kind, Mapping};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("dbt")
}

/// The files of a folder and its folders, by their paths in it.
fn files_below(folder: &Path) -> BTreeSet<String> {
    let (mut found, mut folders) = (BTreeSet::new(), vec![folder.to_owned()]);
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.insert(path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    found
}

#[test]
#[expect(clippy::disallowed_methods, reason = "how a person asks for the files to be made")]
fn the_package_in_the_repository_is_the_one_that_is_made() {
    let made = package(&Mapping::new(&[], &[]).unwrap());
    let (folder, update) = (folder(), std::env::var_os("UPDATE_DOCS").is_some());
    let by_hand = |path: &str| BY_HAND.iter().any(|(name, _)| *name == path);
    for file in made.iter().filter(|file| !by_hand(&file.path)) {
        let path = folder.join(&file.path);
        if update {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, &file.text).unwrap();
        }
        let found = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(found == file.text, "dbt/{} is stale: run with UPDATE_DOCS=1", file.path);
    }
    // An installation from the repository contains every file, also one that the program does not
    // write.
    let made: BTreeSet<String> = made.into_iter().map(|file| file.path).collect();
    let is_ignored = |path: &&String| {
        let first = path.split('/').next().unwrap();
        !matches!(first, "target" | "logs" | "dbt_packages" | ".user.yml")
    };
    let found: BTreeSet<String> = files_below(&folder).iter().filter(is_ignored).cloned().collect();
    assert_eq!(found, made);
}

/// A column of the user is documented, and dbt finds no template in what the user wrote.
#[test]
fn columns_of_users_are_documented() {
    let column = ColumnOverride {
        table: "runs".to_owned(),
        name: "team".to_owned(),
        kind: Some(Kind::Text),
        sources: vec!["metadata.team".to_owned()],
        description: Some("Who: \"{{ asks }}\" #1".to_owned()),
        ..ColumnOverride::default()
    };
    let files = package(&Mapping::new(&[column], &[]).unwrap());
    let staging = files.iter().find(|file| file.path == "models/staging/staging.yml").unwrap();
    let expected = "      - name: team\n        description: >-\n          Who: \
                    \"{{ '{' }}{{ '{' }} asks }}\" #1 Type: text.\n";
    assert!(staging.text.contains(expected), "{}", staging.text);
}
