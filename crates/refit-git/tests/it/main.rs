//! What git does is compared with git itself: real repositories in temporary folders, a hermetic environment.

mod concurrent;
mod config;
mod exchange;
mod filter;
mod fixture;
mod history;
mod notes;
mod open;
mod refs;
mod status;
mod tree;
