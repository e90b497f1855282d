//! The page stream: `GET /runs`, page after page, without trusting anything about paging.
//!
//! Not documented, and therefore found out: the envelope, whether pages count from 0 or 1, how
//! large they may be, whether there is a total. The end is an empty page, or pages that only
//! repeat what was there, never a short page: a server may silently give less than was asked for.
//!
//! The list moves while it is read. [`Listing::again`] reads it once more from its head, and
//! [`Listing::not_seen_again`] tells which of its runs the second look did not find: as long as
//! none is missing, nothing can have moved up past the reader.

use std::collections::HashMap;

use super::page::{ListedRow, RawPage, shared};
use super::{ApiError, Client};
use crate::digest::id_key;
use crate::event::Event;
use crate::tables::ListSources;

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
    /// Where the list stands in its body.
    pub list: ListSources,
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

/// One page of the list.
#[derive(Clone, Debug)]
pub struct Page {
    /// The rows whose id was not listed before, in this look at the list or an earlier one.
    pub new: Vec<ListedRow>,
    /// Rows that were on an earlier page of this look.
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

/// So many pages in a row that are the first or the previous one over again are the end: servers
/// answer with those beyond it. A single one can be a stale answer.
const ECHOES: u32 = 2;

/// So many pages in a row without a new run are the end, also where each is another one. Fewer
/// can come of a burst of new runs, which moves whole pages down.
const BARREN_PAGES: u32 = 5;

/// The page stream.
#[derive(Debug)]
pub struct Listing {
    client: Client,
    query: ListQuery,
    next: Next,
    base: Option<PageBase>,
    /// Every id's key, with the last look that found it.
    seen: HashMap<u128, u32>,
    look: u32,
    first_page: Vec<String>,
    previous_page: Vec<String>,
    echoes: u32,
    barren: u32,
    pages: u32,
    total: Option<u64>,
    envelope: Option<String>,
    largest_page: usize,
}

impl Listing {
    /// Starts a listing.
    ///
    /// The first page is always asked for without a number, and where the server does not say which
    /// number it has, `page=1` is asked for next, whether that is the same page or the second. So
    /// nothing depends on a number that was found out wrongly, now or in an earlier sync.
    pub fn new(client: Client, query: ListQuery) -> Self {
        Self {
            client,
            query,
            next: Next::First,
            base: None,
            seen: HashMap::new(),
            look: 1,
            first_page: Vec::new(),
            previous_page: Vec::new(),
            echoes: 0,
            barren: 0,
            pages: 0,
            total: None,
            envelope: None,
            largest_page: 0,
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

    /// Starts another look, from the head of the list.
    pub fn again(&mut self) {
        self.look += 1;
        self.next = Next::First;
        self.first_page.clear();
        self.previous_page.clear();
        (self.echoes, self.barren) = (0, 0);
    }

    /// Starts another look at a list that was left before its end. The last page is as it was at
    /// one moment: only what stood above it must be found again.
    pub fn again_above_last_page(&mut self) {
        let last = std::mem::take(&mut self.previous_page);
        self.again();
        for id in last {
            self.seen.insert(id_key(&id), self.look);
        }
    }

    /// The keys ([`id_key`]) of runs that the look before found, and this one has not found so far.
    pub fn not_seen_again(&self) -> impl Iterator<Item = u128> {
        let before = self.look.saturating_sub(1);
        self.seen.iter().filter(move |(_, look)| **look == before).map(|(key, _)| *key)
    }

    /// The number of the first page, once it is known.
    pub fn base(&self) -> Option<PageBase> {
        self.base
    }

    /// Pages asked for so far, in all looks.
    pub fn pages(&self) -> u32 {
        self.pages
    }

    /// The path of the member that holds the rows; `None` where the body itself is the list.
    pub fn envelope(&self) -> Option<&str> {
        self.envelope.as_deref().filter(|path| !path.is_empty())
    }

    /// The most rows that a page had.
    pub fn largest_page(&self) -> usize {
        self.largest_page
    }

    /// Decides what a page means for the stream.
    fn take(&mut self, page: RawPage) -> Result<Page, ApiError> {
        let asked = self.next;
        let ids = page.ids();
        if self.first_page.is_empty() && asked != Next::Probe {
            self.first_page.clone_from(&ids);
        }
        let (number, empty, total) = (page.number, page.is_empty(), page.total);
        let (shown, found) = self.sift(page);
        self.next = match asked {
            _ if empty => Next::End,
            Next::First => match number {
                Some(0) => self.based(PageBase::Zero),
                Some(1) => self.based(PageBase::One),
                _ => Next::Probe,
            },
            // Whichever page this was, `page=2` comes next. Which it was is remembered only where
            // a list that moved in between cannot deceive.
            Next::Probe => {
                self.base = match shared(&ids, &self.first_page) {
                    0 => Some(PageBase::Zero),
                    shared if shared * 10 >= ids.len() * 9 => Some(PageBase::One),
                    _ => None,
                };
                Next::Number(2)
            }
            Next::Number(number) => self.after(number, &ids, found, total)?,
            Next::End => Next::End,
        };
        self.previous_page = ids;
        Ok(shown)
    }

    /// What follows a page with rows, `found` of which were not on an earlier page of this look.
    fn after(
        &mut self,
        number: u32,
        ids: &[String],
        found: usize,
        total: Option<u64>,
    ) -> Result<Next, ApiError> {
        if found > 0 {
            (self.echoes, self.barren) = (0, 0);
            return Ok(Next::Number(number.saturating_add(1)));
        }
        let repeats_first = shared(ids, &self.first_page) * 2 > ids.len();
        let is_echo = *ids == *self.previous_page || repeats_first;
        self.echoes = if is_echo { self.echoes + 1 } else { 0 };
        self.barren += 1;
        if self.echoes >= ECHOES {
            if repeats_first {
                self.check_ignored(ids, total)?;
            }
            return Ok(Next::End);
        }
        let ends = self.barren >= BARREN_PAGES;
        Ok(if ends { Next::End } else { Next::Number(number.saturating_add(1)) })
    }

    fn based(&mut self, base: PageBase) -> Next {
        self.base = Some(base);
        Next::Number(base.first() + 1)
    }

    /// Further pages are the first again: either there is but one, and the server answers any
    /// number with it, or it does not look at `page` at all.
    fn check_ignored(&self, ids: &[String], total: Option<u64>) -> Result<(), ApiError> {
        let rows = u64::try_from(ids.len()).unwrap_or(u64::MAX);
        let is_only_page = self.seen.len() <= ids.len();
        let full = rows >= u64::from(self.query.page_size);
        let more = total.map_or(full, |total| total > rows);
        if more && is_only_page { Err(ApiError::PageIgnored { path: self.path() }) } else { Ok(()) }
    }

    /// Notes the ids of a page. Tells also how many rows were not on an earlier page of this look.
    fn sift(&mut self, page: RawPage) -> (Page, usize) {
        self.largest_page = self.largest_page.max(page.rows.len());
        let (mut new, mut found, mut repeats) = (Vec::new(), 0, 0);
        for row in page.rows {
            match self.seen.insert(id_key(&row.run_id), self.look) {
                None => {
                    found += 1;
                    new.push(row);
                }
                Some(look) if look < self.look => found += 1,
                Some(_) => repeats += 1,
            }
        }
        self.total = page.total.or(self.total);
        self.envelope = page.envelope.or_else(|| self.envelope.take());
        (Page { new, repeats, unnamed: page.unnamed, total: page.total, date: page.date }, found)
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
                Err(ApiError::NotFound { .. }) if self.is_past_the_end() => break None,
                Err(error @ ApiError::Rejected { .. }) if self.pages == 0 => self.relent(error)?,
                other => break Some(other?),
            }
        };
        self.pages += 1;
        match answer {
            None => Ok(RawPage::default()),
            Some(answer) => {
                let (query, client) = (&self.query, &self.client);
                let (ids, list) = (&query.id_paths, &query.list);
                RawPage::parse(&answer.body, answer.date, ids, list, client, || self.path())
            }
        }
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

    fn path(&self) -> String {
        format!("{}/runs", self.client.base().path().trim_end_matches('/'))
    }
}
