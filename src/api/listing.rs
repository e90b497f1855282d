//! The page stream: `GET /runs`, page after page, without trusting anything about paging.
//!
//! Not documented, and therefore found out: the envelope, whether pages count from 0 or 1, how
//! large they may be, whether there is a total. The end is an empty page or one without a new id,
//! never a short page: a server may silently give less than was asked for.

use std::collections::HashSet;

use bytes::Bytes;

use super::{ApiError, Client};
use crate::event::Event;
use crate::json::{Kind, Node, find_list, member_names};

/// What to list.
#[derive(Clone, Debug)]
pub struct ListQuery {
    /// The fixed parameters: `range` and the filters, without `page`, `pageSize` and `sort`.
    pub parameters: Vec<(&'static str, String)>,
    /// The `sort` key to ask for.
    pub sort: Option<String>,
    /// The `pageSize` to ask for.
    pub page_size: u32,
    /// Dotted paths of a row's id, in order.
    pub id_paths: Vec<String>,
}

/// The number of the first page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PageBase {
    /// Pages count from 0.
    Zero,
    /// Pages count from 1.
    One,
}

impl PageBase {
    fn first(self) -> u32 {
        match self {
            Self::Zero => 0,
            Self::One => 1,
        }
    }
}

/// One row of the list.
#[derive(Clone, Debug)]
pub struct ListedRow {
    /// The run's id.
    pub run_id: String,
    /// The row as it was sent.
    pub body: Bytes,
}

/// One page of the list.
#[derive(Clone, Debug)]
pub struct Page {
    /// The rows whose id was not on an earlier page.
    pub new: Vec<ListedRow>,
    /// Rows that were on an earlier page.
    pub repeats: u64,
    /// Rows without an id.
    pub unnamed: u64,
    /// How many runs the server says there are.
    pub total: Option<u64>,
    /// The server's clock, in microseconds since 1970.
    pub date: Option<i64>,
}

/// What is asked for next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    /// The first page, before its number is known.
    First,
    /// `page=1`, to see whether that is the first or the second page.
    Probe,
    Number(u32),
    End,
}

/// Pages beyond this are no list but a loop.
const MOST_PAGES: u32 = 100_000;

/// The page stream.
#[derive(Debug)]
pub struct Listing {
    client: Client,
    query: ListQuery,
    next: Next,
    base: Option<PageBase>,
    seen: HashSet<String>,
    first_page: Vec<String>,
    pages: u32,
    total: Option<u64>,
    envelope: Option<&'static str>,
    largest_page: usize,
    ended_on_repeats: bool,
}

struct RawPage {
    rows: Vec<ListedRow>,
    unnamed: u64,
    number: Option<u64>,
    total: Option<u64>,
    date: Option<i64>,
}

impl Listing {
    /// Starts a listing. `base` is the number of the first page, where it is known already.
    pub fn new(client: Client, query: ListQuery, base: Option<PageBase>) -> Self {
        let next = base.map_or(Next::First, |base| Next::Number(base.first()));
        Self {
            client,
            query,
            next,
            base,
            seen: HashSet::new(),
            first_page: Vec::new(),
            pages: 0,
            total: None,
            envelope: None,
            largest_page: 0,
            ended_on_repeats: false,
        }
    }

    /// The next page; `None` after the end.
    ///
    /// # Errors
    /// [`ApiError`]: a page that cannot be had, or is no list, ends the listing.
    pub async fn next(&mut self) -> Result<Option<Page>, ApiError> {
        let number = match self.next {
            Next::End => return Ok(None),
            Next::First => None,
            Next::Probe => Some(1),
            Next::Number(number) => Some(number),
        };
        if self.pages >= MOST_PAGES {
            return Err(ApiError::Endless { path: self.path(), pages: self.pages });
        }
        let page = self.read(number).await?;
        self.take(page).map(Some)
    }

    /// Reads the first page again: rows that were not there before. For a look at the head of a
    /// list that moves.
    ///
    /// # Errors
    /// [`ApiError`] as [`Listing::next`].
    pub async fn head_again(&mut self) -> Result<Page, ApiError> {
        let page = self.read(self.base.map(PageBase::first)).await?;
        Ok(self.sift(page))
    }

    /// The number of the first page, once it is known.
    pub fn base(&self) -> Option<PageBase> {
        self.base
    }

    /// Pages asked for so far.
    pub fn pages(&self) -> u32 {
        self.pages
    }

    /// The name of the member that holds the rows; `None` where the body itself is the list.
    pub fn envelope(&self) -> Option<&'static str> {
        self.envelope
    }

    /// The most rows that a page had.
    pub fn largest_page(&self) -> usize {
        self.largest_page
    }

    /// Decides what a page means for the stream.
    fn take(&mut self, page: RawPage) -> Result<Page, ApiError> {
        let asked = self.next;
        let ids: Vec<String> = page.rows.iter().map(|row| row.run_id.clone()).collect();
        if self.first_page.is_empty() && asked != Next::Probe {
            self.first_page.clone_from(&ids);
        }
        let shared = shared(&ids, &self.first_page);
        let is_first_again = !ids.is_empty() && shared * 2 > ids.len();
        let (number, empty) = (page.number, page.rows.is_empty() && page.unnamed == 0);
        let shown = self.sift(page);
        self.next = match asked {
            Next::First | Next::Probe if empty => Next::End,
            Next::First => match number {
                Some(0) => self.based(PageBase::Zero),
                Some(1) => self.based(PageBase::One),
                _ => Next::Probe,
            },
            // Whichever page this was, `page=2` comes next. Which it was is remembered only where
            // a list that moved in between cannot deceive.
            Next::Probe => {
                self.base = match shared {
                    0 => Some(PageBase::Zero),
                    shared if shared * 10 >= ids.len() * 9 => Some(PageBase::One),
                    _ => None,
                };
                Next::Number(2)
            }
            Next::Number(number) if !empty && (!shown.new.is_empty() || self.pages == 1) => {
                Next::Number(number.saturating_add(1))
            }
            Next::Number(number) if !empty => {
                if self.is_second(number) && is_first_again {
                    self.check_ignored(&ids)?;
                }
                self.ended_on_repeats = true;
                Next::End
            }
            Next::Number(_) | Next::End => Next::End,
        };
        Ok(shown)
    }

    fn is_second(&self, number: u32) -> bool {
        self.base.map_or(number == 2, |base| number == base.first() + 1)
    }

    /// Whether the list ended with a page that had rows, all of them known: the end, or a burst of
    /// new runs that moved a whole page down in between.
    pub fn ended_on_repeats(&self) -> bool {
        self.ended_on_repeats
    }

    fn based(&mut self, base: PageBase) -> Next {
        self.base = Some(base);
        Next::Number(base.first() + 1)
    }

    /// The second page is the first again: either there is but one, and the server answers any
    /// number with it, or it does not look at `page` at all.
    fn check_ignored(&self, ids: &[String]) -> Result<(), ApiError> {
        let rows = u64::try_from(ids.len()).unwrap_or(u64::MAX);
        let full = rows >= u64::from(self.query.page_size);
        let more = self.total.map_or(full, |total| total > rows);
        if more { Err(ApiError::PageIgnored { path: self.path() }) } else { Ok(()) }
    }

    fn sift(&mut self, page: RawPage) -> Page {
        self.largest_page = self.largest_page.max(page.rows.len());
        let listed = u64::try_from(page.rows.len()).unwrap_or(u64::MAX);
        let new: Vec<ListedRow> =
            page.rows.into_iter().filter(|row| self.seen.insert(row.run_id.clone())).collect();
        let repeats = listed.saturating_sub(u64::try_from(new.len()).unwrap_or(u64::MAX));
        self.total = page.total.or(self.total);
        Page { new, repeats, unnamed: page.unnamed, total: page.total, date: page.date }
    }

    async fn read(&mut self, number: Option<u32>) -> Result<RawPage, ApiError> {
        let answer = loop {
            let mut parameters = self.query.parameters.clone();
            parameters.extend(number.map(|number| ("page", number.to_string())));
            if self.query.page_size > 0 {
                parameters.push(("pageSize", self.query.page_size.to_string()));
            }
            parameters.extend(self.query.sort.clone().map(|sort| ("sort", sort)));
            match self.client.require("/runs", &parameters).await {
                Err(ApiError::NotFound { .. }) if self.is_past_the_end() => {
                    break None;
                }
                Err(error @ ApiError::Rejected { .. }) if self.pages == 0 => self.relent(error)?,
                other => break Some(other?),
            }
        };
        self.pages += 1;
        let Some(answer) = answer else {
            return Ok(RawPage { rows: vec![], unnamed: 0, number: None, total: None, date: None });
        };
        self.parse(&answer.body, answer.date)
    }

    /// A 404 counts as an empty page only where the server said how many runs there are, and all
    /// of them are here; otherwise it is an error in the middle of a list.
    fn is_past_the_end(&self) -> bool {
        let seen = u64::try_from(self.seen.len()).unwrap_or(0);
        self.pages > 0 && self.total.is_some_and(|total| seen >= total)
    }

    /// The server rejects the first page: asks with less, and says so.
    fn relent(&mut self, error: ApiError) -> Result<(), ApiError> {
        let change = if let Some(sort) = self.query.sort.take() {
            format!("listing without `sort={sort}`")
        } else if self.query.page_size > 20 {
            self.query.page_size = 20;
            "listing with `pageSize=20`".to_owned()
        } else if self.query.page_size > 0 {
            self.query.page_size = 0;
            "listing without `pageSize`".to_owned()
        } else {
            return Err(error);
        };
        self.client.events().emit(Event::Notice(format!("{error}; {change}")));
        Ok(())
    }

    fn parse(&mut self, body: &Bytes, date: Option<i64>) -> Result<RawPage, ApiError> {
        let unusable = |problem: String| ApiError::Unusable { path: self.path(), problem };
        let node = Node::parse(body).map_err(|malformed| unusable(malformed.to_string()))?;
        let Some(list) = find_list(node, &["rows", "runs"]) else {
            let seen = match node.kind() {
                Kind::Object => format!("`{}`", member_names(node).join("`, `")),
                kind => format!("none, it is a {}", kind.name()),
            };
            let seen = self.client.mask(&seen);
            return Err(ApiError::UnknownEnvelope { path: self.path(), seen });
        };
        let mut rows = Vec::with_capacity(list.elements.len());
        for element in &list.elements {
            let id = self.query.id_paths.iter().find_map(|path| element.at(path)?.scalar_text());
            if let Some(run_id) = id.filter(|id| !id.is_empty()) {
                let body = body.slice_ref(element.source().as_bytes());
                rows.push(ListedRow { run_id: run_id.into_owned(), body });
            }
        }
        let unnamed = list.elements.len() - rows.len();
        if let (true, Some(first)) = (rows.is_empty(), list.elements.first()) {
            let tried = self.query.id_paths.join(", ");
            let seen = match first.kind() {
                Kind::Object => format!("`{}`", member_names(*first).join("`, `")),
                kind => format!("none, its rows are {}s", kind.name()),
            };
            let seen = self.client.mask(&seen);
            return Err(ApiError::NoId { path: self.path(), tried, seen });
        }
        self.envelope = list.name;
        Ok(RawPage {
            rows,
            unnamed: u64::try_from(unnamed).unwrap_or(u64::MAX),
            number: hint(node, &["page", "currentPage", "current_page", "pageNumber"]),
            total: hint(node, &["total", "totalCount", "total_count", "totalItems", "totalRows"]),
            date,
        })
    }

    fn path(&self) -> String {
        format!("{}/runs", self.client.base().path().trim_end_matches('/'))
    }
}

/// A number that the server gives about its paging, at the top or in the usual inner objects.
fn hint(node: Node<'_>, names: &[&str]) -> Option<u64> {
    let places = [Some(node), node.get("pagination"), node.get("meta"), node.get("page_info")];
    places.into_iter().flatten().find_map(|place| {
        names.iter().find_map(|name| place.get(name)?.scalar_text()?.parse().ok())
    })
}

/// How many ids of a page stand on the first page too.
fn shared(ids: &[String], first: &[String]) -> usize {
    let known: HashSet<&String> = first.iter().collect();
    ids.iter().filter(|id| known.contains(id)).count()
}
