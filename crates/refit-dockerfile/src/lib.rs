//! Dockerfiles as BuildKit's frontend reads them, without ever touching a network, a disk or an engine.
//!
//! [`parse`] makes instructions with byte spans of a text, [`resolve`] tells for a target, a platform and build
//! arguments what the build depends on, and [`reduce`] gives the text that an engine gets: unreachable stages removed,
//! every reference pinned.
//!
//! ```
//! use std::collections::BTreeMap;
//! use refit_oci::Platform;
//!
//! let file = refit_dockerfile::parse("ARG V=12\nFROM debian:$V\nRUN true\n")?;
//! let resolved = refit_dockerfile::resolve(&file, &refit_dockerfile::Settings {
//!     target: None,
//!     platform: &Platform::linux_arm64(),
//!     build_platform: &Platform::linux_amd64(),
//!     build_args: &BTreeMap::from([("V".to_owned(), "13".to_owned())]),
//!     contexts: &BTreeMap::new(),
//! })?;
//! assert_eq!(resolved.found[0].source.to_string(), "docker.io/library/debian:13");
//! let pinned = refit_dockerfile::reduce(&file, &resolved, &|_| Some("debian@sha256:1f3c".to_owned()));
//! assert_eq!(pinned, "ARG V=12\nFROM debian@sha256:1f3c\nRUN true\n");
//! # Ok::<(), refit_dockerfile::SyntaxError>(())
//! ```

mod detect;
mod directives;
pub mod duration;
mod error;
pub mod expand;
mod flags;
mod heredoc;
mod instruction;
mod lines;
mod model;
mod mount;
mod parse;
mod port;
mod reduce;
mod requirements;
mod resolve;
mod secrets;
mod shape;
mod suggest;
mod windows_path;
mod words;

pub use detect::{is_parsed_template, is_template, looks_like_dockerfile};
pub use error::SyntaxError;
pub use heredoc::Heredoc;
pub use model::{
    Arg, Args, Dockerfile, Flag, FromLine, Instruction, Keyword, Pair, Spanned, Stage, Transfer,
    TransferSource, Trigger,
};
pub use mount::{Mount, MountField};
pub use parse::parse;
pub use port::{PortError, exposed_ports};
pub use reduce::reduce;
pub use requirements::{Feature, Requirement, requirements};
pub use resolve::{
    ContextInput, Execution, Found, FoundSource, GlobalScope, Kind, Link, NamedContext, Remote,
    RemoteSource, RequiredInput, Resolved, Settings, Source, StageBase, StageView, on_build,
    remote, resolve, resolve_with_triggers,
};
pub use secrets::{SecretMount, secret_mounts};
pub use windows_path::{WindowsPathError, windows_path, windows_slashes};
