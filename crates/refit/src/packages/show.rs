//! Changed packages for people, and in JSON.

use anstyle::Style;
use refit_deps::packages::{Direction, PackageChange};
use refit_oci::Digest;
use serde_json::{Value, json};

use super::{Inside, Insides, Move};
use crate::ui::{DIM, GOOD, Table, Ui, WARNING, count};

/// Each base that moved, and below it what changed inside.
pub(crate) fn show(ui: &Ui, insides: &Insides) {
    for (moved, inside) in insides {
        ui.data(&format!(
            "\n{} {} → {}",
            moved.reference.familiar(),
            moved.from.short(),
            moved.to.short()
        ));
        match inside {
            Inside::Changes(changes) if !changes.is_empty() => ui.table(&table(changes)),
            other => ui.data(&format!("  {DIM}{}{DIM:#}", in_short(other))),
        }
    }
}

fn table(changes: &[PackageChange]) -> Table {
    let mut table = Table::new();
    for change in changes {
        let [name, from_to] = cells(change);
        table.row(vec![format!("  {name}"), from_to], style(change));
    }
    table
}

fn style(change: &PackageChange) -> Style {
    match change.change {
        Direction::Upgraded => GOOD,
        Direction::Downgraded => WARNING,
        Direction::Added | Direction::Removed => Style::new(),
    }
}

fn cells(change: &PackageChange) -> [String; 2] {
    let text = match (&change.from, &change.to, change.change) {
        (Some(from), Some(to), Direction::Downgraded) => format!("{from} → {to} (downgraded)"),
        (Some(from), Some(to), _) => format!("{from} → {to}"),
        (None, Some(to), _) => format!("{to} (added)"),
        (Some(from), None, _) => format!("{from} (removed)"),
        (None, None, _) => String::new(),
    };
    [change.name.clone(), text]
}

/// `openssl 3.0.11-1 → 3.0.15-1`.
pub(crate) fn change_words(change: &PackageChange) -> String {
    cells(change).join("  ")
}

/// The whole in a few words.
pub(crate) fn in_short(inside: &Inside) -> String {
    match inside {
        Inside::Changes(changes) if changes.is_empty() => "the packages are the same".to_owned(),
        Inside::Changes(changes) => format!("{} changed", count(changes.len(), "package")),
        Inside::Rpm => "rpm database: not read".to_owned(),
        Inside::NoDatabase => "no package database in it".to_owned(),
        Inside::Unknown(why) => format!("the packages are unknown: {why}"),
    }
}

impl Inside {
    /// The list, or null and why there is none.
    pub(crate) fn to_json(&self) -> (Value, Option<String>) {
        match self {
            Self::Changes(changes) => (json!(changes), None),
            other => (Value::Null, Some(in_short(other))),
        }
    }
}

/// Adds `packages` to every reason of a document that a base changed.
pub(crate) fn annotate(document: &mut Value, insides: &Insides) {
    match document {
        Value::Array(items) => items.iter_mut().for_each(|item| annotate(item, insides)),
        Value::Object(fields) => {
            if let Some(inside) = moved(fields).and_then(|moved| insides.get(&moved)) {
                let (packages, why_not) = inside.to_json();
                fields.insert("packages".to_owned(), packages);
                if let Some(why_not) = why_not {
                    fields.insert("packages_unknown".to_owned(), json!(why_not));
                }
                return;
            }
            fields
                .values_mut()
                .for_each(|value| annotate(value, insides));
        }
        _ => {}
    }
}

fn moved(reason: &serde_json::Map<String, Value>) -> Option<Move> {
    let text = |key: &str| reason.get(key)?.as_str();
    let digest = |key: &str| text(key)?.parse::<Digest>().ok();
    (text("kind") == Some("base-changed")).then_some(())?;
    Some(Move {
        reference: text("reference")?.parse().ok()?,
        from: digest("from")?,
        to: digest("to")?,
    })
}
