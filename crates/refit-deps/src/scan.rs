//! What each target's Dockerfile depends on.

use std::collections::{BTreeMap, BTreeSet};

use refit_dockerfile::{Found, Resolved, Settings, SyntaxError};
use refit_oci::Platform;

use crate::{config::CONFIG_PATH, image::Image, problem::Problem};

/// What the configs of external bases make a Dockerfile execute first, by the stage whose FROM names the base.
pub type Triggers = BTreeMap<usize, Vec<String>>;

/// The resolved Dockerfile of every target of some images.
#[derive(Clone, Debug, Default)]
pub struct Scans {
    resolved: BTreeMap<(String, Platform), Result<Resolved, Problem>>,
}

impl Scans {
    /// Scans every image for each of its platforms. `build_platform` is what `$BUILDPLATFORM` stands for.
    pub fn of<'a>(images: impl IntoIterator<Item = &'a Image>, build_platform: &Platform) -> Self {
        let mut resolved = BTreeMap::new();
        for image in images {
            for platform in &image.platforms {
                if let Some(result) = scan(image, platform, build_platform) {
                    resolved.insert((image.name.clone(), platform.clone()), result);
                }
            }
        }
        Self { resolved }
    }

    /// One target's Dockerfile, if it could be resolved.
    pub fn target(&self, image: &str, platform: &Platform) -> Option<&Resolved> {
        self.resolved
            .get(&(image.to_owned(), platform.clone()))?
            .as_ref()
            .ok()
    }

    /// Every external or in-repo dependency: image, platform of the target, what was found.
    pub fn found(&self) -> impl Iterator<Item = (&str, &Platform, &Found)> {
        let good = self
            .resolved
            .iter()
            .filter_map(|((image, platform), r)| Some((image, platform, r.as_ref().ok()?)));
        good.flat_map(|(image, platform, r)| {
            r.found
                .iter()
                .map(move |found| (image.as_str(), platform, found))
        })
    }

    /// What could not be resolved, once per file and message.
    pub fn problems(&self) -> Vec<Problem> {
        let mut said = BTreeSet::new();
        let problems = self.resolved.values().filter_map(|r| r.as_ref().err());
        problems
            .filter(|p| said.insert((&p.file, p.position, &p.message)))
            .cloned()
            .collect()
    }
}

/// Resolves one target by its Dockerfile alone; none if that could not be parsed.
pub fn scan(
    image: &Image,
    platform: &Platform,
    build_platform: &Platform,
) -> Option<Result<Resolved, Problem>> {
    scan_with(image, platform, build_platform, &Triggers::new())
}

/// The same with what its bases' configs add.
pub fn scan_with(
    image: &Image,
    platform: &Platform,
    build_platform: &Platform,
    triggers: &Triggers,
) -> Option<Result<Resolved, Problem>> {
    let file = image.file.as_ref()?;
    let settings = Settings {
        target: image.target.as_deref(),
        platform,
        build_platform,
        build_args: &image.build_args,
        contexts: &image.build_contexts,
    };
    let resolved = refit_dockerfile::resolve_with_triggers(file, &settings, triggers);
    Some(resolved.map_err(|error| problem(&image.dockerfile, &file.text, &error)))
}

/// A syntax error as a problem of its file.
pub fn problem(path: &str, text: &str, error: &SyntaxError) -> Problem {
    let mut problem = Problem::at(path, text, error.span.clone(), error.message.clone());
    problem.position = Some((error.line, error.column));
    problem.hint = match &error.build_arg {
        Some(name) => Some(format!(
            "set it for the image in `{CONFIG_PATH}`, `build-args = {{ {name} = \"…\" }}`, or give `ARG {name}` a default"
        )),
        None => error.hint.clone(),
    };
    problem
}
