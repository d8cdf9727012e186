//! Builds against real engines and registries.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod buildkit;
mod docker;
