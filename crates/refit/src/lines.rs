//! The lines that are swept, and which of them owns a tag.

use std::collections::BTreeSet;

use refit_deps::{
    edges::Edges,
    graph::Graph,
    observe::Line,
    publication::claims::{Claimed, Claims},
};
use refit_git::Head;
use refit_oci::ObjectId;

use crate::{
    error::CommandError,
    project::{Project, Snapshot},
};

/// The lines that are swept: `[sweep] branches`, else the remote's default branch, else the current one.
pub(crate) fn lines(project: &Project) -> Result<Vec<Line>, CommandError> {
    let releases = releases(project)?;
    let configured = project.swept_branches()?;
    if !configured.is_empty() {
        let mut names = matching(project, &configured)?;
        names.extend(releases);
        let mut seen = BTreeSet::new();
        names.retain(|name| seen.insert(name.clone()));
        let line = |name: String| -> Result<Line, CommandError> {
            Ok(Line {
                commit: tip(project, &name)?,
                name,
            })
        };
        return names.into_iter().map(line).collect();
    }
    let mut all = Vec::new();
    for name in releases {
        let commit = tip(project, &name)?;
        all.push(Line { name, commit });
    }
    if let Some(line) = default_branch(project)? {
        all.insert(0, line);
        return Ok(all);
    }
    let (Head::Unborn { branch } | Head::Commit { branch, .. }) = project.repo.head()?;
    let Some(name) = branch else {
        return Err(CommandError::new("no branch is checked out")
            .hint("check out a branch, or list the lines under `[sweep] branches`"));
    };
    let commit = tip(project, &name)?;
    all.insert(0, Line { name, commit });
    Ok(all)
}

/// The git tags that `[sweep] releases` names, each rule's newest first.
fn releases(project: &Project) -> Result<Vec<String>, CommandError> {
    let rules = project.swept_releases()?;
    if rules.is_empty() {
        return Ok(Vec::new());
    }
    let tags: Vec<String> = project
        .repo
        .tags()?
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    Ok(rules.iter().flat_map(|rule| rule.select(&tags)).collect())
}

/// The remote's default branch. A checkout of CI does not know it, and asks.
fn default_branch(project: &Project) -> Result<Option<Line>, CommandError> {
    let repo = &project.repo;
    let Some(remote) = repo.default_remote() else {
        return Ok(None);
    };
    if let Some(name) = repo.remote_head(&remote)? {
        let commit = tip(project, &name)?;
        return Ok(Some(Line { name, commit }));
    }
    let Some((name, commit)) = repo.ask_remote_head(&remote)? else {
        return Ok(None);
    };
    let known = repo.branch_tip(&name)?;
    if known.is_none() {
        repo.fetch_commit(&remote, &commit)?;
    }
    let commit = known.or(Some(commit));
    Ok(Some(Line { name, commit }))
}

/// A line's tip; none before the first commit.
fn tip(project: &Project, name: &str) -> Result<Option<ObjectId>, CommandError> {
    if let Some(commit) = project.repo.branch_tip(name)? {
        return Ok(Some(commit));
    }
    match project.repo.head()? {
        Head::Commit { id, branch } if branch.as_deref().is_none_or(|branch| branch == name) => {
            Ok(Some(id))
        }
        Head::Unborn { .. } => Ok(None),
        Head::Commit { .. } => Err(CommandError::new(format!(
            "there is no branch or tag `{name}`"
        ))
        .hint("mend `[sweep] branches` in .config/refit.toml")),
    }
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
        let found: Vec<String> = if is_glob(pattern) {
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

fn is_glob(pattern: &str) -> bool {
    pattern.contains(['*', '?'])
}

/// The claims of the lines before `line`. One that is not in this clone claims nothing: its tags are unknown.
pub(crate) fn claims_before(project: &Project, line: &str) -> Result<Claims, CommandError> {
    let mut claims = Claims::default();
    let configured = project.swept_branches()?;
    for name in matching_before(project, &configured, line)? {
        if let Some(commit) = project.repo.branch_tip(&name)? {
            claims.claim(&name, &mut project.at_on(&commit, &name)?.inventory);
        }
    }
    Ok(claims)
}

/// Claims a line's tags for it, and takes from its images those that an earlier line owns.
pub(crate) fn claim(claims: &mut Claims, line: &str, tip: &mut Snapshot) -> Claimed {
    let claimed = claims.claim(line, &mut tip.inventory);
    if !claimed.states.is_empty() {
        tip.edges = Edges::of(&tip.inventory, &tip.scans);
        tip.graph = Graph::of(&tip.inventory, &tip.scans, &tip.edges);
    }
    claimed
}

/// The names of the lines that come before `line`.
fn matching_before(
    project: &Project,
    patterns: &[String],
    line: &str,
) -> Result<Vec<String>, CommandError> {
    if patterns.is_empty() {
        return Ok(Vec::new());
    }
    let names = matching(project, patterns)?;
    Ok(names.into_iter().take_while(|name| name != line).collect())
}

/// Refuses to publish from what no sweep looks after.
pub(crate) fn refuse_other_lines(project: &Project, name: &str) -> Result<(), CommandError> {
    let configured = project.swept_branches()?;
    let (known, hint) = if configured.is_empty() {
        let Some(default) = default_branch(project)? else {
            return Ok(());
        };
        let hint = format!(
            "check out `{}`, or list `{name}` under `[sweep] branches`",
            default.name
        );
        (vec![default.name], hint)
    } else {
        (
            configured,
            format!("list `{name}` under `[sweep] branches`"),
        )
    };
    let is_line = |pattern: &String| {
        pattern == name || (is_glob(pattern) && refit_deps::glob_matches(pattern, name))
    };
    if known.iter().any(is_line) || releases(project)?.iter().any(|tag| tag == name) {
        return Ok(());
    }
    let known: Vec<String> = known.iter().map(|name| format!("`{name}`")).collect();
    Err(CommandError::new(format!(
        "`{name}` is no line: {} {} swept, and published from",
        known.join(", "),
        if known.len() == 1 { "is" } else { "are" }
    ))
    .hint(hint))
}
