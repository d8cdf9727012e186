//! The context packer against moby's rules, real git, real tar and real zstd.

#![expect(
    clippy::unwrap_used,
    reason = "a test says by stopping what it did not expect"
)]

mod dirty;
mod git;
mod ignore;
mod layer;
mod linear;
mod listing;
mod packing;
mod tars;
