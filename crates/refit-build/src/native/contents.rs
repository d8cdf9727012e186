//! The bytes of files: pieces of the context, of archives, of base layers that are unpacked only as far as needed.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::{self, BufReader, BufWriter, Read, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use refit_context::{LayerWriter, TarError};
use refit_oci::Digest;

use super::{
    WINDOWS,
    bases::{BaseError, Bases},
    edit::Member,
    layer_entries::{LayerReadError, visit_layer},
    node::{Content, FileData},
};

/// Where the data of members of base layers was put, once it was needed.
pub(crate) struct Contents {
    folder: PathBuf,
    n_files: usize,
    unpacked: BTreeMap<Digest, BTreeMap<usize, (Arc<Path>, u64)>>,
}

/// Why bytes are not to be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ContentError {
    #[error(transparent)]
    Base(#[from] BaseError),
    #[error(transparent)]
    Layer(#[from] LayerReadError),
    #[error("cannot use `{}`", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Tar(#[from] TarError),
}

impl Contents {
    /// Keeps its files in `folder`.
    pub(crate) fn new(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            n_files: 0,
            unpacked: BTreeMap::new(),
        }
    }

    /// A new file in the build's folder.
    pub(crate) fn new_file(&mut self, kind: &str) -> PathBuf {
        self.n_files += 1;
        self.folder.join(format!("{kind}-{}", self.n_files))
    }

    /// All bytes of a small file.
    pub(crate) fn read(
        &mut self,
        data: &FileData,
        bases: &mut Bases,
    ) -> Result<Vec<u8>, ContentError> {
        self.unpack([data], bases)?;
        let mut bytes = Vec::new();
        let read = self.open(data)?.read_to_end(&mut bytes);
        read.map_err(|source| io_error(&self.folder, source))?;
        Ok(bytes)
    }

    /// Opens a file for reading once; members of base layers are unpacked first.
    pub(crate) fn reader(
        &mut self,
        data: &FileData,
        bases: &mut Bases,
    ) -> Result<Box<dyn Read>, ContentError> {
        self.unpack([data], bases)?;
        self.open(data)
    }

    /// Writes a layer of an image for `os`, and gives its path and digests.
    pub(crate) fn write_layer(
        &mut self,
        os: &str,
        members: &[Member],
        bases: &mut Bases,
    ) -> Result<refit_context::Layer, ContentError> {
        self.unpack(
            members.iter().filter_map(|member| member.data.as_deref()),
            bases,
        )?;
        let path = self.new_file("layer");
        let mut writer = match os {
            WINDOWS => LayerWriter::create_windows(&path)?,
            _ => LayerWriter::create(&path)?,
        };
        for member in members {
            match &member.data {
                Some(data) => writer.append(&member.entry, self.open(data)?)?,
                None => writer.append(&member.entry, io::empty())?,
            }
        }
        Ok(writer.finish()?)
    }

    /// Makes sure that these files can be opened, reading each base layer at most once.
    fn unpack<'d>(
        &mut self,
        files: impl IntoIterator<Item = &'d FileData>,
        bases: &mut Bases,
    ) -> Result<(), ContentError> {
        let mut wanted: BTreeMap<&Digest, BTreeSet<usize>> = BTreeMap::new();
        for file in files {
            if let Content::Member { layer, number } = &file.content
                && !self
                    .unpacked
                    .get(layer)
                    .is_some_and(|members| members.contains_key(number))
            {
                wanted.entry(layer).or_default().insert(*number);
            }
        }
        for (layer, numbers) in wanted {
            let spool = self.new_file("unpacked");
            let members = unpack_members(layer, &numbers, &spool, bases)?;
            self.unpacked
                .entry(layer.clone())
                .or_default()
                .extend(members);
        }
        Ok(())
    }

    fn open(&self, data: &FileData) -> Result<Box<dyn Read>, ContentError> {
        let (file, offset) = match &data.content {
            Content::Bytes(bytes) => return Ok(Box::new(io::Cursor::new(Arc::clone(bytes)))),
            Content::Stored { file, offset } => (file, *offset),
            Content::Member { layer, number } => {
                let members = self
                    .unpacked
                    .get(layer)
                    .and_then(|members| members.get(number));
                let (file, offset) = members.expect("members are unpacked before they are opened");
                (file, *offset)
            }
        };
        let open = || {
            let mut opened = BufReader::new(File::open(file)?);
            opened.seek(SeekFrom::Start(offset))?;
            Ok(opened.take(data.size))
        };
        Ok(Box::new(open().map_err(|source| io_error(file, source))?))
    }
}

/// Puts the data of some members of a layer behind one another into the file `spool`.
fn unpack_members(
    layer: &Digest,
    numbers: &BTreeSet<usize>,
    spool: &Path,
    bases: &mut Bases,
) -> Result<BTreeMap<usize, (Arc<Path>, u64)>, ContentError> {
    let file: Arc<Path> = spool.into();
    let mut out = BufWriter::new(File::create(spool).map_err(|source| io_error(spool, source))?);
    let (mut offset, mut found) = (0, BTreeMap::new());
    let blob = bases.layer_file(layer)?;
    visit_layer(blob.path(), blob.media_type(), layer, |number, _, data| {
        if numbers.contains(&number) {
            let copied = io::copy(data, &mut out).map_err(|source| io_error(spool, source))?;
            found.insert(number, (Arc::clone(&file), offset));
            offset += copied;
        }
        Ok::<_, ContentError>(())
    })?;
    out.flush().map_err(|source| io_error(spool, source))?;
    Ok(found)
}

fn io_error(path: &Path, source: io::Error) -> ContentError {
    ContentError::Io {
        path: path.to_owned(),
        source,
    }
}
