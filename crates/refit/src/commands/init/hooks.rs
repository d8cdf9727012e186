//! Installs git hooks beside what is there already.
//!
//! A shell script gets a marked block after its first line; anything else is moved aside and called from ours. What
//! git does not run today (it is not executable) does not run afterwards either.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::change::Change;
use crate::{commands::hook::HookName, error::CommandError, project::Project};

const BEGIN: &str = "# >>> refit >>>";
const END: &str = "# <<< refit <<<";
/// What a hook that is no shell script is renamed to.
const ASIDE: &str = ".before-refit";

/// How one hook stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Installed {
    /// It calls refit.
    Yes,
    /// It does not.
    No,
    /// It would, but git does not run it: it is not executable.
    NotExecutable,
}

/// Plans the installation of all hooks.
pub(super) fn install(
    project: &Project,
    changes: &mut Vec<Change>,
    remarks: &mut Vec<String>,
) -> Result<(), CommandError> {
    let dir = project.repo.hooks_dir();
    for name in HookName::ALL {
        install_one(&dir, name, changes)?;
    }
    let own = [
        Some(project.repo.common_dir()),
        project.repo.git_dir().into(),
        project.repo.work_dir(),
    ];
    if !own
        .into_iter()
        .flatten()
        .any(|folder| dir.starts_with(folder))
    {
        remarks.push(format!(
            "`{}` is outside of this repository: its hooks run wherever it is set",
            dir.display()
        ));
    }
    Ok(())
}

/// Whether a hook calls refit.
pub(crate) fn installed(dir: &Path, name: HookName) -> Installed {
    let path = dir.join(name.as_str());
    match fs::read(&path) {
        Ok(bytes)
            if !String::from_utf8_lossy(&bytes)
                .contains(&format!("refit hook {}", name.as_str())) =>
        {
            Installed::No
        }
        Ok(_) if is_executable(&path) => Installed::Yes,
        Ok(_) => Installed::NotExecutable,
        Err(_) => Installed::No,
    }
}

fn install_one(dir: &Path, name: HookName, changes: &mut Vec<Change>) -> Result<(), CommandError> {
    let path = dir.join(name.as_str());
    let unreadable = |error: io::Error| {
        CommandError::new(format!(
            "cannot read the hook `{}`: {error}",
            path.display()
        ))
    };
    let kind = match fs::symlink_metadata(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let after = format!("#!/bin/sh\n{}", block(name));
            changes.push(Change::Write {
                path,
                before: None,
                after,
                executable: true,
            });
            return Ok(());
        }
        found => found.map_err(unreadable)?.file_type(),
    };
    let bytes = fs::read(&path).map_err(unreadable)?;
    let text = String::from_utf8(bytes).ok().filter(|text| is_shell(text));
    match text {
        // A link may lead to a file that others share: it is not written through.
        Some(before) if !kind.is_symlink() && is_executable(&path) => {
            let after = with_block(&before, name);
            if after != before {
                changes.push(Change::Write {
                    path,
                    before: Some(before),
                    after,
                    executable: true,
                });
            }
        }
        _ => {
            let aside = free_name(dir, name);
            let after = format!("#!/bin/sh\n{}{}", block(name), chain(&aside));
            changes.push(Change::Rename {
                from: path.clone(),
                to: aside,
            });
            changes.push(Change::Write {
                path,
                before: None,
                after,
                executable: true,
            });
        }
    }
    Ok(())
}

/// Our lines. Git gives post-rewrite its input once, so it is kept for what follows.
fn block(name: HookName) -> String {
    let hook = name.as_str();
    let body = match name {
        HookName::PreCommit => format!("  refit hook {hook} \"$@\" || [ $? -ne 1 ] || exit 1\n"),
        HookName::PostCommit | HookName::PrePush => {
            format!("  refit hook {hook} \"$@\" </dev/null || :\n")
        }
        HookName::PostRewrite => format!(
            "  refit_input=$(cat)\n  \
             printf '%s\\n' \"$refit_input\" | refit hook {hook} \"$@\" || :\n  \
             exec <<refit_end\n$refit_input\nrefit_end\n"
        ),
    };
    format!(
        "{BEGIN}\n\
         # Written by `refit init --hooks`; does nothing where refit is not installed.\n\
         if command -v refit >/dev/null 2>&1; then\n{body}fi\n{END}\n"
    )
}

/// What calls the hook that was moved aside, if git would have run it.
fn chain(aside: &Path) -> String {
    let name = aside
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    format!(
        "before=\"$(dirname -- \"$0\")/{name}\"\n\
         if [ -x \"$before\" ]; then\n  exec \"$before\" \"$@\"\nfi\n"
    )
}

/// The script with our block in it, once, as early as can be: what follows may `exit` or `exec`.
fn with_block(script: &str, name: HookName) -> String {
    let block = block(name);
    if let (Some(begin), Some(end)) = (script.find(BEGIN), script.find(END)) {
        let end = script[end..]
            .find('\n')
            .map_or(script.len(), |newline| end + newline + 1);
        if begin < end {
            return format!("{}{block}{}", &script[..begin], &script[end..]);
        }
    }
    let at = if script.starts_with("#!") {
        script
            .find('\n')
            .map_or(script.len(), |newline| newline + 1)
    } else {
        0
    };
    let (first, rest) = script.split_at(at);
    let newline = if first.is_empty() || first.ends_with('\n') {
        ""
    } else {
        "\n"
    };
    format!("{first}{newline}{block}{rest}")
}

/// Whether git hands the file to a POSIX shell: by its first line, or without one.
fn is_shell(text: &str) -> bool {
    if text.contains('\0') {
        return false;
    }
    let Some(interpreter) = text.strip_prefix("#!") else {
        return true;
    };
    let mut words = interpreter
        .lines()
        .next()
        .unwrap_or_default()
        .split_whitespace();
    let program = |word: &str| word.rsplit('/').next().unwrap_or_default().to_owned();
    let first = words.next().map(program).unwrap_or_default();
    let shell = if first == "env" {
        words
            .find(|w| !w.starts_with('-'))
            .map(program)
            .unwrap_or_default()
    } else {
        first
    };
    ["sh", "bash", "dash", "ash", "ksh", "mksh", "zsh"].contains(&shell.as_str())
}

fn free_name(dir: &Path, name: HookName) -> PathBuf {
    let first = dir.join(format!("{}{ASIDE}", name.as_str()));
    let numbered = (2..).map(|n: u32| dir.join(format!("{}{ASIDE}.{n}", name.as_str())));
    let free = |path: &PathBuf| fs::symlink_metadata(path).is_err();
    std::iter::once(first)
        .chain(numbered)
        .find(free)
        .expect("a folder has finitely many files")
}

#[cfg(unix)]
fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 0o111 != 0)
}

#[cfg(not(unix))]
fn is_executable(path: &Path) -> bool {
    path.is_file()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shells_are_told_by_their_first_line() {
        for (text, expect) in [
            ("#!/bin/sh\n", true),
            ("#!/bin/sh -e\n", true),
            ("#!/usr/bin/env bash\n", true),
            ("#!/usr/bin/env -S zsh\n", true),
            ("echo hello\n", true),
            ("#!/usr/bin/env python3\n", false),
            ("#!/usr/bin/perl\n", false),
            ("\u{7f}ELF\0", false),
        ] {
            assert_eq!(is_shell(text), expect, "{text:?}");
        }
    }

    #[test]
    fn a_block_is_put_in_once_and_renewed() {
        let name = HookName::PostCommit;
        let once = with_block("#!/bin/sh\nexec lint\n", name);
        assert!(
            once.starts_with("#!/bin/sh\n# >>> refit >>>\n")
                && once.ends_with("# <<< refit <<<\nexec lint\n")
        );
        assert_eq!(with_block(&once, name), once);
        let older = once.replace("|| :", "|| true");
        assert_eq!(with_block(&older, name), once);
        assert!(with_block("lint", name).ends_with("# <<< refit <<<\nlint"));
        assert!(with_block("#!/bin/sh", name).starts_with("#!/bin/sh\n# >>>"));
    }
}
