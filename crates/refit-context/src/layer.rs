//! Writes layers: a deterministic tar in deterministic gzip, with both digests.

use std::{
    fs::File,
    io::{self, BufWriter, Read, Write as _},
    path::{Path, PathBuf},
};

use refit_oci::{Descriptor, Digest, media_type};

use crate::{
    TarEntry, TarError, TarWriter,
    gzip::Gzip,
    hashing::Hashing,
    windows_layer::{self, WindowsMember},
};

/// A finished layer file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layer {
    /// The gzip file.
    pub path: PathBuf,
    /// The file's digest: the blob's, in a registry.
    pub digest: Digest,
    /// The file's length in bytes.
    pub size: u64,
    /// The tar's digest: the layer's identity in a config.
    pub diff_id: Digest,
    /// The tar's length in bytes.
    pub plain_size: u64,
}

impl Layer {
    /// What a manifest says of the layer.
    pub fn descriptor(&self) -> Descriptor {
        Descriptor::new(media_type::OCI_LAYER_GZIP, self.digest.clone(), self.size)
    }
}

/// A layer while it is written. The members come in the caller's order, which is part of its bytes.
pub struct LayerWriter {
    path: PathBuf,
    is_windows: bool,
    tar: TarWriter<Hashing<Gzip<Hashing<BufWriter<File>>>>>,
}

impl LayerWriter {
    /// Begins a layer in a new file at `path`.
    pub fn create(path: &Path) -> Result<Self, TarError> {
        let file = File::create(path).map_err(TarError::write)?;
        Ok(Self {
            path: path.to_owned(),
            is_windows: false,
            tar: TarWriter::new(Hashing::new(Gzip::new(Hashing::new(BufWriter::new(file))))),
        })
    }

    /// Begins a layer of a Windows image: its members are put below `Files/`, with what Windows must know of them. All
    /// folders above a member must come before it. Symbolic links and devices are refused.
    pub fn create_windows(path: &Path) -> Result<Self, TarError> {
        let mut layer = Self::create(path)?;
        layer.is_windows = true;
        for root in windows_layer::roots() {
            layer.put(&root, io::empty())?;
        }
        Ok(layer)
    }

    /// Adds a member; `data` must have exactly the announced bytes.
    pub fn append(&mut self, entry: &TarEntry, data: impl Read) -> Result<(), TarError> {
        if self.is_windows {
            return self.put(&windows_layer::member(entry)?, data);
        }
        self.tar.append(entry, data)
    }

    fn put(&mut self, member: &WindowsMember, data: impl Read) -> Result<(), TarError> {
        let extra = (&member.records, member.kind_bits);
        self.tar.append_with(&member.entry, extra, data)
    }

    /// Ends the layer.
    pub fn finish(self) -> Result<Layer, TarError> {
        let (gzip, diff_id, plain_size) = self.tar.finish()?.finish();
        let (mut file, digest, size) = gzip.finish().map_err(TarError::write)?.finish();
        file.flush().map_err(TarError::write)?;
        Ok(Layer {
            path: self.path,
            digest,
            size,
            diff_id,
            plain_size,
        })
    }
}
