//! Reads undocumented JSON: assumes no shape, loses nothing, and never panics.
//!
//! A [`Node`] is a slice of its body, and is read one level at a time. Values that end up as JSON
//! text (attributes, arguments, results) are therefore copied verbatim: a number keeps all
//! its digits and an unknown member its place.

mod envelope;
mod list;
mod node;
mod path;
mod portable;
mod record;
mod scan;
mod time;

pub use envelope::{Body, member_names, unwrap};
pub use list::{List, ListNames, has_own_id, object_lists};
pub use node::{JsonKind, Malformed, Node};
pub use path::{PathSegment, is_path, last_word};
pub use portable::{REPLACED, portable};
pub use record::{Address, Record, Unmapped};
pub use time::{TimeFormat, TimeUnit, nanoseconds, parse_timestamp};
