//! One sync, from the list of runs to the DuckDB file. Start reading here.
//!
//! Identify the organization of the key, open the lake, choose the window, extract, normalize,
//! commit in chunks, deliver. If a sync is stopped early, what was complete by then is committed.

mod accounts;
mod commit_pipeline;
mod error;
mod forecast;
mod report;
mod transition;

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use uuid::Uuid;

use crate::api::{ApiError, Budget, Client, ClientOptions};
use crate::config::{ApiKey, RangeChoice, Settings};
use crate::event::{Event, Events};
use crate::extract::{
    Extraction, ExtractionPlan, FetchPolicy, Organization, RunPaths, Window, organization, plan,
};
use crate::interval::Interval;
use crate::lake::{Lake, Manifest};
use crate::ledger::Ledger;
use crate::normalize::RowContext;
use crate::tables::Mapping;
use crate::targets::{self, deliver_all};

pub use error::SyncError;
pub use forecast::{Forecast, forecast};
pub use report::{Outcome, RunCounts, ScanReport, SyncReport, WindowReport};

use commit_pipeline::CommitPipeline;

/// Options of a sync.
#[derive(Debug)]
pub struct SyncOptions {
    /// The configuration.
    pub settings: Settings,
    /// The API's base URL.
    pub url: String,
    /// The API key.
    pub key: ApiKey,
    /// Receives the events of the sync.
    pub events: Events,
    /// Becomes true when a stop is requested.
    pub stop: watch::Receiver<bool>,
    /// This machine's clock, in microseconds since 1970: used if the server sends no `Date`.
    pub now: i64,
}

/// Microseconds in a second.
const SECOND: i64 = 1_000_000;

/// Runs one incremental sync.
///
/// # Errors
/// [`SyncError`] if the sync failed. A sync that was stopped early is a [`SyncReport`] that says
/// so: what it had is committed.
pub async fn sync(options: SyncOptions) -> Result<SyncReport, SyncError> {
    let started = Instant::now();
    let mapping = Arc::new(Mapping::new(&options.settings.columns, &options.settings.lists)?);
    let client = client(&options, started)?;
    let organization = organization(&client).await?;
    let mut lake = Lake::open(&options.settings.lake.path).await?;
    lake.bind(organization.id.as_deref(), &options.settings.filters).await?;
    let range = options.settings.sync.range;
    let window = window(&options, range, &organization, lake.head(), &mapping);
    options.events.emit(Event::WindowChosen { range: window.range.name() });

    let extraction = Extraction::start(extraction_plan(&options, &client, &mapping, window, &lake));
    let context = context(&options, &client, &organization, window);
    let sync_id = Uuid::new_v4().to_string();
    let mut export =
        CommitPipeline::new(&options, sync_id, lake, Arc::clone(&mapping), window, context);
    let stopped = export.run(extraction).await?;
    let finished = Box::pin(export.finish(&client, stopped, started)).await?;
    let grace = microseconds(options.settings.compact.grace_secs);
    if let Err(error) = finished.lake.remove_retired(window.until, grace).await {
        options.events.emit(Event::Notice(format!("what was merged is kept: {error}")));
    }

    // A stop request also ends the wait for a reader of a target: the next sync catches up.
    let stop = Some(options.stop.clone());
    let targets = targets::configured(&options.settings, &options.events, stop);
    let deliveries = Box::pin(deliver_all(&targets, finished.lake.view(), &mapping)).await;
    Ok(finished.report(client.request_stats(), deliveries, started.elapsed()))
}

pub(crate) fn client(options: &SyncOptions, started: Instant) -> Result<Client, ApiError> {
    let sync = &options.settings.sync;
    let budget = Budget {
        max_requests: sync.max_requests,
        deadline: sync.deadline_secs.map(|seconds| started + Duration::from_secs(seconds)),
    };
    Client::new(ClientOptions {
        settings: options.settings.api.clone(),
        url: options.url.clone(),
        key: options.key.clone(),
        events: options.events.clone(),
        stop: options.stop.clone(),
        budget,
    })
}

/// Plans the window by the server's clock, because windows are relative to the server's current
/// time.
pub(crate) fn window(
    options: &SyncOptions,
    range: RangeChoice,
    organization: &Organization,
    head: Option<&Manifest>,
    mapping: &Mapping,
) -> Window {
    let now = organization.server_now.unwrap_or_else(|| {
        let notice = "the API sends no `Date`; this machine's clock is taken for it";
        options.events.emit(Event::Notice(notice.to_owned()));
        options.now
    });
    planned_window(&options.settings, range, now, head, mapping)
}

/// The window that a sync at `now` would list, in microseconds since 1970 by the server's clock;
/// `range` is how far back to list.
pub fn planned_window(
    settings: &Settings,
    range: RangeChoice,
    now: i64,
    head: Option<&Manifest>,
    mapping: &Mapping,
) -> Window {
    // Coverage from another mapping of list rows does not count: its time is listed again.
    let is_mapped_anew =
        commit_pipeline::is_mapped_anew(head, RunPaths::new(mapping).fingerprint());
    let coverage = head.filter(|_| !is_mapped_anew).map(|head| head.coverage.as_slice());
    let coverage = coverage.unwrap_or_default();
    let gaps: Vec<Interval> = head.map(Manifest::gap_intervals).unwrap_or_default();
    let overlap = microseconds(settings.sync.overlap_secs);
    let window = plan(range, coverage, &gaps, now, overlap);
    // With such a filter, a run joins the list whenever it changes, also far down: never end early.
    let filters = &settings.filters;
    let moving = [&filters.status, &filters.classification, &filters.search];
    let is_still = moving.iter().all(|set| set.is_none());
    // To end early, the order must be known from a scan that read the whole list.
    let is_ordered = head.and_then(|head| head.newest_first) == Some(true);
    let known_before = window.known_before.filter(|_| is_still && is_ordered);
    Window { known_before, ..window }
}

fn extraction_plan(
    options: &SyncOptions,
    client: &Client,
    mapping: &Mapping,
    window: Window,
    lake: &Lake,
) -> ExtractionPlan {
    ExtractionPlan {
        client: client.clone(),
        window,
        may_shrink_range: options.settings.sync.range.may_shrink(),
        filters: options.settings.filters.clone(),
        policy: FetchPolicy {
            now: window.until,
            evaluation_grace: microseconds(options.settings.sync.evaluation_grace_secs),
            paths: RunPaths::new(mapping),
        },
        ledger: followed(lake, mapping),
        concurrency: options.settings.api.concurrency,
    }
}

/// The ledger for the extraction. If the mapping of list rows changed, runs that were never found
/// by id are left out: the id may have been read from the wrong member.
fn followed(lake: &Lake, mapping: &Mapping) -> Ledger {
    let mut ledger = lake.ledger().clone();
    if commit_pipeline::is_mapped_anew(lake.head(), RunPaths::new(mapping).fingerprint()) {
        ledger.apply(lake.ledger().never_found().map(|run_id| (run_id.to_owned(), None)));
    }
    ledger
}

fn context(
    options: &SyncOptions,
    client: &Client,
    organization: &Organization,
    window: Window,
) -> RowContext {
    let dashboard = options.settings.api.dashboard_url.clone().unwrap_or_else(|| client.origin());
    RowContext {
        commit: 0,
        extracted_at: window.until,
        organization_id: organization.id.clone(),
        dashboard_url: dashboard.trim_end_matches('/').to_owned(),
        keep_documents: options.settings.lake.documents,
    }
}

fn microseconds(seconds: u64) -> i64 {
    i64::try_from(seconds).unwrap_or(i64::MAX).saturating_mul(SECOND)
}
