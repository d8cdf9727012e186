//! `!reset` and `!override`: what a file takes away from those below it, and from what its services extend.

use super::super::yaml::{Mark, Node, Value};

/// The places of one file that are marked.
#[derive(Clone, Debug, Default)]
pub(super) struct Resets(Vec<Vec<String>>);

impl Resets {
    /// Takes out of the file what it resets. What it overrides stays; marks within that mean nothing.
    pub(super) fn take(root: &mut Node) -> Self {
        let mut resets = Self::default();
        resets.walk(root, &mut Vec::new());
        resets
    }

    fn walk(&mut self, node: &mut Node, path: &mut Vec<String>) {
        if node.mark != Mark::None {
            self.0.push(path.clone());
            return;
        }
        match &mut node.value {
            Value::Map(entries) => {
                for (key, node) in &mut *entries {
                    path.push(key.clone());
                    self.walk(node, path);
                    path.pop();
                }
                entries.retain(|(_, node)| node.mark != Mark::Reset);
            }
            // An element is taken out of its own list only: lists are appended to one another.
            Value::List(items) => items.retain(|item| item.mark != Mark::Reset),
            _ => {}
        }
    }

    /// Whether this very place is marked.
    pub(super) fn has(&self, path: &[&str]) -> bool {
        self.0.iter().any(|marked| marked == path)
    }

    /// Without the places within these keys of the value at `path`.
    pub(super) fn without(&self, path: &[&str], keys: &[&str]) -> Self {
        let is_within = |marked: &&Vec<String>| {
            let below = marked.len() > path.len() + 1
                && marked.iter().zip(path).all(|(marked, part)| marked == part);
            below && keys.contains(&marked[path.len()].as_str())
        };
        Self(
            self.0
                .iter()
                .filter(|marked| !is_within(marked))
                .cloned()
                .collect(),
        )
    }

    /// Takes the marked places out of another file's value, which stands at `path`.
    pub(super) fn apply(&self, path: &[&str], node: &mut Node) {
        let deeper = self.0.iter().filter(|marked| {
            marked.len() > path.len()
                && marked.iter().zip(path).all(|(marked, part)| marked == part)
        });
        for marked in deeper {
            remove(node, &marked[path.len()..]);
        }
    }
}

fn remove(node: &mut Node, path: &[String]) {
    let (Some((first, rest)), Value::Map(entries)) = (path.split_first(), &mut node.value) else {
        return;
    };
    if rest.is_empty() {
        entries.retain(|(key, _)| key != first);
    } else if let Some((_, inner)) = entries.iter_mut().find(|(key, _)| key == first) {
        remove(inner, rest);
    }
}
