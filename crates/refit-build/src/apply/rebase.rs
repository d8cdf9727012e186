//! A target whose published layers are put on its new base.

use std::{io::Write, sync::Arc};

use refit_deps::{
    pin::Pin,
    plan::{OrElse, Rebase, Step},
    problem::Problem,
};

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
    rebase::{RebaseError, Rebased, Subject},
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

/// Puts the published layers on the new base, and stages the result.
pub(super) async fn rebase(
    step: &Step,
    rebase: &Rebase,
    (settled, pins): (&[Settled], &[Pin]),
    site: &Site<'_>,
    log: &mut (dyn Write + Send),
) -> Result<Made, NoRebase> {
    let Described {
        image,
        file,
        resolved,
    } = site.workshop.describe(step)?;
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
    let pin = |repository: &refit_oci::Repository, manifest: &refit_oci::Digest| PinnedBase {
        found_index: found,
        registry: site.registries.registry(repository.registry()),
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
    let proven = match (site.rebaser.prove(&subject).await, rebase.or_else) {
        (Err(RebaseError::Refused(_)), OrElse::Merge) => site.rebaser.merge(&subject).await,
        (proven, _) => proven,
    };
    let rebased = match (proven, rebase.or_else) {
        (Ok(rebased), _) => rebased,
        (Err(error), OrElse::Rebuild) => {
            return Err(NoRebase::InTheWay(told(
                &error,
                &image.dockerfile,
                &file.text,
            )));
        }
        (Err(error), OrElse::Merge | OrElse::Nothing) => {
            let why = told(&error, &image.dockerfile, &file.text);
            let hint = match rebase.or_else {
                OrElse::Merge => "with `rebase = \"auto\"` it is built instead",
                _ => "release it again: `refit build --push`",
            };
            return Err(NoRebase::Failed(Failed {
                message: format!("it can't be rebased: {}", why.message),
                hint: Some(hint.to_owned()),
                ..why
            }));
        }
    };
    let (from, to) = (old.short(), new.manifest.short());
    // Whoever watches is told; nobody being there is no reason to fail.
    let _ = writeln!(
        log,
        "rebased: {} {from} → {to}",
        new.pin.reference.familiar()
    );
    let base_diff_ids = rebased.image.rootfs.diff_ids[..rebased.n_of_base].to_vec();
    let built = built(rebased, found);
    check(&built, &base_diff_ids, step)?;
    if let Some(manifest) = cutoff::kept(step, &built, &step.key(pins), site).await? {
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

fn built(rebased: Rebased, found: usize) -> Built {
    let layers = rebased.layers.into_iter().enumerate();
    let layers = layers.map(|(at, descriptor)| BuiltLayer {
        descriptor,
        source: if at < rebased.n_of_base {
            LayerSource::Base(found)
        } else {
            LayerSource::There
        },
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
