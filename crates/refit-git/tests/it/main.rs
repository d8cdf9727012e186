//! What git does is compared with git itself: real repositories in temporary folders, a hermetic environment.

#![expect(
    clippy::unwrap_used,
    reason = "a fixture that can't be made fails its test"
)]

#[cfg(unix)]
mod concurrent;
mod config;
mod damage;
#[cfg(unix)]
mod exchange;
mod filter;
mod fixture;
mod history;
mod lease;
mod notes;
mod open;
mod partial;
mod refs;
mod sign;
#[cfg(unix)]
mod status;
mod tree;
