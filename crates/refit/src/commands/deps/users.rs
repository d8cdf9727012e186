//! `refit deps users`: every image that is or was built on something, at any level, and when.

mod query;
mod show;

use std::collections::{BTreeMap, BTreeSet};

use clap::Args;
use refit_deps::{
    graph::{Edge, Node},
    lineage::users::{Query, Use, uses},
};
use refit_oci::{ObjectId, Platform};
use serde::Serialize;

use super::{App, graph::snapshot};
use crate::{
    cli::FormatArgs,
    error::{CommandError, Exit},
    project::Snapshot,
    ui::Format,
};

/// Show which images are or were built on something
///
/// By the Dockerfiles of the working tree, and by the records: every image at any level that was ever built on the
/// reference or digest, on which platforms, when, from which commit, and whether it is what is published. A reference
/// without a tag means all its tags; a digest is that of an index or of one platform's manifest, and may be cut short.
/// No registry is asked.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:\n  \
    refit deps users debian:12-slim\n  \
    refit deps users docker.io/library/debian\n  \
    refit deps users debian@1f3c09aa71c2     who has, or had, this one\n  \
    refit deps users 1f3c09aa71c2 --format json")]
pub(crate) struct UsersArgs {
    /// What is looked for: a reference, a repository, a digest
    #[arg(value_name = "REFERENCE[@DIGEST]")]
    what: String,
    /// The Dockerfiles at this revision instead of the working tree's
    #[arg(long, value_name = "REV")]
    at: Option<String>,
    #[command(flatten)]
    format: FormatArgs,
}

/// An image whose Dockerfile, or that of one it is built on, refers to what is looked for.
#[derive(Debug, Serialize)]
struct Referring<'a> {
    image: &'a str,
    kind: &'static str,
    reference: String,
    platforms: BTreeSet<&'a Platform>,
    /// The images in between, the nearest first.
    through: Vec<&'a str>,
}

#[derive(Debug, Serialize)]
struct UsersView<'a> {
    format_version: u32,
    revision: Option<&'a ObjectId>,
    repository: Option<String>,
    tag: Option<&'a str>,
    digest: Option<&'a refit_oci::Digest>,
    now: &'a [Referring<'a>],
    uses: Vec<UseView<'a>>,
}

#[derive(Debug, Serialize)]
struct UseView<'a> {
    target: String,
    image: &'a str,
    platform: &'a Platform,
    kind: &'static str,
    reference: &'a refit_oci::Reference,
    index: Option<&'a refit_oci::Digest>,
    digest: Option<&'a refit_oci::Digest>,
    through: Vec<String>,
    manifest: Option<&'a refit_oci::Digest>,
    commit: Option<&'a ObjectId>,
    built: &'a str,
    published_from: Option<&'a str>,
    published_until: Option<&'a str>,
    is_published: bool,
}

pub(super) fn run(app: &App, args: &UsersArgs) -> Result<Exit, CommandError> {
    let project = app.project()?;
    let snapshot = snapshot(&project, args.at.as_deref())?;
    let records = project.records()?;
    let query = query::parse(&args.what, &snapshot, &records)?;
    let uses = uses(&records, &query);
    let now = referring(&snapshot, &query);
    match args.format.format {
        Format::Json => app.ui.json(&view(&snapshot, &query, &now, &uses)),
        Format::Human => {
            app.ui.table(&show::table(&snapshot, &now, &uses));
            if uses.is_empty() && now.is_empty() {
                show::nothing(app, &args.what, &snapshot, &records);
            } else {
                show::summary(app, &now, &uses);
            }
        }
    }
    Ok(Exit::Fine)
}

/// The images of a snapshot that refer to what is looked for, themselves or through others; the nearest way each.
fn referring<'a>(snapshot: &'a Snapshot, query: &Query) -> Vec<Referring<'a>> {
    let edges = &snapshot.graph.edges;
    let mut found: Vec<Referring<'a>> = Vec::new();
    for edge in edges.iter().filter(|edge| is_meant(snapshot, query, edge)) {
        found.push(Referring {
            image: &edge.from,
            kind: edge.kind.as_str(),
            reference: edge.to.to_string(),
            platforms: edge.platforms.iter().collect(),
            through: Vec::new(),
        });
    }
    let mut children: BTreeMap<&str, Vec<&'a Edge>> = BTreeMap::new();
    for edge in edges {
        if let Node::Image(parent) = &edge.to {
            children.entry(parent).or_default().push(edge);
        }
    }
    let mut seen: BTreeSet<&str> = found.iter().map(|of| of.image).collect();
    let mut at = 0;
    while let Some(parent) = found.get(at) {
        let (image, kind, reference) = (parent.image, parent.kind, parent.reference.clone());
        let mut through = vec![image];
        through.extend(&parent.through);
        for edge in children.get(image).into_iter().flatten() {
            if seen.insert(&edge.from) {
                found.push(Referring {
                    image: &edge.from,
                    kind,
                    reference: reference.clone(),
                    platforms: edge.platforms.iter().collect(),
                    through: through.clone(),
                });
            }
        }
        at += 1;
    }
    found.sort_by(|a, b| (a.image, &a.through, a.kind).cmp(&(b.image, &b.through, b.kind)));
    found
}

fn is_meant(snapshot: &Snapshot, query: &Query, edge: &Edge) -> bool {
    match &edge.to {
        Node::External(reference) => {
            let pin = query.digest.as_ref();
            query.is_of(reference) && pin.is_none_or(|digest| reference.digest() == Some(digest))
        }
        Node::Image(name) => {
            let known_as = snapshot
                .inventory
                .image(name)
                .map_or_else(Vec::new, refit_deps::image::Image::known_as);
            query.digest.is_none() && known_as.iter().any(|reference| query.is_of(reference))
        }
    }
}

fn view<'a>(
    snapshot: &'a Snapshot,
    query: &'a Query,
    now: &'a [Referring<'a>],
    uses: &'a [Use],
) -> UsersView<'a> {
    let uses = uses.iter().map(|of| UseView {
        target: of.target.to_string(),
        image: &of.target.image,
        platform: &of.target.platform,
        kind: of.kind,
        reference: &of.reference,
        index: of.index.as_ref(),
        digest: of.digest.as_ref(),
        through: of.through.iter().map(ToString::to_string).collect(),
        manifest: of.manifest.as_ref(),
        commit: of.commit.as_ref(),
        built: &of.built,
        published_from: of.published.as_ref().map(|span| span.from.as_str()),
        published_until: of.published.as_ref().and_then(|span| span.until.as_deref()),
        is_published: show::is_published(of),
    });
    UsersView {
        format_version: 1,
        revision: snapshot.revision.as_ref(),
        repository: query.repository.as_ref().map(ToString::to_string),
        tag: query.tag.as_deref(),
        digest: query.digest.as_ref(),
        now,
        uses: uses.collect(),
    }
}
