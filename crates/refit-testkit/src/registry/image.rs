//! Small images made on the spot, the same bytes every time.

use std::{
    collections::BTreeMap,
    io::{Read as _, Write as _},
};

use flate2::{Compression, read::GzDecoder, write::GzEncoder};
use refit_oci::{
    Config, Descriptor, Digest, Exact, ImageConfig, Index, Manifest, Platform, RootFs, media_type,
};

/// An image of one platform with all its parts.
#[derive(Clone, Debug)]
pub struct Image {
    /// The platform that its config names.
    pub platform: Platform,
    /// The config's bytes.
    pub config: Vec<u8>,
    /// Gzip layers, the lowest first.
    pub layers: Vec<Vec<u8>>,
    /// The manifest over them.
    pub manifest: Exact<Manifest>,
}

impl Image {
    /// An image whose layers have these files (path and content); a path may climb with `..`, as no honest one does.
    ///
    /// # Panics
    /// If `platform` is none.
    pub fn new(platform: &str, layers: &[&[(&str, &str)]]) -> Self {
        Self::with_config(platform, layers, Config::default())
    }

    /// An image with something to inherit.
    ///
    /// # Panics
    /// If `platform` is none.
    pub fn with_config(platform: &str, layers: &[&[(&str, &str)]], inherited: Config) -> Self {
        let config = ImageConfig {
            config: inherited,
            ..ImageConfig::default()
        };
        Self::of(platform, layers, config)
    }

    /// An image that says when it was made, in RFC 3339.
    ///
    /// # Panics
    /// If `platform` is none.
    pub fn made_at(created: &str, platform: &str, layers: &[&[(&str, &str)]]) -> Self {
        let config = ImageConfig {
            created: Some(created.to_owned()),
            ..ImageConfig::default()
        };
        Self::of(platform, layers, config)
    }

    fn of(platform: &str, layers: &[&[(&str, &str)]], config: ImageConfig) -> Self {
        let platform: Platform = platform.parse().expect("a test names a platform");
        let tars: Vec<Vec<u8>> = layers.iter().map(|files| tar(files)).collect();
        let config = ImageConfig {
            architecture: platform.architecture.clone(),
            os: platform.os.clone(),
            variant: platform.variant.clone(),
            os_version: platform.os_version.clone(),
            rootfs: RootFs {
                kind: "layers".to_owned(),
                diff_ids: tars.iter().map(|tar| Digest::sha256(tar)).collect(),
            },
            ..config
        };
        let config = serde_json::to_vec(&config).expect("a config is JSON");
        let layers: Vec<Vec<u8>> = tars.iter().map(|tar| gzip(tar)).collect();
        let descriptors = layers.iter();
        let descriptors =
            descriptors.map(|layer| Descriptor::of(media_type::OCI_LAYER_GZIP, layer));
        let manifest = Manifest::new(
            Descriptor::of(media_type::OCI_CONFIG, &config),
            descriptors.collect(),
            BTreeMap::new(),
        );
        Self {
            platform,
            config,
            layers,
            manifest: Exact::encode(media_type::OCI_MANIFEST, manifest),
        }
    }

    /// The manifest's digest.
    pub fn digest(&self) -> &Digest {
        &self.manifest.digest
    }
}

/// An index over images, in their order.
pub fn index(images: &[Image]) -> Exact<Index> {
    let entries = images.iter().map(|image| {
        let mut entry = image.manifest.descriptor();
        entry.platform = Some(image.platform.clone());
        entry
    });
    let index = Index::new(entries.collect(), BTreeMap::new());
    Exact::encode(media_type::OCI_INDEX, index)
}

/// A gzip layer with these files (path and content).
pub fn layer(files: &[(&str, &str)]) -> Vec<u8> {
    gzip(&tar(files))
}

/// The regular files of a gzip layer, by path.
///
/// # Panics
/// If it is none.
pub fn read_layer(layer: &[u8]) -> BTreeMap<String, String> {
    let mut archive = tar::Archive::new(GzDecoder::new(layer));
    let mut files = BTreeMap::new();
    for entry in archive.entries().expect("a layer is a tar") {
        let mut entry = entry.expect("a layer is a tar");
        if entry.header().entry_type().is_file() {
            let path = entry.path().expect("a test's paths are text");
            let path = path.to_string_lossy().into_owned();
            let mut text = String::new();
            entry
                .read_to_string(&mut text)
                .expect("a test's files are text");
            files.insert(path, text);
        }
    }
    files
}

fn tar(files: &[(&str, &str)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (path, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        header.set_mtime(0);
        header.set_uid(0);
        header.set_gid(0);
        header.set_entry_type(tar::EntryType::Regular);
        // The builder would refuse a path that climbs.
        header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
        header.set_cksum();
        let appended = builder.append(&header, content.as_bytes());
        appended.expect("memory takes all bytes");
    }
    builder.into_inner().expect("memory takes all bytes")
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).expect("memory takes all bytes");
    encoder.finish().expect("memory takes all bytes")
}
