//! One image that one or more sources describe.

use super::super::model::{ImportedImage, NotImported, Tag};
use super::super::tags::is_local;

/// An image and the names by which its sources know it.
#[derive(Clone, Debug)]
pub(super) struct Unit {
    pub(super) name: String,
    /// The source that `image` is told by.
    pub(super) source: usize,
    /// Sources and their ids.
    pub(super) ids: Vec<(usize, String)>,
    pub(super) image: ImportedImage,
}

impl Unit {
    pub(super) fn new(source: usize, image: ImportedImage) -> Self {
        Self {
            name: String::new(),
            source,
            ids: vec![(source, image.id.clone())],
            image,
        }
    }

    /// Whether another source means the same image.
    pub(super) fn is_same(&self, source: usize, other: &ImportedImage) -> bool {
        let ours = &self.image;
        if self.ids.iter().any(|(known, _)| *known == source)
            || ours.dockerfile != other.dockerfile
            || ours.target != other.target
        {
            return false;
        }
        let one_repository =
            pushed(ours).any(|tag| pushed(other).any(|t| t.repository == tag.repository));
        if one_repository {
            return true;
        }
        let within = |small: &ImportedImage, large: &ImportedImage| {
            let mut args = small.build_args.iter();
            args.all(|(name, value)| large.build_args.get(name) == Some(value))
        };
        // Who does not publish is no second image, only a second way to build the first.
        let adds_nothing = (pushed(other).next().is_none() && within(other, ours))
            || (pushed(ours).next().is_none() && within(ours, other));
        ours.context == other.context
            && (ours.build_args == other.build_args || ours.name == other.name || adds_nothing)
    }

    /// Takes in what another source says; where both differ, the richer one decides.
    pub(super) fn unite(
        &mut self,
        source: usize,
        other: ImportedImage,
        left_out: &mut Vec<NotImported>,
    ) {
        self.ids.push((source, other.id.clone()));
        let (rich, poor) = if richness(&other) > richness(&self.image) {
            self.source = source;
            (other, self.image.clone())
        } else {
            (self.image.clone(), other)
        };
        let mut conflict = |what: &str, theirs: String, ours: String| {
            left_out.push(NotImported {
                place: poor.from.clone(),
                what: format!("{}: {what} `{theirs}`", poor.id),
                why: format!("{} says `{ours}`", rich.from),
            });
        };
        let mut image = rich.clone();
        if poor.context != rich.context {
            conflict("context", poor.context.clone(), rich.context.clone());
        }
        for (name, value) in &poor.build_args {
            match rich.build_args.get(name) {
                Some(known) if known != value => {
                    conflict(&format!("build arg {name}"), value.clone(), known.clone());
                }
                Some(_) => {}
                None => conflict(
                    &format!("build arg {name}"),
                    value.clone(),
                    "nothing of it".to_owned(),
                ),
            }
        }
        if rich.platforms.is_empty() {
            image.platforms.clone_from(&poor.platforms);
        } else if !poor.platforms.is_empty() && poor.platforms != rich.platforms {
            let text = |image: &ImportedImage| {
                let platforms: Vec<String> =
                    image.platforms.iter().map(ToString::to_string).collect();
                platforms.join(",")
            };
            conflict("platforms", text(&poor), text(&rich));
        }
        if pushed(&rich).next().is_none() {
            image.tags = poor.tags.iter().chain(&rich.tags).cloned().collect();
        } else {
            for tag in pushed(&poor).filter(|tag| !rich.tags.contains(tag)) {
                let known: Vec<String> = pushed(&rich).map(|tag| tag.name.clone()).collect();
                conflict(
                    "tag",
                    format!("{}:{}", tag.repository, tag.name),
                    known.join(","),
                );
            }
        }
        // What only one of them knows is no conflict.
        image.labels = union(poor.labels, rich.labels);
        image.annotations = union(poor.annotations, rich.annotations);
        image.secrets = union(poor.secrets, rich.secrets);
        image.network = rich.network.or(poor.network);
        if rich.build_contexts.is_empty() && !poor.build_contexts.is_empty() {
            image.build_contexts = poor.build_contexts;
            // Siblings are known by the names of their own source.
            self.source = if self.source == source {
                self.ids[0].0
            } else {
                source
            };
        }
        self.image = image;
    }
}

/// The tags that lead to a registry.
pub(super) fn pushed(image: &ImportedImage) -> impl Iterator<Item = &Tag> {
    image.tags.iter().filter(|tag| !is_local(&tag.repository))
}

fn richness(image: &ImportedImage) -> (bool, usize, usize) {
    let details = image.build_args.len()
        + image.labels.len()
        + image.build_contexts.len()
        + image.secrets.len();
    (
        pushed(image).next().is_some(),
        image.platforms.len(),
        details,
    )
}

fn union<V>(
    below: std::collections::BTreeMap<String, V>,
    over: std::collections::BTreeMap<String, V>,
) -> std::collections::BTreeMap<String, V> {
    let mut all = below;
    all.extend(over);
    all
}
