//! What an engine is, asked once when it is connected to.

use bollard::Docker;
use bollard_buildkit_proto::moby::buildkit::v1::ListWorkersRequest;
use refit_oci::Platform;

use super::{address::Address, connection};
use crate::engine::EngineError;

/// An engine's version and the platforms that it executes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineFacts {
    /// As the engine says it, `26.1.5+dfsg1`.
    pub version: String,
    /// Major and minor number of `version`.
    pub release: (u32, u32),
    /// The newest API that both sides speak, `1.45`.
    pub api_version: String,
    /// The platform of its processor: `BUILDPLATFORM`.
    pub native: Platform,
    /// Platforms that it executes by emulation.
    pub emulated: Vec<Platform>,
}

impl EngineFacts {
    /// Asks the engine, and the BuildKit inside it.
    pub(super) async fn ask(client: &Docker, address: &Address) -> Result<Self, EngineError> {
        let refused =
            |action: &str, source: Box<dyn std::error::Error + Send + Sync>| EngineError::Engine {
                action: action.to_owned(),
                source,
            };
        let version = client.version().await;
        let version = version.map_err(|e| unreachable(address, e.into()))?;
        let control = connection::control(address).await;
        let mut control = control.map_err(|e| refused("open its BuildKit", e.into()))?;
        let workers = control.list_workers(ListWorkersRequest::default()).await;
        let workers = workers
            .map_err(|e| refused("list its platforms", e.into()))?
            .into_inner();
        let platforms = workers
            .record
            .into_iter()
            .flat_map(|worker| worker.platforms);
        let platforms = platforms.map(|p| Platform::new(&p.os, &p.architecture, Some(&p.variant)));

        let native = Platform::new(
            version.os.as_deref().unwrap_or("linux"),
            version.arch.as_deref().unwrap_or_default(),
            None,
        );
        let mut emulated: Vec<Platform> = platforms
            .filter(|p| (&p.os, &p.architecture) != (&native.os, &native.architecture))
            .collect();
        emulated.sort();
        emulated.dedup();
        let text = version.version.unwrap_or_default();
        Ok(Self {
            release: release(&text),
            version: text,
            api_version: client.client_version().to_string(),
            native,
            emulated,
        })
    }
}

/// An error for an engine that does not answer.
pub(super) fn unreachable(
    address: &Address,
    source: Box<dyn std::error::Error + Send + Sync>,
) -> EngineError {
    EngineError::Unreachable {
        endpoint: address.to_string(),
        source,
    }
}

/// The first two numbers of a version; 0 where there is none, so that an unknown engine counts as an old one.
fn release(version: &str) -> (u32, u32) {
    let mut numbers = version
        .split(|c: char| !c.is_ascii_digit())
        .map(|n| n.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::release;

    #[test]
    fn a_release_is_the_first_two_numbers() {
        for (text, expect) in [
            ("20.10.24+dfsg1", (20, 10)),
            ("26.1.5+dfsg1", (26, 1)),
            ("29.0.0-rc.1", (29, 0)),
            ("dev", (0, 0)),
            ("", (0, 0)),
        ] {
            assert_eq!(release(text), expect, "{text}");
        }
    }
}
