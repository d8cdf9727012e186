//! The whole path as a user walks it: the built `refit`, real Docker Engines, the real docker-registry, git and skopeo.
#![expect(clippy::unwrap_used, reason = "a test's helpers fail as the test does")]

mod adopted;
mod bench;
mod buildkit;
mod classic;
mod clones;
mod embedded;
mod ended;
mod failures;
mod hub;
mod interrupted;
mod lineage;
mod lines;
mod mirror;
mod nodes;
mod packages;
mod races;
mod relay;
mod releases;
mod said;
mod scanned;
mod secrets;
mod sources;
mod ssh;
mod story;
