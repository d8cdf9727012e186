//! Which keys the file may have, so that a misspelt one is an error and not silence.

use toml::{Spanned, de::DeTable, de::DeValue};

use crate::problem::{Problem, nearest};

const TOP: &[&str] = &[
    "version", "push-to", "ignore", "defaults", "images", "image", "bases", "sweep", "policy",
    "ci", "notes",
];

const IMAGE: &[&str] = &[
    "repository",
    "context",
    "dockerfile",
    "target",
    "platforms",
    "tags",
    "unique-tags",
    "build-args",
    "build-contexts",
    "labels",
    "annotations",
    "network",
    "secrets",
    "ssh",
    "cache-from",
    "cache-to",
    "engine",
    "pinned",
    "rebase",
    "hold",
    "timeout",
    "prepare",
    "test",
    "stale-when",
    "provenance",
    "attest",
];

const BASES: &[&str] = &["mirror"];

const SWEEP: &[&str] = &[
    "branches",
    "rebuild-from",
    "wait-for-platforms",
    "cooldown",
    "partial",
    "limit",
    "canary",
    "releases",
    "schedule",
];

const RELEASES: &[&str] = &["git-tags", "keep", "newest"];

const NOTES: &[&str] = &["sign"];

/// Keys of the format that this version does nothing with: a gate that silently is none would be an incident.
const WITHOUT_EFFECT: &[&str] = &["requires", "rebuild-after"];

/// The problems of all keys of the file.
pub(super) fn check(file: &str, text: &str, table: &DeTable<'_>) -> Vec<Problem> {
    let mut checker = Checker {
        file,
        text,
        problems: Vec::new(),
    };
    checker.table(table, TOP);
    for (key, value) in table {
        match (key.get_ref().as_ref(), value.get_ref()) {
            ("defaults", DeValue::Table(defaults)) => checker.table(defaults, IMAGE),
            ("bases", DeValue::Table(bases)) => checker.table(bases, BASES),
            ("sweep", DeValue::Table(sweep)) => {
                checker.table(sweep, SWEEP);
                checker.releases(sweep);
            }
            ("notes", DeValue::Table(notes)) => checker.table(notes, NOTES),
            ("policy", DeValue::Table(policy)) => checker.table(policy, super::policy::KEYS),
            ("ci", DeValue::Table(ci)) => checker.table(ci, super::ci::KEYS),
            ("images", DeValue::Array(entries)) => checker.entries(entries, &["files", "name"]),
            ("image", DeValue::Array(entries)) => checker.entries(entries, &["name"]),
            _ => {}
        }
    }
    checker.problems
}

struct Checker<'a> {
    file: &'a str,
    text: &'a str,
    problems: Vec<Problem>,
}

impl Checker<'_> {
    fn entries(&mut self, entries: &[Spanned<DeValue<'_>>], required: &[&str]) {
        let known: Vec<&str> = required.iter().chain(IMAGE).copied().collect();
        for entry in entries {
            let DeValue::Table(table) = entry.get_ref() else {
                continue;
            };
            self.table(table, &known);
            for key in required.iter().filter(|key| !table.contains_key(**key)) {
                self.problem(entry.span(), format!("`{key}` is missing"));
            }
        }
    }

    fn releases(&mut self, sweep: &DeTable<'_>) {
        let Some(DeValue::Array(rules)) = sweep.get("releases").map(Spanned::get_ref) else {
            return;
        };
        for rule in rules {
            let DeValue::Table(table) = rule.get_ref() else {
                continue;
            };
            self.table(table, RELEASES);
            if !table.contains_key("git-tags") {
                self.problem(rule.span(), "`git-tags` is missing".to_owned());
            }
        }
    }

    fn table(&mut self, table: &DeTable<'_>, known: &[&str]) {
        for key in table
            .keys()
            .filter(|key| !known.contains(&key.get_ref().as_ref()))
        {
            let name = key.get_ref();
            if WITHOUT_EFFECT.contains(&name.as_ref()) {
                self.problem(
                    key.span(),
                    format!("`{name}` has no effect in this version of refit"),
                );
                continue;
            }
            self.problem(key.span(), format!("unknown key `{name}`"));
            if let (Some(near), Some(problem)) = (
                nearest(name, known.iter().copied()),
                self.problems.last_mut(),
            ) {
                problem.hint = Some(format!("did you mean `{near}`?"));
            }
        }
    }

    fn problem(&mut self, span: std::ops::Range<usize>, message: String) {
        self.problems
            .push(Problem::at(self.file, self.text, span, message));
    }
}
