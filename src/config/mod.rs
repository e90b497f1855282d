//! The configuration: the file, the environment and the defaults.
//!
//! The environment and the key file are read here and nowhere else.

mod key;
mod load;
mod object_store;
mod path;
mod settings;
mod webhook_url;

pub use key::{ApiKey, KeyError, mask_keys};
pub use load::{CONFIG_VERSION, ConfigError, DEFAULT_FILE, load, parse};
pub use object_store::{ObjectStoreSettings, ReadBy, StoreScheme, StoreUrl};
pub use path::{check_lake_path, check_path, lake_path, local_path};
pub use settings::{
    Access, ApiSettings, CompactSettings, DuckdbSettings, Filters, IcebergCatalog, IcebergSettings,
    LakeSettings, NotifySettings, PagingSettings, PagingStyle, RangeChoice, ScheduleSettings,
    Settings, SyncSettings, WebhookFormat,
};
pub use webhook_url::WebhookUrl;
