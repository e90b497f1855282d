//! The settings and their defaults. `config/armature-export.toml` says the same for people.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::tables::{ColumnOverride, ListOverride};

/// Everything that can be configured.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// The version of the file's format: 1. Without it, the version that reads the file.
    pub config_version: Option<u64>,
    /// The API and how to ask it.
    pub api: ApiSettings,
    /// Which runs to export.
    pub filters: Filters,
    /// How to sync.
    pub sync: SyncSettings,
    /// Where the Parquet files go.
    pub lake: LakeSettings,
    /// Where the DuckDB file goes.
    pub duckdb: DuckdbSettings,
    /// How `compact` merges small parts.
    pub compact: CompactSettings,
    /// When `schedule` does what.
    pub schedule: ScheduleSettings,
    /// Whom `schedule` tells.
    pub notify: NotifySettings,
    /// Columns to add, and sources to change.
    pub columns: Vec<ColumnOverride>,
    /// Where the lists in bodies stand.
    pub lists: Vec<ListOverride>,
}

/// The API and how to ask it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ApiSettings {
    /// The base URL, such as `https://your-org.armature.app/api/armature/v1`.
    pub url: Option<String>,
    /// A file that holds the key, for container secrets. `ARMATURE_API_KEY` goes before it.
    pub key_file: Option<PathBuf>,
    /// The dashboard, for links to runs. By default the host of `url`.
    pub dashboard_url: Option<String>,
    /// Requests under way at once, at the most.
    pub concurrency: usize,
    /// How long connecting may take.
    pub connect_timeout_secs: u64,
    /// How long the first byte of an answer may take.
    pub first_byte_timeout_secs: u64,
    /// How long a whole answer may take.
    pub body_timeout_secs: u64,
    /// The largest answer, after decompression.
    pub max_body_bytes: u64,
    /// How many bytes of large answers are in memory at once, from their first byte until their
    /// rows are made.
    pub bodies_in_flight_bytes: u64,
    /// Tries of one request, the first included.
    pub max_attempts: u32,
    /// How long one request is tried in all, waits for a rate limit not counted.
    pub max_retry_secs: u64,
    /// The longest wait that the API may ask for; beyond it the sync ends and goes on next time.
    pub max_rate_limit_wait_secs: u64,
    /// Hosts to which the API may redirect a run's documents, such as `*.amazonaws.com`. They are
    /// asked without the key. Lists are never read from elsewhere.
    pub redirect_hosts: Vec<String>,
    /// How lists are paged, where detection finds it out wrongly.
    pub paging: PagingSettings,
}

/// How `GET /runs` is paged. The default detects it from the responses.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PagingSettings {
    /// How the next page is asked for.
    pub style: PagingStyle,
    /// The parameter that names the page, the offset or the token; `None` for the usual names.
    pub parameter: Option<String>,
    /// The parameter that names how many rows a page should have. By default `pageSize`
    /// (documented); an empty text sends none.
    pub size_parameter: Option<String>,
    /// The number of the first page, sent with the first request; `None` sends none and finds out.
    pub first_page: Option<u32>,
    /// Dotted path of the member that holds the next token or address; `None` for the usual names.
    pub next_path: Option<String>,
}

/// A way to ask for the next page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PagingStyle {
    /// Whatever the responses show.
    #[default]
    Auto,
    /// Numbered pages (documented: `page`).
    Page,
    /// The number of rows to skip.
    Offset,
    /// A token out of the response before; where it has none, the id of its last row.
    Cursor,
    /// An address out of the response before.
    Link,
    /// One response holds the whole list.
    None,
}

impl Default for ApiSettings {
    fn default() -> Self {
        Self {
            url: None,
            key_file: None,
            dashboard_url: None,
            concurrency: 8,
            connect_timeout_secs: 10,
            first_byte_timeout_secs: 30,
            body_timeout_secs: 300,
            max_body_bytes: 256 * 1024 * 1024,
            bodies_in_flight_bytes: 64 * 1024 * 1024,
            max_attempts: 5,
            max_retry_secs: 120,
            max_rate_limit_wait_secs: 900,
            redirect_hosts: Vec::new(),
            paging: PagingSettings::default(),
        }
    }
}

/// Which runs to export. A lake holds one selection: change it, and take another lake.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Filters {
    /// Workflows by id, each listed on its own; none means all.
    pub workflow_ids: Vec<String>,
    /// The API's `status` filter.
    pub status: Option<String>,
    /// The API's `classification` filter.
    pub classification: Option<String>,
    /// The API's free-text `search`.
    pub search: Option<String>,
    /// The API's `sort` key. Its values are not documented.
    pub sort: Option<String>,
    /// The `pageSize` to ask for; the server may give less.
    pub page_size: u32,
}

impl Default for Filters {
    fn default() -> Self {
        Self {
            workflow_ids: Vec::new(),
            status: None,
            classification: None,
            search: None,
            sort: None,
            page_size: 100,
        }
    }
}

/// How far back `GET /runs` is asked to look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
pub enum RangeChoice {
    /// The smallest that covers what is not yet proven; the first time 30 days.
    #[default]
    #[serde(rename = "auto")]
    Auto,
    /// 24 hours.
    #[serde(rename = "24h")]
    #[value(name = "24h")]
    Day,
    /// 7 days.
    #[serde(rename = "7d")]
    #[value(name = "7d")]
    Week,
    /// 30 days.
    #[serde(rename = "30d")]
    #[value(name = "30d")]
    Month,
    /// The longest that the API allows: for a repair, which no user asks for by this name.
    #[serde(skip)]
    #[value(skip)]
    Longest,
}

impl RangeChoice {
    /// Whether a shorter range is listed where the API refuses this one.
    pub fn may_shrink(self) -> bool {
        matches!(self, Self::Auto | Self::Longest)
    }
}

/// How to sync.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SyncSettings {
    /// How far back to list.
    pub range: RangeChoice,
    /// How much of the time already proven is listed again, for runs that appear late.
    pub overlap_secs: u64,
    /// How long after its end a run waits for its evaluation before it is exported without.
    pub evaluation_grace_secs: u64,
    /// For how long after its end a run without evaluation is asked for one.
    pub evaluation_recheck_secs: u64,
    /// A commit is made when the bodies of the runs in it reach this size.
    pub commit_bytes: u64,
    /// A commit is made at the latest after this time.
    pub commit_secs: u64,
    /// Requests that one sync may send, retries included.
    pub max_requests: Option<u64>,
    /// How long one sync may ask the API.
    pub deadline_secs: Option<u64>,
}

impl Default for SyncSettings {
    fn default() -> Self {
        Self {
            range: RangeChoice::Auto,
            overlap_secs: 2 * 3600,
            evaluation_grace_secs: 3600,
            evaluation_recheck_secs: 7 * 86_400,
            commit_bytes: 16 * 1024 * 1024,
            commit_secs: 30,
            max_requests: None,
            deadline_secs: None,
        }
    }
}

/// Where the Parquet files go.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LakeSettings {
    /// The folder.
    pub path: PathBuf,
    /// Whether raw bodies are kept in the `documents` table.
    pub documents: bool,
    /// The zstd level of Parquet files, 1 to 22.
    pub compression_level: i32,
    /// Who else may read what is written: lake, DuckDB file, and all that is made beside them.
    pub access: Access,
}

/// Who else may read the files that are made. It says nothing of files that are there already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Access {
    /// Nobody: modes 0600 and 0700.
    #[default]
    Owner,
    /// The group may read: modes 0640 and 0750.
    Group,
    /// As the process's umask says.
    Umask,
}

impl Access {
    /// The umask that brings it about; `None` where the process keeps its own.
    pub fn umask(self) -> Option<u32> {
        match self {
            Self::Owner => Some(0o077),
            Self::Group => Some(0o027),
            Self::Umask => None,
        }
    }
}

impl Default for LakeSettings {
    fn default() -> Self {
        Self {
            path: PathBuf::from("lake"),
            documents: true,
            compression_level: 3,
            access: Access::Owner,
        }
    }
}

/// Where the DuckDB file goes.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DuckdbSettings {
    /// The file.
    pub path: PathBuf,
    /// Whether there is one at all.
    pub enabled: bool,
    /// How long to wait for a reader to let go of the file.
    pub lock_wait_secs: u64,
    /// How much memory DuckDB may take while it applies commits.
    pub memory_limit_mb: u64,
}

impl Default for DuckdbSettings {
    fn default() -> Self {
        Self {
            path: PathBuf::from("armature.duckdb"),
            enabled: true,
            lock_wait_secs: 30,
            memory_limit_mb: 40,
        }
    }
}

/// How `compact` merges small parts.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CompactSettings {
    /// The size that merged parts have at the most.
    pub target_bytes: u64,
    /// How long after its last instant a day is over: what comes later is in parts of its own.
    pub closed_after_secs: u64,
    /// How long merged parts are kept, out of sight, for readers that looked before.
    pub grace_secs: u64,
}

impl Default for CompactSettings {
    fn default() -> Self {
        Self { target_bytes: 128 * 1024 * 1024, closed_after_secs: 86_400, grace_secs: 86_400 }
    }
}

/// What `schedule` does, and when.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ScheduleSettings {
    /// When to sync: a crontab expression, minute, hour, day of month, month, day of week.
    pub cron: String,
    /// When to reconcile; empty for never.
    pub reconcile_cron: String,
    /// Whether a reconciliation that finds differences fetches them.
    pub reconcile_repair: bool,
    /// When to compact; empty for never.
    pub compact_cron: String,
    /// The zone that all are meant in, such as `Europe/Berlin`.
    pub time_zone: String,
    /// Whether the first sync runs at once.
    pub run_at_start: bool,
    /// Each firing waits a random time up to this, so that many exporters do not ask all at once.
    pub jitter_secs: u64,
    /// Where health and metrics are served; `None` for nowhere.
    pub listen: Option<String>,
    /// How old the last good sync may be before the export is stale. `None`: twice the longest
    /// pause between two syncs, at least an hour.
    pub stale_after_secs: Option<u64>,
    /// How long a stop may take, to commit what is complete.
    pub stop_secs: u64,
}

impl Default for ScheduleSettings {
    fn default() -> Self {
        Self {
            cron: "*/15 * * * *".to_owned(),
            reconcile_cron: "30 3 * * *".to_owned(),
            reconcile_repair: true,
            compact_cron: String::new(),
            time_zone: "UTC".to_owned(),
            run_at_start: true,
            jitter_secs: 0,
            listen: None,
            stale_after_secs: None,
            stop_secs: 60,
        }
    }
}

/// Whom `schedule` tells. The URLs can hold secrets: they can come from files, and are never
/// printed beyond their host.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NotifySettings {
    /// Where messages are posted.
    pub webhook_url: Option<String>,
    /// A file that holds that URL.
    pub webhook_url_file: Option<PathBuf>,
    /// What is posted there.
    pub webhook_format: WebhookFormat,
    /// What is asked for (GET) after each good sync, so that its absence raises an alarm.
    pub ping_url: Option<String>,
    /// A file that holds that URL.
    pub ping_url_file: Option<PathBuf>,
    /// Tries of one message, the first included.
    pub max_attempts: u32,
    /// How long one try may take.
    pub timeout_secs: u64,
}

/// What is posted to the webhook.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WebhookFormat {
    /// A JSON object with every field; its `text` is what `Slack` has.
    #[default]
    Json,
    /// `{"text": "…"}`, as Slack, Mattermost and Rocket.Chat take it.
    Slack,
}

impl Default for NotifySettings {
    fn default() -> Self {
        Self {
            webhook_url: None,
            webhook_url_file: None,
            webhook_format: WebhookFormat::Json,
            ping_url: None,
            ping_url_file: None,
            max_attempts: 5,
            timeout_secs: 10,
        }
    }
}
