//! How the program ends: exit codes, and errors for the person who reads them.

use std::process::ExitCode;

use crate::api::ApiError;
use crate::compact::CompactError;
use crate::config::{ConfigError, KeyError, mask_keys};
use crate::deliver::{DeliverError, Fault};
use crate::lake::LakeError;
use crate::notify::NotifyError;
use crate::reconcile::ReconcileError;
use crate::replay::ReplayError;
use crate::sync::{Outcome, SyncError, SyncReport};
use crate::verify::VerifyError;

/// The exit codes. They are documented in `--help` and the README, and do not change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Everything is done.
    Done = 0,
    /// A fault of this program.
    Bug = 1,
    /// Wrong usage or configuration.
    Usage = 2,
    /// Finished, but not everything could be had.
    Incomplete = 3,
    /// The API refused the key or its role.
    Refused = 4,
    /// The API is unreachable, or asked for too much patience.
    Unreachable = 5,
    /// The lake or the DuckDB file cannot be written.
    Storage = 6,
    /// Somebody asked to stop.
    Interrupted = 130,
}

impl Exit {
    /// What it means, in words that hold nothing of what happened: for messages to others.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Bug => "a bug in armature-export",
            Self::Usage => "wrong usage or configuration",
            Self::Incomplete => "incomplete",
            Self::Refused => "the API refused the key or its role",
            Self::Unreachable => "the API is unreachable, or asked for too much patience",
            Self::Storage => "the lake or the DuckDB file cannot be written, or is held",
            Self::Interrupted => "interrupted",
        }
    }

    /// The code that the process ends with.
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Bug => 1,
            Self::Usage => 2,
            Self::Incomplete => 3,
            Self::Refused => 4,
            Self::Unreachable => 5,
            Self::Storage => 6,
            Self::Interrupted => 130,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// The exit code of a sync that came to a report.
///
/// # Errors
/// The [`Failure`] that stopped it, or kept DuckDB from being brought up to date.
pub fn exit_of(report: &SyncReport) -> Result<Exit, Failure> {
    let was_interrupted = matches!(report.stop, Some(ApiError::Interrupted));
    if let Some(error) = report.delivery_error().filter(|_| !was_interrupted) {
        return Err(error.into());
    }
    match report.stop.clone() {
        Some(error) if error.is_budget() => Ok(Exit::Incomplete),
        Some(error) => Err(error.into()),
        None if report.outcome == Outcome::Incomplete => Ok(Exit::Incomplete),
        None => Ok(Exit::Done),
    }
}

/// Why a command failed: what, because of what, and what to do.
#[derive(Debug)]
pub struct Failure {
    /// The exit code.
    pub exit: Exit,
    /// What went wrong.
    pub error: anyhow::Error,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Failure {
    /// A failure without a hint.
    pub fn new(exit: Exit, error: anyhow::Error) -> Self {
        Self { exit, error, hint: None }
    }

    /// A failure of usage with a hint.
    pub fn usage(message: impl Into<String>, hint: impl Into<String>) -> Self {
        let error = anyhow::Error::msg(message.into());
        Self { exit: Exit::Usage, error, hint: Some(hint.into()) }
    }

    fn hinted(exit: Exit, error: impl Into<anyhow::Error>, hint: &str) -> Self {
        let hint = (!hint.is_empty()).then(|| hint.to_owned());
        Self { exit, error: error.into(), hint }
    }

    /// The failure as people read it: `error`, `caused by`, `hint`.
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

    /// The same in one line, for logs.
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

/// Other people's words can have line breaks; ours must stay one line each.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// What to do where HTTPS has nobody to trust.
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
                "this is not the API's own answer: a firewall may block this address or the User-Agent `armature-export`",
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
                "nothing is lost: the next sync goes on. `armature-export doctor` looks closer",
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
                "check that the API URL leads to an Armature API; `armature-export doctor` looks closer",
            ),
            ApiError::UnknownEnvelope { .. } | ApiError::NoId { .. } => (
                Exit::Unreachable,
                "the API's answers have a shape that this version does not know: please report it, with the names above",
            ),
            ApiError::PageIgnored { .. } | ApiError::Endless { .. } => (
                Exit::Unreachable,
                "nothing was marked as exported that is not; [api.paging] in the configuration says how the API pages, `armature-export doctor` shows what was detected",
            ),
            ApiError::BudgetSpent { .. } => (
                Exit::Incomplete,
                "nothing is lost: the next sync goes on. `armature-export plan` shows what is needed",
            ),
            ApiError::DeadlinePassed => {
                (Exit::Incomplete, "nothing is lost: the next sync goes on; give it more time")
            }
            ApiError::Interrupted => {
                (Exit::Interrupted, "everything complete until now is committed")
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
            LakeError::LostRace { .. } | LakeError::StagingLost { .. } => {
                (Exit::Storage, "sync again; if it stays so, two machines write this lake")
            }
            LakeError::Uncommitted { .. } => (
                Exit::Storage,
                "the lake was copied while a sync wrote it, or restored in part: copy all of it while none runs",
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
                "this version cannot read it any more: export anew into another folder; nothing was changed",
            ),
            LakeError::OtherExport { .. } => (
                Exit::Usage,
                "two exports never mix: name another folder with --lake (and another file with --duckdb)",
            ),
            LakeError::Damaged { .. } => (
                Exit::Storage,
                "`armature-export verify` looks closer, and mends some with --repair; else restore the file from a backup",
            ),
            LakeError::Io { .. } | LakeError::Store { .. } => {
                (Exit::Storage, "check that the folder is writable and the disk is not full")
            }
            LakeError::Parquet { .. } => (Exit::Storage, ""),
        };
        Self::hinted(exit, error, hint)
    }
}

/// What to do about an error of DuckDB's. The lake is not concerned by any of them.
fn duckdb_hint(fault: &Fault) -> (Exit, &'static str) {
    match fault {
        Fault::NotADatabase => (Exit::Usage, "the lake is whole; name another file with --duckdb"),
        Fault::CannotLock => (Exit::Storage, NO_LOCKS),
        Fault::NotWritable => (
            Exit::Storage,
            "the lake is whole; check that the folder is writable and the disk is not full, and `armature-export deliver` catches up",
        ),
        Fault::OutOfMemory => (
            Exit::Storage,
            "the lake is whole; give DuckDB more memory (duckdb.memory_limit_mb) or more room beside its file, and `armature-export deliver` catches up",
        ),
        Fault::Held { .. } | Fault::FileMissing | Fault::Corrupt | Fault::Other => (
            Exit::Storage,
            "the lake is whole; `armature-export deliver --rebuild` makes the file again from it",
        ),
    }
}

/// What to do where a file system has no locks.
const NO_LOCKS: &str = "this file system cannot lock files, as some network and FUSE mounts: put the lake and the DuckDB file on a local disk, or mount it with locks";

impl From<&DeliverError> for Failure {
    fn from(error: &DeliverError) -> Self {
        let (exit, hint) = match error {
            DeliverError::Locked { .. } | DeliverError::Overtaken { .. } => (
                Exit::Storage,
                "the lake is up to date; close the reader, and the next sync (or `armature-export deliver`) catches up",
            ),
            DeliverError::OtherLake { .. } | DeliverError::NotOurs { .. } => {
                (Exit::Usage, "name another file with --duckdb")
            }
            DeliverError::NotReplaced { .. } => (
                Exit::Usage,
                "name another file with --duckdb; or, if nobody needs what is there, move it away",
            ),
            DeliverError::Pattern { .. } => {
                (Exit::Usage, "move the lake to a path without these characters")
            }
            DeliverError::Ahead { .. } | DeliverError::OtherHistory { .. } => (
                Exit::Storage,
                "the lake was restored from an older copy? `armature-export deliver --rebuild` makes the file again",
            ),
            DeliverError::NotInPlace { .. } => (
                Exit::Storage,
                "a sync was cut off here, or is under way: the next `armature-export sync` puts it in place",
            ),
            DeliverError::Duckdb { fault, .. } => duckdb_hint(fault),
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
            other => Self::from(&other),
        }
    }
}

impl From<SyncError> for Failure {
    fn from(error: SyncError) -> Self {
        match error {
            SyncError::Api(error) => error.into(),
            SyncError::Lake(error) => error.into(),
            SyncError::Mapping(_) => Self::hinted(
                Exit::Usage,
                error,
                "`armature-export schema` lists tables and columns",
            ),
            SyncError::Rows(_) | SyncError::Lost | SyncError::Broken(_) | SyncError::Stopped(_) => {
                Self::hinted(Exit::Bug, error, "please report this; what was committed stays")
            }
        }
    }
}

impl From<ReplayError> for Failure {
    fn from(error: ReplayError) -> Self {
        match error {
            ReplayError::Lake(error) => error.into(),
            ReplayError::Mapping(error) => SyncError::from(error).into(),
            ReplayError::Deliver(error) => error.into(),
            ReplayError::Parts(error) => SyncError::from(error).into(),
            ReplayError::Documents(error) => SyncError::from(error).into(),
            ReplayError::Stopped(error) => SyncError::from(error).into(),
        }
    }
}

impl From<CompactError> for Failure {
    fn from(error: CompactError) -> Self {
        match error {
            CompactError::Lake(error) => error.into(),
            CompactError::Mapping(error) => SyncError::from(error).into(),
            CompactError::Deliver(error) => error.into(),
            CompactError::Rows(error) => SyncError::from(error).into(),
            CompactError::Stopped(error) => SyncError::from(error).into(),
            CompactError::DamagedPart { .. } => Self::hinted(
                Exit::Incomplete,
                error,
                "`armature-export verify` looks closer, and mends some with --repair",
            ),
            CompactError::RowsDiffer { .. } => Self::hinted(Exit::Bug, error, ""),
        }
    }
}

impl From<VerifyError> for Failure {
    fn from(error: VerifyError) -> Self {
        match error {
            VerifyError::Lake(error) => error.into(),
            VerifyError::Mapping(error) => SyncError::from(error).into(),
            VerifyError::Deliver(error) => error.into(),
            VerifyError::Replay(error) => error.into(),
            VerifyError::Stopped(error) => SyncError::from(error).into(),
        }
    }
}

impl From<ReconcileError> for Failure {
    fn from(error: ReconcileError) -> Self {
        match error {
            ReconcileError::Api(error) => error.into(),
            ReconcileError::Lake(error) => error.into(),
            ReconcileError::Mapping(error) => SyncError::from(error).into(),
            ReconcileError::Deliver(error) => error.into(),
        }
    }
}

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
                "update armature-export, or take out what it does not know"
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
                "set ARMATURE_API_KEY, or name a file that holds the key as ARMATURE_API_KEY_FILE or api.key_file (a viewer key is enough)"
            }
            KeyError::Unreadable { .. } | KeyError::Unusable { .. } => {
                "a key looks like amt_<key-id>_<secret>; make one under Settings, API keys"
            }
        };
        Self::hinted(Exit::Usage, error, hint)
    }
}
