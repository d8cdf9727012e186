//! What can go wrong between refit and a registry or layout, and what helps.

use std::{path::Path, path::PathBuf, time::Duration};

use refit_oci::{Digest, DocumentError, ReferenceError};
use rustls::CertificateError;

/// Why a registry or layout could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// A digest or blob that was named does not exist there.
    #[error("`{what}` does not exist")]
    Missing {
        /// Repository and digest.
        what: String,
    },
    /// 401, after what credentials there are were tried.
    #[error(
        "`{host}` wants a login for `{what}`, or there is no such repository (it was asked {asked_as})"
    )]
    Unauthorized {
        /// The registry.
        host: String,
        /// The repository or scope.
        what: String,
        /// `anonymously`, or where the credential is from.
        asked_as: String,
    },
    /// 403.
    #[error("`{host}` does not allow this for `{what}` (it was asked {asked_as}){}", detail(.message))]
    Denied {
        /// The registry.
        host: String,
        /// The repository.
        what: String,
        /// `anonymously`, or where the credential is from.
        asked_as: String,
        /// The registry's words.
        message: String,
    },
    /// 429, after as many attempts as patience allows.
    #[error("`{host}` limits how often it may be asked{}", wait(.retry_after.as_ref()))]
    RateLimited {
        /// The registry.
        host: String,
        /// When it wants to be asked again, if it says.
        retry_after: Option<Duration>,
    },
    /// No connection, a timeout, or one that broke off.
    #[error("`{host}` cannot be reached")]
    Unreachable {
        /// The registry.
        host: String,
        /// What the HTTP client saw; its URL is left out, as it may hold a signature.
        source: reqwest::Error,
    },
    /// There is something at the other end, and no TLS with it that can be trusted.
    #[error("no trusted TLS connection to `{host}`: {reason}")]
    Tls {
        /// The registry.
        host: String,
        /// A certificate, or what was spoken instead of TLS.
        reason: rustls::Error,
    },
    /// Nothing came for too long.
    #[error("`{host}` did not answer within {} s", .after.as_secs())]
    TimedOut {
        /// The registry.
        host: String,
        /// How long it was waited for.
        after: Duration,
    },
    /// The HTTP client cannot be made: a certificate file, or the system's trust store.
    #[error("no connection to `{host}` can be set up: {message}")]
    Client {
        /// The registry.
        host: String,
        /// What is wrong.
        message: String,
    },
    /// A credential is configured, and cannot be had.
    #[error("the credential for `{host}` cannot be read: {message}")]
    Credentials {
        /// The registry.
        host: String,
        /// What is wrong; never what a helper gave as a credential.
        message: String,
    },
    /// A status that nothing else here stands for.
    #[error("`{host}` answered {status} for `{what}`{}", detail(.message))]
    Refused {
        /// The registry.
        host: String,
        /// The repository and what was asked of it.
        what: String,
        /// The HTTP status.
        status: u16,
        /// The registry's words.
        message: String,
    },
    /// 400 to plain HTTP, and not in a registry's words.
    #[error("`{host}` answered 400 to plain HTTP, in no registry's words: it may want HTTPS")]
    WantsTls {
        /// The registry.
        host: String,
    },
    /// The answer breaks the distribution specification.
    #[error("`{host}` broke the protocol: {message}")]
    Protocol {
        /// The registry.
        host: String,
        /// What is wrong with it.
        message: String,
    },
    /// The bytes are not what the digest says.
    #[error("`{what}` was damaged or forged: its content is `{actual}`")]
    DigestMismatch {
        /// What was asked for, with its digest.
        what: String,
        /// What came.
        actual: Digest,
    },
    /// The bytes are fewer or more than the descriptor says.
    #[error("`{what}` should have {expected} bytes, and has {actual}")]
    SizeMismatch {
        /// What was asked for.
        what: String,
        /// The descriptor's size.
        expected: u64,
        /// What came.
        actual: u64,
    },
    /// More than is sensible.
    #[error("`{what}` is larger than {limit} bytes")]
    TooLarge {
        /// What was asked for.
        what: String,
        /// The bound.
        limit: u64,
    },
    /// Verified, but no manifest or index.
    #[error("`{what}` cannot be read")]
    Document {
        /// Repository and digest.
        what: String,
        /// What is wrong with it.
        source: DocumentError,
    },
    /// No tag, or one that breaks the grammar.
    #[error(transparent)]
    Tag(#[from] ReferenceError),
    /// A file or folder.
    #[error("`{}` cannot be used", .path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// A folder that should be an OCI layout is none.
    #[error("`{}` is no OCI layout (no `oci-layout` file of version 1.0.0)", .path.display())]
    NotALayout {
        /// The folder.
        path: PathBuf,
    },
    /// A layout's `index.json` does not parse.
    #[error("`{}` is no image index", .path.display())]
    LayoutIndex {
        /// The file.
        path: PathBuf,
        /// Where parsing stopped.
        source: serde_json::Error,
    },
    /// The embedded store's host was named where there is no embedded store.
    #[error("`{host}` is refit's embedded store, and there is none here")]
    NoStore {
        /// The embedded store's host name.
        host: String,
    },
}

impl RegistryError {
    /// A command or setting that may help, for a `hint:` line.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Unauthorized { host, .. } if host == "docker.io" => {
                Some("run `docker login`".to_owned())
            }
            Self::Unauthorized { host, .. } => Some(format!("run `docker login {host}`")),
            Self::Tls { host, reason } => {
                let key = match reason {
                    // A signature that is wrong is that of an authority which was made anew under its old name.
                    rustls::Error::InvalidCertificate(
                        CertificateError::UnknownIssuer | CertificateError::BadSignature,
                    ) => "`ca = \"FILE\"` with the authority's certificate",
                    rustls::Error::InvalidCertificate(_) => {
                        "`insecure = true`, or better mend the registry's certificate,"
                    }
                    _ => "`plain-http = true`",
                };
                Some(format!(
                    "set {key} under `[registries.\"{host}\"]` in the user's configuration"
                ))
            }
            Self::WantsTls { host } => Some(format!(
                "set `plain-http = false` under `[registries.\"{host}\"]` in the user's configuration"
            )),
            Self::NoStore { .. } => {
                Some("run refit inside a git repository, or set `push-to`".to_owned())
            }
            _ => None,
        }
    }

    /// Whether the network, not the registry, said no: a state to show rather than a failure of the input.
    pub fn is_offline(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::TimedOut { .. })
    }

    /// Whether it is a manifest in Docker's first format.
    pub fn is_schema1(&self) -> bool {
        let Self::Document { source, .. } = self else {
            return false;
        };
        matches!(source, DocumentError::Schema1 { .. })
    }

    /// Whether what was named does not exist.
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Missing { .. })
    }
}

/// An I/O error with its path.
pub(crate) fn io_error(path: &Path, source: std::io::Error) -> RegistryError {
    RegistryError::Io {
        path: path.to_owned(),
        source,
    }
}

fn detail(message: &str) -> String {
    if message.is_empty() {
        String::new()
    } else {
        format!(": {message}")
    }
}

fn wait(retry_after: Option<&Duration>) -> String {
    match retry_after {
        Some(wait) => format!("; it asks to wait {} s", wait.as_secs()),
        None => String::new(),
    }
}

/// What of somebody else's words is shown.
const SHOWN: usize = 300;

/// Somebody else's words as they may end up on a terminal: no escape sequences, no second line, not too many.
pub(crate) fn visible(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    line.chars()
        .filter(|c| !c.is_control())
        .take(SHOWN)
        .collect()
}
