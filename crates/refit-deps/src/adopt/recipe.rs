//! Recipes: what to build at a commit whose own configuration does not say it.

use std::collections::BTreeMap;

use refit_dockerfile::NamedContext;
use serde::{Deserialize, Serialize};

use crate::image::Image;

/// The part of an image's entry that decides what is built. Everything else is the tip's.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Recipe {
    /// Path of the Dockerfile in the repository.
    pub dockerfile: String,
    /// Folder of the build context; empty for the root.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub context: String,
    /// The target stage; none for the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// Values for `ARG`s.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub build_args: BTreeMap<String, String>,
    /// Named contexts: `docker-image://REFERENCE`, or `image:NAME`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub build_contexts: BTreeMap<String, String>,
}

impl Recipe {
    /// The recipe of an entry.
    pub fn of(image: &Image) -> Self {
        let contexts = image.build_contexts.iter().map(|(name, context)| {
            let value = match context {
                NamedContext::Image(reference) => format!("docker-image://{reference}"),
                NamedContext::InRepo(image) => format!("image:{image}"),
                NamedContext::Scratch => "docker-image://scratch".to_owned(),
                NamedContext::Files => "files".to_owned(),
            };
            (name.clone(), value)
        });
        Self {
            dockerfile: image.dockerfile.clone(),
            context: image.context.clone(),
            target: image.target.clone(),
            build_args: image.build_args.clone(),
            build_contexts: contexts.collect(),
        }
    }

    /// `tip`, built like this; its Dockerfile is still to be read. None if a named context can't be had again.
    pub fn applied_to(&self, tip: &Image) -> Option<Image> {
        let contexts = self.build_contexts.iter().map(|(name, value)| {
            let context = match value.as_str() {
                "docker-image://scratch" => NamedContext::Scratch,
                value => match (
                    value.strip_prefix("docker-image://"),
                    value.strip_prefix("image:"),
                ) {
                    (Some(reference), _) => NamedContext::Image(reference.parse().ok()?),
                    (_, Some(image)) => NamedContext::InRepo(image.to_owned()),
                    (None, None) => return None,
                },
            };
            Some((name.clone(), context))
        });
        Some(Image {
            dockerfile: self.dockerfile.clone(),
            context: self.context.clone(),
            target: self.target.clone(),
            build_args: self.build_args.clone(),
            build_contexts: contexts.collect::<Option<_>>()?,
            file: None,
            ..tip.clone()
        })
    }
}
