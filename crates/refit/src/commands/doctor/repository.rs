//! What there is to say about git, the repository and what refit keeps in it.

use refit_deps::config::CONFIG_PATH;
use refit_git::notes::{self, tracking_ref};

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
        Err(error) => Check::wrong(
            "git",
            chain(&error),
            Some("install git: fetching and pushing notes needs it".into()),
        ),
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
        let mend = "released commits that it lacks can't be patched: run `git fetch --unshallow`";
        return Check {
            mend: Some(mend.to_owned()),
            ..check
        };
    }
    check
}

pub(super) fn configuration(snapshot: Result<&Snapshot, &CommandError>) -> Check {
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
    Check::missing(
        name,
        format!("no {CONFIG_PATH}; a scan finds {images}"),
        "run `refit init`",
    )
}

pub(super) fn records(project: &Project) -> Check {
    let name = "records";
    match project.records() {
        Err(error) => Check::wrong(name, error.message, None),
        Ok(records) if !records.present => Check::missing(
            name,
            format!("no {}", notes::RECORDS),
            "run `refit deps record`, or `refit notes fetch`",
        ),
        Ok(records) => {
            let (n_deps, n_builds) = (records.deps().len(), records.builds().count());
            let unread = match records.unread {
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
        return Some(Check::missing(
            name,
            format!("a fetch from `{remote}` leaves its notes behind"),
            "run `refit init`",
        ));
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
            "run `refit notes fetch`",
        )
    })
}

pub(super) fn hooks(project: &Project) -> Check {
    let name = "hooks";
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
        return Check::wrong(
            name,
            detail,
            Some(format!("run `chmod +x {}`", paths.join(" "))),
        );
    }
    if missing.is_empty() {
        return Check::ok(name, format!("installed in `{}`", dir.display()));
    }
    Check::missing(
        name,
        format!("no {} in `{}`", sentence_list(&missing), dir.display()),
        "run `refit init --hooks`",
    )
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
