//! Whole inventories through the resolver: scenario files, and what only several modules together can get wrong.
#![expect(clippy::unwrap_used, reason = "a test says what it expects")]

mod apply;
mod format;
mod inventory;
mod large;
mod linear;
mod outcome;
mod properties;
mod scale;
mod scenarios;
mod world;
