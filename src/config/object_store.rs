//! The address of a lake in an object store, and how that store is reached.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::Deserialize;
use url::Url;

use super::service_url::check_service_url;

/// The kind of an object store, by the scheme of its addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreScheme {
    /// `s3://`: Amazon S3 and stores with its API.
    S3,
    /// `gs://`: Google Cloud Storage.
    Gcs,
    /// `az://`: Azure Blob Storage.
    Azure,
}

impl StoreScheme {
    const ALL: [Self; 3] = [Self::S3, Self::Gcs, Self::Azure];

    /// The scheme in addresses.
    pub fn name(self) -> &'static str {
        match self {
            Self::S3 => "s3",
            Self::Gcs => "gs",
            Self::Azure => "az",
        }
    }
}

/// The address of a lake in an object store: `s3://bucket/prefix`, `gs://bucket/prefix` or
/// `az://container/prefix`. It contains no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreUrl {
    scheme: StoreScheme,
    bucket: String,
    /// Without slashes at its ends; may be empty.
    prefix: String,
}

impl StoreUrl {
    /// The kind of the store.
    pub fn scheme(&self) -> StoreScheme {
        self.scheme
    }

    /// The bucket, or the container in Azure.
    pub fn bucket(&self) -> &str {
        &self.bucket
    }

    /// What the keys of the lake begin with, without slashes at the ends; may be empty.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The address in a path of the configuration or the command line; `None` for a folder.
    pub fn of_path(path: &Path) -> Option<Self> {
        path.to_str()?.parse().ok()
    }

    /// Whether a path is meant as the address of an object store, right or wrong.
    pub(super) fn is_meant(text: &str) -> bool {
        StoreScheme::ALL.iter().any(|scheme| rest_of(text, *scheme).is_some())
    }
}

fn rest_of(text: &str, scheme: StoreScheme) -> Option<&str> {
    text.strip_prefix(scheme.name())?.strip_prefix(':')
}

impl FromStr for StoreUrl {
    type Err = String;

    /// The error says what is wrong, as a predicate, without parts of the address: what stands there
    /// by mistake can be a secret.
    fn from_str(text: &str) -> Result<Self, String> {
        let known = StoreScheme::ALL.into_iter().find_map(|it| Some((it, rest_of(text, it)?)));
        let Some((scheme, rest)) = known else {
            return Err("is not an address such as `s3://bucket/prefix`".to_owned());
        };
        let name = scheme.name();
        let Some(rest) = rest.strip_prefix("//") else {
            return Err(format!("has no `//` after `{name}:`: write `{name}://bucket/prefix`"));
        };
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        if bucket.is_empty() {
            return Err(format!("names no bucket: write `{name}://bucket/prefix`"));
        }
        // The characters of bucket names in all three stores. An `@` or a `:` would be a user, a
        // password or a port, which do not belong here.
        let in_bucket = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        if !bucket.chars().all(in_bucket) {
            let problem = "has a bucket with a character that bucket names cannot have; credentials \
                           and endpoints are set in `[store]`";
            return Err(problem.to_owned());
        }
        let prefix = prefix.trim_matches('/');
        // Readers of tables fail on these, or find nothing without an error.
        let in_prefix =
            |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '=' | '+');
        let is_folder = |name: &str| {
            name.chars().all(in_prefix) && !name.is_empty() && name != "." && name != ".."
        };
        if !prefix.is_empty() && !prefix.split('/').all(is_folder) {
            let problem = "has a prefix with other characters than letters, digits and `. - _ = +`, or \
                           with an empty part: engines do not agree how to read such keys";
            return Err(problem.to_owned());
        }
        Ok(Self { scheme, bucket: bucket.to_owned(), prefix: prefix.to_owned() })
    }
}

impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme.name(), self.bucket)?;
        if self.prefix.is_empty() { Ok(()) } else { write!(f, "/{}", self.prefix) }
    }
}

/// How an object store is reached. What is not set comes from the environment, as that store's own
/// tools read it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ObjectStoreSettings {
    /// The address of the service, for stores other than the vendor's own. Plain HTTP is allowed on
    /// this machine only.
    pub endpoint: Option<Url>,
    /// The region of an S3 bucket.
    pub region: Option<String>,
    /// Whether an S3 bucket is part of the path of requests; otherwise of the host.
    pub path_style: bool,
    /// The access key id of S3.
    pub access_key_id: Option<String>,
    /// The storage account of Azure.
    pub account: Option<String>,
    /// A file with the secret access key of S3, or with the account key of Azure.
    pub secret_key_file: Option<PathBuf>,
    /// A file with the key of a service account of Google Cloud, as JSON.
    pub service_account_file: Option<PathBuf>,
    /// How long the lease of a writer is valid that was not renewed, in seconds.
    pub lease_secs: u64,
}

impl Default for ObjectStoreSettings {
    fn default() -> Self {
        Self {
            endpoint: None,
            region: None,
            path_style: true,
            access_key_id: None,
            account: None,
            secret_key_file: None,
            service_account_file: None,
            lease_secs: 20,
        }
    }
}

impl ObjectStoreSettings {
    /// What is wrong with the endpoint, as a predicate.
    ///
    /// # Errors
    /// The problem and the remedy, without the address.
    pub(super) fn check_endpoint(&self) -> Result<(), String> {
        let Some(endpoint) = &self.endpoint else { return Ok(()) };
        check_service_url(endpoint, "`access_key_id` and `secret_key_file`")
    }
}

/// How engines read a lake in an object store, where no folder can be exchanged in one step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReadBy {
    /// By listing folders: replaced data files leave the folder before new ones come, so that no row
    /// is ever seen twice; for a moment some are not seen.
    #[default]
    Files,
    /// As tables, or by the commit log: new data files come first, and replaced ones stay until the
    /// grace time is over. A reader that lists folders would see rows twice meanwhile.
    Tables,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_written_alike() {
        for text in ["s3://bucket", "gs://b.u-c_k/et/lake", "az://container/prefix/date=1"] {
            assert_eq!(text.parse::<StoreUrl>().unwrap().to_string(), text);
        }
        let url: StoreUrl = "s3://bucket//a/b/".parse().unwrap();
        assert_eq!((url.bucket(), url.prefix()), ("bucket", "a/b"));
        assert_eq!(StoreUrl::of_path(Path::new("/data/s3:/lake")), None);
    }

    #[test]
    fn wrong_addresses_are_refused_without_being_shown() {
        let told = |text: &str| text.parse::<StoreUrl>().unwrap_err();
        let texts = [
            "s3:bucket/s3cret",
            "s3:///s3cret",
            "s3://id:s3cret@bucket/lake",
            "s3://bucket:9000/s3cret",
            "gs://bucket/s3cret?x",
            "az://c/a//s3cret",
            "az://c/../s3cret",
            "ftp://s3cret",
        ];
        let told: Vec<String> = texts.iter().map(|text| told(text)).collect();
        assert!(!told.join("").contains("s3cret"));
        insta::assert_snapshot!(told.join("\n"));
    }

    #[test]
    fn plain_http_is_for_this_machine() {
        let check = |text: &str| {
            let endpoint = Some(Url::parse(text).unwrap());
            ObjectStoreSettings { endpoint, ..Default::default() }.check_endpoint()
        };
        for good in ["https://minio.example.com:9000", "http://127.0.0.1:9000", "http://[::1]"] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        let bad = ["http://minio.example.com", "https://a:b@c", "https://c/?k=v", "ftp://c"];
        let told: Vec<String> = bad.iter().map(|text| check(text).unwrap_err()).collect();
        insta::assert_snapshot!(told.join("\n"));
    }
}
