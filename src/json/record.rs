//! One JSON object that records which of its members were consumed.

use std::borrow::Cow;

use super::Node;
use super::path::PathSegment;
use super::portable::portable;

/// A JSON object that is turned into a row. Members that no column consumed are unmapped, and are
/// kept.
#[derive(Debug, Default)]
pub struct Record<'a> {
    members: Vec<Member<'a>>,
}

#[derive(Debug)]
struct Member<'a> {
    key: Cow<'a, str>,
    node: Node<'a>,
    taken: bool,
    /// The object inside, once a path has led into it.
    inside: Option<Record<'a>>,
}

/// Where in a [`Record`] a value is: member indexes from the outside in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A member of the record itself.
    Top(usize),
    /// A member of an object inside it.
    Nested(Vec<usize>),
}

impl<'a> Member<'a> {
    fn new(key: Cow<'a, str>, node: Node<'a>) -> Self {
        Self { key, node, taken: false, inside: None }
    }

    fn follow(&mut self, path: &str, indexes: &mut Vec<usize>) -> Option<Node<'a>> {
        if self.inside.is_none() {
            self.inside = Record::new(self.node);
        }
        let members = &mut self.inside.as_mut()?.members;
        PathSegment::all(path).find_map(|step| {
            let position = members.iter().position(|member| member.key == step.name)?;
            let member = members.get_mut(position)?;
            indexes.push(position);
            let found = match step.rest {
                None => Some(member.node),
                Some(rest) => member.follow(rest, indexes),
            };
            if found.is_none() {
                indexes.pop();
            }
            found
        })
    }
}

impl<'a> Record<'a> {
    /// Reads an object; `None` if the node is something else.
    pub fn new(node: Node<'a>) -> Option<Self> {
        let mut members = Vec::with_capacity(16);
        node.each_member(|key, node| members.push(Member::new(key, node)))?;
        Some(Self { members })
    }

    /// A record of members that were read already.
    pub(super) fn from_members(members: Vec<(Cow<'a, str>, Node<'a>)>) -> Self {
        Self { members: members.into_iter().map(|(key, node)| Member::new(key, node)).collect() }
    }

    /// A record of one member, for a value that has no object of its own.
    pub fn of(key: &'static str, node: Node<'a>) -> Self {
        Self { members: vec![Member::new(Cow::Borrowed(key), node)] }
    }

    /// Every member with its index.
    pub fn members(&self) -> impl Iterator<Item = (usize, &str, Node<'a>)> {
        self.members.iter().enumerate().map(|(index, m)| (index, m.key.as_ref(), m.node))
    }

    /// The member of that index.
    pub fn member(&self, index: usize) -> Option<(&str, Node<'a>)> {
        self.members.get(index).map(|member| (member.key.as_ref(), member.node))
    }

    /// Whether there is a member of that name.
    pub fn has(&self, name: &str) -> bool {
        self.members.iter().any(|member| member.key == name)
    }

    /// The value at a path of member names: see [`PathSegment`].
    pub fn at(&self, path: &str) -> Option<Node<'a>> {
        PathSegment::all(path).find_map(|step| {
            let member = self.members.iter().find(|member| member.key == step.name)?;
            step.rest.map_or(Some(member.node), |rest| member.node.at(rest))
        })
    }

    /// Follows a path from the member at `index` inwards.
    pub fn descend(&mut self, index: usize, path: &str) -> Option<(Address, Node<'a>)> {
        let mut indexes = vec![index];
        let node = self.members.get_mut(index)?.follow(path, &mut indexes)?;
        Some((Address::Nested(indexes), node))
    }

    /// Marks the value at a path as consumed; after `[]` the whole list.
    pub fn take_path(&mut self, path: &str) {
        let path = path.split_once("[]").map_or(path, |(before, _)| before);
        let found = PathSegment::all(path).find_map(|step| {
            let index = self.members.iter().position(|member| member.key == step.name)?;
            let Some(rest) = step.rest else { return Some(Address::Top(index)) };
            self.descend(index, rest).map(|(address, _)| address)
        });
        if let Some(address) = found {
            self.take(&address);
        }
    }

    /// Marks a value as consumed by a column, so that it is not unmapped any more.
    pub fn take(&mut self, address: &Address) {
        let indexes = match address {
            Address::Top(index) => std::slice::from_ref(index),
            Address::Nested(indexes) => indexes,
        };
        let Some((first, rest)) = indexes.split_first() else { return };
        let mut member = self.members.get_mut(*first);
        for index in rest {
            member = member
                .and_then(|member| member.inside.as_mut())
                .and_then(|inside| inside.members.get_mut(*index));
        }
        if let Some(member) = member {
            member.taken = true;
        }
    }

    /// Marks the first member of that name as consumed.
    pub fn take_named(&mut self, name: &str) {
        if let Some(member) = self.members.iter_mut().find(|member| member.key == name) {
            member.taken = true;
        }
    }

    /// Appends all members that were not consumed and whose keys `keep` accepts.
    pub fn write_unmapped(&self, out: &mut Unmapped, keep: &dyn Fn(&str) -> bool) {
        for member in self.members.iter().filter(|member| !member.taken && keep(&member.key)) {
            match &member.inside {
                None => out.push(&member.key, member.node),
                Some(inside) => {
                    let mut inner = Unmapped::default();
                    inside.write_unmapped(&mut inner, &|_| true);
                    out.push_all(&member.key, &inner);
                }
            }
        }
    }
}

/// Members that no column consumed, as JSON text that every reader accepts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unmapped {
    /// `"key":value` pairs, with commas between them.
    members: String,
    /// The change of the first value that had to be changed for readers.
    change: Option<&'static str>,
}

impl Unmapped {
    /// Adds a member unchanged, apart from what readers reject.
    fn push(&mut self, key: &str, value: Node<'_>) {
        let value = portable(value.source());
        self.change = self.change.or(value.change);
        self.push_text(key, &["", &value.text, ""]);
    }

    /// Adds an object of members, unless there are none.
    pub fn push_all(&mut self, key: &str, inner: &Self) {
        if !inner.members.is_empty() {
            self.change = self.change.or(inner.change);
            self.push_text(key, &["{", &inner.members, "}"]);
        }
    }

    /// Adds the members of another one.
    pub fn append(&mut self, others: &Self) {
        self.change = self.change.or(others.change);
        if !(self.members.is_empty() || others.members.is_empty()) {
            self.members.push(',');
        }
        self.members.push_str(&others.members);
    }

    fn push_text(&mut self, key: &str, value: &[&str]) {
        if !self.members.is_empty() {
            self.members.push(',');
        }
        self.members.push_str(&serde_json::Value::from(key).to_string());
        self.members.push(':');
        for piece in value {
            self.members.push_str(piece);
        }
    }

    /// The first change that a value needed for readers; `None` if none needed one.
    pub fn change(&self) -> Option<&'static str> {
        self.change
    }

    /// The JSON object of all members; `None` if there are none.
    pub fn into_object(self) -> Option<String> {
        (!self.members.is_empty()).then(|| format!("{{{}}}", self.members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_taken_is_left_over_as_it_was_sent() {
        let body = br#"{"id":"r","workflow":{"id":"w","team":"x"},"cost":1.10,"a\"b":[1, 2]}"#;
        let mut record = Record::new(Node::parse(body).unwrap()).unwrap();
        record.take(&Address::Top(0));
        let (address, node) = record.descend(1, "id").unwrap();
        assert_eq!(node.source(), "\"w\"");
        record.take(&address);
        let mut out = Unmapped::default();
        record.write_unmapped(&mut out, &|_| true);
        assert_eq!(out.members, r#""workflow":{"team":"x"},"cost":1.10,"a\"b":[1, 2]"#);
    }

    #[test]
    fn looking_inside_without_taking_loses_nothing() {
        let mut record = Record::new(Node::parse(br#"{"a":{"b":{"c":1}}}"#).unwrap()).unwrap();
        assert!(record.descend(0, "b.x").is_none());
        let mut out = Unmapped::default();
        record.write_unmapped(&mut out, &|_| true);
        assert_eq!(out.members, r#""a":{"b":{"c":1}}"#);
    }
}
