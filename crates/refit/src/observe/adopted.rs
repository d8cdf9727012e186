//! What images say of themselves that other tools published: their provenance, and where in git their source is.

use std::sync::{Arc, atomic::Ordering};

use futures_util::{StreamExt as _, stream};
use refit_deps::{
    adopt::{Origin, OriginKey, PROVENANCE_LIMIT, Provenance, Recipe, RecipeHint, is_provenance},
    image::Image,
    inventory::clean,
    observe::{Answer, Answers, Needs, Release},
};
use refit_oci::{Digest, Document, ObjectId, Repository};

use super::{CONCURRENCY, Observer};
use crate::{project::Snapshot, sources::sources};

impl Observer<'_> {
    /// Answers what is asked of images that other tools published.
    pub(super) async fn about_adoptable(&self, needs: &Needs) -> Answers {
        let provenances = needs.provenances.iter().map(|key| async move {
            let answer = self.provenance(&key.0, &key.1).await;
            (key.clone(), answer)
        });
        let listings = needs.listings.iter().map(|repository| async move {
            let registry = self.registries.registry(repository.registry());
            let tags = registry.tags(repository);
            let answer = match self.ask(repository.registry(), tags).await {
                Answer::Found(tags) => Answer::Found(Arc::new(tags)),
                Answer::Missing => Answer::Missing,
                Answer::Failed(message) => Answer::Failed(message),
            };
            (repository.clone(), answer)
        });
        let origins = needs.origins.iter();
        Answers {
            provenances: stream::iter(provenances)
                .buffer_unordered(CONCURRENCY)
                .collect()
                .await,
            listings: stream::iter(listings)
                .buffer_unordered(CONCURRENCY)
                .collect()
                .await,
            origins: origins.map(|key| (key.clone(), self.origin(key))).collect(),
            ..Answers::default()
        }
    }

    /// The provenance statement of an attestation manifest.
    async fn provenance(
        &self,
        repository: &Repository,
        attestation: &Digest,
    ) -> Answer<Arc<Provenance>> {
        let document = match self.document(repository, attestation).await {
            Answer::Found(document) => document,
            Answer::Missing => return Answer::Missing,
            Answer::Failed(message) => return Answer::Failed(message),
        };
        let Document::Manifest(manifest) = document.as_ref() else {
            return Answer::Missing;
        };
        let Some(layer) = manifest.value.layers.iter().find(|l| is_provenance(l)) else {
            return Answer::Missing;
        };
        match self.small_blob(repository, layer, PROVENANCE_LIMIT).await {
            Answer::Found(bytes) => Provenance::parse(&bytes)
                .map_or(Answer::Missing, |provenance| {
                    Answer::Found(Arc::new(provenance))
                }),
            Answer::Missing => Answer::Missing,
            Answer::Failed(message) => Answer::Failed(message),
        }
    }

    /// The source that a revision names, if it is a commit here and has the image.
    fn origin(&self, key: &OriginKey) -> Answer<Arc<Origin>> {
        let Some(commit) = self.commit_of(&key.revision) else {
            return Answer::Missing;
        };
        let (snapshot, relation) = match (self.snapshot(&commit), self.relation(Some(&commit))) {
            (Ok(snapshot), Ok(relation)) => (snapshot, relation),
            (Err(error), _) | (_, Err(error)) => return Answer::Failed(error.message.into()),
        };
        let Some((mut image, recipe)) = self.entry_at(&snapshot, key) else {
            return Answer::Missing;
        };
        if let Some(tip) = self.tip.inventory.image(&key.image) {
            image.platforms.clone_from(&tip.platforms);
        }
        let sources = sources(self.project, &snapshot, &image);
        let release = Arc::new(Release {
            image,
            sources,
            relation,
        });
        Answer::Found(Arc::new(Origin {
            commit,
            release,
            recipe,
        }))
    }

    /// The commit that an id names, abbreviated or whole. One that is not here is in no line's history, unless that is
    /// cut off: then the rest is fetched, once.
    fn commit_of(&self, revision: &str) -> Option<ObjectId> {
        let repo = &self.project.repo;
        // A branch may have the name of an id.
        let resolved = || {
            let commit = repo.resolve(revision).ok()?;
            commit.as_str().starts_with(revision).then_some(commit)
        };
        if let Some(commit) = resolved() {
            return Some(commit);
        }
        let remote = repo.default_remote().filter(|_| repo.is_shallow())?;
        if self.deepened.swap(true, Ordering::Relaxed) {
            return None;
        }
        repo.unshallow(&remote).ok()?;
        resolved()
    }

    /// The image as it was built at a commit, and what of that the commit's own configuration does not say: the entry of
    /// the same tag or name; without a configuration the tip's entry, if its paths are there; else what the image says.
    fn entry_at(&self, there: &Snapshot, key: &OriginKey) -> Option<(Image, Option<Recipe>)> {
        let tip = self.tip.inventory.image(&key.image)?;
        let made = |recipe: Recipe| {
            let image = self.made(there, tip, &recipe)?;
            Some((image, Some(recipe)))
        };
        let configured = there.inventory.configured;
        let by_name = there.inventory.image(&key.image);
        let lead = tip.lead_tag();
        let mut images = there.inventory.images.iter();
        let by_tag = images.find(|image| lead.is_some() && image.lead_tag() == lead);
        let entry = by_tag.or(by_name).filter(|_| configured);
        if let RecipeHint::Dockerfile(path) = &key.recipe {
            let dockerfile = clean(path);
            let mut recipe = Recipe::of(entry.unwrap_or(tip));
            if !has_folder(there, &recipe.context) {
                let folder = dockerfile.rsplit_once('/');
                recipe.context = folder.map_or_else(String::new, |(folder, _)| folder.to_owned());
            }
            return made(Recipe {
                dockerfile,
                ..recipe
            });
        }
        match entry {
            Some(entry) if entry.name == key.image => return Some((entry.clone(), None)),
            Some(entry) => return made(Recipe::of(entry)),
            None => {}
        }
        if let (false, Some(image)) = (self.tip.inventory.configured, by_name) {
            return Some((image.clone(), None));
        }
        made(Recipe::of(tip)).or_else(|| match &key.recipe {
            RecipeHint::Told(recipe) => made(recipe.clone()),
            RecipeHint::None | RecipeHint::Dockerfile(_) => None,
        })
    }

    /// An image as it was at a commit: an adopted one as its record says.
    pub(crate) fn image_at(&self, there: &Snapshot, name: &str) -> Option<Image> {
        let recipe = there.commit.as_ref();
        let recipe = recipe.and_then(|commit| self.records.recipe(name, commit));
        match (recipe, self.tip.inventory.image(name)) {
            (Some(recipe), Some(tip)) => self.made(there, tip, recipe),
            _ => there.inventory.image(name).cloned(),
        }
    }

    /// The image that a recipe makes at a commit, if its paths are there.
    fn made(&self, there: &Snapshot, tip: &Image, recipe: &Recipe) -> Option<Image> {
        let repo = &self.project.repo;
        let commit = there.commit.as_ref()?;
        if !has_folder(there, &recipe.context) {
            return None;
        }
        let mut image = recipe.applied_to(tip)?;
        let (blob, _) = repo.blob_at(commit, &image.dockerfile).ok()??;
        let text = String::from_utf8_lossy(&repo.blob(&blob).ok()?).into_owned();
        // One that can't be parsed is said where it is scanned.
        image.file = refit_dockerfile::parse(&text).ok().map(Arc::new);
        Some(image)
    }
}

fn has_folder(there: &Snapshot, folder: &str) -> bool {
    let within = format!("{folder}/");
    let first = there.entries.partition_point(|entry| entry.path < within);
    let first = there.entries.get(first);
    folder.is_empty() || first.is_some_and(|entry| entry.path.starts_with(&within))
}
