//! What records say of the images: what was built last, and on what.

use std::collections::BTreeMap;

use refit_deps::{pin::Pin, record::Records};
use refit_oci::{Digest, ObjectId, Platform, Reference};

use super::model::Fact;

/// The newest records of each target.
#[derive(Debug, Default)]
pub(in super::super) struct Facts {
    built: ByTarget<Digest>,
    pinned: ByTarget<Vec<Pin>>,
}

#[derive(Clone, Debug)]
struct Newest<T> {
    at: String,
    commit: Option<ObjectId>,
    value: T,
}

impl Facts {
    /// The facts of the records whose commit `counts`.
    pub(in super::super) fn new(
        records: &Records,
        counts: &dyn Fn(Option<&ObjectId>) -> bool,
    ) -> Self {
        let mut facts = Self::default();
        for build in records
            .builds()
            .filter(|build| counts(build.commit.as_ref()))
        {
            let key = (build.image.clone(), build.platform.clone());
            let newest = Newest {
                at: build.at.clone(),
                commit: build.commit.clone(),
                value: build.manifest.clone(),
            };
            let pins = Newest {
                at: build.at.clone(),
                commit: build.commit.clone(),
                value: build.deps.clone(),
            };
            keep_newest(&mut facts.built, key.clone(), newest);
            keep_newest(&mut facts.pinned, key, pins);
        }
        // What was resolved at a commit stands in where nothing was built.
        let mut resolved = BTreeMap::new();
        for deps in records
            .deps()
            .iter()
            .filter(|deps| counts(Some(&deps.commit)))
        {
            let key = (deps.image.clone(), deps.platform.clone());
            let newest = Newest {
                at: deps.at.clone(),
                commit: Some(deps.commit.clone()),
                value: deps.deps.clone(),
            };
            keep_newest(&mut resolved, key, newest);
        }
        for (image, by_platform) in resolved {
            let known = facts.pinned.entry(image).or_default();
            for (platform, newest) in by_platform {
                known.entry(platform).or_insert(newest);
            }
        }
        facts
    }

    /// What was built last of an image.
    pub(super) fn built(&self, image: &str) -> Vec<Fact> {
        let of_image = self.built.get(image).into_iter().flatten();
        let facts = of_image.map(|(platform, newest)| newest.fact(platform, &newest.value));
        facts.collect()
    }

    /// What an image was built on last, of what any of the references names.
    pub(super) fn pins(&self, image: &str, references: &[Reference]) -> Vec<Fact> {
        let of_image = self.pinned.get(image).into_iter().flatten();
        let mut facts: Vec<Fact> = of_image
            .flat_map(|(platform, newest)| {
                let named = newest
                    .value
                    .iter()
                    .filter(|pin| references.contains(&pin.reference));
                named.filter_map(move |pin| {
                    let digest = pin.manifest.as_ref().or(pin.index.as_ref())?;
                    Some(newest.fact(platform, digest))
                })
            })
            .collect();
        facts.sort();
        facts.dedup();
        facts
    }
}

impl<T> Newest<T> {
    fn fact(&self, platform: &Platform, digest: &Digest) -> Fact {
        Fact {
            platform: platform.to_string(),
            digest: digest.to_string(),
            at: self.at.clone(),
            commit: self.commit.as_ref().map(ToString::to_string),
        }
    }
}

/// By image, then by platform.
type ByTarget<T> = BTreeMap<String, BTreeMap<Platform, Newest<T>>>;

/// Keeps the later of two; of two at the same time the one that the records have first.
fn keep_newest<T>(all: &mut ByTarget<T>, (image, platform): (String, Platform), newest: Newest<T>) {
    let of_image = all.entry(image).or_default();
    match of_image.get(&platform) {
        Some(known) if known.at >= newest.at => {}
        _ => _ = of_image.insert(platform, newest),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(c: char) -> String {
        format!("sha256:{}", c.to_string().repeat(64))
    }

    fn build(at: &str, manifest: char, base: char) -> String {
        let (manifest, base, commit, source) = (
            digest(manifest),
            digest(base),
            "1".repeat(40),
            "0".repeat(64),
        );
        format!(
            r#"{{"v":1,"type":"build","image":"web","platform":"linux/amd64","line":"main","source":"s1:{source}","commit":"{commit}","deps":[{{"kind":"base","reference":"docker.io/library/debian:12","platform":"linux/amd64","manifest":"{base}"}}],"manifest":"{manifest}","how":"rebuild","engine":"native","run":"r","at":"{at}"}}"#
        )
    }

    #[test]
    fn the_newest_build_tells_what_an_image_is_and_is_built_on() {
        let lines = [
            build("2026-11-22T10:00:00Z", 'b', '2'),
            build("2026-11-21T10:00:00Z", 'a', '1'),
        ];
        let records = Records::read(lines.iter().map(String::as_str), true);
        let facts = Facts::new(&records, &|_| true);
        let built = facts.built("web");
        assert_eq!(built.len(), 1, "{records:?}");
        assert_eq!(
            (built[0].digest.clone(), built[0].at.as_str()),
            (digest('b'), "2026-11-22T10:00:00Z")
        );
        let debian = ["docker.io/library/debian:12".parse().unwrap()];
        assert_eq!(facts.pins("web", &debian)[0].digest, digest('2'));
        assert!(
            facts
                .pins("web", &["debian:11".parse().unwrap()])
                .is_empty()
        );
        assert!(facts.built("api").is_empty());
        assert!(Facts::new(&records, &|_| false).built("web").is_empty());
    }
}
