//! One request → bytes, politely: key, retry, rate limits, caps, and the page stream.

mod client;
mod connection;
mod continuation;
mod document;
mod error;
mod error_body;
mod gate;
mod listing;
mod pace;
mod page;
mod pager;
mod rate;
mod retry;
mod room;
mod traffic;

pub use client::{Answer, Budget, Client, ClientOptions, Fetched};
pub use connection::{certificates_looked_in, describe, install_tls};
pub use continuation::{Continuation, Next, Read};
pub use document::{DocumentPages, MissingRows, missing_rows};
pub use error::ApiError;
pub use listing::{Ending, ListQuery, Listing, Page, PageBase};
pub use page::ListedRow;
pub use retry::{Disposition, disposition};
pub use traffic::Traffic;
