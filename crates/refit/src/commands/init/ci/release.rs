//! Where CI gets refit, and by which digest it knows it.

use std::fs;

use sha2::{Digest as _, Sha256};

/// Where `vVERSION/refit-VERSION-TARGET` and `vVERSION/SHA256SUMS` are: what a release was built with. A build that is
/// none knows no such place, and CI needs the variable `REFIT_RELEASES`.
const RELEASES: Option<&str> = option_env!("REFIT_RELEASES");

/// What is released.
#[derive(Clone, Debug, Default)]
pub(super) struct Release {
    pub(super) url: Option<&'static str>,
    /// The SHA-256 of the executable for amd64, where it is this one.
    pub(super) sum_amd64: String,
    /// The same for arm64.
    pub(super) sum_arm64: String,
}

impl Release {
    /// This program's own.
    pub(super) fn current() -> Self {
        let url = RELEASES.filter(|url| !url.is_empty());
        let mut release = Self {
            url,
            ..Self::default()
        };
        let is_release = url.is_some() && cfg!(all(target_os = "linux", target_env = "musl"));
        if is_release && let Ok(bytes) = std::env::current_exe().and_then(fs::read) {
            let sum = hex::encode(Sha256::digest(&bytes));
            if cfg!(target_arch = "x86_64") {
                release.sum_amd64 = sum;
            } else if cfg!(target_arch = "aarch64") {
                release.sum_arm64 = sum;
            }
        }
        release
    }

    /// What the shell steps are filled with.
    pub(super) fn values(&self, keep_path: &str) -> Vec<(&'static str, String)> {
        vec![
            ("SUM_AMD64", self.sum_amd64.clone()),
            ("SUM_ARM64", self.sum_arm64.clone()),
            ("KEEP_PATH", keep_path.to_owned()),
        ]
    }

    /// The line of a shell that says where releases are, unless a variable does.
    pub(super) fn shell(&self) -> String {
        format!(
            "REFIT_RELEASES=\"${{REFIT_RELEASES:-{}}}\"",
            self.url.unwrap_or_default()
        )
    }
}
