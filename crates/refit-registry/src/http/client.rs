//! HTTP clients: one for the world, one for this machine, and one for each host with certificates of its own.

use std::{net::IpAddr, sync::OnceLock};

use reqwest::{Client, ClientBuilder, redirect};

use super::trust;
use crate::{HostSettings, Patience};

const MAX_REDIRECTS: usize = 10;

/// Clients that hosts share, and with them connections; made when first used, as that reads the system's certificates.
pub(crate) struct Clients {
    patience: Patience,
    world: OnceLock<Result<Client, String>>,
    here: OnceLock<Result<Client, String>>,
}

impl Clients {
    pub(crate) fn new(patience: &Patience) -> Self {
        Self {
            patience: patience.clone(),
            world: OnceLock::new(),
            here: OnceLock::new(),
        }
    }

    /// The client for a host, or why there cannot be one.
    pub(crate) fn client(&self, host: &str, of: &HostSettings) -> Result<Client, String> {
        if of.insecure || of.ca.is_some() {
            let own = base(&self.patience);
            let own = match &of.ca {
                Some(path) if !of.insecure => own.tls_backend_preconfigured(trust::with(path)?),
                // The system's authorities are of no use then, and need not be there.
                _ => own.tls_danger_accept_invalid_certs(true).tls_certs_only([]),
            };
            return build(if is_loopback(host) {
                own.no_proxy()
            } else {
                own
            });
        }
        let shared = if is_loopback(host) {
            self.here.get_or_init(|| here(&self.patience))
        } else {
            // This one honours the usual proxy variables: the HTTP client's own reading of the environment.
            self.world.get_or_init(|| build(base(&self.patience)))
        };
        shared.clone()
    }
}

/// Loopback hosts are never reached through a proxy, and a machine without certificates can still talk to itself.
fn here(patience: &Patience) -> Result<Client, String> {
    let client = build(base(patience).no_proxy());
    client.or_else(|_| build(base(patience).no_proxy().tls_certs_only([])))
}

/// Whether a registry host (with or without a port) is this machine.
pub(crate) fn is_loopback(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    };
    let address = name.trim_start_matches('[').trim_end_matches(']');
    name == "localhost" || address.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
}

fn base(patience: &Patience) -> ClientBuilder {
    // No read timeout here: reqwest's runs while a request's body is sent. `Wire` has its own.
    Client::builder()
        .user_agent(concat!("refit/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(patience.connect_timeout)
        .referer(false)
        .redirect(redirect::Policy::custom(follow))
}

/// Blobs are often redirected to a storage service, but never from TLS to none.
fn follow(attempt: redirect::Attempt<'_>) -> redirect::Action {
    let downgraded = attempt.url().scheme() == "http"
        && attempt.previous().iter().any(|url| url.scheme() == "https");
    if downgraded {
        attempt.error("a redirect from HTTPS to HTTP")
    } else if attempt.previous().len() > MAX_REDIRECTS {
        attempt.error("too many redirects")
    } else {
        attempt.follow()
    }
}

fn build(builder: ClientBuilder) -> Result<Client, String> {
    builder.build().map_err(|error| {
        let cause = std::error::Error::source(&error).map(ToString::to_string);
        cause.unwrap_or_else(|| error.to_string())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_is_recognised_in_every_spelling() {
        for (host, expect) in [
            ("localhost", true),
            ("localhost:5000", true),
            ("127.0.0.1:5000", true),
            ("127.9.9.9", true),
            ("[::1]:5000", true),
            ("[::1]", true),
            ("docker.io", false),
            ("localhost.example.com", false),
            ("128.0.0.1:5000", false),
            ("[::2]:1", false),
        ] {
            assert_eq!(is_loopback(host), expect, "{host}");
        }
    }
}
