//! The sources of a COPY or ADD, found in what they are copied from.

use std::{
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use refit_context::{Ignore, glob::has_wildcard};
use refit_oci::Digest;

use super::{
    contents::ContentError,
    copy::{self, CopyError, Destination},
    edit::Edit,
    fetch::pinned,
    file_table::TreeError,
    image_path::ImagePath,
    node::{Content, FileData, Node, NodeKind},
    request::{Request, Unpack},
    transfer::{Origin, TransferError, Workbench},
    unpack,
};

/// One thing to put at the destination.
pub(crate) enum Item {
    /// A path of the origin, and the parts of it that `--parents` wants.
    Copy(ImagePath, Option<Ignore>),
    /// A file that is an archive, in a file of its own, and its path in the origin.
    Unpack(PathBuf, ImagePath),
    /// A file that is in no tree: a here-document, or one that was fetched.
    Made(ImagePath, Node),
}

/// A matcher of moby's patterns, as `--exclude` and `--parents` have them.
pub(crate) fn patterns(patterns: &[String]) -> Result<Ignore, TransferError> {
    // In an ignore file a leading `#` would begin a comment.
    let lines: Vec<String> = patterns
        .iter()
        .map(|p| {
            if p.starts_with('#') {
                format!("./{p}")
            } else {
                p.clone()
            }
        })
        .collect();
    let (rules, problems) = Ignore::parse(&lines.join("\n"));
    match problems.into_iter().next() {
        Some(problem) => Err(TransferError::Pattern {
            pattern: problem.pattern,
            why: problem.why,
        }),
        None => Ok(rules),
    }
}

/// What a COPY or ADD puts at its destination, in order: nothing where only wildcards are written, and match nothing.
pub(crate) fn items(
    request: &Request,
    origin: &Origin<'_>,
    bench: &mut Workbench,
) -> Result<Vec<Item>, TransferError> {
    let mut items = Vec::new();
    for written in &request.paths {
        if let Some(digest) = pinned(request, written)? {
            items.push(fetched(request, (written, &digest), bench)?);
            continue;
        }
        let (source, include) = if request.parents {
            let (source, pattern) = pivot(written, origin)?;
            (source, Some(patterns(&[pattern])?))
        } else {
            (written.clone(), None)
        };
        for path in copy::matches(origin.tree, &source, &origin.place)? {
            let item = match request.unpack {
                Unpack::None => None,
                Unpack::Local | Unpack::All => archive(&path, origin, bench)?,
            };
            items.push(item.unwrap_or_else(|| Item::Copy(path, include.clone())));
        }
    }
    for (name, body) in &request.heredocs {
        let content = Content::Bytes(body.as_bytes().into());
        let data = FileData {
            size: body.len() as u64,
            content,
        };
        let node = Node::new(NodeKind::File(Arc::new(data)), 0o644);
        items.push(Item::Made(ImagePath::clean(name), node));
    }
    Ok(items)
}

/// The item of a URL: what it holds is unpacked only where that is asked for.
fn fetched(
    request: &Request,
    wanted: (&str, &Digest),
    bench: &mut Workbench,
) -> Result<Item, TransferError> {
    let contents = &mut bench.contents;
    let (name, node, file) = bench.fetcher.get(wanted, || contents.new_file("fetched"))?;
    let is_archive = request.unpack == Unpack::All && is_archive(&file, &name)?;
    Ok(if is_archive {
        Item::Unpack(file.to_path_buf(), name)
    } else {
        Item::Made(name, node)
    })
}

fn is_archive(file: &Path, path: &ImagePath) -> Result<bool, TransferError> {
    unpack::is_archive(file).map_err(|source| TransferError::Unpack {
        path: path.to_string(),
        source,
    })
}

/// The folder and the pattern below it of a source with `--parents`: they are parted by `/./`.
fn pivot(written: &str, origin: &Origin<'_>) -> Result<(String, String), TransferError> {
    let (folder, pattern) = written.split_once("/./").unwrap_or(("/", written));
    let pattern = ImagePath::clean(pattern);
    if ![folder, pattern.as_str()].into_iter().any(has_wildcard) {
        let path = ImagePath::clean(folder).join(pattern.as_str());
        if !origin
            .tree
            .contains(&origin.tree.resolve_parent(path.as_str())?)
        {
            return Err(CopyError::NotFound {
                path: path.to_string(),
                place: origin.place.clone(),
            }
            .into());
        }
    }
    Ok((folder.to_owned(), pattern.as_str().to_owned()))
}

/// The item of a file that is an archive.
fn archive(
    path: &ImagePath,
    origin: &Origin<'_>,
    bench: &mut Workbench,
) -> Result<Option<Item>, TransferError> {
    let followed = origin.tree.resolve(path.as_str())?;
    let Some(NodeKind::File(data)) = origin.tree.get(&followed).map(|node| &node.kind) else {
        return Ok(None);
    };
    let mut head = Vec::new();
    let reader = bench.contents.reader(data, &mut bench.bases)?;
    let read = reader.take(unpack::HEAD as u64).read_to_end(&mut head);
    let file = bench.contents.new_file("archive");
    let io_error = |source| ContentError::Io {
        path: file.clone(),
        source,
    };
    read.map_err(io_error)?;
    if !unpack::may_be_archive(&head) {
        return Ok(None);
    }
    let mut reader = bench.contents.reader(data, &mut bench.bases)?;
    let copied = File::create(&file).and_then(|mut out| io::copy(&mut reader, &mut out));
    copied.map_err(io_error)?;
    let is_archive = is_archive(&file, path)?;
    Ok(is_archive.then(|| Item::Unpack(file, path.clone())))
}

/// BuildKit would let each file replace the one before.
pub(crate) fn refuse_several_to_one(
    items: &[Item],
    edit: &Edit,
    destination: &Destination,
    origin: &Origin<'_>,
) -> Result<(), TransferError> {
    let is_file = |item: &Item| match item {
        Item::Copy(path, _) => {
            let followed = origin.tree.resolve(path.as_str());
            followed.is_ok_and(|path| !origin.tree.is_directory(&path))
        }
        Item::Unpack(..) => false,
        Item::Made(..) => true,
    };
    let is_folder = || {
        Ok::<_, TreeError>(
            edit.tree()
                .is_directory(&edit.tree().resolve(destination.path.as_str())?),
        )
    };
    if items.len() > 1 && items.iter().any(is_file) && !destination.is_folder && !is_folder()? {
        return Err(TransferError::SeveralToOne(destination.path.to_string()));
    }
    Ok(())
}
