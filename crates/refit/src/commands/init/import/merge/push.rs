//! Where images are pushed: one `push-to` for all, and a `repository` for what has another name there.

use std::collections::{BTreeMap, BTreeSet};

use refit_deps::config::ImageKeys;

use super::{
    super::model::{NotImported, Tag},
    unit::{Unit, pushed},
};

/// What all images have in common.
pub(super) struct Pushed {
    /// `push-to`.
    pub(super) to: Vec<String>,
    /// Tags that another image had first, by image and tag.
    taken: BTreeSet<(String, Tag)>,
}

impl Pushed {
    /// Where most images go, and the registries that every one of them goes to as well.
    pub(super) fn of(units: &[Unit], left_out: &mut Vec<NotImported>) -> Self {
        let leads: Vec<(&Unit, String)> = units
            .iter()
            .filter_map(|unit| Some((unit, full(&pushed(&unit.image).next()?.repository))))
            .collect();
        let mut hosts: BTreeMap<&str, usize> = BTreeMap::new();
        for (_, lead) in &leads {
            *hosts.entry(host(lead)).or_default() += 1;
        }
        let host_of_most = hosts.iter().max_by_key(|(_, n)| **n).map(|(host, _)| *host);
        let mut found = Self {
            to: Vec::new(),
            taken: BTreeSet::new(),
        };
        if let Some(main) = host_of_most {
            let there = leads.iter().filter(|(_, lead)| host(lead) == main);
            let namespaces: Vec<&str> = there
                .map(|(_, lead)| lead.rsplit_once('/').map_or("", |(namespace, _)| namespace))
                .collect();
            let mut prefix = common(namespaces.iter().copied());
            // Docker Hub's own namespace is what a bare host would come to.
            if prefix == "docker.io" {
                most(namespaces).clone_into(&mut prefix);
            }
            found.to.push(prefix);
        }
        for (unit, lead) in &leads {
            if !found.is_below_lead(lead) {
                left_out.push(NotImported {
                    place: unit.image.from.clone(),
                    what: format!("{}: repository {lead}", unit.name),
                    why: format!(
                        "images are pushed to `{}` and nowhere else",
                        found.to.join("`, `")
                    ),
                });
            }
        }
        found.further(&leads, left_out);
        found.claims(units, left_out);
        found
    }

    fn is_below_lead(&self, repository: &str) -> bool {
        let lead = self.to.first();
        lead.is_some_and(|lead| {
            repository
                .strip_prefix(lead.as_str())
                .is_some_and(|rest| rest.starts_with('/'))
        })
    }

    /// Other registries: only those that every image goes to, under its own name.
    fn further(&mut self, leads: &[(&Unit, String)], left_out: &mut Vec<NotImported>) {
        let others = |unit: &Unit| -> BTreeSet<String> {
            let mut all = pushed(&unit.image).map(|tag| full(&tag.repository));
            let lead = all.next();
            all.filter(|repository| Some(repository) != lead.as_ref())
                .collect()
        };
        let mut namespaces: BTreeSet<String> = BTreeSet::new();
        for (unit, _) in leads {
            let all = others(unit);
            namespaces.extend(
                all.iter()
                    .filter_map(|r| Some(r.rsplit_once('/')?.0.to_owned())),
            );
        }
        for namespace in namespaces {
            let everyone = leads
                .iter()
                .all(|(unit, _)| others(unit).contains(&format!("{namespace}/{}", unit.name)));
            if everyone {
                self.to.push(namespace);
            }
        }
        for (unit, _) in leads {
            for repository in others(unit) {
                let namespace = repository
                    .rsplit_once('/')
                    .map_or("", |(namespace, _)| namespace);
                if !self.to.iter().skip(1).any(|to| to == namespace) {
                    left_out.push(NotImported {
                        place: unit.image.from.clone(),
                        what: format!("{}: repository {repository}", unit.name),
                        why: "a further registry is for all images, each under its name".to_owned(),
                    });
                }
            }
        }
    }

    /// No two images may have one tag.
    fn claims(&mut self, units: &[Unit], left_out: &mut Vec<NotImported>) {
        let mut owners: BTreeMap<(String, &str), &str> = BTreeMap::new();
        for unit in units {
            for tag in pushed(&unit.image).filter(|tag| !tag.is_unique) {
                let key = (full(&tag.repository), tag.name.as_str());
                let owner = *owners.entry(key).or_insert(&unit.name);
                if owner != unit.name {
                    self.taken.insert((unit.name.clone(), tag.clone()));
                    left_out.push(NotImported {
                        place: unit.image.from.clone(),
                        what: format!("{}: tag {}:{}", unit.name, tag.repository, tag.name),
                        why: format!("`{owner}` has it already"),
                    });
                }
            }
        }
    }

    /// An image's `repository`, `tags` and `unique-tags`; and whether the repository is a local name only.
    pub(super) fn keys(&self, unit: &Unit) -> (ImageKeys, bool) {
        let Some(lead) = pushed(&unit.image).next() else {
            return local(unit);
        };
        let repository = full(&lead.repository);
        let tags: Vec<&Tag> = unit
            .image
            .tags
            .iter()
            .filter(|tag| tag.repository == lead.repository)
            .collect();
        let texts = |is_unique: bool| -> Vec<String> {
            let these = tags.iter().filter(|tag| tag.is_unique == is_unique);
            let free =
                these.filter(|tag| !self.taken.contains(&(unit.name.clone(), (**tag).clone())));
            free.map(|tag| tag.name.clone()).collect()
        };
        let (moving, unique) = (texts(false), texts(true));
        let implied = self.to.first().map(|to| format!("{to}/{}", unit.name));
        let keys = ImageKeys {
            repository: Some(repository).filter(|repository| Some(repository) != implied.as_ref()),
            tags: Some(moving).filter(|tags| tags.as_slice() != ["latest"]),
            unique_tags: Some(unique).filter(|tags| !tags.is_empty()),
            ..ImageKeys::default()
        };
        (keys, false)
    }
}

/// A name of this machine's engine: `app:dev`.
fn local(unit: &Unit) -> (ImageKeys, bool) {
    let Some(lead) = unit.image.tags.iter().find(|tag| !tag.is_unique) else {
        return (ImageKeys::default(), false);
    };
    let same = unit
        .image
        .tags
        .iter()
        .filter(|tag| !tag.is_unique && tag.repository == lead.repository);
    let keys = ImageKeys {
        repository: Some(full(&lead.repository)),
        tags: Some(same.map(|tag| tag.name.clone()).collect()),
        ..ImageKeys::default()
    };
    (keys, true)
}

/// The repository with its host.
fn full(repository: &str) -> String {
    let parsed: Result<refit_oci::Repository, _> = repository.parse();
    parsed.map_or_else(|_| repository.to_owned(), |parsed| parsed.to_string())
}

fn host(repository: &str) -> &str {
    repository.split('/').next().unwrap_or_default()
}

/// The most frequent one; of several, the first by name.
fn most(namespaces: Vec<&str>) -> &str {
    let mut count: BTreeMap<&str, usize> = BTreeMap::new();
    for namespace in namespaces {
        *count.entry(namespace).or_default() += 1;
    }
    let most = count
        .iter()
        .max_by_key(|(name, n)| (**n, std::cmp::Reverse(**name)));
    most.map_or("docker.io/library", |(name, _)| name)
}

/// The longest path that all have in common.
fn common<'a>(mut paths: impl Iterator<Item = &'a str>) -> String {
    let mut parts: Vec<&str> = paths.next().unwrap_or_default().split('/').collect();
    for path in paths {
        let same = parts
            .iter()
            .zip(path.split('/'))
            .take_while(|(a, b)| **a == *b)
            .count();
        parts.truncate(same);
    }
    parts.join("/")
}
