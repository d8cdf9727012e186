//! A request to one registry: addressed, authorised, repeated where that helps.

use std::{path::PathBuf, sync::Arc};

use bytes::Bytes;
use refit_oci::Repository;
use reqwest::{
    Client, Method, Request, Response, StatusCode, Url,
    header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue},
};

use super::{
    auth::{Auth, Pass},
    backoff::Backoff,
    client::{Clients, is_loopback},
    scopes::Scopes,
    wire::{Counted, Counters, Setup, Wire},
};
use crate::{CONCURRENCY, HostSettings, RegistryError, Settings, credentials::Credentials};

/// Once to learn the scheme, once with a token from the cache, once with a fresh one.
const MAX_ROUNDS: u32 = 3;

/// What all registries of a run have in common.
pub(crate) struct Shared {
    pub(crate) clients: Clients,
    pub(crate) counters: Arc<Counters>,
    pub(crate) credentials: Arc<Credentials>,
}

/// One registry host over HTTP.
pub(crate) struct Endpoint {
    pub(super) wire: Wire,
    pub(super) auth: Auth,
    pub(super) spool_dir: Option<PathBuf>,
}

/// A request that can be made again.
pub(super) struct Ask {
    method: Method,
    url: Url,
    scopes: Scopes,
    headers: HeaderMap,
    body: Bytes,
}

impl Ask {
    pub(super) fn new(method: Method, url: Url, scopes: Scopes) -> Self {
        Self {
            method,
            url,
            scopes,
            headers: HeaderMap::new(),
            body: Bytes::new(),
        }
    }

    pub(super) fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.append(name, value);
        self
    }

    pub(super) fn body(mut self, bytes: Bytes) -> Self {
        self.body = bytes;
        self
    }

    fn request(&self, client: &Client, pass: &Pass) -> reqwest::Result<Request> {
        let request = client.request(self.method.clone(), self.url.clone());
        let mut headers = self.headers.clone();
        if let Some(header) = pass.header() {
            headers.insert(AUTHORIZATION, header.clone());
        }
        let request = request.headers(headers);
        match self.method {
            // A length of 0 is said: some registries want it of a POST.
            Method::POST | Method::PUT => request.body(self.body.clone()).build(),
            _ => request.build(),
        }
    }
}

impl Endpoint {
    /// The registry behind a host name, as references spell it.
    pub(crate) fn new(
        host: &str,
        of_host: &HostSettings,
        settings: &Settings,
        shared: &Shared,
    ) -> Self {
        let plain = is_plain(host, of_host);
        // Docker Hub's name is not its address.
        let address = match host {
            "docker.io" => "registry-1.docker.io",
            other => other,
        };
        let scheme = if plain { "http" } else { "https" };
        let root: Result<Url, _> = format!("{scheme}://{address}/v2/").parse();
        let setup = match root {
            Ok(root) => shared.clients.client(host, of_host).map(|client| Setup {
                client,
                root,
                concurrency: of_host.concurrency.unwrap_or(CONCURRENCY),
            }),
            Err(error) => Err(format!("`{host}` is no address: {error}")),
        };
        Self {
            wire: Wire::new(
                host,
                settings.patience.clone(),
                setup,
                Arc::clone(&shared.counters),
            ),
            auth: Auth::new(plain, Arc::clone(&shared.credentials)),
            spool_dir: settings.spool_dir.clone(),
        }
    }

    /// The URL of something in a repository (`manifests/latest`).
    pub(super) fn url(&self, repository: &Repository, rest: &str) -> Result<Url, RegistryError> {
        let url = self
            .wire
            .setup()?
            .root
            .join(&format!("{}/{rest}", repository.path()));
        Ok(url.expect("the grammar of repositories, tags and digests is within that of URLs"))
    }

    /// Whether a URL that the registry gave is the registry itself: only then it gets to see who we are.
    pub(super) fn is_ours(&self, url: &Url) -> bool {
        let ours = self.wire.setup().map(|setup| setup.root.origin());
        ours.is_ok_and(|origin| origin == url.origin())
    }

    /// Sends a request until it has an answer of any status but a passing one.
    pub(super) async fn send(
        &self,
        backoff: &mut Backoff<'_>,
        ask: &Ask,
    ) -> Result<Response, RegistryError> {
        let ours = self.is_ours(&ask.url);
        let mut rounds = 0;
        loop {
            rounds += 1;
            let turn = self.auth.turn().await;
            let pass = if ours {
                self.auth.pass(&ask.scopes, &self.wire).await?
            } else {
                Pass::Nothing
            };
            let make = |client: &Client| ask.request(client, &pass);
            let sent = self.wire.patiently(backoff, Counted::ByMethod, make).await;
            let Some(response) = sent
                .as_ref()
                .ok()
                .filter(|r| r.status() == StatusCode::UNAUTHORIZED)
            else {
                // Also after an error: those who wait for their turn need not fail one after the other.
                self.auth.accepted();
                return sent;
            };
            if !ours {
                return sent;
            }
            let again = self.auth.challenged(response, &ask.scopes, &pass).await;
            drop(turn);
            if !again || rounds == MAX_ROUNDS {
                return sent;
            }
        }
    }
}

/// Whether a host is spoken to without TLS: if its settings say so, and on this machine unless they are about TLS.
fn is_plain(host: &str, of_host: &HostSettings) -> bool {
    let about_tls = of_host.insecure || of_host.ca.is_some();
    let default = is_loopback(host) && !about_tls;
    of_host.plain_http.unwrap_or(default)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_spoken_to_without_tls_unless_somebody_says_so() {
        let none = HostSettings::default();
        let plain = |plain| HostSettings {
            plain_http: Some(plain),
            ..HostSettings::default()
        };
        let insecure = HostSettings {
            insecure: true,
            ..HostSettings::default()
        };
        let ca = HostSettings {
            ca: Some("ca.pem".into()),
            ..HostSettings::default()
        };
        for (host, settings, expect) in [
            ("registry.example.com", &none, false),
            ("docker.io", &none, false),
            ("10.0.0.1:5000", &none, false),
            ("10.0.0.1:5000", &plain(true), true),
            ("10.0.0.1:5000", &insecure, false),
            ("127.0.0.1:5000", &none, true),
            ("127.0.0.1:5000", &plain(false), false),
            ("localhost:5000", &insecure, false),
            ("localhost:5000", &ca, false),
        ] {
            assert_eq!(is_plain(host, settings), expect, "{host}: {settings:?}");
        }
    }
}
