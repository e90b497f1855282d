//! One sync, from the list of runs to the DuckDB file. Start reading here.
//!
//! Identify the organization of the key, open the lake, choose the window, extract, normalize,
//! commit in chunks, deliver. If a sync is stopped early, what was complete by then is committed, and
//! the next one resumes from there.

mod accounts;
mod chunk;
mod commit_pipeline;
mod error;
mod forecast;
mod options;
mod report;
mod session;
mod summary;
mod transition;

use std::sync::Arc;
use std::time::{Duration, Instant};

use uuid::Uuid;

use crate::api::Client;
use crate::event::Event;
use crate::extract::{Extraction, ExtractionPlan, FetchPolicy, Organization, RunPaths, Window};
use crate::lake::Lake;
use crate::ledger::Ledger;
use crate::normalize::ExportContext;
use crate::tables::Mapping;
use crate::targets::deliver_all;

pub use error::SyncError;
pub use forecast::{Forecast, forecast};
pub use options::SyncOptions;
pub use report::{RunCounts, ScanReport, SyncOutcome, SyncReport, WindowReport};
pub use session::{Session, planned_window};

use commit_pipeline::CommitPipeline;
use summary::Totals;

/// Runs one incremental sync.
///
/// # Errors
/// [`SyncError`] if the sync failed. A sync that was stopped early is a [`SyncReport`] that says
/// so: what it had is committed.
pub async fn sync(options: SyncOptions) -> Result<SyncReport, SyncError> {
    let started = Instant::now();
    let session = Session::open(&options, started).await?;
    let Session { client, organization, .. } = &session;
    let mut lake = Box::pin(Lake::open(&options.store)).await?;
    lake.bind(organization.id.as_deref(), &options.filters).await?;
    let mapping = Arc::new(options.mapping.clone().with_field_ids(lake.view().field_ids()));
    let window = session.window(&options, options.sync.range, lake.head());
    options.events.emit(Event::WindowChosen { range: window.range.name() });

    let extraction = Extraction::start(extraction_plan(&options, client, &mapping, window, &lake));
    let export_context = export_context(&options, client, organization, window);
    let sync_id = Uuid::new_v4().to_string();
    let mut export =
        CommitPipeline::new(&options, sync_id, lake, Arc::clone(&mapping), window, export_context);
    let stopped = Box::pin(export.run(extraction)).await?;
    let finished = Box::pin(export.finish(client, stopped, started)).await?;
    let removed = finished.lake.remove_retired(window.until, options.tombstone_grace).await;
    if let Err(error) = removed {
        options.events.emit(Event::Notice(format!("what was merged is kept: {error}")));
    }

    let deliveries = Box::pin(deliver_all(&options.targets, finished.lake.view(), &mapping)).await;
    let totals = Totals { traffic: client.request_stats(), deliveries, elapsed: started.elapsed() };
    Ok(finished.summary.report(finished.ending, totals))
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
        events: options.events.clone(),
        window,
        may_shrink_range: options.sync.range.may_shrink(),
        filters: options.filters.clone(),
        policy: FetchPolicy {
            now: window.until,
            evaluation_grace: Duration::from_secs(options.sync.evaluation_grace_secs),
            paths: RunPaths::new(mapping),
        },
        ledger: followed(lake, mapping),
        concurrency: options.api.concurrency,
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

fn export_context(
    options: &SyncOptions,
    client: &Client,
    organization: &Organization,
    window: Window,
) -> ExportContext {
    let dashboard = options.api.dashboard_url.clone().unwrap_or_else(|| client.origin());
    ExportContext {
        extracted_at: window.until,
        organization_id: organization.id.clone(),
        dashboard_url: dashboard.trim_end_matches('/').to_owned(),
        keep_documents: options.lake.documents,
    }
}
