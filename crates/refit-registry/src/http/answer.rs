//! What a registry says when it says no.

use oci_client::errors::{OciEnvelope, OciErrorCode};
use reqwest::{Response, StatusCode};

use super::{backoff::retry_after, pull::is_json, wire::Wire};
use crate::{RegistryError, error::visible};

/// Error bodies are small; more is not read.
const WORDS_LIMIT: u64 = 64 << 10;

/// The error for an answer that is not what was asked for; `what` names the repository and the part of it.
pub(super) async fn refusal(wire: &Wire, response: Response, what: &str) -> RegistryError {
    let status = response.status();
    let host = wire.host.clone();
    let what = what.to_owned();
    let retry_after = retry_after(&response);
    // Servers with TLS say this to who comes without; a HEAD has no body that says it in words.
    if status == StatusCode::BAD_REQUEST
        && response.url().scheme() == "http"
        && !is_json(response.headers())
    {
        return RegistryError::WantsTls { host };
    }
    // A body that cannot be read only makes the message shorter.
    let body = wire.body(response, WORDS_LIMIT, &what).await;
    let (code, message) = words(&body.unwrap_or_default());
    match (status, code) {
        (StatusCode::UNAUTHORIZED, _) => RegistryError::Unauthorized {
            host,
            what,
            asked_as: wire.asked_as(),
        },
        (StatusCode::FORBIDDEN, _) => RegistryError::Denied {
            host,
            what,
            asked_as: wire.asked_as(),
            message,
        },
        (StatusCode::TOO_MANY_REQUESTS, _) | (_, Some(OciErrorCode::Toomanyrequests)) => {
            RegistryError::RateLimited { host, retry_after }
        }
        _ => RegistryError::Refused {
            host,
            what,
            status: status.as_u16(),
            message,
        },
    }
}

/// The first error code of the specification's envelope, and all its messages in one line.
fn words(body: &[u8]) -> (Option<OciErrorCode>, String) {
    let Ok(envelope) = serde_json::from_slice::<OciEnvelope>(body) else {
        return (None, String::new());
    };
    let messages = envelope.errors.iter().map(|error| error.message.as_str());
    let joined = messages.filter(|m| !m.is_empty()).collect::<Vec<_>>();
    let line = joined.join("; ");
    let shown = visible(&line);
    let code = envelope.errors.into_iter().next().map(|error| error.code);
    (code, shown)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn no_words_of_a_registry_reach_a_terminal_as_commands(message in "\\PC{0,10}[\\x00-\\x1f\\x7f-\\x9f]{1,5}") {
            let body = serde_json::json!({"errors": [{"code": "X", "message": message}]});
            let (_, shown) = words(body.to_string().as_bytes());
            prop_assert!(!shown.contains(char::is_control));
        }
    }

    #[test]
    fn a_registrys_words_are_one_visible_line() {
        let body = br#"{"errors":[{"code":"DENIED","message":"no\u001b[31m\nway","detail":null},{"code":"ODD"}]}"#;
        let (code, message) = words(body);
        assert_eq!(code, Some(OciErrorCode::Denied));
        assert_eq!(message, "no[31m way");
        for odd in [&b"<html>"[..], b"", b"{}", b"[]"] {
            assert!(matches!(words(odd), (None, text) if text.is_empty()));
        }
    }
}
