//! Real object stores, each a process of its own on loopback ports, in a temporary folder.
//!
//! The tests of a process share one server of each kind ([`ObjectStoreServer::seaweedfs`] and the
//! like), and each takes a prefix of its own ([`unique_prefix`]).
//!
//! A server never outlives the test process, however that ends: a shell between the two waits for
//! the end of a pipe whose other end only the test process holds, then kills the server and removes
//! its folder.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU16, AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};
use tempfile::TempDir;

/// How long a server may take until it answers. SeaweedFS takes 1.5 s on an idle machine.
const START_LIMIT: Duration = Duration::from_mins(1);

/// Starts with other ports, where another process took one between its choice and its use.
const START_ATTEMPTS: u32 = 3;

/// The bucket (Azure: container) of each server.
const BUCKET: &str = "lake";

/// The table bucket of SeaweedFS, which is the warehouse of its catalog.
const WAREHOUSE: &str = "ice";

/// As in docker-compose.yml.
const KEY_ID: &str = "lakehouse";
const SECRET: &str = "lakehouse-secret";

/// The account of Azurite, and its key as bytes and as Azure's clients take it.
const AZURE_ACCOUNT: &str = "laketests";
const AZURE_KEY: &[u8] = b"lake-test-secret";
const AZURE_KEY_BASE64: &str = "bGFrZS10ZXN0LXNlY3JldA==";

/// Starts the server (`"$@"`), kills it when standard input ends, and removes what it leaves. The
/// shell that waits for the server ends when the server does, which is how a failed start is seen.
const GUARD: &str = r#"
folder=$1; leftovers=$2; shift 2
exec 3<&0
"$@" </dev/null >"$folder/log" 2>&1 3<&- &
server=$!
{ read -r _ <&3; kill -KILL "$server"; } >/dev/null 2>&1 &
watcher=$!
exec 3<&-
wait "$server" 2>/dev/null
status=$?
kill "$watcher" 2>/dev/null
wait "$watcher" 2>/dev/null
for leftover in $leftovers; do rm -f "$leftover"; done
# 128 + SIGKILL: by the line above. The log of a server that ended by itself is still to be read.
[ "$status" -ne 137 ] || rm -rf "$folder"
exit "$status"
"#;

/// A server that runs. It is stopped when dropped.
#[derive(Debug)]
pub(crate) struct ObjectStoreServer {
    /// The origin of its API, without a slash at the end. Azurite's has the account as its path.
    pub(crate) endpoint: String,
    pub(crate) bucket: &'static str,
    /// The access key id; for Azurite, the account.
    pub(crate) key_id: &'static str,
    /// The secret key; for Azurite, the account's key in Base64.
    pub(crate) secret: &'static str,
    /// The Iceberg REST catalog of SeaweedFS.
    pub(crate) catalog: Option<Catalog>,
    _process: Process,
}

/// An Iceberg REST catalog, whose tables lie in the same server.
#[derive(Debug)]
pub(crate) struct Catalog {
    /// Of the catalog, without `/v1`.
    pub(crate) uri: String,
    pub(crate) warehouse: &'static str,
    /// Where a token is had for [`Catalog::client_id`] and [`Catalog::client_secret`].
    pub(crate) oauth_uri: String,
    pub(crate) client_id: &'static str,
    pub(crate) client_secret: &'static str,
    pub(crate) scope: &'static str,
}

impl ObjectStoreServer {
    /// SeaweedFS: S3, right about conditions, with an Iceberg REST catalog.
    pub(crate) fn seaweedfs() -> &'static Self {
        static SHARED: OnceLock<ObjectStoreServer> = OnceLock::new();
        SHARED.get_or_init(Self::start_seaweedfs)
    }

    /// Azurite: Azure's blob storage.
    pub(crate) fn azurite() -> &'static Self {
        static SHARED: OnceLock<ObjectStoreServer> = OnceLock::new();
        SHARED.get_or_init(Self::start_azurite)
    }

    /// s3rver: S3 that ignores the conditions of writes.
    pub(crate) fn s3rver() -> &'static Self {
        static SHARED: OnceLock<ObjectStoreServer> = OnceLock::new();
        SHARED.get_or_init(Self::start_s3rver)
    }

    /// A SeaweedFS of one's own, for a test that stops it.
    pub(crate) fn start_seaweedfs() -> Self {
        let tool = tool("seaweedfs/bin/weed", "seaweedfs");
        start(|folder| {
            assert_space_for_seaweedfs(folder);
            let port = free_port;
            let (s3, catalog, filer) = (port(), port(), port());
            let grpc = [port(), port(), port(), port(), port()];
            let mut command = Command::new(&tool);
            command
                .args(["mini", "-ip=127.0.0.1", "-ip.bind=127.0.0.1"])
                // It would report to its makers.
                .arg("-master.telemetry=false")
                .args(["-webdav=false", "-admin.ui=false", "-s3.port.lance=0"])
                // As S3 does: a write to a bucket that is not there fails.
                .arg("-s3.autoCreateBucket=false")
                .arg(format!("-dir={}", folder.display()))
                .arg(format!("-bucket={BUCKET}"))
                .arg(format!("-tableBucket={WAREHOUSE}"))
                .arg(format!("-filer.localSocket={}", folder.join("filer.sock").display()))
                .arg(format!("-s3.localSocket={}", folder.join("s3.sock").display()))
                .arg(format!("-s3.port={s3}"))
                .arg(format!("-s3.port.iceberg={catalog}"))
                .arg(format!("-filer.port={filer}"))
                .arg(format!("-master.port={}", port()))
                .arg(format!("-volume.port={}", port()))
                .arg(format!("-admin.port={}", port()))
                .env("AWS_ACCESS_KEY_ID", KEY_ID)
                .env("AWS_SECRET_ACCESS_KEY", SECRET)
                // It reads `.seaweedfs` there.
                .env("HOME", folder);
            let mut leftovers = Vec::new();
            for (component, port) in ["master", "volume", "filer", "s3", "admin"].iter().zip(grpc) {
                command.arg(format!("-{component}.port.grpc={port}"));
                // Made there whatever the options say, and left by a server that is killed.
                leftovers.push(format!("/tmp/seaweedfs-{component}-grpc-{port}.sock"));
            }
            let root = format!("http://127.0.0.1:{catalog}");
            let catalog = Catalog {
                warehouse: WAREHOUSE,
                oauth_uri: format!("{root}/v1/oauth/tokens"),
                uri: root,
                client_id: KEY_ID,
                client_secret: SECRET,
                scope: "PRINCIPAL_ROLE:ALL",
            };
            Plan {
                command,
                leftovers,
                endpoint: format!("http://127.0.0.1:{s3}"),
                key_id: KEY_ID,
                secret: SECRET,
                catalog: Some(catalog),
                // The buckets are made last, about a second after the ports are open. The S3 port
                // answers only requests that are signed; the filer below it shows the same buckets.
                ready: vec![
                    (s3, "/healthz".to_owned()),
                    (filer, format!("/buckets/{BUCKET}/")),
                    (filer, format!("/buckets/{WAREHOUSE}/")),
                ],
                prepare: None,
            }
        })
    }

    fn start_azurite() -> Self {
        let tool = tool("node/node_modules/.bin/azurite-blob", "all");
        start(|folder| {
            let port = free_port();
            let mut command = Command::new(&tool);
            command
                .args(["--silent", "--disableTelemetry", "--disableProductStyleUrl"])
                .args(["--blobHost", "127.0.0.1", "--blobPort", &port.to_string()])
                .arg("--location")
                .arg(folder)
                .env("AZURITE_ACCOUNTS", format!("{AZURE_ACCOUNT}:{AZURE_KEY_BASE64}"));
            Plan {
                command,
                leftovers: vec![],
                endpoint: format!("http://127.0.0.1:{port}/{AZURE_ACCOUNT}"),
                key_id: AZURE_ACCOUNT,
                secret: AZURE_KEY_BASE64,
                catalog: None,
                ready: vec![],
                prepare: Some(Box::new(move || create_container(port))),
            }
        })
    }

    fn start_s3rver() -> Self {
        let tool = tool("node/node_modules/.bin/s3rver", "all");
        start(|folder| {
            let port = free_port();
            let mut command = Command::new(&tool);
            command
                .args(["--silent", "--no-vhost-buckets", "--configure-bucket", BUCKET])
                .args(["--address", "127.0.0.1", "--port", &port.to_string(), "--directory"])
                .arg(folder.join("data"));
            Plan {
                command,
                leftovers: vec![],
                endpoint: format!("http://127.0.0.1:{port}"),
                // The only ones that it takes.
                key_id: "S3RVER",
                secret: "S3RVER",
                catalog: None,
                ready: vec![(port, "/".to_owned())],
                prepare: None,
            }
        })
    }

    /// Its host and port, for a proxy in front of it.
    pub(crate) fn address(&self) -> SocketAddr {
        let rest = self.endpoint.trim_start_matches("http://");
        rest.split('/').next().unwrap().parse().unwrap()
    }
}

/// A prefix that no other test of this process has.
pub(crate) fn unique_prefix(name: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("{name}-{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

/// A server that is about to be started.
struct Plan {
    command: Command,
    /// Files outside its folder that a server that is killed leaves there.
    leftovers: Vec<String>,
    endpoint: String,
    key_id: &'static str,
    secret: &'static str,
    catalog: Option<Catalog>,
    /// Ports and paths that answer 200 when the server is ready.
    ready: Vec<(u16, String)>,
    /// True once it is done: repeated until then.
    prepare: Option<Box<dyn Fn() -> bool>>,
}

/// The shell around a server, the pipe that keeps it alive, and its folder.
#[derive(Debug)]
struct Process {
    guard: Child,
    // After the guard in this order: the server is gone when its folder is removed.
    folder: TempDir,
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.guard.stdin.take());
        // Where waiting fails, the shell still ends the server: the pipe is closed.
        let _status = self.guard.wait();
    }
}

impl Process {
    fn spawn(folder: TempDir, server: &Command, leftovers: &[String]) -> Self {
        let mut guard = Command::new("sh");
        guard
            .args(["-c", GUARD, "guard"])
            .arg(folder.path())
            .arg(leftovers.join(" "))
            .arg(server.get_program())
            .args(server.get_args())
            .envs(server.get_envs().filter_map(|(name, value)| Some((name, value?))))
            .current_dir(folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::inherit());
        in_its_own_group(&mut guard);
        Self { guard: guard.spawn().expect("`sh` is needed to start a server"), folder }
    }

    /// Waits until the server is ready.
    ///
    /// # Errors
    /// What went wrong, with the end of the server's log.
    fn wait_until_ready(&mut self, plan: &Plan) -> Result<(), String> {
        let end = Instant::now() + START_LIMIT;
        loop {
            let is_ready = plan.ready.iter().all(|(port, path)| get(*port, path) == Some(200));
            if is_ready && plan.prepare.as_ref().is_none_or(|prepare| prepare()) {
                return Ok(());
            }
            if let Some(status) = self.guard.try_wait().unwrap() {
                return Err(format!("it ended ({status}):\n{}", self.end_of_log()));
            }
            if Instant::now() > end {
                return Err(format!("no answer in {START_LIMIT:?}:\n{}", self.end_of_log()));
            }
            pause();
        }
    }

    fn end_of_log(&self) -> String {
        let log = std::fs::read(self.folder.path().join("log")).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(30)..].join("\n")
    }
}

/// Starts a server and waits until it is ready. Panics where it does not come up.
fn start(plan: impl Fn(&Path) -> Plan) -> ObjectStoreServer {
    let mut reason = String::new();
    for _ in 0..START_ATTEMPTS {
        let folder = TempDir::new().unwrap();
        let plan = plan(folder.path());
        let mut process = Process::spawn(folder, &plan.command, &plan.leftovers);
        match process.wait_until_ready(&plan) {
            Ok(()) => {
                return ObjectStoreServer {
                    endpoint: plan.endpoint,
                    bucket: BUCKET,
                    key_id: plan.key_id,
                    secret: plan.secret,
                    catalog: plan.catalog,
                    _process: process,
                };
            }
            Err(why) => {
                let program = Path::new(plan.command.get_program());
                reason = format!("{} does not start: {why}", program.display());
            }
        }
    }
    panic!("{reason}");
}

/// Ctrl-C in a terminal goes to the whole group of the test process, and would end the guard before
/// it has killed the server.
fn in_its_own_group(guard: &mut Command) {
    std::os::unix::process::CommandExt::process_group(guard, 0);
}

/// The file of a tool that `make` fetches. Panics where it is missing.
fn tool(path: &str, part: &str) -> PathBuf {
    let tool = Path::new(env!("CARGO_MANIFEST_DIR")).join(".stores").join(path);
    assert!(
        tool.exists(),
        "{} is missing; run `scripts/fetch-stores.sh .stores {part}` (`make test-stores` does)",
        tool.display()
    );
    tool
}

/// SeaweedFS refuses every write where less than one percent of the disk is free, however much that
/// is, and its clients would try for minutes. One percent more is for what the tests write.
fn assert_space_for_seaweedfs(folder: &Path) {
    let disk = rustix::fs::statvfs(folder).unwrap();
    assert!(
        disk.f_bavail >= disk.f_blocks / 50,
        "{} MB are free on the disk of {}: SeaweedFS needs two percent of the disk, which are {} MB",
        disk.f_bavail * disk.f_frsize / 1_000_000,
        folder.display(),
        disk.f_blocks / 50 * disk.f_frsize / 1_000_000,
    );
}

/// A port that is free now. Not one that the system itself hands out, as a connection of another test
/// could have it before the server does; and tests in other processes start elsewhere.
fn free_port() -> u16 {
    const FIRST: u16 = 10_000;
    const COUNT: u16 = 20_000;
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = u16::try_from(std::process::id() % u32::from(COUNT / 50)).unwrap() * 50;
    for _ in 0..COUNT {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = FIRST + start.wrapping_add(step) % COUNT;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("no free port");
}

/// The status of the answer to a request without a body, or nothing where no answer comes.
fn get(port: u16, path: &str) -> Option<u16> {
    request(port, &format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"))
}

fn request(port: u16, head: &str) -> Option<u16> {
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let limit = Duration::from_secs(2);
    let mut connection = TcpStream::connect_timeout(&address, limit).ok()?;
    connection.set_read_timeout(Some(limit)).ok()?;
    connection.write_all(format!("{head}Connection: close\r\n\r\n").as_bytes()).ok()?;
    let mut answer = Vec::new();
    connection.read_to_end(&mut answer).ok()?;
    let line = String::from_utf8_lossy(&answer);
    line.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()
}

/// Makes the container of Azurite, which no option makes. True once it is there.
fn create_container(port: u16) -> bool {
    const VERSION: &str = "2023-11-03";
    #[expect(clippy::disallowed_methods, reason = "the server compares it with its own clock")]
    let date = httpdate::fmt_http_date(std::time::SystemTime::now());
    // An emulator has the account in the path, so it stands twice in what is signed.
    let path = format!("/{AZURE_ACCOUNT}/{BUCKET}");
    let empty_headers = "\n".repeat(12);
    let signed = format!(
        "PUT{empty_headers}x-ms-date:{date}\nx-ms-version:{VERSION}\n/{AZURE_ACCOUNT}{path}\n\
         restype:container"
    );
    let signature = base64(&hmac_sha256(AZURE_KEY, signed.as_bytes()));
    let status = request(
        port,
        &format!(
            "PUT {path}?restype=container HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\
             x-ms-date: {date}\r\nx-ms-version: {VERSION}\r\nContent-Length: 0\r\n\
             Authorization: SharedKey {AZURE_ACCOUNT}:{signature}\r\n"
        ),
    );
    matches!(status, Some(201 | 409))
}

/// HMAC (RFC 2104) of a key of at most 64 bytes.
fn hmac_sha256(key: &[u8], message: &[u8]) -> Vec<u8> {
    let mut block = [0_u8; 64];
    block[..key.len()].copy_from_slice(key);
    let inner = Sha256::new().chain_update(block.map(|byte| byte ^ 0x36)).chain_update(message);
    let outer = Sha256::new().chain_update(block.map(|byte| byte ^ 0x5c));
    outer.chain_update(inner.finalize()).finalize().to_vec()
}

fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let group = [0, 1, 2].map(|at| u32::from(chunk.get(at).copied().unwrap_or(0)));
        let bits = group[0] << 16 | group[1] << 8 | group[2];
        for at in 0..4 {
            let index = usize::try_from(bits >> (18 - 6 * at) & 63).unwrap();
            text.push(if at <= chunk.len() { char::from(ALPHABET[index]) } else { '=' });
        }
    }
    text
}

#[expect(clippy::disallowed_methods, reason = "starting a server blocks the test that needs it")]
fn pause() {
    thread::sleep(Duration::from_millis(20));
}
