//! Checks of the API, with about ten requests.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::watch;

use super::{Examination, mapping};
use crate::api::{ApiError, Budget, Client, ClientOptions, FetchResult};
use crate::config::{ApiKey, Settings};
use crate::event::Events;
use crate::extract::{
    FetchPolicy, FetchTask, ListedRun, Organization, Range, RunPaths, TaskOutcome, Window,
    fetch_run, is_refusal, list_query, organization,
};
use crate::failure::{Exit, Failure};
use crate::json::{Body, Node};
use crate::lake::{LakeStore, LakeView};
use crate::listing::{Ending, ListQuery, Listing, PageBase};
use crate::normalize::{ExportContext, Normalizer};
use crate::run::{DocumentState, Phase, Shortfall};
use crate::sync::planned_window;
use crate::tables::Mapping;
use crate::time::Timestamp;

/// Input of the checks of the API.
#[derive(Debug)]
pub(super) struct Probe {
    pub(super) settings: Settings,
    pub(super) url: String,
    pub(super) key: ApiKey,
    pub(super) events: Events,
    pub(super) stop: watch::Receiver<bool>,
    /// This machine's clock.
    pub(super) now: Timestamp,
    /// The path to which the API's `OpenAPI` description is saved.
    pub(super) save_openapi: Option<PathBuf>,
}

/// Maximum number of list pages with new runs that are read.
const PAGES: usize = 3;

/// Maximum number of list pages that are requested.
const MOST_PAGES: u32 = 40;

/// Number of runs whose documents are examined.
const RUNS: usize = 2;

/// Difference of clocks from which it is reported.
const CLOCK_DIFFERENCE: Duration = Duration::from_mins(2);

impl Probe {
    pub(super) async fn examine(self, examination: &mut Examination) {
        if !self.key.looks_right() {
            examination.warn(
                "key",
                "the key does not begin with `amt_`",
                "check that it is an Armature API key, and complete",
            );
        }
        let options = ClientOptions {
            settings: self.settings.api.clone(),
            url: self.url.clone(),
            key: self.key.clone(),
            events: self.events.clone(),
            stop: self.stop.clone(),
            budget: Budget::default(),
        };
        let client = match Client::new(options) {
            Ok(client) => client,
            Err(error) => return examination.fail("host", &error.into()),
        };
        let organization = match organization(&client).await {
            Ok(organization) => organization,
            Err(error) => return examination.fail("key", &error.into()),
        };
        self.report_organization(examination, &client, &organization);
        self.openapi(examination, &client).await;
        let mapping = match self.settings.mapping() {
            Ok(mapping) => mapping,
            Err(error) => {
                let failure = Failure::from(error);
                return examination.fail("configuration", &failure);
            }
        };
        let paths = RunPaths::new(&mapping);
        let planned = self.planned(&organization, &mapping).await;
        match self.list(examination, &client, &paths, planned).await {
            Ok(runs) => self.documents(examination, &client, &mapping, &runs, &organization).await,
            Err(error) => examination.fail("list", &error.into()),
        }
    }

    /// The window that the next sync would list.
    async fn planned(&self, organization: &Organization, mapping: &Mapping) -> Window {
        // The check of the lake reports a lake that cannot be read.
        let store = LakeStore::configured(&self.settings).ok();
        let lake = match store {
            Some(store) => LakeView::open(store).await.ok(),
            None => None,
        };
        let head = lake.as_ref().and_then(LakeView::head);
        let now = organization.server_now.unwrap_or(self.now);
        let Settings { sync, filters, .. } = &self.settings;
        planned_window(sync, filters, sync.range, now, head, mapping)
    }

    fn report_organization(
        &self,
        examination: &mut Examination,
        client: &Client,
        organization: &Organization,
    ) {
        examination.ok("host", format!("{} answers", client.base()));
        let name = organization.name.as_deref().unwrap_or("an organization without a name");
        match &organization.id {
            Some(id) => examination.ok("key", format!("accepted, for {name} (`{id}`)")),
            None => examination.warn(
                "key",
                "accepted, but `GET /org` names no organization",
                "a lake cannot tell this organization's runs from another's: use one lake for each",
            ),
        }
        match organization.role.as_deref() {
            Some(role) => examination.ok("role", format!("{role} (viewer is enough)")),
            None => {
                examination.warn("role", "not stated by `GET /org`", "ignore if the rest works");
            }
        }
        match organization.server_now {
            Some(server) if server.distance(self.now) > CLOCK_DIFFERENCE => examination.warn(
                "clock",
                format!(
                    "this machine's clock is {}{} s off the server's",
                    if self.now < server { "-" } else { "" },
                    self.now.distance(server).as_secs(),
                ),
                "the export uses the server's clock and is not affected; correct this machine's clock anyway",
            ),
            Some(_) => examination.ok("clock", "agrees with the server's"),
            None => examination.warn(
                "clock",
                "the server sends no `Date`",
                "keep this machine's clock correct: windows are measured by it",
            ),
        }
    }

    async fn openapi(&self, examination: &mut Examination, client: &Client) {
        let answer = match client.get("/openapi", &[]).await {
            Ok(FetchResult::Body(answer)) => {
                self.save_openapi(examination, &answer.body);
                answer
            }
            Ok(_) => {
                return examination.ok("openapi", "not served by this host (it is optional)");
            }
            Err(error) => {
                return examination.warn("openapi", error.to_string(), "ignore: it is optional");
            }
        };
        let node = Node::from_validated(&answer.body);
        let paths: Vec<String> = node
            .and_then(|node| node.get("paths")?.members())
            .map(|members| members.into_iter().map(|(path, _)| path.into_owned()).collect())
            .unwrap_or_default();
        let missing: Vec<&str> = ["/runs", "/trace", "/evaluation", "/tool-calls"]
            .into_iter()
            .filter(|suffix| !paths.iter().any(|path| path.ends_with(suffix)))
            .collect();
        if missing.is_empty() {
            let offer =
                if self.save_openapi.is_none() { " (--save-openapi FILE saves it)" } else { "" };
            examination.ok("openapi", format!("served, with {} paths{offer}", paths.len()));
        } else {
            examination.warn(
                "openapi",
                format!("served, without a path that ends in {}", missing.join(", ")),
                "the host may still serve them: see `list` and `documents`",
            );
        }
    }

    /// Saves the API's `OpenAPI` description, if a path is given.
    fn save_openapi(&self, examination: &mut Examination, body: &[u8]) {
        let Some(path) = &self.save_openapi else { return };
        match std::fs::write(path, body) {
            Ok(()) => examination.ok("openapi", format!("saved as `{}`", path.display())),
            Err(error) => {
                let error = anyhow::Error::new(error);
                let error = error.context(format!("failed to write `{}`", path.display()));
                examination.fail("openapi", &Failure::new(Exit::Storage, error));
            }
        }
    }

    /// Lists some pages of the range that a sync would list, and of longer ranges until there are
    /// runs to examine.
    async fn list(
        &self,
        examination: &mut Examination,
        client: &Client,
        paths: &RunPaths,
        planned: Window,
    ) -> Result<Vec<ListedRun>, ApiError> {
        let may_shrink = self.settings.sync.range.may_shrink();
        let longer = [Range::Day, Range::Week, Range::Month].into_iter();
        let longer = longer.filter(|range| *range > planned.range);
        let mut refused = None;
        let mut windows = VecDeque::from([planned]);
        windows.extend(longer.map(|range| Window { range, ..planned }));
        while let Some(window) = windows.pop_front() {
            let range = window.range;
            let mut listing =
                Listing::new(client.clone(), Events::none(), self.query(window, paths));
            let looked_at = match self.look_at(&mut listing, paths).await {
                Err(error) if may_shrink && range <= planned.range && is_refusal(&error) => {
                    let Some(shrunk) = window.shrunk() else { return Err(error) };
                    refused.get_or_insert((range, error));
                    windows = VecDeque::from([shrunk]);
                    continue;
                }
                // Only an additional, longer range: ignore the error.
                Err(_) if range > planned.range => continue,
                looked_at => looked_at?,
            };
            if looked_at.runs.is_empty() && !windows.is_empty() {
                continue;
            }
            if let Some((asked, error)) = &refused {
                examination.warn(
                    "range",
                    format!("range={} is refused: {error}", asked.name()),
                    format!(
                        "a sync lists range={} instead; sync.range = \"{}\" avoids the attempt",
                        range.name(),
                        range.name()
                    ),
                );
            }
            self.report_list(examination, range.name(), &listing, &looked_at);
            return Ok(looked_at.runs);
        }
        report_nothing(examination);
        Ok(Vec::new())
    }

    async fn look_at(&self, listing: &mut Listing, paths: &RunPaths) -> Result<LookedAt, ApiError> {
        let mut looked_at = LookedAt::default();
        let mut pages = 0;
        while pages < PAGES && listing.pages() < MOST_PAGES {
            let Some(page) = listing.next().await? else {
                looked_at.has_ended = true;
                break;
            };
            pages += usize::from(!page.new.is_empty());
            looked_at.total = page.total.or(looked_at.total);
            looked_at.runs.extend(page.new.into_iter().map(|row| ListedRun::read(row, paths)));
        }
        Ok(looked_at)
    }

    fn query(&self, window: Window, paths: &RunPaths) -> ListQuery {
        let filters = &self.settings.filters;
        list_query(window, filters, filters.workflow_ids.first(), paths)
    }

    fn report_list(
        &self,
        examination: &mut Examination,
        range: &str,
        listing: &Listing,
        looked_at: &LookedAt,
    ) {
        let LookedAt { runs, total, has_ended } = looked_at;
        if runs.is_empty() {
            return report_nothing(examination);
        }
        let envelope = match listing.envelope() {
            Some(name) => format!("under `{name}`"),
            None => "as the body itself".to_owned(),
        };
        let total = total.map_or("no total given".to_owned(), |total| format!("{total} in all"));
        examination.ok(
            "list",
            format!("{} runs of the last {range} sampled, {envelope}; {total}", runs.len()),
        );
        let counted = match listing.base() {
            Some(PageBase::Zero) => ", which count from 0",
            Some(PageBase::One) => ", which count from 1",
            None => "",
        };
        match listing.paging() {
            Some(paging) => examination.ok("pages", format!("{paging}{counted}")),
            None => examination
                .ok("pages", "all runs fit on one page: the paging style cannot be detected"),
        }
        let ending = listing.ending();
        if *has_ended && ending.is_cut_off() {
            report_cut_off(examination, ending);
        }
        let (asked, given) = (self.settings.filters.page_size, listing.largest_page());
        let fewer = usize::try_from(asked).is_ok_and(|asked| given < asked) && listing.pages() > 2;
        if fewer {
            examination
                .ok("page size", format!("at most {given}, although {asked} were requested"));
        } else {
            examination.ok("page size", format!("{asked} requested, at most {given} returned"));
        }
        report_order(examination, runs);
    }

    async fn documents(
        &self,
        examination: &mut Examination,
        client: &Client,
        mapping: &Mapping,
        runs: &[ListedRun],
        organization: &Organization,
    ) {
        let now = organization.server_now.unwrap_or(self.now);
        let policy =
            FetchPolicy { now, evaluation_grace: Duration::ZERO, paths: RunPaths::new(mapping) };
        let export = ExportContext {
            extracted_at: now,
            organization_id: organization.id.clone(),
            dashboard_url: client.origin(),
            keep_documents: false,
        };
        let mut normalizer = Normalizer::new(mapping, export, 1).observed();
        let ended: Vec<&ListedRun> =
            runs.iter().filter(|run| run.phase(now) == Phase::Final).take(RUNS).collect();
        if ended.is_empty() && !runs.is_empty() {
            return examination.warn(
                "documents",
                "no run has ended yet",
                "run `doctor` again when one has: the mapping cannot be checked before then",
            );
        }
        for run in ended {
            let task = FetchTask {
                listed: Some(run.clone()),
                run_id: run.run_id.clone(),
                known: None,
                only_with_evaluation: false,
            };
            match fetch_run(client, &Events::none(), &task, &policy).await {
                Ok(TaskOutcome::Complete { run, documents, .. }) => {
                    let bodies = run.documents.iter().filter_map(|d| Node::from_validated(&d.body));
                    let members: usize = bodies.map(|node| Body::new(node).len()).sum();
                    let evaluation = match documents.evaluation {
                        DocumentState::Ok => "with its evaluation",
                        _ => "without an evaluation",
                    };
                    for shortfall in &run.shortfalls {
                        report_shortfall(examination, shortfall);
                    }
                    let bytes = run.body_bytes();
                    examination.ok(
                        "documents",
                        format!("a run {evaluation}: {bytes} bytes, {members} members"),
                    );
                    normalizer.append(&run);
                }
                Ok(TaskOutcome::Failed { error, .. }) | Err(error) => {
                    examination.fail("documents", &error.into());
                }
                Ok(TaskOutcome::Absent) => {
                    let message = "a run is listed, but `GET /runs/{id}` answers 404";
                    let hint = "check that the ids are the right ones: [[columns]] table = \"runs\", \
                                name = \"run_id\", sources = [...]";
                    let (error, hint) = (anyhow::Error::msg(message), Some(hint.to_owned()));
                    let failure = Failure { exit: Exit::Incomplete, error, hint };
                    examination.fail("documents", &failure);
                }
                Ok(_) => examination.warn(
                    "documents",
                    "the list says that a run has ended, but its detail says that it is running",
                    "ignore if it passes",
                ),
            }
        }
        let report = normalizer.report();
        mapping::report(examination, &report);
        // Rows that do not have their declared types would be a bug of this program, which a sync
        // reports.
        if let Ok(batches) = normalizer.finish() {
            mapping::report_issues(examination, &batches);
        }
        examination.mapping = report;
    }
}

fn report_nothing(examination: &mut Examination) {
    examination.warn(
        "list",
        "no runs in the last 30 days",
        "check [filters] in the configuration, and that the organization has runs",
    );
}

fn report_shortfall(examination: &mut Examination, shortfall: &Shortfall) {
    let received = shortfall.received;
    let announced = shortfall.announced.map(|rows| format!("{rows} are announced"));
    let announced = announced.unwrap_or_else(|| "more are announced".to_owned());
    examination.warn(
        "documents",
        format!("`{}`: {received} rows were received, but {announced}", shortfall.resource.name()),
        "such runs are exported with the rows received, named in `_issues`, and make a sync exit with 3",
    );
}

/// What was read of a list.
#[derive(Debug, Default)]
struct LookedAt {
    runs: Vec<ListedRun>,
    total: Option<u64>,
    /// Whether the list was read to its end.
    has_ended: bool,
}

/// Reports a list that ends too early: a sync would export its runs, but not certify the scan.
fn report_cut_off(examination: &mut Examination, ending: Ending) {
    let error = ending.error.map(anyhow::Error::new);
    let said = ending.contradiction.map(anyhow::Error::msg);
    let Some(error) = error.or(said) else { return };
    let hint = "a sync would export what is listed, but never certify the list: set [api.paging] \
                in the configuration to how the API pages";
    examination
        .fail("pages", &Failure { exit: Exit::Incomplete, error, hint: Some(hint.to_owned()) });
}

fn report_order(examination: &mut Examination, runs: &[ListedRun]) {
    let starts: Vec<Timestamp> = runs.iter().filter_map(|run| run.started_at).collect();
    if starts.len() < runs.len() {
        examination.warn(
            "start",
            format!("{} of {} listed runs have no usable start", runs.len() - starts.len(), runs.len()),
            "name the right path: [[columns]] table = \"runs\", name = \"started_at\", sources = [...]",
        );
    }
    let descending = starts.windows(2).all(|pair| matches!(pair, [a, b] if a >= b));
    if descending {
        examination.ok("order", "new to old, so that later syncs can end early");
    } else {
        examination.ok("order", "not new to old: each sync lists its whole range");
    }
    let mut unknown: Vec<&str> = runs
        .iter()
        .filter_map(|run| run.status.as_deref())
        .filter(|status| !Phase::is_known(status))
        .collect();
    unknown.sort_unstable();
    unknown.dedup();
    if !unknown.is_empty() {
        examination.warn(
            "status",
            format!("unknown values: {}", unknown.join(", ")),
            "such runs count as ended two hours after their end time",
        );
    }
    if runs.iter().all(|run| run.status.is_none()) {
        examination.warn(
            "status",
            "no listed run has one",
            "name the right path: [[columns]] table = \"runs\", name = \"status\", sources = [...]",
        );
    }
}
