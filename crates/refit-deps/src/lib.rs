//! The base-image dependency resolver: what each image of a repository is built on, and which targets are stale.
//!
//! Everything here is a pure function of its arguments: no I/O, no clock, no environment. What the resolver lacks
//! (a tag's digest, a manifest, a Dockerfile at a commit) it names in [`observe::Needs`], and the caller comes back
//! with it.

pub mod adopt;
pub mod check;
pub mod config;
pub mod content;
pub mod edges;
mod glob;
pub mod graph;
pub mod image;
pub mod inventory;
pub mod key;
pub mod lineage;
pub mod mirror;
pub mod names;
pub mod observe;
pub mod outdated;
pub mod packages;
pub mod pin;
pub mod plan;
pub mod policy;
pub mod problem;
pub mod prune;
pub mod publication;
pub mod reason;
pub mod record;
pub mod scan;
pub mod sentence;
pub mod source;

pub use glob::glob_matches;
