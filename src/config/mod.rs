//! What the user set: the file, the environment, the defaults.
//!
//! The environment and the key file are read here and nowhere else.

mod hook;
mod key;
mod load;
mod path;
mod settings;

pub use hook::HookUrl;
pub use key::{ApiKey, KeyError, mask_keys};
pub use load::{CONFIG_VERSION, ConfigError, DEFAULT_FILE, load, parse};
pub use path::{check_path, local_path};
pub use settings::{
    Access, ApiSettings, CompactSettings, DuckdbSettings, Filters, LakeSettings, NotifySettings,
    PagingSettings, PagingStyle, RangeChoice, ScheduleSettings, Settings, SyncSettings,
    WebhookFormat,
};
