//! What of ours goes into an image: its Dockerfile, and the files of its context that an instruction can see.

use std::{
    collections::BTreeMap, os::unix::fs::PermissionsExt as _, path::Path, sync::Arc, thread,
};

use refit_context::{ContextEntry, EntryKind, Ignore, Location, select};
use refit_deps::{
    image::Image,
    inventory::clean,
    scan::Triggers,
    source::{self, EntryMode, MissingInput, Source, SourceEntry, source},
};
use refit_dockerfile::{ContextInput, RequiredInput, Resolved};
use refit_git::{Entry, Mode};
use refit_oci::{ObjectId, Platform};

use crate::{
    error::CommandError,
    project::{Project, Snapshot},
};

/// How many images a thread gets at least: fewer are looked at before it runs.
const LEAST_SHARE: usize = 32;

/// The sources of all targets of many images, in their order.
pub(crate) fn of_all(
    project: &Project,
    snapshot: &Snapshot,
    images: &[&Image],
) -> Vec<BTreeMap<Platform, Arc<Source>>> {
    let n_threads = thread::available_parallelism().map_or(1, usize::from);
    let share = images.len().div_ceil(n_threads).max(LEAST_SHARE);
    let of_share = |images: &[&Image]| -> Vec<_> {
        let all = images.iter().map(|image| sources(project, snapshot, image));
        all.collect()
    };
    let mut shares = images.chunks(share);
    thread::scope(|threads| {
        let own = shares.next().unwrap_or_default();
        let of_share = &of_share;
        let others: Vec<_> = shares.map(|s| threads.spawn(move || of_share(s))).collect();
        let mut all = of_share(own);
        for other in others {
            all.extend(other.join().expect("listing never panics"));
        }
        all
    })
}

/// The sources of all targets of an image. A target whose Dockerfile or context can't be read has none.
pub(crate) fn sources(
    project: &Project,
    snapshot: &Snapshot,
    image: &Image,
) -> BTreeMap<Platform, Arc<Source>> {
    // Most platforms read the same of the context.
    let mut read: Vec<(Arc<Resolved>, Option<Arc<Source>>)> = Vec::new();
    let mut sources = BTreeMap::new();
    for platform in &image.platforms {
        let scanned = snapshot.scans.scan(image, platform, &Triggers::new());
        let Some(Ok(file)) = scanned else { continue };
        let reads = |of: &Resolved| (&of.inputs, &of.required) == (&file.inputs, &file.required);
        let source = if let Some((_, source)) = read.iter().find(|(of, _)| reads(of)) {
            source.clone()
        } else {
            let listed = visible(project, snapshot, (image, &file));
            let ours = listed.and_then(|listed| Ours::of(project, snapshot, image, listed));
            let source = ours.map(|ours| ours.source(project, snapshot, (image, &file)));
            let source = source.ok().map(Arc::new);
            read.push((file, source.clone()));
            source
        };
        sources.extend(source.map(|source| (platform.clone(), source)));
    }
    sources
}

/// The source of one target, with what triggers of its bases copy.
pub(crate) fn source_with(
    project: &Project,
    snapshot: &Snapshot,
    (image, platform): (&Image, &Platform),
    triggers: &Triggers,
) -> Result<Source, CommandError> {
    let file = match snapshot.scans.scan(image, platform, triggers) {
        Some(Ok(file)) => file,
        Some(Err(problem)) => return Err(CommandError::new(problem.to_string())),
        None => {
            let message = format!("`{}` could not be read", image.dockerfile);
            return Err(CommandError::new(message));
        }
    };
    let listed = visible(project, snapshot, (image, &file))?;
    let ours = Ours::of(project, snapshot, image, listed)?;
    Ok(ours.source(project, snapshot, (image, &file)))
}

/// What a source id is made of, one target's.
pub(crate) struct Explanation {
    /// The id, and the digests of its parts.
    pub(crate) source: Source,
    /// The settings that count, one JSON array each.
    pub(crate) settings: Vec<String>,
    /// The files that count, with the first instruction that can see each: its place among `instructions`.
    pub(crate) files: Vec<(SourceEntry, Option<usize>)>,
    /// Line and text of the instructions that read the context.
    pub(crate) instructions: Vec<(usize, String)>,
    /// The ignore file that applies.
    pub(crate) ignore_file: Option<String>,
    /// Files of the context that it leaves out.
    pub(crate) n_ignored: usize,
    /// Files of the context that it keeps and no reached instruction can see.
    pub(crate) n_unseen: usize,
}

/// What the source id of one target is made of, and why each file counts.
pub(crate) fn explain(
    project: &Project,
    snapshot: &Snapshot,
    image: &Image,
    platform: &Platform,
) -> Result<Explanation, CommandError> {
    let (listed, n_files, ignore_file) =
        with_location(project, snapshot, image, |location, dockerfile| {
            let ignore = refit_context::ignore_file(location, dockerfile)?;
            let listed = refit_context::list(location, &ignore.ignore)?;
            let all = refit_context::list(location, &refit_context::Ignore::default())?;
            Ok((listed, all.len(), ignore.path))
        })?;
    // On disk it was looked for by its whole path.
    let root = project.repo.work_dir().unwrap_or(Path::new(""));
    let ignore_file = ignore_file.map(|path| match Path::new(&path).strip_prefix(root) {
        Ok(inside) => inside.to_string_lossy().into_owned(),
        Err(_) => path,
    });
    let n_ignored = n_files - listed.len();
    let ours = Ours::of(project, snapshot, image, listed)?;
    let unreadable = || CommandError::new(format!("`{}` could not be read", image.dockerfile));
    let file = image.file.as_ref().ok_or_else(unreadable)?;
    let resolved = snapshot.scans.target(&image.name, platform);
    let resolved = resolved.ok_or_else(unreadable)?;
    // Each file by the first instruction that sees it alone.
    let mut by_path: BTreeMap<&str, usize> = BTreeMap::new();
    for (at, input) in resolved.inputs.iter().enumerate() {
        for entry in seen(&ours.listed, std::slice::from_ref(input)) {
            by_path.entry(&entry.path).or_insert(at);
        }
    }
    let (files, n_unseen) = if let Some(all) = &ours.repository {
        let files = all.iter().map(|entry| (entry.clone(), None));
        (files.collect(), 0)
    } else {
        let counted = seen(&ours.listed, &resolved.inputs);
        let n_unseen = ours.listed.len() - counted.len();
        let files = counted.into_iter().filter_map(|listed| {
            let reader = by_path.get(listed.path.as_str()).copied();
            Some((entry(listed)?, reader))
        });
        (files.collect(), n_unseen)
    };
    let instructions = resolved.input_spans.iter().map(|span| {
        let text = file.text.get(span.clone()).unwrap_or_default();
        let first = text.lines().next().unwrap_or_default().trim_end();
        (file.position(span.start).0, first.to_owned())
    });
    Ok(Explanation {
        source: ours.source(project, snapshot, (image, resolved)),
        settings: source::settings_list(image)
            .lines()
            .map(str::to_owned)
            .collect(),
        files,
        instructions: instructions.collect(),
        ignore_file,
        n_ignored,
        n_unseen,
    })
}

/// What git has of an image.
struct Ours {
    dockerfile: ObjectId,
    /// Of the files of the context that its ignore file keeps, at least those that an instruction can see or must find.
    listed: Vec<ContextEntry>,
    /// All files of the repository, where the image's `prepare` may read any.
    repository: Option<Vec<SourceEntry>>,
}

impl Ours {
    fn of(
        project: &Project,
        snapshot: &Snapshot,
        image: &Image,
        listed: Vec<ContextEntry>,
    ) -> Result<Self, CommandError> {
        Ok(Self {
            dockerfile: dockerfile_id(project, snapshot, image)?,
            listed,
            repository: match image.prepare.as_slice() {
                [] => None,
                _ => Some(repository(project, snapshot)?),
            },
        })
    }

    fn source(
        &self,
        project: &Project,
        snapshot: &Snapshot,
        (image, file): (&Image, &Resolved),
    ) -> Source {
        if let Some(all) = &self.repository {
            return source(image, &self.dockerfile, all);
        }
        let entries = seen(&self.listed, &file.inputs);
        let entries: Vec<SourceEntry> = entries.into_iter().filter_map(entry).collect();
        Source {
            missing: self.missing(project, snapshot, (image, file)),
            ..source(image, &self.dockerfile, &entries)
        }
    }

    /// What must be in the context and is not. What the ignore file leaves out is nothing that could be made.
    fn missing(
        &self,
        project: &Project,
        snapshot: &Snapshot,
        (image, file): (&Image, &Resolved),
    ) -> Vec<MissingInput> {
        // The context itself always is.
        let is_there = |input: &&RequiredInput| {
            input.places().any(str::is_empty) || !select(&self.listed, input.places()).is_empty()
        };
        let missing: Vec<_> = file.required.iter().filter(|i| !is_there(i)).collect();
        let Some(text) = image.file.as_ref().filter(|_| !missing.is_empty()) else {
            return Vec::new();
        };
        let is_ignored = with_location(project, snapshot, image, |location, dockerfile| {
            let ignore = refit_context::ignore_file(location, dockerfile)?.ignore;
            let all = refit_context::list(location, &Ignore::default())?;
            let is_ignored = |input: &RequiredInput| {
                !select(&all, input.places()).is_empty()
                    || input.places().any(|path| ignore.excludes(path))
            };
            Ok(missing.iter().map(|input| is_ignored(input)).collect())
        });
        let is_ignored: Vec<bool> = is_ignored.unwrap_or_default();
        let missing = missing.into_iter().zip(is_ignored);
        let missing = missing.filter(|(_, is_ignored)| !is_ignored);
        let missing = missing.map(|(input, _)| MissingInput {
            path: input.any_of.first().cloned().unwrap_or_default(),
            line: text.position(input.span.start).0,
        });
        missing.collect()
    }
}

/// All files of the repository, with their whole paths.
fn repository(project: &Project, snapshot: &Snapshot) -> Result<Vec<SourceEntry>, CommandError> {
    if snapshot.commit.is_some() || snapshot.is_index {
        return Ok(snapshot.entries.iter().map(of_git).collect());
    }
    let staged = project.repo.staged()?;
    let staged = staged
        .iter()
        .map(|entry| (entry.path.clone(), of_git(entry)));
    let mut files: BTreeMap<String, SourceEntry> = staged.collect();
    let Some(root) = project.repo.work_dir() else {
        return Ok(files.into_values().collect());
    };
    for change in project.repo.worktree_changes()? {
        let on_disk = root.join(&change.path);
        let Ok(metadata) = on_disk.symlink_metadata() else {
            files.remove(&change.path);
            continue;
        };
        let mode = match files.get(&change.path).map(|entry| entry.mode) {
            Some(EntryMode::Submodule) => continue,
            _ if metadata.is_dir() => continue,
            _ if metadata.is_symlink() => EntryMode::Symlink,
            _ if metadata.permissions().mode() & 0o100 != 0 => EntryMode::Executable,
            _ => EntryMode::File,
        };
        let id = project.repo.hash_object(&on_disk, &change.path)?;
        let path = change.path;
        files.insert(path.clone(), SourceEntry { path, mode, id });
    }
    Ok(files.into_values().collect())
}

fn of_git(entry: &Entry) -> SourceEntry {
    SourceEntry {
        path: entry.path.clone(),
        mode: match entry.mode {
            Mode::File => EntryMode::File,
            Mode::Executable => EntryMode::Executable,
            Mode::Symlink => EntryMode::Symlink,
            Mode::Submodule => EntryMode::Submodule,
        },
        id: entry.id.clone(),
    }
}

/// The files of an image's context that its ignore file keeps.
pub(crate) fn context(
    project: &Project,
    snapshot: &Snapshot,
    image: &Image,
) -> Result<Vec<ContextEntry>, CommandError> {
    with_location(project, snapshot, image, |location, dockerfile| {
        let ignore = refit_context::ignore_file(location, dockerfile)?;
        Ok(refit_context::list(location, &ignore.ignore)?)
    })
}

/// Those of them that an instruction can see or must find.
fn visible(
    project: &Project,
    snapshot: &Snapshot,
    (image, file): (&Image, &Resolved),
) -> Result<Vec<ContextEntry>, CommandError> {
    let Some(mut visible) = patterns(&file.inputs) else {
        return context(project, snapshot, image);
    };
    let places = file.required.iter().flat_map(RequiredInput::places);
    visible.extend(places.filter(|place| !place.is_empty()));
    with_location(project, snapshot, image, |location, dockerfile| {
        let ignore = refit_context::ignore_file(location, dockerfile)?.ignore;
        Ok(refit_context::list_seen(location, &ignore, &visible)?)
    })
}

/// Calls `body` with the location of an image's context, and the Dockerfile's path as that location wants it.
pub(crate) fn with_location<T>(
    project: &Project,
    snapshot: &Snapshot,
    image: &Image,
    body: impl FnOnce(&Location<'_>, &str) -> Result<T, CommandError>,
) -> Result<T, CommandError> {
    match (&snapshot.commit, project.repo.work_dir()) {
        (Some(commit), _) => {
            let location = Location::Listed {
                repo: &project.repo,
                commit,
                entries: &snapshot.entries,
                folder: &image.context,
            };
            body(&location, &image.dockerfile)
        }
        (None, _) if snapshot.is_index => {
            let location = Location::Index {
                repo: &project.repo,
                entries: &snapshot.entries,
                folder: &image.context,
            };
            body(&location, &image.dockerfile)
        }
        (None, Some(root)) => {
            let dir = root.join(&image.context);
            let location = Location::Dir {
                dir: &dir,
                repo: Some(&project.repo),
            };
            body(&location, &root.join(&image.dockerfile).to_string_lossy())
        }
        (None, None) => Err(CommandError::new("a bare repository has no working tree")),
    }
}

fn dockerfile_id(
    project: &Project,
    snapshot: &Snapshot,
    image: &Image,
) -> Result<ObjectId, CommandError> {
    let missing = || CommandError::new(format!("`{}` is not there", image.dockerfile));
    match (&snapshot.commit, project.repo.work_dir()) {
        (commit, _) if commit.is_some() || snapshot.is_index => {
            let found = snapshot.blob(&clean(&image.dockerfile));
            found.cloned().ok_or_else(missing)
        }
        (_, Some(root)) => {
            let (repo, path) = (&project.repo, clean(&image.dockerfile));
            // To read a file as git would costs more than to look what git knows.
            match repo.checkout()?.unchanged(&path) {
                Some((_, id)) => Ok(id),
                None => Ok(repo.hash_object(&root.join(&path), &path)?),
            }
        }
        (_, None) => Err(missing()),
    }
}

/// The entries that a reachable instruction can see.
pub(crate) fn seen<'e>(
    listed: &'e [ContextEntry],
    inputs: &[ContextInput],
) -> Vec<&'e ContextEntry> {
    match patterns(inputs) {
        None => listed.iter().collect(),
        Some(patterns) => select(listed, &patterns),
    }
}

/// None: everything.
fn patterns(inputs: &[ContextInput]) -> Option<Vec<&str>> {
    let patterns = inputs.iter().map(|input| match input {
        ContextInput::Everything => None,
        ContextInput::Pattern(pattern) => Some(pattern.as_str()),
    });
    patterns.collect()
}

fn entry(entry: &ContextEntry) -> Option<SourceEntry> {
    let mode = match entry.kind {
        EntryKind::File => EntryMode::File,
        EntryKind::Executable => EntryMode::Executable,
        EntryKind::Symlink => EntryMode::Symlink,
        EntryKind::Submodule => EntryMode::Submodule,
    };
    Some(SourceEntry {
        path: entry.path.clone(),
        mode,
        id: entry.id.clone()?,
    })
}
