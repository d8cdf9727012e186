//! What a reusable workflow or a composite action is given.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{
    super::yaml::{Node, Value as Yaml},
    expression::{self, Scope},
};

/// Values by name in lower case; none where the run decides.
pub(super) type Inputs = BTreeMap<String, Option<Value>>;

/// Whose inputs they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A workflow that another one calls: each input has its type.
    Workflow,
    /// A workflow that nothing in this repository calls.
    Uncalled,
    /// A composite action: inputs are text.
    Action,
}

/// Declared inputs with what `with:` says in the caller's scope, else with their defaults.
pub(super) fn inputs(
    kind: Kind,
    declared: Option<&Node>,
    with: Option<&Node>,
    scope: &Scope,
) -> Inputs {
    let declared = declared.map(Node::entries).unwrap_or_default();
    let value = |name: &str, input: &Node| {
        let kind_of = input.text_at("type").unwrap_or_default();
        let given = given(with, name).or_else(|| input.filled("default"));
        match given {
            Some(node) => typed(kind, &kind_of, &evaluated(node, scope)?),
            None if kind == Kind::Uncalled || is_required(input) => None,
            None => typed(kind, &kind_of, &Value::Null),
        }
    };
    declared
        .iter()
        .map(|(name, input)| (name.to_lowercase(), value(name, input)))
        .collect()
}

fn given<'a>(with: Option<&'a Node>, name: &str) -> Option<&'a Node> {
    let mut entries = with?.entries().iter();
    entries
        .find(|(key, _)| key.eq_ignore_ascii_case(name))
        .map(|(_, node)| node)
}

fn is_required(input: &Node) -> bool {
    input
        .get("required")
        .is_some_and(|required| required.value == Yaml::Bool(true))
}

fn evaluated(node: &Node, scope: &Scope) -> Option<Value> {
    match &node.value {
        Yaml::Bool(value) => Some(Value::Bool(*value)),
        Yaml::Number(text) => {
            let number = text.parse::<serde_json::Number>();
            Some(number.map_or_else(|_| Value::from(text.as_str()), Value::Number))
        }
        Yaml::Text(text) => scope.any(text).ok(),
        Yaml::Null => Some(Value::Null),
        Yaml::List(_) | Yaml::Map(_) => None,
    }
}

/// A value as the input's type has it.
fn typed(kind: Kind, type_of: &str, value: &Value) -> Option<Value> {
    let text = expression::shown(value);
    match type_of {
        _ if kind == Kind::Action => Some(Value::String(text)),
        "boolean" => Some(Value::Bool(text == "true")),
        "number" if text.is_empty() => Some(Value::from(0)),
        "number" => text.parse().ok().map(Value::Number),
        _ => Some(Value::String(text)),
    }
}

/// Which of the caller's secrets and variables are behind what was passed on.
#[derive(Clone, Debug, Default)]
pub(super) struct Passed {
    /// The variable behind an input, by name in lower case.
    inputs: BTreeMap<String, String>,
    /// The secret's name where the workflow was called from, by name in lower case; none where all are handed on.
    secrets: Option<BTreeMap<String, String>>,
}

impl Passed {
    /// As a called workflow has it.
    pub(super) fn to_workflow(&self, call: &Node) -> Self {
        let secrets = call.get("secrets");
        Self {
            inputs: self.inputs(call),
            // Without a word nothing is handed on.
            secrets: match secrets.and_then(Node::text) {
                Some(inherit) if inherit == "inherit" => self.secrets.clone(),
                _ => Some(self.variables(secrets)),
            },
        }
    }

    /// As the steps of a composite action have it.
    pub(super) fn to_action(&self, step: &Node) -> Self {
        Self {
            inputs: self.inputs(step),
            secrets: self.secrets.clone(),
        }
    }

    fn inputs(&self, node: &Node) -> BTreeMap<String, String> {
        self.variables(node.get("with"))
    }

    fn variables(&self, node: Option<&Node>) -> BTreeMap<String, String> {
        let entries = node.map(Node::entries).unwrap_or_default();
        let known = entries
            .iter()
            .filter_map(|(name, node)| Some((name.to_lowercase(), self.variable(&node.text()?)?)));
        known.collect()
    }

    /// The variable that holds what a lone `${{ secrets.X }}`, `${{ env.X }}` or `${{ inputs.x }}` gives.
    pub(super) fn variable(&self, text: &str) -> Option<String> {
        let inner = text.trim().strip_prefix("${{")?.strip_suffix("}}")?.trim();
        if inner == "github.token" {
            return Some("GITHUB_TOKEN".to_owned());
        }
        let (context, name) = inner.split_once('.')?;
        if !name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
        {
            return None;
        }
        let found = match context {
            "inputs" => self.inputs.get(&name.to_lowercase()).cloned(),
            "env" => Some(name.to_owned()),
            "secrets" if name == "GITHUB_TOKEN" => Some(name.to_owned()),
            "secrets" => match &self.secrets {
                Some(secrets) => secrets.get(&name.to_lowercase()).cloned(),
                None => Some(name.to_owned()),
            },
            _ => None,
        };
        found.filter(|name| !name.contains('-'))
    }
}
