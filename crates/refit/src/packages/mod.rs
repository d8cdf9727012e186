//! What changed inside a base: the packages that differ between two of its manifests, read from the layers that differ.

mod layer;
mod show;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use futures_util::{StreamExt as _, stream};
use refit_deps::{
    packages::{self, Contents, LayerPackages, PackageChange},
    plan::Plan,
    reason::Reason,
};
use refit_oci::{Descriptor, Digest, Document, Reference, Repository};
use refit_registry::{Registries, RegistryError};

use crate::{error::chain, project::Project};

pub(crate) use show::{annotate, change_words, in_short, show};

/// How many pairs of bases are compared at once.
const CONCURRENCY: usize = 4;
/// Larger layers are not downloaded for this.
const LAYER_LIMIT: u64 = 2 << 30;

/// Two manifests of one dependency.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Move {
    /// As the Dockerfile refers to it.
    pub(crate) reference: Reference,
    /// The old manifest.
    pub(crate) from: Digest,
    /// The new manifest.
    pub(crate) to: Digest,
}

/// What differs between the two manifests of a move.
#[derive(Clone, Debug)]
pub(crate) enum Inside {
    /// These packages; none if there is no other.
    Changes(Vec<PackageChange>),
    /// There are packages, in a database of rpm's, which is not read.
    Rpm,
    /// There is no package database in either.
    NoDatabase,
    /// It could not be found out.
    Unknown(String),
}

/// What differs inside of everything that moved.
pub(crate) type Insides = BTreeMap<Move, Inside>;

/// The bases that moved, by the reasons of a plan, each with the repositories of ours that still have its old layers.
pub(crate) fn moves(plan: &Plan) -> BTreeMap<Move, BTreeSet<Repository>> {
    let mut moves: BTreeMap<Move, BTreeSet<Repository>> = BTreeMap::new();
    for step in &plan.steps {
        for moved in step.reasons.iter().filter_map(of_reason) {
            moves
                .entry(moved)
                .or_default()
                .insert(step.repository.clone());
        }
    }
    moves
}

/// The move that a reason is about.
pub(crate) fn of_reason(reason: &Reason) -> Option<Move> {
    match reason {
        Reason::BaseChanged {
            reference,
            from: Some(from),
            to,
            ..
        } => Some(Move {
            reference: reference.clone(),
            from: from.clone(),
            to: to.clone(),
        }),
        _ => None,
    }
}

/// Compares what lies in these manifests. Registries that are away leave it open.
pub(crate) async fn compare(
    project: &Project,
    registries: &Registries,
    moves: BTreeMap<Move, BTreeSet<Repository>>,
) -> Insides {
    let compared = stream::iter(moves).map(|(moved, others)| async move {
        let reader = Reader {
            project,
            registries,
            repositories: std::iter::once(moved.reference.repository().clone())
                .chain(others)
                .collect(),
        };
        let inside = match reader.inside(&moved).await {
            Ok(inside) => inside,
            Err(message) => Inside::Unknown(message),
        };
        (moved, inside)
    });
    compared.buffer_unordered(CONCURRENCY).collect().await
}

/// Reads manifests and layers from wherever they still are.
struct Reader<'a> {
    project: &'a Project,
    registries: &'a Registries,
    repositories: Vec<Repository>,
}

impl Reader<'_> {
    async fn inside(&self, moved: &Move) -> Result<Inside, String> {
        let (old, new) = (
            self.layers(&moved.from).await?,
            self.layers(&moved.to).await?,
        );
        let pairs = old.iter().zip(&new);
        let common = pairs.take_while(|(a, b)| a.digest == b.digest).count();
        // What lies above the common layers decides, unless a database lies in them.
        let (mut before, mut after) = (
            self.read(&old[common..]).await?,
            self.read(&new[common..]).await?,
        );
        let [above_old, above_new] = [contents(&before), contents(&after)];
        let is_enough = |contents: &Contents| contents.is_complete;
        if common > 0 && !above_old.is_touched && !above_new.is_touched {
            // Whatever the common layers hold is the same; they are not downloaded only to see it.
            return Ok(Inside::Changes(Vec::new()));
        }
        if !(is_enough(&above_old) && is_enough(&above_new)) {
            let below = self.read(&old[..common]).await?;
            before.extend(below.iter().cloned());
            after.extend(below);
        }
        let (old, new) = (contents(&before), contents(&after));
        Ok(if !old.packages.is_empty() || !new.packages.is_empty() {
            Inside::Changes(packages::changes(&old, &new))
        } else if old.rpm || new.rpm {
            Inside::Rpm
        } else {
            Inside::NoDatabase
        })
    }

    /// What these layers say, the topmost first: as far down as anything can still be seen.
    async fn read(&self, layers: &[Descriptor]) -> Result<Vec<LayerPackages>, String> {
        let mut read = Vec::new();
        for layer in layers.iter().rev() {
            read.push(self.layer(layer).await?);
            if contents(&read).is_complete {
                break;
            }
        }
        Ok(read)
    }

    async fn layers(&self, manifest: &Digest) -> Result<Vec<Descriptor>, String> {
        match self.document(manifest).await? {
            Document::Manifest(manifest) => Ok(manifest.value.layers),
            Document::Index(_) => Err(format!("`{manifest}` is an index")),
        }
    }

    async fn document(&self, digest: &Digest) -> Result<Document, String> {
        let kept = self.project.own_dir().join("documents").join(digest.hex());
        if let Ok(bytes) = std::fs::read(kept)
            && digest.verifies(&bytes)
            && let Ok(document) = Document::decode(None, bytes)
        {
            return Ok(document);
        }
        self.anywhere(digest, async |registries, repository| {
            let registry = registries.registry(repository.registry());
            registry.document(repository, digest).await
        })
        .await
    }

    /// What a layer says, from the cache where it is there: what a digest names never changes.
    async fn layer(&self, layer: &Descriptor) -> Result<LayerPackages, String> {
        let kept = self.kept(&layer.digest);
        if let Some(known) = layer::recall(&kept) {
            return Ok(known);
        }
        if layer.size > LAYER_LIMIT {
            return Err(format!("the layer {} is too large", layer.digest.short()));
        }
        let blob = self
            .anywhere(&layer.digest, async |registries, repository| {
                let registry = registries.registry(repository.registry());
                registry.blob(repository, layer).await
            })
            .await?;
        let media_type = layer.media_type.clone();
        let read = tokio::task::spawn_blocking(move || layer::read(blob.path(), &media_type));
        let read = read
            .await
            .map_err(|error| chain(&error))?
            .map_err(|error| format!("the layer {}: {}", layer.digest.short(), chain(&error)))?;
        layer::remember(&kept, &read);
        Ok(read)
    }

    fn kept(&self, layer: &Digest) -> PathBuf {
        let folder = self.project.own_dir().join("packages");
        folder.join(format!("{}.json", layer.hex()))
    }

    /// From the first of the repositories that has it.
    async fn anywhere<T>(
        &self,
        digest: &Digest,
        ask: impl AsyncFn(&Registries, &Repository) -> Result<T, RegistryError>,
    ) -> Result<T, String> {
        let mut first = None;
        for repository in &self.repositories {
            match ask(self.registries, repository).await {
                Ok(found) => return Ok(found),
                Err(error) if error.is_missing() => {}
                Err(error) => first = first.or(Some(chain(&error))),
            }
        }
        Err(first.unwrap_or_else(|| format!("`{digest}` is not there any more")))
    }
}

fn contents(top_down: &[LayerPackages]) -> Contents {
    packages::contents(top_down)
}
