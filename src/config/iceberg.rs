//! Iceberg tables, and the catalog in which they are registered.

use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use url::Url;

use super::error::ConfigError;
use super::object_store::ObjectStoreSettings;
use super::service_url::check_service_url;

/// Iceberg tables over the lake's data files.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct IcebergSettings {
    /// Where the tables are registered; `None` for no Iceberg tables.
    pub catalog: Option<IcebergCatalog>,
    /// Age in days from which snapshots are removed from the tables' metadata.
    pub expire_snapshots_days: u64,
    /// The base address of the REST catalog, without `/v1`. Plain HTTP is allowed on this machine
    /// only.
    pub uri: Option<Url>,
    /// The warehouse of the REST catalog; `None` for the one that the catalog chooses.
    pub warehouse: Option<String>,
    /// The namespace of the tables in the REST catalog. Dots separate its levels.
    pub namespace: String,
    /// How requests to the REST catalog are authorized.
    pub auth: CatalogAuth,
    /// A file that holds the token for [`CatalogAuth::Token`]. `ARMATURE_ICEBERG_TOKEN` overrides
    /// it.
    pub token_file: Option<PathBuf>,
    /// The id of the client for [`CatalogAuth::Oauth2`].
    pub client_id: Option<String>,
    /// A file that holds the client's secret for [`CatalogAuth::Oauth2`].
    /// `ARMATURE_ICEBERG_CLIENT_SECRET` overrides it.
    pub client_secret_file: Option<PathBuf>,
    /// Where tokens are requested for [`CatalogAuth::Oauth2`]; by default `/v1/oauth/tokens` of the
    /// catalog.
    pub oauth2_server_uri: Option<Url>,
    /// The scope that is requested for [`CatalogAuth::Oauth2`].
    pub scope: String,
    /// The service for which requests are signed for [`CatalogAuth::Sigv4`]: `glue` for AWS Glue,
    /// `s3tables` for S3 Tables.
    pub signing_name: String,
    /// The region for which requests are signed for [`CatalogAuth::Sigv4`]; by default that of the
    /// bucket.
    pub signing_region: Option<String>,
}

/// A catalog of Iceberg tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IcebergCatalog {
    /// Metadata files in the lake, in `_iceberg`.
    Files,
    /// A service with the REST API of Iceberg catalogs.
    Rest,
}

/// How requests to a REST catalog are authorized.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CatalogAuth {
    /// Not at all.
    #[default]
    None,
    /// By a bearer token that does not change while it is used.
    Token,
    /// By a bearer token that is requested with the credentials of a client.
    Oauth2,
    /// By AWS Signature Version 4, with the credentials of the object store.
    Sigv4,
}

impl Default for IcebergSettings {
    fn default() -> Self {
        Self {
            catalog: None,
            expire_snapshots_days: 3,
            uri: None,
            warehouse: None,
            namespace: "armature".to_owned(),
            auth: CatalogAuth::None,
            token_file: None,
            client_id: None,
            client_secret_file: None,
            oauth2_server_uri: None,
            scope: "catalog".to_owned(),
            signing_name: "glue".to_owned(),
            signing_region: None,
        }
    }
}

impl IcebergSettings {
    /// The levels of the namespace.
    pub fn namespace_levels(&self) -> Vec<&str> {
        self.namespace.split('.').collect()
    }

    /// Whether no request uses TLS. The catalog is then on this machine.
    pub fn is_plain_http(&self) -> bool {
        let of_tokens = self.oauth2_server_uri.as_ref();
        self.uri.iter().chain(of_tokens).all(|url| url.scheme() == "http")
    }

    /// The bearer token for [`CatalogAuth::Token`].
    ///
    /// # Errors
    /// [`ConfigError`] if neither the environment nor a file holds it.
    pub fn token(&self) -> Result<SecretString, ConfigError> {
        secret("iceberg.token_file", "ARMATURE_ICEBERG_TOKEN", self.token_file.as_deref())
    }

    /// The secret of the client for [`CatalogAuth::Oauth2`].
    ///
    /// # Errors
    /// [`ConfigError`] if neither the environment nor a file holds it.
    pub fn client_secret(&self) -> Result<SecretString, ConfigError> {
        let file = self.client_secret_file.as_deref();
        secret("iceberg.client_secret_file", "ARMATURE_ICEBERG_CLIENT_SECRET", file)
    }

    /// The region for which requests are signed for [`CatalogAuth::Sigv4`]: the configured one,
    /// that of `[store]`, or that of the environment, in the variables of AWS's own tools.
    pub fn region(&self, store: &ObjectStoreSettings) -> Option<String> {
        #[expect(clippy::disallowed_methods, reason = "as AWS's own tools read it")]
        let variable = |name: &str| std::env::var(name).ok();
        self.region_with(store, variable)
    }

    fn region_with(
        &self,
        store: &ObjectStoreSettings,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Option<String> {
        let of_environment =
            || ["AWS_REGION", "AWS_DEFAULT_REGION"].into_iter().find_map(environment);
        let configured = self.signing_region.clone().or_else(|| store.region.clone());
        configured.or_else(of_environment).filter(|region| !region.is_empty())
    }

    /// Checks the settings of the REST catalog. `region` is that of [`Self::region`].
    pub(super) fn check(&self, region: Option<&str>) -> Result<(), ConfigError> {
        let wrong =
            |option, problem: &str| Err(ConfigError::Value { option, problem: problem.to_owned() });
        let credentials = "`auth` and the file of a token or a client's secret";
        for (option, url) in
            [("iceberg.uri", &self.uri), ("iceberg.oauth2_server_uri", &self.oauth2_server_uri)]
        {
            let Some(url) = url else { continue };
            check_service_url(url, credentials)
                .map_err(|problem| ConfigError::Value { option, problem })?;
        }
        if self.catalog != Some(IcebergCatalog::Rest) {
            return match self.uri {
                Some(_) => wrong("iceberg.uri", "is set, and needs `catalog = \"rest\"`"),
                None => Ok(()),
            };
        }
        if self.uri.is_none() {
            return wrong(
                "iceberg.uri",
                "is not set: `catalog = \"rest\"` needs the address of the catalog",
            );
        }
        // Other characters are escaped differently by catalogs, or need quotes in SQL.
        let in_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        let is_name = |name: &&str| !name.is_empty() && name.chars().all(in_name);
        if !self.namespace_levels().iter().all(is_name) {
            let problem = "has other characters than letters, digits, `_` and `-`, or an empty \
                           level; dots separate levels";
            return wrong("iceberg.namespace", problem);
        }
        if self.auth == CatalogAuth::Oauth2 && self.client_id.is_none() {
            return wrong("iceberg.client_id", "is not set: `auth = \"oauth2\"` needs it");
        }
        if self.auth == CatalogAuth::Sigv4 && region.is_none() {
            let problem = "is not set, and neither are `store.region` and `AWS_REGION`: \
                           `auth = \"sigv4\"` needs a region";
            return wrong("iceberg.signing_region", problem);
        }
        Ok(())
    }
}

/// A secret from the environment, otherwise from a file.
fn secret(
    option: &'static str,
    variable: &str,
    file: Option<&Path>,
) -> Result<SecretString, ConfigError> {
    let refuse = |problem: String| ConfigError::Value { option, problem };
    #[expect(clippy::disallowed_methods, reason = "a secret of the environment")]
    let environment = std::env::var(variable).ok().map(SecretString::from);
    let usable = |secret: SecretString, origin: &str| {
        let text = secret.expose_secret().trim();
        if !text.is_empty() && text.chars().all(|c| c.is_ascii_graphic()) {
            return Ok(SecretString::from(text));
        }
        Err(refuse(format!("{origin} is empty, or has characters that no such secret has")))
    };
    if let Some(secret) = environment {
        return usable(secret, &format!("has no effect, as `{variable}`, which overrides it,"));
    }
    let Some(path) = file else {
        return Err(refuse(format!("is not set, and neither is `{variable}` in the environment")));
    };
    let text = std::fs::read_to_string(path).map(SecretString::from);
    let text = text.map_err(|source| ConfigError::Secret { option, path: path.into(), source })?;
    usable(text, "names a file that")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rest() -> IcebergSettings {
        let uri = Some(Url::parse("https://catalog.example.com/iceberg").unwrap());
        IcebergSettings { catalog: Some(IcebergCatalog::Rest), uri, ..IcebergSettings::default() }
    }

    fn check(settings: &IcebergSettings) -> Result<(), ConfigError> {
        settings.check(None)
    }

    #[test]
    fn requests_are_signed_for_the_nearest_region_that_is_stated() {
        let region = |signing: Option<&str>, store: Option<&str>, variables: &[(&str, &str)]| {
            let owned = |text: Option<&str>| text.map(str::to_owned);
            let settings = IcebergSettings { signing_region: owned(signing), ..rest() };
            let store = ObjectStoreSettings { region: owned(store), ..Default::default() };
            settings.region_with(&store, |name| {
                variables.iter().find(|(it, _)| *it == name).map(|(_, value)| (*value).to_owned())
            })
        };
        let both = [("AWS_DEFAULT_REGION", "default"), ("AWS_REGION", "machine")];
        assert_eq!(region(Some("signing"), Some("store"), &both).unwrap(), "signing");
        assert_eq!(region(None, Some("store"), &both).unwrap(), "store");
        assert_eq!(region(None, None, &both).unwrap(), "machine");
        assert_eq!(region(None, None, &both[..1]).unwrap(), "default");
        assert_eq!(region(None, None, &[("AWS_REGION", "")]), None);
    }

    #[test]
    fn what_a_rest_catalog_needs_is_named() {
        assert!(check(&rest()).is_ok() && check(&IcebergSettings::default()).is_ok());
        let namespace = |name: &str| IcebergSettings { namespace: name.to_owned(), ..rest() };
        assert!(check(&namespace("bi.armature_2")).is_ok());
        let with_auth = |auth| IcebergSettings { auth, ..rest() };
        let told: Vec<String> = [
            IcebergSettings { uri: None, ..rest() },
            IcebergSettings { catalog: Some(IcebergCatalog::Files), ..rest() },
            IcebergSettings { uri: Some(Url::parse("http://c.example.com").unwrap()), ..rest() },
            IcebergSettings { uri: Some(Url::parse("https://a:b@c").unwrap()), ..rest() },
            IcebergSettings {
                oauth2_server_uri: Some(Url::parse("http://c.example.com").unwrap()),
                ..rest()
            },
            namespace("bi..armature"),
            namespace("bi/armature"),
            with_auth(CatalogAuth::Oauth2),
            with_auth(CatalogAuth::Sigv4),
        ]
        .iter()
        .map(|settings| check(settings).unwrap_err().to_string())
        .collect();
        insta::assert_snapshot!(told.join("\n"));
    }

    #[test]
    fn a_secret_comes_from_a_file_and_is_never_shown() {
        let folder = tempfile::tempdir().unwrap();
        let token_file = Some(folder.path().join("token"));
        let settings = IcebergSettings { token_file, ..rest() };
        let told = || settings.token().unwrap_err().to_string();
        assert!(told().contains("cannot be read"));
        for bad in ["", " \n", "s3cret with spaces"] {
            std::fs::write(folder.path().join("token"), bad).unwrap();
            assert!(told().contains("iceberg.token_file") && !told().contains("s3cret"));
        }
        std::fs::write(folder.path().join("token"), "s3cret\n").unwrap();
        let token = settings.token().unwrap();
        assert_eq!(token.expose_secret(), "s3cret");
        assert!(!format!("{token:?}").contains("s3cret"));
        assert!(rest().client_secret().unwrap_err().to_string().contains("is not set"));
    }
}
