//! Makes a target's manifest: by a rebase where one is planned, else by its engine.

use std::{io::Write, ops::Range};

use refit_deps::{
    image::{Attestation, Image},
    pin::Pin,
    plan::{Action, Step},
};
use refit_dockerfile::Resolved;
use refit_oci::{Digest, Reference};
use refit_registry::Registries;

use super::{
    Failed, Prepared, Site, caches,
    control::{Broken, Waited},
    cutoff, io_failed,
    pinned::{self, Settled},
    placed,
    rebase::{self, NoRebase},
    stage,
};
use crate::engine::{Built, EngineError, Logins, PinnedBase, Recipe};

/// A manifest that was made.
pub(super) struct Made {
    pub(super) manifest: Digest,
    /// The base's uncompressed layers.
    pub(super) base_diff_ids: Vec<Digest>,
    /// A word for the record.
    pub(super) how: &'static str,
    /// The node that built it.
    pub(super) node: Option<String>,
}

pub(super) async fn build(
    (step, waited): (&Step, &Waited),
    settled: &[Settled],
    pins: &[Pin],
    site: &Site<'_>,
    log: &mut (dyn Write + Send),
) -> Result<Made, Broken> {
    let mut in_the_way = None;
    // Held until it is built. A step that is a rebuild from the start has had its turn before.
    let mut _turn = None;
    if let Action::Rebase(rebase) = &step.action {
        match rebase::rebase(step, rebase, (settled, pins), site, log).await {
            Ok(made) => return Ok(made),
            Err(NoRebase::Failed(failed)) => return Err(failed.into()),
            Err(NoRebase::InTheWay(why)) => {
                let _ = writeln!(log, "no rebase: {}", why.message);
                for line in why.excerpt.iter().flat_map(|e| e.lines()) {
                    let _ = writeln!(log, "{line}");
                }
                in_the_way = Some(why);
                _turn = waited.during(site.control.turn(site.slots)).await;
            }
        }
    }
    let builder = site.engines.builder(step.engine);
    let builder = builder.map_err(|failed| after(in_the_way, failed))?;
    let work = tempfile::Builder::new()
        .prefix("build-")
        .tempdir_in(&site.scratch);
    let work = work.map_err(|e| io_failed("make a folder in", &site.scratch, &e))?;
    site.workshop.generate(step, log).await?;
    let Prepared {
        image,
        file,
        resolved,
        context,
        secrets,
        ssh,
    } = site.workshop.prepare(step, work.path())?;
    let bases = bases(&resolved, settled, site)?;
    pinned::check_triggers(site.registries, &resolved, settled, step).await?;
    let root = pinned::root_base(&resolved)
        .and_then(|index| pinned::pin_of(&resolved.found[index], settled));
    let base_diff_ids = match root {
        Some(base) => pinned::diff_ids(site.registries, base).await?,
        None => Vec::new(),
    };
    let mut recipe = Recipe {
        dockerfile_text: file.text.clone(),
        file_name: image.dockerfile.clone(),
        file: (*file).clone(),
        resolved,
        platform: step.target.platform.clone(),
        target_stage: image.target.clone(),
        build_args: image.build_args.clone(),
        labels: image.labels.clone(),
        network: image.network.clone(),
        attest: image.attest.clone(),
        secrets,
        logins: logins(&image, site.registries).await?,
        ssh,
        no_cache: step.no_cache,
        caches: caches::of(&image, &step.target.platform, site.registries),
        context,
        pins: bases,
        work_dir: work.path().join("engine"),
    };
    std::fs::create_dir(&recipe.work_dir)
        .map_err(|e| io_failed("make the folder", &recipe.work_dir, &e))?;
    let built = placed::build(builder, &mut recipe, (step, waited), site, log).await;
    let (built, node) = built?;
    check(&built, &base_diff_ids, step)?;
    if let Some(manifest) = cutoff::kept(step, &built, &step.key(pins), site).await? {
        return Ok(Made {
            manifest,
            base_diff_ids,
            how: "rebuild",
            node,
        });
    }
    let made_of = (&recipe.resolved, recipe.pins.as_slice());
    let manifest = stage::push(step, &image, made_of, &built, pins, site).await?;
    Ok(Made {
        manifest,
        base_diff_ids,
        how: "rebuild",
        node,
    })
}

/// What BuildKit shows to the registry of the scanner that it fetches itself: bases it gets from refit.
async fn logins(image: &Image, registries: &Registries) -> Result<Logins, Broken> {
    let attributes = image.attest.get(&Attestation::Sbom);
    let mut attributes = attributes.into_iter().flat_map(|text| text.split(','));
    let scanner = attributes.find_map(|attribute| attribute.trim().strip_prefix("generator="));
    // One that is no reference is BuildKit's to refuse.
    let scanner = scanner.and_then(|scanner| scanner.parse::<Reference>().ok());
    let mut logins = Logins::default();
    if let Some(scanner) = scanner {
        let login = registries.basic_login(scanner.repository()).await;
        let login = login.map_err(|error| Failed::of(&error))?;
        let host = scanner.repository().registry().to_owned();
        logins.0.extend(login.map(|login| (host, login)));
    }
    Ok(logins)
}

/// Where everything that the Dockerfile refers to is read.
fn bases(
    resolved: &Resolved,
    settled: &[Settled],
    site: &Site<'_>,
) -> Result<Vec<PinnedBase>, Broken> {
    let mut bases = Vec::new();
    for (found_index, found) in resolved.found.iter().enumerate() {
        if found.kind == refit_dockerfile::Kind::Frontend {
            continue; // the engine's own frontend reads the reduced Dockerfile
        }
        let Some(pin) = pinned::pin_of(found, settled) else {
            let message = format!("`{}` has no pin", found.written);
            return Err(Broken::from(Failed {
                message,
                excerpt: None,
                hint: None,
            }));
        };
        let registry = site.registries.registry(pin.repository.registry());
        let (repository, manifest) = (pin.repository.clone(), pin.manifest.clone());
        bases.push(PinnedBase {
            found_index,
            registry,
            repository,
            manifest,
        });
    }
    Ok(bases)
}

/// A failure to build what could not be rebased.
fn after(in_the_way: Option<Failed>, failed: Failed) -> Failed {
    match in_the_way {
        None => failed,
        Some(why) => Failed {
            message: format!("no rebase: {}; and {}", why.message, failed.message),
            excerpt: why.excerpt,
            hint: failed.hint,
        },
    }
}

/// The last check before anything is pushed: the right platform, on the pinned base.
pub(super) fn check(built: &Built, base_diff_ids: &[Digest], step: &Step) -> Result<(), Failed> {
    let got = built.image.platform();
    let failed = |message| {
        Err(Failed {
            message,
            excerpt: None,
            hint: None,
        })
    };
    if !refit_platform::satisfies(&got, &step.target.platform) {
        return failed(format!(
            "the engine built for {got} instead of {}",
            step.target.platform
        ));
    }
    if !built.image.rootfs.diff_ids.starts_with(base_diff_ids) {
        return failed(
            "the result does not begin with the layers of the base it was pinned to".to_owned(),
        );
    }
    if built.layers.len() != built.image.rootfs.diff_ids.len() {
        return failed("the result's config and its layers disagree in number".to_owned());
    }
    Ok(())
}

/// An engine's error with the Dockerfile's line, where it names one.
pub(super) fn explain(error: &EngineError, recipe: &Recipe) -> Failed {
    let at = |span: &Range<usize>, message: &str| {
        let problem = refit_deps::problem::Problem::at(
            &recipe.file_name,
            &recipe.dockerfile_text,
            span.clone(),
            message,
        );
        Failed {
            message: problem.to_string(),
            excerpt: problem.excerpt,
            hint: None,
        }
    };
    match error {
        EngineError::Refused(refusal) => Failed {
            hint: refusal.hint.clone(),
            ..at(&refusal.span, &refusal.message)
        },
        EngineError::Instruction { span, message, .. } => at(span, message),
        other => Failed {
            hint: other.hint(),
            ..Failed::of(other)
        },
    }
}
