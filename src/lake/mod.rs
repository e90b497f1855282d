//! Record batches → Parquet data files → one commit. Knows neither HTTP nor the shape of bodies.
//!
//! ```text
//! <lake>/runs/date=2026-11-23/<name>.parquet    the data files that readers glob
//! <lake>/_armature/format.json                  whose lake it is, and which format
//! <lake>/_armature/manifests/<commit>.json      the commit log; a commit file never changes
//! <lake>/_armature/ledger/<commit>.parquet      checkpoints: the ledger as of a commit
//! <lake>/_armature/ledger/shards/               the parts of the ledger that few processes read
//! <lake>/_armature/files/<commit>.parquet       checkpoints: the live files as of a commit
//! <lake>/_armature/staging/<commit>-<id>/       data files before they are published
//! <lake>/_armature/retired/<commit>-<id>/       tombstoned data files, kept for a while
//! <lake>/_armature/set_aside/                   quarantined files, moved here by `verify --repair`
//! <lake>/_armature/lock                         held by the one writer
//! ```

mod commit;
mod commit_file;
mod data_file;
mod error;
mod files_checkpoint;
mod identity;
mod integrity;
mod ledger_checkpoint;
mod ledger_shards;
mod live_file;
mod location;
mod open;
mod paths;
mod repair;
mod snapshot;
mod staging;
mod statistics;
mod store;
mod tombstones;

pub use commit::CommitBuilder;
pub use commit_file::{CommitFile, CommitRange, DataFile, Gap, ScanRecord, SyncRecord};
pub use data_file::{
    DataFileOptions, DataFileWriter, WrittenFile, data_file_columns, data_file_rows,
    data_file_schema,
};
pub use error::{LakeError, RequestProblem};
pub use files_checkpoint::LakeTotals;
pub use identity::{FORMAT_MAJOR, Identity};
pub use live_file::LiveFile;
pub use location::Location;
pub use open::{CommittedLake, Lake, LakeView};
pub use snapshot::{FileGroup, Snapshot};
pub use staging::{MergedFiles, Merging, NewDataFile, Staging};
pub use statistics::{Bound, ColumnStatistics, FileStatistics};
pub use store::{LakeStore, LocalCopy, StagedFile, StoredFile, aws_credentials, try_lock_in};
