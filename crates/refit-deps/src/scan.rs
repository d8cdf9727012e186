//! What each target's Dockerfile depends on.

use std::{
    collections::{BTreeMap, BTreeSet},
    hash::{BuildHasher as _, Hash, Hasher},
    sync::{Arc, Mutex, PoisonError},
    thread,
};

use hashbrown::{DefaultHashBuilder, HashTable, hash_table::Entry};
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

/// How many images a thread gets at least: fewer are done before it runs.
const LEAST_SHARE: usize = 512;

/// What a scan came to.
type Scanned = Result<Arc<Resolved>, Problem>;

/// What was resolved so far.
#[derive(Debug, Default)]
struct Known {
    hashes: DefaultHashBuilder,
    all: HashTable<Once>,
    n_resolved: usize,
}

/// The resolutions of one target of one file, with all else that they depend on.
#[derive(Debug)]
struct Once {
    /// Two of the same text may be there, and are resolved twice: the address is what is compared.
    file: Arc<Dockerfile>,
    target: Option<String>,
    build_args: BTreeMap<String, String>,
    build_contexts: BTreeMap<String, NamedContext>,
    triggers: Triggers,
    by_platform: Vec<(Platform, Result<Arc<Resolved>, SyntaxError>)>,
}

impl Scans {
    /// Scans every image for each of its platforms. `build_platform` is what `$BUILDPLATFORM` stands for.
    pub fn of<'a>(images: impl IntoIterator<Item = &'a Image>, build_platform: &Platform) -> Self {
        let images: Vec<&Image> = images.into_iter().collect();
        let n_threads = thread::available_parallelism().map_or(1, usize::from);
        let share = images.len().div_ceil(n_threads).max(LEAST_SHARE);
        let mut shares = images.chunks(share);
        let of_share = |images| Self::of_share(images, build_platform);
        let mut scans = of_share(&[]);
        thread::scope(|threads| {
            let own = shares.next().unwrap_or_default();
            let others: Vec<_> = shares.map(|s| threads.spawn(move || of_share(s))).collect();
            scans.add(of_share(own));
            for other in others {
                scans.add(other.join().expect("resolving never panics"));
            }
        });
        scans
    }

    fn of_share(images: &[&Image], build_platform: &Platform) -> Self {
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

    /// Takes over what others came to.
    fn add(&mut self, other: Self) {
        self.by_image.extend(other.by_image);
        let of = |known: Mutex<Known>| known.into_inner().unwrap_or_else(PoisonError::into_inner);
        let own = self.known.get_mut().unwrap_or_else(PoisonError::into_inner);
        let other = of(other.known);
        own.n_resolved += other.n_resolved;
        if own.all.is_empty() {
            *own = other;
            return;
        }
        let Known { hashes, all, .. } = own;
        for once in other.all {
            let hash = |once: &Once| hashes.hash_one(once.of());
            let same = |known: &Once| known.of() == once.of();
            if let Entry::Vacant(vacant) = all.entry(hash(&once), same, hash) {
                vacant.insert(once);
            }
        }
    }

    /// Resolves a target with what its bases' configs add; what was resolved before is not resolved again. None if the
    /// Dockerfile could not be parsed.
    pub fn scan(&self, image: &Image, platform: &Platform, triggers: &Triggers) -> Option<Scanned> {
        let file = image.file.as_ref()?;
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let Known {
            hashes,
            all,
            n_resolved,
        } = &mut *known;
        let of = Of {
            file,
            target: &image.target,
            build_args: &image.build_args,
            build_contexts: &image.build_contexts,
            triggers,
        };
        let hash = |of: &Of<'_>| hashes.hash_one(of);
        let same = |once: &Once| once.of() == of;
        let once = match all.entry(hash(&of), same, |once| hash(&once.of())) {
            Entry::Occupied(once) => once.into_mut(),
            Entry::Vacant(vacant) => {
                let once = Once {
                    file: Arc::clone(file),
                    target: image.target.clone(),
                    build_args: image.build_args.clone(),
                    build_contexts: image.build_contexts.clone(),
                    triggers: triggers.clone(),
                    by_platform: Vec::with_capacity(image.platforms.len()),
                };
                vacant.insert(once).into_mut()
            }
        };
        let on = |(of, _): &(Platform, _)| of == platform;
        let at = once.by_platform.iter().position(on).unwrap_or_else(|| {
            let mut others = once.by_platform.iter().filter_map(|(_, r)| r.as_ref().ok());
            let result = others.find_map(|other| Some(Ok(other.on(platform)?)));
            let result = result.unwrap_or_else(|| {
                *n_resolved += 1;
                let settings = settings(image, platform, &self.build_platform);
                refit_dockerfile::resolve_with_triggers(file, &settings, triggers)
            });
            once.by_platform
                .push((platform.clone(), result.map(Arc::new)));
            once.by_platform.len() - 1
        });
        Some(match &once.by_platform[at].1 {
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
    fn of(&self) -> Of<'_> {
        Of {
            file: &self.file,
            target: &self.target,
            build_args: &self.build_args,
            build_contexts: &self.build_contexts,
            triggers: &self.triggers,
        }
    }
}

/// What a resolution depends on, but the platform.
struct Of<'a> {
    file: &'a Arc<Dockerfile>,
    target: &'a Option<String>,
    build_args: &'a BTreeMap<String, String>,
    build_contexts: &'a BTreeMap<String, NamedContext>,
    triggers: &'a Triggers,
}

impl PartialEq for Of<'_> {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(self.file, other.file)
            && self.target == other.target
            && self.build_args == other.build_args
            && self.build_contexts == other.build_contexts
            && self.triggers == other.triggers
    }
}

impl Hash for Of<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Arc::as_ptr(self.file).hash(state);
        (self.target, self.build_args, self.triggers).hash(state);
    }
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
