//! Who may do what: nobody asked, passwords, or tokens by scope as the distribution project describes them.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use axum::http::{HeaderMap, header::AUTHORIZATION};

/// What a registry asks of its visitors.
#[derive(Clone, Debug)]
pub enum Access {
    /// Nothing.
    Open,
    /// A user name and password with every request.
    Basic(Login),
    /// A token from the service at `/token`.
    Token(TokenService),
}

/// A user.
#[derive(Clone, Debug)]
pub struct Login {
    /// The name.
    pub user: String,
    /// The password.
    pub password: String,
}

/// How tokens are given.
#[derive(Clone, Debug)]
pub struct TokenService {
    /// Who gets every scope.
    pub login: Login,
    /// A refresh token that gets every scope too.
    pub identity_token: Option<String>,
    /// Whether everybody gets `pull`.
    pub public: bool,
    /// What `expires_in` says, in seconds; tokens are refused after that.
    pub expires_in: u64,
    /// Where it says to be; none: here, at `/token`.
    pub realm: Option<String>,
}

impl Login {
    /// A user.
    pub fn new(user: &str, password: &str) -> Self {
        Self {
            user: user.to_owned(),
            password: password.to_owned(),
        }
    }

    /// Docker's `config.json` with this login for a host.
    pub fn docker_config(&self, host: &str) -> String {
        let login = serde_json::json!({"username": self.user, "password": self.password});
        serde_json::json!({ "auths": { host: login } }).to_string()
    }

    fn matches(&self, headers: &HeaderMap) -> bool {
        let expected = http_auth::basic::encode_credentials(&self.user, &self.password);
        let given = headers.get(AUTHORIZATION);
        given.is_some_and(|given| given.as_bytes() == expected.as_bytes())
    }
}

impl TokenService {
    /// Tokens for one user, nothing for others.
    pub fn private(login: Login) -> Self {
        Self {
            login,
            identity_token: None,
            public: false,
            expires_in: 300,
            realm: None,
        }
    }
}

/// The tokens given so far.
#[derive(Default)]
pub(super) struct Tokens {
    given: BTreeMap<String, Token>,
}

struct Token {
    scopes: Vec<String>,
    until: Instant,
}

/// What a request asks the token service for.
pub(super) struct Asked<'a> {
    pub(super) headers: &'a HeaderMap,
    pub(super) scopes: Vec<String>,
    pub(super) refresh_token: Option<String>,
}

impl Tokens {
    /// A token with what of the asked scopes may be had; none for wrong credentials.
    pub(super) fn give(&mut self, service: &TokenService, asked: &Asked<'_>) -> Option<String> {
        let known = match &asked.refresh_token {
            Some(token) => service.identity_token.as_ref() == Some(token),
            None => service.login.matches(asked.headers),
        };
        let anonymous = asked.refresh_token.is_none() && asked.headers.get(AUTHORIZATION).is_none();
        if !known && !anonymous {
            return None;
        }
        let granted = asked.scopes.iter().filter_map(|scope| {
            if known {
                return Some(scope.clone());
            }
            let (repository, actions) = scope.rsplit_once(':')?;
            let pull = service.public && actions.split(',').any(|action| action == "pull");
            pull.then(|| format!("{repository}:pull"))
        });
        // Not guessable from outside the test process would be no gain here; unique is what matters.
        let token = format!("token-{}", self.given.len() + 1);
        let until = Instant::now() + Duration::from_secs(service.expires_in);
        let scopes = granted.collect();
        self.given.insert(token.clone(), Token { scopes, until });
        Some(token)
    }

    fn allows(&self, token: &str, scope: &str) -> bool {
        let Some(token) = self.given.get(token) else {
            return false;
        };
        token.until > Instant::now() && token.scopes.iter().any(|given| covers(given, scope))
    }
}

/// The challenge for a request that needs these scopes (`repository:x:push`), if it has not shown enough.
pub(super) fn challenge(
    access: &Access,
    tokens: &Tokens,
    headers: &HeaderMap,
    needed: &[String],
    here: &str,
) -> Option<String> {
    match access {
        Access::Open => None,
        Access::Basic(login) if login.matches(headers) => None,
        Access::Basic(_) => Some("Basic realm=\"test\"".to_owned()),
        Access::Token(service) => {
            let given = headers.get(AUTHORIZATION).and_then(|v| v.to_str().ok());
            let token = given.and_then(|given| given.strip_prefix("Bearer "));
            let enough = |token: &str| needed.iter().all(|scope| tokens.allows(token, scope));
            if token.is_some_and(enough) {
                return None;
            }
            let scope = needed.join(" ");
            let realm = service.realm.as_deref().unwrap_or(here);
            Some(format!(
                "Bearer realm=\"{realm}\",service=\"test\",scope=\"{scope}\""
            ))
        }
    }
}

/// Whether `repository:x:pull,push` covers `repository:x:push`.
fn covers(given: &str, needed: &str) -> bool {
    let (Some((given, actions)), Some((wanted, action))) =
        (given.rsplit_once(':'), needed.rsplit_once(':'))
    else {
        return false;
    };
    given == wanted && actions.split(',').any(|a| a == action)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_covers_its_own_actions_only() {
        for (given, needed, expect) in [
            ("repository:a/b:pull,push", "repository:a/b:push", true),
            ("repository:a/b:pull", "repository:a/b:push", false),
            ("repository:a:pull", "repository:a/b:pull", false),
        ] {
            assert_eq!(covers(given, needed), expect, "{given} {needed}");
        }
    }
}
