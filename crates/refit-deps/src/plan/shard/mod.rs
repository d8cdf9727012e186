//! A plan that is executed elsewhere, in shards: its file, who builds what, and what of it still holds.
//!
//! A plan file is input from outside. Nothing is built because it says so: whoever executes a part of it makes the
//! plan anew, and does what both plans have alike.

mod file;
mod fit;
mod part;
mod place;

pub use file::{
    MOST_SHARDS, Options, PinnedOn, Place, PlanFile, PlanFileError, PlannedStep, Shard,
};
pub use fit::{Fit, Unfit, fit};
pub use part::{Published, own, published};
pub use place::{Job, TooFew, jobs, place};

#[cfg(test)]
mod tests;
