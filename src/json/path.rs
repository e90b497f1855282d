//! Paths of member names, as people write them: `workflow.id`, `attributes."gen_ai.system"`.
//!
//! Member names can hold dots themselves (those of OpenTelemetry do). A part in quotes is one
//! name. Parts without quotes are tried alone first, and then joined with the parts after them.

use std::borrow::Cow;

/// The beginning of a path: one member name, and the path to follow inside that member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PathSegment<'p> {
    /// The path from the name on.
    text: &'p str,
    /// The member name.
    pub name: &'p str,
    /// The path inside the member; `None` if the member itself is meant.
    pub rest: Option<&'p str>,
}

impl<'p> PathSegment<'p> {
    /// The shortest name that a path can begin with; `None` if the path is not well formed.
    pub fn first(path: &'p str) -> Option<Self> {
        if let Some(inside) = path.strip_prefix('"') {
            let (name, after) = inside.split_once('"')?;
            let rest = after.strip_prefix('.');
            return (rest.is_some() || after.is_empty()).then_some(Self { text: "", name, rest });
        }
        // Paths are short: checking each byte is faster than setting up a search.
        let (name, rest) = match path.bytes().position(|byte| byte == b'.') {
            Some(dot) => (path.get(..dot)?, path.get(dot + 1..)),
            None => (path, None),
        };
        Some(Self { text: path, name, rest })
    }

    /// The same path with a first name that includes one more part.
    fn longer(&self) -> Option<Self> {
        let rest = self.rest.filter(|rest| !self.text.is_empty() && !rest.starts_with('"'))?;
        let part = rest.find('.').unwrap_or(rest.len());
        let end = self.text.len() - rest.len() + part;
        let (name, after) = self.text.split_at_checked(end)?;
        Some(Self { text: self.text, name, rest: after.strip_prefix('.') })
    }

    /// Every name that a path can begin with, the shortest first.
    pub fn all(path: &'p str) -> impl Iterator<Item = Self> {
        std::iter::successors(Self::first(path), Self::longer)
    }
}

/// The last word of a path, after the last dot of its last name, in quotes or not: it names what a
/// value is.
pub fn last_word(path: &str) -> &str {
    path.trim_end_matches('"').rsplit(['.', '"']).next().unwrap_or(path)
}

/// Whether a path can be followed: no part is empty, and each quote is closed.
pub fn is_path(path: &str) -> bool {
    let mut rest = Some(path);
    while let Some(path) = rest {
        match PathSegment::first(path) {
            Some(step) if !step.name.is_empty() => rest = step.rest,
            _ => return false,
        }
    }
    true
}

/// A member name as a part of a path.
pub(super) fn part(name: &str) -> Cow<'_, str> {
    if name.contains('.') && !name.contains('"') {
        Cow::Owned(format!("\"{name}\""))
    } else {
        Cow::Borrowed(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all(path: &str) -> Vec<(&str, Option<&str>)> {
        PathSegment::all(path).map(|step| (step.name, step.rest)).collect()
    }

    #[test]
    fn the_last_word_stands_in_quotes_or_not() {
        for path in
            ["status", "eval.status", "\"eval.status\"", "a.\"eval.status\"", "a.\"status\""]
        {
            assert_eq!(last_word(path), "status", "{path}");
        }
    }

    #[test]
    fn a_path_begins_with_one_part_or_with_several_joined() {
        assert_eq!(all("id"), [("id", None)]);
        assert_eq!(all("a.b.c"), [("a", Some("b.c")), ("a.b", Some("c")), ("a.b.c", None)]);
        assert_eq!(all("\"a.b\".c"), [("a.b", Some("c"))]);
        assert_eq!(all("a.\"b.c\""), [("a", Some("\"b.c\""))]);
        assert_eq!(all("\"a"), []);
        assert_eq!(all("\"a\"b"), []);
    }

    #[test]
    fn a_path_has_no_empty_part_and_no_open_quote() {
        for path in ["a", "a.b", "\"a.b\"", "a.\"b.c\".d", "gen_ai.request.model"] {
            assert!(is_path(path), "{path}");
        }
        for path in ["", ".", "a.", ".a", "a..b", "\"\"", "\"a", "a.\"b", "\"a\"b", "\"a\"."] {
            assert!(!is_path(path), "{path}");
        }
    }

    proptest! {
        #[test]
        fn every_beginning_and_its_rest_are_the_whole_path(path in "[a-c.\"]{0,12}") {
            for step in PathSegment::all(&path).filter(|_| !path.contains('"')) {
                let whole = match step.rest {
                    Some(rest) => format!("{}.{rest}", step.name),
                    None => step.name.to_owned(),
                };
                prop_assert_eq!(whole, path.as_str());
            }
        }
    }
}
