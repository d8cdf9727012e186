//! What besides the repository itself decides: the process's environment and the user's git configuration, or nothing.

/// Where settings outside of the repository come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Environment {
    /// As git has it: `GIT_DIR` and `GIT_INDEX_FILE` (set in hooks), the system's and the user's configuration.
    #[default]
    Inherited,
    /// The repository's own configuration only; `git` children see no `GIT_*` variable of ours.
    Isolated,
}
