//! `refit deps graph`: what is built on what, as a tree, as data or as a picture.

use std::{collections::BTreeSet, path::PathBuf};

use clap::{Args, ValueEnum};
use refit_deps::graph::Graph;
use refit_oci::ObjectId;

use super::{
    App, data, output,
    picture::{self, Facts, MOST_LINES, Source},
    stale::Staleness,
    tree,
};
use crate::{
    commands::report,
    error::{CommandError, Exit},
    project::{Project, Snapshot},
};

/// Show what is built on what
///
/// External bases are the roots, the images built on them hang below. `(inferred)` marks an image whose base is taken
/// for one of this repository by its name alone; `refit init` writes that down. With `--stale` the registries are
/// asked, and images that were built on something else than their bases are now are marked.
///
/// `html` is a page of its own, to be searched, folded and read offline; `svg` is the same picture still. Both tell
/// digests and ages from the records in git notes. `mermaid` is drawn by wikis and forges, `dot` by Graphviz.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:\n  \
    refit deps graph\n  \
    refit deps graph web               what it is built on, and what is built on it\n  \
    refit deps graph --stale           also what a base has moved away from\n  \
    refit deps graph --at v1.2 --format json\n  \
    refit deps graph --stale --format html -o lineage.html")]
pub(crate) struct GraphArgs {
    /// Only this image, what it is built on and what is built on it
    #[arg(value_name = "IMAGE")]
    image: Option<String>,
    /// How to write the graph: for people, as JSON with a format version, or as a picture
    #[arg(
        long,
        value_enum,
        default_value_t,
        hide_possible_values = true,
        value_name = "tree|json|html|svg|mermaid|dot"
    )]
    format: GraphFormat,
    /// The images at this revision instead of the working tree's
    #[arg(long, value_name = "REV")]
    at: Option<String>,
    /// Ask the registries which images are stale
    #[arg(long, conflicts_with = "at")]
    stale: bool,
    /// Write into this file, once all is well, instead of standard output
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// How a graph is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum GraphFormat {
    /// For people
    #[default]
    Tree,
    /// For programs: sorted and stable, with a format version
    Json,
    /// A page to look at
    Html,
    /// A picture
    Svg,
    /// A flowchart for Markdown
    Mermaid,
    /// For Graphviz
    Dot,
}

pub(super) async fn run(app: &App, args: &GraphArgs) -> Result<Exit, CommandError> {
    let project = app.project()?;
    let snapshot = snapshot(&project, args.at.as_deref())?;
    if let Some(name) = &args.image {
        snapshot.image(name)?;
    }
    let shown = match &args.image {
        Some(name) => around(&snapshot.graph, name),
        None => snapshot.graph.images.iter().map(String::as_str).collect(),
    };
    let stale = if args.stale {
        Staleness::ask(&project).await?
    } else {
        Staleness::default()
    };
    let text = match args.format {
        GraphFormat::Tree => {
            let forest = tree::Forest::new(&snapshot, &shown, args.image.as_deref(), &stale);
            match &args.output {
                None => forest.render(app.ui.width()),
                Some(_) => anstream::adapter::strip_str(&forest.render(None)).to_string(),
            }
        }
        GraphFormat::Json => data::json(&snapshot, &shown, &stale),
        format => {
            let facts = facts(&project, args.at.is_some(), &snapshot)?;
            let picture = picture::picture(&Source {
                name: project.name(),
                snapshot: &snapshot,
                shown: &shown,
                focus: args.image.as_deref(),
                stale: &stale,
                facts: &facts,
            });
            let n_lines = picture.n_mermaid_lines();
            if format == GraphFormat::Mermaid && n_lines > MOST_LINES {
                app.ui.warning(&format!(
                    "the flowchart has {n_lines} lines, and Mermaid draws no more than {MOST_LINES} unless `maxEdges` is set"
                ));
                app.ui.hint("use `--format html`, or name an image");
            }
            match format {
                GraphFormat::Svg => picture.svg(),
                GraphFormat::Mermaid => picture.mermaid(),
                GraphFormat::Dot => picture.dot(),
                _ => picture.html(),
            }
        }
    };
    match &args.output {
        Some(file) => output::write(&app.dir.join(file), &text)?,
        None => app.ui.data(&text),
    }
    let exit = report::snapshot(app, &snapshot);
    if args.format == GraphFormat::Tree && shown.iter().any(|name| stale.of(name) == Some(true)) {
        app.ui.hint("run `refit sweep --dry-run` to see the plan");
    }
    Ok(exit)
}

/// The working tree's images, or those at a revision.
pub(crate) fn snapshot(project: &Project, at: Option<&str>) -> Result<Snapshot, CommandError> {
    match at {
        Some(rev) => project.at(&crate::revision::commit(project, rev)?),
        None => project.working(),
    }
}

/// What the records say; of a revision, those of what it has behind it.
fn facts(project: &Project, is_past: bool, snapshot: &Snapshot) -> Result<Facts, CommandError> {
    let records = project.records()?;
    let known = std::cell::RefCell::new(std::collections::BTreeMap::new());
    let counts = |commit: Option<&ObjectId>| {
        let (true, Some(tip)) = (is_past, &snapshot.commit) else {
            return true;
        };
        let Some(commit) = commit else {
            return false;
        };
        let mut known = known.borrow_mut();
        // A commit that this repository lacks is not behind any of its own.
        *known
            .entry(commit.clone())
            .or_insert_with(|| project.repo.is_ancestor(commit, tip).unwrap_or(false))
    };
    Ok(Facts::new(&records, &counts))
}

/// An image, its ancestors and its descendants.
fn around<'a>(graph: &'a Graph, image: &'a str) -> BTreeSet<&'a str> {
    let mut around = graph.descendants(image);
    let mut open = vec![image];
    while let Some(next) = open.pop() {
        if around.insert(next) {
            open.extend(graph.parents(next));
        }
    }
    around
}
