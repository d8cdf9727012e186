//! One git repository: its trees, index, filters and configuration, and the notes that remember how images were made.
//!
//! Reading goes through the `gix` library; `git` itself runs only to fetch, to push and to write configuration.
//! Notes are opaque lines here: this crate knows nothing of what a record says.
//!
//! ```no_run
//! use refit_git::{Head, Repo};
//!
//! let repo = Repo::discover(".".as_ref())?;
//! if let Head::Commit { id, .. } = repo.head()? {
//!     for entry in repo.tree_under(&id, "services/web")? {
//!         println!("{} {}", entry.id.short(), entry.path);
//!     }
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod bulk;
mod checkout;
mod child;
mod config;
mod environment;
mod error;
mod fetch;
mod filter;
mod handles;
mod history;
mod id;
mod look;
pub mod notes;
mod pack;
mod promised;
mod refs;
mod repo;
mod staged;
mod status;
mod tree;
mod version;

pub use checkout::{Checkout, InFolder, OnDisk};
pub use child::ChildError;
pub use config::ConfigError;
pub use environment::Environment;
pub use error::GitError;
pub use fetch::FetchError;
pub use filter::FilterError;
pub use look::is_executable;
pub use refs::{Head, RevError};
pub use repo::{OpenError, Repo};
pub use status::{Change, ChangeKind};
pub use tree::{Entry, Mode};
pub use version::git_version;
