//! The context packer: what a Dockerfile may copy, listed, narrowed and packed to the same bytes everywhere.
//!
//! Also the layer side of the same coin: deterministic layers out, untrusted layers in.
//!
//! ```
//! use refit_context::Ignore;
//!
//! let (ignore, problems) = Ignore::parse("target\n!target/keep\n");
//! assert!(problems.is_empty());
//! assert!(ignore.excludes("target/debug/app"));
//! assert!(!ignore.excludes("target/keep"));
//! ```

mod location;

pub mod glob;
mod go_path;
mod ignore;
mod ignore_file;

mod entry;
mod list;
mod on_disk;
mod select;

mod tar_entry;
mod tar_reader;
mod tar_writer;

mod gzip;
mod hashing;
mod pack;

mod layer;
mod open;
mod windows_layer;

pub use entry::{ContextEntry, EntryKind};
pub use gzip::gzip_deterministic;
pub use ignore::{Ignore, Problem};
pub use ignore_file::{IgnoreFile, ignore_candidates, ignore_file};
pub use layer::{Layer, LayerWriter};
pub use list::{list, list_seen};
pub use location::{ContextError, Location};
pub use open::{Compression, LayerError, open_archive, open_layer};
pub use pack::{Packed, pack, with_files};
pub use select::select;
pub use tar_entry::{TarEntry, TarError, TarKind, safe_path};
pub use tar_reader::read_tar;
pub use tar_writer::TarWriter;
pub use windows_layer::windows_files;
