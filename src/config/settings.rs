//! The settings and their defaults. `config/armature-export.toml` documents the same options for
//! users.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::iceberg::IcebergSettings;
use super::object_store::{ObjectStoreSettings, ReadBy, StoreUrl};
use crate::tables::{ColumnOverride, ListOverride, Mapping, MappingError};

/// Everything that can be configured.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// The version of the configuration format: 1. By default the version that this program reads.
    pub config_version: Option<u64>,
    /// The API, and how it is requested.
    pub api: ApiSettings,
    /// Which runs to export.
    pub filters: Filters,
    /// How to sync.
    pub sync: SyncSettings,
    /// Where the Parquet files go.
    pub lake: LakeSettings,
    /// How the object store of the lake is reached, if it is in one.
    pub store: ObjectStoreSettings,
    /// Where the DuckDB file goes.
    pub duckdb: DuckdbSettings,
    /// Iceberg tables over the lake's data files.
    pub iceberg: IcebergSettings,
    /// How `compact` merges small data files.
    pub compact: CompactSettings,
    /// The page that `report` makes.
    pub report: ReportSettings,
    /// When `schedule` runs which job.
    pub schedule: ScheduleSettings,
    /// Where `schedule` sends messages.
    pub notify: NotifySettings,
    /// Additional columns, and other sources for existing ones.
    pub columns: Vec<ColumnOverride>,
    /// Names of the lists in bodies.
    pub lists: Vec<ListOverride>,
}

impl Settings {
    /// The tables with the configured columns and lists.
    ///
    /// # Errors
    /// [`MappingError`] for the first column or list that is not valid.
    pub fn mapping(&self) -> Result<Mapping, MappingError> {
        Mapping::new(&self.columns, &self.lists)
    }

    /// When to compact: a crontab expression; empty for never. Where no time is configured, every
    /// night if engines read tables in an object store: there, no reader lists
    /// folders, and none loads each new file once.
    pub fn compact_cron(&self) -> &str {
        const NIGHTLY: &str = "15 4 * * *";
        let reads_tables = self.lake.read_by == ReadBy::Tables;
        match self.schedule.compact_cron.as_deref() {
            Some(expression) => expression.trim(),
            None if reads_tables && StoreUrl::of_path(&self.lake.path).is_some() => NIGHTLY,
            None => "",
        }
    }
}

/// The API, and how it is requested.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ApiSettings {
    /// The base URL, such as `https://your-org.armature.app/api/armature/v1`.
    pub url: Option<String>,
    /// A file that holds the key, for container secrets. `ARMATURE_API_KEY` overrides it.
    pub key_file: Option<PathBuf>,
    /// The base URL of the dashboard, for links to runs. By default the host of `url`.
    pub dashboard_url: Option<String>,
    /// Maximum number of requests in flight.
    pub concurrency: usize,
    /// Maximum time to connect, in seconds.
    pub connect_timeout_secs: u64,
    /// Maximum time until the first byte of a response, in seconds.
    pub first_byte_timeout_secs: u64,
    /// Maximum time for a whole response, in seconds.
    pub body_timeout_secs: u64,
    /// Maximum size of a response body after decompression, in bytes.
    pub max_body_bytes: u64,
    /// Maximum bytes of large response bodies in memory at once, from their first byte until their
    /// rows are built.
    pub bodies_in_flight_bytes: u64,
    /// Maximum number of attempts for one request, the first included.
    pub max_attempts: u32,
    /// Maximum time for all attempts of one request, in seconds, without waits for a rate limit.
    pub max_retry_secs: u64,
    /// Maximum wait in seconds that the API may ask for; if it asks for more, the sync ends and the
    /// next one continues.
    pub max_rate_limit_wait_secs: u64,
    /// Hosts to which the API may redirect a run's documents, such as `*.amazonaws.com`. They are
    /// requested without the key. Lists are never read from other hosts.
    pub redirect_hosts: Vec<String>,
    /// How lists are paged, if detection gets it wrong.
    pub paging: PagingSettings,
}

/// How `GET /runs` is paged. The default detects it from the responses.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PagingSettings {
    /// How the next page is requested.
    pub style: PagingStyle,
    /// The parameter for the page number, the offset or the token; `None` for the usual names.
    pub parameter: Option<String>,
    /// The parameter for the number of rows of a page. By default `pageSize` (documented); an empty
    /// text sends none.
    pub size_parameter: Option<String>,
    /// The number of the first page, sent with the first request; `None` sends none and detects it.
    pub first_page: Option<u32>,
    /// Dotted path of the member that holds the next token or address; `None` for the usual names.
    pub next_path: Option<String>,
}

/// A way to request the next page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PagingStyle {
    /// Detected from the responses.
    #[default]
    Auto,
    /// Numbered pages (documented: `page`).
    Page,
    /// The number of rows to skip.
    Offset,
    /// A token from the previous response, or the id of its last row if it has no token.
    Cursor,
    /// An address from the previous response.
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

/// Which runs to export. A lake holds the runs of one set of filters: other filters need another
/// lake.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Filters {
    /// Workflow ids, each listed separately; empty for all workflows.
    pub workflow_ids: Vec<String>,
    /// The API's `status` filter.
    pub status: Option<String>,
    /// The API's `classification` filter.
    pub classification: Option<String>,
    /// The API's free-text `search`.
    pub search: Option<String>,
    /// The API's `sort` key. Its values are not documented.
    pub sort: Option<String>,
    /// The `pageSize` to request; the server may return fewer rows.
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

/// The `range` of `GET /runs`: how far back runs are listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
pub enum RangeChoice {
    /// The smallest that includes all time not yet covered; 30 days for the first sync.
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
    /// The longest that the API allows: used by repairs, and not available to users.
    #[serde(skip)]
    #[value(skip)]
    Longest,
}

impl RangeChoice {
    /// Whether a shorter range is listed if the API refuses this one.
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
    /// How much covered time is listed again, in seconds, to find runs that are listed late.
    pub overlap_secs: u64,
    /// How long a run waits for its evaluation after its end, in seconds, before it is exported
    /// without one.
    pub evaluation_grace_secs: u64,
    /// How long after its end the missing evaluation of a run is requested, in seconds.
    pub evaluation_recheck_secs: u64,
    /// A commit is made when the bodies of its runs reach this many bytes.
    pub commit_bytes: u64,
    /// A commit is made at the latest after this many seconds.
    pub commit_secs: u64,
    /// Maximum number of requests of one sync, retries included; `None` for no limit.
    pub max_requests: Option<u64>,
    /// Maximum time in seconds during which one sync sends requests; `None` for no limit.
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
    /// The root folder of the lake, or its address in an object store
    /// ([`super::StoreUrl::of_path`]).
    pub path: PathBuf,
    /// Whether raw bodies are kept in the `documents` table.
    pub documents: bool,
    /// The zstd level of Parquet files, 1 to 22.
    pub compression_level: i32,
    /// Who else may read the files that this program writes: lake, DuckDB file, and everything
    /// beside them.
    pub access: Access,
    /// How engines read a lake in an object store.
    pub read_by: ReadBy,
    /// The folder for local copies of data files of a lake in an object store; `None` for the
    /// folder of the user's caches.
    pub cache: Option<PathBuf>,
    /// Most bytes of local copies.
    pub cache_bytes: u64,
}

impl LakeSettings {
    /// The folder for local copies: the configured one, or one in the folder of the user's caches.
    #[expect(
        clippy::disallowed_methods,
        reason = "the environment says where the user's caches are"
    )]
    pub fn cache_folder(&self) -> PathBuf {
        let folder = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        self.cache.clone().unwrap_or_else(|| {
            let caches = folder("XDG_CACHE_HOME").map(PathBuf::from);
            let home = || folder("HOME").map(|home| PathBuf::from(home).join(".cache"));
            caches.or_else(home).unwrap_or_else(std::env::temp_dir).join("armature-export")
        })
    }
}

/// Who else may read new files. The modes of existing files are not changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Access {
    /// Only the owner: modes 0600 and 0700.
    #[default]
    Owner,
    /// The group may read: modes 0640 and 0750.
    Group,
    /// The umask of the process decides.
    Umask,
}

impl Access {
    /// The umask to set; `None` to keep that of the process.
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
            read_by: ReadBy::Files,
            cache: None,
            cache_bytes: 4 << 30,
        }
    }
}

/// Where the DuckDB file goes.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DuckdbSettings {
    /// The path of the file.
    pub path: PathBuf,
    /// Whether the DuckDB file is written.
    pub enabled: bool,
    /// The path of a copy for readers, replaced after each delivery; `None` for no copy.
    pub publish: Option<PathBuf>,
    /// What `documents` is in the file. `None`: a view if the lake is in a folder, and a table if
    /// it is in an object store.
    pub documents: Option<DuckdbDocuments>,
    /// Maximum time to wait for a process that holds the file, in seconds.
    pub lock_wait_secs: u64,
    /// Memory limit of DuckDB while it applies commits, in megabytes.
    pub memory_limit_mb: u64,
}

impl DuckdbSettings {
    /// Whether the path of the copy is that of the file. Links are not followed: a delivery does
    /// that.
    pub fn publishes_itself(&self) -> bool {
        let absolute = |path: &PathBuf| std::path::absolute(path).unwrap_or_else(|_| path.clone());
        self.publish.as_ref().is_some_and(|copy| absolute(copy) == absolute(&self.path))
    }
}

/// What `documents` is in the DuckDB file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DuckdbDocuments {
    /// A table with copies of the raw bodies.
    Table,
    /// A view over the lake's data files, with the rows that the table would have.
    View,
    /// Neither.
    None,
}

impl Default for DuckdbSettings {
    fn default() -> Self {
        Self {
            path: PathBuf::from("armature.duckdb"),
            enabled: true,
            publish: None,
            documents: None,
            lock_wait_secs: 30,
            memory_limit_mb: 40,
        }
    }
}

/// How `compact` merges small data files.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CompactSettings {
    /// Maximum size of a merged data file, in bytes.
    pub target_bytes: u64,
    /// How long after its end a day is closed, in seconds. Runs that are exported later are in data
    /// files of their own.
    pub closed_after_secs: u64,
    /// How long tombstoned data files are kept, in seconds, for programs that follow the commit
    /// log.
    pub grace_secs: u64,
}

impl Default for CompactSettings {
    fn default() -> Self {
        Self { target_bytes: 128 * 1024 * 1024, closed_after_secs: 86_400, grace_secs: 86_400 }
    }
}

/// How far back the runs of a report start. The range ends where the coverage does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, clap::ValueEnum)]
pub enum ReportRange {
    /// 24 hours.
    #[serde(rename = "24h")]
    #[value(name = "24h")]
    Day,
    /// 7 days.
    #[serde(rename = "7d")]
    #[value(name = "7d")]
    Week,
    /// 30 days.
    #[default]
    #[serde(rename = "30d")]
    #[value(name = "30d")]
    Month,
    /// All runs of the lake, also those that state no start.
    #[serde(rename = "all")]
    #[value(name = "all")]
    All,
}

impl ReportRange {
    /// Its length in days; `None` for all runs.
    pub fn days(self) -> Option<u32> {
        match self {
            Self::Day => Some(1),
            Self::Week => Some(7),
            Self::Month => Some(30),
            Self::All => None,
        }
    }
}

/// The page that `report` makes, and `schedule` after each sync.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ReportSettings {
    /// The path of the page. `None`: `schedule` makes none.
    pub path: Option<PathBuf>,
    /// How far back runs count.
    pub range: ReportRange,
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
    /// When to compact; empty for never. `None`: as [`Settings::compact_cron`] says.
    pub compact_cron: Option<String>,
    /// The time zone of all expressions, such as `Europe/Berlin`.
    pub time_zone: String,
    /// Whether to run a sync at startup.
    pub run_at_start: bool,
    /// Maximum random delay of each firing, in seconds, so that many exporters do not send requests
    /// at the same time.
    pub jitter_secs: u64,
    /// The address on which health and metrics are served; `None` for none.
    pub listen: Option<String>,
    /// How old the last good sync may be before the export is stale, in seconds. `None`: twice the
    /// longest pause between two syncs, at least an hour.
    pub stale_after_secs: Option<u64>,
    /// Maximum time in seconds in which a stop commits what is complete.
    pub stop_secs: u64,
}

impl Default for ScheduleSettings {
    fn default() -> Self {
        Self {
            cron: "*/15 * * * *".to_owned(),
            reconcile_cron: "30 3 * * *".to_owned(),
            reconcile_repair: true,
            compact_cron: None,
            time_zone: "UTC".to_owned(),
            run_at_start: true,
            jitter_secs: 0,
            listen: None,
            stale_after_secs: None,
            stop_secs: 60,
        }
    }
}

/// Where `schedule` sends messages. URLs can contain secrets: they can come from files, and only
/// their host is ever printed.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NotifySettings {
    /// The URL to which messages are posted.
    pub webhook_url: Option<String>,
    /// A file that holds `webhook_url`.
    pub webhook_url_file: Option<PathBuf>,
    /// The format of messages.
    pub webhook_format: WebhookFormat,
    /// The URL that is requested (GET) after each good sync, so that an alarm can be raised if it
    /// is not.
    pub ping_url: Option<String>,
    /// A file that holds `ping_url`.
    pub ping_url_file: Option<PathBuf>,
    /// Maximum number of attempts for one message, the first included.
    pub max_attempts: u32,
    /// Maximum time for one attempt, in seconds.
    pub timeout_secs: u64,
}

/// The format of a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WebhookFormat {
    /// A JSON object with all fields of the message; its `text` is the text that `Slack` has.
    #[default]
    Json,
    /// `{"text": "…"}`, the format of Slack, Mattermost and Rocket.Chat.
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
