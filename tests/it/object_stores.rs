//! What the object stores that the tests use are right about, and what `object_store` makes of a
//! network that loses answers. Whatever a lake on a store rests on is shown here on its own.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use object_store::aws::AmazonS3Builder;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::path::Path;
use object_store::{
    BackoffConfig, ClientOptions, Error, ObjectStore, ObjectStoreExt, PutMode, Result, RetryConfig,
    UpdateVersion,
};

use crate::stores::fake_gcs::FakeGcs;
use crate::stores::fault_proxy::{Fault, FaultProxy, Kind, Rule};
use crate::stores::server::{ObjectStoreServer, unique_prefix};

pub(crate) type Store = Arc<dyn ObjectStore>;

#[test]
fn seaweedfs_keeps_conditions() {
    let server = ObjectStoreServer::seaweedfs();
    let store = s3(server, &server.endpoint);
    // Those who lose a race wait a second each in SeaweedFS, so only a few rounds.
    block_on(keeps_conditions(&store, &unique_prefix("conditions"), 3));
}

#[test]
#[ignore = "`make test-stores` fetches Azurite"]
fn azurite_keeps_conditions() {
    let server = ObjectStoreServer::azurite();
    block_on(keeps_conditions(&azure(server), &unique_prefix("conditions"), 20));
}

/// That the fake serves what the client sends; of GCS itself it proves nothing.
#[test]
fn the_fake_of_gcs_keeps_conditions() {
    let server = FakeGcs::start();
    let proxy = FaultProxy::start(server.address);
    let store = gcs(&server, proxy.address());
    block_on(async {
        keeps_conditions(&store, "conditions", 20).await;
        reads_lists_and_copies(&store).await;
    });
    let traffic = proxy.traffic();
    assert_eq!((traffic.of(Kind::Copy), traffic.of(Kind::PutPart)), (1, 2));
}

#[test]
#[ignore = "`make test-stores` fetches s3rver"]
fn s3rver_ignores_conditions() {
    let server = ObjectStoreServer::s3rver();
    let store = s3(server, &server.endpoint);
    block_on(async {
        let path = Path::from(unique_prefix("conditions"));
        let first = create(&store, &path, "first").await.unwrap();
        create(&store, &path, "second").await.expect("it creates what is there");
        update(&store, &path, "third", first).await.expect("it updates what has changed");
    });
}

#[test]
fn a_signature_for_the_proxy_is_valid_behind_it() {
    let server = ObjectStoreServer::seaweedfs();
    let proxy = FaultProxy::start(server.address());
    let store = s3(server, &proxy.endpoint(&server.endpoint));
    let prefix = unique_prefix("proxy");
    block_on(async {
        let (path, copy) =
            (Path::from(format!("{prefix}/a b+c")), Path::from(format!("{prefix}/copy")));
        store.put(&path, "text".into()).await.unwrap();
        store.copy(&path, &copy).await.unwrap();
        assert_eq!(content(&store, &copy).await, "text");
        let listed: Vec<_> =
            store.list(Some(&Path::from(prefix.as_str()))).try_collect().await.unwrap();
        assert_eq!(listed.len(), 2);
        store.delete(&path).await.unwrap();
    });
    let traffic = proxy.traffic();
    for kind in [Kind::Put, Kind::Copy, Kind::Get, Kind::List, Kind::Delete] {
        assert_eq!(traffic.of(kind), 1, "{kind:?}");
    }
}

/// `object_store` takes a connection that closes without an answer for a request that was not sent,
/// and repeats it: the caller learns that its own object exists already.
#[test]
fn a_create_whose_answer_is_lost_says_already_exists() {
    for fault in [Fault::LoseAnswer, Fault::RefuseAfter(503, "SlowDown")] {
        let server = ObjectStoreServer::seaweedfs();
        let proxy = FaultProxy::start(server.address());
        let store = s3(server, &proxy.endpoint(&server.endpoint));
        let path = Path::from(unique_prefix("lost"));
        proxy.set_rules([Rule::new(fault).of(Kind::Put).times(1)]);
        block_on(async {
            let error = create(&store, &path, "mine").await.unwrap_err();
            assert!(matches!(error, Error::AlreadyExists { .. }), "{fault:?}: {error}");
            assert_eq!(content(&store, &path).await, "mine");
        });
        assert_eq!((proxy.strikes(), proxy.traffic().of(Kind::Put)), (vec![1], 2), "{fault:?}");
    }
}

/// S3 answers 409 where two conditional writes meet, and neither may have won.
#[test]
fn a_create_that_meets_another_says_already_exists_where_nothing_is() {
    let server = ObjectStoreServer::seaweedfs();
    let proxy = FaultProxy::start(server.address());
    let store = s3(server, &proxy.endpoint(&server.endpoint));
    let path = Path::from(unique_prefix("met"));
    proxy.set_rules([Rule::new(Fault::CONFLICT).of(Kind::Put)]);
    block_on(async {
        let error = create(&store, &path, "mine").await.unwrap_err();
        assert!(matches!(error, Error::AlreadyExists { .. }), "{error}");
        let error = store.head(&path).await.unwrap_err();
        assert!(matches!(error, Error::NotFound { .. }), "{error}");
    });
    assert_eq!(proxy.traffic().of(Kind::Put), 1);
}

/// Create-if-absent and update-by-e-tag, alone and in races.
async fn keeps_conditions(store: &Store, prefix: &str, rounds: usize) {
    let lease = Path::from(format!("{prefix}/lease"));
    let mut version = create(store, &lease, "first").await.unwrap();
    for round in 0..rounds {
        let path = Path::from(format!("{prefix}/{round}"));
        let creates = (0..8).map(|_| create(store, &path, "one of eight"));
        let won = futures::future::join_all(creates).await;
        assert_eq!(won.iter().filter(|result| result.is_ok()).count(), 1, "{won:?}");
        let is_refusal =
            |result: &Result<_>| matches!(result, Ok(_) | Err(Error::AlreadyExists { .. }));
        assert!(won.iter().all(is_refusal), "{won:?}");

        // An e-tag can be a digest of the content, so each content is another.
        let contents: Vec<String> = (0..8).map(|writer| format!("{round} {writer}")).collect();
        let updates = contents.iter().map(|text| update(store, &lease, text, version.clone()));
        let mut won = futures::future::join_all(updates).await;
        let refused = |result: &Result<_>| matches!(result, Err(Error::Precondition { .. }));
        assert_eq!(won.iter().filter(|result| refused(result)).count(), 7, "{won:?}");
        let winner = won.iter().position(Result::is_ok).unwrap();
        assert_eq!(content(store, &lease).await, contents[winner]);
        version = won.swap_remove(winner).unwrap();
    }
    let all = store.list(Some(&Path::from(prefix))).map_ok(|object| object.location).boxed();
    let deleted: Vec<_> = store.delete_stream(all).try_collect().await.unwrap();
    assert_eq!(deleted.len(), rounds + 1);
}

/// Ranges, pages of a list, an offset, a copy, and an upload in parts.
async fn reads_lists_and_copies(store: &Store) {
    let names: Vec<Path> =
        (0..1200).map(|number| Path::from(format!("many/{number:04} a+b&c"))).collect();
    for name in &names {
        store.put(name, "0123456789".into()).await.unwrap();
    }
    let many = Path::from("many");
    let list = store.list(Some(&many)).map_ok(|object| object.location);
    assert_eq!(list.try_collect::<Vec<_>>().await.unwrap(), names);
    let list = store.list_with_offset(Some(&many), &names[1100]);
    let list = list.map_ok(|object| object.location).try_collect::<Vec<_>>().await.unwrap();
    assert_eq!(list, names[1101..]);
    let top = store.list_with_delimiter(None).await.unwrap();
    assert_eq!((top.common_prefixes, top.objects.len()), (vec![many], 0));

    assert_eq!(store.get_range(&names[0], 2..5).await.unwrap(), "234");
    assert_eq!(store.get_range(&names[0], 8..50).await.unwrap(), "89");
    store.get_range(&names[0], 10..12).await.expect_err("nothing is there");

    let copy = Path::from("copy");
    store.copy(&names[0], &copy).await.unwrap();
    assert_eq!(content(store, &copy).await, "0123456789");
    let mut upload = store.put_multipart(&copy).await.unwrap();
    upload.put_part("first ".into()).await.unwrap();
    upload.put_part("second".into()).await.unwrap();
    upload.complete().await.unwrap();
    assert_eq!(content(store, &copy).await, "first second");
    store.delete(&copy).await.unwrap();
    let error = store.head(&copy).await.unwrap_err();
    assert!(matches!(error, Error::NotFound { .. }), "{error}");
}

async fn create(store: &Store, path: &Path, text: &str) -> Result<UpdateVersion> {
    let put = store.put_opts(path, text.to_owned().into(), PutMode::Create.into()).await?;
    Ok(UpdateVersion { e_tag: put.e_tag, version: put.version })
}

async fn update(
    store: &Store,
    path: &Path,
    text: &str,
    version: UpdateVersion,
) -> Result<UpdateVersion> {
    let mode = PutMode::Update(version);
    let put = store.put_opts(path, text.to_owned().into(), mode.into()).await?;
    Ok(UpdateVersion { e_tag: put.e_tag, version: put.version })
}

async fn content(store: &Store, path: &Path) -> String {
    let bytes = store.get(path).await.unwrap().bytes().await.unwrap();
    String::from_utf8(bytes.to_vec()).unwrap()
}

pub(crate) fn s3(server: &ObjectStoreServer, endpoint: &str) -> Store {
    let builder = AmazonS3Builder::new()
        .with_endpoint(endpoint)
        .with_allow_http(true)
        .with_bucket_name(server.bucket)
        .with_access_key_id(server.key_id)
        .with_secret_access_key(server.secret)
        .with_retry(soon());
    install_crypto();
    Arc::new(builder.build().unwrap())
}

pub(crate) fn azure(server: &ObjectStoreServer) -> Store {
    let builder = MicrosoftAzureBuilder::new()
        .with_endpoint(server.endpoint.clone())
        .with_allow_http(true)
        .with_container_name(server.bucket)
        .with_account(server.key_id)
        .with_access_key(server.secret)
        .with_retry(soon());
    install_crypto();
    Arc::new(builder.build().unwrap())
}

pub(crate) fn gcs(server: &FakeGcs, address: SocketAddr) -> Store {
    let builder = GoogleCloudStorageBuilder::new()
        .with_bucket_name(server.bucket)
        .with_service_account_key(FakeGcs::service_account_key(address))
        .with_client_options(ClientOptions::new().with_allow_http(true))
        .with_retry(soon());
    install_crypto();
    Arc::new(builder.build().unwrap())
}

/// A client cannot be built without it, even for plain HTTP.
fn install_crypto() {
    // An error says that it is installed already.
    let _already = rustls::crypto::ring::default_provider().install_default();
}

/// Repeats soon, so that tests are short.
fn soon() -> RetryConfig {
    let backoff = BackoffConfig {
        init_backoff: Duration::from_millis(10),
        max_backoff: Duration::from_millis(100),
        base: 2.0,
    };
    RetryConfig { backoff, max_retries: 4, retry_timeout: Duration::from_secs(10) }
}

fn block_on(future: impl Future<Output = ()>) {
    tokio::runtime::Runtime::new().unwrap().block_on(future);
}
