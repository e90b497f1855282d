//! The process behind `schedule`: runs jobs when they are due, one at a time, serves health and
//! metrics, and sends alerts.

mod daemon;
mod endpoints;
mod health;
mod jobs;
mod lake_stats;
mod options;
mod report;
mod shared;
mod written_report;

pub use daemon::Service;
pub use endpoints::listen_address;
pub use options::{ServiceOptions, ServiceSettings};
