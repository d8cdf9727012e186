//! What a build of one target on one platform depends on: images, stages, files of its context.

mod assembly;
mod budget;
mod contexts;
mod effects;
mod globals;
mod graph;
mod links;
mod scope;
mod stages;
#[cfg(test)]
mod tests;
mod triggers;
mod types;

use std::collections::BTreeMap;

pub use contexts::NamedContext;
pub use effects::{Remote, remote};
pub use globals::GlobalScope;
pub use types::{
    ContextInput, Execution, Found, FoundSource, Kind, Link, RemoteSource, RequiredInput, Resolved,
    Settings, Source, StageBase, StageView,
};

use self::{
    assembly::{Assembly, Triggered},
    globals::Globals,
    links::{Linked, Linker},
    triggers::Triggers,
};
use crate::{
    SyntaxError,
    model::{Dockerfile, Instruction},
    parse::speaks_dockerfile,
    suggest::nearest,
};

/// Resolves a target. Pure: what an external base's config would add needs [`resolve_with_triggers`].
///
/// Fails where BuildKit fails, for the whole file (a blank base, a malformed image, a stage that copies from itself) or
/// for the stages that the target reaches (a stage that copies from a later one).
pub fn resolve(file: &Dockerfile, settings: &Settings<'_>) -> Result<Resolved, SyntaxError> {
    resolve_with_triggers(file, settings, &BTreeMap::new())
}

/// The same, with the `OnBuild` of external bases' configs: `triggers` has them by the index of the stage whose `FROM`
/// names the base.
pub fn resolve_with_triggers(
    file: &Dockerfile,
    settings: &Settings<'_>,
    triggers: &BTreeMap<usize, Vec<String>>,
) -> Result<Resolved, SyntaxError> {
    let frontend = frontend(file, settings)?;
    let is_foreign = match settings.build_args.get("BUILDKIT_SYNTAX") {
        Some(syntax) => !speaks_dockerfile(first_word(syntax)),
        None => file.opaque,
    };
    if is_foreign {
        return Ok(Resolved::opaque(frontend.into_iter().collect(), settings));
    }
    let globals = Globals::of(file, settings)?;
    let bases = stages::bases(file, settings, &globals)?;
    let target = target(file, settings)?;
    let linker = Linker::new(file, settings);
    let mut links: Vec<Vec<Linked>> = Vec::new();
    for (stage, base) in file.stages.iter().zip(&bases) {
        let replaced = base.replaces_stage();
        let instructions = stage.instructions.iter().filter(|_| !replaced);
        links.push(linker.links(instructions)?);
    }
    graph::refuse_cycles(file, &links)?;
    let triggers = Triggers::new(file, &bases, triggers);
    let mut reach = graph::Reach::new(target);
    let mut triggered: BTreeMap<usize, Triggered<'_>> = BTreeMap::new();
    while let Some(stage) = reach.next() {
        let own = triggers.of(stage)?;
        let mut of_triggers = Vec::new();
        for instruction in &own {
            of_triggers.push(
                linker
                    .links([instruction])
                    .map_err(|e| triggers.at(stage, e))?,
            );
        }
        let all = links[stage].iter().chain(of_triggers.iter().flatten());
        reach.add(bases[stage].stage(), all.filter_map(Linked::stage));
        let triggered_here = Triggered {
            instructions: own,
            links: of_triggers,
        };
        triggered.insert(stage, triggered_here);
    }
    let assembly = Assembly {
        file,
        settings,
        bases: &bases,
        links: &links,
        triggered,
        chain: graph::chain(target, &bases),
    };
    assembly.resolved(frontend, globals)
}

/// What the image that this resolution builds leaves to its children: the `OnBuild` of its config. Triggers of a base
/// are executed, and not handed on.
pub fn on_build(file: &Dockerfile, resolved: &Resolved) -> Vec<String> {
    let live = resolved
        .view(resolved.target)
        .is_some_and(|view| !view.replaced);
    let target = file.stages.get(resolved.target).filter(|_| live);
    let instructions = target.map_or(&[][..], |stage| &stage.instructions);
    let triggers = instructions.iter().filter_map(Instruction::trigger);
    triggers.map(|trigger| trigger.expression.clone()).collect()
}

fn first_word(text: &str) -> &str {
    text.split_whitespace().next().unwrap_or_default()
}

/// The frontend's image, which the build platform runs; a build argument overrides the directive.
fn frontend(file: &Dockerfile, settings: &Settings<'_>) -> Result<Option<Found>, SyntaxError> {
    let overridden = settings.build_args.get("BUILDKIT_SYNTAX");
    let written = file.syntax.as_ref();
    let span = written.map_or(0..0, |syntax| syntax.span.clone());
    let text = match (overridden, written) {
        (Some(syntax), _) => first_word(syntax).to_owned(),
        (None, Some(syntax)) => syntax.value.clone(),
        (None, None) => return Ok(None),
    };
    let reference = text.parse().map_err(|e: refit_oci::ReferenceError| {
        SyntaxError::new(&file.text, span.clone(), format!("the frontend: {e}"))
    })?;
    Ok(Some(Found {
        kind: Kind::Frontend,
        written: text,
        source: FoundSource::Reference(reference),
        platform: settings.build_platform.clone(),
        line: file.line_number(span.start),
        span,
        stage: 0,
    }))
}

/// The last stage, or the last one of the name that is asked for, in any case.
fn target(file: &Dockerfile, settings: &Settings<'_>) -> Result<usize, SyntaxError> {
    let Some(wanted) = settings.target.filter(|target| !target.is_empty()) else {
        return match file.stages.len().checked_sub(1) {
            Some(last) => Ok(last),
            None => Err(SyntaxError::new(&file.text, 0..0, "the file has no FROM")),
        };
    };
    let lower = wanted.to_lowercase();
    let names = || file.stages.iter().filter_map(|stage| stage.name.as_deref());
    let found = file
        .stages
        .iter()
        .rposition(|s| s.name.as_deref() == Some(&lower));
    found.ok_or_else(|| {
        let message = format!("no stage is named `{wanted}`");
        let error = SyntaxError::new(&file.text, 0..0, message);
        match nearest(&lower, names()) {
            Some(name) => error.hint(format!("did you mean `{name}`?")),
            None if names().next().is_none() => error.hint("no stage of this file has a name"),
            None => {
                let names: Vec<_> = names().take(10).collect();
                error.hint(format!("there is `{}`", names.join("`, `")))
            }
        }
    })
}

/// Resolves the last stage for `linux/amd64`, with nothing given.
#[cfg(test)]
pub(crate) fn resolve_plainly(file: &Dockerfile) -> Result<Resolved, SyntaxError> {
    let platform = refit_oci::Platform::linux_amd64();
    let settings = Settings {
        target: None,
        platform: &platform,
        build_platform: &platform,
        build_args: &BTreeMap::new(),
        contexts: &BTreeMap::new(),
    };
    resolve(file, &settings)
}
