//! refit-testkit

pub mod engines;
