//! What the files of all systems are made from.

use std::collections::{BTreeMap, BTreeSet};

use refit_deps::{
    config::CiKeys,
    graph::{Graph, Node},
    image::{EMBEDDED_HOST, EngineChoice, Image, SecretSource},
};
use refit_oci::Platform;

use super::{release::Release, text};
use crate::{
    error::CommandError,
    project::{Project, Snapshot},
    ui::sentence_list,
};

/// When sweeps run unless something says otherwise.
const SCHEDULE: &str = "0 4 * * *";

/// How many waves of jobs there are at most: each waits for the slowest of the one before, and for machines. What is
/// built deeper is part of the last.
const MOST_WAVES: usize = 4;

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
    /// The platforms of other runners that the configuration names: only shards are built there.
    other_runners: Vec<String>,
    /// How sweeps are spread over jobs; none: one job does it all.
    pub(super) shards: Option<Shards>,
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

/// How sweeps are spread over jobs.
#[derive(Debug)]
pub(super) struct Shards {
    /// How many jobs a wave has at most.
    pub(super) n: usize,
    /// How many waves of jobs there are.
    pub(super) waves: usize,
    /// The runners: the platform and the labels. Empty: the system's own.
    pub(super) runners: BTreeMap<Platform, Vec<String>>,
}

impl Shards {
    /// The lines of a shell that make the plan, for no more jobs than `most` in all.
    pub(super) fn planned(&self, most: usize) -> String {
        let shards = self.n.min(most / self.waves).max(self.runners.len());
        let values = [("N", shards.to_string()), ("WAVES", self.waves.to_string())];
        text::fill(include_str!("templates/planned.sh"), &values)
    }
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
            other_runners: idle.map(ToString::to_string).collect(),
            shards: shards(&inventory.ci, &snapshot.graph)?,
            hosts,
            secrets: secrets.collect(),
            has_commands: images.iter().any(|image| {
                let commands = [&image.stale_when, &image.prepare, &image.test];
                commands.iter().any(|command| !command.is_empty())
            }),
            emulates: executed_on.any(|p| p.architecture != "amd64"),
            release: Release::current(),
        })
    }

    /// What the configuration asks for and does not get.
    pub(super) fn warnings(&self) -> Option<String> {
        let [_, ..] = self.other_runners.as_slice() else {
            return None;
        };
        Some(format!(
            "a release builds all platforms on one runner: those for {} in `[ci.runners]` are used by sweeps only",
            sentence_list(&self.other_runners)
        ))
    }

    /// What lets the configuration's own commands run.
    pub(super) fn trust(&self) -> Vec<String> {
        let why = "whoever may change a swept branch may run commands here in any case";
        let line = || format!("          REFIT_TRUST: \"1\" # {why}");
        self.has_commands.then(line).into_iter().collect()
    }

    /// What builds may read, each as `secret` has it, and what lets the configuration's own commands run.
    pub(super) fn secrets_and_trust(&self, secret: fn(&str) -> String) -> Vec<String> {
        let mut lines: Vec<String> = self.secrets.iter().map(|name| secret(name)).collect();
        lines.extend(self.trust());
        lines
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

/// Sweeps are spread where the configuration says so, and where it names more than one runner.
fn shards(ci: &CiKeys, graph: &Graph) -> Result<Option<Shards>, CommandError> {
    let n_runners = ci.runners.len().max(1);
    let n = match ci.shards {
        None if n_runners == 1 => return Ok(None),
        None => n_runners,
        Some(n) if n < n_runners => {
            let error = CommandError::new(format!(
                "`[ci] shards` is {n}, and `[ci.runners]` names {n_runners} runners"
            ));
            return Err(error.hint("each runner takes a shard of its own at least"));
        }
        Some(n) => n,
    };
    Ok(Some(Shards {
        n,
        waves: longest_chain(graph).min(MOST_WAVES),
        runners: ci.runners.clone(),
    }))
}

/// How many images are built on each other at most, itself counted. Those of a cycle are never built.
fn longest_chain(graph: &Graph) -> usize {
    let mut parents: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for edge in &graph.edges {
        if let Node::Image(parent) = &edge.to {
            parents.entry(&edge.from).or_default().insert(parent);
        }
    }
    let mut below: BTreeSet<&str> = parents.values().flatten().copied().collect();
    let mut n = 1;
    // Each round goes one image further down; of a cycle there is no end.
    while !below.is_empty() && n <= MOST_WAVES {
        n += 1;
        let next = below.iter().filter_map(|image| parents.get(image));
        below = next.flatten().copied().collect();
    }
    n
}

/// The part of a variable's name that stands for a registry: `registry.example.com` is `REGISTRY_EXAMPLE_COM`.
pub(super) fn slug(host: &str) -> String {
    let word = |c: char| match c {
        c if c.is_ascii_alphanumeric() => c.to_ascii_uppercase(),
        _ => '_',
    };
    host.chars().map(word).collect()
}
