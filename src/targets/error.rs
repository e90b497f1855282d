//! Errors of a delivery.

use std::path::PathBuf;

use crate::config::ConfigError;
use crate::lake::{LakeError, Location};
use crate::query::{Fault, QueryError};

/// Why a target could not be brought up to date. The lake is not affected.
#[derive(Debug, thiserror::Error)]
pub enum DeliverError {
    /// The file holds another lake's runs.
    #[error("the DuckDB file `{}` was delivered from another lake", path.display())]
    OtherLake {
        /// Path of the DuckDB file.
        path: PathBuf,
    },
    /// The file has a table or a view with the name of one of ours that this program did not
    /// create.
    #[error(
        "the DuckDB file `{}` has a table or view `{table}` that this program did not make",
        path.display()
    )]
    ForeignTable {
        /// Path of the DuckDB file.
        path: PathBuf,
        /// Name of the table or view.
        table: String,
    },
    /// The file states a newer commit than the lake has.
    #[error(
        "the DuckDB file `{}` holds commit {applied}, and the lake ends at commit {newest}",
        path.display()
    )]
    NewerThanLake {
        /// Path of the DuckDB file.
        path: PathBuf,
        /// The last commit that the file holds.
        applied: u64,
        /// The newest commit of the lake; 0 if it has none.
        newest: u64,
    },
    /// The file holds a commit of another history: the lake's commit of that number is another one.
    #[error(
        "the DuckDB file `{}` holds a commit {commit} that differs from the lake's",
        path.display()
    )]
    OtherHistory {
        /// Path of the DuckDB file.
        path: PathBuf,
        /// The number of the commit.
        commit: u64,
    },
    /// Another process applied commits to the file at the same time.
    #[error(
        "the DuckDB file `{}` was brought from commit {expected} to commit {found} by another process",
        path.display()
    )]
    ConcurrentUpdate {
        /// Path of the DuckDB file.
        path: PathBuf,
        /// The last commit that the file held before.
        expected: u64,
        /// The last commit that the file holds now.
        found: u64,
    },
    /// Another process made `documents` something else at the same time.
    #[error("`documents` in the DuckDB file `{}` was changed by another process", path.display())]
    DocumentsChanged {
        /// Path of the DuckDB file.
        path: PathBuf,
    },
    /// `documents` is configured as a view, and the lake is in an object store.
    #[error(
        "`documents` in the DuckDB file `{}` cannot be a view: the lake is in an object store",
        path.display()
    )]
    ViewOfStore {
        /// Path of the DuckDB file.
        path: PathBuf,
    },
    /// A rebuild would replace a file that is not known to belong to this lake alone.
    #[error("`{}` {what}, and is not replaced", path.display())]
    NotReplaced {
        /// Path of the file.
        path: PathBuf,
        /// What it is or holds, as a predicate.
        what: String,
    },
    /// The DuckDB file is up to date, and its published copy is not.
    #[error("the copy `{}` of the DuckDB file was not published: {problem}", path.display())]
    NotPublished {
        /// Path of the copy.
        path: PathBuf,
        /// Why.
        problem: PublishProblem,
    },
    /// An Iceberg table is not what this program left, or cannot be continued.
    #[error("the Iceberg table `{location}` {problem}")]
    IcebergTable {
        /// The address of the table.
        location: String,
        /// What is wrong, as a predicate.
        problem: String,
    },
    /// A catalog has a table of that name that is not this lake's.
    #[error("the Iceberg table `{location}` {problem}, and is not replaced")]
    IcebergForeign {
        /// What the catalog calls the table.
        location: String,
        /// What is wrong, as a predicate.
        problem: &'static str,
    },
    /// A catalog of Iceberg tables cannot be used.
    #[error("the Iceberg catalog `{uri}` {problem}")]
    Catalog {
        /// The address of the catalog.
        uri: String,
        /// What is wrong.
        problem: CatalogProblem,
    },
    /// A secret for a catalog cannot be read.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Other processes changed an Iceberg table again and again.
    #[error("the Iceberg tables in `{location}` were changed by other processes at the same time")]
    IcebergBusy {
        /// The address of the folder of all tables.
        location: String,
    },
    /// The lake is at a path that readers of Iceberg tables misinterpret.
    #[error("the lake's path `{path}` {problem}")]
    IcebergPath {
        /// The path or the address of the lake.
        path: String,
        /// What is wrong, as a predicate.
        problem: &'static str,
    },
    /// A manifest or a manifest list of an Iceberg table cannot be written or read.
    #[error("failed to {action} the Avro file `{path}`")]
    Avro {
        /// The operation, as a verb.
        action: &'static str,
        /// Its path, relative to the lake's root.
        path: String,
        /// The error of the Avro library.
        source: Box<apache_avro::Error>,
    },
    /// A data file of a commit is not published yet.
    #[error("the data file `{path}` of commit {commit} is not published")]
    NotInPlace {
        /// Path of the data file.
        path: Location,
        /// The number of its commit.
        commit: u64,
    },
    /// I/O error.
    #[error("failed to {action} `{}`", path.display())]
    Io {
        /// The operation, as a verb phrase.
        action: &'static str,
        /// Path of the file or folder.
        path: PathBuf,
        /// The error of the operating system.
        source: std::io::Error,
    },
    /// DuckDB failed, or another process holds the file.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// The lake cannot be read.
    #[error(transparent)]
    Lake(#[from] LakeError),
    /// The delivery failed because of a bug of this program.
    #[error("the delivery stopped: {0}")]
    Stopped(String),
}

/// Why the copy of the DuckDB file was not published.
#[derive(Debug, thiserror::Error)]
pub enum PublishProblem {
    /// The path of the copy is that of the DuckDB file.
    #[error("it is the DuckDB file itself")]
    Itself,
    /// The file at the path is not known to be a copy of this lake's DuckDB file.
    #[error("the existing file {0}, and is not replaced")]
    Foreign(String),
    /// A write-ahead log is beside the DuckDB file: a copy of the file alone would lack its rows.
    #[error("the DuckDB file has a write-ahead log beside it")]
    WriteAheadLog,
    /// It failed otherwise.
    #[error("{}", with_causes(.0))]
    Failed(Box<DeliverError>),
}

/// The text of an error with those of its causes.
fn with_causes(error: &DeliverError) -> String {
    let causes = std::iter::successors(std::error::Error::source(error), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

/// Why a catalog of Iceberg tables cannot be used. The texts are those of the catalog, in one line
/// and cut off.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CatalogProblem {
    /// It refuses the credentials, or what they are used for.
    #[error("refuses the credentials: {0}")]
    Credentials(String),
    /// It has no such warehouse or path.
    #[error("does not have what is requested: {0}")]
    NotFound(String),
    /// It refuses a request.
    #[error("refuses to {action}: {answer}")]
    Refused {
        /// What was requested, as a verb phrase.
        action: &'static str,
        /// Its answer.
        answer: String,
    },
    /// It cannot be reached, or fails.
    #[error("cannot be reached: {0}")]
    Unreachable(String),
    /// Its answer is not that of an Iceberg catalog.
    #[error("answers in a form that this version does not know: {0}")]
    Invalid(String),
    /// HTTPS needs CA certificates, and this machine has none.
    #[error("needs CA certificates, and none were found in {looked_in}")]
    NoCertificates {
        /// The places that were searched for them.
        looked_in: String,
    },
    /// Requests cannot be made.
    #[error("cannot be requested: {0}")]
    Setup(String),
}

impl DeliverError {
    /// Whether this is a DuckDB error with that meaning.
    pub(super) fn is(&self, expected: &Fault) -> bool {
        matches!(self, Self::Query(QueryError::Duckdb { fault, .. }) if fault == expected)
    }
}
