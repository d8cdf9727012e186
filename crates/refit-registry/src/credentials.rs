//! Credentials from Docker's configuration folder and its helpers; each is for the host it is stored for, and no other.

use std::{fs::File, io, io::BufReader, path::PathBuf, time::Duration};

use docker_credential::{CredentialRetrievalError, DockerCredential};

use crate::{RegistryError, error::io_error};

/// A helper that hangs (a locked key ring, a prompt) must not hang a sweep.
const HELPER_TIMEOUT: Duration = Duration::from_secs(30);

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

/// The credential for a host, from the `config.json` in `folder`.
pub(crate) async fn lookup(
    folder: Option<PathBuf>,
    host: &str,
) -> Result<Credential, RegistryError> {
    let Some(folder) = folder else {
        return Ok(Credential::Anonymous);
    };
    // Docker Hub's entry has kept the address of the first registry.
    let server = match host {
        "docker.io" => "https://index.docker.io/v1/".to_owned(),
        other => other.to_owned(),
    };
    let reading = tokio::task::spawn_blocking(move || read(&folder.join("config.json"), &server));
    match tokio::time::timeout(HELPER_TIMEOUT, reading).await {
        Ok(done) => done
            .expect("reading credentials is not cancelled and does not panic")
            .map_err(|failure| failure.about(host)),
        Err(_) => Err(Failure::Helper("a credential helper did not answer".to_owned()).about(host)),
    }
}

enum Failure {
    Io(PathBuf, io::Error),
    Helper(String),
}

impl Failure {
    fn about(self, host: &str) -> RegistryError {
        match self {
            Self::Io(path, source) => io_error(&path, source),
            Self::Helper(message) => RegistryError::Credentials {
                host: host.to_owned(),
                message,
            },
        }
    }
}

fn read(path: &std::path::Path, server: &str) -> Result<Credential, Failure> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Credential::Anonymous),
        Err(source) => return Err(Failure::Io(path.to_owned(), source)),
    };
    let found = docker_credential::get_credential_from_reader(BufReader::new(file), server);
    match found {
        Ok(DockerCredential::IdentityToken(token)) if token.is_empty() => Ok(Credential::Anonymous),
        Ok(DockerCredential::IdentityToken(token)) => Ok(Credential::IdentityToken(token)),
        Ok(DockerCredential::UsernamePassword(user, password)) => {
            Ok(Credential::Password { user, password })
        }
        Err(CredentialRetrievalError::NoCredentialConfigured) => Ok(Credential::Anonymous),
        // Helpers say so on stdout, with a status other than 0.
        Err(CredentialRetrievalError::HelperFailure { stdout, .. })
            if stdout.contains("credentials not found") =>
        {
            Ok(Credential::Anonymous)
        }
        Err(error) => Err(Failure::Helper(words(&error, path))),
    }
}

/// What went wrong; a helper's output is left out, as nobody knows what is in it.
fn words(error: &CredentialRetrievalError, path: &std::path::Path) -> String {
    match error {
        CredentialRetrievalError::HelperFailure { helper, .. } => format!("`{helper} get` failed"),
        CredentialRetrievalError::HelperCommunicationError => {
            format!(
                "the credential helper that `{}` names cannot be run",
                path.display()
            )
        }
        CredentialRetrievalError::MalformedHelperResponse => {
            "the credential helper's answer is no credential".to_owned()
        }
        _ => format!("`{}` has no well-formed entry for it", path.display()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The credential for `host` as user:password, where `config.json` has this text.
    async fn found(config: &str, host: &str) -> Result<String, String> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("config.json"), config).unwrap();
        match lookup(Some(folder.path().to_owned()), host).await {
            Ok(Credential::Anonymous) => Ok("anonymous".to_owned()),
            Ok(Credential::Password { user, password }) => Ok(format!("{user}:{password}")),
            Ok(Credential::IdentityToken(token)) => Ok(format!("token {token}")),
            Err(error) => Err(error.to_string()),
        }
    }

    #[tokio::test]
    async fn a_credential_is_for_its_host_only() {
        let config = r#"{"auths":{"https://index.docker.io/v1/":{"auth":"aHViOnNlY3JldA=="},
            "example.com":{"auth":"bWU6cGFzczp3b3Jk"},
            "azure.example.com":{"identitytoken":"refresh"}}}"#;
        for (host, expect) in [
            ("docker.io", "hub:secret"),
            ("example.com", "me:pass:word"),
            ("azure.example.com", "token refresh"),
            ("example.com:5000", "anonymous"),
            ("evil.example.com", "anonymous"),
        ] {
            assert_eq!(found(config, host).await.as_deref(), Ok(expect), "{host}");
        }
    }

    #[tokio::test]
    async fn a_broken_configuration_is_an_error_that_names_the_host() {
        for config in [
            "{",
            r#"{"auths":{"example.com":{"auth":"???"}}}"#,
            r#"{"credsStore":"refit-there-is-no-such-helper"}"#,
        ] {
            let error = found(config, "example.com").await.unwrap_err();
            assert!(error.contains("`example.com`"), "{config}: {error}");
        }
    }

    #[tokio::test]
    async fn without_a_configuration_everything_is_anonymous() {
        let folder = tempfile::tempdir().unwrap();
        for folder in [None, Some(folder.path().to_owned())] {
            let credential = lookup(folder, "example.com").await;
            assert!(matches!(credential, Ok(Credential::Anonymous)));
        }
    }
}
