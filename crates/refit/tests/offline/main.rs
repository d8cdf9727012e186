//! The main flow without Docker: the built `refit`, real git, the embedded store, and a registry that misbehaves on
//! request.
#![expect(clippy::unwrap_used, reason = "a test's helpers fail as the test does")]

mod bench;
mod checkout;
mod checks;
mod fixtures;
mod hostile;
mod said;

mod adopt;
mod asking;
mod back_off;
mod bad_input;
mod explained;
mod failures;
mod faults;
mod gates;
mod generated;
mod interrupted;
mod killed;
mod lease;
mod lines;
mod local;
mod mirror;
mod notes;
mod onbuild;
mod places;
mod promote;
mod provenance;
mod prune;
mod queue;
mod quick_look;
mod random_moves;
mod rebase;
mod records;
mod registries;
mod released;
mod rollback;
mod selection;
mod shapes;
mod shards;
mod tags;
mod trust;
mod verify;
mod waiting;
mod whole_path;
