//! Private engines for tests: real daemons with their own data, socket and mounts, gone with the test.
//!
//! They are unpacked by `cargo xtask engines install`; nothing here touches a daemon that was there.

mod base;
mod buildkitd;
mod daemon;
mod docker_registry;
mod dockerd;
mod podman;
mod sshd;
mod tls_front;

use std::path::{Path, PathBuf};

pub use base::{BaseImage, busybox_rootfs};
pub use buildkitd::BuildKitd;
pub use docker_registry::{DockerRegistry, Setup};
pub use dockerd::{Dockerd, Version};
pub use podman::Podman;
pub use sshd::Sshd;
pub use tls_front::TlsFront;

/// Why a test cannot have its engine.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// Not unpacked.
    #[error("there is no `{}`; run `cargo xtask engines install`", path.display())]
    NotInstalled {
        /// The program or file that is missing.
        path: PathBuf,
    },
    /// The program could not be run.
    #[error("cannot run `{program}`")]
    Spawn {
        /// Which one.
        program: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// It ended, or did not answer in time.
    #[error("`{program}` {what}; its log ends with\n{log_tail}")]
    NotReady {
        /// Which one.
        program: String,
        /// What it did instead.
        what: &'static str,
        /// The last lines of its log.
        log_tail: String,
    },
    /// A file could not be used.
    #[error("cannot use `{}`", path.display())]
    Io {
        /// Which one.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

/// Where the engines are: `REFIT_TEST_ENGINES`, else the workspace's `target/engines`.
pub fn folder() -> PathBuf {
    let default = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/engines");
    std::env::var_os("REFIT_TEST_ENGINES").map_or_else(default, PathBuf::from)
}

/// A file of the engines' folder that must be there.
fn installed(relative: &str) -> Result<PathBuf, EngineError> {
    let path = folder().join(relative);
    if path.is_file() {
        Ok(path)
    } else {
        Err(EngineError::NotInstalled { path })
    }
}

fn io_error(path: &Path) -> impl FnOnce(std::io::Error) -> EngineError {
    move |source| EngineError::Io {
        path: path.to_owned(),
        source,
    }
}
