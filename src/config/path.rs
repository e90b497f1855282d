//! Checks paths for forms that a shell or another program would interpret, and that this program
//! would take for the name of a folder.

use std::path::{Path, PathBuf};

use super::object_store::StoreUrl;

/// Refuses a path that is not in a local or mounted file system: an address, or a path with a part
/// that only a shell expands. A folder of such a name can be created, but the user would not find
/// it.
///
/// # Errors
/// The problem and the remedy, as a predicate. Of an address it contains only the scheme, because
/// the rest can contain a secret.
pub fn check_path(path: &Path) -> Result<(), String> {
    let text = path.to_string_lossy();
    if text.trim().is_empty() {
        return Err("is empty".to_owned());
    }
    if let Some(scheme) = scheme(&text) {
        return Err(if scheme.eq_ignore_ascii_case("file") {
            "is an address (`file:…`): write the path itself, such as `/data/lake`".to_owned()
        } else {
            format!(
                "is an address (`{scheme}:…`), and must be local or mounted; if it is the name of a \
                 file, write `./` before it"
            )
        });
    }
    if text.starts_with('~') {
        return Err("begins with `~`, which is not expanded here: write the whole path, or `./` \
                    before it if that is the name"
            .to_owned());
    }
    if let Some(variable) = variable(&text) {
        return Err(format!(
            "has the variable `{variable}`, which is not expanded here: write the whole path"
        ));
    }
    Ok(())
}

/// [`check_path`] for an argument of the command line.
///
/// # Errors
/// As [`check_path`].
pub fn local_path(path: PathBuf) -> Result<PathBuf, String> {
    check_path(&path).map(|()| path).map_err(|problem| format!("the path {problem}"))
}

/// Refuses a path of a lake that is neither in a local or mounted file system nor the address of an
/// object store.
///
/// # Errors
/// As [`check_path`].
pub fn check_lake_path(path: &Path) -> Result<(), String> {
    let text = path.to_string_lossy();
    if StoreUrl::is_meant(&text) {
        return text.parse::<StoreUrl>().map(drop);
    }
    check_path(path).map_err(|problem| {
        problem.replace(
            ", and must be local or mounted;",
            ", and a lake is in a folder, or in an object store (`s3://`, `gs://`, `az://`);",
        )
    })
}

/// [`check_lake_path`] for an argument of the command line.
///
/// # Errors
/// As [`check_lake_path`].
pub fn lake_path(path: PathBuf) -> Result<PathBuf, String> {
    check_lake_path(&path).map(|()| path).map_err(|problem| format!("the path {problem}"))
}

/// The text before the first colon, if it can be the scheme of an address. A single letter is a
/// Windows drive.
fn scheme(text: &str) -> Option<&str> {
    let (scheme, _) = text.split_once(':')?;
    let mut letters = scheme.chars();
    let is_scheme = letters.next().is_none_or(|first| first.is_ascii_alphabetic())
        && letters.all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '.' | '-'));
    (is_scheme && scheme.len() != 1).then_some(scheme)
}

/// The first `$NAME`, `${NAME}` or `%NAME%`.
fn variable(text: &str) -> Option<&str> {
    let starts_name = |c: char| c.is_ascii_alphabetic() || c == '_';
    let in_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.char_indices().filter(|(_, c)| matches!(c, '$' | '%')).find_map(|(at, sign)| {
        let found = text.get(at..)?;
        let rest = found.get(1..)?;
        let name = if sign == '$' { rest.strip_prefix('{').unwrap_or(rest) } else { rest };
        if !name.starts_with(starts_name) {
            return None;
        }
        let end = name.find(|c| !in_name(c)).unwrap_or(name.len());
        let after = name.get(end..)?;
        let ends = match (sign, rest.starts_with('{')) {
            ('$', false) => Some(0),
            ('$', true) => after.starts_with('}').then_some(1),
            _ => after.starts_with('%').then_some(1),
        }?;
        found.get(..found.len() - after.len() + ends)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn addresses_and_what_a_shell_expands_are_refused() {
        let cases = [
            ("s3://bucket/lake", "`s3:…`"),
            ("gs://bucket/lake", "`gs:…`"),
            ("az://container", "`az:…`"),
            ("abfss://c@account.dfs.core.windows.net/x", "`abfss:…`"),
            ("https://me:s3cret@host/x", "`https:…`"),
            ("s3:/bucket", "`s3:…`"),
            ("md:my_db", "`md:…`"),
            (":memory:", "`:…`"),
            ("file:///tmp/lake", "`file:…`"),
            ("FILE:///tmp/lake", "`file:…`"),
            ("~/lake", "`~`"),
            ("~", "`~`"),
            ("~me/lake", "`~`"),
            ("$HOME/lake", "`$HOME`"),
            ("/data/${DATA_DIR}/lake", "`${DATA_DIR}`"),
            ("%USERPROFILE%\\lake", "`%USERPROFILE%`"),
            ("/data/%DATA%/lake", "`%DATA%`"),
            ("", "is empty"),
            ("  ", "is empty"),
        ];
        for (path, words) in cases {
            let problem = check_path(Path::new(path)).unwrap_err();
            assert!(problem.contains(words) && !problem.contains("s3cret"), "{path}: {problem}");
        }
    }

    #[test]
    fn names_with_the_same_signs_are_paths() {
        for path in [
            "lake",
            "./~lake",
            "./s3:lake",
            "/data/2026-11-24T10:00/lake",
            "a b/c:d",
            "C:\\lake",
            "C:/lake",
            "/a~b/lake~",
            "/data/100%/lake",
            "/data/50%-a%/lake",
            "/data/$/lake",
            "/data/$1/lake",
            "../lake",
            "/größe/lake",
        ] {
            assert_eq!(check_path(Path::new(path)), Ok(()), "{path}");
        }
    }

    proptest! {
        #[test]
        fn any_text_has_an_answer(text in any::<String>()) {
            let refused = check_path(Path::new(&text)).is_err();
            let rooted = check_path(&Path::new("/").join(text.trim_start_matches('/'))).is_err();
            // A relative path that looks like an address is accepted below a folder.
            prop_assert!(refused || !rooted);
        }
    }
}
