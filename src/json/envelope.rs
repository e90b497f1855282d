//! Finding the list, or the object, in a body whose wrapping is not documented.

use std::borrow::Cow;

use super::{Kind, Node, Record};

/// Names under which lists stand in bodies of this API and its siblings.
///
/// `rows` is documented for `/mcp-servers`; `sessions`, `runs` and `products` are seen elsewhere;
/// the rest are the usual ones.
pub const LIST_NAMES: &[&str] = &[
    "rows",
    "runs",
    "data",
    "items",
    "results",
    "records",
    "entries",
    "toolCalls",
    "tool_calls",
    "sessions",
    "workflows",
    "mcpServers",
    "mcp_servers",
    "spans",
    "events",
];

/// A list that was found in a body.
#[derive(Debug)]
pub struct List<'a> {
    /// The member that holds it; `None` where the body itself is the list.
    pub name: Option<&'static str>,
    /// Its elements.
    pub elements: Vec<Node<'a>>,
}

/// An object whose members are read once and asked often.
#[derive(Clone, Debug)]
pub struct Body<'a> {
    node: Node<'a>,
    members: Vec<(Cow<'a, str>, Node<'a>)>,
}

impl<'a> Body<'a> {
    /// Reads the members of an object; another value has none.
    pub fn new(node: Node<'a>) -> Self {
        Self { node, members: node.members().unwrap_or_default() }
    }

    /// The value itself.
    pub fn node(&self) -> Node<'a> {
        self.node
    }

    /// How many members there are.
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// The first member of that name.
    pub fn get(&self, name: &str) -> Option<Node<'a>> {
        self.members.iter().find(|(key, _)| key == name).map(|(_, node)| *node)
    }

    /// The object as a record, to be taken apart.
    pub fn into_record(self) -> Option<Record<'a>> {
        (self.node.kind() == Kind::Object).then(|| Record::from_members(self.members))
    }

    /// The list of a body: the body itself, or the first of `names` (then of [`LIST_NAMES`]) that
    /// holds an array; also one object deeper, as in `{"data": {"rows": []}}`.
    pub fn list(&self, names: &[&'static str]) -> Option<List<'a>> {
        if let Some(elements) = self.node.elements() {
            return Some(List { name: None, elements });
        }
        let candidates = || names.iter().chain(LIST_NAMES).copied();
        for name in candidates() {
            if let Some(elements) = self.get(name).and_then(Node::elements) {
                return Some(List { name: Some(name), elements });
            }
        }
        for name in candidates() {
            let Some(inner) = self.get(name).and_then(Node::members) else { continue };
            let found = |(key, node): &(_, Node<'a>)| {
                candidates().find(|&name| name == key).and_then(|_| node.elements())
            };
            if let Some(elements) = inner.iter().find_map(found) {
                return Some(List { name: Some(name), elements });
            }
        }
        None
    }

    /// The object inside a wrapper such as `{"run": {…}}`, with the wrapper's name.
    ///
    /// A body counts as wrapped where one of `wrappers` holds an object and the body itself has
    /// none of the members in `own`.
    pub fn unwrap(&self, wrappers: &[&'static str], own: &[&str]) -> Option<(&'static str, Self)> {
        if self.members.iter().any(|(key, _)| own.contains(&key.as_ref())) {
            return None;
        }
        wrappers.iter().find_map(|&wrapper| {
            let node = self.get(wrapper)?;
            (node.kind() == Kind::Object).then(|| (wrapper, Self::new(node)))
        })
    }
}

/// The list of a body, as [`Body::list`].
pub fn find_list<'a>(body: Node<'a>, names: &[&'static str]) -> Option<List<'a>> {
    Body::new(body).list(names)
}

/// The object inside a wrapper, as [`Body::unwrap`].
pub fn unwrap<'a>(
    body: Node<'a>,
    wrappers: &[&'static str],
    own: &[&str],
) -> Option<(&'static str, Node<'a>)> {
    Body::new(body).unwrap(wrappers, own).map(|(wrapper, inner)| (wrapper, inner.node))
}

/// Names of a body's members, for messages: names only, never values.
pub fn member_names(body: Node<'_>) -> Vec<String> {
    let name = |(key, _): (Cow<'_, str>, Node<'_>)| key.chars().take(40).collect();
    body.members().unwrap_or_default().into_iter().take(20).map(name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(json: &str) -> Option<(Option<&'static str>, usize)> {
        let node = Node::parse(json.as_bytes()).unwrap();
        find_list(node, &["runs"]).map(|list| (list.name, list.elements.len()))
    }

    #[test]
    fn lists_are_found_wherever_they_are_usual() {
        assert_eq!(list("[1,2]"), Some((None, 2)));
        assert_eq!(list(r#"{"rows":[1],"total":1}"#), Some((Some("rows"), 1)));
        assert_eq!(list(r#"{"rows":[1],"runs":[1,2,3]}"#), Some((Some("runs"), 3)));
        assert_eq!(list(r#"{"data":{"items":[1]}}"#), Some((Some("data"), 1)));
        assert_eq!(list(r#"{"rows":{}}"#), None);
        assert_eq!(list(r#"{"list":[1]}"#), None);
        assert_eq!(list("\"rows\""), None);
    }

    #[test]
    fn only_a_wrapper_is_unwrapped() {
        let wrapped = Node::parse(br#"{"run":{"id":1},"meta":{}}"#).unwrap();
        assert_eq!(unwrap(wrapped, &["run"], &["id"]).unwrap().1.source(), "{\"id\":1}");
        let bare = Node::parse(br#"{"id":1,"run":{"id":2}}"#).unwrap();
        assert!(unwrap(bare, &["run"], &["id"]).is_none());
    }
}
