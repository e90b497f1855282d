//! What the user set: the file, the environment, the defaults.
//!
//! The environment and the key file are read here and nowhere else.

mod key;
mod load;
mod settings;

pub use key::{ApiKey, KeyError, mask_keys};
pub use load::{ConfigError, DEFAULT_FILE, load, parse};
pub use settings::{
    ApiSettings, DuckdbSettings, Filters, LakeSettings, RangeChoice, ScheduleSettings, Settings,
    SyncSettings,
};
