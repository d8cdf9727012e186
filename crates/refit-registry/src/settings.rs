//! What a caller decides about registries: which hosts are served how, where credentials are, how patient to be.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

/// Everything that [`Registries`](crate::Registries) needs to know.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// By registry host (`docker.io`, `registry.example.com:5000`).
    pub hosts: BTreeMap<String, HostSettings>,
    /// The OCI layout behind [`EMBEDDED_HOST`](crate::EMBEDDED_HOST); made by the first push to it.
    pub embedded: Option<PathBuf>,
    /// The folder with Docker's `config.json`; none: everything is anonymous.
    pub docker_config_dir: Option<PathBuf>,
    /// Where blobs are spooled while they are verified; none: the system's temporary folder.
    pub spool_dir: Option<PathBuf>,
    /// Timeouts and retries.
    pub patience: Patience,
}

/// How one host is served.
#[derive(Clone, Debug, Default)]
pub struct HostSettings {
    /// HTTP instead of HTTPS; none: only for loopback hosts, as Docker does.
    pub plain_http: Option<bool>,
    /// An OCI layout folder that stands for the host: it answers instead of the network.
    pub layout: Option<PathBuf>,
    /// A PEM file of certificate authorities trusted beside the system's.
    pub ca: Option<PathBuf>,
}

/// Timeouts and retries.
#[derive(Clone, Debug)]
pub struct Patience {
    /// How often a request is sent at most, the first time included.
    pub attempts: u32,
    /// The pause before the second attempt; it doubles each time, and jitter takes up to half of it away.
    pub pause: Duration,
    /// The longest pause, and the longest `Retry-After` that is waited for.
    pub longest_pause: Duration,
    /// For a connection to be made.
    pub connect_timeout: Duration,
    /// For the next bytes of an answer.
    pub read_timeout: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            attempts: 5,
            pause: Duration::from_millis(500),
            longest_pause: Duration::from_mins(1),
            connect_timeout: Duration::from_secs(10),
            read_timeout: Duration::from_mins(1),
        }
    }
}
