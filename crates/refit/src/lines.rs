//! The lines that are swept, and which of them owns a tag.

use std::collections::BTreeMap;

use refit_deps::{
    observe::Line,
    reason::{State, StateKind},
};
use refit_oci::Reference;

use crate::{error::CommandError, observe::Observer, project::Project};

/// The lines that are swept: `[sweep] branches`, else the remote's default branch, else the current one.
pub(crate) fn lines(project: &Project) -> Result<Vec<Line>, CommandError> {
    let configured = project.working()?.inventory.sweep.branches;
    let names = if configured.is_empty() {
        vec![match project.repo.default_branch()? {
            Some(branch) => branch,
            None => project.current_line()?,
        }]
    } else {
        matching(project, &configured)?
    };
    let mut lines = Vec::new();
    for name in names {
        let commit = match project.repo.branch_tip(&name)? {
            Some(commit) => Some(commit),
            None => match project.repo.head()? {
                refit_git::Head::Commit { id, branch }
                    if branch.as_deref() == Some(&name) || branch.is_none() =>
                {
                    Some(id)
                }
                refit_git::Head::Unborn { .. } => None,
                refit_git::Head::Commit { .. } => {
                    return Err(
                        CommandError::new(format!("there is no branch or tag `{name}`"))
                            .hint("mend `[sweep] branches` in .config/refit.toml"),
                    );
                }
            },
        };
        lines.push(Line { name, commit });
    }
    Ok(lines)
}

/// The lines that names and globs stand for, in their order, each once.
fn matching(project: &Project, patterns: &[String]) -> Result<Vec<String>, CommandError> {
    let known = project
        .repo
        .branches()?
        .into_iter()
        .chain(project.repo.tags()?);
    let known: Vec<String> = known.map(|(name, _)| name).collect();
    let mut names: Vec<String> = Vec::new();
    for pattern in patterns {
        let found: Vec<String> = if pattern.contains(['*', '?']) {
            known
                .iter()
                .filter(|name| refit_deps::glob_matches(pattern, name))
                .cloned()
                .collect()
        } else {
            vec![pattern.clone()]
        };
        for name in found {
            if !names.contains(&name) {
                names.push(name);
            }
        }
    }
    if names.is_empty() {
        return Err(CommandError::new(format!(
            "`[sweep] branches` matches no branch: {}",
            patterns.join(", ")
        ))
        .hint("run `git branch --remotes` to see them"));
    }
    Ok(names)
}

/// The first line that claims a tag owns it; a later one reports it and does not move it.
pub(crate) fn claim(
    observer: &Observer<'_>,
    line: &Line,
    claimed: &mut BTreeMap<Reference, String>,
) -> Vec<State> {
    let mut taken = Vec::new();
    for image in &observer.tip.inventory.images {
        let Some(lead) = image.lead_tag() else {
            continue;
        };
        match claimed.get(&lead) {
            Some(owner) => {
                let reason = format!("{} belongs to the line `{owner}`", lead.familiar());
                taken.push(State {
                    image: image.name.clone(),
                    platform: None,
                    kind: StateKind::Held { reason },
                });
            }
            None => {
                claimed.insert(lead, line.name.clone());
            }
        }
    }
    taken
}
