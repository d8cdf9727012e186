//! Builds against real engines and registries.

mod docker;
