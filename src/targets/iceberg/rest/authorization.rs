//! How requests to a REST catalog are authorized.

use std::fmt;

use object_store::aws::{AwsAuthorizer, AwsCredentialProvider};
use object_store::client::HttpRequest;
use reqwest::Request;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use tokio::sync::Mutex;
use url::form_urlencoded::Serializer;

use super::response::{Response, error_text};
use crate::config::{CatalogAuth, IcebergSettings, ObjectStoreSettings};
use crate::lake::aws_credentials;
use crate::targets::{CatalogProblem, DeliverError};

/// How requests are authorized.
#[derive(Debug)]
pub(super) enum Authorization {
    None,
    Token(SecretString),
    Oauth2(Box<Oauth2>),
    Sigv4(Sigv4),
}

impl Authorization {
    /// As configured. Secrets are read again for each delivery, so that new ones are used without a
    /// restart.
    ///
    /// # Errors
    /// [`DeliverError::Config`] if a secret cannot be read.
    pub(super) fn new(
        settings: &IcebergSettings,
        store: &ObjectStoreSettings,
        base: &str,
    ) -> Result<Self, DeliverError> {
        Ok(match settings.auth {
            CatalogAuth::None => Self::None,
            CatalogAuth::Token => Self::Token(settings.token()?),
            CatalogAuth::Oauth2 => Self::Oauth2(Box::new(Oauth2 {
                server: match &settings.oauth2_server_uri {
                    Some(server) => server.to_string(),
                    None => format!("{base}/v1/oauth/tokens"),
                },
                client_id: settings.client_id.clone().unwrap_or_default(),
                client_secret: settings.client_secret()?,
                scope: settings.scope.clone(),
                token: Mutex::default(),
            })),
            CatalogAuth::Sigv4 => {
                let refused = |problem| DeliverError::Catalog {
                    uri: base.to_owned(),
                    problem: CatalogProblem::Credentials(problem),
                };
                Self::Sigv4(Sigv4 {
                    credentials: aws_credentials(store).map_err(refused)?,
                    service: settings.signing_name.clone(),
                    region: settings.region(store).unwrap_or_default(),
                })
            }
        })
    }

    /// Adds what authorizes a request.
    pub(super) async fn authorize(
        &self,
        http: &reqwest::Client,
        request: &mut Request,
    ) -> Result<(), CatalogProblem> {
        match self {
            Self::None => Ok(()),
            Self::Token(token) => set_bearer(request, token),
            Self::Oauth2(oauth2) => set_bearer(request, &oauth2.token(http).await?),
            Self::Sigv4(sigv4) => sigv4.sign(request).await,
        }
    }

    /// Forgets a token that was requested. Returns whether there was one, so that another attempt
    /// can succeed.
    pub(super) async fn renew(&self) -> bool {
        match self {
            Self::Oauth2(oauth2) => oauth2.token.lock().await.take().is_some(),
            Self::None | Self::Token(_) | Self::Sigv4(_) => false,
        }
    }

    /// What requests carry and no text may show.
    pub(super) fn secrets(&self) -> Vec<SecretString> {
        match self {
            Self::Token(token) => vec![token.clone()],
            Self::Oauth2(oauth2) => {
                // Held only while a token is requested: no catalog has that one yet.
                let token = oauth2.token.try_lock().ok().and_then(|token| token.clone());
                token.into_iter().chain([oauth2.client_secret.clone()]).collect()
            }
            // A signature does not reveal its secret.
            Self::None | Self::Sigv4(_) => Vec::new(),
        }
    }
}

fn set_bearer(request: &mut Request, token: &SecretString) -> Result<(), CatalogProblem> {
    let text = Zeroizing::new(format!("Bearer {}", token.expose_secret()));
    let mut value = HeaderValue::from_str(&text)
        .map_err(|_| CatalogProblem::Credentials("its token cannot stand in a header".into()))?;
    value.set_sensitive(true);
    request.headers_mut().insert(AUTHORIZATION, value);
    Ok(())
}

/// Tokens that are requested with the credentials of a client.
#[derive(Debug)]
pub(super) struct Oauth2 {
    server: String,
    client_id: String,
    client_secret: SecretString,
    scope: String,
    token: Mutex<Option<SecretString>>,
}

impl Oauth2 {
    async fn token(&self, http: &reqwest::Client) -> Result<SecretString, CatalogProblem> {
        #[derive(Deserialize)]
        struct Token {
            access_token: String,
        }
        let mut token = self.token.lock().await;
        if let Some(token) = token.as_ref() {
            return Ok(token.clone());
        }
        let body = Serializer::new(String::new())
            .append_pair("grant_type", "client_credentials")
            .append_pair("client_id", &self.client_id)
            .append_pair("client_secret", self.client_secret.expose_secret())
            .append_pair("scope", &self.scope)
            .finish();
        let request = http
            .post(&self.server)
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(body);
        let response = Response::of(request.send().await).await?;
        if !response.is_success() {
            let answer = error_text(&response, std::slice::from_ref(&self.client_secret));
            let text = format!("the token server answers {answer}");
            return Err(if response.is_transient() {
                CatalogProblem::Unreachable(text)
            } else {
                CatalogProblem::Credentials(text)
            });
        }
        // The error of the parser could show a part of the token.
        let found: Token = serde_json::from_slice(&response.body).map_err(|_| {
            CatalogProblem::Invalid("the token server's answer has no `access_token`".into())
        })?;
        Ok(token.insert(found.access_token.into()).clone())
    }
}

/// AWS Signature Version 4.
pub(super) struct Sigv4 {
    credentials: AwsCredentialProvider,
    service: String,
    region: String,
}

impl fmt::Debug for Sigv4 {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = formatter.debug_struct("Sigv4");
        shown.field("service", &self.service).field("region", &self.region).finish_non_exhaustive()
    }
}

impl Sigv4 {
    async fn sign(&self, request: &mut Request) -> Result<(), CatalogProblem> {
        let failed = |error: object_store::Error| CatalogProblem::Credentials(error.to_string());
        let credential = self.credentials.get_credential().await.map_err(failed)?;
        let body = request.body().and_then(reqwest::Body::as_bytes).unwrap_or_default();
        let mut signed = HttpRequest::new(body.to_vec().into());
        *signed.method_mut() = request.method().clone();
        *signed.uri_mut() = request
            .url()
            .as_str()
            .parse()
            .map_err(|_| CatalogProblem::Setup("its address cannot be signed".into()))?;
        if let Some(kind) = request.headers().get(CONTENT_TYPE) {
            signed.headers_mut().insert(CONTENT_TYPE, kind.clone());
        }
        AwsAuthorizer::new(&credential, &self.service, &self.region)
            .try_authorize(&mut signed, None)
            .map_err(failed)?;
        let headers = std::mem::take(signed.headers_mut());
        for (name, mut value) in headers {
            let Some(name) = name else { continue };
            value.set_sensitive(name == AUTHORIZATION || name == "x-amz-security-token");
            request.headers_mut().insert(name, value);
        }
        Ok(())
    }
}
