//! What expressions are worth, seen in three ways.

use serde_json::{Map, Value};

use super::{
    super::{Source, yaml::Node},
    expression::Scope,
};

/// Scopes of one place in a workflow.
#[derive(Clone, Debug, Default)]
pub(super) struct Views {
    /// What only the repository decides.
    pub(super) plain: Scope,
    /// The same, with placeholders for branch and commit.
    pub(super) tags: Scope,
    /// The same, as on a push to the branch that is swept.
    pub(super) push: Scope,
}

impl Views {
    /// Outside of every workflow.
    pub(super) fn new(source: &Source<'_>) -> Self {
        let mut plain = Scope::default();
        if let Some(repository) = &source.github {
            let owner = repository.split('/').next().unwrap_or_default().to_owned();
            plain.github.insert("repository_owner", owner);
            plain.github.insert("repository", repository.clone());
        }
        let placeholders = [("sha", "{{.Run.Commit}}"), ("ref_name", "{{.Line}}")];
        let branch = source.branch.as_str();
        let whole = format!("refs/heads/{branch}");
        let push = [
            ("event_name", "push"),
            ("ref_type", "branch"),
            ("ref", &whole),
            ("ref_name", branch),
            ("event.repository.default_branch", branch),
        ];
        Self {
            tags: with_github(&plain, &placeholders),
            push: with_github(&plain, &push),
            plain,
        }
    }

    /// Each changed in the same way.
    pub(super) fn each(&self, change: impl Fn(&Scope) -> Scope) -> Self {
        Self {
            plain: change(&self.plain),
            tags: change(&self.tags),
            push: change(&self.push),
        }
    }

    pub(super) fn with_env(&self, node: &Node) -> Self {
        self.each(|scope| with_env(scope, node))
    }

    pub(super) fn with_matrix(&self, row: &Map<String, Value>) -> Self {
        self.each(|scope| Scope {
            matrix: row.clone(),
            ..scope.clone()
        })
    }
}

/// The scope with a node's `env:` in it.
pub(super) fn with_env(scope: &Scope, node: &Node) -> Scope {
    let mut inner = scope.clone();
    for (name, value) in node.get("env").map(Node::entries).unwrap_or_default() {
        let value = value.text().unwrap_or_default();
        inner.env.insert(name.clone(), scope.text(&value).ok());
    }
    inner
}

fn with_github(scope: &Scope, values: &[(&'static str, &str)]) -> Scope {
    let mut inner = scope.clone();
    inner.github.extend(
        values
            .iter()
            .map(|(name, value)| (*name, (*value).to_owned())),
    );
    inner
}

/// Whether a condition fails for every event but a pull request's.
pub(super) fn never_publishes(scope: &Scope, condition: &str) -> bool {
    let events: [&[(&'static str, &str)]; 5] = [
        &[("event_name", "push"), ("ref_type", "branch")],
        &[
            ("event_name", "push"),
            ("ref_type", "tag"),
            ("ref", "refs/tags/v1.0.0"),
            ("ref_name", "v1.0.0"),
        ],
        &[("event_name", "schedule"), ("ref_type", "branch")],
        &[("event_name", "workflow_dispatch")],
        &[
            ("event_name", "release"),
            ("ref_type", "tag"),
            ("ref", "refs/tags/v1.0.0"),
            ("ref_name", "v1.0.0"),
        ],
    ];
    let fails = |event: &[(&'static str, &str)]| {
        with_github(scope, event).condition(condition) == Ok(false)
    };
    events.iter().all(|event| fails(event))
}
