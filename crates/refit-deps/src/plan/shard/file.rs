//! The file: what `sweep --dry-run --format json` prints, with the shard that builds each step.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    str::FromStr,
};

use refit_oci::{Digest, ObjectId, Platform, Reference};
use refit_platform::Target;
use serde::{Deserialize, Serialize};

use crate::source::SourceId;

/// The version of the format that is read and written.
const FORMAT_VERSION: u64 = 1;
/// How large a file may be: some fifty times the plan of 2,000 targets.
const LARGEST: usize = 128 << 20;
/// How many steps a file may have.
const MOST_STEPS: usize = 100_000;
/// How many shards, that is jobs of one wave, there may be. GitLab's `parallel: matrix` takes 200 jobs, a matrix of
/// GitHub 256, and a stage of Azure Pipelines 256 jobs in all.
pub const MOST_SHARDS: usize = 200;

/// What shards need of a plan. Fields that it does not have here are for people.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct PlanFile {
    /// How many shards each wave has at most.
    pub shards: usize,
    /// How many waves the shards work in: later ones of the plan are part of the last.
    pub waves: usize,
    /// What the sweep was asked for.
    #[serde(default)]
    pub options: Options,
    /// The lease of the sweep, which all shards hold together.
    #[serde(default)]
    pub lease: Option<String>,
    /// What is built.
    pub steps: Vec<PlannedStep>,
}

/// What the sweep was asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Options {
    /// Images by name; empty: all.
    #[serde(default)]
    pub images: Vec<String>,
    /// Only what this base changes.
    #[serde(default)]
    pub base: Option<Reference>,
    /// Rebuild although nothing changed.
    #[serde(default)]
    pub force: bool,
}

/// A step as it was planned.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct PlannedStep {
    /// What.
    #[serde(deserialize_with = "from_text")]
    pub target: Target,
    /// The line it is built for.
    pub line: String,
    /// From 1; a step's parents are in earlier waves.
    pub wave: usize,
    /// The commit whose source is built.
    pub commit: Option<ObjectId>,
    /// The source's id.
    pub source: SourceId,
    /// Who builds it, as a word.
    pub engine: String,
    /// What it is built on.
    pub pins: Vec<PinnedOn>,
    /// What the lead tag held.
    pub expects: Option<Digest>,
    /// Why, as far as it is needed.
    #[serde(default)]
    pub reasons: Vec<Because>,
    /// Who builds it.
    #[serde(default)]
    pub place: Place,
}

/// What a step is built on.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct PinnedOn {
    /// How it depends on it, as a word.
    pub kind: String,
    /// The reference in the Dockerfile.
    pub reference: Reference,
    /// The platform that is pulled.
    pub platform: Platform,
    /// The platform's manifest; none where a step makes it.
    #[serde(default)]
    pub manifest: Option<Digest>,
    /// The step whose result it is.
    #[serde(default, deserialize_with = "from_optional_text")]
    pub step: Option<Target>,
}

/// A reason's word.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Because {
    /// `base-changed`, `check-failed`…
    pub kind: String,
}

/// Who builds a step, and when; zeros: nobody yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Place {
    /// The wave of jobs, from 1.
    pub wave: usize,
    /// The shard, from 1.
    pub shard: usize,
}

/// `3/8`: the third of eight shards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    /// Which, from 1.
    pub index: usize,
    /// Of how many.
    pub of: usize,
}

/// Why a file is no plan.
#[derive(Debug, thiserror::Error)]
pub enum PlanFileError {
    /// Far beyond what a plan can be.
    #[error("it is larger than {} MiB", LARGEST >> 20)]
    TooLarge,
    /// No JSON, or a field that can't be read, with its line and column.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    /// Written by another refit.
    #[error("its format is version {0}, and this refit reads version 1")]
    Version(u64),
    /// The output of `--dry-run`, or something else.
    #[error("it has no `{0}`")]
    NoPlan(&'static str),
    /// A number that is out of bounds.
    #[error("its `{name}` is {found} (want 1 to {most})")]
    Number {
        /// The field.
        name: &'static str,
        /// What it is.
        found: usize,
        /// The largest value.
        most: usize,
    },
    /// Far more steps than any plan has.
    #[error("it has {0} steps (want at most {MOST_STEPS})")]
    TooManySteps(usize),
    /// A lease that refit never gave a plan.
    #[error("its `lease` is none of refit's")]
    Lease,
    /// What is wrong with a step.
    #[error("its step `{target}` of `{line}` {message}")]
    Step {
        /// Which.
        target: String,
        /// On which line.
        line: String,
        /// A fragment that goes on from there.
        message: String,
    },
}

/// What tells a plan from something else, before all else is looked at.
#[derive(Deserialize)]
struct Head {
    format_version: Option<u64>,
    shards: Option<serde::de::IgnoredAny>,
    steps: Option<serde::de::IgnoredAny>,
}

impl PlanFile {
    /// Reads a file.
    pub fn parse(bytes: &[u8]) -> Result<Self, PlanFileError> {
        if bytes.len() > LARGEST {
            return Err(PlanFileError::TooLarge);
        }
        let head: Head = serde_json::from_slice(bytes)?;
        match head.format_version {
            Some(FORMAT_VERSION) => {}
            Some(other) => return Err(PlanFileError::Version(other)),
            None => return Err(PlanFileError::NoPlan("format_version")),
        }
        if head.steps.is_none() {
            return Err(PlanFileError::NoPlan("steps"));
        }
        if head.shards.is_none() {
            return Err(PlanFileError::NoPlan("shards"));
        }
        let file: Self = serde_json::from_slice(bytes)?;
        file.check()?;
        Ok(file)
    }

    fn check(&self) -> Result<(), PlanFileError> {
        if self.steps.len() > MOST_STEPS {
            return Err(PlanFileError::TooManySteps(self.steps.len()));
        }
        let is_id = |id: &String| id.len() <= 64 && id.bytes().all(|b| b.is_ascii_alphanumeric());
        if !self.lease.as_ref().is_none_or(is_id) {
            return Err(PlanFileError::Lease);
        }
        within("shards", self.shards, MOST_SHARDS)?;
        within("waves", self.waves, MOST_STEPS)?;
        let mut places = BTreeMap::new();
        for step in &self.steps {
            let Place { wave, shard } = step.place;
            if !(1..=self.waves).contains(&wave) || !(1..=self.shards).contains(&shard) {
                return Err(step.wrong("has no place in a shard"));
            }
            let key = (step.line.as_str(), &step.target);
            if places.insert(key, step).is_some() {
                return Err(step.wrong("is there twice"));
            }
        }
        for step in &self.steps {
            for parent in step.parents() {
                let Some(of_parent) = places.get(&(step.line.as_str(), parent)) else {
                    return Err(step.wrong(&format!(
                        "is built on `{parent}`, which is none of its steps"
                    )));
                };
                let before = of_parent.place.wave < step.place.wave
                    || (of_parent.place == step.place && of_parent.wave < step.wave);
                if !before {
                    return Err(step.wrong(&format!(
                        "is built on `{parent}`, which is not built before it"
                    )));
                }
            }
        }
        Ok(())
    }

    /// The images of some steps, and those that they are built on within the plan.
    pub fn images_with_parents<'s>(
        &'s self,
        steps: impl Iterator<Item = &'s PlannedStep>,
    ) -> BTreeSet<String> {
        let by_target: BTreeMap<_, _> = self
            .steps
            .iter()
            .map(|step| ((step.line.as_str(), &step.target), step))
            .collect();
        let mut seen: BTreeSet<(&str, &Target)> = BTreeSet::new();
        let mut open: Vec<&PlannedStep> = steps.collect();
        while let Some(step) = open.pop() {
            if seen.insert((&step.line, &step.target)) {
                let parents = step.parents().map(|parent| (step.line.as_str(), parent));
                open.extend(parents.filter_map(|parent| by_target.get(&parent)));
            }
        }
        seen.into_iter()
            .map(|(_, target)| target.image.clone())
            .collect()
    }
}

impl PlannedStep {
    /// The steps that it is built on.
    pub fn parents(&self) -> impl Iterator<Item = &Target> {
        self.pins.iter().filter_map(|pin| pin.step.as_ref())
    }

    fn wrong(&self, message: &str) -> PlanFileError {
        PlanFileError::Step {
            target: self.target.to_string(),
            line: self.line.clone(),
            message: message.to_owned(),
        }
    }
}

fn within(name: &'static str, found: usize, most: usize) -> Result<(), PlanFileError> {
    if (1..=most).contains(&found) {
        return Ok(());
    }
    Err(PlanFileError::Number { name, found, most })
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "`{text}` is no shard (want `I/N`, such as `3/8`: I from 1, N at most {MOST_SHARDS})"
            )
        };
        let number = |text: &str| -> Result<usize, std::num::ParseIntError> { text.parse() };
        let (index, of) = text.split_once('/').ok_or_else(wrong)?;
        let digits = [index, of]
            .iter()
            .all(|t| t.bytes().all(|b| b.is_ascii_digit()));
        let (Ok(index), Ok(of), true) = (number(index), number(of), digits) else {
            return Err(wrong());
        };
        if index == 0 || index > of || of > MOST_SHARDS {
            return Err(wrong());
        }
        Ok(Self { index, of })
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.of)
    }
}

fn from_text<'de, D: serde::Deserializer<'de>, T>(deserializer: D) -> Result<T, D::Error>
where
    T: FromStr,
    T::Err: fmt::Display,
{
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(serde::de::Error::custom)
}

fn from_optional_text<'de, D: serde::Deserializer<'de>, T>(
    deserializer: D,
) -> Result<Option<T>, D::Error>
where
    T: FromStr,
    T::Err: fmt::Display,
{
    let text: Option<String> = Option::deserialize(deserializer)?;
    text.map(|text| text.parse().map_err(serde::de::Error::custom))
        .transpose()
}
