//! Sends a reply, unchanged or with a fault.

use std::io;
use std::time::Duration;

use axum::body::Body;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, LINK, LOCATION};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::Response;
use bytes::Bytes;
use futures::stream::{self, StreamExt};
use serde_json::Value;
use tokio::sync::watch;

use super::faults::{Answer, duration};

/// Delay before a break, so that what was sent before has left the process.
const FLUSH_TIME: Duration = Duration::from_millis(20);
const DRIPS_PER_SECOND: u32 = 20;

/// A correct response, before a fault is applied.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) body: Bytes,
    /// The `Link` header.
    pub(super) link: Option<String>,
}

impl Reply {
    pub(super) fn json(status: StatusCode, body: &Value) -> Self {
        Self { status, body: Bytes::from(body.to_string()), link: None }
    }
}

/// A piece of a body, and the delay before it.
struct Piece {
    silence: Duration,
    content: io::Result<Bytes>,
}

/// A response, and the delay before it.
pub(super) struct Transmission {
    pub(super) silence: Duration,
    pub(super) response: Response,
}

/// Ends every delay when the simulator stops.
#[derive(Debug, Clone)]
pub(super) struct Stopping(pub(super) watch::Receiver<bool>);

impl Stopping {
    pub(super) async fn wait(mut self) {
        // An error means that the simulator was dropped, which is a stop too.
        let _gone = self.0.wait_for(|is_stopping| *is_stopping).await;
    }

    pub(super) async fn sleep(self, time: Duration) {
        if !time.is_zero() {
            let _elapsed = tokio::time::timeout(time, self.wait()).await;
        }
    }
}

/// Applies a fault's answer to the correct reply.
pub(super) fn transmit(reply: Reply, answer: Option<Answer>, stopping: &Stopping) -> Transmission {
    let mut silence = Duration::ZERO;
    let link = reply.link.as_ref().and_then(|link| HeaderValue::try_from(link).ok());
    let mut response = match answer {
        None => whole(reply),
        Some(Answer::Stall { seconds }) => {
            silence = duration(seconds);
            whole(reply)
        }
        Some(Answer::Status { status, headers, body }) => own(status, headers, body.into()),
        Some(Answer::Body { status, headers, bytes }) => own(status, headers, bytes.into()),
        Some(Answer::Redirect { status, location }) => {
            own(status, vec![(LOCATION.to_string(), location)], Bytes::new())
        }
        Some(Answer::Truncate { bytes }) => {
            let (kept, _) = split(reply.body, bytes);
            whole(Reply { body: kept, ..reply })
        }
        Some(Answer::Shorten { bytes }) => {
            let kept = reply.body.len().saturating_sub(bytes);
            let (kept, _) = split(reply.body, kept);
            whole(Reply { body: kept, ..reply })
        }
        Some(Answer::Overstate { bytes }) => {
            let length = reply.body.len().saturating_add(bytes);
            let pieces = vec![at_once(reply.body.clone()), broken()];
            in_pieces(&reply, length, pieces, stopping)
        }
        Some(Answer::Reset { after_bytes }) => {
            let (head, _) = split(reply.body.clone(), after_bytes);
            in_pieces(&reply, reply.body.len(), vec![at_once(head), broken()], stopping)
        }
        Some(Answer::StallBody { after_bytes, seconds }) => {
            let (head, tail) = split(reply.body.clone(), after_bytes);
            let tail = Piece { silence: duration(seconds), content: Ok(tail) };
            in_pieces(&reply, reply.body.len(), vec![at_once(head), tail], stopping)
        }
        Some(Answer::Drip { bytes_per_second }) => {
            let pieces = drops(reply.body.clone(), bytes_per_second);
            in_pieces(&reply, reply.body.len(), pieces, stopping)
        }
    };
    if let Some(link) = link {
        response.headers_mut().entry(LINK).or_insert(link);
    }
    Transmission { silence, response }
}

const fn at_once(content: Bytes) -> Piece {
    Piece { silence: Duration::ZERO, content: Ok(content) }
}

fn broken() -> Piece {
    let error = io::Error::from(io::ErrorKind::ConnectionReset);
    Piece { silence: FLUSH_TIME, content: Err(error) }
}

fn split(mut body: Bytes, at: usize) -> (Bytes, Bytes) {
    let head = body.split_to(at.min(body.len()));
    (head, body)
}

fn drops(mut body: Bytes, bytes_per_second: u32) -> Vec<Piece> {
    let speed = bytes_per_second.max(1);
    let size = speed.div_ceil(DRIPS_PER_SECOND);
    let silence = Duration::from_secs(1).saturating_mul(size) / speed;
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    let mut pieces = Vec::new();
    while !body.is_empty() {
        let drop = body.split_to(size.min(body.len()));
        pieces.push(Piece { silence, content: Ok(drop) });
    }
    pieces
}

fn with_status(status: StatusCode, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn whole(reply: Reply) -> Response {
    with_status(reply.status, Body::from(reply.body))
}

/// A response that declares a length, whatever number of bytes follows.
fn in_pieces(reply: &Reply, length: usize, pieces: Vec<Piece>, stopping: &Stopping) -> Response {
    let stopping = stopping.clone();
    let contents = stream::iter(pieces).then(move |piece| {
        let stopping = stopping.clone();
        async move {
            stopping.sleep(piece.silence).await;
            piece.content
        }
    });
    let mut response = with_status(reply.status, Body::from_stream(contents));
    response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(length));
    response
}

/// The response that a rule specifies. Headers that HTTP does not allow are left out.
fn own(status: u16, headers: Vec<(String, String)>, body: Bytes) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = with_status(status, Body::from(body));
    for (name, value) in headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}
