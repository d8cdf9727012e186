//! What each target's Dockerfile depends on.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::{Arc, Mutex, PoisonError},
};

use refit_dockerfile::{Dockerfile, Found, NamedContext, Resolved, Settings, SyntaxError};
use refit_oci::Platform;

use crate::{config::CONFIG_PATH, image::Image, problem::Problem};

/// What the configs of external bases make a Dockerfile execute first, by the stage whose FROM names the base.
pub type Triggers = BTreeMap<usize, Vec<String>>;

/// The resolved Dockerfile of every target of some images, and of whatever else was asked for: each is resolved once,
/// however often it is looked at.
#[derive(Debug)]
pub struct Scans {
    build_platform: Platform,
    /// By the image's name; platforms sorted.
    by_image: BTreeMap<String, Vec<(Platform, Scanned)>>,
    known: Mutex<Known>,
}

/// What a scan came to.
type Scanned = Result<Arc<Resolved>, Problem>;

/// What was resolved, by a hash of what it was resolved from.
#[derive(Debug, Default)]
struct Known {
    by_hash: HashMap<u64, Vec<Once>>,
    n_resolved: usize,
}

/// One resolution, with all that it depends on.
#[derive(Debug)]
struct Once {
    /// Two of the same text may be there, and are resolved twice: the address is what is compared.
    file: Arc<Dockerfile>,
    target: Option<String>,
    platform: Platform,
    build_args: BTreeMap<String, String>,
    build_contexts: BTreeMap<String, NamedContext>,
    triggers: Triggers,
    result: Result<Arc<Resolved>, SyntaxError>,
}

impl Scans {
    /// Scans every image for each of its platforms. `build_platform` is what `$BUILDPLATFORM` stands for.
    pub fn of<'a>(images: impl IntoIterator<Item = &'a Image>, build_platform: &Platform) -> Self {
        let mut scans = Self {
            build_platform: build_platform.clone(),
            by_image: BTreeMap::new(),
            known: Mutex::default(),
        };
        for image in images {
            let targets = image.platforms.iter();
            let mut of_image: Vec<(Platform, Scanned)> = targets
                .filter_map(|p| Some((p.clone(), scans.scan(image, p, &Triggers::new())?)))
                .collect();
            of_image.sort_by(|a, b| a.0.cmp(&b.0));
            of_image.dedup_by(|a, b| a.0 == b.0);
            scans.by_image.insert(image.name.clone(), of_image);
        }
        scans
    }

    /// Resolves a target with what its bases' configs add; what was resolved before is not resolved again. None if the
    /// Dockerfile could not be parsed.
    pub fn scan(&self, image: &Image, platform: &Platform, triggers: &Triggers) -> Option<Scanned> {
        let file = image.file.as_ref()?;
        let hash = hash_of(image, file, platform, triggers);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let known = &mut *known;
        let same = known.by_hash.entry(hash).or_default();
        let known_at = same
            .iter()
            .position(|once| once.is_of(image, file, platform, triggers));
        if known_at.is_none() {
            known.n_resolved += 1;
            let settings = settings(image, platform, &self.build_platform);
            let result = refit_dockerfile::resolve_with_triggers(file, &settings, triggers);
            same.push(Once {
                file: Arc::clone(file),
                target: image.target.clone(),
                platform: platform.clone(),
                build_args: image.build_args.clone(),
                build_contexts: image.build_contexts.clone(),
                triggers: triggers.clone(),
                result: result.map(Arc::new),
            });
        }
        let result = &same[known_at.unwrap_or(same.len() - 1)].result;
        Some(match result {
            Ok(resolved) => Ok(Arc::clone(resolved)),
            Err(error) => Err(problem(&image.dockerfile, &file.text, error)),
        })
    }

    /// How often a Dockerfile was resolved.
    pub fn n_resolved(&self) -> usize {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.n_resolved
    }

    /// One target's Dockerfile, if it could be resolved.
    pub fn target(&self, image: &str, platform: &Platform) -> Option<&Resolved> {
        let mut of_image = self.by_image.get(image)?.iter();
        let (_, scanned) = of_image.find(|(of, _)| of == platform)?;
        scanned.as_deref().ok()
    }

    /// Every external or in-repo dependency: image, platform of the target, what was found. Sorted by image and platform.
    pub fn found(&self) -> impl Iterator<Item = (&str, &Platform, &Found)> {
        self.by_image.iter().flat_map(|(image, targets)| {
            let good = targets
                .iter()
                .filter_map(|(p, r)| Some((p, r.as_ref().ok()?)));
            good.flat_map(move |(platform, resolved)| {
                let found = resolved.found.iter();
                found.map(move |found| (image.as_str(), platform, found))
            })
        })
    }

    /// What could not be resolved, once per file and message.
    pub fn problems(&self) -> Vec<Problem> {
        let mut said = BTreeSet::new();
        let targets = self.by_image.values().flatten();
        let problems = targets.filter_map(|(_, scanned)| scanned.as_ref().err());
        problems
            .filter(|p| said.insert((&p.file, p.position, &p.message)))
            .cloned()
            .collect()
    }
}

impl Once {
    fn is_of(
        &self,
        image: &Image,
        file: &Arc<Dockerfile>,
        platform: &Platform,
        triggers: &Triggers,
    ) -> bool {
        Arc::ptr_eq(&self.file, file)
            && self.platform == *platform
            && self.target == image.target
            && self.build_args == image.build_args
            && self.build_contexts == image.build_contexts
            && self.triggers == *triggers
    }
}

fn hash_of(image: &Image, file: &Arc<Dockerfile>, platform: &Platform, with: &Triggers) -> u64 {
    let mut hasher = DefaultHasher::new();
    Arc::as_ptr(file).hash(&mut hasher);
    let contexts: Vec<&String> = image.build_contexts.keys().collect();
    (platform, &image.target, &image.build_args, contexts, with).hash(&mut hasher);
    hasher.finish()
}

fn settings<'a>(
    image: &'a Image,
    platform: &'a Platform,
    build_platform: &'a Platform,
) -> Settings<'a> {
    Settings {
        target: image.target.as_deref(),
        platform,
        build_platform,
        build_args: &image.build_args,
        contexts: &image.build_contexts,
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
    let settings = settings(image, platform, build_platform);
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
