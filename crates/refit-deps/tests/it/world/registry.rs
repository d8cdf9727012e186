//! The registries of a scenario: tags, documents and configs by the digests of their names.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use refit_deps::{
    adopt::{Material, Provenance},
    observe::{Answer, Answers, Failure, FailureKind},
    pin::{self, Pin},
    source::SourceId,
};
use refit_oci::{
    Descriptor, Digest, Document, Exact, History, ImageConfig, Manifest, Platform, Reference,
    Repository, annotations, media_type,
};

use super::{digest, object_id};
use crate::format::{Attested, Content, Held, Publication, Scenario, Tag, platform_of};

#[derive(Clone, Default)]
pub(crate) struct Registry {
    tags: BTreeMap<Reference, Answer<Digest>>,
    documents: BTreeMap<Digest, Arc<Document>>,
    configs: BTreeMap<Digest, Arc<ImageConfig>>,
    /// By the digests of attestations.
    provenances: BTreeMap<Digest, Arc<Provenance>>,
    gone: BTreeSet<Digest>,
    /// Every name by its digest, to print plans with.
    names: BTreeMap<Digest, String>,
    indexes: BTreeMap<Digest, Tag>,
}

/// An index of an image.
pub(crate) struct Index {
    pub(crate) name: String,
    pub(crate) image: Option<String>,
    pub(crate) commit: Option<String>,
    pub(crate) replaces: Option<String>,
    /// What another tool says of it.
    pub(crate) said: BTreeMap<String, String>,
    pub(crate) platforms: BTreeMap<Platform, String>,
}

/// What `debian:12-slim` was, unless a story says something else.
pub(crate) fn default_base(reference: &Reference) -> Option<Tag> {
    let platforms = [
        (Platform::linux_amd64(), "debian-amd-1".to_owned()),
        (Platform::linux_arm64(), "debian-arm-1".to_owned()),
    ];
    (reference.familiar() == "debian:12-slim")
        .then(|| Tag::Index("debian-1".to_owned(), platforms.into()))
}

impl Registry {
    /// The bases, before and now.
    pub(crate) fn bases(&mut self, scenario: &Scenario) {
        let debian: Reference = "debian:12-slim".parse().unwrap();
        let default = default_base(&debian).unwrap();
        self.base(&debian, &default, scenario);
        for (reference, tag) in scenario.before.iter().chain(&scenario.now) {
            self.base(reference, tag, scenario);
        }
        for publication in scenario.publication.values() {
            for tag in publication.on.values() {
                self.hold(tag, scenario);
            }
        }
    }

    fn base(&mut self, reference: &Reference, tag: &Tag, scenario: &Scenario) {
        let answer = match tag {
            Tag::Missing => Answer::Missing,
            Tag::Failed(message) => Answer::Failed(failure(message)),
            Tag::Manifest(name) | Tag::Index(name, _) => Answer::Found(digest(name)),
        };
        self.tags.insert(reference.clone(), answer);
        self.hold(tag, scenario);
    }

    fn hold(&mut self, tag: &Tag, scenario: &Scenario) {
        match tag {
            Tag::Missing | Tag::Failed(_) => {}
            Tag::Manifest(name) => self.manifest(name, scenario.content.get(name), BTreeMap::new()),
            Tag::Index(name, platforms) => {
                for manifest in platforms.values() {
                    let content = scenario.content.get(manifest);
                    self.manifest(manifest, content, BTreeMap::new());
                }
                self.index(name, platforms, BTreeMap::new());
                self.indexes.insert(digest(name), tag.clone());
            }
        }
    }

    /// A manifest that was built here.
    pub(crate) fn built(
        &mut self,
        name: &str,
        (source, pins): (&SourceId, &[Pin]),
        how: &Publication,
    ) {
        let mut written = BTreeMap::new();
        if !how.unannotated {
            written.insert(annotations::SOURCE.to_owned(), source.to_string());
            written.insert(annotations::PINS.to_owned(), pin::annotation(pins));
        }
        self.manifest(name, None, written);
    }

    pub(crate) fn publish(&mut self, index: &Index, tags: &[Reference]) {
        let mut written = index.said.clone();
        if let Some(image) = &index.image {
            written.insert(annotations::IMAGE.to_owned(), image.clone());
            if let Some(commit) = &index.commit {
                let commit = object_id(commit).to_string();
                written.insert(annotations::REVISION.to_owned(), commit);
            }
        }
        if let Some(replaces) = &index.replaces {
            let replaces = digest(replaces).to_string();
            written.insert(annotations::REPLACES.to_owned(), replaces);
        }
        self.index(&index.name, &index.platforms, written);
        for tag in tags {
            let answer = Answer::Found(digest(&index.name));
            self.tags.insert(tag.clone(), answer);
        }
    }

    /// What the story says of single tags, and of what is gone.
    pub(crate) fn overrides(&mut self, scenario: &Scenario) {
        let tagged = scenario.tags.iter().map(|(tag, held)| (Some(tag), held));
        let untagged = scenario.untagged.iter().map(|held| (None, held));
        for (tag, held) in tagged.chain(untagged) {
            let answer = self.held(held, scenario);
            if let Some(tag) = tag {
                self.tags.insert(tag.clone(), answer);
            }
        }
        self.gone = scenario.gone.iter().map(|name| digest(name)).collect();
        let built = scenario.build.iter();
        let built = built.flat_map(|build| build.deps.values().flatten());
        for name in scenario.staged.values().chain(built) {
            self.name(name);
        }
    }

    fn held(&mut self, held: &Held, scenario: &Scenario) -> Answer<Digest> {
        if let Some(error) = &held.error {
            return Answer::Failed(failure(error));
        }
        if held.missing {
            return Answer::Missing;
        }
        if let Some(manifest) = &held.manifest {
            self.manifest(manifest, scenario.content.get(manifest), BTreeMap::new());
            return Answer::Found(digest(manifest));
        }
        for manifest in held.platforms.values() {
            if !self.documents.contains_key(&digest(manifest)) {
                self.manifest(manifest, scenario.content.get(manifest), BTreeMap::new());
            }
        }
        let name = held.index.clone().unwrap();
        let index = Index {
            name: name.clone(),
            image: held.image.clone(),
            commit: held.commit.clone(),
            replaces: held.replaces.clone(),
            said: said(held.revision.as_ref(), held.base.as_ref()),
            platforms: held.platforms.clone(),
        };
        self.publish(&index, &[]);
        if let Some(attested) = &held.provenance {
            self.attest(&index, attested);
        }
        Answer::Found(digest(&name))
    }

    /// Adds an attestation for each manifest to an index, as BuildKit does.
    fn attest(&mut self, index: &Index, attested: &Attested) {
        for name in attested.materials.values() {
            self.name(name);
        }
        let about = attested.about.as_ref();
        let subjects = match about {
            Some(about) => about.iter().map(|name| digest(name)).collect(),
            None => index.platforms.values().map(|n| digest(n)).collect(),
        };
        let provenance = Arc::new(Provenance {
            subjects,
            materials: attested.materials.iter().map(material).collect(),
            revision: attested
                .revision
                .as_deref()
                .map(|c| object_id(c).to_string()),
            recipe: None,
        });
        let document = self.documents[&digest(&index.name)].as_ref().clone();
        let Document::Index(mut document) = document else {
            unreachable!("it was published as one");
        };
        for manifest in index.platforms.values() {
            let name = self.name(&format!("attestation of {manifest}"));
            let mut entry = Descriptor::new(media_type::OCI_MANIFEST, name.clone(), 1);
            entry.platform = Some(Platform::new("unknown", "unknown", None));
            entry.annotations = BTreeMap::from([
                (
                    "vnd.docker.reference.type".to_owned(),
                    "attestation-manifest".to_owned(),
                ),
                (
                    "vnd.docker.reference.digest".to_owned(),
                    digest(manifest).to_string(),
                ),
            ]);
            document.value.manifests.push(entry);
            self.provenances.insert(name, Arc::clone(&provenance));
        }
        let name = digest(&index.name);
        self.documents
            .insert(name, Arc::new(Document::Index(document)));
    }

    pub(crate) fn provenance(&self, attestation: &Digest) -> Answer<Arc<Provenance>> {
        let known = self.provenances.get(attestation).cloned();
        known.map_or(Answer::Missing, Answer::Found)
    }

    fn manifest(
        &mut self,
        name: &str,
        content: Option<&Content>,
        written: BTreeMap<String, String>,
    ) {
        let config = Descriptor::new(media_type::OCI_CONFIG, digest("config"), 1);
        let media_type = media_type::OCI_MANIFEST.to_owned();
        let document = Document::Manifest(Exact {
            value: Manifest::new(config, Vec::new(), written),
            bytes: Vec::new(),
            digest: self.name(name),
            media_type,
        });
        self.documents.insert(digest(name), Arc::new(document));
        let content = content.cloned().unwrap_or_default();
        let mut config = ImageConfig {
            created: content.created,
            ..ImageConfig::default()
        };
        let layers = content.layers.unwrap_or_else(|| vec![name.to_owned()]);
        config.rootfs.diff_ids = layers.iter().map(|layer| digest(layer)).collect();
        config.config.env = content.env;
        config.config.on_build = content.onbuild;
        config.config.labels = said(content.revision.as_ref(), content.base.as_ref());
        let history = content.history.unwrap_or_default().into_iter();
        config.history = history
            .map(|step| History {
                created_by: Some(step),
                ..History::default()
            })
            .collect();
        if let Some(platform) = content.platform {
            config.os.clone_from(&platform.os);
            config.architecture.clone_from(&platform.architecture);
            config.variant.clone_from(&platform.variant);
        }
        self.configs.insert(digest(name), Arc::new(config));
    }

    fn index(
        &mut self,
        name: &str,
        platforms: &BTreeMap<Platform, String>,
        written: BTreeMap<String, String>,
    ) {
        let entries = platforms.iter().map(|(platform, name)| {
            let mut entry = Descriptor::new(media_type::OCI_MANIFEST, self.name(name), 1);
            entry.platform = Some(platform.clone());
            entry
        });
        let value = refit_oci::Index::new(entries.collect(), written);
        let document = Document::Index(Exact {
            value,
            bytes: Vec::new(),
            digest: self.name(name),
            media_type: media_type::OCI_INDEX.to_owned(),
        });
        self.documents.insert(digest(name), Arc::new(document));
    }

    fn name(&mut self, name: &str) -> Digest {
        self.names.insert(digest(name), name.to_owned());
        digest(name)
    }

    /// The name of a digest.
    pub(crate) fn name_of(&self, digest: &Digest) -> String {
        let name = self.names.get(digest).cloned();
        name.unwrap_or_else(|| digest.short().to_owned())
    }

    /// What a base's digest holds.
    pub(crate) fn named(&self, digest: &Digest) -> Option<Tag> {
        let name = self.names.get(digest);
        let manifest = || name.cloned().map(Tag::Manifest);
        self.indexes.get(digest).cloned().or_else(manifest)
    }

    /// All answers to what could be asked, staging tags left out.
    pub(crate) fn everything(&self, scenario: &Scenario) -> Answers {
        let mut answers = Answers::default();
        let tags = self.tags.keys();
        answers.tags = tags
            .map(|tag| (tag.clone(), self.tag(tag, scenario)))
            .collect();
        let repositories: BTreeSet<&Repository> =
            self.tags.keys().map(Reference::repository).collect();
        for repository in repositories {
            for digest in self.documents.keys() {
                let key = (repository.clone(), digest.clone());
                answers.documents.insert(key.clone(), self.document(digest));
                answers.configs.insert(key, self.config(digest));
            }
        }
        answers
    }

    pub(crate) fn tag(&self, tag: &Reference, scenario: &Scenario) -> Answer<Digest> {
        if tag.tag().is_some_and(|t| t.starts_with("refit-")) {
            // A staged result of the image in that repository, whatever the key: the story says there is one.
            let image = tag.repository().last_component();
            let mut staged = scenario.staged.iter();
            let staged = staged.find(|(target, _)| target.split('@').next() == Some(image));
            return staged.map_or(Answer::Missing, |(_, manifest)| {
                Answer::Found(digest(manifest))
            });
        }
        self.tags.get(tag).cloned().unwrap_or(Answer::Missing)
    }

    pub(crate) fn document(&self, wanted: &Digest) -> Answer<Arc<Document>> {
        if self.gone.contains(wanted) {
            return Answer::Missing;
        }
        let known = self.documents.get(wanted).cloned();
        known.map_or(Answer::Missing, Answer::Found)
    }

    pub(crate) fn config(&self, manifest: &Digest) -> Answer<Arc<ImageConfig>> {
        if self.gone.contains(manifest) {
            return Answer::Missing;
        }
        let known = self.configs.get(manifest).cloned();
        known.map_or(Answer::Missing, Answer::Found)
    }
}

/// What a registry says instead of an answer: `unauthorized`, `rate-limited`, `schema-1`, or anything else.
fn failure(words: &str) -> Failure {
    let kind = match words {
        "unauthorized" => FailureKind::Unauthorized {
            credentials: "anonymously".to_owned(),
        },
        "rate-limited" => FailureKind::RateLimited { until: None },
        "schema-1" => FailureKind::Schema1,
        _ => FailureKind::Other,
    };
    let message = words.to_owned();
    Failure { kind, message }
}

/// `REFERENCE` or `REFERENCE on PLATFORM`, and the name of a digest.
fn material((written, name): (&String, &String)) -> Material {
    let (reference, platform) = match written.split_once(" on ") {
        Some((reference, platform)) => (reference, Some(platform_of(platform))),
        None => (written.as_str(), None),
    };
    Material {
        reference: reference.parse().unwrap(),
        platform,
        digest: digest(name),
    }
}

/// What an image says of its commit and its base.
fn said(revision: Option<&String>, base: Option<&(String, String)>) -> BTreeMap<String, String> {
    let mut said = BTreeMap::new();
    if let Some(commit) = revision {
        let commit = object_id(commit).to_string();
        said.insert(annotations::REVISION.to_owned(), commit);
    }
    if let Some((name, manifest)) = base {
        said.insert(annotations::BASE_NAME.to_owned(), name.clone());
        let digest = digest(manifest).to_string();
        said.insert(annotations::BASE_DIGEST.to_owned(), digest);
    }
    said
}
