//! Rebase: the layers of a published image on another base's, without building anything.
//!
//! A rebase is proven, or it is refused with what is in the way. The proof says that a rebuild on the new base would come
//! to the same: nothing executes on the base, each instruction copies the same to the same place, and what the bases hold
//! on the way there is alike. The config is replayed from the Dockerfile on the new base's. Read are manifests and
//! configs, and the tables of the bases' layers once; a layer of the image's own is only read where the bases differ in
//! its way.

mod alike;
mod merge;
mod proof;
mod published;
mod refused;
mod replay;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
};

use refit_dockerfile::{Dockerfile, Resolved};
use refit_oci::{Descriptor, Digest, ImageConfig, Platform};
use tokio::{runtime::Handle, task};

pub use self::refused::Refused;
use self::{
    published::Own,
    replay::{Dependant, Makes, Replay, replay},
};
use crate::{
    engine::PinnedBase,
    native::{
        LayerTable, LayerTables,
        bases::{BaseImage, Bases, read_image},
        file_table::FileTable,
        node::Content,
    },
};

/// How many trees of bases are held at once.
const N_TREES: usize = 16;

/// What is put on another base.
#[derive(Clone)]
pub struct Subject {
    /// The Dockerfile.
    pub file: Arc<Dockerfile>,
    /// The same for the platform.
    pub resolved: Resolved,
    /// The platform.
    pub platform: Platform,
    /// Values for ARG.
    pub build_args: BTreeMap<String, String>,
    /// Labels that the configuration adds.
    pub labels: BTreeMap<String, String>,
    /// The base's place in `resolved.found`. Everything else that was found is what it was.
    pub found: usize,
    /// The published manifest.
    pub published: PinnedBase,
    /// The base that it was built on.
    pub old: PinnedBase,
    /// The base that it is put on.
    pub new: PinnedBase,
}

/// An image on another base.
#[derive(Clone, Debug)]
pub struct Rebased {
    /// The exact bytes of the image config.
    pub config: Vec<u8>,
    /// `config`, parsed.
    pub image: ImageConfig,
    /// The new base's layers, then the image's own, which lie where the published manifest does.
    pub layers: Vec<Descriptor>,
    /// How many of them are the base's.
    pub n_of_base: usize,
    /// The published image's layers: they lie where its manifest does.
    pub published: Vec<Descriptor>,
    /// Whether the files are the published image's: it has the same diff ids.
    pub has_same_files: bool,
}

/// Why there is no image on the other base.
#[derive(Debug, thiserror::Error)]
pub enum RebaseError {
    /// It would not be what a rebuild comes to, or nobody can tell.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// An image could not be read.
    #[error(transparent)]
    Unreadable(Box<dyn std::error::Error + Send + Sync>),
}

/// The diff ids of a base, and its files.
type Tree = (Vec<Digest>, Arc<FileTable>);

/// Puts images on other bases. Clones share what was read of them.
#[derive(Clone, Default)]
pub struct Rebaser {
    tables: LayerTables,
    images: Arc<Mutex<BTreeMap<Digest, Arc<BaseImage>>>>,
    trees: Arc<Mutex<VecDeque<Tree>>>,
}

impl Rebaser {
    /// One that keeps what it reads of layers in these tables.
    pub fn with_tables(tables: LayerTables) -> Self {
        Self {
            tables,
            ..Self::default()
        }
    }

    /// The image on the new base, if it is proven to be what a rebuild would come to.
    pub async fn prove(&self, subject: &Subject) -> Result<Rebased, RebaseError> {
        let Subject { resolved, .. } = subject;
        proof::sources(resolved, subject.found)?;
        let (old, new) = (
            self.image(&subject.old).await?,
            self.image(&subject.new).await?,
        );
        fits(&new, &subject.platform)?;
        let dependant = Dependant {
            file: &subject.file,
            resolved,
            platform: &subject.platform,
            build_args: &subject.build_args,
            labels: &subject.labels,
        };
        let replays = (
            replay(dependant, subject.found, &old)?,
            replay(dependant, subject.found, &new)?,
        );
        proof::expansions(&replays.0, &replays.1)?;
        let published = self.published(&subject.published).await?;
        let own = published::own(&published, &old.config, &replays.0)?;
        let is_same_tree = old.config.rootfs.diff_ids == new.config.rootfs.diff_ids;
        if !is_same_tree
            && replays
                .1
                .steps
                .iter()
                .any(|step| step.makes != Makes::Nothing)
        {
            self.prove_layers(subject, [&old, &new, &published], &replays, &own)
                .await?;
        }
        Ok(assemble(&published, &own, replays, &new))
    }

    /// The image on the new base, its config merged key by key: what it says itself stays, what it had of the old base
    /// becomes what the new one says. Nothing is proven.
    pub async fn merge(&self, subject: &Subject) -> Result<Rebased, RebaseError> {
        let (old, new) = (
            self.image(&subject.old).await?,
            self.image(&subject.new).await?,
        );
        fits(&new, &subject.platform)?;
        let published = self.published(&subject.published).await?;
        let (diff_ids, layers) = published::behind(&published, &old.config)?;
        let image = merge::merge(&old.config, &published.config, &new.config, diff_ids)?;
        Ok(rebased(image, &published, &new, layers))
    }

    async fn prove_layers(
        &self,
        subject: &Subject,
        [old, new, published]: [&Arc<BaseImage>; 3],
        replays: &(Replay, Replay),
        own: &Own<'_>,
    ) -> Result<(), RebaseError> {
        let trees = (
            self.tree(&subject.old, old).await?,
            self.tree(&subject.new, new).await?,
        );
        let accounts = |content: &Content| {
            let Content::Member { layer, number } = content else {
                return None;
            };
            self.tables.get(layer)?.accounts.get(number).cloned()
        };
        let bases = proof::Bases {
            old: &trees.0,
            new: &trees.1,
            accounts: &accounts,
        };
        let both = (&replays.0, &replays.1);
        let Err(_) = proof::by_bases(bases, both, &own.made) else {
            return Ok(());
        };
        let mut own_tables = BTreeMap::new();
        for diff_id in own.diff_ids {
            let table = self.table((&subject.published, published), diff_id);
            own_tables.insert(diff_id, table.await?);
        }
        let members = |diff_id: &Digest| own_tables.get(diff_id).cloned();
        Ok(proof::by_layers(bases, both, &own.made, &members)?)
    }

    /// A base's config and layers; read once.
    async fn image(&self, pin: &PinnedBase) -> Result<Arc<BaseImage>, RebaseError> {
        let known = || self.images.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(image) = known().get(&pin.manifest) {
            return Ok(Arc::clone(image));
        }
        let image = self.published(pin).await?;
        known().insert(pin.manifest.clone(), Arc::clone(&image));
        Ok(image)
    }

    async fn published(&self, pin: &PinnedBase) -> Result<Arc<BaseImage>, RebaseError> {
        let image = read_image(pin).await;
        image
            .map(Arc::new)
            .map_err(|e| RebaseError::Unreadable(e.into()))
    }

    /// The files of a base.
    async fn tree(
        &self,
        pin: &PinnedBase,
        image: &Arc<BaseImage>,
    ) -> Result<Arc<FileTable>, RebaseError> {
        let trees = || self.trees.lock().unwrap_or_else(PoisonError::into_inner);
        let diff_ids = &image.config.rootfs.diff_ids;
        if let Some((_, tree)) = trees().iter().find(|(of, _)| of == diff_ids) {
            return Ok(Arc::clone(tree));
        }
        let tree = { self.read(pin, image, |bases| bases.tree(0, "the base")) }.await?;
        let tree = Arc::new(tree);
        let mut trees = trees();
        if trees.len() == N_TREES {
            trees.pop_front();
        }
        trees.push_back((diff_ids.clone(), Arc::clone(&tree)));
        Ok(tree)
    }

    /// The table of a layer of an image.
    async fn table(
        &self,
        (pin, image): (&PinnedBase, &Arc<BaseImage>),
        diff_id: &Digest,
    ) -> Result<Arc<LayerTable>, RebaseError> {
        if let Some(table) = self.tables.get(diff_id) {
            return Ok(table);
        }
        let diff_id = diff_id.clone();
        self.read(pin, image, move |bases| bases.table(&diff_id))
            .await
    }

    /// Reads layers of an image, on a thread that may block.
    async fn read<T: Send + 'static>(
        &self,
        pin: &PinnedBase,
        image: &Arc<BaseImage>,
        read: impl FnOnce(&mut Bases) -> Result<T, crate::native::bases::BaseError> + Send + 'static,
    ) -> Result<T, RebaseError> {
        let (handle, tables) = (Handle::current(), self.tables.clone());
        let pin = PinnedBase {
            found_index: 0,
            ..pin.clone()
        };
        let image = Arc::clone(image);
        let done = task::spawn_blocking(move || {
            let bases = Bases::new(handle, tables, std::slice::from_ref(&pin));
            read(&mut bases.knowing(&pin, &image))
        });
        let done = done.await.map_err(|e| RebaseError::Unreadable(e.into()))?;
        done.map_err(|e| RebaseError::Unreadable(e.into()))
    }
}

fn fits(base: &BaseImage, platform: &Platform) -> Result<(), Refused> {
    if refit_deps::pin::fits(&base.config, platform) {
        return Ok(());
    }
    let got = base.config.platform();
    Err(Refused::of(format!(
        "the new base is an image for {got}, and {platform} is needed"
    )))
}

/// The config that was replayed, with the layers and the times of what is published: so that one image on one base is
/// always the same bytes.
fn assemble(
    published: &BaseImage,
    own: &Own<'_>,
    (old, new): (Replay, Replay),
    base: &BaseImage,
) -> Rebased {
    let n_inherited = new.n_inherited;
    let mut image = new.config;
    image.rootfs.diff_ids.extend_from_slice(own.diff_ids);
    let was = &published.config;
    image.created.clone_from(&was.created);
    if old.config.config.args_escaped != was.config.args_escaped {
        // Older engines than BuildKit's of today do not set it.
        image.config.args_escaped = was.config.args_escaped;
    }
    let lines = image.history[n_inherited..].iter_mut();
    for ((line, replayed), written) in lines.zip(old.own_history()).zip(own.history) {
        // An engine's own way of writing an instruction stays, unless the base has a part in it.
        let is_same = line.created_by == replayed.created_by;
        let created_by = line.created_by.take();
        line.clone_from(written);
        if !is_same {
            line.created_by = created_by;
        }
    }
    rebased(image, published, base, own.layers)
}

fn rebased(
    image: ImageConfig,
    published: &BaseImage,
    base: &BaseImage,
    own: &[Descriptor],
) -> Rebased {
    Rebased {
        config: serde_json::to_vec(&image).expect("configs have only string keys"),
        published: published.layers.clone(),
        has_same_files: published.config.rootfs.diff_ids == image.rootfs.diff_ids,
        image,
        layers: base.layers.iter().chain(own).cloned().collect(),
        n_of_base: base.layers.len(),
    }
}
