//! What git and registries say of a large repository, without either: digests are made of names.

use std::{collections::BTreeMap, sync::Arc};

use refit_deps::{
    graph::Graph,
    observe::{Answer, Answers, Ground, Line, Needs, Relation, Release, Resolved},
    record::Records,
    source::Source,
};
use refit_oci::{
    Descriptor, Digest, Document, Exact, ImageConfig, Index, ObjectId, Platform, Reference,
    annotations, media_type,
};

use super::{Large, Published, Size, files, source_of};

const HOST: &str = "registry.example.com";

/// A large repository that is published, and what is known of the world so far.
pub(crate) struct World {
    pub(crate) large: Large,
    pub(crate) records: Records,
    /// Whether every base was pushed again since.
    pub(crate) bases_moved: bool,
    pub(crate) answers: Answers,
    graph: Graph,
    line: Line,
    /// By the image's name.
    sources: BTreeMap<String, Arc<Source>>,
}

/// Digests made of names.
struct Names<'a> {
    commit: &'a ObjectId,
    files: &'a BTreeMap<String, String>,
    patch: usize,
}

impl World {
    pub(crate) fn new(size: Size) -> Self {
        let large = Large::new(files(HOST, size));
        let line = Line {
            name: "main".to_owned(),
            commit: Some(object_id("tip")),
        };
        let graph = Graph::of(&large.inventory, &large.scans, &large.edges);
        let mut world = Self {
            large,
            graph,
            records: Records::read([""; 0], true),
            bases_moved: false,
            answers: Answers::default(),
            line,
            sources: BTreeMap::new(),
        };
        let images = world.large.inventory.images.iter();
        let source = |image| Arc::new(source_of(image, &world.names()));
        world.sources = images.map(|i| (i.name.clone(), source(i))).collect();
        for (_, record) in world.large.records(&world.names()) {
            world.records.add(record);
        }
        world
    }

    pub(crate) fn ground(&self) -> Ground<'_> {
        Ground {
            line: &self.line,
            inventory: &self.large.inventory,
            edges: &self.large.edges,
            scans: &self.large.scans,
            graph: &self.graph,
            records: &self.records,
            build_platform: &self.large.build_platform,
            now: "2026-06-01T00:00:00Z".parse().unwrap(),
            answers: &self.answers,
        }
    }

    /// Resolves, answering what is asked for; returns the result and the number of rounds.
    pub(crate) fn resolve<T>(
        &mut self,
        compute: impl Fn(&Ground<'_>) -> Resolved<T>,
    ) -> (T, usize) {
        for round in 1..100 {
            match compute(&self.ground()) {
                Resolved::Done(value) => return (value, round),
                Resolved::Needs(needs) => self.answer(needs),
            }
        }
        panic!("the resolver never comes to an end");
    }

    fn answer(&mut self, needs: Needs) {
        assert!(!needs.is_empty(), "needs nothing and is not done");
        for tag in needs.tags {
            let answer = self.tag(&tag);
            self.answers.tags.insert(tag, answer);
        }
        for (repository, digest) in needs.documents {
            let document = self.own_index(repository.last_component(), &digest);
            let document =
                document.unwrap_or_else(|| self.base_index(&repository.to_string(), &digest));
            let answer = Answer::Found(Arc::new(document));
            self.answers.documents.insert((repository, digest), answer);
        }
        for (repository, manifest) in needs.configs {
            let mut config = ImageConfig::default();
            config.rootfs.diff_ids = vec![manifest.clone()];
            let answer = Answer::Found(Arc::new(config));
            self.answers.configs.insert((repository, manifest), answer);
        }
        for key in needs.releases {
            let answer = self.release(&key.0);
            self.answers.releases.insert(key, answer);
        }
    }

    fn tag(&self, tag: &Reference) -> Answer<Digest> {
        let name = tag.repository().last_component();
        if tag.tag().is_some_and(|tag| tag.starts_with("refit-")) {
            Answer::Missing
        } else if self.large.inventory.image(name).is_some() {
            Answer::Found(self.names().index(name))
        } else {
            let repository = tag.repository().to_string();
            Answer::Found(base_digest(&repository, "index", self.names().patch))
        }
    }

    fn base_index(&self, repository: &str, digest: &Digest) -> Document {
        let patch = self.names().patch;
        let platforms = [Platform::linux_amd64(), Platform::linux_arm64()];
        let held = |platform: &Platform| base_digest(repository, &platform.to_string(), patch);
        index(
            digest,
            platforms.iter().map(|p| (p, held(p))),
            BTreeMap::new(),
        )
    }

    /// What is published of an image.
    fn own_index(&self, name: &str, digest: &Digest) -> Option<Document> {
        let names = self.names();
        let image = self.large.inventory.image(name)?;
        let said = [
            (annotations::IMAGE, name.to_owned()),
            (annotations::REVISION, names.commit.to_string()),
        ];
        let said = said.map(|(key, value)| (key.to_owned(), value)).into();
        let platforms = image.platforms.iter();
        let held = platforms.map(|platform| (platform, names.manifest(name, platform)));
        (names.index(name) == *digest).then(|| index(digest, held, said))
    }

    fn release(&self, name: &str) -> Answer<Arc<Release>> {
        let Some(image) = self.large.inventory.image(name) else {
            return Answer::Missing;
        };
        let source = &self.sources[name];
        let platforms = image.platforms.iter();
        Answer::Found(Arc::new(Release {
            image: image.clone(),
            sources: platforms.map(|p| (p.clone(), Arc::clone(source))).collect(),
            relation: Relation::Tip,
        }))
    }

    fn names(&self) -> Names<'_> {
        Names {
            commit: self.line.commit.as_ref().unwrap(),
            files: &self.large.files,
            patch: usize::from(self.bases_moved),
        }
    }
}

impl Published for Names<'_> {
    fn commit(&self) -> &ObjectId {
        self.commit
    }

    fn blob(&self, path: &str) -> ObjectId {
        object_id(&self.files[path])
    }

    fn base(&self, reference: &Reference, platform: &Platform) -> (Digest, Digest) {
        let repository = reference.repository().to_string();
        let digest = |what: &str| base_digest(&repository, what, self.patch);
        (digest("index"), digest(&platform.to_string()))
    }

    fn manifest(&self, image: &str, platform: &Platform) -> Digest {
        Digest::sha256(format!("{image}@{platform}").as_bytes())
    }

    fn index(&self, image: &str) -> Digest {
        Digest::sha256(image.as_bytes())
    }
}

fn index<'p>(
    digest: &Digest,
    held: impl Iterator<Item = (&'p Platform, Digest)>,
    said: BTreeMap<String, String>,
) -> Document {
    let entries = held.map(|(platform, manifest)| {
        let mut entry = Descriptor::new(media_type::OCI_MANIFEST, manifest, 1);
        entry.platform = Some(platform.clone());
        entry
    });
    Document::Index(Exact {
        value: Index::new(entries.collect(), said),
        bytes: Vec::new(),
        digest: digest.clone(),
        media_type: media_type::OCI_INDEX.to_owned(),
    })
}

fn base_digest(repository: &str, what: &str, patch: usize) -> Digest {
    Digest::sha256(format!("{repository} {what} {patch}").as_bytes())
}

fn object_id(text: &str) -> ObjectId {
    let digest = Digest::sha256(text.as_bytes());
    digest.hex()[..40].parse().unwrap()
}
