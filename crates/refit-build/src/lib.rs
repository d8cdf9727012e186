//! Patch rebuilder: engines that turn a recipe into layers and a config.

pub mod apply;
pub mod buildkit;
mod check;
mod connection;
pub mod docker;
pub mod engine;
pub mod native;
pub mod nodes;
pub mod rebase;
pub mod sign;
