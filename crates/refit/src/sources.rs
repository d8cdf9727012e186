//! What of ours goes into an image: its Dockerfile, and the files of its context that an instruction can see.

use std::{collections::BTreeMap, path::Path};

use refit_context::{ContextEntry, EntryKind, Location};
use refit_deps::{
    image::Image,
    inventory::clean,
    scan::Triggers,
    source::{self, EntryMode, Source, SourceEntry, source},
};
use refit_dockerfile::ContextInput;
use refit_oci::{ObjectId, Platform};

use crate::{
    error::CommandError,
    project::{Project, Snapshot},
};

/// The sources of all targets of an image. A target whose Dockerfile or context can't be read has none.
pub(crate) fn sources(
    project: &Project,
    snapshot: &Snapshot,
    image: &Image,
) -> BTreeMap<Platform, Source> {
    let Ok(ours) = Ours::of(project, snapshot, image) else {
        return BTreeMap::new();
    };
    let source = |platform: &Platform| {
        let file = snapshot
            .scans
            .scan(image, platform, &Triggers::new())?
            .ok()?;
        Some((platform.clone(), ours.source(image, &file.inputs)))
    };
    image.platforms.iter().filter_map(source).collect()
}

/// The source of one target, with what triggers of its bases copy.
pub(crate) fn source_with(
    project: &Project,
    snapshot: &Snapshot,
    (image, platform): (&Image, &Platform),
    triggers: &Triggers,
) -> Result<Source, CommandError> {
    let ours = Ours::of(project, snapshot, image)?;
    let file = match snapshot.scans.scan(image, platform, triggers) {
        Some(Ok(file)) => file,
        Some(Err(problem)) => return Err(CommandError::new(problem.to_string())),
        None => {
            let message = format!("`{}` could not be read", image.dockerfile);
            return Err(CommandError::new(message));
        }
    };
    Ok(ours.source(image, &file.inputs))
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
    let ours = Ours {
        dockerfile: dockerfile_id(project, snapshot, image)?,
        listed,
    };
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
    let counted = seen(&ours.listed, &resolved.inputs);
    let n_unseen = ours.listed.len() - counted.len();
    let files = counted.into_iter().filter_map(|listed| {
        let reader = by_path.get(listed.path.as_str()).copied();
        Some((entry(listed)?, reader))
    });
    let files = files.collect();
    let instructions = resolved.input_spans.iter().map(|span| {
        let text = file.text.get(span.clone()).unwrap_or_default();
        let first = text.lines().next().unwrap_or_default().trim_end();
        (file.position(span.start).0, first.to_owned())
    });
    Ok(Explanation {
        source: ours.source(image, &resolved.inputs),
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
    /// The files of the context that its ignore file keeps.
    listed: Vec<ContextEntry>,
}

impl Ours {
    fn of(project: &Project, snapshot: &Snapshot, image: &Image) -> Result<Self, CommandError> {
        Ok(Self {
            dockerfile: dockerfile_id(project, snapshot, image)?,
            listed: context(project, snapshot, image)?,
        })
    }

    fn source(&self, image: &Image, inputs: &[ContextInput]) -> Source {
        let entries = seen(&self.listed, inputs).into_iter().filter_map(entry);
        let entries: Vec<SourceEntry> = entries.collect();
        source(image, &self.dockerfile, &entries)
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
        (_, Some(root)) => Ok(project
            .repo
            .hash_object(&root.join(&image.dockerfile), &image.dockerfile)?),
        (_, None) => Err(missing()),
    }
}

/// The entries that a reachable instruction can see.
pub(crate) fn seen<'e>(
    listed: &'e [ContextEntry],
    inputs: &[ContextInput],
) -> Vec<&'e ContextEntry> {
    let mut patterns = Vec::new();
    for input in inputs {
        match input {
            ContextInput::Everything => return listed.iter().collect(),
            ContextInput::Pattern(pattern) => patterns.push(pattern.as_str()),
        }
    }
    refit_context::select(listed, &patterns)
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
