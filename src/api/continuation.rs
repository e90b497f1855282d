//! Pagination, as the server states it: totals, page numbers, cursors and links.
//!
//! None of it is documented for this API (its documentation names only `page` and `pageSize`), so
//! every usual spelling is read, in the body and in headers. A statement that there is more
//! contradicts a list that seems to end; see [`Continuation::says_more`].

use std::borrow::Cow;

use reqwest::header::HeaderMap;

use crate::json::{Body, JsonKind, Node};

/// The statements of one page about the list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Continuation {
    /// Rows in the whole list.
    pub total: Option<u64>,
    /// Whether the total is a lower bound only, as search engines give it.
    pub total_is_least: bool,
    /// Whether the total is a bare `total` or `count` beside everything else, where it may count
    /// something else.
    pub total_is_plain: bool,
    /// Pages in the whole list.
    pub total_pages: Option<u64>,
    /// The number of this page.
    pub page: Option<u64>,
    /// Rows per page, as the server repeats it.
    pub page_size: Option<u64>,
    /// Rows before this page.
    pub offset: Option<u64>,
    /// Whether there are more rows.
    pub more: Option<bool>,
    /// The next page.
    pub next: Next,
}

/// How much of a list was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Read {
    /// Distinct rows.
    pub rows: u64,
    /// Pages with rows.
    pub pages: u64,
}

impl Read {
    /// Larger than any list: with it, totals and page counts state nothing, and only `more` and a
    /// next page count.
    pub const ALL: Self = Self { rows: u64::MAX, pages: u64::MAX };
}

/// What comes after a page, as the server states it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Next {
    /// Nothing is stated.
    #[default]
    Unstated,
    /// `null` or an empty text where the next page would be named: this is the last one.
    Nothing,
    /// The page of this number.
    Page(u64),
    /// The page that begins after so many rows.
    Offset(u64),
    /// The page at this address, absolute or not.
    Url(String),
    /// The page that this token names.
    Cursor {
        /// The token, opaque.
        token: String,
        /// The name of the member that holds it, unchanged: it suggests the name of the parameter.
        member: String,
        /// Whether the member's name says that the token is for the next page. Other members may
        /// only repeat the token that was sent, or name the end of this page.
        is_next: bool,
    },
}

impl Next {
    /// Whether a further page is named, reliably or not.
    pub fn is_named(&self) -> bool {
        !matches!(self, Self::Unstated | Self::Nothing)
    }
}

/// Headers with statements about paging, by their lower-case names.
const HEADERS: &[&str] = &[
    "link",
    "content-range",
    "x-total-count",
    "x-total",
    "total-count",
    "x-total-pages",
    "x-page",
    "x-per-page",
    "x-next-page",
    "x-has-more",
    "x-next-cursor",
    "x-next-page-token",
    "x-pagination",
];

/// Maximum nesting of such objects that is read: `paging: {cursors: {after}}`.
const MOST_NESTED: u32 = 2;

/// Objects that hold statements about their page, by their folded names.
const PLACES: &[&str] = &[
    "pagination",
    "paging",
    "page",
    "pageinfo",
    "pagingmetadata",
    "paginationmetadata",
    "meta",
    "metadata",
    "links",
    "cursor",
    "cursors",
    "responsemetadata",
    "listmetadata",
    "resultinfo",
    "pagecontext",
    "info",
];

const TOTALS: &[&str] = &[
    "total",
    "totalcount",
    "totalitems",
    "totalrows",
    "totalresults",
    "totalrecords",
    "totalelements",
    "totalhits",
    "totalentries",
    "totalsize",
    "numfound",
    "recordcount",
    "rowcount",
    "itemcount",
    "resultcount",
    "odatacount",
];
/// Members that hold the number of rows after this page.
const REMAINING: &[&str] = &["remaining", "remainingitemcount", "remainingcount"];
const TOTAL_PAGES: &[&str] = &["totalpages", "pagecount", "pages", "numpages", "lastpage"];
const PAGES: &[&str] =
    &["page", "currentpage", "pagenumber", "pageno", "pagenum", "pageindex", "current"];
const PAGE_SIZES: &[&str] =
    &["pagesize", "perpage", "limit", "size", "itemsperpage", "pagelimit", "maxresults"];
const OFFSETS: &[&str] = &["offset", "skip", "startindex", "from", "start"];
const MORE: &[&str] = &[
    "hasmore",
    "hasnext",
    "hasnextpage",
    "more",
    "morepages",
    "hasmorepages",
    "hasmorepage",
    "hasmoreitems",
    "hasmoreresults",
    "moreavailable",
    "moreresults",
    "truncated",
    "istruncated",
    "incomplete",
    "incompleteresults",
];
const LAST: &[&str] =
    &["last", "islast", "islastpage", "lastpage", "isfinal", "isend", "endoflist", "done"];
/// Members that name the next page itself; `null` in one of them states the end.
const NEXT: &[&str] = &[
    "next",
    "nextpage",
    "nextlink",
    "nexturl",
    "nexturi",
    "nexthref",
    "nextpageurl",
    "nextpagelink",
    "odatanextlink",
    "nextoffset",
    "nextskip",
    "nextstart",
    "nextcursor",
    "nextpagecursor",
    "nextpagetoken",
    "nexttoken",
    "nextmarker",
    "nextkey",
    "nextstartingafter",
    "nextafter",
    "nextrecordsurl",
    "continue",
    "continuationtoken",
    "nextcontinuationtoken",
    "continuation",
];
/// Members that hold a token, but may only repeat the one that was sent: `null` states nothing.
const CURSORS: &[&str] = &[
    "endcursor",
    "cursor",
    "after",
    "bookmark",
    "pagetoken",
    "scrollid",
    "marker",
    "lastevaluatedkey",
];

impl Continuation {
    /// Reads what a page states about pagination: total, next page, cursor and links.
    ///
    /// `places` are the objects around the list, from the body
    /// inwards; `rows` is the number of rows on the page; `table` names what they are, because a
    /// total can be named after them, and totals named after others do not count; `headers` are
    /// those that `paging_headers` kept.
    pub fn read(
        places: &[Body<'_>],
        rows: usize,
        table: &str,
        headers: &[(&'static str, String)],
    ) -> Self {
        let mut reader = Reader { found: Self::default(), rows, table: fold(table) };
        for place in places {
            reader.take_members(place.members(), "", MOST_NESTED);
        }
        for (name, value) in headers {
            reader.take_header(name, value);
        }
        reader.found
    }

    /// Whether a body, or an object directly in it, has a member that [`Continuation::read`] would
    /// read. Most documents have none, and are not read a second time.
    pub(crate) fn is_mentioned(body: &Body<'_>) -> bool {
        let is_word = |name: &str| {
            let folded = fold(name);
            let folded = folded.as_str();
            folded.ends_with("count")
                || folded.starts_with("total")
                || [TOTALS, TOTAL_PAGES, PAGE_SIZES, MORE, LAST, NEXT, CURSORS, PLACES, REMAINING]
                    .iter()
                    .any(|words| words.contains(&folded))
        };
        body.members().iter().any(|(name, value)| {
            let inner = || value.members().unwrap_or_default();
            is_word(name)
                || (value.kind() == JsonKind::Object
                    && inner().iter().any(|(name, _)| is_word(name)))
        })
    }

    /// Reads the next page from the member at a dotted path that the configuration names.
    #[must_use]
    pub fn with_next_at(self, body: Node<'_>, path: &str) -> Self {
        let next = body.at(path).map_or(Next::Nothing, |value| {
            let number = value.kind() == JsonKind::Number;
            next_of(path, if number { "nextpage" } else { "nextcursor" }, value)
        });
        Self { next, ..self }
    }

    /// Records a total. One whose name or place states what it counts replaces a bare one.
    fn add_total(&mut self, total: u64, is_plain: bool) {
        if self.total.is_none() || (self.total_is_plain && !is_plain) {
            self.total = Some(total);
            self.total_is_plain = is_plain;
        }
    }

    /// Why there must be more than was read, up to and including this page; `None` if no statement
    /// says so. The text continues the phrase "the API says that".
    pub fn says_more(&self, read: Read) -> Option<String> {
        if let Some(total) = self.total.filter(|total| *total > read.rows) {
            let least = if self.total_is_least { "at least " } else { "" };
            return Some(format!("there are {least}{total}"));
        }
        if self.more == Some(true) {
            return Some("there are more".to_owned());
        }
        if let Some(pages) = self.total_pages.filter(|pages| *pages > read.pages) {
            return Some(format!("there are {pages} pages"));
        }
        match &self.next {
            // A token that may only repeat what was sent is worth a request, but does not state
            // that there is more.
            Next::Cursor { is_next, .. } if self.more == Some(false) || !is_next => None,
            Next::Page(_) | Next::Offset(_) | Next::Url(_) | Next::Cursor { .. } => {
                Some("there is a next page".to_owned())
            }
            Next::Unstated | Next::Nothing => None,
        }
    }

    /// Whether another page is worth a request: the server states that there is more, names
    /// something that could lead to it, or has filled the page.
    pub fn may_go_on(&self, read: Read, rows: u64) -> bool {
        let is_full = self.page_size.is_some_and(|size| size > 0 && size == rows);
        let is_whole = self.total == Some(read.rows) && !self.total_is_least;
        self.says_more(read).is_some()
            || (!is_whole && self.next != Next::Nothing && (self.names_cursor() || is_full))
    }

    /// Whether the page holds a token that could lead further.
    pub fn names_cursor(&self) -> bool {
        matches!(self.next, Next::Cursor { .. }) && self.more != Some(false)
    }

    /// Whether the server states that this page is the last one, or that what was read is all.
    pub fn says_end(&self, read: Read) -> bool {
        let reached = self.total == Some(read.rows) && !self.total_is_least;
        let stated = self.more == Some(false) || self.next == Next::Nothing;
        self.says_more(read).is_none() && (reached || stated)
    }

    /// Whether nothing is stated about the list's length or its continuation.
    pub fn is_silent(&self) -> bool {
        self.total.is_none() && self.more.is_none() && self.next == Next::Unstated
    }

    /// Whether the server pages by row numbers: it repeats an offset and no page number.
    pub fn pages_by_offset(&self) -> bool {
        self.offset.is_some() && self.page.is_none()
    }
}

/// A page's statements while they are read.
struct Reader {
    found: Continuation,
    /// Rows on the page.
    rows: usize,
    /// The table of the rows, folded.
    table: String,
}

impl Reader {
    fn take_members(&mut self, members: &[(Cow<'_, str>, Node<'_>)], own_name: &str, levels: u32) {
        for (name, value) in members {
            let folded = fold(name);
            let is_place = levels > 0 && PLACES.contains(&folded.as_str());
            if let Some(inner) = value.members().filter(|_| is_place) {
                self.take_members(&inner, &folded, levels - 1);
            }
            if folded == "links" {
                self.take_links(*value);
            }
            // `page: {"number": 2, "size": 20}`, as in HAL and JSON:API.
            let is_page_number = own_name == "page" && folded == "number";
            self.take(if is_page_number { "page" } else { name }, *value, own_name);
        }
    }

    /// Reads one member. Statements found further out, or earlier, are kept, except that a
    /// statement that there is more always counts.
    fn take(&mut self, name: &str, value: Node<'_>, own_name: &str) {
        let folded = fold(name);
        let folded = folded.as_str();
        let number = || whole(value);
        if TOTALS.contains(&folded) || self.is_own_total(folded) {
            self.take_total(value, own_name.is_empty() && folded == "total");
        } else if folded == "count" {
            // `count` can be that of the page or of the list: only a number larger than the page is
            // clear.
            let rows = u64::try_from(self.rows).unwrap_or(u64::MAX);
            if let Some(count) = number().filter(|count| *count > rows) {
                self.found.add_total(count, own_name.is_empty());
            }
        } else if REMAINING.contains(&folded) {
            if let Some(remaining) = number() {
                let more = self.found.more.unwrap_or(false) || remaining > 0;
                self.found.more = Some(more);
            }
        } else if matches!(folded, "totalrelation" | "totalcountrelation" | "totalisestimate") {
            self.found.total_is_least |=
                matches!(value.scalar_text().as_deref(), Some("gte" | "true"));
        } else if MORE.contains(&folded) {
            if let Some(more) = boolean(value) {
                self.found.more = Some(self.found.more.unwrap_or(false) || more);
            }
        } else if LAST.contains(&folded) && value.kind() == JsonKind::Boolean {
            let more = value.source() == "false";
            self.found.more = Some(self.found.more.unwrap_or(false) || more);
        } else if TOTAL_PAGES.contains(&folded) {
            self.found.total_pages = self.found.total_pages.or(number());
        } else if PAGES.contains(&folded) {
            self.found.page = self.found.page.or(number());
        } else if PAGE_SIZES.contains(&folded) {
            self.found.page_size = self.found.page_size.or(number());
        } else if OFFSETS.contains(&folded) && value.kind() != JsonKind::Object {
            self.found.offset = self.found.offset.or(number());
        } else if NEXT.contains(&folded) {
            self.take_next(next_of(name, folded, value));
        } else if CURSORS.contains(&folded)
            && value.kind() != JsonKind::Object
            && let Some(token) = value.scalar_text().filter(|token| !token.is_empty())
        {
            let (token, member) = (token.into_owned(), name.to_owned());
            self.take_next(Next::Cursor { token, member, is_next: false });
        }
    }

    /// Whether a member counts the rows of this table: `span_count`, `totalToolCalls`.
    fn is_own_total(&self, folded: &str) -> bool {
        let table = self.table.as_str();
        let singular = match table {
            "criteria" => "criterion",
            _ => table.strip_suffix('s').unwrap_or(table),
        };
        let counted = folded.strip_suffix("count").or_else(|| folded.strip_prefix("total"));
        counted.is_some_and(|counted| counted == table || counted == singular)
    }

    /// Links as a list of objects: `[{"rel": "next", "href": "…"}]`.
    fn take_links(&mut self, value: Node<'_>) {
        for link in value.elements().unwrap_or_default() {
            let is_next = link.get("rel").and_then(Node::text).is_some_and(|rel| rel == "next");
            if let Some(href) = link.get("href").filter(|_| is_next) {
                self.take_next(next_of("href", "nexturl", href));
            }
        }
    }

    fn take_total(&mut self, value: Node<'_>, is_plain: bool) {
        let inner = value.get("value").or_else(|| value.get("count"));
        let relation = value.get("relation").and_then(Node::text);
        self.found.total_is_least |= relation.is_some_and(|relation| relation == "gte");
        if let Some(total) = whole(inner.unwrap_or(value)) {
            self.found.add_total(total, is_plain);
        }
    }

    /// An address outranks a token, and both outrank a statement of the end: if statements
    /// contradict each other, the one that leads further is followed, so that no page is missed.
    fn take_next(&mut self, next: Next) {
        let worth = |next: &Next| match next {
            Next::Unstated => 0,
            Next::Nothing => 1,
            Next::Cursor { is_next: false, .. } => 2,
            Next::Cursor { is_next: true, .. } => 3,
            Next::Page(_) | Next::Offset(_) => 4,
            Next::Url(_) => 5,
        };
        if worth(&next) > worth(&self.found.next) {
            self.found.next = next;
        }
    }

    fn take_header(&mut self, name: &str, value: &str) {
        let number = || value.trim().parse::<u64>().ok();
        match name {
            "link" => self.take_next(link(value)),
            "content-range" => {
                // `runs 0-19/75`
                let range = value.rsplit_once(' ').map_or(value, |(_, range)| range);
                if let Some((rows, total)) = range.split_once('/') {
                    if let Ok(total) = total.trim().parse() {
                        self.found.add_total(total, false);
                    }
                    let first = rows.split_once('-').and_then(|(first, _)| first.parse().ok());
                    self.found.offset = self.found.offset.or(first);
                }
            }
            "x-total-count" | "x-total" | "total-count" => {
                if let Some(total) = number() {
                    self.found.add_total(total, false);
                }
            }
            // ASP.NET puts one JSON object into a header.
            "x-pagination" => {
                let members = Node::parse(value.as_bytes()).ok().and_then(Node::members);
                self.take_members(&members.unwrap_or_default(), "pagination", MOST_NESTED);
            }
            "x-total-pages" => self.found.total_pages = self.found.total_pages.or(number()),
            "x-page" => self.found.page = self.found.page.or(number()),
            "x-per-page" => self.found.page_size = self.found.page_size.or(number()),
            "x-has-more" => {
                let more = value.trim().eq_ignore_ascii_case("true");
                self.found.more = Some(self.found.more.unwrap_or(false) || more);
            }
            "x-next-page" => {
                self.take_next(number().map_or(Next::Nothing, Next::Page));
            }
            _ if value.trim().is_empty() => self.take_next(Next::Nothing),
            _ => {
                let (token, member) = (value.trim().to_owned(), name.to_owned());
                self.take_next(Next::Cursor { token, member, is_next: true });
            }
        }
    }
}

/// The headers of a response with statements about paging.
pub(crate) fn paging_headers(headers: &HeaderMap) -> Vec<(&'static str, String)> {
    let read = |name: &&'static str| {
        let values = headers.get_all(*name).iter().filter_map(|value| value.to_str().ok());
        let values: Vec<&str> = values.collect();
        (!values.is_empty()).then(|| (*name, values.join(", ")))
    };
    HEADERS.iter().filter_map(read).collect()
}

/// A member's name without case and separators: `next_page`, `nextPage` and `next-page` are the
/// same.
pub(crate) fn fold(name: &str) -> String {
    let kept = name.chars().filter(|c| !matches!(c, '_' | '-' | '.' | '@' | '$'));
    kept.flat_map(char::to_lowercase).take(40).collect()
}

fn whole(value: Node<'_>) -> Option<u64> {
    value.scalar_text()?.trim().parse().ok()
}

fn boolean(value: Node<'_>) -> Option<bool> {
    match value.scalar_text()?.trim() {
        "true" | "True" | "1" => Some(true),
        "false" | "False" | "0" => Some(false),
        _ => None,
    }
}

fn next_of(name: &str, folded: &str, value: Node<'_>) -> Next {
    match value.kind() {
        JsonKind::Null => Next::Nothing,
        JsonKind::Boolean | JsonKind::Array => Next::Unstated,
        JsonKind::Object => {
            let members = value.members().unwrap_or_default();
            let named = members.iter().find_map(|(key, value)| {
                let next = match fold(key).as_str() {
                    "href" | "url" | "uri" | "link" => next_of("href", "nexturl", *value),
                    "page" | "number" => next_of(key, "nextpage", *value),
                    "offset" => next_of(key, "nextoffset", *value),
                    "cursor" | "token" | "after" => next_of(key, "nextcursor", *value),
                    _ => Next::Unstated,
                };
                (next != Next::Unstated).then_some(next)
            });
            named.unwrap_or_default()
        }
        JsonKind::Number | JsonKind::Text => {
            let Some(text) = value.scalar_text() else { return Next::Unstated };
            let text = text.trim();
            let number = text.parse::<u64>().ok();
            match (folded, number) {
                _ if text.is_empty() => Next::Nothing,
                ("nextoffset" | "nextskip" | "nextstart", Some(number)) => Next::Offset(number),
                ("next" | "nextpage", Some(number)) => Next::Page(number),
                _ if is_address(text) => Next::Url(text.to_owned()),
                _ => {
                    Next::Cursor { token: text.to_owned(), member: name.to_owned(), is_next: true }
                }
            }
        }
    }
}

fn is_address(text: &str) -> bool {
    text.starts_with("http://")
        || text.starts_with("https://")
        || text.starts_with('/')
        || text.starts_with('?')
        || (text.contains('?') && !text.contains(char::is_whitespace))
}

/// The `Link` header (RFC 8288): the target of `rel="next"`. A header that has only relations such
/// as `prev` states that this is the last page.
fn link(value: &str) -> Next {
    let mut has_relation = false;
    for entry in value.split('<').skip(1) {
        let Some((target, parameters)) = entry.split_once('>') else { continue };
        for parameter in parameters.split(';') {
            let Some((name, relation)) = parameter.split_once('=') else { continue };
            if !name.trim().eq_ignore_ascii_case("rel") {
                continue;
            }
            let relation = relation.trim().trim_end_matches(',').trim().trim_matches('"');
            if relation.split_whitespace().any(|word| word.eq_ignore_ascii_case("next")) {
                return Next::Url(target.trim().to_owned());
            }
            let pages = ["prev", "previous", "first", "last"];
            has_relation |= pages.iter().any(|page| relation.eq_ignore_ascii_case(page));
        }
    }
    if has_relation { Next::Nothing } else { Next::Unstated }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(json: &str, rows: usize) -> Continuation {
        Continuation::read(&[Body::new(Node::parse(json.as_bytes()).unwrap())], rows, "runs", &[])
    }

    fn read_rows(rows: u64) -> Read {
        Read { rows, pages: 1 }
    }

    fn token(token: &str, member: &str) -> Next {
        let is_next = !matches!(member, "after" | "cursor" | "endCursor");
        Next::Cursor { token: token.into(), member: member.into(), is_next }
    }

    #[test]
    fn totals_in_every_spelling_and_place() {
        for json in [
            r#"{"total": 75}"#,
            r#"{"total": "75"}"#,
            r#"{"totalCount": 75}"#,
            r#"{"total_count": 75}"#,
            r#"{"count": 75}"#,
            r#"{"pagination": {"total": 75}}"#,
            r#"{"meta": {"total_items": 75}}"#,
            r#"{"page_info": {"totalResults": 75}}"#,
            r#"{"paging": {"total": 75}}"#,
            r#"{"page": {"totalElements": 75, "number": 0, "size": 20}}"#,
            r#"{"total": {"value": 75, "relation": "eq"}}"#,
            r#"{"@odata.count": 75}"#,
        ] {
            let found = read(json, 20);
            assert_eq!(found.total, Some(75), "{json}");
            assert!(
                found.says_more(read_rows(20)).is_some()
                    && found.says_more(read_rows(75)).is_none(),
                "{json}"
            );
            assert!(found.says_end(read_rows(75)) && !found.says_end(read_rows(20)), "{json}");
        }
    }

    #[test]
    fn a_count_of_the_page_is_no_total() {
        assert_eq!(read(r#"{"count": 20}"#, 20).total, None);
        let least = read(r#"{"total": {"value": 10000, "relation": "gte"}}"#, 100);
        assert!(!least.says_end(read_rows(10_000)));
    }

    #[test]
    fn more_and_no_more_in_every_spelling() {
        for json in [
            r#"{"hasMore": true}"#,
            r#"{"has_more": true}"#,
            r#"{"pageInfo": {"hasNextPage": true}}"#,
            r#"{"pagination": {"hasNext": "true"}}"#,
            r#"{"truncated": true}"#,
            r#"{"is_truncated": true, "hasMore": false}"#,
            r#"{"last": false}"#,
            r#"{"hasMore": false, "next": "/runs?page=2"}"#,
        ] {
            assert!(read(json, 20).says_more(read_rows(20)).is_some(), "{json}");
            assert!(!read(json, 20).says_end(read_rows(20)), "{json}");
        }
        for json in [
            r#"{"hasMore": false}"#,
            r#"{"next": null}"#,
            r#"{"next_page": ""}"#,
            r#"{"links": {"next": null, "self": "/runs"}}"#,
            r#"{"nextCursor": null}"#,
            r#"{"last": true}"#,
            r#"{"pageInfo": {"hasNextPage": false, "endCursor": "abc"}}"#,
        ] {
            assert_eq!(read(json, 20).says_more(read_rows(20)), None, "{json}");
            assert!(read(json, 20).says_end(read_rows(20)), "{json}");
        }
        for json in ["{}", r#"{"cursor": null}"#, r#"{"page": 1, "pageSize": 20}"#, "[1]"] {
            assert!(read(json, 20).is_silent(), "{json}");
        }
    }

    #[test]
    fn what_comes_next() {
        let next = |json| read(json, 20).next;
        assert_eq!(next(r#"{"nextPage": 2}"#), Next::Page(2));
        assert_eq!(next(r#"{"next": 3}"#), Next::Page(3));
        assert_eq!(next(r#"{"next_offset": 40}"#), Next::Offset(40));
        assert_eq!(
            next(r#"{"links": {"next": "/runs?page=2"}}"#),
            Next::Url("/runs?page=2".into())
        );
        assert_eq!(next(r#"{"_links": {"next": {"href": "?p=2"}}}"#), Next::Url("?p=2".into()));
        assert_eq!(next(r#"{"nextCursor": "abc"}"#), token("abc", "nextCursor"));
        assert_eq!(next(r#"{"next_page_token": "t"}"#), token("t", "next_page_token"));
        assert_eq!(next(r#"{"paging": {"cursors": {"after": "x"}}}"#), token("x", "after"));
        assert_eq!(next(r#"{"response_metadata": {"next_cursor": ""}}"#), Next::Nothing);
        assert_eq!(next(r#"{"cursor": {"next": "n", "prev": null}}"#), token("n", "next"));
        assert_eq!(next(r#"{"next": null, "nextCursor": "c"}"#), token("c", "nextCursor"));
    }

    #[test]
    fn headers_speak_too() {
        let read =
            |name, value: &str| Continuation::read(&[], 20, "runs", &[(name, value.to_owned())]);
        let next = r#"<https://h/runs?page=1>; rel="prev", <https://h/runs?page=3>; rel="next""#;
        assert_eq!(read("link", next).next, Next::Url("https://h/runs?page=3".into()));
        assert_eq!(read("link", r#"</runs?page=1>; rel="first""#).next, Next::Nothing);
        assert_eq!(read("link", "</style.css>; rel=preload").next, Next::Unstated);
        assert_eq!(read("x-total-count", "75").total, Some(75));
        let range = read("content-range", "runs 20-39/75");
        assert_eq!((range.offset, range.total), (Some(20), Some(75)));
        assert_eq!(read("x-next-page", "").next, Next::Nothing);
    }

    proptest! {
        /// A page cannot be the last one and have another after it.
        #[test]
        fn the_end_and_more_exclude_each_other(
            total in prop::option::of(0_u64..50), more in prop::option::of(any::<bool>()),
            next in prop_oneof![
                Just(Next::Unstated), Just(Next::Nothing), Just(Next::Page(2)),
                Just(Next::Url("/x".to_owned())), Just(token("t", "cursor")),
            ],
            seen in 0_u64..50,
        ) {
            let page = Continuation { total, more, next, ..Continuation::default() };
            prop_assert!(!(page.says_end(read_rows(seen)) && page.says_more(read_rows(seen)).is_some()));
        }
    }
}
