//! The repository of a scenario: each commit changes the one before.

use std::{collections::BTreeMap, sync::Arc};

use refit_deps::{
    adopt::{Origin, OriginKey},
    image::Image,
    inventory::Inventory,
    observe::{Answer, Relation, Release, SourceKey},
    scan::{Triggers, scan_with},
    source::{EntryMode, MissingInput, Source, SourceEntry, source},
};
use refit_oci::{ObjectId, Platform};

use super::{inventory_of, object_id, with_digests};
use crate::format::Scenario;

const CONFIG: &str = r#"
push-to = ["r.io/team"]
[defaults]
platforms = ["linux/amd64", "linux/arm64"]
[[images]]
files = "*/Dockerfile"
name = "{dir}"
"#;

const FILES: [(&str, &str); 3] = [
    ("base/Dockerfile", "FROM debian:12-slim"),
    ("web/Dockerfile", "FROM r.io/team/base\nCOPY site /site"),
    ("web/site", "one"),
];

pub(crate) struct Git {
    pub(crate) tip: String,
    history: Vec<String>,
    commits: BTreeMap<String, (BTreeMap<String, String>, Inventory)>,
}

impl Git {
    pub(crate) fn new(scenario: &Scenario) -> Self {
        let default = || FILES.map(|(path, text)| (path.to_owned(), text.to_owned()));
        let mut files = scenario
            .files
            .clone()
            .unwrap_or_else(|| default().into_iter().collect());
        let config = format!("{CONFIG}{}", scenario.config);
        files
            .entry(".config/refit.toml".to_owned())
            .or_insert(config);
        for text in files.values_mut() {
            *text = with_digests(text);
        }
        let mut commits = BTreeMap::from([("c1".to_owned(), files.clone())]);
        for (commit, changes) in &scenario.commits {
            for (path, text) in changes {
                if text.is_empty() {
                    files.remove(path);
                } else {
                    files.insert(path.clone(), with_digests(text));
                }
            }
            commits.insert(commit.clone(), files.clone());
        }
        let history = scenario
            .history
            .clone()
            .unwrap_or_else(|| commits.keys().cloned().collect());
        let commits = commits.into_iter().map(|(commit, files)| {
            let inventory = inventory_of(&files);
            (commit, (files, inventory))
        });
        Self {
            tip: history.last().unwrap().clone(),
            history,
            commits: commits.collect(),
        }
    }

    pub(crate) fn inventory(&self, commit: &str) -> &Inventory {
        &self.commits[commit].1
    }

    /// The names of all commits by their ids.
    pub(crate) fn commits(&self) -> BTreeMap<ObjectId, String> {
        let names = self.commits.keys();
        names.map(|name| (object_id(name), name.clone())).collect()
    }

    pub(crate) fn release(&self, name: &str, commit: Option<&ObjectId>) -> Answer<Arc<Release>> {
        let commit = match commit {
            None => self.tip.clone(),
            Some(id) => match self.commits.keys().find(|c| object_id(c) == *id) {
                Some(commit) => commit.clone(),
                None => return Answer::Failed("the commit is not in this clone".to_owned().into()),
            },
        };
        // Commits are named in their order: what is after the tip and not in its history is newer or elsewhere.
        let position = |commit: &str| self.history.iter().position(|c| c == commit);
        let relation = match position(&commit) {
            Some(_) if commit == self.tip => Relation::Tip,
            Some(_) => Relation::Ancestor,
            None if commit.starts_with('c') && commit > self.tip => Relation::Newer,
            None => Relation::Elsewhere,
        };
        let Some(mut image) = self.inventory(&commit).image(name).cloned() else {
            return Answer::Missing;
        };
        if let Some(tip) = self.inventory(&self.tip).image(name) {
            image.platforms.clone_from(&tip.platforms);
        }
        let source = self.source(name, &commit);
        let sources = image.platforms.iter().map(|platform| {
            let missing = self.missing(&image, platform, &commit);
            let source = source.clone();
            (platform.clone(), Arc::new(Source { missing, ..source }))
        });
        let sources = sources.collect();
        Answer::Found(Arc::new(Release {
            image,
            sources,
            relation,
        }))
    }

    /// The source of an image that another tool published.
    pub(crate) fn origin(&self, key: &OriginKey) -> Answer<Arc<Origin>> {
        let mut ids = self.commits.keys().map(|name| object_id(name));
        let Some(commit) = ids.find(|id| id.as_str() == key.revision) else {
            return Answer::Missing;
        };
        match self.release(&key.image, Some(&commit)) {
            Answer::Found(release) => Answer::Found(Arc::new(Origin {
                commit,
                release,
                recipe: None,
            })),
            Answer::Missing => Answer::Missing,
            Answer::Failed(failure) => Answer::Failed(failure),
        }
    }

    /// The source of an image that copies nothing of its context itself, with what triggers of its base copy.
    pub(crate) fn widened(&self, key: &SourceKey) -> Answer<Source> {
        let mut names = self.commits.keys();
        let commit = names.find(|name| key.commit.as_ref() == Some(&object_id(name)));
        Answer::Found(self.source(&key.image, commit.unwrap_or(&self.tip)))
    }

    /// What the Dockerfile copies and the commit has not.
    fn missing(&self, image: &Image, platform: &Platform, commit: &str) -> Vec<MissingInput> {
        let build_platform = Platform::linux_amd64();
        let file = scan_with(image, platform, &build_platform, &Triggers::new());
        let Some((Ok(file), true)) = file.map(|file| (file, image.prepare.is_empty())) else {
            return Vec::new();
        };
        let files = &self.commits[commit].0;
        let is_there = |place: &str| {
            let place = format!("{}/{place}", image.context);
            files.keys().any(|file| file.starts_with(&place))
        };
        let missing = file.required.iter();
        let missing = missing.filter(|input| !input.places().any(is_there));
        let missing = missing.map(|input| MissingInput {
            path: input.any_of[0].clone(),
            line: 2,
        });
        missing.collect()
    }

    pub(crate) fn source(&self, image: &str, commit: &str) -> Source {
        let (files, inventory) = &self.commits[commit];
        let image = inventory.image(image).unwrap();
        let prefix = format!("{}/", image.context);
        let counts = |path: &str| {
            let seen = path.strip_prefix(&prefix).unwrap_or_default();
            path.starts_with(&prefix) && path != image.dockerfile && seen != "README.md"
        };
        let entries: Vec<SourceEntry> = files
            .iter()
            .filter(|(path, _)| counts(path))
            .map(|(path, text)| SourceEntry {
                path: path.clone(),
                mode: EntryMode::File,
                id: object_id(text),
            })
            .collect();
        source(image, &object_id(&files[&image.dockerfile]), &entries)
    }
}
