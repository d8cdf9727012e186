//! `refit deps graph`: what is built on what, as a tree or as data.

use std::collections::BTreeSet;

use clap::{Args, ValueEnum};
use refit_deps::graph::{Edge, Graph, Node};
use refit_git::Head;
use refit_oci::{ObjectId, Platform, Reference};
use serde::Serialize;

use super::{App, stale::Staleness, tree};
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
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:\n  \
    refit deps graph\n  \
    refit deps graph web               what it is built on, and what is built on it\n  \
    refit deps graph --stale           also what a base has moved away from\n  \
    refit deps graph --at v1.2 --format json")]
pub(crate) struct GraphArgs {
    /// Only this image, what it is built on and what is built on it
    #[arg(value_name = "IMAGE")]
    image: Option<String>,
    /// How to write the graph: for people, or as JSON with a format version
    #[arg(
        long,
        value_enum,
        default_value_t,
        hide_possible_values = true,
        value_name = "tree|json"
    )]
    format: GraphFormat,
    /// The images at this revision instead of the working tree's
    #[arg(long, value_name = "REV")]
    at: Option<String>,
    /// Ask the registries which images are stale
    #[arg(long, conflicts_with = "at")]
    stale: bool,
}

/// How a graph is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum GraphFormat {
    /// For people
    #[default]
    Tree,
    /// For programs: sorted and stable, with a format version
    Json,
}

#[derive(Debug, Serialize)]
struct GraphView<'a> {
    format_version: u32,
    revision: Option<&'a ObjectId>,
    images: Vec<ImageView<'a>>,
    externals: Vec<ExternalView<'a>>,
    edges: Vec<EdgeView<'a>>,
}

#[derive(Debug, Serialize)]
struct ImageView<'a> {
    name: &'a str,
    dockerfile: &'a str,
    target: Option<&'a str>,
    platforms: BTreeSet<&'a Platform>,
    /// None where nobody asked, or where it could not be found out.
    stale: Option<bool>,
}

#[derive(Debug, Serialize)]
struct ExternalView<'a> {
    reference: &'a Reference,
}

#[derive(Debug, Serialize)]
struct EdgeView<'a> {
    from: &'a str,
    to: String,
    kind: &'static str,
    inferred: bool,
    platforms: &'a BTreeSet<Platform>,
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
    match args.format {
        GraphFormat::Json => app.ui.json(&view(&snapshot, &shown, &stale)),
        GraphFormat::Tree => {
            let forest = tree::Forest::new(&snapshot, &shown, args.image.as_deref(), &stale);
            app.ui.data(&forest.render(app.ui.width()));
        }
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
        Some(rev) => {
            match (project.repo.resolve(rev), project.repo.head()?) {
                (Ok(commit), _) => project.at(&commit),
                (Err(error), Head::Unborn { .. }) => Err(CommandError::from(error)
                    .hint("there is no commit yet: run `git commit` first")),
                (Err(error), _) => Err(error.into()),
            }
        }
        None => project.working(),
    }
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

fn view<'a>(snapshot: &'a Snapshot, shown: &BTreeSet<&str>, stale: &Staleness) -> GraphView<'a> {
    let images = snapshot
        .inventory
        .images
        .iter()
        .filter(|image| shown.contains(image.name.as_str()));
    let images = images.map(|image| ImageView {
        name: &image.name,
        dockerfile: &image.dockerfile,
        target: image.target.as_deref(),
        platforms: image.platforms.iter().collect(),
        stale: stale.of(&image.name),
    });
    let inside = |edge: &&Edge| {
        let parent_shown = match &edge.to {
            Node::Image(name) => shown.contains(name.as_str()),
            Node::External(_) => true,
        };
        shown.contains(edge.from.as_str()) && parent_shown
    };
    let edges: Vec<&Edge> = snapshot.graph.edges.iter().filter(inside).collect();
    let externals: BTreeSet<&Reference> = edges
        .iter()
        .filter_map(|edge| match &edge.to {
            Node::External(reference) => Some(reference),
            Node::Image(_) => None,
        })
        .collect();
    let edge_view = |edge: &&'a Edge| EdgeView {
        from: &edge.from,
        to: edge.to.to_string(),
        kind: edge.kind.as_str(),
        inferred: edge.inferred,
        platforms: &edge.platforms,
    };
    GraphView {
        format_version: 1,
        revision: snapshot.revision.as_ref(),
        images: images.collect(),
        externals: externals
            .into_iter()
            .map(|reference| ExternalView { reference })
            .collect(),
        edges: edges.iter().map(edge_view).collect(),
    }
}
