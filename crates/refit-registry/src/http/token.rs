//! Tokens from a registry's token service, after the distribution project's specification.

use std::time::{Duration, Instant};

use oci_client::token_cache::RegistryToken;
use reqwest::{
    Client, Method, Request,
    header::{CONTENT_TYPE, HeaderValue},
};
use serde::Deserialize;

use super::{
    backoff::Backoff,
    challenge::TokenService,
    scopes::Scopes,
    wire::{Counted, Wire},
};
use crate::{RegistryError, credentials::Credential};

/// The distribution project's default for a token that does not say how long it lives.
const DEFAULT_LIFE: Duration = Duration::from_mins(1);
/// A token is not used in the last seconds of its life: the clocks differ, and requests take time.
const MARGIN: Duration = Duration::from_secs(10);
/// A token service's answer is small.
const ANSWER_LIMIT: u64 = 1 << 20;
/// However long a token says it lives, it is asked for again after a day.
const LONGEST_LIFE: Duration = Duration::from_hours(24);

/// A token, as it is sent.
pub(super) struct Token {
    pub(super) header: HeaderValue,
    good_until: Instant,
}

impl Token {
    pub(super) fn is_good(&self) -> bool {
        self.good_until > Instant::now()
    }
}

/// Asks the service for a token with these scopes; it may grant fewer.
pub(super) async fn fetch(
    service: &TokenService,
    scopes: &Scopes,
    credential: &Credential,
    wire: &Wire,
) -> Result<Token, RegistryError> {
    let asked_at = Instant::now();
    let mut backoff = Backoff::new(&wire.patience);
    let make = |client: &Client| ask(client, service, scopes, credential);
    let answer = wire.patiently(&mut backoff, Counted::AsToken, make).await;
    let response = answer?;
    match response.status().as_u16() {
        200..=299 => {}
        401 | 403 => {
            return Err(RegistryError::Unauthorized {
                host: wire.host.clone(),
                what: scopes.to_string(),
                asked_as: wire.asked_as(),
            });
        }
        status => return Err(wire.protocol(format!("its token service answered {status}"))),
    }
    let what = format!("the token of `{}`", wire.host);
    let bytes = wire.body(response, ANSWER_LIMIT, &what).await?;
    let token: RegistryToken = serde_json::from_slice(&bytes)
        .map_err(|_| wire.protocol("its token service's answer has no token"))?;
    let mut header = HeaderValue::from_str(&token.bearer_token())
        .map_err(|_| wire.protocol("its token cannot be sent in a header"))?;
    header.set_sensitive(true);
    Ok(Token {
        header,
        good_until: asked_at + life(&bytes),
    })
}

/// How long a token may be used.
fn life(answer: &[u8]) -> Duration {
    let life: Life = serde_json::from_slice(answer).unwrap_or_default();
    let life = life.expires_in.map_or(DEFAULT_LIFE, Duration::from_secs);
    // At least for the request that it was fetched for.
    let life = life.saturating_sub(MARGIN).max(Duration::from_secs(1));
    life.min(LONGEST_LIFE)
}

#[derive(Default, Deserialize)]
struct Life {
    expires_in: Option<u64>,
}

/// A request to the token service: GET with a password or anonymously, OAuth2's POST with a refresh token.
fn ask(
    client: &Client,
    service: &TokenService,
    scopes: &Scopes,
    credential: &Credential,
) -> reqwest::Result<Request> {
    let realm = &service.realm;
    let mut parameters: Vec<(&str, &str)> = Vec::new();
    parameters.extend(service.name.iter().map(|name| ("service", name.as_str())));
    if let Credential::IdentityToken(token) = credential {
        let scope = scopes.to_string();
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
    parameters.extend(scopes.each().map(|scope| ("scope", scope)));
    let mut url = realm.clone();
    url.query_pairs_mut().extend_pairs(parameters);
    let request = client.request(Method::GET, url);
    match credential {
        Credential::Password { user, password } => request.basic_auth(user, Some(password)),
        Credential::Anonymous | Credential::IdentityToken(_) => request,
    }
    .build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_lives_as_long_as_it_says_within_reason() {
        for (answer, seconds) in [
            (r#"{"token":"x","expires_in":300}"#, 290),
            (r#"{"token":"x"}"#, 50),
            (r#"{"token":"x","expires_in":0}"#, 1),
            (r#"{"token":"x","expires_in":-5}"#, 50),
            (r#"{"token":"x","expires_in":18446744073709551615}"#, 86400),
        ] {
            assert_eq!(life(answer.as_bytes()).as_secs(), seconds, "{answer}");
        }
    }
}
