//! What is published, compared with what it says of itself, with the records and with git.

use std::collections::BTreeSet;

use refit_oci::{Digest, Document, ImageConfig, Manifest, Platform, annotations};

use super::{
    evaluate::{Evaluator, Scope},
    statement::{Claim, ClaimedTarget},
};
use crate::{
    image::Image,
    observe::{Answer, Ground, Relation, Resolved},
    pin::{self, Pin},
    publication::{self, Publication, Unrecorded},
    reason::{State, StateKind},
};

/// What was found of some images.
#[derive(Clone, Debug, Default)]
pub struct Verification {
    /// What is published of each image: what was looked at.
    pub looked_at: Vec<(String, Digest)>,
    /// What does not agree.
    pub findings: Vec<Finding>,
    /// What statements about what is published have to say.
    pub claims: Vec<Claim>,
    /// What could not be looked at.
    pub states: Vec<State>,
}

/// Something that does not agree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The image.
    pub image: String,
    /// The platform, where only one is concerned.
    pub platform: Option<Platform>,
    /// What it is called.
    pub name: &'static str,
    /// What was found, in words.
    pub message: String,
}

/// Verifies what the tags of images hold.
pub fn verify(ground: &Ground<'_>, images: &BTreeSet<String>) -> Resolved<Verification> {
    let evaluator = Evaluator::new(ground, Scope::default());
    let mut found = Verification::default();
    let all = ground.inventory.images.iter();
    for image in all.filter(|image| images.contains(&image.name)) {
        // None: something is unknown, and was asked for.
        let _ = evaluator.verify(image, &mut found);
    }
    evaluator.lookup.finish(found)
}

impl Evaluator<'_> {
    fn verify(&self, image: &Image, found: &mut Verification) -> Option<()> {
        let publication = publication::publication(&self.lookup, image, Unrecorded::Leave)?;
        let published = match publication {
            Publication::Ours(published) => published,
            Publication::Never => {
                found.states.push(state(image, StateKind::Unpublished));
                return Some(());
            }
            Publication::Other(kind @ (StateKind::NoMovingTag | StateKind::Adoptable { .. })) => {
                found.states.push(state(image, kind));
                return Some(());
            }
            Publication::Other(kind) if kind.is_unknown() => {
                found.states.push(state(image, kind));
                return Some(());
            }
            Publication::Other(kind) => {
                found.findings.push(Finding {
                    image: image.name.clone(),
                    platform: None,
                    name: kind.word(),
                    message: "its tag does not hold what was published last".to_owned(),
                });
                return Some(());
            }
        };
        found
            .looked_at
            .push((image.name.clone(), published.index.clone()));
        let record = published.record.as_ref();
        if record.is_some_and(|record| self.lookup.ground.records.is_adoption(record)) {
            return Some(()); // another tool's: it says nothing that could be compared
        }
        let mut say = |platform: Option<&Platform>, name: &'static str, message: String| {
            found.findings.push(Finding {
                image: image.name.clone(),
                platform: platform.cloned(),
                name,
                message,
            });
        };
        if let Err(kind) = publication::proven(&self.lookup, image, &published)? {
            let message = match kind {
                StateKind::ReleaseSourceGone { message } => message,
                kind => format!("its index is {}", kind.word()),
            };
            say(None, "index-differs-from-record", message);
        }
        let release = match &published.commit {
            None => {
                say(
                    None,
                    "no-commit",
                    "nothing says which commit was released".to_owned(),
                );
                None
            }
            Some(commit) => match self.lookup.release(&image.name, Some(commit))? {
                Answer::Found(release) => {
                    if release.relation == Relation::Elsewhere {
                        let line = self.line();
                        let message = format!(
                            "commit {} is not in the history of `{line}`",
                            commit.short()
                        );
                        say(None, "commit-not-on-line", message);
                    }
                    Some(release)
                }
                Answer::Missing | Answer::Failed(_) => {
                    let message = format!("commit {} can't be read", commit.short());
                    say(None, "commit-gone", message);
                    None
                }
            },
        };
        let mut complete = Some(());
        let mut targets = Vec::new();
        for (platform, manifest) in &published.platforms {
            let source = release.and_then(|release| release.sources.get(platform));
            let source = source.map(|source| source.id.to_string());
            let target = Published {
                platform,
                manifest,
                source,
            };
            complete = complete.and(self.verify_platform(image, &target, &mut say));
            targets.extend(self.claimed(image, platform, manifest));
        }
        found.claims.push(Claim {
            image: image.name.clone(),
            repository: image.destination().clone(),
            index: published.index.clone(),
            commit: published.commit.clone(),
            targets,
        });
        complete
    }

    /// What a manifest's annotations say, if it can be read.
    fn claimed(
        &self,
        image: &Image,
        platform: &Platform,
        manifest: &Digest,
    ) -> Option<ClaimedTarget> {
        let Answer::Found(document) = self.lookup.document(image.destination(), manifest)? else {
            return None;
        };
        let Document::Manifest(exact) = document.as_ref() else {
            return None;
        };
        let written = &exact.value.annotations;
        let pins = written.get(annotations::PINS);
        Some(ClaimedTarget {
            platform: platform.clone(),
            manifest: manifest.clone(),
            source: written.get(annotations::SOURCE).cloned(),
            pins: pins
                .and_then(|text| pin::from_annotation(text))
                .unwrap_or_default(),
        })
    }

    fn verify_platform(
        &self,
        image: &Image,
        target: &Published<'_>,
        say: &mut dyn FnMut(Option<&Platform>, &'static str, String),
    ) -> Option<()> {
        let Published {
            platform,
            manifest,
            source,
        } = target;
        let mut say = |name, message| say(Some(platform), name, message);
        let repository = image.destination();
        let held = self.lookup.tag(&repository.at(manifest));
        let document = self.lookup.document(repository, manifest);
        let (Answer::Found(_), Answer::Found(document)) = (held?, document?) else {
            let message = format!("manifest {} is not in the registry", manifest.short());
            say("manifest-gone", message);
            return Some(());
        };
        let Document::Manifest(exact) = document.as_ref() else {
            say(
                "no-manifest",
                format!("{} is no manifest", manifest.short()),
            );
            return Some(());
        };
        let written = &exact.value.annotations;
        let pins = written
            .get(annotations::PINS)
            .and_then(|text| pin::from_annotation(text));
        let Some(pins) = pins else {
            say(
                "no-pins",
                "its manifest does not say what it is built on".to_owned(),
            );
            return Some(());
        };
        let said = written.get(annotations::SOURCE);
        let builds = self.lookup.ground.records.builds_of(&image.name, manifest);
        let builds: Vec<_> = builds
            .filter(|build| build.platform == **platform)
            .collect();
        let same = |build: &&&crate::record::BuildRecord| {
            said == Some(&build.source.to_string()) && bare(&build.deps) == bare(&pins)
        };
        if !builds.is_empty() && builds.iter().find(same).is_none() {
            let message =
                "no record of its build has the pins and the source that its manifest names";
            say("record-differs", message.to_owned());
        }
        let config = match self.lookup.config(repository, manifest)? {
            Answer::Found(config) => config,
            Answer::Missing | Answer::Failed(_) => {
                say(
                    "config-gone",
                    "its config is not in the registry".to_owned(),
                );
                return Some(());
            }
        };
        if !pin::fits(config, platform) {
            let message = format!("its config is for {}", config.platform());
            say("platform-differs", message);
        }
        let triggered = self.verify_bases(&exact.value, &pins, config, &mut say)?;
        // What triggers of its bases copy is part of the source, and only a plan knows it.
        if let (Some(source), false) = (source, triggered)
            && said != Some(source)
        {
            let message = "its source is not what git has at its commit".to_owned();
            say("source-differs", message);
        }
        Some(())
    }

    /// The bases of a manifest, and whether any of them makes what is built on it execute something.
    fn verify_bases(
        &self,
        manifest: &Manifest,
        pins: &[Pin],
        config: &ImageConfig,
        say: &mut dyn FnMut(&'static str, String),
    ) -> Option<bool> {
        let layers: Vec<&Digest> = config.rootfs.diff_ids.iter().collect();
        let mut triggered = false;
        let mut complete = Some(());
        for pin in pins
            .iter()
            .filter(|pin| pin.kind == refit_dockerfile::Kind::Base)
        {
            let Some(digest) = &pin.manifest else {
                continue;
            };
            let name = pin.reference.familiar();
            let from = self.parent_repository(pin);
            // What was read once is kept: that it is still there is for the registry to say.
            let (Some(held), Some(config)) = (
                self.lookup.tag(&from.at(digest)),
                self.lookup.config(&from, digest),
            ) else {
                complete = None;
                continue;
            };
            let base = match (held, config) {
                (Answer::Found(_), Answer::Found(base)) => base,
                (Answer::Missing, _) | (_, Answer::Missing) => {
                    say(
                        "base-gone",
                        format!("its base {name} {} is gone", digest.short()),
                    );
                    continue;
                }
                (Answer::Failed(failure), _) | (_, Answer::Failed(failure)) => {
                    say(
                        "base-unknown",
                        format!("its base {name}: {}", failure.message),
                    );
                    continue;
                }
            };
            triggered |= !base.config.on_build.is_empty();
            let is_root =
                named_base(manifest) == Some((pin.reference.to_string(), digest.to_string()));
            let begins = base
                .rootfs
                .diff_ids
                .iter()
                .zip(&layers)
                .all(|(a, b)| a == *b)
                && base.rootfs.diff_ids.len() <= layers.len();
            if is_root && !begins {
                let short = digest.short();
                say(
                    "base-differs",
                    format!("its layers do not begin with those of {name} {short}"),
                );
            }
        }
        complete.map(|()| triggered)
    }

    /// Where a pin is read from: an in-repo parent lies where it is published.
    fn parent_repository(&self, pin: &Pin) -> refit_oci::Repository {
        let images = &self.lookup.ground.inventory.images;
        let parent = images
            .iter()
            .find(|image| image.known_as().contains(&pin.reference));
        parent.map_or_else(
            || pin.reference.repository().clone(),
            |parent| parent.destination().clone(),
        )
    }
}

/// One platform of what is published.
struct Published<'p> {
    platform: &'p Platform,
    manifest: &'p Digest,
    /// The source at its commit.
    source: Option<String>,
}

fn named_base(manifest: &Manifest) -> Option<(String, String)> {
    let name = manifest.annotations.get(annotations::BASE_NAME)?;
    let digest = manifest.annotations.get(annotations::BASE_DIGEST)?;
    Some((name.clone(), digest.clone()))
}

fn bare(pins: &[Pin]) -> String {
    pin::annotation(pins)
}

fn state(image: &Image, kind: StateKind) -> State {
    State {
        image: image.name.clone(),
        platform: None,
        kind,
    }
}
