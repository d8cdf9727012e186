//! A plan of what goes, and what became of it, in words and as JSON.

use anstyle::Style;
use jiff::Timestamp;
use refit_deps::prune::{Removal, Since, Untag, What};
use refit_oci::Repository;
use refit_registry::Garbage;
use serde_json::{Value, json};

use super::{
    Planned,
    remove::{By, Done},
};
use crate::ui::{Table, Ui, count};

/// Shows what is going to be removed: as the result, where that is all.
pub(super) fn plan(ui: &Ui, (planned, garbage): (&[Planned], Garbage), is_result: bool) {
    let mut table = Table::new();
    for Planned {
        repository, pruned, ..
    } in planned
    {
        for removal in &pruned.removals {
            table.row(removal_row("remove", repository, removal), Style::new());
        }
        for untag in &pruned.untags {
            table.row(untag_row("untag", repository, untag), Style::new());
        }
    }
    if is_result {
        ui.table(&table);
    } else {
        ui.note_table(&table);
    }
    if garbage.n_blobs > 0 {
        ui.note(&in_store(garbage, "lead to nothing"));
    }
    for Planned {
        repository, pruned, ..
    } in planned
    {
        let n = pruned.unseen.len();
        if n > 0 {
            let tags = count(n, "staging tag");
            ui.note(&format!(
                "{repository}: {tags} that no record names: the time begins when a prune has recorded them"
            ));
        }
    }
}

/// Tells what became of it.
pub(super) fn done(ui: &Ui, planned: &[Planned], garbage: Option<Garbage>) {
    let (mut n_documents, mut n_tags, mut by_placeholder) = (0, 0, 0);
    let mut table = Table::new();
    for Planned {
        repository, done, ..
    } in planned
    {
        let Some(done) = done else { continue };
        for (removal, result) in &done.removed {
            match result {
                Ok(()) => {
                    n_documents += 1;
                    table.row(removal_row("removed", repository, removal), Style::new());
                }
                Err(why) => ui.warning(&format!("{repository}@{}: {why}", removal.digest.short())),
            }
        }
        for (untag, result) in &done.untagged {
            if result.is_ok() {
                table.row(untag_row("untagged", repository, untag), Style::new());
            }
            match result {
                Ok(By::Name) => n_tags += 1,
                Ok(By::Placeholder) => by_placeholder += 1,
                Err(why) => ui.warning(&format!("{repository}:{}: {why}", untag.tag)),
            }
        }
        if let Some(why) = &done.stopped {
            ui.warning(&format!("{repository}: {why}"));
        }
    }
    ui.table(&table);
    let mut said = vec![format!("{} removed", count(n_documents, "document"))];
    if n_tags + by_placeholder > 0 {
        said.push(format!(
            "{} taken away",
            count(n_tags + by_placeholder, "staging tag")
        ));
    }
    ui.note(&said.join(", "));
    if by_placeholder > 0 {
        let tags = count(by_placeholder, "tag");
        ui.note(&format!(
            "{tags} by way of an empty index in its place: the registry removes no tag by name"
        ));
    }
    if let Some(garbage) = garbage.filter(|garbage| garbage.n_blobs > 0) {
        ui.note(&in_store(garbage, "removed"));
    }
}

fn removal_row(verb: &str, repository: &Repository, removal: &Removal) -> Vec<String> {
    let digest = place(repository, removal.digest.short());
    let cells = [verb, &removal.image, what(&removal.what), &digest];
    let mut cells: Vec<String> = cells.map(str::to_owned).to_vec();
    cells.push(since(removal.since));
    cells
}

fn untag_row(verb: &str, repository: &Repository, untag: &Untag) -> Vec<String> {
    let (tag, why) = (tagged(repository, untag), unneeded(untag));
    let cells = [verb, "", "staging tag", &tag, &why];
    cells.map(str::to_owned).to_vec()
}

fn in_store(garbage: Garbage, what: &str) -> String {
    let Garbage { n_blobs, bytes } = garbage;
    format!(
        "embedded store: {} ({bytes} bytes) {what}",
        count(n_blobs, "blob")
    )
}

fn what(what: &What) -> &'static str {
    match what {
        What::Attached { .. } => "attached",
        What::Index => "index",
        What::Manifest => "manifest",
    }
}

fn since(since: Since) -> String {
    let day = since.at().strftime("%Y-%m-%d");
    match since {
        Since::Built(_) => format!("built {day}, not published"),
        Since::Seen(_) => format!("seen {day}, of no record"),
        Since::Replaced(_) => format!("published until {day}"),
    }
}

fn unneeded(untag: &Untag) -> String {
    let day = |at: Timestamp| {
        format!(
            "of {}; {} stays",
            at.strftime("%Y-%m-%d"),
            untag.digest.short()
        )
    };
    untag
        .since
        .map_or_else(|| "left by a prune that was cut short".to_owned(), day)
}

fn place(repository: &Repository, short: &str) -> String {
    format!("{}@{short}", repository.familiar())
}

fn tagged(repository: &Repository, untag: &Untag) -> String {
    let short: String = untag.tag.chars().take("refit-".len() + 12).collect();
    format!("{}:{short}", repository.familiar())
}

/// Everything, as JSON. Before it is done, `done` is null.
pub(super) fn json(planned: &[Planned], garbage: Option<Garbage>) -> Value {
    let repositories: Vec<Value> = planned.iter().map(of_repository).collect();
    let garbage = garbage.unwrap_or_default();
    json!({
        "format_version": 1,
        "repositories": repositories,
        "garbage": { "blobs": garbage.n_blobs, "bytes": garbage.bytes },
    })
}

fn of_repository(planned: &Planned) -> Value {
    let done = planned.done.as_ref();
    let removals = planned.pruned.removals.iter();
    let removals = removals.map(|removal| removal_json(removal, done));
    let untags = planned.pruned.untags.iter();
    let untags = untags.map(|untag| untag_json(untag, done));
    let stopped = done.and_then(|done| done.stopped.as_ref());
    json!({
        "repository": planned.repository,
        "remove": removals.collect::<Vec<_>>(),
        "untag": untags.collect::<Vec<_>>(),
        "unrecorded": planned.pruned.unseen.iter().map(|(tag, _)| tag).collect::<Vec<_>>(),
        "error": planned.error.as_ref().or(stopped),
    })
}

fn removal_json(removal: &Removal, done: Option<&Done>) -> Value {
    let result = done.and_then(|done| {
        let mut removed = done.removed.iter();
        removed
            .find(|(r, _)| r.digest == removal.digest)
            .map(|(_, result)| result)
    });
    let to = match &removal.what {
        What::Attached { to } => Some(to),
        What::Index | What::Manifest => None,
    };
    let kind = match removal.since {
        Since::Built(_) => "built",
        Since::Seen(_) => "seen",
        Since::Replaced(_) => "published-until",
    };
    json!({
        "digest": removal.digest, "what": what(&removal.what), "attached_to": to, "image": removal.image,
        "tags": removal.tags, "since": kind, "at": removal.since.at().to_string(),
        "done": result.is_some_and(Result::is_ok), "why": result.and_then(|r| r.as_ref().err()),
    })
}

fn untag_json(untag: &Untag, done: Option<&Done>) -> Value {
    let result = done.and_then(|done| {
        let mut untagged = done.untagged.iter();
        untagged
            .find(|(u, _)| u.tag == untag.tag)
            .map(|(_, result)| result)
    });
    let by = result
        .and_then(|result| result.as_ref().ok())
        .map(|by| match by {
            By::Name => "tag",
            By::Placeholder => "placeholder",
        });
    json!({
        "tag": untag.tag, "digest": untag.digest, "at": untag.since.map(|at| at.to_string()),
        "done": by.is_some(), "by": by, "why": result.and_then(|r| r.as_ref().err()),
    })
}
