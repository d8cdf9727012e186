//! `refit hook NAME`: what git's hooks call. Only pre-commit may stop anything.

mod pre_commit;

use std::{collections::BTreeSet, io::Read as _};

use clap::{Args, ValueEnum};
use refit_git::{
    Head,
    notes::{Batch, SENTENCES},
};
use refit_oci::ObjectId;

use super::{App, deps::record};
use crate::{
    error::{CommandError, Exit},
    outline::Outline,
};

/// The key of git's configuration that lets `git push` push notes too.
pub(crate) const PUSH_NOTES: &str = "refit.pushNotes";

/// Do what a git hook is there for; `refit init --hooks` installs them
///
/// pre-commit refuses a commit that breaks a Dockerfile or the repository's `[policy]`. post-commit records what its
/// images are built on, and never fails. post-rewrite carries the sentences of rewritten commits over. pre-push does nothing unless
/// `git config refit.pushNotes true` is set, and then pushes the notes first.
#[derive(Debug, Args)]
#[command(after_long_help = "Example:\n  refit hook post-commit")]
pub(crate) struct HookArgs {
    /// The hook
    #[arg(value_enum, value_name = "NAME")]
    name: HookName,
    /// What git gives the hook
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
    args: Vec<String>,
}

/// The hooks that refit has something to do in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum HookName {
    /// Refuses a commit that breaks a Dockerfile or the policy
    PreCommit,
    /// Records what the commit's images are built on
    PostCommit,
    /// Carries sentences over to rewritten commits
    PostRewrite,
    /// Pushes notes, if it is told to
    PrePush,
}

impl HookName {
    /// All of them.
    pub(crate) const ALL: [Self; 4] = [
        Self::PreCommit,
        Self::PostCommit,
        Self::PostRewrite,
        Self::PrePush,
    ];

    /// Git's name for it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::PreCommit => "pre-commit",
            Self::PostCommit => "post-commit",
            Self::PostRewrite => "post-rewrite",
            Self::PrePush => "pre-push",
        }
    }
}

pub(crate) async fn run(app: &App, args: &HookArgs) -> Result<Exit, CommandError> {
    let done = match args.name {
        HookName::PreCommit => match pre_commit::run(app).await {
            Ok(exit) => return Ok(exit),
            Err(error) => Err(error),
        },
        HookName::PostCommit => post_commit(app).await,
        HookName::PostRewrite => post_rewrite(app),
        HookName::PrePush => pre_push(app, args.args.first().map(String::as_str)),
    };
    if let Err(error) = done {
        // The commit or push is not ours to stop.
        let name = args.name.as_str();
        app.ui.warning(&format!("refit's {name} hook: {error}"));
    }
    Ok(Exit::Fine)
}

async fn post_commit(app: &App) -> Result<(), CommandError> {
    let project = app.project()?;
    let Head::Commit { id, .. } = project.repo.head()? else {
        return Ok(());
    };
    let paths = project.repo.changed_paths(&id)?;
    if Outline::recall(&project, &id).is_some_and(|outline| !outline.is_touched_by(&paths)) {
        return Ok(());
    }
    let snapshot = project.at_head(&id)?;
    if let Some(outline) = Outline::of(&snapshot) {
        outline.remember(&project);
    }
    let touched = record::touched(&project, &snapshot, &id)?;
    let recording = record::prepare(
        &project,
        &snapshot,
        &id,
        touched,
        app.environment.hook_budget,
    )
    .await?;
    record::write(&project, &recording)?;
    if app.ui.is_verbose() {
        for line in &recording.sentences {
            app.ui.note(line);
        }
    }
    Ok(())
}

/// Git gives `OLD NEW` a line on standard input.
fn post_rewrite(app: &App) -> Result<(), CommandError> {
    let mut input = String::new();
    let read = std::io::stdin().lock().read_to_string(&mut input);
    read.map_err(|error| CommandError::new(format!("cannot read what was rewritten: {error}")))?;
    let project = app.project()?;
    let mut batch = Batch {
        message: "sentences: follow rewritten commits".to_owned(),
        ..Batch::default()
    };
    for line in input.lines() {
        let mut ids = line.split(' ').map(str::parse::<ObjectId>);
        let (Some(Ok(old)), Some(Ok(new))) = (ids.next(), ids.next()) else {
            continue;
        };
        let there = match batch.sentences.get(&new) {
            Some(lines) => lines.clone(),
            None => project.repo.notes_of(SENTENCES, &new)?,
        };
        let carried = carried(&there, project.repo.notes_of(SENTENCES, &old)?);
        if !carried.is_empty() {
            batch.sentences.entry(new).or_insert(there).extend(carried);
        }
    }
    if !batch.sentences.is_empty() {
        project.repo.notes_append(&batch)?;
    }
    Ok(())
}

/// The old commit's sentences, but for those whose image or run the new commit speaks of itself.
fn carried(there: &[String], old: Vec<String>) -> Vec<String> {
    let subject = |line: &str| {
        line.split_once(": ")
            .map_or_else(|| line.to_owned(), |(subject, _)| subject.to_owned())
    };
    let known: BTreeSet<String> = there.iter().map(|line| subject(line)).collect();
    old.into_iter()
        .filter(|line| !known.contains(&subject(line)))
        .collect()
}

fn pre_push(app: &App, remote: Option<&str>) -> Result<(), CommandError> {
    let project = app.project()?;
    let wanted = project.repo.config_string(PUSH_NOTES);
    if !wanted.is_some_and(|value| is_true(&value)) {
        return Ok(());
    }
    let remote = remote
        .map(str::to_owned)
        .or_else(|| project.repo.default_remote());
    if let Some(remote) = remote {
        project.repo.notes_push(&remote)?;
    }
    Ok(())
}

/// What git takes for true.
fn is_true(value: &str) -> bool {
    matches!(
        value.to_ascii_lowercase().as_str(),
        "true" | "yes" | "on" | "1" | ""
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_is_carried_unless_the_new_commit_has_its_own() {
        let lines = |lines: &[&str]| lines.iter().map(ToString::to_string).collect::<Vec<_>>();
        let there = lines(&["web: debian:13 1f3c09aa71c2 (linux/amd64)"]);
        let old = lines(&[
            "web: debian:12 9ab0d4417e55 (linux/amd64)",
            "api: scratch",
            "2026-11-22 sweep 01J: web rebuilt",
        ]);
        assert_eq!(
            carried(&there, old),
            ["api: scratch", "2026-11-22 sweep 01J: web rebuilt"]
        );
    }
}
