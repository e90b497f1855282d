//! Exit codes, and errors as users see them.

use std::process::ExitCode;

use crate::api::ApiError;
use crate::config::{ConfigError, KeyError, mask_keys};
use crate::gate::GateError;
use crate::job::JobError;
use crate::lake::{LakeError, RequestProblem};
use crate::notify::NotifyError;
use crate::query::{Fault, QueryError};
use crate::reconcile::ReconcileError;
use crate::report::ReportError;
use crate::sync::{SyncError, SyncOutcome, SyncReport};
use crate::tables::MappingError;
use crate::targets::{CatalogProblem, DeliverError, PublishProblem};
use crate::warehouse::WarehouseError;

/// The exit codes. They are documented in `--help` and the README, and must not change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Success.
    Done = 0,
    /// A bug of this program.
    Bug = 1,
    /// Invalid usage or configuration.
    Usage = 2,
    /// Finished, but incomplete.
    Incomplete = 3,
    /// The API refused the key or its role.
    Refused = 4,
    /// The API is unreachable, or demanded a longer wait than allowed.
    Unreachable = 5,
    /// The lake or the DuckDB file cannot be used.
    Storage = 6,
    /// A gate failed: too few runs passed, or a limit was exceeded.
    GateFailed = 7,
    /// A stop was requested.
    Interrupted = 130,
}

impl Exit {
    /// The meaning, in fixed words without details, so that it can be sent in messages.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Bug => "a bug in armature-export",
            Self::Usage => "wrong usage or configuration",
            Self::Incomplete => "incomplete",
            Self::Refused => "the API refused the key or its role",
            Self::Unreachable => "the API is unreachable, or asked for a longer wait than allowed",
            Self::Storage => "the lake or the DuckDB file cannot be written, or is locked",
            Self::GateFailed => "the gate failed",
            Self::Interrupted => "interrupted",
        }
    }

    /// The exit code as a number.
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Bug => 1,
            Self::Usage => 2,
            Self::Incomplete => 3,
            Self::Refused => 4,
            Self::Unreachable => 5,
            Self::Storage => 6,
            Self::GateFailed => 7,
            Self::Interrupted => 130,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// The exit code of a sync that made a report.
///
/// # Errors
/// The [`Failure`] that stopped the sync, or kept a target from being brought up to date.
pub fn exit_of(report: &SyncReport) -> Result<Exit, Failure> {
    let was_interrupted = matches!(report.stop, Some(ApiError::Interrupted));
    if let Some(error) = report.delivery_error().filter(|_| !was_interrupted) {
        return Err(error.into());
    }
    match report.stop.clone() {
        Some(error) if error.is_budget() => Ok(Exit::Incomplete),
        Some(error) => Err(error.into()),
        None if report.outcome == SyncOutcome::Incomplete => Ok(Exit::Incomplete),
        None => Ok(Exit::Done),
    }
}

/// Why a command failed: the error with its causes, and a hint.
#[derive(Debug)]
pub struct Failure {
    /// The exit code.
    pub exit: Exit,
    /// What went wrong.
    pub error: anyhow::Error,
    /// What the user can do about it.
    pub hint: Option<String>,
}

impl Failure {
    /// A failure without a hint.
    pub fn new(exit: Exit, error: anyhow::Error) -> Self {
        Self { exit, error, hint: None }
    }

    /// A usage failure with a hint.
    pub fn usage(message: impl Into<String>, hint: impl Into<String>) -> Self {
        let error = anyhow::Error::msg(message.into());
        Self { exit: Exit::Usage, error, hint: Some(hint.into()) }
    }

    fn hinted(exit: Exit, error: impl Into<anyhow::Error>, hint: &str) -> Self {
        let hint = (!hint.is_empty()).then(|| hint.to_owned());
        Self { exit, error: error.into(), hint }
    }

    /// The failure as printed for users: `error`, `caused by`, `hint`.
    pub fn text(&self) -> String {
        let mut lines = vec![format!("error: {}", one_line(&self.error.to_string()))];
        let mut last = self.error.to_string();
        for cause in self.error.chain().skip(1) {
            let text = cause.to_string();
            if !last.contains(&text) {
                let text = text.trim_end().replace('\n', "\n  ");
                lines.push(format!("caused by: {text}"));
            }
            last = text_of(cause);
        }
        lines.extend(self.hint.iter().map(|hint| format!("hint: {hint}")));
        mask_keys(&lines.join("\n"))
    }

    /// The failure in one line, for logs.
    pub fn line(&self) -> String {
        let text = self.text().replace('\n', "; ");
        text.strip_prefix("error: ").map(str::to_owned).unwrap_or(text)
    }

    /// Prints the failure on stderr.
    #[expect(clippy::print_stderr, reason = "the one place where failures are told")]
    pub fn print(&self, colour: bool) {
        let text = self.text();
        if colour {
            let text = text.replacen("error:", "\u{1b}[1;31merror:\u{1b}[0m", 1);
            eprintln!("{}", text.replace("\nhint:", "\n\u{1b}[1;36mhint:\u{1b}[0m"));
        } else {
            eprintln!("{text}");
        }
    }
}

fn text_of(error: &(dyn std::error::Error + 'static)) -> String {
    error.to_string()
}

/// Replaces control characters by spaces: texts of other programs can have line breaks, and each
/// message must stay on one line.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// Hint for a machine without CA certificates.
const NO_CERTIFICATES: &str = "install your system's CA certificates (the package `ca-certificates`), or name a PEM file of them as SSL_CERT_FILE, or a folder as SSL_CERT_DIR";

impl From<ApiError> for Failure {
    fn from(error: ApiError) -> Self {
        let (exit, hint) = match &error {
            ApiError::Url { .. } => (
                Exit::Usage,
                "give the API's base URL, such as https://your-org.armature.app/api/armature/v1",
            ),
            ApiError::Setup(_) => (Exit::Bug, ""),
            ApiError::NoCertificates { .. } => (Exit::Usage, NO_CERTIFICATES),
            ApiError::Refused { status: 401, .. } => (
                Exit::Refused,
                "check ARMATURE_API_KEY: it may be revoked, cut off, or of another region (US and EU keys differ)",
            ),
            ApiError::Refused { .. } => (
                Exit::Refused,
                "the key's role is fixed when it is made; make a new key with at least the viewer role",
            ),
            ApiError::Blocked { .. } => (
                Exit::Refused,
                "this response is not from the API: a firewall may block this address or the User-Agent `armature-export`",
            ),
            ApiError::Rejected { .. } => (
                Exit::Usage,
                "check sync.range and [filters] in the configuration against the API's documentation",
            ),
            ApiError::NotFound { .. } => {
                (Exit::Usage, "check the API URL: its path usually ends in /api/armature/v1")
            }
            ApiError::Redirected { .. } => (
                Exit::Usage,
                "name its host in api.redirect_hosts to get documents from there, without the key; or give it as the API URL, if you trust it with the key",
            ),
            ApiError::NotReady { .. } | ApiError::Unavailable { .. } => (
                Exit::Unreachable,
                "nothing is lost: the next sync goes on. Run `armature-export doctor` to diagnose",
            ),
            ApiError::RateLimited { .. } => (
                Exit::Unreachable,
                "nothing is lost: the next sync goes on. Raise api.max_rate_limit_wait_secs to wait longer",
            ),
            ApiError::TooLarge { .. } => {
                (Exit::Unreachable, "raise api.max_body_bytes in the configuration")
            }
            ApiError::Unusable { .. } => (
                Exit::Unreachable,
                "check that the API URL is that of an Armature API; run `armature-export doctor` to diagnose",
            ),
            ApiError::UnknownEnvelope { .. } | ApiError::NoId { .. } => (
                Exit::Unreachable,
                "the API's responses have a format that this version does not know: please report it, with the names above",
            ),
            ApiError::PageIgnored { .. } | ApiError::Endless { .. } => (
                Exit::Unreachable,
                "no run was marked as exported that is not; set [api.paging] in the configuration to how the API pages, `armature-export doctor` shows what was detected",
            ),
            ApiError::BudgetSpent { .. } => (
                Exit::Incomplete,
                "nothing is lost: the next sync goes on. `armature-export plan` shows what is needed",
            ),
            ApiError::DeadlinePassed => {
                (Exit::Incomplete, "nothing is lost: the next sync goes on; give it more time")
            }
            ApiError::Interrupted => {
                (Exit::Interrupted, "everything that was complete is committed")
            }
        };
        Self::hinted(exit, error, hint)
    }
}

const NEWER: &str = "a newer armature-export wrote it: update this one; nothing was changed";

impl From<LakeError> for Failure {
    fn from(error: LakeError) -> Self {
        let (exit, hint) = match &error {
            LakeError::Locked { .. } => {
                (Exit::Storage, "wait for it to end, or give this export a lake of its own")
            }
            LakeError::CannotLock { .. } => (Exit::Storage, NO_LOCKS),
            LakeError::CommitConflict { .. } | LakeError::StagingLost { .. } => {
                (Exit::Storage, "sync again; if this repeats, two machines write to this lake")
            }
            LakeError::Uncommitted { .. } => (
                Exit::Storage,
                "the lake was copied while a sync wrote it, or was partly restored: copy the whole lake while no sync runs",
            ),
            LakeError::NotALake { .. } => {
                (Exit::Usage, "name an empty or a new folder with --lake")
            }
            LakeError::Missing { .. } => {
                (Exit::Usage, "run `armature-export sync` first, or name the lake with --lake")
            }
            LakeError::Format { found, known, .. } if found > known => (Exit::Storage, NEWER),
            LakeError::NewerTables { .. } => (Exit::Storage, NEWER),
            LakeError::Format { .. } => (
                Exit::Storage,
                "this version no longer reads it: export again into another folder; nothing was changed",
            ),
            LakeError::OtherExport { .. } => (
                Exit::Usage,
                "two exports cannot share a lake: name another folder with --lake (and another file with --duckdb)",
            ),
            LakeError::Damaged { .. } => (
                Exit::Storage,
                "`armature-export verify` gives details; --repair repairs some damage; otherwise restore the file from a backup",
            ),
            LakeError::Io { .. } | LakeError::Store { .. } => {
                (Exit::Storage, "check that the folder is writable and the disk is not full")
            }
            LakeError::Address { .. } => {
                (Exit::Usage, "see [store] in the configuration; `armature-export doctor` tries it")
            }
            LakeError::Request { problem, .. } => match problem {
                RequestProblem::Credentials(_) => (
                    Exit::Storage,
                    "check the credentials in the environment or in [store], whether they have expired, and this machine's clock",
                ),
                RequestProblem::Forbidden(_) => (
                    Exit::Storage,
                    "the lake's credentials must be allowed to list, read, write and delete below its prefix",
                ),
                RequestProblem::NotFound(_) => {
                    (Exit::Storage, "check the bucket's name and region; it is not made here")
                }
                RequestProblem::Other(_) => (
                    Exit::Storage,
                    "nothing is lost: the next sync goes on where this one ended; check that the store can be reached",
                ),
            },
            LakeError::Conditions { .. } => (
                Exit::Usage,
                "two writers could make the same commit there: use a store with conditional writes (Amazon S3, Google Cloud Storage, Azure Blob Storage, MinIO, Ceph, R2, SeaweedFS)",
            ),
            LakeError::Parquet { .. } => (Exit::Storage, ""),
        };
        Self::hinted(exit, error, hint)
    }
}

/// Exit code and hint for an error of DuckDB. None of them affects the lake.
fn duckdb_hint(fault: &Fault) -> (Exit, &'static str) {
    match fault {
        Fault::NotADatabase => (Exit::Usage, "the lake is intact; name another file with --duckdb"),
        Fault::CannotLock => (Exit::Storage, NO_LOCKS),
        Fault::NotWritable => (
            Exit::Storage,
            "the lake is intact; check that the folder is writable and the disk is not full, and `armature-export deliver` catches up",
        ),
        Fault::OutOfMemory => (
            Exit::Storage,
            "the lake is intact; give DuckDB more memory (duckdb.memory_limit_mb) or more disk space beside its file, and `armature-export deliver` catches up",
        ),
        Fault::Held { .. } | Fault::FileMissing | Fault::Corrupt | Fault::Other => (
            Exit::Storage,
            "the lake is intact; `armature-export deliver --rebuild` rebuilds the file from it",
        ),
    }
}

/// Hint for a file system without locks.
const NO_LOCKS: &str = "this file system cannot lock files, like some network and FUSE mounts: put the lake and the DuckDB file on a local disk, or mount it with locking";

/// Hint for a DuckDB file that another process holds.
const HELD: &str = "the lake is up to date; close the reader, and the next sync (or `armature-export deliver`) catches up; a reader of a copy (duckdb.publish) delays nothing";

/// The exit code and hint for an error of DuckDB.
fn query_hint(error: &QueryError) -> (Exit, &'static str) {
    match error {
        QueryError::Locked { .. } => (Exit::Storage, HELD),
        QueryError::Pattern { .. } => {
            (Exit::Usage, "move the lake to a path without these characters")
        }
        QueryError::Duckdb { fault, .. } => duckdb_hint(fault),
    }
}

impl From<QueryError> for Failure {
    fn from(error: QueryError) -> Self {
        let (exit, hint) = query_hint(&error);
        Self::hinted(exit, error, hint)
    }
}

/// The exit code and hint for a catalog of Iceberg tables. No problem with it affects the lake.
fn catalog_hint(problem: &CatalogProblem) -> (Exit, &'static str) {
    let hint = match problem {
        CatalogProblem::Credentials(_) => {
            "check iceberg.auth and the settings after it, and that they allow to make and change tables in iceberg.namespace; the lake is up to date"
        }
        CatalogProblem::NotFound(_) => {
            "check iceberg.uri (without /v1) and iceberg.warehouse; the lake is up to date"
        }
        CatalogProblem::Refused { .. } | CatalogProblem::Invalid(_) => {
            "the lake is up to date; the catalog's log may say more"
        }
        CatalogProblem::Unreachable(_) => {
            "the lake is up to date; the next sync (or `armature-export deliver`) catches up"
        }
        CatalogProblem::NoCertificates { .. } => return (Exit::Usage, NO_CERTIFICATES),
        CatalogProblem::Setup(_) => return (Exit::Bug, REPORT),
    };
    (Exit::Storage, hint)
}

/// The exit code and hint for a copy of the DuckDB file that was not published.
fn publish_hint(problem: &PublishProblem) -> (Exit, &'static str) {
    match problem {
        PublishProblem::Itself => {
            (Exit::Usage, "name another file as duckdb.publish (or --publish) than as duckdb.path")
        }
        PublishProblem::Foreign(_) => (
            Exit::Usage,
            "name another file as duckdb.publish (or --publish); or, if the existing one is not needed, move it away",
        ),
        PublishProblem::WriteAheadLog => (
            Exit::Storage,
            "another process writes the DuckDB file: close it, and the next sync (or `armature-export deliver`) publishes the copy",
        ),
        PublishProblem::Failed(_) => (
            Exit::Storage,
            "the DuckDB file itself is up to date; check that the folder of the copy is writable and its disk not full, and the next sync (or `armature-export deliver`) tries again",
        ),
    }
}

impl From<&DeliverError> for Failure {
    fn from(error: &DeliverError) -> Self {
        let (exit, hint) = match error {
            DeliverError::ConcurrentUpdate { .. } | DeliverError::DocumentsChanged { .. } => {
                (Exit::Storage, HELD)
            }
            DeliverError::ViewOfStore { .. } => {
                (Exit::Usage, "set duckdb.documents to \"table\" or \"none\"")
            }
            DeliverError::OtherLake { .. } => (Exit::Usage, "name another file with --duckdb"),
            DeliverError::ForeignTable { .. } => {
                (Exit::Usage, "rename it, or name another file with --duckdb")
            }
            DeliverError::NotReplaced { .. } => (
                Exit::Usage,
                "name another file with --duckdb; or, if the existing one is not needed, move it away",
            ),
            DeliverError::NotPublished { problem, .. } => publish_hint(problem),
            DeliverError::NewerThanLake { .. } | DeliverError::OtherHistory { .. } => (
                Exit::Storage,
                "the lake may have been restored from an older copy: `armature-export deliver --rebuild` rebuilds the file",
            ),
            DeliverError::IcebergTable { .. } => (
                Exit::Storage,
                "the lake is intact; `armature-export deliver --rebuild` registers its files in the table anew",
            ),
            DeliverError::IcebergForeign { .. } => (
                Exit::Usage,
                "set iceberg.namespace to a namespace of this lake's own; or drop the table, if it is not needed",
            ),
            DeliverError::Catalog { problem, .. } => catalog_hint(problem),
            DeliverError::Config(_) => {
                (Exit::Usage, "see [iceberg] in the configuration; the lake is up to date")
            }
            DeliverError::IcebergBusy { .. } => (
                Exit::Storage,
                "the lake is up to date; the next sync (or `armature-export deliver`) catches up",
            ),
            DeliverError::IcebergPath { .. } => (
                Exit::Usage,
                "move the lake to another place, or remove iceberg.catalog from the configuration",
            ),
            DeliverError::Avro { .. } => (
                Exit::Storage,
                "the lake is intact; `armature-export deliver --rebuild` writes the tables' metadata anew",
            ),
            DeliverError::NotInPlace { .. } => (
                Exit::Storage,
                "a sync was interrupted, or is running: the next `armature-export sync` publishes it",
            ),
            DeliverError::Query(error) => query_hint(error),
            DeliverError::Io { .. } => {
                (Exit::Storage, "check that the folder is writable and the disk is not full")
            }
            DeliverError::Lake(_) => (Exit::Storage, "run `armature-export status`"),
            DeliverError::Stopped(_) => (Exit::Bug, ""),
        };
        let mut message = anyhow::Error::msg(error.to_string());
        if let Some(cause) = std::error::Error::source(error) {
            message = anyhow::Error::msg(cause.to_string()).context(error.to_string());
        }
        Self::hinted(exit, message, hint)
    }
}

impl From<DeliverError> for Failure {
    fn from(error: DeliverError) -> Self {
        match error {
            DeliverError::Lake(error) => error.into(),
            DeliverError::Query(error) => error.into(),
            other => Self::from(&other),
        }
    }
}

/// The hint for a bug of this program in a job.
const REPORT: &str = "please report this; what was committed stays";

impl From<SyncError> for Failure {
    fn from(error: SyncError) -> Self {
        match error {
            SyncError::Api(error) => error.into(),
            SyncError::Job(error) => error.into(),
            SyncError::Lost | SyncError::Broken(_) => Self::hinted(Exit::Bug, error, REPORT),
        }
    }
}

impl From<WarehouseError> for Failure {
    fn from(error: WarehouseError) -> Self {
        let (exit, hint) = match error {
            WarehouseError::Lake(error) => return error.into(),
            WarehouseError::NewerThanLake { .. } | WarehouseError::OtherHistory { .. } => (
                Exit::Storage,
                "the lake is another one, or was restored from an older copy: load it anew with --since 0",
            ),
            WarehouseError::NoRange { .. } => {
                (Exit::Usage, "give --until a commit from --since to the newest one")
            }
            WarehouseError::NotExact { .. } => (
                Exit::Storage,
                "list the changes again without --until, and load all tables from them",
            ),
            WarehouseError::NotInPlace { .. } => (
                Exit::Storage,
                "a sync was interrupted, or is running: list the changes again after the next `armature-export sync`",
            ),
            WarehouseError::Manifest(_) => (
                Exit::Usage,
                "name one table with --table, of a lake at `s3://`; other engines take --format json or files",
            ),
            WarehouseError::Changes { .. } => {
                (Exit::Usage, "give it what `armature-export changes` printed for this lake")
            }
        };
        Self::hinted(exit, error, hint)
    }
}

impl From<MappingError> for Failure {
    fn from(error: MappingError) -> Self {
        let error = JobError::from(error);
        Self::hinted(Exit::Usage, error, "`armature-export schema` lists tables and columns")
    }
}

impl From<JobError> for Failure {
    fn from(error: JobError) -> Self {
        match error {
            JobError::Lake(error) => error.into(),
            JobError::Mapping(error) => error.into(),
            JobError::Query(error) => error.into(),
            JobError::Rows(_) | JobError::Stopped(_) => Self::hinted(Exit::Bug, error, REPORT),
            JobError::DamagedPart { .. } => Self::hinted(
                Exit::Incomplete,
                error,
                "`armature-export verify` gives details; --repair repairs some damage",
            ),
            JobError::RowsDiffer { .. } => Self::hinted(Exit::Bug, error, ""),
        }
    }
}

impl From<ReportError> for Failure {
    fn from(error: ReportError) -> Self {
        let (exit, hint) = match error {
            ReportError::Job(error) => return error.into(),
            ReportError::UnknownWorkflow { .. } => (
                Exit::Usage,
                "give a name or an id as in the columns workflow_name and workflow_id of `runs`",
            ),
            ReportError::Duckdb { .. } => (
                Exit::Storage,
                "`armature-export verify` checks the data files; the disk of the page needs room for temporary files",
            ),
            ReportError::Render(_) => (Exit::Bug, REPORT),
            ReportError::Write { .. } => {
                (Exit::Storage, "check that the folder is writable and the disk is not full")
            }
        };
        Self::hinted(exit, error, hint)
    }
}

impl From<ReconcileError> for Failure {
    fn from(error: ReconcileError) -> Self {
        match error {
            ReconcileError::Api(error) => error.into(),
            ReconcileError::Job(error) => error.into(),
        }
    }
}

impl From<GateError> for Failure {
    fn from(error: GateError) -> Self {
        let exit_and_hint = match error {
            GateError::Api(error) => {
                let Self { exit, error, hint } = error.into();
                // The other hints promise that a sync goes on where it ended.
                let is_own = matches!(exit, Exit::Usage | Exit::Refused | Exit::Bug);
                let hint = hint.filter(|_| is_own).unwrap_or_else(|| GATE_AGAIN.to_owned());
                return Self { exit, error, hint: Some(hint) };
            }
            GateError::Job(error) => return error.into(),
            GateError::UnknownWorkflow { ref similar, .. } if similar.is_empty() => (
                Exit::Usage,
                "name a workflow by its id or its exact name, as the dashboard shows it".to_owned(),
            ),
            GateError::UnknownWorkflow { ref similar, .. } => {
                (Exit::Usage, format!("similar names: {}", similar.join(", ")))
            }
            GateError::AmbiguousWorkflow { ref ids, .. } => {
                (Exit::Usage, format!("name one by its id: {}", ids.join(", ")))
            }
            GateError::UnknownRun { .. } => (
                Exit::Usage,
                "a run's id is the last part of its page's address in the dashboard".to_owned(),
            ),
            GateError::TooFewRuns { .. } => {
                (Exit::Usage, "give more runs with --run, or lower --min-passes".to_owned())
            }
            GateError::MayNotDispatch { status: 401, .. } => (
                Exit::Refused,
                "check ARMATURE_API_KEY: it may be revoked, cut off, or of another region (US and EU keys differ)".to_owned(),
            ),
            GateError::MayNotDispatch { .. } => (
                Exit::Refused,
                "dispatching needs a key with the role editor; the role is fixed when a key is made. `gate --run ID` judges existing runs with a viewer's key".to_owned(),
            ),
            GateError::Blocked { .. } => (
                Exit::Refused,
                "this response is not from the API: a firewall may block this address or the User-Agent `armature-export`".to_owned(),
            ),
            GateError::Rejected { .. } => (
                Exit::Usage,
                "check that the workflow can be run by hand in the dashboard: it may be paused or archived, or the workspace out of credits".to_owned(),
            ),
            GateError::NotSent { .. } | GateError::NoAnswer { .. } | GateError::RateLimited { .. } => {
                (Exit::Unreachable, GATE_AGAIN.to_owned())
            }
            GateError::NoBaseline { .. } => (
                Exit::Storage,
                "name the lake of this organization with --lake, or leave out --baseline-blocks".to_owned(),
            ),
            GateError::Interrupted => (Exit::Interrupted, String::new()),
            GateError::Rows(_) => (Exit::Bug, REPORT.to_owned()),
        };
        let (exit, hint) = exit_and_hint;
        Self::hinted(exit, error, &hint)
    }
}

/// The hint for a gate that the API did not let end.
const GATE_AGAIN: &str =
    "there is no verdict: run the gate again; `armature-export doctor` diagnoses";

impl From<NotifyError> for Failure {
    fn from(error: NotifyError) -> Self {
        match error {
            NotifyError::Config(error) => error.into(),
            NotifyError::NoCertificates { .. } => Self::hinted(Exit::Usage, error, NO_CERTIFICATES),
            NotifyError::Setup(_) => Self::hinted(Exit::Bug, error, ""),
        }
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        let hint = match &error {
            ConfigError::Newer { .. } => {
                "update armature-export, or remove the options that it does not know"
            }
            _ => "`armature-export init` writes a file with every option explained",
        };
        Self::hinted(Exit::Usage, error, hint)
    }
}

impl From<KeyError> for Failure {
    fn from(error: KeyError) -> Self {
        let hint = match &error {
            KeyError::Missing => {
                "set ARMATURE_API_KEY, or name a file that holds the key as ARMATURE_API_KEY_FILE or api.key_file (a viewer key is enough, except for `gate`)"
            }
            KeyError::Unreadable { .. } | KeyError::Unusable { .. } => {
                "a key looks like amt_<key-id>_<secret>; make one under Settings, API keys"
            }
        };
        Self::hinted(Exit::Usage, error, hint)
    }
}
