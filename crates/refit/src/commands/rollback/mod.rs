//! `refit rollback`: an image's tags hold again what was published before, and sweeps leave it there.

mod choice;
mod shown;

use std::collections::{BTreeMap, BTreeSet};

use clap::Args;
use refit_deps::{
    image::Image,
    inventory::clean,
    observe::Line,
    publication::claims::Claims,
    record::{PublishRecord, Record, RollbackRecord},
};
use refit_git::notes::Batch;
use refit_oci::Digest;

use self::choice::{Choice, Wanted};
use super::{App, moved::Mover, sweep::tips};
use crate::{
    cli::FormatArgs,
    error::{CommandError, Exit},
    lines,
    project::{Project, Snapshot},
    run,
    ui::Format,
    workshop,
};

/// Move an image's tags back to what was published before
///
/// Nothing is built. The decision is recorded in the notes and pushed before any tag moves. Sweeps do not go forward to
/// what was rolled back; they still patch what is published now when a base moves on, from its own commit. A
/// `refit build --push` of something that was not rolled back ends it.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:\n  \
    refit rollback web                       to the publication before\n  \
    refit rollback web --dry-run\n  \
    refit rollback web --to a11d07617272     to that index\n  \
    refit rollback web --to 01KA0S3N5V7C4M1T9R8Q6P2E0D   to what that run published")]
pub(crate) struct RollbackArgs {
    /// The image
    #[arg(value_name = "IMAGE")]
    image: String,
    /// What was published: a run's id, or an index's digest or its beginning; default: the publication before
    #[arg(long, value_name = "RUN|DIGEST")]
    to: Option<String>,
    /// The line whose tags are moved, where several have the image
    #[arg(long, value_name = "NAME")]
    line: Option<String>,
    /// Show what would move, and change nothing
    #[arg(long, short = 'n')]
    dry_run: bool,
    #[command(flatten)]
    format: FormatArgs,
}

pub(crate) async fn run(app: &App, args: &RollbackArgs) -> Result<Exit, CommandError> {
    let project = app.project()?;
    // It is an explicit decision: pushed at once, or not made.
    let remote = workshop::notes_remote(&project, !args.dry_run)?;
    let (line, tip) = line_of(&project, &args.image, args.line.as_deref())?;
    let image = tip.image(&args.image)?;
    let records = project.records()?;
    let registries = project.registries();
    let again = format!("refit rollback {}", image.name);
    let mover = Mover::new(&registries, &records, (image, again))?;
    let holds = mover.lead_holds().await?;
    let wanted = Wanted {
        records: &records,
        image: &image.name,
        lead: mover.lead(),
        holds: holds.as_ref(),
    };
    let choice = choice::choose(&wanted, args.to.as_deref())?;
    if let Choice::There { to } = &choice {
        if args.format.format == Format::Json {
            app.ui
                .json(&shown::json(&line, (to, holds.as_ref()), None, &[]));
        } else {
            let index = to.index.short();
            app.ui
                .note(&format!("{}: it holds {index} already", image.name));
        }
        return Ok(Exit::Fine);
    }
    let to = choice.to();
    mover.is_whole(to).await?;
    let mut tags = mover.plan(holds.as_ref(), to).await;
    let id = run::new_id();
    if !args.dry_run {
        mover.fill_further(to, &mut tags).await;
        if let Choice::Decide { to, head } = &choice {
            let planned = tags.iter().filter(|(_, moves)| moves.is_ok());
            let record = RollbackRecord {
                id: format!("{id}-{}", image.name),
                after: Some(head.id.clone()),
                to: to.id.clone(),
                image: image.name.clone(),
                line: line.name.clone(),
                commit: to.commit.clone(),
                index: to.index.clone(),
                replaces: replaced(holds.as_ref(), (to, head)),
                platforms: to.platforms.clone(),
                over: records.taken_back(mover.lead(), &head.id, to),
                tags: planned.map(|(tag, _)| tag.clone()).collect(),
                run: id.to_string(),
                at: app.environment.now_text(),
            };
            let date = app.environment.now().strftime("%Y-%m-%d");
            let sentence = shown::sentence(&date.to_string(), &record);
            let batch = batch((&line, &tip), image, &record, &sentence)?;
            workshop::decide(&project, &batch, remote.as_deref())?;
        }
        mover.move_tags(holds.as_ref(), to, &mut tags).await?;
    }
    if args.format.format == Format::Json {
        let run = (!args.dry_run).then(|| id.to_string());
        let value = shown::json(&line, (to, holds.as_ref()), run.as_deref(), &tags);
        app.ui.json(&value);
    } else {
        shown::print(&app.ui, (to, holds.as_ref()), &tags, args.dry_run);
        shown::children(&app.ui, &tip, image, args.dry_run);
    }
    let all_moved = tags.iter().all(|(_, moved)| moved.is_ok());
    Ok(if all_moved { Exit::Fine } else { Exit::Partial })
}

/// What is taken back: what the tag holds, and where somebody has moved it by hand already, what it held before.
fn replaced(
    holds: Option<&Digest>,
    (to, head): (&PublishRecord, &PublishRecord),
) -> Option<Digest> {
    match holds {
        Some(holds) if *holds == to.index => Some(head.index.clone()),
        holds => holds.cloned(),
    }
}

/// The line whose tags are moved: the named one, the only one that has the image, or the one that is checked out.
pub(super) fn line_of(
    project: &Project,
    image: &str,
    line: Option<&str>,
) -> Result<(Line, Snapshot), CommandError> {
    let mut claims = Claims::default();
    let mut all: Vec<(Line, Snapshot)> = Vec::new();
    for (line, mut tip) in tips(project, &[image.to_owned()])? {
        let claimed = lines::claim(&mut claims, &line.name, &mut tip);
        if tip.inventory.image(image).is_some() && !claimed.images.contains(image) {
            all.push((line, tip));
        }
    }
    let current = project.current_line()?;
    let meant = match (line, all.len()) {
        (Some(name), _) => all.iter().position(|(line, _)| line.name == name),
        (None, 1) => Some(0),
        (None, _) => all.iter().position(|(line, _)| line.name == current),
    };
    if let Some(at) = meant {
        return Ok(all.swap_remove(at));
    }
    let names: Vec<String> = all
        .iter()
        .map(|(line, _)| format!("`{}`", line.name))
        .collect();
    let names = names.join(", ");
    Err(match line {
        Some(name) => CommandError::new(format!("the line `{name}` does not publish `{image}`"))
            .hint(format!("these do: {names}")),
        None => CommandError::new(format!("several lines publish `{image}`: {names}"))
            .hint("name one with `--line NAME`"),
    })
}

/// The record, with a line for people on the line's tip.
fn batch(
    (line, tip): (&Line, &Snapshot),
    image: &Image,
    record: &RollbackRecord,
    sentence: &str,
) -> Result<Batch, CommandError> {
    let dockerfile = clean(&image.dockerfile);
    let Some(blob) = tip.blob(&dockerfile) else {
        return Err(CommandError::new(format!(
            "`{dockerfile}` is not committed"
        )));
    };
    let written = Record::Rollback(record.clone()).to_line();
    let tips = line.commit.iter();
    Ok(Batch {
        records: BTreeMap::from([(blob.clone(), BTreeSet::from([written]))]),
        sentences: tips
            .map(|commit| (commit.clone(), vec![sentence.to_owned()]))
            .collect(),
        message: format!("refit: rollback {}", record.run),
    })
}
