//! What several sources say, as one list of images.

mod names;
mod push;
mod unit;

use std::collections::{BTreeMap, BTreeSet};

use refit_deps::config::ImageKeys;

use super::model::{BuildContext, Imported, NotImported, Place};
use crate::commands::init::entry::Entry;

use self::{push::Pushed, unit::Unit};

/// The images of all sources.
#[derive(Default)]
pub(in crate::commands::init) struct Merged {
    pub(in crate::commands::init) entries: Vec<Entry>,
    /// Where they are pushed, the lead first.
    pub(in crate::commands::init) push_to: Vec<String>,
    /// Images whose `repository` is a name of this machine only: of use where another image refers to it.
    pub(in crate::commands::init) local: BTreeSet<String>,
    /// Dockerfiles that a source builds.
    pub(in crate::commands::init) dockerfiles: BTreeSet<String>,
    /// Dockerfiles that make files, not images.
    pub(in crate::commands::init) ignore: BTreeSet<String>,
    /// Sorted by place.
    pub(in crate::commands::init) left_out: Vec<NotImported>,
}

/// Unites sources, those that publish first.
pub(in crate::commands::init) fn merge(sources: Vec<Imported>) -> Merged {
    let mut merged = Merged::default();
    let mut units: Vec<Unit> = Vec::new();
    for (source, imported) in sources.into_iter().enumerate() {
        merged.left_out.extend(imported.left_out);
        merged.dockerfiles.extend(imported.dockerfiles);
        merged.ignore.extend(imported.ignore);
        for image in imported.images {
            let same = units.iter_mut().find(|unit| unit.is_same(source, &image));
            match same {
                Some(unit) => unit.unite(source, image, &mut merged.left_out),
                None => units.push(Unit::new(source, image)),
            }
        }
    }
    names::assign(&mut units);
    let known: BTreeMap<(usize, String), String> = units
        .iter()
        .flat_map(|unit| unit.ids.iter().map(|id| (id.clone(), unit.name.clone())))
        .collect();
    let units = with_siblings(units, &known, &mut merged.left_out);
    let pushed = Pushed::of(&units, &mut merged.left_out);
    for unit in units {
        let (keys, is_local) = pushed.keys(&unit);
        if is_local {
            merged.local.insert(unit.name.clone());
        }
        merged.entries.push(entry(unit, keys, &known));
    }
    merged.push_to = pushed.to;
    let built: BTreeSet<&String> = merged
        .entries
        .iter()
        .map(|entry| &entry.dockerfile)
        .collect();
    merged.ignore.retain(|file| !built.contains(file));
    merged.entries.sort_by(|a, b| a.name.cmp(&b.name));
    merged.left_out = collapsed(std::mem::take(&mut merged.left_out));
    merged
}

/// How many names are told where many images have the same to be said of them.
const TOLD: usize = 3;

/// One line for all images of which the same is said at one place: they inherit it.
fn collapsed(left_out: Vec<NotImported>) -> Vec<NotImported> {
    let mut together: BTreeMap<(Place, String, String), BTreeSet<String>> = BTreeMap::new();
    for left in left_out {
        let (name, what) = match left.what.split_once(": ") {
            Some((name, what)) => (name.to_owned(), format!(": {what}")),
            None => (left.what, String::new()),
        };
        together
            .entry((left.place, what, left.why))
            .or_default()
            .insert(name);
    }
    let lines = together.into_iter().map(|((place, what, why), names)| {
        let told: Vec<String> = names.iter().take(TOLD).cloned().collect();
        let more = match names.len() - told.len() {
            0 => String::new(),
            n => format!(" and {n} more"),
        };
        let what = format!("{}{more}{what}", told.join(", "));
        NotImported { place, what, why }
    });
    lines.collect()
}

/// The units whose siblings are all there. Without one, an image would be built on something else.
fn with_siblings(
    mut units: Vec<Unit>,
    known: &BTreeMap<(usize, String), String>,
    left_out: &mut Vec<NotImported>,
) -> Vec<Unit> {
    let mut names: BTreeSet<String> = units.iter().map(|unit| unit.name.clone()).collect();
    loop {
        let missing = |unit: &Unit| {
            let mut contexts = unit.image.build_contexts.values();
            contexts.find_map(|context| match context {
                BuildContext::Sibling(id) => {
                    let name = known.get(&(unit.source, id.clone()));
                    name.is_none_or(|name| !names.contains(name))
                        .then(|| id.clone())
                }
                BuildContext::Image(_) | BuildContext::Scratch => None,
            })
        };
        let Some((at, id)) = units
            .iter()
            .enumerate()
            .find_map(|(at, unit)| Some((at, missing(unit)?)))
        else {
            return units;
        };
        let unit = units.remove(at);
        names.remove(&unit.name);
        left_out.push(NotImported {
            place: unit.image.from,
            what: unit.image.id,
            why: format!("it is built on `{id}`, which is not imported"),
        });
    }
}

fn entry(unit: Unit, pushed: ImageKeys, known: &BTreeMap<(usize, String), String>) -> Entry {
    fn filled<K: Ord, V>(map: BTreeMap<K, V>) -> Option<BTreeMap<K, V>> {
        Some(map).filter(|map| !map.is_empty())
    }
    let image = unit.image;
    let contexts = image.build_contexts.into_iter().map(|(name, context)| {
        let value = match context {
            BuildContext::Image(reference) => format!("docker-image://{}", reference.familiar()),
            BuildContext::Scratch => "docker-image://scratch".to_owned(),
            BuildContext::Sibling(id) => {
                let name = known.get(&(unit.source, id.clone())).unwrap_or(&id);
                format!("image:{name}")
            }
        };
        (name, value)
    });
    let platforms: Vec<String> = image.platforms.iter().map(ToString::to_string).collect();
    let keys = ImageKeys {
        target: image.target,
        platforms: Some(platforms).filter(|platforms| !platforms.is_empty()),
        build_args: filled(image.build_args),
        build_contexts: filled(contexts.collect()),
        labels: filled(image.labels),
        annotations: filled(image.annotations),
        secrets: filled(image.secrets),
        network: image.network.filter(|network| network != "default"),
        ..pushed
    };
    Entry {
        name: unit.name,
        dockerfile: image.dockerfile,
        context: image.context,
        keys,
        is_scanned: false,
    }
}
