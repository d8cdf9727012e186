//! One trait over a registry (HTTP), an OCI layout (the embedded store) and, for local engines, a loopback server over
//! both.
//!
//! [`Registries`] routes a host to what serves it. The environment is never read here: credentials come from the
//! [sources](credentials) that [`Settings`] name (only the HTTP client itself honours the usual proxy variables).
//!
//! ```
//! use refit_registry::{EMBEDDED_HOST, Head, Registries, Settings};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! let registries = Registries::new(Settings {
//!     embedded: Some(folder.path().join("store")),
//!     ..Settings::default()
//! });
//! let store = registries.registry(EMBEDDED_HOST);
//! assert_eq!(store.head(&"refit.local/web:latest".parse()?).await?, Head::Missing);
//! assert_eq!(registries.requests().head, 0); // a layout is no network
//! # Ok(())
//! # }
//! ```

mod blocks;
pub mod contents;
mod copy;
pub mod credentials;
mod error;
mod http;
mod layout;
pub mod loopback;
mod mirrors;
mod planned;
mod pushed;
mod referrers;
mod registries;
mod registry;
mod settings;
mod spool;
mod verify;
mod words;

pub use copy::{Place, copy_blob, copy_image, copy_new_blob, copy_once};
pub use credentials::{BasicLogin, CredentialSources, Login};
pub use error::RegistryError;
pub use http::{Downloads, file_name};
pub use layout::Layout;
pub use mirrors::{Mirror, MirrorError};
pub use referrers::referrers_tag;
pub use registries::{EMBEDDED_HOST, Registries, Requests};
pub use registry::{
    BlobFile, BlobSource, Collect, DOCUMENT_LIMIT, Deleted, Garbage, Head, Registry, Uploaded,
};
pub use settings::{CONCURRENCY, HostSettings, Patience, Settings};

use std::sync::{Mutex, MutexGuard, PoisonError};

/// A lock whose data is consistent after every statement, so a panic elsewhere does not spoil it.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
