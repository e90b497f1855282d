//! Pagination, as it is requested: the next page by number, offset, token or address.
//!
//! The API documents `page` and `pageSize`, but not how they behave. So ways are tried in the order
//! in which the responses suggest them; a way that only brings known rows is discarded, and the
//! next one is tried.

use url::Url;

use super::continuation::{Continuation, Next, fold};
use crate::config::{PagingSettings, PagingStyle};

/// A way to request further pages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// `page=2`, under this name.
    Number(String),
    /// `offset=20`, under this name.
    Offset(String),
    /// `cursor=…`, under this name.
    Cursor(String),
    /// `starting_after=<id of the last row>`, under this name.
    LastId(String),
    /// The address that the previous page names.
    Address,
}

/// How earlier documents of an endpoint were paged.
#[derive(Clone, Debug)]
pub(crate) enum KnownPaging {
    /// In this way.
    By(Way),
    /// In no known way: the number of documents in a row whose further pages could not be read.
    Unknown(u32),
}

/// One request for a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PageRequest {
    /// The list's address, with one more parameter.
    Parameter(String, String),
    /// An address that the server named.
    Address(Url),
}

/// The position in the list after a page.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'p> {
    /// The page number that was requested.
    pub(crate) number: u64,
    /// Rows up to and including it.
    pub(crate) rows: u64,
    /// The id of its last row.
    pub(crate) last_id: Option<&'p str>,
}

/// The ways of one list.
#[derive(Clone, Debug)]
pub(crate) struct Pager {
    settings: PagingSettings,
    /// The list's address, without parameters.
    list: Url,
    failed: Vec<Way>,
}

/// Usual names of the parameter for the number of rows to skip.
const OFFSETS: &[&str] = &["offset", "skip"];

/// Usual names of the parameter for a page's number, after the documented one.
const NUMBERS: &[&str] = &["page", "pageNumber", "page_number", "p"];

/// Usual names of the parameter for the id of the last row received.
const LAST_IDS: &[&str] = &["starting_after", "after", "after_id"];

impl Way {
    /// A description for messages: the parameter, or the address.
    pub(crate) fn described(&self) -> String {
        match self {
            Self::Number(name) => format!("page numbers (`{name}`)"),
            Self::Offset(name) => format!("offsets (`{name}`)"),
            Self::Cursor(name) => format!("cursors (`{name}`)"),
            Self::LastId(name) => format!("the last row's id (`{name}`)"),
            Self::Address => "addresses of the next page".to_owned(),
        }
    }
}

impl Pager {
    /// Creates the pager of the list at an address.
    pub(crate) fn new(settings: PagingSettings, list: Url) -> Self {
        Self { settings, list, failed: Vec::new() }
    }

    /// How the configuration says that the list is paged.
    pub(crate) fn configured(&self) -> PagingStyle {
        self.settings.style
    }

    /// The number of the first page, if the configuration says that it must be sent.
    pub(crate) fn first_page(&self) -> Option<u32> {
        self.settings.first_page
    }

    /// The name of the parameter for a page's number.
    pub(crate) fn number_parameter(&self) -> &str {
        match (self.settings.style, &self.settings.parameter) {
            (PagingStyle::Page | PagingStyle::Auto, Some(name)) => name,
            _ => "page",
        }
    }

    /// The name of the parameter for the size of a page; `None` if none is sent.
    pub(crate) fn size_parameter(&self) -> Option<&str> {
        let name = self.settings.size_parameter.as_deref().unwrap_or("pageSize");
        (!name.is_empty()).then_some(name)
    }

    /// Records that a way brought nothing new.
    pub(crate) fn fail(&mut self, way: Way) {
        self.failed.push(way);
    }

    /// The untried way that a page's statements suggest most, because a server supports what it
    /// names. `None` if all suggested ways were tried without success.
    pub(crate) fn suggested(&self, page: &Continuation) -> Option<Way> {
        self.untried(self.ways(page))
    }

    /// The way to try if page numbers brought nothing new although there is more. Only for a list
    /// whose paging is not configured.
    pub(crate) fn fallback(&self, page: &Continuation) -> Option<Way> {
        if self.settings.style != PagingStyle::Auto {
            return None;
        }
        let tokens = cursor_ways(page);
        let numbers = NUMBERS.iter().map(|name| Way::Number((*name).to_owned()));
        let last_ids = LAST_IDS.iter().map(|name| Way::LastId((*name).to_owned()));
        let all = self.ways(page).into_iter().chain(tokens).chain(offset_ways());
        self.untried(all.chain(numbers).chain(last_ids))
    }

    /// The offset parameter to try if a list states nothing at all.
    pub(crate) fn offset_in_silence(&self) -> Option<Way> {
        let is_free = self.settings.style == PagingStyle::Auto;
        self.untried(offset_ways()).filter(|_| is_free)
    }

    fn untried(&self, ways: impl IntoIterator<Item = Way>) -> Option<Way> {
        ways.into_iter().find(|way| !self.failed.contains(way))
    }

    fn ways(&self, page: &Continuation) -> Vec<Way> {
        let named = |name: &str| self.settings.parameter.clone().unwrap_or_else(|| name.to_owned());
        match self.settings.style {
            PagingStyle::None => Vec::new(),
            PagingStyle::Page => vec![Way::Number(named("page"))],
            PagingStyle::Offset => vec![Way::Offset(named("offset"))],
            PagingStyle::Link => vec![Way::Address],
            PagingStyle::Cursor => match &self.settings.parameter {
                // If pages hold no cursor, the last row's id serves as one.
                Some(name) if page.more == Some(true) && !page.names_cursor() => {
                    vec![Way::LastId(name.clone())]
                }
                Some(name) => vec![Way::Cursor(name.clone())],
                None => cursor_ways(page),
            },
            PagingStyle::Auto => {
                let mut ways = match &page.next {
                    Next::Url(_) => vec![Way::Address],
                    // Only a token whose name says so. A bare `next` may be anything, so numbers
                    // are tried first.
                    Next::Cursor { member, .. } if !is_bare(member) => cursor_ways(page),
                    Next::Offset(_) => vec![Way::Offset("offset".to_owned())],
                    _ if page.pages_by_offset() => offset_ways().collect(),
                    _ => Vec::new(),
                };
                ways.push(Way::Number(self.number_parameter().to_owned()));
                ways
            }
        }
    }

    /// Pagination: the request for the page after `page`, by cursor, offset, number or address;
    /// `None` if that names nothing that the way can use.
    pub(crate) fn request(
        &self,
        way: &Way,
        page: &Continuation,
        place: Place<'_>,
    ) -> Option<PageRequest> {
        let parameter =
            |name: &str, value: String| Some(PageRequest::Parameter(name.to_owned(), value));
        match (way, &page.next) {
            (Way::Number(name), Next::Page(number)) if *number > place.number => {
                parameter(name, number.to_string())
            }
            (Way::Number(name), _) => parameter(name, place.number.saturating_add(1).to_string()),
            (Way::Offset(name), Next::Offset(rows)) => parameter(name, rows.to_string()),
            (Way::Offset(name), _) => parameter(name, place.rows.to_string()),
            (Way::Cursor(name), Next::Cursor { token, .. }) => parameter(name, token.clone()),
            (Way::Cursor(name), Next::Page(number) | Next::Offset(number)) => {
                parameter(name, number.to_string())
            }
            (Way::LastId(name), _) if page.more != Some(false) => {
                parameter(name, place.last_id?.to_owned())
            }
            (Way::Address | Way::Cursor(_), Next::Url(address)) => {
                Some(PageRequest::Address(self.address(address)?))
            }
            _ => None,
        }
    }

    /// An address that the server names for the next page. If it is on another host, as from
    /// servers behind a proxy, only its parameters are used, with the list's own address: the key
    /// is sent to no other host.
    fn address(&self, text: &str) -> Option<Url> {
        let url = self.list.join(text).ok()?;
        if url.origin() == self.list.origin() {
            return Some(url);
        }
        let mut here = self.list.clone();
        here.set_query(Some(url.query()?));
        Some(here)
    }
}

fn offset_ways() -> impl Iterator<Item = Way> {
    OFFSETS.iter().map(|name| Way::Offset((*name).to_owned()))
}

/// Whether a member's name does not say that it holds a token.
fn is_bare(member: &str) -> bool {
    matches!(member, "next" | "nextPage" | "next_page" | "more")
}

/// The likeliest names of the parameter for a token, by the name of the member that holds it.
fn cursor_ways(page: &Continuation) -> Vec<Way> {
    let Next::Cursor { member, .. } = &page.next else { return Vec::new() };
    let without_next = strip_next(member);
    let mut names: Vec<String> = Vec::new();
    match fold(member).as_str() {
        "endcursor" => names.push("after".to_owned()),
        "lastevaluatedkey" => names.push("exclusiveStartKey".to_owned()),
        "xnextcursor" => names.push("cursor".to_owned()),
        _ => names.extend(without_next),
    }
    let usual = ["cursor", "after", "pageToken", "page_token", "token", "page"];
    names.extend(usual.map(str::to_owned));
    names.push(member.clone());
    let mut ways: Vec<Way> = Vec::new();
    for name in names.into_iter().filter(|name| !name.starts_with("x-")) {
        if !ways.contains(&Way::Cursor(name.clone())) {
            ways.push(Way::Cursor(name));
        }
    }
    ways
}

/// `nextPageToken` → `pageToken`, `next_cursor` → `cursor`.
fn strip_next(member: &str) -> Option<String> {
    let rest = member.strip_prefix("next")?;
    let rest = rest.trim_start_matches(['_', '-']);
    let mut letters = rest.chars();
    let first = letters.next()?.to_ascii_lowercase();
    Some(std::iter::once(first).chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pager(settings: PagingSettings) -> Pager {
        Pager::new(settings, Url::parse("https://h.example/v1/runs").unwrap())
    }

    fn page(next: Next) -> Continuation {
        Continuation { next, ..Continuation::default() }
    }

    fn token(member: &str) -> Continuation {
        page(Next::Cursor { token: "t".into(), member: member.into(), is_next: true })
    }

    const PLACE: Place<'_> = Place { number: 1, rows: 20, last_id: Some("r20") };

    #[test]
    fn what_the_server_names_is_tried_first_and_numbers_last() {
        let ways = |page: &Continuation| {
            let mut pager = pager(PagingSettings::default());
            std::iter::from_fn(|| {
                let way = pager.suggested(page)?;
                pager.fail(way.clone());
                Some(way)
            })
            .collect::<Vec<_>>()
        };
        let number = Way::Number("page".into());
        assert_eq!(ways(&page(Next::Unstated)), std::slice::from_ref(&number));
        assert_eq!(ways(&page(Next::Url("/x".into()))), [Way::Address, number.clone()]);
        assert_eq!(ways(&token("next")), std::slice::from_ref(&number));
        let cursor_ways = ways(&token("nextPageToken"));
        assert_eq!(cursor_ways.first(), Some(&Way::Cursor("pageToken".into())));
        assert_eq!(cursor_ways.last(), Some(&number));
        assert_eq!(ways(&token("endCursor")).first(), Some(&Way::Cursor("after".into())));
        let offset = Continuation { offset: Some(0), ..Continuation::default() };
        assert_eq!(ways(&offset).first(), Some(&Way::Offset("offset".into())));
    }

    #[test]
    fn the_configuration_overrides_what_is_detected() {
        let cursor = PagingSettings {
            style: PagingStyle::Cursor,
            parameter: Some("from".into()),
            ..PagingSettings::default()
        };
        let cursor = pager(cursor);
        assert_eq!(cursor.suggested(&token("x")), Some(Way::Cursor("from".into())));
        let by_id = Way::LastId("from".into());
        let more = Continuation { more: Some(true), ..Continuation::default() };
        assert_eq!(cursor.suggested(&more), Some(by_id));
        let none = PagingSettings { style: PagingStyle::None, ..PagingSettings::default() };
        assert_eq!(pager(none).suggested(&token("nextCursor")), None);
    }

    #[test]
    fn an_address_never_leads_to_another_host() {
        let pager = pager(PagingSettings::default());
        let address =
            |text: &str| match pager.request(&Way::Address, &page(Next::Url(text.into())), PLACE) {
                Some(PageRequest::Address(url)) => url.to_string(),
                other => panic!("{other:?}"),
            };
        assert_eq!(address("/v1/runs?page=2"), "https://h.example/v1/runs?page=2");
        assert_eq!(address("?page=2"), "https://h.example/v1/runs?page=2");
        let foreign = address("http://internal:8000/v1/runs?page=2&range=7d");
        assert_eq!(foreign, "https://h.example/v1/runs?page=2&range=7d");
    }

    #[test]
    fn each_way_has_its_request() {
        let pager = pager(PagingSettings::default());
        let parameter =
            |name: &str, value: &str| Some(PageRequest::Parameter(name.into(), value.into()));
        let silent = page(Next::Unstated);
        let number = Way::Number("page".into());
        assert_eq!(pager.request(&number, &silent, PLACE), parameter("page", "2"));
        assert_eq!(pager.request(&number, &page(Next::Page(7)), PLACE), parameter("page", "7"));
        // A next page that is not further on would be a loop.
        assert_eq!(pager.request(&number, &page(Next::Page(1)), PLACE), parameter("page", "2"));
        let offset = Way::Offset("offset".into());
        assert_eq!(pager.request(&offset, &silent, PLACE), parameter("offset", "20"));
        let cursor = Way::Cursor("cursor".into());
        assert_eq!(pager.request(&cursor, &token("nextCursor"), PLACE), parameter("cursor", "t"));
        assert_eq!(pager.request(&cursor, &silent, PLACE), None);
        let by_id = Way::LastId("after".into());
        assert_eq!(pager.request(&by_id, &silent, PLACE), parameter("after", "r20"));
        let last = Continuation { more: Some(false), ..Continuation::default() };
        assert_eq!(pager.request(&by_id, &last, PLACE), None);
    }
}
