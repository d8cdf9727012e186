//! The vocabulary of the OCI specifications, and git's object id, as types that parse at the door.
//!
//! Nothing here touches a network, a disk or a clock.
//!
//! ```
//! use refit_oci::Reference;
//!
//! let reference: Reference = "debian:12-slim".parse()?;
//! assert_eq!(reference.to_string(), "docker.io/library/debian:12-slim");
//! assert_eq!(reference.familiar(), "debian:12-slim");
//! # Ok::<(), refit_oci::ReferenceError>(())
//! ```

pub mod annotations;
mod config;
mod descriptor;
mod digest;
mod document;
pub mod media_type;
mod object_id;
mod platform;
mod reference;
mod repository;
mod tag;

pub use config::{Config, History, ImageConfig, RootFs};
pub use descriptor::Descriptor;
pub use digest::{Digest, DigestError};
pub use document::{Document, DocumentError, Exact, Index, Manifest};
pub use object_id::{ObjectId, ObjectIdError};
pub use platform::{Platform, PlatformError};
pub use reference::{Reference, ReferenceError};
pub use repository::Repository;
pub use tag::{Tag, TagError};
