//! The configuration file.

use std::path::Path;

use super::error::{CONFIG_VERSION, ConfigError, ParseError};
use super::{
    ApiSettings, DuckdbDocuments, PagingStyle, Settings, StoreScheme, StoreUrl, check_lake_path,
    check_path,
};

/// The commented default file, as `init` writes it.
pub const DEFAULT_FILE: &str = include_str!("../../config/armature-export.toml");

/// The version of a file, read without the options, which can be unknown to this program.
#[derive(serde::Deserialize)]
struct Versioned {
    config_version: Option<u64>,
}

/// Reads a configuration file.
///
/// # Errors
/// [`ConfigError`] if the file cannot be read or is invalid.
pub fn load(path: &Path) -> Result<Settings, ConfigError> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })?;
    parse(&text, path)
}

/// Parses the text of a configuration file; `path` is used in messages only.
///
/// # Errors
/// [`ConfigError`] if the text is invalid.
pub fn parse(text: &str, path: &Path) -> Result<Settings, ConfigError> {
    // Check the version first: a newer file has options that this version does not know.
    let version = toml::from_str::<Versioned>(text).ok().and_then(|file| file.config_version);
    if let Some(found) = version.filter(|version| *version > CONFIG_VERSION) {
        return Err(ConfigError::Newer { path: path.to_owned(), found });
    }
    let settings: Settings = toml::from_str(text).map_err(|source| ConfigError::Invalid {
        path: path.to_owned(),
        source: ParseError::new(&source),
    })?;
    check(&settings)?;
    settings.mapping()?;
    Ok(settings)
}

fn check_paths(settings: &Settings) -> Result<(), ConfigError> {
    check_lake_path(&settings.lake.path)
        .map_err(|problem| ConfigError::Value { option: "lake.path", problem })?;
    settings
        .store
        .check_endpoint()
        .map_err(|problem| ConfigError::Value { option: "store.endpoint", problem })?;
    let notify = &settings.notify;
    let paths = [
        ("lake.cache", settings.lake.cache.as_ref()),
        ("store.secret_key_file", settings.store.secret_key_file.as_ref()),
        ("store.service_account_file", settings.store.service_account_file.as_ref()),
        ("duckdb.path", Some(&settings.duckdb.path)),
        ("duckdb.publish", settings.duckdb.publish.as_ref()),
        ("report.path", settings.report.path.as_ref()),
        ("iceberg.token_file", settings.iceberg.token_file.as_ref()),
        ("iceberg.client_secret_file", settings.iceberg.client_secret_file.as_ref()),
        ("api.key_file", settings.api.key_file.as_ref()),
        ("notify.webhook_url_file", notify.webhook_url_file.as_ref()),
        ("notify.ping_url_file", notify.ping_url_file.as_ref()),
    ];
    for (option, path) in paths {
        let Some(path) = path else { continue };
        check_path(path).map_err(|problem| ConfigError::Value { option, problem })?;
    }
    if settings.duckdb.publishes_itself() {
        let problem = "is the DuckDB file itself (`duckdb.path`); name another file".to_owned();
        return Err(ConfigError::Value { option: "duckdb.publish", problem });
    }
    Ok(())
}

fn check(settings: &Settings) -> Result<(), ConfigError> {
    check_paths(settings)?;
    let api = &settings.api;
    let sync = &settings.sync;
    let schedule = &settings.schedule;
    let numbers: [(&'static str, u64, u64, u64); 28] = [
        ("config_version", settings.config_version.unwrap_or(CONFIG_VERSION), 1, CONFIG_VERSION),
        ("schedule.jitter_secs", schedule.jitter_secs, 0, 86_400),
        ("schedule.stale_after_secs", schedule.stale_after_secs.unwrap_or(1), 1, 366 * 86_400),
        ("schedule.stop_secs", schedule.stop_secs, 1, 3600),
        ("notify.max_attempts", u64::from(settings.notify.max_attempts), 1, 20),
        ("notify.timeout_secs", settings.notify.timeout_secs, 1, 300),
        ("api.concurrency", u64::try_from(api.concurrency).unwrap_or(u64::MAX), 1, 256),
        ("api.connect_timeout_secs", api.connect_timeout_secs, 1, 3600),
        ("api.first_byte_timeout_secs", api.first_byte_timeout_secs, 1, 3600),
        ("api.body_timeout_secs", api.body_timeout_secs, 1, 86_400),
        ("api.max_body_bytes", api.max_body_bytes, 1024, 1 << 30),
        ("api.bodies_in_flight_bytes", api.bodies_in_flight_bytes, 1 << 20, 1 << 34),
        ("api.max_attempts", u64::from(api.max_attempts), 1, 100),
        ("api.max_retry_secs", api.max_retry_secs, 0, 86_400),
        ("api.max_rate_limit_wait_secs", api.max_rate_limit_wait_secs, 0, 86_400),
        ("filters.page_size", u64::from(settings.filters.page_size), 1, 10_000),
        ("sync.commit_bytes", sync.commit_bytes, 1, 1 << 30),
        ("sync.commit_secs", sync.commit_secs, 1, 3600),
        ("sync.max_requests", sync.max_requests.unwrap_or(1), 1, u64::MAX),
        ("sync.deadline_secs", sync.deadline_secs.unwrap_or(1), 1, 30 * 86_400),
        ("iceberg.expire_snapshots_days", settings.iceberg.expire_snapshots_days, 1, 3660),
        ("compact.target_bytes", settings.compact.target_bytes, 1, 4 << 30),
        ("compact.closed_after_secs", settings.compact.closed_after_secs, 0, 366 * 86_400),
        ("compact.grace_secs", settings.compact.grace_secs, 0, 366 * 86_400),
        ("store.lease_secs", settings.store.lease_secs, 2, 3600),
        ("lake.cache_bytes", settings.lake.cache_bytes, 1 << 26, 1 << 50),
        ("duckdb.lock_wait_secs", settings.duckdb.lock_wait_secs, 0, 3600),
        ("duckdb.memory_limit_mb", settings.duckdb.memory_limit_mb, 32, 1 << 20),
    ];
    for (option, value, least, most) in numbers {
        if !(least..=most).contains(&value) {
            let problem = format!("is {value}; allowed are {least} to {most}");
            return Err(ConfigError::Value { option, problem });
        }
    }
    check_api(api)?;
    check_duckdb(settings)?;
    check_iceberg(settings)?;
    let level = settings.lake.compression_level;
    if !(1..=22).contains(&level) {
        let problem = format!("is {level}; allowed are 1 to 22");
        return Err(ConfigError::Value { option: "lake.compression_level", problem });
    }
    Ok(())
}

/// A view would need credentials of the store wherever the DuckDB file is opened.
fn check_duckdb(settings: &Settings) -> Result<(), ConfigError> {
    let is_view = settings.duckdb.documents == Some(DuckdbDocuments::View);
    if is_view && StoreUrl::of_path(&settings.lake.path).is_some() {
        let problem =
            "is \"view\", which needs a lake in a folder; set it to \"table\" or \"none\"";
        let option = "duckdb.documents";
        return Err(ConfigError::Value { option, problem: problem.to_owned() });
    }
    Ok(())
}

/// Azure's files have addresses of another form in Iceberg readers (`abfss://`, with the account):
/// they would not find the files of an `az://` lake.
fn check_iceberg(settings: &Settings) -> Result<(), ConfigError> {
    let scheme = StoreUrl::of_path(&settings.lake.path).map(|url| url.scheme());
    if settings.iceberg.catalog.is_some() && scheme == Some(StoreScheme::Azure) {
        let problem = "needs a lake in a folder, in S3 or in Google Cloud Storage: Iceberg readers do \
                       not understand `az://`";
        return Err(ConfigError::Value { option: "iceberg.catalog", problem: problem.to_owned() });
    }
    settings.iceberg.check(settings.iceberg.region(&settings.store).as_deref())
}

fn check_api(api: &ApiSettings) -> Result<(), ConfigError> {
    let wrong =
        |option, problem: &str| Err(ConfigError::Value { option, problem: problem.to_owned() });
    let is_host = |host: &String| {
        let name = host.strip_prefix("*.").unwrap_or(host);
        // In the form of a parsed address: lower case, without a port.
        !name.contains('*') && url::Host::parse(name).is_ok_and(|read| read.to_string() == name)
    };
    if let Some(host) = api.redirect_hosts.iter().find(|host| !is_host(host)) {
        let problem = format!(
            "has `{host}`; allowed are host names in lower case, without a port, \
                              such as `*.amazonaws.com`"
        );
        return wrong("api.redirect_hosts", &problem);
    }
    let paging = &api.paging;
    if paging.parameter.as_ref().is_some_and(String::is_empty) {
        return wrong("api.paging.parameter", "is empty; leave it out for the usual names");
    }
    if paging.next_path.as_ref().is_some_and(|path| path.split('.').any(str::is_empty)) {
        return wrong("api.paging.next_path", "is not a path of member names");
    }
    let is_numbered = matches!(paging.style, PagingStyle::Auto | PagingStyle::Page);
    if paging.first_page.is_some() && !is_numbered {
        return wrong("api.paging.first_page", "needs `style = \"page\"`: only pages have numbers");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(text: &str) -> String {
        let error = parse(text, Path::new("export.toml")).unwrap_err();
        let mut out = error.to_string();
        let mut source = std::error::Error::source(&error);
        while let Some(cause) = source {
            out += "\ncaused by: ";
            out += &cause.to_string();
            source = cause.source();
        }
        out
    }

    #[test]
    fn the_default_file_says_what_is_built_in() {
        let settings = parse(DEFAULT_FILE, Path::new("armature-export.toml")).unwrap();
        assert_eq!(settings, Settings::default());
    }

    #[test]
    fn the_default_file_names_every_option() {
        for option in [
            "config_version",
            "listen",
            "stale_after_secs",
            "webhook_url",
            "webhook_url_file",
            "ping_url",
            "ping_url_file",
            "url",
            "key_file",
            "dashboard_url",
            "redirect_hosts",
            "size_parameter",
            "first_page",
            "next_path",
            "workflow_ids",
            "status",
            "classification",
            "search",
            "sort",
            "max_requests",
            "deadline_secs",
            "cache",
            "publish",
            "endpoint",
            "region",
            "access_key_id",
            "account",
            "secret_key_file",
            "service_account_file",
            "uri",
            "warehouse",
            "namespace",
            "auth",
            "token_file",
            "client_id",
            "client_secret_file",
            "oauth2_server_uri",
            "scope",
            "signing_name",
            "signing_region",
            "compact_cron",
            "[[columns]]",
        ] {
            assert!(DEFAULT_FILE.contains(option), "{option}");
        }
    }

    #[test]
    fn compaction_is_nightly_where_engines_read_tables_in_a_store() {
        let cron = |text: &str| {
            let settings = parse(text, Path::new("armature-export.toml")).unwrap();
            settings.compact_cron().to_owned()
        };
        let tables = "[lake]\npath = \"s3://bucket/lake\"\nread_by = \"tables\"\n";
        assert_eq!(cron(tables), "15 4 * * *");
        assert_eq!(cron(&tables.replace("s3://bucket/lake", "folder")), "");
        assert_eq!(cron(&tables.replace("tables", "files")), "");
        let set = |expression: &str| format!("[schedule]\ncompact_cron = \"{expression}\"\n");
        assert_eq!(cron(&format!("{tables}{}", set(""))), "");
        assert_eq!(cron(&format!("{tables}{}", set("0 5 * * *"))), "0 5 * * *");
        assert_eq!(cron(&set("0 5 * * *")), "0 5 * * *");
    }

    #[test]
    fn mistakes_never_show_what_an_address_holds() {
        for text in [
            "[notify]\nwebhok_url = \"https://hooks.example.com/services/s3cret\"\n",
            "[notify]\nwebhook_url = \"https://hooks.example.com/services/s3cret\n",
            "[notify]\nwebhook_url = https://hooks.example.com/services/s3cret\n",
            "[notify]\nwebhook_format = \"https://me:s3cret@hooks.example.com/s3cret\"\n",
            "[notify]\nping_url = { of = \"s3cret\" }\n",
            "[iceberg]\ntoken = \"s3cret\"\n",
            "[iceberg]\nclient_secret = \"s3cret\"\n",
            "[iceberg]\nuri = \"s3cret\"\n",
        ] {
            let told = message(text);
            assert!(!told.contains("s3cret") && told.contains("line 2"), "{told}");
        }
    }

    #[test]
    fn every_path_is_checked() {
        for (option, text) in [
            ("lake.path", "[lake]\npath = \"http://b/lake\"\n"),
            ("lake.path", "[lake]\npath = \"s3://id:secret@b/lake\"\n"),
            ("iceberg.catalog", "[lake]\npath = \"az://b/lake\"\n[iceberg]\ncatalog = \"files\"\n"),
            ("lake.cache", "[lake]\ncache = \"s3://b/cache\"\n"),
            ("store.endpoint", "[store]\nendpoint = \"http://minio.example.com\"\n"),
            ("store.secret_key_file", "[store]\nsecret_key_file = \"~/key\"\n"),
            ("store.service_account_file", "[store]\nservice_account_file = \"$HOME/key\"\n"),
            ("iceberg.uri", "[iceberg]\ncatalog = \"rest\"\nuri = \"http://c.example.com\"\n"),
            ("iceberg.token_file", "[iceberg]\ntoken_file = \"~/token\"\n"),
            ("iceberg.client_secret_file", "[iceberg]\nclient_secret_file = \"$HOME/s\"\n"),
            ("duckdb.path", "[duckdb]\npath = \"~/a.duckdb\"\n"),
            ("duckdb.publish", "[duckdb]\npublish = \"$HOME/a.duckdb\"\n"),
            ("duckdb.publish", "[duckdb]\npublish = \"./armature.duckdb\"\n"),
            ("duckdb.documents", "[lake]\npath = \"s3://b/l\"\n[duckdb]\ndocuments = \"view\"\n"),
            ("report.path", "[report]\npath = \"~/report.html\"\n"),
            ("api.key_file", "[api]\nkey_file = \"$HOME/key\"\n"),
            ("notify.webhook_url_file", "[notify]\nwebhook_url_file = \"%HOME%/hook\"\n"),
            ("notify.ping_url_file", "[notify]\nping_url_file = \"file:///hook\"\n"),
        ] {
            let told = message(text);
            assert!(told.starts_with(&format!("configuration: `{option}` ")), "{told}");
        }
    }

    #[test]
    fn mistakes_are_named() {
        insta::assert_snapshot!([
            message("[api]\nconcurency = 4\n"),
            message("[sync]\nrange = \"90d\"\n"),
            message("[api]\nconcurrency = 0\n"),
            message("[api]\nredirect_hosts = [\"https://storage.example.com/x\"]\n"),
            message("[api]\nredirect_hosts = [\"storage.example.com:8443\"]\n"),
            message("[api]\nredirect_hosts = [\"Storage.example.com\"]\n"),
            message("[api.paging]\nstyle = \"cursor\"\nfirst_page = 1\n"),
            message("[[columns]]\ntable = \"runs\"\nname = \"team\"\nsources = [\"metadata.team\"]\n"),
            message("[lake]\ncompression_level = 99\n"),
        ].join("\n\n"));
    }
}
