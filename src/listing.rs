//! The page stream of `GET /runs`. It assumes nothing about pagination.
//!
//! Not documented, and therefore detected: the envelope; whether pages are numbered (from 0 or from
//! 1), requested by offset, or named by tokens or addresses; how large they may be; whether there
//! is a total. Numbered pages end with an empty page, or with pages that only repeat earlier ones,
//! never with a short page: a server may silently return fewer rows than requested. Pages that name
//! each other end with one that names no next page. How a pass ended, and which statements of the
//! server contradict that end, is in [`Listing::ending`].
//!
//! The list moves while it is read. [`Listing::again`] reads it again from its head, and
//! [`Listing::not_seen_again`] returns the runs of the previous pass that the new one did not find:
//! if none is missing, no run can have moved from an unread page to one that was already read.

mod page;

use std::collections::HashMap;

use url::Url;

use crate::api::{
    ApiError, Client, Continuation, FetchResult, PageRequest, Pager, Place, Read, Response, Way,
};
use crate::config::PagingStyle;
use crate::digest::id_key;
use crate::event::{Event, Events};
use crate::json::Node;
use crate::tables::ListSources;
use crate::time::Timestamp;
use page::{RawPage, shared};

pub use page::ListedRow;

/// The parameters of a list.
#[derive(Clone, Debug)]
pub struct ListQuery {
    /// The fixed parameters: `range` and the filters, without paging parameters and `sort`.
    pub parameters: Vec<(&'static str, String)>,
    /// The `sort` key to request.
    pub sort: Option<String>,
    /// The page size to request, in rows; 0 requests none.
    pub page_size: u32,
    /// Dotted paths of a row's id, in order.
    pub id_paths: Vec<String>,
    /// Where the list is in its body.
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
    fn first(self) -> u64 {
        match self {
            Self::Zero => 0,
            Self::One => 1,
        }
    }
}

/// One page of the list.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// The rows whose id was not listed before, in this pass over the list or an earlier one.
    pub new: Vec<ListedRow>,
    /// Rows that were on an earlier page of this pass.
    pub repeats: u64,
    /// Rows without an id.
    pub unnamed: u64,
    /// The number of runs that the server states; `None` if it states none, or only a lower bound.
    pub total: Option<u64>,
    /// The server's clock.
    pub date: Option<Timestamp>,
}

/// How a pass over the list ended.
#[derive(Clone, Debug, Default)]
pub struct Ending {
    /// The error of a request that failed after pages were read.
    pub error: Option<ApiError>,
    /// A statement of the server, or a count, that contradicts the end; a complete clause.
    pub contradiction: Option<String>,
    /// Whether the server stated the end: its total was reached, or it says that there is no next
    /// page.
    pub is_stated: bool,
    /// Whether the number of rows read is a usual limit, and the server does not state that they
    /// are all.
    pub is_suspicious: bool,
    /// Whether a page without a new run came before a page with new runs. Runs that belong on it
    /// may be missing.
    pub has_hole: bool,
    /// Pages with rows.
    pub pages: u64,
}

impl Ending {
    /// Whether the pass may have ended before the list does.
    pub fn is_cut_off(&self) -> bool {
        self.contradiction.is_some() || (self.error.is_some() && !self.is_stated)
    }
}

/// The next request.
#[derive(Clone, Debug, PartialEq, Eq)]
enum PageStep {
    /// The first page, before its number is known.
    First,
    /// `page=1`, to find out whether that is the first or the second page.
    ProbeOne,
    /// The second page of half the size, to find out whether the server uses page numbers.
    ProbeSize,
    /// A further page, in this way.
    Next(Way, PageRequest),
    End,
}

/// Maximum number of pages. More are considered a loop.
const MOST_PAGES: u32 = 100_000;

/// This many pages in a row that repeat the first or the previous page are the end: servers respond
/// with them to numbers beyond it. A single one is not, because it can be a stale response.
const ECHOES: u32 = 2;

/// This many pages in a row without a new run are the end, even if they differ. Fewer are not: a
/// burst of new runs moves whole pages down.
const BARREN_PAGES: u32 = 5;

/// Limits on how many rows a list returns are usually multiples of this.
const USUAL_DEPTH: u64 = 500;

/// The page stream.
#[derive(Debug)]
pub struct Listing {
    client: Client,
    events: Events,
    query: ListQuery,
    pager: Pager,
    step: PageStep,
    /// How further pages are requested, once that is known.
    way: Option<Way>,
    base: Option<PageBase>,
    /// The number with which the first page is requested, if the server needs one.
    first_number: Option<u32>,
    /// Whether pages are requested from 0 and shown from 1.
    shows_from_one: bool,
    /// Every id's key, with the last pass that found it.
    seen: HashMap<u128, u32>,
    pass: u32,
    /// Pages requested, in all passes.
    pages: u32,
    /// Whether at least one of them was a page of the list.
    has_page: bool,
    envelope: Option<String>,
    largest_page: usize,
    this: Pass,
}

/// What belongs to one pass over the list.
#[derive(Clone, Debug, Default)]
struct Pass {
    first_page: Vec<String>,
    previous_page: Vec<String>,
    echoes: u32,
    barren: u32,
    /// The number of the page that was requested last.
    number: u64,
    /// Rows on its pages, repeats included.
    rows: u64,
    /// Distinct runs.
    distinct: u64,
    pages_with_rows: u64,
    /// Whether an empty page ended it.
    ended_empty: bool,
    /// Whether a page without a new run came before one that had some.
    has_hole: bool,
    /// The largest total that a page of it stated.
    largest_total: Option<u64>,
    /// Whether the numbers that pages repeat were found to be one too high.
    is_rebased: bool,
    /// The statements of the last page with rows, and how many rows it had.
    last: Continuation,
    last_rows: u64,
    /// The id of its last row.
    last_id: Option<String>,
    error: Option<ApiError>,
    /// The refusal of a further page, if other ways were tried after it.
    refusal: Option<ApiError>,
    contradiction: Option<String>,
    /// Whether the server states nothing about paging, and page numbers returned the first page
    /// only.
    is_silent: bool,
}

impl Pass {
    fn read(&self) -> Read {
        Read { rows: self.distinct, pages: self.pages_with_rows }
    }

    /// Whether most rows of a page are those of the first one.
    fn repeats_first(&self, ids: &[String]) -> bool {
        shared(ids, &self.first_page) * 2 > ids.len()
    }

    /// Whether this pass found no more runs than such a page has.
    fn is_only_page(&self, ids: &[String]) -> bool {
        self.distinct <= u64::try_from(ids.len()).unwrap_or(u64::MAX)
    }
}

impl Listing {
    /// Starts a listing.
    ///
    /// The first page is requested without a number, unless the server or the configuration
    /// requires one. If the server does not state which number it has, `page=1` is requested next,
    /// whether that is the same page or the second one. So nothing depends on a number that was
    /// detected wrongly, now or in an earlier sync: with a remembered number, one stale response at
    /// the wrong moment could hide the first page forever.
    pub fn new(client: Client, events: Events, query: ListQuery) -> Self {
        let pager = Pager::new(client.paging().clone(), client.list_url("/runs"));
        let first_number = pager.first_page();
        Self {
            client,
            events,
            query,
            pager,
            step: PageStep::First,
            way: None,
            base: None,
            first_number,
            shows_from_one: false,
            seen: HashMap::new(),
            pass: 1,
            pages: 0,
            has_page: false,
            envelope: None,
            largest_page: 0,
            this: Pass::default(),
        }
    }

    /// The next page; `None` after the end.
    ///
    /// # Errors
    /// [`ApiError`] if the first page cannot be fetched or is not a list, or if the error concerns
    /// the whole API. Any other error ends this pass, and is in [`Listing::ending`].
    pub async fn next(&mut self) -> Result<Option<Page>, ApiError> {
        if self.step == PageStep::End {
            return Ok(None);
        }
        if self.pages >= MOST_PAGES {
            self.this.error = Some(ApiError::Endless { path: self.path(), pages: self.pages });
            self.step = PageStep::End;
            return Ok(None);
        }
        let step = self.step.clone();
        match self.read(&step).await {
            Ok(page) => {
                self.has_page = true;
                Ok(Some(self.take(step, page)))
            }
            Err(error) if !self.has_page || error.is_fatal() => Err(error),
            Err(error) => Ok(self.take_error(step, error)),
        }
    }

    /// Starts another pass, from the head of the list.
    pub fn again(&mut self) {
        self.pass += 1;
        self.step = PageStep::First;
        self.this = Pass::default();
    }

    /// Starts another pass over a list that was not read to its end. The last page shows one
    /// moment, so only the runs above it must be found again.
    pub fn again_above_last_page(&mut self) {
        let last = std::mem::take(&mut self.this.previous_page);
        self.again();
        for id in last {
            self.seen.insert(id_key(&id), self.pass);
        }
    }

    /// The keys ([`id_key`]) of runs that the previous pass found and this one has not found so
    /// far.
    pub fn not_seen_again(&self) -> impl Iterator<Item = u128> {
        let before = self.pass.saturating_sub(1);
        self.seen.iter().filter(move |(_, pass)| **pass == before).map(|(key, _)| *key)
    }

    /// The keys ([`id_key`]) of all runs listed, in all passes.
    pub fn keys(&self) -> impl Iterator<Item = u128> {
        self.seen.keys().copied()
    }

    /// The number of the first page, once it is known that pages are numbered, and from where.
    pub fn base(&self) -> Option<PageBase> {
        self.base.filter(|_| matches!(self.way, None | Some(Way::Number(_))))
    }

    /// How further pages are requested, as text for messages; `None` before there was one.
    pub fn paging(&self) -> Option<String> {
        self.way.as_ref().map(Way::described)
    }

    /// Pages requested so far, in all passes.
    pub fn pages(&self) -> u32 {
        self.pages
    }

    /// The path of the member that holds the rows; `None` if the body itself is the list.
    pub fn envelope(&self) -> Option<&str> {
        self.envelope.as_deref().filter(|path| !path.is_empty())
    }

    /// The largest number of rows on a page.
    pub fn largest_page(&self) -> usize {
        self.largest_page
    }

    /// How this pass ended.
    pub fn ending(&self) -> Ending {
        let this = &self.this;
        let is_least = this.last.total_is_least;
        // If the total was reached, a next page that was named, requested and found empty is not a
        // contradiction.
        let has_all = this.ended_empty && this.largest_total == Some(this.distinct) && !is_least;
        // The largest total of any page counts, not only the last: a list that shrinks is read
        // again.
        let total = this.largest_total.filter(|total| *total > this.distinct);
        let said = total.map(|total| format!("there are {total}"));
        // If a lower bound is reached exactly, counting ended there, and the list probably did,
        // too.
        let is_bound = is_least && this.largest_total == Some(this.distinct);
        let said =
            said.or_else(|| is_bound.then(|| format!("there are at least {}", this.distinct)));
        let said = said.or_else(|| this.last.says_more(this.read()).filter(|_| !has_all));
        let said =
            said.map(|said| format!("the API says that {said}, and listed {}", this.distinct));
        let is_full = this.last_rows > 0
            && u64::try_from(self.largest_page).is_ok_and(|largest| largest == this.last_rows);
        Ending {
            error: this.error.clone(),
            contradiction: this.contradiction.clone().or(said),
            is_stated: has_all || (total.is_none() && this.last.says_end(this.read())),
            is_suspicious: this.last.is_silent()
                && is_full
                && this.rows >= USUAL_DEPTH
                && this.rows.is_multiple_of(USUAL_DEPTH),
            has_hole: this.has_hole,
            pages: this.pages_with_rows,
        }
    }

    /// Records a page, and decides about the next step.
    fn take(&mut self, step: PageStep, page: RawPage) -> Page {
        if step == PageStep::ProbeSize {
            return self.take_size_probe(&page);
        }
        let ids = page.ids();
        let rows = u64::try_from(page.rows.len()).unwrap_or(u64::MAX) + page.unnamed;
        let is_empty = page.is_empty();
        if self.this.first_page.is_empty() && matches!(step, PageStep::First | PageStep::Next(..)) {
            self.this.first_page.clone_from(&ids);
        }
        let said = page.continuation.clone();
        let (shown, found) = self.sift(page);
        let is_trial = matches!(&step, PageStep::Next(way, _) if self.way.as_ref() != Some(way));
        // A repeated first page states nothing about the end.
        let is_echo = matches!(step, PageStep::Next(..) | PageStep::ProbeOne)
            && found == 0
            && self.this.repeats_first(&ids);
        if !is_echo {
            self.this.largest_total = self.this.largest_total.max(said.total);
        }
        let adds = found > 0 || !is_trial;
        if adds && !is_empty && !is_echo {
            self.this.rows += rows;
            self.this.last_rows = rows;
            self.this.pages_with_rows += 1;
            self.this.last = said.clone();
            self.this.last_id = ids.last().cloned();
        }
        self.step = match step {
            PageStep::First => self.after_first(&said, is_empty),
            PageStep::ProbeOne => self.after_probe(&ids, is_empty, &said),
            // A way on trial that brings nothing new although there is more does not work.
            PageStep::Next(way, _)
                if is_trial && found == 0 && (!is_empty || self.leads_further()) =>
            {
                self.after_failed(way)
            }
            PageStep::Next(way, request) => {
                self.way = Some(way.clone());
                self.after(&way, &request, &ids, found, &said)
            }
            PageStep::ProbeSize | PageStep::End => PageStep::End,
        };
        if self.step == PageStep::End && is_empty {
            self.this.ended_empty = true;
            let read = self.this.read();
            // The statements of the empty page after the last one count, even if they contradict
            // the end.
            if said.says_more(read).is_some() || said.says_end(read) {
                self.this.last = said;
            }
        }
        self.this.previous_page = ids;
        shown
    }

    fn after_first(&mut self, said: &Continuation, is_empty: bool) -> PageStep {
        self.this.number = said.page.or(self.first_number.map(u64::from)).unwrap_or(1);
        if self.pager.configured() == PagingStyle::None || (is_empty && !leads_on(said)) {
            return PageStep::End;
        }
        let way = self.way.clone().or_else(|| self.pager.suggested(said));
        match way {
            None => PageStep::End,
            Some(Way::Number(name)) => self.numbered(name, said),
            Some(way) => self.request(way, said),
        }
    }

    /// Requests the second page by its number, once it is certain which number the first one has.
    fn numbered(&mut self, name: String, said: &Continuation) -> PageStep {
        let is_documented = name == self.pager.number_parameter();
        match (said.page, self.first_number) {
            (Some(1), None) if self.shows_from_one => self.base = Some(PageBase::Zero),
            (Some(0), _) => self.base = Some(PageBase::Zero),
            // A page requested as page 0 may have been answered as if it were page 1.
            (Some(1), _) | (None, Some(1)) => self.base = Some(PageBase::One),
            (None, Some(0)) if self.pager.first_page() == Some(0) => {
                self.base = Some(PageBase::Zero);
            }
            _ if is_documented => return PageStep::ProbeOne,
            _ => {}
        }
        if is_documented {
            // The documented parameter is not on trial: a page that comes twice does not disprove
            // it.
            self.way = Some(Way::Number(name.clone()));
        }
        self.this.number = self.base.map_or(self.this.number, PageBase::first);
        self.request(Way::Number(name), said)
    }

    /// Whichever page `page=1` was, `page=2` is next. Which one it was is recorded only if the
    /// overlap with the first page is clear, because the list may have moved in between.
    fn after_probe(&mut self, ids: &[String], is_empty: bool, said: &Continuation) -> PageStep {
        let way = Way::Number(self.pager.number_parameter().to_owned());
        if is_empty && self.leads_further() {
            return self.after_failed(way);
        }
        if is_empty {
            return PageStep::End;
        }
        self.base = match shared(ids, &self.this.first_page) {
            0 => Some(PageBase::Zero),
            shared if shared * 10 >= ids.len() * 9 => Some(PageBase::One),
            _ => None,
        };
        self.way.get_or_insert_with(|| way.clone());
        self.this.number = 1;
        self.request(way, said)
    }

    /// Discards a way that only repeated known rows, and tries the next one, if there is one.
    fn after_failed(&mut self, way: Way) -> PageStep {
        self.pager.fail(way);
        if self.this.is_silent {
            return self.in_silence();
        }
        let said = self.this.last.clone();
        match self.pager.suggested(&said) {
            Some(Way::Number(name)) if self.this.pages_with_rows <= 1 => self.numbered(name, &said),
            Some(way) => self.request(way, &said),
            None => self.fall_back(),
        }
    }

    /// Whether the last page with rows says that there are more.
    fn leads_further(&self) -> bool {
        self.this.last.says_more(self.this.read()).is_some()
    }

    /// The step after a page, of whose rows `found` were not on an earlier page of this pass.
    fn after(
        &mut self,
        way: &Way,
        request: &PageRequest,
        ids: &[String],
        found: usize,
        said: &Continuation,
    ) -> PageStep {
        if let (Way::Number(_), PageRequest::Parameter(_, number)) = (way, request) {
            self.this.number = number.parse().unwrap_or(self.this.number.saturating_add(1));
            // The page states a number one higher than requested: pages are requested from 0 and
            // shown from 1, and one was skipped.
            let is_one_too_high = said.page == Some(self.this.number.saturating_add(1));
            if is_one_too_high && !std::mem::replace(&mut self.this.is_rebased, true) {
                self.base = Some(PageBase::Zero);
                self.shows_from_one = true;
                self.this.number = 0;
            }
        }
        let next = self.request(way.clone(), said);
        if found > 0 {
            self.this.has_hole |= self.this.barren > 0;
            (self.this.echoes, self.this.barren) = (0, 0);
            return next;
        }
        let is_same_next = matches!(&next, PageStep::Next(_, next) if next == request);
        if ids.is_empty() && (is_same_next || !leads_on(said)) {
            return PageStep::End;
        }
        if ids.is_empty() && !matches!(way, Way::Number(_) | Way::Offset(_)) {
            // With tokens and addresses, an empty page is not an end: its rows were filtered out.
            return next;
        }
        let repeats_first = self.this.repeats_first(ids);
        let is_offset = matches!(way, Way::Offset(_));
        if is_same_next && is_offset && repeats_first && !self.this.is_only_page(ids) {
            // Offsets worked up to here, so the server uses them: after the last row it starts
            // again.
            return PageStep::End;
        }
        if is_same_next {
            self.this.contradiction = Some("each next page is the same one".to_owned());
            return PageStep::End;
        }
        let is_echo = !ids.is_empty() && (*ids == *self.this.previous_page || repeats_first);
        self.this.echoes = if is_echo { self.this.echoes + 1 } else { 0 };
        self.this.barren += 1;
        if self.this.echoes >= ECHOES {
            return if repeats_first {
                self.after_ignored(way.clone(), ids)
            } else {
                PageStep::End
            };
        }
        if self.this.barren >= BARREN_PAGES { PageStep::End } else { next }
    }

    /// Further pages repeat the first one. Either there is only one, and the server returns it for
    /// any number, or the server ignores the parameter.
    fn after_ignored(&mut self, way: Way, ids: &[String]) -> PageStep {
        if !self.this.is_only_page(ids) {
            return PageStep::End;
        }
        let rows = u64::try_from(ids.len()).unwrap_or(u64::MAX);
        let said = self.this.last.clone();
        let is_full = rows >= u64::from(self.query.page_size);
        let says_all = said.total == Some(rows) && !said.total_is_least;
        if said.may_go_on(Read { rows, pages: 1 }, 0) || (is_full && !says_all) {
            self.pager.fail(way);
            return self.fall_back();
        }
        if said.is_silent() {
            self.this.is_silent = true;
            self.pager.fail(way);
            return self.in_silence();
        }
        PageStep::End
    }

    /// A server that states nothing, and returns the same page for any number, may use offsets. If
    /// it does not, a smaller page size shows whether it uses page numbers.
    fn in_silence(&mut self) -> PageStep {
        if let Some(way) = self.pager.offset_in_silence() {
            let said = self.this.last.clone();
            return self.request(way, &said);
        }
        let has_halves = self.this.distinct > 1 && self.pager.size_parameter().is_some();
        if has_halves { PageStep::ProbeSize } else { PageStep::End }
    }

    /// Tries another way to the rows that must exist; if there is none, the pass ends with an
    /// error.
    fn fall_back(&mut self) -> PageStep {
        let said = self.this.last.clone();
        let next = std::iter::from_fn(|| {
            let way = self.pager.fallback(&said)?;
            let step = self.request(way.clone(), &said);
            self.pager.fail(way);
            Some(step)
        });
        let mut next = next.filter(|step| *step != PageStep::End);
        if let Some(step) = next.next() {
            return step;
        }
        let ignored = ApiError::PageIgnored { path: self.path() };
        self.this.error = Some(self.this.refusal.take().unwrap_or(ignored));
        PageStep::End
    }

    /// Evaluates the second page of half the size. If it has the other half, numbers work, and the
    /// first page had all rows. If it has the first half again, they do not, and there may be more
    /// than one page.
    fn take_size_probe(&mut self, page: &RawPage) -> Page {
        self.step = PageStep::End;
        let rows = u64::try_from(page.rows.len()).unwrap_or(u64::MAX);
        let half = self.this.first_page.get(..page.rows.len()).unwrap_or_default();
        if rows < self.this.distinct && shared(&page.ids(), half) * 2 > half.len() {
            self.this.contradiction = Some(
                "the API gives its first runs for any page number, and does not say that they are \
                 all: [api.paging] in the configuration says how it pages"
                    .to_owned(),
            );
        }
        if rows >= self.this.distinct && is_usual_limit(rows) {
            self.this.contradiction = Some(format!(
                "the API gives the same {rows} runs whatever page and page size are asked for, and \
                 does not say that they are all (if they are: [api.paging] style = \"none\")"
            ));
        }
        Page { date: page.date, ..Page::default() }
    }

    fn request(&self, way: Way, said: &Continuation) -> PageStep {
        let this = &self.this;
        let last_id = this.last_id.as_deref();
        let place = Place { number: this.number, rows: this.rows, last_id };
        match self.pager.request(&way, said, place) {
            Some(request) => PageStep::Next(way, request),
            None => PageStep::End,
        }
    }

    /// Handles an error after valid pages: a way on trial did not work; any other error ends this
    /// pass.
    fn take_error(&mut self, step: PageStep, error: ApiError) -> Option<Page> {
        let is_refusal = matches!(
            error,
            ApiError::Rejected { .. } | ApiError::NotFound { .. } | ApiError::Unusable { .. }
        );
        self.step = match step {
            PageStep::ProbeSize => PageStep::End,
            // A server that pages in another way can refuse `page=1`.
            PageStep::ProbeOne if is_refusal => {
                self.pager.fail(Way::Number(self.pager.number_parameter().to_owned()));
                self.after_refused(error)
            }
            PageStep::Next(way, _) if is_refusal && self.way.as_ref() != Some(&way) => {
                self.pager.fail(way);
                if self.this.is_silent { self.in_silence() } else { self.after_refused(error) }
            }
            _ => {
                self.this.error = Some(error);
                PageStep::End
            }
        };
        (self.step != PageStep::End).then(Page::default)
    }

    fn after_refused(&mut self, error: ApiError) -> PageStep {
        let said = self.this.last.clone();
        self.this.refusal.get_or_insert_with(|| error.clone());
        let step = match self.pager.suggested(&said) {
            Some(Way::Number(name)) => self.numbered(name, &said),
            Some(way) => self.request(way, &said),
            None if said.says_more(self.this.read()).is_some() => self.fall_back(),
            None => PageStep::End,
        };
        if step == PageStep::End {
            self.this.error.get_or_insert(error);
        }
        step
    }

    /// Records the ids of a page. Also returns how many rows were not on an earlier page of this
    /// pass.
    fn sift(&mut self, page: RawPage) -> (Page, usize) {
        self.largest_page = self.largest_page.max(page.rows.len());
        let (mut new, mut found, mut repeats) = (Vec::new(), 0, 0);
        for row in page.rows {
            match self.seen.insert(id_key(&row.run_id), self.pass) {
                None => {
                    found += 1;
                    new.push(row);
                }
                Some(pass) if pass < self.pass => found += 1,
                Some(_) => repeats += 1,
            }
        }
        self.this.distinct += u64::try_from(found).unwrap_or(0);
        self.envelope = page.envelope.or_else(|| self.envelope.take());
        // A list cannot be counted against a lower bound.
        let said = &page.continuation;
        let total = said.total.filter(|_| !said.total_is_least);
        (Page { new, repeats, unnamed: page.unnamed, total, date: page.date }, found)
    }

    async fn read(&mut self, step: &PageStep) -> Result<RawPage, ApiError> {
        // Page 0, if it is empty.
        let mut page_zero: Option<RawPage> = None;
        let fetched = loop {
            let fetched = match step {
                PageStep::Next(_, PageRequest::Address(url)) => {
                    self.client.get_page("/runs", &self.completed(url)).await
                }
                step @ PageStep::Next(..) => {
                    self.client.get_further("/runs", &self.parameters(step)).await
                }
                step => self.client.get("/runs", &self.parameters(step)).await,
            };
            match fetched {
                // There is no page 1: pages count from 0, and page 0 was the whole list.
                Err(ApiError::Rejected { .. }) | Ok(FetchResult::Absent { .. })
                    if page_zero.as_ref().is_some_and(is_stated_end) =>
                {
                    self.first_number = Some(0);
                    self.pages += 1;
                    return Ok(page_zero.unwrap_or_default());
                }
                Err(error @ ApiError::Rejected { .. }) if !self.has_page => self.relent(error)?,
                Ok(FetchResult::Body(response)) if self.is_before_the_first(step, &response) => {
                    self.first_number = Some(1);
                    page_zero = self.parsed(&response).ok();
                }
                other => break other?,
            }
        };
        self.pages += 1;
        match fetched {
            FetchResult::Empty { date } => Ok(RawPage { date, ..RawPage::default() }),
            FetchResult::Absent { .. } => Err(ApiError::NotFound { path: self.path() }),
            FetchResult::NotReady => Err(self.client.not_ready("/runs")),
            FetchResult::Body(response) => self.parsed(&response),
        }
    }

    fn parsed(&self, response: &Response) -> Result<RawPage, ApiError> {
        let (ids, list) = (&self.query.id_paths, &self.query.list);
        RawPage::parse(response, ids, list, &self.client, || self.path())
    }

    /// An address, with those parameters of the list that it lacks: without its range or its
    /// workflow it would be a page of another list.
    fn completed(&self, url: &Url) -> Url {
        let mut url = url.clone();
        let named: Vec<String> = url.query_pairs().map(|(name, _)| name.into_owned()).collect();
        let lacking = self.query.parameters.iter();
        let lacking = lacking.filter(|(name, _)| !named.iter().any(|named| named == name));
        let lacking: Vec<(&str, &str)> =
            lacking.map(|(name, value)| (*name, value.as_str())).collect();
        if !lacking.is_empty() {
            url.query_pairs_mut().extend_pairs(lacking);
        }
        url
    }

    /// Whether a page that was requested as page 0 is empty: pages count from 1 then.
    fn is_before_the_first(&self, step: &PageStep, response: &Response) -> bool {
        let was_guessed = self.first_number == Some(0) && self.pager.first_page().is_none();
        if !was_guessed || *step != PageStep::First {
            return false;
        }
        let list = Node::from_validated(&response.body).and_then(|node| self.query.list.find(node));
        list.is_some_and(|list| list.elements.is_empty())
    }

    fn parameters<'a>(&'a self, step: &'a PageStep) -> Vec<(&'a str, String)> {
        let mut parameters: Vec<(&str, String)> =
            self.query.parameters.iter().map(|(name, value)| (*name, value.clone())).collect();
        let number = self.pager.number_parameter();
        let first = self.first_number;
        match step {
            PageStep::First => parameters.extend(first.map(|first| (number, first.to_string()))),
            PageStep::ProbeOne => parameters.push((number, "1".to_owned())),
            PageStep::Next(_, PageRequest::Parameter(name, value)) => {
                parameters.push((name, value.clone()));
            }
            PageStep::ProbeSize => {
                let second = self.base.unwrap_or(PageBase::One).first() + 1;
                parameters.push((number, second.to_string()));
            }
            _ => {}
        }
        let size = match step {
            PageStep::ProbeSize => {
                u32::try_from(self.this.distinct.div_ceil(2)).unwrap_or(1).max(1)
            }
            _ => self.query.page_size,
        };
        if let Some(name) = self.pager.size_parameter().filter(|_| size > 0) {
            parameters.push((name, size.to_string()));
        }
        parameters.extend(self.query.sort.clone().map(|sort| ("sort", sort)));
        parameters
    }

    /// After the server rejected the first page: requests it with fewer parameters, and reports
    /// that.
    fn relent(&mut self, error: ApiError) -> Result<(), ApiError> {
        let change = if let Some(sort) = self.query.sort.take() {
            format!("listing without `sort={sort}`")
        } else if self.first_number.is_none() && self.query.page_size > 20 {
            // `page=0` comes first: if pages count from 0, `page=1` would skip the first one.
            self.first_number = Some(0);
            format!("listing with `{}=0`", self.pager.number_parameter())
        } else if self.first_number == Some(0) && self.pager.first_page().is_none() {
            self.first_number = Some(1);
            format!("listing with `{}=1`", self.pager.number_parameter())
        } else if self.query.page_size > 20 {
            self.first_number = self.pager.first_page();
            self.query.page_size = 20;
            "listing with a page size of 20".to_owned()
        } else if self.query.page_size > 0 {
            self.query.page_size = 0;
            "listing without a page size".to_owned()
        } else {
            return Err(error);
        };
        self.events.emit(Event::Notice(format!("{error}; {change}")));
        Ok(())
    }

    fn path(&self) -> String {
        self.client.list_url("/runs").path().to_owned()
    }
}

/// Whether a page without rows states that the list is empty.
fn is_stated_end(page: &RawPage) -> bool {
    page.is_empty() && page.continuation.says_end(Read { rows: 0, pages: 1 })
}

/// Whether a page without rows states that there are more: servers that filter behind a token
/// return such pages.
fn leads_on(said: &Continuation) -> bool {
    said.more == Some(true) || said.says_more(Read::ALL).is_some() || said.names_cursor()
}

/// Whether a number of rows is one at which servers usually cut a list off.
fn is_usual_limit(rows: u64) -> bool {
    rows >= 10 && (rows.is_multiple_of(10) || rows.is_multiple_of(25))
}
