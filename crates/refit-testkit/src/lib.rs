//! refit-testkit

pub mod engines;
pub mod registry;
