//! Who may use whom: the order of the rooms in docs/ARCHITECTURE.md, kept by reading the code.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::path::{Path, PathBuf};

/// The rooms in order: each may use those before it.
const ROOMS: [&str; 26] = [
    "crash",
    "digest",
    "interval",
    "json",
    "run",
    "event",
    "ledger",
    "tables",
    "config",
    "api",
    "extract",
    "normalize",
    "lake",
    "parts",
    "deliver",
    "compact",
    "replay",
    "verify",
    "sync",
    "reconcile",
    "schedule",
    "observe",
    "notify",
    "failure",
    "service",
    "cli",
];

/// What a room must not use, though it stands later: room, word, why.
const ABSENT: [(&str, &str, &str); 15] = [
    ("extract", "arrow::", "it decides about requests, not about rows"),
    ("extract", "parquet::", "it decides about requests, not about rows"),
    ("normalize", "tokio::", "it is pure"),
    ("normalize", "reqwest::", "it is pure"),
    ("normalize", "crate::config", "it is pure: settings come as a mapping"),
    ("normalize", "crate::api", "it is pure"),
    ("normalize", "Instant::now", "it is pure"),
    ("lake", "reqwest::", "it knows no HTTP"),
    ("lake", "crate::api", "it knows no HTTP"),
    ("lake", "crate::json", "it knows no payload shapes"),
    ("lake", "crate::extract", "it knows no requests"),
    ("deliver", "crate::api", "it knows manifests and tables"),
    ("sync", "clap::", "it is no command"),
    ("sync", "crate::schedule", "it does not know when it runs"),
    ("reconcile", "clap::", "it is no command"),
];

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// The files of a room.
fn files(room: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let own = source().join(format!("{room}.rs"));
    found.extend(own.is_file().then_some(own));
    let mut folders = vec![source().join(room)];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(folder) else { continue };
        for path in entries.map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    found
}

/// The lines of code in a room, without comments.
fn code(room: &str) -> Vec<(String, String)> {
    let mut lines = Vec::new();
    for file in files(room) {
        let text = std::fs::read_to_string(&file).unwrap();
        let name = file.strip_prefix(source()).unwrap().display().to_string();
        let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
        lines.extend(code.map(|line| (name.clone(), line.to_owned())));
    }
    lines
}

#[test]
fn every_room_uses_only_rooms_before_it() {
    for (place, room) in ROOMS.iter().enumerate() {
        assert!(!files(room).is_empty(), "there is no room `{room}`");
        for later in &ROOMS[place + 1..] {
            let path = format!("crate::{later}::");
            for (file, line) in code(room) {
                assert!(!line.contains(&path), "src/{file} uses the later room `{later}`: {line}");
            }
        }
    }
}

#[test]
fn what_must_be_absent_is_absent() {
    for (room, word, why) in ABSENT {
        for (file, line) in code(room) {
            assert!(!line.contains(word), "src/{file} uses `{word}` ({why}): {line}");
        }
    }
}

#[test]
fn the_simulator_stands_alone() {
    for (file, line) in code("simulator") {
        let foreign = line.contains("crate::") && !line.contains("crate::simulator");
        assert!(!foreign, "src/{file} uses something of ours: {line}");
    }
}

#[test]
fn every_room_has_its_place() {
    for entry in std::fs::read_dir(source()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let known = ROOMS.contains(&name.as_str());
        assert!(known || matches!(name.as_str(), "lib" | "main" | "simulator"), "{name}");
    }
}
