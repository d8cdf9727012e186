//! What a sweep came to, and how everything stands, as Markdown: for a job's summary or an issue.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::OpenOptions,
    io::Write as _,
    path::Path,
};

use jiff::Timestamp;
use refit_build::apply::{Outcome, Published};
use refit_deps::{
    plan::{Plan, StatusRow, Word},
    reason::{State, StateKind},
};
use refit_oci::{Digest, Reference};

use crate::{
    error::CommandError,
    observe::Standing,
    run::Ran,
    ui::{self, count},
};

/// The first line of what `status` writes: an issue that has it is the one to keep current.
pub(crate) const MARKER: &str = "<!-- refit:status -->";

/// Appends to a file, as the summaries of CI are written.
pub(crate) fn append(path: &Path, text: &str) -> Result<(), CommandError> {
    let file = OpenOptions::new().create(true).append(true).open(path);
    let written = file.and_then(|mut file| file.write_all(text.as_bytes()));
    written
        .map_err(|error| CommandError::new(format!("cannot write `{}`: {error}", path.display())))
}

/// One line's part of a sweep.
pub(crate) fn sweep(line: &str, plan: &Plan, ran: Option<&Ran>) -> String {
    let mut text = format!("### Sweep of {}\n\n", code(line));
    let Some(ran) = ran else {
        let planned = plan.steps.iter().map(|step| {
            let why: Vec<String> = step.reasons.iter().map(ui::reason).collect();
            [code(&step.target.to_string()), plain(&why.join("; "))]
        });
        if plan.steps.is_empty() {
            let kept = count(plan.kept.len(), "target");
            text.push_str(&paragraph(&format!("Nothing to do; {kept} kept.")));
        } else {
            text.push_str(&table(
                "Would be rebuilt",
                ["Target", "Why"],
                &planned.collect::<Vec<_>>(),
            ));
        }
        text.push_str(&states(&plan.states));
        return text;
    };
    let patched = ran.applied.published.iter().filter_map(|published| {
        let (tags, change) = moved(published)?;
        Some([
            code(&published.image),
            tags,
            change,
            why(plan, &published.image),
        ])
    });
    let patched: Vec<_> = patched.collect();
    text.push_str(&table(
        "Patched",
        ["Image", "Tags", "Manifest", "Why"],
        &patched,
    ));
    text.push_str(&table("Failed", ["What", "Why"], &failed(ran)));
    if patched.is_empty() && !ran.applied.failed() {
        text.push_str(&paragraph("Everything came to what is published already."));
    }
    text.push_str(&states(&plan.states));
    text.push_str(&paragraph(&format!("Run {}.", code(&ran.id.to_string()))));
    text
}

/// What a shard of a line's plan came to.
pub(crate) fn staged(line: &str, what: &str, ran: &Ran) -> String {
    let n = ran
        .applied
        .done
        .iter()
        .filter(|done| done.outcome.manifest().is_some());
    let n = count(n.count(), "target");
    let mut text = title(what, line);
    text.push_str(&paragraph(&format!(
        "{n} staged, run {}.",
        code(&ran.id.to_string())
    )));
    text.push_str(&table("Failed", ["What", "Why"], &failed(ran)));
    text
}

/// The title of a part of a plan.
pub(crate) fn title(what: &str, line: &str) -> String {
    format!("### {} of {}\n\n", plain(what), code(line))
}

/// What was planned and not done.
pub(crate) fn left(left: &[(&str, &str)]) -> String {
    let rows = left.iter().map(|(what, why)| [code(what), plain(why)]);
    table("Not done", ["What", "Why"], &rows.collect::<Vec<_>>())
}

/// How everything stands.
pub(crate) fn status(standing: &Standing, n_stale: usize, now: Timestamp) -> String {
    let status = &standing.status;
    let at = now.strftime("%Y-%m-%d %H:%M UTC");
    let of = count(status.rows.len(), "target");
    let mut text = format!("{MARKER}\n{n_stale} of {of} stale, {at}.\n\n");
    let stale = status.rows.iter().filter(|row| row.word == Word::Stale);
    let stale: Vec<_> = stale
        .map(|row| {
            let why: Vec<String> = row.reasons.iter().map(ui::reason).collect();
            [code(&row.target.to_string()), plain(&why.join("; "))]
        })
        .collect();
    text.push_str(&table("Stale", ["Target", "Why"], &stale));
    let of_row = |row: &StatusRow| -> Vec<State> {
        let kinds = row.states.iter();
        let of_kind = |kind: &StateKind| State {
            image: row.target.image.clone(),
            platform: Some(row.target.platform.clone()),
            kind: kind.clone(),
        };
        kinds.map(of_kind).collect()
    };
    let all: Vec<State> = status.rows.iter().flat_map(of_row).collect();
    text.push_str(&states(&all));
    let sweeps = standing.swept.all().iter();
    let sweeps: Vec<_> = sweeps
        .map(|(line, at)| [code(line), at.strftime("%Y-%m-%d %H:%M UTC").to_string()])
        .collect();
    text.push_str(&table("Last sweeps", ["Line", "When"], &sweeps));
    text
}

/// The tags that moved, and from what to what.
fn moved(published: &Published) -> Option<(String, String)> {
    if published.failed.is_some() {
        return None;
    }
    let now = published.reference.as_ref().and_then(Reference::digest)?;
    let tags = published.tags.iter().filter(|(_, moved)| moved.is_ok());
    let tags: Vec<String> = tags.map(|(tag, _)| code(&tag.familiar())).collect();
    if tags.is_empty() || published.previous.as_ref() == Some(now) {
        return None;
    }
    let before = published.previous.as_ref().map(Digest::short);
    let change = match before {
        Some(before) => format!("{} → {}", code(before), code(now.short())),
        None => code(now.short()),
    };
    Some((tags.join("<br>"), change))
}

/// Every different reason of an image's steps.
fn why(plan: &Plan, image: &str) -> String {
    let steps = plan.steps.iter().filter(|s| s.target.image == image);
    let reasons: BTreeSet<String> = steps
        .flat_map(|step| step.reasons.iter().map(ui::reason))
        .collect();
    let reasons: Vec<String> = reasons.iter().map(|reason| plain(reason)).collect();
    reasons.join("<br>")
}

fn failed(ran: &Ran) -> Vec<[String; 2]> {
    let targets = ran.applied.done.iter().filter_map(|done| {
        let why = match &done.outcome {
            Outcome::Failed(failed) => failed.message.clone(),
            Outcome::Skipped(why) => format!("skipped: {why}"),
            Outcome::Built(_) | Outcome::Rebased(_) | Outcome::Staged(_) | Outcome::Kept(_) => {
                return None;
            }
        };
        Some([code(&done.target.to_string()), plain(&why)])
    });
    let images = ran.applied.published.iter().flat_map(|published| {
        let whole = published
            .failed
            .iter()
            .map(|why| [code(&published.image), plain(why)]);
        let tags = published.tags.iter().filter_map(|(tag, moved)| {
            let why = moved.as_ref().err()?;
            Some([code(&tag.familiar()), plain(why)])
        });
        whole.chain(tags).collect::<Vec<_>>()
    });
    targets.chain(images).collect()
}

/// What others decided or nobody could know, each with what helps.
fn states(states: &[State]) -> String {
    let mut alike: BTreeMap<(String, String), BTreeSet<&str>> = BTreeMap::new();
    let mut hints: BTreeMap<(String, String), String> = BTreeMap::new();
    for state in states {
        let said = ui::state_words(&state.kind);
        let key = (state.kind.word().to_owned(), said);
        alike.entry(key.clone()).or_default().insert(&state.image);
        if let Some(hint) = ui::hint(&state.kind) {
            hints.insert(key, hint);
        }
    }
    let rows: Vec<_> = alike
        .into_iter()
        .map(|(key, images)| {
            let names: Vec<String> = images.iter().map(|image| code(image)).collect();
            let hint = hints.get(&key).map(|hint| ui::for_images(hint, &images));
            // A hint has its commands between backticks already.
            let hint = hint.unwrap_or_default().replace('|', "\\|");
            [names.join(", "), key.0, plain(&key.1), hint]
        })
        .collect();
    table(
        "Left as it is",
        ["Image", "State", "What is known", "What helps"],
        &rows,
    )
}

/// A titled table; nothing without rows.
fn table<const N: usize>(title: &str, header: [&str; N], rows: &[[String; N]]) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let mut text = format!(
        "**{title}**\n\n| {} |\n|{}\n",
        header.join(" | "),
        "---|".repeat(N)
    );
    for row in rows {
        text.extend(["| ", &row.join(" | "), " |\n"]);
    }
    text.push('\n');
    text
}

fn paragraph(text: &str) -> String {
    format!("{text}\n\n")
}

/// Between backticks, as it is: names and digests have none in them, and what has some is text.
fn code(text: &str) -> String {
    if text.contains(['`', '\n', '\r', '|']) {
        return plain(text);
    }
    format!("`{text}`")
}

/// Text in which nothing is markup, a mention or a link to an issue.
fn plain(text: &str) -> String {
    let mut safe = String::new();
    for c in text.chars() {
        match c {
            '\n' | '\r' | '\t' => safe.push(' '),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '&' => safe.push_str("&amp;"),
            // Not at once a mention.
            '@' => safe.push_str("@\u{200b}"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '#' | '~' | '!' => safe.extend(['\\', c]),
            c if c.is_control() => safe.push('\u{fffd}'),
            c => safe.push(c),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_is_said_is_markup() {
        assert_eq!(
            plain("a|b <img src=x> @team #1 `x`\n![i](u) \u{1b}[31m"),
            "a\\|b &lt;img src=x&gt; @\u{200b}team \\#1 \\`x\\` \\!\\[i\\](u) \u{fffd}\\[31m"
        );
        assert_eq!(code("web@linux/arm64"), "`web@linux/arm64`");
        assert_eq!(code("a`b"), "a\\`b");
    }
}
