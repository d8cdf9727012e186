//! What the files of all systems are made from.

use std::collections::{BTreeMap, BTreeSet};

use refit_deps::image::{EMBEDDED_HOST, EngineChoice, Image, SecretSource};
use refit_oci::Platform;

use super::{release::Release, text};
use crate::{
    error::CommandError,
    project::{Project, Snapshot},
    ui::sentence_list,
};

/// When sweeps run unless something says otherwise.
const SCHEDULE: &str = "0 4 * * *";

/// What a repository says of its CI.
#[derive(Debug)]
pub(super) struct Facts {
    /// Names and globs of the swept branches.
    pub(super) branches: Vec<String>,
    /// The default branch.
    pub(super) default_branch: String,
    /// Cron expressions, in UTC.
    pub(super) schedule: Vec<String>,
    /// The labels of the runner, if the configuration gives any.
    pub(super) runner: Option<Vec<String>>,
    /// The platforms of other runners that the configuration names.
    idle_runners: Vec<String>,
    /// Registries that are pushed to.
    pub(super) hosts: BTreeSet<String>,
    /// Variables that builds read secrets from.
    pub(super) secrets: BTreeSet<String>,
    /// Whether the configuration names commands of its own.
    pub(super) has_commands: bool,
    /// Whether something may be executed on a processor that the runner does not have.
    pub(super) emulates: bool,
    pub(super) release: Release,
}

impl Facts {
    pub(super) fn of(
        project: &Project,
        snapshot: &Snapshot,
        schedule: &[String],
    ) -> Result<Self, CommandError> {
        let inventory = &snapshot.inventory;
        let images: Vec<&Image> = inventory.images.iter().collect();
        let hosts: BTreeSet<String> = images
            .iter()
            .flat_map(|image| &image.destinations)
            .map(|repository| repository.registry().to_owned())
            .filter(|host| host != EMBEDDED_HOST)
            .collect();
        if hosts.is_empty() {
            let error = CommandError::new(
                "CI has nowhere to push to: `.config/refit.toml` names no registry",
            );
            return Err(error.hint(
                "set `push-to = [\"HOST/NAMESPACE\"]` there, and run `refit init --ci` again",
            ));
        }
        let default_branch = match project.repo.default_branch()? {
            Some(branch) => branch,
            None => project.current_line()?,
        };
        let branches = match inventory.sweep.branches.as_slice() {
            [] => vec![default_branch.clone()],
            branches => branches.to_vec(),
        };
        let configured = inventory.sweep.schedule.iter().map(|c| c.get_ref().clone());
        let schedule = match (schedule, configured.collect::<Vec<_>>()) {
            ([], configured) if configured.is_empty() => vec![SCHEDULE.to_owned()],
            ([], configured) => configured,
            (given, _) => given.to_vec(),
        };
        let runners = &inventory.ci.runners;
        let chosen = chosen(runners);
        let idle = runners
            .keys()
            .filter(|platform| chosen.is_some_and(|(other, _)| other != *platform));
        let secrets = images.iter().flat_map(|image| image.secrets.values());
        let secrets = secrets.filter_map(|source| match source {
            SecretSource::Env(name) => Some(name.clone()),
            SecretSource::File(_) => None,
        });
        let executing = images.iter().filter(|i| i.engine != EngineChoice::Native);
        let mut executed_on = executing.flat_map(|image| &image.platforms);
        Ok(Self {
            branches,
            default_branch,
            schedule,
            runner: chosen.map(|(_, labels)| labels.clone()),
            idle_runners: idle.map(ToString::to_string).collect(),
            hosts,
            secrets: secrets.collect(),
            has_commands: images.iter().any(|image| !image.stale_when.is_empty()),
            emulates: executed_on.any(|p| p.architecture != "amd64"),
            release: Release::current(),
        })
    }

    /// What the configuration asks for and does not get.
    pub(super) fn warnings(&self) -> Option<String> {
        let [_, ..] = self.idle_runners.as_slice() else {
            return None;
        };
        Some(format!(
            "a run builds all platforms on one runner: those for {} in `[ci.runners]` are not used",
            sentence_list(&self.idle_runners)
        ))
    }

    /// The branches, as a YAML flow sequence has them.
    pub(super) fn branch_list(&self) -> String {
        text::quoted_list(&self.branches)
    }
}

/// The runner that builds: the one for `linux/amd64`, else the first.
fn chosen(runners: &BTreeMap<Platform, Vec<String>>) -> Option<(&Platform, &Vec<String>)> {
    runners
        .get_key_value(&Platform::linux_amd64())
        .or_else(|| runners.first_key_value())
}

/// The part of a variable's name that stands for a registry: `registry.example.com` is `REGISTRY_EXAMPLE_COM`.
pub(super) fn slug(host: &str) -> String {
    let word = |c: char| match c {
        c if c.is_ascii_alphanumeric() => c.to_ascii_uppercase(),
        _ => '_',
    };
    host.chars().map(word).collect()
}
