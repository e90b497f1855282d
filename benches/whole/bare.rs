//! The bare requests: what any export must at least take.

use std::time::Instant;

use futures::{StreamExt, TryStreamExt};
use reqwest::Client;

use crate::corpus::Corpus;

/// Requests under way at once.
const AT_ONCE: usize = 32;

/// What reading every body once took.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bare {
    pub(crate) seconds: f64,
    pub(crate) bytes: usize,
}

/// Asks for every path once, reads every body, and throws it away.
pub(crate) async fn bare_requests(base: &str, corpus: &Corpus) -> Bare {
    let client = Client::new();
    let started = Instant::now();
    let asked = futures::stream::iter(corpus.paths()).map(|path| {
        let request = client.get(format!("{base}{path}"));
        async move {
            let answer = request.send().await?.error_for_status()?;
            Ok::<usize, reqwest::Error>(answer.bytes().await?.len())
        }
    });
    let read = asked.buffer_unordered(AT_ONCE);
    let bytes = read.try_fold(0, |sum, bytes| async move { Ok(sum + bytes) }).await.unwrap();
    Bare { seconds: started.elapsed().as_secs_f64(), bytes }
}
