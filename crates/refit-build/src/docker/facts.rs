//! What an engine is, asked once when it is connected to.

use bollard::Docker;
use refit_oci::Platform;

use super::address::Address;
use crate::{
    buildkit::{
        Endpoint, Workers,
        check::{Abilities, Release},
        others,
    },
    engine::{EngineError, EngineKind},
};

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
        let version = client.version().await;
        let version = version.map_err(|e| unreachable(address, e.into()))?;
        let workers = Workers::of(&Endpoint::Docker(address.clone())).await?;
        let native = Platform::new(
            version.os.as_deref().unwrap_or("linux"),
            version.arch.as_deref().unwrap_or_default(),
            None,
        );
        let text = version.version.unwrap_or_default();
        Ok(Self {
            release: release(&text),
            version: text,
            api_version: client.client_version().to_string(),
            emulated: others(workers.platforms, &native),
            native,
        })
    }

    /// What it is called in messages.
    pub(crate) fn name(&self) -> String {
        format!("Docker Engine {}", self.version)
    }

    pub(super) fn abilities(&self) -> Abilities<'_> {
        let (major, minor) = self.release;
        Abilities {
            name: self.name(),
            release: Release::Docker(major, minor),
            native: &self.native,
            emulated: &self.emulated,
        }
    }
}

/// An error for an engine that does not answer.
pub(super) fn unreachable(
    address: &Address,
    source: Box<dyn std::error::Error + Send + Sync>,
) -> EngineError {
    EngineError::Unreachable {
        kind: EngineKind::Docker,
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
