//! Record batches → Parquet data files → one commit. Knows neither HTTP nor the shape of bodies.
//!
//! ```text
//! <lake>/runs/date=2026-11-23/<name>.parquet    the data files that readers glob
//! <lake>/_armature/format.json                  whose lake it is, and which format
//! <lake>/_armature/manifests/<commit>.json      the commit log; a commit file never changes
//! <lake>/_armature/ledger/<commit>.parquet      checkpoints: the ledger as of a commit
//! <lake>/_armature/staging/<commit>-<id>/       data files before they are published
//! <lake>/_armature/retired/<commit>-<id>/       tombstoned data files, kept for a while
//! <lake>/_armature/set_aside/                   quarantined files, moved here by `verify --repair`
//! <lake>/_armature/lock                         held by the one writer
//! ```

mod checkpoint;
mod commit;
mod data_file;
mod error;
mod identity;
mod integrity;
mod location;
mod manifest;
mod open;
mod paths;
mod repair;
mod snapshot;
mod staging;
mod store;
mod tombstones;

pub use commit::CommitBuilder;
pub use data_file::{
    DataFileOptions, DataFileWriter, data_file_columns, data_file_rows, data_file_schema,
};
pub use error::LakeError;
pub use identity::{FORMAT_MAJOR, Identity};
pub use location::Location;
pub use manifest::{CommitRange, DataFile, Gap, Manifest, ScanRecord, SyncRecord};
pub use open::{Lake, LakeView};
pub use snapshot::{FileGroup, LiveFile, Snapshot};
pub use staging::{MergedFiles, Merging, NewDataFile, Staging};
pub use store::{LakeStore, StagedFile, StoredFile, try_lock_in};
