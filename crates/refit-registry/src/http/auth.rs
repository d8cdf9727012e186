//! Who we are to one registry: its scheme learned once, its credential looked up once, one token per scope.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, Mutex as SyncMutex, PoisonError, RwLock},
    time::{Duration, Instant},
};

use oci_client::token_cache::RegistryToken;
use reqwest::{
    Method, Request, Response, Url,
    header::{CONTENT_TYPE, HeaderValue},
};
use serde::Deserialize;
use tokio::sync::{Mutex, MutexGuard, OnceCell};

use super::{
    backoff::Backoff,
    challenge::{self, Scheme},
    wire::{Counted, Wire},
};
use crate::{
    RegistryError,
    credentials::{self, Credential},
};

/// The distribution project's default for a token that does not say how long it lives.
const DEFAULT_LIFE: Duration = Duration::from_mins(1);
/// A token is not used in the last seconds of its life: the clocks differ, and requests take time.
const MARGIN: Duration = Duration::from_secs(10);
/// A token service's answer is small.
const ANSWER_LIMIT: u64 = 1 << 20;

/// The rights that a request needs, in the distribution project's notation (`repository:a/b:pull`).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Scopes(Vec<String>);

impl Scopes {
    pub(super) fn pull(path: &str) -> Self {
        Self(vec![format!("repository:{path}:pull")])
    }

    pub(super) fn push(path: &str) -> Self {
        Self(vec![format!("repository:{path}:pull,push")])
    }

    pub(super) fn delete(path: &str) -> Self {
        Self(vec![format!("repository:{path}:delete")])
    }

    /// Reading one repository while writing another: what a mount needs.
    pub(super) fn mount(path: &str, from: &str) -> Self {
        Self(vec![
            format!("repository:{path}:pull,push"),
            format!("repository:{from}:pull"),
        ])
    }
}

/// What is known of one registry's authentication.
pub(super) struct Auth {
    plain: bool,
    config_dir: Option<PathBuf>,
    credential: OnceCell<Credential>,
    scheme: RwLock<Option<Scheme>>,
    first: Mutex<()>,
    tokens: SyncMutex<BTreeMap<Scopes, Arc<Mutex<Option<Token>>>>>,
}

/// What a request is sent with.
pub(super) enum Pass {
    /// No `Authorization`.
    Nothing,
    /// Name and password.
    Fixed(HeaderValue),
    /// A token for the request's scopes.
    Token {
        /// The whole header.
        header: HeaderValue,
        /// Whether it was fetched for an earlier request.
        cached: bool,
    },
}

impl Pass {
    pub(super) fn header(&self) -> Option<&HeaderValue> {
        match self {
            Self::Nothing => None,
            Self::Fixed(header) | Self::Token { header, .. } => Some(header),
        }
    }
}

struct Token {
    header: HeaderValue,
    good_until: Instant,
}

impl Auth {
    /// `plain` is whether the registry itself is reached without TLS.
    pub(super) fn new(plain: bool, config_dir: Option<PathBuf>) -> Self {
        Self {
            plain,
            config_dir,
            credential: OnceCell::new(),
            scheme: RwLock::new(None),
            first: Mutex::new(()),
            tokens: SyncMutex::default(),
        }
    }

    /// While nothing is known of the host, lets one request through; the others wait for what it learns.
    pub(super) async fn turn(&self) -> Option<MutexGuard<'_, ()>> {
        if self.scheme().is_some() {
            return None;
        }
        let turn = self.first.lock().await;
        self.scheme().is_none().then_some(turn)
    }

    /// Takes note that the first request was not turned away; should a later one be, that is learned then.
    pub(super) fn accepted(&self) {
        let scheme = self.scheme.write();
        let mut scheme = scheme.unwrap_or_else(PoisonError::into_inner);
        scheme.get_or_insert(Scheme::Open);
    }

    /// Takes note of a 401 to a request that was sent with `pass`; whether another try makes sense.
    pub(super) async fn challenged(
        &self,
        response: &Response,
        scopes: &Scopes,
        pass: &Pass,
    ) -> bool {
        let Some(offered) = challenge::offered(response) else {
            return false;
        };
        let is_news = {
            let scheme = self.scheme.write();
            let mut scheme = scheme.unwrap_or_else(PoisonError::into_inner);
            scheme.replace(offered.clone()) != Some(offered)
        };
        match pass {
            // Nothing was to be had for this scheme, or the scheme was not known.
            Pass::Nothing => is_news,
            Pass::Fixed(_) => false,
            // A fresh token that is not good enough will not get better; one from the cache may have been revoked.
            Pass::Token { header, cached } => {
                let slot = self.slot(scopes);
                let mut token = slot.lock().await;
                if token.as_ref().is_some_and(|token| token.header == *header) {
                    *token = None;
                }
                *cached
            }
        }
    }

    /// What a request is sent with, as far as something is needed and to be had.
    pub(super) async fn pass(&self, scopes: &Scopes, wire: &Wire) -> Result<Pass, RegistryError> {
        match self.scheme() {
            None | Some(Scheme::Open) => Ok(Pass::Nothing),
            Some(Scheme::Basic) => match self.credential(&wire.host).await? {
                Credential::Password { user, password } => {
                    basic(wire, user, password).map(Pass::Fixed)
                }
                Credential::Anonymous | Credential::IdentityToken(_) => Ok(Pass::Nothing),
            },
            Some(Scheme::Bearer { realm, service }) => {
                let slot = self.slot(scopes);
                let mut token = slot.lock().await;
                if let Some(token) = token.as_ref().filter(|t| t.good_until > Instant::now()) {
                    let header = token.header.clone();
                    return Ok(Pass::Token {
                        header,
                        cached: true,
                    });
                }
                let fresh = self.fetch(&realm, service.as_deref(), scopes, wire).await?;
                let header = fresh.header.clone();
                *token = Some(fresh);
                Ok(Pass::Token {
                    header,
                    cached: false,
                })
            }
        }
    }

    /// Asks the token service. The credential goes to the service that the registry names, never from TLS to none.
    async fn fetch(
        &self,
        realm: &Url,
        service: Option<&str>,
        scopes: &Scopes,
        wire: &Wire,
    ) -> Result<Token, RegistryError> {
        if realm.scheme() == "http" && !self.plain {
            let message = format!("its token service `{realm}` is not on HTTPS");
            return Err(wire.protocol(message));
        }
        let credential = self.credential(&wire.host).await?;
        let asked_at = Instant::now();
        let mut backoff = Backoff::new(&wire.patience);
        let make = |client: &reqwest::Client| ask(client, realm, service, scopes, credential);
        let answer = wire.patiently(&mut backoff, Counted::AsToken, make).await;
        let mut response = answer?;
        if !response.status().is_success() {
            return Err(refusal(wire, scopes, response.status().as_u16()));
        }
        let what = format!("the token of `{}`", wire.host);
        let bytes = wire.body(&mut response, ANSWER_LIMIT, &what).await?;
        let token: RegistryToken = serde_json::from_slice(&bytes)
            .map_err(|_| wire.protocol("its token service's answer has no token"))?;
        let life: Life = serde_json::from_slice(&bytes).unwrap_or_default();
        let life = life.expires_in.map_or(DEFAULT_LIFE, Duration::from_secs);
        let mut header = HeaderValue::from_str(&token.bearer_token())
            .map_err(|_| wire.protocol("its token cannot be sent in a header"))?;
        header.set_sensitive(true);
        Ok(Token {
            header,
            good_until: asked_at + life.saturating_sub(MARGIN).max(Duration::from_secs(1)),
        })
    }

    async fn credential(&self, host: &str) -> Result<&Credential, RegistryError> {
        let find = || credentials::lookup(self.config_dir.clone(), host);
        self.credential.get_or_try_init(find).await
    }

    fn scheme(&self) -> Option<Scheme> {
        let scheme = self.scheme.read();
        scheme.unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn slot(&self, scopes: &Scopes) -> Arc<Mutex<Option<Token>>> {
        let tokens = self.tokens.lock();
        let mut tokens = tokens.unwrap_or_else(PoisonError::into_inner);
        Arc::clone(tokens.entry(scopes.clone()).or_default())
    }
}

#[derive(Default, Deserialize)]
struct Life {
    expires_in: Option<u64>,
}

/// A request to the token service: GET with a password or anonymously, OAuth2's POST with a refresh token.
fn ask(
    client: &reqwest::Client,
    realm: &Url,
    service: Option<&str>,
    scopes: &Scopes,
    credential: &Credential,
) -> reqwest::Result<Request> {
    let mut parameters: Vec<(&str, &str)> = Vec::new();
    parameters.extend(service.map(|service| ("service", service)));
    if let Credential::IdentityToken(token) = credential {
        let scope = scopes.0.join(" ");
        parameters.extend([
            ("scope", scope.as_str()),
            ("grant_type", "refresh_token"),
            ("client_id", "refit"),
            ("refresh_token", token),
        ]);
        let mut form = realm.clone();
        form.set_query(None);
        let url = form.clone();
        form.query_pairs_mut().extend_pairs(parameters);
        let body = form.query().unwrap_or_default().to_owned();
        let request = client.request(Method::POST, url);
        let request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        return request.body(body).build();
    }
    parameters.extend(scopes.0.iter().map(|scope| ("scope", scope.as_str())));
    let mut url = realm.clone();
    url.query_pairs_mut().extend_pairs(parameters);
    let request = client.request(Method::GET, url);
    match credential {
        Credential::Password { user, password } => request.basic_auth(user, Some(password)),
        Credential::Anonymous | Credential::IdentityToken(_) => request,
    }
    .build()
}

fn basic(wire: &Wire, user: &str, password: &str) -> Result<HeaderValue, RegistryError> {
    let text = http_auth::basic::encode_credentials(user, password);
    let header = HeaderValue::from_str(&text);
    let mut header =
        header.map_err(|_| wire.protocol("its password cannot be sent in a header"))?;
    header.set_sensitive(true);
    Ok(header)
}

fn refusal(wire: &Wire, scopes: &Scopes, status: u16) -> RegistryError {
    match status {
        401 | 403 => RegistryError::Unauthorized {
            host: wire.host.clone(),
            what: scopes.0.join(" "),
        },
        _ => wire.protocol(format!("its token service answered {status}")),
    }
}
