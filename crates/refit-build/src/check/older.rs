//! What builders other than BuildKit cannot do, beside features.

use refit_dockerfile::Source;

use super::{Abilities, Release, at, live};
use crate::engine::{Recipe, Refusal};

/// Secrets and keys that are asked for while RUN runs: Podman's API wants them as files of the context.
pub(super) fn mounts(recipe: &Recipe, abilities: &Abilities<'_>) -> Option<Refusal> {
    if !matches!(abilities.release, Release::Podman(..)) {
        return None;
    }
    let mut mounts = live(recipe).flat_map(|instruction| &instruction.mounts);
    let of = |kind: &str| kind == "secret" || kind == "ssh";
    let mount = mounts.find(|mount| mount.kind().is_some_and(|kind| of(&kind.value)))?;
    let kind = mount.kind().map_or("", |kind| kind.value.as_str());
    let message = format!(
        "{} is given no `--mount=type={kind}`: its API would have it in the context",
        abilities.name
    );
    let hint = abilities.release.another();
    Some(at(recipe, &mount.span, message, Some(hint)))
}

/// The classic builder finds no stage of another platform than the target's.
pub(super) fn copies(recipe: &Recipe, abilities: &Abilities<'_>) -> Option<Refusal> {
    if abilities.release != Release::Classic {
        return None;
    }
    let of_another = |source: &Source| match source {
        Source::Stage(stage) => {
            let view = recipe.resolved.view(*stage);
            view.is_some_and(|view| view.platform != recipe.platform)
        }
        _ => false,
    };
    let mut links = recipe.resolved.links.iter();
    let link = links.find(|link| link.trigger.is_none() && of_another(&link.source))?;
    let message = format!(
        "{} copies nothing from a stage of another platform",
        abilities.name
    );
    let hint = abilities.release.another();
    Some(at(recipe, &link.span, message, Some(hint)))
}

/// What is attested of a build is BuildKit's.
pub(super) fn attestations(recipe: &Recipe, abilities: &Abilities<'_>) -> Option<Refusal> {
    let is_buildkit = !matches!(abilities.release, Release::Podman(..) | Release::Classic);
    if is_buildkit || recipe.attest.is_empty() {
        return None;
    }
    let from = &recipe.file.stages.get(recipe.resolved.target)?.from.span;
    let message = format!("{} attests nothing", abilities.name);
    let hint = "take `engine = \"buildkit\"`".to_owned();
    Some(at(recipe, from, message, Some(hint)))
}
