//! The configuration: the file, the environment and the defaults.
//!
//! The environment and the key file are read here and nowhere else.

mod error;
mod iceberg;
mod key;
mod load;
mod object_store;
mod path;
mod service_url;
mod settings;
mod webhook_url;

pub use error::{CONFIG_VERSION, ConfigError, ParseError};
pub use iceberg::{CatalogAuth, IcebergCatalog, IcebergSettings};
pub use key::{ApiKey, KeyError, mask_keys};
pub use load::{DEFAULT_FILE, load, parse};
pub use object_store::{ObjectStoreSettings, ReadBy, StoreScheme, StoreUrl};
pub use path::{check_lake_path, check_path, lake_path, local_path};
pub use settings::{
    Access, ApiSettings, CompactSettings, DuckdbDocuments, DuckdbSettings, Filters, LakeSettings,
    NotifySettings, PagingSettings, PagingStyle, RangeChoice, ReportRange, ReportSettings,
    ScheduleSettings, Settings, SyncSettings, WebhookFormat,
};
pub use webhook_url::WebhookUrl;
