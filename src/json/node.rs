//! One JSON value of unknown shape.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Visitor};
use serde_json::value::RawValue;

use super::path::PathSegment;
use super::portable::portable_strings;
use super::scan::{Pieces, has_backslash};

/// A member's name and value, with its elements if it is an array.
pub(super) type MemberAndElements<'a> = (Cow<'a, str>, Node<'a>, Vec<Node<'a>>);

/// One JSON value, as the slice of the body that holds it.
#[derive(Clone, Copy, Debug)]
pub struct Node<'a> {
    text: &'a str,
}

/// What a [`Node`] is, by its first character.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JsonKind {
    /// `null`
    Null,
    /// `true` or `false`
    Boolean,
    /// A number of any size and precision.
    Number,
    /// A string.
    Text,
    /// An array.
    Array,
    /// An object.
    Object,
}

impl JsonKind {
    /// The word JSON uses for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Boolean => "boolean",
            Self::Number => "number",
            Self::Text => "string",
            Self::Array => "array",
            Self::Object => "object",
        }
    }
}

/// A body that is not one whole JSON value.
///
/// The message holds the place, never the text found there: bodies are customer data.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum Malformed {
    /// The bytes are not UTF-8.
    #[error("not UTF-8 text from byte {0} on")]
    Encoding(usize),
    /// The body has no bytes other than white space.
    #[error("an empty body")]
    Empty,
    /// The text ends before the value does.
    #[error("JSON that is cut off after {0} bytes")]
    CutOff(usize),
    /// The text is not JSON at the given line and column.
    #[error("not JSON (line {line}, column {column})")]
    Syntax {
        /// 1-based.
        line: usize,
        /// 1-based.
        column: usize,
    },
}

impl<'a> Node<'a> {
    /// Reads a whole body in one pass, without building anything.
    ///
    /// # Errors
    /// [`Malformed`] if the body is not exactly one JSON value in UTF-8.
    pub fn parse(body: &'a [u8]) -> Result<Self, Malformed> {
        let text =
            std::str::from_utf8(body).map_err(|error| Malformed::Encoding(error.valid_up_to()))?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        if text.trim_ascii().is_empty() {
            return Err(Malformed::Empty);
        }
        match serde_json::from_str::<&RawValue>(text) {
            Ok(raw) => Ok(Self { text: raw.get() }),
            Err(error) if error.is_eof() => Err(Malformed::CutOff(text.len())),
            Err(error) => Err(Malformed::Syntax { line: error.line(), column: error.column() }),
        }
    }

    /// A body that [`Node::parse`] accepted before: it is not checked again. If it is not JSON
    /// after all, lookups in it find nothing.
    pub fn from_validated(body: &'a [u8]) -> Option<Self> {
        let text = std::str::from_utf8(body).ok()?;
        Some(Self { text: text.strip_prefix('\u{feff}').unwrap_or(text).trim_ascii() })
    }

    /// A value that is known to be JSON already: a [`Node::source`] that was stored.
    ///
    /// # Errors
    /// [`Malformed`] as [`Node::parse`].
    pub fn from_source(text: &'a str) -> Result<Self, Malformed> {
        Self::parse(text.as_bytes())
    }

    /// What kind of value it is.
    pub fn kind(self) -> JsonKind {
        match self.text.as_bytes().first() {
            Some(b'{') => JsonKind::Object,
            Some(b'[') => JsonKind::Array,
            Some(b'"') => JsonKind::Text,
            Some(b't' | b'f') => JsonKind::Boolean,
            Some(b'n') => JsonKind::Null,
            _ => JsonKind::Number,
        }
    }

    /// The JSON text of the value, exactly as it was sent.
    pub fn source(self) -> &'a str {
        self.text
    }

    /// Whether the value is `null`.
    pub fn is_null(self) -> bool {
        self.kind() == JsonKind::Null
    }

    /// The content of a string; `None` for other kinds and for strings that are not valid Unicode.
    pub fn text(self) -> Option<Cow<'a, str>> {
        if self.kind() != JsonKind::Text {
            return None;
        }
        decoded(self.text)
    }

    /// The content of a string, also of one that is not valid Unicode: U+FFFD replaces each
    /// unpaired surrogate, and the second value states whether there was one.
    pub fn lossy_text(self) -> Option<(Cow<'a, str>, bool)> {
        if self.kind() != JsonKind::Text {
            return None;
        }
        match decoded(self.text) {
            Some(text) => Some((text, false)),
            None => lossy(self.text).map(|text| (text, true)),
        }
    }

    /// A string's content, or a number's or boolean's own text: what can be shown as plain text.
    pub fn scalar_text(self) -> Option<Cow<'a, str>> {
        match self.kind() {
            JsonKind::Text => self.text(),
            JsonKind::Number | JsonKind::Boolean => Some(Cow::Borrowed(self.text)),
            JsonKind::Null | JsonKind::Array | JsonKind::Object => None,
        }
    }

    /// The members of an object in the order they were sent; `None` for other kinds.
    pub fn members(self) -> Option<Vec<(Cow<'a, str>, Self)>> {
        let mut members = Vec::with_capacity(16);
        self.each_member(|name, value| members.push((name, value)))?;
        Some(members)
    }

    /// Passes on the members of an object in the order they were sent; `None` for other kinds, and
    /// if the text is not valid JSON.
    pub(super) fn each_member(self, mut take: impl FnMut(Cow<'a, str>, Self)) -> Option<()> {
        if self.kind() != JsonKind::Object {
            return None;
        }
        let mut pieces = Pieces::of(self.text)?;
        while let Some(name) = pieces.next_piece().ok()? {
            let value = pieces.value_of_member()?;
            let name = decoded(name).or_else(|| lossy(name))?;
            take(name, Self { text: value });
        }
        Some(())
    }

    /// Whether the value states nothing: null, a blank text, an empty list, or an object of such
    /// values, nested at most `depth` deep.
    pub fn is_blank(self, depth: usize) -> bool {
        match self.kind() {
            JsonKind::Null => true,
            JsonKind::Text => self.text().is_some_and(|text| text.trim().is_empty()),
            JsonKind::Array => self.has_no_elements(),
            JsonKind::Object => {
                let members = self.members().unwrap_or_default();
                let deeper = depth.checked_sub(1);
                members.into_iter().all(|(_, value)| deeper.is_some_and(|it| value.is_blank(it)))
            }
            JsonKind::Number | JsonKind::Boolean => false,
        }
    }

    /// The members of an object with the elements of those that are arrays, in one pass.
    pub(super) fn members_and_elements(self) -> Option<Vec<MemberAndElements<'a>>> {
        if self.kind() != JsonKind::Object {
            return None;
        }
        let mut pieces = Pieces::of(self.text)?;
        let mut members = Vec::with_capacity(16);
        while let Some(name) = pieces.next_piece().ok()? {
            let mut elements = Vec::new();
            let value = pieces.array_of_member(|text| elements.push(Self { text }))?;
            let name = decoded(name).or_else(|| lossy(name))?;
            members.push((name, Self { text: value }, elements));
        }
        Some(members)
    }

    /// The members of an object, each name as its JSON string; `None` for other kinds.
    pub fn entries(self) -> Option<Vec<(Self, Self)>> {
        if self.kind() != JsonKind::Object {
            return None;
        }
        let mut pieces = Pieces::of(self.text)?;
        let mut entries = Vec::new();
        while let Some(name) = pieces.next_piece().ok()? {
            let value = pieces.value_of_member()?;
            entries.push((Self { text: name }, Self { text: value }));
        }
        Some(entries)
    }

    /// The elements of an array; `None` for other kinds.
    pub fn elements(self) -> Option<Vec<Self>> {
        if self.kind() != JsonKind::Array {
            return None;
        }
        let mut pieces = Pieces::of(self.text)?;
        let mut elements = Vec::new();
        while let Some(text) = pieces.next_piece().ok()? {
            elements.push(Self { text });
        }
        Some(elements)
    }

    /// Whether it is an array without elements. The elements of other arrays are not read.
    pub fn has_no_elements(self) -> bool {
        let inside = self.text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        inside.is_some_and(|inside| inside.trim_ascii().is_empty())
    }

    /// The first member of that name.
    pub fn get(self, name: &str) -> Option<Self> {
        self.members()?.into_iter().find(|(key, _)| key == name).map(|(_, node)| node)
    }

    /// The value at a path of member names, such as `workflow.id`: see [`PathSegment`].
    pub fn at(self, path: &str) -> Option<Self> {
        let members = self.members()?;
        PathSegment::all(path).find_map(|step| {
            let (_, node) = members.iter().find(|(key, _)| key == step.name)?;
            step.rest.map_or(Some(*node), |rest| node.at(rest))
        })
    }
}

/// The content of a JSON string; `None` for other values and for strings that are not valid
/// Unicode.
fn decoded(text: &str) -> Option<Cow<'_, str>> {
    let content = text.strip_prefix('"')?.strip_suffix('"')?;
    if !has_backslash(content.as_bytes()) {
        return Some(Cow::Borrowed(content));
    }
    serde_json::from_str::<Borrowed<'_>>(text).ok().map(|borrowed| borrowed.0)
}

/// The content of a string that holds an unpaired surrogate.
fn lossy(text: &str) -> Option<Cow<'static, str>> {
    let (text, _) = portable_strings(text);
    serde_json::from_str::<String>(&text).ok().map(Cow::Owned)
}

struct Borrowed<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Borrowed<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl<'de> Visitor<'de> for Text {
            type Value = Borrowed<'de>;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a string")
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Borrowed(Cow::Borrowed(text)))
            }
            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Borrowed(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(Text)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Body;
    use super::*;
    use proptest::prelude::*;
    use serde::de::{MapAccess, SeqAccess};
    use serde_json::Value;

    #[test]
    fn a_value_keeps_its_own_text() {
        let node =
            Node::parse(br#" {"a": 1.50, "b":[1e400, "x"], "\u0063": {"d":null}} "#).unwrap();
        assert_eq!(node.get("a").unwrap().source(), "1.50");
        assert_eq!(node.get("b").unwrap().elements().unwrap()[0].source(), "1e400");
        assert_eq!(node.at("c.d").unwrap().kind(), JsonKind::Null);
        assert!(node.at("c.d.e").is_none());
    }

    #[test]
    fn member_names_with_dots_are_found() {
        let node = Node::parse(br#"{"a.b":1,"c":{"d.e.f":2,"d":{"x":3}},"a":{"y":4}}"#).unwrap();
        let at = |path| node.at(path).map(Node::source);
        assert_eq!(at("a.b"), Some("1"));
        assert_eq!(at("\"a.b\""), Some("1"));
        assert_eq!(at("c.d.e.f"), Some("2"));
        assert_eq!(at("c.\"d.e.f\""), Some("2"));
        assert_eq!(at("c.d.x"), Some("3"));
        assert_eq!(at("\"c.d\".x"), None);
    }

    #[test]
    fn malformed_bodies_are_told_apart() {
        let parse = |body: &[u8]| Node::parse(body).unwrap_err();
        assert_eq!(parse(b""), Malformed::Empty);
        assert_eq!(parse(b" \n"), Malformed::Empty);
        assert_eq!(parse(b"{\"a\": [1"), Malformed::CutOff(8));
        assert_eq!(parse(b"<html>"), Malformed::Syntax { line: 1, column: 1 });
        assert_eq!(parse(b"{} {}"), Malformed::Syntax { line: 1, column: 4 });
        assert_eq!(parse(&[b'"', 0xff]), Malformed::Encoding(1));
    }

    #[test]
    fn a_deep_body_does_not_overflow_the_stack() {
        let body = "[".repeat(200_000) + &"]".repeat(200_000);
        assert_eq!(Node::parse(body.as_bytes()).unwrap().kind(), JsonKind::Array);
    }

    #[test]
    fn half_a_surrogate_pair_is_no_text() {
        let node = Node::parse(br#""\ud800""#).unwrap();
        assert_eq!(node.kind(), JsonKind::Text);
        assert!(node.text().is_none());
        assert_eq!(node.lossy_text().unwrap(), ("\u{fffd}".into(), true));
        let object = Node::parse(br#"{"a\udc00":1}"#).unwrap();
        assert_eq!(object.members().unwrap()[0].0, "a\u{fffd}");
    }

    // The plain implementation: slower, and it checks everything again.

    struct Members<'a>(Vec<(Cow<'a, str>, Node<'a>)>);

    impl<'de> Deserialize<'de> for Members<'de> {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            struct Object;
            impl<'de> Visitor<'de> for Object {
                type Value = Members<'de>;
                fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                    formatter.write_str("an object")
                }
                fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                    let mut members = Vec::with_capacity(16);
                    while let Some((key, raw)) = map.next_entry::<Borrowed<'de>, &'de RawValue>()? {
                        members.push((key.0, Node { text: raw.get() }));
                    }
                    Ok(Members(members))
                }
            }
            deserializer.deserialize_map(Object)
        }
    }

    struct Elements<'a>(Vec<Node<'a>>);

    impl<'de> Deserialize<'de> for Elements<'de> {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            struct Array;
            impl<'de> Visitor<'de> for Array {
                type Value = Elements<'de>;
                fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                    formatter.write_str("an array")
                }
                fn visit_seq<A: SeqAccess<'de>>(
                    self,
                    mut array: A,
                ) -> Result<Self::Value, A::Error> {
                    let mut elements = Vec::new();
                    while let Some(raw) = array.next_element::<&'de RawValue>()? {
                        elements.push(Node { text: raw.get() });
                    }
                    Ok(Elements(elements))
                }
            }
            deserializer.deserialize_seq(Array)
        }
    }

    fn sources<'a>(nodes: &[Node<'a>]) -> Vec<&'a str> {
        nodes.iter().map(|node| node.source()).collect()
    }

    /// Asserts that both implementations agree at every level.
    fn assert_same(node: Node<'_>) {
        let elements = serde_json::from_str::<Elements<'_>>(node.source()).ok().map(|it| it.0);
        let elements = elements.filter(|_| node.kind() == JsonKind::Array);
        assert_eq!(node.elements().as_deref().map(sources), elements.as_deref().map(sources));
        assert_eq!(node.has_no_elements(), elements.is_some_and(|elements| elements.is_empty()));
        let members = serde_json::from_str::<Members<'_>>(node.source()).ok().map(|it| it.0);
        let shown = |members: Vec<(Cow<'_, str>, Node<'_>)>| {
            let shown =
                members.into_iter().map(|(key, node)| (key.into_owned(), node.source().to_owned()));
            shown.collect::<Vec<_>>()
        };
        let members = members.filter(|_| node.kind() == JsonKind::Object);
        assert_eq!(node.members().map(shown), members.map(shown), "{}", node.source());
        let body = Body::with_lists(node);
        for (_, member) in body.members() {
            let elements = body.elements_of(*member);
            assert_eq!(elements.as_deref().map(sources), member.elements().as_deref().map(sources));
        }
        assert_eq!(shown(body.members().to_vec()), shown(node.members().unwrap_or_default()));
        let text = serde_json::from_str::<Borrowed<'_>>(node.source()).ok().map(|it| it.0);
        assert_eq!(
            node.text(),
            text.filter(|_| node.kind() == JsonKind::Text),
            "{}",
            node.source()
        );
        let inside = node.members().unwrap_or_default().into_iter().map(|(_, node)| node);
        inside.chain(node.elements().unwrap_or_default()).for_each(assert_same);
    }

    /// Any JSON value.
    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
            "[\"\\\\{}\\[\\],: ]{0,12}".prop_map(Value::from),
        ];
        leaf.prop_recursive(5, 64, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::vec((any::<String>(), inner), 0..6)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    /// Text that is nearly JSON, of characters that matter in it.
    const NEARLY: &str = "[\\[\\]{}:,\" \\\\/ntu0a1.e-]{0,40}";

    proptest! {
        #[test]
        fn looking_inside_is_the_same_as_reading_it_all(value in any_value(), pretty: bool) {
            let text = if pretty {
                serde_json::to_string_pretty(&value).unwrap()
            } else {
                value.to_string()
            };
            assert_same(Node::parse(text.as_bytes()).unwrap());
        }

        #[test]
        fn valid_or_not_nothing_panics_and_what_is_valid_is_the_same(text in NEARLY) {
            if let Ok(node) = Node::parse(text.as_bytes()) {
                assert_same(node);
            } else if let Some(node) = Node::from_validated(text.as_bytes()) {
                let inside = node.members().unwrap_or_default().into_iter().map(|(_, node)| node);
                let inside = inside.chain(node.elements().unwrap_or_default());
                prop_assert!(inside.map(|node| node.source().len()).sum::<usize>() <= text.len());
                let _text = node.text();
            }
        }
    }
}
