//! A target whose published layers are put on its new base.

use std::{collections::BTreeSet, io::Write, sync::Arc};

use refit_deps::{
    image::Image,
    pin::Pin,
    plan::{OrElse, Rebase, Step},
    problem::Problem,
};
use refit_oci::{Digest, Repository};
use refit_registry::Registries;

use super::{
    Described, Failed, Site,
    build::{Made, check},
    cutoff,
    pinned::{self, Settled},
    stage,
    trace::REBASE,
};
use crate::{
    engine::{Built, BuiltLayer, LayerSource, PinnedBase},
    rebase::{RebaseError, Rebased, Rebaser, Subject},
};

/// Why there is no rebase.
pub(super) enum NoRebase {
    /// There is no proof; it is to be built.
    InTheWay(Failed),
    /// It failed.
    Failed(Failed),
}

impl From<Failed> for NoRebase {
    fn from(failed: Failed) -> Self {
        Self::Failed(failed)
    }
}

/// What a proof reads.
pub(super) struct Means<'a> {
    pub(super) registries: &'a Registries,
    pub(super) rebaser: &'a Rebaser,
    /// What a step's source says of how it is built.
    pub(super) describe: &'a (dyn Fn(&Step) -> Result<Described, Failed> + Sync),
}

/// An image on its new base, of which nothing is pushed yet.
struct Proven {
    image: Image,
    subject: Subject,
    rebased: Rebased,
    /// Else its config is merged, by the user's word.
    has_proof: bool,
    /// From which base to which, for people.
    moved: String,
}

/// Puts the published layers on the new base, and stages the result.
pub(super) async fn rebase(
    step: &Step,
    rebase: &Rebase,
    (settled, pins): (&[Settled], &[Pin]),
    site: &Site<'_>,
    log: &mut (dyn Write + Send),
) -> Result<Made, NoRebase> {
    let means = Means {
        registries: site.registries,
        rebaser: site.rebaser,
        describe: &|step| site.workshop.describe(step),
    };
    let Proven {
        image,
        subject,
        rebased,
        moved,
        ..
    } = prove(step, rebase, settled, &means).await?;
    // Whoever watches is told; nobody being there is no reason to fail.
    let _ = writeln!(log, "rebased: {moved}");
    let base_diff_ids = rebased.image.rootfs.diff_ids[..rebased.n_of_base].to_vec();
    let may_be_kept = rebased.has_same_files;
    let built = built(rebased, subject.found);
    check(&built, &base_diff_ids, step)?;
    let kept = if may_be_kept {
        cutoff::kept(step, &built, &step.key(pins), site).await?
    } else {
        None
    };
    if let Some(manifest) = kept {
        return Ok(Made {
            manifest,
            base_diff_ids,
            how: REBASE,
            node: None,
        });
    }
    let bases = [subject.new];
    let made_of = (&subject.resolved, bases.as_slice());
    let manifest = stage::push(step, &image, made_of, &built, pins, site).await?;
    Ok(Made {
        manifest,
        base_diff_ids,
        how: REBASE,
        node: None,
    })
}

/// Whether there is a proof for a step that is planned as a rebase, or else its config is merged; nothing is written
/// anywhere.
pub(super) async fn is_proven(
    step: &Step,
    rebase: &Rebase,
    settled: &[Settled],
    means: &Means<'_>,
) -> Result<bool, NoRebase> {
    let proven = prove(step, rebase, settled, means).await?;
    Ok(proven.has_proof)
}

async fn prove(
    step: &Step,
    rebase: &Rebase,
    settled: &[Settled],
    means: &Means<'_>,
) -> Result<Proven, NoRebase> {
    let Described {
        image,
        file,
        resolved,
    } = (means.describe)(step)?;
    let base = pinned::root_base(&resolved);
    let base = base.and_then(|at| {
        // By its part, as it may have been swapped for another reference than the Dockerfile's.
        let found = resolved.found.get(at)?;
        let is_base = |s: &&Settled| s.pin.kind == found.kind && s.pin.platform == found.platform;
        Some((at, settled.iter().find(is_base)?))
    });
    let (Some((found, new)), Some(old)) = (base, &rebase.was.manifest) else {
        return Err(failed("the base that it was built on is not known").into());
    };
    let pin = |repository: &Repository, manifest: &Digest| PinnedBase {
        found_index: found,
        registry: means.registries.registry(repository.registry()),
        repository: repository.clone(),
        manifest: manifest.clone(),
    };
    let subject = Subject {
        file: Arc::clone(&file),
        resolved,
        platform: step.target.platform.clone(),
        build_args: image.build_args.clone(),
        labels: image.labels.clone(),
        found,
        published: pin(&step.repository, &rebase.published),
        old: pin(&rebase.from, old),
        new: pin(&new.repository, &new.manifest),
    };
    let mut has_proof = true;
    let rebased = match (means.rebaser.prove(&subject).await, rebase.or_else) {
        (Err(RebaseError::Refused(_)), OrElse::Merge) => {
            has_proof = false;
            means.rebaser.merge(&subject).await
        }
        (proven, _) => proven,
    };
    let error = match rebased {
        Ok(rebased) => {
            let (name, from, to) = (
                new.pin.reference.familiar(),
                old.short(),
                new.manifest.short(),
            );
            return Ok(Proven {
                image,
                subject,
                rebased,
                has_proof,
                moved: format!("{name} {from} → {to}"),
            });
        }
        Err(error) => error,
    };
    let why = told(&error, &image.dockerfile, &file.text);
    let hint = match rebase.or_else {
        OrElse::Rebuild => return Err(NoRebase::InTheWay(why)),
        OrElse::Merge => "with `rebase = \"auto\"` it is built instead",
        OrElse::Nothing => "release it again: `refit build --push`",
    };
    Err(NoRebase::Failed(Failed {
        message: format!("it can't be rebased: {}", why.message),
        hint: Some(hint.to_owned()),
        ..why
    }))
}

fn built(rebased: Rebased, found: usize) -> Built {
    let there: BTreeSet<Digest> = rebased.published.into_iter().map(|l| l.digest).collect();
    let layers = rebased.layers.into_iter().map(|descriptor| BuiltLayer {
        source: if there.contains(&descriptor.digest) {
            LayerSource::There
        } else {
            LayerSource::Base(found)
        },
        descriptor,
    });
    Built {
        layers: layers.collect(),
        config: rebased.config,
        image: rebased.image,
        // What was attested of the old manifest is about another image.
        attested: Vec::new(),
    }
}

fn told(error: &RebaseError, file: &str, text: &str) -> Failed {
    match error {
        RebaseError::Refused(refused) => match &refused.span {
            Some(span) => {
                let problem = Problem::at(file, text, span.clone(), &refused.message);
                Failed {
                    message: problem.to_string(),
                    excerpt: problem.excerpt,
                    hint: None,
                }
            }
            None => failed(&refused.message),
        },
        RebaseError::Unreadable(error) => Failed::of(error.as_ref()),
    }
}

fn failed(message: &str) -> Failed {
    Failed {
        message: message.to_owned(),
        excerpt: None,
        hint: None,
    }
}
