//! The one error type at the edge: what is said, what helps, and the exit code.

use std::{error::Error, fmt};

use refit_context::ContextError;
use refit_deps::problem::Problem;
use refit_git::{
    ChildError, ConfigError, FetchError, FilterError, GitError, OpenError, RevError,
    notes::NotesError,
};
use refit_logs::LogError;
use refit_registry::RegistryError;

/// How the process ends. These numbers are an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// 0: fine.
    Fine,
    /// 1: some targets or files failed, or something is stale and `--exit-code` was given.
    Partial,
    /// 2: the job could not be done: usage, configuration, git, registry.
    CannotDo,
    /// 130: interrupted.
    Interrupted,
}

impl Exit {
    /// The number.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Fine => 0,
            Self::Partial => 1,
            Self::CannotDo => 2,
            Self::Interrupted => 130,
        }
    }

    /// [`Exit::Partial`] if there were problems.
    pub(crate) fn with(problems: &[Problem]) -> Self {
        if problems.is_empty() {
            Self::Fine
        } else {
            Self::Partial
        }
    }

    /// The worse of two.
    #[must_use]
    pub(crate) fn or(self, other: Self) -> Self {
        if self.code() >= other.code() {
            self
        } else {
            other
        }
    }
}

/// Why a command ends without its result.
#[derive(Clone, Debug)]
pub(crate) struct CommandError {
    /// The exit code.
    pub(crate) exit: Exit,
    /// A lowercase fragment, with the causes behind colons.
    pub(crate) message: String,
    /// Commands or settings that help, one line each.
    pub(crate) hints: Vec<String>,
    /// What is wrong with single files.
    pub(crate) problems: Vec<Problem>,
}

impl CommandError {
    /// An error that leaves the job undone.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self {
            exit: Exit::CannotDo,
            message: message.into(),
            hints: Vec::new(),
            problems: Vec::new(),
        }
    }

    /// The text of an error and of its causes.
    pub(crate) fn because(error: &dyn Error) -> Self {
        Self::new(chain(error))
    }

    /// The same with a way out.
    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// The same with what is wrong in single files.
    #[must_use]
    pub(crate) fn problems(mut self, problems: Vec<Problem>) -> Self {
        self.problems.extend(problems);
        self
    }

    /// The same with another exit code.
    #[must_use]
    pub(crate) fn exit(mut self, exit: Exit) -> Self {
        self.exit = exit;
        self
    }
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for CommandError {}

/// An error and its causes, each once: transparent wrappers repeat what they wrap.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

impl From<OpenError> for CommandError {
    fn from(error: OpenError) -> Self {
        let command = Self::because(&error);
        match &error {
            OpenError::NotARepository { .. } => {
                command.hint("run `git init`, or give the folder with `-C DIR`")
            }
            OpenError::Unsafe { path } => {
                Self::new(format!("`{}` belongs to another user", path.display())).hint(format!(
                    "run `git config --global --add safe.directory {}`",
                    path.display()
                ))
            }
            OpenError::Reftable { .. } => command
                // git 2.47 refuses to migrate in place where there are reflogs.
                .hint("run `git refs migrate --ref-format=files`")
                .hint("where git refuses that: `git clone --ref-format=files . ../files`"),
            _ => command,
        }
    }
}

impl From<GitError> for CommandError {
    fn from(error: GitError) -> Self {
        let command = Self::because(&error);
        match &error {
            GitError::Missing { .. } => {
                command.hint("run `git fetch --unshallow` if this is a shallow clone")
            }
            GitError::Unmerged(_) => command.hint("run `git status` and resolve the conflicts"),
            _ => command,
        }
    }
}

impl From<RevError> for CommandError {
    fn from(error: RevError) -> Self {
        // What the library says about an unknown revision is about its parser, not about the repository.
        Self::new(error.to_string())
    }
}

impl From<NotesError> for CommandError {
    fn from(error: NotesError) -> Self {
        let command = Self::because(&error);
        match &error {
            NotesError::UnknownRemote(_) => command.hint("run `git remote -v` to see the remotes"),
            _ => command,
        }
    }
}

impl From<RegistryError> for CommandError {
    fn from(error: RegistryError) -> Self {
        let command = Self::because(&error);
        match error.hint() {
            Some(hint) => command.hint(hint),
            None => command,
        }
    }
}

macro_rules! plain {
    ($($error:ty),* $(,)?) => {
        $(impl From<$error> for CommandError {
            fn from(error: $error) -> Self {
                Self::because(&error)
            }
        })*
    };
}

plain!(
    ChildError,
    ConfigError,
    FetchError,
    FilterError,
    LogError,
    ContextError,
    refit_oci::ReferenceError
);

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("cannot open `x`")]
    struct Outer(#[source] std::io::Error);

    #[test]
    fn causes_follow_behind_colons_and_are_not_repeated() {
        let error = Outer(std::io::Error::other("disk on fire"));
        assert_eq!(chain(&error), "cannot open `x`: disk on fire");
        let wrapped = NotesError::Read(GitError::NotUtf8("a".to_owned()));
        assert_eq!(chain(&wrapped), "path `a` is not UTF-8");
    }

    #[test]
    fn exit_codes_are_what_the_manual_says() {
        let codes = [Exit::Fine, Exit::Partial, Exit::CannotDo, Exit::Interrupted].map(Exit::code);
        assert_eq!(codes, [0, 1, 2, 130]);
    }
}
