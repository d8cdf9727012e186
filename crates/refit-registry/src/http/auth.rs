//! Who we are to one registry: its scheme learned once, its credential looked up once, one token per scope.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex as SyncMutex, PoisonError, RwLock},
};

use reqwest::{Response, header::HeaderValue};
use tokio::sync::{Mutex, MutexGuard};

use super::{
    challenge::{self, Scheme},
    scopes::Scopes,
    token::{self, Token},
    wire::Wire,
};
use crate::{
    RegistryError,
    credentials::{Credential, Credentials},
};

/// What is known of one registry's authentication.
pub(super) struct Auth {
    plain: bool,
    credentials: Arc<Credentials>,
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

impl Auth {
    /// `plain` is whether the registry itself is reached without TLS.
    pub(super) fn new(plain: bool, credentials: Arc<Credentials>) -> Self {
        Self {
            plain,
            credentials,
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
            Some(Scheme::Basic) => match self.credential(scopes, wire).await? {
                Credential::Password { user, password } => {
                    basic(wire, &user, &password).map(Pass::Fixed)
                }
                Credential::Anonymous | Credential::IdentityToken(_) => Ok(Pass::Nothing),
            },
            Some(Scheme::Bearer(service)) => {
                let slot = self.slot(scopes);
                let mut token = slot.lock().await;
                if let Some(token) = token.as_ref().filter(|t| t.is_good()) {
                    let header = token.header.clone();
                    return Ok(Pass::Token {
                        header,
                        cached: true,
                    });
                }
                // The credential goes to the service that the registry names, but never from TLS to none.
                if service.realm.scheme() == "http" && !self.plain {
                    let message = format!("its token service `{}` is not on HTTPS", service.realm);
                    return Err(wire.protocol(message));
                }
                let credential = self.credential(scopes, wire).await?;
                let fresh = token::fetch(&service, scopes, &credential, wire).await?;
                let header = fresh.header.clone();
                *token = Some(fresh);
                Ok(Pass::Token {
                    header,
                    cached: false,
                })
            }
        }
    }

    /// Who asks for the repository that a request is about.
    async fn credential(&self, scopes: &Scopes, wire: &Wire) -> Result<Credential, RegistryError> {
        let found = self.credentials.lookup(&wire.host, scopes.path()).await?;
        wire.asks_as(&found.asked_as);
        Ok(found.credential)
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

fn basic(wire: &Wire, user: &str, password: &str) -> Result<HeaderValue, RegistryError> {
    let text = http_auth::basic::encode_credentials(user, password);
    let header = HeaderValue::from_str(&text);
    let mut header =
        header.map_err(|_| wire.protocol("its password cannot be sent in a header"))?;
    header.set_sensitive(true);
    Ok(header)
}
