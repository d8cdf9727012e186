//! `refit prune`: what of ours nothing needs any more is removed from registries and the embedded store.

mod observe;
mod remove;
mod shown;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::SystemTime,
};

use clap::Args;
use jiff::SignedDuration;
use refit_deps::{
    config,
    image::EMBEDDED_HOST,
    inventory::clean,
    observe::Line,
    prune::{Known, Pruned, Window},
    record::{Record, Records, SeenRecord},
};
use refit_git::notes::Batch;
use refit_oci::{Digest, Repository};
use refit_registry::{Collect, Garbage, Registries};

use self::{
    observe::{Ground, Place},
    remove::Done,
};
use super::{App, sweep::tips};
use crate::{
    cli::FormatArgs,
    error::{CommandError, Exit, chain},
    lease,
    project::{Project, Snapshot},
    ui::{Format, count},
    workshop,
};

/// What is younger may be of a run that goes on.
const YOUNGEST: SignedDuration = SignedDuration::from_hours(1);

/// Remove what refit has pushed and nothing needs any more
///
/// That is what records name as built or published, no tag leads to, and no other publication holds; with what is
/// attached to it, as provenance and signatures. Staging tags go with what they hold, or alone where that stays. It
/// stays what was published or built within `--older-than`, what the last `--keep` publications before the present one
/// hold, and whatever any of those was built on, as a rebase needs it. What records do not name, other tools have
/// pushed: it stays in any case. In the embedded store, blobs that nothing leads to go as well; a registry does that by
/// itself.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:\n  \
    refit prune --dry-run                    what would go, and until when it was needed\n  \
    refit prune web --older-than 30d\n  \
    refit prune --keep 5                     `refit rollback` can go back five times, however long that is ago")]
pub(crate) struct PruneArgs {
    /// Only where these images lie
    #[arg(value_name = "IMAGE")]
    images: Vec<String>,
    /// How long nothing must have needed it: at least an hour
    #[arg(long, value_name = "DURATION", default_value = "14d", value_parser = duration)]
    older_than: SignedDuration,
    /// How many publications before the present one stay, however old they are
    #[arg(long, value_name = "N", default_value_t = 1)]
    keep: usize,
    /// Show what would be removed, and change nothing
    #[arg(long, short = 'n')]
    dry_run: bool,
    #[command(flatten)]
    format: FormatArgs,
}

fn duration(text: &str) -> Result<SignedDuration, String> {
    let wrong = || format!("`{text}` is no duration (want `14d`, `36h`)");
    let duration = config::parse_duration(text).ok_or_else(wrong)?;
    if duration < YOUNGEST {
        return Err("what is younger than `1h` may be of a run that goes on".to_owned());
    }
    Ok(duration)
}

/// What is to be done with a repository, and what became of it.
struct Planned {
    repository: Repository,
    images: BTreeSet<String>,
    pruned: Pruned,
    /// Why it could not be looked at.
    error: Option<String>,
    done: Option<Done>,
}

impl Planned {
    fn is_idle(&self) -> bool {
        self.pruned.removals.is_empty() && self.pruned.untags.is_empty()
    }

    /// Whether something that was to go is still there.
    fn has_failed(&self) -> bool {
        let failed = |done: &Done| {
            done.stopped.is_some()
                || done.removed.iter().any(|(_, result)| result.is_err())
                || done.untagged.iter().any(|(_, result)| result.is_err())
        };
        self.error.is_some() || self.done.as_ref().is_some_and(failed)
    }
}

pub(crate) async fn run(app: &App, args: &PruneArgs) -> Result<Exit, CommandError> {
    let project = app.project()?;
    let remote = workshop::notes_remote(&project, !args.dry_run)?;
    let tips = tips(&project, &args.images)?;
    let records = records(&project)?;
    // A sweep that begins meanwhile would look for what lies under staging tags.
    let lease = if args.dry_run {
        None
    } else {
        let taken = lease::take(app, remote.as_deref(), lease::Manners::default());
        taken.await.map_err(wait_for_it)?
    };
    let window = Window {
        now: app.environment.now(),
        older_than: args.older_than,
        publications: args.keep,
    };
    let known = Known::of(&records, &window);
    let ground = Ground {
        records: &records,
        known: &known,
        window: &window,
    };
    let registries = project.registries();
    let mut planned = Vec::new();
    for (repository, images) in repositories(&tips, &args.images) {
        planned.push(look(&registries, (repository, images), &ground).await);
    }
    let mut collect = Collect {
        before: SystemTime::from(window.now) - args.older_than.unsigned_abs(),
        without: in_store(&planned),
        dry_run: true,
    };
    let garbage = garbage(&registries, &collect).await?.unwrap_or_default();
    let json = args.format.format == Format::Json;
    if !json {
        shown::plan(&app.ui, (&planned, garbage), args.dry_run);
    }
    for unread in &planned {
        if let Some(why) = &unread.error {
            app.ui.warning(&format!(
                "{}: {why}; nothing of it is removed",
                unread.repository
            ));
        }
    }
    let mut collected = Some(garbage);
    if !args.dry_run {
        for planned in planned.iter_mut().filter(|planned| !planned.is_idle()) {
            apply(&registries, planned, &ground).await;
        }
        record_unseen(app, (&project, remote.as_deref()), (&tips, &planned))?;
        collect.dry_run = false;
        collect.without.clear();
        collected = self::garbage(&registries, &collect).await?;
    }
    drop(lease);
    if json {
        app.ui.json(&shown::json(&planned, collected));
    } else if planned.iter().all(Planned::is_idle) && garbage.n_blobs == 0 {
        let nothing = "nothing to remove: what is there is needed, young, or not refit's";
        app.ui.note(nothing);
    } else if !args.dry_run {
        shown::done(&app.ui, &planned, collected);
    }
    let failed = planned
        .iter()
        .filter(|planned| planned.has_failed())
        .count();
    if failed > 0
        && planned
            .iter()
            .any(|p| p.done.as_ref().is_some_and(|d| d.stopped.is_some()))
    {
        app.ui
            .hint("what could not be removed is tried again by the next `refit prune`");
    }
    Ok(if failed > 0 {
        Exit::Partial
    } else {
        Exit::Fine
    })
}

/// The records, if they can be relied on: what they do not say counts as somebody else's, but a rollback that can't be
/// read would count as none.
fn records(project: &Project) -> Result<Records, CommandError> {
    let records = project.records()?;
    if records.damaged > 0 {
        let notes = count(records.damaged, "note");
        let message = format!("{notes} can't be read, and with them what is still needed");
        return Err(CommandError::new(message).hint("`refit notes verify` names them"));
    }
    if !records.present {
        return Err(CommandError::new(
            "no records are here, and without them nothing is known to be refit's",
        )
        .hint("`refit notes fetch` brings those of the remote"));
    }
    Ok(records)
}

fn wait_for_it(error: CommandError) -> CommandError {
    CommandError {
        hints: vec!["prune when it is done; what is staged belongs to it".to_owned()],
        ..error
    }
}

/// Where images are published, and where builds for this machine lie; with all images that lie there.
fn repositories(
    tips: &[(Line, Snapshot)],
    only: &[String],
) -> BTreeMap<Repository, BTreeSet<String>> {
    let mut all: BTreeMap<Repository, BTreeSet<String>> = BTreeMap::new();
    for image in tips.iter().flat_map(|(_, tip)| &tip.inventory.images) {
        let local = format!("{EMBEDDED_HOST}/{}", image.name).parse();
        let local: Repository = local.expect("an image's name is a repository component");
        let tags = image.moving_tags();
        let published = tags.iter().map(|tag| tag.repository().clone());
        for repository in published.chain([image.destination().clone(), local]) {
            all.entry(repository)
                .or_default()
                .insert(image.name.clone());
        }
    }
    let is_meant = |image: &String| only.is_empty() || only.contains(image);
    all.retain(|_, images| images.iter().any(is_meant));
    all
}

async fn look(
    registries: &Registries,
    (repository, images): (Repository, BTreeSet<String>),
    ground: &Ground<'_>,
) -> Planned {
    registries.never_mirror([repository.clone()]);
    let registry = registries.registry(repository.registry());
    let place = Place {
        registry: registry.as_ref(),
        repository: &repository,
        images: &images,
    };
    let looked = observe::look(&place, ground).await;
    let (pruned, error) = match looked {
        Ok(pruned) => (pruned, None),
        Err(error) => (Pruned::default(), Some(chain(&error))),
    };
    Planned {
        repository,
        images,
        pruned,
        error,
        done: None,
    }
}

/// Looks once more, and removes what is still to go: a rollback may have come to need it.
async fn apply(registries: &Registries, planned: &mut Planned, ground: &Ground<'_>) {
    let again = (planned.repository.clone(), planned.images.clone());
    let now = look(registries, again, ground).await;
    if now.error.is_some() {
        planned.error = now.error;
        return;
    }
    let registry = registries.registry(planned.repository.registry());
    let both = (&planned.pruned, now.pruned);
    planned.done = Some(remove::remove(registry.as_ref(), &planned.repository, both).await);
}

/// What goes from the embedded store.
fn in_store(planned: &[Planned]) -> BTreeSet<Digest> {
    let of_store = planned
        .iter()
        .filter(|planned| planned.repository.registry() == EMBEDDED_HOST);
    let removals = of_store.flat_map(|planned| &planned.pruned.removals);
    removals.map(|removal| removal.digest.clone()).collect()
}

async fn garbage(
    registries: &Registries,
    collect: &Collect,
) -> Result<Option<Garbage>, CommandError> {
    let store = registries.registry(EMBEDDED_HOST);
    Ok(store.collect_garbage(collect).await?)
}

/// Records staging tags of which nobody knows how old they are: a later prune does.
fn record_unseen(
    app: &App,
    (project, remote): (&Project, Option<&str>),
    (tips, planned): (&[(Line, Snapshot)], &[Planned]),
) -> Result<(), CommandError> {
    let mut batch = Batch {
        records: BTreeMap::new(),
        sentences: BTreeMap::new(),
        message: "refit: staging tags of no record".to_owned(),
    };
    for planned in planned {
        let images = planned.images.iter();
        let place = images.flat_map(|image| tips.iter().map(move |(_, tip)| (image, tip)));
        let mut place = place.filter_map(|(image, tip)| {
            let dockerfile = clean(&tip.image(image).ok()?.dockerfile);
            Some((image, tip.blob(&dockerfile)?.clone()))
        });
        let Some((image, blob)) = place.next() else {
            continue;
        };
        for (tag, digest) in &planned.pruned.unseen {
            let Ok(reference) = planned.repository.tagged(tag) else {
                continue;
            };
            let seen = Record::Seen(SeenRecord {
                image: image.clone(),
                reference,
                digest: digest.clone(),
                at: app.environment.now_text(),
            });
            let lines = batch.records.entry(blob.clone()).or_default();
            lines.insert(seen.to_line());
        }
    }
    if batch.records.is_empty() {
        return Ok(());
    }
    project.repo.notes_append(&batch)?;
    if let Some(remote) = remote {
        project.repo.notes_push(remote)?;
    }
    Ok(())
}
