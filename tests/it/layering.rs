//! Which module may use which: the order of the modules in docs/ARCHITECTURE.md, kept by reading the code.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The modules in order: each may use those before it.
const MODULES: [&str; 35] = [
    "crash",
    "digest",
    "tls",
    "time",
    "json",
    "run",
    "event",
    "ledger",
    "tables",
    "metrics",
    "dbt",
    "config",
    "api",
    "listing",
    "extract",
    "normalize",
    "lake",
    "data_files",
    "query",
    "warehouse",
    "targets",
    "job",
    "compact",
    "replay",
    "verify",
    "report",
    "sync",
    "reconcile",
    "gate",
    "schedule",
    "observe",
    "notify",
    "failure",
    "service",
    "cli",
];

/// What a module must not use, though it stands later: module, word, why.
const ABSENT: [(&str, &str, &str); 17] = [
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
    ("query", "crate::api", "it knows data files and tables"),
    ("targets", "crate::api", "it knows commits and tables"),
    ("sync", "clap::", "it is not a command"),
    ("sync", "crate::schedule", "it does not know when it runs"),
    ("reconcile", "clap::", "it is not a command"),
    ("gate", "clap::", "it is not a command"),
];

/// A source file without its unit tests and its comments.
struct Source {
    /// Such as `["lake", "open"]`; empty for `lib.rs`.
    module: Vec<String>,
    /// Relative to `src`.
    file: String,
    code: String,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// All source files, by module.
fn sources() -> BTreeMap<Vec<String>, Source> {
    let (mut found, mut folders) = (BTreeMap::new(), vec![root()]);
    while let Some(folder) = folders.pop() {
        for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            let stem = path.file_stem().unwrap().to_str().unwrap();
            if path.is_dir() {
                folders.push(path.clone());
            } else if path.extension().is_some_and(|it| it == "rs") && stem != "tests" {
                let source = source(&path);
                found.insert(source.module.clone(), source);
            }
        }
    }
    found.retain(|module, _| !module.iter().any(|name| name == "tests"));
    found
}

fn source(path: &Path) -> Source {
    let relative = path.strip_prefix(root()).unwrap();
    let mut module: Vec<String> = relative
        .with_extension("")
        .components()
        .map(|part| part.as_os_str().to_str().unwrap().to_owned())
        .collect();
    if module == ["lib"] || module.last().is_some_and(|name| name == "mod") {
        module.pop();
    }
    let text = std::fs::read_to_string(path).unwrap();
    let text = text.split("#[cfg(test)]\nmod tests").next().unwrap();
    let lines = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    let code = lines.collect::<Vec<_>>().join("\n");
    Source { module, file: relative.display().to_string(), code }
}

/// The paths of a use tree: `a::{b, c::d}` → `a::b`, `a::c::d`.
fn expanded(tree: &str, prefix: &[String], paths: &mut Vec<Vec<String>>) {
    let mut depth = 0;
    // Commas inside a group do not separate.
    let items: Vec<&str> = tree
        .split(|letter| {
            match letter {
                '{' => depth += 1,
                '}' => depth -= 1,
                _ => {}
            }
            letter == ',' && depth == 0
        })
        .collect();
    for item in items.into_iter().map(str::trim).filter(|item| !item.is_empty()) {
        let (path, group) = match item.split_once('{') {
            Some((path, group)) => (path, group.rsplit_once('}').map(|(inner, _)| inner)),
            None => (item.split(" as ").next().unwrap(), None),
        };
        let names = path.split("::").map(str::trim).filter(|name| !name.is_empty());
        let mut whole = prefix.to_vec();
        whole.extend(names.map(str::to_owned));
        match group {
            Some(inner) => expanded(inner, &whole, paths),
            None => paths.push(whole),
        }
    }
}

/// What a file uses of this crate, as paths from its root: imports, grouped or not, and paths
/// inside the code.
fn used(source: &Source, modules: &BTreeMap<Vec<String>, Source>) -> Vec<Vec<String>> {
    const IMPORTS: [&str; 4] = ["use ", "pub use ", "pub(crate) use ", "pub(super) use "];
    let (mut paths, mut rest) = (Vec::new(), String::new());
    let mut lines = source.code.lines();
    while let Some(line) = lines.next() {
        let import = IMPORTS.iter().find_map(|start| line.trim_start().strip_prefix(start));
        let Some(import) = import else {
            rest.push_str(line);
            rest.push('\n');
            continue;
        };
        let mut tree = import.to_owned();
        while !tree.contains(';') {
            tree.push_str(lines.next().unwrap_or(";"));
        }
        expanded(tree.split(';').next().unwrap(), &[], &mut paths);
    }
    let is_of_path = |letter: char| letter.is_alphanumeric() || matches!(letter, '_' | ':');
    let inline = rest.split(|letter| !is_of_path(letter));
    let inline = inline.filter(|word| word.starts_with("crate::") || word.starts_with("super::"));
    paths.extend(inline.map(|word| word.split("::").map(str::to_owned).collect()));
    let resolved = paths.into_iter().filter_map(|path| resolve(source, path, modules));
    resolved.collect()
}

fn resolve(
    source: &Source,
    mut path: Vec<String>,
    modules: &BTreeMap<Vec<String>, Source>,
) -> Option<Vec<String>> {
    let mut base = match path.first()?.as_str() {
        "crate" => Vec::new(),
        "self" | "super" => source.module.clone(),
        child => {
            let own = [source.module.clone(), vec![child.to_owned()]].concat();
            return modules.contains_key(&own).then(|| [source.module.clone(), path].concat());
        }
    };
    while let Some("crate" | "self" | "super") = path.first().map(String::as_str) {
        if path.remove(0) == "super" {
            base.pop();
        }
    }
    base.extend(path);
    Some(base)
}

/// The module that has an item: re-exports are followed.
fn owner(
    path: &[String],
    modules: &BTreeMap<Vec<String>, Source>,
    exports: &BTreeMap<Vec<String>, Vec<String>>,
) -> Option<Vec<String>> {
    let length = (0..=path.len()).rev().find(|length| modules.contains_key(&path[..*length]))?;
    let item = path.get(..=length).and_then(|item| exports.get(item));
    match item {
        Some(target) => owner(target, modules, exports),
        None => Some(path[..length].to_vec()),
    }
}

/// The files of one module with all inside it.
fn within<'s>(
    modules: &'s BTreeMap<Vec<String>, Source>,
    module: &str,
) -> impl Iterator<Item = &'s Source> {
    modules.values().filter(move |it| it.module.first().is_some_and(|first| first == module))
}

#[test]
fn every_module_uses_only_modules_before_it() {
    let modules = sources();
    for (place, module) in MODULES.iter().enumerate() {
        assert!(within(&modules, module).next().is_some(), "there is no module `{module}`");
        for source in within(&modules, module) {
            for path in used(source, &modules) {
                let later =
                    MODULES[place + 1..].iter().find(|it| path.first().is_some_and(|p| p == *it));
                assert!(later.is_none(), "src/{} uses a later module: {path:?}", source.file);
            }
        }
    }
}

#[test]
fn modules_inside_a_module_do_not_import_each_other_in_a_circle() {
    let modules = sources();
    let exports = exports(&modules);
    // For each parent: which of its children uses which.
    let mut uses: BTreeMap<(Vec<String>, String), BTreeSet<String>> = BTreeMap::new();
    for source in modules.values() {
        for path in used(source, &modules) {
            let Some(target) = owner(&path, &modules, &exports) else { continue };
            let shared = source.module.iter().zip(&target).take_while(|(a, b)| a == b).count();
            if let (Some(one), Some(other)) = (source.module.get(shared), target.get(shared)) {
                let parent = source.module[..shared].to_vec();
                uses.entry((parent, one.clone())).or_default().insert(other.clone());
            }
        }
    }
    for (parent, child) in uses.keys() {
        let (mut reached, mut next) = (BTreeSet::new(), vec![child.clone()]);
        while let Some(at) = next.pop() {
            for other in uses.get(&(parent.clone(), at)).into_iter().flatten() {
                assert!(
                    other != child,
                    "`{child}` in `{}` is used by a module that it uses: {reached:?}",
                    parent.join("::")
                );
                if reached.insert(other.clone()) {
                    next.push(other.clone());
                }
            }
        }
    }
    assert!(uses.len() > 100, "too little was read: {}", uses.len());
}

/// A module that a child takes items from must not use that child, other than to show its items.
#[test]
fn a_module_does_not_import_from_the_children_that_import_from_it() {
    let modules = sources();
    let exports = exports(&modules);
    let mut checked = 0;
    for source in modules.values() {
        for path in used(source, &modules) {
            let Some(parent) = owner(&path, &modules, &exports) else { continue };
            let is_parent = source.module.len() > parent.len() && !parent.is_empty();
            if !is_parent || !source.module.starts_with(&parent) || is_module(&path, &modules) {
                continue;
            }
            checked += 1;
            let child = &source.module[..=parent.len()];
            for back in used(&without_reexports(&modules[&parent]), &modules) {
                let found = owner(&back, &modules, &exports).unwrap_or_default();
                assert!(
                    !found.starts_with(child),
                    "src/{} uses {path:?} of `{}`, which uses {back:?}",
                    source.file,
                    parent.join("::")
                );
            }
        }
    }
    assert!(checked > 0, "too little was read");
}

fn is_module(path: &[String], modules: &BTreeMap<Vec<String>, Source>) -> bool {
    modules.contains_key(path)
}

/// Where the items are that modules show under their own names.
fn exports(modules: &BTreeMap<Vec<String>, Source>) -> BTreeMap<Vec<String>, Vec<String>> {
    let mut exports = BTreeMap::new();
    for source in modules.values() {
        for path in used(source, modules) {
            if path.starts_with(&source.module) && path.len() > source.module.len() + 1 {
                let name = path.last().unwrap().clone();
                exports.insert([source.module.clone(), vec![name]].concat(), path);
            }
        }
    }
    exports
}

/// The module without its `pub use` lines.
fn without_reexports(source: &Source) -> Source {
    let mut code = String::new();
    let mut lines = source.code.lines();
    while let Some(line) = lines.next() {
        if !line.trim_start().starts_with("pub use") && !line.starts_with("pub(crate) use") {
            code.push_str(line);
            code.push('\n');
            continue;
        }
        let mut line = line;
        while !line.contains(';') {
            line = lines.next().unwrap_or(";");
        }
    }
    Source { module: source.module.clone(), file: source.file.clone(), code }
}

#[test]
fn what_must_be_absent_is_absent() {
    let modules = sources();
    for (module, word, why) in ABSENT {
        for source in within(&modules, module) {
            let name = word.strip_prefix("crate::");
            let is_used =
                used(source, &modules).iter().any(|path| path.first().map(String::as_str) == name);
            let is_there = source.code.contains(word) || (name.is_some() && is_used);
            assert!(!is_there, "src/{} uses `{word}` ({why})", source.file);
        }
    }
}

/// Modules that read or write a lake. They do it through `LakeStore`, which alone knows where the
/// lake is: on a disk today, elsewhere tomorrow.
const USERS_OF_LAKES: [&str; 11] = [
    "lake",
    "data_files",
    "compact",
    "replay",
    "verify",
    "sync",
    "reconcile",
    "gate",
    "observe",
    "normalize",
    "extract",
];

/// What opens, looks for or names a file of the local file system.
const FILE_ACCESS: [&str; 9] = [
    "std::fs",
    "fs::",
    "File::",
    "OpenOptions",
    ".exists()",
    ".is_dir()",
    ".is_file()",
    "read_dir",
    "Path::new(",
];

/// Whether a word is there, and not as the end of a longer name.
fn is_used(code: &str, word: &str) -> bool {
    code.match_indices(word).any(|(place, _)| {
        let before = code.get(..place).and_then(|before| before.chars().next_back());
        word.starts_with('.') || !before.is_some_and(|it| it.is_alphanumeric() || it == '_')
    })
}

#[test]
fn only_the_storage_of_a_lake_touches_its_files() {
    let modules = sources();
    let is_storage = |source: &&Source| source.module.starts_with(&["lake".into(), "store".into()]);
    let mut storage = 0;
    for source in modules.values() {
        let first = source.module.first().map_or("", String::as_str);
        if is_storage(&source) {
            storage += FILE_ACCESS.iter().filter(|word| source.code.contains(**word)).count();
            continue;
        }
        // The name of the folder that makes a folder a lake, except in messages and table names.
        let names_own_folder = source.code.contains("\"_armature/");
        assert!(!names_own_folder || first == "lake", "src/{} names lake paths", source.file);
        if USERS_OF_LAKES.contains(&first) {
            for word in FILE_ACCESS {
                let is_there = is_used(&source.code, word);
                assert!(!is_there, "src/{} uses `{word}` beside the storage", source.file);
            }
        }
    }
    assert!(storage > 5, "the storage module was not found");
}

#[test]
fn the_simulator_stands_alone() {
    let modules = sources();
    for source in within(&modules, "simulator") {
        for path in used(source, &modules) {
            let own = path.first().is_some_and(|first| first == "simulator");
            assert!(own, "src/{} uses something outside the simulator: {path:?}", source.file);
        }
    }
}

#[test]
fn every_module_has_its_place() {
    for entry in std::fs::read_dir(root()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let known = MODULES.contains(&name.as_str());
        assert!(known || matches!(name.as_str(), "lib" | "main" | "simulator"), "{name}");
    }
}

/// The reader of imports itself.
#[test]
fn a_grouped_import_is_read_whole() {
    let mut paths = Vec::new();
    expanded("crate::{a::{b, c as d}, e}", &[], &mut paths);
    let paths: Vec<String> = paths.iter().map(|path| path.join("::")).collect();
    assert_eq!(paths, ["crate::a::b", "crate::a::c", "crate::e"]);
}
