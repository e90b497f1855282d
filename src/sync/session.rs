//! The start of every job that uses the API: a client, the key's organization, and the window.

use std::time::{Duration, Instant};

use super::commit_pipeline::is_mapped_anew;
use super::options::SyncOptions;
use crate::api::{ApiError, Budget, Client, ClientOptions};
use crate::config::{Filters, RangeChoice, SyncSettings};
use crate::event::Event;
use crate::extract::{Organization, RunPaths, Window, organization, plan};
use crate::lake::CommitFile;
use crate::tables::Mapping;
use crate::time::{Interval, Timestamp};

/// A client that was accepted, and what it was told about its organization.
#[derive(Debug)]
pub struct Session {
    /// The HTTP client.
    pub client: Client,
    /// The organization of the key, and the server's clock.
    pub organization: Organization,
    /// When it was opened, by the server's clock; by this machine's if the server sends no `Date`.
    now: Timestamp,
}

impl Session {
    /// Connects, and identifies the organization of the key. `started` is when the job began: its
    /// deadline counts from then.
    ///
    /// # Errors
    /// [`ApiError`] if the API cannot be reached, or refuses the key.
    pub async fn open(options: &SyncOptions, started: Instant) -> Result<Self, ApiError> {
        let client = client(options, started)?;
        let organization = organization(&client).await?;
        let now = organization.server_now.unwrap_or_else(|| {
            let notice = "the API sends no `Date`; this machine's clock is taken for it";
            options.events.emit(Event::Notice(notice.to_owned()));
            options.now
        });
        Ok(Self { client, organization, now })
    }

    /// The window of a job, by the server's clock, because windows are relative to the server's
    /// current time.
    pub fn window(
        &self,
        options: &SyncOptions,
        range: RangeChoice,
        head: Option<&CommitFile>,
    ) -> Window {
        let SyncOptions { sync, filters, mapping, .. } = options;
        planned_window(sync, filters, range, self.now, head, mapping)
    }
}

fn client(options: &SyncOptions, started: Instant) -> Result<Client, ApiError> {
    let sync = &options.sync;
    let budget = Budget {
        max_requests: sync.max_requests,
        deadline: sync.deadline_secs.map(|seconds| started + Duration::from_secs(seconds)),
    };
    Client::new(ClientOptions {
        settings: options.api.clone(),
        url: options.url.clone(),
        key: options.key.clone(),
        events: options.events.clone(),
        stop: options.stop.clone(),
        budget,
    })
}

/// The window that a sync at `now` would list, by the server's clock;
/// `range` is how far back to list.
pub fn planned_window(
    sync: &SyncSettings,
    filters: &Filters,
    range: RangeChoice,
    now: Timestamp,
    head: Option<&CommitFile>,
    mapping: &Mapping,
) -> Window {
    // The coverage is the watermark. One from another mapping of list rows does not count: its time is
    // listed again.
    let mapped_anew = is_mapped_anew(head, RunPaths::new(mapping).fingerprint());
    let coverage = head.filter(|_| !mapped_anew).map(|head| head.coverage.as_slice());
    let coverage = coverage.unwrap_or_default();
    let gaps: Vec<Interval> = head.map(CommitFile::gap_intervals).unwrap_or_default();
    let overlap = Duration::from_secs(sync.overlap_secs);
    let window = plan(range, coverage, &gaps, now, overlap);
    // With such a filter, a run joins the list whenever it changes, also far down: never end early.
    let moving = [&filters.status, &filters.classification, &filters.search];
    let is_still = moving.iter().all(|set| set.is_none());
    // To end early, the order must be known from a scan that read the whole list.
    let is_ordered = head.and_then(|head| head.newest_first) == Some(true);
    let known_before = window.known_before.filter(|_| is_still && is_ordered);
    Window { known_before, ..window }
}
