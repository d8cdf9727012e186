//! Who we are to a registry: what `docker login` and `podman login` have stored, and what helpers give.
//!
//! The sources, in the order in which they are asked; the first that has something for the repository wins:
//!
//! | source | where | keys |
//! |---|---|---|
//! | `DOCKER_AUTH_CONFIG` | the variable's own text | hosts |
//! | `REGISTRY_AUTH_FILE` | the file that it names | `host/namespace/repository`, the longest that fits |
//! | Docker | `$DOCKER_CONFIG/config.json`, else `~/.docker/config.json` | hosts |
//! | Podman | `$XDG_RUNTIME_DIR/containers/auth.json` | as `REGISTRY_AUTH_FILE` |
//! | Podman | `$XDG_CONFIG_HOME/containers/auth.json`, else `~/.config/containers/auth.json` | as `REGISTRY_AUTH_FILE` |
//!
//! Within a source: `credHelpers` for the repository, then its entry in `auths`, then `credsStore`. A helper that knows
//! nothing, or is not installed, is passed over; one that fails or hangs is an error, as pulling anonymously instead
//! would only fail later and with less to say. All sources have one format, so namespaced keys are understood in all.
//!
//! A credential is for the host that it is stored for, and no other. Secrets have no `Debug`.

mod file;
mod helper;

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fmt,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::sync::OnceCell;

use self::{
    file::{AuthFile, Way},
    helper::Helper,
};
use crate::{RegistryError, error::io_error};

/// A helper that hangs (a locked key ring, a prompt) must not hang a sweep.
const HELPER_TIMEOUT: Duration = Duration::from_secs(30);

/// Where credentials are looked for. The module's table says what is usual.
#[derive(Clone)]
pub struct CredentialSources {
    /// The text of a `config.json`: what `DOCKER_AUTH_CONFIG` holds.
    pub inline: Option<String>,
    /// Files in Docker's format, the first one first; those that do not exist are passed over.
    pub files: Vec<PathBuf>,
    /// Where `docker-credential-…` programs are looked for, as in `PATH`.
    pub search_path: OsString,
    /// How long a helper may take before it is killed.
    pub helper_timeout: Duration,
}

impl Default for CredentialSources {
    fn default() -> Self {
        Self {
            inline: None,
            files: Vec::new(),
            search_path: OsString::new(),
            helper_timeout: HELPER_TIMEOUT,
        }
    }
}

impl fmt::Debug for CredentialSources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inline = self.inline.as_ref().map(|_| "…");
        f.debug_struct("CredentialSources")
            .field("inline", &inline)
            .field("files", &self.files)
            .finish_non_exhaustive()
    }
}

/// What a host is told about who asks. It has no `Debug`: secrets are not for logs.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Credential {
    /// Nothing.
    Anonymous,
    /// A user name and a password or access token.
    Password { user: String, password: String },
    /// An OAuth2 refresh token, as `docker login` stores for some registries.
    IdentityToken(String),
}

/// A credential, and who asks in words: `anonymously`, or where it is from.
#[derive(Clone)]
pub(crate) struct Found {
    pub(crate) credential: Credential,
    pub(crate) asked_as: String,
}

/// What a lookup came to, for people who look for a missing login; it never has a secret in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// Whether there is a credential at all.
    pub found: bool,
    /// `anonymously`, or where the credential is from.
    pub asked_as: String,
}

/// A credential as Docker hands it to those that ask a registry for it: an identity token has no user. No secret of it is
/// printed.
#[derive(Clone, PartialEq, Eq)]
pub struct BasicLogin {
    /// The user's name; empty: `secret` is an identity token.
    pub user: String,
    /// A password, an access token or an identity token.
    pub secret: String,
}

impl BasicLogin {
    /// None where nobody has logged in.
    pub(crate) fn of(credential: Credential) -> Option<Self> {
        match credential {
            Credential::Anonymous => None,
            Credential::Password { user, password } => Some(Self {
                user,
                secret: password,
            }),
            Credential::IdentityToken(token) => Some(Self {
                user: String::new(),
                secret: token,
            }),
        }
    }
}

impl fmt::Debug for BasicLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BasicLogin({:?})", self.user)
    }
}

/// The credentials of a run: files are read once, helpers asked once.
pub(crate) struct Credentials {
    sources: CredentialSources,
    files: OnceCell<Vec<AuthFile>>,
    answers: Mutex<BTreeMap<(String, String), HelperAnswer>>,
}

type HelperAnswer = Arc<OnceCell<Result<Option<Credential>, String>>>;

impl Credentials {
    pub(crate) fn new(sources: CredentialSources) -> Self {
        Self {
            sources,
            files: OnceCell::new(),
            answers: Mutex::default(),
        }
    }

    /// Who asks for a repository (`host` and `path`).
    pub(crate) async fn lookup(&self, host: &str, path: &str) -> Result<Found, RegistryError> {
        let mut absent: Option<String> = None;
        for file in self.files.get_or_try_init(|| self.read(host)).await? {
            for way in file.ways(host, path) {
                match way {
                    Way::Stored(credential) => {
                        return Ok(Found {
                            credential,
                            asked_as: format!("with the credential from `{}`", file.name),
                        });
                    }
                    Way::Helper { name, server } => {
                        let Some(helper) = Helper::find(&name, &self.sources.search_path) else {
                            absent.get_or_insert(format!(
                                "`{}` names the helper `{}{name}`, which is not installed",
                                file.name,
                                helper::PREFIX
                            ));
                            continue;
                        };
                        let asked_as = format!("with the credential of `{}{name}`", helper::PREFIX);
                        if let Some(credential) = self.ask(&helper, host, &server).await? {
                            return Ok(Found {
                                credential,
                                asked_as,
                            });
                        }
                    }
                    Way::Malformed => {
                        let message = format!("`{}` has no well-formed entry for it", file.name);
                        return Err(error(host, message));
                    }
                }
            }
        }
        Ok(Found {
            credential: Credential::Anonymous,
            asked_as: match absent {
                Some(why) => format!("anonymously: {why}"),
                None => "anonymously".to_owned(),
            },
        })
    }

    /// What a helper says, asked once a run: one that hangs is waited for once.
    async fn ask(
        &self,
        helper: &Helper,
        host: &str,
        server: &str,
    ) -> Result<Option<Credential>, RegistryError> {
        let cell = {
            let answers = self.answers.lock();
            let mut answers = answers.unwrap_or_else(PoisonError::into_inner);
            let key = (helper.name.clone(), server.to_owned());
            Arc::clone(answers.entry(key).or_default())
        };
        let timeout = self.sources.helper_timeout;
        let answer = cell.get_or_init(|| helper.get(server, timeout)).await;
        answer.clone().map_err(|message| error(host, message))
    }

    async fn read(&self, host: &str) -> Result<Vec<AuthFile>, RegistryError> {
        let mut read = Vec::new();
        if let Some(text) = &self.sources.inline {
            let name = "DOCKER_AUTH_CONFIG".to_owned();
            read.push(AuthFile::parse(name, text).map_err(|message| error(host, message))?);
        }
        for path in &self.sources.files {
            match tokio::fs::read_to_string(path).await {
                Ok(text) => {
                    let name = path.display().to_string();
                    read.push(AuthFile::parse(name, &text).map_err(|m| error(host, m))?);
                }
                Err(source)
                    if matches!(
                        source.kind(),
                        std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory
                    ) => {}
                Err(source) => return Err(io_error(path, source)),
            }
        }
        Ok(read)
    }
}

fn error(host: &str, message: String) -> RegistryError {
    RegistryError::Credentials {
        host: host.to_owned(),
        message,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The credential for a repository as user:password, where the files have these texts.
    async fn found(files: &[&str], host: &str, path: &str) -> Result<String, String> {
        let folder = tempfile::tempdir().unwrap();
        let paths = files.iter().enumerate().map(|(n, text)| {
            let path = folder.path().join(format!("{n}.json"));
            std::fs::write(&path, text).unwrap();
            path
        });
        let sources = CredentialSources {
            files: paths.collect(),
            ..CredentialSources::default()
        };
        match Credentials::new(sources).lookup(host, path).await {
            Ok(found) => Ok(match found.credential {
                Credential::Anonymous => found.asked_as,
                Credential::Password { user, password } => format!("{user}:{password}"),
                Credential::IdentityToken(token) => format!("token {token}"),
            }),
            Err(error) => Err(error.to_string()),
        }
    }

    #[tokio::test]
    async fn a_credential_is_for_its_host_only() {
        let config = r#"{"auths":{"https://index.docker.io/v1/":{"auth":"aHViOnNlY3JldA=="},
            "example.com":{"auth":"bWU6cGFzczp3b3Jk"},
            "https://old.example.com/v2/":{"auth":"bWU6cGFzczp3b3Jk"},
            "nul.example.com":{"auth":"bWU6cGFzcwAA"},
            "azure.example.com":{"auth":"MDAwMDAwMDAtMDAwMC0wMDAwLTAwMDAtMDAwMDAwMDAwMDAwOg==","identitytoken":"refresh"}}}"#;
        for (host, expect) in [
            ("docker.io", "hub:secret"),
            ("example.com", "me:pass:word"),
            ("old.example.com", "me:pass:word"),
            ("nul.example.com", "me:pass"),
            ("azure.example.com", "token refresh"),
            ("example.com:5000", "anonymously"),
            ("evil.example.com", "anonymously"),
            ("com", "anonymously"),
        ] {
            let got = found(&[config], host, "team/web").await;
            assert_eq!(got.as_deref(), Ok(expect), "{host}");
        }
    }

    #[tokio::test]
    async fn the_longest_namespace_wins_and_ends_at_a_slash() {
        let auth = r#"{"auths":{
            "quay.io":{"username":"all","password":"1"},
            "quay.io/team":{"username":"team","password":"2"},
            "quay.io/team/web":{"username":"web","password":"3"}}}"#;
        for (path, expect) in [
            ("other/x", "all:1"),
            ("team/api", "team:2"),
            ("team/web", "web:3"),
            ("team/web/deeper", "web:3"),
            ("teams/web", "all:1"),
            ("team", "team:2"),
        ] {
            let got = found(&[auth], "quay.io", path).await;
            assert_eq!(got.as_deref(), Ok(expect), "{path}");
        }
    }

    #[tokio::test]
    async fn the_first_source_that_knows_the_host_wins() {
        let one = r#"{"auths":{"a.example.com":{"username":"one","password":"x"}}}"#;
        let two = r#"{"auths":{"a.example.com":{"username":"two","password":"x"},
            "b.example.com":{"username":"two","password":"x"}}}"#;
        for (host, expect) in [("a.example.com", "one:x"), ("b.example.com", "two:x")] {
            let got = found(&[one, two], host, "web").await;
            assert_eq!(got.as_deref(), Ok(expect), "{host}");
        }
    }

    #[tokio::test]
    async fn an_empty_entry_is_none() {
        // `docker login` with a credentials store leaves these behind.
        let config = r#"{"auths":{"example.com":{}},"credsStore":"","credHelpers":null}"#;
        let got = found(&[config, "", "{}"], "example.com", "web").await;
        assert_eq!(got.as_deref(), Ok("anonymously"));
    }

    #[tokio::test]
    async fn a_helper_that_is_not_installed_is_said_and_passed_over() {
        let config = r#"{"credsStore":"refit-there-is-no-such"}"#;
        let said = found(&[config], "example.com", "web").await.unwrap();
        let end =
            "names the helper `docker-credential-refit-there-is-no-such`, which is not installed";
        assert!(
            said.starts_with("anonymously: `") && said.ends_with(end),
            "{said}"
        );
        let other = r#"{"auths":{"example.com":{"username":"me","password":"x"}}}"#;
        let got = found(&[config, other], "example.com", "web").await;
        assert_eq!(got.as_deref(), Ok("me:x"));
    }

    #[tokio::test]
    async fn a_broken_configuration_is_an_error_that_names_the_host() {
        for config in [
            "{",
            r#"{"auths":[]}"#,
            r#"{"auths":{"example.com":{"auth":"???"}}}"#,
            r#"{"auths":{"example.com":{"auth":"bm9jb2xvbg=="}}}"#,
        ] {
            let error = found(&[config], "example.com", "x").await.unwrap_err();
            assert!(error.contains("`example.com`"), "{config}: {error}");
        }
    }

    #[test]
    fn secrets_are_not_printed() {
        let sources = CredentialSources {
            inline: Some("s3cret".to_owned()),
            ..CredentialSources::default()
        };
        assert!(!format!("{sources:?}").contains("s3cret"));
    }
}
