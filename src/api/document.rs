//! Documents whose list comes in pages, read to their end.
//!
//! Nothing is documented about paging inside documents, and most have none: one that says nothing
//! of further rows costs one request. One that does is followed like any list; what cannot be had
//! is a shortfall, never silence.

use std::borrow::Cow;
use std::collections::HashSet;

use super::continuation::{Continuation, Next, Read};
use super::pager::{PageRequest, Pager, Place, Way};
use super::{Answer, ApiError, Client, Fetched};
use crate::config::PagingSettings;
use crate::digest::fingerprint;
use crate::json::{Body, List, Node, has_own_id};
use crate::tables::{ListSources, Origin, Table};

/// A document with all of its pages that could be had.
#[derive(Clone, Debug)]
pub struct DocumentPages {
    /// The pages, the first one first.
    pub pages: Vec<Answer>,
    /// Set where the document says that there are more rows than came.
    pub missing: Option<MissingRows>,
}

/// Rows that a document announces and does not give.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MissingRows {
    /// Rows that came.
    pub received: u64,
    /// Rows that there are; `None` where the document says only that there are more.
    pub announced: Option<u64>,
}

/// How the documents of an endpoint turned out to be paged.
#[derive(Clone, Debug)]
pub(super) enum KnownPaging {
    /// In this way.
    By(Way),
    /// In none that is known: so many documents in a row could not be read on.
    Unknown(u32),
}

/// After so many documents that could not be read on, only what the server names is tried.
const HOPELESS: u32 = 2;

/// Pages of one document at the most.
const MOST_PAGES: usize = 10_000;

/// What a page of a document is, as far as reading on needs it.
#[derive(Debug)]
struct Seen {
    rows: u64,
    /// Tells whether the rows came before, all together and each that has an id.
    fingerprint: u64,
    own: Vec<u64>,
    last_id: Option<String>,
    said: Continuation,
}

impl Seen {
    /// `None` where the page holds no list. A total counts as one of the list where `trusts_total`,
    /// or where something else speaks of paging: an evaluation's `total` can be that of its scores.
    fn read(
        body: &[u8],
        headers: &[(&'static str, String)],
        list: &ListSources,
        trusts_total: bool,
    ) -> Option<Self> {
        let found = list.find(Node::accepted(body)?)?;
        let said = said_by(&found, headers, list, trusts_total);
        let sources = found.elements.iter().map(|element| element.source().as_bytes());
        let rows = u64::try_from(found.elements.len()).unwrap_or(u64::MAX);
        let own = found.elements.iter().filter(|element| has_own_id(**element));
        let own = own.map(|element| fingerprint([element.source().as_bytes()])).collect();
        let last_id = found.elements.last().and_then(|element| id_of(*element, list.table()));
        Some(Self { rows, fingerprint: fingerprint(sources), own, last_id, said })
    }

    /// The first page of a document, where it says that there are more rows. Cheap for the usual
    /// one that does not: no digest of its rows is made.
    fn first_of_more(answer: &Answer, list: &ListSources, trusts_total: bool) -> Option<Self> {
        let node = Node::accepted(&answer.body)?;
        if answer.paging.is_empty() && !Continuation::is_mentioned(&Body::new(node)) {
            return None;
        }
        let found = list.find(node)?;
        let rows = u64::try_from(found.elements.len()).unwrap_or(u64::MAX);
        let said = said_by(&found, &answer.paging, list, trusts_total);
        if !said.may_go_on(Read { rows, pages: 1 }, rows) {
            return None;
        }
        Self::read(&answer.body, &answer.paging, list, trusts_total)
    }
}

/// The id of a row, where the table's key is read from.
fn id_of(row: Node<'_>, table: &Table) -> Option<String> {
    let key = table.columns.iter().find(|column| column.origin == Origin::Key)?;
    let id = key.sources.iter().find_map(|path| row.at(path)?.scalar_text());
    id.map(Cow::into_owned)
}

/// What a page of a document says about further rows.
fn said_by(
    found: &List<'_>,
    headers: &[(&'static str, String)],
    list: &ListSources,
    trusts_total: bool,
) -> Continuation {
    let mut said =
        Continuation::read(&found.enclosing, found.elements.len(), list.table().name, headers);
    let pages = said.page.is_some()
        || said.page_size.is_some()
        || said.offset.is_some()
        || said.more.is_some()
        || said.next != Next::Unstated;
    // `{"items": […], "total": 12}` is an object of its own for the list.
    let is_own = matches!(found.member.as_str(), "items" | "rows" | "data" | "results");
    if !trusts_total && !pages && !is_own && said.total_is_plain {
        said.total = None;
    }
    said
}

impl Client {
    /// Reads a document on to the end of its list, from its first page.
    ///
    /// # Errors
    /// [`ApiError`] only where it concerns the whole API: a page that cannot be had is a shortfall.
    pub async fn read_on(
        &self,
        path: &str,
        first: Answer,
        list: &ListSources,
        trusts_total: bool,
    ) -> Result<DocumentPages, ApiError> {
        let Some(seen) = Seen::first_of_more(&first, list, trusts_total) else {
            return Ok(DocumentPages { pages: vec![first], missing: None });
        };
        let known = self.known_paging(path);
        let pager = Pager::new(PagingSettings::default(), self.list_url(path));
        let way = match &known {
            Some(KnownPaging::By(way)) => Some(way.clone()),
            _ => None,
        };
        let is_hopeless = matches!(known, Some(KnownPaging::Unknown(count)) if count >= HOPELESS);
        let reading = Reading {
            client: self,
            path,
            list,
            trusts_total,
            is_hopeless,
            number: seen.said.page.unwrap_or(0),
            is_rebased: false,
            fingerprints: HashSet::from([seen.fingerprint]),
            received: Received::new(seen),
            pages: vec![first],
            pager,
            way,
        };
        reading.run().await
    }
}

/// What the stored pages of a document say of rows that they do not hold, as
/// [`Client::read_on`] found it, except for what only headers said: they are not stored.
pub fn missing_rows<'a>(
    pages: impl IntoIterator<Item = &'a [u8]>,
    list: &ListSources,
    trusts_total: bool,
) -> Option<MissingRows> {
    let seen = pages.into_iter().filter_map(|page| Seen::read(page, &[], list, trusts_total));
    let mut received: Option<Received> = None;
    for seen in seen {
        match &mut received {
            Some(received) => received.add(seen),
            None => received = Some(Received::new(seen)),
        }
    }
    received?.missing()
}

/// What came of a document until now.
#[derive(Debug)]
struct Received {
    /// Rows that came, each that has an id once.
    rows: u64,
    pages: u64,
    /// Rows of the last page.
    last_rows: u64,
    /// The id of its last row.
    last_id: Option<String>,
    /// What the last page said, with the last total that was stated.
    said: Continuation,
    own: HashSet<u64>,
}

impl Received {
    fn new(first: Seen) -> Self {
        let (said, own) = (Continuation::default(), HashSet::new());
        let mut received = Self { rows: 0, pages: 0, last_rows: 0, last_id: None, said, own };
        received.add(first);
        received
    }

    fn add(&mut self, seen: Seen) {
        let again = seen.own.iter().filter(|own| !self.own.insert(**own)).count();
        self.rows += seen.rows.saturating_sub(u64::try_from(again).unwrap_or(0));
        self.pages += 1;
        self.last_rows = seen.rows;
        self.last_id = seen.last_id;
        // A page without a total of its own does not take back the one before.
        let total = seen.said.total.or(self.said.total);
        self.said = Continuation { total, ..seen.said };
    }

    fn read(&self) -> Read {
        Read { rows: self.rows, pages: self.pages }
    }

    fn may_go_on(&self) -> bool {
        self.said.may_go_on(self.read(), self.last_rows)
    }

    fn missing(&self) -> Option<MissingRows> {
        self.said.says_more(self.read())?;
        let announced = self.said.total.filter(|total| *total > self.rows);
        Some(MissingRows { received: self.rows, announced })
    }
}

/// A document that is being read on.
struct Reading<'a> {
    client: &'a Client,
    path: &'a str,
    list: &'a ListSources,
    trusts_total: bool,
    is_hopeless: bool,
    /// The number of the last page; 0 where it is not known.
    number: u64,
    is_rebased: bool,
    fingerprints: HashSet<u64>,
    received: Received,
    pages: Vec<Answer>,
    pager: Pager,
    way: Option<Way>,
}

impl Reading<'_> {
    async fn run(mut self) -> Result<DocumentPages, ApiError> {
        while self.received.may_go_on() && self.pages.len() < MOST_PAGES {
            let Some((way, request)) = self.next() else { break };
            let is_proven = self.pages.len() > 1 && self.way.as_ref() == Some(&way);
            match self.page(&request).await? {
                // It calls itself the page after the one that was asked for: pages are asked for from
                // 0 and shown from 1, and one was left out.
                Some((_, seen)) if self.is_one_too_high(&request, &seen) => {
                    self.is_rebased = true;
                    self.number = 0;
                }
                Some((answer, seen)) if self.fingerprints.insert(seen.fingerprint) => {
                    self.take(way, &request, answer, seen);
                }
                // Pages count from 1: that was the first one again.
                Some(_) if self.number == 0 && matches!(way, Way::Number(_)) => self.number = 1,
                _ if is_proven => break,
                _ => {
                    self.pager.fail(way);
                    self.way = None;
                }
            }
        }
        let missing = self.received.missing();
        self.client.note_paging(self.path, self.way.filter(|_| self.pages.len() > 1));
        Ok(DocumentPages { pages: self.pages, missing })
    }

    fn next(&mut self) -> Option<(Way, PageRequest)> {
        let last_id = self.received.last_id.as_deref();
        let place = Place { number: self.number, rows: self.received.rows, last_id };
        loop {
            let suggested = self.way.take().or_else(|| self.pager.suggested(&self.received.said));
            let way = match suggested {
                None if self.is_hopeless => return None,
                None => self.pager.fallback(&self.received.said)?,
                Some(way) => way,
            };
            match self.pager.request(&way, &self.received.said, place) {
                Some(request) => {
                    self.way = Some(way.clone());
                    return Some((way, request));
                }
                None => self.pager.fail(way),
            }
        }
    }

    fn is_one_too_high(&self, request: &PageRequest, seen: &Seen) -> bool {
        let asked = match request {
            PageRequest::Parameter(_, number) => number.parse::<u64>().ok(),
            PageRequest::Address(_) => None,
        };
        let expected = asked.map(|asked| asked.saturating_add(1));
        !self.is_rebased && expected.is_some() && seen.said.page == expected
    }

    async fn page(&self, request: &PageRequest) -> Result<Option<(Answer, Seen)>, ApiError> {
        let fetched = match request {
            PageRequest::Address(url) => self.client.get_page(self.path, url).await,
            PageRequest::Parameter(name, value) => {
                self.client.get_further(self.path, &[(name.as_str(), value.clone())]).await
            }
        };
        let answer = match fetched {
            Ok(Fetched::Body(answer)) => answer,
            Err(error) if error.is_fatal() => return Err(error),
            Ok(_) | Err(_) => return Ok(None),
        };
        let seen = Seen::read(&answer.body, &answer.paging, self.list, self.trusts_total);
        // An empty page that names the next one is one of rows that were filtered out.
        let leads = |seen: &Seen| seen.rows > 0 || seen.said.next.is_named();
        Ok(seen.filter(leads).map(|seen| (answer, seen)))
    }

    fn take(&mut self, way: Way, request: &PageRequest, answer: Answer, seen: Seen) {
        self.number = match (&way, request) {
            (Way::Number(_), PageRequest::Parameter(_, number)) => {
                number.parse().unwrap_or(self.number.saturating_add(1))
            }
            _ => self.number,
        };
        self.way = Some(way);
        self.received.add(seen);
        self.pages.push(answer);
    }
}
