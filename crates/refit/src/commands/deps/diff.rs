//! `refit deps diff`: what differs between the dependencies at two revisions, digests and packages among it.

mod pins;
mod show;

use std::collections::{BTreeMap, BTreeSet};

use clap::Args;
use refit_deps::{
    graph::Node,
    lineage::diff::{DependencyDiff, ImageChange, ImageDiff, Side, diff},
};
use refit_oci::{Digest, Platform, Reference, Repository};

use super::{App, graph::snapshot};
use crate::{
    cli::FormatArgs,
    commands::report,
    error::{CommandError, Exit},
    packages::{self, Insides, Move},
    project::{Project, Snapshot},
    revision,
    ui::Format,
};
use pins::{Pins, pins};

/// Show what changed between the dependencies at two revisions
///
/// Images that came, went or have another name, dependencies and platforms that changed, and digests that moved: by
/// what the records say of the two commits. With one revision, the working tree is compared with it, and its digests are
/// those of what is published now.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:\n  \
    refit deps diff v1.2..v1.3\n  \
    refit deps diff HEAD~10            up to the working tree\n  \
    refit deps diff main.. --packages  also the packages inside; reads the layers that differ\n  \
    refit deps diff v1.2..v1.3 --format json")]
pub(crate) struct DiffArgs {
    /// Two revisions, or one to compare the working tree with
    #[arg(value_name = "A..B")]
    range: String,
    /// Also show the packages that changed inside; reads layers from the registries
    #[arg(long)]
    packages: bool,
    #[command(flatten)]
    format: FormatArgs,
}

/// One image that differs.
struct Difference {
    image: ImageDiff,
    /// By the place among the image's dependencies.
    digests: BTreeMap<usize, Vec<Moved>>,
}

/// A digest that moved, on some platforms.
struct Moved {
    platforms: BTreeSet<Platform>,
    from: Digest,
    to: Digest,
}

pub(super) async fn run(app: &App, args: &DiffArgs) -> Result<Exit, CommandError> {
    let project = app.project()?;
    let (before, after) = sides(&project, &args.range)?;
    let records = project.records()?;
    let (old, new) = (
        pins(&project, &records, &before)?,
        pins(&project, &records, &after)?,
    );
    let images = diff(side(&before), side(&after));
    let differences: Vec<Difference> = images
        .into_iter()
        .map(|image| difference(image, &old, &new))
        .filter(Difference::is_any)
        .collect();
    let insides = if args.packages {
        let moves = moves(&differences, &after);
        packages::compare(&project, &project.registries(), moves).await
    } else {
        Insides::new()
    };
    match args.format.format {
        Format::Json => app
            .ui
            .json(&show::view(&before, &after, &differences, &insides)),
        Format::Human => {
            app.ui.table(&show::table(&after, &differences));
            packages::show(&app.ui, &insides);
            if differences.is_empty() {
                app.ui.note("the dependencies are the same");
            }
        }
    }
    Ok(report::snapshot(app, &after))
}

fn side(snapshot: &Snapshot) -> Side<'_> {
    Side {
        inventory: &snapshot.inventory,
        graph: &snapshot.graph,
    }
}

/// The snapshots that `A..B`, `A..`, `..B` or `A` mean.
fn sides(project: &Project, range: &str) -> Result<(Snapshot, Snapshot), CommandError> {
    let at = |rev: &str| {
        let rev = if rev.is_empty() { "HEAD" } else { rev };
        project.at(&revision::commit(project, rev)?)
    };
    if let Some((a, b)) = range.split_once("...") {
        return Err(
            CommandError::new(format!("`{range}` is no range of two revisions"))
                .hint(format!("`refit deps diff {a}..{b}` compares the two")),
        );
    }
    match range.split_once("..") {
        Some((a, b)) => Ok((at(a)?, at(b)?)),
        None => Ok((at(range)?, snapshot(project, None)?)),
    }
}

fn difference(image: ImageDiff, old: &Pins, new: &Pins) -> Difference {
    let old_name = match &image.change {
        ImageChange::Renamed { from } => from,
        _ => &image.image,
    };
    let digests = image.dependencies.iter().enumerate();
    let digests = digests.map(|(i, dependency)| {
        let moved = moved(dependency, |platform, node, is_old| {
            let (name, pins) = if is_old {
                (old_name, old)
            } else {
                (&image.image, new)
            };
            let reference = external(node)?;
            let key = (name.clone(), platform.clone());
            pins.get(&key)?.get(&(dependency.kind, reference.clone()))
        });
        (i, moved)
    });
    let digests = digests.filter(|(_, moved)| !moved.is_empty()).collect();
    Difference { image, digests }
}

/// The digests of a dependency that differ, those of alike platforms together.
fn moved<'p>(
    dependency: &DependencyDiff,
    pin: impl Fn(&Platform, &Node, bool) -> Option<&'p Digest>,
) -> Vec<Moved> {
    let mut all: Vec<Moved> = Vec::new();
    let (Some(from), Some(to)) = (&dependency.from, &dependency.to) else {
        return all;
    };
    for platform in &dependency.platforms {
        let (Some(from), Some(to)) = (pin(platform, from, true), pin(platform, to, false)) else {
            continue;
        };
        if from == to {
            continue;
        }
        match all.iter_mut().find(|m| m.from == *from && m.to == *to) {
            Some(moved) => _ = moved.platforms.insert(platform.clone()),
            None => all.push(Moved {
                platforms: BTreeSet::from([platform.clone()]),
                from: from.clone(),
                to: to.clone(),
            }),
        }
    }
    all
}

fn external(node: &Node) -> Option<&Reference> {
    match node {
        Node::External(reference) => Some(reference),
        Node::Image(_) => None,
    }
}

impl Difference {
    fn is_any(&self) -> bool {
        self.image.change != ImageChange::Kept
            || !self.image.platforms_added.is_empty()
            || !self.image.platforms_removed.is_empty()
            || !self.digests.is_empty()
            || self
                .image
                .dependencies
                .iter()
                .any(DependencyDiff::is_changed)
    }

    /// A digest that moved as the packages' reader knows it.
    fn as_move(&self, dependency: usize, moved: &Moved) -> Option<Move> {
        let to = self.image.dependencies.get(dependency)?.to.as_ref()?;
        Some(Move {
            reference: external(to)?.clone(),
            from: moved.from.clone(),
            to: moved.to.clone(),
        })
    }
}

/// What is to be compared, and where else the old layers may be: the old repository, and what we built on them.
fn moves(differences: &[Difference], after: &Snapshot) -> BTreeMap<Move, BTreeSet<Repository>> {
    let mut moves: BTreeMap<Move, BTreeSet<Repository>> = BTreeMap::new();
    for difference in differences {
        for (i, moved) in &difference.digests {
            let old = difference.image.dependencies.get(*i);
            let old = old.and_then(|dependency| external(dependency.from.as_ref()?));
            let ours = after.inventory.image(&difference.image.image);
            for moved in moved
                .iter()
                .filter_map(|moved| difference.as_move(*i, moved))
            {
                let others = moves.entry(moved).or_default();
                others.extend(old.map(|reference| reference.repository().clone()));
                others.extend(ours.map(|image| image.destination().clone()));
            }
        }
    }
    moves
}
