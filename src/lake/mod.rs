//! Batches → Parquet parts → one commit. Knows no HTTP and no payload shapes.
//!
//! ```text
//! <lake>/runs/date=2026-11-23/<part>.parquet    what readers glob
//! <lake>/_armature/format.json                  whose lake it is, and which format
//! <lake>/_armature/manifests/<commit>.json      the commits: each is created once, never changed
//! <lake>/_armature/ledger/<commit>.parquet      the ledger as of a commit, so that opening is quick
//! <lake>/_armature/staging/<commit>-<id>/       parts on their way, out of every reader's sight
//! <lake>/_armature/retired/<commit>-<id>/        parts that were merged into others, for a while
//! <lake>/_armature/set_aside/                    files that `verify --repair` took out of readers' sight
//! <lake>/_armature/lock                         held by the one writer
//! ```

mod checkpoint;
mod commit;
mod error;
mod files;
mod identity;
mod live;
mod lock;
mod manifest;
mod mend;
mod open;
mod part;
mod presence;
mod retired;
mod settle;
mod staging;

pub use commit::Draft;
pub use error::LakeError;
pub use identity::{FORMAT_MAJOR, Identity};
pub use live::{LivePart, LiveParts, PartGroup};
pub use lock::try_lock_in;
pub use manifest::{CommitRange, Gap, Manifest, Part, SweepRecord, SyncRecord};
pub use open::{Lake, LakeView};
pub use part::{PartOptions, PartWriter, part_columns, part_rows, part_schema};
pub use staging::{MergedParts, Merging, NewPart, StagedFile, Staging};
