//! Which `git` would run.

use std::process::{Command, Stdio};

use crate::ChildError;

/// The version of the `git` on the `PATH`, as it says it: `2.47.3`.
pub fn git_version() -> Result<String, ChildError> {
    let argv = "git --version".to_owned();
    let output = Command::new("git")
        .arg("--version")
        .stdin(Stdio::null())
        .output();
    let output = match output {
        Ok(output) => output,
        Err(source) => return Err(ChildError::Start { argv, source }),
    };
    if !output.status.success() {
        return Err(ChildError::Failed {
            argv,
            status: output.status.to_string(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        });
    }
    let said = String::from_utf8_lossy(&output.stdout);
    let version = said.trim().trim_start_matches("git version ");
    Ok(version.to_owned())
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_version_begins_with_a_number() {
        assert!(
            super::git_version()
                .unwrap()
                .starts_with(|c: char| c.is_ascii_digit())
        );
    }
}
