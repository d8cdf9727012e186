//! Staging keys: the tag under which a finished target lies, whoever built it.

use std::{fmt, sync::Arc};

use refit_dockerfile::{Dockerfile, Requirement, Resolved, requirements};
use refit_oci::{Digest, Platform, Reference, Repository};
use serde::Serialize;

use crate::{
    image::{EngineChoice, Executor, Image},
    pin::Pin,
    problem::Problem,
    source::SourceId,
};

/// Which engine builds, and how it writes layers: part of the key, never a reason to rebuild.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum EngineKind {
    /// Docker Engine's API.
    Docker,
    /// BuildKit's own API.
    BuildKit,
    /// No daemon.
    Native,
}

impl EngineKind {
    /// The word in records and keys.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Docker => "docker",
            Self::BuildKit => "buildkit",
            Self::Native => "native",
        }
    }

    /// The engine of that word; none for what another version, or another tool, calls so.
    pub fn of(word: &str) -> Option<Self> {
        let all = [Self::Docker, Self::BuildKit, Self::Native];
        all.into_iter().find(|kind| kind.as_str() == word)
    }
}

/// An engine, and what decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chosen {
    /// Who builds.
    pub kind: EngineKind,
    /// Why not another.
    pub because: Because,
}

/// What decided which engine builds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Because {
    /// The configuration names it.
    Named,
    /// Nothing executes and nothing but images is fetched, which takes no daemon.
    NothingExecutes,
    /// The Dockerfile asks for something that takes one.
    Asked(Box<Asked>),
}

/// What a Dockerfile asks for that takes an engine.
#[derive(Clone, PartialEq, Eq)]
pub struct Asked {
    dockerfile: String,
    file: Arc<Dockerfile>,
    what: Requirement,
}

impl Asked {
    /// What, and where.
    pub fn problem(&self) -> Problem {
        let Requirement { feature, span, .. } = &self.what;
        Problem::at(
            &self.dockerfile,
            &self.file.text,
            span.clone(),
            feature.as_str(),
        )
    }
}

impl fmt::Debug for Asked {
    /// Without the whole file.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.problem().fmt(f)
    }
}

impl Chosen {
    /// The engine that builds a Dockerfile: `auto` takes the native one where nothing executes and nothing but
    /// images is fetched.
    pub fn of(choice: EngineChoice, image: &Image, resolved: &Resolved) -> Self {
        let named = |kind| Self {
            kind,
            because: Because::Named,
        };
        let executor = match choice {
            EngineChoice::Docker => return named(EngineKind::Docker),
            EngineChoice::BuildKit => return named(EngineKind::BuildKit),
            EngineChoice::Native => return named(EngineKind::Native),
            EngineChoice::Auto(executor) => executor,
        };
        let asked = image.file.iter().find_map(|file| {
            let all = requirements(file, resolved);
            let what = all.into_iter().find(|r| r.feature.executes_or_fetches())?;
            Some(Asked {
                dockerfile: image.dockerfile.clone(),
                file: Arc::clone(file),
                what,
            })
        });
        match asked {
            Some(asked) => Self {
                kind: executor.kind(),
                because: Because::Asked(Box::new(asked)),
            },
            None => Self {
                kind: EngineKind::Native,
                because: Because::NothingExecutes,
            },
        }
    }
}

impl Executor {
    /// The engine.
    pub fn kind(self) -> EngineKind {
        match self {
            Self::Docker => EngineKind::Docker,
            Self::BuildKit => EngineKind::BuildKit,
        }
    }
}

/// All that a key is made of.
#[derive(Clone, Copy, Debug)]
pub struct Key<'a> {
    /// What of ours goes in.
    pub source: &'a SourceId,
    /// Who builds.
    pub engine: EngineKind,
    /// `gzip`.
    pub layer_format: &'a str,
    /// What it is built on, all resolved.
    pub pins: &'a [Pin],
    /// For what.
    pub platform: &'a Platform,
    /// For forced builds: the manifest that is replaced, else an equal result would be found at once.
    pub replaces: Option<&'a Digest>,
    /// For what may not be what a rebuild comes to: the manifest whose layers are put on another base.
    pub rebased: Option<&'a Digest>,
}

impl Key<'_> {
    /// The tag: `refit-` and the digest's 64 hex digits.
    pub fn tag(&self) -> String {
        let mut pins: Vec<String> = self
            .pins
            .iter()
            .map(|p| line(("pin", &p.reference, &p.platform, &p.manifest)))
            .collect();
        pins.sort();
        pins.dedup();
        let mut text = line(("refit-staging", 1));
        text += &line(("source", self.source));
        text += &line(("engine", self.engine.as_str(), self.layer_format));
        text += &line(("platform", self.platform));
        text.extend(pins);
        if let Some(replaces) = self.replaces {
            text += &line(("replaces", replaces));
        }
        if let Some(rebased) = self.rebased {
            text += &line(("rebased", rebased));
        }
        format!("refit-{}", Digest::sha256(text.as_bytes()).hex())
    }

    /// The staging tag in a repository.
    pub fn reference(&self, repository: &Repository) -> Reference {
        repository
            .tagged(&self.tag())
            .expect("hex digits are a valid tag")
    }
}

/// A JSON array on a line of its own.
fn line(values: impl Serialize) -> String {
    let mut line = serde_json::to_string(&values).expect("texts and numbers are JSON");
    line.push('\n');
    line
}
