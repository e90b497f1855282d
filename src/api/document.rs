//! Documents with a paged list, read to the end of the list.
//!
//! Paging inside documents is not documented, and most documents are not paged: one that states
//! nothing about further rows costs one request. One that does is paged like any list, and rows
//! that cannot be fetched are reported as missing.

use std::borrow::Cow;
use std::collections::HashSet;

use super::continuation::{Continuation, Next, Read};
use super::pager::{KnownPaging, PageRequest, Pager, Place, Way};
use super::{ApiError, Client, FetchResult, Response};
use crate::config::PagingSettings;
use crate::digest::fingerprint;
use crate::json::{Body, List, Node, has_own_id};
use crate::tables::{ListSources, Origin, Table};

/// A document with all pages that could be fetched.
#[derive(Clone, Debug)]
pub struct DocumentPages {
    /// The pages, in order.
    pub pages: Vec<Response>,
    /// Set if the document states that there are more rows than were received.
    pub missing: Option<MissingRows>,
}

/// Rows that a document announces and does not contain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MissingRows {
    /// Rows received.
    pub received: u64,
    /// Rows announced; `None` if the document states only that there are more.
    pub announced: Option<u64>,
}

/// After this many documents in a row whose further pages could not be read, only ways that the
/// server's statements suggest are tried.
const HOPELESS: u32 = 2;

/// Maximum number of pages of one document.
const MOST_PAGES: usize = 10_000;

/// A page of a document, as far as paging needs it.
#[derive(Debug)]
struct Seen {
    rows: u64,
    /// Fingerprint of all rows together: shows whether the page came before.
    fingerprint: u64,
    /// Fingerprints of the rows that have an id of their own: they count once.
    own: Vec<u64>,
    last_id: Option<String>,
    said: Continuation,
}

impl Seen {
    /// `None` if the page holds no list. A total counts as the list's if `trusts_total` is set, or
    /// if the page states something else about paging: an evaluation's `total` can be that of its
    /// scores.
    fn read(
        body: &[u8],
        headers: &[(&'static str, String)],
        list: &ListSources,
        trusts_total: bool,
    ) -> Option<Self> {
        let found = list.find(Node::from_validated(body)?)?;
        let said = said_by(&found, headers, list, trusts_total);
        Some(Self::of(&found, said, list))
    }

    fn of(found: &List<'_>, said: Continuation, list: &ListSources) -> Self {
        let sources = found.elements.iter().map(|element| element.source().as_bytes());
        let rows = u64::try_from(found.elements.len()).unwrap_or(u64::MAX);
        let own = found.elements.iter().filter(|element| has_own_id(**element));
        let own = own.map(|element| fingerprint([element.source().as_bytes()])).collect();
        let last_id = found.elements.last().and_then(|element| id_of(*element, list.table()));
        Self { rows, fingerprint: fingerprint(sources), own, last_id, said }
    }

    /// The first page of a document, if it states that there are more rows. Cheap for the usual
    /// document, which does not: its rows are not hashed.
    fn first_of_more(response: &Response, list: &ListSources, trusts_total: bool) -> Option<Self> {
        let node = Node::from_validated(&response.body)?;
        if response.paging.is_empty() && !Continuation::is_mentioned(&Body::new(node)) {
            return None;
        }
        let found = list.find(node)?;
        let rows = u64::try_from(found.elements.len()).unwrap_or(u64::MAX);
        let said = said_by(&found, &response.paging, list, trusts_total);
        said.may_go_on(Read { rows, pages: 1 }, rows).then(|| Self::of(&found, said, list))
    }
}

/// The id of a row, read from the sources of the table's key.
fn id_of(row: Node<'_>, table: &Table) -> Option<String> {
    let key = table.columns.iter().find(|column| column.origin == Origin::Key)?;
    let id = key.sources.iter().find_map(|path| row.at(path)?.scalar_text());
    id.map(Cow::into_owned)
}

/// The statements of a document's page about further rows.
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
    // In `{"items": […], "total": 12}` the object exists for the list only, so the total is the
    // list's.
    let is_own = matches!(found.member.as_str(), "items" | "rows" | "data" | "results");
    if !trusts_total && !pages && !is_own && said.total_is_plain {
        said.total = None;
    }
    said
}

impl Client {
    /// Reads the further pages of a document, up to the end of its list.
    ///
    /// # Errors
    /// [`ApiError`] only if it concerns the whole API: any other failed page counts as missing
    /// rows.
    pub async fn read_on(
        &self,
        path: &str,
        first: Response,
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
        let reading = DocumentReading {
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

/// The rows that the stored pages of a document announce and do not contain, as [`Client::read_on`]
/// found them. Statements in headers are left out: headers are not stored.
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

/// What was received of a document so far.
#[derive(Debug)]
struct Received {
    /// Rows received; a row that has an id counts once.
    rows: u64,
    pages: u64,
    /// Rows of the last page.
    last_rows: u64,
    /// The id of its last row.
    last_id: Option<String>,
    /// The statements of the last page, with the last total that was stated.
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
        // A page that states no total does not revoke an earlier one.
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

/// The state while the further pages of a document are read.
struct DocumentReading<'a> {
    client: &'a Client,
    path: &'a str,
    list: &'a ListSources,
    trusts_total: bool,
    is_hopeless: bool,
    /// The number of the last page; 0 if it is not known.
    number: u64,
    is_rebased: bool,
    fingerprints: HashSet<u64>,
    received: Received,
    pages: Vec<Response>,
    pager: Pager,
    way: Option<Way>,
}

impl DocumentReading<'_> {
    async fn run(mut self) -> Result<DocumentPages, ApiError> {
        while self.received.may_go_on() && self.pages.len() < MOST_PAGES {
            let Some((way, request)) = self.next() else { break };
            let is_proven = self.pages.len() > 1 && self.way.as_ref() == Some(&way);
            match self.page(&request).await? {
                // The page states a number one higher than requested: pages are requested from 0
                // and shown from 1, and one was skipped.
                Some((_, seen)) if self.is_one_too_high(&request, &seen) => {
                    self.is_rebased = true;
                    self.number = 0;
                }
                Some((response, seen)) if self.fingerprints.insert(seen.fingerprint) => {
                    self.take(way, &request, response, seen);
                }
                // Pages count from 1: `page=1` was the first page again.
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

    async fn page(&self, request: &PageRequest) -> Result<Option<(Response, Seen)>, ApiError> {
        let fetched = match request {
            PageRequest::Address(url) => self.client.get_page(self.path, url).await,
            PageRequest::Parameter(name, value) => {
                self.client.get_further(self.path, &[(name.as_str(), value.clone())]).await
            }
        };
        let response = match fetched {
            Ok(FetchResult::Body(response)) => response,
            Err(error) if error.is_fatal() => return Err(error),
            Ok(_) | Err(_) => return Ok(None),
        };
        let seen = Seen::read(&response.body, &response.paging, self.list, self.trusts_total);
        // An empty page that names a next one is not an end: its rows were filtered out.
        let leads = |seen: &Seen| seen.rows > 0 || seen.said.next.is_named();
        Ok(seen.filter(leads).map(|seen| (response, seen)))
    }

    fn take(&mut self, way: Way, request: &PageRequest, response: Response, seen: Seen) {
        self.number = match (&way, request) {
            (Way::Number(_), PageRequest::Parameter(_, number)) => {
                number.parse().unwrap_or(self.number.saturating_add(1))
            }
            _ => self.number,
        };
        self.way = Some(way);
        self.received.add(seen);
        self.pages.push(response);
    }
}
