//! The main flow without Docker: the built `refit`, real git, the embedded store, and a registry that misbehaves on
//! request.

mod bench;
mod checkout;
mod fixtures;
mod said;

mod notes;
mod trust;
mod whole_path;
