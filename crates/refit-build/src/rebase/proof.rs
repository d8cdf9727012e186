//! Whether the layers of an image are what a rebuild on another base would make.

use std::{collections::BTreeSet, sync::Arc};

use refit_context::TarEntry;
use refit_dockerfile::{Resolved, Source};
use refit_oci::Digest;

use super::{
    alike::{self, Folders, Seen, Walked, see, walk},
    refused::Refused,
    replay::{Copied, Makes, Replay, Step},
};
use crate::native::{
    LayerTable,
    file_table::{FileTable, WHITEOUT},
    image_path::ImagePath,
    node::{Content, NodeKind},
    owner::{Owner, OwnerSpec, PASSWD},
    request::Unpack,
};

/// The files of both bases.
#[derive(Clone, Copy)]
pub(super) struct Bases<'a> {
    pub(super) old: &'a FileTable,
    pub(super) new: &'a FileTable,
    /// The text of a file of accounts.
    pub(super) accounts: &'a dyn Fn(&Content) -> Option<String>,
}

/// The diff id of a layer without members. Docker makes one where nothing changed.
const EMPTY: &str = "sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef";

/// The members of a layer of the image's own.
pub(super) type Members<'a> = &'a dyn Fn(&Digest) -> Option<Arc<LayerTable>>;

/// What the stages that files are copied from are made of must be as it was: none of them begins with the base that
/// moved, and none takes files from where nobody knows what is there.
pub(super) fn sources(resolved: &Resolved, found: usize) -> Result<(), Refused> {
    if let Some(remote) = resolved.remote.first() {
        let url = &remote.url;
        let text = match remote.digest {
            Some(_) => format!("what `{}` holds is not compared", url.value),
            None => format!("what `{}` holds may have changed", url.value),
        };
        return Err(Refused::at(&url.span, text));
    }
    let chain: BTreeSet<usize> = resolved.chain.iter().copied().collect();
    for link in resolved
        .links
        .iter()
        .filter(|link| chain.contains(&link.stage))
    {
        let moved = match &link.source {
            Source::Stage(stage) => reaches(resolved, *stage, found),
            Source::Found(index) => is_base(resolved, *index, found),
            Source::Files(_) => true,
            Source::Scratch => false,
        };
        if moved {
            let text = "what it copies comes from something that is made of the base, too";
            return Err(Refused::at(&link.span, text));
        }
    }
    Ok(())
}

/// Whether something that was found is the base, at this place in the file or at another one.
fn is_base(resolved: &Resolved, index: usize, found: usize) -> bool {
    match (resolved.found.get(index), resolved.found.get(found)) {
        (Some(one), Some(base)) => one.source == base.source && one.platform == base.platform,
        _ => true,
    }
}

/// Whether a stage is made of the found image, or of files that nobody watches.
fn reaches(resolved: &Resolved, stage: usize, found: usize) -> bool {
    let (mut open, mut seen) = (vec![stage], BTreeSet::new());
    while let Some(stage) = open.pop() {
        if !seen.insert(stage) {
            continue;
        }
        let from = resolved.view(stage).map(|view| &view.from);
        let links = resolved.links.iter().filter(|link| link.stage == stage);
        for source in from.into_iter().chain(links.map(|link| &link.source)) {
            match source {
                Source::Stage(other) => open.push(*other),
                Source::Found(index) if is_base(resolved, *index, found) => return true,
                Source::Files(_) => return true,
                Source::Found(_) | Source::Scratch => {}
            }
        }
    }
    false
}

/// Whether every instruction copies the same to the same place on either base.
pub(super) fn expansions(old: &Replay, new: &Replay) -> Result<(), Refused> {
    for (was, is) in old.steps.iter().zip(&new.steps) {
        let message = match (&was.makes, &is.makes) {
            (Makes::Copy(was), Makes::Copy(is)) if was == is => continue,
            (Makes::Copy(was), Makes::Copy(is)) if was.destination != is.destination => format!(
                "it goes to `{}` and would go to `{}` on the new base",
                was.destination.path, is.destination.path
            ),
            (Makes::Folder { path: was, .. }, Makes::Folder { path: is, .. }) if was != is => {
                format!("it makes `{was}` and would make `{is}` on the new base")
            }
            (Makes::Copy(_), Makes::Copy(_)) => {
                "the new base gives its variables other values".to_owned()
            }
            _ => continue,
        };
        return Err(Refused::at(&is.span, message));
    }
    Ok(())
}

/// The proof by what the bases hold alone, whatever is in the image's own layers: no difference of the bases is on the
/// way to a destination, or below one.
pub(super) fn by_bases(
    bases: Bases<'_>,
    (old, new): (&Replay, &Replay),
    made: &[Option<&Digest>],
) -> Result<(), Refused> {
    let trees = (bases.old, bases.new);
    let mut copied: Vec<ImagePath> = Vec::new();
    let mut is_linked = false;
    for ((was, is), made) in old.steps.iter().zip(&new.steps).zip(made) {
        let refuse = |message: String| Refused::at(&is.span, message);
        let made = made.filter(|layer| layer.as_str() != EMPTY);
        match (&was.makes, &is.makes) {
            (Makes::Folder { path, .. }, _) => {
                let walked = folder(trees, path, &copied, Folders::Existence).map_err(&refuse)?;
                match see(bases.new, &walked.path) {
                    _ if walked.path.is_root() => {}
                    Seen::Nothing if made.is_some() => {
                        folder(trees, path, &copied, Folders::Whole).map_err(&refuse)?;
                        users(bases, (was, is), &copied).map_err(&refuse)?;
                    }
                    Seen::Nothing => {}
                    _ if made.is_some() => {
                        return Err(refuse(format!("`{path}` was there, and was made")));
                    }
                    _ => {}
                }
            }
            (Makes::Copy(copy), _) if is_apart(copy) => is_linked = true,
            (Makes::Copy(copy), _) => {
                if is_linked {
                    let text = "what was linked before it may be in its way".to_owned();
                    return Err(refuse(text));
                }
                let destination = &copy.destination.path;
                let walked = way(trees, destination, &copied, Folders::Whole).map_err(&refuse)?;
                owners(bases, copy.request.chown.as_deref(), &copied).map_err(&refuse)?;
                alike::below(trees, &walked.path).map_err(|d| refuse(d.to_string()))?;
                copied.push(walked.path);
            }
            (Makes::Nothing, _) => {}
        }
    }
    Ok(())
}

/// The proof by what the image's own layers hold: nothing in them repeats what a base had and the other has not, or
/// lands where the new base has another kind of thing.
pub(super) fn by_layers(
    bases: Bases<'_>,
    (old, new): (&Replay, &Replay),
    made: &[Option<&Digest>],
    members: Members<'_>,
) -> Result<(), Refused> {
    let (mut before, mut after) = (bases.old.clone(), bases.new.clone());
    for ((was, is), made) in old.steps.iter().zip(&new.steps).zip(made) {
        let refuse = |message: String| Refused::at(&is.span, message);
        let made = made.filter(|layer| layer.as_str() != EMPTY);
        let trees = (&before, &after);
        let bases = Bases {
            old: &before,
            new: &after,
            ..bases
        };
        let mut is_apart_from_base = false;
        match (&was.makes, &is.makes) {
            (Makes::Folder { path, .. }, _) => {
                let walked = folder(trees, path, &[], Folders::Existence).map_err(&refuse)?;
                let is_missing = see(&after, &walked.path) == Seen::Nothing;
                if made.is_some() != (is_missing && !walked.path.is_root()) {
                    return Err(refuse(format!("`{path}` was not made as it would be")));
                }
                if made.is_some() {
                    users(bases, (was, is), &[]).map_err(&refuse)?;
                }
            }
            (Makes::Copy(copy), _) if is_apart(copy) => is_apart_from_base = true,
            (Makes::Copy(copy), _) => {
                let destination = &copy.destination.path;
                let walked = way(trees, destination, &[], Folders::Existence).map_err(&refuse)?;
                owners(bases, copy.request.chown.as_deref(), &[]).map_err(&refuse)?;
                if copy.request.unpack != Unpack::None {
                    // An archive's members lead through what is there.
                    alike::below(trees, &walked.path).map_err(|d| refuse(d.to_string()))?;
                }
            }
            (Makes::Nothing, _) => {}
        }
        let Some(diff_id) = made else {
            continue;
        };
        let table = members(diff_id);
        let table = table.ok_or_else(|| refuse("its layer can't be read".to_owned()))?;
        if !is_apart_from_base {
            for entry in &table.entries {
                member(trees, entry).map_err(&refuse)?;
            }
        }
        for tree in [&mut before, &mut after] {
            let laid = tree.apply_layer(diff_id, &table.entries);
            laid.map_err(|error| refuse(error.to_string()))?;
        }
    }
    Ok(())
}

/// Whether a copy is made apart from the base, as a layer that fits on any.
fn is_apart(copy: &Copied) -> bool {
    // With `--chmod` BuildKit does not link.
    copy.request.link && copy.request.chmod.is_none()
}

/// Whether a member of a layer comes to the same on both trees.
fn member((old, new): (&FileTable, &FileTable), entry: &TarEntry) -> Result<(), String> {
    let path = ImagePath::clean(&entry.path);
    if path.name().starts_with(WHITEOUT) {
        return Err(format!("its layer removes something: `{path}`"));
    }
    let mut above = path.parent();
    while let Some(folder) = above.filter(|folder| !folder.is_root()) {
        let (was, is) = (see(old, &folder), see(new, &folder));
        if !alike::same(&was, &is, Folders::Existence) {
            return Err(alike::differs(&folder, &was, &is).to_string());
        }
        above = folder.parent();
    }
    let (was, is) = (see(old, &path), see(new, &path));
    let is_folder = |seen: &Seen<'_>| matches!(seen, Seen::Folder { .. });
    let is_same = match entry.kind {
        refit_context::TarKind::Directory => alike::same(&was, &is, Folders::Whole),
        _ => is_folder(&was) == is_folder(&is),
    };
    if is_same {
        return Ok(());
    }
    Err(alike::differs(&path, &was, &is).to_string())
}

/// The way to a folder of WORKDIR.
fn folder(
    trees: (&FileTable, &FileTable),
    path: &str,
    copied: &[ImagePath],
    folders: Folders,
) -> Result<Walked, String> {
    way(trees, &ImagePath::clean(path), copied, folders)
}

/// The way to a path, which must not lead through what was `copied` before, as links may be in that.
fn way(
    trees: (&FileTable, &FileTable),
    path: &ImagePath,
    copied: &[ImagePath],
    folders: Folders,
) -> Result<Walked, String> {
    let walked = walk(trees, path, folders).map_err(|differs| differs.to_string())?;
    let mut way = walked.way.iter();
    match way.find(|path| copied.iter().any(|above| is_below(path, above))) {
        None => Ok(walked),
        Some(path) => Err(format!(
            "a link in what was copied before may be on its way: `{path}`"
        )),
    }
}

fn is_below(path: &ImagePath, above: &ImagePath) -> bool {
    path != above && path.below(above).is_some()
}

/// Whether the user that owns a new folder is the same in both.
fn users(bases: Bases<'_>, (was, is): (&Step, &Step), copied: &[ImagePath]) -> Result<(), String> {
    let user = |step: &Step| match &step.makes {
        Makes::Folder { user, .. } => user.clone(),
        _ => None,
    };
    same_owner(bases, (user(was).as_deref(), user(is).as_deref()), copied)
}

/// Whether `--chown` means the same in both.
fn owners(bases: Bases<'_>, chown: Option<&str>, copied: &[ImagePath]) -> Result<(), String> {
    same_owner(bases, (chown, chown), copied)
}

fn same_owner(
    bases: Bases<'_>,
    (was, is): (Option<&str>, Option<&str>),
    copied: &[ImagePath],
) -> Result<(), String> {
    let old = owner(bases, bases.old, was, copied)?;
    let new = owner(bases, bases.new, is, copied)?;
    if old == new {
        return Ok(());
    }
    let name = is.or(was).unwrap_or("root");
    let told = |owner: Owner| format!("{}:{}", owner.uid, owner.gid);
    Err(format!(
        "`{name}` was {} and is {} in the new base",
        told(old),
        told(new)
    ))
}

/// Who an owner is in an image.
fn owner(
    bases: Bases<'_>,
    tree: &FileTable,
    text: Option<&str>,
    copied: &[ImagePath],
) -> Result<Owner, String> {
    let Some(text) = text else {
        return Ok(Owner::default());
    };
    let spec = OwnerSpec::parse(text);
    let (mut passwd, mut group) = (String::new(), String::new());
    for file in spec.files() {
        let names = names(bases, tree, file, copied)?;
        match file {
            PASSWD => passwd = names,
            _ => group = names,
        }
    }
    spec.resolve(&passwd, &group)
        .map_err(|error| error.to_string())
}

fn names(
    bases: Bases<'_>,
    tree: &FileTable,
    file: &str,
    copied: &[ImagePath],
) -> Result<String, String> {
    let path = tree.resolve(file).map_err(|error| error.to_string())?;
    if copied.iter().any(|above| path.below(above).is_some()) {
        return Err(format!("`{path}` may have been copied before it"));
    }
    let Some(node) = tree.get(&path) else {
        return Ok(String::new());
    };
    let text = match &node.kind {
        NodeKind::File(data) => (bases.accounts)(&data.content),
        _ => None,
    };
    text.ok_or_else(|| format!("`{path}` can't be read"))
}
