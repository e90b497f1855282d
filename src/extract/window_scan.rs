//! The list scan of a window: reads its list until there is proof that no run was overlooked.
//!
//! Pages are cut at positions, and the list moves while they are read. A run that starts pushes
//! others down, which only repeats rows. A run that leaves lets others move up, possibly to a page
//! that was already read: these would be missed. A scan is certified by one of three proofs (see
//! [`Proof`]); each rests on what was seen, and none on assumptions about the server.

use std::collections::HashSet;

use super::ListedRun;
use super::list_scan::{ListScan, Scanned};
use super::narrower::Narrowing;
use super::query::{is_refusal, list_query};
use super::scan::{ScanSummary, WindowScan};
use crate::api::ApiError;
use crate::digest::id_key;
use crate::event::Event;

impl WindowScan<'_> {
    /// Lists each selected workflow, or all; waits for `wait` before each page, and passes every
    /// page's runs to `show`, each run once. Also returns the keys ([`id_key`]) of all runs listed.
    ///
    /// If one list fails, the scan is uncertified, but runs of the other lists and of earlier pages
    /// are kept.
    ///
    /// # Errors
    /// [`ApiError`] if no list returns a page, or if the error concerns the whole API.
    pub async fn run<Wait: Future<Output = ()>>(
        &self,
        wait: impl Fn() -> Wait,
        mut show: impl FnMut(Vec<ListedRun>),
    ) -> Result<(ScanSummary, HashSet<u128>), ApiError> {
        let mut listed = HashSet::new();
        // Deduplication: lists of several workflows, and narrower ones, can overlap.
        let mut show_new = |mut runs: Vec<ListedRun>| {
            runs.retain(|run| listed.insert(id_key(&run.run_id)));
            if !runs.is_empty() {
                show(runs);
            }
        };
        let (mut window, mut refused) = (self.window, None);
        let mut summary = loop {
            let scan = Self { window, ..*self };
            match scan.all_lists(&wait, &mut show_new).await {
                Err(error) if self.may_shrink && is_refusal(&error) => {
                    // Only a request that works shows which parameter the API refuses: try a
                    // smaller range.
                    let first = refused.get_or_insert(error);
                    let Some(smaller) = window.shrunk() else { return Err(first.clone()) };
                    window = smaller;
                }
                other => break other?,
            }
        };
        if let Some(error) = refused {
            let (asked, used) = (self.window.range.name(), window.range.name());
            let notice = format!("{error}; listed range={used} instead of range={asked}");
            self.events.emit(Event::Notice(notice));
        }
        summary.runs = u64::try_from(listed.len()).unwrap_or(u64::MAX);
        summary.window = Some(window);
        self.events.emit(Event::ListingDone { runs: summary.runs });
        Ok((summary, listed))
    }

    async fn all_lists<Wait, Waiting, Show>(
        &self,
        wait: &Wait,
        show: &mut Show,
    ) -> Result<ScanSummary, ApiError>
    where
        Wait: Fn() -> Waiting,
        Waiting: Future<Output = ()>,
        Show: FnMut(Vec<ListedRun>),
    {
        let workflows: Vec<Option<&String>> = match self.filters.workflow_ids.as_slice() {
            [] => vec![None],
            ids => ids.iter().map(Some).collect(),
        };
        let (mut summary, mut failed, mut good) = (ScanSummary::default(), None, 0_u32);
        for workflow in workflows {
            let query = list_query(self.window, self.filters, workflow, self.paths);
            match ListScan::new(self, query, wait, show).run().await {
                Err(error) if error.is_fatal() => return Err(error),
                Err(error) => {
                    let name = workflow.map(String::as_str).unwrap_or_default();
                    let uncertainty =
                        format!("the list of workflow `{name}` cannot be had: {error}");
                    summary.uncertainties.push(self.client.mask(&uncertainty));
                    failed.get_or_insert(error);
                }
                Ok(scanned) => {
                    good += 1;
                    summary.add(self.complete(scanned, workflow, wait, show).await?);
                }
            }
        }
        match failed {
            Some(error) if good == 0 => Err(error),
            _ => Ok(summary),
        }
    }

    /// Reads narrower lists if the list was cut off.
    async fn complete<Wait, Waiting, Show>(
        &self,
        scanned: Scanned,
        workflow: Option<&String>,
        wait: &Wait,
        show: &mut Show,
    ) -> Result<ScanSummary, ApiError>
    where
        Wait: Fn() -> Waiting,
        Waiting: Future<Output = ()>,
        Show: FnMut(Vec<ListedRun>),
    {
        match scanned.cut_off {
            None => Ok(scanned.summary),
            Some(cut_off) => {
                let narrowing = Narrowing::new(self, workflow, cut_off, wait, show);
                narrowing.run(scanned.summary).await
            }
        }
    }
}
