//! Reads layers: their members, with the tar checked against its diff id.

use std::{
    io::{self, Read},
    path::Path,
};

use refit_context::{LayerError, TarEntry, TarError, open_layer, read_tar};
use refit_oci::Digest;
use sha2::{Sha256, Sha512, digest::DynDigest};

/// A layer that unpacks to more bytes than this is taken for a bomb.
const MAX_PLAIN_BYTES: u64 = 64 << 30;

/// A layer with more members than this is refused: they are all held in memory.
pub(crate) const MAX_MEMBERS: usize = 4_000_000;

/// Why a layer could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LayerReadError {
    /// The file, or a media type that is no layer's.
    #[error(transparent)]
    Open(#[from] LayerError),
    /// The archive in it.
    #[error("the layer `{diff_id}` cannot be read")]
    Tar {
        /// The layer.
        diff_id: Digest,
        /// What is wrong with it.
        source: TarError,
    },
    /// The config that named the layer lied about it.
    #[error("a layer that should be `{expected}` is `{actual}`")]
    DiffId {
        /// What the config says.
        expected: Digest,
        /// The digest of the uncompressed layer.
        actual: String,
    },
    /// Refused for its size.
    #[error("the layer `{diff_id}` has more than {MAX_MEMBERS} members")]
    TooMany {
        /// The layer.
        diff_id: Digest,
    },
}

/// Calls `visit` with each member of the layer at `path`, in its order: its number from 0, and its data. Whiteouts are
/// members like any other.
///
/// The file is what a registry has, compressed as `media_type` says. It is read to its end and checked to be the layer
/// `diff_id`: an error at the end means that nothing that was visited can be trusted.
pub fn visit_layer<E: From<LayerReadError>>(
    path: &Path,
    media_type: &str,
    diff_id: &Digest,
    mut visit: impl FnMut(usize, &TarEntry, &mut dyn Read) -> Result<(), E>,
) -> Result<(), E> {
    let plain = open_layer(path, media_type, MAX_PLAIN_BYTES).map_err(LayerReadError::from)?;
    let mut hashing = Hashing {
        plain,
        hasher: match diff_id.algorithm() {
            "sha512" => Box::new(Sha512::default()),
            _ => Box::new(Sha256::default()),
        },
    };
    let mut number = 0;
    let read = read_tar(&mut hashing, |entry, data| {
        let visited = visit(number, entry, data).map_err(Stop::Visitor);
        number += 1;
        visited
    });
    read.map_err(|stop| match stop {
        Stop::Tar(source) => {
            let diff_id = diff_id.clone();
            LayerReadError::Tar { diff_id, source }.into()
        }
        Stop::Visitor(error) => error,
    })?;
    let actual = hex::encode(hashing.hasher.finalize());
    if actual == diff_id.hex() {
        return Ok(());
    }
    Err(LayerReadError::DiffId {
        expected: diff_id.clone(),
        actual: format!("{}:{actual}", diff_id.algorithm()),
    }
    .into())
}

/// Who ended the reading of a tar.
enum Stop<E> {
    Tar(TarError),
    Visitor(E),
}

impl<E> From<TarError> for Stop<E> {
    fn from(error: TarError) -> Self {
        Self::Tar(error)
    }
}

struct Hashing {
    plain: Box<dyn Read + Send>,
    hasher: Box<dyn DynDigest>,
}

impl Read for Hashing {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.plain.read(buffer)?;
        self.hasher.update(&buffer[..n]);
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use refit_context::{LayerWriter, TarEntry};
    use refit_oci::media_type;

    use super::*;
    use crate::native::layer_tables::read_table;

    #[test]
    fn members_come_in_order_and_only_from_the_layer_that_was_meant() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("layer");
        let mut writer = LayerWriter::create(&path).unwrap();
        let entries = [TarEntry::directory("b"), TarEntry::file("a", 2)];
        writer.append(&entries[0], io::empty()).unwrap();
        writer.append(&entries[1], &b"hi"[..]).unwrap();
        let layer = writer.finish().unwrap();

        let read = read_table(&path, media_type::OCI_LAYER_GZIP, &layer.diff_id);
        assert_eq!(read.unwrap().entries, entries);
        let forged = Digest::sha256(b"another layer");
        let read = read_table(&path, media_type::OCI_LAYER_GZIP, &forged);
        let error = read.unwrap_err().to_string();
        assert!(error.contains(layer.diff_id.as_str()), "{error}");
        let read = read_table(&path, "text/plain", &layer.diff_id);
        assert!(matches!(read, Err(LayerReadError::Open(_))));
    }
}
