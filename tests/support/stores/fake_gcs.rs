//! A fake of Google Cloud Storage: what `object_store` sends to its XML API, with preconditions on
//! generations. Objects live in memory. There is no emulator to be had that serves these requests.
//!
//! It is written from Google's documentation of the XML API, and proves less than a real server.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::ops::Bound;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::SystemTime;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::Response;
use chrono::{DateTime, SecondsFormat, Utc};
use percent_encoding::percent_decode_str;
use tokio::sync::oneshot;

/// Objects and prefixes in one page of a list, as GCS has at most.
const PAGE: usize = 1000;

const BUCKET: &str = "lake";

/// A server that runs until it is dropped.
#[derive(Debug)]
pub(crate) struct FakeGcs {
    pub(crate) address: SocketAddr,
    pub(crate) bucket: &'static str,
    stop: Option<oneshot::Sender<()>>,
}

impl FakeGcs {
    pub(crate) fn start() -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                let router = Router::new().fallback(answer).with_state(Arc::default());
                let served = axum::serve(listener, router);
                tokio::select! {
                    ended = served => ended.unwrap(),
                    _ = stopped => {}
                }
            });
        });
        Self { address, bucket: BUCKET, stop: Some(stop) }
    }

    /// What the client takes as its service account key: without tokens, and with this server's
    /// address, or that of a proxy in front of it.
    pub(crate) fn service_account_key(address: SocketAddr) -> String {
        serde_json::json!({
            "gcs_base_url": format!("http://{address}"),
            "disable_oauth": true,
            "client_email": "",
            "private_key": "",
            "private_key_id": "",
        })
        .to_string()
    }
}

impl Drop for FakeGcs {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            // An error says that the server has ended.
            let _ended = stop.send(());
        }
    }
}

#[derive(Debug, Default)]
struct Bucket {
    objects: BTreeMap<String, Object>,
    /// By upload id, the parts by number.
    uploads: BTreeMap<String, BTreeMap<u32, Bytes>>,
    /// The newest generation or upload id.
    last: u64,
}

#[derive(Debug, Clone)]
struct Object {
    bytes: Bytes,
    /// Of this content under this name; never given twice.
    generation: u64,
    modified: DateTime<Utc>,
}

impl Object {
    fn e_tag(&self) -> String {
        format!("\"{}\"", self.generation)
    }
}

/// A status, or an answer.
type Answer = Result<Response, StatusCode>;

async fn answer(State(bucket): State<Arc<Mutex<Bucket>>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap_or_default();
    let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    let query: BTreeMap<String, String> =
        url::form_urlencoded::parse(parts.uri.query().unwrap_or("").as_bytes())
            .into_owned()
            .collect();
    let path = parts.uri.path().trim_start_matches('/');
    let (name, key) = path.split_once('/').unwrap_or((path, ""));
    let mut bucket = bucket.lock().unwrap();
    let answer = if name != BUCKET {
        Err(StatusCode::NOT_FOUND)
    } else if key.is_empty() {
        bucket.list(&query)
    } else {
        bucket.object(&parts.method, &decoded(key), &query, &parts.headers, body)
    };
    answer.unwrap_or_else(|status| {
        let code = status.canonical_reason().unwrap_or("").replace(' ', "");
        xml(status, &format!("<Error><Code>{code}</Code></Error>"))
    })
}

impl Bucket {
    fn object(
        &mut self,
        method: &Method,
        key: &str,
        query: &BTreeMap<String, String>,
        headers: &HeaderMap,
        body: Bytes,
    ) -> Answer {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let upload = query.get("uploadId");
        match *method {
            Method::POST if query.contains_key("uploads") => {
                self.last += 1;
                self.uploads.insert(self.last.to_string(), BTreeMap::new());
                let id = self.last;
                Ok(xml(
                    StatusCode::OK,
                    &format!(
                        "<InitiateMultipartUploadResult><UploadId>{id}</UploadId>\
                         </InitiateMultipartUploadResult>"
                    ),
                ))
            }
            Method::POST => {
                let id = upload.ok_or(StatusCode::BAD_REQUEST)?;
                let parts = self.uploads.remove(id).ok_or(StatusCode::NOT_FOUND)?;
                let bytes = parts.into_values().flatten().collect();
                let object = self.put(key, bytes, None)?;
                let e_tag = object.e_tag();
                let body = format!(
                    "<CompleteMultipartUploadResult><ETag>{e_tag}</ETag>\
                     </CompleteMultipartUploadResult>"
                );
                Ok(with_version(xml(StatusCode::OK, &body), &object))
            }
            Method::PUT if upload.is_some() => {
                let number = query.get("partNumber").and_then(|number| number.parse().ok());
                let number: u32 = number.ok_or(StatusCode::BAD_REQUEST)?;
                let parts = upload.and_then(|id| self.uploads.get_mut(id));
                parts.ok_or(StatusCode::NOT_FOUND)?.insert(number, body.clone());
                let part = Object { bytes: body, generation: number.into(), modified: now() };
                Ok(with_version(xml(StatusCode::OK, ""), &part))
            }
            Method::PUT => {
                let bytes = match text("x-goog-copy-source") {
                    Some(source) => {
                        let source = percent_decode_str(source).decode_utf8_lossy();
                        let key = source.trim_start_matches('/').strip_prefix("lake/");
                        let found = key.and_then(|key| self.objects.get(key));
                        found.ok_or(StatusCode::NOT_FOUND)?.bytes.clone()
                    }
                    None => body,
                };
                let object = self.put(key, bytes, text("x-goog-if-generation-match"))?;
                let copied = "<CopyObjectResult></CopyObjectResult>";
                Ok(with_version(xml(StatusCode::OK, copied), &object))
            }
            Method::DELETE if upload.is_some() => {
                upload.and_then(|id| self.uploads.remove(id)).ok_or(StatusCode::NOT_FOUND)?;
                Ok(xml(StatusCode::NO_CONTENT, ""))
            }
            Method::DELETE => {
                self.objects.remove(key).ok_or(StatusCode::NOT_FOUND)?;
                Ok(xml(StatusCode::NO_CONTENT, ""))
            }
            Method::GET | Method::HEAD => {
                let object = self.objects.get(key).ok_or(StatusCode::NOT_FOUND)?;
                if text("if-match").is_some_and(|e_tag| e_tag != object.e_tag()) {
                    return Err(StatusCode::PRECONDITION_FAILED);
                }
                if text("if-none-match").is_some_and(|e_tag| e_tag == object.e_tag()) {
                    return Err(StatusCode::NOT_MODIFIED);
                }
                read(object, text("range"))
            }
            _ => Err(StatusCode::METHOD_NOT_ALLOWED),
        }
    }

    /// Puts an object, where the one that is there has the generation that is asked for. 0 stands
    /// for none.
    fn put(&mut self, key: &str, bytes: Bytes, only: Option<&str>) -> Result<Object, StatusCode> {
        let generation = self.objects.get(key).map_or(0, |object| object.generation);
        if only.is_some_and(|only| only != generation.to_string()) {
            return Err(StatusCode::PRECONDITION_FAILED);
        }
        self.last += 1;
        let object = Object { bytes, generation: self.last, modified: now() };
        self.objects.insert(key.to_owned(), object.clone());
        Ok(object)
    }

    fn list(&self, query: &BTreeMap<String, String>) -> Answer {
        let text = |name: &str| query.get(name).map_or("", String::as_str);
        let (prefix, delimiter) = (text("prefix"), text("delimiter"));
        // Both are the last name that is not wanted any more.
        let after = text("start-after").max(text("continuation-token"));
        let page = query.get("max-keys").map_or(Ok(PAGE), |keys| keys.parse());
        let page = page.map_err(|_| StatusCode::BAD_REQUEST)?.min(PAGE);
        let mut entries: BTreeMap<String, Option<&Object>> = BTreeMap::new();
        let mut token = None;
        let start = (Bound::Excluded(after.to_owned()), Bound::Unbounded);
        for (key, object) in self.objects.range(start) {
            let Some(rest) = key.strip_prefix(prefix) else { continue };
            let folder = rest.split_once(delimiter).filter(|_| !delimiter.is_empty());
            let (name, object) = match folder {
                Some((folder, _)) => (format!("{prefix}{folder}{delimiter}"), None),
                None => (key.clone(), Some(object)),
            };
            // A prefix stands once, also where the page before ended with it.
            if entries.contains_key(&name) || (object.is_none() && after.starts_with(&name)) {
                continue;
            }
            if entries.len() == page {
                token = entries.last_key_value().map(|(name, _)| name.clone());
                break;
            }
            entries.insert(name, object);
        }
        let listed = entries.iter().map(|(name, object)| match object {
            None => format!("<CommonPrefixes><Prefix>{}</Prefix></CommonPrefixes>", escaped(name)),
            Some(object) => format!(
                "<Contents><Key>{}</Key><Size>{}</Size><ETag>{}</ETag>\
                 <LastModified>{}</LastModified></Contents>",
                escaped(name),
                object.bytes.len(),
                object.e_tag(),
                object.modified.to_rfc3339_opts(SecondsFormat::Millis, true),
            ),
        });
        let listed: String = listed.collect();
        let next = token.map_or(String::new(), |token| {
            format!("<NextContinuationToken>{}</NextContinuationToken>", escaped(&token))
        });
        Ok(xml(StatusCode::OK, &format!("<ListBucketResult>{listed}{next}</ListBucketResult>")))
    }
}

/// An object, or the range of it that is asked for.
fn read(object: &Object, range: Option<&str>) -> Answer {
    let size = object.bytes.len();
    let Some(range) = range.and_then(|range| range.strip_prefix("bytes=")) else {
        let answer = Response::builder().status(StatusCode::OK);
        return Ok(with_version(answer.body(Body::from(object.bytes.clone())).unwrap(), object));
    };
    let number = |text: &str| text.parse::<usize>().map_err(|_| StatusCode::BAD_REQUEST);
    let (start, end) = match range.split_once('-').ok_or(StatusCode::BAD_REQUEST)? {
        ("", last) => (size.saturating_sub(number(last)?), size),
        (start, "") => (number(start)?, size),
        (start, last) => (number(start)?, size.min(number(last)?.saturating_add(1))),
    };
    if start >= end {
        return Err(StatusCode::RANGE_NOT_SATISFIABLE);
    }
    let answer = Response::builder()
        .status(StatusCode::PARTIAL_CONTENT)
        .header(header::CONTENT_RANGE, format!("bytes {start}-{}/{size}", end - 1))
        .body(Body::from(object.bytes.slice(start..end)));
    Ok(with_version(answer.unwrap(), object))
}

fn xml(status: StatusCode, body: &str) -> Response {
    let answer = Response::builder().status(status).header(header::CONTENT_TYPE, "application/xml");
    answer.body(Body::from(body.to_owned())).unwrap()
}

fn with_version(mut answer: Response, object: &Object) -> Response {
    let modified = httpdate::fmt_http_date(object.modified.into());
    for (name, value) in [
        ("etag", object.e_tag()),
        ("last-modified", modified),
        ("x-goog-generation", object.generation.to_string()),
    ] {
        answer.headers_mut().insert(name, value.parse().unwrap());
    }
    answer
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[expect(clippy::disallowed_methods, reason = "a store has the clock of its machine")]
fn now() -> DateTime<Utc> {
    SystemTime::now().into()
}
