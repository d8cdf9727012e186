//! What an engine is, asked once when it is connected to.

use bollard::{Docker, models::SystemVersion};
use refit_oci::Platform;

use super::address::Address;
use crate::{
    buildkit::{Endpoint, Workers, others},
    check::{Abilities, Release},
    connection,
    engine::{EngineError, EngineKind},
};

/// What Podman calls itself among the components of `/version`.
const PODMAN: &str = "Podman Engine";

/// What builds inside an engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Builder {
    /// BuildKit, through `/grpc` and `/session`.
    BuildKit,
    /// Docker Engine's builder from before BuildKit, through `POST /build`.
    Classic,
    /// Podman's, through `POST /build` as well.
    Podman,
}

/// An engine's version and the platforms that it executes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineFacts {
    /// What builds in it.
    pub builder: Builder,
    /// As the engine says it, `26.1.5+dfsg1`.
    pub version: String,
    /// Major and minor number of `version`.
    pub release: (u32, u32),
    /// The newest API that both sides speak, `1.45`.
    pub api_version: String,
    /// The platform of its processor: `BUILDPLATFORM`.
    pub native: Platform,
    /// Platforms that it executes by emulation; none: it does not say.
    pub emulated: Option<Vec<Platform>>,
}

impl EngineFacts {
    /// Asks the engine, and the BuildKit inside it. `buildkit` is the user's word, as Docker's `DOCKER_BUILDKIT`; without
    /// it the engine's own counts.
    pub(super) async fn ask(
        client: &Docker,
        address: &Address,
        buildkit: Option<bool>,
    ) -> Result<Self, EngineError> {
        let version = client.version().await;
        let version = version.map_err(|e| unreachable(address, e.into()))?;
        let native = Platform::new(
            version.os.as_deref().unwrap_or("linux"),
            version.arch.as_deref().unwrap_or_default(),
            None,
        );
        let (builder, platforms) = if is_podman(&version) {
            (Builder::Podman, None)
        } else {
            builder(address, buildkit).await?
        };
        let text = version.version.unwrap_or_default();
        Ok(Self {
            builder,
            release: release(&text),
            version: text,
            api_version: client.client_version().to_string(),
            emulated: platforms.map(|platforms| others(platforms, &native)),
            native,
        })
    }

    /// What it is called in messages.
    pub fn name(&self) -> String {
        let version = &self.version;
        match self.builder {
            Builder::BuildKit => format!("Docker Engine {version}"),
            Builder::Classic => format!("the classic builder of Docker Engine {version}"),
            Builder::Podman => format!("Podman {version}"),
        }
    }

    pub(super) fn abilities(&self) -> Abilities<'_> {
        let (major, minor) = self.release;
        Abilities {
            name: self.name(),
            release: match self.builder {
                Builder::BuildKit => Release::Docker(major, minor),
                Builder::Classic => Release::Classic,
                Builder::Podman => Release::Podman(major, minor),
            },
            native: &self.native,
            emulated: self.emulated.as_deref(),
        }
    }
}

fn is_podman(version: &SystemVersion) -> bool {
    let mut components = version.components.iter().flatten();
    components.any(|component| component.name == PODMAN)
}

/// Which of Docker Engine's builders is taken, and the platforms that BuildKit, where there is one, says it executes.
async fn builder(
    address: &Address,
    buildkit: Option<bool>,
) -> Result<(Builder, Option<Vec<Platform>>), EngineError> {
    let workers = Workers::of(&Endpoint::Docker(address.clone())).await;
    let has_buildkit = !matches!(workers, Err(EngineError::NoBuildKit { .. }));
    let takes_it = match buildkit {
        Some(told) => told,
        // `"features": {"buildkit": false}` of its configuration.
        None if has_buildkit => !connection::prefers_classic(address).await,
        None => false,
    };
    match (workers, takes_it) {
        (Ok(workers), true) => Ok((Builder::BuildKit, Some(workers.platforms))),
        (Ok(workers), false) => Ok((Builder::Classic, Some(workers.platforms))),
        (Err(EngineError::NoBuildKit { .. }), false) => Ok((Builder::Classic, None)),
        (Err(error), _) => Err(error),
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
