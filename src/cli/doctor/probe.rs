//! The part of the examination that asks the API: about ten requests.

use tokio::sync::watch;

use super::Examination;
use crate::api::{ApiError, Budget, Client, ClientOptions, Fetched, ListQuery, Listing, PageBase};
use crate::config::{ApiKey, Settings};
use crate::event::Events;
use crate::extract::{
    FetchPolicy, ListedRun, Organization, Outcome, RunPaths, Wanted, fetch_run, organization,
};
use crate::failure::Failure;
use crate::json::{Body, Node};
use crate::normalize::{Normalizer, Stamp};
use crate::run::{DocumentState, Phase};
use crate::tables::Mapping;

/// What the examination of the API needs.
#[derive(Debug)]
pub(super) struct Probe {
    pub(super) settings: Settings,
    pub(super) url: String,
    pub(super) key: ApiKey,
    pub(super) events: Events,
    pub(super) stop: watch::Receiver<bool>,
    pub(super) now: i64,
}

/// Pages of the list that are looked at.
const PAGES: usize = 3;

/// Runs whose documents are looked at.
const RUNS: usize = 2;

/// Clocks that differ by more than this are worth knowing, in microseconds.
const CLOCK_DIFFERENCE: i64 = 120 * 1_000_000;

impl Probe {
    pub(super) async fn examine(self, examination: &mut Examination) {
        if !self.key.looks_right() {
            examination.warn(
                "key",
                "the key does not begin with `amt_`",
                "check that it is an API key of Armature, and whole",
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
        let mapping = match Mapping::new(&self.settings.columns, &self.settings.lists) {
            Ok(mapping) => mapping,
            Err(error) => {
                let failure = Failure::from(crate::sync::SyncError::from(error));
                return examination.fail("configuration", &failure);
            }
        };
        let paths = RunPaths::new(&mapping);
        match self.list(examination, &client, &paths).await {
            Ok(runs) => self.documents(examination, &client, &mapping, &runs, &organization).await,
            Err(error) => examination.fail("list", &error.into()),
        }
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
                "a lake cannot tell this organization's runs from another's: keep lakes apart",
            ),
        }
        match organization.role.as_deref() {
            Some(role) => examination.ok("role", format!("{role} (viewer is enough)")),
            None => {
                examination.warn("role", "not told by `GET /org`", "nothing, if the rest works");
            }
        }
        match organization.server_now {
            Some(server) if (server - self.now).abs() > CLOCK_DIFFERENCE => examination.warn(
                "clock",
                format!("this machine's clock is {} s off the server's", (self.now - server) / 1_000_000),
                "nothing for the export, which goes by the server's clock; mend this machine's all the same",
            ),
            Some(_) => examination.ok("clock", "agrees with the server's"),
            None => examination.warn(
                "clock",
                "the server sends no `Date`",
                "keep this machine's clock right: windows are measured by it",
            ),
        }
    }

    async fn openapi(&self, examination: &mut Examination, client: &Client) {
        let answer = match client.get("/openapi", &[]).await {
            Ok(Fetched::Body(answer)) => answer,
            Ok(_) => {
                return examination.ok("openapi", "not served by this host (it is optional)");
            }
            Err(error) => {
                return examination.warn("openapi", error.to_string(), "nothing: it is optional");
            }
        };
        let node = Node::accepted(&answer.body);
        let paths: Vec<String> = node
            .and_then(|node| node.get("paths")?.members())
            .map(|members| members.into_iter().map(|(path, _)| path.into_owned()).collect())
            .unwrap_or_default();
        let missing: Vec<&str> = ["/runs", "/trace", "/evaluation", "/tool-calls"]
            .into_iter()
            .filter(|suffix| !paths.iter().any(|path| path.ends_with(suffix)))
            .collect();
        if missing.is_empty() {
            examination.ok("openapi", format!("served, with {} paths", paths.len()));
        } else {
            examination.warn(
                "openapi",
                format!("served, without a path that ends in {}", missing.join(", ")),
                "the host may serve them all the same: see `list` and `documents`",
            );
        }
    }

    /// Lists a little of the shortest range that has runs.
    async fn list(
        &self,
        examination: &mut Examination,
        client: &Client,
        paths: &RunPaths,
    ) -> Result<Vec<ListedRun>, ApiError> {
        for range in ["24h", "7d", "30d"] {
            let mut listing = Listing::new(client.clone(), self.query(range, paths));
            let (mut runs, mut total) = (Vec::new(), None);
            for _ in 0..PAGES {
                let Some(page) = listing.next().await? else { break };
                total = page.total.or(total);
                runs.extend(page.new.into_iter().map(|row| ListedRun::read(row, paths)));
            }
            if runs.is_empty() && range != "30d" {
                continue;
            }
            self.report_list(examination, range, &listing, &runs, total);
            return Ok(runs);
        }
        Ok(Vec::new())
    }

    fn query(&self, range: &str, paths: &RunPaths) -> ListQuery {
        let filters = &self.settings.filters;
        let mut parameters = vec![("range", range.to_owned())];
        let optional = [
            ("workflowId", filters.workflow_ids.first()),
            ("status", filters.status.as_ref()),
            ("classification", filters.classification.as_ref()),
            ("search", filters.search.as_ref()),
        ];
        parameters.extend(optional.into_iter().filter_map(|(name, v)| Some((name, v?.clone()))));
        ListQuery {
            parameters,
            sort: filters.sort.clone(),
            page_size: filters.page_size,
            id_paths: paths.run_id.clone(),
            list: paths.list.clone(),
        }
    }

    fn report_list(
        &self,
        examination: &mut Examination,
        range: &str,
        listing: &Listing,
        runs: &[ListedRun],
        total: Option<u64>,
    ) {
        if runs.is_empty() {
            return examination.warn(
                "list",
                "no runs in the last 30 days",
                "check [filters] in the configuration, and that the organization has runs",
            );
        }
        let envelope = match listing.envelope() {
            Some(name) => format!("under `{name}`"),
            None => "as the body itself".to_owned(),
        };
        let total = total.map_or("no total given".to_owned(), |total| format!("{total} in all"));
        examination.ok(
            "list",
            format!("{} runs of the last {range} looked at, {envelope}; {total}", runs.len()),
        );
        match listing.base() {
            Some(PageBase::Zero) => examination.ok("pages", "count from 0"),
            Some(PageBase::One) => examination.ok("pages", "count from 1"),
            None => examination
                .ok("pages", "all runs fit on one: whether they count from 0 or 1 does not show"),
        }
        let (asked, given) = (self.settings.filters.page_size, listing.largest_page());
        let fewer = usize::try_from(asked).is_ok_and(|asked| given < asked) && listing.pages() > 2;
        if fewer {
            examination
                .ok("page size", format!("{given} at the most, though {asked} were asked for"));
        } else {
            examination.ok("page size", format!("{asked} asked for, {given} given at the most"));
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
        let policy = FetchPolicy { now, evaluation_grace: 0, paths: RunPaths::new(mapping) };
        let stamp = Stamp {
            commit: 0,
            extracted_at: now,
            organization_id: organization.id.clone(),
            dashboard_url: client.origin(),
            keep_documents: false,
        };
        let mut normalizer = Normalizer::new(mapping, stamp).observed();
        let ended: Vec<&ListedRun> =
            runs.iter().filter(|run| run.phase(now) == Phase::Final).take(RUNS).collect();
        if ended.is_empty() && !runs.is_empty() {
            return examination.warn(
                "documents",
                "no run has ended yet",
                "run `doctor` again when one has: the mapping shows only then",
            );
        }
        for run in ended {
            let wanted = Wanted {
                listed: Some(run.clone()),
                run_id: run.run_id.clone(),
                known: None,
                only_with_evaluation: false,
            };
            match fetch_run(client, &wanted, &policy).await {
                Ok(Outcome::Complete { run, documents, .. }) => {
                    let bodies = run.documents.iter().filter_map(|d| Node::accepted(&d.body));
                    let members: usize = bodies.map(|node| Body::new(node).len()).sum();
                    let evaluation = match documents.evaluation {
                        DocumentState::Ok => "with its evaluation",
                        _ => "without an evaluation",
                    };
                    let bytes = run.body_bytes();
                    examination.ok(
                        "documents",
                        format!("a run {evaluation}: {bytes} bytes, {members} members"),
                    );
                    normalizer.append(&run);
                }
                Ok(Outcome::Failed { error, .. }) | Err(error) => {
                    examination.fail("documents", &error.into());
                }
                Ok(Outcome::Absent) => examination.warn(
                    "documents",
                    "a run is listed, but `GET /runs/{id}` answers 404",
                    "check that the ids are the right ones: [[columns]] table = \"runs\", name = \"run_id\"",
                ),
                Ok(_) => examination.warn("documents", "the list says that a run ended, its detail that it goes on", "nothing, if it passes"),
            }
        }
        examination.mapping = normalizer.report();
    }
}

fn report_order(examination: &mut Examination, runs: &[ListedRun]) {
    let starts: Vec<i64> = runs.iter().filter_map(|run| run.started_at).collect();
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
            format!("words not known: {}", unknown.join(", ")),
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
