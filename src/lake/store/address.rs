//! Where a lake is, as the configuration says it: a local folder, or the address of an object store.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use object_store::aws::{AmazonS3Builder, AwsCredentialProvider};
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::path::Path as ObjectPath;
use object_store::{BackoffConfig, ClientOptions, ObjectStore, RetryConfig};
use secrecy::{ExposeSecret, SecretString};

use crate::config::{ObjectStoreSettings, StoreScheme, StoreUrl};
use crate::lake::LakeError;

/// The clients of the stores time out after this long without a byte, and after this long for one
/// request in all.
const READ_TIMEOUT: Duration = Duration::from_secs(30);
const REQUEST_TIMEOUT: Duration = Duration::from_mins(5);

/// The client of an object store, for keys below the prefix of an address.
///
/// Credentials come from the settings, and otherwise from what the machine offers: the environment,
/// an instance or container role, a workload identity, or a managed identity.
///
/// # Errors
/// [`LakeError::Address`] if the settings do not suffice, or a file with a secret cannot be read.
pub(super) fn connect(
    url: &StoreUrl,
    settings: &ObjectStoreSettings,
) -> Result<Arc<dyn ObjectStore>, LakeError> {
    let refused = |problem: String| LakeError::Address { path: url.to_string().into(), problem };
    crate::tls::install();
    let secret = settings.secret_key_file.as_deref().map(read_secret).transpose();
    let secret = secret.map_err(refused)?;
    let built = match url.scheme() {
        StoreScheme::S3 => s3(url, settings, secret.as_ref()),
        StoreScheme::Gcs => gcs(url, settings),
        StoreScheme::Azure => azure(url, settings, secret.as_ref()),
    };
    // The errors of the builders name settings, and never their values.
    built.map_err(|error| refused(error.to_string()))
}

type Built = object_store::Result<Arc<dyn ObjectStore>>;

/// The credentials of S3, for requests to other services of AWS: those of the settings, and
/// otherwise those that the machine offers.
///
/// # Errors
/// What is wrong with the settings, as text. It contains no secret.
pub fn aws_credentials(settings: &ObjectStoreSettings) -> Result<AwsCredentialProvider, String> {
    crate::tls::install();
    let secret = settings.secret_key_file.as_deref().map(read_secret).transpose()?;
    // The credentials do not depend on the bucket, which the builder insists on.
    let store = s3_builder("credentials", settings, secret.as_ref()).build();
    Ok(Arc::clone(store.map_err(|error| error.to_string())?.credentials()))
}

fn s3(url: &StoreUrl, settings: &ObjectStoreSettings, secret: Option<&SecretString>) -> Built {
    Ok(Arc::new(s3_builder(url.bucket(), settings, secret).build()?))
}

fn s3_builder(
    bucket: &str,
    settings: &ObjectStoreSettings,
    secret: Option<&SecretString>,
) -> AmazonS3Builder {
    let mut builder = AmazonS3Builder::from_env()
        .with_bucket_name(bucket)
        .with_virtual_hosted_style_request(!settings.path_style)
        .with_client_options(client_options(settings))
        .with_retry(retries());
    if let Some(endpoint) = &settings.endpoint {
        builder = builder.with_endpoint(s3_endpoint(endpoint, bucket, settings.path_style));
    }
    if let Some(region) = &settings.region {
        builder = builder.with_region(region);
    }
    if let Some(id) = &settings.access_key_id {
        builder = builder.with_access_key_id(id);
    }
    if let Some(secret) = secret {
        builder = builder.with_secret_access_key(secret.expose_secret());
    }
    builder
}

/// The endpoint as the client wants it: with the bucket in its host, unless it goes into the path.
fn s3_endpoint(endpoint: &url::Url, bucket: &str, path_style: bool) -> String {
    let text = endpoint.as_str().trim_end_matches('/');
    match text.split_once("://") {
        Some((scheme, rest)) if !path_style => format!("{scheme}://{bucket}.{rest}"),
        _ => text.to_owned(),
    }
}

fn gcs(url: &StoreUrl, settings: &ObjectStoreSettings) -> Built {
    let mut builder = GoogleCloudStorageBuilder::from_env()
        .with_bucket_name(url.bucket())
        .with_client_options(client_options(settings))
        .with_retry(retries());
    if let Some(endpoint) = &settings.endpoint {
        builder = builder.with_base_url(endpoint.as_str().trim_end_matches('/'));
    }
    if let Some(file) = &settings.service_account_file {
        builder = builder.with_service_account_path(file.to_string_lossy());
    }
    Ok(Arc::new(builder.build()?))
}

fn azure(url: &StoreUrl, settings: &ObjectStoreSettings, secret: Option<&SecretString>) -> Built {
    let mut builder = MicrosoftAzureBuilder::from_env()
        .with_container_name(url.bucket())
        .with_client_options(client_options(settings))
        .with_retry(retries());
    if let Some(endpoint) = &settings.endpoint {
        builder = builder.with_endpoint(endpoint.as_str().trim_end_matches('/').to_owned());
    }
    if let Some(account) = &settings.account {
        builder = builder.with_account(account);
    }
    if let Some(secret) = secret {
        builder = builder.with_access_key(secret.expose_secret());
    }
    Ok(Arc::new(builder.build()?))
}

/// Plain HTTP is for a store on this machine only: `config` refuses other endpoints without TLS.
fn client_options(settings: &ObjectStoreSettings) -> ClientOptions {
    let is_plain = settings.endpoint.as_ref().is_some_and(|endpoint| endpoint.scheme() == "http");
    ClientOptions::new()
        .with_allow_http(is_plain)
        .with_connect_timeout(Duration::from_secs(10))
        .with_read_timeout(READ_TIMEOUT)
        .with_timeout(REQUEST_TIMEOUT)
}

/// How often the client repeats a request that the store refused for a moment (5xx, 429, no
/// answer). Requests that are not idempotent, such as creating a commit file, it does not repeat.
fn retries() -> RetryConfig {
    RetryConfig {
        backoff: BackoffConfig {
            init_backoff: Duration::from_millis(200),
            max_backoff: Duration::from_secs(10),
            base: 2.0,
        },
        max_retries: 8,
        retry_timeout: Duration::from_secs(90),
    }
}

fn read_secret(path: &Path) -> Result<SecretString, String> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| format!("`store.secret_key_file` cannot be read: {error}"))?;
    let text = text.trim();
    if text.is_empty() {
        return Err("`store.secret_key_file` is empty".to_owned());
    }
    Ok(text.to_owned().into())
}

/// The key of a path of the lake, below the prefix of the address.
pub(super) fn key(path: &str) -> ObjectPath {
    ObjectPath::from(path)
}
