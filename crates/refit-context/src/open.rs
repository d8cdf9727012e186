//! Opens layers and archives of any compression, with a bound on what comes out of them.

use std::{
    fs::File,
    io::{self, BufRead as _, BufReader, Read},
    path::{Path, PathBuf},
};

use bzip2::bufread::MultiBzDecoder;
use flate2::bufread::MultiGzDecoder;
use lzma_rust2::XzReader;
use refit_oci::media_type;

/// Why a layer could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LayerError {
    /// The file.
    #[error("could not read `{}`", path.display())]
    Io {
        /// The layer's file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Encrypted, foreign, or no layer at all.
    #[error("a layer of type `{0}` cannot be read")]
    MediaType(String),
}

/// What unpacking xz may take, in KiB: `xz -9` needs a quarter of it.
const XZ_MEMORY: u32 = 256 << 10;

/// Wrapped in the `io::Error` of a read that would go beyond the bound.
#[derive(Debug, thiserror::Error)]
#[error("the layer has more than {0} bytes when decompressed")]
struct TooLarge(u64);

/// The tar in a layer's file. Reading more than `limit` bytes of it is an error.
///
/// Like containerd, it goes by the first bytes and not by what the type says of the compression: there are registries
/// full of gzip that is declared as plain.
pub fn open_layer(
    path: &Path,
    media_type: &str,
    limit: u64,
) -> Result<Box<dyn Read + Send>, LayerError> {
    let is_layer = [
        media_type::OCI_LAYER,
        media_type::OCI_LAYER_GZIP,
        media_type::OCI_LAYER_ZSTD,
    ]
    .contains(&media_type::oci_layer(media_type));
    if !is_layer {
        return Err(LayerError::MediaType(media_type.to_owned()));
    }
    open(path, limit, |head| match Compression::of(head) {
        // Nothing that reads layers knows these.
        Compression::Bzip2 | Compression::Xz => Compression::None,
        of_layers => of_layers,
    })
}

/// The archive in a file, decompressed if it is compressed. Reading more than `limit` bytes of it is an error.
pub fn open_archive(path: &Path, limit: u64) -> Result<Box<dyn Read + Send>, LayerError> {
    open(path, limit, Compression::of)
}

/// What the first bytes of a file say of its compression: what moby's detection knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// None, or one that nobody knows.
    None,
    /// gzip.
    Gzip,
    /// Zstandard.
    Zstd,
    /// bzip2.
    Bzip2,
    /// xz.
    Xz,
}

impl Compression {
    /// Six bytes tell them apart.
    pub fn of(head: &[u8]) -> Self {
        match head {
            [0x1f, 0x8b, 0x08, ..] => Self::Gzip,
            // A frame, or a skippable one that some writers put first.
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Self::Zstd,
            [b'B', b'Z', b'h', ..] => Self::Bzip2,
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Self::Xz,
            _ => Self::None,
        }
    }
}

fn open(
    path: &Path,
    limit: u64,
    compression: impl Fn(&[u8]) -> Compression,
) -> Result<Box<dyn Read + Send>, LayerError> {
    let decoder = || -> io::Result<Box<dyn Read + Send>> {
        let mut file = BufReader::with_capacity(64 * 1024, File::open(path)?);
        Ok(match compression(file.fill_buf()?) {
            Compression::Gzip => Box::new(MultiGzDecoder::new(file)),
            Compression::Zstd => Box::new(zstd::stream::read::Decoder::with_buffer(file)?),
            Compression::Bzip2 => Box::new(MultiBzDecoder::new(file)),
            Compression::Xz => Box::new(XzReader::new_mem_limit(file, true, XZ_MEMORY)),
            Compression::None => Box::new(file),
        })
    };
    let plain = decoder().map_err(|source| LayerError::Io {
        path: path.to_owned(),
        source,
    })?;
    Ok(Box::new(Bounded {
        plain,
        limit,
        left: limit,
    }))
}

struct Bounded<R> {
    plain: R,
    limit: u64,
    left: u64,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.plain.read(buffer)?;
        match self.left.checked_sub(n as u64) {
            Some(left) => {
                self.left = left;
                Ok(n)
            }
            None => Err(io::Error::other(TooLarge(self.limit))),
        }
    }
}
