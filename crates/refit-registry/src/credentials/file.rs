//! Docker's `config.json` and Podman's `auth.json`: one format, whose keys may be namespaces.

use std::collections::BTreeMap;

use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use serde::Deserialize;

use super::Credential;

/// What helpers call Docker's Hub: its entry has kept the address of the first registry.
const HUB_SERVER: &str = "https://index.docker.io/v1/";
/// Files are written by several tools, with and without padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// One file, parsed.
pub(super) struct AuthFile {
    /// Its path, or the variable's name.
    pub(super) name: String,
    parsed: Parsed,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Parsed {
    auths: Option<BTreeMap<String, Entry>>,
    cred_helpers: Option<BTreeMap<String, String>>,
    creds_store: Option<String>,
}

#[derive(Default, Deserialize)]
struct Entry {
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
    identitytoken: Option<String>,
}

/// One way to a credential.
pub(super) enum Way {
    /// It is in the file.
    Stored(Credential),
    /// `docker-credential-NAME` has it, by this key.
    Helper { name: String, server: String },
    /// There is an entry, and it is broken.
    Malformed,
}

impl AuthFile {
    pub(super) fn parse(name: String, text: &str) -> Result<Self, String> {
        // Podman leaves empty files behind.
        let parsed = match text.trim() {
            "" => Ok(Parsed::default()),
            text => serde_json::from_str(text),
        };
        match parsed {
            Ok(parsed) => Ok(Self { name, parsed }),
            // The error itself could quote a secret.
            Err(error) => Err(format!(
                "`{name}` is no credentials file (line {}, column {})",
                error.line(),
                error.column()
            )),
        }
    }

    /// Everything that may know a repository, the first one first.
    pub(super) fn ways(&self, host: &str, path: &str) -> Vec<Way> {
        let mut ways = Vec::new();
        let helpers = self.parsed.cred_helpers.as_ref();
        if let Some((key, name)) = helpers.and_then(|helpers| longest(helpers, host, path))
            && !name.is_empty()
        {
            let server = match (host, normalised(key)) {
                ("docker.io", "docker.io") => HUB_SERVER.to_owned(),
                (_, key) => key.to_owned(),
            };
            let name = name.clone();
            ways.push(Way::Helper { name, server });
        }
        let auths = self.parsed.auths.as_ref();
        if let Some((_, entry)) = auths.and_then(|auths| longest(auths, host, path)) {
            ways.extend(entry.stored());
        }
        if let Some(name) = self.parsed.creds_store.as_ref().filter(|n| !n.is_empty()) {
            let server = match host {
                "docker.io" => HUB_SERVER,
                host => host,
            };
            let (name, server) = (name.clone(), server.to_owned());
            ways.push(Way::Helper { name, server });
        }
        ways
    }
}

impl Entry {
    /// What the entry holds; nothing if it is empty.
    fn stored(&self) -> Option<Way> {
        let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        if let Some(token) = given(&self.identitytoken) {
            return Some(Way::Stored(Credential::IdentityToken(token)));
        }
        if let Some(auth) = given(&self.auth) {
            return Some(decoded(&auth).map_or(Way::Malformed, Way::Stored));
        }
        let user = given(&self.username)?;
        let password = self.password.clone().unwrap_or_default();
        Some(Way::Stored(Credential::Password { user, password }))
    }
}

/// `user:password` in base64; some tools pad it with zeros.
fn decoded(auth: &str) -> Option<Credential> {
    let bytes = BASE64.decode(auth.trim()).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    let (user, password) = text.split_once(':')?;
    Some(Credential::Password {
        user: user.to_owned(),
        password: password.trim_matches('\0').to_owned(),
    })
}

/// The entry whose key is the longest leading part of `host/path`.
fn longest<'a, T>(
    entries: &'a BTreeMap<String, T>,
    host: &str,
    path: &str,
) -> Option<(&'a String, &'a T)> {
    let full = format!("{host}/{path}");
    let covers = |key: &str| {
        full.strip_prefix(normalised(key))
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let fitting = entries.iter().filter(|(key, _)| covers(key));
    fitting.max_by_key(|(key, _)| normalised(key).len())
}

/// A key as references spell it: older ones are URLs, whose path says nothing, and Docker's Hub has many names.
fn normalised(key: &str) -> &str {
    let without_scheme = ["https://", "http://"]
        .iter()
        .find_map(|scheme| key.strip_prefix(scheme));
    let key = match without_scheme {
        Some(rest) => rest.split('/').next().unwrap_or(rest),
        None => key.trim_end_matches('/'),
    };
    match key {
        "index.docker.io" | "registry-1.docker.io" | "index.docker.io/v1" => "docker.io",
        key => key,
    }
}
