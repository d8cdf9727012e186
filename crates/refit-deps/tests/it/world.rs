//! The world of a scenario: files at commits, a registry of named digests, records. Names stand for digests.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use refit_deps::{
    edges::Edges,
    inventory::{self, Files, Inventory},
    observe::{Answer, Answers, Ground, Line, Relation, Release, Resolved, SourceKey},
    pin::Pin,
    record::{BuildRecord, PublishRecord, Record, Records},
    scan::Scans,
    source::{EntryMode, Source, SourceEntry, SourceId, source},
};
use refit_dockerfile::Kind;
use refit_oci::{
    Config, Descriptor, Digest, Document, Exact, ImageConfig, Index, Manifest, ObjectId, Platform,
    Reference, annotations, media_type,
};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Scenario {
    /// What the story is.
    #[expect(dead_code, reason = "for the reader")]
    description: String,
    /// `sweep` or `build`.
    pub(crate) run: String,
    /// Image names given on the command line.
    #[serde(default)]
    pub(crate) images: BTreeSet<String>,
    #[serde(default)]
    pub(crate) base: Option<Reference>,
    #[serde(default)]
    pub(crate) force: bool,
    #[serde(default)]
    pub(crate) take_over: bool,
    /// The commit at the line's tip.
    tip: String,
    /// By commit, oldest first in `history`.
    commits: BTreeMap<String, BTreeMap<String, String>>,
    history: Vec<String>,
    #[serde(default)]
    registry: BTreeMap<Reference, Held>,
    /// Documents that no tag holds.
    #[serde(default)]
    untagged: BTreeMap<String, Held>,
    #[serde(default)]
    build: Vec<Build>,
    #[serde(default)]
    publish: Vec<Publish>,
    /// Staging tags that hold something: target → manifest, for today's key.
    #[serde(default)]
    pub(crate) staged: BTreeMap<String, String>,
    pub(crate) expect: Expect,
}

#[derive(Deserialize, Clone)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Held {
    #[serde(default)]
    index: Option<String>,
    #[serde(default)]
    manifest: Option<String>,
    #[serde(default)]
    platforms: BTreeMap<Platform, String>,
    /// What the manifest's config says.
    #[serde(default)]
    platform: Option<Platform>,
    /// The triggers in the config of each of its manifests.
    #[serde(default)]
    onbuild: Vec<String>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
    /// `replaces = NAME` is the annotation with that name's digest.
    #[serde(default)]
    replaces: Option<String>,
    #[serde(default)]
    error: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Build {
    image: String,
    platform: Platform,
    commit: String,
    manifest: String,
    /// `REFERENCE = [INDEX, MANIFEST]`, or `[MANIFEST]` for in-repo parents.
    deps: BTreeMap<Reference, Vec<String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Publish {
    id: String,
    #[serde(default)]
    after: Option<String>,
    #[serde(default)]
    replaces: Option<String>,
    image: String,
    commit: String,
    index: String,
    platforms: BTreeMap<Platform, String>,
    tags: Vec<Reference>,
}

#[derive(Deserialize, Debug, PartialEq, Eq)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Expect {
    #[serde(default)]
    pub(crate) steps: Vec<String>,
    #[serde(default)]
    pub(crate) kept: Vec<String>,
    #[serde(default)]
    pub(crate) states: Vec<String>,
    #[serde(default)]
    pub(crate) moves: Vec<String>,
    /// How many tags were asked for, staging tags included, where the story is about that.
    #[serde(default)]
    pub(crate) tags_asked: Option<usize>,
    /// How many documents were fetched.
    #[serde(default)]
    pub(crate) documents_asked: Option<usize>,
    /// How many configs were fetched.
    #[serde(default)]
    pub(crate) configs_asked: Option<usize>,
}

/// The digest that a name stands for.
pub(crate) fn digest(name: &str) -> Digest {
    Digest::sha256(name.as_bytes())
}

pub(crate) fn object_id(name: &str) -> ObjectId {
    digest(name).hex()[..40].parse().unwrap()
}

pub(crate) struct World {
    pub(crate) scenario: Scenario,
    inventories: BTreeMap<String, Inventory>,
    records: Records,
    edges: Edges,
    build_platform: Platform,
    pub(crate) names: BTreeMap<Digest, String>,
}

impl World {
    pub(crate) fn new(scenario: Scenario) -> Self {
        let inventories: BTreeMap<String, Inventory> = scenario
            .commits
            .iter()
            .map(|(commit, files)| (commit.clone(), inventory_of(files)))
            .collect();
        let build_platform = Platform::linux_amd64();
        let tip = &inventories[&scenario.tip];
        let edges = Edges::of(tip, &Scans::of(&tip.images, &build_platform));
        let mut world = Self {
            records: Records::default(),
            names: names(&scenario),
            inventories,
            edges,
            build_platform,
            scenario,
        };
        world.records = world.read_records();
        world
    }

    /// Resolves, answering what is asked for; returns the result with all that was asked.
    pub(crate) fn resolve<T>(&self, compute: impl Fn(&Ground<'_>) -> Resolved<T>) -> (T, Answers) {
        let mut answers = Answers::default();
        let line = Line {
            name: "main".to_owned(),
            commit: Some(object_id(&self.scenario.tip)),
        };
        for _ in 0..50 {
            let ground = Ground {
                line: &line,
                inventory: &self.inventories[&self.scenario.tip],
                edges: &self.edges,
                records: &self.records,
                build_platform: &self.build_platform,
                now: "2026-06-01T00:00:00Z".parse().unwrap(),
                answers: &answers,
            };
            let needs = match compute(&ground) {
                Resolved::Done(value) => return (value, answers),
                Resolved::Needs(needs) => needs,
            };
            assert!(!needs.is_empty(), "needs nothing and is not done");
            answers.tags.extend(
                needs
                    .tags
                    .into_iter()
                    .map(|tag| (tag.clone(), self.tag(&tag))),
            );
            let documents = needs
                .documents
                .into_iter()
                .map(|key| (key.clone(), self.document(&key.1)));
            answers.documents.extend(documents);
            let configs = needs
                .configs
                .into_iter()
                .map(|key| (key.clone(), self.config(&key.1)));
            answers.configs.extend(configs);
            let releases = needs
                .releases
                .into_iter()
                .map(|key| (key.clone(), self.release(&key.0, key.1.as_ref())));
            answers.releases.extend(releases);
            let sources = needs
                .sources
                .into_iter()
                .map(|key| (key.clone(), self.widened(&key)));
            answers.sources.extend(sources);
        }
        panic!("the resolver never comes to an end");
    }

    fn tag(&self, tag: &Reference) -> Answer<Digest> {
        if tag.tag().is_some_and(|t| t.starts_with("refit-")) {
            // A staged result of the image in that repository, whatever the key: the story says there is one.
            let image = tag.repository().last_component();
            let staged = self
                .scenario
                .staged
                .iter()
                .find(|(target, _)| target.split('@').next() == Some(image));
            return staged.map_or(Answer::Missing, |(_, manifest)| {
                Answer::Found(digest(manifest))
            });
        }
        match self.scenario.registry.get(tag) {
            Some(Held {
                error: Some(error), ..
            }) => Answer::Failed(error.clone()),
            Some(held) => Answer::Found(digest(
                held.index.as_ref().or(held.manifest.as_ref()).unwrap(),
            )),
            None => Answer::Missing,
        }
    }

    fn document(&self, wanted: &Digest) -> Answer<Arc<Document>> {
        let named = self.scenario.untagged.iter().map(|(name, held)| Held {
            index: Some(name.clone()),
            ..held.clone()
        });
        let held = self.scenario.registry.values().cloned().chain(named);
        for held in held {
            let Some(name) = held.index.as_ref().or(held.manifest.as_ref()) else {
                continue;
            };
            if digest(name) == *wanted {
                return Answer::Found(Arc::new(document(&held)));
            }
        }
        Answer::Missing
    }

    fn config(&self, manifest: &Digest) -> Answer<Arc<ImageConfig>> {
        let mut held = self.scenario.registry.values();
        let held = held.find(|held| {
            let mut manifests = held.manifest.iter().chain(held.platforms.values());
            manifests.any(|name| digest(name) == *manifest)
        });
        let Some(held) = held else {
            return Answer::Missing;
        };
        let platform = held.platform.clone().unwrap_or_else(Platform::linux_amd64);
        Answer::Found(Arc::new(ImageConfig {
            os: platform.os,
            architecture: platform.architecture,
            variant: platform.variant,
            config: Config {
                on_build: held.onbuild.clone(),
                ..Config::default()
            },
            ..ImageConfig::default()
        }))
    }

    fn release(&self, name: &str, commit: Option<&ObjectId>) -> Answer<Arc<Release>> {
        let history = &self.scenario.history;
        let position = |commit: &str| history.iter().position(|c| c == commit);
        let commit = match commit {
            None => self.scenario.tip.clone(),
            Some(id) => match self.scenario.commits.keys().find(|c| object_id(c) == *id) {
                Some(commit) => commit.clone(),
                None => return Answer::Failed("the commit is not in this clone".to_owned()),
            },
        };
        let relation = match (position(&commit), position(&self.scenario.tip)) {
            (Some(a), Some(b)) if a == b => Relation::Tip,
            (Some(a), Some(b)) if a < b => Relation::Ancestor,
            (Some(_), Some(_)) => Relation::Newer,
            _ => Relation::Elsewhere,
        };
        let Some(mut image) = self.inventories[&commit].image(name).cloned() else {
            return Answer::Missing;
        };
        if let Some(tip) = self.inventories[&self.scenario.tip].image(name) {
            image.platforms.clone_from(&tip.platforms);
        }
        let source = self.source(name, &commit);
        let sources = image
            .platforms
            .iter()
            .map(|p| (p.clone(), source.clone()))
            .collect();
        Answer::Found(Arc::new(Release {
            image,
            sources,
            relation,
        }))
    }

    /// The source of an image that copies nothing of its context itself, with what triggers of its base copy.
    fn widened(&self, key: &SourceKey) -> Answer<Source> {
        let known = |commit: &&String| key.commit.as_ref() == Some(&object_id(commit));
        let commit = self.scenario.commits.keys().find(known);
        let commit = commit.unwrap_or(&self.scenario.tip);
        Answer::Found(self.source(&key.image, commit))
    }

    fn source(&self, image: &str, commit: &str) -> Source {
        let image = self.inventories[commit].image(image).unwrap();
        let files = &self.scenario.commits[commit];
        let prefix = format!("{}/", image.context);
        let entries: Vec<SourceEntry> = files
            .iter()
            .filter(|(path, _)| path.starts_with(&prefix) && **path != image.dockerfile)
            .map(|(path, text)| SourceEntry {
                path: path.clone(),
                mode: EntryMode::File,
                id: object_id(text),
            })
            .collect();
        source(image, &object_id(&files[&image.dockerfile]), &entries)
    }

    fn read_records(&self) -> Records {
        let mut records = Records::read([], true);
        for build in &self.scenario.build {
            let deps = build.deps.iter().map(|(reference, digests)| Pin {
                kind: Kind::Base,
                reference: reference.clone(),
                platform: build.platform.clone(),
                index: (digests.len() > 1).then(|| digest(&digests[0])),
                manifest: digests.last().map(|name| digest(name)),
            });
            let known = self.inventories[&build.commit]
                .image(&build.image)
                .is_some();
            let source: SourceId = if known {
                self.source(&build.image, &build.commit).id
            } else {
                format!("s1:{}", digest("unknown").hex()).parse().unwrap()
            };
            records.add(Record::Build(BuildRecord {
                image: build.image.clone(),
                platform: build.platform.clone(),
                line: Some("main".to_owned()),
                source,
                commit: Some(object_id(&build.commit)),
                deps: deps.collect(),
                base_diff_ids: Vec::new(),
                manifest: digest(&build.manifest),
                how: "rebuild".to_owned(),
                engine: "native".to_owned(),
                run: "r".to_owned(),
                log: None,
                at: "2026-01-01T00:00:00Z".to_owned(),
            }));
        }
        for publish in &self.scenario.publish {
            records.add(Record::Publish(PublishRecord {
                id: publish.id.clone(),
                after: publish.after.clone(),
                image: publish.image.clone(),
                line: "main".to_owned(),
                commit: Some(object_id(&publish.commit)),
                index: digest(&publish.index),
                replaces: publish.replaces.as_deref().map(digest),
                platforms: publish
                    .platforms
                    .iter()
                    .map(|(p, name)| (p.clone(), digest(name)))
                    .collect(),
                tags: publish.tags.clone(),
                run: "r".to_owned(),
                at: "2026-01-01T00:00:00Z".to_owned(),
            }));
        }
        records
    }
}

pub(crate) fn inventory_of(files: &BTreeMap<String, String>) -> Inventory {
    let paths = files.keys().cloned().collect();
    let read = |path: &str| files.get(path).map(|text| text.clone().into_bytes());
    inventory::read(&Files {
        paths: &paths,
        read: &read,
        name: "repo",
        line: "main",
    })
}

fn document(held: &Held) -> Document {
    let mut written = held.annotations.clone();
    if let Some(replaces) = &held.replaces {
        written.insert(
            annotations::REPLACES.to_owned(),
            digest(replaces).to_string(),
        );
    }
    match (&held.index, &held.manifest) {
        (Some(name), _) => {
            let entries = held.platforms.iter().map(|(platform, name)| {
                let mut entry = Descriptor::new(media_type::OCI_MANIFEST, digest(name), 1);
                entry.platform = Some(platform.clone());
                entry
            });
            let value = Index::new(entries.collect(), written);
            let media_type = media_type::OCI_INDEX.to_owned();
            Document::Index(Exact {
                value,
                bytes: Vec::new(),
                digest: digest(name),
                media_type,
            })
        }
        (None, name) => {
            let config = Descriptor::new(media_type::OCI_CONFIG, digest("config"), 1);
            let value = Manifest::new(config, Vec::new(), written);
            let digest = digest(name.as_ref().unwrap());
            let media_type = media_type::OCI_MANIFEST.to_owned();
            Document::Manifest(Exact {
                value,
                bytes: Vec::new(),
                digest,
                media_type,
            })
        }
    }
}

/// Every name of the scenario by its digest, to print plans with.
fn names(scenario: &Scenario) -> BTreeMap<Digest, String> {
    let mut names = BTreeSet::new();
    for held in scenario.registry.values().chain(scenario.untagged.values()) {
        names.extend(held.index.clone());
        names.extend(held.manifest.clone());
        names.extend(held.platforms.values().cloned());
    }
    for build in &scenario.build {
        names.insert(build.manifest.clone());
        names.extend(build.deps.values().flatten().cloned());
    }
    for publish in &scenario.publish {
        names.insert(publish.index.clone());
    }
    names.extend(scenario.staged.values().cloned());
    names
        .into_iter()
        .map(|name| (digest(&name), name))
        .collect()
}
