//! What there is to say about git, the repository and what refit keeps in it.

use refit_deps::config::CONFIG_PATH;
use refit_git::{
    Head,
    notes::{self, tracking_ref},
};

use super::{Check, first};
use crate::{
    commands::{
        hook::HookName,
        init::{
            hooks::{Installed, installed},
            tracking_refspec,
        },
    },
    error::{CommandError, chain},
    project::{Project, Snapshot},
    ui::{count, sentence_list},
};

pub(super) fn git() -> Check {
    match refit_git::git_version() {
        Ok(version) => Check::ok("git", version),
        Err(error) => {
            let mend = "install git: notes are fetched and pushed by it";
            Check::wrong("git", chain(&error), Some(mend.to_owned()))
        }
    }
}

pub(super) fn repository(project: &Project) -> Check {
    let repo = &project.repo;
    let place = repo.work_dir().unwrap_or(repo.git_dir()).display();
    let mut kinds = Vec::new();
    if repo.is_bare() {
        kinds.push("bare");
    }
    if repo.git_dir() != repo.common_dir() {
        kinds.push("a linked worktree");
    }
    if repo.is_shallow() {
        kinds.push("shallow");
    }
    let kind = if kinds.is_empty() {
        String::new()
    } else {
        format!(" ({})", kinds.join(", "))
    };
    let check = Check::ok("repository", format!("{place}{kind}"));
    if repo.is_shallow() {
        let mend = "run `git fetch --unshallow` where released commits are lacking";
        return Check {
            mend: Some(mend.to_owned()),
            ..check
        };
    }
    check
}

pub(super) fn configuration(
    project: &Project,
    snapshot: Result<&Snapshot, &CommandError>,
) -> Check {
    let name = "configuration";
    let snapshot = match snapshot {
        Ok(snapshot) => snapshot,
        Err(error) => return Check::wrong(name, error.message.clone(), first(error)),
    };
    let images = count(snapshot.inventory.images.len(), "image");
    if !snapshot.problems.is_empty() {
        let problems = count(snapshot.problems.len(), "problem");
        return Check::wrong(
            name,
            format!("{images}, {problems}"),
            Some("run `refit config check`".to_owned()),
        );
    }
    if snapshot.inventory.configured {
        return Check::ok(name, format!("{CONFIG_PATH}, {images}"));
    }
    let detail = format!("no {CONFIG_PATH}; a scan finds {images}");
    let mend = if snapshot.inventory.images.is_empty() {
        "run `refit demo` to see what a repository of images looks like"
    } else if project.repo.is_bare() {
        "run `refit init` in a clone, and push the file"
    } else {
        "run `refit init`"
    };
    Check::missing(name, detail, mend)
}

pub(super) fn records(project: &Project) -> Check {
    let name = "records";
    match project.records() {
        Err(error) => Check::wrong(name, error.message, None),
        Ok(records) if !records.present => {
            let mend = match (project.repo.head(), project.repo.default_remote()) {
                (Ok(Head::Unborn { .. }), _) => "run `git commit` first, then `refit deps record`",
                (_, Some(_)) => {
                    "run `refit notes fetch`, and if the remote has none `refit deps record`"
                }
                (_, None) => "run `refit deps record`",
            };
            Check::missing(name, format!("no {}", notes::RECORDS), mend)
        }
        Ok(records) if records.damaged > 0 => Check::wrong(
            name,
            format!("{} can't be read", count(records.damaged, "note")),
            Some("`refit notes verify` names what is damaged".to_owned()),
        ),
        Ok(records) => {
            let (n_deps, n_builds) = (records.deps().len(), records.builds().count());
            let unread = match records.unread() {
                0 => String::new(),
                n => format!(", {} of another version", count(n, "line")),
            };
            Check::ok(
                name,
                format!(
                    "dependencies of {}, {}{unread}",
                    count(n_deps, "target"),
                    count(n_builds, "build")
                ),
            )
        }
    }
}

/// Whether a fetch brings the remote's notes along; nothing to say without a remote.
pub(super) fn remote(project: &Project) -> Option<Check> {
    let name = "remote";
    let remote = project.repo.default_remote()?;
    let refspec = tracking_refspec(&remote);
    if !project
        .repo
        .config_strings(&format!("remote.{remote}.fetch"))
        .contains(&refspec)
    {
        let mend = if project.repo.is_bare() {
            format!("run `git config --add remote.{remote}.fetch '{refspec}'`")
        } else {
            "run `refit init`".to_owned()
        };
        let detail = format!("a fetch from `{remote}` leaves its notes behind");
        return Some(Check::missing(name, detail, mend));
    }
    let fetched = project
        .repo
        .notes_absent(&tracking_ref(&remote, notes::RECORDS))
        .is_ok_and(|absent| !absent);
    Some(if fetched {
        Check::ok(name, format!("notes of `{remote}` are fetched"))
    } else {
        Check::missing(
            name,
            format!("no notes of `{remote}` were fetched yet"),
            "run `refit notes fetch`, and if it has none `refit notes push`",
        )
    })
}

/// The hooks; nothing to say where nobody commits.
pub(super) fn hooks(project: &Project) -> Option<Check> {
    let name = "hooks";
    if project.repo.is_bare() {
        return None;
    }
    let dir = project.repo.hooks_dir();
    let with = |state: Installed| -> Vec<&str> {
        HookName::ALL
            .into_iter()
            .filter(|hook| installed(&dir, *hook) == state)
            .map(HookName::as_str)
            .collect()
    };
    let (missing, inert) = (with(Installed::No), with(Installed::NotExecutable));
    if !inert.is_empty() {
        let paths: Vec<String> = inert
            .iter()
            .map(|hook| dir.join(hook).display().to_string())
            .collect();
        let detail = format!(
            "{} in `{}` can't be executed",
            sentence_list(&inert),
            dir.display()
        );
        let mend = format!("run `chmod +x {}`", paths.join(" "));
        return Some(Check::wrong(name, detail, Some(mend)));
    }
    Some(if missing.is_empty() {
        Check::ok(name, format!("installed in `{}`", dir.display()))
    } else {
        let detail = format!("no {} in `{}`", sentence_list(&missing), dir.display());
        Check::missing(name, detail, "run `refit init --hooks`")
    })
}

pub(super) fn store(project: &Project) -> Check {
    let dir = project.store_dir();
    let made = dir.join("oci-layout").is_file();
    let detail = if made {
        format!("`{}`", dir.display())
    } else {
        "not made yet, the first build makes it".to_owned()
    };
    Check::ok("embedded store", detail)
}
