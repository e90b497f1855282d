//! A proxy in front of an object store that does what networks and busy stores do: it loses
//! requests and answers, delays them, refuses them, cuts bodies. It also counts requests and bytes.
//!
//! What it forwards, it forwards byte for byte: the `Host` header too, so a signature made for the
//! proxy's address stays valid where the server checks it against the header, as SeaweedFS does. The
//! client must use the proxy's address as its endpoint.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// What a request asks of a store, told from its method, its query and its headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Get,
    Head,
    List,
    Put,
    /// A part of a multipart upload, or a block.
    PutPart,
    /// A copy that the server makes.
    Copy,
    /// Of one object, or of many by one request.
    Delete,
    /// The start or the end of a multipart upload, and all else.
    Other,
}

/// What happens to a request.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Fault {
    /// The connection closes before the server has seen the request.
    LoseRequest,
    /// The server carries the request out, and the connection closes instead of its answer.
    LoseAnswer,
    /// The server never sees the request: this status with this code in an S3 error document.
    Refuse(u16, &'static str),
    /// The server carries the request out, and this answer stands for its own.
    RefuseAfter(u16, &'static str),
    /// The request is carried out and answered, after this time.
    Delay(Duration),
    /// The request waits until the rules are set again, and is then carried out and answered.
    Hold,
    /// The connection closes after so many bytes of the answer's body.
    CutBody(usize),
    /// Until so many seconds have passed since the first request, the server sees none: 503, with
    /// the seconds as `Retry-After`.
    AskToWait(u16),
}

impl Fault {
    /// As stores answer to more requests than they take.
    pub(crate) const SLOW_DOWN: Self = Self::Refuse(503, "SlowDown");
    /// As S3 answers to two conditional writes of one key at once.
    pub(crate) const CONFLICT: Self = Self::Refuse(409, "ConditionalRequestConflict");
    /// Expired credentials. (S3 itself answers 400 to an expired session token.)
    pub(crate) const EXPIRED: Self = Self::Refuse(403, "ExpiredToken");
}

/// Which requests a fault happens to. Of several rules that a request matches, the first one that
/// strikes counts.
#[derive(Debug, Clone)]
pub(crate) struct Rule {
    kind: Option<Kind>,
    path: String,
    skip: u64,
    at_most: u64,
    per_mille: u64,
    seed: u64,
    fault: Fault,
}

impl Rule {
    /// A fault of every request.
    pub(crate) fn new(fault: Fault) -> Self {
        let path = String::new();
        Self { kind: None, path, skip: 0, at_most: u64::MAX, per_mille: 1000, seed: 0, fault }
    }

    /// Only of this kind.
    pub(crate) fn of(self, kind: Kind) -> Self {
        Self { kind: Some(kind), ..self }
    }

    /// Only where the target (path and query, percent-encoded) contains this.
    pub(crate) fn at(self, path: impl Into<String>) -> Self {
        Self { path: path.into(), ..self }
    }

    /// Not the first `skip` requests that match.
    pub(crate) fn after(self, skip: u64) -> Self {
        Self { skip, ..self }
    }

    /// Not more often than this.
    pub(crate) fn times(self, at_most: u64) -> Self {
        Self { at_most, ..self }
    }

    /// Only so many of a thousand requests that match: which of them, the seed says.
    pub(crate) fn now_and_then(self, per_mille: u64, seed: u64) -> Self {
        Self { per_mille, seed, ..self }
    }
}

/// Requests and bytes since the proxy started, faults included.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Traffic {
    pub(crate) requests: BTreeMap<Kind, u64>,
    /// Bytes of the bodies of requests.
    pub(crate) sent: u64,
    /// Bytes of the bodies of answers, as the server sent them.
    pub(crate) received: u64,
}

impl Traffic {
    /// How many requests of a kind there were.
    pub(crate) fn of(&self, kind: Kind) -> u64 {
        self.requests.get(&kind).copied().unwrap_or(0)
    }
}

/// A proxy that runs until it is dropped.
#[derive(Debug)]
pub(crate) struct FaultProxy {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    server: SocketAddr,
    state: Mutex<State>,
    /// Wakes the requests that are held.
    rules_set: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// With how many requests matched, and how many it struck.
    rules: Vec<(Rule, u64, u64)>,
    /// How often the rules were set.
    times_set: u64,
    /// When the first request was asked to wait.
    asked: Option<Instant>,
    traffic: Traffic,
    stops: bool,
}

impl FaultProxy {
    /// A proxy in front of a server, without faults at first.
    pub(crate) fn start(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared =
            Arc::new(Shared { server, state: Mutex::default(), rules_set: Condvar::new() });
        let proxy = Self { address, shared: Arc::clone(&shared) };
        thread::spawn(move || {
            for client in listener.incoming() {
                if shared.state.lock().unwrap().stops {
                    return;
                }
                let (Ok(client), shared) = (client, Arc::clone(&shared)) else { continue };
                thread::spawn(move || shared.serve(&client));
            }
        });
        proxy
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// An endpoint of the server, with the proxy's address instead of the server's.
    pub(crate) fn endpoint(&self, endpoint: &str) -> String {
        endpoint.replace(&self.shared.server.to_string(), &self.address.to_string())
    }

    /// From now on these rules, and no others.
    pub(crate) fn set_rules(&self, rules: impl IntoIterator<Item = Rule>) {
        let rules = rules.into_iter().map(|rule| (rule, 0, 0)).collect();
        let mut state = self.shared.state.lock().unwrap();
        (state.rules, state.asked) = (rules, None);
        state.times_set += 1;
        self.shared.rules_set.notify_all();
    }

    /// How often each rule struck.
    pub(crate) fn strikes(&self) -> Vec<u64> {
        let state = self.shared.state.lock().unwrap();
        state.rules.iter().map(|(_, _, strikes)| *strikes).collect()
    }

    /// What went through so far.
    pub(crate) fn traffic(&self) -> Traffic {
        self.shared.state.lock().unwrap().traffic.clone()
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        // A test that panics within the lock has something else to say.
        if let Ok(mut state) = self.shared.state.lock() {
            state.stops = true;
        }
        self.shared.rules_set.notify_all();
        // Wakes the thread that accepts.
        drop(TcpStream::connect(self.address));
    }
}

impl Shared {
    /// Serves one connection until one side ends it.
    fn serve(&self, client: &TcpStream) {
        // An error is a connection that a side has closed: there is no one to tell.
        let _closed = self.forward(client);
        let _closed = client.shutdown(Shutdown::Both);
    }

    fn forward(&self, client: &TcpStream) -> io::Result<()> {
        let server = TcpStream::connect(self.server)?;
        for side in [client, &server] {
            side.set_nodelay(true)?;
        }
        let mut requests = BufReader::new(client);
        let mut answers = BufReader::new(&server);
        while let Some(head) = Head::read(&mut requests)? {
            if head.has("expect", "100-continue") {
                (&mut &*client).write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
            }
            let body = head.read_body(&mut requests, false)?;
            let fault = self.record(&head, body.len());
            match fault {
                Some(Fault::LoseRequest) => return Ok(()),
                Some(Fault::Refuse(status, code)) => {
                    (&mut &*client).write_all(&refusal(status, code, &head))?;
                    continue;
                }
                Some(Fault::AskToWait(seconds)) => {
                    let answer = format!(
                        "HTTP/1.1 503 SlowDown\r\nRetry-After: {seconds}\r\n\
                         Content-Length: 0\r\n\r\n"
                    );
                    (&mut &*client).write_all(answer.as_bytes())?;
                    continue;
                }
                Some(Fault::Delay(time)) => pause(time),
                Some(Fault::Hold) => self.wait_for_other_rules(),
                _ => {}
            }
            (&mut &server).write_all(&[head.bytes.as_slice(), &body].concat())?;
            let mut answer = Head::read(&mut answers)?.ok_or(io::ErrorKind::UnexpectedEof)?;
            while answer.status() / 100 == 1 {
                answer = Head::read(&mut answers)?.ok_or(io::ErrorKind::UnexpectedEof)?;
            }
            let has_no_body = head.method() == "HEAD" || matches!(answer.status(), 204 | 304);
            let body = if has_no_body { vec![] } else { answer.read_body(&mut answers, true)? };
            self.state.lock().unwrap().traffic.received += length(&body);
            match fault {
                Some(Fault::LoseAnswer) => return Ok(()),
                Some(Fault::RefuseAfter(status, code)) => {
                    (&mut &*client).write_all(&refusal(status, code, &head))?;
                    continue;
                }
                Some(Fault::CutBody(after)) => {
                    (&mut &*client).write_all(&answer.bytes)?;
                    return (&mut &*client).write_all(&body[..after.min(body.len())]);
                }
                _ => (&mut &*client).write_all(&[answer.bytes.as_slice(), &body].concat())?,
            }
            if answer.has("connection", "close") || head.has("connection", "close") {
                return Ok(());
            }
        }
        Ok(())
    }

    fn wait_for_other_rules(&self) {
        let state = self.state.lock().unwrap();
        let before = state.times_set;
        let other =
            self.rules_set.wait_while(state, |state| state.times_set == before && !state.stops);
        drop(other.unwrap());
    }

    /// Counts a request, and says what happens to it.
    fn record(&self, head: &Head, body: usize) -> Option<Fault> {
        let kind = head.kind();
        let mut state = self.state.lock().unwrap();
        *state.traffic.requests.entry(kind).or_default() += 1;
        state.traffic.sent += u64::try_from(body).unwrap();
        let (target, now) = (head.target(), Instant::now());
        let State { rules, asked, .. } = &mut *state;
        for (rule, matches, strikes) in rules {
            if rule.kind.is_some_and(|only| only != kind) || !target.contains(&rule.path) {
                continue;
            }
            if let Fault::AskToWait(seconds) = rule.fault
                && now - *asked.get_or_insert(now) >= Duration::from_secs(seconds.into())
            {
                continue;
            }
            *matches += 1;
            let chance = mixed(rule.seed.wrapping_add(*matches)) % 1000;
            if *matches > rule.skip && *strikes < rule.at_most && chance < rule.per_mille {
                *strikes += 1;
                return Some(rule.fault);
            }
        }
        None
    }
}

/// The first line and the headers of a request or an answer, as they came.
struct Head {
    bytes: Vec<u8>,
    text: String,
}

impl Head {
    /// Nothing where the connection ended before the first byte.
    fn read(from: &mut impl BufRead) -> io::Result<Option<Self>> {
        let mut bytes = Vec::new();
        loop {
            let before = bytes.len();
            if from.read_until(b'\n', &mut bytes)? == 0 {
                return if bytes.is_empty() {
                    Ok(None)
                } else {
                    Err(io::ErrorKind::UnexpectedEof.into())
                };
            }
            if bytes[before..] == *b"\r\n" {
                let text = String::from_utf8_lossy(&bytes).into_owned();
                return Ok(Some(Self { bytes, text }));
            }
        }
    }

    fn method(&self) -> &str {
        self.text.split(' ').next().unwrap()
    }

    fn target(&self) -> &str {
        self.text.split(' ').nth(1).unwrap_or("")
    }

    fn status(&self) -> u16 {
        self.target().parse().unwrap_or(0)
    }

    fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.text.lines().skip(1).filter_map(|line| line.split_once(':'));
        headers.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }

    fn has(&self, name: &str, value: &str) -> bool {
        self.header(name).is_some_and(|found| found.eq_ignore_ascii_case(value))
    }

    fn kind(&self) -> Kind {
        let (path, query) = self.target().split_once('?').unwrap_or((self.target(), ""));
        let parameters: Vec<&str> = query.split('&').collect();
        let asks = |name: &str| parameters.iter().any(|part| part.split('=').next() == Some(name));
        let copies = ["x-amz-copy-source", "x-ms-copy-source", "x-goog-copy-source"];
        let is_bulk = asks("delete") || parameters.contains(&"comp=batch");
        match self.method() {
            "GET" if asks("list-type") || parameters.contains(&"comp=list") => Kind::List,
            "GET" => Kind::Get,
            "HEAD" => Kind::Head,
            "PUT" if copies.iter().any(|name| self.header(name).is_some()) => Kind::Copy,
            "PUT" if asks("partNumber") || parameters.contains(&"comp=block") => Kind::PutPart,
            "PUT" if !path.is_empty() => Kind::Put,
            "DELETE" => Kind::Delete,
            "POST" if is_bulk => Kind::Delete,
            _ => Kind::Other,
        }
    }

    /// The body as it came, chunks and all. An answer without a length goes on until its end.
    fn read_body(&self, from: &mut impl BufRead, is_answer: bool) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        if self.has("transfer-encoding", "chunked") {
            loop {
                let start = body.len();
                from.read_until(b'\n', &mut body)?;
                let line = String::from_utf8_lossy(&body[start..]).into_owned();
                let size = line.trim().split(';').next().unwrap_or("");
                let size = u64::from_str_radix(size, 16).map_err(io::Error::other)?;
                from.take(size).read_to_end(&mut body)?;
                from.read_until(b'\n', &mut body)?;
                if size == 0 {
                    return Ok(body);
                }
            }
        }
        match self.header("content-length") {
            Some(length) => {
                let length: u64 = length.parse().map_err(io::Error::other)?;
                from.take(length).read_to_end(&mut body)?;
            }
            None if is_answer => {
                from.read_to_end(&mut body)?;
            }
            None => {}
        }
        Ok(body)
    }
}

/// An answer with an error document, as S3 and GCS write it.
fn refusal(status: u16, code: &str, request: &Head) -> Vec<u8> {
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><Code>{code}</Code>\
         <Message>by the fault proxy</Message></Error>"
    );
    let head = format!(
        "HTTP/1.1 {status} {code}\r\nContent-Type: application/xml\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    if request.method() == "HEAD" { head.into_bytes() } else { (head + &body).into_bytes() }
}

fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap()
}

/// A number that looks random (splitmix64's last step).
fn mixed(number: u64) -> u64 {
    let mut mixed = number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

#[expect(clippy::disallowed_methods, reason = "a thread of its own serves each connection")]
fn pause(time: Duration) {
    thread::sleep(time);
}
