//! `refit init --ci`: files for CI that work as they are written.

mod azure;
mod facts;
mod github;
mod gitlab;
mod release;
mod text;

use std::{fs, io};

use clap::ValueEnum;
use sha2::{Digest as _, Sha256};

use self::facts::Facts;
use super::change::Change;
use crate::{
    error::CommandError,
    project::{Project, Snapshot},
};

/// A CI system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum System {
    /// GitHub Actions.
    Github,
    /// GitLab CI.
    Gitlab,
    /// Azure Pipelines.
    Azure,
}

/// What a system's files come to.
#[derive(Debug, Default)]
pub(super) struct Files {
    /// Path in the repository, and text without the first line.
    files: Vec<(&'static str, String)>,
    /// What is still to be done by hand.
    hints: Vec<String>,
}

/// What is to be changed, and said.
#[derive(Debug, Default)]
pub(super) struct Planned {
    pub(super) changes: Vec<Change>,
    pub(super) warnings: Vec<String>,
    pub(super) hints: Vec<String>,
}

impl System {
    fn word(self) -> &'static str {
        match self {
            Self::Github => "github",
            Self::Gitlab => "gitlab",
            Self::Azure => "azure",
        }
    }
}

/// Plans the files of some systems.
pub(super) fn plan(
    project: &Project,
    snapshot: &Snapshot,
    systems: &[System],
    schedule: &[String],
) -> Result<Planned, CommandError> {
    let mut planned = Planned::default();
    let facts = Facts::of(project, snapshot, schedule)?;
    let Some(root) = project.repo.work_dir() else {
        return Ok(planned);
    };
    planned.warnings.extend(facts.warnings());
    for system in systems {
        let made = match system {
            System::Github => github::files(&facts),
            System::Gitlab => gitlab::files(&facts, root),
            System::Azure => azure::files(&facts),
        };
        let n_before = planned.changes.len();
        for (path, body) in made.files {
            let after = signed(*system, &body);
            match fs::read(root.join(path)) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    planned.changes.push(write(root.join(path), None, after));
                }
                Err(error) => {
                    return Err(CommandError::new(format!("cannot read `{path}`: {error}")));
                }
                Ok(bytes) if bytes == after.as_bytes() => {}
                Ok(bytes) => match String::from_utf8(bytes).ok().filter(|old| is_ours(old)) {
                    Some(before) => {
                        planned
                            .changes
                            .push(write(root.join(path), Some(before), after));
                    }
                    None => planned.warnings.push(format!(
                        "`{path}` is there already, and not as refit wrote it: it stays as it is"
                    )),
                },
            }
        }
        if planned.changes.len() > n_before {
            planned.hints.extend(made.hints);
        }
    }
    Ok(planned)
}

fn write(path: std::path::PathBuf, before: Option<String>, after: String) -> Change {
    Change::Write {
        path,
        before,
        after,
        executable: false,
    }
}

/// What the first line of each file begins with.
const MARK: &str = "# Written by `refit init --ci ";
/// What stands before the sum of the lines that follow.
const SUM: &str = "renews it while nobody else changed it: ";

/// The file with a first line by which it is known again.
fn signed(system: System, body: &str) -> String {
    format!("{MARK}{}`, which {SUM}{}\n{body}", system.word(), sum(body))
}

/// Whether refit wrote the file, and nobody has changed it since.
fn is_ours(text: &str) -> bool {
    let Some((first, body)) = text.split_once('\n') else {
        return false;
    };
    first.starts_with(MARK) && first.ends_with(&format!("{SUM}{}", sum(body)))
}

fn sum(body: &str) -> String {
    let digest = hex::encode(Sha256::digest(body.as_bytes()));
    digest[..16].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_ours_until_somebody_changes_it() {
        let text = signed(System::Github, "on: push\n");
        assert!(is_ours(&text));
        assert!(!is_ours(&text.replace("push", "pull_request")));
        assert!(!is_ours("on: push\n") && !is_ours(""));
    }
}
