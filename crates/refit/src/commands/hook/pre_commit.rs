//! pre-commit: what is wrong in the index, and was not wrong before, is refused.

use std::{collections::BTreeSet, sync::Arc};

use refit_deps::{
    config::CONFIG_PATH,
    image::Image,
    policy::{self, Finding},
    problem::Problem,
};
use refit_dockerfile::{Found, FoundSource, Kind};
use refit_git::Head;
use refit_oci::Platform;

use crate::{
    commands::App,
    error::{CommandError, Exit},
    outline::Outline,
    policy::{Asking, check},
    project::Snapshot,
};

pub(super) async fn run(app: &App) -> Result<Exit, CommandError> {
    let project = app.project()?;
    let (before, staged) = match project.repo.head()? {
        Head::Commit { id, .. } => {
            let paths = project.repo.staged_paths()?;
            let recalled = Outline::recall(&project, &id);
            if recalled.is_some_and(|outline| !outline.is_outdated_by(&paths)) {
                return Ok(Exit::Fine);
            }
            let staged = project.staged()?;
            let line = project.current_line()?;
            (project.at_beside(&id, &line, &staged, &paths)?, staged)
        }
        Head::Unborn { .. } => (project.before_all()?, project.staged()?),
    };
    if let Some(outline) = Outline::of(&before) {
        outline.remember(&project);
    }
    let staged = Arc::new(staged);
    let bases = bases(&before);
    let is_new = |image: &Image, found: &Found| !bases.contains(&base(&image.name, found));
    let mut errors = problems(&staged);
    let asking = Asking {
        wanted: &is_new,
        budget: Some(app.environment.hook_budget),
    };
    let mut checked = check(&project, &staged, asking).await?;
    let (mut warnings, broken): (Vec<Finding>, Vec<Finding>) = {
        let findings = std::mem::take(&mut checked.findings).into_iter();
        findings.partition(|finding| finding.warns)
    };
    errors.extend(broken.into_iter().map(|finding| finding.problem));
    if !(errors.is_empty() && warnings.is_empty()) {
        let known = known(&before);
        let is_new = |problem: &Problem| !known.contains(&place(problem));
        errors.retain(is_new);
        warnings.retain(|warning| is_new(&warning.problem));
    }
    for warning in &warnings {
        app.ui.problem_as_warning(&warning.problem);
    }
    checked.tell_unknown(&app.ui);
    if checked.cut_short {
        app.ui
            .warning("the registries of new bases did not answer in time");
    }
    if checked.cut_short || !checked.unknown.is_empty() {
        app.ui
            .hint("`refit config check` asks them again, without haste");
    }
    for problem in &errors {
        app.ui.problem(problem);
    }
    if errors.is_empty() {
        return Ok(Exit::Fine);
    }
    app.ui.hint("`git commit --no-verify` commits anyway");
    Ok(Exit::Partial)
}

/// What is wrong with a state of the files, policy aside.
fn problems(snapshot: &Snapshot) -> Vec<Problem> {
    let mut problems = snapshot.problems.clone();
    // A configuration that could not be read lists nothing; that is no news about each Dockerfile.
    if !problems.iter().any(|problem| problem.file == CONFIG_PATH) {
        let unlisted = snapshot.inventory.unlisted.iter().map(|path| {
            Problem::of_file(path, "it belongs to no image")
                .with_hint("list it in `.config/refit.toml`, or add it to its `ignore`")
        });
        problems.extend(unlisted);
    }
    problems
}

/// What was wrong before, wherever it stood in its file.
fn known(before: &Snapshot) -> BTreeSet<(String, String)> {
    let findings = policy::written(&before.inventory, &before.scans, &before.edges);
    let findings = findings.into_iter().map(|finding| finding.problem);
    let all = problems(before).into_iter().chain(findings);
    all.map(|problem| place(&problem)).collect()
}

fn place(problem: &Problem) -> (String, String) {
    (problem.file.clone(), problem.message.clone())
}

/// What tells the bases of a state of the files apart.
type Base = (String, Kind, FoundSource, Platform);

fn bases(snapshot: &Snapshot) -> BTreeSet<Base> {
    let found = snapshot.scans.found();
    found.map(|(image, _, found)| base(image, found)).collect()
}

fn base(image: &str, found: &Found) -> Base {
    let (source, platform) = (found.source.clone(), found.platform.clone());
    (image.to_owned(), found.kind, source, platform)
}
