//! For tests only: a registry with scripted faults, and private engines with bases to build on.

pub mod engines;
pub mod registry;
pub mod tls;
