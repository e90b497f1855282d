//! What a sync would request, estimated with two requests.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::report::WindowReport;
use super::{Session, SyncError, SyncOptions};
use crate::event::Events;
use crate::extract::{
    Decision, ListedRun, RunPaths, Window, decide, is_refusal, list_query, out_of_reach, unlisted,
};
use crate::lake::{CommitFile, LakeError, LakeView};
use crate::ledger::{Ledger, LedgerError, RunState};
use crate::listing::{ListQuery, Listing};
use crate::run::Resource;
use crate::time::{Interval, Timestamp, merge};

/// What a sync would request. Numbers of runs and requests are estimates unless
/// [`Forecast::is_exact`] says otherwise.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Forecast {
    /// The time that would be listed.
    pub window: WindowReport,
    /// Number of runs in the window, as the API states it; `None` if it states no total.
    pub listed: Option<u64>,
    /// Runs whose documents would be fetched.
    pub new_runs: u64,
    /// Carried-over runs: open, waiting, failed or due ones, which would be requested by their id.
    pub follow_ups: u64,
    /// Pages of the list.
    pub pages: u64,
    /// Requests in total.
    pub requests: u64,
    /// Whether the numbers are counted; otherwise they are estimated from the first page, the
    /// total that the API states, and what the ledger knows.
    pub is_exact: bool,
    /// Whether the API states no total, so that there can be more than the first page shows.
    pub is_at_least: bool,
    /// Requests per second in the last syncs; `None` if none of them sent enough to measure it.
    pub requests_per_second: Option<f64>,
    /// How long it would take at that rate, in seconds.
    pub seconds: Option<f64>,
    /// Time that is out of reach, was never covered, and would be recorded as gaps; RFC 3339.
    pub new_gaps: Vec<[Option<String>; 2]>,
    /// Requests that this forecast cost.
    pub requests_sent: u64,
}

/// Syncs with fewer requests are not used to measure the rate.
const TELLING_REQUESTS: u64 = 20;

/// How many commits back syncs are searched for the rate.
const COMMITS_LOOKED_AT: usize = 64;

/// Estimates what [`super::sync`] would request, and changes nothing.
///
/// # Errors
/// [`SyncError`] if the API or the lake cannot be read.
pub async fn forecast(options: SyncOptions) -> Result<Forecast, SyncError> {
    let session = Session::open(&options, Instant::now()).await?;
    let Session { client, organization, .. } = &session;
    let lake = match LakeView::open(&options.store).await {
        Err(LakeError::Missing { .. }) => None,
        other => Some(other?),
    };
    let mut ledger = Ledger::default();
    if let Some(lake) = &lake {
        lake.check_export(organization.id.as_deref(), &options.filters)?;
        ledger = lake.ledger().await?.0;
    }
    let head = lake.as_ref().and_then(LakeView::head);
    let mut window = session.window(&options, options.sync.range, head);
    let paths = RunPaths::new(&options.mapping);
    let page = loop {
        let query = list_query(window, &options.filters, None, &paths);
        match first_page(client, &options.events, query, &paths).await {
            // As in a sync, a smaller range is tried if the API refuses this one.
            Err(SyncError::Api(error)) if options.sync.range.may_shrink() && is_refusal(&error) => {
                window = window.shrunk().ok_or(error)?;
            }
            page => break page?,
        }
    };
    let estimate = Estimate::new(&page, window, &ledger)?;
    let rate = match &lake {
        Some(lake) => observed_rate(lake).await?,
        None => None,
    };
    let Estimate { new_runs, follow_ups, pages, requests, is_exact, is_at_least } = estimate;
    Ok(Forecast {
        window: window.into(),
        listed: page.total,
        new_runs,
        follow_ups,
        pages,
        requests,
        is_exact,
        is_at_least,
        requests_per_second: rate,
        seconds: rate.map(|rate| number(requests) / rate),
        new_gaps: new_gaps(head, window),
        requests_sent: client.request_stats().requests,
    })
}

struct FirstPage {
    runs: Vec<ListedRun>,
    total: Option<u64>,
}

async fn first_page(
    client: &crate::api::Client,
    events: &Events,
    query: ListQuery,
    paths: &RunPaths,
) -> Result<FirstPage, SyncError> {
    let page = Listing::new(client.clone(), events.clone(), query).next().await?;
    let total = page.as_ref().and_then(|page| page.total);
    let rows = page.map(|page| page.new).unwrap_or_default();
    Ok(FirstPage { runs: rows.into_iter().map(|row| ListedRun::read(row, paths)).collect(), total })
}

/// The numbers of a forecast.
struct Estimate {
    new_runs: u64,
    follow_ups: u64,
    pages: u64,
    requests: u64,
    is_exact: bool,
    is_at_least: bool,
}

impl Estimate {
    fn new(page: &FirstPage, window: Window, ledger: &Ledger) -> Result<Self, LedgerError> {
        let mut on_page = 0;
        for run in &page.runs {
            let known = ledger.get(&run.run_id, run.started_at)?;
            let decision = decide(run, known.as_ref(), window.until);
            on_page += u64::from(matches!(decision, Decision::Fetch | Decision::CheckEvaluation));
        }
        let rows = count(page.runs.len());
        let oldest = page.runs.iter().filter_map(|run| run.started_at).min();
        let ends_there = window.known_before.is_some_and(|known| oldest.is_some_and(|o| o < known));
        let holds_all = page.total == Some(rows);
        let pages = pages(page, window, ends_there);
        let new_runs = match page.total {
            _ if ends_there || holds_all => on_page,
            Some(total) => on_page.max(total.saturating_sub(settled(ledger, window.from)?)),
            None => on_page,
        };
        let listed: HashSet<String> = page.runs.iter().map(|run| run.run_id.clone()).collect();
        let unlisted = unlisted(ledger, |id| listed.contains(id), window.until)?;
        let documents = count(Resource::FETCHED.len());
        let follow_up_requests: u64 =
            unlisted.iter().map(|run| if run.only_with_evaluation { 1 } else { documents }).sum();
        let small = 1 + if new_runs > 0 { 2 } else { 0 };
        Ok(Self {
            new_runs,
            follow_ups: count(unlisted.len()),
            pages,
            requests: small + pages + new_runs * documents + follow_up_requests,
            is_exact: ends_there || holds_all,
            is_at_least: !ends_there && page.total.is_none() && rows > 0,
        })
    }
}

/// Pages until the end of the list, the empty one included, or until covered time.
fn pages(page: &FirstPage, window: Window, ends_there: bool) -> u64 {
    let rows = count(page.runs.len()).max(1);
    let all = page.total.map_or(2, |total| total.div_ceil(rows) + 1);
    if ends_there || page.runs.is_empty() {
        return 1;
    }
    let starts = page.runs.iter().filter_map(|run| run.started_at);
    let span = starts.clone().max().zip(starts.min());
    let span = span.map_or(Duration::ZERO, |(most, least)| most.since(least));
    match window.known_before {
        // Estimated by the time span of the first page. A second pass reads the pages again.
        Some(known) if !span.is_zero() => {
            let needed = window.until.since(known).as_micros() / span.as_micros() + 1;
            (u64::try_from(needed).unwrap_or(1) * 2).min(all)
        }
        _ => all,
    }
}

/// Runs of the window that need nothing.
fn settled(ledger: &Ledger, from: Timestamp) -> Result<u64, LedgerError> {
    let (mut inside, forever) = (0, Timestamp::from_micros(i64::MAX));
    ledger.for_each_started(from, forever, |_, entry| {
        inside += u64::from(matches!(entry.state, RunState::Exported | RunState::Open));
    })?;
    Ok(inside)
}

/// Requests per second, over the last syncs that sent enough to measure it.
async fn observed_rate(lake: &LakeView) -> Result<Option<f64>, SyncError> {
    let (mut requests, mut milliseconds) = (0_u64, 0_u64);
    let newest = lake.head().map_or(0, |head| head.commit);
    for commit in (1..=newest).rev().take(COMMITS_LOOKED_AT) {
        let sync = lake.commit_file(commit).await?.sync;
        let telling = sync.filter(|sync| sync.requests >= TELLING_REQUESTS);
        requests += telling.as_ref().map_or(0, |sync| sync.requests);
        milliseconds += telling.map_or(0, |sync| sync.elapsed_ms);
    }
    Ok((milliseconds > 0).then(|| number(requests) * 1000.0 / number(milliseconds)))
}

fn new_gaps(head: Option<&CommitFile>, window: Window) -> Vec<[Option<String>; 2]> {
    let Some(head) = head else { return Vec::new() };
    let coverage = merge(&head.coverage, Interval { from: window.from, until: window.until });
    let reach = window.until - crate::extract::Range::Month.length();
    let lost = out_of_reach(&coverage, &head.gap_intervals(), reach).into_iter();
    lost.map(|lost| [lost.from.rfc3339(), lost.until.rfc3339()]).collect()
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

/// Counts of requests and milliseconds are far below what a float holds exactly.
#[expect(clippy::cast_precision_loss, clippy::as_conversions, reason = "an estimate for people")]
fn number(count: u64) -> f64 {
    count as f64
}
