//! A rollback in words and as JSON.

use anstyle::Style;
use refit_deps::{
    image::Image,
    observe::Line,
    record::{PublishRecord, RollbackRecord},
};
use refit_oci::{Digest, Reference};
use serde_json::{Value, json};

use crate::{
    project::Snapshot,
    ui::{Table, Ui, sentence_list},
};

type Tag = (Reference, Result<(), String>);
/// What was published then, and what the lead tag holds now.
type Way<'a> = (&'a PublishRecord, Option<&'a Digest>);

/// The run's line in `git log --notes=refit`.
pub(super) fn sentence(date: &str, record: &RollbackRecord) -> String {
    let RollbackRecord { run, image, .. } = record;
    let from = record.replaces.as_ref().map_or("nothing", Digest::short);
    let (to, commit) = (record.index.short(), of_commit(record.commit.as_ref()));
    format!("{date} rollback {run}: {image} {from} → {to}{commit}")
}

fn of_commit(commit: Option<&refit_oci::ObjectId>) -> String {
    commit.map_or_else(String::new, |commit| {
        format!(", of commit {}", commit.short())
    })
}

pub(super) fn print(ui: &Ui, (to, holds): Way<'_>, tags: &[Tag], dry_run: bool) {
    let is_moved = |(tag, moves): &Tag| moves.is_ok().then(|| tag.familiar());
    let moved: Vec<String> = tags.iter().filter_map(is_moved).collect();
    let holds = holds.map_or("nothing", Digest::short);
    let change = format!("{holds} → {}", to.index.short());
    let commit = to.commit.as_ref();
    let commit = commit.map_or_else(String::new, |c| format!("commit {}", c.short()));
    let mut cells = vec![
        to.image.clone(),
        moved.join(", "),
        change,
        commit,
        to.at.clone(),
    ];
    if dry_run {
        cells.insert(0, "move".to_owned());
    }
    let mut table = Table::new();
    table.row(cells, Style::new());
    ui.table(&table);
    for (tag, moves) in tags {
        if let Err(why) = moves {
            let verb = if dry_run {
                "would not move"
            } else {
                "did not move"
            };
            ui.warning(&format!("{}: {} {verb}: {why}", to.image, tag.familiar()));
        }
    }
}

/// The images that are stale now because they are built on it.
pub(super) fn children(ui: &Ui, tip: &Snapshot, image: &Image, dry_run: bool) {
    let children: Vec<&str> = tip.graph.descendants(&image.name).into_iter().collect();
    if !children.is_empty() && !dry_run {
        let names = sentence_list(&children);
        ui.note(&format!("built on it and left as they are: {names}"));
        ui.hint("run `refit sweep` to build them on what is published again");
    }
}

pub(super) fn json(line: &Line, (to, holds): Way<'_>, run: Option<&str>, tags: &[Tag]) -> Value {
    let tags = tags.iter().map(
        |(tag, moves)| json!({ "tag": tag, "moved": moves.is_ok(), "why": moves.as_ref().err() }),
    );
    json!({
        "format_version": 1, "run": run, "image": to.image, "line": line.name, "previous": holds,
        "index": to.index, "commit": to.commit, "published_by": to.run, "published_at": to.at,
        "tags": tags.collect::<Vec<_>>(),
    })
}
