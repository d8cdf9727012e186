//! What a request may do, as token services are told.

/// The rights that a request needs, in the distribution project's notation (`repository:a/b:pull`).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Scopes {
    /// The repository that it is all about.
    path: String,
    each: Vec<String>,
}

impl Scopes {
    fn of(path: &str, each: Vec<String>) -> Self {
        let path = path.to_owned();
        Self { path, each }
    }

    /// The repository whose credential is needed.
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    pub(super) fn pull(path: &str) -> Self {
        Self::of(path, vec![format!("repository:{path}:pull")])
    }

    pub(super) fn push(path: &str) -> Self {
        Self::of(path, vec![format!("repository:{path}:pull,push")])
    }

    pub(super) fn delete(path: &str) -> Self {
        Self::of(path, vec![format!("repository:{path}:delete")])
    }

    /// One scope each, as token services are asked.
    pub(super) fn each(&self) -> impl Iterator<Item = &str> {
        self.each.iter().map(String::as_str)
    }

    /// Reading one repository while writing another: what a mount needs.
    pub(super) fn mount(path: &str, from: &str) -> Self {
        let each = vec![
            format!("repository:{path}:pull,push"),
            format!("repository:{from}:pull"),
        ];
        Self::of(path, each)
    }
}

/// All of them, separated by spaces.
impl std::fmt::Display for Scopes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.each.join(" "))
    }
}
