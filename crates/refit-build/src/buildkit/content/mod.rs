//! containerd's content service on a session: BuildKit reads bases and layer caches there, and writes what it makes.
//!
//! BuildKit's client serves OCI layouts that way (`oci-layout://`), and has the exporters `oci` and `local` write to them.
//! A store is named in the requests' metadata.

mod messages;
mod methods;
mod service;
#[cfg(test)]
mod tests;

pub(super) use service::ContentServer;

/// All that BuildKit may call.
pub(super) const METHODS: [&str; 5] = [
    "/containerd.services.content.v1.Content/Info",
    "/containerd.services.content.v1.Content/Read",
    "/containerd.services.content.v1.Content/Write",
    "/containerd.services.content.v1.Content/Status",
    "/containerd.services.content.v1.Content/Abort",
];
