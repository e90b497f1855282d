//! Errors of reading or writing the lake.

use super::Location;
use crate::ledger::LedgerError;
use crate::tables::SCHEMA_VERSION;

/// Why a lake cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LakeError {
    /// Another process holds the lock.
    #[error("the lake `{path}` is being written by another process{holder}")]
    Locked {
        /// The root folder of the lake.
        path: Location,
        /// The holder, as ` (process 12)`; empty if it is not known.
        holder: String,
    },
    /// The file system does not lock files.
    #[error("the file system of `{path}` cannot lock files")]
    CannotLock {
        /// The file that was to be locked, or its folder.
        path: Location,
        /// The error of the operating system.
        source: std::io::Error,
    },
    /// A commit of the same number already exists: another process bypassed the lock.
    #[error("another process committed to the lake `{path}` at the same time (commit {commit})")]
    CommitConflict {
        /// The root folder of the lake.
        path: Location,
        /// The number of the commit.
        commit: u64,
    },
    /// A staged data file no longer exists: another process bypassed the lock.
    #[error("the data file `{path}` was removed before commit {commit} was made from it")]
    StagingLost {
        /// The staged data file.
        path: Location,
        /// The number that the commit would have had.
        commit: u64,
    },
    /// A data file exists that belongs to no commit: the lake was copied or restored in part.
    #[error(
        "the data file `{path}` belongs to commit {commit}, but the lake ends at commit {newest}"
    )]
    Uncommitted {
        /// The data file.
        path: Location,
        /// The commit number in its name.
        commit: u64,
        /// The newest commit of the lake; 0 if it has none.
        newest: u64,
    },
    /// The folder is not empty and is not a lake.
    #[error("the folder `{path}` is not empty and is not a lake")]
    NotALake {
        /// The folder.
        path: Location,
    },
    /// The folder is not a lake, or does not exist.
    #[error("there is no lake at `{path}`")]
    Missing {
        /// The folder.
        path: Location,
    },
    /// A later version of the program wrote it.
    #[error("the lake `{path}` has format {found}; this version knows format {known}")]
    Format {
        /// The root folder of the lake.
        path: Location,
        /// The major version of its format.
        found: u64,
        /// The major version that this program reads.
        known: u64,
    },
    /// A later version of the program wrote to it, with tables that this version does not know.
    #[error("the lake `{path}` has tables of version {found}; this version knows {SCHEMA_VERSION}")]
    NewerTables {
        /// The root folder of the lake.
        path: Location,
        /// The version that its newest commit states.
        found: String,
    },
    /// The lake holds the runs of another organization, or of other filters.
    #[error("the lake `{path}` holds another export: {difference}")]
    OtherExport {
        /// The root folder of the lake.
        path: Location,
        /// The difference, without secrets.
        difference: String,
    },
    /// A file of the lake is missing, or is not what a commit states.
    #[error("the lake's file `{path}` is damaged: {problem}")]
    Damaged {
        /// The file.
        path: Location,
        /// What is wrong.
        problem: String,
    },
    /// I/O error.
    #[error("failed to {action} `{path}`")]
    Io {
        /// The operation, as a verb phrase.
        action: &'static str,
        /// The file or folder.
        path: Location,
        /// The error of the operating system.
        source: std::io::Error,
    },
    /// Error of `object_store`.
    #[error("failed to {action} `{path}` in the lake")]
    Store {
        /// The operation, as a verb phrase.
        action: &'static str,
        /// The file, relative to the lake's root.
        path: String,
        /// The error of the store.
        source: Box<object_store::Error>,
    },
    /// The settings of an object store do not suffice to reach it.
    #[error("the lake `{path}` cannot be reached: {problem}")]
    Address {
        /// The address of the lake.
        path: Location,
        /// What is missing or wrong, without secrets.
        problem: String,
    },
    /// An object store refused a request, or did not answer it.
    #[error("failed to {action} `{path}`: {problem}")]
    Request {
        /// The operation, as a verb phrase.
        action: &'static str,
        /// The object, or the lake.
        path: Location,
        /// What the store answered, without secrets.
        problem: RequestProblem,
    },
    /// An object store does not keep the conditions of writes.
    #[error("the object store of `{path}` does not keep the condition {missing} of a write")]
    Conditions {
        /// The address of the lake.
        path: Location,
        /// The condition.
        missing: &'static str,
    },
    /// A Parquet file cannot be written or read.
    #[error("failed to {action} the Parquet file `{path}`")]
    Parquet {
        /// The operation, as a verb.
        action: &'static str,
        /// The file, relative to the lake's root, or the table that it was to hold.
        path: String,
        /// The error of the Parquet library.
        source: Box<parquet::errors::ParquetError>,
    },
}

impl LakeError {
    /// For `map_err` on file operations.
    pub(super) fn io(
        action: &'static str,
        path: impl Into<Location>,
    ) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { action, path, source }
    }

    /// For `map_err` on store operations.
    pub(super) fn store(
        action: &'static str,
        path: impl Into<String>,
    ) -> impl FnOnce(object_store::Error) -> Self {
        let path = path.into();
        move |source| Self::Store { action, path, source: Box::new(source) }
    }

    /// A request to an object store that failed.
    pub(super) fn request(
        action: &'static str,
        path: Location,
        error: &object_store::Error,
    ) -> Self {
        Self::Request { action, path, problem: RequestProblem::of(error) }
    }

    /// For `map_err` on Parquet operations.
    pub(super) fn parquet(
        action: &'static str,
        path: impl Into<String>,
    ) -> impl FnOnce(parquet::errors::ParquetError) -> Self {
        let path = path.into();
        move |source| Self::Parquet { action, path, source: Box::new(source) }
    }
}

impl From<LedgerError> for LakeError {
    fn from(error: LedgerError) -> Self {
        match error.into_source().downcast::<Self>() {
            Ok(error) => *error,
            Err(source) => {
                let source = parquet::errors::ParquetError::External(source);
                Self::parquet("read", "the ledger")(source)
            }
        }
    }
}

/// Why an object store did not do what was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestProblem {
    /// The credentials are missing, wrong or expired.
    #[error("the object store does not accept the credentials{0}")]
    Credentials(String),
    /// The credentials do not allow the operation.
    #[error("the object store does not allow it{0}")]
    Forbidden(String),
    /// The bucket, or the object, does not exist.
    #[error("it does not exist{0}")]
    NotFound(String),
    /// The store gave another answer, or none.
    #[error("{0}")]
    Other(String),
}

/// Codes of answers to credentials that are missing, wrong or expired; some come with 403, some with
/// 400.
const CREDENTIALS: [&str; 10] = [
    "ExpiredToken",
    "ExpiredTokenException",
    "InvalidAccessKeyId",
    "InvalidToken",
    "SignatureDoesNotMatch",
    "AuthenticationFailed",
    "TokenRefreshRequired",
    "InvalidAuthenticationInfo",
    "RequestTimeTooSkewed",
    "AuthorizationHeaderMalformed",
];

/// Codes of answers to credentials that do not allow an operation. The client reports a list, and a
/// removal of many objects, that is answered so as an error like any other.
const FORBIDDEN: [&str; 5] = [
    "AccessDenied",
    "AllAccessDisabled",
    "AuthorizationFailure",
    "AuthorizationPermissionMismatch",
    "InsufficientAccountPermissions",
];

/// Codes of answers about a bucket that does not exist: a list request for it fails.
const MISSING: [&str; 3] = ["ContainerNotFound", "NoSuchBucket", "NotFound"];

/// The addresses of services that give a cloud machine its credentials.
const METADATA_SERVICES: [&str; 3] =
    ["169.254.169.254", "169.254.170.2", "metadata.google.internal"];

impl RequestProblem {
    fn of(error: &object_store::Error) -> Self {
        use object_store::Error;

        let text = error.to_string();
        let code = code_of(&text);
        let shown = code.as_deref().map_or(String::new(), |code| format!(" ({code})"));
        if code.as_deref().is_some_and(|code| CREDENTIALS.contains(&code)) {
            return Self::Credentials(shown);
        }
        // Where nothing else is set, the client asks the services of cloud machines for a role.
        if METADATA_SERVICES.iter().any(|service| text.contains(service)) {
            let none =
                ": there are none in [store], in the environment, or in a role of this machine";
            return Self::Credentials(none.to_owned());
        }
        if code.as_deref().is_some_and(|code| FORBIDDEN.contains(&code)) {
            return Self::Forbidden(shown);
        }
        if code.as_deref().is_some_and(|code| MISSING.contains(&code)) {
            return Self::NotFound(shown);
        }
        match error {
            Error::Unauthenticated { .. } => Self::Credentials(shown),
            Error::PermissionDenied { .. } => Self::Forbidden(shown),
            Error::NotFound { .. } => Self::NotFound(shown),
            _ => Self::Other(without_queries(&text)),
        }
    }
}

/// The code in the answer of a store, such as `NoSuchBucket`.
fn code_of(text: &str) -> Option<String> {
    let in_body = text.split_once("<Code>").and_then(|(_, rest)| rest.split_once("</Code>"));
    // As the client shows the answer about one of many objects.
    let of_many = || text.rsplit_once("(code: ")?.1.split_once(')');
    let (code, _) = in_body.or_else(of_many)?;
    code.bytes().all(|byte| byte.is_ascii_alphanumeric()).then(|| code.to_owned())
}

/// A text of one line without the queries of addresses, which can hold a signature.
fn without_queries(text: &str) -> String {
    const LONGEST: usize = 500;
    let words = text.split_whitespace().map(|word| {
        let query = word.find('?').filter(|_| word.contains("://"));
        query.and_then(|at| word.get(..at)).unwrap_or(word)
    });
    let line = words.collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(LONGEST) {
        Some((at, _)) => format!("{}…", line.get(..at).unwrap_or_default()),
        None => line,
    }
}

/// The description of a data file that a commit lists and that does not exist.
pub(super) fn missing(commit: u64) -> String {
    format!("commit {commit} lists it, but it is missing")
}
