//! One trait over a registry (HTTP), an OCI layout (the embedded store) and, for local engines, a loopback server over
//! both.
//!
//! [`Registries`] routes a host to what serves it. The environment is never read here: credentials come from the
//! folder that [`Settings`] names (only the HTTP client itself honours the usual proxy variables).

mod blocks;
mod copy;
mod credentials;
mod error;
mod http;
mod layout;
pub mod loopback;
mod registries;
mod registry;
mod settings;
mod verify;

pub use copy::{Place, copy_blob, copy_image};
pub use error::RegistryError;
pub use layout::Layout;
pub use registries::{EMBEDDED_HOST, Registries, Requests};
pub use registry::{BlobFile, BlobSource, DOCUMENT_LIMIT, Deleted, Head, Registry, Uploaded};
pub use settings::{HostSettings, Patience, Settings};
