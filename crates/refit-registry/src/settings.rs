//! What a caller decides about registries: which hosts are served how, where credentials are, how patient to be.

use std::{collections::BTreeMap, num::NonZeroUsize, path::PathBuf, time::Duration};

use crate::{CredentialSources, Mirror};

/// Everything that [`Registries`](crate::Registries) needs to know.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// By registry host (`docker.io`, `registry.example.com:5000`).
    pub hosts: BTreeMap<String, HostSettings>,
    /// The OCI layout behind [`EMBEDDED_HOST`](crate::EMBEDDED_HOST); made by the first push to it.
    pub embedded: Option<PathBuf>,
    /// Where credentials are looked for; without any, everything is anonymous.
    pub credentials: CredentialSources,
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
    /// Take any certificate: whoever is in between can read what is sent, the credential too, and forge what tags are.
    pub insecure: bool,
    /// Requests at the same time; none: [`CONCURRENCY`].
    pub concurrency: Option<NonZeroUsize>,
    /// Asked first, in this order, for what a digest names.
    pub mirrors: Vec<Mirror>,
    /// Whether mirrors are asked for tags as well.
    pub mirror_tags: bool,
}

/// Requests to one host at the same time, unless its settings say otherwise; more only queue up at its front door.
pub const CONCURRENCY: NonZeroUsize = NonZeroUsize::new(16).expect("16 is not 0");

/// Timeouts and retries.
#[derive(Clone, Debug)]
pub struct Patience {
    /// How often a request is sent at most, the first time included.
    pub attempts: u32,
    /// The pause before the second attempt; it doubles each time, and jitter takes up to half of it away.
    pub pause: Duration,
    /// The longest pause, and the longest `Retry-After` that is waited for.
    pub longest_pause: Duration,
    /// How long all pauses of one operation may take together; a download that gets on has it again.
    pub longest_wait: Duration,
    /// For a connection to be made.
    pub connect_timeout: Duration,
    /// For the next bytes of an answer.
    pub read_timeout: Duration,
}

impl Patience {
    /// For somebody who waits no longer than `budget`: in less than a second, no second attempt is worth making.
    pub fn within(budget: Duration) -> Self {
        Self {
            attempts: if budget < Duration::from_secs(1) {
                1
            } else {
                2
            },
            connect_timeout: budget,
            ..Self::default()
        }
    }
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            attempts: 5,
            pause: Duration::from_millis(500),
            longest_pause: Duration::from_mins(1),
            longest_wait: Duration::from_mins(3),
            connect_timeout: Duration::from_secs(10),
            read_timeout: Duration::from_mins(1),
        }
    }
}
