//! The world of a scenario: files at commits, a registry of named digests, records. Names stand for digests.

mod git;
mod registry;

use std::collections::{BTreeMap, BTreeSet};

use refit_deps::{
    check::{Check, CheckKey},
    edges::Edges,
    graph::Graph,
    inventory::{self, Files, Inventory},
    observe::{Answer, Answers, Ground, Line, Resolved},
    pin::Pin,
    record::{BuildRecord, PublishRecord, Record, Records},
    scan::{self, Scans},
};
use refit_dockerfile::{FoundSource, Kind};
use refit_oci::{Digest, ObjectId, Platform, Reference};

use crate::format::{Publication, Scenario, Tag, short};
use git::Git;
pub(crate) use registry::Index;
use registry::Registry;

const AT: &str = "2026-01-01T00:00:00Z";

/// The digest that a name stands for.
pub(crate) fn digest(name: &str) -> Digest {
    Digest::sha256(name.as_bytes())
}

pub(crate) fn object_id(name: &str) -> ObjectId {
    digest(name).hex()[..40].parse().unwrap()
}

pub(crate) struct World {
    pub(crate) scenario: Scenario,
    pub(crate) git: Git,
    pub(crate) registry: Registry,
    /// The notes, line by line.
    pub(crate) notes: Vec<String>,
    scans: Scans,
    edges: Edges,
    build_platform: Platform,
}

/// How much was asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    pub(crate) tags: usize,
    pub(crate) documents: usize,
    pub(crate) configs: usize,
}

impl World {
    pub(crate) fn new(scenario: Scenario) -> Self {
        let git = Git::new(&scenario);
        let build_platform = Platform::linux_amd64();
        let tip = git.inventory(&git.tip);
        let scans = Scans::of(&tip.images, &build_platform);
        let edges = Edges::of(tip, &scans);
        let mut world = Self {
            registry: Registry::default(),
            notes: Vec::new(),
            git,
            scans,
            edges,
            build_platform,
            scenario,
        };
        world.registry.bases(&world.scenario);
        world.publish_all();
        world.add_records();
        world.registry.overrides(&world.scenario);
        world
    }

    /// Publishes the images of `c1`, parents first, on what the bases were.
    fn publish_all(&mut self) {
        let first = self.git.inventory("c1").clone();
        let published = self.scenario.published.clone();
        let wanted = |name: &str| published.as_ref().is_none_or(|p| p.contains(name));
        let images = first.images.iter().filter(|image| wanted(&image.name));
        for image in images {
            self.publish(&image.name);
        }
    }

    fn publish(&mut self, name: &str) {
        let how = self.scenario.publication.get(name).cloned();
        let how = how.unwrap_or_default();
        let commit = how.commit.clone().unwrap_or_else(|| "c1".to_owned());
        let Some(image) = self.git.inventory(&commit).image(name).cloned() else {
            panic!("`{name}` is published from `{commit}`, which does not have it");
        };
        let platforms = how.platforms.clone().unwrap_or(image.platforms.clone());
        let mut manifests = BTreeMap::new();
        for platform in &platforms {
            let manifest = format!("{name}@{}", short(platform));
            let pins = self.pins(name, &commit, platform, &how);
            let source = self.git.source(name, &commit).id;
            self.registry.built(&manifest, (&source, &pins), &how);
            if !how.unrecorded_builds {
                self.notes.push(
                    Record::Build(BuildRecord {
                        image: name.to_owned(),
                        platform: platform.clone(),
                        line: Some("main".to_owned()),
                        source,
                        commit: Some(object_id(&commit)),
                        deps: pins,
                        base_diff_ids: Vec::new(),
                        manifest: digest(&manifest),
                        how: "rebuild".to_owned(),
                        engine: "native".to_owned(),
                        reasons: BTreeSet::new(),
                        run: "r".to_owned(),
                        log: None,
                        at: AT.to_owned(),
                    })
                    .to_line(),
                );
            }
            manifests.insert(platform.clone(), manifest);
        }
        let index = Index {
            name: format!("{name}-1"),
            image: (!how.unannotated).then(|| name.to_owned()),
            commit: Some(commit.clone()),
            replaces: None,
            said: BTreeMap::new(),
            platforms: manifests.clone(),
        };
        self.registry.publish(&index, &image.moving_tags());
        if !how.unrecorded {
            self.notes.push(
                Record::Publish(PublishRecord {
                    id: format!("p-{name}"),
                    after: None,
                    image: name.to_owned(),
                    line: "main".to_owned(),
                    commit: Some(object_id(&commit)),
                    index: digest(&index.name),
                    replaces: None,
                    platforms: manifests
                        .iter()
                        .map(|(p, name)| (p.clone(), digest(name)))
                        .collect(),
                    tags: image.moving_tags(),
                    promotes: None,
                    run: "r".to_owned(),
                    at: AT.to_owned(),
                })
                .to_line(),
            );
        }
    }

    /// What a target was built on.
    fn pins(&self, name: &str, commit: &str, platform: &Platform, how: &Publication) -> Vec<Pin> {
        let inventory = self.git.inventory(commit);
        let edges = Edges::of(
            inventory,
            &Scans::of(&inventory.images, &self.build_platform),
        );
        let image = inventory.image(name).unwrap();
        let Some(Ok(file)) = scan::scan(image, platform, &self.build_platform) else {
            return Vec::new();
        };
        let pin = |kind, reference: &Reference, platform: &Platform| Pin {
            kind,
            reference: reference.clone(),
            platform: platform.clone(),
            index: None,
            manifest: None,
        };
        let pins = file.found.iter().map(|found| {
            if let Some(parent) = edges.parent(name, found) {
                let parent = inventory.image(parent.image).unwrap();
                let reference = match &found.source {
                    FoundSource::Reference(reference) => reference.clone(),
                    FoundSource::InRepo(_) => parent.lead_tag().unwrap(),
                };
                let manifest = format!("{}@{}", parent.name, short(&found.platform));
                return Pin {
                    manifest: Some(digest(&manifest)),
                    ..pin(found.kind, &reference, &found.platform)
                };
            }
            let FoundSource::Reference(reference) = &found.source else {
                panic!("`{}` of `{name}` is no image", found.written);
            };
            let was = how.on.get(reference).cloned();
            let was = was.unwrap_or_else(|| self.was(reference));
            let mut pin = pin(found.kind, reference, &found.platform);
            match was {
                Tag::Index(index, platforms) => {
                    pin.index = Some(digest(&index));
                    pin.manifest = platforms.get(&found.platform).map(|name| digest(name));
                }
                Tag::Manifest(manifest) => pin.manifest = Some(digest(&manifest)),
                Tag::Missing | Tag::Failed(_) => panic!("`{reference}` was not there before"),
            }
            pin
        });
        pins.collect()
    }

    /// What a base's tag held when `c1` was released; a digest holds what it always held.
    fn was(&self, reference: &Reference) -> Tag {
        if let Some(pinned) = reference.digest()
            && let Some(tag) = self.registry.named(pinned)
        {
            return tag;
        }
        let without = reference.without_digest();
        let was = self
            .scenario
            .before
            .get(without.as_ref().unwrap_or(reference));
        let was = was.cloned().or_else(|| registry::default_base(reference));
        was.unwrap_or_else(|| panic!("`{reference}` is not in [before]"))
    }

    fn add_records(&mut self) {
        for build in &self.scenario.build {
            let deps = build.deps.iter().map(|(reference, digests)| Pin {
                kind: Kind::Base,
                reference: reference.clone(),
                platform: build.platform.clone(),
                index: (digests.len() > 1).then(|| digest(&digests[0])),
                manifest: digests.last().map(|name| digest(name)),
            });
            let source = match self.git.inventory(&build.commit).image(&build.image) {
                Some(_) => self.git.source(&build.image, &build.commit).id,
                None => format!("s1:{}", digest("unknown").hex()).parse().unwrap(),
            };
            let line = Record::Build(BuildRecord {
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
                reasons: build.reasons.clone(),
                run: "r".to_owned(),
                log: None,
                at: build.at.clone().unwrap_or_else(|| AT.to_owned()),
            });
            self.notes.push(line.to_line());
        }
        for publish in &self.scenario.publish {
            let platforms = publish.platforms.iter();
            let line = Record::Publish(PublishRecord {
                id: publish.id.clone(),
                after: publish.after.clone(),
                image: publish.image.clone(),
                line: "main".to_owned(),
                commit: Some(object_id(&publish.commit)),
                index: digest(&publish.index),
                replaces: publish.replaces.as_deref().map(digest),
                platforms: platforms
                    .map(|(p, name)| (p.clone(), digest(name)))
                    .collect(),
                tags: publish.tags.clone(),
                promotes: None,
                run: "r".to_owned(),
                at: AT.to_owned(),
            });
            self.notes.push(line.to_line());
        }
        let more = self.scenario.notes.iter();
        self.notes.extend(more.map(|line| with_digests(line)));
        if self.scenario.without_notes {
            self.notes.clear();
        }
    }

    fn check(&self, key: &CheckKey) -> Check {
        let target = format!("{}@{}", key.image, key.platform);
        match self.scenario.checks.get(&target).map(String::as_str) {
            None | Some("fine") => Check::Fine,
            Some("stale") => Check::Stale,
            Some(message) => Check::Failed(message.to_owned()),
        }
    }

    /// Everything there is to know, asked for or not.
    pub(crate) fn everything(&self) -> Answers {
        let mut answers = self.registry.everything(&self.scenario);
        for (id, commit) in self.git.commits() {
            for image in &self.git.inventory(&commit).images {
                if commit != self.git.tip {
                    let key = (image.name.clone(), Some(id.clone()));
                    let answer = self.git.release(&image.name, Some(&id));
                    answers.releases.insert(key, answer);
                }
            }
        }
        answers
    }

    /// Resolves, answering what is asked for.
    pub(crate) fn resolve<T>(&self, compute: impl Fn(&Ground<'_>) -> Resolved<T>) -> (T, Asked) {
        self.resolve_with(Answers::default(), compute)
    }

    /// Resolves with answers that are there already.
    pub(crate) fn resolve_with<T>(
        &self,
        mut answers: Answers,
        compute: impl Fn(&Ground<'_>) -> Resolved<T>,
    ) -> (T, Asked) {
        let notes = self.notes.iter().map(String::as_str);
        let records = Records::read(notes, !self.scenario.without_notes);
        let line = Line {
            name: "main".to_owned(),
            commit: Some(object_id(&self.git.tip)),
        };
        let graph = Graph::of(self.git.inventory(&self.git.tip), &self.scans, &self.edges);
        for _ in 0..50 {
            let ground = Ground {
                line: &line,
                inventory: self.git.inventory(&self.git.tip),
                edges: &self.edges,
                scans: &self.scans,
                graph: &graph,
                records: &records,
                build_platform: &self.build_platform,
                now: self.scenario.time.parse().unwrap(),
                answers: &answers,
            };
            let needs = match compute(&ground) {
                Resolved::Done(value) => {
                    let asked = Asked {
                        tags: answers.tags.len(),
                        documents: answers.documents.len(),
                        configs: answers.configs.len(),
                    };
                    return (value, asked);
                }
                Resolved::Needs(needs) => needs,
            };
            assert!(!needs.is_empty(), "needs nothing and is not done");
            for key in needs.origins {
                let answer = self.git.origin(&key);
                answers.origins.insert(key, answer);
            }
            for key in needs.provenances {
                let answer = self.registry.provenance(&key.1);
                answers.provenances.insert(key, answer);
            }
            for repository in needs.listings {
                answers.listings.insert(repository, Answer::Missing);
            }
            for key in needs.checks {
                let check = self.check(&key);
                answers.checks.insert(key, check);
            }
            for tag in needs.tags {
                let answer = self.registry.tag(&tag, &self.scenario);
                answers.tags.insert(tag, answer);
            }
            for key in needs.documents {
                let answer = self.registry.document(&key.1);
                answers.documents.insert(key, answer);
            }
            for key in needs.configs {
                let answer = self.registry.config(&key.1);
                answers.configs.insert(key, answer);
            }
            for key in needs.releases {
                let answer = self.git.release(&key.0, key.1.as_ref());
                answers.releases.insert(key, answer);
            }
            for key in needs.sources {
                let answer = self.git.widened(&key);
                answers.sources.insert(key, answer);
            }
        }
        panic!("the resolver never comes to an end");
    }
}

/// `<<NAME>>` is the digest of that name, `<<commit NAME>>` the id of that commit.
fn with_digests(text: &str) -> String {
    let mut parts = text.split("<<");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.split_once(">>") {
            None => out.extend(["<<", part]),
            Some((name, rest)) => {
                match name.strip_prefix("commit ") {
                    Some(commit) => out.push_str(object_id(commit).as_str()),
                    None => out.push_str(&digest(name).to_string()),
                }
                out.push_str(rest);
            }
        }
    }
    out
}

pub(crate) fn inventory_of(files: &BTreeMap<String, String>) -> Inventory {
    let paths: BTreeSet<String> = files.keys().cloned().collect();
    let read = |path: &str| files.get(path).map(|text| text.clone().into_bytes());
    inventory::read(&Files {
        paths: &paths,
        read: &read,
        name: "repo",
        line: "main",
    })
}
