//! `[policy]`: what a repository asks of the images that it builds on, and what breaks it where.

mod bases;
mod written;

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

use refit_dockerfile::{Found, FoundSource};
use refit_oci::{Platform, Reference};
use toml::Spanned;

use crate::{
    config::{CONFIG_PATH, PolicyKeys},
    edges::Edges,
    image::Image,
    inventory::Inventory,
    observe::{Ground, Lookup, Resolved},
    problem::Problem,
    scan::Scans,
};

/// One rule; its name is its key in `[policy]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// Images come from these registries.
    Registries,
    /// Images of these registries are written with a digest.
    Pinned,
    /// No image is taken by such a tag.
    ForbiddenTags,
    /// A base offers these platforms.
    Platforms,
    /// A base is younger than that.
    MaxAge,
    /// No build argument is named like a secret: its value stays in the image's history.
    NoSecretBuildArgs,
}

impl Rule {
    /// All rules.
    pub const ALL: [Self; 6] = [
        Self::Registries,
        Self::Pinned,
        Self::ForbiddenTags,
        Self::Platforms,
        Self::MaxAge,
        Self::NoSecretBuildArgs,
    ];

    /// Its key.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Registries => "registries",
            Self::Pinned => "pinned",
            Self::ForbiddenTags => "forbidden-tags",
            Self::Platforms => "platforms",
            Self::MaxAge => "max-age",
            Self::NoSecretBuildArgs => "no-secret-build-args",
        }
    }
}

/// Where a rule is broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The rule.
    pub rule: Rule,
    /// It is told, and stops nothing.
    pub warns: bool,
    /// What is wrong, and where.
    pub problem: Problem,
}

/// The policy of a repository.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    /// As it is written.
    pub keys: PolicyKeys,
    /// Build arguments of the configuration that are named like secrets.
    secret_build_args: Vec<Problem>,
}

impl Policy {
    /// The policy of a configuration, with the names of its build arguments.
    pub(crate) fn new(keys: PolicyKeys, build_args: &[Spanned<String>], text: &str) -> Self {
        let secret = |name| written::of_config(CONFIG_PATH, text, name);
        Self {
            keys,
            secret_build_args: build_args.iter().filter_map(secret).collect(),
        }
    }

    /// Whether a registry has to be asked to tell whether it holds.
    pub fn asks_registries(&self) -> bool {
        !self.keys.platforms.is_empty() || self.keys.max_age.is_some()
    }

    fn warns(&self, rule: Rule) -> bool {
        let mut warn = self.keys.warn.iter();
        warn.any(|name| name.get_ref() == rule.as_str())
    }
}

/// What the files alone tell, sorted by place.
pub fn written(inventory: &Inventory, scans: &Scans, edges: &Edges) -> Vec<Finding> {
    let mut findings = Findings::new(&inventory.policy);
    written::find(inventory, scans, edges, &mut findings);
    findings.sorted()
}

/// What the registries tell of the bases.
#[derive(Clone, Debug, Default)]
pub struct OfBases {
    /// Sorted by place.
    pub findings: Vec<Finding>,
    /// Bases of which they do not tell what the rules ask for, and why.
    pub unknown: BTreeMap<Reference, String>,
}

/// Looks at the bases that are `wanted`.
pub fn of_bases(ground: &Ground<'_>, wanted: &dyn Fn(&Image, &Found) -> bool) -> Resolved<OfBases> {
    let lookup = Lookup::new(ground);
    let mut findings = Findings::new(&ground.inventory.policy);
    let unknown = bases::find(&lookup, wanted, &mut findings);
    lookup.finish(OfBases {
        findings: findings.sorted(),
        unknown,
    })
}

/// What is found, each thing once: images may share a Dockerfile.
struct Findings<'p> {
    policy: &'p Policy,
    all: Vec<Finding>,
    said: BTreeSet<Said>,
}

/// File, place and message.
type Said = (String, Option<(usize, usize)>, String);

impl<'p> Findings<'p> {
    fn new(policy: &'p Policy) -> Self {
        Self {
            policy,
            all: Vec::new(),
            said: BTreeSet::new(),
        }
    }

    fn add(&mut self, rule: Rule, problem: Problem) {
        let place = (
            problem.file.clone(),
            problem.position,
            problem.message.clone(),
        );
        if self.said.insert(place) {
            self.all.push(Finding {
                rule,
                warns: self.policy.warns(rule),
                problem,
            });
        }
    }

    fn sorted(mut self) -> Vec<Finding> {
        let place = |f: &Finding| (f.problem.file.clone(), f.problem.position, f.rule);
        self.all.sort_by_key(place);
        self.all
    }
}

/// What an image takes from outside of the repository.
struct Taken<'a> {
    image: &'a Image,
    found: &'a Found,
    reference: &'a Reference,
}

impl Taken<'_> {
    /// The reference for people, its digest shortened.
    fn name(&self) -> String {
        let familiar = self.reference.familiar();
        match self.reference.digest() {
            Some(digest) => familiar.replace(digest.hex(), &format!("{}…", digest.short())),
            None => familiar,
        }
    }

    /// A problem at the place that names it; what no file names is the configuration's.
    fn problem(&self, message: String) -> Problem {
        match &self.image.file {
            Some(file) if self.found.span != (0..0) => at(
                &self.image.dockerfile,
                &file.text,
                &self.found.span,
                message,
            ),
            _ => Problem::of_file(CONFIG_PATH, message),
        }
    }
}

fn at(file: &str, text: &str, span: &Range<usize>, message: String) -> Problem {
    Problem::at(file, text, span.clone(), message)
}

/// Everything that is taken from outside, target by target.
fn taken<'a>(
    inventory: &'a Inventory,
    scans: &'a Scans,
    edges: &'a Edges,
) -> impl Iterator<Item = (Taken<'a>, &'a Platform)> {
    scans.found().filter_map(|(image, platform, found)| {
        let FoundSource::Reference(reference) = &found.source else {
            return None;
        };
        let image = inventory.image(image)?;
        let outside = edges.parent(&image.name, found).is_none();
        let taken = Taken {
            image,
            found,
            reference,
        };
        outside.then_some((taken, platform))
    })
}
