//! Finds a list in a body whose envelope is not documented.

use super::path::{PathSegment, part};
use super::{Body, JsonKind, Node};

/// Where a list may be in the bodies of one document.
#[derive(Clone, Copy, Debug)]
pub struct ListNames {
    /// Members that hold this list and no other, the likeliest first.
    pub specific: &'static [&'static str],
    /// Whether the list may also be the body itself, or be under a `GENERIC` name.
    pub generic: bool,
    /// Objects, besides the `WRAPPERS`, that may contain the list.
    pub wrappers: &'static [&'static str],
    /// Paths with `[]` of lists inside the elements of other lists, such as `a[].b`.
    pub nested: &'static [&'static str],
    /// Those of `specific` that may also hold an object of one element per name.
    pub keyed: &'static [&'static str],
    /// Names of members of which every element has one, if the list may be an object of one element
    /// per name in a place of any name, such as the body itself. Empty if it may not.
    pub marks: &'static [&'static str],
    /// Whether a specific member may hold one element without an array around it.
    pub single: bool,
}

/// Names of lists that do not say what is listed. `rows` is documented for `/mcp-servers`; the
/// others are the usual ones.
const GENERIC: &[&str] = &[
    "rows", "data", "items", "results", "records", "entries", "list", "nodes", "values", "elements",
];

/// Objects around the content of a body that state nothing about it.
const WRAPPERS: &[&str] = &["data", "result", "results", "response", "payload", "body", "output"];

/// No names.
const NONE: &[&str] = &[];

/// Maximum nesting of such objects around a list that is searched.
const MOST_WRAPPERS: usize = 3;

/// Members of an object that counts its criteria instead of holding them.
const COUNTS: &[&str] = &["total", "count", "passed", "failed", "partial", "required", "pending"];

/// A list that was found in a body.
#[derive(Clone, Debug)]
pub struct List<'a> {
    /// Its elements.
    pub elements: Vec<Node<'a>>,
    /// The name of each element, as a JSON string, if the list is an object; empty otherwise.
    pub names: Vec<Node<'a>>,
    /// The objects around it, from the body inwards; none if the body itself is the list.
    pub enclosing: Vec<Body<'a>>,
    /// Where it was found, in the form of `[[lists]]`; empty if the body itself is the list.
    pub path: String,
    /// The part of `path` that is in the innermost of `enclosing`.
    pub member: String,
}

impl<'a> List<'a> {
    /// The list that a node is, if its place is known already.
    fn of(node: Node<'a>, places: &[Place<'a>], at: usize, name: &str) -> Option<Self> {
        let elements = places.get(at)?.body.elements_of(node)?;
        Some(Self::new(elements, places, at, name))
    }

    fn new(elements: Vec<Node<'a>>, places: &[Place<'a>], at: usize, name: &str) -> Self {
        let member = part(name).into_owned();
        let (mut enclosing, mut names) = (Vec::new(), vec![member.clone()]);
        let mut next = Some(at);
        while let Some(place) = next.and_then(|at| places.get(at)) {
            enclosing.push(place.body.clone());
            names.extend(place.name.map(|name| part(name).into_owned()));
            next = place.parent;
        }
        enclosing.reverse();
        names.reverse();
        Self { elements, names: Vec::new(), enclosing, path: names.join("."), member }
    }

    /// The list that the whole body is.
    fn bare(body: Node<'a>) -> Option<Self> {
        let elements = body.elements()?;
        let (path, member) = (String::new(), String::new());
        Some(Self { elements, names: Vec::new(), enclosing: Vec::new(), path, member })
    }

    /// The object at a path that a user named, as a list of one element per name.
    pub fn keyed_at(body: &Body<'a>, path: &str) -> Option<Self> {
        let node = if matches!(path, "" | ".") { body.node() } else { body.node().at(path)? };
        let (names, elements) = node.entries()?.into_iter().unzip();
        let (path, member) = (path.to_owned(), path.to_owned());
        Some(Self { elements, names, enclosing: vec![body.clone()], path, member })
    }

    /// The list at a path that a user named: `""` and `.` are the body itself, and `[]` after a
    /// name goes through the elements of a list, as in `resourceSpans[].scopeSpans[].spans`.
    pub fn at(body: &Body<'a>, path: &str) -> Option<Self> {
        if matches!(path, "" | ".") {
            return Self::bare(body.node());
        }
        PathSegment::all(path).find_map(|step| {
            let (name, spreads) = spread_of(step.name);
            let node = body.get(name)?;
            let here = |elements| {
                let (path, member) = (path.to_owned(), path.to_owned());
                Self { elements, names: Vec::new(), enclosing: vec![body.clone()], path, member }
            };
            match step.rest {
                None => body.elements_of(node).map(here),
                Some(rest) if spreads => spread(&node.elements()?, rest).map(here),
                Some(rest) => {
                    let mut inner = Self::at(&Body::new(node), rest)?;
                    inner.enclosing.insert(0, body.clone());
                    Some(Self { path: path.to_owned(), ..inner })
                }
            }
        })
    }
}

/// The elements of all lists at `path` in some elements; `None` if there is no such list.
fn spread<'a>(outer: &[Node<'a>], path: &str) -> Option<Vec<Node<'a>>> {
    let inner = outer.iter().filter_map(|node| List::at(&Body::new(*node), path));
    let inner: Vec<List<'a>> = inner.collect();
    (!inner.is_empty()).then(|| inner.into_iter().flat_map(|list| list.elements).collect())
}

fn spread_of(name: &str) -> (&str, bool) {
    name.strip_suffix("[]").map_or((name, false), |name| (name, true))
}

/// An object of a body that may contain a list.
struct Place<'a> {
    body: Body<'a>,
    /// The object around it.
    parent: Option<usize>,
    /// The member of `parent` that holds it.
    name: Option<&'static str>,
    depth: usize,
}

impl ListNames {
    /// The list of a body. Specific names come before generic ones, at any depth, so that another
    /// list under a generic name is not taken for it; outer places come before inner ones.
    pub fn find<'a>(&self, body: &Body<'a>) -> Option<List<'a>> {
        self.find_within(body, MOST_WRAPPERS)
    }

    /// Follows at most `depth` specific names inside each other: a body can be nested deeper than a
    /// stack.
    fn find_within<'a>(&self, body: &Body<'a>, depth: usize) -> Option<List<'a>> {
        if body.node().kind() == JsonKind::Array {
            return List::bare(body.node()).filter(|_| self.generic);
        }
        let mut places = vec![Place { body: body.clone(), parent: None, name: None, depth: 0 }];
        let mut at = 0;
        while at < places.len() {
            if let Some(list) = self.specific_list(&places, at, depth) {
                return Some(list);
            }
            self.open(&mut places, at);
            at += 1;
        }
        if let Some(list) = self.nested.iter().find_map(|path| List::at(body, path)) {
            return Some(list);
        }
        if !self.generic {
            return self.null_list(&places, &[]);
        }
        let generic = (0..places.len()).find_map(|at| generic_list(&places, at));
        generic
            .or_else(|| places.iter().rev().find_map(|place| self.marked(place, &places)))
            .or_else(|| self.null_list(&places, GENERIC))
    }

    /// `{"rows": null}`: some languages write an empty list in this way.
    fn null_list<'a>(&self, places: &[Place<'a>], generic: &[&str]) -> Option<List<'a>> {
        (0..places.len()).find_map(|at| {
            let body = &places.get(at)?.body;
            let names = self.specific.iter().chain(generic);
            let name = names.copied().find(|name| body.get(name).is_some_and(Node::is_null))?;
            Some(List::new(Vec::new(), places, at, name))
        })
    }

    /// An object whose members all are elements of the list, as the `marks` on them show.
    fn marked<'a>(&self, place: &Place<'a>, places: &[Place<'a>]) -> Option<List<'a>> {
        let is_mark = |name: &str| self.marks.contains(&name);
        // A place with a part of the evaluation itself, or with a wrapper, is not such an object.
        let known = [GENERIC, WRAPPERS, self.wrappers, self.specific, self.marks];
        let is_known = |name: &str| known.iter().any(|names| names.contains(&name));
        let is_marked = |(name, node): &(_, Node<'a>)| {
            let name: &std::borrow::Cow<'_, str> = name;
            let inner = node.members().unwrap_or_default();
            !is_known(name) && inner.iter().any(|(name, _)| is_mark(name))
        };
        let members = place.body.members();
        if members.is_empty() || !members.iter().all(is_marked) {
            return None;
        }
        let (names, elements) = place.body.node().entries()?.into_iter().unzip();
        if let (Some(at), Some(name)) = (place.parent, place.name) {
            return Some(List { names, ..List::new(elements, places, at, name) });
        }
        let (path, member) = (String::new(), String::new());
        Some(List { elements, names, enclosing: Vec::new(), path, member })
    }

    /// Adds the objects inside a place to those that are searched.
    fn open<'a>(&self, places: &mut Vec<Place<'a>>, at: usize) {
        let Some(Place { body, depth, .. }) = places.get(at) else { return };
        if *depth >= MOST_WRAPPERS {
            return;
        }
        let depth = depth + 1;
        let inner = self.wrappers.iter().chain(WRAPPERS).filter_map(|&name| {
            let node = body.get(name).filter(|node| node.kind() == JsonKind::Object)?;
            Some(Place { body: Body::new(node), parent: Some(at), name: Some(name), depth })
        });
        let inner: Vec<Place<'a>> = inner.collect();
        places.extend(inner);
    }

    fn specific_list<'a>(&self, places: &[Place<'a>], at: usize, depth: usize) -> Option<List<'a>> {
        let place = places.get(at)?;
        self.specific.iter().find_map(|&name| {
            let node = place.body.get(name)?;
            match node.kind() {
                JsonKind::Array => List::of(node, places, at, name),
                JsonKind::Object => self.inside(node, places, at, name, depth),
                JsonKind::Null => None,
                _ => self.single.then(|| List::new(vec![node], places, at, name)),
            }
        })
    }

    /// The list in an object of a specific name: `{"runs": {"rows": []}}`.
    fn inside<'a>(
        &self,
        node: Node<'a>,
        places: &[Place<'a>],
        at: usize,
        name: &'static str,
        depth: usize,
    ) -> Option<List<'a>> {
        let inner =
            Self { wrappers: NONE, nested: NONE, keyed: NONE, marks: NONE, single: false, ..*self };
        let body = Body::new(node);
        let found = depth.checked_sub(1).and_then(|depth| inner.find_within(&body, depth));
        if let Some(mut list) = found {
            let outer = List::new(Vec::new(), places, at, name);
            list.path = format!("{}.{}", outer.path, list.path);
            list.enclosing.splice(0..0, outer.enclosing);
            return Some(list);
        }
        if self.keyed.contains(&name) {
            return keyed(&body, places, at, name);
        }
        self.single.then(|| List::new(vec![node], places, at, name))
    }
}

/// An object that holds one element per name.
fn keyed<'a>(body: &Body<'a>, places: &[Place<'a>], at: usize, name: &str) -> Option<List<'a>> {
    let entries = body.node().entries()?;
    let is_element = |node: &Node<'_>| !matches!(node.kind(), JsonKind::Null | JsonKind::Array);
    let counts = entries
        .iter()
        .all(|(name, _)| name.text().is_some_and(|name| COUNTS.contains(&name.as_ref())));
    if counts || !entries.iter().all(|(_, node)| is_element(node)) {
        return None;
    }
    let (names, elements) = entries.into_iter().unzip();
    Some(List { names, ..List::new(elements, places, at, name) })
}

fn generic_list<'a>(places: &[Place<'a>], at: usize) -> Option<List<'a>> {
    let place = places.get(at)?;
    GENERIC.iter().find_map(|name| List::of(place.body.get(name)?, places, at, name))
}

/// Whether an element has an id of its own: two equal ones are then the same element.
pub fn has_own_id(element: Node<'_>) -> bool {
    let members = element.members().unwrap_or_default();
    members.iter().any(|(name, value)| {
        let is_id = name == "id" || name.ends_with("_id") || name.ends_with("Id");
        is_id && !value.is_null() && !matches!(name.as_ref(), "run_id" | "runId")
    })
}

/// The paths of arrays of objects in a body, outermost first, without those in `taken`: `doctor`
/// shows them.
pub fn object_lists(body: &Body<'_>, taken: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    collect_object_lists(body, &mut String::new(), taken, 0, &mut found);
    found
}

fn collect_object_lists(
    body: &Body<'_>,
    prefix: &mut String,
    taken: &[&str],
    depth: usize,
    found: &mut Vec<String>,
) {
    for (name, node) in body.members() {
        let length = prefix.len();
        if !prefix.is_empty() {
            prefix.push('.');
        }
        prefix.push_str(&part(name));
        if !taken.contains(&prefix.as_str()) {
            match node.kind() {
                JsonKind::Array => {
                    let is_listed = |first: &Node<'_>| first.kind() == JsonKind::Object;
                    let elements = node.elements().unwrap_or_default();
                    found.extend(elements.first().filter(|n| is_listed(n)).map(|_| prefix.clone()));
                }
                JsonKind::Object if depth < MOST_WRAPPERS => {
                    collect_object_lists(&Body::new(*node), prefix, taken, depth + 1, found);
                }
                _ => {}
            }
        }
        prefix.truncate(length);
    }
}
