//! The whole path as a user walks it: the built `refit`, real Docker Engines, the real docker-registry, git and skopeo.

mod bench;
mod clones;
mod embedded;
mod failures;
mod hub;
mod interrupted;
mod lineage;
mod lines;
mod races;
mod releases;
mod said;
mod sources;
mod story;
