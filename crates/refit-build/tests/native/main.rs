//! The native engine over hand-made bases in an OCI layout; the results are read with the real `tar`.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod config;
mod destinations;
mod differential;
mod errors;
mod fetch;
mod fixture;
mod identity;
mod layers;
mod peers;
mod rebase;
mod stages;
mod windows;
