//! The object in a body whose wrapping is not documented.

use std::borrow::Cow;
use std::sync::Arc;

use super::{JsonKind, Node, Record};

/// An object whose members are read once and looked up often.
#[derive(Clone, Debug)]
pub struct Body<'a> {
    node: Node<'a>,
    members: Vec<(Cow<'a, str>, Node<'a>)>,
    /// The members that are arrays, with their elements, if these were read with the rest.
    lists: Arc<[(Node<'a>, Vec<Node<'a>>)]>,
}

impl<'a> Body<'a> {
    /// Reads the members of an object; another value has none.
    pub fn new(node: Node<'a>) -> Self {
        Self { node, members: node.members().unwrap_or_default(), lists: Arc::default() }
    }

    /// As [`Body::new`], for a large body whose lists will be needed: they are read in the same
    /// pass.
    pub fn with_lists(node: Node<'a>) -> Self {
        let (mut members, mut lists) = (Vec::with_capacity(16), Vec::new());
        for (name, member, elements) in node.members_and_elements().unwrap_or_default() {
            members.push((name, member));
            if !elements.is_empty() {
                lists.push((member, elements));
            }
        }
        Self { node, members, lists: lists.into() }
    }

    /// The elements of a member that is an array.
    pub(super) fn elements_of(&self, member: Node<'a>) -> Option<Vec<Node<'a>>> {
        let is_it = |(list, _): &&(Node<'a>, _)| std::ptr::eq(list.source(), member.source());
        match self.lists.iter().find(is_it) {
            Some((_, elements)) => Some(elements.clone()),
            None => member.elements(),
        }
    }

    /// The value itself.
    pub fn node(&self) -> Node<'a> {
        self.node
    }

    /// The members in the order they were sent.
    pub fn members(&self) -> &[(Cow<'a, str>, Node<'a>)] {
        &self.members
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

    /// The object as a record, whose members are then consumed.
    pub fn into_record(self) -> Option<Record<'a>> {
        (self.node.kind() == JsonKind::Object).then(|| Record::from_members(self.members))
    }

    /// The object inside a wrapper such as `{"run": {…}}`, with the wrapper's name.
    ///
    /// A body counts as wrapped if one of `wrappers` holds an object and the body itself has none
    /// of the members in `own`: one that has them is the object itself.
    pub fn unwrap(&self, wrappers: &[&'static str], own: &[&str]) -> Option<(&'static str, Self)> {
        if self.members.iter().any(|(key, _)| own.contains(&key.as_ref())) {
            return None;
        }
        wrappers.iter().find_map(|&wrapper| {
            let node = self.get(wrapper)?;
            (node.kind() == JsonKind::Object).then(|| (wrapper, Self::new(node)))
        })
    }
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

    #[test]
    fn only_a_wrapper_is_unwrapped() {
        let wrapped = Node::parse(br#"{"run":{"id":1},"meta":{}}"#).unwrap();
        assert_eq!(unwrap(wrapped, &["run"], &["id"]).unwrap().1.source(), "{\"id\":1}");
        let bare = Node::parse(br#"{"id":1,"run":{"id":2}}"#).unwrap();
        assert!(unwrap(bare, &["run"], &["id"]).is_none());
    }
}
